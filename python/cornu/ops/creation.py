"""Tensors made from nothing: constants, ranges, grids, windows."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from cornu import config
from cornu._cornu import Tensor, primitive
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, common_dtype
from cornu.ops.shapes import as_sizes, broadcast_shapes
from cornu.tensor import is_float_dtype, standardize_dtype

_iota = primitive("iota")
_broadcast_to = primitive("broadcast_to")
_reshape = primitive("reshape")
_select = primitive("where")
_floor = primitive("floor")


def counting(size: Any, dtype: str, shape: Any = None, axis: int = 0) -> Tensor:
    """0, 1, 2, ... along one axis of a shape, `(size,)` by default."""
    return _iota(shape=(size,) if shape is None else shape, axis=axis, dtype=dtype)


@op
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor of one value.

    Args:
        shape: Its shape.
        fill_value: The value: a number, or a tensor that broadcasts to the shape.
        dtype: Its dtype; that of `fill_value` by default.

    Returns:
        A tensor of that shape.
    """
    value = as_tensor(fill_value, None if dtype is None else standardize_dtype(dtype))
    return _broadcast_to(value, shape=as_sizes(shape))


@op
def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros.

    Args:
        shape: Its shape.
        dtype: Its dtype; `floatx` by default.

    Returns:
        A tensor of that shape.
    """
    return _broadcast_to(as_tensor(0, standardize_dtype(dtype)), shape=as_sizes(shape))


@op
def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones.

    Args:
        shape: Its shape.
        dtype: Its dtype; `floatx` by default.

    Returns:
        A tensor of that shape.
    """
    return _broadcast_to(as_tensor(1, standardize_dtype(dtype)), shape=as_sizes(shape))


@op
def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor whose values are not meant to be read; they are zeros.

    Args:
        shape: Its shape.
        dtype: Its dtype; `floatx` by default.

    Returns:
        A tensor of that shape.
    """
    return zeros(shape, dtype)


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor of one value in the shape of another.

    Args:
        x: A tensor.
        fill_value: The value.
        dtype: The dtype; that of `x` by default.

    Returns:
        A tensor of the shape of `x`.
    """
    x = as_tensor(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype)


@op
def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros in the shape of a tensor.

    Args:
        x: A tensor.
        dtype: The dtype; that of `x` by default.

    Returns:
        A tensor of the shape of `x`.
    """
    return full_like(x, 0, dtype)


@op
def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones in the shape of a tensor.

    Args:
        x: A tensor.
        dtype: The dtype; that of `x` by default.

    Returns:
        A tensor of the shape of `x`.
    """
    return full_like(x, 1, dtype)


@op
def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor in the shape of another whose values are not meant to be read.

    Args:
        x: A tensor.
        dtype: The dtype; that of `x` by default.

    Returns:
        A tensor of the shape of `x`.
    """
    return zeros_like(x, dtype)


@op
def array(x: Any, dtype: Any = None) -> Tensor:
    """The value as a tensor.

    Args:
        x: A tensor, a variable, an array, a number or nested lists of numbers.
        dtype: The dtype of the result; by default that of `x`.

    Returns:
        A tensor of the shape of `x`.
    """
    return as_tensor(x, None if dtype is None else standardize_dtype(dtype))


@op
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Evenly spaced numbers from `start` up to, not including, `stop`.

    Args:
        start: The first number, or the end if it is the only argument; then 0 is the first.
        stop: The end.
        step: The distance, 1 by default.
        dtype: The dtype; what the arguments promote to by default.

    Returns:
        A tensor of one axis.
    """
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if dtype is None:
        numbers = [x for x in (start, stop, step) if isinstance(x, float) or hasattr(x, "dtype")]
        dtype = common_dtype(*numbers) if numbers else "int32"
    dtype = standardize_dtype(dtype)
    if not isinstance(start, int | float):
        start = _known(start)
    if not isinstance(step, int | float):
        step = _known(step)
    if isinstance(start, int) and isinstance(step, int) and not isinstance(stop, float):
        stop = stop if not hasattr(stop, "dtype") else _known(stop)
    if isinstance(stop, int | float) and isinstance(start, int | float):
        return as_tensor(np.arange(start, stop, step).astype(_numpy_dtype(dtype)), dtype)
    if not hasattr(stop, "dtype"):
        # An unknown size: the number of steps is arithmetic on it.
        count = stop - start if step == 1 else (stop - start + step - 1) // step
        line = counting(count, dtype)
        return line if (start, step) == (0, 1) else line * as_tensor(step, dtype) + start
    return arange(start, _known(stop), step, dtype)


