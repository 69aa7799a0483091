"""Layers that change the colours of images."""

from typing import Any

from cornu import ops
from cornu.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    moved_range,
    sorted_range,
)


class RandomBrightness(BaseImagePreprocessingLayer):
    """Makes each image brighter or darker in training.

    Args:
        factor: how much is added at most, in parts of the value range, from -1 to 1; a pair is
            the interval that it is drawn from.
        value_range: least and greatest value of the images.
        seed: integer that makes the draws repeatable.

    >>> layers.RandomBrightness(0.2, value_range=(0, 1))(images, training=True)
    """

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(factor=factor, **kwargs)
        self._keep(factor=self.factor, value_range=sorted_range(value_range))
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = self._shape(data)
        ones = (*shape[:-3], 1, 1, 1)
        if not training:
            return {"rgb_delta": ops.zeros(ones, self._float_dtype)}
        span = self.value_range[1] - self.value_range[0]
        return {"rgb_delta": self._uniform(ones, *self.factor, seed) * span}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = ops.convert_to_tensor(images)
        if not training:
            return images
        delta = transformation["rgb_delta"]
        changed = ops.add(ops.cast(images, self._float_dtype), delta)
        return ops.cast(ops.clip(changed, *self.value_range), images.dtype)


class _InTraining(BaseImagePreprocessingLayer):
    """A layer that leaves images as they are, dtype and all, except in training."""

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = ops.convert_to_tensor(images)
        if not training or (self._random and transformation is None):
            return images
        return self._changed(ops.cast(images, self._float_dtype), transformation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks

    def _changed(self, images: Any, transformation: Any) -> Any:
        """Returns the transformed images."""
        raise NotImplementedError


class RandomContrast(_InTraining):
    """Changes the contrast of each image in training, around the mean of each channel.

    Args:
        factor: a pair `(low, high)`: the contrast is multiplied by a number between `1 - low` and
            `1 + high`; one number is the pair `(0, factor)`.
        value_range: least and greatest value of the images.
        seed: integer that makes the draws repeatable.
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(factor=factor, **kwargs)
        self._keep(factor=self.factor, value_range=value_range)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = self._shape(data)
        ones = (*shape[:-3], 1, 1, 1)
        if not training:
            return {"contrast_factor": ops.zeros(ones, self._float_dtype)}
        low, high = self.factor
        return {"contrast_factor": self._uniform(ones, 1.0 - low, 1.0 + high, seed)}

    def _changed(self, images: Any, transformation: Any) -> Any:
        mean = ops.mean(images, axis=self._axes(), keepdims=True)
        changed = ops.add(ops.multiply(images - mean, transformation["contrast_factor"]), mean)
        return ops.clip(changed, *self.value_range)


class _FactorOfImages(_InTraining):
    """A layer that draws one number for each image, called the factor."""

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, data_format=data_format, **kwargs)
        self._keep(factor=self.factor, value_range=sorted_range(value_range))
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"factor": self._uniform((self._count(self._shape(data)),), *self.factor, seed)}

    def _hsv(self, images: Any) -> list[Any]:
        images = ops.image.rgb_to_hsv(images, data_format=self.data_format)
        return ops.split(images, 3, axis=self._channel_axis)

    def _rgb(self, *channels: Any) -> Any:
        images = ops.concatenate(channels, axis=self._channel_axis)
        return ops.image.hsv_to_rgb(images, data_format=self.data_format)

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else -3


class RandomColorDegeneration(_FactorOfImages):
    """Mixes each image with its grey version in training.

    Args:
        factor: the part of grey, from 0 (the image) to 1 (grey); a pair is the interval that it
            is drawn from. Negative parts make colours stronger.
        value_range: least and greatest value of the images.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        drawn = super().get_random_transformation(data, training, seed)
        return {"factor": self._each(drawn["factor"])}

    def _changed(self, images: Any, transformation: Any) -> Any:
        gray = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        changed = images + ops.multiply(ops.subtract(gray, images), transformation["factor"])
        return ops.clip(changed, *self.value_range)


class RandomHue(_FactorOfImages):
    """Turns the hue of each image in training.

    Args:
        factor: how far, in half turns of the circle of colours, from 0 to 1, in a direction drawn
            at random; a pair is the interval that it is drawn from.
        value_range: least and greatest value of the images.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, (0, 255), data_format, seed, **kwargs)
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        size = super().get_random_transformation(data, training, seed)["factor"]
        backward = ops.less(self._uniform(tuple(size.shape), 0.0, 1.0, seed), 0.5)
        return {"factor": ops.where(backward, -size, size) * 0.5}

    def _changed(self, images: Any, transformation: Any) -> Any:
        images = moved_range(images, self.value_range, (0, 1))
        hue, saturation, value = self._hsv(images)
        hue = ops.mod(hue + self._each(transformation["factor"]), 1.0)
        images = moved_range(self._rgb(hue, saturation, value), (0, 1), self.value_range)
        return ops.clip(images, *self.value_range)


class RandomSaturation(_FactorOfImages):
    """Makes the colours of each image stronger or paler in training.

    Args:
        factor: from 0 (grey) over 0.5 (the image) to 1 (full colours); a pair is the interval
            that it is drawn from.
        value_range: least and greatest value of the images.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        factor = super().get_random_transformation(data, training, seed)["factor"]
        return {"factor": factor / (1 - factor + 1e-7)}

    def _changed(self, images: Any, transformation: Any) -> Any:
        hue, saturation, value = self._hsv(images)
        saturation = ops.multiply(saturation, self._each(transformation["factor"]))
        return self._rgb(hue, ops.clip(saturation, *self.value_range), value)


class RandomGrayscale(BaseImagePreprocessingLayer):
    """Makes some images grey in training, and keeps their channels.

    Args:
        factor: the probability of it, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        if factor < 0 or factor > 1:
            raise ValueError(f"`factor` should be between 0 and 1. Received: factor={factor}")
        self._keep(factor=factor)
        self._keep_seed(seed)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["seed"]  # Keras's configs of this layer have none
        return config

    def get_random_transformation(
        self, images: Any, training: bool = True, seed: Any = None
    ) -> Any:
        drawn = self._uniform((self._count(self._shape(images)),), 0.0, 1.0, seed)
        return self._each(ops.less(drawn, self.factor))

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = ops.convert_to_tensor(images)
        if not training:
            return images
        gray = images
        if images.shape[-1 if self.data_format == "channels_last" else -3] == 3:
            gray = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        return ops.where(transformation, gray, images)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return segmentation_masks


class RandomInvert(_InTraining):
    """Turns some images into their negatives in training.

    Args:
        factor: the probability of it, from 0 to 1; a pair is the interval that the probability
            of a batch is drawn from.
        value_range: least and greatest value of the images.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._keep(factor=self.factor, value_range=value_range)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count = self._count(self._shape(data))
        return {"apply_inversion": self._chance(count, self.factor, seed)}

    def _changed(self, images: Any, transformation: Any) -> Any:
        chosen = self._each(transformation["apply_inversion"])
        return ops.where(chosen, self.value_range[1] - images, images)


class RandomColorJitter(_InTraining):
    """Changes brightness, contrast, saturation and hue of each image in training, in this order.

    Args:
        value_range: least and greatest value of the images.
        brightness_factor: as in `RandomBrightness`; None to leave the brightness.
        contrast_factor: as in `RandomContrast`; None to leave the contrast.
        saturation_factor: as in `RandomSaturation`; None to leave the saturation.
        hue_factor: as in `RandomHue`; None to leave the hue.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _random = False

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(
            value_range=value_range,
            brightness_factor=brightness_factor,
            contrast_factor=contrast_factor,
            saturation_factor=saturation_factor,
            hue_factor=hue_factor,
        )
        self._keep_seed(seed)
        for name, layer in (
            ("brightness", RandomBrightness),
            ("contrast", RandomContrast),
            ("saturation", RandomSaturation),
            ("hue", RandomHue),
        ):
            factor = getattr(self, f"{name}_factor")
            made = None
            if factor is not None:
                made = layer(
                    factor=factor,
                    value_range=value_range,
                    data_format=self.data_format,
                    seed=seed,
                    dtype=self.dtype_policy,
                )
            setattr(self, f"random_{name}", made)

    def _changed(self, images: Any, transformation: Any) -> Any:
        for layer in (
            self.random_brightness,
            self.random_contrast,
            self.random_saturation,
            self.random_hue,
        ):
            if layer is not None:
                drawn = layer.get_random_transformation(images)
                images = layer.transform_images(images, drawn)
        return images
