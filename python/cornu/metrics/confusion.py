"""Metrics of true and false positives and negatives at one or many thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cornu import config, ops
from cornu.losses.loss import squeeze_or_expand_to_same_rank
from cornu.metrics.metric import Metric
from cornu.variable import Variable

# What a prediction outside the `top_k` largest counts as: below every threshold.
_LOWEST = -1e10
_KINDS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _thresholds(thresholds: Any, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
    invalid = [t for t in values if t is None or t < 0 or t > 1]
    if invalid:
        raise ValueError(
            f"Threshold values must be in range [0, 1]. Received: {invalid} in {thresholds}"
        )
    return values


def _evenly(num_thresholds: int) -> list[float]:
    """The thresholds strictly between 0 and 1 of an even division."""
    return [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]


def _is_even(thresholds: Sequence[float]) -> bool:
    """Whether thresholds divide [0, 1] evenly, ends included."""
    n = len(thresholds)
    return n >= 3 and all(
        abs(t - i / (n - 1)) <= config.epsilon() for i, t in enumerate(thresholds)
    )


def update_confusion(
    variables: dict[str, Variable],
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    even: bool = False,
    top_k: int | None = None,
    class_id: int | None = None,
    sample_weight: Any = None,
    multi_label: bool = False,
    label_weights: Any = None,
) -> None:
    """Adds a batch to the counts of true and false positives and negatives.

    Args:
        variables: The counts to add to, by kind, `(T,)`, or `(T, labels)` with `multi_label`.
        y_true: Labels 0 and 1, of any shape; `(batch, labels)` with `multi_label`.
        y_pred: Predictions in [0, 1] of the same shape.
        thresholds: The `T` thresholds; a prediction above one is positive there.
        even: Whether the thresholds divide [0, 1] evenly.
        top_k: Only this many largest predictions per sample count as positive.
        class_id: Only this class is counted.
        sample_weight: Weights that broadcast with the predictions.
        multi_label: Whether labels are counted apart.
        label_weights: Weights of the labels, counted together.

    Raises:
        ValueError: The shapes of labels and predictions differ.
    """
    dtype = next(iter(variables.values())).dtype
    y_true = ops.cast(y_true, dtype)
    y_pred = ops.cast(y_pred, dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if len(y_true.shape) != len(y_pred.shape):
        raise ValueError(
            "Shapes of `y_true` and `y_pred` are incompatible. "
            f"Received: y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}"
        )
    if top_k is not None:
        best = ops.top_k(y_pred, k=top_k)[1]
        kept = ops.any(ops.one_hot(best, y_pred.shape[-1], axis=-1, dtype="bool"), axis=-2)
        y_pred = ops.where(kept, y_pred, ops.cast(_LOWEST, dtype))
    if class_id is not None:
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
    weights = ops.ones_like(y_pred)
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, dtype)
        _, sample_weight = squeeze_or_expand_to_same_rank(
            y_pred, sample_weight, expand_rank_1=False
        )
        while len(sample_weight.shape) < len(y_pred.shape):
            sample_weight = ops.expand_dims(sample_weight, axis=-1)
        weights = weights * sample_weight
    if label_weights is not None and not multi_label:
        weights = weights * ops.cast(label_weights, dtype)
    if even:
        # Scaled, the inner thresholds are whole numbers; the outer ones let all or none pass.
        top = len(thresholds) - 1
        limits, values = [-1.0, *map(float, range(1, top)), top + 1.0], y_pred * top
        labels = y_true
    else:
        limits, values = list(thresholds), y_pred
        labels = ops.cast(ops.cast(y_true, "bool"), dtype)
    rank = len(values.shape)
    limits = ops.reshape(ops.convert_to_tensor(limits, dtype=dtype), (-1,) + (1,) * rank)
    positive = ops.cast(ops.expand_dims(values, 0) > limits, dtype)
    of_true, of_false = labels * weights, (1.0 - labels) * weights
    negative = 1.0 - positive
    products = {
        "true_positives": (positive, of_true),
        "false_positives": (positive, of_false),
        "true_negatives": (negative, of_false),
        "false_negatives": (negative, of_true),
    }
    axes = (1,) if multi_label else tuple(range(1, rank + 1))
    for kind, variable in variables.items():
        side, amount = products[kind]
        variable.assign_add(ops.sum(side * amount, axis=axes))


class _ConfusionCount(Metric):
    """A count of one kind.

    Args:
        thresholds: One or several values in [0, 1]; predictions above count as positive.
        name, dtype: As in `Metric`.
    """

    _kind = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = _thresholds(thresholds, default=0.5)
        self._even = _is_even(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of labels, predictions and, where given, weights."""
        update_confusion(
            {self._kind: self.accumulator},
            y_true,
            y_pred,
            self.thresholds,
            even=self._even,
            sample_weight=sample_weight,
        )

    def result(self) -> Any:
        value = ops.convert_to_tensor(self.accumulator)
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_ConfusionCount):
    """The (weighted) number of positives that are predicted as such.

    Args:
        thresholds: One or several values in [0, 1], 0.5 by default.
        name, dtype: As in `Metric`.
    """

    _kind = "true_positives"


