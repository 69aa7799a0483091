"""Encodings of classes, and losses of targets and predictions."""

from __future__ import annotations

from typing import Any

from cornu import config
from cornu._cornu import Tensor, primitive
from cornu.ops.activation import log_sigmoid
from cornu.ops.elementwise import clip, log, log10, negative, square
from cornu.ops.indexing import integers
from cornu.ops.manipulation import moveaxis, squeeze
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, promoted
from cornu.ops.reduction import max, mean, sum
from cornu.ops.shapes import is_one, normalize_axis
from cornu.tensor import standardize_dtype

_one_hot = primitive("one_hot")
_softmax_cross_entropy = primitive("softmax_cross_entropy")
_sparse_softmax_cross_entropy = primitive("sparse_softmax_cross_entropy")


@op
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """1 at the place of each class, 0 elsewhere; nothing but zeros for a class out of range.

    Args:
        x: Integers of any shape.
        num_classes: How many classes there are.
        axis: The axis of the classes in the result.
        dtype: The dtype of the result; `floatx` by default.
        sparse: Accepted for compatibility; the result is dense.

    Returns:
        A tensor with one axis more, of size `num_classes`.
    """
    x = as_tensor(x)
    if not x.dtype.startswith(("int", "uint")):
        x = as_tensor(x, "int32")
    axis = normalize_axis(axis, x.ndim + 1)
    return _one_hot(x, num_classes=num_classes, axis=axis, dtype=standardize_dtype(dtype))


@op
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 at the place of each class that occurs in a sample, 0 elsewhere.

    Args:
        inputs: Integers, `(n,)` or `(batch, ..., n)`.
        num_classes: How many classes there are.
        axis: The axis of the classes in the result.
        dtype: The dtype of the result; `floatx` by default.
        sparse: Accepted for compatibility; the result is dense.

    Returns:
        A tensor with the last but the batch's axis in the place of the samples' classes.
    """
    num_classes = kwargs.pop("num_tokens", num_classes)
    if num_classes is None:
        raise ValueError("Argument `num_classes` must be specified when calling `multi_hot`.")
    x = as_tensor(inputs)
    return max(one_hot(x, num_classes, axis, dtype), axis=1 if x.ndim > 1 else 0)


def _check(target: Any, output: Any, batch_axes: int | None = None) -> None:
    """Raises ValueError unless the shapes are the same as far as they are known."""
    if len(target) != len(output) or any(
        isinstance(a, int) and isinstance(b, int) and a != b
        for a, b in zip(target, output, strict=True)
    ):
        raise ValueError(
            "Arguments `target` and `output` must have the same shape"
            f"{'' if batch_axes is None else ' up until the last dimension'}. "
            f"Received: target.shape={tuple(target)}, output.shape={tuple(output)}"
        )


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """The cross-entropy of each of independent truths.

    Args:
        target: 0 or 1, or between.
        output: Probabilities, or logits, of the same shape.
        from_logits: Whether `output` are logits.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    target, output = promoted(target, output, floating=True)
    _check(target.shape, output.shape)
    if from_logits:
        yes, no = log_sigmoid(output), log_sigmoid(negative(output))
    else:
        output = clip(output, config.epsilon(), 1.0 - config.epsilon())
        yes, no = log(output), log(1.0 - output)
    return negative(target * yes + (1.0 - target) * no)


@op
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """The cross-entropy of classes given as probabilities.

    Args:
        target: The true probabilities of the classes, such as one-hot vectors.
        output: The predicted probabilities, or logits, of the same shape.
        from_logits: Whether `output` are logits.
        axis: The axis of the classes.

    Returns:
        A tensor without this axis.

    Raises:
        ValueError: the shapes differ, or there is no axis of classes.
    """
    target, output = promoted(target, output, floating=True)
    if target.ndim < 1:
        raise ValueError(
            "Arguments `target` and `output` must be at least rank 1. "
            f"Received: target.shape={tuple(target.shape)}, output.shape={tuple(output.shape)}"
        )
    _check(target.shape, output.shape)
    if from_logits:
        return _softmax_cross_entropy(moveaxis(output, axis, -1), moveaxis(target, axis, -1))
    output = output / sum(output, axis, keepdims=True)
    output = clip(output, config.epsilon(), 1.0 - config.epsilon())
    return negative(sum(target * log(output), axis))


@op
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """The cross-entropy of classes given as integers.

    Args:
        target: The true classes, of the shape of `output` without its axis of classes, or with
            that axis of size 1.
        output: The predicted probabilities, or logits.
        from_logits: Whether `output` are logits.
        axis: The axis of the classes.

    Returns:
        A tensor without this axis.

    Raises:
        ValueError: the shapes do not fit, or there is no axis of classes.
    """
    target, output = as_tensor(target), as_float(output)
    if output.ndim < 1:
        raise ValueError(
            "Argument `output` must be at least rank 1. "
            f"Received: output.shape={tuple(output.shape)}"
        )
    if target.ndim == output.ndim and is_one(target.shape[-1]):
        target = squeeze(target, -1)
    output = moveaxis(output, axis, -1)
    _check(target.shape, output.shape[:-1], batch_axes=-1)
    target = integers(target)
    if from_logits:
        return _sparse_softmax_cross_entropy(output, target)
    output = output / sum(output, -1, keepdims=True)
    output = clip(output, config.epsilon(), 1.0 - config.epsilon())
    chosen = one_hot(target, output.shape[-1], dtype=output.dtype)
    return negative(sum(chosen * log(output), -1))


@op
def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio of two images, in decibels.

    Args:
        x1: A tensor.
        x2: A tensor of the same shape.
        max_val: The largest possible value.

    Returns:
        A scalar.
    """
    x1, x2 = promoted(x1, x2, floating=True)
    _check(x1.shape, x2.shape)
    return 10.0 * log10(as_tensor(max_val, x1.dtype) ** 2 / mean(square(x1 - x2)))
