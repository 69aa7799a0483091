"""Images of other sizes: resized, cropped, padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.core import cast, saturate_cast
from cornu.ops.creation import counting, ones
from cornu.ops.elementwise import abs, floor, maximum, round, sinc
from cornu.ops.image.layout import on_batch
from cornu.ops.manipulation import pad, reshape
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.reduction import sum
from cornu.ops.selection import take, where
from cornu.ops.shapes import as_sizes, larger, normalize_axis, product, smaller
from cornu.tensor import check_memory, is_float_dtype

_resample = primitive("resample")


def _triangle(x: Tensor) -> Tensor:
    return maximum(1 - abs(x), 0)


def _cubic(x: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2: Keys, 1981, doi:10.1109/TASSP.1981.1163711."""
    x = abs(x)
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return where(x < 1, near, where(x < 2, far, 0.0))


def _lanczos(radius: int) -> Callable[[Tensor], Tensor]:
    def kernel(x: Tensor) -> Tensor:
        return where(abs(x) < radius, sinc(x) * sinc(x / radius), 0.0)

    return kernel


_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": _triangle,
    "bilinear": _triangle,
    "trilinear": _triangle,
    "triangle": _triangle,
    "cubic": _cubic,
    "bicubic": _cubic,
    "tricubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


# A sum of weights that is smaller is rounding: the kernel does not reach the place.
_TINY = 1e-4


def _ratio(a: Any, b: Any) -> Any:
    """`a / b` of two sizes, of which either may be unknown."""
    if isinstance(a, int) and isinstance(b, int):
        return a / b
    return as_tensor(a, "float32") / as_tensor(b, "float32")


def _weights(
    inputs: Any, outputs: Any, scale: Any, shift: Any, kernel: Any, antialias: bool, dtype: str
) -> Tensor:
    """`(inputs, outputs)`: how much of each input every output holds.

    An output outside the input holds nothing.
    """
    place = (counting(outputs, dtype) + 0.5 - shift) / scale - 0.5
    spread = maximum(1 / as_tensor(scale, dtype), 1) if antialias else as_tensor(1, dtype)
    distance = (reshape(counting(inputs, dtype), (-1, 1)) - place) / spread
    weights = kernel(distance)
    total = sum(weights, axis=0, keepdims=True)
    weights = where(abs(total) > _TINY, weights / where(total != 0, total, 1.0), 0.0)
    inside = (place >= -0.5) & (place <= as_tensor(inputs, dtype) - 0.5)
    return where(inside, weights, 0.0)


def _along(x: Tensor, axis: int, weights: Tensor) -> Tensor:
    """One axis of a tensor under weights `(inputs, outputs)`."""
    outer, inner = product(x.shape[:axis]), product(x.shape[axis + 1 :])
    images = reshape(x, (outer, x.shape[axis], 1, inner))
    y = _resample(images, weights, ones((1, 1), x.dtype))
    return reshape(y, (*x.shape[:axis], weights.shape[1], *x.shape[axis + 1 :]))


def _nearest(x: Tensor, axis: int, size: Any) -> Tensor:
    """One axis brought to another size by the nearest items."""
    own = x.shape[axis]
    if isinstance(own, int) and own == size:
        return x
    place = floor((counting(size, "float32") + 0.5) * _ratio(own, size))
    return take(x, as_tensor(place, "int32"), axis=axis)


def _resized(x: Tensor, height: Any, width: Any, interpolation: str, antialias: bool) -> Tensor:
    """Images `(batch, rows, columns, channels)` of floats brought to another size."""
    # Places among many pixels need more digits than half floats have.
    wide = "float64" if x.dtype == "float64" else "float32"
    kernel = _KERNELS[interpolation]
    weights = {
        axis: cast(_weights(own, size, _ratio(size, own), 0, kernel, antialias, wide), x.dtype)
        for axis, own, size in ((1, x.shape[1], height), (2, x.shape[2], width))
        if not (isinstance(own, int) and own == size)
    }
    if len(weights) == 2:
        return _resample(x, *weights.values())
    for axis in weights:
        x = _along(x, axis, weights[axis])
    return x


def _check_result(shape: Sequence[Any], dtype: str) -> None:
    """Refuses a result beyond all memory before its many weights are computed."""
    if all(isinstance(size, int) for size in shape):
        check_memory(tuple(shape), dtype, "resized images")


