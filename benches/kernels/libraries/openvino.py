"""OpenVINO: models of one operation, tuned for latency, weights as constants, channels first."""

import os
from typing import Any

import numpy as np
from openvino import Core, Model, Tensor, opset14

from benches.kernels.libraries import Call, border, channels_first, channels_last, unreached

TUNED = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": os.environ["OMP_NUM_THREADS"],
    "INFERENCE_PRECISION_HINT": "f32",
}


def model(function: Any, *inputs: np.ndarray, images: bool = False) -> Call:
    """Calls a function of nodes with parameters for these arrays.

    Args:
        function: takes parameters, returns a node.
        *inputs: the arrays.
        images: whether the result is of images, channels first.
    """
    parameters = [opset14.parameter(x.shape, np.float32) for x in inputs]
    compiled = Core().compile_model(Model([function(*parameters)], parameters), "CPU", TUNED)
    request = compiled.create_infer_request()
    for i, x in enumerate(inputs):
        request.set_input_tensor(i, Tensor(x))

    def read(_: Any) -> np.ndarray:
        result = request.get_output_tensor().data
        return channels_last(result) if images else result

    return Call(request.infer, read)


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
    return model(
        lambda x: opset14.convolution(x, kernel, *arguments), channels_first(x), images=True
    )


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    arguments = (*moves(kernel.shape[0], **window), [1, 1])
    kernel = opset14.constant(np.transpose(kernel, (2, 3, 0, 1))[:, None])
    return model(
        lambda x: opset14.group_convolution(x, kernel, *arguments), channels_first(x), images=True
    )


def transposed(
    convolution: Any, gradient: np.ndarray, kernel: np.ndarray, side: int, window: dict[str, Any]
) -> Call:
    """The gradient of the images is what a transposed convolution computes."""
    size = kernel.shape[-1]
    strides, begin, end = moves(size, **window)
    pads = {"pads_begin": begin, "pads_end": end}
    pads["output_padding"] = [unreached(gradient.shape[1], side, size, **window)] * 2
    return model(
        lambda g: convolution(g, opset14.constant(kernel), strides, **pads),
        channels_first(gradient),
        images=True,
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
    return model(
        lambda x: opset14.max_pool(x, strides, [1, 1], begin, end, [size] * 2).output(0),
        channels_first(x),
        images=True,
    )


def average_pool(x: np.ndarray, size: int, **window: Any) -> Call:
    strides, begin, end = moves(size, **window)
    return model(
        lambda x: opset14.avg_pool(x, strides, begin, end, [size] * 2, exclude_pad=True),
        channels_first(x),
        images=True,
    )
