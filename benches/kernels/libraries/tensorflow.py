"""TensorFlow's ops on constants, called eagerly: that costs less than a `tf.function` of one op."""

from typing import Any

import numpy as np
import tensorflow as tf

from benches.kernels.libraries import Call


def eager(function: Any, *arrays: np.ndarray) -> Call:
    """Calls a function of these arrays."""
    tensors = [tf.constant(array) for array in arrays]
    return Call(lambda: function(*tensors))


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return eager(lambda a, b: tf.raw_ops.MatMul(a=a, b=b), a, b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)


def moves(strides: int, padding: str) -> dict[str, Any]:
    """The arguments of a window that moves over an image."""
    return {"strides": [1, strides, strides, 1], "padding": padding.upper()}


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return eager(lambda x, k: tf.raw_ops.Conv2D(input=x, filter=k, **moves(**window)), x, kernel)


def conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    sizes = tf.constant([len(gradient), side, side, kernel.shape[2]])
    return eager(
        lambda g, k: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=sizes, filter=k, out_backprop=g, **moves(**window)
        ),
        gradient,
        kernel,
    )


def conv2d_kernel_gradient(x: np.ndarray, gradient: np.ndarray, size: int, **window: Any) -> Call:
    sizes = tf.constant([size, size, x.shape[3], gradient.shape[3]])
    return eager(
        lambda x, g: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=sizes, out_backprop=g, **moves(**window)
        ),
        x,
        gradient,
    )


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return eager(
        lambda x, k: tf.raw_ops.DepthwiseConv2dNative(input=x, filter=k, **moves(**window)),
        x,
        kernel,
    )


def depthwise_conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    sizes = tf.constant([len(gradient), side, side, kernel.shape[2]])
    return eager(
        lambda g, k: tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=sizes, filter=k, out_backprop=g, **moves(**window)
        ),
        gradient,
        kernel,
    )


def depthwise_conv2d_kernel_gradient(
    x: np.ndarray, gradient: np.ndarray, size: int, **window: Any
) -> Call:
    sizes = tf.constant([size, size, x.shape[3], 1])
    return eager(
        lambda x, g: tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=x, filter_sizes=sizes, out_backprop=g, **moves(**window)
        ),
        x,
        gradient,
    )


def max_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    ksize = [1, size, size, 1]
    return eager(lambda x: tf.raw_ops.MaxPool(input=x, ksize=ksize, **moves(**window)), x)


def average_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    ksize = [1, size, size, 1]
    return eager(lambda x: tf.raw_ops.AvgPool(value=x, ksize=ksize, **moves(**window)), x)
