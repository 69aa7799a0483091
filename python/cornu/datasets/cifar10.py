"""Small pictures of 10 kinds of things."""

import os
from typing import Any

import numpy as np

from cornu import config
from cornu.datasets.reading import read_pickle
from cornu.utils.downloads import get_file


def load_data() -> Any:
    """Returns CIFAR-10: 50000 pictures for training and 10000 for tests, 32 by 32 pixels.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: pixels `(n, 32, 32, 3)`, or
        `(n, 3, 32, 32)` if channels come first, and classes `(n, 1)`.

    Source: Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    folder = get_file(
        "cifar-10-batches-py-target",
        origin="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        extract=True,
        file_hash="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    )
    folder = os.path.join(folder, "cifar-10-batches-py")
    names = [f"data_batch_{number}" for number in range(1, 6)]
    return read(folder, names, "labels"), read(folder, ["test_batch"], "labels")


def read(folder: str, names: list[str], labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pixels and classes in the files of these names.

    Args:
        folder: where they are.
        names: the files.
        labels: what the classes are called in them.
    """
    batches = [read_pickle(os.path.join(folder, name)) for name in names]
    pixels = np.concatenate([np.asarray(batch[b"data"], "uint8") for batch in batches])
    pixels = pixels.reshape(-1, 3, 32, 32)
    if config.image_data_format() == "channels_last":
        pixels = pixels.transpose(0, 2, 3, 1)
    classes = np.concatenate([np.asarray(batch[labels.encode()], "uint8") for batch in batches])
    return pixels, classes.reshape(-1, 1)
