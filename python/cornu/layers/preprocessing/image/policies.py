"""Layers that apply other layers, chosen at random."""

from typing import Any

from cornu import ops, random
from cornu.layers.preprocessing.image.base import (
    INTERPOLATIONS,
    BaseImagePreprocessingLayer,
    known,
)
from cornu.layers.preprocessing.image.color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
)
from cornu.layers.preprocessing.image.filters import RandomSharpness
from cornu.layers.preprocessing.image.geometry import (
    RandomRotation,
    RandomShear,
    RandomTranslation,
)
from cornu.layers.preprocessing.image.tones import (
    AutoContrast,
    Equalization,
    RandomPosterization,
    Solarization,
)


class _Policy(BaseImagePreprocessingLayer):
    """A layer that has others as attributes, and in `_choices` their names."""

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)
    _choices: tuple[str, ...] = ()

    def _make_layers(self) -> None:
        low, high = self.factor
        strength = {"factor": self.factor}
        moves = {"interpolation": self.interpolation}
        levels = {"value_range": self.value_range}
        bits = (max(int(low * 8), 1), max(int(high * 8), 1))
        options = {
            RandomShear: {"x_factor": self.factor, "y_factor": self.factor} | moves,
            RandomTranslation: {"height_factor": self.factor, "width_factor": self.factor} | moves,
            RandomRotation: strength | moves,
            RandomBrightness: strength | levels,
            RandomColorDegeneration: strength | levels,
            RandomContrast: strength | levels,
            RandomSharpness: strength | levels,
            Solarization: {"addition_factor": self.factor, "threshold_factor": self.factor}
            | levels,
            RandomPosterization: {"factor": bits} | levels,
            AutoContrast: levels,
            Equalization: levels,
        }
        seeded = {"seed": self.seed}
        common = {"data_format": self.data_format, "dtype": self.dtype_policy}
        for name, layer in _LAYERS.items():
            if name not in self._choices:
                continue
            seed = {} if layer in (AutoContrast, Equalization) else seeded
            setattr(self, name, layer(**options[layer], **seed, **common))

    def _one_of(self, index: Any, images: Any, transformations: dict[str, Any]) -> Any:
        """Applies the layer at an index of `_choices`.

        In a trace, where the index is not known, all are computed and one is selected.
        """
        result = images
        for place, name in enumerate(self._choices):
            layer, drawn = getattr(self, name), transformations[name]
            result = ops.cond(
                ops.equal(index, place),
                lambda layer=layer, drawn=drawn: layer.transform_images(images, drawn),
                lambda result=result: result,
            )
        return result

    def _draw_all(self, data: Any, seed: Any) -> dict[str, Any]:
        return {
            name: getattr(self, name).get_random_transformation(data, seed=seed)
            for name in self._choices
        }

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks


_LAYERS = {
    "random_shear": RandomShear,
    "random_translation": RandomTranslation,
    "random_rotation": RandomRotation,
    "random_brightness": RandomBrightness,
    "random_color_degeneration": RandomColorDegeneration,
    "random_contrast": RandomContrast,
    "random_sharpness": RandomSharpness,
    "random_posterization": RandomPosterization,
    "solarization": Solarization,
    "auto_contrast": AutoContrast,
    "equalization": Equalization,
}


class RandAugment(_Policy):
    """Applies a few transformations, drawn at random from eleven, to each batch in training.

    Cubuk et al., 2020.

    Args:
        value_range: least and greatest value of the images.
        num_ops: how many transformations follow each other.
        factor: how strong they are, from 0 to 1; a pair is the interval that it is drawn from.
        interpolation: `"bilinear"` or `"nearest"`, for those that move pixels.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _choices = tuple(_LAYERS)

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._keep(
            value_range=value_range,
            num_ops=num_ops,
            factor=self.factor,
            interpolation=known(interpolation, "interpolation", INTERPOLATIONS),
        )
        self._keep_seed(seed)
        self._make_layers()

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        drawn = self._draw_all(data, seed)
        source = self.generator if seed is None else seed
        order = random.shuffle(ops.arange(len(self._choices), dtype="int32"), seed=source)
        return {"layer_idxes": order[: self.num_ops], "transforms": drawn}

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        chosen = transformation["layer_idxes"]
        for step in range(chosen.shape[0]):
            images = self._one_of(chosen[step], images, transformation["transforms"])
        return images


class AugMix(_Policy):
    """Mixes each image with versions of it that went through chains of transformations.

    In training; the chains are drawn for the batch: Hendrycks et al., 2020.

    Args:
        value_range: least and greatest value of the images.
        num_chains: how many chains are mixed.
        chain_depth: how many transformations a chain has at most.
        factor: how strong they are, from 0 to 1; a pair is the interval that it is drawn from.
        alpha: parameter of the distributions that the weights are drawn from.
        all_ops: whether the chains also change brightness, colours, contrast and sharpness.
        interpolation: `"bilinear"` or `"nearest"`, for those that move pixels.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._keep(
            value_range=value_range,
            num_chains=num_chains,
            chain_depth=chain_depth,
            factor=self.factor,
            alpha=alpha,
            all_ops=all_ops,
            interpolation=known(interpolation, "interpolation", INTERPOLATIONS),
        )
        corruptions = ("brightness", "color_degeneration", "contrast", "sharpness")
        left_out = () if all_ops else tuple(f"random_{name}" for name in corruptions)
        self._choices = tuple(name for name in _LAYERS if name not in left_out)
        self._keep_seed(seed)
        self._make_layers()

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        source = self.generator if seed is None else seed

        def integer(high: int) -> Any:
            return random.randint((), 0, high, seed=source)

        shares = random.gamma((self.num_chains,), self.alpha, self._float_dtype, seed=source)
        chains = []
        for _ in range(self.num_chains):
            depth = integer(self.chain_depth) + 1
            # An index past the last layer leaves the images as they are.
            chains.append(
                [
                    {
                        "layer_index": ops.where(
                            ops.less(step, depth), integer(len(self._choices)), len(self._choices)
                        ),
                        "transformations": self._draw_all(data, seed),
                    }
                    for step in range(self.chain_depth)
                ]
            )
        return {
            "chain_mixing_weights": shares / ops.sum(shares),
            "weight_sample": random.beta(
                (), self.alpha, self.alpha, dtype=self._float_dtype, seed=source
            ),
            "chain_transforms": chains,
        }

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        mixed = ops.zeros_like(images)
        weights = transformation["chain_mixing_weights"]
        for place, chain in enumerate(transformation["chain_transforms"]):
            changed = images
            for step in chain:
                changed = self._one_of(step["layer_index"], changed, step["transformations"])
            mixed = mixed + changed * weights[place]
        weight = transformation["weight_sample"]
        return weight * images + (1 - weight) * mixed
