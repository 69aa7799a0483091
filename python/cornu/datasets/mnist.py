"""Handwritten digits."""

import numpy as np

from cornu.datasets.reading import ADDRESS, read_arrays
from cornu.utils.downloads import get_file


def load_data(path: str = "mnist.npz") -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Returns the MNIST digits: 60000 for training and 10000 for tests, 28 by 28 pixels.

    Args:
        path: name of the file in the cache.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: pixels `(n, 28, 28)` and digits `(n,)`.

    Source: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/.
    """
    path = get_file(
        path,
        origin=f"{ADDRESS}mnist.npz",
        file_hash="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    )
    arrays = read_arrays(path)
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
