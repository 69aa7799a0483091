"""Prices of houses in California."""

from typing import Any

import numpy as np

from cornu.datasets.reading import ADDRESS, check_split, read_arrays, shuffled, split
from cornu.utils.downloads import get_file

_SMALL = 600


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> Any:
    """Returns districts of California in 1990, 8 features each, and the prices of houses there.

    Args:
        version: `"large"` for 20640 districts, `"small"` for 600 of them near San Francisco.
        path: name of the file in the cache.
        test_split: share of the samples that are for tests.
        seed: of the order of the samples.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: features `(n, 8)`, prices in dollars `(n,)`.

    Raises:
        ValueError: if there is no such version.

    Paper: Pace and Barry, Sparse Spatial Autoregressions (1997).
    """
    check_split(test_split)
    path = get_file(
        path,
        origin=f"{ADDRESS}california_housing.npz",
        file_hash="1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    )
    if version not in ("small", "large"):
        raise ValueError(
            f'Argument `version` must be one of `"small"`, `"large"`. Received: version={version}'
        )
    arrays = read_arrays(path)
    count = _SMALL if version == "small" else None
    x, y = arrays["x"][:count], arrays["y"][:count]
    return split(*shuffled(x, y, np.random.RandomState(seed)), test_split)
