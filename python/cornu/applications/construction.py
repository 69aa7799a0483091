"""What the architectures share: their inputs, their heads, their weights."""

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

from cornu import activations, config, layers
from cornu.models import Model
from cornu.ops.function import get_source_inputs
from cornu.ops.symbolic import is_keras_tensor

HOME = "https://storage.googleapis.com/tensorflow/keras-applications/"
ARGUMENTS = """
    Args:
        include_top: whether the classifier is part of the model.
        weights: `"imagenet"`, the path of a weights file, or None for random ones.
        input_tensor: a symbolic tensor to build on; by default a new input.
        input_shape: shape of an image; needed if it is not the usual one.
        pooling: without the classifier, `"avg"` or `"max"` to pool over the image, or None.
        classes: number of classes.
        classifier_activation: activation of the classifier; None for logits.
        name: name of the model.

    Returns:
        A functional model.

    Raises:
        ValueError: for unknown weights, or a shape that does not fit them.
"""


@dataclasses.dataclass
class Files:
    """Where the weights for ImageNet are: names and hashes, with the classifier and without.

    Args:
        folder: address of the folder.
        prefix: what both names begin with.
        hashes: of both files, None where there is none.
        no_top: what the name of the file without the classifier ends with.
        remote: both names in the folder, where they are others.
    """

    folder: str
    prefix: str
    hashes: tuple[str | None, str | None] = (None, None)
    no_top: str = "_notop"
    remote: tuple[str, str] | None = None

    def fetch(self, include_top: bool) -> str:
        """Downloads the file where there is none yet and returns its path."""
        from cornu.utils import get_file

        name = f"{self.prefix}{'' if include_top else self.no_top}.h5"
        digest = self.hashes[not include_top]
        remote = name if self.remote is None else self.remote[not include_top]
        options = {} if digest is None else {"file_hash": digest}
        return get_file(name, self.folder + remote, cache_subdir="models", **options)