def _known(x: Any) -> Any:
    """The Python number in a tensor, or a size as it is."""
    return x.item() if isinstance(x, np.generic) else x.numpy().item() if hasattr(x, "numpy") else x


def _numpy_dtype(dtype: str) -> Any:
    return "float32" if dtype == "bfloat16" else dtype


@op
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Evenly spaced numbers over an interval.

    Args:
        start: The first number, or a tensor of them.
        stop: The last number, of a shape that broadcasts with `start`.
        num: How many there are.
        endpoint: Whether `stop` is the last of them.
        retstep: Whether to return the distance too.
        dtype: The dtype; a float by default.
        axis: The new axis of the result.

    Returns:
        A tensor with a new axis of `num`; with `retstep`, a pair of it and the distance.
    """
    if dtype is None:
        dtype = common_dtype(start, stop, floating=True)
    dtype = standardize_dtype(dtype)
    work = dtype if is_float_dtype(dtype) else config.floatx()
    start, stop = as_tensor(start, work), as_tensor(stop, work)
    gaps = num - 1 if endpoint else num
    step = (
        (stop - start) / gaps
        if gaps > 0
        else full(broadcast_shapes(start.shape, stop.shape), math.nan, work)
    )
    shape = broadcast_shapes(start.shape, stop.shape)
    part = counting(num, work, (num, *(1,) * len(shape))) / builtins.max(gaps, 1)
    values = start * (1 - part) + stop * part
    if axis not in (0, -len(shape) - 1):
        from cornu.ops.manipulation import moveaxis

        values = moveaxis(values, 0, axis)
    if not is_float_dtype(dtype):
        values = _floor(values)
    values = as_tensor(values, dtype)
    return (values, step) if retstep else values


@op
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """Numbers evenly spaced on a logarithmic scale.

    Args:
        start: The exponent of the first number.
        stop: The exponent of the last number.
        num: How many there are.
        endpoint: Whether `base ** stop` is the last of them.
        base: The base.
        dtype: The dtype; a float by default.
        axis: The new axis of the result.

    Returns:
        A tensor with a new axis of `num`.
    """
    from cornu.ops.elementwise import power

    dtype = common_dtype(start, stop, floating=True) if dtype is None else standardize_dtype(dtype)
    work = dtype if is_float_dtype(dtype) else config.floatx()
    exponents = linspace(start, stop, num, endpoint, dtype=work, axis=axis)
    return as_tensor(power(as_tensor(base, work), exponents), dtype)


@op
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """Numbers of a geometric progression.

    Args:
        start: The first number.
        stop: The last number, of the same sign.
        num: How many there are.
        endpoint: Whether `stop` is the last of them.
        dtype: The dtype; a float by default.
        axis: The new axis of the result.

    Returns:
        A tensor with a new axis of `num`.
    """
    from cornu.ops.elementwise import abs, exp, log, sign

    dtype = common_dtype(start, stop, floating=True) if dtype is None else standardize_dtype(dtype)
    work = dtype if is_float_dtype(dtype) else config.floatx()
    start, stop = as_tensor(start, work), as_tensor(stop, work)
    values = exp(linspace(log(abs(start)), log(abs(stop)), num, endpoint, axis=axis))
    return as_tensor(sign(start) * values, dtype)


@op
def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on a diagonal, zeros elsewhere.

    Args:
        N: The number of rows.
        M: The number of columns, `N` by default.
        k: Which diagonal: positive above the main one, negative below it.
        dtype: The dtype; `floatx` by default.

    Returns:
        A tensor of shape `(N, M)`.
    """
    shape = (N, N if M is None else M)
    on_diagonal = counting(None, "int32", shape, 0) + k == counting(None, "int32", shape, 1)
    return as_tensor(on_diagonal, standardize_dtype(dtype))


@op
def identity(n: Any, dtype: Any = None) -> Tensor:
    """The identity matrix.

    Args:
        n: The number of rows and columns.
        dtype: The dtype; `floatx` by default.

    Returns:
        A tensor of shape `(n, n)`.
    """
    return eye(n, dtype=dtype)


