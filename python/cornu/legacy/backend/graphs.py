"""What Keras 2's backend does with graphs: functions, gradients, phases, loops."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from cornu import ops, tree
from cornu.autodiff import GradientTape
from cornu.ops.function import Function, get_source_inputs
from cornu.ops.operation import Operation
from cornu.ops.symbolic import KerasTensor, is_keras_tensor
from cornu.scopes import state


def placeholder(
    shape: Any = None,
    ndim: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    name: str | None = None,
    ragged: bool = False,
) -> KerasTensor:
    """Returns a symbolic tensor.

    Args:
        shape: its shape with the batch, None for unknown sizes.
        ndim: its number of axes, if there is no shape.
        dtype: its dtype, the default float dtype if None.
        sparse, ragged: kept for calls that pass them.
        name: its name.
    """
    from cornu.layers import Input

    if shape is None:
        if ndim is None:
            raise ValueError("A placeholder needs a `shape` or `ndim`.")
        shape = (None,) * ndim
    return Input(batch_shape=shape, dtype=dtype, name=name)


def eval(x: Any) -> np.ndarray:
    """Returns the value of a tensor or variable as an array."""
    return np.array(x)


def function(
    inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **kwargs: Any
) -> Callable[[Any], Any]:
    """Returns a function from values of symbolic inputs to values of outputs.

    Args:
        inputs: a list of symbolic tensors; `learning_phase()` among them takes the phase.
        outputs: a symbolic tensor, or a list of them.
        updates: pairs of a variable and the symbolic tensor that each call sets it to.
        name: name of the function.

    Returns:
        A function of a list of arrays that returns an array, or a list of them like `outputs`.

    >>> features = K.function([model.input], [model.layers[2].output])
    >>> features([x])[0].shape
    (8, 16)
    """
    from cornu.models import Model

    if kwargs:
        raise ValueError(f"`K.function` takes no session arguments. Received: {kwargs}")
    inputs = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    symbolic = [x for x in inputs if is_keras_tensor(x)]
    pairs = list(updates or ())
    wanted = [tree.flatten(outputs), [value for _, value in pairs]]
    computed = [x for group in wanted for x in group if is_keras_tensor(x)]
    model = Model(symbolic, computed, name=name) if computed else None

    def run(values: Any) -> Any:
        values = list(values) if isinstance(values, list | tuple) else [values]
        if len(values) != len(inputs):
            raise ValueError(f"Expected {len(inputs)} inputs, received {len(values)}.")
        given = [
            ops.convert_to_tensor(value, dtype=x.dtype)
            for x, value in zip(inputs, values, strict=True)
            if is_keras_tensor(x)
        ]
        phases = [value for x, value in zip(inputs, values, strict=True) if not is_keras_tensor(x)]
        training = bool(phases[0] if phases else learning_phase())
        results = iter(tree.flatten(model(given, training=training)) if model else ())
        found, new = ([next(results) if is_keras_tensor(x) else x for x in g] for g in wanted)
        for (variable, _), value in zip(pairs, new, strict=True):
            variable.assign(value)
        return tree.pack_sequence_as(outputs, [np.array(value) for value in found])

    return run


class _Gradient(Operation):
    """The gradient of a symbolic loss with respect to a variable or a symbolic tensor.

    Args:
        sources: the inputs of the graph.
        loss: the loss.
        target: what it is differentiated by.
    """

    def __init__(self, sources: list[Any], loss: Any, target: Any) -> None:
        super().__init__()
        self.target = target
        # The graph is cut at the target: what it depends on no longer matters to the loss.
        cut = is_keras_tensor(target)
        self.before = Function(sources, target) if cut else None
        self.kept = [not cut or x is not target for x in sources]
        others = [x for x, kept in zip(sources, self.kept, strict=True) if kept]
        self.after = Function([target, *others] if cut else others, loss)

    def call(self, inputs: Any) -> Any:
        others = [x for x, kept in zip(inputs, self.kept, strict=True) if kept]
        target = self.before(inputs) if self.before else self.target
        with GradientTape() as tape:
            tape.watch(target)
            loss = self.after([target, *others] if self.before else others)
        gradient = tape.gradient(loss, target)
        return ops.zeros_like(target) if gradient is None else gradient

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        return KerasTensor(self.target.shape, dtype=self.target.dtype)


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Returns the gradients of a symbolic loss, as symbolic tensors.

    Args:
        loss: a symbolic tensor.
        variables: variables and symbolic tensors that the loss depends on.

    Raises:
        RuntimeError: if the loss has a value already: a `GradientTape` differentiates those.
    """
    if not is_keras_tensor(loss):
        raise RuntimeError(
            "`K.gradients` differentiates symbolic tensors. Compute the loss inside "
            f"`with GradientTape() as tape:` and call `tape.gradient`. Received: loss={loss}"
        )
    targets = variables if isinstance(variables, list | tuple) else [variables]
    sources = get_source_inputs(loss)
    return [_Gradient(sources, loss, target)(sources) for target in targets]


