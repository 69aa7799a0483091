"""Convolutions, pooling, patches."""

from __future__ import annotations

from typing import Any

from cornu import config
from cornu._cornu import Tensor, primitive
from cornu.ops.manipulation import moveaxis, pad, reshape, stack, transpose
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, promoted
from cornu.ops.reduction import max, mean
from cornu.ops.shapes import larger, spatial

_conv = primitive("conv")
_conv_transpose = primitive("conv_transpose")
_max_pool = primitive("max_pool")
_avg_pool = primitive("avg_pool")


def channels_last(x: Tensor, data_format: str) -> Tensor:
    """A batch of any layout with the channels as the last axis."""
    return x if data_format == "channels_last" else moveaxis(x, 1, -1)


def laid_out(x: Tensor, data_format: str) -> Tensor:
    """A batch with the channels last in any layout."""
    return x if data_format == "channels_last" else moveaxis(x, -1, 1)


def _padding(padding: str) -> str:
    padding = padding.lower()
    if padding not in ("valid", "same"):
        raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding}")
    return padding


def _rank(inputs: Tensor) -> int:
    rank = inputs.ndim - 2
    if not 1 <= rank <= 3:
        raise ValueError(
            "`inputs` must have one to three spatial axes beside batch and channels. "
            f"Received: inputs.shape={tuple(inputs.shape)}"
        )
    return rank


@op
def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """The convolution of a batch with a kernel, in one to three dimensions.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        kernel: `(*window, channels / groups, filters)`; the quotient tells the groups.
        strides: The steps, once or for each spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.
        dilation_rate: The distance of the window's elements, once or for each spatial axis.

    Returns:
        `(batch, *spatial, filters)`, or with the channels first.

    Raises:
        ValueError: the channels are no multiple of the kernel's.
    """
    data_format = config.standardize_data_format(data_format)
    inputs, kernel = promoted(inputs, kernel)
    inputs = channels_last(inputs, data_format)
    rank = _rank(inputs)
    channels, per_group = inputs.shape[-1], kernel.shape[-2]
    if channels % per_group:
        raise ValueError(
            "The number of input channels must be evenly divisible by kernel's in_channels. "
            f"Received input channels {channels} and kernel in_channels {per_group}."
        )
    outputs = _conv(
        inputs,
        kernel,
        strides=spatial(strides, rank, "strides"),
        padding=_padding(padding),
        dilation=spatial(dilation_rate, rank, "dilation_rate"),
        groups=channels // per_group,
    )
    return laid_out(outputs, data_format)


@op
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """The convolution of each channel with windows of its own.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        kernel: `(*window, channels, multiplier)`.
        strides: The steps, once or for each spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.
        dilation_rate: The distance of the window's elements, once or for each spatial axis.

    Returns:
        `(batch, *spatial, channels * multiplier)`, or with the channels first.
    """
    kernel = as_tensor(kernel)
    *window, channels, multiplier = kernel.shape
    kernel = reshape(kernel, (*window, 1, channels * multiplier))
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


@op
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """A depthwise convolution, then one of windows of size 1.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        depthwise_kernel: `(*window, channels, multiplier)`.
        pointwise_kernel: `(*ones, channels * multiplier, filters)`.
        strides: The steps of the depthwise convolution.
        padding: Its padding, `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.
        dilation_rate: The distance of its window's elements.

    Returns:
        `(batch, *spatial, filters)`, or with the channels first.
    """
    inner = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(inner, pointwise_kernel, 1, "valid", data_format, 1)


@op
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """The transposed convolution: what takes the gradient of a convolution back to its input.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        kernel: `(*window, filters, channels)`.
        strides: The steps, once or for each spatial axis.
        padding: `"valid"` or `"same"`.
        output_padding: How much is added at the end of each spatial axis of the output.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.
        dilation_rate: The distance of the window's elements, once or for each spatial axis.

    Returns:
        `(batch, *spatial, filters)`, or with the channels first.
    """
    data_format = config.standardize_data_format(data_format)
    inputs, kernel = promoted(inputs, kernel)
    inputs = channels_last(inputs, data_format)
    rank = _rank(inputs)
    outputs = _conv_transpose(
        inputs,
        kernel,
        strides=spatial(strides, rank, "strides"),
        padding=_padding(padding),
        output_padding=(
            None if output_padding is None else spatial(output_padding, rank, "output_padding")
        ),
        dilation=spatial(dilation_rate, rank, "dilation_rate"),
    )
    return laid_out(outputs, data_format)


