"""The loss classes: each is a function of `functional` with its arguments kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import saving, tree
from cornu.losses import functional
from cornu.losses.arguments import FunctionArguments
from cornu.losses.loss import Loss, squeeze_or_expand_to_same_rank


class LossFunctionWrapper(Loss):
    """A loss made of a function.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)`, which gives one value per sample.
        reduction: As in `Loss`.
        name: Name of the loss.
        dtype: As in `Loss`.
        **kwargs: Arguments that `fn` is called with.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The function's value for targets and predictions brought to the same rank."""
        aligned = [
            squeeze_or_expand_to_same_rank(*pair)
            for pair in zip(tree.flatten(y_true), tree.flatten(y_pred), strict=True)
        ]
        y_true = tree.pack_sequence_as(y_true, [pair[0] for pair in aligned])
        y_pred = tree.pack_sequence_as(y_pred, [pair[1] for pair in aligned])
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["fn"] = saving.serialize_keras_object(self.fn)
        config.update(saving.serialize_keras_object(self._fn_kwargs))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        if "fn" in config:
            config = saving.deserialize_keras_object(config)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


class _FunctionLoss(FunctionArguments, LossFunctionWrapper):
    _base = {"reduction": "sum_over_batch_size", "name": None, "dtype": None}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        arguments = self._bind(args, kwargs)
        LossFunctionWrapper.__init__(self, self._function, **arguments)
        for key, value in self._fn_kwargs.items():
            setattr(self, key, value)

    def get_config(self) -> dict[str, Any]:
        return {**Loss.get_config(self), **self._arguments_config(self._fn_kwargs)}


class MeanSquaredError(_FunctionLoss, function=functional.mean_squared_error):
    """The mean of squared errors.

    Args:
        reduction, name, dtype: As in `Loss`.

    >>> keras.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]])
    """


class MeanAbsoluteError(_FunctionLoss, function=functional.mean_absolute_error):
    """The mean of absolute errors.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class MeanAbsolutePercentageError(
    _FunctionLoss, function=functional.mean_absolute_percentage_error
):
    """The mean of absolute errors, in percent of the target.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class MeanSquaredLogarithmicError(
    _FunctionLoss, function=functional.mean_squared_logarithmic_error
):
    """The mean of squared differences of `log(1 + y)`.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class CosineSimilarity(
    _FunctionLoss,
    function=functional.cosine_similarity,
    arguments={"axis": -1},
    quiet=("axis",),
):
    """The negative cosine between targets and predictions.

    Args:
        axis: The axis of the vectors.
        reduction, name, dtype: As in `Loss`.
    """


class Huber(
    _FunctionLoss,
    function=functional.huber,
    name="huber_loss",
    arguments={"delta": 1.0},
    quiet=("delta",),
):
    """Half the squared error up to `delta`, linear beyond.

    Args:
        delta: The error at which the loss becomes linear.
        reduction, name, dtype: As in `Loss`.
    """


class LogCosh(_FunctionLoss, function=functional.log_cosh):
    """The logarithm of the hyperbolic cosine of the error.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class Hinge(_FunctionLoss, function=functional.hinge):
    """The hinge loss of labels -1 and 1 (or 0 and 1).

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class SquaredHinge(_FunctionLoss, function=functional.squared_hinge):
    """The squared hinge loss of labels -1 and 1 (or 0 and 1).

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class CategoricalHinge(_FunctionLoss, function=functional.categorical_hinge):
    """The hinge loss between the right class and the best wrong one.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class KLDivergence(_FunctionLoss, function=functional.kl_divergence):
    """The Kullback-Leibler divergence of two distributions.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class Poisson(_FunctionLoss, function=functional.poisson):
    """The Poisson loss `y_pred - y_true * log(y_pred)`.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class BinaryCrossentropy(
    _FunctionLoss,
    function=functional.binary_crossentropy,
    arguments={"from_logits": False, "label_smoothing": 0.0, "axis": -1},
):
    """The crossentropy of labels 0 and 1.

    Args:
        from_logits: Whether predictions are logits.
        label_smoothing: In `[0, 1]`; how far labels are moved towards 0.5.
        axis: The axis that is averaged.
        reduction, name, dtype: As in `Loss`.
    """


class BinaryFocalCrossentropy(
    _FunctionLoss,
    function=functional.binary_focal_crossentropy,
    arguments={
        "apply_class_balancing": False,
        "alpha": 0.25,
        "gamma": 2.0,
        "from_logits": False,
        "label_smoothing": 0.0,
        "axis": -1,
    },
):
    """The crossentropy of labels 0 and 1, with easy samples weighted down.

    Args:
        apply_class_balancing: Whether `alpha` weighs the classes.
        alpha: The weight of class 1.
        gamma: The focusing exponent.
        from_logits: Whether predictions are logits.
        label_smoothing: In `[0, 1]`; how far labels are moved towards 0.5.
        axis: The axis that is averaged.
        reduction, name, dtype: As in `Loss`.

    Reference: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002).
    """


class CategoricalCrossentropy(
    _FunctionLoss,
    function=functional.categorical_crossentropy,
    arguments={"from_logits": False, "label_smoothing": 0.0, "axis": -1},
):
    """The crossentropy of one-hot targets.

    Args:
        from_logits: Whether predictions are logits.
        label_smoothing: In `[0, 1]`; how much of each target is spread over all classes.
        axis: The axis of the classes.
        reduction, name, dtype: As in `Loss`.
    """


class CategoricalFocalCrossentropy(
    _FunctionLoss,
    function=functional.categorical_focal_crossentropy,
    arguments={
        "alpha": 0.25,
        "gamma": 2.0,
        "from_logits": False,
        "label_smoothing": 0.0,
        "axis": -1,
    },
):
    """The crossentropy of one-hot targets, with easy samples weighted down.

    Args:
        alpha: The weight of the classes, one or one per class.
        gamma: The focusing exponent.
        from_logits: Whether predictions are logits.
        label_smoothing: In `[0, 1]`; how much of each target is spread over all classes.
        axis: The axis of the classes.
        reduction, name, dtype: As in `Loss`.

    Reference: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002).
    """


class SparseCategoricalCrossentropy(
    _FunctionLoss,
    function=functional.sparse_categorical_crossentropy,
    arguments={"from_logits": False, "ignore_class": None, "reduction": ..., "axis": -1},
    quiet=("axis",),
):
    """The crossentropy of integer classes.

    Args:
        from_logits: Whether predictions are logits.
        ignore_class: A class whose samples count for nothing.
        axis: The axis of the classes.
        reduction, name, dtype: As in `Loss`.
    """


class CategoricalGeneralizedCrossEntropy(
    _FunctionLoss,
    function=functional.categorical_generalized_cross_entropy,
    arguments={"q": 0.5},
):
    """The generalized crossentropy, which tolerates noisy labels.

    Args:
        q: In `(0, 1)`: near 0 the crossentropy, near 1 the absolute error.
        reduction, name, dtype: As in `Loss`.

    Reference: Zhang and Sabuncu, 2018 (arXiv:1805.07836).
    """


class CTC(_FunctionLoss, function=functional.ctc):
    """The connectionist temporal classification loss; class 0 is the blank.

    Args:
        reduction, name, dtype: As in `Loss`.
    """


class Dice(
    _FunctionLoss,
    function=functional.dice,
    arguments={"reduction": ..., "name": ..., "axis": None},
):
    """One minus the Dice coefficient.

    Args:
        axis: The axes that the overlap is summed over; `None` means all.
        reduction, name, dtype: As in `Loss`.
    """


class Tversky(
    _FunctionLoss,
    function=functional.tversky,
    arguments={"alpha": 0.5, "beta": 0.5, "reduction": ..., "name": ..., "axis": None},
):
    """One minus the Tversky index.

    Args:
        alpha: The weight of false negatives (Keras's documentation has the two the other way).
        beta: The weight of false positives.
        axis: The axes that are summed over; `None` means all.
        reduction, name, dtype: As in `Loss`.

    Reference: Salehi et al., 2017 (arXiv:1706.05721).
    """


class Circle(
    _FunctionLoss,
    function=functional.circle,
    arguments={"gamma": 80.0, "margin": 0.4, "remove_diagonal": True},
):
    """The circle loss of embeddings of length 1.

    Args:
        gamma: The scale.
        margin: How far similarities must be from 1 and 0.
        remove_diagonal: Whether a sample is not compared with itself.
        reduction, name, dtype: As in `Loss`.

    Reference: Sun et al., 2020 (arXiv:2002.10857).
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._fn_kwargs)
