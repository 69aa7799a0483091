"""Datasets of windows of a series."""

from typing import Any

import numpy as np

from cornu.utils.batches import Batches
from cornu.utils.directories import check_format


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Batches:
    """Returns a dataset of windows of a series.

    Args:
        data: the series; the first axis is time.
        targets: the target of the window that starts at each time; None for no targets.
        sequence_length: size of a window, in steps.
        sequence_stride: distance of windows.
        sampling_rate: distance of the steps in a window.
        batch_size: windows of a batch; None gives single windows.
        shuffle: whether each epoch has an order of its own.
        seed: integer that makes the orders repeatable.
        start_index, end_index: the part of the series that is used.
        format: `"tf"` or `"grain"`, which are the same here.

    Returns:
        An iterable of `windows`, or of `(windows, targets)`.

    Raises:
        ValueError: if an argument is out of its bounds.

    >>> for windows, after in timeseries_dataset_from_array(series, series[5:], 5): ...
    """
    check_format(format)
    data = np.asarray(data)
    length = len(data)
    for name, value in (("start_index", start_index), ("end_index", end_index)):
        if value is not None and value < 0:
            raise ValueError(f"`{name}` must be 0 or greater. Received: {name}={value}")
        limit = length if name == "start_index" else length + 1
        if value is not None and value >= limit:
            raise ValueError(
                f"`{name}` must be lower than the length of the data. Received: {name}={value}, "
                f"for data of length {length}"
            )
    if start_index and end_index and end_index <= start_index:
        raise ValueError(
            "`end_index` must be higher than `start_index`. Received: "
            f"start_index={start_index}, and end_index={end_index} "
        )
    for name, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if value <= 0:
            raise ValueError(f"`{name}` must be higher than 0. Received: {name}={value}")
        if value >= length:
            raise ValueError(
                f"`{name}` must be lower than the length of the data. Received: {name}={value}, "
                f"for data of length {length}"
            )
    first = start_index or 0
    last = length if end_index is None else end_index
    count = last - first - sequence_length * sampling_rate + sampling_rate
    if targets is not None:
        targets = np.asarray(targets)
        count = min(count, len(targets) - first if start_index else len(targets))
    starts = first + np.arange(0, max(count, 0), sequence_stride)
    steps = np.arange(0, sequence_length * sampling_rate, sampling_rate)

    def read(numbers: np.ndarray) -> Any:
        windows = data[starts[numbers][:, None] + steps]
        return windows if targets is None else (windows, targets[starts[numbers]])

    return Batches(len(starts), read, batch_size, shuffle, seed)
