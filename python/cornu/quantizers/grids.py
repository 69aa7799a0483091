"""Evenly spaced numbers that weights are rounded to: `(integer - zero) * scale`."""

from __future__ import annotations

from typing import Any

from cornu import ops


def grid(weights: Any, axis: Any, bits: int, symmetric: bool = False) -> tuple[Any, Any]:
    """Returns the scale and the zero point of a grid from the least to the largest weight.

    Zero lies on the grid.

    Args:
        weights: a float tensor.
        axis: the axes that share a grid.
        bits: the integers are those from 0 to `2 ** bits - 1`.
        symmetric: whether the grid reaches as far down as up.

    Returns:
        Two tensors of floats, with axes of size 1.
    """
    low = ops.minimum(ops.min(weights, axis=axis, keepdims=True), 0.0)
    high = ops.maximum(ops.max(weights, axis=axis, keepdims=True), 0.0)
    if symmetric:
        high = ops.maximum(ops.negative(low), high)
        low = ops.negative(high)
    empty = ops.equal(low, high)
    low, high = ops.where(empty, -1.0, low), ops.where(empty, 1.0, high)
    scale = (high - low) / (2**bits - 1)
    zero = ops.full_like(scale, 2 ** (bits - 1)) if symmetric else ops.round(-low / scale)
    return scale, zero


def on_grid(weights: Any, scale: Any, zero: Any, bits: int) -> Any:
    """Returns the integers, as floats, of the points of a grid that are nearest to weights."""
    return ops.clip(ops.round(weights / scale + zero), 0, 2**bits - 1)


def group_of(rows: int, group_size: int) -> Any:
    """Returns the number of each row's group; a size of -1 makes one group of all."""
    size = rows if group_size == -1 else group_size
    return ops.floor_divide(ops.arange(rows, dtype="int32"), size)
