"""Pictures of clothes."""

import gzip

import numpy as np

from cornu.datasets.reading import ADDRESS
from cornu.utils.downloads import get_file

# What stands before the data.
_LABELS_START, _IMAGES_START = 8, 16


def load_data() -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Returns Fashion-MNIST: 60000 pictures for training and 10000 for tests, in 10 classes.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: pixels `(n, 28, 28)` and classes `(n,)`.

    Paper: Xiao, Rasul and Vollgraf, Fashion-MNIST (2017).
    """
    contents = []
    for name in ("train-labels-idx1", "train-images-idx3", "t10k-labels-idx1", "t10k-images-idx3"):
        path = get_file(
            f"{name}-ubyte.gz",
            origin=f"{ADDRESS}{name}-ubyte.gz",
            cache_subdir="datasets/fashion-mnist",
        )
        with gzip.open(path, "rb") as file:
            start = _LABELS_START if "labels" in name else _IMAGES_START
            contents.append(np.frombuffer(file.read(), np.uint8, offset=start))
    y_train, x_train, y_test, x_test = contents
    return (x_train.reshape(-1, 28, 28), y_train), (x_test.reshape(-1, 28, 28), y_test)
