"""Images as files, as Pillow's objects and as arrays."""

import io
import os
import warnings
from typing import Any

import numpy as np

from cornu.config import floatx, standardize_data_format

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
# Modes that hold one value for each pixel, with more than eight bits.
_DEEP = ("I;16", "I")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow() -> Any:
    """Returns the module `PIL.Image`.

    Raises:
        ImportError: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Reading and writing images needs Pillow: `pip install cornu[images]`."
        ) from error
    return Image


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """Returns an array as an image of Pillow.

    Args:
        x: an array `(height, width, channels)` with 1, 3 or 4 channels.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        scale: whether the values are spread over 0 to 255.
        dtype: dtype of the computation; `floatx()` by default.

    Raises:
        ValueError: if the array is no image.
        ImportError: if Pillow is not installed.
    """
    Image = pillow()
    data_format = standardize_data_format(data_format)
    array = np.asarray(x, dtype=dtype or floatx())
    if array.ndim != 3:
        raise ValueError(
            "Expected image array to have rank 3 (single image). Got array with shape: "
            f"{array.shape}"
        )
    if data_format == "channels_first":
        array = np.transpose(array, (1, 2, 0))
    if scale:
        array = array - np.min(array)
        largest = np.max(array)
        if largest != 0:
            array = array / largest
        array = array * 255
    channels = array.shape[2]
    if channels in (3, 4):
        return Image.fromarray(array.astype("uint8"))
    if channels == 1:
        deep = np.max(array) > 255
        return Image.fromarray(array[:, :, 0].astype("int32" if deep else "uint8"))
    raise ValueError(f"Unsupported channel number: {channels}")


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Returns an image of Pillow as an array.

    Args:
        img: the image.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        dtype: dtype of the result; `floatx()` by default.

    Returns:
        An array `(height, width, channels)`.

    Raises:
        ValueError: if it has another number of axes.
    """
    data_format = standardize_data_format(data_format)
    array = np.asarray(img, dtype=dtype or floatx())
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim != 3:
        raise ValueError(f"Unsupported image shape: {array.shape}")
    return np.transpose(array, (2, 0, 1)) if data_format == "channels_first" else array


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array into an image file.

    Args:
        path: path, or an open binary file.
        x: an array as `array_to_img` takes it.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        file_format: such as `"png"`; else the path's ending tells.
        scale: whether the values are spread over 0 to 255.
        kwargs: more arguments of Pillow's `save`.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    told = file_format or os.path.splitext(str(path))[1].lstrip(".")
    if image.mode == "RGBA" and told.lower() in ("jpg", "jpeg"):
        warnings.warn(
            "The JPG format does not support RGBA images, converting to RGB.", stacklevel=2
        )
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Reads an image file.

    Args:
        path: path, or a `BytesIO`.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        target_size: height and width that the image is resized to.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.
        keep_aspect_ratio: whether the middle is cut out first, so that nothing is stretched.

    Returns:
        An image of Pillow.

    Raises:
        TypeError: if the path is none.
        ValueError: if an argument has an unknown value.
        ImportError: if Pillow is not installed.
    """
    Image = pillow()
    if not isinstance(path, io.BytesIO | str | bytes | os.PathLike):
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(path)}")
    if isinstance(path, io.BytesIO):
        image = Image.open(path)
    else:
        with open(path, "rb") as file:
            image = Image.open(io.BytesIO(file.read()))
    if color_mode not in _MODES:
        raise ValueError('color_mode must be "grayscale", "rgb", or "rgba"')
    if image.mode != _MODES[color_mode] and not (color_mode == "grayscale" and image.mode in _DEEP):
        image = image.convert(_MODES[color_mode])
    if target_size is None:
        return image
    height, width = target_size
    if image.size == (width, height):
        return image
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"Invalid interpolation method {interpolation} specified. Supported methods are "
            f"{', '.join(_INTERPOLATIONS)}"
        )
    method = getattr(Image.Resampling, interpolation.upper())
    if not keep_aspect_ratio:
        return image.resize((width, height), method)
    return image.resize((width, height), method, box=_middle(image.size, (width, height)))


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns the largest box in the middle of an image with the proportions of the target."""
    width, height = size
    wanted_width = min(width, (height * target[0]) // target[1])
    wanted_height = min(height, (width * target[1]) // target[0])
    left, top = (width - wanted_width) // 2, (height - wanted_height) // 2
    return left, top, left + wanted_width, top + wanted_height


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    **kwargs: Any,
) -> Any:
    """Returns images in another size, the largest middle with its proportions being cut out first.

    Args:
        x: images `(height, width, channels)` or `(batch, height, width, channels)`.
        size: height and width.
        interpolation: as of `ops.image.resize`.
        data_format: `"channels_last"` or `"channels_first"`.
        kwargs: `backend_module` is accepted.

    Returns:
        An array for an array, else a tensor.

    Raises:
        ValueError: if the size is no pair, or the images have another number of axes.
        TypeError: for an unknown argument.
    """
    from cornu import ops

    kwargs.pop("backend_module", None)
    if kwargs:
        raise TypeError(f"smart_resize() takes no arguments {list(kwargs)}")
    if len(size) != 2:
        raise ValueError(f"Expected `size` to be a tuple of 2 integers, but got: {size}.")
    images = ops.convert_to_tensor(x)
    if len(images.shape) not in (3, 4):
        raise ValueError(
            "Expected an image array with shape `(height, width, channels)`, or "
            f"`(batch_size, height, width, channels)`, but got input with shape {images.shape}"
        )
    resized = ops.image.resize(
        images,
        tuple(size),
        interpolation=interpolation,
        crop_to_aspect_ratio=True,
        data_format=data_format,
    )
    return np.asarray(resized) if isinstance(x, np.ndarray) else resized
