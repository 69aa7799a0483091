"""ONNX Runtime: models of one node, weights as initializers, images channels first."""

import os
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benches.kernels.libraries import Call, border, channels_first, channels_last, unreached


def model(
    nodes: list[Any],
    inputs: dict[str, np.ndarray],
    weights: dict[str, np.ndarray] | None = None,
    images: bool = False,
) -> Call:
    """Calls a model of these nodes, whose result is "y".

    Args:
        nodes: made by `onnx.helper.make_node`.
        inputs: the arrays that are bound to inputs.
        weights: constants.
        images: whether the result is of images, channels first.
    """
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n, x in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(x, name) for name, x in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    session = onnxruntime.InferenceSession(
        helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(), options
    )
    binding = session.io_binding()
    for name, x in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_output("y")

    def read(_: Any) -> np.ndarray:
        result = binding.copy_outputs_to_cpu()[0]
        return channels_last(result) if images else result

    return Call(lambda: session.run_with_iobinding(binding), read)


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    return model([helper.make_node("MatMul", ["a", "b"], ["y"])], {"a": a, "b": b})


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    node = helper.make_node("MatMul", ["x", "kernel"], ["y"])
    return model([node], {"x": x}, {"kernel": kernel})


def moves(size: int, strides: int, padding: str) -> dict[str, Any]:
    """The attributes of a window that moves over an image."""
    return {
        "kernel_shape": [size] * 2,
        "strides": [strides] * 2,
        "pads": [border(padding, size)] * 4,
    }


def convolution(
    kind: str, x: np.ndarray, kernel: np.ndarray, groups: int, attributes: dict[str, Any]
) -> Call:
    node = helper.make_node(kind, ["x", "kernel"], ["y"], group=groups, **attributes)
    return model([node], {"x": channels_first(x)}, {"kernel": kernel}, images=True)


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    attributes = moves(kernel.shape[0], **window)
    return convolution("Conv", x, np.transpose(kernel, (3, 2, 0, 1)), 1, attributes)


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    attributes = moves(kernel.shape[0], **window)
    kernel = np.transpose(kernel, (2, 3, 0, 1))
    return convolution("Conv", x, kernel, x.shape[3], attributes)


def transposed(
    gradient: np.ndarray, kernel: np.ndarray, groups: int, side: int, window: dict[str, Any]
) -> Call:
    """The gradient of the images is what a transposed convolution computes."""
    size = kernel.shape[2]
    padding = [unreached(gradient.shape[1], side, size, **window)] * 2
    attributes = {**moves(size, **window), "output_padding": padding}
    return convolution("ConvTranspose", gradient, kernel, groups, attributes)


def conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    return transposed(gradient, np.transpose(kernel, (3, 2, 0, 1)), 1, side, window)


def depthwise_conv2d_input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, **window: Any
) -> Call:
    kernel = np.transpose(kernel, (2, 3, 0, 1))
    return transposed(gradient, kernel, gradient.shape[3], side, window)


def max_pool(x: np.ndarray, **window: Any) -> Call:
    node = helper.make_node("MaxPool", ["x"], ["y"], **moves(**window))
    return model([node], {"x": channels_first(x)}, images=True)


def average_pool(x: np.ndarray, **window: Any) -> Call:
    node = helper.make_node("AveragePool", ["x"], ["y"], **moves(**window))
    return model([node], {"x": channels_first(x)}, images=True)
