"""Elements chosen by index, by condition or by order."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cornu._cornu import Tensor, primitive, result_type
from cornu.ops.creation import zeros
from cornu.ops.indexing import integers
from cornu.ops.manipulation import ravel
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor, promoted
from cornu.ops.shapes import as_shape, broadcast_shapes, normalize_axis

_select = primitive("where")
_gather = primitive("gather")
_broadcast_to = primitive("broadcast_to")
_take_along_axis = primitive("take_along_axis")
_sort = primitive("sort")
_argsort = primitive("argsort")
_top_k = primitive("top_k")
_searchsorted = primitive("searchsorted")
_scatter_add = primitive("scatter_add")


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Elements of `x1` where a condition holds, of `x2` elsewhere.

    Args:
        condition: A `bool` tensor.
        x1: A tensor whose shape broadcasts with that of `condition`.
        x2: A tensor whose shape broadcasts with that of `condition`.

    Returns:
        A tensor of the shape that they broadcast to; with the condition alone, its `nonzero`.

    Raises:
        ValueError: only one of `x1` and `x2` is given.
    """
    if (x1 is None) != (x2 is None):
        raise ValueError(
            "`x1` and `x2` either both should be `None` or both should have non-None value."
        )
    if x1 is None:
        return nonzero(condition)
    return _select(as_tensor(condition, "bool"), *promoted(x1, x2))


