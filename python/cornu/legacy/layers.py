"""Attributes and layers that Keras 2 has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import tree


class _Old:
    """An attribute that a subclass or an instance may replace by its own.

    Args:
        get: what it is of a layer.
    """

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self.get = get
        self.__doc__ = get.__doc__

    def __get__(self, layer: Any, owner: type) -> Any:
        return self if layer is None else self.get(layer)


def _shapes(tensors: Any) -> Any:
    return tree.map_structure(lambda tensor: tensor.shape, tensors)


class OldAttributes:
    """What Keras 2's layers tell of their calls."""

    @_Old
    def input_shape(self) -> Any:
        """The shape of the input of the only call, with None for unknown sizes."""
        return _shapes(self.input)

    @_Old
    def output_shape(self) -> Any:
        """The shape of the output of the only call, with None for unknown sizes."""
        return _shapes(self.output)

    @_Old
    def inbound_nodes(self) -> list[Any]:
        """The calls of the layer."""
        return list(self._inbound_nodes)

    @_Old
    def outbound_nodes(self) -> list[Any]:
        """The calls of other layers on its outputs."""
        return list(self._outbound_nodes)

    @_Old
    def updates(self) -> list[Any]:
        """Nothing: layers set their variables in their calls."""
        return []

    def get_input_at(self, node_index: int) -> Any:
        """Returns the inputs of the call of this number."""
        return self._tensors_at(node_index, "input_tensors")

    def get_output_at(self, node_index: int) -> Any:
        """Returns the outputs of the call of this number."""
        return self._tensors_at(node_index, "outputs")

    def get_input_shape_at(self, node_index: int) -> Any:
        """Returns the shapes of the inputs of the call of this number."""
        return _shapes(self.get_input_at(node_index))

    def get_output_shape_at(self, node_index: int) -> Any:
        """Returns the shapes of the outputs of the call of this number."""
        return _shapes(self.get_output_at(node_index))

    def _tensors_at(self, node_index: int, attribute: str) -> Any:
        nodes = self._inbound_nodes
        if node_index >= len(nodes):
            raise ValueError(
                f"Asked for call {node_index} of layer '{self.name}', which was called "
                f"{len(nodes)} times on symbolic tensors."
            )
        tensors = list(getattr(nodes[node_index], attribute))
        return tensors[0] if len(tensors) == 1 else tensors


def CuDNNLSTM(units: int, **kwargs: Any) -> Any:
    """Returns an `LSTM`: the layer for graphics processors computes what that does."""
    from cornu.layers import LSTM

    return LSTM(units, **kwargs)


def CuDNNGRU(units: int, **kwargs: Any) -> Any:
    """Returns a `GRU`: the layer for graphics processors computes what that does."""
    from cornu.layers import GRU

    return GRU(units, reset_after=True, **kwargs)
