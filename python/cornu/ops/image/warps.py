"""Images read at other places: affine, projective, elastic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cornu._cornu import Tensor
from cornu.ops.creation import counting
from cornu.ops.elementwise import clip, floor, round, trunc
from cornu.ops.image.filters import gaussian_blur
from cornu.ops.image.layout import on_batch
from cornu.ops.linalg import solve
from cornu.ops.manipulation import (
    broadcast_together,
    expand_dims,
    reshape,
    stack,
)
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.selection import take, where
from cornu.tensor import is_float_dtype

_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def _folded(place: Tensor, size: Any, mode: str) -> Tensor:
    """Integer coordinates brought inside an axis, as a mode says."""
    match mode:
        case "wrap":
            return place % size
        case "mirror":
            period = 2 * (size - 1)
            if isinstance(period, int) and period == 0:
                return place * 0
            far = place % period
            return where(far >= size, period - far, far)
        case "reflect":
            far = place % (2 * size)
            return where(far >= size, 2 * size - 1 - far, far)
        case _:
            return clip(place, 0, size - 1)


def _read(x: Tensor, places: Sequence[Tensor], fill_mode: str, fill_value: Any) -> Tensor:
    """The elements of the first axes of `x` at integer coordinates."""
    shape = x.shape[: len(places)]
    rest = tuple(x.shape[len(places) :])
    flat, inside = None, None
    for place, size in zip(places, shape, strict=True):
        within = (place >= 0) & (place < size)
        inside = within if inside is None else inside & within
        place = _folded(place, size, fill_mode)
        flat = place if flat is None else flat * size + place
    total = 1
    for size in shape:
        total = total * size
    values = take(reshape(x, (total, *rest)), flat, axis=0)
    if fill_mode != "constant":
        return values
    inside = reshape(inside, (*inside.shape, *(1,) * len(rest)))
    return where(inside, values, as_tensor(fill_value, values.dtype))


def _sampled(
    x: Tensor, places: Sequence[Tensor], order: int, fill_mode: str, fill_value: Any,
    whole: Sequence[Tensor] = (),
) -> Tensor:  # fmt: skip
    """The first axes of `x`, those of `whole` at integers and the next at real coordinates."""
    if order == 0:
        # Halves round away from zero.
        near = [as_tensor(trunc(p + where(p < 0, -0.5, 0.5)), "int32") for p in places]
        return _read(x, [*whole, *near], fill_mode, fill_value)
    below = [floor(p) for p in places]
    parts = [p - b for p, b in zip(places, below, strict=True)]
    corners = [as_tensor(b, "int32") for b in below]
    total = None
    for corner in range(2 ** len(places)):
        steps = [corner >> i & 1 for i in range(len(places))]
        at = [c + step for c, step in zip(corners, steps, strict=True)]
        weight = None
        for part, step in zip(parts, steps, strict=True):
            factor = part if step else 1 - part
            weight = factor if weight is None else weight * factor
        value = _read(x, [*whole, *at], fill_mode, fill_value)
        weight = reshape(weight, (*weight.shape, *(1,) * (value.ndim - weight.ndim)))
        term = as_tensor(weight, value.dtype) * value
        total = term if total is None else total + term
    return total


@op
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: Any = 0
) -> Tensor:
    """The tensor read at real coordinates.

    Args:
        inputs: A tensor.
        coordinates: `(axes, ...)`: for each axis the coordinates.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: What lies outside: `"constant"`, `"nearest"`, `"wrap"`, `"mirror"`, `"reflect"`.
        fill_value: The constant.

    Returns:
        A tensor of the shape of one axis' coordinates.

    Raises:
        ValueError: the coordinates do not fit, or the mode or the order is unknown.
    """
    x, coordinates = as_tensor(inputs), as_tensor(coordinates)
    if coordinates.shape[0] != x.ndim:
        raise ValueError(
            "First dim of `coordinates` must be the same as the rank of `inputs`. "
            f"Received inputs with shape: {tuple(x.shape)} and coordinate leading dim of "
            f"{coordinates.shape[0]}"
        )
    if order not in (0, 1):
        raise ValueError(f"Invalid value for argument `order`: expected 0 or 1. Received: {order}")
    if fill_mode not in _FILL_MODES:
        raise ValueError(
            f"Invalid value for argument `fill_mode`. Expected one of {set(_FILL_MODES)}. "
            f"Received: fill_mode={fill_mode}"
        )
    dtype = x.dtype
    coordinates = as_float(coordinates)
    values = as_float(x) if order else x
    y = _sampled(values, [coordinates[i] for i in range(x.ndim)], order, fill_mode, fill_value)
    return as_tensor(y if is_float_dtype(dtype) or not order else round(y), dtype)


_ORDERS = {"nearest": 0, "bilinear": 1}


def _order(interpolation: str) -> int:
    if interpolation not in _ORDERS:
        raise ValueError(
            f"Invalid value for argument `interpolation`. Expected of one {set(_ORDERS)}. "
            f"Received: interpolation={interpolation}"
        )
    return _ORDERS[interpolation]


def _warped(
    images: Any, transform: Any, order: int, fill_mode: str, fill_value: Any, data_format: Any,
    projective: bool = False,
) -> Tensor:  # fmt: skip
    """Images read where `(a0, ..., a5, c0, c1)` of each sends the places of the result."""
    transform = as_tensor(transform)
    matrices = expand_dims(transform, 0) if transform.ndim == 1 else transform

    def run(x: Tensor) -> Tensor:
        dtype = x.dtype
        x = as_float(x)
        m = as_tensor(matrices, x.dtype)
        batch, height, width, _ = x.shape
        row = reshape(counting(height, x.dtype), (1, -1, 1))
        column = reshape(counting(width, x.dtype), (1, 1, -1))
        a = [reshape(m[:, i], (-1, 1, 1)) for i in range(8)]
        across = a[0] * column + a[1] * row + a[2]
        down = a[3] * column + a[4] * row + a[5]
        if projective:
            depth = a[6] * column + a[7] * row + 1
            across, down = across / depth, down / depth
        which = reshape(counting(batch, "int32"), (-1, 1, 1))
        which, down, across = broadcast_together(which, down, across)
        y = _sampled(x, [down, across], order, fill_mode, fill_value, whole=[which])
        return y if is_float_dtype(dtype) else as_tensor(y, dtype)

    return on_batch(run, images, data_format)


@op
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images warped: the pixel `(x, y)` is read at `(a0 x + a1 y + a2, b0 x + b1 y + b2)`.

    Args:
        images: One image or a batch.
        transform: `(a0, a1, a2, b0, b1, b2, 0, 0)` once or for each image.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What lies outside: `"constant"`, `"nearest"`, `"wrap"`, `"mirror"`, `"reflect"`.
        fill_value: The constant.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of the same shape.
    """
    order = _order(interpolation)
    if fill_mode not in _FILL_MODES:
        raise ValueError(
            f"Invalid value for argument `fill_mode`. Expected of one {set(_FILL_MODES)}. "
            f"Received: fill_mode={fill_mode}"
        )
    return _warped(images, transform, order, fill_mode, fill_value, data_format)


