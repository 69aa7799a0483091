"""Mean and Sum, and the metrics that are the mean of a function's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import ops, saving
from cornu.losses.arguments import FunctionArguments
from cornu.losses.loss import apply_mask, squeeze_or_expand_to_same_rank
from cornu.metrics.metric import Metric


def _samplewise(
    values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str
) -> tuple[Any, Any]:
    """One weighted value per sample, and one weight per sample (or `None`)."""
    mask = getattr(values, "_keras_mask", None)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
        sample_weight = apply_mask(sample_weight, mask, dtype=dtype, reduction="sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        weight_rank, rank = len(sample_weight.shape), len(values.shape)
        if rank > weight_rank:
            values = reduce(values, axis=list(range(weight_rank, rank)))
        values = values * sample_weight
        if len(values.shape) > 1:
            sample_weight = ops.broadcast_to(sample_weight, ops.shape(values))
            sample_weight = reduce(sample_weight, axis=list(range(1, len(values.shape))))
    if len(values.shape) > 1:
        values = reduce(values, axis=list(range(1, len(values.shape))))
    return values, sample_weight


class Sum(Metric):
    """The (weighted) sum of values.

    Args:
        name, dtype: As in `Metric`.

    >>> metric = keras.metrics.Sum()
    >>> metric.update_state([1, 3, 5, 7])
    >>> metric.result()
    16.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values.

        Args:
            values: A tensor.
            sample_weight: Weights that broadcast with it, or `None`.
        """
        values, _ = _samplewise(values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        return ops.cast(self.total, self.dtype)


class Mean(Metric):
    """The (weighted) mean of values.

    Args:
        name, dtype: As in `Metric`.

    >>> metric = keras.metrics.Mean()
    >>> metric.update_state([1, 3, 5, 7])
    >>> metric.result()
    4.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values.

        Args:
            values: A tensor.
            sample_weight: Weights that broadcast with it, or `None`.
        """
        values, sample_weight = _samplewise(values, sample_weight, ops.mean, self.dtype)
        if sample_weight is not None:
            count = ops.sum(sample_weight)
        else:
            count = ops.cast(ops.shape(values)[0] if len(values.shape) else 1, self.dtype)
        self.total.assign_add(ops.sum(values))
        self.count.assign_add(count)

    def result(self) -> Any:
        return ops.divide_no_nan(self.total, ops.cast(self.count, self.dtype))


class MeanMetricWrapper(Mean):
    """The mean of a function's values.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)`, which gives one value per sample.
        name, dtype: As in `Metric`.
        **kwargs: Arguments that `fn` is called with.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Args:
            y_true: Ground truth.
            y_pred: Predictions; their mask, if they carry one, is respected.
            sample_weight: Weights that broadcast with the function's values, or `None`.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        sample_weight = apply_mask(sample_weight, mask, dtype=self.dtype, reduction="sum")
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "fn": saving.serialize_keras_object(self._fn)}
        return {**config, **saving.serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        if "fn" in config:
            config = saving.deserialize_keras_object(config)
        return cls(**config)


class FunctionMetric(FunctionArguments, MeanMetricWrapper):
    """The mean of one known function, whose arguments the constructor takes."""

    _direction = "down"

    _base = {"name": None, "dtype": None}
    _base_first = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        arguments = self._bind(args, kwargs)
        MeanMetricWrapper.__init__(self, self._function, **arguments)
        for key, value in self._fn_kwargs.items():
            setattr(self, key, value)

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._arguments_config(self._fn_kwargs)}
