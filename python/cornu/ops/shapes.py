"""Shapes and axes as arguments: what the functions of `ops` share about them.

A size may be unknown while a computation is traced, so shapes are only added, multiplied and
compared through arithmetic, and never assumed to be integers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Shape = tuple[Any, ...]


def normalize_axis(axis: int, ndim: int) -> int:
    """The axis counted from the front.

    Raises:
        AxisError: `axis` is outside a tensor of `ndim` axes: a ValueError and an IndexError.
    """
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    return axis + ndim if axis < 0 else axis


def normalize_axes(axis: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes that an argument `axis` means, counted from the front; None means all.

    Raises:
        ValueError: an axis is out of bounds or given twice.
    """
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, int):
        return (normalize_axis(axis, ndim),)
    axes = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    axes = tuple(normalize_axis(a, ndim) for a in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"duplicate value in axis: {axis}")
    return axes


def as_shape(shape: Any) -> Shape:
    """A shape argument (a size or an iterable of sizes) as a tuple."""
    if isinstance(shape, tuple | list):
        return tuple(shape)
    if hasattr(shape, "tolist"):
        shape = shape.tolist()
    elif hasattr(shape, "numpy"):
        shape = shape.numpy().tolist()
    return tuple(shape) if isinstance(shape, Iterable) else (shape,)


def as_sizes(shape: Any) -> Shape:
    """The shape argument of a function that makes a tensor.

    Raises:
        ValueError: a size is negative.
    """
    sizes = as_shape(shape)
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise ValueError(f"Sizes must not be negative. Received: shape={sizes}")
    return sizes


def product(sizes: Sequence[Any]) -> Any:
    """The number of elements of a shape."""
    return math.prod(sizes)


def is_one(size: Any) -> bool:
    """Whether a size is known to be 1."""
    return isinstance(size, int) and size == 1


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two sizes, of which either may be unknown."""
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    return b.minimum(a) if isinstance(a, int) else a.minimum(b)


def larger(a: Any, b: Any) -> Any:
    """The larger of two sizes, of which either may be unknown."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return b.maximum(a) if isinstance(a, int) else a.maximum(b)


def broadcast_shapes(*shapes: Sequence[Any]) -> Shape:
    """The shape that tensors of these shapes broadcast to.

    Raises:
        ValueError: the shapes do not fit.
    """
    result: list[Any] = [1] * max(map(len, shapes))
    for shape in shapes:
        for i, size in enumerate(shape, start=len(result) - len(shape)):
            if is_one(size) or size is result[i]:
                continue
            if is_one(result[i]):
                result[i] = size
            elif isinstance(size, int) and isinstance(result[i], int):
                if size != result[i]:
                    raise ValueError(f"Shapes {shapes} cannot be broadcast together.")
            elif isinstance(size, int):
                result[i] = size
    return tuple(result)


def spatial(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """An argument such as `strides`, given once or for each of the `rank` spatial axes.

    Raises:
        ValueError: it has another length.
    """
    values = tuple(value) if isinstance(value, Iterable) else (value,) * rank
    if len(values) == 1:
        values *= rank
    if len(values) != rank:
        raise ValueError(
            f"`{name}` must be an integer or have {rank} entries. Received: {name}={value}"
        )
    return tuple(map(operator.index, values))