def _pool(
    apply: Any, inputs: Tensor, pool_size: Any, strides: Any, padding: str, data_format: str | None
) -> Tensor:
    data_format = config.standardize_data_format(data_format)
    inputs = channels_last(inputs, data_format)
    rank = _rank(inputs)
    window = spatial(pool_size, rank, "pool_size")
    steps = window if strides is None else spatial(strides, rank, "strides")
    outputs = apply(inputs, window=window, strides=steps, padding=_padding(padding))
    return laid_out(outputs, data_format)


@op
def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element of each window.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        pool_size: The size of the window, once or for each spatial axis.
        strides: The steps; the window's size by default.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        A smaller batch of the same layout.
    """
    return _pool(_max_pool, as_tensor(inputs), pool_size, strides, padding, data_format)


@op
def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window, what lies outside the input left out.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        pool_size: The size of the window, once or for each spatial axis.
        strides: The steps; the window's size by default.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        A smaller batch of the same layout.
    """
    return _pool(_avg_pool, as_float(inputs), pool_size, strides, padding, data_format)


def _adaptive(reduce: Any, inputs: Any, output_size: Any, data_format: str | None) -> Tensor:
    """Each spatial axis cut into as many, possibly overlapping, parts as asked for."""
    data_format = config.standardize_data_format(data_format)
    x = channels_last(as_float(inputs), data_format)
    rank = _rank(x)
    sizes = spatial(output_size, rank, "output_size")
    for axis, count in enumerate(sizes, start=1):
        size = int(x.shape[axis])
        if size % count == 0:
            shape = (*x.shape[:axis], count, size // count, *x.shape[axis + 1 :])
            x = reduce(reshape(x, shape), axis=axis + 1)
            continue
        before = (slice(None),) * axis
        bounds = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        x = stack([reduce(x[(*before, slice(a, b))], axis=axis) for a, b in bounds], axis)
    return laid_out(x, data_format)


@op
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """The means of as many windows as the output has places.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        output_size: The size of the output, once or for each spatial axis.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        A batch of that size.
    """
    return _adaptive(mean, inputs, output_size, data_format)


@op
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """The largest elements of as many windows as the output has places.

    Args:
        inputs: `(batch, *spatial, channels)`, or with the channels first.
        output_size: The size of the output, once or for each spatial axis.
        data_format: `"channels_last"` or `"channels_first"`; the configured one by default.

    Returns:
        A batch of that size.
    """
    return _adaptive(max, inputs, output_size, data_format)


def windows(x: Tensor, size: Any, strides: Any, dilation: Any, padding: str) -> Tensor:
    """`(batch, *places, *window, channels)` of a batch with the channels last."""
    reaches = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [
        (n - (1 if padding == "same" else reach)) // s + 1
        for n, reach, s in zip(x.shape[1:-1], reaches, strides, strict=True)
    ]
    if padding == "same":
        border = [(0, 0)]
        for n, count, reach, s in zip(x.shape[1:-1], counts, reaches, strides, strict=True):
            total = larger((count - 1) * s + reach - n, 0)
            border.append((total // 2, total - total // 2))
        x = pad(x, [*border, (0, 0)])
    for i, (count, step) in enumerate(zip(counts, strides, strict=True)):
        before = (slice(None),) * (1 + i)
        parts = [
            x[(*before, slice(d := k * dilation[i], d + (count - 1) * step + 1, step))]
            for k in range(size[i])
        ]
        # The window's axes gather before the channels, in order.
        x = stack(parts, x.ndim - 1)
    return x


@op
def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The windows of images as columns.

    Args:
        x: `(batch, channels, height, width)`.
        kernel_size: The size of the window, once or for each spatial axis.
        dilation: The distance of the window's elements.
        padding: How many zeros are put around the images.
        stride: The steps.

    Returns:
        `(batch, channels * window, places)`.
    """
    x = as_tensor(x)
    size, step, gap, border = (
        spatial(value, 2, name)
        for value, name in (
            (kernel_size, "kernel_size"),
            (stride, "stride"),
            (dilation, "dilation"),
            (padding, "padding"),
        )
    )
    x = pad(x, [(0, 0), (0, 0), *((b, b) for b in border)])
    cut = windows(moveaxis(x, 1, -1), size, step, gap, "valid")
    batch, rows, columns, height, width, channels = cut.shape
    cut = transpose(cut, (0, 5, 3, 4, 1, 2))
    return reshape(cut, (batch, channels * height * width, rows * columns))


@op
def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Images from their windows as columns; where windows overlap they are added.

    Args:
        x: `(batch, channels * window, places)`.
        output_size: The size of the images.
        kernel_size: The size of the window, once or for each spatial axis.
        dilation: The distance of the window's elements.
        padding: How many zeros were put around the images.
        stride: The steps.

    Returns:
        `(batch, channels, height, width)`.
    """
    x = as_tensor(x)
    out, size, step, gap, border = (
        spatial(value, 2, name)
        for value, name in (
            (output_size, "output_size"),
            (kernel_size, "kernel_size"),
            (stride, "stride"),
            (dilation, "dilation"),
            (padding, "padding"),
        )
    )
    whole = [n + 2 * b for n, b in zip(out, border, strict=True)]
    places = [
        (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(whole, gap, size, step, strict=True)
    ]
    batch, channels = x.shape[0], x.shape[1] // (size[0] * size[1])
    cut = reshape(x, (batch, channels, *size, *places))
    total = None
    for i in range(size[0]):
        for j in range(size[1]):
            part = cut[:, :, i, j]
            for axis, offset in ((2, i * gap[0]), (3, j * gap[1])):
                part = _spread(part, axis, step[axis - 2], offset, whole[axis - 2])
            total = part if total is None else total + part
    return total[:, :, border[0] : whole[0] - border[0], border[1] : whole[1] - border[1]]


def _spread(x: Tensor, axis: int, step: int, offset: int, size: int) -> Tensor:
    """The entries of an axis `step` apart, zeros between, from `offset` on up to `size`."""
    count = x.shape[axis]
    lying = reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
    border = [(0, 0)] * lying.ndim
    border[axis + 1] = (0, step - 1)
    wide = reshape(pad(lying, border), (*x.shape[:axis], count * step, *x.shape[axis + 1 :]))
    wide = wide[(slice(None),) * axis + (slice(0, size - offset),)]
    border = [(0, 0)] * x.ndim
    border[axis] = (offset, size - offset - wide.shape[axis])
    return pad(wide, border)


def _blocks_format(x: Tensor, data_format: str) -> Tensor:
    return channels_last(x, config.standardize_data_format(data_format))


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels laid out as blocks of the image.

    Args:
        x: `(batch, height, width, channels)`, or with the channels first.
        block_size: The size of a block.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `(batch, height * block, width * block, channels / block**2)`.
    """
    x = _blocks_format(as_tensor(x), data_format)
    batch, height, width, channels = x.shape
    depth = channels // block_size**2
    x = reshape(x, (batch, height, width, block_size, block_size, depth))
    x = transpose(x, (0, 1, 3, 2, 4, 5))
    return laid_out(
        reshape(x, (batch, height * block_size, width * block_size, depth)), data_format
    )


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of the image laid out as channels.

    Args:
        x: `(batch, height, width, channels)`, or with the channels first.
        block_size: The size of a block.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `(batch, height / block, width / block, channels * block**2)`.
    """
    x = _blocks_format(as_tensor(x), data_format)
    batch, height, width, channels = x.shape
    rows, columns = height // block_size, width // block_size
    x = reshape(x, (batch, rows, block_size, columns, block_size, channels))
    x = transpose(x, (0, 1, 3, 2, 4, 5))
    return laid_out(reshape(x, (batch, rows, columns, channels * block_size**2)), data_format)
