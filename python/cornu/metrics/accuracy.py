"""How often predictions are right."""

from __future__ import annotations

from typing import Any

from cornu import config, ops
from cornu.losses.loss import squeeze_or_expand_to_same_rank
from cornu.metrics.reductions import FunctionMetric


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Where predictions equal targets, as 0 and 1.

    Args:
        y_true: Ground truth, of any shape.
        y_pred: Predictions of the same shape.

    Returns:
        One value per element.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), config.floatx())


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Where thresholded predictions equal labels 0 and 1.

    Args:
        y_true: Labels, of any shape.
        y_pred: Predictions of the same shape.
        threshold: Predictions above it count as 1.

    Returns:
        One value per element.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    y_pred = ops.cast(y_pred > ops.cast(threshold, y_pred.dtype), y_true.dtype)
    return ops.cast(ops.equal(y_true, y_pred), config.floatx())


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Where the largest prediction is the class of a one-hot target.

    Args:
        y_true: One-hot targets, `(batch, ..., num_classes)`.
        y_pred: Predictions of the same shape.

    Returns:
        One value per sample.
    """
    return _same_class(ops.argmax(y_true, axis=-1), y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Where the largest prediction is the class of an integer target.

    Args:
        y_true: Class numbers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: Predictions, `(batch, ..., num_classes)`.

    Returns:
        One value per sample.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    return _same_class(y_true, y_pred)


def _same_class(classes: Any, y_pred: Any) -> Any:
    best = ops.cast(ops.argmax(y_pred, axis=-1), classes.dtype)
    return ops.cast(ops.equal(classes, best), config.floatx())


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Where the class of a one-hot target is among the `k` largest predictions.

    Args:
        y_true: One-hot targets, `(batch, ..., num_classes)`.
        y_pred: Predictions of the same shape.
        k: How many predictions count.

    Returns:
        One value per sample.
    """
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k=k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """Where the class of an integer target is among the `k` largest predictions.

    Args:
        y_true: Class numbers, `(batch, ...)`.
        y_pred: Predictions `(batch, ..., num_classes)`; with `from_sorted_ids`, class numbers
            from the likeliest on.
        k: How many predictions count.
        from_sorted_ids: Whether `y_pred` holds class numbers.

    Returns:
        One value per sample.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    classes = ops.cast(y_true, "int32")
    if from_sorted_ids:
        best = ops.cast(y_pred[..., :k], "int32")
        found = ops.any(ops.equal(best, ops.expand_dims(classes, -1)), axis=-1)
    else:
        found = ops.in_top_k(
            ops.reshape(classes, (-1,)), ops.reshape(y_pred, (-1, y_pred.shape[-1])), k=k
        )
        found = ops.reshape(found, ops.shape(classes))
    return ops.cast(found, config.floatx())


class Accuracy(FunctionMetric, function=accuracy):
    """How often predictions equal targets.

    Args:
        name, dtype: As in `Metric`.
    """

    _direction = "up"


class BinaryAccuracy(FunctionMetric, function=binary_accuracy, arguments={"threshold": 0.5}):
    """How often thresholded predictions equal labels 0 and 1.

    Args:
        name, dtype: As in `Metric`.
        threshold: In `[0, 1]`; predictions above it count as 1.
    """

    _direction = "up"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(
                "Invalid value for argument `threshold`. Expected a value in interval [0, 1]. "
                f"Received: threshold={self.threshold}"
            )


class CategoricalAccuracy(FunctionMetric, function=categorical_accuracy):
    """How often the largest prediction is the class of a one-hot target.

    Args:
        name, dtype: As in `Metric`.
    """

    _direction = "up"


class SparseCategoricalAccuracy(FunctionMetric, function=sparse_categorical_accuracy):
    """How often the largest prediction is the class of an integer target.

    Args:
        name, dtype: As in `Metric`.
    """

    _direction = "up"


class TopKCategoricalAccuracy(
    FunctionMetric,
    function=top_k_categorical_accuracy,
    arguments={"k": 5, "name": ..., "dtype": ...},
):
    """How often the class of a one-hot target is among the `k` largest predictions.

    Args:
        k: How many predictions count.
        name, dtype: As in `Metric`.
    """

    _direction = "up"


class SparseTopKCategoricalAccuracy(
    FunctionMetric,
    function=sparse_top_k_categorical_accuracy,
    arguments={"k": 5, "name": ..., "dtype": ..., "from_sorted_ids": False},
    quiet=("from_sorted_ids",),
):
    """How often the class of an integer target is among the `k` largest predictions.

    Args:
        k: How many predictions count.
        name, dtype: As in `Metric`.
        from_sorted_ids: Whether predictions are class numbers from the likeliest on.
    """

    _direction = "up"
