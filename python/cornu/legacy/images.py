"""Keras 2's `ImageDataGenerator`: batches of images, normalized and moved at random."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from cornu.config import floatx, standardize_data_format
from cornu.legacy import image_moves
from cornu.legacy.image_batches import (
    DataFrameIterator,
    DirectoryIterator,
    Iterator,
    NumpyArrayIterator,
)

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
]


class ImageDataGenerator:
    """Gives batches of images that are normalized, and moved at random.

    Args:
        featurewise_center: whether the mean of all images, which `fit` finds, is subtracted.
        samplewise_center: whether each image gets mean 0.
        featurewise_std_normalization: whether images are divided by the deviation of all.
        samplewise_std_normalization: whether each image gets deviation 1.
        zca_whitening: whether images are whitened.
        zca_epsilon: keeps the divisor of whitening from zero.
        rotation_range: largest angle, in degrees.
        width_shift_range, height_shift_range: largest shift: a part of the size if below 1, else
            pixels; an integer is a bound that is not reached, a list the shifts to choose from.
        brightness_range: least and largest factor of the brightness.
        shear_range: largest angle of the shear, in degrees.
        zoom_range: least and largest zoom; a number `z` means `[1 - z, 1 + z]`.
        channel_shift_range: largest value that is added to channels.
        fill_mode, cval: what stands outside of a moved image.
        horizontal_flip, vertical_flip: whether half of the images are flipped.
        rescale: what images are multiplied with.
        preprocessing_function: a function of a moved image that returns an image.
        data_format: layout of the images.
        validation_split: part of the images that `subset="validation"` gives.
        interpolation_order: 0 takes the nearest pixel, 1 interpolates.
        dtype: dtype of the batches.

    >>> generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
    >>> model.fit(generator.flow(images, labels, batch_size=32))
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ) -> None:
        if not 0 <= validation_split < 1:
            raise ValueError(
                "`validation_split` must be strictly between 0 and 1. "
                f"Received: validation_split={validation_split}"
            )
        if isinstance(zoom_range, int | float):
            zoom_range = [1 - zoom_range, 1 + zoom_range]
        for name, pair in (("zoom_range", zoom_range), ("brightness_range", brightness_range)):
            if pair is not None and len(pair) != 2:
                raise ValueError(
                    f"`{name}` should be a tuple or list of two floats. Received: {pair}"
                )
        for wanted, needed in (
            (zca_whitening, "zca_whitening"),
            (featurewise_std_normalization, "featurewise_std_normalization"),
        ):
            if wanted and not featurewise_center:
                featurewise_center = True
                warnings.warn(
                    f"This ImageDataGenerator specifies `{needed}`, which overrides setting of "
                    "`featurewise_center`.",
                    stacklevel=2,
                )
        if samplewise_std_normalization and not samplewise_center:
            samplewise_center = True
            warnings.warn(
                "This ImageDataGenerator specifies `samplewise_std_normalization`, which "
                "overrides setting of `samplewise_center`.",
                stacklevel=2,
            )
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = brightness_range
        self.shear_range = shear_range
        self.zoom_range = list(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.data_format = standardize_data_format(data_format)
        self.interpolation_order = interpolation_order
        self.dtype = dtype or floatx()
        self._validation_split = validation_split
        self.channel_axis = 1 if self.data_format == "channels_first" else 3
        rows = 2 if self.data_format == "channels_first" else 1
        self.row_axis, self.col_axis = rows, rows + 1
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None

    # Batches

    def flow(self, x: Any, y: Any = None, **kwargs: Any) -> NumpyArrayIterator:
        """Returns batches of images in memory.

        Args:
            x: images, `(samples, ...)`.
            y: a target for each.
            kwargs: arguments of `NumpyArrayIterator`: `batch_size`, `shuffle`, `sample_weight`,
                `seed`, `save_to_dir`, `save_prefix`, `save_format`, `subset`.
        """
        return NumpyArrayIterator(x, y, self, **kwargs)

    def flow_from_directory(self, directory: str, **kwargs: Any) -> DirectoryIterator:
        """Returns batches of the image files in a folder that has a folder for each class.

        Args:
            directory: path of the folder.
            kwargs: arguments of `DirectoryIterator`: `target_size`, `color_mode`, `classes`,
                `class_mode`, `batch_size`, `shuffle`, `seed`, `subset`, `interpolation`, ...
        """
        return DirectoryIterator(directory, self, **kwargs)

    def flow_from_dataframe(
        self, dataframe: Any, directory: str | None = None, **kwargs: Any
    ) -> DataFrameIterator:
        """Returns batches of the image files that a table names.

        Args:
            dataframe: a table with a column of file names and columns of targets.
            directory: path of the folder of the files, if the names are no whole paths.
            kwargs: arguments of `DataFrameIterator`: `x_col`, `y_col`, `weight_col`,
                `target_size`, `class_mode`, `batch_size`, ...
        """
        return DataFrameIterator(dataframe, directory, self, **kwargs)

    # Single images

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Returns an image, or a batch, normalized."""
        if self.preprocessing_function is not None:
            x = self.preprocessing_function(x)
        if self.rescale:
            x = x * self.rescale
        if self.samplewise_center:
            x = x - np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x = x / (np.std(x, keepdims=True) + 1e-6)
        for wanted, name, known in (
            (self.featurewise_center, "featurewise_center", self.mean),
            (self.featurewise_std_normalization, "featurewise_std_normalization", self.std),
            (self.zca_whitening, "zca_whitening", self.zca_whitening_matrix),
        ):
            if not wanted:
                continue
            if known is None:
                warnings.warn(
                    f"This ImageDataGenerator specifies `{name}`, but it hasn't been fit on any "
                    "training data. Fit it first by calling `.fit(numpy_data)`.",
                    stacklevel=2,
                )
            elif name == "featurewise_center":
                x = x - known
            elif name == "featurewise_std_normalization":
                x = x / (known + 1e-6)
            else:
                x = (x.reshape(-1, known.shape[0]) @ known).reshape(x.shape)
        return x

    def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict[str, Any]:
        """Returns what `apply_transform` takes, drawn at random for an image of this shape."""
        if seed is not None:
            np.random.seed(seed)
        uniform = np.random.uniform
        parameters: dict[str, Any] = {
            "theta": _within(self.rotation_range),
            "tx": _shift(self.height_shift_range, img_shape[self.row_axis - 1]),
            "ty": _shift(self.width_shift_range, img_shape[self.col_axis - 1]),
            "shear": _within(self.shear_range),
        }
        same = self.zoom_range[0] == self.zoom_range[1] == 1
        parameters["zx"], parameters["zy"] = (1, 1) if same else uniform(*self.zoom_range, 2)
        parameters["flip_horizontal"] = bool(np.random.random() < 0.5 and self.horizontal_flip)
        parameters["flip_vertical"] = bool(np.random.random() < 0.5 and self.vertical_flip)
        parameters["channel_shift_intensity"] = _within(self.channel_shift_range) or None
        bright = self.brightness_range
        parameters["brightness"] = uniform(*bright) if bright else None
        return parameters

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Returns an image with a move applied.

        Args:
            x: an image.
            transform_parameters: `theta`, `tx`, `ty`, `shear`, `zx`, `zy`, `flip_horizontal`,
                `flip_vertical`, `channel_shift_intensity`, `brightness`; each may be left out.
        """
        given = transform_parameters
        rows, columns, channels = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = image_moves.apply_affine_transform(
            x,
            *(given.get(name, 0) for name in ("theta", "tx", "ty", "shear")),
            *(given.get(name, 1) for name in ("zx", "zy")),
            row_axis=rows,
            col_axis=columns,
            channel_axis=channels,
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )
        if given.get("channel_shift_intensity") is not None:
            x = image_moves.apply_channel_shift(x, given["channel_shift_intensity"], channels)
        if given.get("flip_horizontal"):
            x = np.flip(x, columns)
        if given.get("flip_vertical"):
            x = np.flip(x, rows)
        if given.get("brightness") is not None:
            x = image_moves.apply_brightness_shift(x, given["brightness"], scale=False)
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Returns an image moved at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Finds the mean, deviation and whitening of images.

        Args:
            x: images, `(samples, ...)`.
            augment: whether they are moved at random before.
            rounds: how often, each time anew.
            seed: seed of the moves.

        Raises:
            ValueError: if `x` is no batch of images.
        """
        x = np.asarray(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(
                f"Input to `.fit()` should have rank 4. Got array with shape: {x.shape}"
            )
        if seed is not None:
            np.random.seed(seed)
        x = x.copy()
        if augment:
            x = np.array([self.random_transform(image) for _ in range(rounds) for image in x])
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            mean = np.mean(x, axis=axes, keepdims=True)
            self.mean = mean[0]
            x = x - mean
        if self.featurewise_std_normalization:
            std = np.std(x, axis=axes, keepdims=True)
            self.std = std[0]
            x = x / (std + 1e-6)
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            vectors, values, _ = np.linalg.svd(flat.T, full_matrices=False)
            scale = np.sqrt(len(flat)) / (values + self.zca_epsilon)
            self.zca_whitening_matrix = (vectors * scale) @ vectors.T


def _within(bound: float) -> float:
    """A random number up to a bound; none is drawn if it is 0, as Keras 2 has it."""
    return np.random.uniform(-bound, bound) if bound else 0


def _shift(allowed: Any, size: int) -> float:
    """A random shift in pixels: up to a float, below an integer, or one of a list."""
    if not np.any(allowed):
        return 0
    if isinstance(allowed, float):
        drawn = np.random.uniform(-allowed, allowed)
    else:
        drawn = np.random.choice(allowed) * np.random.choice([-1, 1])
    return drawn * size if np.max(allowed) < 1 else drawn
