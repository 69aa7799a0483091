"""Datasets split in two."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from cornu import tree
from cornu.utils.batches import Batches


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Batches, Batches]:
    """Returns a dataset split in two.

    Args:
        dataset: an array, a list or tuple of equally long arrays, or an iterable of elements.
        left_size, right_size: the sizes of the parts: shares of the elements, or their numbers;
            one may follow from the other.
        shuffle: whether the elements are shuffled first.
        seed: integer that makes the order repeatable.
        preferred_backend: accepted; the parts are plain iterables.

    Returns:
        Two iterables of single elements.

    Raises:
        TypeError: if the dataset is none, or a size no number.
        ValueError: if the sizes don't fit.

    >>> training, validation = split_dataset((x, y), left_size=0.8)
    """
    elements = _elements(dataset)
    left, right = _sizes(len(elements), left_size, right_size)
    if shuffle:
        elements = random.Random(seed).sample(elements, len(elements))
    return _dataset(elements[:left]), _dataset(elements[len(elements) - right :])


def _elements(dataset: Any) -> list[Any]:
    if isinstance(dataset, list | tuple):
        if not dataset:
            raise ValueError("Received an empty list/tuple of arrays")
        if all(hasattr(part, "shape") for part in dataset):
            for place, part in enumerate(dataset):
                if len(part) != len(dataset[0]):
                    raise ValueError(
                        f"Received a {type(dataset).__name__} of NumPy arrays with different "
                        f"lengths. Mismatch found at index {place}, Expected "
                        f"shape={dataset[0].shape} Received shape={part.shape}. Please provide a "
                        f"{type(dataset).__name__} of NumPy arrays of the same length."
                    )
            kind = tuple if isinstance(dataset, tuple) else list
            return [kind(element) for element in zip(*map(np.asarray, dataset), strict=True)]
        raise ValueError(
            f"Expected a {type(dataset).__name__} of arrays. Received: {[type(x) for x in dataset]}"
        )
    if hasattr(dataset, "shape") and hasattr(dataset, "__array__"):
        return list(np.asarray(dataset))
    if isinstance(dataset, dict | str | bytes) or not (
        isinstance(dataset, Iterable) or hasattr(dataset, "__getitem__")
    ):
        raise TypeError(f"Unsupported dataset type: {type(dataset)}")
    if isinstance(dataset, Batches) and dataset.batch_size is not None:
        return [element for batch in dataset for element in _unbatched(batch)]
    if not isinstance(dataset, Iterable):
        return [element for n in range(len(dataset)) for element in _unbatched(dataset[n])]
    return list(dataset)


def _unbatched(batch: Any) -> list[Any]:
    """Returns the elements of a batch."""
    count = len(tree.flatten(batch)[0])
    return [tree.map_structure(lambda part, n=n: part[n], batch) for n in range(count)]


def _sizes(length: int, left_size: Any, right_size: Any) -> tuple[int, int]:
    if left_size is None and right_size is None:
        raise ValueError(
            "At least one of the `left_size` or `right_size` must be specified. Received: "
            "left_size=None and right_size=None"
        )
    for name, size in (("left_size", left_size), ("right_size", right_size)):
        if size is not None and (isinstance(size, bool) or not isinstance(size, int | float)):
            raise TypeError(
                f"Invalid `{name}` Type. Expected: int or float or None, "
                f"Received: type({name})={type(size)}."
            )
        if size is not None and not 0 < size < (1 if isinstance(size, float) else length):
            raise ValueError(
                f"`{name}` should be either a positive integer smaller than {length}, or a float "
                f"within the range `[0, 1]`. Received: {name}={size}"
            )
    shares = [size for size in (left_size, right_size) if isinstance(size, float)]
    if len(shares) == 2 and sum(shares) > 1:
        raise ValueError(
            "The sum of `left_size` and `right_size` is greater than 1. It must be less than or "
            "equal to 1."
        )
    counts = [
        None if size is None else round(size * length) if isinstance(size, float) else size
        for size in (left_size, right_size)
    ]
    left = length - counts[1] if counts[0] is None else counts[0]
    right = length - left if counts[1] is None else counts[1]
    if left + right > length:
        raise ValueError(
            f"The sum of `left_size` and `right_size` should be smaller than the {length}. "
            f"Received: left_size={left_size}, right_size={right_size}"
        )
    for name, count in (("left", left), ("right", right)):
        if count == 0:
            raise ValueError(
                f"With `dataset` of length={length}, `left_size`={left} and `right_size`={right}. "
                f"Resulting {name} side dataset split will be empty. Adjust any of the "
                "aforementioned parameters"
            )
    return left, right


def _dataset(elements: list[Any]) -> Batches:
    def read(numbers: np.ndarray) -> Any:
        element = elements[numbers[0]]
        return tuple([part] for part in element) if isinstance(element, tuple) else [element]

    return Batches(len(elements), read, batch_size=None)
