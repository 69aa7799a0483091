"""MobileNet v3: Howard et al., 2019."""

import warnings
from typing import Any

from cornu import config, layers
from cornu.applications.construction import (
    HOME,
    Application,
    Files,
    at_least,
    named,
    same_padding,
)
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.models import Model

# Expansion, filters, kernel size, strides, squeezing (as 1/4) and whether hard SiLU is used.
_BLOCKS = {
    "large": [
        (1, 16, 3, 1, 0, 0), (4, 24, 3, 2, 0, 0), (3, 24, 3, 1, 0, 0),
        (3, 40, 5, 2, 1, 0), (3, 40, 5, 1, 1, 0), (3, 40, 5, 1, 1, 0),
        (6, 80, 3, 2, 0, 1), (2.5, 80, 3, 1, 0, 1), (2.3, 80, 3, 1, 0, 1), (2.3, 80, 3, 1, 0, 1),
        (6, 112, 3, 1, 1, 1), (6, 112, 3, 1, 1, 1),
        (6, 160, 5, 2, 1, 1), (6, 160, 5, 1, 1, 1), (6, 160, 5, 1, 1, 1),
    ],
    "small": [
        (1, 16, 3, 2, 1, 0), (72 / 16, 24, 3, 2, 0, 0), (88 / 24, 24, 3, 1, 0, 0),
        (4, 40, 5, 2, 1, 1), (6, 40, 5, 1, 1, 1), (6, 40, 5, 1, 1, 1),
        (3, 48, 5, 1, 1, 1), (3, 48, 5, 1, 1, 1),
        (6, 96, 5, 2, 1, 1), (6, 96, 5, 1, 1, 1), (6, 96, 5, 1, 1, 1),
    ],
}  # fmt: skip
_LAST = {"large": 1280, "small": 1024}
_HASHES = {
    "large_224_0.75": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    "large_224_1.0": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    "large_minimalistic_224_1.0": (
        "675e7b876c45c57e9e63e6d90a36599c", "ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    "small_224_1.0": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "small_minimalistic_224_1.0": (
        "99cd97fb2fcdad2bf028eb838de69e37", "cde8136e733e811080d9fcd8a252f7e4",
    ),
}  # fmt: skip


class _Builder:
    """Makes the parts of one model."""

    def __init__(self, app: Application, minimalistic: bool) -> None:
        self.app = app
        self.minimalistic = minimalistic
        self.axis = -1 if app.axis == 3 else 1

    def activated(self, x: Any, hard: bool, name: str | None = None) -> Any:
        """ReLU, or hard SiLU."""
        if hard and not self.minimalistic:
            return layers.Activation("hard_silu", name=name)(x)
        return layers.ReLU(name=name)(x)

    def normalized(self, x: Any, name: str) -> Any:
        return layers.BatchNormalization(axis=self.axis, epsilon=1e-3, momentum=0.999, name=name)(x)

    def squeezed(self, x: Any, filters: float, name: str) -> Any:
        """Weighs channels by what the whole image says (Hu et al., 2018)."""
        y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}avg_pool")(x)
        y = layers.Conv2D(at_least(filters * 0.25), 1, padding="same", name=f"{name}conv")(y)
        y = layers.ReLU(name=f"{name}relu")(y)
        y = layers.Conv2D(at_least(filters), 1, padding="same", name=f"{name}conv_1")(y)
        # The hard sigmoid: relu6(y + 3) / 6.
        y = layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)
        return layers.Multiply(name=f"{name}mul")([x, y])

    def block(
        self, x: Any, i: int, expansion: float, filters: int, size: int, strides: int,
        squeeze: bool, hard: bool,
    ) -> Any:  # fmt: skip
        start, channels = x, x.shape[self.axis]
        name = f"expanded_conv_{i}_" if i else "expanded_conv_"
        if i:
            x = layers.Conv2D(
                at_least(channels * expansion), 1, padding="same", use_bias=False,
                name=f"{name}expand",
            )(x)  # fmt: skip
            x = self.activated(self.normalized(x, f"{name}expand_bn"), hard)
        if strides == 2:
            border = same_padding(x, size, 1 if self.axis == -1 else 2)
            x = layers.ZeroPadding2D(border, name=f"{name}depthwise_pad")(x)
        x = layers.DepthwiseConv2D(
            size, strides=strides, padding="same" if strides == 1 else "valid", use_bias=False,
            name=f"{name}depthwise",
        )(x)  # fmt: skip
        x = self.activated(self.normalized(x, f"{name}depthwise_bn"), hard)
        if squeeze and not self.minimalistic:
            x = self.squeezed(x, at_least(channels * expansion), f"{name}squeeze_excite_")
        x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
        x = self.normalized(x, f"{name}project_bn")
        if strides == 1 and channels == filters:
            x = layers.Add(name=f"{name}add")([start, x])
        return x