@op
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """Elements of the first choice whose condition holds.

    Args:
        condlist: A list of `bool` tensors.
        choicelist: A list of as many tensors.
        default: What stands where no condition holds.

    Returns:
        A tensor.
    """
    if not condlist or len(condlist) != len(choicelist):
        raise ValueError(
            "condlist and choicelist must have the same nonzero length. "
            f"Received: {len(condlist)} and {len(choicelist)}"
        )
    *choices, result = promoted(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = _select(as_tensor(condition, "bool"), choice, result)
    return result


@op
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Entries of an axis.

    Args:
        x: A tensor.
        indices: Which entries, integers of any shape; negative ones count from the end.
        axis: The axis; by default the tensor is taken flat.

    Returns:
        A tensor with the axes of `indices` in the place of `axis`.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    return _gather(x, integers(indices), axis=normalize_axis(axis, x.ndim))


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements of each line along an axis, chosen by a tensor of as many axes.

    Args:
        x: A tensor.
        indices: Integers, of a shape that broadcasts with that of `x` in all other axes.
        axis: The axis; by default both are taken flat.

    Returns:
        A tensor.
    """
    x, indices = as_tensor(x), integers(indices)
    if axis is None:
        return _take_along_axis(ravel(x), ravel(indices), axis=0)
    axis = normalize_axis(axis, x.ndim)
    common = broadcast_shapes(
        *(tuple(1 if i == axis else size for i, size in enumerate(t.shape)) for t in (x, indices))
    )
    x, indices = (
        _broadcast_to(t, shape=(*common[:axis], t.shape[axis], *common[axis + 1 :]))
        for t in (x, indices)
    )
    return _take_along_axis(x, indices, axis=axis)


@op
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """The elements along an axis in ascending order.

    Args:
        x: A tensor.
        axis: The axis; None sorts the tensor flat.

    Returns:
        A tensor of the same shape.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    return _sort(x, axis=normalize_axis(axis, x.ndim))


@op
def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The indices that put the elements along an axis in ascending order.

    Args:
        x: A tensor.
        axis: The axis; None sorts the tensor flat.

    Returns:
        An `int32` tensor of the same shape.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    return _argsort(x, axis=normalize_axis(axis, x.ndim))


@op
def argpartition(x: Any, kth: int, axis: int = -1) -> Tensor:
    """Indices that bring the `kth` element in order to its place, smaller ones before it.

    Args:
        x: A tensor.
        kth: The place.
        axis: The axis.

    Returns:
        An `int32` tensor of the same shape.
    """
    return argsort(x, axis)


@op
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The largest elements of each line of the last axis, and where they are.

    Args:
        x: A tensor.
        k: How many.
        sorted: Whether the largest come first.

    Returns:
        A tuple of the values and the indices, the last axis of size `k`.
    """
    return tuple(_top_k(as_tensor(x), k=k, sorted=sorted))


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether each target is among the `k` classes of highest prediction.

    Args:
        targets: Integers, `(batch,)`.
        predictions: `(batch, classes)`.
        k: How many.

    Returns:
        A `bool` tensor `(batch,)`. Ties at the border all count.
    """
    from cornu.ops.elementwise import isfinite
    from cornu.ops.manipulation import expand_dims
    from cornu.ops.reduction import all, sum

    targets, predictions = as_tensor(targets), as_tensor(predictions)
    own = take_along_axis(predictions, expand_dims(targets, -1), axis=-1)
    ahead = sum(as_tensor(predictions > own, "int32"), axis=-1)
    valid = (targets >= 0) & (targets < predictions.shape[-1])
    return (ahead < k) & valid & all(isfinite(own), axis=-1)


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where values would be put into a sorted sequence.

    Args:
        sorted_sequence: A tensor of one axis, ascending.
        values: A tensor of any shape.
        side: `"left"` for the first fitting place, `"right"` for the last.

    Returns:
        An `int32` tensor of the shape of `values`.

    Raises:
        ValueError: the sequence has more axes.
    """
    sequence, values = promoted(sorted_sequence, values)
    if sequence.ndim != 1:
        raise ValueError(
            "`searchsorted` only supports 1-D sorted sequences. "
            f"Received: sorted_sequence.shape={tuple(sequence.shape)}"
        )
    return as_tensor(_searchsorted(sequence, values, side=side), "int32")


@op
def digitize(x: Any, bins: Any) -> Tensor:
    """The index of the bin that each element falls into.

    Args:
        x: A tensor.
        bins: The bounds between the bins, ascending.

    Returns:
        An `int32` tensor of the shape of `x`.
    """
    return searchsorted(bins, x, side="right")


@op
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of `x1` is one of `x2`.

    Args:
        x1: A tensor.
        x2: A tensor.
        assume_unique: Accepted for compatibility.
        invert: Whether to tell the contrary.

    Returns:
        A `bool` tensor of the shape of `x1`.
    """
    from cornu.ops.manipulation import expand_dims
    from cornu.ops.reduction import any

    x1, x2 = promoted(x1, x2)
    found = any(expand_dims(x1, -1) == ravel(x2), axis=-1)
    return ~found if invert else found


@op
def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The coordinates of the elements that are not zero. Their number depends on the data.

    Args:
        x: A tensor.

    Returns:
        A tuple of `int32` tensors, one for each axis.
    """
    return tuple(as_tensor(i.astype("int32")) for i in np.nonzero(as_tensor(x).numpy()))


@op
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements of a tensor. Their number depends on the data.

    Args:
        x: A tensor.
        sorted: Accepted for compatibility; they are sorted.
        return_index: Whether to return where each is found first.
        return_inverse: Whether to return which of them each element is.
        return_counts: Whether to return how often each occurs.
        axis: The axis whose entries are compared; by default the tensor is taken flat.
        size: How many to return; there are filled up or cut to this number.
        fill_value: What fills up; the first by default.

    Returns:
        The different elements, or a tuple of them and of what else is asked for.
    """
    values, index, inverse, counts = np.unique(
        as_tensor(x).numpy(), return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    if size is not None:
        line = 0 if axis is None else axis
        found = values.shape[line]
        # What is missing repeats the first, and occurs no more.
        keep = np.where(np.arange(size) < found, np.arange(size), 0)
        missing = np.arange(size) >= found
        values, index, counts = values.take(keep, line), index[keep], counts[keep]
        counts[missing] = 0
        if fill_value is not None:
            values[(builtins.slice(None),) * (line % values.ndim) + (missing,)] = fill_value
    extras = [(return_index, index), (return_inverse, inverse), (return_counts, counts)]
    wanted = [as_tensor(extra.astype("int32")) for want, extra in extras if want]
    return (as_tensor(values), *wanted) if wanted else as_tensor(values)


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each integer occurs, or the sum of its weights.

    Args:
        x: Integers that are not negative, `(n,)` or `(batch, n)`.
        weights: A tensor of the shape of `x`.
        minlength: The least size of the result.
        sparse: Accepted for compatibility; the result is dense.

    Returns:
        A tensor `(bins,)` or `(batch, bins)`.
    """
    x = as_tensor(x)
    if not x.dtype.startswith(("int", "uint", "bool")):
        raise TypeError(f"`bincount` takes integers. Received: x.dtype={x.dtype}")
    x = as_tensor(x, "int32")
    dtype = "int32" if weights is None else result_type(as_tensor(weights).dtype, "int32")
    weights = as_tensor(1 if weights is None else weights, dtype)
    # How many bins there are is known from the data alone.
    known = x.numpy()
    length = builtins.max(minlength, int(known.max()) + 1 if known.size else 0)
    if x.ndim == 2:
        rows = [
            bincount(x[i], weights[i] if weights.ndim else None, length) for i in range(x.shape[0])
        ]
        from cornu.ops.manipulation import stack

        return as_tensor(stack(rows), dtype)
    from cornu.ops.manipulation import broadcast_to

    return _scatter_add(zeros((length,), dtype), x, broadcast_to(weights, x.shape), axis=0)


@op
def histogram(x: Any, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """How many elements fall into each of equally wide bins.

    Args:
        x: A tensor, taken flat.
        bins: How many bins.
        range: The least and the greatest bound; those of the data by default.

    Returns:
        A tuple of the counts `(bins,)` and the bounds `(bins + 1,)`.
    """
    from cornu.ops.creation import linspace
    from cornu.ops.promotion import as_float
    from cornu.ops.reduction import max, min

    if not isinstance(bins, int) or bins < 0:
        raise ValueError(f"Argument `bins` should be a non-negative integer. Received: bins={bins}")
    if range is not None and (not isinstance(range, tuple) or len(range) != 2):
        raise ValueError(
            f"Argument `range` must be a tuple of two elements. Received: range={range}"
        )
    x = as_float(ravel(x))
    low, high = (min(x), max(x)) if range is None else (as_tensor(r, x.dtype) for r in range)
    same = low == high
    low, high = _select(same, low - 0.5, low), _select(same, high + 0.5, high)
    edges = linspace(low, high, bins + 1)
    place = searchsorted(edges, x, side="right") - 1
    place = _select(x == high, as_tensor(bins - 1, "int32"), place)
    inside = (x >= low) & (x <= high)
    place = _select(inside, place, as_tensor(0, "int32"))
    counts = _scatter_add(zeros((bins,), x.dtype), place, as_tensor(inside, x.dtype), axis=0)
    return counts, edges


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function of elements as a function of tensors.

    Args:
        pyfunc: The function of scalars.
        excluded: The positions and names of arguments that are passed whole.
        signature: Not supported.

    Returns:
        A function that broadcasts its arguments and calls `pyfunc` for each element.
    """
    if signature is not None:
        raise NotImplementedError("`vectorize` with a `signature` is not supported.")
    whole = set(excluded or ())

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from cornu.ops.manipulation import broadcast_together, reshape, stack

        places = [i for i in builtins.range(len(args)) if i not in whole]
        spread = broadcast_together(*(as_tensor(args[i]) for i in places))
        shape = as_shape(spread[0].shape)
        flat = [ravel(x) for x in spread]
        results = []
        for j in builtins.range(int(flat[0].shape[0])):
            each = list(args)
            for i, x in zip(places, flat, strict=True):
                each[i] = x[j]
            results.append(as_tensor(pyfunc(*each, **kwargs)))
        return reshape(stack(results), shape)

    return wrapped
