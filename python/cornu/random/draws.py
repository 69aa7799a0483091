"""Draws from distributions. The same seed gives the same numbers, on any number of threads."""

from __future__ import annotations

from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.activation import log_softmax
from cornu.ops.core import cast
from cornu.ops.elementwise import log, maximum, power, sqrt, square
from cornu.ops.manipulation import broadcast_to, expand_dims, reshape
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.reduction import argmax, sum
from cornu.ops.selection import take
from cornu.ops.shapes import as_shape, as_sizes, normalize_axis
from cornu.random.seeds import draw_seed
from cornu.tensor import is_float_dtype, is_int_dtype, standardize_dtype

_uniform = primitive("random_uniform")
_normal = primitive("random_normal")
_truncated_normal = primitive("truncated_normal")
_random_int = primitive("random_int")
_dropout = primitive("dropout")
_shuffle_permutation = primitive("shuffle_permutation")
_select = primitive("where")


def _float_dtype(dtype: Any) -> str:
    dtype = standardize_dtype(dtype)
    if not is_float_dtype(dtype):
        raise ValueError(f"`random` requires a floating point dtype. Received: dtype={dtype}")
    return dtype


def normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Numbers of a normal distribution.

    Args:
        shape: The shape of the result.
        mean: The mean.
        stddev: The standard deviation.
        dtype: The dtype; `floatx` by default.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A float tensor of that shape.
    """
    dtype = _float_dtype(dtype)
    return _scaled(_normal(draw_seed(seed), shape=as_sizes(shape), dtype=dtype), mean, stddev)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Numbers of a normal distribution, without those beyond two standard deviations.

    Args:
        shape: The shape of the result.
        mean: The mean.
        stddev: The standard deviation before the cut.
        dtype: The dtype; `floatx` by default.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A float tensor of that shape.
    """
    dtype = _float_dtype(dtype)
    draw = _truncated_normal(draw_seed(seed), shape=as_sizes(shape), dtype=dtype)
    return _scaled(draw, mean, stddev)


def _scaled(draw: Tensor, mean: Any, stddev: Any) -> Tensor:
    return draw * as_tensor(stddev, draw.dtype) + as_tensor(mean, draw.dtype)


