"""A small `tensorflow`: what code around Keras uses of it, over `cornu.ops`.

`cornu.install_as_keras(tensorflow=True)` lets `import tensorflow as tf` find it. Names are those of
TensorFlow, with its parameters; what is not here says how it is spelt in `keras.ops`.
"""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import cornu
from cornu import compiled, ops
from cornu import random as draws
from cornu.autodiff import GradientTape
from cornu.tensor import DTYPES, Tensor
from cornu.variable import Variable as _Variable

__version__ = "2.21.0"
__path__: list[str] = []
newaxis = None
keras = cornu
TensorShape = tuple


class _VariableClass(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _Variable)


class Variable(_Variable, metaclass=_VariableClass):
    """A variable with TensorFlow's arguments, of the dtype of its value.

    Args:
        initial_value: its value, or a function that returns it.
        trainable: whether tapes watch it.
        name: its name.
        dtype: its dtype.
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool = True,
        *,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        value = initial_value() if callable(initial_value) else initial_value
        value = ops.convert_to_tensor(value, dtype=dtype)
        super().__init__(value, dtype=value.dtype, trainable=trainable, name=name)


def function(func: Callable | None = None, **kwargs: Any) -> Callable:
    """Returns a function that is traced and runs as a plan; usable as a decorator."""
    return function if func is None else compiled.function(func)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """Returns a tensor, of one value throughout if a shape is given."""
    tensor = ops.convert_to_tensor(value, dtype=dtype)
    if shape is None:
        return tensor
    return ops.reshape(tensor, shape) if ops.size(tensor) > 1 else ops.broadcast_to(tensor, shape)


def _reduction(name: str) -> Callable[..., Any]:
    reduce = getattr(ops, name)

    def reduction(
        input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
    ) -> Any:
        return reduce(input_tensor, axis=axis, keepdims=keepdims)

    reduction.__doc__ = f"Returns `ops.{name}` over an axis, several, or all."
    return reduction


def concat(values: Any, axis: int, name: str | None = None) -> Any:
    """Returns tensors joined along an axis."""
    return ops.concatenate(values, axis=axis)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Returns `t` kept between two values."""
    return ops.clip(t, clip_value_min, clip_value_max)


def one_hot(
    indices: Any,
    depth: int,
    on_value: Any = 1,
    off_value: Any = 0,
    axis: int = -1,
    dtype: Any = None,
    name: str | None = None,
) -> Any:
    """Returns one-hot rows of class numbers."""
    rows = ops.one_hot(indices, depth, axis=axis, dtype=dtype or "float32")
    return rows if (on_value, off_value) == (1, 0) else rows * (on_value - off_value) + off_value


def argmax(input: Any, axis: int = 0, output_type: Any = "int64", name: str | None = None) -> Any:
    """Returns the place of the largest element along an axis, the first by default."""
    return ops.cast(ops.argmax(input, axis=axis), output_type)


def argmin(input: Any, axis: int = 0, output_type: Any = "int64", name: str | None = None) -> Any:
    """Returns the place of the smallest element along an axis, the first by default."""
    return ops.cast(ops.argmin(input, axis=axis), output_type)


def gather(params: Any, indices: Any, axis: int = 0, name: str | None = None) -> Any:
    """Returns the elements of an axis at the indices."""
    return ops.take(params, indices, axis=axis)


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str | None = None) -> Any:
    """Returns `a` with its axes in another order, in reverse by default."""
    return ops.transpose(a, perm)


def split(value: Any, num_or_size_splits: Any, axis: int = 0, name: str | None = None) -> list:
    """Returns parts of an axis: so many equal ones, or of these sizes."""
    if isinstance(num_or_size_splits, int):
        return list(ops.split(value, num_or_size_splits, axis=axis))
    ends = [sum(num_or_size_splits[: i + 1]) for i in range(len(num_or_size_splits) - 1)]
    return list(ops.split(value, ends, axis=axis))


def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """Returns one value throughout a shape."""
    return ops.full(dims, value, dtype=ops.convert_to_tensor(value).dtype)


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None
) -> Any:
    """Returns a tensor with values before and after along each axis."""
    mode = mode.lower()
    more = {"constant_values": constant_values} if mode == "constant" else {}
    return ops.pad(tensor, paddings, mode=mode, **more)


