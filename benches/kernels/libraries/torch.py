"""PyTorch's functions, without records for gradients; images in memory channels last."""

import os
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benches.kernels.libraries import Call, border, channels_first, channels_last

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.set_grad_enabled(False)


def matmul(a: np.ndarray, b: np.ndarray) -> Call:
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    return Call(lambda: a @ b)


def dense(x: np.ndarray, kernel: np.ndarray) -> Call:
    return matmul(x, kernel)


def images(x: np.ndarray) -> torch.Tensor:
    """Images or kernels, their channels last in memory."""
    return torch.from_numpy(channels_first(x)).to(memory_format=torch.channels_last)


def weights(kernel: np.ndarray, depthwise: bool) -> torch.Tensor:
    """The kernel of a convolution."""
    axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    kernel = torch.from_numpy(np.ascontiguousarray(np.transpose(kernel, axes)))
    return kernel.to(memory_format=torch.channels_last)


def convolution(
    x: np.ndarray, kernel: np.ndarray, strides: int, padding: str, depthwise: bool = False
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


def conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return convolution(x, kernel, **window)


def depthwise_conv2d(x: np.ndarray, kernel: np.ndarray, **window: Any) -> Call:
    return convolution(x, kernel, **window, depthwise=True)


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


def conv2d_input_gradient(**arguments: Any) -> Call:
    return input_gradient(**arguments, depthwise=False)


def conv2d_kernel_gradient(**arguments: Any) -> Call:
    return kernel_gradient(**arguments, depthwise=False)


def depthwise_conv2d_input_gradient(**arguments: Any) -> Call:
    return input_gradient(**arguments, depthwise=True)


def depthwise_conv2d_kernel_gradient(**arguments: Any) -> Call:
    return kernel_gradient(**arguments, depthwise=True)


def max_pool(x: np.ndarray, size: int, strides: int, padding: str) -> Call:
    x, pads = images(x), border(padding, size)
    return Call(lambda: functional.max_pool2d(x, size, strides, pads), channels_last)


def average_pool(x: np.ndarray, size: int, strides: int, padding: str) -> Call:
    x, pads = images(x), border(padding, size)
    return Call(
        lambda: functional.avg_pool2d(x, size, strides, pads, count_include_pad=False),
        channels_last,
    )