class FalsePositives(_ConfusionCount):
    """The (weighted) number of negatives that are predicted as positives.

    Args:
        thresholds: One or several values in [0, 1], 0.5 by default.
        name, dtype: As in `Metric`.
    """

    _kind = "false_positives"


class TrueNegatives(_ConfusionCount):
    """The (weighted) number of negatives that are predicted as such.

    Args:
        thresholds: One or several values in [0, 1], 0.5 by default.
        name, dtype: As in `Metric`.
    """

    _kind = "true_negatives"


class FalseNegatives(_ConfusionCount):
    """The (weighted) number of positives that are predicted as negatives.

    Args:
        thresholds: One or several values in [0, 1], 0.5 by default.
        name, dtype: As in `Metric`.
    """

    _kind = "false_negatives"


class _PositiveRate(Metric):
    """True positives over true positives and one other kind."""

    _direction = "up"

    _other = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = _thresholds(thresholds, default=0.5 if top_k is None else _LOWEST)
        self._even = _is_even(self.thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape, "zeros", name="true_positives")
        setattr(self, self._other, self.add_variable(shape, "zeros", name=self._other))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of labels, predictions and, where given, weights."""
        update_confusion(
            {kind: getattr(self, kind) for kind in ("true_positives", self._other)},
            y_true,
            y_pred,
            self.thresholds,
            even=self._even,
            top_k=self.top_k,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def result(self) -> Any:
        value = ops.divide_no_nan(
            self.true_positives, ops.add(self.true_positives, getattr(self, self._other))
        )
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(_PositiveRate):
    """The part of predicted positives that are positive.

    Args:
        thresholds: One or several values in [0, 1], 0.5 by default.
        top_k: Only this many largest predictions per sample count as positive.
        class_id: Only this class is counted.
        name, dtype: As in `Metric`.
    """

    _other = "false_positives"


class Recall(_PositiveRate):
    """The part of positives that are predicted as such.

    Args:
        thresholds: One or several values in [0, 1], 0.5 by default.
        top_k: Only this many largest predictions per sample count as positive.
        class_id: Only this class is counted.
        name, dtype: As in `Metric`.
    """

    _other = "false_negatives"


def _rate(part: Any, rest: Any) -> Any:
    return ops.divide_no_nan(part, ops.add(part, rest))


class _BestUnderConstraint(Metric):
    """The best of one rate over the thresholds at which another is high enough.

    A subclass names both rates; its first argument bounds the second.
    """

    _direction = "up"

    _bound = ""
    _rates: dict[str, tuple[str, str]] = {
        "sensitivity": ("true_positives", "false_negatives"),
        "recall": ("true_positives", "false_negatives"),
        "specificity": ("true_negatives", "false_positives"),
        "precision": ("true_positives", "false_positives"),
    }
    _best = ""

    def __init__(
        self,
        value: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: Any,
    ) -> None:
        if not 0 <= value <= 1:
            raise ValueError(
                f"Argument `{self._bound}` must be in the range [0, 1]. "
                f"Received: {self._bound}={value}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 0. "
                f"Received: num_thresholds={num_thresholds}"
            )
        super().__init__(name=name, dtype=dtype)
        self.value = value
        self.class_id = class_id
        setattr(self, self._bound, value)
        self.num_thresholds = num_thresholds
        if num_thresholds == 1:
            self.thresholds = [0.5]
        else:
            self.thresholds = [0.0, *_evenly(num_thresholds), 1.0]
        self._even = _is_even(self.thresholds)
        for kind in _KINDS:
            setattr(self, kind, self.add_variable((len(self.thresholds),), "zeros", name=kind))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of labels, predictions and, where given, weights."""
        update_confusion(
            {kind: getattr(self, kind) for kind in _KINDS},
            y_true,
            y_pred,
            self.thresholds,
            even=self._even,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def result(self) -> Any:
        bound, best = (
            _rate(*(getattr(self, kind) for kind in self._rates[rate]))
            for rate in (self._bound, self._best)
        )
        return ops.max(ops.where(bound >= self.value, best, ops.zeros_like(best)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._bound: self.value,
        }


class SensitivityAtSpecificity(_BestUnderConstraint):
    """The best sensitivity where specificity is at least the given one.

    Args:
        specificity: In [0, 1].
        num_thresholds: How many thresholds are tried.
        class_id: Only this class is counted.
        name, dtype: As in `Metric`.
    """

    _bound, _best = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_BestUnderConstraint):
    """The best specificity where sensitivity is at least the given one.

    Args:
        sensitivity: In [0, 1].
        num_thresholds: How many thresholds are tried.
        class_id: Only this class is counted.
        name, dtype: As in `Metric`.
    """

    _bound, _best = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_BestUnderConstraint):
    """The best precision where recall is at least the given one.

    Args:
        recall: In [0, 1].
        num_thresholds: How many thresholds are tried.
        class_id: Only this class is counted.
        name, dtype: As in `Metric`.
    """

    _bound, _best = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_BestUnderConstraint):
    """The best recall where precision is at least the given one.

    Args:
        precision: In [0, 1].
        num_thresholds: How many thresholds are tried.
        class_id: Only this class is counted.
        name, dtype: As in `Metric`.
    """

    _bound, _best = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)