def homography(start: Tensor, end: Tensor) -> Tensor:
    """The `(batch, 8)` numbers of the projective maps that bring four points to four others."""
    # Each pair of points gives two linear equations of the eight numbers.
    x, y = start[..., 0], start[..., 1]
    u, v = end[..., 0], end[..., 1]
    none, one = x * 0, x * 0 + 1
    rows = [
        stack([x, y, one, none, none, none, -u * x, -u * y], -1),
        stack([none, none, none, x, y, one, -v * x, -v * y], -1),
    ]
    matrix = reshape(stack(rows, -2), (start.shape[0], 8, 8))
    return solve(matrix, reshape(end, (start.shape[0], 8, 1)))[..., 0]


@op
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: Any = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen so that four points come to four others.

    Args:
        images: One image or a batch.
        start_points: `(4, 2)` or `(batch, 4, 2)`: where the points are, as x and y.
        end_points: Where they come to, of the same shape.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_value: What lies outside.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of the same shape.
    """
    start, end = as_float(start_points), as_float(end_points)
    if start.shape[-2:] != (4, 2) or tuple(start.shape) != tuple(end.shape):
        raise ValueError(
            "Invalid start_points shape: expected (4,2) for a single image or (N,4,2) for a "
            f"batch. Received shapes: {tuple(start.shape)} and {tuple(end.shape)}"
        )
    if start.ndim == 2:
        start, end = expand_dims(start, 0), expand_dims(end, 0)
    transform = homography(end, start)
    order = _order(interpolation)
    return _warped(images, transform, order, "constant", fill_value, data_format, projective=True)


@op
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: Any = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images deformed by a smooth random field: Simard et al., 2003.

    Args:
        images: One image or a batch.
        alpha: How far pixels move.
        sigma: How smooth the field is.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What lies outside: `"constant"`, `"nearest"`, `"wrap"`, `"mirror"`, `"reflect"`.
        fill_value: The constant.
        seed: An integer or a `SeedGenerator`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of the same shape.
    """
    from cornu import random

    order = _order(interpolation)
    seed = random.SeedGenerator(seed) if not isinstance(seed, random.SeedGenerator) else seed

    def run(x: Tensor) -> Tensor:
        dtype = x.dtype
        x = as_float(x)
        field = smooth_field(x.shape[:3], 2 * int(3 * sigma) + 1, sigma, x.dtype, seed)
        y = displaced(x, field * alpha, order, fill_mode, fill_value)
        return y if is_float_dtype(dtype) else as_tensor(y, dtype)

    return on_batch(run, images, data_format)


def smooth_field(shape: Sequence[Any], size: int, sigma: Any, dtype: str, seed: Any) -> Tensor:
    """A random field `(batch, height, width, 2)`, blurred over `size` pixels."""
    from cornu import random

    field = random.uniform((*shape, 2), -1.0, 1.0, dtype, seed=seed)
    return gaussian_blur(field, (size, size), (sigma, sigma), "channels_last")


def displaced(x: Tensor, field: Tensor, order: int, fill_mode: str, fill_value: Any) -> Tensor:
    """Channels-last images, each pixel read as far down and to the right as the field says."""
    batch, height, width, _ = x.shape
    down = reshape(counting(height, field.dtype), (1, -1, 1)) + field[..., 0]
    across = reshape(counting(width, field.dtype), (1, 1, -1)) + field[..., 1]
    which = broadcast_together(reshape(counting(batch, "int32"), (-1, 1, 1)), down)[0]
    return _sampled(x, [down, across], order, fill_mode, fill_value, whole=[which])
