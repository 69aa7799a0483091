"""Layers that mirror images."""

from typing import Any

from cornu import ops
from cornu.layers.preprocessing.image.base import BaseImagePreprocessingLayer


class RandomFlip(BaseImagePreprocessingLayer):
    """Mirrors some of the images in training.

    Args:
        mode: `"horizontal"`, `"vertical"` or `"horizontal_and_vertical"`, which mirrors an image
            both ways.
        seed: integer that makes the choice repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(mode=mode)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        drawn = self._uniform((*shape[:-3], 1, 1, 1), 0.0, 1.0, seed)
        return {"flips": ops.less_equal(drawn, 0.5), "input_shape": shape}

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        row, column = self._axes()
        flipped = images
        if "horizontal" in self.mode:
            flipped = ops.flip(flipped, axis=column)
        if "vertical" in self.mode:
            flipped = ops.flip(flipped, axis=row)
        return ops.where(transformation["flips"], flipped, images)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        size = height, width = self._size(tuple(transformation["input_shape"]))
        chosen = ops.reshape(transformation["flips"], (-1, 1, 1))

        def flip(boxes: Any) -> Any:
            left, top, right, bottom = (boxes[..., i] for i in range(4))
            if "horizontal" in self.mode:
                left, right = width - right, width - left
            if "vertical" in self.mode:
                top, bottom = height - bottom, height - top
            flipped = ops.stack([left, top, right, bottom], axis=-1)
            return ops.where(chosen, flipped, boxes)

        return self._with_boxes(bounding_boxes, flip, size, size)
