"""PyTorch's functions, without records for gradients; images in memory channels last."""

import os
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benches import pytorch
from benches.kernels.libraries import Call, border, channels_last
from benches.pytorch import images, weights

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.set_grad_enabled(False)


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    return Call(lambda: a @ b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)


def convolution(
    x: np.ndarray, kernel: np.ndarray, strides: int, padding: str, depthwise: bool
) -> Call:
    groups = x.shape[3] if depthwise else 1
    pads = border(padding, kernel.shape[0])
    x, kernel = images(x), weights(kernel, depthwise)
    return Call(lambda: functional.conv2d(x, kernel, None, strides, pads, 1, groups), channels_last)


def gradients(
    x: np.ndarray,
    kernel: np.ndarray,
    gradient: np.ndarray,
    wanted: list[bool],
    strides: int,
    padding: str,
    depthwise: bool,
) -> Call:
    """One of the gradients of a convolution: of the images, or of the kernel."""
    groups = x.shape[3] if depthwise else 1
    pads = [border(padding, kernel.shape[0])] * 2
    gradient, x, kernel = images(gradient), images(x), weights(kernel, depthwise)

    def run() -> torch.Tensor:
        results = torch.ops.aten.convolution_backward(
            gradient, x, kernel, None, [strides] * 2, pads, [1, 1], False, [0, 0], groups, wanted
        )
        return results[wanted.index(True)]

    if wanted[0]:
        return Call(run, channels_last)
    axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    return Call(run, lambda result: np.transpose(result, axes))


def input_gradient(
    gradient: np.ndarray, kernel: np.ndarray, side: int, depthwise: bool, **window: Any
) -> Call:
    x = np.zeros((len(gradient), side, side, kernel.shape[2]), "float32")
    return gradients(x, kernel, gradient, [True, False, False], depthwise=depthwise, **window)


def kernel_gradient(
    x: np.ndarray, gradient: np.ndarray, size: int, depthwise: bool, **window: Any
) -> Call:
    filters = 1 if depthwise else gradient.shape[3]
    kernel = np.zeros((size, size, x.shape[3], filters), "float32")
    return gradients(x, kernel, gradient, [False, True, False], depthwise=depthwise, **window)


conv2d = partial(convolution, depthwise=False)
depthwise_conv2d = partial(convolution, depthwise=True)
conv2d_input_gradient = partial(input_gradient, depthwise=False)
conv2d_kernel_gradient = partial(kernel_gradient, depthwise=False)
depthwise_conv2d_input_gradient = partial(input_gradient, depthwise=True)
depthwise_conv2d_kernel_gradient = partial(kernel_gradient, depthwise=True)


def max_pool(x: np.ndarray, size: int, strides: int, padding: str) -> Call:
    x, pads = images(x), border(padding, size)
    return Call(lambda: functional.max_pool2d(x, size, strides, pads), channels_last)


def average_pool(x: np.ndarray, size: int, strides: int, padding: str) -> Call:
    x, pads = images(x), border(padding, size)
    return Call(
        lambda: functional.avg_pool2d(x, size, strides, pads, count_include_pad=False),
        channels_last,
    )


def resize_bilinear(x: np.ndarray, side: int) -> Call:
    x = images(x)
    return Call(lambda: functional.interpolate(x, (side, side), mode="bilinear"), channels_last)


def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> Call:
    moments = [torch.from_numpy(array) for array in (mean, variance, gamma, beta)]
    x = images(x)
    return Call(lambda: functional.batch_norm(x, *moments, eps=epsilon), channels_last)


def batch_norm_training(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    x, gamma, beta = images(x), torch.from_numpy(gamma), torch.from_numpy(beta)
    return Call(
        lambda: functional.batch_norm(x, None, None, gamma, beta, training=True, eps=epsilon),
        channels_last,
    )


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> Call:
    x, gamma, beta = (torch.from_numpy(array) for array in (x, gamma, beta))
    return Call(lambda: functional.layer_norm(x, gamma.shape, gamma, beta, epsilon))


def group_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float, groups: int
) -> Call:
    x, gamma, beta = images(x), torch.from_numpy(gamma), torch.from_numpy(beta)
    return Call(lambda: functional.group_norm(x, groups, gamma, beta, epsilon), channels_last)


