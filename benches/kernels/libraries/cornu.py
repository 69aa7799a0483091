"""Cornu as people call it: functions that become plans, on tensors; weights are variables."""

from functools import partial
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


def gradients(function: Any, variables: Any = ()) -> Any:
    """Returns a function of the gradient of an output, and of the arguments of `function`.

    It returns the gradients of these arguments and of the variables.
    """

    def call(gradient: Any, *arguments: Any) -> Any:
        with cornu.GradientTape() as tape:
            for argument in arguments:
                tape.watch(argument)
            y = function(*arguments)
        return tape.gradient(y, [*arguments, *variables], output_gradients=gradient)

    return call


def arrays_of(call: Call) -> Call:
    """The call of a function that returns a list of tensors."""
    return Call(call.run, lambda results: [np.asarray(result) for result in results])


def gradient_of(linear: Any, shape: tuple[int, ...], gradient: Any) -> Any:
    """The gradient of a linear function of an array of this shape, by that array."""
    return gradients(linear)(gradient, ops.zeros(shape))[0]


def input_gradient(
    conv: Any, gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    shape, kernel = (len(gradient), side, side, kernel.shape[2]), cornu.Variable(kernel)
    return planned(lambda g: gradient_of(lambda x: conv(x, kernel, **window), shape, g), gradient)


def kernel_gradient(
    conv: Any, filters: int | None, x: np.ndarray, gradient: np.ndarray, size: int, **window: Any
) -> Call:
    shape = (size, size, x.shape[3], filters or gradient.shape[3])
    return planned(lambda x, g: gradient_of(lambda k: conv(x, k, **window), shape, g), x, gradient)


conv2d_input_gradient = partial(input_gradient, ops.conv)
conv2d_kernel_gradient = partial(kernel_gradient, ops.conv, None)
depthwise_conv2d_input_gradient = partial(input_gradient, ops.depthwise_conv)
depthwise_conv2d_kernel_gradient = partial(kernel_gradient, ops.depthwise_conv, 1)


def max_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    return planned(lambda x: ops.max_pool(x, size, **window), x)


def average_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    return planned(lambda x: ops.average_pool(x, size, **window), x)


def resize_bilinear(x: np.ndarray, side: int) -> Call:
    return planned(lambda x: ops.image.resize(x, (side, side)), x)


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> Call:
    return layer(layers.BatchNormalization(epsilon=epsilon), x, gamma, beta, mean, variance)


def batch_norm_training(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    """With the update of the moving moments, which the layer makes in training."""
    norm = layers.BatchNormalization(epsilon=epsilon)
    norm.build(x.shape)
    norm.set_weights([gamma, beta, np.zeros_like(gamma), np.ones_like(gamma)])
    return planned(lambda x: norm(x, training=True), x)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    return layer(layers.LayerNormalization(epsilon=epsilon), x, gamma, beta)


def group_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float, groups: int
) -> Call:
    return layer(layers.GroupNormalization(groups, epsilon=epsilon), x, gamma, beta)


def rms_norm(x: np.ndarray, scale: np.ndarray, epsilon: float) -> Call:
    return layer(layers.RMSNormalization(epsilon=epsilon), x, scale)


def softmax(x: np.ndarray) -> Call:
    return planned(ops.softmax, x)


def gelu(x: np.ndarray) -> Call:
    return planned(lambda x: ops.gelu(x, approximate=False), x)


def multiply_add_relu(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Call:
    return planned(lambda a, b, c: ops.relu(a * b + c), a, b, c)


def adam(**arrays: np.ndarray) -> Call:
    gradients = [ops.convert_to_tensor(array) for array in arrays.values()]
    variables = [cornu.Variable(array) for array in arrays.values()]
    optimizer = cornu.optimizers.Adam()
    optimizer.build(variables)
    step = cornu.function(lambda gradients: optimizer.apply(gradients, variables))
    return Call(lambda: step(gradients), lambda _: [v.numpy() for v in variables])


def recurrent(kind: Any, x: np.ndarray, kernel: np.ndarray, **weights: np.ndarray) -> Call:
    return layer(kind(len(kernel), return_sequences=True), x, kernel, *weights.values())


def recurrent_training(
    kind: Any, x: np.ndarray, gradient: np.ndarray, kernel: np.ndarray, **weights: np.ndarray
) -> Call:
    layer = kind(len(kernel), return_sequences=True)
    layer.build(x.shape)
    layer.set_weights([kernel, *weights.values()])
    return arrays_of(planned(gradients(layer, layer.trainable_variables), gradient, x))


lstm, lstm_training, gru, gru_training = (
    partial(function, kind)
    for kind in (layers.LSTM, layers.GRU)
    for function in (recurrent, recurrent_training)
)


def attention(**arrays: np.ndarray) -> Call:
    return planned(ops.dot_product_attention, *arrays.values())


def attention_training(gradient: np.ndarray, **arrays: np.ndarray) -> Call:
    return arrays_of(planned(gradients(ops.dot_product_attention), gradient, *arrays.values()))
