"""Tensors from values, casts, dynamic slices and scatters, control flow."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cornu import _cornu, tree
from cornu._cornu import Tensor, TraceError, primitive
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor, is_inexact
from cornu.ops.shapes import Shape, as_shape, normalize_axis, product
from cornu.ops.symbolic import any_symbolic
from cornu.tensor import is_int_dtype, standardize_dtype

_stop_gradient = primitive("stop_gradient")
_dynamic_slice = primitive("dynamic_slice")
_dynamic_update_slice = primitive("dynamic_update_slice")
_scatter_nd = primitive("scatter_nd")
_broadcast_to = primitive("broadcast_to")


@op
def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """The value as a tensor.

    Args:
        x: A tensor, a variable, an array, a number or nested lists of numbers.
        dtype: The dtype of the result; by default that of `x`.
        sparse: Accepted for compatibility; tensors are dense.
        ragged: Accepted for compatibility; tensors are dense.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        OverflowError: the dtype does not hold a Python integer.

    >>> ops.convert_to_tensor([1.0, 2.0]).dtype
    'float32'
    """
    return as_tensor(x, None if dtype is None else standardize_dtype(dtype), exact=True)


def convert_to_numpy(x: Any) -> np.ndarray:
    """The value as a numpy array.

    Args:
        x: A tensor, a variable, or whatever numpy takes.

    Returns:
        An array of the same shape and dtype.
    """
    return x.numpy() if hasattr(x, "numpy") else np.array(x)


def is_tensor(x: Any) -> bool:
    """Whether a value is a tensor (a variable or an array is none)."""
    return isinstance(x, Tensor)


def shape(x: Any) -> Shape:
    """The shape of a tensor, a tuple of sizes."""
    return tuple(x.shape) if hasattr(x, "shape") else tuple(as_tensor(x).shape)


def dtype(x: Any) -> str:
    """The name of the dtype of a tensor."""
    return standardize_dtype(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype


@op
def cast(x: Any, dtype: Any) -> Tensor:
    """The tensor with its elements in another dtype.

    Args:
        x: A tensor of any shape.
        dtype: The dtype of the result.

    Returns:
        A tensor of the same shape.
    """
    return as_tensor(x, standardize_dtype(dtype), exact=True)


@op
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """The tensor in another dtype, with what lies outside its range at the range's ends.

    Args:
        x: A tensor of any shape.
        dtype: The dtype of the result.

    Returns:
        A tensor of the same shape.
    """
    from cornu.ops.elementwise import clip, limits

    x, dtype = as_tensor(x), standardize_dtype(dtype)
    (low, high), (x_low, x_high) = limits(dtype), limits(x.dtype)
    low, high = max(low, x_low), min(high, x_high)
    if is_inexact(x.dtype) and is_int_dtype(dtype):
        # The bound itself must survive its rounding to the dtype of `x`.
        digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[x.dtype]
        high -= high % max(1, 1 << max(0, int(high).bit_length() - digits))
        low, high = float(low), float(high)
    return as_tensor(clip(x, low, high), dtype)


@op
def stop_gradient(variable: Any) -> Tensor:
    """The value itself, a constant to gradients.

    Args:
        variable: A tensor or a variable.

    Returns:
        A tensor of the same shape and dtype.
    """
    return _stop_gradient(as_tensor(variable))


@op
def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The block of a tensor that begins at an index.

    Args:
        inputs: A tensor.
        start_indices: Where the block begins, one entry per axis: integers or a tensor of them.
            A block that would reach over the end is moved back.
        shape: The sizes of the block.

    Returns:
        A tensor of that shape.
    """
    return _dynamic_slice(as_tensor(inputs), _starts(start_indices), sizes=as_shape(shape))


@op
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """The tensor with the block that begins at an index replaced.

    Args:
        inputs: A tensor.
        start_indices: Where the block begins, one entry per axis.
        updates: The new block, of as many axes as `inputs`.

    Returns:
        A tensor of the shape of `inputs`.
    """
    inputs = as_tensor(inputs)
    updates = as_tensor(updates, inputs.dtype)
    return _dynamic_update_slice(inputs, updates, _starts(start_indices))


