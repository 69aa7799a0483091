"""The same elements in another arrangement: reshape, transpose, join, split, pad, tile."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.creation import counting
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor, promoted
from cornu.ops.shapes import (
    as_shape,
    broadcast_shapes,
    is_one,
    larger,
    normalize_axes,
    normalize_axis,
    product,
    smaller,
)
from cornu.tensor import standardize_dtype

_reshape = primitive("reshape")
_bitcast = primitive("bitcast")
_transpose = primitive("transpose")
_broadcast_to = primitive("broadcast_to")
_pad = primitive("pad")
_slice = primitive("slice")
_concatenate = primitive("concatenate")
_split = primitive("split")
_flip = primitive("flip")
_repeat = primitive("repeat")
_gather = primitive("gather")
_select = primitive("where")
_copy = primitive("copy")


@op
def reshape(x: Any, newshape: Any) -> Tensor:
    """The elements, in order, in another shape.

    Args:
        x: A tensor.
        newshape: The shape; one size may be -1 and is found from the others.

    Returns:
        A tensor of that shape.
    """
    shape = as_shape(newshape)
    if None in shape:
        shape = tuple([-1 if size is None else size for size in shape])
    return _reshape(as_tensor(x), shape=shape)


@op
def ravel(x: Any) -> Tensor:
    """The elements along one axis.

    Args:
        x: A tensor.

    Returns:
        A tensor of one axis.
    """
    return _reshape(as_tensor(x), shape=(-1,))


@op
def copy(x: Any) -> Tensor:
    """A copy of a tensor.

    Args:
        x: A tensor.

    Returns:
        A tensor of the same shape.
    """
    return _copy(as_tensor(x))


@op
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order.

    Args:
        x: A tensor.
        axes: For each axis of the result, which axis of `x` it is; reversed by default.

    Returns:
        A tensor with these axes.
    """
    x = as_tensor(x)
    if axes is None:
        return _transpose(x) if x.ndim > 1 else x
    axes = normalize_axes(axes, x.ndim)
    return x if axes == tuple(range(x.ndim)) else _transpose(x, axes=axes)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes at other places, the rest in order.

    Args:
        x: A tensor.
        source: The axes that move.
        destination: Where each of them goes.

    Returns:
        A tensor with the axes moved.
    """
    x = as_tensor(x)
    source, destination = normalize_axes(source, x.ndim), normalize_axes(destination, x.ndim)
    order = [axis for axis in range(x.ndim) if axis not in source]
    for to, axis in sorted(zip(destination, source, strict=True)):
        order.insert(to, axis)
    return transpose(x, order)


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """The tensor with two axes exchanged.

    Args:
        x: A tensor.
        axis1: The first axis.
        axis2: The second axis.

    Returns:
        A tensor with the axes exchanged.
    """
    x = as_tensor(x)
    axis1, axis2 = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = axis2, axis1
    return transpose(x, order)


@op
def expand_dims(x: Any, axis: Any) -> Tensor:
    """The tensor with new axes of size 1.

    Args:
        x: A tensor.
        axis: Where the new axes stand in the result: an integer or several.

    Returns:
        A tensor with these axes.
    """
    x = as_tensor(x)
    count = x.ndim + (len(axis) if isinstance(axis, Iterable) else 1)
    axes = normalize_axes(axis, count)
    sizes = iter(x.shape)
    return _reshape(x, shape=tuple(1 if i in axes else next(sizes) for i in range(count)))


@op
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """The tensor without axes of size 1.

    Args:
        x: A tensor.
        axis: Which axes; all of size 1 by default.

    Returns:
        A tensor without them.

    Raises:
        ValueError: an axis is not of size 1.
    """
    x = as_tensor(x)
    if axis is None:
        axes = tuple(i for i, size in enumerate(x.shape) if is_one(size))
    else:
        axes = normalize_axes(axis, x.ndim)
    for i in axes:
        if isinstance(x.shape[i], int) and x.shape[i] != 1:
            raise ValueError(
                f"Cannot squeeze axis={axis}, because the dimension is not 1. "
                f"Received: shape={tuple(x.shape)}"
            )
    return _reshape(x, shape=tuple(size for i, size in enumerate(x.shape) if i not in axes))


@op
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """The tensor repeated along axes of size 1 until it has a shape.

    Args:
        x: A tensor.
        shape: The shape.

    Returns:
        A tensor of that shape.
    """
    return _broadcast_to(as_tensor(x), shape=as_shape(shape))


@op
def concatenate(xs: Any, axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis.

    Args:
        xs: A sequence of tensors that differ in the size of this axis at most.
        axis: The axis.

    Returns:
        A tensor.
    """
    xs = promoted(*xs)
    if not xs:
        raise IndexError("Expected at least one tensor to concatenate. Received an empty sequence")
    return _concatenate(*xs, axis=normalize_axis(axis, xs[0].ndim))


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """A tensor with another one after it.

    Args:
        x1: The first tensor.
        x2: The second tensor.
        axis: The axis; without one, both are flattened first.

    Returns:
        A tensor.
    """
    return concatenate(
        [ravel(x1), ravel(x2)] if axis is None else [x1, x2], 0 if axis is None else axis
    )


