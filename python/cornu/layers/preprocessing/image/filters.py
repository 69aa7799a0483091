"""Layers that sharpen and blur images."""

from typing import Any

from cornu import ops
from cornu.layers.preprocessing.image.base import interval
from cornu.layers.preprocessing.image.color import BaseImagePreprocessingLayer, _FactorOfImages


class RandomSharpness(_FactorOfImages):
    """Sharpens or smooths each image in training.

    Args:
        factor: from 0 (smooth) over 0.5 (the image) to 1 (sharp); a pair is the interval that it
            is drawn from.
        value_range: least and greatest value of the images.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    _FACTOR_BOUNDS = (0, 1)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return super().transform_images(self._cast(images), transformation, training)

    def _changed(self, images: Any, transformation: Any) -> Any:
        first = self.data_format == "channels_first"
        smooth = ops.moveaxis(images, 1, -1) if first else images
        kernel = ops.cast([[1, 1, 1], [1, 5, 1], [1, 1, 1]], images.dtype) / 13
        kernel = ops.tile(ops.reshape(kernel, (3, 3, 1, 1)), (1, 1, smooth.shape[-1], 1))
        smooth = ops.depthwise_conv(smooth, kernel, padding="same", data_format="channels_last")
        smooth = ops.moveaxis(smooth, -1, 1) if first else smooth
        changed = smooth + (images - smooth) * (self._each(transformation["factor"]) * 2)
        return ops.clip(changed, *self.value_range)


class RandomGaussianBlur(BaseImagePreprocessingLayer):
    """Blurs some images in training.

    Args:
        factor: the probability of it, from 0 to 1; a pair is the interval that the probability
            of a batch is drawn from.
        kernel_size: an odd number of pixels, or one for the width and one for the height.
        sigma: deviation of the bell, from 0 to 1, in pixels; a pair is the interval that it is
            drawn from.
        value_range: least and greatest value of the images.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        sizes = tuple(kernel_size) if isinstance(kernel_size, list | tuple) else (kernel_size,) * 2
        if len(sizes) != 2:
            raise ValueError(
                "The `kernel_size` argument should be a number (or a list of two numbers). "
                f"Received: kernel_size={kernel_size}"
            )
        if any(not isinstance(size, int | float) or size % 2 == 0 for size in sizes):
            raise ValueError(
                f"`kernel_size` must be an odd number. Received: kernel_size={kernel_size}"
            )
        self._keep(
            factor=self.factor,
            kernel_size=sizes,
            sigma=interval(sigma, (0, 1), "sigma"),
            value_range=value_range,
        )
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count = self._count(self._shape(data))
        return {
            "should_apply_blur": self._chance(count, self.factor, seed),
            "blur_factor": self._uniform((2,), *self.sigma, seed),
        }

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        across, down = ops.unstack(ops.cast(transformation["blur_factor"], images.dtype))
        blurred = ops.image.gaussian_blur(
            images,
            kernel_size=self.kernel_size[::-1],
            sigma=(down, across),
            data_format=self.data_format,
        )
        chosen = self._each(transformation["should_apply_blur"])
        return ops.where(chosen, ops.clip(blurred, *self.value_range), images)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return segmentation_masks
