"""Models of Keras as PyTorch's own modules, as its users write them, predicting and in training.

Images have their channels second, and last in memory.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# The places of a recurrent layer's gates among Keras's.
LSTM, GRU = (nn.LSTM, [0, 1, 2, 3]), (nn.GRU, [1, 0, 2])


def tensor(array: np.ndarray) -> torch.Tensor:
    """A copy of an array, in one piece."""
    return torch.from_numpy(np.array(array, order="C"))


def images(x: np.ndarray) -> torch.Tensor:
    """Examples; the channels of images second."""
    x = tensor(np.moveaxis(x, -1, 1) if x.ndim == 4 else x)
    return x.to(memory_format=torch.channels_last) if x.ndim == 4 else x


def weights(kernel: np.ndarray, depthwise: bool) -> torch.Tensor:
    """A kernel of Keras's, inputs and filters last, as PyTorch has it: filters and inputs first."""
    rank = kernel.ndim - 2
    ends = (rank, rank + 1) if depthwise else (rank + 1, rank)
    kernel = tensor(np.transpose(kernel, (*ends, *range(rank))))
    return kernel.to(memory_format=torch.channels_last) if rank == 2 else kernel


def gate_order(array: np.ndarray, order: list[int]) -> torch.Tensor:
    """Weights with their gates in another order, transposed."""
    parts = np.split(array, len(order), axis=-1)
    return tensor(np.concatenate([parts[gate] for gate in order], axis=-1).T)


@torch.no_grad()
def filled(module: nn.Module, *arrays: np.ndarray | torch.Tensor) -> nn.Module:
    """The module with these parameters, in its order."""
    for parameter, array in zip(module.parameters(), arrays, strict=True):
        parameter.copy_(torch.as_tensor(array))
    return module


def recurrent(
    kind: Any, order: list[int], kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray
) -> nn.Module:
    """A recurrent layer with weights of Keras's."""
    layer = kind(len(kernel), len(recurrent_kernel), batch_first=True)
    biases = np.zeros((2, bias.shape[-1]), "float32")
    biases[: bias.ndim] = bias
    arrays = (kernel, recurrent_kernel, *biases)
    return filled(layer, *(gate_order(array, order) for array in arrays))


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        return self.function(*x)


