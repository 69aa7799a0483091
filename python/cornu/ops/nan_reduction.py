"""Reductions that leave out what is not a number."""

from __future__ import annotations

import math
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.elementwise import isnan, sqrt, square
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.reduction import all, argmax, argmin, cumprod, cumsum, max, min, prod, sum
from cornu.tensor import is_float_dtype

_select = primitive("where")


def _replaced(x: Any, value: Any) -> tuple[Tensor, Tensor | None]:
    """The tensor with `value` for what is not a number, and where that was."""
    x = as_tensor(x)
    if not is_float_dtype(x.dtype):
        return x, None
    missing = isnan(x)
    return _select(missing, as_tensor(value, x.dtype), x), missing


def _marked(result: Tensor, missing: Tensor | None, axis: Any, keepdims: bool) -> Tensor:
    """The result, not a number where nothing was one."""
    if missing is None:
        return result
    return _select(all(missing, axis, keepdims), as_tensor(math.nan, result.dtype), result)


@op
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    return sum(_replaced(x, 0)[0], axis, keepdims)


@op
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The product of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    return prod(_replaced(x, 1)[0], axis, keepdims)


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running sums along an axis of the elements that are numbers.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        dtype: The dtype of the result.

    Returns:
        A tensor of the shape of `x`.
    """
    return cumsum(_replaced(x, 0)[0], axis, dtype)


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The running products along an axis of the elements that are numbers.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        dtype: The dtype of the result.

    Returns:
        A tensor of the shape of `x`.
    """
    return cumprod(_replaced(x, 1)[0], axis, dtype)


@op
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    known, missing = _replaced(x, -math.inf)
    return _marked(max(known, axis, keepdims), missing, axis, keepdims)


@op
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A tensor without these axes.
    """
    known, missing = _replaced(x, math.inf)
    return _marked(min(known, axis, keepdims), missing, axis, keepdims)


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest of the elements along an axis that are numbers is; -1 if none is.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        keepdims: Whether the axis stays, with size 1.

    Returns:
        An `int32` tensor without this axis.
    """
    known, missing = _replaced(x, -math.inf)
    return _found(argmax(known, axis, keepdims), missing, axis, keepdims)


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest of the elements along an axis that are numbers is; -1 if none is.

    Args:
        x: A tensor.
        axis: The axis; by default the tensor is taken flat.
        keepdims: Whether the axis stays, with size 1.

    Returns:
        An `int32` tensor without this axis.
    """
    known, missing = _replaced(x, math.inf)
    return _found(argmin(known, axis, keepdims), missing, axis, keepdims)


def _found(place: Tensor, missing: Tensor | None, axis: Any, keepdims: bool) -> Tensor:
    if missing is None:
        return place
    return _select(all(missing, axis, keepdims), as_tensor(-1, place.dtype), place)


@op
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    known, missing = _replaced(as_float(x), 0)
    return sum(known, axis, keepdims) / sum(as_tensor(~missing, known.dtype), axis, keepdims)


@op
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    x = as_float(x)
    return nanmean(square(x - nanmean(x, axis, True)), axis, keepdims)


@op
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation of the elements along axes that are numbers.

    Args:
        x: A tensor.
        axis: Which axes; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.
    """
    return sqrt(nanvar(x, axis, keepdims))