def boolean_mask(tensor: Any, mask: Any, axis: int = 0, name: str | None = None) -> Any:
    """Returns the elements of an axis where the mask is true."""
    return ops.take(tensor, ops.reshape(ops.where(mask)[0], (-1,)), axis=axis)


def identity(input: Any, name: str | None = None) -> Any:
    """Returns a copy of a tensor."""
    return ops.copy(input)


def executing_eagerly() -> bool:
    """Returns True: outside of `function`, computations run at once."""
    return True


def get_logger() -> logging.Logger:
    """Returns the logger called `tensorflow`."""
    return logging.getLogger("tensorflow")


def _same(names: str) -> dict[str, Any]:
    """The ops of these names, each `name` or `name=name in ops`."""
    pairs = (entry.partition("=") for entry in names.split())
    return {name: getattr(ops, source or name) for name, _, source in pairs}


_ELEMENTWISE = """
    abs acos=arccos add asin=arcsin atan=arctan atan2=arctan2 ceil cos cosh divide
    divide_no_nan equal erf exp expm1 floor floordiv=floor_divide greater greater_equal
    is_finite=isfinite is_inf=isinf is_nan=isnan less less_equal log log1p logical_and
    logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal pow=power
    reciprocal rint=round round rsqrt sigmoid sign sin sinh sqrt square subtract
    tan tanh truediv=true_divide"""
_REDUCTIONS = {
    f"reduce_{name}": _reduction(name)
    for name in ("all", "any", "logsumexp", "max", "mean", "min", "prod", "std", "sum")
} | {"reduce_variance": _reduction("var")}


def squared_difference(x: Any, y: Any, name: str | None = None) -> Any:
    """Returns `(x - y) ** 2`."""
    return ops.square(ops.subtract(x, y))


_ELEMENTS = _same(_ELEMENTWISE) | {"squared_difference": squared_difference}
globals().update(
    _ELEMENTS
    | _REDUCTIONS
    | _same(
        """
        argsort broadcast_to cast convert_to_tensor cumsum einsum expand_dims eye linspace matmul
        meshgrid norm ones ones_like range=arange repeat reshape reverse=flip roll searchsorted
        shape size sort squeeze stack stop_gradient tensordot tile unstack where zeros zeros_like
        while_loop cond"""
    )
    | {name: name for name in DTYPES}
    | {"Tensor": Tensor, "GradientTape": GradientTape, "string": "string"}
)


def rank(input: Any, name: str | None = None) -> int:
    """Returns the number of axes."""
    return len(input.shape)


def _namespace(name: str, names: dict[str, Any]) -> ModuleType:
    module = ModuleType(f"{__name__}.{name}", f"`tf.{name}`.")
    module.__dict__.update(names, __path__=[])
    module.__dict__["__getattr__"] = lambda missing: _missing(f"{name}.{missing}")
    return module


def _missing(name: str) -> Any:
    last = name.rpartition(".")[2]
    if last.startswith("__"):
        raise AttributeError(f"module 'tensorflow' has no attribute {name!r}")
    near = difflib.get_close_matches(last.removeprefix("reduce_"), ops.__all__, n=1, cutoff=0.7)
    spelling = f" Use `keras.ops.{near[0]}`." if near else " Write it with `keras.ops`."
    raise AttributeError(
        f"`tf.{name}` is not in the small `tensorflow` that stands in for the real one.{spelling}"
    )


def _softmax_cross_entropy(labels: Any, logits: Any, axis: int = -1, name: Any = None) -> Any:
    """Returns the cross entropy of distributions and logits."""
    return ops.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


def _sparse_softmax_cross_entropy(labels: Any, logits: Any, name: Any = None) -> Any:
    """Returns the cross entropy of class numbers and logits."""
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _sigmoid_cross_entropy(labels: Any = None, logits: Any = None, name: Any = None) -> Any:
    """Returns the binary cross entropy of each element and its logit."""
    return ops.binary_crossentropy(labels, logits, from_logits=True)


def _conv2d(
    input: Any, filters: Any, strides: Any, padding: str, dilations: Any = 1, name: Any = None
) -> Any:
    """Returns the convolution of images, channels last."""
    steps = strides if isinstance(strides, int) or len(strides) < 4 else tuple(strides)[1:3]
    return ops.conv(input, filters, steps, padding.lower(), "channels_last", dilations)


