"""What every source of batches gives, and what a batch is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cornu import tree


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """The inputs, targets and sample weights of a batch; what is not there is `None`.

    Args:
        data: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: It is none of these.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, "
            f"found: {data}"
        )
    return (*data, *(None,) * (3 - len(data)))


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """One batch of inputs and, where given, targets and sample weights.

    >>> pack_x_y_sample_weight(1, 2)
    (1, 2)
    """
    if y is None:
        return x if not isinstance(x, (tuple, list)) else (x,)
    if sample_weight is None:
        return (x, y)
    return (x, y, sample_weight)


def class_weights_of(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The sample weights that class weights give for targets.

    Args:
        y: Class numbers `(batch,)` or `(batch, 1)`, or one-hot targets `(batch, classes)`.
        class_weight: The weight of each class; others weigh 1.

    Raises:
        ValueError: There are several targets.
    """
    if tree.is_nested(y):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    if not hasattr(class_weight, "items"):
        raise AttributeError(
            "`class_weight` must be a dict from classes to their weights. Received: "
            f"class_weight={class_weight} (of type {type(class_weight).__name__})"
        )
    y = np.asarray(y)
    if y.ndim > 1:
        y = np.argmax(y, axis=-1) if y.shape[-1] != 1 else y[..., 0]
    classes = np.round(y).astype("int64")
    weights = np.ones(classes.shape, dtype="float32")
    for number, weight in class_weight.items():
        weights[classes == number] = weight
    return weights


class Source:
    """Where batches come from.

    A batch is what `train_step` gets: inputs, or a tuple of inputs, targets and sample weights, as
    far as there are any, in structures of arrays.
    """

    # How many batches an epoch has, `None` if that is unknown.
    num_batches: int | None = None
    batch_size: int | None = None
    # Samples in all batches together, `None` if that is unknown.
    num_samples: int | None = None

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch."""
        raise NotImplementedError

    def first(self) -> Any:
        """A batch like the first, which is still to come; `None` if there is none."""
        return next(iter(self), None)

    def on_epoch_begin(self) -> None:
        """Called before an epoch."""

    def on_epoch_end(self) -> None:
        """Called after an epoch."""

    def close(self) -> None:
        """Gives back what the source holds, such as threads."""
