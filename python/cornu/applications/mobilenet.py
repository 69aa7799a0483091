"""MobileNet: Howard et al., 2017."""

from typing import Any

from cornu import layers
from cornu.applications.construction import HOME, Application, Files
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.models import Model

_WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_SIZES = (128, 160, 192, 224)
# Filters and strides of the thirteen blocks.
_BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
           (1024, 2), (1024, 1)]  # fmt: skip


def square(input_shape: Any, sizes: tuple[int, ...]) -> int:
    """Returns the size of square images if it is among those that there are weights for."""
    from cornu import config

    if input_shape is None:
        return 224
    first = config.image_data_format() == "channels_first"
    rows, columns = input_shape[1:3] if first else input_shape[:2]
    return rows if rows == columns and rows in sizes else 224


def _activated(app: Application, x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=-1 if app.axis == 3 else 1, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """Makes MobileNet.

    Args:
        input_shape: shape of an image; needed if it is not the usual one.
        alpha: factor of the numbers of filters.
        depth_multiplier: channels that a depthwise convolution makes of each.
        dropout: rate before the classifier.
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
    if weights == "imagenet":
        if depth_multiplier != 1:
            raise ValueError(
                "If imagenet weights are being loaded, depth multiplier must be 1. "
                f"Received depth_multiplier={depth_multiplier}"
            )
        if alpha not in _WIDTHS:
            raise ValueError(
                "If imagenet weights are being loaded, alpha can be one of `0.25`, `0.50`, `0.75` "
                f"or `1.0` only. Received alpha={alpha}"
            )
    app.name = name or f"mobilenet_{alpha:0.2f}_{size}"
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(
        x
    )
    x = _activated(app, x, "conv1")
    for i, (filters, strides) in enumerate(_BLOCKS, 1):
        if strides == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
        x = layers.DepthwiseConv2D(
            3, strides=strides, padding="same" if strides == 1 else "valid",
            depth_multiplier=depth_multiplier, use_bias=False, name=f"conv_dw_{i}",
        )(x)  # fmt: skip
        x = _activated(app, x, f"conv_dw_{i}")
        x = layers.Conv2D(
            int(filters * alpha), 1, padding="same", use_bias=False, name=f"conv_pw_{i}"
        )(x)
        x = _activated(app, x, f"conv_pw_{i}")
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        x = layers.Activation(app.activation(), name="predictions")(x)
    else:
        x = app.pooled(x)

    def files() -> Files:
        prefix = f"mobilenet_{_WIDTHS[alpha]}_{size}_tf"
        return Files(f"{HOME}mobilenet/", prefix, no_top="_no_top")

    return app.model(image, x, files)


preprocess_input = preprocessing("tf")

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
