"""Losses by name and by config."""

from __future__ import annotations

from typing import Any

from cornu.identifiers import Identifiers, public_objects
from cornu.losses import functional, losses
from cornu.losses.loss import Loss

_ALIASES = {
    "bce": functional.binary_crossentropy,
    "kld": functional.kl_divergence,
    "mae": functional.mean_absolute_error,
    "mape": functional.mean_absolute_percentage_error,
    "mse": functional.mean_squared_error,
    "msle": functional.mean_squared_logarithmic_error,
}
# Spellings of Keras 2.
_OLD_NAMES = {
    "cosine_proximity": functional.cosine_similarity,
    "huber_loss": functional.huber,
    "kullback_leibler_divergence": functional.kl_divergence,
    "logcosh": functional.log_cosh,
}
_identifiers = Identifiers(
    "loss",
    {
        "Loss": Loss,
        **public_objects(losses),
        **public_objects(functional),
        **_ALIASES,
        **{name.upper(): value for name, value in _ALIASES.items()},
        **_OLD_NAMES,
    },
)


def get(identifier: Any) -> Any:
    """The loss that a name, a config, a class, a function or a loss stands for.

    Raises:
        ValueError: The identifier is none of these.

    >>> keras.losses.get("mse")
    <function mean_squared_error at ...>
    """
    return _identifiers.get(identifier)


def serialize(loss: Any) -> Any:
    """The config of a loss or a loss function."""
    return _identifiers.serialize(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss of a name or a config.

    Args:
        name: A name, or what `serialize` gave.
        custom_objects: Your own classes and functions by name.
    """
    return _identifiers.deserialize(name, custom_objects)