class AUC(Metric):
    """The area under the ROC curve or the precision-recall curve, by a Riemann sum.

    Args:
        num_thresholds: How many thresholds approximate the curve.
        curve: `"ROC"`, `"PR"` or `"PRGAIN"`.
        summation_method: `"interpolation"`, `"minoring"` or `"majoring"`.
        name, dtype: As in `Metric`.
        thresholds: Your own thresholds, in place of `num_thresholds` even ones.
        multi_label: Whether each label has an area of its own, then averaged.
        num_labels: The number of labels; with it variables exist at once.
        label_weights: Weights of the labels.
        from_logits: Whether predictions are logits.

    Raises:
        ValueError: An argument is none of the above.
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        if self.curve not in ("ROC", "PR", "PRGAIN"):
            raise ValueError(
                f'Invalid AUC curve value: "{curve}". Expected values are ["ROC", "PR", "PRGAIN"]'
            )
        if self.summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"Invalid AUC summation method value: `{summation_method}`. "
                "Expected values are ['interpolation', 'majoring', 'minoring']"
            )
        self._init_from_thresholds = thresholds is not None
        if thresholds is not None:
            inner = sorted(_thresholds(list(thresholds), default=0.5))
            self.num_thresholds = len(inner) + 2
            self._even = _is_even([0.0, *inner, 1.0])
        else:
            if num_thresholds <= 1:
                raise ValueError(
                    "Argument `num_thresholds` must be an integer > 1. "
                    f"Received: num_thresholds={num_thresholds}"
                )
            inner = _evenly(num_thresholds)
            self.num_thresholds = num_thresholds
            self._even = num_thresholds >= 3
        self._thresholds = [-config.epsilon(), *inner, 1.0 + config.epsilon()]
        self.multi_label = multi_label
        self.num_labels = num_labels
        self._init_label_weights = label_weights
        self.label_weights = (
            None
            if label_weights is None
            else ops.convert_to_tensor(label_weights, dtype=self.dtype)
        )
        self._from_logits = from_logits
        self._built = False
        if num_labels and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        if not multi_label:
            self._build(None)
        elif num_labels:
            self._build((None, num_labels))

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, ends included."""
        return list(self._thresholds)

    def _build(self, shape: tuple[int | None, ...] | None) -> None:
        """Makes the variables; `shape` is that of the predictions with `multi_label`."""
        if self.multi_label:
            if shape is None or len(shape) != 2:
                raise ValueError(
                    "`y_pred` must have rank 2 when `multi_label=True`. "
                    f"Found rank {0 if shape is None else len(shape)}. "
                    f"Full shape received for `y_pred`: {shape}"
                )
            self._num_labels = shape[1]
            size = (self.num_thresholds, shape[1])
        else:
            size = (self.num_thresholds,)
        self._build_input_shape = shape
        for kind in _KINDS:
            setattr(self, kind, self.add_variable(size, "zeros", name=kind))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of labels, predictions and, where given, weights."""
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._built:
            self._build(tuple(y_pred.shape))
        update_confusion(
            {kind: getattr(self, kind) for kind in _KINDS},
            y_true,
            ops.sigmoid(y_pred) if self._from_logits else y_pred,
            self._thresholds,
            even=self._even,
            sample_weight=sample_weight,
            multi_label=self.multi_label,
            label_weights=self.label_weights,
        )

    def result(self) -> Any:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        tp, fp, tn, fn = (ops.convert_to_tensor(getattr(self, kind)) for kind in _KINDS)
        if self.curve == "ROC":
            x, y = _rate(fp, tn), _rate(tp, fn)
        elif self.curve == "PR":
            x, y = _rate(tp, fn), _rate(tp, fp)
        else:
            odds = ops.divide_no_nan(tp + fn, tn + fp)
            gain = ops.maximum(1.0 - odds * ops.divide_no_nan(fn, tp), 0.0)
            x = ops.where(tp > 0, gain, ops.zeros_like(gain))
            y = 1.0 - odds * ops.divide_no_nan(fp, tp)
        left, right = y[:-1], y[1:]
        height: Callable[[], Any] = {
            "interpolation": lambda: (left + right) / 2.0,
            "minoring": lambda: ops.minimum(left, right),
            "majoring": lambda: ops.maximum(left, right),
        }[self.summation_method]
        return self._over_labels((x[:-1] - x[1:]) * height())

    def interpolate_pr_auc(self) -> Any:
        """The area under the precision-recall curve, interpolated between true positives.

        Reference: Davis and Goadrich, "The Relationship Between Precision-Recall and ROC
        Curves", 2006.
        """
        tp, fp, _, fn = (ops.convert_to_tensor(getattr(self, kind)) for kind in _KINDS)
        positives = tp + fp
        rise = tp[:-1] - tp[1:]
        slope = ops.divide_no_nan(rise, ops.maximum(positives[:-1] - positives[1:], 0.0))
        intercept = tp[1:] - slope * positives[1:]
        ratio = ops.where(
            ops.logical_and(positives[:-1] > 0, positives[1:] > 0),
            ops.divide_no_nan(positives[:-1], ops.maximum(positives[1:], 0.0)),
            ops.ones_like(positives[1:]),
        )
        parts = ops.divide_no_nan(
            slope * (rise + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0.0)
        )
        return self._over_labels(parts)

    def _over_labels(self, parts: Any) -> Any:
        """The sum of the parts; with `multi_label` averaged over the labels."""
        if not self.multi_label:
            return ops.sum(parts)
        areas = ops.sum(parts, axis=0)
        if self.label_weights is None:
            return ops.mean(areas)
        return ops.divide_no_nan(ops.sum(areas * self.label_weights), ops.sum(self.label_weights))

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self._init_label_weights,
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            # The two ends are the constructor's own.
            config["thresholds"] = self._thresholds[1:-1]
        return config
