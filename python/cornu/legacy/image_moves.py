"""Single moves of an image: rotation, shift, shear, zoom, channel shift, brightness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_INTERPOLATIONS = {0: "nearest", 1: "bilinear"}


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Returns an image rotated, shifted, sheared and zoomed around its centre, in this order.

    Args:
        x: an image.
        theta: angle of the rotation, in degrees.
        tx, ty: shifts along columns and rows, in pixels.
        shear: angle of the shear, in degrees.
        zx, zy: zoom along columns and rows; above 1 the image gets smaller.
        row_axis, col_axis, channel_axis: the axes of the image.
        fill_mode: what stands outside: `"constant"`, `"nearest"`, `"reflect"` or `"wrap"`.
        cval: the value outside for `"constant"`.
        order: 0 takes the nearest pixel, 1 interpolates.

    Raises:
        ValueError: if `order` is neither.
    """
    from cornu import ops

    if order not in _INTERPOLATIONS:
        raise ValueError(f"`order` must be 0 or 1. Received: order={order}")
    angle, slant = math.radians(theta), math.radians(shear)
    # Keras 2 takes the height for the first coordinate, which is that of columns.
    center = [x.shape[row_axis] / 2 - 0.5, x.shape[col_axis] / 2 - 0.5]
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = (
        _translation(center)
        @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        @ _translation([tx, ty])
        @ np.array([[1, -math.sin(slant), 0], [0, math.cos(slant), 0], [0, 0, 1]])
        @ np.diag([zx, zy, 1.0])
        @ _translation([-center[0], -center[1]])
    )
    if np.array_equal(matrix, np.eye(3)):
        return x
    image = np.transpose(x, (row_axis, col_axis, channel_axis))
    moved = ops.image.affine_transform(
        image.astype("float32"),
        matrix.flatten()[:8].astype("float32"),
        interpolation=_INTERPOLATIONS[order],
        fill_mode="nearest" if fill_mode == "constant" else fill_mode,
        data_format="channels_last",
    )
    if fill_mode == "constant":
        # What lies outside by a part of a pixel is outside.
        rows, columns = np.indices(image.shape[:2])
        places = np.einsum("ij,jrc->irc", matrix[:2], [columns, rows, np.ones_like(rows)])
        last = np.array(image.shape[1::-1])[:, None, None] - 1
        outside = ((places < 0) | (places > last)).any(0)
        moved = np.where(outside[..., None], np.float32(cval), moved)
    return np.transpose(np.asarray(moved), np.argsort((row_axis, col_axis, channel_axis)))


def _translation(offset: Sequence[float]) -> np.ndarray:
    matrix = np.eye(3)
    matrix[:2, 2] = offset
    return matrix


def random_rotation(x: np.ndarray, rg: float, *args: Any, **kwargs: Any) -> np.ndarray:
    """Returns an image rotated by up to `rg` degrees; `args` are axes and filling, as above."""
    return _moved(x, args, kwargs, theta=np.random.uniform(-rg, rg))


def random_shift(x: np.ndarray, wrg: float, hrg: float, *args: Any, **kwargs: Any) -> np.ndarray:
    """Returns an image shifted by up to these parts of its width and height."""
    rows, columns = (*args, 1, 2)[:2] if args else (1, 2)
    rows, columns = kwargs.get("row_axis", rows), kwargs.get("col_axis", columns)
    tx = np.random.uniform(-hrg, hrg) * x.shape[rows]
    ty = np.random.uniform(-wrg, wrg) * x.shape[columns]
    return _moved(x, args, kwargs, tx=tx, ty=ty)


def random_shear(x: np.ndarray, intensity: float, *args: Any, **kwargs: Any) -> np.ndarray:
    """Returns an image sheared by up to `intensity` degrees."""
    return _moved(x, args, kwargs, shear=np.random.uniform(-intensity, intensity))


def random_zoom(x: np.ndarray, zoom_range: Any, *args: Any, **kwargs: Any) -> np.ndarray:
    """Returns an image zoomed by factors between the two of `zoom_range`."""
    if len(zoom_range) != 2:
        raise ValueError(
            f"`zoom_range` should be a tuple or list of two floats. Received: {zoom_range}"
        )
    zx, zy = np.random.uniform(*zoom_range, 2)
    return _moved(x, args, kwargs, zx=zx, zy=zy)


def _moved(x: np.ndarray, args: tuple, kwargs: dict[str, Any], **move: float) -> np.ndarray:
    names = ("row_axis", "col_axis", "channel_axis", "fill_mode", "cval", "interpolation_order")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    given["order"] = given.pop("interpolation_order", 1)
    return apply_affine_transform(x, **move, **given)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """Returns an image with `intensity` added, kept between its own least and largest value."""
    return np.clip(x + intensity, np.min(x), np.max(x))


def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> Any:
    """Returns an image with up to `intensity_range` added."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range))


def apply_brightness_shift(x: np.ndarray, brightness: float, scale: bool = True) -> np.ndarray:
    """Returns an image with its brightness multiplied.

    Args:
        x: an image.
        brightness: the factor.
        scale: whether the image is stretched to [0, 255] before, and back after.
    """
    low, high = np.min(x), np.max(x)
    stretched = scale or low < 0 or high > 255
    pixels = (x - low) / max(high - low, 1e-12) * 255.0 if stretched else x
    pixels = np.clip(np.floor(pixels) * brightness, 0, 255)
    return pixels / 255.0 * (high - low) + low if stretched else np.floor(pixels)


def random_brightness(x: np.ndarray, brightness_range: Any, scale: bool = True) -> np.ndarray:
    """Returns an image with its brightness multiplied by a factor between these two."""
    if len(brightness_range) != 2:
        raise ValueError(
            "`brightness_range` should be tuple or list of two floats. "
            f"Received: {brightness_range}"
        )
    return apply_brightness_shift(x, np.random.uniform(*brightness_range), scale)
