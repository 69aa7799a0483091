"""TensorFlow's functions in the graphs of Keras 2, as calls of `cornu.ops`.

Keras 2 kept each as a layer `TFOpLambda` that names the function; here its call becomes the calls
of ops that it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import ops
from cornu.ops.operation import Operation


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **_: Any) -> Any:
    a, b = (
        ops.swapaxes(x, -1, -2) if flipped else x
        for x, flipped in ((a, transpose_a), (b, transpose_b))
    )
    return ops.matmul(a, b)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0, **_: Any) -> Any:
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=axis)
    ends, total = [], 0
    for size in num_or_size_splits[:-1]:
        total += size
        ends.append(total)
    return ops.split(value, ends, axis=axis)


def _getitem(x: Any, slice_spec: Any) -> Any:
    return x[tuple(_index(part) for part in slice_spec)]


def _index(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if part.get("class_name") == "__ellipsis__":
        return Ellipsis
    return slice(part.get("start"), part.get("stop"), part.get("step"))


def _reduced(function: Callable) -> Callable:
    def reduce(input_tensor: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
        return function(input_tensor, axis=axis, keepdims=bool(keepdims))

    return reduce


def _of_one(function: Callable) -> Callable:
    # The first argument is called x, features, input, ...: it comes by place.
    return lambda x, **_: function(x)


def _of_two(function: Callable) -> Callable:
    return lambda x, y, **_: function(x, y)


_UNARY = """abs ceil cos cosh elu erf exp expm1 floor gelu identity
    log log1p log_sigmoid negative reciprocal relu relu6 round rsqrt selu sigmoid sign silu sin sinh
    softplus softsign sqrt square stop_gradient tan tanh zeros_like ones_like isnan isinf
    logical_not swish=silu rint=round acos=arccos acosh=arccosh asin=arcsin asinh=arcsinh
    atan=arctan atanh=arctanh"""
_BINARY = """add subtract multiply truediv=true_divide divide div_no_nan=divide_no_nan divide_no_nan
    floordiv=floor_divide floormod=mod pow=power maximum minimum atan2=arctan2 equal not_equal less
    less_equal greater greater_equal logical_and logical_or"""


def _table(text: str, make: Callable[[Callable], Callable]) -> dict[str, Callable]:
    """Returns functions by TensorFlow's names; `name=other` gives the name of ours."""
    pairs = [entry.partition("=") for entry in text.split()]
    found = {name: getattr(ops, other or name, None) for name, _, other in pairs}
    return {name: make(function) for name, function in found.items() if function is not None}


_REDUCED = {
    "reduce_mean": "mean",
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_all": "all",
    "reduce_any": "any",
    "reduce_std": "std",
    "reduce_variance": "var",
    "reduce_logsumexp": "logsumexp",
}
_FUNCTIONS: dict[str, Callable] = {
    **_table(_UNARY, _of_one),
    **_table(_BINARY, _of_two),
    **{k: _reduced(getattr(ops, v)) for k, v in _REDUCED.items()},
    "add_n": lambda inputs, **_: sum(inputs[1:], inputs[0]),
    "argmax": lambda input, axis=None, **_: ops.argmax(input, axis=axis),
    "argmin": lambda input, axis=None, **_: ops.argmin(input, axis=axis),
    "bias_add": lambda value, bias, **_: ops.add(value, bias),
    "broadcast_to": lambda input, shape, **_: ops.broadcast_to(input, shape),
    "cast": lambda x, dtype, **_: ops.cast(x, dtype),
    "clip_by_value": lambda t, clip_value_min, clip_value_max, **_: ops.clip(
        t, clip_value_min, clip_value_max
    ),
    "concat": lambda values, axis, **_: ops.concatenate(values, axis=axis),
    "cumsum": lambda x, axis=0, **_: ops.cumsum(x, axis=axis),
    "einsum": lambda equation, *inputs, **_: ops.einsum(equation, *inputs),
    "expand_dims": lambda input, axis, **_: ops.expand_dims(input, axis),
    "gather": lambda params, indices, axis=0, **_: ops.take(params, indices, axis=axis or 0),
    "getitem": _getitem,
    "l2_normalize": lambda x, axis=None, epsilon=1e-12, **_: ops.multiply(
        x, ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), epsilon))
    ),
    "leaky_relu": lambda features, alpha=0.2, **_: ops.leaky_relu(features, alpha),
    "log_softmax": lambda logits, axis=-1, **_: ops.log_softmax(logits, axis=axis),
    "matmul": _matmul,
    "one_hot": lambda indices, depth, axis=-1, **_: ops.one_hot(indices, depth, axis=axis),
    "repeat": lambda input, repeats, axis=None, **_: ops.repeat(input, repeats, axis=axis),
    "reshape": lambda tensor, shape, **_: ops.reshape(tensor, shape),
    "reverse": lambda tensor, axis, **_: ops.flip(tensor, axis=axis),
    "squared_difference": lambda x, y, **_: ops.square(ops.subtract(x, y)),
    "softmax": lambda logits, axis=-1, **_: ops.softmax(logits, axis=axis),
    "split": _split,
    "squeeze": lambda input, axis=None, **_: ops.squeeze(input, axis=axis),
    "stack": lambda values, axis=0, **_: ops.stack(values, axis=axis),
    "tile": lambda input, multiples, **_: ops.tile(input, multiples),
    "transpose": lambda a, perm=None, **_: ops.transpose(a, perm),
    "unstack": lambda value, num=None, axis=0, **_: ops.unstack(value, num=num, axis=axis),
    "where": lambda condition, x, y, **_: ops.where(condition, x, y),
    "where_v2": lambda condition, x, y, **_: ops.where(condition, x, y),
}


class TFOpLambda(Operation):
    """A function of TensorFlow in a graph; its call adds the calls of ops that it is made of.

    Args:
        function: the name in TensorFlow, as in `"math.reduce_mean"`.
        name: name of the call.

    Raises:
        ValueError: if nothing is known of the function.
    """

    def __init__(self, function: str, name: str | None = None, **_: Any) -> None:
        super().__init__(name=name and name.replace("/", "_"))
        known = _FUNCTIONS.get(str(function).rpartition(".")[2])
        if known is None:
            raise ValueError(
                f"The model calls TensorFlow's function 'tf.{function}' ({name}), which Cornu "
                f"doesn't know. It knows: {', '.join(sorted(_FUNCTIONS))}"
            )
        self.function = known

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the function gives; `name` says nothing."""
        kwargs.pop("name", None)
        return self.function(*args, **kwargs)


class SlicingOpLambda(TFOpLambda):
    """A slice of a tensor."""
