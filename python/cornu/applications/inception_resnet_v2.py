"""Inception-ResNet v2: Szegedy et al., 2017."""

from typing import Any

from cornu import layers, ops
from cornu.applications.construction import HOME, Application, Files, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.applications.inception_v3 import chain, mixed, pooled, stem

_FILES = Files(
    f"{HOME}inception_resnet_v2/",
    "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels",
    ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
)


class CustomScaleLayer(layers.Layer):
    """Adds the second input, times a number, to the first.

    Args:
        scale: the number.
    """

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}

    def call(self, inputs: Any) -> Any:
        return ops.add(inputs[0], ops.multiply(inputs[1], self.scale))


# The branches of each kind of block: their convolutions, as `chain` takes them.
_BLOCKS = {
    "block35": [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]],
    "block17": [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]],
    "block8": [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]],
}


def _block(app: Application, x: Any, kind: str, index: int, scale: float, relu: bool) -> Any:
    name = f"{kind}_{index}"
    y = mixed(app, [chain(app, x, *steps) for steps in _BLOCKS[kind]], f"{name}_mixed")
    y = layers.Conv2D(x.shape[app.axis], 1, padding="same", name=f"{name}_conv")(y)
    x = CustomScaleLayer(scale)([x, y])
    return layers.Activation("relu", name=f"{name}_ac")(x) if relu else x


def _build(app: Application) -> Any:
    image = app.input(299, 75)
    x = stem(app, image)
    branches = [
        chain(app, x, (96, 1)),
        chain(app, x, (48, 1), (64, 5)),
        chain(app, x, (64, 1), (96, 3), (96, 3)),
        pooled(app, x, 64),
    ]
    x = mixed(app, branches, "mixed_5b")
    for i in range(1, 11):
        x = _block(app, x, "block35", i, 0.17, True)
    half = (2, "valid")
    branches = [
        chain(app, x, (384, 3, *half)),
        chain(app, x, (256, 1), (256, 3), (384, 3, *half)),
        layers.MaxPooling2D(3, strides=2)(x),
    ]
    x = mixed(app, branches, "mixed_6a")
    for i in range(1, 21):
        x = _block(app, x, "block17", i, 0.1, True)
    branches = [
        chain(app, x, (256, 1), (384, 3, *half)),
        chain(app, x, (256, 1), (288, 3, *half)),
        chain(app, x, (256, 1), (288, 3), (320, 3, *half)),
        layers.MaxPooling2D(3, strides=2)(x),
    ]
    x = mixed(app, branches, "mixed_7a")
    for i in range(1, 11):
        x = _block(app, x, "block8", i, 1.0 if i == 10 else 0.2, i < 10)
    x = layers.Conv2D(1536, 1, padding="same", use_bias=False, name="conv_7b")(x)
    x = layers.BatchNormalization(axis=app.axis, scale=False, name="conv_7b_bn")(x)
    x = layers.Activation("relu", name="conv_7b_ac")(x)
    return app.model(image, app.head(x), lambda: _FILES)


InceptionResNetV2 = standard(
    "InceptionResNetV2", "inception_resnet_v2", "Makes Inception-ResNet v2.", _build
)
preprocess_input = preprocessing("tf")

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]
