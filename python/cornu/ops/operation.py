"""Operations and their calls, the nodes of a model's graph."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from cornu import tree
from cornu.naming import auto_name, checked_name
from cornu.ops import keras_names
from cornu.ops.symbolic import KerasHistory, KerasTensor, any_symbolic, infer


class Node:
    """One call of an operation on symbolic tensors.

    Args:
        operation: what was called.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.
        outputs: what it returned.
    """

    def __init__(self, operation: "Operation", args: tuple, kwargs: dict, outputs: Any) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.outputs = [x for x in tree.flatten(outputs) if isinstance(x, KerasTensor)]
        self.input_tensors = [x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)]
        index = len(operation._inbound_nodes)
        operation._inbound_nodes.append(self)
        for history in self._origins():
            history.operation._outbound_nodes.append(self)
        for i, tensor in enumerate(self.outputs):
            tensor._keras_history = KerasHistory(operation, index, i)

    @property
    def is_input(self) -> bool:
        """Whether it is the start of a graph."""
        return not self.input_tensors

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """What the call returned, flat."""
        return self.outputs

    @property
    def parent_nodes(self) -> list["Node"]:
        """The nodes that its inputs come from, each once."""
        parents: dict[int, Node] = {}
        for history in self._origins():
            parent = history.operation._inbound_nodes[history.node_index]
            parents[id(parent)] = parent
        return list(parents.values())

    def _origins(self) -> list[KerasHistory]:
        """Returns where its inputs come from; one made by hand comes from nowhere."""
        origins = (getattr(tensor, "_keras_history", None) for tensor in self.input_tensors)
        return [origin for origin in origins if origin is not None]

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple, dict]:
        """Returns the call's arguments with `values[id(tensor)]` for each symbolic tensor."""

        def filled(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        return tree.map_structure(filled, self.args), tree.map_structure(filled, self.kwargs)

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}, id={id(self)}>"


