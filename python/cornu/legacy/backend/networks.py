"""Activations, normalization, losses and decoding of Keras 2's backend."""

from collections.abc import Sequence
from typing import Any

from cornu import activations, ops, random
from cornu.config import epsilon as _epsilon


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Returns `x` above the threshold, `alpha * (x - threshold)` below, at most `max_value`."""
    return activations.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Returns `x` where it is positive, else `alpha * (exp(x) - 1)`."""
    return ops.elu(x, alpha=alpha)


def hard_sigmoid(x: Any) -> Any:
    """Returns `0.2 * x + 0.5`, clipped to [0, 1]: Keras 2's, steeper than Keras 3's."""
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Returns `x` with a part `level` of its elements zero and the others scaled up."""
    return random.dropout(x, level, noise_shape=noise_shape, seed=seed)


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """Returns `(x - mean) / sqrt(var + epsilon) * gamma + beta`."""
    flat = [None if value is None else ops.reshape(value, (-1,)) for value in (mean, var)]
    rest = [None if value is None else ops.reshape(value, (-1,)) for value in (beta, gamma)]
    return ops.batch_normalization(x, *flat, axis, *rest, epsilon=epsilon)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """Returns the normalized batch, with its mean and variance over the axes."""
    axes = [axis % len(x.shape) for axis in reduction_axes]
    mean, variance = ops.moments(x, axes=axes)
    wide_mean, wide_variance = ops.expand_dims(mean, axes), ops.expand_dims(variance, axes)
    result = ops.multiply(ops.subtract(x, wide_mean), ops.rsqrt(ops.add(wide_variance, epsilon)))
    for function, value in ((ops.multiply, gamma), (ops.add, beta)):
        if value is not None:
            shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
            result = function(result, ops.reshape(value, shape))
    return result, mean, variance


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Returns whether each target is among the `k` largest predictions."""
    return ops.in_top_k(targets, predictions, k)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Returns the binary cross entropy of each element."""
    return ops.binary_crossentropy(target, output, from_logits=from_logits)


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Returns the cross entropy of distributions along an axis."""
    return ops.categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    """Returns the cross entropy of class numbers; zero for those of `ignore_class`."""
    if ignore_class is not None:
        counts = ops.not_equal(target, ignore_class)
        target = ops.where(counts, target, ops.zeros_like(target))
    loss = ops.sparse_categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)
    if ignore_class is None:
        return loss
    return ops.where(ops.reshape(counts, ops.shape(loss)), loss, ops.zeros_like(loss))


def binary_focal_crossentropy(
    target: Any,
    output: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
) -> Any:
    """Returns the binary focal cross entropy of each element.

    Paper: Lin et al., Focal Loss for Dense Object Detection (2017).
    """
    output = ops.sigmoid(output) if from_logits else output
    target = ops.cast(target, ops.dtype(output))
    hit = target * output + (1.0 - target) * (1.0 - output)
    loss = ops.power(1.0 - hit, gamma) * ops.binary_crossentropy(target, output)
    return (
        loss * (target * alpha + (1.0 - target) * (1.0 - alpha)) if apply_class_balancing else loss
    )


def categorical_focal_crossentropy(
    target: Any,
    output: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    axis: int = -1,
) -> Any:
    """Returns the focal cross entropy of distributions along an axis.

    Paper: Lin et al., Focal Loss for Dense Object Detection (2017).
    """
    output = ops.softmax(output, axis=axis) if from_logits else output
    output = output / ops.sum(output, axis=axis, keepdims=True)
    output = ops.clip(output, _epsilon(), 1.0 - _epsilon())
    weighted = alpha * ops.power(1.0 - output, gamma) * -ops.log(output)
    return ops.sum(weighted * ops.cast(target, ops.dtype(output)), axis=axis)


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """Returns the CTC loss of each sample.

    Args:
        y_true: labels, `(samples, max_label_length)`.
        y_pred: probabilities, `(samples, time, classes)`; the last class is the blank.
        input_length: the times in use, `(samples, 1)`.
        label_length: the lengths of the labels, `(samples, 1)`.

    Returns:
        Losses, `(samples, 1)`.
    """
    loss = ops.ctc_loss(
        ops.cast(y_true, "int32"),
        ops.log(ops.add(y_pred, _epsilon())),
        ops.cast(ops.squeeze(label_length, -1), "int32"),
        ops.cast(ops.squeeze(input_length, -1), "int32"),
        mask_index=y_pred.shape[-1] - 1,
    )
    return ops.expand_dims(loss, 1)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Any], Any]:
    """Returns the best labels of CTC outputs.

    Args:
        y_pred: probabilities, `(samples, time, classes)`; the last class is the blank.
        input_length: the times in use, `(samples,)`.
        greedy: whether each time's best class is taken; else a beam search is made.
        beam_width: width of the beam.
        top_paths: how many labels per sample the beam search gives.

    Returns:
        A list of labels, each padded with -1, and their scores.
    """
    decoded, scores = ops.ctc_decode(
        ops.log(ops.add(y_pred, _epsilon())),
        ops.cast(input_length, "int32"),
        strategy="greedy" if greedy else "beam_search",
        beam_width=beam_width,
        top_paths=top_paths,
        mask_index=y_pred.shape[-1] - 1,
    )
    return ops.unstack(ops.cast(decoded, "int64")), scores