def _pool2d(pool: Callable[..., Any]) -> Callable[..., Any]:
    def pooling(input: Any, ksize: Any, strides: Any, padding: str, name: Any = None) -> Any:
        sizes = [s if isinstance(s, int) or len(s) < 4 else s[1:3] for s in (ksize, strides)]
        return pool(input, *sizes, padding.lower(), "channels_last")

    pooling.__doc__ = f"Returns `ops.{pool.__name__}` of images, channels last."
    return pooling


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None) -> Any:
    """Returns `x` scaled to length 1."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, epsilon))


def _moments(x: Any, axes: Any, keepdims: bool = False, name: Any = None) -> Any:
    """Returns the mean and the variance over axes."""
    return ops.moments(x, axes, keepdims=keepdims)


def _random(draw: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """A draw with its parameters in TensorFlow's order."""

    def drawn(shape: Any, *args: Any, seed: Any = None, name: Any = None, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        return draw(tuple(shape), **given, seed=seed)

    drawn.__doc__ = f"Returns random values of `random.{draw.__name__}`."
    return drawn


def _uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    seed: Any = None,
    name: Any = None,
) -> Any:
    """Returns evenly distributed numbers, integers if the dtype is one of them."""
    if "int" in dtype:
        return draws.randint(tuple(shape), minval, maxval, dtype=dtype, seed=seed)
    upper = 1.0 if maxval is None else maxval
    return draws.uniform(tuple(shape), minval, upper, dtype=dtype, seed=seed)


def _set_seed(seed: int) -> None:
    """Sets the seed of all draws that have none."""
    cornu.utils.set_random_seed(seed)


_MEANS = ("mean", "stddev", "dtype")
math = _namespace(
    "math",
    {
        **_ELEMENTS,
        **_REDUCTIONS,
        **_same("cumprod cumsum segment_sum top_k in_top_k softplus"),
        "argmax": argmax,
        "argmin": argmin,
        "l2_normalize": _l2_normalize,
    },
)
nn = _namespace(
    "nn",
    {
        **_same(
            "elu gelu leaky_relu log_softmax relu relu6 selu sigmoid silu softmax softplus "
            "softsign swish=silu tanh"
        ),
        "avg_pool2d": _pool2d(ops.average_pool),
        "bias_add": lambda value, bias, name=None: ops.add(value, bias),
        "conv2d": _conv2d,
        "dropout": lambda x, rate, seed=None, name=None: draws.dropout(x, rate, seed=seed),
        "embedding_lookup": gather,
        "l2_normalize": _l2_normalize,
        "max_pool2d": _pool2d(ops.max_pool),
        "moments": _moments,
        "sigmoid_cross_entropy_with_logits": _sigmoid_cross_entropy,
        "softmax_cross_entropy_with_logits": _softmax_cross_entropy,
        "sparse_softmax_cross_entropy_with_logits": _sparse_softmax_cross_entropy,
    },
)
_draws = {
    "categorical": draws.categorical,
    "gamma": _random(draws.gamma, "alpha"),
    "normal": _random(draws.normal, *_MEANS),
    "set_seed": _set_seed,
    "shuffle": lambda value, seed=None, name=None: draws.shuffle(value, seed=seed),
    "truncated_normal": _random(draws.truncated_normal, *_MEANS),
    "uniform": _uniform,
}
linalg = _namespace(
    "linalg", _same("cholesky det einsum eigh inv lu_factor matmul norm qr solve svd trace")
)
config = _namespace(
    "config",
    {
        "list_physical_devices": lambda device_type=None: [],
        "functions_run_eagerly": compiled.functions_run_eagerly,
        "run_functions_eagerly": compiled.run_functions_eagerly,
        "set_visible_devices": lambda devices, device_type=None: None,
    },
)
random = _namespace("random", _draws)
initializers, losses, metrics, optimizers = (
    importlib.import_module(f"cornu.{name}")
    for name in ("initializers", "losses", "metrics", "optimizers")
)


def __getattr__(name: str) -> Any:
    if name in ("data", "saved_model") and hasattr(cornu, name):
        return getattr(cornu, name)
    return _missing(name)
