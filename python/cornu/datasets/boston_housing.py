"""Prices of houses in Boston."""

from typing import Any

import numpy as np

from cornu.datasets.reading import ADDRESS, check_split, read_arrays, shuffled, split
from cornu.utils.downloads import get_file


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Any:
    """Returns 506 places in Boston of the 1970s, 13 features each, and the prices of houses there.

    One feature was made of the share of black people, under a doubtful assumption: the data are
    for comparing methods alone.

    Args:
        path: name of the file in the cache.
        test_split: share of the samples that are for tests.
        seed: of the order of the samples.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: features `(n, 13)`, prices in 1000 dollars `(n,)`.
    """
    check_split(test_split)
    path = get_file(
        path,
        origin=f"{ADDRESS}boston_housing.npz",
        file_hash="f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    )
    arrays = read_arrays(path)
    x, y = shuffled(arrays["x"], arrays["y"], np.random.RandomState(seed))
    return split(x, y, test_split)
