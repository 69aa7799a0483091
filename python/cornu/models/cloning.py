"""Copies of models with new weights."""

from collections.abc import Callable
from typing import Any

from cornu import tree
from cornu.layers.input_layer import Input, InputLayer
from cornu.layers.layer import Layer
from cornu.models.functional import Functional
from cornu.models.model import Model, takes_functional_arguments
from cornu.models.sequential import Sequential
from cornu.ops.operation import Operation
from cornu.ops.symbolic import KerasTensor


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """Returns a model of the same layers with new weights.

    Args:
        model: a functional or sequential model, or one that its config makes.
        input_tensors: symbolic tensors to use as inputs.
        clone_function: called with each layer, returns the layer to use in its place.
        call_function: called as `call_function(layer, *args, **kwargs)` for each call in a
            functional model, returns its outputs.
        recursive: whether the layers of models inside are cloned one by one too.

    Raises:
        ValueError: if an argument doesn't fit the kind of model.
    """
    kwargs.pop("cache", None)
    if kwargs:
        raise ValueError(f"Unexpected keyword argument(s): {tuple(kwargs)}")
    clone = clone_function or _clone_layer
    if recursive:
        inner = clone

        def clone(layer: Layer) -> Layer:
            if isinstance(layer, Functional | Sequential):
                return clone_model(
                    layer,
                    clone_function=clone_function,
                    call_function=call_function if isinstance(layer, Functional) else None,
                    recursive=True,
                )
            return inner(layer)

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(
                "`call_function` argument is not supported with Sequential models. In a "
                "Sequential model, layers aren't called at model-construction time (they're "
                "merely listed)."
            )
        return _clone_sequential(model, input_tensors, clone)
    if isinstance(model, Functional) and takes_functional_arguments(type(model)):
        return _clone_functional(model, input_tensors, clone, call_function)
    if clone_function is not None or input_tensors is not None or call_function is not None:
        raise ValueError(
            "Arguments `clone_function`, `call_function` and `input_tensors` are only supported "
            f"for Sequential models or Functional models. Received model of type "
            f"'{type(model).__name__}'"
        )
    return _clone_layer(model)


def _clone_layer(layer: Operation) -> Operation:
    """Returns an operation of the same config; functions are shared, not stored and rebuilt."""
    return type(layer).from_config(layer.get_config())


def _new_inputs(model: Model, input_tensors: Any) -> list[KerasTensor]:
    given = [None] * len(model.inputs) if input_tensors is None else tree.flatten(input_tensors)
    if len(given) != len(model.inputs):
        raise ValueError(f"Expected {len(model.inputs)} `input_tensors`, received {len(given)}.")
    new = []
    for own, x in zip(model.inputs, given, strict=True):
        layer = own._keras_history.operation
        if x is None:
            x = Input(batch_shape=own.shape, dtype=own.dtype, name=layer.name)
        elif not isinstance(x, KerasTensor):
            x = Input(tensor=x, name=layer.name)
        new.append(x)
    return new


def _clone_sequential(model: Sequential, input_tensors: Any, clone: Callable) -> Sequential:
    stack = model._layers
    layers: list[Any] = [clone(layer) for layer in model.layers]
    if input_tensors is not None:
        given = tree.flatten(input_tensors)
        if len(given) != 1:
            raise ValueError(
                "Argument `input_tensors` must contain a single tensor, as a Sequential model has "
                f"one input. Received: {len(given)} tensors"
            )
        layers.insert(0, given[0])
    elif stack and isinstance(stack[0], InputLayer):
        layers.insert(0, _clone_layer(stack[0]))
    return type(model)(layers, name=model.name, trainable=model.trainable)


def _clone_functional(
    model: Functional,
    input_tensors: Any,
    clone: Callable,
    call_function: Callable | None,
) -> Functional:
    clones: dict[int, Operation] = {}

    def cloned(operation: Operation) -> Operation:
        if id(operation) not in clones:
            is_layer = isinstance(operation, Layer)
            clones[id(operation)] = clone(operation) if is_layer else _clone_layer(operation)
        return clones[id(operation)]

    def call(operation: Operation) -> Callable:
        new = cloned(operation)
        if call_function is None or not isinstance(operation, Layer):
            return new
        return lambda *args, **kwargs: call_function(new, *args, **kwargs)

    inputs = _new_inputs(model, input_tensors)
    outputs = model._run_through_graph(inputs, call)
    struct = tree.pack_sequence_as(model._inputs_struct, inputs)
    return type(model)(struct, outputs, name=model.name)
