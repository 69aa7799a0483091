"""Many elements to one: sums, extremes, moments, quantiles, running sums."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.elementwise import sqrt, square
from cornu.ops.manipulation import (
    broadcast_to,
    moveaxis,
    ravel,
    reshape,
)
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, numeric, promoted
from cornu.ops.shapes import normalize_axes, normalize_axis
from cornu.tensor import standardize_dtype

_sum = primitive("sum")
_prod = primitive("prod")
_max = primitive("max")
_min = primitive("min")
_mean = primitive("mean")
_any = primitive("any")
_all = primitive("all")
_argmax = primitive("argmax")
_argmin = primitive("argmin")
_cumsum = primitive("cumsum")
_cumprod = primitive("cumprod")
_logsumexp = primitive("logsumexp")
_sort = primitive("sort")
_select = primitive("where")
_slice = primitive("slice")


def _reduced(apply: Callable[..., Tensor], x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    if axis is None and not keepdims:
        return apply(x)
    return apply(x, axes=normalize_axes(axis, x.ndim), keepdims=builtins.bool(keepdims))


def _summable(x: Any) -> Tensor:
    """The tensor in the dtype that its sums have: integers of at least 32 bits."""
    x = as_tensor(x)
    wider = _SUMMABLE.get(x.dtype)
    return x if wider is None else as_tensor(x, wider)


_SUMMABLE = {
    "bool": "int32",
    "int8": "int32",
    "int16": "int32",
    "uint8": "uint32",
    "uint16": "uint32",
}


@op
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    return _reduced(_sum, _summable(x), axis, keepdims)


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.
        dtype: The dtype of the result.

    Returns:
        A tensor without these axes.
    """
    x = _summable(x) if dtype is None else as_tensor(as_tensor(x), standardize_dtype(dtype))
    return _reduced(_prod, x, axis, keepdims)


@op
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    return _reduced(_mean, as_float(x), axis, keepdims)


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.
        initial: The least value of the result, which makes empty axes possible.

    Returns:
        A tensor without these axes.
    """
    x = as_tensor(x)
    if initial is None:
        return _reduced(_max, x, axis, keepdims)
    if x.size == 0:
        return broadcast_to(as_tensor(initial, x.dtype), _reduced_shape(x, axis, keepdims))
    largest = _reduced(_max, x, axis, keepdims)
    initial = as_tensor(initial, x.dtype)
    return _select(largest < initial, initial, largest)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.
        initial: The greatest value of the result, which makes empty axes possible.

    Returns:
        A tensor without these axes.
    """
    x = as_tensor(x)
    if initial is None:
        return _reduced(_min, x, axis, keepdims)
    if x.size == 0:
        return broadcast_to(as_tensor(initial, x.dtype), _reduced_shape(x, axis, keepdims))
    smallest = _reduced(_min, x, axis, keepdims)
    initial = as_tensor(initial, x.dtype)
    return _select(smallest > initial, initial, smallest)


def _reduced_shape(x: Tensor, axis: Any, keepdims: bool) -> tuple[Any, ...]:
    axes = normalize_axes(axis, x.ndim)
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)


@op
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    return max(x, axis, keepdims)


@op
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    return min(x, axis, keepdims)


@op
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The distance from the smallest to the largest element along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)


@op
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element along axes is true.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A `bool` tensor without these axes.
    """
    return _reduced(_any, as_tensor(as_tensor(x), "bool"), axis, keepdims)


@op
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements along axes are true.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A `bool` tensor without these axes.
    """
    return _reduced(_all, as_tensor(as_tensor(x), "bool"), axis, keepdims)


