"""Inception v3: Szegedy et al., 2016."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing

_FILES = Files(
    f"{HOME}inception_v3/",
    "inception_v3_weights_tf_dim_ordering_tf_kernels",
    ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
)


def conv(
    app: Application, x: Any, filters: int, size: Any, strides: int = 1, padding: str = "same"
) -> Any:
    """A convolution with batch normalization and ReLU."""
    x = layers.Conv2D(filters, size, strides=strides, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(axis=app.axis, scale=False)(x)
    return layers.Activation("relu")(x)


def chain(app: Application, x: Any, *steps: tuple) -> Any:
    """Convolutions one after the other, each given by what follows `x` in `conv`."""
    for step in steps:
        x = conv(app, x, *step)
    return x


def stem(app: Application, x: Any) -> Any:
    """The layers that Inception v3 and Inception-ResNet v2 begin with."""
    x = chain(app, x, (32, 3, 2, "valid"), (32, 3, 1, "valid"), (64, 3))
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = chain(app, x, (80, 1, 1, "valid"), (192, 3, 1, "valid"))
    return layers.MaxPooling2D(3, strides=2)(x)


def mixed(app: Application, branches: list[Any], name: str | None = None) -> Any:
    """Branches side by side."""
    return layers.Concatenate(axis=app.axis, name=name)(branches)


def pooled(app: Application, x: Any, filters: int) -> Any:
    """The branch that averages."""
    x = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return conv(app, x, filters, 1)


def _shrunk(x: Any) -> Any:
    return layers.MaxPooling2D(3, strides=2)(x)


def _build(app: Application) -> Any:
    image = app.input(299, 75)
    x = stem(app, image)
    for i, filters in enumerate((32, 64, 64)):
        branches = [
            chain(app, x, (64, 1)),
            chain(app, x, (48, 1), (64, 5)),
            chain(app, x, (64, 1), (96, 3), (96, 3)),
            pooled(app, x, filters),
        ]
        x = mixed(app, branches, f"mixed{i}")
    branches = [
        chain(app, x, (384, 3, 2, "valid")),
        chain(app, x, (64, 1), (96, 3), (96, 3, 2, "valid")),
        _shrunk(x),
    ]
    x = mixed(app, branches, "mixed3")
    across, down = (1, 7), (7, 1)
    for i, n in enumerate((128, 160, 160, 192), 4):
        branches = [
            chain(app, x, (192, 1)),
            chain(app, x, (n, 1), (n, across), (192, down)),
            chain(app, x, (n, 1), (n, down), (n, across), (n, down), (192, across)),
            pooled(app, x, 192),
        ]
        x = mixed(app, branches, f"mixed{i}")
    branches = [
        chain(app, x, (192, 1), (320, 3, 2, "valid")),
        chain(app, x, (192, 1), (192, across), (192, down), (192, 3, 2, "valid")),
        _shrunk(x),
    ]
    x = mixed(app, branches, "mixed8")
    for i in range(2):
        first = chain(app, x, (320, 1))
        second = chain(app, x, (384, 1))
        second = mixed(
            app, [conv(app, second, 384, size) for size in ((1, 3), (3, 1))], f"mixed9_{i}"
        )
        third = chain(app, x, (448, 1), (384, 3))
        third = mixed(app, [conv(app, third, 384, size) for size in ((1, 3), (3, 1))])
        x = mixed(app, [first, second, third, pooled(app, x, 192)], f"mixed{9 + i}")
    return app.model(image, app.head(x), lambda: _FILES)


InceptionV3 = standard("InceptionV3", "inception_v3", "Makes Inception v3.", _build)
preprocess_input = preprocessing("tf")

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
