"""Which source serves which kind of data."""

from __future__ import annotations

import types
from typing import Any

from cornu.training.data.arrays import ArraySource, can_be_arrays
from cornu.training.data.sequence import IterableSource, PyDataset, SequenceSource
from cornu.training.data.source import Source


def _kind(x: Any) -> str:
    """What data is called in errors."""
    if isinstance(x, types.GeneratorType):
        return "a generator"
    if isinstance(x, PyDataset) or (hasattr(x, "__getitem__") and hasattr(x, "on_epoch_end")):
        return "a PyDataset"
    module = type(x).__module__.split(".")[0]
    if module == "torch":
        return "a torch DataLoader"
    if module == "tensorflow":
        return "a tf.data.Dataset"
    return "an iterable"


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict[int, float] | None = None,
) -> Source:
    """The source of batches for the arguments of `fit`, `evaluate` or `predict`.

    Args:
        x: Structures of arrays, a `PyDataset`, a generator, a loader, or any iterable of batches.
        y: Targets, with arrays.
        sample_weight: Sample weights, with arrays.
        batch_size: Samples per batch, with arrays.
        shuffle: Whether the order changes with each epoch.
        class_weight: The weight of each class of the targets.

    Raises:
        ValueError: The data is none of these, or comes with what it already contains.
    """
    if isinstance(x, Source):
        return x
    if can_be_arrays((x, y, sample_weight)) and can_be_arrays(x):
        return ArraySource(x, y, sample_weight, batch_size, shuffle, class_weight)
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None and can_be_arrays(x) and not can_be_arrays(value):
            raise ValueError(
                f"Unrecognized data type: {argument}={value} (of type {type(value)}). Expected an "
                "array, or a structure of arrays, as `x` is."
            )
    if isinstance(x, (str, bytes, list, tuple, dict, set, int, float)) or not (
        hasattr(x, "__iter__") or hasattr(x, "__getitem__")
    ):
        raise ValueError(f"Unrecognized data type: x={x} (of type {type(x)})")
    kind = _kind(x)
    short = kind.split(" ", 1)[1]
    for argument, value, content in (
        ("y", y, "targets"),
        ("sample_weights", sample_weight, "sample weights"),
    ):
        if value is not None:
            raise ValueError(
                f"When providing `x` as {kind}, `{argument}` should not be passed. Instead, the "
                f"{content} should be included as part of the {short}."
            )
    if kind == "a PyDataset":
        return SequenceSource(x, shuffle=bool(shuffle), class_weight=class_weight)
    return IterableSource(x, class_weight=class_weight)