@op
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether `|x1 - x2| <= atol + rtol * |x2|` everywhere.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.
        rtol: The tolerance relative to `x2`.
        atol: The absolute tolerance.
        equal_nan: Whether two that are not numbers are close.

    Returns:
        A `bool` scalar.
    """
    from cornu.ops.logic import isclose

    return all(isclose(x1, x2, rtol, atol, equal_nan))


@op
def count_nonzero(x: Any, axis: Any = None) -> Tensor:
    """How many elements along axes are not zero.

    Args:
        x: A tensor.
        axis: Which axes; all by default.

    Returns:
        An `int32` tensor without these axes.
    """
    return sum(as_tensor(as_tensor(x), "bool"), axis)


def _position(apply: Callable[..., Tensor], x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is not None:
        return apply(x, axis=normalize_axis(axis, x.ndim), keepdims=builtins.bool(keepdims))
    place = apply(ravel(x), axis=0, keepdims=False)
    return reshape(place, (1,) * x.ndim) if keepdims else place


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element along an axis is; the first of several.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        keepdims: Whether the axis stays, with size 1.

    Returns:
        An `int32` tensor without this axis.
    """
    return _position(_argmax, x, axis, keepdims)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element along an axis is; the first of several.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        keepdims: Whether the axis stays, with size 1.

    Returns:
        An `int32` tensor without this axis.
    """
    return _position(_argmin, x, axis, keepdims)


@op
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    x = as_float(x)
    return mean(square(x - mean(x, axis, True)), axis, keepdims)


@op
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    return sqrt(var(x, axis, keepdims))


@op
def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    """The weighted mean of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        weights: A tensor of the shape of `x`, or of the size of the one axis.

    Returns:
        A float tensor without these axes.
    """
    if weights is None:
        return mean(x, axis)
    x, weights = promoted(x, weights, floating=True)
    if weights.ndim == 1 and x.ndim > 1:
        if axis is None:
            raise ValueError("Axis must be specified when shapes of x and weights differ.")
        place = normalize_axes(axis, x.ndim)[0]
        weights = reshape(weights, tuple(-1 if i == place else 1 for i in range(x.ndim)))
    weights = broadcast_to(weights, x.shape)
    return sum(x * weights, axis) / sum(weights, axis)


@op
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` along axes, without overflow.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    return _reduced(_logsumexp, as_float(x), axis, keepdims)


def _running(apply: Callable[..., Tensor], x: Tensor, axis: int | None) -> Tensor:
    if axis is None:
        x, axis = ravel(x), 0
    return apply(x, axis=normalize_axis(axis, x.ndim), reverse=False)


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running sums along an axis.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        dtype: The dtype of the result.

    Returns:
        A tensor of the shape of `x`.
    """
    x = numeric(x) if dtype is None else as_tensor(as_tensor(x), standardize_dtype(dtype))
    return _running(_cumsum, x, axis)


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running products along an axis.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        dtype: The dtype of the result.

    Returns:
        A tensor of the shape of `x`.
    """
    x = numeric(x) if dtype is None else as_tensor(as_tensor(x), standardize_dtype(dtype))
    return _running(_cumprod, x, axis)


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """The differences of neighbours along an axis.

    Args:
        a: A tensor.
        n: How often differences are taken.
        axis: The axis.

    Returns:
        A tensor whose axis is smaller by `n`.
    """
    x = as_tensor(a)
    axis = normalize_axis(axis, x.ndim)
    before = (builtins.slice(None),) * axis
    for _ in range(n):
        later, earlier = (
            x[(*before, builtins.slice(1, None))],
            x[(*before, builtins.slice(None, -1))],
        )
        x = later != earlier if x.dtype == "bool" else later - earlier
    return x


@op
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral along an axis by the trapezoidal rule.

    Args:
        y: The values.
        x: Where they are; `dx` apart by default.
        dx: The distance of neighbours if `x` is not given.
        axis: The axis.

    Returns:
        A float tensor without this axis.
    """
    y = moveaxis(as_float(y), axis, -1)
    width = dx
    if x is not None:
        x = as_tensor(x)
        width = diff(x) if x.ndim == 1 else diff(moveaxis(x, axis, -1))
    return sum(width * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sums of the diagonals of matrices.

    Args:
        x: A tensor of two axes or more.
        offset: Which diagonal: positive above the main one, negative below it.
        axis1: The axis of the rows.
        axis2: The axis of the columns.

    Returns:
        A tensor without these axes.
    """
    from cornu.ops.manipulation import diagonal

    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


# Quantiles.


# Reductions that leave out what is not a number.
