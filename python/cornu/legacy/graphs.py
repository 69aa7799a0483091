"""The calls of layers in a functional model of Keras 2, told as Keras 3 tells them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MODELS = ("Functional", "Model", "Sequential")
_RECURRENT = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")
# Stands for a layer's name where the first argument of a call is no tensor.
_CONSTANT = "_CONSTANT_VALUE"


def modern_graph(told: dict[str, Any]) -> dict[str, Any]:
    """Returns the config of a functional model with its calls as Keras 3 tells them.

    Args:
        told: the config; its layers' own arguments are translated already.
    """
    inner = told["config"]
    layers = [dict(layer) for layer in inner.get("layers", ())]
    if any(isinstance(node, dict) for layer in layers for node in layer.get("inbound_nodes", ())):
        return told
    for layer in layers:
        layer.setdefault("name", layer["config"].get("name"))
    graph = _Graph(layers)
    for layer in layers:
        layer["inbound_nodes"] = [
            graph.node(layer["class_name"], node) for node in layer.get("inbound_nodes", ())
        ]
    ends = {key: graph.ends(inner[key]) for key in ("input_layers", "output_layers")}
    return {
        **told,
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "registered_name": "Functional",
        "config": {**inner, "layers": layers, **ends},
    }


class _Graph:
    """Knows the layers of a model by name, and which of their calls is the first one told."""

    def __init__(self, layers: list[dict[str, Any]]) -> None:
        self.classes = {layer["name"]: layer["class_name"] for layer in layers}
        calls = {layer["name"]: len(layer.get("inbound_nodes", ())) for layer in layers}
        told: dict[str, set[int]] = {name: set() for name in calls}
        for layer in layers:
            for name, index in self._references(layer.get("inbound_nodes", ())):
                told[name].add(index)
        # A model's call on its own inputs comes first; since TensorFlow 2 it counts.
        self.first = {
            name: int(
                self.classes[name] in _MODELS
                and (calls[name] in told[name] or (bool(told[name]) and 0 not in told[name]))
            )
            for name in calls
        }
        self.known = {name for name in calls if told[name]}

    def _is_reference(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in self.classes
            and isinstance(value[1], int)
            and isinstance(value[2], int)
        )

    def _references(self, value: Any) -> Iterator[tuple[str, int]]:
        if self._is_reference(value):
            yield value[0], value[1]
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from self._references(item)

    def tensors(self, value: Any) -> Any:
        """Returns a structure with the tensors that it refers to in Keras 3's form."""
        if isinstance(value, list) and len(value) == 4 and value[0] == _CONSTANT:
            return value[2]
        if self._is_reference(value):
            name, index, number = value[:3]
            history = [name, index - self.first[name], number]
            return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}
        if isinstance(value, dict):
            return {key: self.tensors(item) for key, item in value.items()}
        return [self.tensors(item) for item in value] if isinstance(value, list) else value

    def node(self, class_name: str, node: Any) -> dict[str, Any]:
        """Returns the arguments of one call."""
        entry = node
        while isinstance(entry, dict) or (isinstance(entry, list) and isinstance(entry[0], list)):
            entry = next(iter(entry.values())) if isinstance(entry, dict) else entry[0]
        kwargs = self.tensors(entry[3] if len(entry) > 3 else {})
        if isinstance(node, list) and len(node) == 1:
            node = node[0]
        first = self.tensors(node)
        if class_name in _RECURRENT and isinstance(first, list):
            first, *states = first
            kwargs["initial_state"] = states
        return {"args": [first], "kwargs": kwargs}

    def ends(self, told: Any) -> Any:
        """Returns the places of a model's inputs or outputs; one stands by itself."""
        if isinstance(told, dict):
            return {key: self.ends(value) for key, value in told.items()}
        if not self._is_reference(told):
            return self.ends(told[0]) if len(told) == 1 else [self.ends(end) for end in told]
        name, index, number = told[:3]
        is_model = self.classes[name] in _MODELS
        first = self.first[name] if name in self.known else int(is_model and index > 0)
        return [name, index - first + int(self.classes[name] == "Functional"), number]