@op
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images brought to a size.

    Args:
        images: One image or a batch.
        size: The height and the width.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: Whether a smaller image averages over all that it stands for.
        crop_to_aspect_ratio: Whether to crop the middle of the new shape before.
        pad_to_aspect_ratio: Whether to pad to the new shape before.
        fill_mode: How to pad; `"constant"`.
        fill_value: What to pad with.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Images of that size.

    Raises:
        ValueError: an argument is none of those, or both ratios are asked for.
    """
    if interpolation not in ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic"):
        raise ValueError(f"Invalid interpolation: {interpolation}.")
    if fill_mode != "constant":
        raise ValueError(f"Invalid fill_mode: {fill_mode}. Only 'constant' is supported.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "Only one of `crop_to_aspect_ratio` & `pad_to_aspect_ratio` can be `True`."
        )
    size = as_sizes(size)
    if len(size) != 2:
        raise ValueError(f"Expected `size` to be a tuple of 2 integers. Received: size={size}")
    height, width = size

    def run(x: Tensor) -> Tensor:
        batch, rows, columns, channels = x.shape
        _check_result((batch, height, width, channels), x.dtype)
        if crop_to_aspect_ratio:
            crop_rows = smaller(rows, columns * height // width)
            crop_columns = smaller(columns, rows * width // height)
            top, left = (rows - crop_rows) // 2, (columns - crop_columns) // 2
            x = x[:, top : top + crop_rows, left : left + crop_columns]
        elif pad_to_aspect_ratio:
            more_rows = larger(rows, columns * height // width) - rows
            more_columns = larger(columns, rows * width // height) - columns
            top, left = more_rows // 2, more_columns // 2
            border = [(0, 0), (top, top), (left, left), (0, 0)]
            x = pad(x, border, constant_values=fill_value)
        if interpolation == "nearest":
            return _nearest(_nearest(x, 1, height), 2, width)
        y = _resized(as_float(x), height, width, interpolation, antialias)
        return y if is_float_dtype(x.dtype) else saturate_cast(round(y), x.dtype)

    return on_batch(run, images, data_format)


@op
def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Images scaled and moved along axes; what lies outside is 0.

    Args:
        images: A tensor.
        output_shape: The shape of the result.
        scale: The factor for each of the axes.
        translation: The distance for each of the axes.
        spatial_dims: Which axes.
        method: `"linear"`, `"bilinear"`, `"trilinear"`, `"cubic"`, `"bicubic"`, `"tricubic"`,
            `"lanczos3"` or `"lanczos5"`.
        antialias: Whether a smaller image averages over all that it stands for.

    Returns:
        A tensor of the shape.

    Raises:
        ValueError: the method is unknown.
    """
    if method not in _KERNELS:
        raise ValueError(f"Invalid method: {method}. Expected one of {sorted(_KERNELS)}")
    x = as_float(images)
    scale, translation = (
        as_tensor(as_tensor(scale), x.dtype),
        as_tensor(as_tensor(translation), x.dtype),
    )
    _check_result(output_shape, x.dtype)
    for i, axis in enumerate(spatial_dims):
        axis = normalize_axis(axis, x.ndim)
        weights = _weights(
            x.shape[axis], output_shape[axis], scale[i], translation[i], _KERNELS[method],
            antialias, x.dtype,
        )  # fmt: skip
        x = _along(x, axis, weights)
    return x


@op
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with a border of zeros.

    Of the top, the bottom and the height, two are given; of the left, the right and the width too.

    Args:
        images: One image or a batch.
        top_padding: The border above.
        left_padding: The border on the left.
        bottom_padding: The border below.
        right_padding: The border on the right.
        target_height: The height of the result.
        target_width: The width of the result.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Larger images.

    Raises:
        ValueError: too few or too many are given, or a border is negative.
    """

    def run(x: Tensor) -> Tensor:
        rows = _both(x.shape[1], top_padding, bottom_padding, target_height, 1, "padding", _ROWS)
        columns = _both(
            x.shape[2], left_padding, right_padding, target_width, 1, "padding", _COLUMNS
        )
        return pad(x, [(0, 0), rows, columns, (0, 0)])

    return on_batch(run, images, data_format)


_ROWS = ("top", "bottom", "target_height")
_COLUMNS = ("left", "right", "target_width")


def _both(
    size: Any, first: Any, last: Any, target: Any, sign: int, what: str, names: tuple[str, str, str]
) -> tuple[Any, Any]:
    """Both borders, from two of: the first, the last and the target's size."""
    if [first, last, target].count(None) != 1:
        raise ValueError(
            f"Must specify exactly two of {names[0]}_{what}, {names[1]}_{what}, {names[2]}. "
            f"Received: {names[0]}_{what}={first}, {names[1]}_{what}={last}, {names[2]}={target}"
        )
    total = None if target is None else (target - size) * sign
    first = total - last if first is None else first
    last = total - first if last is None else last
    for name, border in zip(names, (first, last), strict=False):
        if isinstance(border, int) and border < 0:
            raise ValueError(f"{name}_{what} must be >= 0. Received: {name}_{what}={border}")
    return first, last


@op
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without their borders.

    Of the top, the bottom and the height, two are given; of the left, the right and the width too.

    Args:
        images: One image or a batch.
        top_cropping: What is cut above.
        left_cropping: What is cut on the left.
        bottom_cropping: What is cut below.
        right_cropping: What is cut on the right.
        target_height: The height of the result.
        target_width: The width of the result.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        Smaller images.

    Raises:
        ValueError: too few or too many are given, or more is cut than there is.
    """

    def run(x: Tensor) -> Tensor:
        height, width = x.shape[1], x.shape[2]
        top, bottom = _both(
            height, top_cropping, bottom_cropping, target_height, -1, "cropping", _ROWS
        )
        left, right = _both(
            width, left_cropping, right_cropping, target_width, -1, "cropping", _COLUMNS
        )
        return x[:, top : height - bottom, left : width - right]

    return on_batch(run, images, data_format)
