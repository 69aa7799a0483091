"""The layer that applies layers in a row."""

from collections.abc import Sequence
from typing import Any

from cornu.layers.layer import Layer


class Pipeline(Layer):
    """Applies layers in a row: a Sequential that is no model.

    Args:
        layers: the layers, in order.
        name: name of the layer.

    >>> layers.Pipeline([layers.Rescaling(1 / 255), layers.RandomFlip()])(images)
    """

    def __init__(self, layers: Sequence[Layer], name: str | None = None) -> None:
        super().__init__(name=name)
        self._pipeline_layers = list(layers)

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        return list(self._pipeline_layers)

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            kwargs: dict[str, Any] = {}
            if layer._call_has_mask_arg:
                kwargs["mask"] = mask
            if layer._call_has_training_arg and training is not None:
                kwargs["training"] = training
            inputs = layer(inputs, **kwargs)
            mask = getattr(inputs, "_keras_mask", None)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        from cornu.saving import serialize_keras_object

        layers = [serialize_keras_object(layer) for layer in self._pipeline_layers]
        return {"layers": layers, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Pipeline":
        """Rebuilds the layers and their row."""
        from cornu.saving import deserialize_keras_object

        layers = [deserialize_keras_object(layer) for layer in config["layers"]]
        return cls(layers, name=config.get("name"))
