"""Metrics that are the mean of a loss function or of a correlation."""

from __future__ import annotations

from typing import Any

from cornu import config, ops
from cornu.losses import functional as losses
from cornu.losses.loss import squeeze_or_expand_to_same_rank
from cornu.metrics.reductions import FunctionMetric, Mean


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine between targets and predictions: 1 where they agree.

    Args:
        y_true: Ground truth, `(batch, ..., size)`.
        y_pred: Predictions of the same shape.
        axis: The axis of the vectors.

    Returns:
        One value per vector.
    """
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


def _centred(y_true: Any, y_pred: Any, axis: int) -> tuple[Any, Any, Any, Any]:
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    mean_true = ops.mean(y_true, axis=axis, keepdims=True)
    mean_pred = ops.mean(y_pred, axis=axis, keepdims=True)
    return y_true - mean_true, y_pred - mean_pred, mean_true, mean_pred


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Pearson's correlation coefficient of targets and predictions.

    Args:
        y_true: Ground truth, `(batch, ..., size)`.
        y_pred: Predictions of the same shape.
        axis: The axis of the series.

    Returns:
        One value per series, NaN for one that is constant.
    """
    true, pred, _, _ = _centred(y_true, y_pred, axis)
    power = ops.sum(ops.square(true), axis=axis) * ops.sum(ops.square(pred), axis=axis)
    return ops.sum(true * pred, axis=axis) / ops.sqrt(power)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Lin's concordance coefficient of targets and predictions.

    Args:
        y_true: Ground truth, `(batch, ..., size)`.
        y_pred: Predictions of the same shape.
        axis: The axis of the series.

    Returns:
        One value per series.

    Reference: Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989.
    """
    true, pred, mean_true, mean_pred = _centred(y_true, y_pred, axis)
    covariance = ops.mean(true * pred, axis=axis)
    spread = ops.mean(ops.square(true), axis=axis) + ops.mean(ops.square(pred), axis=axis)
    shift = ops.squeeze(ops.square(mean_true - mean_pred), axis=axis)
    return 2.0 * covariance / (spread + shift + config.epsilon())


class MeanSquaredError(FunctionMetric, function=losses.mean_squared_error):
    """The mean of squared errors.

    Args:
        name, dtype: As in `Metric`.
    """


class RootMeanSquaredError(Mean):
    """The square root of the mean of squared errors.

    Args:
        name, dtype: As in `Metric`.
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Ground truth.
            y_pred: Predictions of the same shape.
            sample_weight: Weights that broadcast with them, or `None`.
        """
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        super().update_state(ops.square(y_true - y_pred), sample_weight=sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())


class MeanAbsoluteError(FunctionMetric, function=losses.mean_absolute_error):
    """The mean of absolute errors.

    Args:
        name, dtype: As in `Metric`.
    """


class MeanAbsolutePercentageError(FunctionMetric, function=losses.mean_absolute_percentage_error):
    """The mean of absolute errors, in percent of the target.

    Args:
        name, dtype: As in `Metric`.
    """


class MeanSquaredLogarithmicError(FunctionMetric, function=losses.mean_squared_logarithmic_error):
    """The mean of squared differences of `log(1 + y)`.

    Args:
        name, dtype: As in `Metric`.
    """


class CosineSimilarity(
    FunctionMetric, function=cosine_similarity, arguments={"axis": -1}, quiet=("axis",)
):
    """The cosine between targets and predictions.

    Args:
        name, dtype: As in `Metric`.
        axis: The axis of the vectors.
    """

    _direction = "up"


class LogCoshError(FunctionMetric, function=losses.log_cosh, name="logcosh"):
    """The logarithm of the hyperbolic cosine of the error.

    Args:
        name, dtype: As in `Metric`.
    """


class PearsonCorrelation(FunctionMetric, function=pearson_correlation, arguments={"axis": -1}):
    """The mean of Pearson's correlation coefficient.

    Args:
        name, dtype: As in `Metric`.
        axis: The axis of the series.
    """

    _direction = "up"


class ConcordanceCorrelation(
    FunctionMetric, function=concordance_correlation, arguments={"axis": -1}
):
    """The mean of Lin's concordance coefficient.

    Args:
        name, dtype: As in `Metric`.
        axis: The axis of the series.
    """

    _direction = "up"


class Hinge(FunctionMetric, function=losses.hinge):
    """The hinge loss of labels -1 and 1 (or 0 and 1).

    Args:
        name, dtype: As in `Metric`.
    """


class SquaredHinge(FunctionMetric, function=losses.squared_hinge):
    """The squared hinge loss of labels -1 and 1 (or 0 and 1).

    Args:
        name, dtype: As in `Metric`.
    """


class CategoricalHinge(FunctionMetric, function=losses.categorical_hinge):
    """The hinge loss between the right class and the best wrong one.

    Args:
        name, dtype: As in `Metric`.
    """


class KLDivergence(FunctionMetric, function=losses.kl_divergence):
    """The Kullback-Leibler divergence of two distributions.

    Args:
        name, dtype: As in `Metric`.
    """


class Poisson(FunctionMetric, function=losses.poisson):
    """The Poisson loss `y_pred - y_true * log(y_pred)`.

    Args:
        name, dtype: As in `Metric`.
    """


class BinaryCrossentropy(
    FunctionMetric,
    function=losses.binary_crossentropy,
    arguments={"from_logits": False, "label_smoothing": 0},
):
    """The crossentropy of labels 0 and 1.

    Args:
        name, dtype: As in `Metric`.
        from_logits: Whether predictions are logits.
        label_smoothing: In `[0, 1]`; how far labels are moved towards 0.5.
    """


class CategoricalCrossentropy(
    FunctionMetric,
    function=losses.categorical_crossentropy,
    arguments={"from_logits": False, "label_smoothing": 0, "axis": -1},
):
    """The crossentropy of one-hot targets.

    Args:
        name, dtype: As in `Metric`.
        from_logits: Whether predictions are logits.
        label_smoothing: In `[0, 1]`; how much of each target is spread over all classes.
        axis: The axis of the classes.
    """


class SparseCategoricalCrossentropy(
    FunctionMetric,
    function=losses.sparse_categorical_crossentropy,
    arguments={"from_logits": False, "ignore_class": None, "axis": -1},
):
    """The crossentropy of integer classes.

    Args:
        name, dtype: As in `Metric`.
        from_logits: Whether predictions are logits.
        ignore_class: A class whose samples count for nothing.
        axis: The axis of the classes.
    """
