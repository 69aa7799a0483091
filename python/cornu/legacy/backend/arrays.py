"""Shapes, reductions and products of Keras 2's backend."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from cornu import config, ops
from cornu.layers.merging import batch_dot as _batch_dot


def shape(x: Any) -> tuple:
    """Returns the shape, unknown sizes as what stands for them in a computation."""
    return ops.shape(x)


def int_shape(x: Any) -> tuple:
    """Returns the shape with None for unknown sizes."""
    from cornu.layers.calling import shape_of

    return shape_of(x)


def ndim(x: Any) -> int:
    """Returns the number of axes."""
    return len(x.shape)


def dtype(x: Any) -> str:
    """Returns the name of the dtype."""
    return ops.dtype(x)


def count_params(x: Any) -> int:
    """Returns the number of elements."""
    return math.prod(x.shape)


def is_sparse(tensor: Any) -> bool:
    """Returns whether a tensor is sparse."""
    return bool(getattr(tensor, "sparse", False))


def to_dense(tensor: Any) -> Any:
    """Returns the tensor: all are dense."""
    return tensor


def cast(x: Any, dtype: Any) -> Any:
    """Returns `x` in another dtype."""
    return ops.cast(x, dtype)


def cast_to_floatx(x: Any) -> Any:
    """Returns `x` in the default float dtype; an array stays an array."""
    import numpy as np

    if isinstance(x, np.ndarray | list | tuple | float | int):
        return np.asarray(x, dtype=config.floatx())
    return ops.cast(x, config.floatx())


def _reduction(name: str, summary: str) -> Callable[..., Any]:
    reduce = getattr(ops, name)

    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return reduce(x, axis=axis, keepdims=keepdims)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{summary} over an axis, several, or all."
    return function


all = _reduction("all", "Returns whether all elements are true")
any = _reduction("any", "Returns whether an element is true")
max = _reduction("max", "Returns the largest element")
mean = _reduction("mean", "Returns the mean")
min = _reduction("min", "Returns the smallest element")
prod = _reduction("prod", "Returns the product")
std = _reduction("std", "Returns the standard deviation")
sum = _reduction("sum", "Returns the sum")
var = _reduction("var", "Returns the variance")


def argmax(x: Any, axis: int = -1) -> Any:
    """Returns the place of the largest element along an axis, as int64."""
    return ops.cast(ops.argmax(x, axis=axis), "int64")


def argmin(x: Any, axis: int = -1) -> Any:
    """Returns the place of the smallest element along an axis, as int64."""
    return ops.cast(ops.argmin(x, axis=axis), "int64")


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Returns numbers from `start` up to `stop`; with `start` alone, from 0 up to it."""
    if stop is None:
        start, stop = 0, start if start > 0 else 0
    return ops.arange(start, stop, step, dtype=dtype)


def pow(x: Any, a: Any) -> Any:
    """Returns `x` to the power of `a`."""
    return ops.power(x, a)


def dot(x: Any, y: Any) -> Any:
    """Returns the product over the last axis of `x` and the last but one of `y`.

    >>> K.int_shape(K.dot(K.zeros((2, 3, 4)), K.zeros((5, 4, 6))))
    (2, 3, 5, 6)
    """
    return ops.dot(x, y)


def batch_dot(x: Any, y: Any, axes: int | Sequence[int] | None = None) -> Any:
    """Returns the product over one axis of each, sample by sample.

    Args:
        x, y: tensors with the samples along the first axis.
        axes: the axis of both, or one each; by default the last of `x` and the last but one of
            `y`, its last if it has two.
    """
    if axes is None:
        axes = (ndim(x) - 1, ndim(y) - 1 if ndim(y) == 2 else ndim(y) - 2)
    elif isinstance(axes, int):
        axes = (axes, axes)
    return _batch_dot(x, y, (axes[0] % ndim(x), axes[1] % ndim(y)))


def transpose(x: Any) -> Any:
    """Returns `x` with its axes in reverse."""
    return ops.transpose(x)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """Returns `x` with its axes in another order."""
    return ops.transpose(x, pattern)


def reshape(x: Any, shape: Any) -> Any:
    """Returns the elements of `x` in another shape."""
    return ops.reshape(x, tuple(shape))


def flatten(x: Any) -> Any:
    """Returns the elements along one axis."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """Returns the elements of each sample along one axis."""
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def expand_dims(x: Any, axis: int = -1) -> Any:
    """Returns `x` with an axis of size 1 more."""
    return ops.expand_dims(x, axis)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """Returns tensors joined along an axis."""
    return ops.concatenate(tensors, axis=axis)


def repeat(x: Any, n: int) -> Any:
    """Returns each row of a matrix `n` times, along a new axis 1."""
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Returns each element along an axis `rep` times."""
    return ops.repeat(x, rep, axis=axis)


def reverse(x: Any, axes: int | Sequence[int]) -> Any:
    """Returns `x` backwards along the axes."""
    return ops.flip(x, axis=axes)


def gather(reference: Any, indices: Any) -> Any:
    """Returns the rows of `reference` at the indices."""
    return ops.take(reference, indices, axis=0)


def one_hot(indices: Any, num_classes: int) -> Any:
    """Returns the one-hot rows of class numbers."""
    return ops.one_hot(indices, num_classes)


def l2_normalize(x: Any, axis: int | None = None) -> Any:
    """Returns `x` scaled to length 1 along an axis."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, 1e-12)))
