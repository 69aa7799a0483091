"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.creation import counting
from cornu.ops.elementwise import abs, clip, maximum, sqrt, square, tanh, unary
from cornu.ops.manipulation import moveaxis, reshape, split, transpose
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, numeric
from cornu.ops.reduction import cumsum, sum
from cornu.ops.shapes import normalize_axes, normalize_axis, product

_relu = primitive("relu")
_gelu = primitive("gelu")
_elu = primitive("elu")
_celu = primitive("celu")
_leaky_relu = primitive("leaky_relu")
_softmax = primitive("softmax")
_log_softmax = primitive("log_softmax")
_sort = primitive("sort")
_flip = primitive("flip")
_select = primitive("where")

sigmoid = unary("sigmoid", "float", "`1 / (1 + exp(-x))`.")
relu6 = unary("relu6", "float", "`min(max(x, 0), 6)`.")
softplus = unary("softplus", "float", "`log(1 + exp(x))`.")
softsign = unary("softsign", "float", "`x / (1 + |x|)`.")
silu = unary("silu", "float", "`x * sigmoid(x)`: Elfwing et al., 2017, arXiv:1702.03118.")
selu = unary("selu", "float", "The scaled exponential unit: Klambauer et al., arXiv:1706.02515.")
hard_sigmoid = unary("hard_sigmoid", "float", "`min(max(x / 6 + 1 / 2, 0), 1)`.")
hard_silu = unary("hard_silu", "float", "`x * hard_sigmoid(x)`: Howard et al., arXiv:1905.02244.")
log_sigmoid = unary("log_sigmoid", "float", "`log(sigmoid(x))`, without overflow.")
mish = unary("mish", "float", "`x * tanh(softplus(x))`: Misra, 2019, arXiv:1908.08681.")

swish = silu
hard_swish = hard_silu


@op
def relu(x: Any) -> Tensor:
    """`max(x, 0)`.

    Args:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape.
    """
    return _relu(numeric(x))


@op
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """The Gaussian error linear unit: Hendrycks and Gimpel, arXiv:1606.08415.

    Args:
        x: A tensor of any shape.
        approximate: Whether to use the approximation with `tanh` or the exact form with `erf`.

    Returns:
        A float tensor of the same shape.
    """
    return _gelu(as_float(x), approximate=bool(approximate))


@op
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """`x` above zero, `alpha * (exp(x) - 1)` below: Clevert et al., arXiv:1511.07289.

    Args:
        x: A tensor of any shape.
        alpha: The limit below zero, negated.

    Returns:
        A float tensor of the same shape.
    """
    return _elu(as_float(x), alpha=float(alpha))


@op
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """`max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`: Barron, arXiv:1704.07483.

    Args:
        x: A tensor of any shape.
        alpha: The limit below zero, negated.

    Returns:
        A float tensor of the same shape.
    """
    return _celu(as_float(x), alpha=float(alpha))


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """`x` above zero, `negative_slope * x` below.

    Args:
        x: A tensor of any shape.
        negative_slope: The slope below zero.

    Returns:
        A float tensor of the same shape.
    """
    return _leaky_relu(as_float(x), negative_slope=float(negative_slope))


@op
def glu(x: Any, axis: int = -1) -> Tensor:
    """The gated linear unit, `a * sigmoid(b)` of the halves: Dauphin et al., arXiv:1612.08083.

    Args:
        x: A tensor whose axis has an even size.
        axis: The axis that is halved.

    Returns:
        A tensor with half the axis.

    Raises:
        ValueError: the size of the axis is odd.
    """
    x = as_float(x)
    size = x.shape[normalize_axis(axis, x.ndim)]
    if isinstance(size, int) and size % 2:
        raise ValueError(f"axis size must be divisible by 2. Received: x.shape={tuple(x.shape)}")
    a, b = split(x, 2, axis)
    return a * sigmoid(b)


