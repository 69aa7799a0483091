"""Small pictures of 100 kinds of things."""

import os
from typing import Any

from cornu.datasets.cifar10 import read
from cornu.utils.downloads import get_file


def load_data(label_mode: str = "fine") -> Any:
    """Returns CIFAR-100: 50000 pictures for training and 10000 for tests, 32 by 32 pixels.

    Args:
        label_mode: `"fine"` for 100 classes, `"coarse"` for 20.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pixels `(n, 32, 32, 3)`, or `(n, 3, 32, 32)` if
        channels come first, and classes `(n, 1)`.

    Raises:
        ValueError: if there are no such labels.

    Source: Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(
            f'`label_mode` must be one of `"fine"`, `"coarse"`. Received: label_mode={label_mode}.'
        )
    folder = get_file(
        "cifar-100-python-target",
        origin="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        extract=True,
        file_hash="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    )
    folder = os.path.join(folder, "cifar-100-python")
    labels = f"{label_mode}_labels"
    return read(folder, ["train"], labels), read(folder, ["test"], labels)
