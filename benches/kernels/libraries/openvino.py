"""OpenVINO: models of one operation, tuned for latency, weights as constants, channels first."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from openvino import Core, Model, Tensor, opset14

from benches.kernels.libraries import Call, border, channels_first, channels_last, unreached

TUNED = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": os.environ["OMP_NUM_THREADS"],
    "INFERENCE_PRECISION_HINT": "f32",
}


def model(
    function: Any, *inputs: np.ndarray, read: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> Call:
    """Calls a function of nodes with parameters for these arrays.

    Args:
        function: takes parameters, returns a node.
        *inputs: the arrays.
        read: gives the result the layout that it has elsewhere.
    """
    parameters = [opset14.parameter(x.shape, np.float32) for x in inputs]
    compiled = Core().compile_model(Model([function(*parameters)], parameters), "CPU", TUNED)
    request = compiled.create_infer_request()
    for i, x in enumerate(inputs):
        request.set_input_tensor(i, Tensor(x))
    return Call(request.infer, lambda _: read(request.get_output_tensor().data))


def image_model(function: Any, x: np.ndarray) -> Call:
    """Calls a function of images."""
    return model(function, channels_first(x), read=channels_last)


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return model(lambda a, b: opset14.matmul(a, b, False, False), a, b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return model(lambda x: opset14.matmul(x, opset14.constant(kernel), False, False), x)


def moves(size: int, strides: int, padding: str) -> tuple[list[int], ...]:
    """Strides, and the border at both ends, of a window that moves over an image."""
    pads = [border(padding, size)] * 2
    return [strides] * 2, pads, pads


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    arguments = (*moves(kernel.shape[0], **window), [1, 1])
    kernel = opset14.constant(np.transpose(kernel, (3, 2, 0, 1)))
    return image_model(lambda x: opset14.convolution(x, kernel, *arguments), x)


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    arguments = (*moves(kernel.shape[0], **window), [1, 1])
    kernel = opset14.constant(np.transpose(kernel, (2, 3, 0, 1))[:, None])
    return image_model(lambda x: opset14.group_convolution(x, kernel, *arguments), x)


def transposed(
    convolution: Any, gradient: np.ndarray, kernel: np.ndarray, side: int, window: dict[str, Any]
) -> Call:
    """The gradient of the images is what a transposed convolution computes."""
    size = kernel.shape[-1]
    strides, begin, end = moves(size, **window)
    pads = {"pads_begin": begin, "pads_end": end}
    pads["output_padding"] = [unreached(gradient.shape[1], side, size, **window)] * 2
    return image_model(
        lambda g: convolution(g, opset14.constant(kernel), strides, **pads),
        gradient,
    )


def conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    kernel = np.transpose(kernel, (3, 2, 0, 1))
    return transposed(opset14.convolution_backprop_data, gradient, kernel, side, window)


def depthwise_conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    kernel = np.transpose(kernel, (2, 3, 0, 1))[:, None]
    return transposed(opset14.group_convolution_backprop_data, gradient, kernel, side, window)


def max_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    strides, begin, end = moves(size, **window)
    return image_model(
        lambda x: opset14.max_pool(x, strides, [1, 1], begin, end, [size] * 2).output(0),
        x,
    )


def average_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    strides, begin, end = moves(size, **window)
    return image_model(
        lambda x: opset14.avg_pool(x, strides, begin, end, [size] * 2, exclude_pad=True),
        x,
    )


def resize_bilinear(x: np.ndarray, side: int) -> Call:
    sizes, axes = opset14.constant(np.array([side, side])), opset14.constant(np.array([2, 3]))
    return image_model(
        lambda x: opset14.interpolate(x, sizes, "linear_onnx", "sizes", axes=axes), x
    )


def batch_norm(x: np.ndarray, epsilon: float, **weights: np.ndarray) -> Call:
    return image_model(
        lambda x: opset14.batch_norm_inference(x, *weights.values(), epsilon=epsilon), x
    )


def group_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float, groups: int
) -> Call:
    return image_model(lambda x: opset14.group_normalization(x, gamma, beta, groups, epsilon), x)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    axes = opset14.constant(np.array([-1]))

    def call(x: Any) -> Any:
        normalized = opset14.mvn(x, axes, True, epsilon, "inside_sqrt")
        return opset14.add(opset14.multiply(normalized, gamma), beta)

    return model(call, x)


def rms_norm(x: np.ndarray, scale: np.ndarray, epsilon: float) -> Call:
    """The nodes that OpenVINO fuses."""

    def call(x: Any) -> Any:
        square = opset14.power(x, np.float32(2))
        mean = opset14.reduce_mean(square, np.array([-1]), keep_dims=True)
        root = opset14.sqrt(opset14.add(mean, np.float32(epsilon)))
        normalized = opset14.multiply(x, opset14.divide(np.float32(1), root))
        return opset14.multiply(normalized, scale)

    return model(call, x)


def softmax(x: np.ndarray) -> Call:
    return model(lambda x: opset14.softmax(x, -1), x)


def gelu(x: np.ndarray) -> Call:
    return model(lambda x: opset14.gelu(x, "erf"), x)


def multiply_add_relu(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Call:
    return model(lambda a, b, c: opset14.relu(opset14.add(opset14.multiply(a, b), c)), a, b, c)


def recurrent(x: np.ndarray, units: int, states: int, function: Callable[..., Any]) -> Call:
    """Calls a sequence of a cell; `function` takes the inputs, states and lengths."""
    state = np.zeros((len(x), 1, units), "float32")
    lengths = np.full(len(x), x.shape[1], "int32")
    return model(
        lambda x: function(x, *[state] * states, lengths).output(0), x, read=lambda y: y[:, 0]
    )


def lstm(x: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> Call:
    def weights(array: np.ndarray) -> np.ndarray:
        i, f, c, o = np.split(array, 4, axis=-1)
        return np.ascontiguousarray(np.concatenate([f, i, c, o], axis=-1).T)[None]

    constants = [weights(array) for array in (kernel, recurrent_kernel, bias)]
    units = len(recurrent_kernel)
    return recurrent(
        x, units, 2, lambda *inputs: opset14.lstm_sequence(*inputs, *constants, units, "forward")
    )


def gru(x: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> Call:
    units = len(recurrent_kernel)
    both = bias.sum(0)[: 2 * units]  # the biases of the gates have one sum
    biases = np.concatenate([both, *bias[:, 2 * units :]])
    constants = [
        np.ascontiguousarray(array.T)[None] for array in (kernel, recurrent_kernel, biases)
    ]
    return recurrent(
        x,
        units,
        1,
        lambda *inputs: opset14.gru_sequence(
            *inputs, *constants, units, "forward", linear_before_reset=True
        ),
    )


def attention(**arrays: np.ndarray) -> Call:
    """Heads before steps, as OpenVINO wants them."""
    heads_first = [np.ascontiguousarray(np.swapaxes(x, 1, 2)) for x in arrays.values()]
    return model(
        opset14.scaled_dot_product_attention, *heads_first, read=lambda y: np.swapaxes(y, 1, 2)
    )
