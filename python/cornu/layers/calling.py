"""How a layer is called: what `call` and `build` take, and what the arguments are."""

import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cornu import _cornu, tree
from cornu.ops.symbolic import KerasTensor
from cornu.scopes import state
from cornu.tensor import Tensor, holds_strings, standardize_shape

# What a trace raises to its caller: it is tried again, and is no error of the layer.
_TRACING = (_cornu.TraceError, _cornu.SpecializeError)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Signature:
    """The parameters of a method, `self` left out.

    Args:
        function: the method, as the class has it.
    """

    def __init__(self, function: Callable) -> None:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self.bind = inspect.Signature(parameters).bind
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.names = [p.name for p in named]
        self.defaults = {p.name: p.default for p in named if p.default is not p.empty}
        self.takes_any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.first = next((p.name for p in parameters if p.kind in _POSITIONAL), None)
        self.takes_training = "training" in self.names
        self.takes_mask = "mask" in self.names
        self.mask_of = {name: f"{name}_mask" for name in self.names if f"{name}_mask" in self.names}

    def arguments(self, args: tuple, kwargs: dict) -> dict[str, Any]:
        """Returns the given arguments by name.

        Raises:
            TypeError: if the method can't be called with them.
        """
        if len(args) == 1 and not kwargs and self.first is not None:
            return {self.first: args[0]}
        given: dict[str, Any] = {}
        for name, value in self.bind(*args, **kwargs).arguments.items():
            if name not in self.names and isinstance(value, dict):
                given.update(value)
            else:
                given[name] = value
        return given


# By the `id` of a function, which is not kept: it may hold the class it is of, and more.
_signatures: dict[int, tuple[Signature, weakref.ref]] = {}


def signature_of(function: Callable) -> Signature:
    """Returns the signature of a method, worked out once."""
    key = id(function)
    known = _signatures.get(key)
    if known is None:
        reference = weakref.ref(function, lambda _: _signatures.pop(key, None))
        known = _signatures[key] = Signature(function), reference
    return known[0]


class CallContext:
    """What the layers inside one outermost call share.

    Args:
        entry_layer: the layer that was called first.
    """

    __slots__ = ("entry_layer", "training")

    def __init__(self, entry_layer: Any) -> None:
        self.entry_layer = entry_layer
        self.training: bool | None = None


@contextlib.contextmanager
def detached() -> Iterator[None]:
    """Inside, a call of a layer is an outermost one, whatever calls are running."""
    outer, state.call_context = state.call_context, None
    try:
        yield
    finally:
        state.call_context = outer


def is_tensor(value: Any) -> bool:
    """Returns whether `value` is a tensor, real or symbolic."""
    return isinstance(value, Tensor | KerasTensor)


def has_shape(value: Any) -> bool:
    """Returns whether `value` is a tensor, or an array of strings, which takes its place."""
    return is_tensor(value) or holds_strings(value)


def tensor_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments that are tensors or structures of tensors."""
    found = {}
    for name, value in arguments.items():
        if has_shape(value):
            found[name] = value
        elif tree.is_nested(value):
            leaves = [leaf for leaf in tree.flatten(value) if leaf is not None]
            if leaves and all(map(has_shape, leaves)):
                found[name] = value
    return found


def mask_of(value: Any) -> Any:
    """Returns the mask, or the structure of masks, of a tensor or structure; None if none."""
    if not tree.is_nested(value):
        return getattr(value, "_keras_mask", None)
    masks = tree.map_structure(lambda leaf: getattr(leaf, "_keras_mask", None), value)
    return masks if has_mask(masks) else None


def has_mask(masks: Any) -> bool:
    """Returns whether there is a mask in a structure of masks."""
    return any(mask is not None for mask in tree.flatten(masks))


def shape_of(value: Any) -> Any:
    """Returns the shape, or the structure of shapes, with None for unknown sizes."""
    if value is None:
        return None
    if tree.is_nested(value):
        return tree.map_structure(shape_of, value)
    return standardize_shape(value.shape)


def shapes_for(function: Callable, shapes: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `build` (or of another method of shapes) for shapes by argument.

    Args:
        function: the method; the shape of the argument `x` goes to `x_shape`, and a method
            of one argument gets the first shape.
        shapes: shapes by the names of arguments.
    """
    signature = signature_of(function)
    if len(signature.names) == 1 and not signature.takes_any_keyword:
        return {signature.names[0]: next(iter(shapes.values()))}
    if len(shapes) == 1:
        name, shape = next(iter(shapes.items()))
        expected = f"{name}_shape"
        if expected not in signature.names and signature.names:
            expected = signature.names[0]
        return {expected: shape}
    named = {f"{name}_shape": shape for name, shape in shapes.items()}
    if signature.takes_any_keyword:
        return named
    return {name: shape for name, shape in named.items() if name in signature.names}


def explained(error: Exception, layer: Any, arguments: dict[str, Any]) -> Exception | None:
    """Returns `error` with the layer and the arguments of its call told, None to leave it.

    The innermost layer explains an error; those around it leave it.
    """
    if getattr(error, "_keras_call_info_injected", False) or isinstance(error, _TRACING):
        return None
    lines = [f"  • {name}={describe(value)}" for name, value in arguments.items()]
    message = "\n".join(
        [
            f"Exception encountered when calling {type(layer).__name__}.call().",
            "",
            f"\x1b[1m{error}\x1b[0m",
            "",
            f"Arguments received by {type(layer).__name__}.call():",
            *lines,
        ]
    )
    try:
        new = type(error)(message)
    except Exception:
        new = RuntimeError(message)
    new._keras_call_info_injected = True
    return new.with_traceback(error.__traceback__)


def describe(value: Any) -> str:
    """Returns what a message says of a call argument."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{type(value).__name__}(shape={shape_of(value)}, dtype={value.dtype})"
    if tree.is_nested(value):
        return str(tree.map_structure(describe, value))
    return str(value)
