"""Windows of time series and pairs of words, as Keras 2 makes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu.training.data.sequence import PyDataset


class TimeseriesGenerator(PyDataset):
    """Batches of windows of a series, each with the target that follows it.

    Args:
        data: the series, its first axis time.
        targets: a target for each time.
        length: the length of a window.
        sampling_rate: every how many times a window has an element.
        stride: how many times windows lie apart.
        start_index, end_index: the times that are used.
        shuffle: whether windows are drawn at random.
        reverse: whether a window runs backwards.
        batch_size: windows per batch.

    Raises:
        ValueError: if the targets are not as many as the data, or no window fits.
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        super().__init__()
        if len(data) != len(targets):
            raise ValueError(
                f"Data and targets have to be of same length. Data length is {len(data)} while "
                f"target length is {len(targets)}"
            )
        self.data, self.targets = np.asarray(data), np.asarray(targets)
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is "
                "disallowed, as no part of the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        windows = (self.end_index - self.start_index) // self.stride + 1
        return -(-windows // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            rows = np.arange(first, last, self.stride)
        windows = [self.data[row - self.length : row : self.sampling_rate] for row in rows]
        samples = np.array([window[::-1] if self.reverse else window for window in windows])
        return samples, self.targets[rows]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        names = ("length", "sampling_rate", "stride", "shuffle", "reverse", "batch_size")
        return {
            "data": self.data.tolist(),
            "targets": self.targets.tolist(),
            **{name: getattr(self, name) for name in names},
            "start_index": self.start_index - self.length,
            "end_index": self.end_index,
        }


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """Returns the probability of keeping the word of each rank, by Zipf's law.

    Args:
        size: number of words.
        sampling_factor: how rare a word is that is always kept.

    Paper: Mikolov et al., Distributed Representations of Words and Phrases (2013).
    """
    rank = np.arange(size)
    rank[0] = 1
    inverse = rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank)
    frequency = sampling_factor * inverse
    return np.minimum(1.0, frequency / np.sqrt(frequency))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Returns pairs of words that stand near each other, and pairs that do not.

    Args:
        sequence: word numbers; 0 is no word.
        vocabulary_size: the largest number plus 1.
        window_size: how far apart near words may be.
        negative_samples: how many random pairs there are for each real one.
        shuffle: whether pairs come in random order.
        categorical: whether labels are `[0, 1]` and `[1, 0]` in place of 1 and 0.
        sampling_table: the probability of keeping each word.
        seed: seed of the order and of the random words.

    Returns:
        The pairs and their labels: 1 for near words.
    """
    draw = random.Random(seed)
    pairs: list[list[int]] = []
    for i, word in enumerate(sequence):
        dropped = sampling_table is not None and word and sampling_table[word] < draw.random()
        if not word or dropped:
            continue
        start = max(0, i - window_size)
        for j in range(start, min(len(sequence), i + window_size + 1)):
            if j != i and sequence[j]:
                pairs.append([word, sequence[j]])
    labels: list[Any] = [[0, 1] if categorical else 1] * len(pairs)
    if negative_samples > 0:
        words = [pair[0] for pair in pairs]
        draw.shuffle(words)
        count = int(len(words) * negative_samples)
        pairs += [
            [words[i % len(words)], draw.randint(1, vocabulary_size - 1)] for i in range(count)
        ]
        labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        order = list(range(len(pairs)))
        draw.shuffle(order)
        pairs, labels = [pairs[i] for i in order], [labels[i] for i in order]
    return pairs, labels
