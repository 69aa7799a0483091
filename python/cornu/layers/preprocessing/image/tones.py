"""Layers that change the levels of images: their histograms."""

from typing import Any

from cornu import ops
from cornu.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    interval,
    moved_range,
    sorted_range,
)
from cornu.layers.preprocessing.image.color import _FactorOfImages, _InTraining

_BYTES = (0, 255)


class AutoContrast(BaseImagePreprocessingLayer):
    """Stretches each channel of each image over the whole value range.

    Args:
        value_range: least and greatest value of the images.
    """

    _USE_BASE_FACTOR = False
    _random = False

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(value_range=sorted_range(value_range))

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = ops.cast(images, self._float_dtype)
        low, high = (f(images, axis=self._axes(), keepdims=True) for f in (ops.min, ops.max))
        start, end = self.value_range
        flat = ops.equal(low, high)
        span = ops.where(flat, ops.ones_like(low), high - low)
        stretched = ops.clip((images - low) * ((end - start) / span) + start, start, end)
        return ops.where(flat, images, stretched)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks


class Equalization(_InTraining):
    """Spreads the levels of each channel evenly over the images of a batch, in training.

    Args:
        value_range: least and greatest value of the images.
        bins: number of levels that are counted.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False
    _random = False

    def __init__(
        self,
        value_range: Any = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(bins=bins, value_range=sorted_range(value_range))

    def _changed(self, images: Any, transformation: Any) -> Any:
        # One row of pixels for each channel; the images of a batch are counted together.
        axis = 3 if self.data_format == "channels_last" else 1
        flat = ops.moveaxis(images, axis, 0)
        shape = tuple(flat.shape)
        flat = ops.reshape(flat, (shape[0], -1))
        total = flat.shape[1]
        level = moved_range(flat, self.value_range, (0, 1)) * (self.bins - 1)
        level = ops.cast(ops.clip(level, 0, self.bins - 1), "int32")
        below = ops.cumsum(histogram(level, self.bins, images.dtype), axis=-1)
        least = ops.min(ops.where(ops.greater(below, 0), below, total), axis=-1, keepdims=True)
        spread = ops.maximum(total - least, 1)
        table = ops.clip(ops.round((below - least) / spread * 255), 0, 255)
        mapped = moved_range(ops.take_along_axis(table, level, axis=-1), _BYTES, self.value_range)
        alone = ops.equal(least, total)
        return ops.moveaxis(ops.reshape(ops.where(alone, flat, mapped), shape), 0, axis)


def histogram(levels: Any, bins: int, dtype: str) -> Any:
    """Returns how often each level from 0 to `bins - 1` occurs in each row: `(rows, bins)`."""
    rows = levels.shape[0]
    places = levels + ops.expand_dims(ops.arange(rows, dtype="int32") * bins, -1)
    counts = ops.segment_sum(
        ops.ones_like(ops.reshape(places, (-1,)), dtype=dtype),
        ops.reshape(places, (-1,)),
        num_segments=rows * bins,
    )
    return ops.reshape(counts, (rows, bins))


class RandomPosterization(_FactorOfImages):
    """Keeps only the highest bits of the levels of each image in training.

    Args:
        factor: how many bits are kept, from 1 to 8; a pair is the interval that the number is
            drawn from, without its end.
        value_range: least and greatest value of the images.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the draws repeatable.
    """

    _FACTOR_BOUNDS = (1, 8)
    _MAX_FACTOR = 8

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        kept = super().get_random_transformation(data, training, seed)["factor"]
        return {"shift_factor": ops.subtract(8, ops.cast(kept, "uint8"))}

    def _changed(self, images: Any, transformation: Any) -> Any:
        images = ops.cast(moved_range(images, self.value_range, _BYTES), "uint8")
        bits = self._each(ops.cast(transformation["shift_factor"], "uint8"))
        images = ops.left_shift(ops.right_shift(images, bits), bits)
        return moved_range(ops.cast(images, self._float_dtype), _BYTES, self.value_range)


class Solarization(BaseImagePreprocessingLayer):
    """Inverts the pixels of images that reach a threshold, after adding something, in training.

    Args:
        addition_factor: how much is added at most, in parts of the value range, from 0 to 1.
        threshold_factor: where the threshold is at most, in parts of the value range.
        value_range: least and greatest value of the images.
        seed: integer that makes the draws repeatable.

    Both factors may be pairs, of which only the second number counts.
    """

    _USE_BASE_FACTOR = False

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(value_range=sorted_range(value_range))
        for name, factor in (
            ("addition_factor", addition_factor),
            ("threshold_factor", threshold_factor),
        ):
            self._keep(**{name: interval(factor, (0, 1), name, symmetric=False)})
        self._keep_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        ones = (*self._shape(data)[:-3], 1, 1, 1)
        return {
            "additions": self._uniform(ones, 0.0, self.addition_factor[1] * 255, seed),
            "thresholds": self._uniform(ones, 0.0, self.threshold_factor[1] * 255, seed),
        }

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        images = moved_range(images, self.value_range, _BYTES)
        brighter = ops.clip(ops.add(images, transformation["additions"]), *_BYTES)
        dark = ops.less(brighter, transformation["thresholds"])
        return moved_range(ops.where(dark, brighter, 255 - brighter), _BYTES, self.value_range)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks


class ContrastLimitedAdaptiveHistogramEqualization(BaseImagePreprocessingLayer):
    """Spreads levels evenly within tiles of each image: CLAHE (Pizer et al., 1987).

    Each pixel is mapped as the four nearest tiles say, weighted by how near they are. Levels that
    are more frequent than the limit count as frequent as that; the rest is spread over all.

    Args:
        value_range: least and greatest value of the images.
        clip_limit: the limit, in multiples of the mean frequency; 0 for none.
        tile_grid_size: number of tiles down and across.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = False
    _random = False

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: tuple[int, int] = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self._keep(value_range=value_range, clip_limit=clip_limit, tile_grid_size=tile_grid_size)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = ops.convert_to_tensor(images)
        x = moved_range(ops.cast(images, self._float_dtype), self.value_range, _BYTES)
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        x = self._equalized(x)
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, -1, 1)
        return ops.cast(moved_range(x, _BYTES, self.value_range), images.dtype)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks

    def _equalized(self, images: Any) -> Any:
        batch, height, width, channels = images.shape
        grid = self.tile_grid_size
        tile = tuple(-(-size // n) for size, n in zip((height, width), grid, strict=True))
        border = [(0, n * t - s) for n, t, s in zip(grid, tile, (height, width), strict=True)]
        levels = ops.cast(ops.clip(images, *_BYTES), "int32")
        tiles = ops.pad(levels, [(0, 0), *border, (0, 0)], mode="symmetric")
        tiles = ops.reshape(tiles, (-1, grid[0], tile[0], grid[1], tile[1], channels))
        tiles = ops.reshape(ops.transpose(tiles, (0, 1, 3, 5, 2, 4)), (-1, tile[0] * tile[1]))
        tables = ops.reshape(self._tables(tiles, images.dtype), (-1,))

        # The tiles above and below (left and right) of each row (column), and their weights.
        sides = []
        for size, n, length in zip((height, width), grid, tile, strict=True):
            place = ops.arange(size, dtype=images.dtype) / length - 0.5
            below = ops.floor(place)
            first = ops.cast(below, "int32")
            weight = place - below
            sides.append(
                [
                    (ops.clip(first, 0, n - 1), 1 - weight),
                    (ops.clip(first + 1, 0, n - 1), weight),
                ]
            )
        sample = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1)) * (grid[0] * grid[1])
        channel = ops.arange(channels, dtype="int32")
        result = 0
        for row, row_weight in sides[0]:
            row, row_weight = (ops.reshape(v, (-1, 1, 1)) for v in (row, row_weight))
            for column, column_weight in sides[1]:
                column, column_weight = (ops.reshape(v, (-1, 1)) for v in (column, column_weight))
                which = (sample + row * grid[1] + column) * channels + channel
                mapped = ops.take(tables, which * 256 + levels)
                result = result + mapped * (row_weight * column_weight)
        return result

    def _tables(self, tiles: Any, dtype: str) -> Any:
        """Returns what each level of each tile is mapped to: `(tiles, 256)`."""
        total = tiles.shape[-1]
        counts = histogram(tiles, 256, dtype)
        if self.clip_limit > 0:
            clipped = ops.minimum(counts, self.clip_limit / 256 * ops.cast(total, dtype))
            counts = clipped + ops.sum(counts - clipped, axis=-1, keepdims=True) / 256
        below = ops.cumsum(counts, axis=-1)
        least = below[..., :1]
        return (below - least) / ops.maximum(total - least, 1e-7) * 255
