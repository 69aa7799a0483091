"""The models that are measured, written once for every library with Keras's API."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A model, and data that fits it.

    Args:
        build: takes a package with Keras's API and returns a model.
        shape: of one example.
        classes: the number of classes that it tells apart; its last layer gives probabilities.
        tokens: examples are indices below this; 0 for numbers.
    """

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    classes: int = 10
    tokens: int = 0

    def data(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns `count` examples and their classes, always the same."""
        random = np.random.default_rng(0)
        if self.tokens:
            x = random.integers(0, self.tokens, (count, *self.shape)).astype("int32")
        else:
            x = random.random((count, *self.shape), dtype="float32")
        return x, random.integers(0, self.classes, count)


def sequential(shape: tuple[int, ...], layers: Callable[[Any], list]) -> Callable[[Any], Any]:
    """Returns a builder of a chain of layers."""
    return lambda keras: keras.Sequential([keras.Input(shape), *layers(keras.layers)])


def digits(layers: Any) -> list:
    """The demo's kind of network."""
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]


def mlp(*widths: int) -> Callable[[Any], list]:
    """Dense layers of these widths."""
    return lambda layers: [
        *(layers.Dense(width, activation="relu") for width in widths[:-1]),
        layers.Dense(widths[-1], activation="softmax"),
    ]


def lenet(layers: Any) -> list:
    """LeNet-5 (LeCun et al., 1998), with relu and max pooling."""
    return [
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def cifar(layers: Any) -> list:
    """Three blocks of two convolutions, in the manner of VGG."""
    blocks = []
    for filters in (32, 64, 128):
        for _ in range(2):
            blocks += [
                layers.Conv2D(filters, 3, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
            ]
        blocks += [layers.MaxPooling2D(), layers.Dropout(0.2)]
    return [
        *blocks,
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def text_cnn(layers: Any) -> list:
    """Convolutions over embedded words (Kim, 2014)."""
    return [
        layers.Embedding(5000, 64),
        layers.Conv1D(128, 5, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def recurrent(name: str) -> Callable[[Any], list]:
    """One recurrent layer over embedded words."""
    return lambda layers: [
        layers.Embedding(5000, 64),
        getattr(layers, name)(128),
        layers.Dense(10, activation="softmax"),
    ]


def transformer(keras: Any) -> Any:
    """Two encoder blocks (Vaswani et al., 2017) over embedded words."""
    layers = keras.layers
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(5000, 128)(inputs)
    for _ in range(2):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 32)(x, x))
        hidden = layers.Dense(512, activation="gelu")(x)
        x = layers.LayerNormalization()(x + layers.Dense(128)(hidden))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def unet(keras: Any) -> Any:
    """Three levels down and up again, joined across (Ronneberger et al., 2015); two classes."""
    layers = keras.layers

    def convolved(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    x = inputs = keras.Input((128, 128, 3))
    levels = []
    for filters in (16, 32, 64):
        x = convolved(x, filters)
        levels.append(x)
        x = layers.MaxPooling2D()(x)
    x = convolved(x, 128)
    for level in reversed(levels):
        x = layers.Conv2DTranspose(level.shape[-1], 2, strides=2)(x)
        x = convolved(layers.Concatenate()([level, x]), level.shape[-1])
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))


def quantized(workload: Workload) -> Workload:
    """The workload with int8 weights, where the library has them."""

    def build(keras: Any) -> Any:
        model = workload.build(keras)
        if hasattr(model, "quantize"):
            model.quantize("int8")
        return model

    return replace(workload, build=build)


def application(name: str, side: int) -> Workload:
    """An architecture of `keras.applications`, on square images."""
    shape = (side, side, 3)

    def build(keras: Any) -> Any:
        return getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10)

    return Workload(build, shape)


def chain(shape: tuple[int, ...], layers: Callable[[Any], list], **options: int) -> Workload:
    """A workload of a chain of layers."""
    return Workload(sequential(shape, layers), shape, **options)


WORKLOADS = {
    "digits CNN": chain((8, 8, 1), digits),
    "tiny MLP": chain((8,), mlp(16, 4), classes=4),
    "small MLP": chain((8,), mlp(16, 16, 4), classes=4),
    "MLP 784-512-512-10": chain((784,), mlp(512, 512, 10)),
    "int8 MLP 1024-1024-10": quantized(chain((1024,), mlp(1024, 10))),
    "LeNet": chain((28, 28, 1), lenet),
    "CIFAR CNN": chain((32, 32, 3), cifar),
    "text CNN": chain((128,), text_cnn, tokens=5000),
    "LSTM": chain((64,), recurrent("LSTM"), tokens=5000),
    "GRU": chain((64,), recurrent("GRU"), tokens=5000),
    "transformer": Workload(transformer, (64,), tokens=5000),
    "U-Net": Workload(unet, (128, 128, 3), classes=2),
    "ResNet50": application("ResNet50", 224),
    "MobileNetV2": application("MobileNetV2", 224),
    "EfficientNetB0": application("EfficientNetB0", 224),
    "ResNet50 64x64": application("ResNet50", 64),
    "MobileNetV2 96x96": application("MobileNetV2", 96),
}
