"""Metrics by name and by config."""

from __future__ import annotations

from typing import Any

from cornu.identifiers import Identifiers, public_objects
from cornu.metrics import accuracy, confusion, functional, overlap, reductions, scores
from cornu.metrics.metric import Metric
from cornu.naming import to_snake_case

_CLASSES = {
    name: value
    for module in (accuracy, confusion, functional, overlap, reductions, scores)
    for name, value in public_objects(module).items()
    if isinstance(value, type) and name != "FunctionMetric"
}
_ALIASES = {
    "bce": functional.BinaryCrossentropy,
    "mae": functional.MeanAbsoluteError,
    "mape": functional.MeanAbsolutePercentageError,
    "mse": functional.MeanSquaredError,
    "msle": functional.MeanSquaredLogarithmicError,
}
# Names that the rule does not give, and spellings of Keras 2.
_OTHER_NAMES = {
    "metric": Metric,
    "Metric": Metric,
    "f_beta_score": scores.FBetaScore,
    "fbeta_score": scores.FBetaScore,
    "cosine_proximity": functional.CosineSimilarity,
    "kld": functional.KLDivergence,
    "logcosh": functional.LogCoshError,
    "log_cosh": functional.LogCoshError,
}


_identifiers = Identifiers(
    "metric",
    {
        **_CLASSES,
        **{to_snake_case(name): value for name, value in _CLASSES.items()},
        **_ALIASES,
        **{name.upper(): value for name, value in _ALIASES.items()},
        **_OTHER_NAMES,
    },
)


def get(identifier: Any) -> Any:
    """The metric that a name, a config, a class, a function or a metric stands for.

    Raises:
        ValueError: The identifier is none of these.

    >>> keras.metrics.get("mse")
    <MeanSquaredError name=mean_squared_error>
    """
    return _identifiers.get(identifier)


def serialize(metric: Any) -> Any:
    """The config of a metric or a metric function."""
    return _identifiers.serialize(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric of a name or a config.

    Args:
        config: A name, or what `serialize` gave.
        custom_objects: Your own classes and functions by name.
    """
    return _identifiers.deserialize(config, custom_objects)
