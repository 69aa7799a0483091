"""Datasets that are read batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


class Batches:
    """A dataset of numbered elements; iterating over it again reads it again.

    Args:
        count: number of elements.
        read: function of an array of numbers that returns their batch: an array or a tuple.
        batch_size: elements of a batch; None gives single elements.
        shuffle: whether each iteration has an order of its own.
        seed: integer that makes the orders repeatable.
        class_names: names of the classes, where there are any.
        file_paths: paths of the elements, where they are files.
    """

    def __init__(
        self,
        count: int,
        read: Callable[[np.ndarray], Any],
        batch_size: int | None = 32,
        shuffle: bool = False,
        seed: int | None = None,
        class_names: Sequence[str] | None = None,
        file_paths: Sequence[str] | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"`batch_size` must be greater than zero. Received: {batch_size}")
        self.count = count
        self.batch_size = batch_size
        self._read = read
        self._shuffle = shuffle
        self._generator = np.random.default_rng(seed)
        if class_names is not None:
            self.class_names = list(class_names)
        if file_paths is not None:
            self.file_paths = list(file_paths)

    def __len__(self) -> int:
        return -(-self.count // (self.batch_size or 1))

    def cardinality(self) -> int:
        """Returns the number of batches."""
        return len(self)

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(self.count)
        if self._shuffle:
            self._generator.shuffle(order)
        for start in range(0, self.count, self.batch_size or 1):
            batch = self._read(order[start : start + (self.batch_size or 1)])
            if self.batch_size is None:
                batch = tuple(x[0] for x in batch) if isinstance(batch, tuple) else batch[0]
            yield batch
