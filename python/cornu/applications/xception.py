"""Xception: Chollet, 2017."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing

_FILES = Files(
    f"{HOME}xception/",
    "xception_weights_tf_dim_ordering_tf_kernels",
    ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"),
)


def _relu(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=name)(x)


def _separable(app: Application, x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(axis=-1 if app.axis == 3 else 1, name=f"{name}_bn")(x)


def _build(app: Application) -> Any:
    x = image = app.input(299, 71)
    axis = -1 if app.axis == 3 else 1
    for i, (filters, strides) in enumerate(((32, 2), (64, 1)), 1):
        name = f"block1_conv{i}"
        x = layers.Conv2D(filters, 3, strides=strides, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(axis=axis, name=f"{name}_bn")(x)
        x = _relu(x, f"{name}_act")
    for block in range(2, 14):
        if 5 <= block < 13:
            y = x
            for i in range(1, 4):
                y = _separable(
                    app, _relu(y, f"block{block}_sepconv{i}_act"), 728, f"block{block}_sepconv{i}"
                )
            x = layers.Add()([y, x])
            continue
        last = {2: 128, 3: 256, 4: 728, 13: 1024}[block]
        shortcut = layers.Conv2D(last, 1, strides=2, padding="same", use_bias=False)(x)
        shortcut = layers.BatchNormalization(axis=axis)(shortcut)
        for i, filters in enumerate((728 if block == 13 else last, last), 1):
            name = f"block{block}_sepconv{i}"
            x = x if block == 2 and i == 1 else _relu(x, f"{name}_act")
            x = _separable(app, x, filters, name)
        x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
        x = layers.Add()([x, shortcut])
    for i, filters in enumerate((1536, 2048), 1):
        name = f"block14_sepconv{i}"
        x = _relu(_separable(app, x, filters, name), f"{name}_act")
    return app.model(image, app.head(x), lambda: _FILES)


Xception = standard("Xception", "xception", "Makes Xception.", _build)
preprocess_input = preprocessing("tf")

__all__ = ["Xception", "decode_predictions", "preprocess_input"]