@op
def stack(x: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis.

    Args:
        x: A sequence of tensors of the same shape, or a tensor of several axes.
        axis: The new axis.

    Returns:
        A tensor with one axis more.
    """
    parts = promoted(*x)
    if not parts:
        raise ValueError("Need at least one array to stack. Received an empty sequence")
    axis = normalize_axis(axis, parts[0].ndim + 1)
    return _concatenate(*(expand_dims(part, axis) for part in parts), axis=axis)


@op
def hstack(xs: Any) -> Tensor:
    """Tensors side by side: along the second axis, or the first if there is no other.

    Args:
        xs: A sequence of tensors.

    Returns:
        A tensor.
    """
    xs = [_at_least(x, 1) for x in xs]
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1)


@op
def vstack(xs: Any) -> Tensor:
    """Tensors below each other, along the first of at least two axes.

    Args:
        xs: A sequence of tensors.

    Returns:
        A tensor.
    """
    return concatenate([_at_least(x, 2) for x in xs], 0)


@op
def dstack(xs: Any) -> Tensor:
    """Tensors behind each other, along the third axis.

    Args:
        xs: A sequence of tensors.

    Returns:
        A tensor.
    """
    xs = [_at_least(x, 2) for x in xs]
    return concatenate([expand_dims(x, -1) if x.ndim == 2 else x for x in xs], 2)


def _at_least(x: Any, ndim: int) -> Tensor:
    """The tensor with axes of size 1 put before its own until there are `ndim`."""
    x = as_tensor(x)
    return x if x.ndim >= ndim else _reshape(x, shape=(1,) * (ndim - x.ndim) + tuple(x.shape))


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of a tensor along an axis.

    Args:
        x: A tensor.
        indices_or_sections: How many equal parts, or the places where to cut.
        axis: The axis.

    Returns:
        A list of tensors.

    Raises:
        ValueError: the axis can't be cut into equal parts.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if isinstance(size, int) and size % indices_or_sections:
            raise ValueError(
                "array split does not result in an equal division: "
                f"size {size} of axis {axis} into {indices_or_sections} parts"
            )
        sizes = [size // indices_or_sections] * indices_or_sections
    else:
        cuts = [0, *as_shape(indices_or_sections), size]
        if isinstance(size, int):
            cuts = [builtins.min(size, c if c >= 0 else builtins.max(size + c, 0)) for c in cuts]
            cuts = [*cuts[:-1], size]
            sizes = [builtins.max(b - a, 0) for a, b in itertools.pairwise(cuts)]
        else:
            sizes = [b - a for a, b in itertools.pairwise(cuts)]
    return _pieces(x, sizes, axis)


def _pieces(x: Tensor, sizes: Sequence[Any], axis: int) -> list[Tensor]:
    parts = _split(x, sizes=tuple(sizes), axis=axis)
    return list(parts) if isinstance(parts, tuple | list) else [parts]


@op
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of a tensor along an axis, of nearly equal sizes.

    Args:
        x: A tensor.
        indices_or_sections: How many parts, or the places where to cut.
        axis: The axis.

    Returns:
        A list of tensors.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    if not isinstance(indices_or_sections, int):
        return split(x, indices_or_sections, axis)
    size, rest = divmod(int(x.shape[axis]), indices_or_sections)
    return _pieces(x, [size + (i < rest) for i in range(indices_or_sections)], axis)


@op
def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts of a tensor along its second axis, or the first if there is no other.

    Args:
        x: A tensor.
        indices_or_sections: How many equal parts, or the places where to cut.

    Returns:
        A list of tensors.
    """
    x = as_tensor(x)
    return split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


@op
def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts of a tensor along its first axis.

    Args:
        x: A tensor.
        indices_or_sections: How many equal parts, or the places where to cut.

    Returns:
        A list of tensors.
    """
    return split(x, indices_or_sections, 0)


@op
def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts of a tensor along its third axis.

    Args:
        x: A tensor.
        indices_or_sections: How many equal parts, or the places where to cut.

    Returns:
        A list of tensors.
    """
    return split(x, indices_or_sections, 2)


_PAD_MODES = ("constant", "reflect", "symmetric", "edge")


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """The tensor with a border.

    Args:
        x: A tensor.
        pad_width: How wide it is: a number, a pair of before and after, or a pair for each axis.
        mode: `"constant"`, `"reflect"`, `"symmetric"` or `"edge"`.
        constant_values: The value of a constant border, 0 by default.

    Returns:
        A larger tensor.

    Raises:
        ValueError: the mode is unknown, or a constant is given to another mode.
    """
    if mode not in _PAD_MODES:
        raise ValueError(f"Unsupported padding mode: {mode}. Expected one of {_PAD_MODES}")
    if mode != "constant" and constant_values is not None:
        raise ValueError(
            "Argument `constant_values` can only be provided when `mode == 'constant'`. "
            f"Received: mode={mode}"
        )
    x = as_tensor(x)
    low, high = zip(*_border(pad_width, x.ndim), strict=True)
    value = as_tensor(0 if constant_values is None else constant_values, x.dtype)
    return _pad(x, value, low=low, high=high, mode=mode)


def _border(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """A pair of before and after for each axis."""
    widths = as_shape(pad_width)
    if not isinstance(widths[0], Iterable):
        widths = (widths * 2 if len(widths) == 1 else widths,)
    widths = tuple(tuple(w) * (2 if len(tuple(w)) == 1 else 1) for w in widths)
    if len(widths) == 1:
        widths *= ndim
    if len(widths) != ndim:
        raise ValueError(
            f"`pad_width` must have one entry per axis, {ndim}. Received: pad_width={pad_width}"
        )
    return [(before, after) for before, after in widths]


@op
def flip(x: Any, axis: Any = None) -> Tensor:
    """The elements in reverse order along axes.

    Args:
        x: A tensor.
        axis: Which axes; all by default.

    Returns:
        A tensor of the same shape.
    """
    x = as_tensor(x)
    return _flip(x, axes=normalize_axes(axis, x.ndim))


@op
def flipud(x: Any) -> Tensor:
    """The first axis reversed.

    Args:
        x: A tensor.

    Returns:
        A tensor of the same shape.
    """
    return flip(x, 0)


@op
def fliplr(x: Any) -> Tensor:
    """The second axis reversed.

    Args:
        x: A tensor of two axes or more.

    Returns:
        A tensor of the same shape.
    """
    return flip(x, 1)


@op
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """The tensor turned by right angles in the plane of two axes.

    Args:
        array: A tensor of two axes or more.
        k: How many right angles.
        axes: The plane, turned from the first axis towards the second.

    Returns:
        A tensor.

    Raises:
        ValueError: the axes are not two different ones.
    """
    x = as_tensor(array)
    if x.ndim < 2:
        raise ValueError(f"Input array must have at least 2 dimensions. Received: {x.ndim}")
    if len(axes) != 2 or normalize_axis(axes[0], x.ndim) == normalize_axis(axes[1], x.ndim):
        raise ValueError(f"Invalid axes: {axes}. Axes must be a tuple of two different dimensions.")
    first, second = normalize_axes(axes, x.ndim)
    match k % 4:
        case 0:
            return x
        case 1:
            return swapaxes(flip(x, second), first, second)
        case 2:
            return flip(x, (first, second))
        case _:
            return flip(swapaxes(x, first, second), second)


@op
def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """The elements moved along axes; what leaves at the end comes in at the front.

    Args:
        x: A tensor.
        shift: By how many places, once or for each axis.
        axis: Which axes; by default the tensor is rolled flat.

    Returns:
        A tensor of the same shape.
    """
    x = as_tensor(x)
    if axis is None:
        return _reshape(roll(ravel(x), shift, 0), shape=tuple(x.shape))
    axes = normalize_axes(axis, x.ndim)
    shifts = as_shape(shift)
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    for amount, where in zip(shifts, axes, strict=True):
        size = x.shape[where]
        if isinstance(size, int) and isinstance(amount, int):
            cut = -amount % size if size else 0
            if cut:
                x = _concatenate(*reversed(_pieces(x, (cut, size - cut), where)), axis=where)
        else:
            x = _gather(x, (counting(size, "int32") - amount) % size, axis=where)
    return x


@op
def tile(x: Any, repeats: Any) -> Tensor:
    """The whole tensor repeated along its axes.

    Args:
        x: A tensor.
        repeats: How often for each axis; missing ones, at the front, are 1.

    Returns:
        A tensor.
    """
    x = as_tensor(x)
    repeats = as_shape(repeats)
    x = _at_least(x, len(repeats))
    repeats = (1,) * (x.ndim - len(repeats)) + repeats
    paired = [n for size in x.shape for n in (1, size)]
    spread = [n for size, count in zip(x.shape, repeats, strict=True) for n in (count, size)]
    shape = tuple(size * count for size, count in zip(x.shape, repeats, strict=True))
    x = _broadcast_to(_reshape(x, shape=tuple(paired)), shape=tuple(spread))
    return _reshape(x, shape=shape)


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element repeated along an axis.

    Args:
        x: A tensor.
        repeats: How often: a number, or one for each entry of the axis.
        axis: The axis; by default the tensor is flattened.

    Returns:
        A tensor.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim)
    if isinstance(repeats, int):
        return _repeat(x, repeats=repeats, axis=axis)
    counts = as_shape(repeats)
    if len(counts) == 1:
        return _repeat(x, repeats=int(counts[0]), axis=axis)
    places = [place for place, count in enumerate(counts) for _ in range(int(count))]
    return _gather(x, as_tensor(places, "int32"), axis=axis)


@op
def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with a diagonal.

    Args:
        x: A tensor `(n,)`, or `(rows, columns)`.
        k: Which diagonal: positive above the main one, negative below it.

    Returns:
        A tensor of two axes, or of one.

    Raises:
        ValueError: `x` has another number of axes.
    """
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"`x` must be 1-D or 2-D. Received: x.shape={tuple(x.shape)}")
    border = builtins.abs(k)
    n = x.shape[0] + border
    line = pad(x, (builtins.max(k, 0), builtins.max(-k, 0)))
    rows, columns = counting(None, "int32", (n, n), 0), counting(None, "int32", (n, n), 1)
    return _select(rows + k == columns, line, as_tensor(0, x.dtype))


@op
def diagflat(x: Any, k: int = 0) -> Tensor:
    """A matrix with the elements of a tensor on a diagonal.

    Args:
        x: A tensor, taken flat.
        k: Which diagonal: positive above the main one, negative below it.

    Returns:
        A tensor of two axes.
    """
    return diag(ravel(x), k)


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of matrices.

    Args:
        x: A tensor of two axes or more.
        offset: Which diagonal: positive above the main one, negative below it.
        axis1: The axis of the rows.
        axis2: The axis of the columns.

    Returns:
        A tensor without these axes, and with the diagonal as its last.
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(
            f"`diagonal` requires an array of at least two dimensions. Received: {tuple(x.shape)}"
        )
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    top, left = builtins.max(-offset, 0), builtins.max(offset, 0)
    length = larger(smaller(rows - top, columns - left), 0)
    # In the flat matrix a diagonal is a line of step `columns + 1`.
    flat = _reshape(x, shape=(*x.shape[:-2], rows * columns))
    start = top * columns + left
    at = start + counting(length, "int32") * (columns + 1)
    return _gather(flat, at, axis=flat.ndim - 1)


@op
def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes read as another dtype.

    Args:
        x: A tensor.
        dtype: The dtype.

    Returns:
        A tensor; its last axis has another size if the dtypes have other widths.
    """
    x = as_tensor(x)
    if dtype is None or standardize_dtype(dtype) == x.dtype:
        return x
    return _bitcast(x, dtype=standardize_dtype(dtype))


@op
def unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates of flat indices.

    Args:
        indices: A tensor of integers.
        shape: The shape that the indices run through.

    Returns:
        A tuple of tensors of the shape of `indices`, one for each axis.
    """
    indices, shape = as_tensor(indices), as_shape(shape)
    indices = _select(indices < 0, indices + product(shape), indices)
    coordinates = []
    for size in reversed(shape):
        coordinates.append(indices % size)
        indices = indices // size
    return tuple(reversed(coordinates))


def broadcast_together(*xs: Tensor) -> list[Tensor]:
    """The tensors, each of the shape that all broadcast to."""
    shape = broadcast_shapes(*(x.shape for x in xs))
    return [_broadcast_to(x, shape=shape) for x in xs]