class LastStep(nn.Module):
    """A recurrent layer of which the last state is taken."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0][:, -1]


class SelfAttention(nn.Module):
    """A sequence that attends to itself, its three projections in one product."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        # Kernels and biases of query, key and value, then of the output.
        *parts, kernel, bias = layer.get_weights()
        width, self.heads, size = parts[0].shape
        inner = self.heads * size
        joined = np.concatenate([part.reshape(width, inner) for part in parts[::2]], axis=1)
        biases = np.concatenate([part.reshape(inner) for part in parts[1::2]])
        self.projection = filled(nn.Linear(width, 3 * inner), tensor(joined.T), biases)
        self.output = filled(nn.Linear(inner, width), tensor(kernel.reshape(inner, width).T), bias)

    def forward(self, x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        heads = self.projection(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(*heads)
        return self.output(x.transpose(1, 2).flatten(2))


# What follows a layer of each activation.
ACTIVATIONS: dict[str, Callable[[], nn.Module] | None] = {
    "linear": None,
    "relu": lambda: nn.ReLU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: Function(lambda x: x.softmax(1 if x.ndim == 4 else -1)),
}


def convolution(layer: Any) -> nn.Module:
    """A convolution, transposed or not, or one of each channel for itself."""
    kernel, *bias = layer.get_weights()
    kind, rank = type(layer).__name__, kernel.ndim - 2
    # Of "same", for sizes that are multiples of the strides; kernels are square, as strides are.
    border = layer.kernel_size[0] - layer.strides[0] if layer.padding == "same" else 0
    options: dict[str, Any] = {
        "stride": layer.strides,
        "padding": 0 if border % 2 else border // 2,
        "bias": bool(bias),
    }
    build = (nn.Conv1d, nn.Conv2d)[rank - 1]
    *_, inputs, filters = kernel.shape
    kernel = weights(kernel, kind == "DepthwiseConv2D")
    if kind == "DepthwiseConv2D":
        options["groups"], filters = inputs, inputs * filters
    elif kind == "Conv2DTranspose":
        build, inputs, filters = nn.ConvTranspose2d, filters, inputs
    module = filled(build(inputs, filters, layer.kernel_size, **options), kernel, *bias)
    if rank == 1:
        return Sequence(module)
    module = module.to(memory_format=torch.channels_last)
    before, after = border // 2, border - border // 2
    uneven = border % 2
    return nn.Sequential(nn.ZeroPad2d([before, after] * 2), module) if uneven else module


class Sequence(nn.Module):
    """A convolution over steps, which come second."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


def batch_norm(layer: Any) -> nn.Module:
    """A batch norm of images."""
    gamma, beta, mean, variance = layer.get_weights()
    norm = nn.BatchNorm2d(len(gamma), layer.epsilon, 1 - layer.momentum)
    norm.running_mean.copy_(tensor(mean))
    norm.running_var.copy_(tensor(variance))
    return filled(norm, gamma, beta)


def layer_norm(layer: Any) -> nn.Module:
    """A norm of the last axis."""
    gamma, beta = layer.get_weights()
    return filled(nn.LayerNorm(len(gamma), layer.epsilon), gamma, beta)


def dense(layer: Any) -> nn.Module:
    """A dense layer."""
    kernel, bias = layer.get_weights()
    return filled(nn.Linear(*kernel.shape), tensor(kernel.T), bias)


def embedding(layer: Any) -> nn.Module:
    """A table of vectors."""
    (table,) = layer.get_weights()
    return filled(nn.Embedding(*table.shape), table)


def scaled(layer: Any) -> nn.Module:
    """`Normalization` or `Rescaling`: a factor and an offset for all or for each channel."""
    if type(layer).__name__ == "Rescaling":
        factor, offset = layer.scale, layer.offset
    else:
        mean, variance = np.ravel(layer.mean), np.ravel(layer.variance)
        factor = 1 / np.maximum(np.sqrt(variance), 1e-7)
        offset = -mean * factor
    factor, offset = (
        torch.as_tensor(np.reshape(np.float32(part), (1, -1, 1, 1))) for part in (factor, offset)
    )
    return Function(lambda x: x * factor + offset)


def reshaped(layer: Any) -> nn.Module:
    """Vectors as images of one pixel."""
    *sides, channels = layer.target_shape
    return Function(lambda x: x.reshape(-1, channels, *sides))


# What PyTorch has for each class of layer.
MODULES: dict[str, Callable[[Any], nn.Module]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D"), convolution),
    **dict.fromkeys(("Normalization", "Rescaling"), scaled),
    "Activation": lambda layer: nn.Identity(),
    "Add": lambda layer: Function(lambda x, y: x + y),
    "BatchNormalization": batch_norm,
    "Concatenate": lambda layer: Function(lambda *x: torch.cat(x, 1)),
    "Dense": dense,
    "Dropout": lambda layer: nn.Dropout(layer.rate),
    "Embedding": embedding,
    "Flatten": lambda layer: Function(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
    "GRU": lambda layer: LastStep(recurrent(*GRU, *layer.get_weights())),
    "GlobalAveragePooling1D": lambda layer: Function(lambda x: x.mean(1)),
    "GlobalAveragePooling2D": lambda layer: Function(lambda x: x.mean((2, 3))),
    "GlobalMaxPooling1D": lambda layer: Function(lambda x: x.amax(1)),
    "LSTM": lambda layer: LastStep(recurrent(*LSTM, *layer.get_weights())),
    "LayerNormalization": layer_norm,
    "MaxPooling2D": lambda layer: nn.MaxPool2d(layer.pool_size, layer.strides),
    "MultiHeadAttention": SelfAttention,
    "Multiply": lambda layer: Function(lambda x, y: x * y),
    "ReLU": lambda layer: nn.ReLU6(inplace=True) if layer.max_value else nn.ReLU(inplace=True),
    "Reshape": reshaped,
    "ZeroPadding2D": lambda layer: nn.ZeroPad2d([*layer.padding[1], *layer.padding[0]]),
}

# Layers that apply their activations inside.
RECURRENT = ("GRU", "LSTM")


class Network(nn.Module):
    """A model of Keras, layer by layer.

    Args:
        model: functional or sequential.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        graph = getattr(model, "_functional", None) or model
        nodes = [
            node
            for depth in sorted(graph._nodes_by_depth, reverse=True)
            for node in graph._nodes_by_depth[depth]
            if not node.is_input
        ]
        self.layers, self.sources, self.places = nn.ModuleList(), [], []
        for node in nodes:
            layer = node.operation
            kind = type(layer).__name__
            applied = None if kind in RECURRENT else getattr(layer, "activation", None)
            module = MODULES[kind](layer)
            after = ACTIVATIONS[applied.__name__ if applied else "linear"]
            self.layers.append(nn.Sequential(module, after()) if after else module)
            self.sources.append([id(source) for source in node.input_tensors])
            self.places.append(id(node.outputs[0]))
        self.first = id(graph.inputs[0])
        # The last layer gives probabilities; the loss takes what they are made of.
        *self.last, _ = self.layers[-1]

    def values(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """What the first `count` layers give."""
        values = {self.first: x}
        for layer, sources, place in zip(
            self.layers[:count], self.sources, self.places, strict=False
        ):
            values[place] = layer(*(values[source] for source in sources))
        return values[self.sources[count][0]] if count < len(self.layers) else values[place]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return self.values(x, len(self.layers))
        x = self.values(x, len(self.layers) - 1)
        for layer in self.last:
            x = layer(x)
        return x

    def fused(self) -> "Network":
        """The network for predictions, its batch norms folded into the convolutions before them."""
        self.eval()
        makers = {place: index for index, place in enumerate(self.places)}
        for index, norm in enumerate(self.layers):
            before = makers.get(self.sources[index][0])
            if not isinstance(norm, nn.BatchNorm2d) or before is None:
                continue
            *border, conv = self.layers[before].modules()
            if isinstance(conv, nn.Conv2d):
                fused = nn.utils.fuse_conv_bn_eval(conv, norm)
                self.layers[before] = nn.Sequential(*border[1:], fused)
                self.layers[index] = nn.Identity()
        return self


def predict(
    network: Network, x: np.ndarray, y: np.ndarray, compile: bool
) -> Callable[[], np.ndarray]:
    """The outputs; those of images with their channels last again."""
    run = torch.compile(network.fused()) if compile else network.fused()

    @torch.inference_mode()
    def outputs() -> np.ndarray:
        y = run(images(x)).numpy()
        return np.moveaxis(y, 1, -1) if y.ndim == 4 else y

    return outputs


def step(network: Network, compile: bool) -> Callable[..., tuple[torch.Tensor, ...]]:
    """A step of training, which gives the loss and the logits."""
    run = torch.compile(network) if compile else network
    network.train()
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def train(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        adam.zero_grad(set_to_none=True)
        logits = run(x)
        loss = functional.cross_entropy(logits, y)
        loss.backward()
        adam.step()
        return loss.detach(), logits.detach()

    return train


def counted(loss: torch.Tensor, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The loss and the number of correct answers."""
    return torch.stack([loss, (logits.argmax(1) == y).float().sum()])


def tape_step(network: Network, x: np.ndarray, y: np.ndarray, compile: bool) -> Callable[[], float]:
    """A step, and its loss."""
    train = step(network, compile)
    x, y = images(x), torch.from_numpy(y)
    return lambda: train(x, y)[0].item()


def train_on_batch(
    network: Network, x: np.ndarray, y: np.ndarray, compile: bool
) -> Callable[[], list[float]]:
    """A step, and its loss and correct answers."""
    train = step(network, compile)

    def run() -> list[float]:
        classes = torch.from_numpy(y)
        return counted(*train(images(x), classes), classes).tolist()

    return run


def epoch(
    network: Network, x: np.ndarray, y: np.ndarray, compile: bool, epochs: int = 1
) -> Callable[[], list[float]]:
    """Epochs in shuffled batches of 32, and the sums of losses and correct answers of the last."""
    train = step(network, compile)
    x, y = images(x), torch.from_numpy(y)

    def run() -> list[float]:
        for _ in range(epochs):
            sums = torch.zeros(2)
            for part in torch.randperm(len(x)).split(32):
                sums += counted(*train(x[part], y[part]), y[part])
        return sums.tolist()

    return run


ACTIONS = {
    **dict.fromkeys(("predict", "call"), predict),
    "tape_step": tape_step,
    "train_on_batch": train_on_batch,
    "epoch": epoch,
    "five_epochs": partial(epoch, epochs=5),
}
