"""Moments and normalizations."""

from __future__ import annotations

from typing import Any

from cornu import config
from cornu._cornu import Tensor, primitive
from cornu.ops.elementwise import maximum, rsqrt, square
from cornu.ops.manipulation import moveaxis, reshape, squeeze
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, promoted
from cornu.ops.reduction import mean, sum
from cornu.ops.shapes import normalize_axes, normalize_axis

_layer_norm = primitive("layer_norm")
_group_norm = primitive("group_norm")
_batch_norm_inference = primitive("batch_norm_inference")
_batch_norm_train = primitive("batch_norm_train")


@op
def moments(
    x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean and the variance of the elements along axes.

    Half precision is summed in `float32`.

    Args:
        x: A tensor.
        axes: Which axes.
        keepdims: Whether they stay, with size 1.
        synchronized: Accepted for compatibility; there is one replica.

    Returns:
        A tuple of two tensors without these axes.
    """
    x = as_float(x)
    dtype = x.dtype
    x = _widened(x)
    center = mean(x, axes, keepdims=True)
    variance = mean(square(x - center), axes, keepdims=True)
    if not keepdims:
        gone = normalize_axes(axes, x.ndim)
        center, variance = squeeze(center, gone), squeeze(variance, gone)
    return as_tensor(center, dtype), as_tensor(variance, dtype)


def _widened(x: Tensor) -> Tensor:
    return as_tensor(x, "float32") if x.dtype in ("float16", "bfloat16") else x


@op
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`.

    Ioffe and Szegedy, 2015, arXiv:1502.03167.

    Args:
        x: A tensor.
        mean: The means, of the size of the axis.
        variance: The variances, of the size of the axis.
        axis: The axis whose entries have moments of their own.
        offset: What is added, of the size of the axis.
        scale: What is multiplied, of the size of the axis.
        epsilon: Added to the variance.

    Returns:
        A tensor of the shape of `x`.
    """
    x, mean, variance = promoted(x, mean, variance, floating=True)
    axis = normalize_axis(axis, x.ndim)
    if axis == x.ndim - 1:
        gamma = as_tensor(1 if scale is None else scale, x.dtype)
        beta = as_tensor(0 if offset is None else offset, x.dtype)
        gamma, beta = (p if p.ndim else _filled(p, mean.shape) for p in (gamma, beta))
        return _batch_norm_inference(x, gamma, beta, mean, variance, epsilon=float(epsilon))
    lying = tuple(-1 if i == axis else 1 for i in range(x.ndim))
    factor = rsqrt(reshape(variance, lying) + epsilon)
    if scale is not None:
        factor = factor * reshape(as_tensor(scale, x.dtype), lying)
    y = (x - reshape(mean, lying)) * factor
    return y if offset is None else y + reshape(as_tensor(offset, x.dtype), lying)


def batch_normalization_in_training(
    x: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_normalization` with the moments of the batch itself.

    Args:
        x: A float tensor.
        axis: The axis whose entries have moments of their own.
        offset: What is added, of the size of the axis.
        scale: What is multiplied, of the size of the axis.
        epsilon: Added to the variance.

    Returns:
        A tensor of the shape of `x`, the means and the variances.
    """
    x = as_float(x)
    axis = normalize_axis(axis, x.ndim)
    sizes = (x.shape[axis],)
    gamma = _filled(as_tensor(1, x.dtype), sizes) if scale is None else as_tensor(scale, x.dtype)
    beta = _filled(as_tensor(0, x.dtype), sizes) if offset is None else as_tensor(offset, x.dtype)
    y, center, variance = _batch_norm_train(
        moveaxis(x, axis, -1), gamma, beta, epsilon=float(epsilon)
    )
    return moveaxis(y, -1, axis), center, variance


def _filled(x: Tensor, shape: Any) -> Tensor:
    from cornu.ops.manipulation import broadcast_to

    return broadcast_to(x, shape)


@op
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """Each sample with mean 0 and variance 1 over axes: Ba et al., 2016, arXiv:1607.06450.

    Args:
        x: A tensor.
        gamma: What is multiplied, of the sizes of the axes.
        beta: What is added, of the sizes of the axes.
        axis: Which axes.
        epsilon: Added to the variance; `config.epsilon()` by default.

    Returns:
        A tensor of the shape of `x`.
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization() got unexpected arguments: {sorted(kwargs)}")
    return _normalized(x, gamma, beta, axis, epsilon, rms=rms_scaling)


@op
def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """Each sample divided by its root mean square: Zhang and Sennrich, arXiv:1910.07467.

    Args:
        x: A tensor.
        scale: What is multiplied, of the sizes of the axes.
        axis: Which axes.
        epsilon: Added to the mean square; `config.epsilon()` by default.

    Returns:
        A tensor of the shape of `x`.
    """
    return _normalized(x, scale, None, axis, epsilon, rms=True)


def group_normalization(
    x: Any, groups: int, axis: int, gamma: Any = None, beta: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """Each group of channels of each sample brought to mean 0 and variance 1.

    Wu and He, 2018, arXiv:1803.08494.

    Args:
        x: A float tensor `(batch, ...)`.
        groups: How many; divides the channels.
        axis: The axis of the channels.
        gamma: What is multiplied, per channel.
        beta: What is added, per channel.
        epsilon: Added to the variance.

    Returns:
        A tensor of the shape of `x`.
    """
    x, last = moveaxis(x, axis, -1), normalize_axis(axis, x.ndim) == x.ndim - 1
    present = _present(x.dtype, x.shape[-1:], gamma, beta)
    y = _group_norm(x, *present, groups=groups, epsilon=float(epsilon))
    return y if last else moveaxis(y, -1, axis)


def _present(dtype: str, sizes: Any, gamma: Any, beta: Any) -> list[Tensor]:
    """The operands `gamma` and `beta` of a normalization; ones where only `beta` is given."""
    parameters = [
        None if p is None else reshape(as_tensor(as_tensor(p), dtype), sizes) for p in (gamma, beta)
    ]
    if gamma is None and beta is not None:
        parameters[0] = _filled(as_tensor(1, dtype), sizes)
    return [p for p in parameters if p is not None]


def _normalized(x: Any, gamma: Any, beta: Any, axis: Any, epsilon: Any, rms: bool) -> Tensor:
    given = as_tensor(x)
    x = as_float(given)
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    axes = tuple(sorted(normalize_axes(axis, x.ndim)))
    last = tuple(range(x.ndim - len(axes), x.ndim))
    if axes != last:
        x = moveaxis(x, axes, last)
    present = _present(x.dtype, x.shape[x.ndim - len(axes) :], gamma, beta)
    y = _layer_norm(x, *present, axis_count=len(axes), epsilon=epsilon, rms=rms)
    y = moveaxis(y, last, axes) if axes != last else y
    return as_tensor(y, given.dtype)


@op
def normalize(x: Any, axis: Any = -1, order: Any = 2, epsilon: float | None = None) -> Tensor:
    """The tensor divided by its norms along an axis.

    Args:
        x: A tensor.
        axis: The axis.
        order: The order of the norm.
        epsilon: The least norm that is divided by; `config.epsilon()` by default.

    Returns:
        A float tensor of the shape of `x`.
    """
    from cornu.ops.linalg import norm

    x = as_float(x)
    if x.ndim == 0:
        x = reshape(x, (1,))
    epsilon = config.epsilon() if epsilon is None else epsilon
    if order == 2:
        # Where the norm is too small the gradient must not pass through its root.
        return x * rsqrt(maximum(sum(square(x), axis, keepdims=True), epsilon**2))
    return x / maximum(norm(x, order, axis, keepdims=True), epsilon)
