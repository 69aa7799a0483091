"""Convolutions, pooling, padding and resizing of Keras 2's backend."""

from collections.abc import Callable, Sequence
from typing import Any

from cornu import ops
from cornu.config import standardize_data_format as _format
from cornu.layers.configured import spatial_axes


def _convolution(rank: int) -> Callable[..., Any]:
    ones = (1,) * rank if rank > 1 else 1

    def function(
        x: Any,
        kernel: Any,
        strides: Any = ones,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = ones,
    ) -> Any:
        data_format = _format(data_format)
        if padding == "causal":
            size = dilation_rate if isinstance(dilation_rate, int) else dilation_rate[0]
            x = temporal_padding(x, (size * (kernel.shape[0] - 1), 0))
            padding = "valid"
        return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)

    function.__name__ = function.__qualname__ = f"conv{rank}d"
    function.__doc__ = f"Returns the convolution over {rank} spatial axes."
    return function


conv1d, conv2d, conv3d = (_convolution(rank) for rank in (1, 2, 3))


def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Sequence[Any],
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Returns the transposed convolution of images.

    Args:
        x: images.
        kernel: `(height, width, output channels, input channels)`.
        output_shape: shape of the result with the batch.
        strides, padding, data_format, dilation_rate: as in `ops.conv_transpose`.
    """
    data_format = _format(data_format)
    extra = []
    for axis, stride, size in zip(
        spatial_axes(data_format, 2), strides, kernel.shape[:2], strict=True
    ):
        before = (x.shape[axis] - 1) * stride + size
        before -= 2 * (size // 2) if padding == "same" else 0
        extra.append(output_shape[axis] - before)
    return ops.conv_transpose(
        x, kernel, tuple(strides), padding, tuple(extra), data_format, dilation_rate
    )


def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Returns the convolution of each channel of images with kernels of its own."""
    return ops.depthwise_conv(
        x, depthwise_kernel, strides, padding, _format(data_format), dilation_rate
    )


def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Returns a depthwise convolution of images, then a mix of the channels."""
    return ops.separable_conv(
        x,
        depthwise_kernel,
        pointwise_kernel,
        strides,
        padding,
        _format(data_format),
        dilation_rate,
    )


def local_conv1d(
    inputs: Any, kernel: Any, kernel_size: Any, strides: Any, data_format: str | None = None
) -> Any:
    """Returns a convolution of sequences whose kernel differs from place to place.

    Args:
        inputs: `(samples, length, channels)`.
        kernel: `(output length, size * channels, filters)`.
        kernel_size, strides: of one element.
        data_format: layout of the inputs.
    """
    return _local(inputs, kernel, kernel_size, strides, (kernel.shape[0],), data_format)


def local_conv2d(
    inputs: Any,
    kernel: Any,
    kernel_size: Any,
    strides: Any,
    output_shape: Any,
    data_format: str | None = None,
) -> Any:
    """Returns a convolution of images whose kernel differs from place to place.

    Args:
        inputs: images.
        kernel: `(output height * width, height * width * channels, filters)`.
        kernel_size, strides: of two elements.
        output_shape: height and width of the result.
        data_format: layout of the images.
    """
    return _local(inputs, kernel, kernel_size, strides, tuple(output_shape), data_format)


def _local(
    inputs: Any, kernel: Any, kernel_size: Any, strides: Any, sizes: tuple, data_format: str | None
) -> Any:
    first = _format(data_format) == "channels_first"
    x = ops.moveaxis(inputs, 1, -1) if first else inputs
    places = [()]
    for size in sizes:
        places = [(*place, index) for place in places for index in range(size)]
    windows = []
    for place in places:
        spans = zip(place, strides, kernel_size, strict=True)
        window = x[(slice(None), *(slice(i * step, i * step + size) for i, step, size in spans))]
        windows.append(ops.moveaxis(window, -1, 1) if first else window)
    patches = ops.stack([ops.reshape(w, (-1, kernel.shape[1])) for w in windows], axis=1)
    outputs = ops.einsum("bpk,pkf->bpf", patches, kernel)
    outputs = ops.reshape(outputs, (-1, *sizes, kernel.shape[2]))
    return ops.moveaxis(outputs, -1, 1) if first else outputs


def _pooling(rank: int) -> Callable[..., Any]:
    ones = (1,) * rank

    def function(
        x: Any,
        pool_size: Any,
        strides: Any = ones,
        padding: str = "valid",
        data_format: str | None = None,
        pool_mode: str = "max",
    ) -> Any:
        modes = {"max": ops.max_pool, "avg": ops.average_pool}
        if pool_mode not in modes:
            raise ValueError(f"Invalid pooling mode: {pool_mode}. Expected one of {list(modes)}.")
        return modes[pool_mode](x, pool_size, strides, padding, _format(data_format))

    function.__name__ = function.__qualname__ = f"pool{rank}d"
    function.__doc__ = f"""Returns the largest element or the mean of each window of {rank} axes.

    Args:
        x: a batch.
        pool_size, strides: the window and its step.
        padding: `"valid"` or `"same"`.
        data_format: layout of the batch.
        pool_mode: `"max"` or `"avg"`.
    """
    return function


pool2d, pool3d = _pooling(2), _pooling(3)


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """Returns `x` with a bias added to its channels, or to each element of a sample."""
    first, rank = _format(data_format) == "channels_first", len(x.shape)
    sizes = tuple(bias.shape)
    if len(sizes) not in (1, rank - 1):
        raise ValueError(
            f"Unexpected bias dimensions {len(sizes)}, expect to be 1 or {rank - 1} dimensions"
        )
    if len(sizes) > 1:
        sizes = (sizes[-1], *sizes[:-1]) if first else sizes
        bias = ops.moveaxis(bias, -1, 0) if first else bias
    elif first and rank > 2:
        sizes = (*sizes, *(1,) * (rank - 2))
    return ops.add(x, ops.reshape(bias, (1, *sizes)))


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Returns sequences with zeros before and after."""
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(
    x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None
) -> Any:
    """Returns images with zeros around."""
    return _padded(x, padding, data_format)


def spatial_3d_padding(
    x: Any, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None
) -> Any:
    """Returns volumes with zeros around."""
    return _padded(x, padding, data_format)


def _padded(x: Any, padding: Any, data_format: str | None) -> Any:
    widths = [(0, 0)] * len(x.shape)
    for axis, width in zip(spatial_axes(_format(data_format), len(padding)), padding, strict=True):
        widths[axis] = tuple(width)
    return ops.pad(x, widths)


def resize_images(
    x: Any,
    height_factor: int,
    width_factor: int,
    data_format: str | None,
    interpolation: str = "nearest",
) -> Any:
    """Returns images made larger by whole factors."""
    data_format = _format(data_format)
    axes = spatial_axes(data_format, 2)
    size = tuple(
        x.shape[axis] * factor
        for axis, factor in zip(axes, (height_factor, width_factor), strict=True)
    )
    return ops.image.resize(x, size, interpolation=interpolation, data_format=data_format)


def resize_volumes(
    x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None
) -> Any:
    """Returns volumes made larger by whole factors, each element repeated."""
    factors = (depth_factor, height_factor, width_factor)
    for axis, factor in zip(spatial_axes(_format(data_format), 3), factors, strict=True):
        x = ops.repeat(x, factor, axis=axis)
    return x
