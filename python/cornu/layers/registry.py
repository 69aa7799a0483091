"""Layers by their configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cornu import saving
from cornu.layers.layer import Layer


def serialize(layer: Layer) -> dict[str, Any]:
    """Returns the config of a layer with its class."""
    return saving.serialize_keras_object(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Any = None) -> Layer:
    """Returns the layer that `serialize` told.

    Args:
        config: what `serialize` returned.
        custom_objects: classes and functions by name.

    Raises:
        ValueError: if it tells something else than a layer.
    """
    found = saving.deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(found, Layer):
        raise ValueError(
            "`keras.layers.deserialize` was passed a `config` object that is not a "
            f"`keras.layers.Layer`. Received: {config}"
        )
    return found
