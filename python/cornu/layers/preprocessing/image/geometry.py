"""Layers that turn, move, scale, shear and distort images."""

import math
from typing import Any

from cornu import ops
from cornu.layers.preprocessing.image.base import (
    FILL_MODES,
    INTERPOLATIONS,
    BaseImagePreprocessingLayer,
    interval,
    known,
    strict_interval,
)
from cornu.ops.image.layout import on_batch
from cornu.ops.image.warps import displaced, homography, smooth_field
from cornu.ops.shapes import larger, smaller
from cornu.utils import bounding_boxes as boxes_of


class _Warp(BaseImagePreprocessingLayer):
    """A layer that reads each pixel of the result at another place of the image."""

    def _keep_reading(self, interpolation: str, fill_mode: str, fill_value: float) -> None:
        self._keep(
            fill_mode=known(fill_mode, "fill_mode", FILL_MODES),
            interpolation=known(interpolation, "interpolation", INTERPOLATIONS),
            fill_value=fill_value,
        )

    def _read(self, images: Any, columns: list[Any], interpolation: str) -> Any:
        """Reads images at affine places, given as the six numbers of each image's transform."""
        images = self._cast(images)
        count = images.shape[0]
        shape = (count,)
        columns = [
            ops.broadcast_to(ops.reshape(ops.cast(c, self._float_dtype), (-1,)), shape)
            for c in (*columns, 0.0, 0.0)
        ]
        return ops.image.affine_transform(
            images,
            ops.stack(columns, axis=1),
            interpolation=interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        size = self._image_size(transformation)
        return self._with_boxes(
            bounding_boxes,
            lambda boxes: self._moved(boxes, transformation, size),
            size,
            clip=size,
        )

    def _image_size(self, transformation: Any) -> tuple[Any, Any]:
        return self._size(tuple(transformation["input_shape"]))

    def _moved(self, boxes: Any, transformation: Any, size: tuple[Any, Any]) -> Any:
        """Returns where boxes (left, top, right and bottom in pixels) are in the result."""
        raise NotImplementedError


class RandomRotation(_Warp):
    """Turns each image around its middle, in training.

    Args:
        factor: how far, in full turns anticlockwise, from -1 to 1; a pair is the interval that it
            is drawn from.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: integer that makes the draws repeatable.
        fill_value: the constant.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, data_format=data_format, **kwargs)
        self._keep(factor=self.factor)
        self._keep_reading(interpolation, fill_mode, fill_value)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        height, width = self._size(shape)
        count = self._count(shape)
        low, high = (end * 360.0 for end in self.factor)
        angle = self._uniform((count,), low, high, seed)
        turn = angle * (math.pi / 180)
        cosine, sine = ops.cos(turn), ops.sin(turn)
        x, y = self._middle(width), self._middle(height)
        zero = ops.zeros_like(turn)
        columns = [
            cosine, -sine, x - cosine * x + sine * y,
            sine, cosine, y - sine * x - cosine * y,
            zero, zero,
        ]  # fmt: skip
        matrix = ops.stack(columns, axis=1)
        return {
            "angle": angle,
            "rotation_matrix": matrix if len(shape) == 4 else matrix[0],
            "image_height": height,
            "image_width": width,
            "batch_size": count,
        }

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        matrix = ops.reshape(transformation["rotation_matrix"], (-1, 8))
        return self._read(images, [matrix[:, i] for i in range(6)], interpolation)

    def _image_size(self, transformation: Any) -> tuple[Any, Any]:
        return transformation["image_height"], transformation["image_width"]

    def _moved(self, boxes: Any, transformation: Any, size: tuple[Any, Any]) -> Any:
        return boxes_of.affine_transform(boxes, transformation["angle"], 0, 0, 1, 0, 0, *size)


class RandomTranslation(_Warp):
    """Moves each image in training.

    Args:
        height_factor: how far down, in parts of the height, from -1 to 1; a number is the end of
            the interval from its negative, a pair is the interval.
        width_factor: how far to the right, in parts of the width.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: integer that makes the draws repeatable.
        fill_value: the constant.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(height_factor=height_factor, width_factor=width_factor)
        self._down = strict_interval(height_factor, (-1.0, 1.0), "height_factor")
        self._right = strict_interval(width_factor, (-1.0, 1.0), "width_factor")
        self._keep_reading(interpolation, fill_mode, fill_value)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        height, width = self._size(shape)
        count = (self._count(shape),)
        down = self._uniform(count, *self._down, seed) * height
        right = self._uniform(count, *self._right, seed) * width
        return {"translations": ops.stack([right, down], axis=1), "input_shape": shape}

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        moves = ops.convert_to_tensor(transformation["translations"])
        places = [1.0, 0.0, -moves[:, 0], 0.0, 1.0, -moves[:, 1]]
        return self._read(images, places, interpolation)

    def _moved(self, boxes: Any, transformation: Any, size: tuple[Any, Any]) -> Any:
        moves = ops.cast(transformation["translations"], boxes.dtype)
        return boxes + ops.reshape(ops.concatenate([moves, moves], axis=1), (-1, 1, 4))


class RandomZoom(_Warp):
    """Zooms into each image or out of it, in training.

    Args:
        height_factor: how far out, from -1 (exclusive) to 1; negative is into the image; a number
            is the end of the interval from its negative, a pair is the interval.
        width_factor: the same for the width; None to keep the proportions.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: integer that makes the draws repeatable.
        fill_value: the constant.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(height_factor=height_factor, width_factor=width_factor)
        open_bounds = (math.nextafter(-1.0, 0.0), 1.0)
        self._high = strict_interval(height_factor, open_bounds, "height_factor")
        self._wide = (
            width_factor
            if width_factor is None
            else strict_interval(width_factor, open_bounds, "width_factor")
        )
        self._keep_reading(interpolation, fill_mode, fill_value)
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        drawn = (self._count(shape), 1)
        high = wide = 1 + self._uniform(drawn, *self._high, seed)
        if self._wide is not None:
            wide = 1 + self._uniform(drawn, *self._wide, seed)
        return {"height_zoom": high, "width_zoom": wide, "input_shape": shape}

    def _zooms(self, transformation: Any) -> list[Any]:
        """Returns the zoom across and down, each of shape `(batch,)`."""
        return [
            ops.reshape(ops.cast(transformation[key], self._float_dtype), (-1,))
            for key in ("width_zoom", "height_zoom")
        ]

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        height, width = self._size(images.shape)
        wide, high = self._zooms(transformation)
        places = [
            wide, 0.0, (1 - wide) * self._middle(width),
            0.0, high, (1 - high) * self._middle(height),
        ]  # fmt: skip
        return self._read(images, places, interpolation)

    def _moved(self, boxes: Any, transformation: Any, size: tuple[Any, Any]) -> Any:
        wide, high = (ops.reshape(zoom, (-1, 1)) for zoom in self._zooms(transformation))
        y, x = map(self._middle, size)
        left, top, right, bottom = (boxes[..., i] for i in range(4))
        return ops.stack(
            [
                (left - x) / wide + x,
                (top - y) / high + y,
                (right - x) / wide + x,
                (bottom - y) / high + y,
            ],
            axis=-1,
        )


class RandomShear(_Warp):
    """Leans each image to a side, in training.

    Args:
        x_factor: how far rows are moved against each other, from 0 to 1, to a side drawn at
            random; a pair is the interval that it is drawn from.
        y_factor: the same for columns.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        fill_value: the constant.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1.0)

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(
            x_factor=self._shear_interval(x_factor, "x_factor"),
            y_factor=self._shear_interval(y_factor, "y_factor"),
        )
        self._keep_reading(interpolation, fill_mode, fill_value)
        self._keep_seed(seed)

    def _shear_interval(self, factor: Any, name: str) -> tuple[Any, Any]:
        """Returns the interval; one number is told, as Keras does, with its negative."""
        pair = isinstance(factor, list | tuple) and len(factor) == 2
        if pair and factor[0] == -factor[1]:  # from a config
            factor = factor[1]
        return strict_interval(factor, self._FACTOR_BOUNDS, name)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        count = (self._count(shape),)
        backward = ops.less(self._uniform(count, 0.0, 1.0, seed), 0.5)
        shears = [self._uniform(count, *f, seed) for f in (self.x_factor, self.y_factor)]
        shears = [ops.where(backward, -shear, shear) for shear in shears]
        return {"shear_factor": ops.stack(shears, axis=1), "input_shape": shape}

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        shear = ops.convert_to_tensor(transformation["shear_factor"])
        return self._read(images, [1.0, shear[:, 0], 0.0, shear[:, 1], 1.0, 0.0], interpolation)

    def _moved(self, boxes: Any, transformation: Any, size: tuple[Any, Any]) -> Any:
        height, width = (ops.cast(side, boxes.dtype) for side in size)
        shear = ops.cast(transformation["shear_factor"], boxes.dtype)
        across = ops.reshape(shear[:, 0], (-1, 1, 1)) * (width / height)
        down = ops.reshape(shear[:, 1], (-1, 1, 1)) * (height / width)
        x, y = boxes_of.corners(boxes)
        boxes = boxes_of.around(x - across * y, y)
        x, y = boxes_of.corners(boxes)
        return boxes_of.around(x, y - down * x)


