"""Colour spaces."""

from __future__ import annotations

from typing import Any

from cornu import config
from cornu._cornu import Tensor
from cornu.ops.elementwise import abs, clip, divide_no_nan, floor
from cornu.ops.manipulation import moveaxis, stack
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor
from cornu.ops.reduction import max, min
from cornu.ops.selection import where
from cornu.tensor import is_float_dtype


def _channels(images: Any, data_format: str | None) -> tuple[Tensor, int]:
    """The images with the channels last, and where they were."""
    images = as_tensor(images)
    if images.ndim not in (3, 4):
        raise ValueError(
            "Invalid images rank: expected rank 3 (single image) or rank 4 (batch of images). "
            f"Received: images.shape={tuple(images.shape)}"
        )
    axis = -1 if config.standardize_data_format(data_format) == "channels_last" else -3
    return moveaxis(images, axis, -1), axis


def _floats(images: Tensor) -> Tensor:
    if not is_float_dtype(images.dtype):
        raise ValueError(f"Invalid images dtype: expected float. Received: {images.dtype}")
    return images


@op
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """The luma of colour images (ITU-R BT.601).

    Args:
        images: One image or a batch, with three channels.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of one channel.
    """
    images, axis = _channels(images, data_format)
    dtype = images.dtype
    if not is_float_dtype(dtype):
        images = as_tensor(images, "float32")
    weights = as_tensor([0.2989, 0.5870, 0.1140], images.dtype)
    from cornu.ops.reduction import sum

    gray = sum(images * weights, axis=-1, keepdims=True)
    return moveaxis(as_tensor(gray, dtype), -1, axis)


@op
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue as hue, saturation and value, all from 0 to 1.

    Args:
        images: One image or a batch, with three channels of floats from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: the images are not of floats.
    """
    images, axis = _channels(images, data_format)
    images = _floats(images)
    red, green, blue = (images[..., i] for i in range(3))
    value = max(images, axis=-1)
    span = value - min(images, axis=-1)
    # The hue in sixths, counted from the largest of the three.
    sixths = where(
        value == red,
        divide_no_nan(green - blue, span),
        where(
            value == green,
            divide_no_nan(blue - red, span) + 2,
            divide_no_nan(red - green, span) + 4,
        ),
    )
    hue = sixths / 6
    hue = where(span > 0, hue - floor(hue), 0.0)
    return moveaxis(stack([hue, divide_no_nan(span, value), value], axis=-1), -1, axis)


@op
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value, all from 0 to 1, as red, green and blue.

    Args:
        images: One image or a batch, with three channels of floats from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: the images are not of floats.
    """
    images, axis = _channels(images, data_format)
    images = _floats(images)
    hue, saturation, value = (images[..., i] for i in range(3))
    sixths = hue * 6
    red = clip(abs(sixths - 3) - 1, 0, 1)
    green = clip(2 - abs(sixths - 2), 0, 1)
    blue = clip(2 - abs(sixths - 4), 0, 1)
    parts = [value * (1 - saturation + saturation * pure) for pure in (red, green, blue)]
    return moveaxis(stack(parts, axis=-1), -1, axis)
