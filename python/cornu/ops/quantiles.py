"""Quantiles, percentiles and medians."""

from __future__ import annotations

import math
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.elementwise import isnan
from cornu.ops.manipulation import (
    broadcast_to,
    moveaxis,
    ravel,
    reshape,
    squeeze,
)
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.reduction import any, sum
from cornu.ops.shapes import normalize_axes, product

_select = primitive("where")
_sort = primitive("sort")
_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@op
def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The quantiles of the elements along axes.

    Args:
        x: A tensor.
        q: Which quantiles, from 0 to 1: a number or a tensor of one axis.
        axis: Which axes; all by default.
        method: Between two elements: `"linear"`, `"lower"`, `"higher"`, `"midpoint"`, `"nearest"`.
        keepdims: Whether the axes stay, with size 1.

    Returns:
        A float tensor without these axes, and with one of the size of `q` in front if `q` has one.

    Raises:
        ValueError: the method is unknown.
    """
    x = as_float(x)
    lines, kept = _lines(x, axis)
    undefined = _select(
        any(isnan(lines), -1, True), as_tensor(math.nan, x.dtype), as_tensor(0, x.dtype)
    )
    count = as_tensor(lines.shape[-1], x.dtype)
    return _quantiles(
        _sort(lines, axis=lines.ndim - 1) + undefined, count, q, method, keepdims, kept
    )


@op
def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The quantiles of the elements along axes that are numbers.

    Args:
        x: A tensor.
        q: Which quantiles, from 0 to 1: a number or a tensor of one axis.
        axis: Which axes; all by default.
        method: As in `quantile`.
        keepdims: Whether the axes stay, with size 1.

    Returns:
        A float tensor as that of `quantile`.
    """
    lines, kept = _lines(as_float(x), axis)
    # Not-a-number sorts to the end, where the count does not reach.
    count = sum(as_tensor(~isnan(lines), lines.dtype), -1, True)
    return _quantiles(_sort(lines, axis=lines.ndim - 1), count, q, method, keepdims, kept)


@op
def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The percentiles of the elements along axes.

    Args:
        x: A tensor.
        q: Which percentiles, from 0 to 100: a number or a tensor of one axis.
        axis: Which axes; all by default.
        method: As in `quantile`.
        keepdims: Whether the axes stay, with size 1.

    Returns:
        A float tensor as that of `quantile`.
    """
    return quantile(x, as_float(q) / 100.0, axis, method, keepdims)


@op
def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The percentiles of the elements along axes that are numbers.

    Args:
        x: A tensor.
        q: Which percentiles, from 0 to 100: a number or a tensor of one axis.
        axis: Which axes; all by default.
        method: As in `quantile`.
        keepdims: Whether the axes stay, with size 1.

    Returns:
        A float tensor as that of `quantile`.
    """
    return nanquantile(x, as_float(q) / 100.0, axis, method, keepdims)


@op
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The median of the elements along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


@op
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The median of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


def _lines(x: Tensor, axis: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """The axes brought together as the last one; the shape with them of size 1."""
    axes = normalize_axes(axis, x.ndim)
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    moved = moveaxis(x, axes, range(-len(axes), 0)) if axes else x
    size = product([x.shape[i] for i in axes])
    return reshape(moved, (*(x.shape[i] for i in rest), size)), kept


def _quantiles(
    ordered: Tensor, count: Tensor, q: Any, method: str, keepdims: bool, kept: tuple[Any, ...]
) -> Tensor:
    from cornu.ops.elementwise import ceil, floor, maximum, round
    from cornu.ops.selection import take_along_axis

    if method not in _METHODS:
        raise ValueError(f"Invalid method: {method}. Expected one of {_METHODS}")
    q = as_tensor(as_float(q), ordered.dtype)
    place = ravel(q) * maximum(count - 1, 0)
    place = broadcast_to(place, (*ordered.shape[:-1], place.shape[-1]))
    low, high = floor(place), ceil(place)
    if method == "nearest":
        low = high = round(place)
    part = {"linear": place - low, "lower": 0.0, "higher": 1.0, "midpoint": 0.5, "nearest": 0.0}
    below, above = (take_along_axis(ordered, as_tensor(i, "int32"), -1) for i in (low, high))
    values = below * (1 - part[method]) + above * part[method]
    if method == "midpoint":
        values = _select(low == high, below, values)
    values = moveaxis(values, -1, 0)
    if keepdims:
        values = reshape(values, (values.shape[0], *kept))
    return squeeze(values, 0) if q.ndim == 0 else values