def _sized(input_shape: Any, input_tensor: Any) -> Any:
    """Returns the shape of images; by default of any size."""
    last = config.image_data_format() == "channels_last"
    shape = input_shape if input_tensor is None else tuple(input_tensor.shape)[1:]
    if shape is None:
        return (None, None, 3) if last else (3, None, None)
    sides = shape[:2] if last else shape[1:3]
    if any(side and side < 32 for side in sides):
        raise ValueError(f"Input size must be at least 32x32; Received `input_shape={shape}`")
    return shape


def _build(
    app: Application, kind: str, alpha: float, minimalistic: bool, dropout: float, prepare: bool
) -> Model:
    pretrained = app.weights == "imagenet"
    if pretrained and alpha not in ((1.0,) if minimalistic else (0.75, 1.0)):
        raise ValueError(
            "If imagenet weights are being loaded, alpha can be one of `0.75`, `1.0` for non "
            f"minimalistic or `1.0` for minimalistic only. Received: alpha={alpha}, "
            f"minimalistic={minimalistic}"
        )
    given = app.input_shape
    app.input_shape = _sized(given, app.input_tensor)
    if pretrained and given is not None and 224 not in given:
        warnings.warn(
            "`input_shape` is not (224, 224); weights for that shape will be loaded.", stacklevel=4
        )
    x = image = app.start()
    make = _Builder(app, minimalistic)
    if prepare:
        x = layers.Rescaling(scale=1.0 / 127.5, offset=-1.0)(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = make.activated(make.normalized(x, "conv_bn"), True)
    for i, (expansion, filters, size, strides, squeeze, hard) in enumerate(_BLOCKS[kind]):
        size = 3 if minimalistic else size
        x = make.block(
            x, i, expansion, at_least(filters * alpha), size, strides, bool(squeeze), bool(hard)
        )
    last = at_least(x.shape[make.axis] * 6)
    x = layers.Conv2D(last, 1, padding="same", use_bias=False, name="conv_1")(x)
    x = make.activated(make.normalized(x, "conv_1_bn"), True)
    if app.include_top:
        width = _LAST[kind]
        width = at_least(width * alpha) if alpha > 1.0 else width
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Conv2D(width, 1, padding="same", name="conv_2")(x)
        x = make.activated(x, True)
        if dropout > 0:
            x = layers.Dropout(dropout)(x)
        x = layers.Conv2D(app.classes, 1, padding="same", name="logits")(x)
        x = layers.Flatten()(x)
        x = layers.Activation(app.activation(), name="predictions")(x)
    else:
        x = app.pooled(x, "avg_pool", "max_pool")

    def files() -> Files:
        variant = f"{kind}{'_minimalistic' if minimalistic else ''}_224_{float(alpha)}"
        prefix = f"weights_mobilenet_v3_{variant}_float"
        return Files(f"{HOME}mobilenet_v3/", prefix, _HASHES[variant], "_no_top_v2")

    return app.model(image, x, files)


_ARGUMENTS = """
    Args:
        input_shape: shape of an image; by default of any size.
        alpha: factor of the numbers of filters.
        minimalistic: whether squeezing, 5x5 kernels and hard SiLU are left out.
        include_top: whether the classifier is part of the model.
        weights: `"imagenet"`, the path of a weights file, or None for random ones.
        input_tensor: a symbolic tensor to build on; by default a new input.
        classes: number of classes.
        pooling: without the classifier, `"avg"` or `"max"` to pool over the image, or None.
        dropout_rate: rate before the classifier.
        classifier_activation: activation of the classifier; None for logits.
        include_preprocessing: whether the model begins with the rescaling of its input.
        name: name of the model.

    Returns:
        A functional model.

    Raises:
        ValueError: for unknown weights, or arguments that do not fit them.
"""


def _variant(kind: str) -> Any:
    public = f"MobileNetV3{kind.title()}"

    def make(
        input_shape: Any = None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        classes: int = 1000,
        pooling: str | None = None,
        dropout_rate: float = 0.2,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = public,
    ) -> Model:
        app = Application(
            include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation, name,
        )  # fmt: skip
        return _build(app, kind, alpha, minimalistic, dropout_rate, include_preprocessing)

    return named(make, public, f"Makes MobileNet v3 {kind}.", _ARGUMENTS)


MobileNetV3Large, MobileNetV3Small = _variant("large"), _variant("small")
preprocess_input = preprocessing(None)

__all__ = ["decode_predictions", "preprocess_input"]
