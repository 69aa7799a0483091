"""Optimizers by name and by config."""

from __future__ import annotations

from typing import Any

from cornu.identifiers import Identifiers, public_objects
from cornu.optimizers import adafactor, adam, descent, loss_scale, multi, muon
from cornu.optimizers.optimizer import Optimizer

_identifiers = Identifiers(
    "optimizer",
    {
        name.lower(): value
        for module in (adafactor, adam, descent, loss_scale, multi, muon)
        for name, value in {"Optimizer": Optimizer, **public_objects(module)}.items()
    },
    fold=str.lower,
    wants=lambda value: isinstance(value, Optimizer),
)


def get(identifier: Any) -> Any:
    """The optimizer that a name, a config, a class or an optimizer stands for.

    Raises:
        ValueError: The identifier is none of these.

    >>> keras.optimizers.get("adam")
    <cornu.optimizers.adam.Adam object at ...>
    """
    return _identifiers.get(identifier)


def serialize(optimizer: Optimizer) -> Any:
    """The config of an optimizer."""
    return _identifiers.serialize(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer of a name or a config.

    Args:
        config: A name, or what `serialize` gave.
        custom_objects: Your own classes by name.
    """
    return _identifiers.deserialize(config, custom_objects)
