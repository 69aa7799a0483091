"""The data that layers adapt to."""

from collections.abc import Iterator
from itertools import islice
from typing import Any


def batches(data: Any, steps: int | None = None) -> Iterator[Any]:
    """Yields the batches of data that a layer adapts to.

    Args:
        data: an array or list, which is one batch; a `PyDataset`, or another iterable of batches.
            Of a tuple of inputs and targets, the inputs are taken.
        steps: how many batches of an iterable are taken at most.
    """
    if hasattr(data, "shape") or isinstance(data, list | tuple | str):
        yield data
        return
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__"):
        data = (data[index] for index in range(len(data)))
    for batch in islice(data, steps):
        yield batch[0] if isinstance(batch, tuple) else batch
