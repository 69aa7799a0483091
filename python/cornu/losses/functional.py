"""The loss functions: `f(y_true, y_pred)` gives one value per sample."""

from __future__ import annotations

import math
import warnings
from typing import Any

from cornu import config, ops
from cornu.losses.loss import squeeze_or_expand_to_same_rank


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets and predictions as tensors of the predictions' dtype."""
    y_pred = ops.convert_to_tensor(y_pred)
    return ops.convert_to_tensor(y_true, dtype=y_pred.dtype), y_pred


def _aligned(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """The pair, of the same rank."""
    return squeeze_or_expand_to_same_rank(*_pair(y_true, y_pred))


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `square(y_true - y_pred)` over the last axis.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `abs(y_true - y_pred)` over the last axis.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `100 * abs((y_true - y_pred) / y_true)` over the last axis.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    relative = ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), config.epsilon()))
    return 100.0 * ops.mean(relative, axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `square(log(y_true + 1) - log(y_pred + 1))` over the last axis.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape. Values below `epsilon` count as `epsilon`.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    log_true = ops.log(ops.maximum(y_true, config.epsilon()) + 1.0)
    log_pred = ops.log(ops.maximum(y_pred, config.epsilon()) + 1.0)
    return ops.mean(ops.square(log_true - log_pred), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The negative cosine of the angle between targets and predictions: -1 where they agree.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.
        axis: The axis of the vectors.

    Returns:
        One value per vector.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    product = ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis)
    return -ops.sum(product, axis=axis)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the squared error where the error is below `delta`, linear beyond it.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.
        delta: The error at which the loss turns from quadratic to linear.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.

    Reference: Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    values = ops.where(error <= delta, 0.5 * ops.square(error), delta * error - 0.5 * delta * delta)
    return ops.mean(values, axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean of `log(cosh(y_pred - y_true))` over the last axis.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _aligned(y_true, y_pred)
    difference = y_pred - y_true
    # softplus(-2x) keeps log(cosh(x)) finite where cosh(x) overflows.
    values = difference + ops.softplus(-2.0 * difference) - math.log(2.0)
    return ops.mean(values, axis=-1)


def _signs(y_true: Any) -> Any:
    """Labels -1 and 1 from labels 0 and 1; labels that already hold others stay."""
    is_binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(is_binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of `maximum(1 - y_true * y_pred, 0)` over the last axis.

    Args:
        y_true: Labels -1 and 1 (0 and 1 are mapped to them), `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of `square(maximum(1 - y_true * y_pred, 0))` over the last axis.

    Args:
        y_true: Labels -1 and 1 (0 and 1 are mapped to them), `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """The margin by which the best wrong class beats the right one, plus 1, at least 0.

    Args:
        y_true: One-hot targets, `(batch, ..., num_classes)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """The Kullback-Leibler divergence `sum(y_true * log(y_true / y_pred))` over the last axis.

    Args:
        y_true: Target probabilities, `(batch, ..., num_classes)`.
        y_pred: Predicted probabilities of the same shape.

    Returns:
        One value per sample.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = ops.clip(y_true, config.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, config.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """The mean of `y_pred - y_true * log(y_pred)` over the last axis.

    Args:
        y_true: Ground truth, `(batch, d0, ..., dN)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


def _check_axis(axis: Any) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(
            f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}"
        )


def _warn_of_one_class(name: str, y_pred: Any) -> None:
    if len(y_pred.shape) > 0 and y_pred.shape[-1] == 1:
        warnings.warn(
            f"In loss {name}, expected y_pred.shape to be (batch_size, num_classes) "
            f"with num_classes > 1. Received: y_pred.shape={tuple(y_pred.shape)}. "
            "Consider using 'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=3,
        )


def _smooth_classes(y_true: Any, label_smoothing: float) -> Any:
    if not label_smoothing:
        return y_true
    num_classes = ops.cast(ops.shape(y_true)[-1], y_true.dtype)
    return y_true * (1.0 - label_smoothing) + label_smoothing / num_classes


def _smooth_binary(y_true: Any, label_smoothing: float) -> Any:
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The crossentropy between one-hot targets and predicted classes.

    Args:
        y_true: One-hot or soft targets, `(batch, ..., num_classes)`.
        y_pred: Probabilities, or logits, of the same shape.
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: In `[0, 1]`; how much of each target is spread over all classes.
        axis: The axis of the classes.

    Returns:
        One value per sample.
    """
    _check_axis(axis)
    y_true, y_pred = _pair(y_true, y_pred)
    _warn_of_one_class("categorical_crossentropy", y_pred)
    y_true = _smooth_classes(y_true, label_smoothing)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The categorical crossentropy, with well-classified samples weighted down.

    Args:
        y_true: One-hot targets, `(batch, ..., num_classes)`.
        y_pred: Probabilities, or logits, of the same shape.
        alpha: Weight of the classes, one or one per class.
        gamma: The focusing exponent.
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: In `[0, 1]`; how much of each target is spread over all classes.
        axis: The axis of the classes.

    Returns:
        One value per sample.

    Reference: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002).
    """
    _check_axis(axis)
    y_true, y_pred = _pair(y_true, y_pred)
    _warn_of_one_class("categorical_focal_crossentropy", y_pred)
    y_true = _smooth_classes(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    probabilities = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    probabilities = ops.clip(probabilities, config.epsilon(), 1.0 - config.epsilon())
    focus = ops.power(1.0 - probabilities, gamma) * alpha
    return ops.sum(-focus * y_true * ops.log(probabilities), axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """The crossentropy between integer classes and predicted classes.

    Args:
        y_true: Class numbers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: Probabilities, or logits, `(batch, ..., num_classes)`.
        from_logits: Whether `y_pred` holds logits.
        ignore_class: A class number whose samples count for nothing.
        axis: The axis of the classes.

    Returns:
        One value per sample.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=from_logits, axis=axis
        )
    valid = ops.not_equal(y_true, ops.cast(ignore_class, y_true.dtype))
    y_true = ops.where(valid, y_true, ops.zeros_like(y_true))
    values = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    values = ops.where(valid, values, ops.zeros_like(values))
    # The mask lets the reduction leave the ignored samples out of the mean.
    values._keras_mask = valid
    return values


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """The generalized crossentropy `(1 - p ** q) / q`, which tolerates noisy labels.

    Args:
        y_true: Class numbers, `(batch,)`.
        y_pred: Probabilities `(batch, num_classes)`.
        q: In `(0, 1)`: near 0 the crossentropy, near 1 the absolute error.

    Returns:
        One value per sample.

    Raises:
        ValueError: `q` is not in `(0, 1)`.

    Reference: Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels", 2018 (arXiv:1805.07836).
    """
    if not 0 < q < 1:
        raise ValueError("q must be in the interval (0, 1)")
    y_pred = ops.convert_to_tensor(y_pred)
    classes = ops.cast(ops.convert_to_tensor(y_true), "int32")
    p = ops.sum(y_pred * ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype), axis=-1)
    return (1.0 - ops.power(p, q)) / q


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The crossentropy between labels 0 and 1 and predictions, averaged over the last axis.

    Args:
        y_true: Labels, `(batch, d0, ..., dN)`.
        y_pred: Probabilities, or logits, of the same shape.
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: In `[0, 1]`; how far each label is moved towards 0.5.
        axis: The axis that is averaged.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = _smooth_binary(y_true, label_smoothing)
    values = ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    return ops.mean(values, axis=axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The binary crossentropy, with well-classified samples weighted down.

    Args:
        y_true: Labels 0 and 1, `(batch, d0, ..., dN)`.
        y_pred: Probabilities, or logits, of the same shape.
        apply_class_balancing: Whether class 1 is weighted by `alpha` and class 0 by `1 - alpha`.
        alpha: The weight of class 1.
        gamma: The focusing exponent.
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: In `[0, 1]`; how far each label is moved towards 0.5.
        axis: The axis that is averaged.

    Returns:
        One value per sample, `(batch, d0, ..., dN-1)`.

    Reference: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002).
    """
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = _smooth_binary(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    values = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    p = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    values = ops.power(1.0 - p, gamma) * values
    if apply_class_balancing:
        values = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * values
    return ops.mean(values, axis=axis)


def ctc(y_true: Any, y_pred: Any) -> Any:
    """The connectionist temporal classification loss; class 0 is the blank.

    Args:
        y_true: Class numbers, `(batch, max_label_length)`; labels are padded with 0.
        y_pred: Logits, `(batch, time, num_classes)`.

    Returns:
        One value per sample.

    Raises:
        ValueError: The ranks do not fit.
    """
    if len(ops.shape(y_true)) != 2:
        raise ValueError(
            "Targets `y_true` must be a tensor of shape `(batch_size, max_length)`. "
            f"Received: y_true.shape={ops.shape(y_true)}"
        )
    if len(ops.shape(y_pred)) != 3:
        raise ValueError(
            "Logits `y_pred` must be a tensor of shape `(batch_size, max_length, num_classes)`. "
            f"Received: y_pred.shape={ops.shape(y_pred)}"
        )
    blank = 0
    batch, time, _ = ops.shape(y_pred)
    input_length = ops.cast(time, "int32") * ops.ones((batch,), dtype="int32")
    label_length = ops.cast(ops.sum(ops.not_equal(y_true, blank), axis=-1), "int32")
    return ops.ctc_loss(y_true, y_pred, label_length, input_length, mask_index=blank)


def dice(y_true: Any, y_pred: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """One minus the Dice coefficient of targets and predictions.

    Args:
        y_true: Ground truth, of any shape.
        y_pred: Predictions of the same shape.
        axis: The axes that the overlap is summed over; `None` means all.

    Returns:
        One value, or one per remaining axis.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    overlap = ops.sum(y_true * y_pred, axis=axis)
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1.0 - ops.divide(2.0 * overlap, total + config.epsilon())


def tversky(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | tuple[int, ...] | None = None,
) -> Any:
    """One minus the Tversky index, which weighs false positives and false negatives apart.

    Args:
        y_true: Ground truth, of any shape.
        y_pred: Predictions of the same shape.
        alpha: The weight of false negatives (Keras's documentation has the two the other way).
        beta: The weight of false positives.
        axis: The axes that are summed over; `None` means all.

    Returns:
        One value, or one per remaining axis.

    Reference: Salehi et al., "Tversky loss function for image segmentation", 2017
    (arXiv:1706.05721).
    """
    y_true, y_pred = _pair(y_true, y_pred)
    overlap = ops.sum(y_true * y_pred, axis=axis)
    false_positives = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    false_negatives = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    total = overlap + false_negatives * alpha + false_positives * beta + config.epsilon()
    return 1.0 - ops.divide(overlap, total)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """The circle loss of pairs of embeddings: near within a class, far between classes.

    Args:
        y_true: Class numbers, `(batch,)` or `(batch, 1)`.
        y_pred: Embeddings of length 1, `(batch, size)`.
        ref_labels: Class numbers to compare with; `y_true` by default.
        ref_embeddings: Embeddings to compare with; `y_pred` by default.
        remove_diagonal: Whether a sample is not compared with itself.
        gamma: The scale.
        margin: The relaxation `m`: similarities aim beyond `1 - m` and below `m`.

    Returns:
        One value per sample.

    Reference: Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity
    Optimization", 2020 (arXiv:2002.10857).
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
    ref_embeddings = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    ref_labels = labels if ref_labels is None else ops.cast(ref_labels, "int32")
    same = ops.equal(ops.reshape(labels, (-1, 1)), ops.reshape(ref_labels, (1, -1)))
    different = ops.logical_not(same)
    if remove_diagonal:
        rows, columns = ops.shape(same)
        itself = ops.equal(ops.reshape(ops.arange(rows), (-1, 1)), ops.arange(columns))
        same = ops.logical_and(same, ops.logical_not(itself))
    similarity = ops.matmul(y_pred, ops.transpose(ref_embeddings))
    pull = ops.relu(1.0 + margin - ops.stop_gradient(similarity))
    push = ops.relu(ops.stop_gradient(similarity) + margin)
    positive = ops.where(same, -gamma * pull * (similarity - (1.0 - margin)), 0.0)
    negative = ops.where(different, gamma * push * (similarity - margin), 0.0)
    return ops.softplus(_logsumexp_where(positive, same) + _logsumexp_where(negative, different))


def _logsumexp_where(x: Any, mask: Any) -> Any:
    """`logsumexp` along rows over the entries where `mask` is true."""
    lowest = -1e9 if x.dtype != "float16" else -3e4
    return ops.logsumexp(ops.where(mask, x, ops.cast(lowest, x.dtype)), axis=-1)
