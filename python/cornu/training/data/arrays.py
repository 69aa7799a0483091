"""Batches of arrays in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cornu import config, tree
from cornu.tensor import holds_strings
from cornu.training.data.source import Source, class_weights_of, pack_x_y_sample_weight


def is_array(value: Any) -> bool:
    """Whether a value is an array in memory: of numpy, pandas, torch or our own."""
    return (
        value is None
        or isinstance(value, np.ndarray)
        or (
            (hasattr(value, "shape") and hasattr(value, "dtype"))
            or hasattr(value, "__array__")
            or _is_frame(value)
        )
    )


def _is_frame(value: Any) -> bool:
    return type(value).__module__.split(".")[0] in ("pandas", "polars") and hasattr(
        value, "to_numpy"
    )


def can_be_arrays(data: Any) -> bool:
    """Whether every leaf of a structure is an array in memory."""
    leaves = tree.flatten(data)
    return any(leaf is not None for leaf in leaves) and all(map(is_array, leaves))


def as_array(value: Any) -> Any:
    """A value as a numpy array with at least one axis.

    Raises:
        ValueError: Its dtype is none that a model computes with.
    """
    if value is None:
        return None
    if type(value) is np.ndarray:
        array = value
    elif _is_frame(value):
        array = np.asarray(value.to_numpy())
        if array.ndim == 1:
            array = array[:, None]
    else:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.dtype == object and not holds_strings(array):
        try:
            numbers = array.astype(config.floatx())
        except (TypeError, ValueError):
            raise ValueError(f"Invalid dtype: {array.dtype}") from None
        if any(item is None for item in array.flat):  # numpy makes it NaN
            raise ValueError(f"Invalid dtype: {array.dtype}. Among the values there is None.")
        return numbers
    return array


def in_model_dtype(array: np.ndarray) -> np.ndarray:
    """Floats in the default float dtype; anything else as it is, but contiguous and native."""
    if array.dtype.kind == "f" and array.dtype != config.floatx():
        array = array.astype(config.floatx())
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return np.ascontiguousarray(array) if array.ndim else array


def check_cardinality(data: dict[str, Any]) -> int:
    """The number of samples in all arrays.

    Raises:
        IndexError: An array has no axis of samples.
        ValueError: It differs.
    """
    leaves = {
        name: [leaf for leaf in tree.flatten(part) if leaf is not None]
        for name, part in data.items()
    }
    for name, several in leaves.items():
        if any(leaf.ndim == 0 for leaf in several):
            raise IndexError(
                f"An array of `{name}` has no axis of samples: expected at least one axis, found "
                "shape ()."
            )
    sizes = {name: [leaf.shape[0] for leaf in several] for name, several in leaves.items()}
    all_sizes = {size for several in sizes.values() for size in several}
    if len(all_sizes) == 1:
        return all_sizes.pop()
    message = (
        "Data cardinality is ambiguous. Make sure all arrays contain the same number of samples."
    )
    for name, several in sizes.items():
        if several:
            message += f"'{name}' sizes: {', '.join(map(str, several))}\n"
    raise ValueError(message)


def train_validation_split(arrays: Any, validation_split: float) -> tuple[Any, Any]:
    """Structures of arrays without, and of, their last samples.

    Raises:
        ValueError: The data cannot be split so.
    """
    leaves = [leaf for leaf in tree.flatten(arrays) if leaf is not None]
    if not 0 <= validation_split <= 1:
        raise ValueError(
            "`validation_split` must be a part of the samples, between 0 and 1. "
            f"Received: validation_split={validation_split}"
        )
    wrong = [type(leaf) for leaf in leaves if not is_array(leaf)]
    if wrong or not leaves:
        raise ValueError(
            "Argument `validation_split` is only supported for tensors or NumPy arrays."
            f"Found incompatible type in the input: {wrong}"
        )
    arrays = tree.map_structure(as_array, arrays)
    size = next(leaf for leaf in tree.flatten(arrays) if leaf is not None).shape[0]
    split = int(np.floor(size * (1.0 - validation_split)))
    if split == 0 or split == size:
        raise ValueError(
            f"Training data contains {size} samples, which is not sufficient to split it into a "
            "validation and training set as specified by "
            f"`validation_split={validation_split}`. Either provide more data, or a different "
            "value for the `validation_split` argument."
        )

    def part(start: int, stop: int) -> Any:
        return tree.map_structure(lambda a: None if a is None else a[start:stop], arrays)

    return part(0, split), part(split, size)


def gather(array: np.ndarray, indices: np.ndarray | slice) -> np.ndarray:
    """The samples of an array, in the dtype of the model."""
    if isinstance(indices, slice):
        return in_model_dtype(array[indices])
    return in_model_dtype(np.take(array, indices, axis=0))


class ArraySource(Source):
    """Batches of arrays in memory.

    Args:
        x, y, sample_weight: Structures of arrays.
        batch_size: Samples per batch, 32 by default.
        shuffle: Whether each epoch has its own order; `"batch"` keeps batches together.
        class_weight: The weight of each class of the targets.

    Raises:
        ValueError: The numbers of samples differ, or arguments exclude each other.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        named = {"x": x, "y": y, "sample_weight": sample_weight}
        named = {name: tree.map_structure(as_array, part) for name, part in named.items()}
        if class_weight is not None:
            if named["sample_weight"] is not None:
                raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
            named["sample_weight"] = class_weights_of(named["y"], class_weight)
        self.num_samples = check_cardinality(named)
        if batch_size is not None and not isinstance(batch_size, (int, np.integer)):
            raise TypeError(
                f"`batch_size` must be an integer. Received: batch_size={batch_size} "
                f"(of type {type(batch_size)})"
            )
        self.batch_size = int(batch_size or 32)
        if self.batch_size < 0:
            raise ValueError(f"`batch_size` must be positive. Received: batch_size={batch_size}")
        self.num_batches = -(-self.num_samples // self.batch_size)
        self.shuffle = shuffle
        self._arrays = pack_x_y_sample_weight(*named.values())

    def _batches(self) -> Iterator[np.ndarray | slice]:
        """The samples of each batch of an epoch."""
        size, count = self.batch_size, self.num_samples
        if self.shuffle == "batch":
            for batch in np.random.permutation(self.num_batches):
                yield slice(batch * size, min((batch + 1) * size, count))
            return
        order = np.random.permutation(count) if self.shuffle else None
        for start in range(0, count, size):
            stop = min(start + size, count)
            yield slice(start, stop) if order is None else order[start:stop]

    def _batch(self, indices: np.ndarray | slice) -> Any:
        return tree.map_structure(lambda a: None if a is None else gather(a, indices), self._arrays)

    def __iter__(self) -> Iterator[Any]:
        for indices in self._batches():
            yield self._batch(indices)

    def first(self) -> Any:
        size = min(self.batch_size, self.num_samples)
        return self._batch(slice(0, size)) if size else None


def one_batch(data: Sequence[Any]) -> tuple[Any, ...]:
    """Inputs, targets and weights of one batch, as the arrays of a batch."""
    return tuple(
        tree.map_structure(lambda a: None if a is None else in_model_dtype(as_array(a)), part)
        for part in data
    )