def learning_phase() -> int:
    """Returns 1 while training, else 0."""
    context = state.call_context
    if context is not None and context.training is not None:
        return int(context.training)
    return int(state.learning_phase or 0)


def set_learning_phase(value: Any) -> None:
    """Sets what a layer takes for `training` that is told nothing: 0 for testing, 1 for training.

    Raises:
        ValueError: for any other value.
    """
    if value not in (0, 1):
        raise ValueError(f"`learning_phase` must be 0 or 1. Received: value={value}")
    state.learning_phase = bool(value)


@contextlib.contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """Sets the learning phase inside the scope."""
    outer = state.learning_phase
    set_learning_phase(value)
    try:
        yield
    finally:
        state.learning_phase = outer


def _called(value: Any) -> Any:
    return value() if callable(value) and not hasattr(value, "shape") else value


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Returns `x` while training, else `alt`; each a tensor or a function without arguments."""
    training = learning_phase() if training is None else training
    if isinstance(training, bool | int):
        return _called(x if training else alt)
    return switch(training, x, alt)


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Returns `alt` while training, else `x`; each a tensor or a function without arguments."""
    return in_train_phase(alt, x, training)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """Returns one of two values.

    Args:
        condition: a scalar, or a tensor whose axes are the first ones of the values'.
        then_expression: a tensor, or a function that returns it.
        else_expression: the same.
    """
    if not len(getattr(condition, "shape", ())):
        return ops.cond(
            ops.cast(condition, "bool"),
            lambda: _called(then_expression),
            lambda: _called(else_expression),
        )
    first, second = _called(then_expression), _called(else_expression)
    missing = len(first.shape) - len(condition.shape)
    if missing < 0:
        raise ValueError(
            "Rank of `condition` should be less than or equal to rank of `then_expression` and "
            f"`else_expression`. ndim(condition)={len(condition.shape)}, "
            f"ndim(then_expression)={len(first.shape)}"
        )
    rank = len(condition.shape)
    condition = ops.expand_dims(condition, tuple(range(rank, rank + missing)))
    return ops.where(ops.cast(condition, "bool"), first, second)


def print_tensor(x: Any, message: str = "", summarize: int = 3) -> Any:
    """Prints a message with the value of a tensor that has one, and returns the tensor."""
    print(message, x if is_keras_tensor(x) else np.array(x))
    return x


def map_fn(fn: Callable, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Returns `fn` of each element along the first axis."""
    results = ops.map(fn, elems)
    return results if dtype is None else ops.cast(results, dtype)


def foldl(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Returns what `fn(result, element)` makes of all elements, from the first to the last."""
    return _fold(fn, ops.unstack(elems), initializer)


def foldr(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Returns what `fn(result, element)` makes of all elements, from the last to the first."""
    return _fold(fn, ops.unstack(elems)[::-1], initializer)


def _fold(fn: Callable, elements: Sequence[Any], result: Any) -> Any:
    for element in elements:
        result = element if result is None else fn(result, element)
    return result


def rnn(
    step_function: Callable,
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: int | None = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, list[Any]]:
    """Runs a step over the time axis.

    Args:
        step_function: takes an input of one time and the states, returns an output and the
            new states.
        inputs: `(samples, time, ...)`, of known time.
        initial_states: the first states.
        go_backwards: whether time runs backwards.
        mask: `(samples, time)`; where it is False, the states and the output stay.
        constants: values that are put after the states at each step.
        unroll, input_length: kept for calls that pass them.
        time_major: whether time is the first axis.
        zero_output_for_mask: whether the output is zero where the mask is False.
        return_all_outputs: whether the outputs of all times are returned, or the last alone.

    Returns:
        The last output, all outputs and the last states.
    """
    time_axis = 0 if time_major else 1
    order = slice(None, None, -1 if go_backwards else 1)
    steps = ops.unstack(inputs, axis=time_axis)[order]
    masks = [None] * len(steps)
    if mask is not None:
        masks = ops.unstack(ops.cast(mask, "bool"), axis=time_axis)[order]
    states, outputs, output = list(initial_states), [], None
    for step, kept in zip(steps, masks, strict=True):
        new, new_states = step_function(step, [*states, *(constants or ())])
        if kept is not None:
            stays = ops.zeros_like(new) if output is None or zero_output_for_mask else output
            new = switch(kept, new, stays)
            new_states = [switch(kept, *pair) for pair in zip(new_states, states, strict=True)]
        states, output = list(new_states), new
        outputs.append(new)
    outputs = ops.stack(outputs if return_all_outputs else outputs[-1:], axis=time_axis)
    return output, outputs, states
