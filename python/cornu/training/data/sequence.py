"""Datasets whose batches are computed, in threads or processes."""

from __future__ import annotations

import itertools
import queue
import random
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import Any

from cornu import tree
from cornu.training.data.arrays import as_array, in_model_dtype, is_array
from cornu.training.data.source import (
    Source,
    class_weights_of,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)


class PyDataset:
    """A dataset that gives batch after batch; write `__getitem__` and `__len__`.

    Args:
        workers: How many threads or processes compute batches.
        use_multiprocessing: Whether these are processes.
        max_queue_size: How many batches are computed in advance.

    >>> class Squares(keras.utils.PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.full((4, 1), index, dtype="float32")
    ...         return x, x**2
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self._workers = workers
        self._use_multiprocessing = use_multiprocessing
        self._max_queue_size = max_queue_size

    @property
    def workers(self) -> int:
        """How many threads or processes compute batches."""
        self._warn_if_super_not_called()
        return getattr(self, "_workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """Whether batches are computed in processes."""
        return getattr(self, "_use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """How many batches are computed in advance."""
        return getattr(self, "_max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def _warn_if_super_not_called(self) -> None:
        if not hasattr(self, "_workers"):
            self._workers = 1
            warnings.warn(
                "Your `PyDataset` class should call `super().__init__(**kwargs)` in its "
                "constructor. `**kwargs` can include `workers`, `use_multiprocessing`, "
                "`max_queue_size`. Do not pass these arguments to `fit()`, as they will be "
                "ignored.",
                stacklevel=3,
            )

    def __getitem__(self, index: int) -> Any:
        """The batch of this number: `(x, y)` or the like."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        number = self.num_batches
        yield from (
            self[index] for index in (itertools.count() if number is None else range(number))
        )

    @property
    def num_batches(self) -> int | None:
        """The number of batches, by default `len(self)`; `None` if there is no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} must define `__len__` or the property `num_batches`."
        )

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def prepared(batch: Any, class_weight: dict[int, float] | None) -> Any:
    """A batch that a person's code gave, in arrays of the model's dtypes."""
    x, y, sample_weight = unpack_x_y_sample_weight(batch)

    def arrays(part: Any) -> Any:
        return tree.map_structure(
            lambda leaf: None if leaf is None else in_model_dtype(as_array(leaf)), part
        )

    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
        sample_weight = class_weights_of(y, class_weight)
    x = arrays(x)
    if y is None and isinstance(batch, tuple | list):
        return (x,)
    return pack_x_y_sample_weight(x, arrays(y), arrays(sample_weight))


class SequenceSource(Source):
    """The batches of a `PyDataset`, computed in advance where it has several workers.

    Args:
        dataset: The dataset, or anything with `__getitem__` and `__len__` over batches.
        shuffle: Whether each epoch has its own order of batches.
        class_weight: The weight of each class of the targets.
    """

    def __init__(
        self, dataset: Any, shuffle: bool = False, class_weight: dict[int, float] | None = None
    ) -> None:
        self.dataset = dataset
        self.shuffle = shuffle
        self.class_weight = class_weight
        self._pool: futures.Executor | None = None

    @property
    def num_batches(self) -> int | None:
        """The number of batches, `None` if it is infinite."""
        if hasattr(self.dataset, "num_batches"):
            return self.dataset.num_batches
        return len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        number = self.num_batches
        order = itertools.count() if number is None else list(range(number))
        if self.shuffle and number is not None:
            random.shuffle(order)
        workers = getattr(self.dataset, "workers", 1)
        processes = getattr(self.dataset, "use_multiprocessing", False)
        if workers > 1 or (workers == 1 and processes):
            batches = self._computed_in_advance(order, workers, processes)
        else:
            batches = (self.dataset[index] for index in order)
        for batch in batches:
            yield self._prepared(batch)

    def _prepared(self, batch: Any) -> Any:
        return prepared((batch,) if is_array(batch) else batch, self.class_weight)

    def _computed_in_advance(
        self, order: Iterable[int], workers: int, processes: bool
    ) -> Iterator[Any]:
        if self._pool is None:
            pool = futures.ProcessPoolExecutor if processes else futures.ThreadPoolExecutor
            self._pool = pool(max_workers=workers)
        waiting: queue.SimpleQueue[futures.Future[Any]] = queue.SimpleQueue()
        pending = iter(order)
        limit = max(workers, getattr(self.dataset, "max_queue_size", 10))
        for index in itertools.islice(pending, limit):
            waiting.put(self._pool.submit(_item, self.dataset, index))
        while not waiting.empty():
            batch = waiting.get().result()
            for index in pending:
                waiting.put(self._pool.submit(_item, self.dataset, index))
                break
            yield batch

    def first(self) -> Any:
        return None if self.num_batches == 0 else self._prepared(self.dataset[0])

    def on_epoch_begin(self) -> None:
        if hasattr(self.dataset, "on_epoch_begin"):
            self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        if hasattr(self.dataset, "on_epoch_end"):
            self.dataset.on_epoch_end()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _item(dataset: Any, index: int) -> Any:
    return dataset[index]


class IterableSource(Source):
    """The batches of a generator, a data loader, or any other iterable.

    Args:
        iterable: Gives batches; an iterator gives them once.
        class_weight: The weight of each class of the targets.
    """

    def __init__(self, iterable: Any, class_weight: dict[int, float] | None = None) -> None:
        self.iterable = iterable
        self.class_weight = class_weight
        self._lock = threading.Lock()
        self.num_batches = _length(iterable)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.iterable:
            yield prepared(batch, self.class_weight)

    def first(self) -> Any:
        batches = iter(self.iterable)
        for batch in batches:
            if batches is self.iterable:  # it would not come again
                self.iterable = itertools.chain([batch], batches)
            return prepared(batch, self.class_weight)
        return None


def _length(iterable: Any) -> int | None:
    """The number of batches of a loader, where it tells."""
    try:
        length = int(iterable.cardinality()) if hasattr(iterable, "cardinality") else len(iterable)
    except (TypeError, NotImplementedError):
        return None
    # tf.data says -1 for infinite and -2 for unknown.
    return length if length >= 0 else None
