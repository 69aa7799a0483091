"""Datasets of image files in folders."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu.config import standardize_data_format
from cornu.utils.directories import (
    check_arguments,
    check_format,
    check_split,
    dataset_of,
    find_files,
)
from cornu.utils.images import img_to_array, load_img

_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_COLOR_MODES = ("rgb", "rgba", "grayscale")
_INTERPOLATIONS = (
    "bilinear",
    "nearest",
    "bicubic",
    "area",
    "lanczos3",
    "lanczos5",
    "gaussian",
    "mitchellcubic",
)


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Returns a dataset of the images in a folder, which is read while it is iterated over.

    Args:
        directory: the folder; with the labels `"inferred"` its folders are the classes.
        labels: `"inferred"`, None, or a list of the label of each file in the order of the paths.
        label_mode: `"int"`, `"categorical"` (one-hot), `"binary"` (0.0 or 1.0), or None.
        class_names: the folders that are classes, in their order; all, sorted, by default.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        batch_size: images of a batch; None gives single images.
        image_size: height and width that images are resized to.
        shuffle: whether each epoch has an order of its own.
        seed: integer that makes the orders repeatable.
        validation_split: share of the files that are for validation.
        subset: `"training"`, `"validation"`, or `"both"` for a pair of datasets.
        interpolation: how they are resized, as of `ops.image.resize`.
        follow_links: whether links to folders are followed.
        crop_to_aspect_ratio: whether images are cut, not stretched.
        pad_to_aspect_ratio: whether images are padded, not stretched.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        format: `"tf"` or `"grain"`, which are the same here.
        verbose: whether the numbers of files and classes are printed.

    Returns:
        An iterable of `images`, or of `(images, labels)`: float32 from 0 to 255, of the shape
        `(batch, height, width, channels)`. `class_names` and `file_paths` are attributes.

    Raises:
        ValueError: if arguments are unknown or exclude each other, or there are no images.
        ImportError: if Pillow is not installed.
    """
    check_format(format)
    labels, label_mode = check_arguments("image", labels, label_mode, class_names)
    if color_mode not in _COLOR_MODES:
        raise ValueError(
            '`color_mode` must be one of {"rgb", "rgba", "grayscale"}. '
            f"Received: color_mode={color_mode}"
        )
    interpolation = interpolation.lower()
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"Argument `interpolation` should be one of {_INTERPOLATIONS}. "
            f"Received: interpolation={interpolation}"
        )
    check_split(validation_split, subset, shuffle, seed)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio`, `crop_to_aspect_ratio` can be set to `True`."
        )
    data_format = standardize_data_format(data_format)
    if shuffle and seed is None:
        seed = np.random.randint(1e6)
    files = find_files(
        directory, labels, _ENDINGS, class_names, shuffle, seed, follow_links, verbose
    )

    def read(paths: list[str]) -> np.ndarray:
        from cornu import ops

        images = []
        for path in paths:
            image = img_to_array(load_img(path, color_mode), "channels_last", "float32")
            image = ops.image.resize(
                image,
                image_size,
                interpolation=interpolation,
                crop_to_aspect_ratio=crop_to_aspect_ratio,
                pad_to_aspect_ratio=pad_to_aspect_ratio,
                data_format="channels_last",
            )
            images.append(np.asarray(image))
        batch = np.stack(images)
        return np.transpose(batch, (0, 3, 1, 2)) if data_format == "channels_first" else batch

    return dataset_of(
        files,
        read,
        label_mode,
        batch_size,
        shuffle,
        seed,
        validation_split,
        subset,
        verbose,
        f"No images found in directory {directory}. Allowed formats: {_ENDINGS}",
    )
