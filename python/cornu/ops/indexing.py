"""Indexing: `x[key]`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu._cornu import Dim, Tensor, primitive
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor, promoted
from cornu.ops.shapes import broadcast_shapes, larger, smaller

_slice = primitive("slice")
_flip = primitive("flip")
_reshape = primitive("reshape")
_gather = primitive("gather")
_gather_nd = primitive("gather_nd")
_concatenate = primitive("concatenate")
_broadcast_to = primitive("broadcast_to")
_transpose = primitive("transpose")


@op
def get_item(x: Any, key: Any) -> Tensor:
    """`x[key]`.

    Args:
        x: A tensor.
        key: An index: integers, slices, None, `...`, tensors, or a tuple of them.

    Returns:
        A tensor.

    Raises:
        IndexError: there are more indices than axes, or an integer is out of bounds.
    """
    return as_tensor(x)[key]


def item(x: Tensor, key: Any) -> Tensor:
    """`x[key]` of a tensor, as numpy does it."""
    keys = _expanded(key, x.ndim)
    if not any(isinstance(k, Tensor | np.ndarray) for k in keys):
        return _basic(x, keys)
    return _advanced(x, keys)


def _expanded(key: Any, ndim: int) -> list[Any]:
    """One integer, slice or tensor for each axis, and what makes new ones, without `...`.

    New axes are made by None, and by an array of places along them.
    """
    keys: list[Any] = []
    for k in key if isinstance(key, tuple) else (key,):
        keys += _indices(k)
    used = sum(not (k is None or k is Ellipsis or isinstance(k, np.ndarray)) for k in keys)
    if used > ndim:
        raise np.exceptions.AxisError(
            f"Too many indices for a tensor of {ndim} axes: {used} were given."
        )
    rest = [slice(None)] * (ndim - used)
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(dots) > 1:
        raise IndexError("An index can only have a single ellipsis ('...').")
    at = dots[0] if dots else len(keys)
    return [*keys[:at], *rest, *keys[at + 1 :]]


def _indices(key: Any) -> list[Any]:
    """One part of a key, arrays as tensors of integers."""
    if key is None or key is Ellipsis or isinstance(key, slice | Dim):
        return [key]
    if isinstance(key, bool | np.bool_):
        return [np.nonzero([bool(key)])[0].astype("int32")]
    if isinstance(key, int | np.integer):
        return [operator.index(key)]
    tensor = as_tensor(np.asarray(key, "int32") if isinstance(key, list) and not key else key)
    if tensor.dtype == "bool":
        # How many are true depends on the data, so the mask must be known.
        return [as_tensor(i.astype("int32")) for i in np.nonzero(tensor.numpy())]
    if not tensor.dtype.startswith(("int", "uint")):
        raise IndexError(
            f"Tensors used as indices must be of integers or bool, not {tensor.dtype}."
        )
    return [tensor]


def _basic(x: Tensor, keys: Sequence[Any]) -> Tensor:
    """Integers, slices and None: one slice of the tensor, its axes reversed and reshaped."""
    starts, stops, strides, shape, turned = [], [], [], [], []
    axis = 0
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(key, slice):
            start, stop, stride, count = _range(key, size)
            if stride < 0:
                # The same elements from the front; then they are turned round.
                start, stop, stride = start + (count - 1) * stride, start + 1, -stride
                turned.append(axis)
            shape.append(count)
        else:
            start = _place(key, size, axis)
            stop, stride = start + 1, 1
        starts.append(start)
        stops.append(stop)
        strides.append(stride)
        axis += 1
    if any(k is not None and k != slice(None) for k in keys):
        x = _slice(x, starts=tuple(starts), stops=tuple(stops), strides=tuple(strides))
    if turned:
        x = _flip(x, axes=tuple(turned))
    kept = all(isinstance(k, slice) for k in keys)
    return x if kept else _reshape(x, shape=tuple(shape))


def _place(index: Any, size: Any, axis: int) -> Any:
    """An integer index, counted from the front."""
    if isinstance(index, int) and isinstance(size, int) and not -size <= index < size:
        raise IndexError(f"Index {index} is out of bounds for axis {axis} with size {size}.")
    return index + size if isinstance(index, int) and index < 0 else index


def _range(key: slice, size: Any) -> tuple[Any, Any, int, Any]:
    """Start, stop, stride and number of elements of a slice of an axis."""
    stride = 1 if key.step is None else operator.index(key.step)
    if stride == 0:
        raise ValueError("slice step cannot be zero")
    low, high = (0, size) if stride > 0 else (-1, size - 1)

    def bound(value: Any, default: Any) -> Any:
        if value is None:
            return default
        if isinstance(value, Tensor):
            value = int(value)
        if not isinstance(value, Dim):
            value = operator.index(value)
            if value < 0:
                value = value + size
                return larger(value, low)
        return smaller(value, high)

    start = bound(key.start, low if stride > 0 else high)
    stop = bound(key.stop, high if stride > 0 else low)
    span = stop - start if stride > 0 else start - stop
    count = larger((span + abs(stride) - 1) // abs(stride), 0)
    if stride > 0:
        stop = larger(stop, start)
    return start, stop, stride, count


def _advanced(x: Tensor, keys: list[Any]) -> Tensor:
    """Indices that are tensors: basic ones first, then one gather."""
    # Integers beside tensors are tensors of no axes.
    keys = [as_tensor(k, "int32") if isinstance(k, int | Dim) else k for k in keys]
    basic = [slice(None) if isinstance(k, Tensor) else k for k in keys]
    x = _basic(x, [None if isinstance(k, np.ndarray) else k for k in basic])
    keys = [as_tensor(k) if isinstance(k, np.ndarray) else k for k in keys]
    # The axes of `x` and of the result now are those of `keys`.
    places = [i for i, k in enumerate(keys) if isinstance(k, Tensor)]
    indices = [integers(keys[i]) for i in places]
    together = places[-1] - places[0] == len(places) - 1
    if len(places) == 1:
        return _gather(x, indices[0], axis=places[0])
    indices = promoted(*indices)
    shape = broadcast_shapes(*(i.shape for i in indices))
    columns = [_reshape(_broadcast_to(i, shape=shape), shape=(*shape, 1)) for i in indices]
    rest = [i for i in range(x.ndim) if i not in places]
    if places != list(range(len(places))):
        x = _transpose(x, axes=tuple(places + rest))
    y = _gather_nd(x, _concatenate(*columns, axis=len(shape)))
    if not together or places[0] == 0:
        return y
    # numpy leaves the gathered axes where neighbouring indices stood.
    lead = len(shape)
    before = places[0]
    order = [*range(lead, lead + before), *range(lead), *range(lead + before, y.ndim)]
    return _transpose(y, axes=tuple(order))


def integers(index: Any) -> Tensor:
    """Indices as `int32` or `int64`."""
    index = as_tensor(index)
    return as_tensor(index, index.dtype if index.dtype == "int64" else "int32")
