"""Quantizers by name and by config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cornu.identifiers import Identifiers
from cornu.quantizers.integers import AbsMaxQuantizer, Quantizer

_IDENTIFIERS = Identifiers(
    "quantizer",
    {
        "AbsMaxQuantizer": AbsMaxQuantizer,
        "Quantizer": Quantizer,
        "abs_max_quantizer": AbsMaxQuantizer,
        "quantizer": Quantizer,
    },
)


def get(identifier: Any, **kwargs: Any) -> Any:
    """Returns the quantizer that a name, a config, a class or a quantizer stands for.

    Raises:
        ValueError: if it is none of these.
    """
    return _IDENTIFIERS.get(identifier)


def serialize(initializer: Any) -> Any:
    """Returns the config of a quantizer, as `deserialize` takes it."""
    return _IDENTIFIERS.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the quantizer of a name or a config."""
    return _IDENTIFIERS.deserialize(config, custom_objects)
