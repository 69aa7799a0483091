"""Models that are graphs of layers."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from cornu import tree
from cornu.layers.calling import describe
from cornu.layers.defaults import mark_default
from cornu.layers.input_layer import Input, InputLayer
from cornu.layers.input_spec import InputSpec
from cornu.layers.layer import Layer
from cornu.models import planned
from cornu.models.model import Model, takes_functional_arguments
from cornu.ops.function import Function, map_graph
from cornu.ops.operation import Node, Operation
from cornu.ops.symbolic import KerasTensor
from cornu.tensor import Tensor, convert_to_tensor, holds_strings
from cornu.training.trainer import Trainer


class Functional(Function, Model):
    """The model between symbolic inputs and outputs; see `Model`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Functional":
        return Model.__new__(cls, *args, **kwargs)

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        if isinstance(inputs, dict):
            _warn_of_names(inputs)
        trainable = kwargs.pop("trainable", None)
        _check_symbolic("inputs", inputs)
        _check_symbolic("outputs", outputs)
        if not all(_is_input(tensor) for tensor in tree.flatten(inputs)):
            inputs, outputs = _with_new_inputs(inputs, outputs)
        Trainer.__init__(self)
        Layer.__init__(self, name=name, **kwargs)
        self._init_graph(inputs, outputs)
        self._tracker.layers[:] = [op for op in self._operations if isinstance(op, Layer)]
        if trainable is not None:
            self._trainable = bool(trainable)
        self.built = True
        # Inputs are converted to the dtypes of the model's own inputs.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.output_names = [x._keras_history.operation.name for x in self._outputs]

    @property
    def layers(self) -> list[Layer]:
        """The layers, those that are computed first first."""
        return [operation for operation in self._operations if isinstance(operation, Layer)]

    @layers.setter
    def layers(self, value: Any) -> None:
        Model.layers.fset(self, value)

    @property
    def input(self) -> Any:
        """The symbolic inputs, as they were given."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic outputs, as they were given."""
        return self._outputs_struct

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [x._keras_history.operation.name for x in self._inputs]

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a structure of shapes."""
        return _shapes(self._inputs_struct)

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a structure of shapes."""
        return _shapes(self._outputs_struct)

    @property
    def input_spec(self) -> Any:
        """What the inputs must be."""
        if "_manual_input_spec" in self.__dict__:
            return self._manual_input_spec

        def spec(x: KerasTensor, name: str) -> InputSpec:
            optional = getattr(x._keras_history.operation, "optional", False)
            return InputSpec(
                shape=(None, *x.shape[1:]),
                allow_last_axis_squeeze=True,
                name=name,
                optional=optional,
            )

        struct = self._inputs_struct
        if isinstance(struct, dict) and all(not tree.is_nested(value) for value in struct.values()):
            return [spec(struct[name], name) for name in sorted(struct)]
        return [spec(x, name) for x, name in zip(self._inputs, self.input_names, strict=True)]

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self._manual_input_spec = value

    def build(self, input_shape: Any) -> None:
        """Does nothing: the layers of a graph are built."""

    def get_build_config(self) -> dict[str, Any]:
        """Returns no shape: the layers of a graph are built."""
        return {"input_shape": None}

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Does nothing: the layers of a graph are built."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if planned.applies(args, kwargs) and planned.is_plannable(self):
            return planned.call(self, args[0], **kwargs)
        return super().__call__(*args, **kwargs)

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Returns symbolic outputs for symbolic inputs."""
        return self._run_through_graph(
            self._standardized(inputs), lambda operation: operation.compute_output_spec
        )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Computes the outputs.

        Args:
            inputs: a tensor or a structure of tensors, or a dict by the names of the inputs.
            training: whether layers behave as in training.
            mask: mask, or masks, of the inputs.
        """
        inputs = self._standardized(inputs)
        if mask is not None:
            for x, x_mask in zip(inputs, tree.flatten(mask), strict=True):
                if x_mask is not None:
                    x._keras_mask = x_mask
        return self._run_through_graph(inputs, lambda op: _with_training(op, training))

    def _flat_inputs(self, inputs: Any) -> list[Any]:
        """Returns the inputs in the order of the model's own, a dict's by name."""
        struct = self._inputs_struct
        if not isinstance(inputs, dict):
            return tree.flatten(inputs)
        names = (
            sorted(struct)
            if isinstance(struct, dict)
            and not any(tree.is_nested(value) for value in struct.values())
            else self.input_names
        )
        if set(names) <= inputs.keys():
            return [inputs[name] for name in names]
        if not isinstance(struct, dict):
            raise ValueError(
                f"The structure of the inputs of '{self.name}' doesn't match the expected "
                f"structure. Expected: {tree.map_structure(lambda x: x.name, struct)}\n"
                f"Received: a dict with the keys {list(inputs)}"
            )
        return tree.flatten(inputs)

    def _standardized(self, inputs: Any) -> list[Any]:
        """Returns the inputs as flat tensors of the dtypes and ranks of the model's own."""
        flat = self._flat_inputs(inputs)
        if len(flat) != len(self._inputs):
            raise ValueError(
                f'Layer "{self.name}" expects {len(self._inputs)} input(s), but it received '
                f"{len(flat)} input tensors. Inputs received: {describe(inputs)}"
            )
        return [
            None if x is None else _fitted(x, own, index)
            for index, (x, own) in enumerate(zip(flat, self._inputs, strict=True))
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the graph as plain data: layers, their calls, inputs and outputs."""
        if not takes_functional_arguments(type(self)):
            return Model.get_config(self)
        from cornu import saving

        places = self._node_places()
        layers = []
        for operation in self._operations:
            entry = saving.serialize_keras_object(operation)
            entry["name"] = operation.name
            entry["inbound_nodes"] = [
                _node_config(node, places)
                for node in operation._inbound_nodes
                if id(node) in places and not node.is_input
            ]
            layers.append(entry)

        def history(x: KerasTensor) -> list:
            name, node_index, tensor_index = _history(x, places)
            return [name, node_index + _first_call(x._keras_history.operation), tensor_index]

        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "input_layers": tree.map_structure(history, self._inputs_struct),
            "output_layers": tree.map_structure(history, self._outputs_struct),
        }

    def _node_places(self) -> dict[int, int]:
        """Returns, for each node of the graph, its place among those of its operation."""
        own = {id(node) for node in self._nodes}
        places: dict[int, int] = {}
        for operation in self._operations:
            nodes = [node for node in operation._inbound_nodes if id(node) in own]
            places.update({id(node): place for place, node in enumerate(nodes)})
        return places


mark_default(Functional, "get_config")


def _shapes(struct: Any) -> Any:
    shapes = tree.map_structure(lambda x: x.shape, struct)
    if isinstance(struct, list | tuple) and len(struct) == 1 and not tree.is_nested(struct[0]):
        return shapes[0]
    if isinstance(struct, dict) and len(struct) == 1:
        return next(iter(shapes.values()))
    return shapes


def _with_training(operation: Operation, training: bool | None) -> Callable:
    """Returns the call of an operation with `training` set, where it takes it."""
    if training is None or not getattr(operation, "_call_has_training_arg", False):
        return operation

    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs["training"] = training
        return operation(*args, **kwargs)

    return call


def _fitted(x: Any, own: KerasTensor, index: int) -> Any:
    """Returns an input in the dtype of the model's own, and with or without a last axis of 1."""
    from cornu import ops

    mask = getattr(x, "_keras_mask", None)
    shapes = ops  # what changes a shape
    if holds_strings(x) or (own.dtype == "string" and not isinstance(x, KerasTensor)):
        x, shapes = np.asarray(x), np
    elif not isinstance(x, Tensor | KerasTensor):
        x = convert_to_tensor(x, dtype=own.dtype)
    elif x.dtype != own.dtype:
        x = ops.cast(x, own.dtype)
    rank, expected = len(x.shape), len(own.shape)
    if rank == expected + 1 and x.shape[-1] == 1:
        x = shapes.squeeze(x, axis=-1)
    elif rank == expected - 1 and own.shape[-1] == 1:
        x = shapes.expand_dims(x, axis=-1)
    elif rank != expected:
        raise ValueError(
            f"Invalid input shape for input {x} with name '{own.name}' and path '{index}'. "
            f"Expected shape {own.shape}, but input has incompatible shape {tuple(x.shape)}"
        )
    if mask is not None and getattr(x, "_keras_mask", None) is None:
        x._keras_mask = mask
    return x


def _is_input(x: KerasTensor) -> bool:
    return isinstance(x._keras_history.operation, InputLayer)


def _check_symbolic(argument: str, struct: Any) -> None:
    for x in tree.flatten(struct):
        if not isinstance(x, KerasTensor):
            raise ValueError(
                f"All `{argument}` values must be KerasTensors. Received: {argument}={struct} "
                f"including invalid value {x} of type {type(x)}"
            )
        if not hasattr(x, "_keras_history"):
            raise ValueError(
                f"All `{argument}` values must come from `Input` or a call of a layer. "
                f"Received: {x}"
            )


def _warn_of_names(inputs: dict[str, Any]) -> None:
    for key, x in inputs.items():
        if isinstance(x, KerasTensor) and key != x.name:
            warnings.warn(
                "When providing `inputs` as a dict, all keys in the dict must match the names of "
                f"the corresponding tensors. Received key '{key}' mapping to value {x} which has "
                f"name '{x.name}'. Change the tensor name to '{key}' (via `Input(..., "
                f"name='{key}')`)",
                stacklevel=4,
            )


def _with_new_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Returns inputs and outputs of a copy of the graph that starts at intermediate tensors.

    The layers are the same; the calls in the copy are added to theirs.
    """
    values: dict[int, KerasTensor] = {}
    for x in tree.flatten(inputs):
        if id(x) not in values:
            values[id(x)] = (
                x
                if _is_input(x)
                else Input(batch_shape=x.shape, dtype=x.dtype, name=f"{x.name}CLONE")
            )
    graph = map_graph(tree.flatten(inputs), tree.flatten(outputs))
    for node in graph.nodes:
        if all(id(x) in values for x in node.outputs):
            continue
        args, kwargs = node.fill_in(values)
        copies = [
            KerasTensor(x.shape, dtype=x.dtype, sparse=x.sparse, ragged=x.ragged)
            for x in node.outputs
        ]
        Node(node.operation, args, kwargs, copies)
        for x, copy in zip(node.outputs, copies, strict=True):
            values[id(x)] = copy

    def replaced(x: KerasTensor) -> KerasTensor:
        return values[id(x)]

    return tree.map_structure(replaced, inputs), tree.map_structure(replaced, outputs)


# Configs


def _history(x: KerasTensor, places: dict[int, int]) -> list:
    operation, index, tensor_index = x._keras_history
    return [operation.name, places[id(operation._inbound_nodes[index])], tensor_index]


def _node_config(node: Node, places: dict[int, int]) -> dict[str, Any]:
    from cornu import saving

    def stored(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return saving.serialize_keras_object(leaf)
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": leaf.shape,
                "dtype": leaf.dtype,
                "keras_history": _history(leaf, places),
            },
        }

    return {
        "args": tree.map_structure(stored, node.args),
        "kwargs": tree.map_structure(stored, node.kwargs),
    }


def _first_call(operation: Operation) -> int:
    """Returns the number of an operation's first call where a config tells inputs and outputs.

    Keras counts the calls of functional models from 1 there.
    """
    return 1 if isinstance(operation, Functional) else 0


class _Rebuilder:
    """Makes the layers of a stored graph and repeats their calls."""

    def __init__(self, custom_objects: Any) -> None:
        self.custom_objects = custom_objects
        self.operations: dict[str, Operation] = {}
        # What the repeated calls gave: a shared model brings others, which it was made of or which
        # another model makes.
        self.outputs: dict[str, list[list[KerasTensor]]] = {}

    def tensor(self, history: list) -> KerasTensor:
        """Returns the tensor at a stored place.

        Raises:
            LookupError: if the call that gives it was not repeated yet.
        """
        name, node_index, tensor_index = history[:3]
        return self.outputs[name][node_index][tensor_index]

    def add_operation(self, stored: dict[str, Any]) -> None:
        from cornu import saving

        name = stored["name"]
        if "module" not in stored:
            stored = {**stored, "module": None, "registered_name": None}
        operation = saving.deserialize_keras_object(stored, custom_objects=self.custom_objects)
        if not isinstance(operation, Operation):
            raise ValueError(
                "Unexpected object from deserialization, expected a layer or operation, got a "
                f"{type(operation)}"
            )
        operation.name = name
        self.operations[name] = operation
        is_input = isinstance(operation, InputLayer)
        self.outputs[name] = [node.outputs for node in operation._inbound_nodes if is_input]

    def repeat(self, name: str, node: dict[str, Any]) -> None:
        args, kwargs = self._filled(node["args"]), self._filled(node["kwargs"])
        operation = self.operations[name]
        if type(operation).__name__ == "GetItem":  # JSON made the tuple of an index a list
            args = tuple(tuple(key) if isinstance(key, list) else key for key in args)
        self.outputs[name].append(tree.flatten(operation(*args, **kwargs)))

    def _filled(self, stored: Any) -> Any:
        from cornu import saving

        if isinstance(stored, dict):
            if stored.get("class_name") == "__keras_tensor__":
                return self.tensor(stored["config"]["keras_history"])
            if "class_name" in stored and "config" in stored:
                return saving.deserialize_keras_object(stored, custom_objects=self.custom_objects)
            return {key: self._filled(value) for key, value in stored.items()}
        if isinstance(stored, list | tuple):
            return type(stored)(self._filled(value) for value in stored)
        return stored


def functional_from_config(
    cls: type, config: dict[str, Any], custom_objects: Any = None
) -> Functional:
    """Returns the model that `Functional.get_config` told.

    Args:
        cls: class of the model.
        config: the graph as plain data.
        custom_objects: classes and functions of one's own by name.

    Raises:
        ValueError: if a call needs a tensor that no call gives.
    """
    rebuilder = _Rebuilder(custom_objects)
    for stored in config["layers"]:
        rebuilder.add_operation(stored)
    pending = [
        (stored["name"], list(stored["inbound_nodes"]))
        for stored in config["layers"]
        if stored["inbound_nodes"]
    ]
    while pending:
        waiting = []
        for name, nodes in pending:
            while nodes:
                try:
                    rebuilder.repeat(name, nodes[0])
                except LookupError:
                    waiting.append((name, nodes))
                    break
                nodes.pop(0)
        if len(waiting) == len(pending) and sum(len(n) for _, n in waiting) == sum(
            len(n) for _, n in pending
        ):
            raise ValueError(
                f"The config of the model is broken: the inputs of {waiting[0][0]!r} are given "
                "by no layer."
            )
        pending = waiting

    def tensors(stored: Any) -> Any:
        if isinstance(stored, list | tuple) and len(stored) == 3 and isinstance(stored[0], str):
            name, node_index, tensor_index = stored
            node_index -= _first_call(rebuilder.operations[name])
            return rebuilder.tensor([name, max(node_index, 0), tensor_index])
        if isinstance(stored, dict):
            return {key: tensors(value) for key, value in stored.items()}
        return type(stored)(tensors(value) for value in stored)

    arguments = {key: config[key] for key in ("name", "trainable") if key in config}
    return cls(
        inputs=tensors(config["input_layers"]),
        outputs=tensors(config["output_layers"]),
        **arguments,
    )