@op
def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on and below a diagonal, zeros above.

    Args:
        N: The number of rows.
        M: The number of columns, `N` by default.
        k: Which diagonal: positive above the main one, negative below it.
        dtype: The dtype; `floatx` by default.

    Returns:
        A tensor of shape `(N, M)`.
    """
    return as_tensor(lower_triangle(N, N if M is None else M, k), standardize_dtype(dtype))


def lower_triangle(rows: Any, columns: Any, k: int = 0) -> Tensor:
    """Whether each place of a matrix is on or below a diagonal."""
    shape = (rows, columns)
    return counting(None, "int32", shape, 0) + k >= counting(None, "int32", shape, 1)


def _matrices(x: Any) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"Expected at least two axes. Received: x.shape={tuple(x.shape)}")
    return x


@op
def tril(x: Any, k: int = 0) -> Tensor:
    """The matrices with zeros above a diagonal.

    Args:
        x: A tensor `(..., rows, columns)`.
        k: Which diagonal: positive above the main one, negative below it.

    Returns:
        A tensor of the shape of `x`.
    """
    x = _matrices(x)
    return _select(lower_triangle(*x.shape[-2:], k), x, as_tensor(0, x.dtype))


@op
def triu(x: Any, k: int = 0) -> Tensor:
    """The matrices with zeros below a diagonal.

    Args:
        x: A tensor `(..., rows, columns)`.
        k: Which diagonal: positive above the main one, negative below it.

    Returns:
        A tensor of the shape of `x`.
    """
    x = _matrices(x)
    return _select(lower_triangle(*x.shape[-2:], k - 1), as_tensor(0, x.dtype), x)


@op
def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid.

    Args:
        *x: One tensor of one axis for each axis of the grid.
        indexing: `"xy"` to have the first two axes swapped, `"ij"` not to.

    Returns:
        A list of tensors, one for each argument, of the shape of the grid.

    Raises:
        ValueError: `indexing` is neither.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing must be 'xy' or 'ij'. Received: indexing={indexing}")
    lines = [_reshape(as_tensor(line), shape=(-1,)) for line in x]
    places = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        places[:2] = 1, 0
    shape: list[Any] = [1] * len(lines)
    for line, place in zip(lines, places, strict=True):
        shape[place] = line.shape[0]
    grids = []
    for line, place in zip(lines, places, strict=True):
        lying = [1] * len(lines)
        lying[place] = -1
        grids.append(_broadcast_to(_reshape(line, shape=tuple(lying)), shape=tuple(shape)))
    return grids


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element, a Vandermonde matrix.

    Args:
        x: A tensor of shape `(n,)`.
        N: The number of powers, `n` by default.
        increasing: Whether the powers increase from left to right.

    Returns:
        A tensor of shape `(n, N)`.
    """
    x = as_tensor(x)
    count = x.shape[0] if N is None else N
    powers = counting(count, x.dtype)
    if not increasing:
        powers = count - 1 - powers
    from cornu.ops.elementwise import power

    return power(_reshape(x, shape=(-1, 1)), powers)


def _window(x: Any, weigh: Any) -> Tensor:
    """`weigh` of how far along each of `x` samples is, from 0 to 1; a single sample weighs 1."""
    size = x if isinstance(x, builtins.int) else builtins.int(as_tensor(x).numpy())
    if size == 1:
        return ones((1,))
    return weigh(counting(size, config.floatx()) / (size - 1))


def _cosines(x: Any, *weights: float) -> Tensor:
    from cornu.ops.elementwise import cos

    return _window(x, lambda t: sum(w * cos(2 * math.pi * k * t) for k, w in enumerate(weights)))


@op
def bartlett(x: Any) -> Tensor:
    """The triangular window of Bartlett.

    Args:
        x: The number of samples.

    Returns:
        A float tensor of one axis.
    """
    from cornu.ops.elementwise import abs

    return _window(x, lambda t: 1 - abs(2 * t - 1))


@op
def blackman(x: Any) -> Tensor:
    """Blackman's window.

    Args:
        x: The number of samples.

    Returns:
        A float tensor of one axis.
    """
    return _cosines(x, 0.42, -0.5, 0.08)


@op
def hamming(x: Any) -> Tensor:
    """Hamming's window.

    Args:
        x: The number of samples.

    Returns:
        A float tensor of one axis.
    """
    return _cosines(x, 0.54, -0.46)


@op
def hanning(x: Any) -> Tensor:
    """The window of von Hann.

    Args:
        x: The number of samples.

    Returns:
        A float tensor of one axis.
    """
    return _cosines(x, 0.5, -0.5)


@op
def kaiser(x: Any, beta: Any) -> Tensor:
    """Kaiser's window.

    Args:
        x: The number of samples.
        beta: Its shape: 0 is a rectangle, 8.6 is near Blackman's window.

    Returns:
        A float tensor of one axis.
    """
    from cornu.ops.elementwise import i0, maximum, sqrt, square

    beta = as_float(beta)
    return _window(x, lambda t: i0(beta * sqrt(maximum(1 - square(2 * t - 1), 0))) / i0(beta))
