"""Functions made of a graph of operations."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cornu import tree
from cornu.ops.operation import Node, Operation
from cornu.ops.symbolic import KerasTensor


class Graph(NamedTuple):
    """The part of a graph between inputs and outputs.

    `nodes` and `operations` are in an order in which they can be computed.
    """

    nodes: list[Node]
    nodes_by_depth: dict[int, list[Node]]
    operations: list[Operation]
    operations_by_depth: dict[int, list[Operation]]


def _node_of(tensor: KerasTensor) -> Node:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def map_graph(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> Graph:
    """Returns the graph between `inputs` and `outputs`.

    The depth of an operation is the longest way from it to an output; within a depth, operations
    stand in the order in which a walk back from the outputs meets them.

    Raises:
        ValueError: if an output needs an input that is not given, the graph has a cycle, or two
            operations have the same name.
    """
    known = {id(tensor) for tensor in inputs}
    ordered, met = _walk(outputs, known)

    node_depths: dict[int, int] = {}
    depths: dict[int, int] = {}
    for node in reversed(ordered):
        key = id(node.operation)
        depth = max(node_depths.get(id(node), 0), depths.get(key, 0))
        depths[key] = node_depths[id(node)] = depth
        if not _ends_at(node, known):
            for parent in node.parent_nodes:
                node_depths[id(parent)] = max(node_depths.get(id(parent), 0), depth + 1)

    operations = {id(node.operation): node.operation for node in ordered}
    for tensor in inputs:  # inputs that no output needs
        operation = tensor._keras_history.operation
        if id(operation) not in depths:
            node = _node_of(tensor)
            depths[id(operation)] = node_depths[id(node)] = 0
            operations[id(operation)] = operation
            met.setdefault(id(operation), -1)
            ordered.append(node)

    operations_by_depth = _by_depth(
        sorted(operations.values(), key=lambda operation: met[id(operation)]),
        lambda operation: depths[id(operation)],
    )
    nodes_by_depth = _by_depth(ordered, lambda node: node_depths[id(node)])
    flat = [operation for group in operations_by_depth.values() for operation in group]
    _check_connected(nodes_by_depth, known)
    _check_names(flat)
    nodes = [node for group in nodes_by_depth.values() for node in group]
    return Graph(nodes, nodes_by_depth, flat, operations_by_depth)


def _ends_at(node: Node, known: set[int]) -> bool:
    """Returns whether the walk back stops at `node`: it gives an input of the function."""
    return node.is_input or any(id(tensor) in known for tensor in node.outputs)


def _walk(outputs: list[KerasTensor], known: set[int]) -> tuple[list[Node], dict[int, int]]:
    """Returns nodes, each after those it needs, and the order in which operations are met."""
    ordered: list[Node] = []
    met: dict[int, int] = {}
    done: set[int] = set()
    open_nodes: set[int] = set()
    for output in outputs:
        pending = [(_node_of(output), False)]
        while pending:
            node, finished = pending.pop()
            if finished:
                open_nodes.discard(id(node))
                done.add(id(node))
                ordered.append(node)
                continue
            if id(node) in done:
                continue
            if id(node) in open_nodes:
                raise ValueError(
                    f"Tensor from operation '{node.operation.name}' is part of a cycle."
                )
            met.setdefault(id(node.operation), len(met))
            open_nodes.add(id(node))
            pending.append((node, True))
            if not _ends_at(node, known):
                # Each input in turn, like a recursive walk.
                parents = [_node_of(tensor) for tensor in node.input_tensors]
                pending.extend((parent, False) for parent in reversed(parents))
    return ordered, met


def _by_depth(items: list, depth_of: Callable[[Any], int]) -> dict[int, list]:
    groups: dict[int, list] = {}
    for item in items:
        groups.setdefault(depth_of(item), []).append(item)
    return dict(sorted(groups.items(), reverse=True))


def _check_connected(nodes_by_depth: dict[int, list[Node]], known: set[int]) -> None:
    computable = set(known)
    computed: list[str] = []
    for group in nodes_by_depth.values():
        for node in group:
            if any(id(tensor) in known for tensor in node.outputs):
                continue
            for tensor in node.input_tensors:
                if id(tensor) not in computable:
                    raise _disconnected(tensor, node.operation, computed)
            if node.is_input:
                raise _disconnected(node.outputs[0], node.operation, computed)
            computable.update(id(tensor) for tensor in node.outputs)
            computed.append(node.operation.name)


def _disconnected(tensor: KerasTensor, operation: Operation, computed: list[str]) -> ValueError:
    return ValueError(
        f"Graph disconnected: cannot find parent for tensor {tensor} at operation "
        f"'{operation.name}'. The following previous operations were accessed without issue: "
        f"{computed}"
    )


def _check_names(operations: list[Operation]) -> None:
    names: set[str] = set()
    for operation in operations:
        if operation.name in names:
            raise ValueError(
                f'The name "{operation.name}" is used more than once in the model. All operation '
                "names should be unique."
            )
        names.add(operation.name)


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """Returns the inputs that a symbolic tensor is computed from.

    Args:
        tensor: a symbolic tensor.
    """
    if not hasattr(tensor, "_keras_history"):
        return [tensor]
    sources: dict[int, KerasTensor] = {}
    pending, seen = [_node_of(tensor)], set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.is_input:
            sources.update({id(output): output for output in node.outputs})
        pending.extend(reversed(node.parent_nodes))
    return list(sources.values())


class Function(Operation):
    """The computation between symbolic inputs and outputs.

    Args:
        inputs: symbolic tensors, in any structure.
        outputs: symbolic tensors that are computed from them, in any structure.
        name: a name, else one is made.

    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        self._init_graph(inputs, outputs)

    def _init_graph(self, inputs: Any, outputs: Any) -> None:
        self._inputs_struct = tree.map_structure(lambda x: x, inputs)
        self._outputs_struct = tree.map_structure(lambda x: x, outputs)
        self._inputs = tree.flatten(self._inputs_struct)
        self._outputs = tree.flatten(self._outputs_struct)
        if not self._inputs:
            raise ValueError(
                f"`inputs` argument cannot be empty. Received:\ninputs={inputs}\noutputs={outputs}"
            )
        if not self._outputs:
            raise ValueError(
                f"`outputs` argument cannot be empty. Received:\ninputs={inputs}\noutputs={outputs}"
            )
        graph = map_graph(self._inputs, self._outputs)
        self._nodes = graph.nodes
        self._nodes_by_depth = graph.nodes_by_depth
        self._operations = graph.operations
        self._operations_by_depth = graph.operations_by_depth
        known = {id(tensor) for tensor in self._inputs}
        self._order = [
            node
            for node in graph.nodes
            if not node.is_input and not all(id(tensor) in known for tensor in node.outputs)
        ]

    def __getstate__(self) -> dict[str, Any]:
        # The graph as a flat list of calls: its own links are as deep as the graph.
        state = super().__getstate__()
        for name in _OF_GRAPH:
            del state[name]
        state["_calls"] = [(n.operation, n.args, n.kwargs, n.outputs) for n in self._nodes]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        calls = state.pop("_calls")
        super().__setstate__(state)
        for operation, args, kwargs, outputs in calls:
            # Another function that is restored too may hold the same call.
            if not hasattr(outputs[0], "_keras_history"):
                Node(operation, args, kwargs, outputs)
        self._init_graph(self._inputs_struct, self._outputs_struct)

    @property
    def operations(self) -> list[Operation]:
        """The operations, those that are computed first first."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return list(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return list(self._outputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Returns symbolic outputs for symbolic inputs."""
        self._check_structure(inputs)
        return self._run_through_graph(inputs, lambda operation: operation.compute_output_spec)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shapes of the outputs for shapes of the inputs."""
        shapes = _flat_shapes(input_shape)
        if len(shapes) != len(self._inputs):
            raise ValueError(
                f"Expected {len(self._inputs)} input shapes, received {len(shapes)}: {input_shape}"
            )
        tensors = [
            KerasTensor(shape, dtype=x.dtype) for shape, x in zip(shapes, self._inputs, strict=True)
        ]
        inputs = tree.pack_sequence_as(self._inputs_struct, tensors)
        outputs = self._run_through_graph(inputs, lambda op: op.compute_output_spec)
        return tree.map_structure(lambda x: x.shape, outputs)

    def call(self, inputs: Any) -> Any:
        """Computes the outputs."""
        self._check_structure(inputs)
        return self._run_through_graph(inputs)

    def _run_through_graph(
        self, inputs: Any, operation_fn: Callable[[Operation], Callable] | None = None
    ) -> Any:
        """Returns the outputs for inputs, calling `operation_fn(operation)` for each node."""
        values: dict[int, Any] = {}
        for symbolic, value in zip(self._inputs, tree.flatten(inputs), strict=True):
            values[id(symbolic)] = value
        for node in self._order:
            args, kwargs = node.fill_in(values)
            call = node.operation if operation_fn is None else operation_fn(node.operation)
            results = call(*args, **kwargs)
            tensors = tree.flatten(results) if tree.is_nested(results) else (results,)
            for symbolic, value in zip(
                node.outputs, (t for t in tensors if t is not None), strict=True
            ):
                values[id(symbolic)] = value
        return tree.map_structure(lambda x: values[id(x)], self._outputs_struct)

    def _check_structure(self, inputs: Any) -> None:
        try:
            tree.assert_same_structure(inputs, self._inputs_struct)
        except ValueError:
            raise ValueError(
                "Function was called with an invalid input structure. Expected input structure: "
                f"{self._inputs_struct}\nReceived input structure: {inputs}"
            ) from None
        for x, expected in zip(tree.flatten(inputs), self._inputs, strict=True):
            if len(x.shape) != len(expected.shape):
                raise ValueError(
                    f"{type(self).__name__} was passed incompatible inputs. For input "
                    f"{expected.name}: expected shape {expected.shape}, but received input of "
                    f"shape {tuple(x.shape)}."
                )


_OF_GRAPH = (
    "_inputs",
    "_nodes",
    "_nodes_by_depth",
    "_operations",
    "_operations_by_depth",
    "_order",
    "_outputs",
)


def _flat_shapes(structure: Any) -> list[tuple]:
    shapes: list[tuple] = []
    tree.map_shape_structure(lambda shape: shapes.append(tuple(shape)), structure)
    return shapes
