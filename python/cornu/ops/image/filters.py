"""Filters, edges, similarity and patches."""

from __future__ import annotations

from typing import Any

import numpy as np

from cornu import config
from cornu._cornu import Tensor
from cornu.ops.convolution import channels_last, depthwise_conv, windows
from cornu.ops.creation import counting
from cornu.ops.elementwise import exp, square
from cornu.ops.image.layout import on_batch
from cornu.ops.manipulation import moveaxis, reshape, tile
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, promoted
from cornu.ops.reduction import mean, sum
from cornu.ops.shapes import product, spatial


def _filtered(x: Tensor, kernel: Tensor, padding: str = "same") -> Tensor:
    """Each channel of a batch filtered by `(height, width, filters)`; filters run fastest."""
    height, width, count = kernel.shape
    kernel = tile(reshape(kernel, (height, width, 1, count)), (1, 1, x.shape[-1], 1))
    return depthwise_conv(x, kernel, padding=padding, data_format="channels_last")


def _bell(size: int, sigma: Any, dtype: str) -> Tensor:
    """The weights of a Gauss filter in one dimension."""
    offset = counting(size, dtype) - (size - 1) / 2
    weights = exp(-square(offset / sigma) / 2)
    return weights / sum(weights)


@op
def gaussian_blur(
    images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    """Images blurred by a Gauss filter.

    Args:
        images: One image or a batch.
        kernel_size: The size of the filter, height and width.
        sigma: Its standard deviations.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of the same shape.
    """

    def blur(x: Tensor) -> Tensor:
        dtype = x.dtype
        x = as_float(x)
        down, across = (
            _bell(size, as_tensor(s, x.dtype), x.dtype)
            for size, s in zip(kernel_size, (sigma[0], sigma[1]), strict=True)
        )
        kernel = reshape(down, (-1, 1, 1)) * reshape(across, (1, -1, 1))
        return as_tensor(_filtered(x, kernel), dtype)

    return on_batch(blur, images, data_format)


@op
def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """The vertical and horizontal slopes of images, by Sobel's filters.

    Args:
        images: A batch of images.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        The images with one axis more, of two: the slope down and the slope across.
    """
    images = as_float(images)
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernel = as_tensor(np.stack([across.T, across], axis=-1), images.dtype)

    def slope(x: Tensor) -> Tensor:
        return _filtered(x, kernel)

    slopes = on_batch(slope, images, data_format)
    if config.standardize_data_format(data_format) == "channels_last":
        return reshape(slopes, (*images.shape, 2))
    # The two slopes of a channel are neighbours among the channels.
    *batch, channels, height, width = images.shape
    return moveaxis(reshape(slopes, (*batch, channels, 2, height, width)), -3, -1)


@op
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """The structural similarity of images: Wang et al., 2004, doi:10.1109/TIP.2003.819861.

    Args:
        image1: A batch of images.
        image2: A batch of the same shape.
        max_val: The largest possible value.
        filter_size: The size of the Gauss window.
        filter_sigma: Its standard deviation.
        k1: Keeps the term of luminance from dividing by zero.
        k2: Keeps the term of contrast from dividing by zero.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        A float tensor `(batch,)`.
    """
    data_format = config.standardize_data_format(data_format)
    x, y = (channels_last(image, data_format) for image in promoted(image1, image2, floating=True))
    bell = _bell(filter_size, filter_sigma, x.dtype)
    kernel = reshape(bell, (-1, 1, 1)) * reshape(bell, (1, -1, 1))

    def blurred(image: Tensor) -> Tensor:
        return _filtered(image, kernel, padding="valid")

    mean_x, mean_y = blurred(x), blurred(y)
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    variances = blurred(x * x) - mean_x * mean_x + blurred(y * y) - mean_y * mean_y
    covariance = blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    contrast = (2 * covariance + c2) / (variances + c2)
    return mean(luminance * contrast, axis=(1, 2, 3))


def _patches(
    images: Any, size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: Any,
    rank: int,
) -> Tensor:  # fmt: skip
    size = spatial(size, rank, "size")
    strides = size if strides is None else spatial(strides, rank, "strides")
    dilation = spatial(dilation_rate, rank, "dilation_rate")

    def cut(x: Tensor) -> Tensor:
        y = windows(x, size, strides, dilation, padding)
        return reshape(y, (*y.shape[: rank + 1], product(size) * x.shape[-1]))

    return on_batch(cut, images, data_format, rank)


@op
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of images, each laid out along the channels.

    Args:
        images: One image or a batch.
        size: The size of a patch, once or height and width.
        strides: The distance of the patches; their size by default.
        dilation_rate: The distance of a patch's pixels.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        `(batch, rows, columns, height * width * channels)`, or with the channels first.
    """
    return _patches(images, size, strides, dilation_rate, padding, data_format, rank=2)


@op
def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of volumes, each laid out along the channels.

    Args:
        volumes: One volume or a batch.
        size: The size of a patch, once or depth, height and width.
        strides: The distance of the patches; their size by default.
        dilation_rate: The distance of a patch's voxels.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        `(batch, *places, depth * height * width * channels)`, or with the channels first.
    """
    return _patches(volumes, size, strides, dilation_rate, padding, data_format, rank=3)