class Operation:
    """Something that is called on tensors, real or symbolic.

    A subclass defines `call`; the constructor's arguments make up its config.

    Args:
        name: a name, else one is made from that of the class.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> "Operation":
        self = object.__new__(cls)
        # The arguments as they were given: they are the config of a class that tells none.
        object.__setattr__(self, "_init_args", (args, kwargs))
        return self

    def __init__(self, name: str | None = None) -> None:
        self.name = checked_name(auto_name(type(self).__name__) if name is None else name)
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs with quantized weights, where the operation has some."""
        raise NotImplementedError(f"{type(self).__name__} can't be quantized.")

    def rematerialized_call(self, fn: Callable, *args: Any, **kwargs: Any) -> Callable:
        """Returns `fn`, whose intermediate results may be computed again for gradients."""
        from cornu.rematerialization import remat

        return remat(fn)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Returns symbolic tensors for a call on symbolic tensors, and records the call."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the symbolic tensors that `call` gives; it runs `call` without values."""
        return infer(self.call, *args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must implement the method `call`.")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data.

        Raises:
            NotImplementedError: if an argument is not plain and the class doesn't tell its own.
        """
        return {"name": self.name} | self._constructor_config()

    def _constructor_config(self) -> dict[str, Any]:
        """Returns the arguments that the constructor was given, serialized."""
        from cornu import saving

        args, kwargs = self._init_args
        signature = inspect.signature(type(self).__init__)
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            raise self._needs_config() from None
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                config.update(value)
            elif kind is inspect.Parameter.VAR_POSITIONAL:
                if value:
                    raise self._needs_config()
            else:
                config[name] = value
        if config.get("name") is None:
            config.pop("name", None)
        if any(getattr(x, "__name__", "") == "<lambda>" for x in tree.flatten(config)):
            raise self._needs_config()
        try:
            return {key: saving.serialize_keras_object(value) for key, value in config.items()}
        except (TypeError, ValueError, NotImplementedError):
            raise self._needs_config() from None

    def _needs_config(self) -> NotImplementedError:
        name = type(self).__name__
        return NotImplementedError(
            f"Object {name} was created by passing non-serializable argument values in "
            f"`__init__()`, and therefore the class {name} must define `get_config()`: it "
            "returns the arguments of the constructor as plain data, beside those of "
            "`super().get_config()`."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Operation":
        """Returns an operation made from what `get_config` returned.

        Raises:
            TypeError: if the constructor doesn't take these arguments.
        """
        config = dict(config)
        dtype = config.get("dtype")
        if isinstance(dtype, dict) and "class_name" in dtype:
            from cornu import dtype_policies

            config["dtype"] = dtype_policies.deserialize(dtype)
        try:
            return cls(**config)
        except Exception as error:
            raise TypeError(
                f"Error when deserializing class '{cls.__name__}' using config={config}.\n\n"
                f"Exception encountered: {error}"
            ) from error

    def _node_attribute(self, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined {what}."
            )
        return getattr(self._inbound_nodes[0], attribute)

    @property
    def input(self) -> Any:
        """The symbolic tensor, or tensors, that it was called on first."""
        tensors = self._node_attribute("input_tensors", "input")
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The symbolic tensor, or tensors, that it gave first."""
        tensors = self._node_attribute("outputs", "output")
        return tensors[0] if len(tensors) == 1 else tensors

    # Copies and pickles belong to no graph: one that holds operations tells their calls itself.

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inbound_nodes": [], "_outbound_nodes": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"


class OpNode(Operation):
    """A call of a function of `cornu.ops` in a graph; each function has a subclass.

    The constructor takes the function's settings by name, `call` its operands.
    """

    definition: "OpDefinition"

    def __init__(self, *args: Any, name: str | None = None, **settings: Any) -> None:
        super().__init__(name=name)
        names = self.definition.settings
        self.settings = {**dict(zip(names, args, strict=False)), **settings}

    def __reduce__(self) -> tuple:
        return _restored, (self.definition.function.__name__,), self.__getstate__()

    def call(self, *operands: Any, **more: Any) -> Any:
        return self.definition.run(operands, {**self.settings, **more})

    def get_config(self) -> dict[str, Any]:
        from cornu import saving

        return {
            "name": self.name,
            **{key: saving.serialize_keras_object(v) for key, v in self.settings.items()},
        }


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class OpDefinition:
    """A function of `cornu.ops` and how a graph stores its calls.

    Args:
        function: the function.
    """

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.signature = inspect.signature(function)
        self.entry = keras_names.entry(function.__name__)
        names = list(self.signature.parameters)
        if self.entry.operands is None:
            self.operands = [
                name for name in names if self.signature.parameters[name].default is inspect._empty
            ]
        else:
            self.operands = [name for name in self.entry.operands if name in names]
        self.settings = [name for name in names if name not in self.operands]
        self.variadic = {
            name
            for name, parameter in self.signature.parameters.items()
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL
        }

    @functools.cached_property
    def operation(self) -> type[OpNode]:
        """The class of the calls."""
        return type(
            self.entry.class_name,
            (OpNode,),
            {
                "definition": self,
                "__module__": self.entry.module,
                "__doc__": f"A call of `ops.{self.function.__name__}` in a graph.",
            },
        )

    def symbolic_call(self, args: tuple, kwargs: dict) -> Any:
        """Records a call on symbolic tensors and returns symbolic tensors."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        operands: list[Any] = []
        for name in self.operands:
            value = bound.arguments[name]
            operands.extend(value) if name in self.variadic else operands.append(value)
        settings = {name: bound.arguments[name] for name in self.settings}
        more = {
            name: settings.pop(name)
            for name in self.settings
            if any_symbolic((settings[name],), {})
        }
        return self.operation(**settings).symbolic_call(*operands, **more)

    def run(self, operands: tuple, settings: dict) -> Any:
        """Calls the function with operands in their order and the other arguments by name."""
        arguments: dict[str, Any] = dict(settings)
        positional: list[Any] = []
        remaining = list(operands)
        for name, parameter in self.signature.parameters.items():
            if name in self.variadic:
                positional.extend(remaining)
                remaining = []
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(name, None) or {})
            elif name in self.operands and name not in arguments and remaining:
                arguments[name] = remaining.pop(0)
            if self.variadic and name in arguments and parameter.kind in _POSITIONAL:
                positional.append(arguments.pop(name))
        return self.function(*positional, **arguments)


def op(function: Callable) -> Callable:
    """Makes a function on tensors one of `cornu.ops`: on symbolic tensors it adds to a graph.

    Which arguments are tensors, and Keras's name of the call, stand in `keras_names`.

    >>> @op
    ... def double(x):
    ...     return x + x
    >>> double(KerasTensor((None, 3))).shape
    (None, 3)
    """
    definition = OpDefinition(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            if any_symbolic(args, kwargs):
                return definition.symbolic_call(args, kwargs)
            # Without keywords, Python makes one dictionary less.
            return function(*args, **kwargs) if kwargs else function(*args)
        except (ValueError, IndexError, TypeError) as error:
            raise _named(error, function.__name__) from None

    wrapper.definition = definition
    return wrapper


def _named(error: Exception, function_name: str) -> Exception:
    """Returns an error that names the function of `cornu.ops` that was called: the outermost."""
    message = getattr(error, "_of_inner_op", str(error))
    if type(error) not in _OF_ARGUMENTS or message.startswith(f"`{function_name}`"):
        return error
    named = type(error)(f"`{function_name}`: {message}")
    named._of_inner_op = message
    return named.with_traceback(error.__traceback__)


# The very classes: a trace that stops is no error of an argument.
_OF_ARGUMENTS = (ValueError, IndexError, TypeError, np.exceptions.AxisError)


def operation_class(module: str, class_name: str) -> type[OpNode] | None:
    """Returns the class of calls that a Keras config names, None if there is no such function.

    >>> operation_class("keras.src.ops.numpy", "Multiply").__name__
    'Multiply'
    """
    function = keras_names.function_name(module, class_name)
    if function is None:
        return None
    from cornu import ops

    found = getattr(ops, function, None)
    definition = getattr(found, "definition", None)
    return None if definition is None else definition.operation


def _restored(function_name: str) -> OpNode:
    """Returns a call of a function of `cornu.ops` that pickle fills in."""
    from cornu import ops

    cls = getattr(ops, function_name).definition.operation
    return cls.__new__(cls)
