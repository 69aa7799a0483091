"""ConvNeXt: Liu et al., 2022."""

from typing import Any

from cornu import initializers, layers, ops
from cornu.applications.construction import ARGUMENTS, HOME, Application, Files, named
from cornu.applications.imagenet_utils import decode_predictions, preprocessing
from cornu.models import Model, Sequential

# Blocks of each stage, filters of the first, and the hashes of the files.
_VARIANTS = {
    "tiny": ((3, 3, 9, 3), 96,
             "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
             "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    "small": ((3, 3, 27, 3), 96,
              "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
              "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    "base": ((3, 3, 27, 3), 128,
             "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
             "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    "large": ((3, 3, 27, 3), 192,
              "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
              "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    "xlarge": ((3, 3, 27, 3), 256,
               "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
               "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
}  # fmt: skip
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class LayerScale(layers.Layer):
    """Multiplies each channel with a learned number: Touvron et al., 2021.

    Args:
        init_values: what the numbers begin with.
        projection_dim: number of channels.
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, _: Any) -> None:
        self.gamma = self.add_weight(
            shape=(self.projection_dim,),
            initializer=initializers.Constant(self.init_values),
            trainable=True,
        )

    def call(self, x: Any) -> Any:
        return ops.multiply(x, self.gamma)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "init_values": self.init_values,
            "projection_dim": self.projection_dim,
        }


def _normalized(name: str | None = None) -> Any:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _block(x: Any, filters: int, name: str) -> Any:
    start = x
    x = layers.Conv2D(filters, 7, padding="same", groups=filters, name=f"{name}_depthwise_conv")(x)
    x = _normalized(f"{name}_layernorm")(x)
    x = layers.Dense(4 * filters, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(filters, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(1e-6, filters, name=f"{name}_layer_scale")(x)
    x = layers.Activation("linear", name=f"{name}_identity")(x)
    return start + x


def _build(app: Application, which: str, prepare: bool) -> Model:
    counts, width, *hashes = _VARIANTS[which]
    name = app.name
    x = image = app.input(224, 32)
    if prepare:
        x = layers.Normalization(
            mean=[mean * 255 for mean in _MEAN],
            variance=[(deviation * 255) ** 2 for deviation in _DEVIATION],
            axis=-1 if app.axis == 3 else 1,
            name=f"{name}_prestem_normalization",
        )(x)
    stem = [
        layers.Conv2D(width, 4, strides=4, name=f"{name}_stem_conv"),
        _normalized(f"{name}_stem_layernorm"),
    ]
    x = Sequential(stem, name=f"{name}_stem")(x)
    for stage, count in enumerate(counts):
        filters = width * 2**stage
        if stage:
            step = stage - 1
            smaller = [
                _normalized(f"{name}_downsampling_layernorm_{step}"),
                layers.Conv2D(filters, 2, strides=2, name=f"{name}_downsampling_conv_{step}"),
            ]
            x = Sequential(smaller, name=f"{name}_downsampling_block_{step}")(x)
        for i in range(count):
            x = _block(x, filters, f"{name}_stage_{stage}_block_{i}")
    if app.include_top:
        x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
        x = _normalized(f"{name}_head_layernorm")(x)
        x = layers.Dense(app.classes, activation=app.activation(), name=f"{name}_head_dense")(x)
    else:
        x = _normalized()(app.pooled(x))
    prefix = f"convnext_{which}"
    files = Files(f"{HOME}convnext/", prefix, hashes)
    return app.model(image, x, lambda: files)


_ARGUMENTS = ARGUMENTS.replace(
    "        weights:",
    "        include_preprocessing: whether the model begins with the scaling of its input.\n"
    "        weights:",
)


def _variant(which: str) -> Any:
    def make(
        include_top: bool = True,
        include_preprocessing: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = f"convnext_{which}",
    ) -> Model:
        app = Application(
            include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation, name,
        )  # fmt: skip
        return _build(app, which, include_preprocessing)

    public = f"ConvNeXt{'XLarge' if which == 'xlarge' else which.title()}"
    return named(make, public, f"Makes {public}.", _ARGUMENTS)


ConvNeXtTiny, ConvNeXtSmall, ConvNeXtBase, ConvNeXtLarge, ConvNeXtXLarge = map(_variant, _VARIANTS)
preprocess_input = preprocessing(None)

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "decode_predictions", "preprocess_input",
]  # fmt: skip
