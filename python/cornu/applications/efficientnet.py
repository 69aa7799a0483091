"""EfficientNet: Tan and Le, 2019."""

import math
from typing import Any

from cornu import initializers, layers
from cornu.applications.construction import Application, Files, at_least, same_padding, standard
from cornu.applications.imagenet_utils import decode_predictions, preprocessing

# Factor of the filters, of the number of blocks, the usual size, the rate of dropout, and the
# hashes of the files with and without the classifier.
_VARIANTS = {
    "B0": (1.0, 1.0, 224, 0.2,
           "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    "B1": (1.0, 1.1, 240, 0.2,
           "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    "B2": (1.1, 1.2, 260, 0.3,
           "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "B3": (1.2, 1.4, 300, 0.3,
           "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    "B4": (1.4, 1.8, 380, 0.4,
           "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "B5": (1.6, 2.2, 456, 0.4,
           "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    "B6": (1.8, 2.6, 528, 0.5,
           "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    "B7": (2.0, 3.1, 600, 0.5,
           "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
}  # fmt: skip
# Kernel size, number of blocks, filters before and after, expansion, strides.
_STAGES = [
    (3, 1, 32, 16, 1, 1), (3, 2, 16, 24, 6, 2), (5, 2, 24, 40, 6, 2), (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1), (5, 4, 112, 192, 6, 2), (3, 1, 192, 320, 6, 1),
]  # fmt: skip
_DEVIATIONS = (0.229, 0.224, 0.225)


def kernel() -> Any:
    """The initializer of convolutions."""
    return initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")


def dense() -> Any:
    """The initializer of the classifier."""
    return initializers.VarianceScaling(1.0 / 3.0, mode="fan_out", distribution="uniform")


class Blocks:
    """Makes layers of EfficientNets.

    Args:
        app: the arguments of the model.
        momentum: of the batch normalizations.
    """

    def __init__(self, app: Application, momentum: float = 0.99) -> None:
        self.axis = app.axis
        self.momentum = momentum

    def normalized(self, x: Any, name: str, activation: str | None = None) -> Any:
        x = layers.BatchNormalization(axis=self.axis, momentum=self.momentum, name=name)(x)
        return layers.Activation("swish", name=activation)(x) if activation else x

    def conv(self, x: Any, filters: int, size: int = 1, strides: int = 1, **options: Any) -> Any:
        options = {"padding": "same", "use_bias": False, "kernel_initializer": kernel()} | options
        return layers.Conv2D(filters, size, strides=strides, **options)(x)

    def squeezed(self, x: Any, filters: int, fewer: int, name: str) -> Any:
        """Weighs channels by what the whole image says (Hu et al., 2018)."""
        y = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
        shape = (filters, 1, 1) if self.axis == 1 else (1, 1, filters)
        y = layers.Reshape(shape, name=f"{name}se_reshape")(y)
        for width, activation, step in (
            (fewer, "swish", "reduce"),
            (filters, "sigmoid", "expand"),
        ):
            y = self.conv(y, width, activation=activation, use_bias=True, name=f"{name}se_{step}")
        return layers.Multiply(name=f"{name}se_excite")([x, y])

    def joined(self, x: Any, start: Any, drop: float, name: str) -> Any:
        """Adds the block's input; in training whole samples of the block are dropped."""
        if drop > 0:
            x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        return layers.Add(name=f"{name}add")([x, start])


def _block(
    make: Blocks, x: Any, name: str, size: int, before: int, after: int, expansion: int,
    strides: int, drop: float,
) -> Any:  # fmt: skip
    start, filters = x, before * expansion
    if expansion != 1:
        x = make.conv(x, filters, name=f"{name}expand_conv")
        x = make.normalized(x, f"{name}expand_bn", f"{name}expand_activation")
    if strides == 2:
        border = same_padding(x, size, 1 if make.axis == 3 else 2)
        x = layers.ZeroPadding2D(border, name=f"{name}dwconv_pad")(x)
    x = layers.DepthwiseConv2D(
        size, strides=strides, padding="valid" if strides == 2 else "same", use_bias=False,
        depthwise_initializer=kernel(), name=f"{name}dwconv",
    )(x)  # fmt: skip
    x = make.normalized(x, f"{name}bn", f"{name}activation")
    x = make.squeezed(x, filters, max(1, int(before * 0.25)), name)
    x = make.conv(x, after, name=f"{name}project_conv")
    x = make.normalized(x, f"{name}project_bn")
    if strides == 1 and before == after:
        x = make.joined(x, start, drop, name)
    return x


def _variant(which: str) -> Any:
    width, depth, size, dropout, *hashes = _VARIANTS[which]
    public = f"EfficientNet{which}"

    def build(app: Application) -> Any:
        make = Blocks(app)
        x = image = app.input(size, 32)
        x = layers.Rescaling(1.0 / 255.0)(x)
        x = layers.Normalization(axis=app.axis)(x)
        if app.weights == "imagenet":
            # The weights were trained with this second scaling.
            x = layers.Rescaling([1.0 / math.sqrt(deviation) for deviation in _DEVIATIONS])(x)
        border = same_padding(x, 3, 1 if app.axis == 3 else 2)
        x = layers.ZeroPadding2D(border, name="stem_conv_pad")(x)
        x = make.conv(x, at_least(32 * width), 3, 2, padding="valid", name="stem_conv")
        x = make.normalized(x, "stem_bn", "stem_activation")
        counts = [math.ceil(depth * count) for _, count, *_ in _STAGES]
        done = 0
        for stage, (kernel_size, _, before, after, expansion, strides) in enumerate(_STAGES):
            before, after = at_least(before * width), at_least(after * width)
            for i in range(counts[stage]):
                x = _block(
                    make, x, f"block{stage + 1}{chr(97 + i)}_", kernel_size,
                    after if i else before, after, expansion, 1 if i else strides,
                    0.2 * done / sum(counts),
                )  # fmt: skip
                done += 1
        x = make.conv(x, at_least(1280 * width), name="top_conv")
        x = make.normalized(x, "top_bn", "top_activation")
        x = app.head(
            x, no_top=("avg_pool", "max_pool"), dropout=dropout, kernel_initializer=dense()
        )
        prefix = f"efficientnet{which.lower()}"
        files = Files("https://storage.googleapis.com/keras-applications/", prefix, hashes)
        return app.model(image, x, lambda: files)

    return standard(public, public.lower(), f"Makes {public}.", build)


(
    EfficientNetB0, EfficientNetB1, EfficientNetB2, EfficientNetB3,
    EfficientNetB4, EfficientNetB5, EfficientNetB6, EfficientNetB7,
) = map(_variant, _VARIANTS)  # fmt: skip
preprocess_input = preprocessing(None)

__all__ = [*(f"EfficientNet{which}" for which in _VARIANTS), "decode_predictions",
           "preprocess_input"]  # fmt: skip
