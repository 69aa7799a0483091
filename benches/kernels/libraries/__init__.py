"""How each library is called: a module per library, a function per op of the table of cases.

A function takes the case's arrays and options by name and returns a `Call`. A library without a
function of the op's name takes no part in the row. `prepare` stands in each module that has to set
up its library first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Module: how the library is called in tables.
LIBRARIES = {
    "cornu": "Cornu",
    "numpy": "NumPy",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch": "PyTorch",
}


@dataclass(frozen=True)
class Call:
    """A prepared call.

    Args:
        run: computes once, and waits for the result.
        read: takes what `run` returns; gives an array or a list of arrays, images channels last.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Any] = np.asarray

    def outputs(self) -> list[np.ndarray]:
        """Computes once and returns the arrays."""
        results = self.read(self.run())
        return results if isinstance(results, list) else [results]


def channels_first(x: np.ndarray) -> np.ndarray:
    """Images as most of the runtimes want them."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def channels_last(x: np.ndarray) -> np.ndarray:
    """Images as the cases have them."""
    return np.moveaxis(np.asarray(x), 1, -1)


def border(padding: str, size: int) -> int:
    """Returns how much is put on each side for a window of odd size and stride 1, or "valid"."""
    return (size - 1) // 2 if padding == "same" else 0


def unreached(moves: int, side: int, size: int, strides: int, padding: str) -> int:
    """Returns how many of the last pixels of a side no window reaches in so many moves."""
    return side + 2 * border(padding, size) - (moves - 1) * strides - size