@op
def hard_tanh(x: Any) -> Tensor:
    """Each element brought into the range from -1 to 1.

    Args:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape.
    """
    return clip(x, -1, 1)


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """`x` where its magnitude exceeds the threshold, 0 elsewhere.

    Args:
        x: A tensor of any shape.
        threshold: The threshold.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    return _select(abs(x) > threshold, x, as_tensor(0, x.dtype))


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """`x` moved towards zero by the threshold, 0 where it would change its sign.

    Args:
        x: A tensor of any shape.
        threshold: The threshold.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    zero = as_tensor(0, x.dtype)
    return _select(x > threshold, x - threshold, _select(x < -threshold, x + threshold, zero))


@op
def tanh_shrink(x: Any) -> Tensor:
    """`x - tanh(x)`.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    return x - tanh(x)


@op
def squareplus(x: Any, b: float = 4) -> Tensor:
    """`(x + sqrt(x**2 + b)) / 2`: Barron, 2021, arXiv:2112.11687.

    Args:
        x: A tensor of any shape.
        b: How smooth the bend is.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    return (x + sqrt(square(x) + b)) / 2


@op
def sparse_plus(x: Any) -> Tensor:
    """0 below -1, `x` above 1, `(x + 1)**2 / 4` between.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    zero = as_tensor(0, x.dtype)
    return _select(x <= -1, zero, _select(x < 1, square(x + 1) / 4, x))


@op
def sparse_sigmoid(x: Any) -> Tensor:
    """0 below -1, 1 above 1, `(x + 1) / 2` between.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return clip((as_float(x) + 1) / 2, 0.0, 1.0)


@op
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """`x` where it exceeds the threshold, another value elsewhere.

    Args:
        x: A tensor of any shape.
        threshold: The threshold.
        default_value: The other value.

    Returns:
        A tensor of the same shape.
    """
    x = as_tensor(x)
    return _select(x > threshold, x, as_tensor(default_value, x.dtype))


def _along(apply: Callable[..., Tensor], x: Tensor, axis: Any) -> Tensor:
    """`apply` over one axis, over several taken as one, or over all for None."""
    if isinstance(axis, int):
        return apply(x, axis=normalize_axis(axis, x.ndim))
    axes = normalize_axes(axis, x.ndim)
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    moved = transpose(x, order)
    flat = reshape(
        moved, (*moved.shape[: x.ndim - len(axes)], product(moved.shape[x.ndim - len(axes) :]))
    )
    y = reshape(apply(flat, axis=flat.ndim - 1), moved.shape)
    return transpose(y, [order.index(i) for i in range(x.ndim)])


@op
def softmax(x: Any, axis: Any = -1) -> Tensor:
    """`exp(x) / sum(exp(x))` along axes.

    Args:
        x: A tensor.
        axis: An axis, several of them, or None for all.

    Returns:
        A float tensor of the same shape whose sums along the axes are 1.
    """
    return _along(_softmax, as_float(x), axis)


@op
def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """`log(softmax(x))` along axes, without overflow.

    Args:
        x: A tensor.
        axis: An axis, several of them, or None for all.

    Returns:
        A float tensor of the same shape.
    """
    return _along(_log_softmax, as_float(x), axis)


@op
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The nearest point of the simplex: Martins and Astudillo, arXiv:1602.02068.

    Args:
        x: A tensor.
        axis: The axis.

    Returns:
        A float tensor of the same shape whose sums along the axis are 1.
    """
    x = moveaxis(as_float(x), axis, -1)
    last = x.ndim - 1
    ordered = _flip(_sort(x, axis=last), axes=(last,))
    place = counting(x.shape[-1], x.dtype) + 1
    sums = cumsum(ordered, axis=-1)
    support = as_tensor(1 + place * ordered > sums, x.dtype)
    count = sum(support, axis=-1, keepdims=True)
    excess = (sum(ordered * support, axis=-1, keepdims=True) - 1) / count
    return moveaxis(maximum(x - excess, 0), -1, axis)
