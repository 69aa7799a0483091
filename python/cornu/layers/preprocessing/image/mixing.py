"""Layers that mix images with each other or put patches into them."""

from typing import Any

from cornu import ops, random
from cornu.layers.preprocessing.image.base import BaseImagePreprocessingLayer, interval
from cornu.layers.preprocessing.image.color import _InTraining


class _Patches(BaseImagePreprocessingLayer):
    """A layer that draws a rectangle in each image."""

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def _patches(self, shape: tuple[Any, ...], area: Any, seed: Any) -> Any:
        """Draws a rectangle for each image, of the image's proportions.

        Args:
            shape: shape of the images.
            area: the part of the image that each covers: `(batch,)`.
            seed: where the draws come from.

        Returns:
            Truths of the shape of the images: what is inside.
        """
        side = ops.sqrt(area)
        inside = []
        for axis in self._axes():
            length = shape[axis]
            start = self._uniform(tuple(area.shape), 0.0, 1.0, seed) * (1 - side) * length
            places = ops.arange(length, dtype=start.dtype)
            start = ops.expand_dims(start, -1)
            end = start + ops.expand_dims(side * length, -1)
            within = ops.logical_and(ops.greater_equal(places, start), ops.less(places, end))
            laid = [self._count(shape), 1, 1, 1]
            laid[axis] = length
            inside.append(ops.reshape(within, laid))
        return ops.broadcast_to(ops.logical_and(*inside), (self._count(shape), *shape[-3:]))


class RandomErasing(_Patches):
    """Fills a rectangle of some images with noise or with a value, in training.

    Zhong et al., 2020.

    Args:
        factor: the probability of it, from 0 to 1; a pair is the interval that the probability
            of a batch is drawn from.
        scale: the part of the image that the rectangle covers; a pair is the interval that it is
            drawn from.
        fill_value: what the rectangle is filled with; None for noise.
        value_range: least and greatest value of the images.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        if (isinstance(fill_value, list | tuple) and len(fill_value) != 3) or (
            fill_value is not None and not isinstance(fill_value, list | tuple | int | float)
        ):
            raise ValueError(
                "The `fill_value` argument should be a number (or a list of three numbers). "
                f"Received: fill_value={fill_value}"
            )
        self._keep(
            factor=self.factor,
            scale=interval(scale, (0, 1), "scale"),
            fill_value=fill_value,
            value_range=value_range,
        )
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        count = self._count(shape)
        area = self._uniform((count,), *self.scale, seed)
        return {
            "apply_erasing": self._chance(count, self.factor, seed),
            "batch_masks": self._patches(shape, area, seed),
            "fill_value": self._filling(shape, seed),
        }

    def _filling(self, shape: tuple[Any, ...], seed: Any) -> Any:
        low, high = self.value_range
        if self.fill_value is None:
            seed = self.generator if seed is None else seed
            filling = random.normal(shape, dtype=self._float_dtype, seed=seed) * high
        else:
            filling = ops.cast(self.fill_value, self._float_dtype)
            if self.data_format == "channels_first" and len(filling.shape):
                filling = ops.reshape(filling, (-1, 1, 1))
            filling = ops.broadcast_to(filling, shape)
        return ops.clip(filling, low, high)

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        erased = ops.logical_and(
            transformation["batch_masks"], self._each(transformation["apply_erasing"])
        )
        return ops.where(erased, ops.cast(transformation["fill_value"], images.dtype), images)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return segmentation_masks


class CutMix(_Patches):
    """Puts a rectangle of another image of the batch into each image, in training.

    Labels are mixed in the same proportion: Yun et al., 2019.

    Args:
        factor: parameter of the beta distribution that the proportion is drawn from, from 0 to 1;
            a pair is the interval that it is drawn from.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        factor: Any = 1.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._keep(factor=self.factor)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = self._shape(data)
        if not training or len(shape) == 3:
            return None
        source = self.generator if seed is None else seed
        alpha = self._uniform((), *self.factor, seed) + 1e-7
        weight = random.beta((shape[0],), alpha, alpha, dtype=self._float_dtype, seed=source)
        return {
            "permutation_order": random.shuffle(ops.arange(shape[0], dtype="int32"), seed=source),
            "batch_masks": self._patches(shape, 1 - weight, seed),
            "mix_weight": self._each(weight),
        }

    def _mixed(self, images: Any, transformation: Any, inside: Any) -> Any:
        others = ops.take(images, transformation["permutation_order"], axis=0)
        return ops.where(inside, others, images)

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        return self._mixed(images, transformation, transformation["batch_masks"])

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return segmentation_masks
        inside = transformation["batch_masks"]
        inside = inside[..., :1] if self.data_format == "channels_last" else inside[:, :1]
        return self._mixed(ops.convert_to_tensor(segmentation_masks), transformation, inside)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return labels
        return _blended(labels, transformation, self._float_dtype)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        raise NotImplementedError("CutMix does not transform bounding boxes.")


def _blended(labels: Any, transformation: Any, dtype: str) -> Any:
    """Returns labels (or images) mixed with those of the other images, in the drawn proportion."""
    labels = ops.cast(labels, dtype)
    weight = ops.reshape(
        ops.convert_to_tensor(transformation["mix_weight"]), (-1, *(1,) * (len(labels.shape) - 1))
    )
    others = ops.take(labels, transformation["permutation_order"], axis=0)
    return weight * labels + (1 - weight) * others


class MixUp(_InTraining):
    """Adds up each image with another of the batch, in training; labels in the same proportion.

    Zhang et al., 2018.

    Args:
        alpha: parameter of the beta distribution that the proportion is drawn from.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(alpha=alpha)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        seed = self.generator if seed is None else seed
        count = self._count(self._shape(data))
        return {
            "mix_weight": random.beta(
                (count,), self.alpha, self.alpha, dtype=self._float_dtype, seed=seed
            ),
            "permutation_order": random.shuffle(ops.arange(count, dtype="int32"), seed=seed),
        }

    def _changed(self, images: Any, transformation: Any) -> Any:
        return _blended(images, transformation, images.dtype)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return _blended(labels, transformation, self._float_dtype) if training else labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        order = transformation["permutation_order"]
        return {
            key: ops.concatenate([values, ops.take(values, order, axis=0)], axis=1)
            for key, values in bounding_boxes.items()
        }

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        return _blended(segmentation_masks, transformation, self._float_dtype)
