"""Strings that come in: tensors hold none, so they are arrays of numpy."""

from typing import Any

import numpy as np

from cornu.tensor import holds_strings


def as_strings(values: Any, encoding: str = "utf-8") -> np.ndarray:
    """Returns strings as an object array of `str`.

    Args:
        values: a string, a nested list of strings, or an array of strings or bytes.
        encoding: how bytes are decoded.

    Raises:
        TypeError: if there is something else among them.
    """
    array = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
    if array.dtype.kind in "UT":
        return array.astype(object)
    if array.dtype.kind not in "SO" and array.size:
        raise TypeError(f"Expected strings. Received an array of dtype {array.dtype}: {values}")
    strings = np.empty(array.shape, object)
    strings.ravel()[:] = [_as_string(value, encoding) for value in array.ravel().tolist()]
    return strings


def _as_string(value: Any, encoding: str) -> str:
    if isinstance(value, bytes):
        return value.decode(encoding)
    if not isinstance(value, str):
        raise TypeError(f"Expected strings. Received {value!r} (of type {type(value)})")
    return value


def is_strings(values: Any) -> bool:
    """Returns whether a value is a string, or a list or array of strings."""
    if isinstance(values, list | tuple):
        return any(map(is_strings, values))
    return isinstance(values, str | bytes) or holds_strings(values)