def _starts(indices: Any) -> Tensor:
    if isinstance(indices, Sequence) and any(isinstance(i, Tensor) for i in indices):
        from cornu.ops.manipulation import stack

        return stack([as_tensor(i, "int32") for i in indices])
    return as_tensor(indices, "int32")


@op
def scatter(indices: Any, values: Any, shape: Any) -> Tensor:
    """A tensor of zeros with values added at indices.

    Args:
        indices: Integers, `(..., depth)`: the first `depth` coordinates of each value.
        values: What is added, `(..., *shape[depth:])`.
        shape: The shape of the result.

    Returns:
        A tensor of that shape and of the dtype of `values`.
    """
    values = as_tensor(values)
    base = _broadcast_to(as_tensor(0, values.dtype), shape=as_shape(shape))
    return _scatter_nd(base, as_tensor(indices, "int32"), values, mode="add")


_REDUCTIONS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "mul"}


@op
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """The tensor with values put at, or combined into, indices.

    Args:
        inputs: A tensor.
        indices: Integers, `(..., depth)`: the first `depth` coordinates of each update.
        updates: The values, `(..., *inputs.shape[depth:])`.
        reduction: None to replace, or `"add"`, `"max"`, `"min"`, `"mul"`.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: the reduction is unknown.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"Unsupported reduction: {reduction}")
    inputs = as_tensor(inputs)
    indices, updates = as_tensor(indices, "int32"), as_tensor(updates, inputs.dtype)
    return _scatter_nd(inputs, indices, updates, mode=_REDUCTIONS[reduction])


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """What one of two functions returns.

    A condition that is known is decided at once; one that is not, because it is being traced,
    becomes a step that runs one of the two.

    Args:
        pred: A truth: a scalar `bool` tensor or a Python value.
        true_fn: Called without arguments.
        false_fn: Called without arguments; returns the same structure as `true_fn`.

    Returns:
        The result of `true_fn` or of `false_fn`.

    Raises:
        TypeError: the functions can't be called, or return tensors of other dtypes or shapes.
    """
    if not (callable(true_fn) and callable(false_fn)):
        raise TypeError(
            f"`cond` takes two functions. Received: true_fn={true_fn}, false_fn={false_fn}"
        )
    if any_symbolic((pred,), {}):
        from cornu.ops.selection import where

        return tree.map_structure(lambda a, b: where(pred, a, b), true_fn(), false_fn())
    try:
        chosen = bool(pred)
    except TraceError:
        return _branch(as_tensor(pred) != 0, (false_fn, true_fn))
    return true_fn() if chosen else false_fn()


def _branch(index: Tensor, functions: Sequence[Callable[[], Any]]) -> Any:
    """What the function at a traced index returns: one step of the trace."""
    structures: list[Any] = []
    bodies = [_body(function, structures) for function in functions]
    results = _cornu.branch(index, bodies)
    for other in structures[1:]:
        tree.assert_same_structure(structures[0], other)
    return _filled(structures[0], results)


def as_one_step(function: Callable[[], Any]) -> Any:
    """What a function returns: one step of the trace, whose gradient computes it again."""
    return _branch(as_tensor(0), [function])


def _body(
    function: Callable[..., Any], structures: list[Any], prepare: Callable[..., Any] | None = None
) -> Callable[..., list[Tensor]]:
    """A function of flat tensors; what `function` returns is noted, and its tensors returned."""

    def body(*tensors: Tensor) -> list[Tensor]:
        result = function(*prepare(tensors)) if prepare else function(*tensors)
        structures.append(tree.map_structure(lambda leaf: leaf is not None, result))
        return [as_tensor(leaf) for leaf in tree.flatten(result) if leaf is not None]

    return body


def _filled(structure: Any, tensors: Sequence[Tensor]) -> Any:
    """A structure of truths with the next tensor for each, and None for what is false."""
    following = iter(tensors)
    return tree.map_structure(lambda full: next(following) if full else None, structure)


@op
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """What the function at an index returns; the index is clamped to those there are.

    An index that is not known, because it is being traced, becomes a step that runs one function.

    Args:
        index: An integer.
        branches: The functions; they return the same structure.
        *operands: What the function is called with.

    Returns:
        The result of the function.
    """
    try:
        known = int(index)
    except TraceError:
        return _branch(index, [functools.partial(branch, *operands) for branch in branches])
    return branches[min(max(known, 0), len(branches) - 1)](*operands)


@op
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Calls a function on its own results while a condition holds.

    In a trace the loop is one step; gradients don't pass through it there.

    Args:
        cond: Called with the loop variables; whether to go on.
        body: Called with the loop variables; returns their new values.
        loop_vars: The first values; their dtypes and shapes stay.
        maximum_iterations: The most calls that are made.

    Returns:
        The last values.
    """
    single = not isinstance(loop_vars, tuple | list)
    values = (loop_vars,) if single else tuple(loop_vars)
    if _cornu.tracing():
        first = tree.map_structure(as_tensor, values)

        def unpack(tensors: Sequence[Tensor]) -> Any:
            return tree.pack_sequence_as(first, tensors)

        states = _cornu.while_loop(
            _body(lambda *now: as_tensor(cond(*now)) != 0, [], unpack),
            _body(body, [], unpack),
            tree.flatten(first),
            2**63 if maximum_iterations is None else int(maximum_iterations),
        )
        values = unpack(states)
        return values[0] if single else values
    count = 0
    while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*values)):
        values = body(*values)
        values = tuple(values) if isinstance(values, tuple | list) else (values,)
        count += 1
    values = tree.map_structure(as_tensor, values)
    return values[0] if single else values


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Calls a function for each integer of a range, on its last result.

    In a trace the loop is one step; gradients pass through it if the range is known.

    Args:
        lower: The first integer.
        upper: The end, not included.
        body_fun: Called as `body_fun(i, value)`; returns the next value.
        init_val: The first value.

    Returns:
        The last value.
    """
    if _cornu.tracing():
        from cornu.ops.creation import arange

        try:
            numbers = arange(int(lower), int(upper), dtype="int32")
        except TraceError:
            start = as_tensor(lower, "int32")
            return while_loop(
                lambda i, _: i < upper,
                lambda i, value: (i + 1, body_fun(i, value)),
                (start, init_val),
            )[1]
        return scan(lambda value, i: (body_fun(i, value), None), init_val, numbers)[0]
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Calls a function over the first axis, handing a state on.

    In a trace the loop is one step, whose number of rounds may be unknown.

    Args:
        f: Called as `f(state, x)`; returns the next state and an output.
        init: The first state; its dtypes and shapes stay.
        xs: A structure of tensors of the same first size, or None.
        length: The number of calls if `xs` is None.
        reverse: Whether to go from the last to the first.
        unroll: True for a step for each call in a trace.

    Returns:
        The last state, and the outputs stacked along a new first axis.
    """
    from cornu.ops.manipulation import stack

    if _cornu.tracing() and unroll is not True:
        return _traced_scan(f, init, xs, length, reverse)
    count = length if xs is None else tree.flatten(xs)[0].shape[0]
    order = range(int(count))
    entries = tree.map_structure(lambda leaf: None if leaf is None else unstack(leaf), xs)
    state, outputs = init, []
    for i in reversed(order) if reverse else order:
        x = tree.map_structure_up_to(xs, lambda parts, i=i: parts and parts[i], entries)
        state, output = f(state, x)
        outputs.append(output)
    if reverse:
        outputs.reverse()
    if not outputs or all(leaf is None for leaf in tree.flatten(outputs[0])):
        return state, None
    return state, tree.map_structure(lambda *leaves: stack(leaves), *outputs)


