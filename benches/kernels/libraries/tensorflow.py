"""TensorFlow: single ops eagerly, which costs less than a `tf.function`; more ops as a function."""

import os
from functools import partial
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from benches.kernels.libraries import Call

raw = tf.raw_ops


def traced(function: Any, *arrays: np.ndarray) -> Call:
    """Calls a `tf.function` of these arrays."""
    return eager(tf.function(function), *arrays)


def eager(function: Any, *arrays: np.ndarray) -> Call:
    """Calls a function of these arrays."""
    tensors = [tf.constant(array) for array in arrays]
    return Call(lambda: function(*tensors))


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return eager(lambda a, b: raw.MatMul(a=a, b=b), a, b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)


def moves(strides: int, padding: str) -> dict[str, Any]:
    """The arguments of a window that moves over an image."""
    return {"strides": [1, strides, strides, 1], "padding": padding.upper()}


def convolution(op: Any, x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return eager(lambda x, k: op(input=x, filter=k, **moves(**window)), x, kernel)


def input_gradient(
    op: Any, gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    sizes = tf.constant([len(gradient), side, side, kernel.shape[2]])
    return eager(
        lambda g, k: op(input_sizes=sizes, filter=k, out_backprop=g, **moves(**window)),
        gradient,
        kernel,
    )


def kernel_gradient(
    op: Any, filters: int | None, x: np.ndarray, gradient: np.ndarray, size: int, **window: Any
) -> Call:
    sizes = tf.constant([size, size, x.shape[3], filters or gradient.shape[3]])
    return eager(
        lambda x, g: op(input=x, filter_sizes=sizes, out_backprop=g, **moves(**window)),
        x,
        gradient,
    )


conv2d = partial(convolution, raw.Conv2D)
conv2d_input_gradient = partial(input_gradient, raw.Conv2DBackpropInput)
conv2d_kernel_gradient = partial(kernel_gradient, raw.Conv2DBackpropFilter, None)
depthwise_conv2d = partial(convolution, raw.DepthwiseConv2dNative)
depthwise_conv2d_input_gradient = partial(input_gradient, raw.DepthwiseConv2dNativeBackpropInput)
depthwise_conv2d_kernel_gradient = partial(
    kernel_gradient, raw.DepthwiseConv2dNativeBackpropFilter, 1
)


def max_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    ksize = [1, size, size, 1]
    return eager(lambda x: raw.MaxPool(input=x, ksize=ksize, **moves(**window)), x)


def average_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    ksize = [1, size, size, 1]
    return eager(lambda x: raw.AvgPool(value=x, ksize=ksize, **moves(**window)), x)


def resize_bilinear(x: np.ndarray, side: int) -> Call:
    size = tf.constant([side, side])
    return eager(lambda x: raw.ResizeBilinear(images=x, size=size, half_pixel_centers=True), x)


def batch_norm(epsilon: float, **arrays: np.ndarray) -> Call:
    def call(x: Any, *weights: Any) -> Any:
        names = dict(zip(("scale", "offset", "mean", "variance"), weights, strict=True))
        return raw.FusedBatchNormV3(x=x, **names, epsilon=epsilon, is_training=False).y

    return eager(call, *arrays.values())


def batch_norm_training(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    none = tf.zeros(0)

    def call(x: Any, scale: Any, offset: Any) -> Any:
        return raw.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=none, variance=none, epsilon=epsilon
        ).y

    return eager(call, x, gamma, beta)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    def call(x: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    return traced(call, x, gamma, beta)


def group_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float, groups: int
) -> Call:
    def call(x: Any, gamma: Any, beta: Any) -> Any:
        grouped = tf.reshape(x, (*x.shape[:3], groups, -1))
        gamma, beta = tf.reshape(gamma, (groups, -1)), tf.reshape(beta, (groups, -1))
        mean, variance = tf.nn.moments(grouped, [1, 2, 4], keepdims=True)
        result = tf.nn.batch_normalization(grouped, mean, variance, beta, gamma, epsilon)
        return tf.reshape(result, x.shape)

    return traced(call, x, gamma, beta)


def rms_norm(x: np.ndarray, scale: np.ndarray, epsilon: float) -> Call:
    def call(x: Any, scale: Any) -> Any:
        mean = tf.reduce_mean(tf.square(x), -1, keepdims=True)
        return x * tf.math.rsqrt(mean + epsilon) * scale

    return traced(call, x, scale)


def softmax(x: np.ndarray) -> Call:
    return eager(lambda x: raw.Softmax(logits=x), x)


def gelu(x: np.ndarray) -> Call:
    return traced(lambda x: tf.nn.gelu(x, approximate=False), x)


def multiply_add_relu(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Call:
    return traced(lambda a, b, c: tf.nn.relu(a * b + c), a, b, c)


def adam(**arrays: np.ndarray) -> Call:
    """TensorFlow's own update of each variable, all in one function."""
    gradients = [tf.constant(array) for array in arrays.values()]
    variables = [tf.Variable(g) for g in gradients]
    moments = [(tf.Variable(tf.zeros_like(g)), tf.Variable(tf.zeros_like(g))) for g in gradients]
    powers = [tf.Variable(1.0), tf.Variable(1.0)]
    constants = {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}

    @tf.function
    def step() -> None:
        first, second = powers[0].assign(powers[0] * 0.9), powers[1].assign(powers[1] * 0.999)
        for variable, (mean, square), gradient in zip(variables, moments, gradients, strict=True):
            raw.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=first,
                beta2_power=second,
                grad=gradient,
                **constants,
            )

    return Call(step, lambda _: [variable.numpy() for variable in variables])


def recurrent_layer(kind: Any, kernel: np.ndarray, weights: dict[str, np.ndarray]) -> Any:
    layer = kind(len(kernel), return_sequences=True)
    layer.build((None, None, len(kernel)))
    layer.set_weights([kernel, *weights.values()])
    return layer


def recurrent(kind: Any, x: np.ndarray, kernel: np.ndarray, **weights: np.ndarray) -> Call:
    return traced(recurrent_layer(kind, kernel, weights), x)


def gradients(function: Any, variables: Any, gradient: np.ndarray, *arrays: np.ndarray) -> Call:
    """The gradients of the arguments and of variables, from that of the output."""

    def call(gradient: Any, *arguments: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            y = function(*arguments)
        return tape.gradient(y, [*arguments, *variables], output_gradients=gradient)

    run = traced(call, gradient, *arrays).run
    return Call(run, lambda results: [result.numpy() for result in results])


def recurrent_training(
    kind: Any, x: np.ndarray, gradient: np.ndarray, kernel: np.ndarray, **weights: np.ndarray
) -> Call:
    layer = recurrent_layer(kind, kernel, weights)
    return gradients(layer, [v.value for v in layer.trainable_variables], gradient, x)


lstm, lstm_training, gru, gru_training = (
    partial(function, kind)
    for kind in (keras.layers.LSTM, keras.layers.GRU)
    for function in (recurrent, recurrent_training)
)


def attend(query: Any, key: Any, value: Any) -> Any:
    scores = tf.einsum("btnh,bsnh->bnts", query, key) * query.shape[-1] ** -0.5
    return tf.einsum("bnts,bsnh->btnh", tf.nn.softmax(scores), value)


def attention(**arrays: np.ndarray) -> Call:
    return traced(attend, *arrays.values())


def attention_training(gradient: np.ndarray, **arrays: np.ndarray) -> Call:
    return gradients(attend, [], gradient, *arrays.values())
