"""`GradientTape` for the real Keras on JAX, so that loops written for a tape run there too.

A tape is a JAX trace that computes at once: it hands each primitive on to the trace around it and
notes what was applied to which arrays. A gradient plays the notes again under `jax.vjp`. Nested
tapes see what inner gradients compute, so gradients of gradients work.
"""

from functools import partial
from typing import Any

import jax
import keras
from jax._src import core


class _Notes(core.Trace):
    """Computes primitives in the trace around it and keeps what was applied.

    Args:
        around: the trace that computes.
    """

    def __init__(self, around):
        super().__init__()
        self.around = around
        self.steps = []

    def stage_value(self, value):
        return self.around.stage_value(value)

    def _apply(self, function, arguments):
        with core.set_current_trace(self.around):
            results = function(*arguments)
        self.steps.append((function, arguments, results))
        return results

    def process_primitive(self, primitive, arguments, parameters, /):
        return self._apply(lambda *given: primitive.bind(*given, **parameters), arguments)

    def _process_with_own_gradient(self, primitive, functions, arguments, parameters):
        closed = jax.make_jaxpr(
            lambda *given: primitive.bind(*given, subfuns=functions, **parameters)
        )(*arguments)
        return self._apply(core.jaxpr_as_fun(closed), arguments)

    def process_custom_jvp_call(self, primitive, function, jvp, arguments, /, **parameters):
        return self._process_with_own_gradient(primitive, (function, jvp), arguments, parameters)

    def process_custom_vjp_call(self, primitive, function, fwd, bwd, arguments, /, **parameters):
        functions = function, fwd, bwd
        return self._process_with_own_gradient(primitive, functions, arguments, parameters)


_compiled: dict[str, Any] = {}


def _compiled_once(function: Any, arrays: list[Any]) -> Any:
    """Calls a function, compiled as a whole; one that computes the same was so before."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arrays)
    text = str(closed.jaxpr)
    if text not in _compiled:
        _compiled[text] = jax.jit(partial(jax.core.eval_jaxpr, closed.jaxpr))
    results = _compiled[text](closed.consts, *jax.tree.leaves(arrays))
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def applied_at_once(apply: Any) -> Any:
    """Makes `Optimizer.apply` compile a whole update where it would run operation by operation."""

    def new(self, gradients, variables=None):
        if variables is None or any(isinstance(g, core.Tracer) for g in gradients):
            return apply(self, gradients, variables)
        variables = list(variables)
        if not self.built:
            self.build(variables)
        state = [*variables, *self.variables]

        def update(gradients, values):
            with keras.StatelessScope(state_mapping=zip(state, values, strict=True)) as scope:
                apply(self, gradients, variables)
            return [scope.get_current_value(variable) for variable in state]

        results = _compiled_once(update, [list(gradients), [v.value for v in state]])
        for variable, value in zip(state, results, strict=True):
            variable.assign(value)

    return new


def _array(value: Any) -> Any:
    return getattr(value, "value", value)


class GradientTape:
    """Records what JAX computes inside, for gradients; sources without influence get zeros.

    Args:
        persistent: taken and not needed: any tape can be asked more than once.
    """

    def __init__(self, persistent: bool = False) -> None:
        self.steps: list[tuple] = []

    def __enter__(self) -> "GradientTape":
        notes = _Notes(core.trace_ctx.trace)
        notes.steps = self.steps
        self._context = core.set_current_trace(notes)
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def watch(self, tensor: Any) -> None:
        """Does nothing: any array can be a source."""

    def gradient(self, target: Any, sources: Any) -> Any:
        """Returns the gradients of the sum of `target`, in the structure of `sources`."""
        target = _array(target)
        flat, structure = jax.tree.flatten(sources, is_leaf=lambda leaf: hasattr(leaf, "assign"))
        arrays = [_array(source) for source in flat]

        def replay(*values):
            known = {id(array): value for array, value in zip(arrays, values, strict=True)}
            for function, arguments, results in self.steps:
                if any(id(argument) in known for argument in arguments):
                    new = function(*[known.get(id(argument), argument) for argument in arguments])
                    many = isinstance(results, list | tuple)
                    pairs = zip(results, new, strict=True) if many else [(results, new)]
                    known.update((id(array), value) for array, value in pairs)
            return known.get(id(target), target)

        def pulled(*values):
            value, pull = jax.vjp(replay, *values)
            return pull(jax.numpy.ones_like(value))

        return jax.tree.unflatten(structure, _compiled_once(pulled, arrays))
