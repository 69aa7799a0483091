"""Tensors, and what shapes and dtypes may look like."""

import functools
import math
import os
from typing import Any

from cornu import _cornu, config

Tensor = _cornu.Tensor

DTYPES = frozenset(
    {
        "bfloat16", "float16", "float32", "float64",
        "uint8", "uint16", "uint32", "uint64",
        "int8", "int16", "int32", "int64",
        "bool", "complex64", "complex128",
    }
)  # fmt: skip

_DTYPE_ALIASES = {bool: "bool", int: "int32", "int": "int32", str: "string", "float": "float32"}

OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
    "and": "logical_and",
    "or": "logical_or",
    "xor": "logical_xor",
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
"""Python's binary operators and the `cornu.ops` functions that they stand for."""


def standardize_dtype(dtype: Any) -> str:
    """Returns the name of a dtype: of a name, a Python or numpy type; None means `floatx()`.

    Raises:
        ValueError: if it is no dtype of a tensor.

    >>> standardize_dtype(int)
    'int32'
    """
    if dtype is None:
        return config.floatx()
    if type(dtype) is str and dtype in DTYPES:
        return dtype
    if dtype is float:
        return config.floatx()
    name = _DTYPE_ALIASES.get(dtype, dtype) if isinstance(dtype, str | type) else dtype
    if not isinstance(name, str):
        name = getattr(name, "name", None) or getattr(name, "__name__", None) or str(name)
    name = name.removeprefix("torch.").rstrip("_")
    if name in DTYPES or name == "string":
        return name
    raise ValueError(f"Invalid dtype: {dtype}")


def is_float_dtype(dtype: Any) -> bool:
    """Returns whether `dtype` is a float dtype."""
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype: Any) -> bool:
    """Returns whether `dtype` is a signed or unsigned integer dtype."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


def standardize_shape(shape: Any) -> tuple:
    """Returns a shape as a tuple of integers, None for unknown sizes.

    Raises:
        ValueError: if it is no shape.
    """
    if shape is None:
        raise ValueError("Undefined shapes are not supported.")
    if not hasattr(shape, "__iter__"):
        raise ValueError(f"Cannot convert '{shape}' to a shape.")
    return tuple(_standardize_size(size, shape) for size in shape)


def _standardize_size(size: Any, shape: Any) -> int | None:
    if size is None or (type(size) is int and size >= 0):
        return size
    if isinstance(size, _cornu.Dim):
        return None
    try:
        value = size.__index__()
    except (AttributeError, TypeError):
        raise ValueError(
            f"Cannot convert '{tuple(shape)}' to a shape. "
            f"Found invalid entry '{size}' of type '{type(size)}'. "
        ) from None
    if value < 0:
        raise ValueError(
            f"Cannot convert '{tuple(shape)}' to a shape. Negative dimensions are not allowed."
        )
    return value


def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """Returns `value` as a tensor.

    Args:
        value: a tensor, variable, array, number or nested list of numbers.
        dtype: dtype of the result; None keeps the dtype of an array and makes Python floats
            `floatx()` and Python integers int32.

    Raises:
        OverflowError: if the dtype does not hold a Python integer.
    """
    if dtype is not None:
        dtype = standardize_dtype(dtype)
    if isinstance(value, Tensor) and (dtype is None or value.dtype == dtype):
        return value
    return _cornu.tensor(value, dtype, exact=True)


def holds_strings(value: Any) -> bool:
    """Returns whether `value` is an array of strings: no tensor is made of it, layers take it."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind == "O":
        return value.size > 0 and isinstance(value.flat[0], str | bytes)
    return kind in ("U", "S", "T")


def is_tensor(value: Any) -> bool:
    """Returns whether `value` is a tensor with values, or one of a running trace."""
    return isinstance(value, Tensor)


def check_memory(shape: tuple[int, ...], dtype: str, what: str) -> None:
    """Refuses a tensor that no memory of this machine can hold, before work is spent on it.

    Raises:
        MemoryError: if it is larger than the machine's memory.
    """
    digits = "".join(c for c in dtype if c.isdigit())
    size = math.prod(shape) * max(int(digits or 8) // 8, 1)
    if size > _memory():
        raise MemoryError(
            f"The {what} of shape {shape} and dtype {dtype} needs {size} bytes; this machine has "
            f"{_memory()}"
        )


@functools.cache
def _memory() -> int:
    """Returns the bytes of the machine's memory, as far as the system tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**48