def rms_norm(x: np.ndarray, scale: np.ndarray, epsilon: float) -> Call:
    x, scale = torch.from_numpy(x), torch.from_numpy(scale)
    return Call(lambda: functional.rms_norm(x, scale.shape, scale, epsilon))


def softmax(x: np.ndarray) -> Call:
    x = torch.from_numpy(x)
    return Call(lambda: torch.softmax(x, -1))


def gelu(x: np.ndarray) -> Call:
    x = torch.from_numpy(x)
    return Call(lambda: functional.gelu(x))


def multiply_add_relu(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Call:
    a, b, c = (torch.from_numpy(array) for array in (a, b, c))
    return Call(lambda: torch.addcmul(c, a, b).relu_())


def adam(**arrays: np.ndarray) -> Call:
    """PyTorch's update of all variables in one kernel."""
    variables = [torch.tensor(array) for array in arrays.values()]
    for variable, array in zip(variables, arrays.values(), strict=True):
        variable.grad = torch.from_numpy(array)
    step = torch.optim.Adam(variables, lr=0.001, eps=1e-7, fused=True).step
    return Call(step, lambda _: [variable.numpy() for variable in variables])


def recurrent_layer(
    kind: Any, order: list[int], x: np.ndarray, weights: dict[str, np.ndarray]
) -> tuple[Any, Any]:
    """A layer and its input; `order` holds the places of its gates among Keras's."""
    return pytorch.recurrent(kind, order, **weights), torch.from_numpy(x)


def recurrent(kind: Any, order: list[int], x: np.ndarray, **weights: np.ndarray) -> Call:
    layer, x = recurrent_layer(kind, order, x, weights)
    return Call(lambda: layer(x)[0])


def trained(function: Any, sources: list[Any], gradient: np.ndarray) -> Any:
    """Returns a function that computes the gradients of `sources`, from that of the output."""
    gradient = torch.from_numpy(gradient)

    def run() -> Any:
        with torch.enable_grad():
            return torch.autograd.grad(function(), sources, gradient)

    return run


def recurrent_training(
    kind: Any, order: list[int], x: np.ndarray, gradient: np.ndarray, **weights: np.ndarray
) -> Call:
    layer, x = recurrent_layer(kind, order, x, weights)
    x.requires_grad_()

    def read(results: Any) -> list[np.ndarray]:
        x, *found = map(np.asarray, results)
        # Each gate's place in Keras's order is where `order` has it.
        back = [order.index(gate) for gate in range(len(order))]
        kernel, recurrent_kernel, *biases = (
            np.asarray(pytorch.gate_order(a.T, back)).T for a in found
        )
        bias = np.stack(biases) if weights["bias"].ndim == 2 else biases[0]
        return [x, kernel, recurrent_kernel, bias]

    return Call(trained(lambda: layer(x)[0], [x, *layer.parameters()], gradient), read)


lstm, gru = (partial(recurrent, *kind) for kind in (pytorch.LSTM, pytorch.GRU))
lstm_training, gru_training = (
    partial(recurrent_training, *kind) for kind in (pytorch.LSTM, pytorch.GRU)
)


def heads_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.swapaxes(x, 1, 2)))


def steps_first(x: torch.Tensor) -> np.ndarray:
    return np.swapaxes(np.asarray(x), 1, 2)


def attention(**arrays: np.ndarray) -> Call:
    inputs = [heads_first(array) for array in arrays.values()]
    return Call(lambda: functional.scaled_dot_product_attention(*inputs), steps_first)


def attention_training(gradient: np.ndarray, **arrays: np.ndarray) -> Call:
    inputs = [heads_first(array).requires_grad_() for array in arrays.values()]
    gradient = np.ascontiguousarray(np.swapaxes(gradient, 1, 2))
    run = trained(lambda: functional.scaled_dot_product_attention(*inputs), inputs, gradient)
    return Call(run, lambda results: [steps_first(result) for result in results])