def _traced_scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: Any, reverse: bool
) -> tuple[Any, Any]:
    """`scan` as one step of the running trace."""

    def noted(structure: Any) -> tuple[Any, list[Tensor]]:
        leaves = [as_tensor(leaf) for leaf in tree.flatten(structure) if leaf is not None]
        return tree.map_structure(lambda leaf: leaf is not None, structure), leaves

    (state, states), (entry, sequences) = noted(init), noted(xs)
    count = len(states)

    def unpack(tensors: Sequence[Tensor]) -> tuple[Any, Any]:
        return _filled(state, tensors[:count]), _filled(entry, tensors[count:])

    structures: list[Any] = []
    results = _cornu.scan(
        _body(f, structures, unpack),
        states,
        sequences,
        sequences[0].shape[0] if sequences else length,
        reverse,
    )
    last, stacked = _filled(structures[0], results)
    return last, None if all(leaf is None for leaf in tree.flatten(stacked)) else stacked


@op
def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """The running results of an associative function along an axis.

    Args:
        f: Called with two structures like `elems`; returns one like it.
        elems: A structure of tensors of the same size along `axis`.
        reverse: Whether to run from the end.
        axis: The axis.

    Returns:
        A structure like `elems`, the same shapes.
    """
    from cornu.ops.manipulation import concatenate, flip

    def part(value: Any, start: int, stop: int) -> Any:
        def cut(t: Tensor) -> Tensor:
            where = normalize_axis(axis, t.ndim)
            return t[(builtins.slice(None),) * where + (builtins.slice(start, stop),)]

        return tree.map_structure(cut, value)

    def join(a: Any, b: Any) -> Any:
        return tree.map_structure(lambda *pair: concatenate(pair, axis=axis), a, b)

    def run(value: Any, size: int) -> Any:
        # Each round doubles how far back an element reaches (Hillis and Steele, 1986).
        step = 1
        while step < size:
            tail = f(part(value, 0, size - step), part(value, step, size))
            value = join(part(value, 0, step), tail)
            step *= 2
        return value

    elems = tree.map_structure(as_tensor, elems)
    turned = tree.map_structure(lambda t: flip(t, axis), elems) if reverse else elems
    first = tree.flatten(turned)[0]
    result = run(turned, int(first.shape[normalize_axis(axis, first.ndim)]))
    return tree.map_structure(lambda t: flip(t, axis), result) if reverse else result


