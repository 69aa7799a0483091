"""How the files of datasets are read; none of them can run code."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

# What arrays of numpy are pickled with.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Revives arrays, numbers, strings, lists and dicts, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"A dataset may not hold a {module}.{name}")
        return super().find_class(module, name)


def read_pickle(path: str, encoding: str = "bytes") -> Any:
    """Returns what a file of pickled arrays holds.

    Args:
        path: the file.
        encoding: how the strings of Python 2 are decoded; `"bytes"` keeps them.

    Raises:
        pickle.UnpicklingError: if it holds anything but arrays and plain data.
    """
    with open(path, "rb") as file:
        return _ArrayUnpickler(file, encoding=encoding).load()


def read_arrays(path: str) -> Mapping[str, np.ndarray]:
    """Returns the arrays of an `.npz` file, those of objects included.

    Raises:
        pickle.UnpicklingError: if it holds objects other than plain data.
    """
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                arrays[name.removesuffix(".npy")] = _read_array(archive.read(name))
    return arrays


def _read_array(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    reader = {(1, 0): "read_array_header_1_0"}.get(version, "read_array_header_2_0")
    shape, fortran, dtype = getattr(np.lib.format, reader)(file)
    if not dtype.hasobject:
        return np.load(io.BytesIO(content), allow_pickle=False)
    array = np.asarray(_ArrayUnpickler(file, encoding="latin1").load(), dtype=object)
    return array.reshape(shape, order="F" if fortran else "C")


def shuffled(x: Any, y: Any, random: np.random.RandomState) -> tuple[Any, Any]:
    """Returns samples and their targets in an order that the generator makes."""
    order = np.arange(len(x))
    random.shuffle(order)
    return x[order], y[order]


def split(x: Any, y: Any, test_split: float) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Returns the samples for training and the last ones, a share, for tests."""
    count = int(len(x) * (1 - test_split))
    return (x[:count], y[:count]), (x[count:], y[count:])


def check_split(test_split: float) -> None:
    """Raises ValueError if a share is none."""
    if not 0 <= test_split < 1:
        raise ValueError(
            f"Invalid `test_split` argument: {test_split}. It must be between 0 and 1 (exclusive "
            "of 1)."
        )
