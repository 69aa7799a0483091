"""Dtypes of results: what the functions of `ops` that are no single primitive share."""

from __future__ import annotations

from typing import Any

from cornu import config
from cornu._cornu import Dim, Tensor, primitive, result_type, tensor
from cornu._cornu import promoted as promoted

_cast = primitive("cast")

_INEXACT = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128"})


def is_inexact(dtype: str) -> bool:
    """Whether a dtype is a float or complex."""
    return dtype in _INEXACT


def as_tensor(x: Any, dtype: str | None = None, exact: bool = False) -> Tensor:
    """The value as a tensor, of this dtype if one is given.

    A Python integer that the dtype does not hold is an error if it shall be exact; as an operand
    it wraps.
    """
    if not isinstance(x, Tensor):
        x = x.__tensor__() if hasattr(x, "__tensor__") else tensor(x, dtype, exact)
    return x if dtype is None or x.dtype == dtype else _cast(x, dtype=dtype)


def as_float(x: Any) -> Tensor:
    """The value as a tensor of floats (or complex numbers); integers become `floatx`."""
    x = as_tensor(x)
    return x if is_inexact(x.dtype) else as_tensor(x, config.floatx())


def numeric(x: Any) -> Tensor:
    """The value as a tensor that is not `bool`: truth becomes `int32`."""
    x = as_tensor(x)
    return as_tensor(x, "int32") if x.dtype == "bool" else x


# numpy's numbers are subclasses of some of these, and not weak.
_WEAK = (bool, int, float, complex, Dim)


def _operand(x: Any) -> Any:
    return x if type(x) in _WEAK else as_tensor(x)


def common_dtype(*values: Any, floating: bool = False) -> str:
    """The dtype that values (tensors, or Python's weak numbers) promote to."""
    dtype = result_type(*map(_operand, values))
    return config.floatx() if floating and not is_inexact(dtype) else dtype
