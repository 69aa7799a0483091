"""Cornu as people call it: functions that become plans, on tensors; weights are variables."""

from typing import Any

import numpy as np

import cornu
from benches.kernels.libraries import Call
from cornu import layers, ops


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    return Call(lambda: ops.matmul(a, b))


def planned(function: Any, *arrays: np.ndarray) -> Call:
    """Calls a function or layer of these arrays as a `cornu.function`."""
    function = cornu.function(function)
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    return Call(lambda: function(*tensors))


def layer(layer: Any, x: np.ndarray, *weights: np.ndarray) -> Call:
    """Calls a layer that has these weights."""
    layer.build(x.shape)
    layer.set_weights(weights)
    return planned(layer, x)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return layer(layers.Dense(kernel.shape[1], use_bias=False), x, kernel)


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    size, filters = kernel.shape[0], kernel.shape[3]
    return layer(layers.Conv2D(filters, size, use_bias=False, **window), x, kernel)


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return layer(layers.DepthwiseConv2D(kernel.shape[0], use_bias=False, **window), x, kernel)


def input_gradient(conv: Any, gradient: np.ndarray, kernel: np.ndarray, shape: Any) -> Call:
    """The gradient of a convolution by its images; their values take no part in it."""
    kernel = cornu.Variable(kernel)

    def call(gradient: Any) -> Any:
        with cornu.GradientTape() as tape:
            x = ops.zeros(shape)
            tape.watch(x)
            y = conv(x, kernel)
        return tape.gradient(y, x, output_gradients=gradient)

    return planned(call, gradient)


def conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    shape = (len(gradient), side, side, kernel.shape[2])
    return input_gradient(lambda x, k: ops.conv(x, k, **window), gradient, kernel, shape)


def depthwise_conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    shape = (len(gradient), side, side, kernel.shape[2])
    return input_gradient(lambda x, k: ops.depthwise_conv(x, k, **window), gradient, kernel, shape)


def kernel_gradient(conv: Any, x: np.ndarray, gradient: np.ndarray, shape: Any) -> Call:
    """The gradient of a convolution by its kernel, whose values take no part in it."""
    kernel = cornu.Variable(np.zeros(shape, "float32"))

    def call(x: Any, gradient: Any) -> Any:
        with cornu.GradientTape() as tape:
            y = conv(x, kernel)
        return tape.gradient(y, kernel, output_gradients=gradient)

    return planned(call, x, gradient)


def conv2d_kernel_gradient(x: np.ndarray, gradient: np.ndarray, size: int, **window: Any) -> Call:
    shape = (size, size, x.shape[3], gradient.shape[3])
    return kernel_gradient(lambda x, k: ops.conv(x, k, **window), x, gradient, shape)


def depthwise_conv2d_kernel_gradient(
    x: np.ndarray, gradient: np.ndarray, size: int, **window: Any
) -> Call:
    shape = (size, size, x.shape[3], 1)
    return kernel_gradient(lambda x, k: ops.depthwise_conv(x, k, **window), x, gradient, shape)


def max_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    return planned(lambda x: ops.max_pool(x, size, **window), x)


def average_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    return planned(lambda x: ops.average_pool(x, size, **window), x)