@op
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Calls a function on each entry of the first axis and stacks the results.

    Args:
        f: Called with one entry.
        xs: A structure of tensors of the same first size.

    Returns:
        A structure of tensors with that first size.
    """
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


@op
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """Calls a function on each entry of the first axis and stacks the results.

    Args:
        function: Called with one entry; no entry may depend on another.
        elements: A structure of tensors of the same first size.

    Returns:
        A structure of tensors with that first size.
    """
    return map(function, elements)


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The entries of an axis, as a list.

    Args:
        x: A tensor.
        num: How many entries there are; the size of the axis by default.
        axis: The axis.

    Returns:
        A list of tensors without that axis.
    """
    from cornu.ops.manipulation import split, squeeze

    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    count = int(x.shape[axis]) if num is None else num
    return [squeeze(part, axis) for part in split(x, count, axis)]


def ndim(x: Any) -> int:
    """The number of axes of a tensor."""
    return len(shape(x))


def size(x: Any) -> Any:
    """The number of elements of a tensor."""
    return product(shape(x))


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a gradient of its own.

    Args:
        f: Called with tensors; returns its result and a function that takes the gradients of the
            result and returns those of the arguments.

    Returns:
        A function of the same arguments that returns the result alone.

    >>> @ops.custom_gradient
    ... def log1pexp(x):
    ...     e = ops.exp(x)
    ...     return ops.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        inputs = [as_tensor(x) for x in args]
        with _cornu.StopRecording():
            result, gradient = f(*inputs, **kwargs)

        from cornu.ops.creation import zeros_like

        def rule(upstream: list[Any]) -> list[Any]:
            leaves = zip(upstream, outputs, strict=True)
            grads = gradient(*(zeros_like(y) if g is None else g for g, y in leaves))
            return list(grads) if isinstance(grads, tuple | list) else [grads]

        outputs = tree.flatten(result)
        named = _cornu.custom_gradient(inputs, outputs, rule)
        return tree.pack_sequence_as(result, named)

    return wrapped
