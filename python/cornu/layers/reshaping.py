"""Layers that move, repeat, pad and cut values without computing on them."""

import math
from collections.abc import Sequence
from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer, spatial_axes, standardize_tuple
from cornu.layers.input_spec import InputSpec


class Flatten(ConfiguredLayer):
    """Makes one axis of all but the batch.

    Args:
        data_format: if `"channels_first"`, channels are moved last before.

    >>> layers.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(data_format=data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        shape = inputs.shape
        if self.data_format == "channels_first" and len(shape) > 2:
            inputs = ops.transpose(inputs, (0, *range(2, len(shape)), 1))
        return ops.reshape(inputs, (shape[0], math.prod(shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = input_shape[1:]
        return (input_shape[0], None if None in sizes else math.prod(sizes))


class Reshape(ConfiguredLayer):
    """Gives every sample another shape.

    Args:
        target_shape: the shape without the batch; one -1 stands for what is left over.

    >>> layers.Reshape((3, -1))(np.ones((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target_shape = tuple(target_shape)
        if target_shape.count(-1) > 1:
            raise ValueError(
                "There must be at most one unknown dimension (-1) in `target_shape`. "
                f"Received: target_shape={target_shape}."
            )
        self._keep(target_shape=target_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        sizes = inputs.shape[1:]
        if all(isinstance(size, int) for size in sizes):
            sizes = _resolve(sizes, self.target_shape)
        else:
            sizes = self.target_shape
        return ops.reshape(inputs, (inputs.shape[0], *sizes))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        if None in input_shape[1:]:
            sizes = tuple(None if size == -1 else size for size in self.target_shape)
        else:
            sizes = _resolve(input_shape[1:], self.target_shape)
        return (input_shape[0], *sizes)


def _resolve(sizes: Sequence[int], target: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the target with -1 replaced."""
    total, known = math.prod(sizes), math.prod(size for size in target if size != -1)
    received = f"Received: input_shape={tuple(sizes)}, target_shape={target}"
    if -1 not in target:
        if total != known:
            raise ValueError(f"The total size of the tensor must be unchanged. {received}")
        return target
    if known == 0 or total % known:
        raise ValueError(
            "The total size of the tensor must be unchanged, however, the input size cannot be "
            f"divided by the specified dimensions in target_shape. {received}"
        )
    return tuple(total // known if size == -1 else size for size in target)


class Permute(ConfiguredLayer):
    """Reorders the axes behind the batch.

    Args:
        dims: the axes in their new order, counted from 1.

    >>> layers.Permute((2, 1))(np.ones((2, 3, 4))).shape
    (2, 4, 3)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        dims = tuple(dims)
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received dims={dims}"
            )
        self._keep(dims=dims)
        self.input_spec = InputSpec(ndim=len(dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))


def _check_repeats(name: str, value: Any) -> None:
    if not isinstance(value, int):
        raise TypeError(f"Expected an integer value for `{name}`, got {type(value)}.")
    if value <= 0:
        raise ValueError(
            f"Argument `{name}` should be a positive integer. Received: {name}={value}"
        )


class RepeatVector(ConfiguredLayer):
    """Makes a sequence of `n` equal steps.

    Args:
        n: number of steps.

    >>> layers.RepeatVector(3)(np.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_repeats("n", n)
        self._keep(n=n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)


_ORDINALS = ("1st", "2nd", "3rd")


def _standardize_pairs(value: Any, rank: int, name: str) -> tuple[tuple[int, int], ...]:
    """Returns (before, after) for each spatial axis: from one integer, one each, or pairs."""
    if isinstance(value, int):
        if value < 0 and name == "cropping":
            raise ValueError(f"`{name}` cannot be negative. Received: {name}={value}.")
        return ((value, value),) * rank
    if not hasattr(value, "__len__") or len(value) != rank:
        expected = "two elements" if rank == 2 else f"{rank} elements"
        shown = f"{name}={value}" if rank == 2 else value
        raise ValueError(f"`{name}` should have {expected}. Received: {shown}.")
    return tuple(
        standardize_tuple(pair, 2, f"{ordinal} entry of {name}", allow_zero=True)
        for ordinal, pair in zip(_ORDINALS, value, strict=False)
    )


class _ZeroPadding(ConfiguredLayer):
    rank: int

    def _keep_padding(self, pairs: tuple[tuple[int, int], ...], data_format: str | None) -> None:
        self._keep(padding=pairs if self.rank > 1 else pairs[0], data_format=data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        widths = [(0, 0)] * (self.rank + 2)
        pairs = self.padding if self.rank > 1 else (self.padding,)
        for axis, pair in zip(spatial_axes(self.data_format, self.rank), pairs, strict=True):
            widths[axis] = pair
        return ops.pad(inputs, tuple(widths))


class ZeroPadding1D(_ZeroPadding):
    """Puts zeros before and after a sequence.

    Args:
        padding: integer for both sides, or `(before, after)`.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = standardize_tuple(padding, 2, "padding", allow_zero=True)
        self._keep_padding((pair,), data_format)


class ZeroPadding2D(_ZeroPadding):
    """Puts zeros around an image.

    Args:
        padding: integer for all sides, one for height and one for width, or a pair
            `(before, after)` for each of them.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    rank = 2

    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep_padding(_standardize_pairs(padding, 2, "padding"), data_format)


class ZeroPadding3D(_ZeroPadding):
    """Puts zeros around a volume.

    Args:
        padding: integer for all sides, one for each axis, or a pair `(before, after)` for each.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    rank = 3

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_padding(_standardize_pairs(padding, 3, "padding"), data_format)


class _Cropping(ConfiguredLayer):
    rank: int
    data_format = "channels_last"

    def _crop(self, inputs: Any, pairs: tuple[tuple[int, int], ...], complaint: str) -> Any:
        index = [slice(None)] * (self.rank + 2)
        for axis, (before, after) in zip(
            spatial_axes(self.data_format, self.rank), pairs, strict=True
        ):
            size = inputs.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ValueError(
                    f"{complaint}. Received: inputs.shape={tuple(inputs.shape)}, "
                    f"cropping={self.cropping}"
                )
            index[axis] = slice(before, -after if after else None)
        return inputs[tuple(index)]


class Cropping1D(_Cropping):
    """Cuts off the ends of a sequence.

    Args:
        cropping: integer for both ends, or `(before, after)`.
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(cropping=standardize_tuple(cropping, 2, "cropping", allow_zero=True))
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        complaint = (
            "`cropping` parameter of `Cropping1D` layer must be smaller than the input length"
        )
        return self._crop(inputs, (self.cropping,), complaint)


class _CroppingND(_Cropping):
    def _keep_cropping(self, cropping: Any, data_format: str | None) -> None:
        pairs = _standardize_pairs(cropping, self.rank, "cropping")
        self._keep(cropping=pairs, data_format=data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        complaint = (
            "Values in `cropping` argument should be smaller than the corresponding spatial "
            "dimension of the input"
        )
        return self._crop(inputs, self.cropping, complaint)


class Cropping2D(_CroppingND):
    """Cuts off the edges of an image.

    Args:
        cropping: integer for all sides, one for height and one for width, or a pair
            `(before, after)` for each of them.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep_cropping(cropping, data_format)


class Cropping3D(_CroppingND):
    """Cuts off the edges of a volume.

    Args:
        cropping: integer for all sides, one for each axis, or a pair `(before, after)` for each.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_cropping(cropping, data_format)


def _repeat_spatial(inputs: Any, sizes: tuple[int, ...], data_format: str) -> Any:
    for axis, size in zip(spatial_axes(data_format, len(sizes)), sizes, strict=True):
        inputs = ops.repeat(inputs, size, axis=axis)
    return inputs


class UpSampling1D(ConfiguredLayer):
    """Repeats each step of a sequence.

    Args:
        size: how often.
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_repeats("size", size)
        self._keep(size=size)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return ops.repeat(inputs, self.size, axis=1)


class UpSampling2D(ConfiguredLayer):
    """Enlarges images.

    Args:
        size: factor, or `(height, width)` factors.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(
            size=standardize_tuple(size, 2, "size"),
            data_format=data_format,
            interpolation=interpolation.lower(),
        )
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return _repeat_spatial(inputs, self.size, self.data_format)
        axes = spatial_axes(self.data_format, 2)
        size = tuple(
            inputs.shape[axis] * factor for axis, factor in zip(axes, self.size, strict=True)
        )
        return ops.image.resize(
            inputs, size, interpolation=self.interpolation, data_format=self.data_format
        )


class UpSampling3D(ConfiguredLayer):
    """Repeats each voxel of a volume.

    Args:
        size: how often, an integer or one for each axis.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep(size=standardize_tuple(size, 3, "size"), data_format=data_format)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        return _repeat_spatial(inputs, self.size, self.data_format)
