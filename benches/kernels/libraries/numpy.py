"""NumPy with the BLAS of its wheel."""

import numpy as np

from benches.kernels.libraries import Call


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return Call(lambda: a @ b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)