def uniform(
    shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Numbers evenly distributed from `minval` to, not including, `maxval`.

    Args:
        shape: The shape of the result.
        minval: The lower bound.
        maxval: The upper bound.
        dtype: The dtype; `floatx` by default.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A tensor of that shape.
    """
    dtype = _float_dtype(dtype)
    draw = _uniform(draw_seed(seed), shape=as_sizes(shape), dtype=dtype)
    low, high = as_tensor(minval, dtype), as_tensor(maxval, dtype)
    return low + draw * (high - low)


def randint(shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Integers evenly distributed from `minval` to, not including, `maxval`.

    Args:
        shape: The shape of the result.
        minval: The lower bound.
        maxval: The upper bound.
        dtype: The dtype, one of integers.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A tensor of that shape.

    Raises:
        ValueError: the dtype is not one of integers.
    """
    dtype = standardize_dtype(dtype)
    if not is_int_dtype(dtype):
        raise ValueError(
            f"`keras.random.randint` requires an integer dtype. Received: dtype={dtype} "
        )
    bounds = as_tensor(minval, dtype), as_tensor(maxval, dtype)
    return _random_int(draw_seed(seed), *bounds, shape=as_sizes(shape), dtype=dtype)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    """The tensor with a part of its elements set to zero and the others scaled up.

    Args:
        inputs: A float tensor.
        rate: The part that is set to zero.
        noise_shape: A shape that broadcasts with that of `inputs`: along its ones, elements are
            kept or dropped together.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A tensor of the shape of `inputs`.
    """
    x = as_float(inputs)
    if noise_shape is not None:
        sizes = zip(as_shape(noise_shape), x.shape, strict=True)
        noise_shape = tuple(own if size is None else size for size, own in sizes)
    return _dropout(x, draw_seed(seed), rate=float(rate), noise_shape=noise_shape)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """The entries of an axis in a random order.

    Args:
        x: A tensor.
        axis: The axis.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A tensor of the same shape.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    return take(x, _shuffle_permutation(draw_seed(seed), n=x.shape[axis]), axis=axis)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Classes drawn by their unnormalized log-probabilities.

    Args:
        logits: `(batch, classes)`.
        num_samples: How many classes are drawn for each row.
        dtype: The dtype, one of integers.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A tensor `(batch, num_samples)`.

    Raises:
        ValueError: `logits` has not two axes.
    """
    logits = as_float(logits)
    if logits.ndim != 2:
        raise ValueError(
            "`logits` should be a 2-D tensor with shape (batch_size, num_classes). "
            f"Received: logits.shape={tuple(logits.shape)}"
        )
    batch, classes = logits.shape
    # The largest of logits plus Gumbel noise is distributed as they say.
    draw = _uniform(draw_seed(seed), shape=(batch, num_samples, classes), dtype="float32")
    noise = -log(-log(maximum(draw, 1e-37)))
    best = argmax(expand_dims(as_tensor(log_softmax(logits), "float32"), 1) + noise, axis=-1)
    return cast(best, dtype)


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Numbers of a gamma distribution of scale 1.

    Marsaglia and Tsang, 2000, doi:10.1145/358407.358414.

    Args:
        shape: The shape of the result.
        alpha: The shape parameter: a number or a tensor that broadcasts to the shape.
        dtype: The dtype; `floatx` by default.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A float tensor of that shape.
    """
    dtype = _float_dtype(dtype)
    shape = as_shape(shape)
    work = dtype if dtype == "float64" else "float32"
    alpha = broadcast_to(as_tensor(as_tensor(alpha), work), shape)
    key = draw_seed(seed)
    # Below 1 a draw of `alpha + 1` is taken to the power of a uniform one.
    small = alpha < 1
    d = _select(small, alpha + 1, alpha) - 1 / 3
    c = 1 / sqrt(9 * d)
    # A try fails in at most one of twenty cases; all failing is out of the question.
    tries = 12
    x = _normal(_derived(key, 1), shape=(tries, *shape), dtype=work)
    u = _uniform(_derived(key, 2), shape=(tries, *shape), dtype=work)
    v = power(1 + c * x, 3)
    fits = (v > 0) & (log(u) < square(x) / 2 + d - d * v + d * log(maximum(v, 1e-30)))
    draw = d * maximum(v[0], 0)
    for i in range(tries - 1, -1, -1):
        draw = _select(fits[i], d * v[i], draw)
    boost = _uniform(_derived(key, 3), shape=shape, dtype=work)
    return as_tensor(_select(small, draw * power(boost, 1 / alpha), draw), dtype)


def _derived(key: Tensor, stream: int) -> Tensor:
    """A seed far from those that the stream of `key` gives out."""
    return key + as_tensor([0x9E3779B9 * stream & 0xFFFFFFFF, 0], "uint32")


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Numbers of a beta distribution.

    Args:
        shape: The shape of the result.
        alpha: The first parameter, broadcasting to the shape.
        beta: The second parameter, broadcasting to the shape.
        dtype: The dtype; `floatx` by default.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A float tensor of that shape.
    """
    dtype = _float_dtype(dtype)
    key = draw_seed(seed)
    work = dtype if dtype == "float64" else "float32"
    x = gamma(shape, alpha, work, seed=key)
    y = gamma(shape, beta, work, seed=_derived(key, 7))
    return as_tensor(x / (x + y), dtype)


def binomial(
    shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Numbers of successes in independent trials.

    Args:
        shape: The shape of the result.
        counts: The numbers of trials, broadcasting to the shape.
        probabilities: The probabilities of a success, broadcasting to the shape.
        dtype: The dtype; `floatx` by default.
        seed: An integer, a `SeedGenerator`, or None for the global one.

    Returns:
        A float tensor of that shape.
    """
    dtype = _float_dtype(dtype)
    shape = as_shape(shape)
    counts = broadcast_to(as_tensor(as_tensor(counts), "float32"), shape)
    chances = broadcast_to(as_tensor(as_tensor(probabilities), "float32"), shape)
    trials = int(counts.numpy().max()) if counts.size else 0
    draw = _uniform(draw_seed(seed), shape=(trials, *shape), dtype="float32")
    number = reshape(as_tensor(list(range(trials)), "float32"), (trials, *(1,) * len(shape)))
    return as_tensor(sum(as_tensor((draw < chances) & (number < counts), "float32"), axis=0), dtype)
