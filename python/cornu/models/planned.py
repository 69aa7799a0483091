"""Plain calls of models that are graphs of this package's own layers: they run as plans."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cornu import _cornu, compiled, tree
from cornu.layers.layer import Layer
from cornu.scopes import state
from cornu.tensor import Tensor, holds_strings
from cornu.tracking import Clock

_ARGUMENTS = {"training"}
_HOME = __name__.partition(".")[0]


def applies(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Returns whether a call may run as a plan: on real inputs, and nothing watches it."""
    if len(args) != 1 or state.call_context is not None or state.tapes or state.eager:
        return False
    if state.learning_phase is not None and "training" not in kwargs:
        return False
    if state.stateless is not None or not kwargs.keys() <= _ARGUMENTS or _cornu.tracing():
        return False
    return all(map(_is_plain, tree.flatten(args[0])))


def _is_plain(value: Any) -> bool:
    if type(value) is Tensor:
        return not hasattr(value, "_keras_mask")
    return isinstance(value, np.ndarray) and not holds_strings(value)


class _Planned:
    """What a model remembers: the traced call, and whether its present structure allows one."""

    __slots__ = ("allowed", "checked", "function", "version")

    def __init__(self) -> None:
        self.checked = self.version = -1
        self.allowed = False
        self.function: Callable | None = None

    def __reduce__(self) -> tuple:
        return _Planned, ()


def is_plannable(model: Layer) -> bool:
    """Returns whether all layers are this package's own and hold nothing that a plan can't give."""
    if model.run_eagerly:
        return False
    memory = model.__dict__.get("_planned")
    if memory is None:
        memory = _Planned()
        object.__setattr__(model, "_planned", memory)
    if memory.checked == Clock.now:
        return memory.allowed
    now, version = Clock.now, model.structure_version()
    memory.checked = now
    if memory.version != version:
        memory.version = version
        memory.allowed = all(_is_own(layer) for layer in model._flatten_layers())
    return memory.allowed


def _is_own(layer: Layer) -> bool:
    """Returns whether a layer runs no code of others and adds no losses in its call."""
    if not _from_here(type(layer)) or not layer.built or layer.activity_regularizer is not None:
        return False
    if type(layer).__name__ == "Lambda":
        return False
    return all(
        _from_here(type(value)) or _from_here(value)
        for value in vars(layer).values()
        if callable(value)
    )


def _from_here(value: Any) -> bool:
    module = getattr(value, "__module__", None) or ""
    return module.partition(".")[0] == _HOME


def call(model: Layer, inputs: Any, training: bool | None = None) -> Any:
    """Returns what the model gives, by a plan; by its layers where a plan would lose something."""
    memory = model._planned
    if memory.function is None:
        memory.function = compiled.function(_Traced(model, memory))
    try:
        outputs = memory.function(inputs, training)
        if memory.allowed:
            return outputs
    except Exception:  # the layers raise it again, with real shapes
        pass
    return Layer.__call__(model, inputs, training=training)


class _Traced:
    """The call that is traced; it notes what a plan can't give: losses and masks of outputs."""

    def __init__(self, model: Layer, memory: _Planned) -> None:
        self.model, self.memory = model, memory

    def __call__(self, inputs: Any, training: bool | None) -> Any:
        outputs = Layer.__call__(self.model, inputs, training=training)
        masked = any(hasattr(leaf, "_keras_mask") for leaf in tree.flatten(outputs))
        if masked or any(layer._losses for layer in self.model._flatten_layers()):
            self.memory.allowed = False
            self.model._clear_losses()
        return outputs
