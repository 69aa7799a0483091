"""MobileNet v2: Sandler et al., 2018."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files, at_least, same_padding
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.applications.mobilenet import square
from cornu.models import Model

_WIDTHS = (0.35, 0.50, 0.75, 1.0, 1.3, 1.4)
_SIZES = (96, 128, 160, 192, 224)
# Filters, strides and expansion of the seventeen blocks.
_BLOCKS = [
    (16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6),
    *[(64, 1, 6)] * 3, *[(96, 1, 6)] * 3, (160, 2, 6), (160, 1, 6), (160, 1, 6), (320, 1, 6),
]  # fmt: skip


def _normalized(app: Application, x: Any, name: str, relu: str | None = None) -> Any:
    axis = -1 if app.axis == 3 else 1
    x = layers.BatchNormalization(axis=axis, epsilon=1e-3, momentum=0.999, name=name)(x)
    return layers.ReLU(6.0, name=relu)(x) if relu else x


def _block(app: Application, x: Any, i: int, filters: int, strides: int, expansion: int) -> Any:
    start, channels = x, x.shape[-1 if app.axis == 3 else 1]
    name = f"block_{i}_" if i else "expanded_conv_"
    if i:
        x = layers.Conv2D(
            expansion * channels, 1, padding="same", use_bias=False, name=f"{name}expand"
        )(x)
        x = _normalized(app, x, f"{name}expand_BN", f"{name}expand_relu")
    if strides == 2:
        border = same_padding(x, 3, 1 if app.axis == 3 else 2)
        x = layers.ZeroPadding2D(border, name=f"{name}pad")(x)
    x = layers.DepthwiseConv2D(
        3, strides=strides, padding="same" if strides == 1 else "valid", use_bias=False,
        name=f"{name}depthwise",
    )(x)  # fmt: skip
    x = _normalized(app, x, f"{name}depthwise_BN", f"{name}depthwise_relu")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = _normalized(app, x, f"{name}project_BN")
    if channels == filters and strides == 1:
        return layers.Add(name=f"{name}add")([start, x])
    return x


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """Makes MobileNet v2.

    Args:
        input_shape: shape of an image; needed if it is not the usual one.
        alpha: factor of the numbers of filters.
        include_top: whether the classifier is part of the model.
        weights: `"imagenet"`, the path of a weights file, or None for random ones.
        input_tensor: a symbolic tensor to build on; by default a new input.
        pooling: without the classifier, `"avg"` or `"max"` to pool over the image, or None.
        classes: number of classes.
        classifier_activation: activation of the classifier; None for logits.
        name: name of the model.

    Returns:
        A functional model.

    Raises:
        ValueError: for unknown weights, or arguments that do not fit them.
    """
    app = Application(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name or "",
    )  # fmt: skip
    size = square(input_shape, _SIZES)
    x = image = app.input(size, 32)
    if weights == "imagenet" and alpha not in _WIDTHS:
        raise ValueError(
            "If imagenet weights are being loaded, alpha must be one of `0.35`, `0.50`, `0.75`, "
            f"`1.0`, `1.3` or `1.4` only; Received `alpha={alpha}`"
        )
    app.name = name or f"mobilenetv2_{alpha:0.2f}_{size}"
    x = layers.Conv2D(
        at_least(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1"
    )(x)
    x = _normalized(app, x, "bn_Conv1", "Conv1_relu")
    for i, (filters, strides, expansion) in enumerate(_BLOCKS):
        x = _block(app, x, i, at_least(int(filters * alpha)), strides, expansion)
    last = at_least(1280 * alpha) if alpha > 1.0 else 1280
    x = layers.Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
    x = _normalized(app, x, "Conv_1_bn", "out_relu")

    def files() -> Files:
        prefix = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{size}"
        return Files(f"{HOME}mobilenet_v2/", prefix, no_top="_no_top")

    return app.model(image, app.head(x, average=None), files)


preprocess_input = preprocessing("tf")

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]
