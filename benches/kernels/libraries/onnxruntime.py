"""ONNX Runtime: models of one node, weights as initializers, images channels first."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benches.kernels.libraries import Call, border, channels_first, channels_last, unreached


def model(
    nodes: list[Any],
    inputs: dict[str, np.ndarray],
    weights: dict[str, np.ndarray] | None = None,
    read: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Call:
    """Calls a model of these nodes, whose result is "y".

    Args:
        nodes: made by `onnx.helper.make_node`.
        inputs: the arrays that are bound to inputs.
        weights: constants.
        read: gives the result the layout that it has elsewhere.
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
    return Call(
        lambda: session.run_with_iobinding(binding),
        lambda _: read(binding.copy_outputs_to_cpu()[0]),
    )


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
    return image_model(kind, x, {"kernel": kernel}, group=groups, **attributes)


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


def image_model(
    kind: str, x: np.ndarray, weights: dict[str, np.ndarray] | None = None, **attributes: Any
) -> Call:
    """Calls a node on images."""
    node = helper.make_node(kind, ["x", *(weights or {})], ["y"], **attributes)
    return model([node], {"x": channels_first(x)}, weights, channels_last)


def max_pool(x: np.ndarray, **window: Any) -> Call:
    return image_model("MaxPool", x, **moves(**window))


def average_pool(x: np.ndarray, **window: Any) -> Call:
    return image_model("AveragePool", x, **moves(**window))


def resize_bilinear(x: np.ndarray, side: int) -> Call:
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear")
    shape = np.array([len(x), x.shape[3], side, side])
    return model([node], {"x": channels_first(x)}, {"sizes": shape}, channels_last)


def batch_norm(x: np.ndarray, epsilon: float, **weights: np.ndarray) -> Call:
    return image_model("BatchNormalization", x, weights, epsilon=epsilon)


def group_norm(x: np.ndarray, epsilon: float, groups: int, **weights: np.ndarray) -> Call:
    return image_model("GroupNormalization", x, weights, epsilon=epsilon, num_groups=groups)


def plain(
    kind: str, x: np.ndarray, weights: dict[str, np.ndarray] | None = None, **attributes: Any
) -> Call:
    """Calls a node on an array whose layout stays."""
    node = helper.make_node(kind, ["x", *(weights or {})], ["y"], **attributes)
    return model([node], {"x": x}, weights)


def layer_norm(x: np.ndarray, epsilon: float, **weights: np.ndarray) -> Call:
    return plain("LayerNormalization", x, weights, epsilon=epsilon)


def rms_norm(x: np.ndarray, epsilon: float, **weights: np.ndarray) -> Call:
    return plain("SimplifiedLayerNormalization", x, weights, epsilon=epsilon)


softmax = partial(plain, "Softmax")
gelu = partial(plain, "Gelu")


def multiply_add_relu(**arrays: np.ndarray) -> Call:
    nodes = [
        helper.make_node("Mul", ["a", "b"], ["product"]),
        helper.make_node("Add", ["product", "c"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]
    return model(nodes, arrays)


def recurrent(
    kind: str,
    gates: list[int],
    x: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    **attributes: Any,
) -> Call:
    """Calls a recurrent node on an array (steps, batch, units), the order that it wants.

    Args:
        kind: of the node.
        gates: the places of the node's gates among Keras's.
        x: (batch, steps, units).
        kernel: of the inputs.
        recurrent_kernel: of the outputs before.
        bias: of both, or of one sum.
        **attributes: of the node.
    """
    order, units = gates, len(kernel)

    def sorted_gates(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    biases = np.zeros((2, bias.shape[-1]), "float32")
    biases[: bias.size // bias.shape[-1]] = bias
    weights = {
        "kernel": sorted_gates(kernel).T[None],
        "recurrent": sorted_gates(recurrent_kernel).T[None],
        "bias": sorted_gates(biases).reshape(1, -1),
    }
    node = helper.make_node(kind, ["x", *weights], ["y"], hidden_size=units, **attributes)
    steps_first = np.ascontiguousarray(np.swapaxes(x, 0, 1))
    return model([node], {"x": steps_first}, weights, lambda y: np.swapaxes(y[:, 0], 0, 1))


lstm = partial(recurrent, "LSTM", [0, 3, 1, 2])
gru = partial(recurrent, "GRU", [0, 1, 2], linear_before_reset=1)


def attention(query: np.ndarray, **arrays: np.ndarray) -> Call:
    """Its own attention, whose heads lie side by side."""
    batch, steps, heads, _ = query.shape
    inputs = {
        name: array.reshape(batch, steps, -1) for name, array in {"query": query, **arrays}.items()
    }
    node = helper.make_node(
        "MultiHeadAttention", list(inputs), ["y"], domain="com.microsoft", num_heads=heads
    )
    return model([node], inputs, read=lambda y: y.reshape(query.shape))
