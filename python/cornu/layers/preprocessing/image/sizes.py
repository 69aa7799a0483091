"""Layers that change the sizes of images."""

from typing import Any

from cornu import ops, random
from cornu.layers.preprocessing.image.base import BaseImagePreprocessingLayer
from cornu.ops.shapes import smaller
from cornu.random.seeds import make_default_seed


class _Crop(BaseImagePreprocessingLayer):
    """A layer that cuts a window out of images."""

    _USE_BASE_FACTOR = False

    def _window(self, images: Any, top: Any, left: Any) -> Any:
        """Returns the part of images that begins at a place, as far as there is one."""
        row, column = self._axes()
        shape = list(images.shape)
        start: list[Any] = [0] * len(shape)
        for axis, place, wanted in ((row, top, self.height), (column, left, self.width)):
            start[axis] = place
            shape[axis] = smaller(shape[axis], wanted)
        return ops.slice(images, start, shape)


class CenterCrop(_Crop):
    """Cuts the middle out of images; smaller ones are resized so that it fills the frame.

    Args:
        height, width: size of the output.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _random = False

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(height=height, width=width)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"input_shape": self._shape(data)}

    def _spare(self, shape: tuple[Any, ...]) -> tuple[Any, Any]:
        height, width = self._size(shape)
        return height - self.height, width - self.width

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._cropped(self._cast(images), "bilinear")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self._cropped(ops.convert_to_tensor(segmentation_masks), "nearest")

    def _cropped(self, images: Any, interpolation: str) -> Any:
        spare = self._spare(tuple(images.shape))
        if min(spare) < 0:
            return ops.image.resize(
                images,
                (self.height, self.width),
                interpolation=interpolation,
                data_format=self.data_format,
                crop_to_aspect_ratio=True,
            )
        return self._window(images, *(extra // 2 for extra in spare))

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        shape = tuple(transformation["input_shape"])
        height, width = size = self._size(shape)
        target = (self.height, self.width)
        if min(self._spare(shape)) < 0:
            part = (
                min(height, width * self.height // self.width),
                min(width, height * self.width // self.height),
            )
        else:
            part = target
        top, left = ((side - taken) // 2 for side, taken in zip(size, part, strict=True))
        down, across = (wanted / taken for wanted, taken in zip(target, part, strict=True))

        def move(boxes: Any) -> Any:
            moved = boxes - ops.cast([left, top, left, top], boxes.dtype)
            return moved * ops.cast([across, down, across, down], boxes.dtype)

        return self._with_boxes(bounding_boxes, move, size, target)


class RandomCrop(_Crop):
    """Cuts the same window, at a place drawn at random, out of the images of a batch, in training.

    Where images are smaller than the window, what there is of it is resized. In inference images
    stay as they are.

    Args:
        height, width: size of the window.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: Any = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, name=name, **kwargs)
        self._keep(height=height, width=width)
        self._keep_seed(make_default_seed() if seed is None else seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        size = self._size(self._shape(data))
        if not training:
            return 0, 0, *size
        seed = self.generator if seed is None else seed
        places = (
            random.randint((), 0, ops.maximum(side - wanted, 0) + 1, seed=seed)
            for side, wanted in zip(size, (self.height, self.width), strict=True)
        )
        return *places, *size

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        window = self._window(images, *transformation[:2])
        if self._size(tuple(window.shape)) == (self.height, self.width):
            return window
        return ops.image.resize(
            window,
            (self.height, self.width),
            interpolation=interpolation,
            data_format=self.data_format,
        )

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        top, left, *size = transformation
        target = (self.height, self.width)

        def move(boxes: Any) -> Any:
            moved = boxes - ops.cast(ops.stack([left, top, left, top]), boxes.dtype)
            # What is cut out of an image that is smaller than the window is resized.
            down, across = (
                wanted / smaller(side, wanted) for side, wanted in zip(size, target, strict=True)
            )
            return moved * ops.cast([across, down, across, down], boxes.dtype)

        return self._with_boxes(bounding_boxes, move, size, target)


class Resizing(BaseImagePreprocessingLayer):
    """Resizes images.

    Args:
        height, width: size of the output.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        crop_to_aspect_ratio: whether images are cut, not stretched, to the new shape.
        pad_to_aspect_ratio: whether images are padded, not stretched, to the new shape.
        fill_mode, fill_value: how they are padded.
        antialias: whether a smaller image is smoothed.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False
    _random = False

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(
            height=height,
            width=width,
            interpolation=interpolation,
            crop_to_aspect_ratio=crop_to_aspect_ratio,
            pad_to_aspect_ratio=pad_to_aspect_ratio,
            fill_mode=fill_mode,
            fill_value=fill_value,
            antialias=antialias,
        )

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return self._size(self._shape(data))

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._transform_images(images, transformation, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._transform_images(segmentation_masks, transformation, "nearest")

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        return ops.image.resize(
            images,
            (self.height, self.width),
            interpolation=interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        size, target = tuple(transformation), (self.height, self.width)
        down, across = (wanted / side for side, wanted in zip(size, target, strict=True))
        top = left = 0
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            down = across = (max if self.crop_to_aspect_ratio else min)(down, across)
            top, left = (
                int((wanted - side * down) / 2) for side, wanted in zip(size, target, strict=True)
            )

        def move(boxes: Any) -> Any:
            scaled = boxes * ops.cast([across, down, across, down], boxes.dtype)
            return scaled + ops.cast([left, top, left, top], boxes.dtype)

        return self._with_boxes(bounding_boxes, move, size, target)