@dataclasses.dataclass
class Application:
    """The arguments that all models share, checked."""

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str

    def __post_init__(self) -> None:
        weights = self.weights
        if weights not in ("imagenet", None) and not os.path.exists(weights):
            raise ValueError(
                "The `weights` argument should be either `None` (random initialization), "
                "'imagenet' (pre-training on ImageNet), or the path to the weights file to be "
                f"loaded. Received: weights={weights}"
            )
        if weights == "imagenet" and self.include_top and self.classes != 1000:
            raise ValueError(
                "If using `weights='imagenet'` with `include_top=True`, `classes` should be 1000. "
                f"Received classes={self.classes}"
            )

    @property
    def axis(self) -> int:
        """The axis of the channels."""
        return 3 if config.image_data_format() == "channels_last" else 1

    def input(self, default: int, least: int, flat: bool | None = None) -> Any:
        """Returns the symbolic tensor that the model begins with.

        Args:
            default: the usual height and width.
            least: the smallest that are possible.
            flat: whether the size must be known; by default, whether there is a classifier.
        """
        self.input_shape = self._shape(default, least, self.include_top if flat is None else flat)
        return self.start()

    def start(self) -> Any:
        """Returns the given symbolic tensor, or a new input of the shape."""
        if self.input_tensor is None:
            return layers.Input(shape=self.input_shape)
        if is_keras_tensor(self.input_tensor):
            return self.input_tensor
        return layers.Input(tensor=self.input_tensor, shape=self.input_shape)

    def _shape(self, default: int, least: int, flat: bool) -> tuple[int | None, ...]:
        given, pretrained = self.input_shape, self.weights == "imagenet"
        last = config.image_data_format() == "channels_last"

        def laid(height: Any, width: Any, channels: Any) -> tuple[Any, ...]:
            return (height, width, channels) if last else (channels, height, width)

        channels = 3
        if not pretrained and given and len(given) == 3:
            channels = given[-1 if last else 0]
            if channels not in (1, 3):
                warnings.warn(
                    f"This model usually expects 1 or 3 input channels. However, it was passed an "
                    f"input_shape with {channels} input channels.",
                    stacklevel=5,
                )
        usual = laid(default, default, channels)
        if pretrained and flat:
            if given is not None and tuple(given) != usual:
                raise ValueError(
                    "When setting `include_top=True` and loading `imagenet` weights, `input_shape` "
                    f"should be {usual}. Received: input_shape={given}"
                )
            return usual
        if given:
            if len(given) != 3:
                raise ValueError(
                    f"`input_shape` must be a tuple of three integers. Received: {given}"
                )
            if pretrained and given[-1 if last else 0] != 3:
                raise ValueError(f"The input must have 3 channels; Received `input_shape={given}`")
            sides = given[:2] if last else given[1:]
            if any(side is not None and side < least for side in sides):
                raise ValueError(
                    f"Input size must be at least {least}x{least}; Received: input_shape={given}"
                )
        shape = given or (usual if flat else laid(None, None, 3))
        if flat and None in shape:
            raise ValueError(
                "If `include_top` is True, you should specify a static `input_shape`. "
                f"Received: input_shape={shape}"
            )
        return tuple(shape)

    def activation(self) -> Any:
        """Returns the activation of the classifier, which pretrained weights don't leave open."""
        activation = self.classifier_activation
        free = self.weights is None or not self.include_top
        if not free and activations.get(activation) not in (
            activations.softmax,
            activations.linear,
        ):
            raise ValueError(
                "Only `None` and `softmax` activations are allowed for the "
                "`classifier_activation` argument when using pretrained weights, with "
                f"`include_top=True`; Received: classifier_activation={activation}"
            )
        return activation

    def pooled(self, x: Any, average: str | None = None, maximum: str | None = None) -> Any:
        """Pools over the image as `pooling` asks, with layers of these names."""
        if self.pooling == "avg":
            return layers.GlobalAveragePooling2D(name=average)(x)
        if self.pooling == "max":
            return layers.GlobalMaxPooling2D(name=maximum)(x)
        return x

    def head(
        self,
        x: Any,
        average: str | None = "avg_pool",
        no_top: tuple[str | None, str | None] = (None, None),
        dropout: float = 0,
        **dense: Any,
    ) -> Any:
        """Adds the usual classifier, or the pooling without one.

        Args:
            x: the features.
            average: name of the pooling before the classifier.
            no_top: names of the poolings without a classifier.
            dropout: rate of a layer `top_dropout` before the classifier.
            dense: more arguments of the classifier.
        """
        if not self.include_top:
            return self.pooled(x, *no_top)
        x = layers.GlobalAveragePooling2D(name=average)(x)
        if dropout:
            x = layers.Dropout(dropout, name="top_dropout")(x)
        options = {"activation": self.activation(), "name": "predictions"} | dense
        return layers.Dense(self.classes, **options)(x)

    def model(self, image: Any, x: Any, files: Callable[[], Files]) -> Model:
        """Makes the model from its input and output, and loads its weights."""
        if self.input_tensor is not None:
            image = get_source_inputs(self.input_tensor)
        model = Model(image, x, name=self.name)
        if self.weights == "imagenet":
            model.load_weights(files().fetch(self.include_top))
        elif self.weights is not None:
            model.load_weights(self.weights)
        return model


def named(
    function: Callable[..., Model], public: str, title: str, arguments: str = ARGUMENTS
) -> Callable[..., Model]:
    """Gives the function of a variant its name and its docstring."""
    function.__name__ = function.__qualname__ = public
    function.__doc__ = f"{title}\n{arguments}"
    return function


def standard(public: str, name: str, title: str, build: Callable[[Application], Model]) -> Any:
    """Returns the function of a variant that has no arguments but those all share."""
    default_name = name

    def make(
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = default_name,
    ) -> Model:
        return build(
            Application(
                include_top, weights, input_tensor, input_shape, pooling, classes,
                classifier_activation, name,
            )
        )  # fmt: skip

    return named(make, public, title)


def same_padding(x: Any, kernel: int, height_axis: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the border that makes a strided "valid" convolution like TensorFlow's "same"."""
    half = kernel // 2
    sides = x.shape[height_axis : height_axis + 2]
    less = [1, 1] if sides[0] is None else [1 - side % 2 for side in sides]
    return tuple((half - one, half) for one in less)


def divisible(value: float) -> int:
    """Returns a number of channels near `value` that 8 divides."""
    return max(8, int(value + 4) // 8 * 8)


def at_least(value: float) -> int:
    """Returns a number of channels near `value` that 8 divides, at most 10 % smaller."""
    rounded = divisible(value)
    return rounded + 8 if rounded < 0.9 * value else rounded