class RandomPerspective(_Warp):
    """Shows some images in another perspective, in training.

    Args:
        factor: the probability of it, from 0 to 1; a pair is the interval that the probability
            of a batch is drawn from.
        scale: how far the corners move, from 0 to 1.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_value: what lies outside.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        if scale < 0.0 or scale > 1.0:
            raise ValueError(
                "The `scale` argument should be a number in the range [0, 1]. "
                f"Received: scale={scale}"
            )
        self._keep(
            factor=self.factor,
            scale=scale,
            interpolation=known(interpolation, "interpolation", INTERPOLATIONS),
            fill_value=fill_value,
        )
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        height, width = self._size(shape)
        count = self._count(shape)
        corners = ops.convert_to_tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
        far = ops.stack([ops.cast(side - 1, self._float_dtype) for side in (width, height)])
        start = ops.broadcast_to(ops.cast(corners, self._float_dtype) * far, (count, 4, 2))
        moves = self._uniform((count, 4, 2), 1 - self.scale / 2, 1 + self.scale / 2, seed)
        return {
            "apply_perspective": self._chance(count, self.factor, seed),
            "start_points": start,
            "end_points": start * moves,
            "input_shape": shape,
        }

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        images = self._cast(images)
        seen = ops.image.perspective_transform(
            images,
            transformation["start_points"],
            transformation["end_points"],
            interpolation=interpolation,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )
        return ops.where(self._each(transformation["apply_perspective"]), seen, images)

    def _moved(self, boxes: Any, transformation: Any, size: tuple[Any, Any]) -> Any:
        start, end = (
            ops.cast(transformation[key], boxes.dtype) for key in ("start_points", "end_points")
        )
        matrix = homography(start, end)
        x, y = boxes_of.corners(boxes)
        a = [ops.reshape(matrix[:, i], (-1, 1, 1)) for i in range(8)]
        depth = a[6] * x + a[7] * y + 1
        moved = boxes_of.around(
            (a[0] * x + a[1] * y + a[2]) / depth, (a[3] * x + a[4] * y + a[5]) / depth
        )
        chosen = ops.reshape(transformation["apply_perspective"], (-1, 1, 1))
        return ops.where(chosen, moved, boxes)


class RandomElasticTransform(_Warp):
    """Distorts some images smoothly, in training.

    Simard et al., 2003.

    Args:
        factor: the probability of it, from 0 to 1; a pair is the interval that the probability
            of a batch is drawn from.
        scale: how strong the distortion is, from 0 to 1; a pair is the interval that it is drawn
            from.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"mirror"`, `"constant"` or
            `"nearest"`.
        fill_value: the constant.
        value_range: least and greatest value of the images.
        seed: integer that makes the draws repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._keep(
            factor=self.factor,
            scale=interval(scale, (0, 1), "scale"),
            interpolation=known(interpolation, "interpolation", INTERPOLATIONS),
            fill_mode=known(fill_mode, "fill_mode", (*FILL_MODES, "mirror")),
            fill_value=fill_value,
            value_range=value_range,
        )
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._shape(data)
        count = self._count(shape)
        # How far the field is blurred depends on the size, which so must be known.
        height, width = map(int, self._size(shape))
        strength = self._uniform((), *self.scale, seed)
        apply = self._chance(count, self.factor, seed)
        seed = self.generator if seed is None else seed
        size = 2 * int(3 * self._smoothness(height, width, self.scale[1])) + 1
        sigma = ops.maximum(self._smoothness(height, width, strength), 1e-3)
        field = smooth_field((count, height, width), size, sigma, self._float_dtype, seed)
        return {
            "apply_transform": apply,
            "distortion_factor": strength,
            "displacement": field * (strength * (larger(height, width) * 0.1)),
        }

    def _smoothness(self, height: Any, width: Any, strength: Any) -> Any:
        return strength * (smaller(height, width) * 0.05)

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        images = self._cast(images)
        order = INTERPOLATIONS.index(interpolation)
        field = transformation["displacement"]
        distorted = on_batch(
            lambda x: displaced(x, field, order, self.fill_mode, self.fill_value),
            images,
            self.data_format,
        )
        return ops.where(self._each(transformation["apply_transform"]), distorted, images)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = super().transform_images(images, transformation, training)
        if not training or transformation is None:
            return images
        return ops.clip(images, *self.value_range)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        raise NotImplementedError("RandomElasticTransform does not transform bounding boxes.")
