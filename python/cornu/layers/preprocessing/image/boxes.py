"""The layer that gives all images equally many boxes."""

from collections.abc import Mapping
from typing import Any

from cornu import ops
from cornu.layers.preprocessing.image.base import BaseImagePreprocessingLayer


class MaxNumBoundingBoxes(BaseImagePreprocessingLayer):
    """Cuts or fills up the boxes of images to a number; the images stay as they are.

    Args:
        max_number: how many boxes each image has afterwards.
        fill_value: what the boxes and labels that are added hold.

    >>> layers.MaxNumBoundingBoxes(10, bounding_box_format="xyxy")(data)
    """

    _USE_BASE_FACTOR = False
    _random = False

    def __init__(self, max_number: int, fill_value: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(max_number=int(max_number))
        self.fill_value = int(fill_value)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return images

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        missing = self.max_number - bounding_boxes["boxes"].shape[1]
        cut = {key: value[:, : self.max_number] for key, value in bounding_boxes.items()}
        if missing <= 0:
            return cut

        def filled(values: Any) -> Any:
            around = [(0, 0), (0, missing), *((0, 0) for _ in values.shape[2:])]
            return ops.pad(values, around, constant_values=self.fill_value)

        return {key: filled(value) for key, value in cut.items()}

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return segmentation_masks

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, Mapping) or "bounding_boxes" not in input_shape:
            return input_shape
        batch = input_shape["bounding_boxes"]["boxes"][0]
        boxes = {"boxes": [batch, self.max_number, 4], "labels": [batch, self.max_number]}
        return {**input_shape, "bounding_boxes": boxes}
