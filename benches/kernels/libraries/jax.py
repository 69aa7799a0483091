"""JAX: jitted functions, waited for."""

from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from benches.kernels.libraries import Call


def jitted(function: Any, *arrays: np.ndarray) -> Call:
    """Calls a function of these arrays."""
    function = jax.jit(function)
    arrays = [jnp.asarray(array) for array in arrays]
    return Call(lambda: jax.block_until_ready(function(*arrays)))


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return jitted(jnp.matmul, a, b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)


def convolution(x: Any, kernel: Any, strides: int, padding: str) -> Any:
    """A convolution of images, channels last."""
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (strides, strides), padding.upper(), dimension_numbers=layout
    )


def depthwise(x: Any, kernel: Any, strides: int, padding: str) -> Any:
    """A convolution of each channel."""
    channels = x.shape[3]
    return lax.conv_general_dilated(
        x,
        kernel.reshape(*kernel.shape[:2], 1, channels),
        (strides, strides),
        padding.upper(),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )


def gradient_of(linear: Any, shape: tuple[int, ...], gradient: Any) -> Any:
    """The gradient of a linear function of an array of this shape, by that array."""
    argument = jax.ShapeDtypeStruct(shape, "float32")
    return jax.linear_transpose(linear, argument)(gradient)[0]


def input_gradient(
    conv: Any, gradient: np.ndarray, kernel: np.ndarray, side: int, window: dict[str, Any]
) -> Call:
    shape = (len(gradient), side, side, kernel.shape[2])
    return jitted(
        lambda g, k: gradient_of(lambda x: conv(x, k, **window), shape, g), gradient, kernel
    )


def kernel_gradient(
    conv: Any, x: np.ndarray, gradient: np.ndarray, shape: Any, window: dict[str, Any]
) -> Call:
    return jitted(lambda x, g: gradient_of(lambda k: conv(x, k, **window), shape, g), x, gradient)


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return jitted(lambda x, k: convolution(x, k, **window), x, kernel)


def conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    return input_gradient(convolution, gradient, kernel, side, window)


def conv2d_kernel_gradient(x: np.ndarray, gradient: np.ndarray, size: int, **window: Any) -> Call:
    shape = (size, size, x.shape[3], gradient.shape[3])
    return kernel_gradient(convolution, x, gradient, shape, window)


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return jitted(lambda x, k: depthwise(x, k, **window), x, kernel)


def depthwise_conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    return input_gradient(depthwise, gradient, kernel, side, window)


def depthwise_conv2d_kernel_gradient(
    x: np.ndarray, gradient: np.ndarray, size: int, **window: Any
) -> Call:
    return kernel_gradient(depthwise, x, gradient, (size, size, x.shape[3], 1), window)


def pooled(x: Any, start: float, reduce: Any, size: int, strides: int, padding: str) -> Any:
    """Windows of images, reduced."""
    return lax.reduce_window(
        x, start, reduce, (1, size, size, 1), (1, strides, strides, 1), padding.upper()
    )


def max_pool(x: np.ndarray, **window: Any) -> Call:
    return jitted(lambda x: pooled(x, -jnp.inf, lax.max, **window), x)


def average_pool(x: np.ndarray, **window: Any) -> Call:
    # How many pixels each window holds is a constant: XLA computes it once.
    count = pooled(jnp.ones((1, *x.shape[1:3], 1)), 0.0, lax.add, **window)
    return jitted(lambda x: pooled(x, 0.0, lax.add, **window) / count, x)
