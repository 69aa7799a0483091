"""EfficientNet v2: Tan and Le, 2021."""

import math
from typing import Any

from cornu import initializers, layers
from cornu.applications.construction import (
    ARGUMENTS,
    HOME,
    Application,
    Files,
    divisible,
    named,
)
from cornu.applications.efficientnet import Blocks, dense, kernel
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.models import Model

# Kernel size, number of blocks, filters before and after, expansion, part that squeezing leaves
# (0 for fused blocks, which do not squeeze), strides.
_STAGES = {
    "s": [
        (3, 2, 24, 24, 1, 0, 1), (3, 4, 24, 48, 4, 0, 2), (3, 4, 48, 64, 4, 0, 2),
        (3, 6, 64, 128, 4, 0.25, 2), (3, 9, 128, 160, 6, 0.25, 1), (3, 15, 160, 256, 6, 0.25, 2),
    ],
    "m": [
        (3, 3, 24, 24, 1, 0, 1), (3, 5, 24, 48, 4, 0, 2), (3, 5, 48, 80, 4, 0, 2),
        (3, 7, 80, 160, 4, 0.25, 2), (3, 14, 160, 176, 6, 0.25, 1), (3, 18, 176, 304, 6, 0.25, 2),
        (3, 5, 304, 512, 6, 0.25, 1),
    ],
    "l": [
        (3, 4, 32, 32, 1, 0, 1), (3, 7, 32, 64, 4, 0, 2), (3, 7, 64, 96, 4, 0, 2),
        (3, 10, 96, 192, 4, 0.25, 2), (3, 19, 192, 224, 6, 0.25, 1),
        (3, 25, 224, 384, 6, 0.25, 2), (3, 7, 384, 640, 6, 0.25, 1),
    ],
    "b": [
        (3, 1, 32, 16, 1, 0, 1), (3, 2, 16, 32, 4, 0, 2), (3, 2, 32, 48, 4, 0, 2),
        (3, 3, 48, 96, 4, 0.25, 2), (3, 5, 96, 112, 6, 0.25, 1), (3, 8, 112, 192, 6, 0.25, 2),
    ],
}  # fmt: skip
# Factor of the filters, of the number of blocks, the usual size, and the hashes of the files.
_VARIANTS = {
    "b0": (1.0, 1.0, 224,
           "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
    "b1": (1.0, 1.1, 240,
           "069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
    "b2": (1.1, 1.2, 260,
           "424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "b3": (1.2, 1.4, 300,
           "1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
    "s": (1.0, 1.0, 384,
          "e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
    "m": (1.0, 1.0, 480,
          "a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
    "l": (1.0, 1.0, 480,
          "27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
}  # fmt: skip


def _fused(
    make: Blocks, x: Any, name: str, size: int, before: int, after: int, expansion: int,
    strides: int, drop: float,
) -> Any:  # fmt: skip
    """A block that expands and mixes pixels by one convolution."""
    start = x
    if expansion != 1:
        x = make.conv(x, before * expansion, size, strides, name=f"{name}expand_conv")
        x = make.normalized(x, f"{name}expand_bn", f"{name}expand_activation")
        x = make.conv(x, after, name=f"{name}project_conv")
    else:
        x = make.conv(x, after, size, strides, name=f"{name}project_conv")
    activation = f"{name}project_activation" if expansion == 1 else None
    x = make.normalized(x, f"{name}project_bn", activation)
    if strides == 1 and before == after:
        x = make.joined(x, start, drop, name)
    return x


def _block(
    make: Blocks, x: Any, name: str, size: int, before: int, after: int, expansion: int,
    strides: int, drop: float,
) -> Any:  # fmt: skip
    start, filters = x, before * expansion
    if expansion != 1:
        x = make.conv(x, filters, name=f"{name}expand_conv")
        x = make.normalized(x, f"{name}expand_bn", f"{name}expand_activation")
    x = layers.DepthwiseConv2D(
        size, strides=strides, padding="same", use_bias=False, depthwise_initializer=kernel(),
        name=f"{name}dwconv2",
    )(x)  # fmt: skip
    x = make.normalized(x, f"{name}bn", f"{name}activation")
    x = make.squeezed(x, filters, max(1, int(before * 0.25)), name)
    x = make.conv(x, after, name=f"{name}project_conv")
    x = make.normalized(x, f"{name}project_bn")
    if strides == 1 and before == after:
        x = make.joined(x, start, drop, name)
    return x


def _prepared(x: Any, which: str, axis: int) -> Any:
    if which[0] == "b" and axis == 3:
        x = layers.Rescaling(scale=1.0 / 255)(x)
        return layers.Normalization(
            mean=[0.485, 0.456, 0.406], variance=[0.229**2, 0.224**2, 0.225**2], axis=axis
        )(x)
    return layers.Rescaling(scale=1.0 / 128.0, offset=-1)(x)


def _build(app: Application, which: str, prepare: bool) -> Model:
    width, depth, size, *hashes = _VARIANTS[which]
    stages = _STAGES[which[0]]
    make = Blocks(app, momentum=0.9)
    x = image = app.input(size, 32)
    if prepare:
        x = _prepared(x, which, app.axis)
    x = make.conv(x, divisible(stages[0][2] * width), 3, 2, name="stem_conv")
    x = make.normalized(x, "stem_bn", "stem_activation")
    done, total = 0, sum(count for _, count, *_ in stages)
    for stage, (kernel_size, count, before, after, expansion, part, strides) in enumerate(stages):
        before, after = divisible(before * width), divisible(after * width)
        for i in range(math.ceil(depth * count)):
            x = (_block if part else _fused)(
                make, x, f"block{stage + 1}{chr(97 + i)}_", kernel_size, after if i else before,
                after, expansion, 1 if i else strides, 0.2 * done / total,
            )  # fmt: skip
            done += 1
    x = make.conv(x, divisible(1280 * width), name="top_conv")
    x = make.normalized(x, "top_bn", "top_activation")
    x = app.head(
        x, no_top=("avg_pool", "max_pool"), dropout=0.2, kernel_initializer=dense(),
        bias_initializer=initializers.Constant(0.0),
    )  # fmt: skip
    prefix = f"efficientnetv2-{which}"
    files = Files(f"{HOME}efficientnet_v2/", prefix, hashes)
    return app.model(image, x, lambda: files)


_ARGUMENTS = ARGUMENTS.replace(
    "        name: name",
    "        include_preprocessing: whether the model begins with the scaling of its input.\n"
    "        name: name",
)


def _variant(which: str) -> Any:
    public = f"EfficientNetV2{which.upper()}"

    def make(
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = f"efficientnetv2-{which}",
    ) -> Model:
        app = Application(
            include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation, name,
        )  # fmt: skip
        return _build(app, which, include_preprocessing)

    return named(make, public, f"Makes {public}.", _ARGUMENTS)


(
    EfficientNetV2B0, EfficientNetV2B1, EfficientNetV2B2, EfficientNetV2B3,
    EfficientNetV2S, EfficientNetV2M, EfficientNetV2L,
) = map(_variant, _VARIANTS)  # fmt: skip
preprocess_input = preprocessing(None)

__all__ = [*(f"EfficientNetV2{which.upper()}" for which in _VARIANTS), "decode_predictions",
           "preprocess_input"]  # fmt: skip
