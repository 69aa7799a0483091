"""Numbers as small integers and a scale."""

from __future__ import annotations

from typing import Any

from cornu import ops
from cornu.config import epsilon as _default_epsilon

_EPSILON = _default_epsilon()


def abs_max_quantize(
    inputs: Any,
    axis: Any,
    value_range: tuple[int, int] = (-127, 127),
    dtype: str = "int8",
    epsilon: float = _EPSILON,
    to_numpy: bool = False,
) -> tuple[Any, Any]:
    """Returns integers and the scale that they are to be divided by.

    Args:
        inputs: a float tensor.
        axis: the axes that share a scale.
        value_range: the least and the largest integer; the largest magnitude becomes the latter.
        dtype: dtype of the integers.
        epsilon: keeps the scale finite.
        to_numpy: kept for calls that pass it.

    Returns:
        The integers, and the scale with axes of size 1.
    """
    inputs = ops.convert_to_tensor(inputs)
    largest = ops.max(ops.abs(inputs), axis=axis, keepdims=True)
    scale = ops.cast(value_range[1] / (largest + epsilon), inputs.dtype)
    outputs = ops.clip(ops.round(inputs * scale), value_range[0], value_range[1])
    return ops.cast(outputs, dtype), scale


def abs_max_quantize_grouped_with_zero_point(
    inputs: Any,
    block_size: int,
    value_range: tuple[int, int] = (-8, 7),
    dtype: str = "int8",
    epsilon: float = _EPSILON,
    to_numpy: bool = False,
) -> tuple[Any, Any, Any]:
    """Returns integers with a scale and a zero point for each group of rows of each column.

    A number is `(integer - zero) * scale`.

    Args:
        inputs: a float matrix, `(rows, columns)`.
        block_size: rows per group.
        value_range: the least and the largest integer.
        dtype: dtype of the integers.
        epsilon: keeps the scale from zero.
        to_numpy: kept for calls that pass it.

    Returns:
        The integers, `(rows, columns)`; scales and zero points, `(groups, columns)`.
    """
    inputs = ops.convert_to_tensor(inputs)
    low, high = value_range
    rows, columns = inputs.shape
    groups = -(-rows // block_size)
    padded = ops.pad(inputs, ((0, groups * block_size - rows), (0, 0)))
    blocks = ops.reshape(padded, (groups, block_size, columns))
    least, largest = (reduce(blocks, axis=1, keepdims=True) for reduce in (ops.min, ops.max))
    scale = (largest - least + epsilon) / (high - low)
    zero = ops.clip(ops.round(-least / scale) + low, low, high)
    outputs = ops.clip(ops.round(blocks / scale) + zero, low, high)
    outputs = ops.reshape(ops.cast(outputs, dtype), (groups * block_size, columns))[:rows]
    return outputs, ops.squeeze(scale, 1), ops.cast(ops.squeeze(zero, 1), "int8")


def dequantize_grouped(values: Any, scale: Any, zero: Any, group_of_row: Any, dtype: str) -> Any:
    """Returns the numbers that grouped integers stand for.

    Args:
        values: integers, `(rows, columns)`.
        scale, zero: of each group, `(groups, columns)`.
        group_of_row: the group of each row, `(rows,)`.
        dtype: dtype of the numbers.
    """
    groups = ops.cast(group_of_row, "int32")
    zero, scale = (ops.take(ops.cast(x, dtype), groups, axis=0) for x in (zero, scale))
    return (ops.cast(values, dtype) - zero) * scale


class Quantizer:
    """What makes few bits of floats; a subclass defines `__call__`.

    Args:
        output_dtype: dtype of the result.
    """

    def __init__(self, output_dtype: str = "int8") -> None:
        self.output_dtype = output_dtype

    def __call__(self, x: Any) -> Any:
        """Returns `x`."""
        return x

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        """Returns a quantizer made from what `get_config` returned."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; a subclass defines it."""
        raise NotImplementedError(f"{self} does not implement get_config()")


class AbsMaxQuantizer(Quantizer):
    """Scales the largest magnitude to the largest integer.

    Args:
        axis: the axes that share a scale, where a call names none.
        value_range: the least and the largest integer.
        epsilon: keeps the scale finite.
        output_dtype: dtype of the integers.

    Raises:
        ValueError: if the range does not fit into the dtype.
    """

    def __init__(
        self,
        axis: Any = None,
        value_range: tuple[int, int] = (-127, 127),
        epsilon: float = _EPSILON,
        output_dtype: str = "int8",
    ) -> None:
        super().__init__(output_dtype)
        self.axis = (axis,) if isinstance(axis, int) else axis and tuple(axis)
        self.value_range = tuple(value_range)
        self.epsilon = epsilon
        if output_dtype == "int8" and (value_range[0] < -128 or value_range[1] > 127):
            raise ValueError(
                "Quantizer with output_dtype='int8' requires value_range to be within the interval "
                f"[-128, 127]. Received: value_range={value_range}"
            )

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> tuple[Any, Any]:
        """Returns integers and the scale that they are to be divided by.

        Args:
            x: a float tensor.
            axis: the axes that share a scale; those of the constructor, else the last, if None.
            to_numpy: kept for calls that pass it.
        """
        axis = self.axis if axis is None else axis
        axis = -1 if axis is None else axis
        return abs_max_quantize(x, axis, self.value_range, self.output_dtype, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        config = {
            "value_range": self.value_range,
            "epsilon": self.epsilon,
            "output_dtype": self.output_dtype,
        }
        return config if self.axis is None else {**config, "axis": self.axis}


def fake_quant_with_min_max_vars(
    inputs: Any,
    min_vals: Any,
    max_vals: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Any:
    """Returns the inputs rounded to a grid of `2 ** num_bits` values, as floats.

    The gradient passes inside of the grid; outside it goes to the bound.

    Args:
        inputs: a float tensor.
        min_vals, max_vals: the ends of the grid, scalars or one for each channel.
        num_bits: how many bits number the grid.
        narrow_range: whether the grid has one value less.
        axis: the axis of the channels; None for scalars.
    """
    inputs = ops.convert_to_tensor(inputs)
    first, last = int(narrow_range), (1 << num_bits) - 1
    rank = len(inputs.shape)
    place = None if axis is None else axis % rank

    def wide(bound: Any) -> Any:
        if place is None:
            return ops.reshape(bound, ())
        return ops.reshape(bound, tuple(-1 if i == place else 1 for i in range(rank)))

    @ops.custom_gradient
    def rounded(x: Any, least: Any, largest: Any) -> tuple[Any, Any]:
        low, high = wide(least), wide(largest)
        scale = (high - low) / (last - first)
        inverse = (last - first) / (high - low)
        zero = ops.round(ops.clip(first - low / scale, first, last))
        low, high = (first - zero) * scale, (last - zero) * scale
        shift = ops.floor(-low * inverse + 0.5)
        steps = ops.floor((ops.clip(x, low, high) - low) * inverse - shift + 0.5)
        result = ops.cast(steps * scale, x.dtype)

        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            upstream = args[0] if upstream is None else upstream
            nothing = ops.zeros_like(upstream)
            inside = ops.logical_and(x >= low, x <= high)
            axes = [i for i in range(rank) if i != place]

            def total(where: Any, like: Any) -> Any:
                summed = ops.sum(ops.where(where, upstream, nothing), axis=axes)
                return ops.reshape(summed, like.shape)

            return (
                ops.where(inside, upstream, nothing),
                total(x <= low, least),
                total(x >= high, largest),
            )

        return result, gradient

    least, largest = (ops.convert_to_tensor(bound, inputs.dtype) for bound in (min_vals, max_vals))
    return rounded(inputs, least, largest)


def _check_bytes(dtype: str, tensor: Any) -> None:
    if dtype not in ("int8", "uint8"):
        raise ValueError(f"Expected dtype to be 'int8' or 'uint8', but got '{dtype}'.")
    if tensor.dtype != dtype:
        raise TypeError(f"Expected a tensor of dtype {dtype} for int4, but got {tensor.dtype}.")


def pack_int4(arr: Any, axis: int = 0, dtype: str = "int8") -> tuple[Any, tuple[int, ...], int]:
    """Returns integers of four bits, two in a byte.

    Args:
        arr: integers in [-8, 7] (or [0, 15]), as bytes.
        axis: the axis along which pairs are made; a zero fills an odd one up.
        dtype: `"int8"` or `"uint8"`.

    Returns:
        The bytes (the first of a pair in the low half), their shape, and the length of the axis
        before.

    Raises:
        TypeError: if `arr` is not of the dtype.
    """
    arr = ops.convert_to_tensor(arr)
    _check_bytes(dtype, arr)
    axis %= len(arr.shape)
    length = arr.shape[axis]
    values = ops.moveaxis(ops.cast(arr, "int32"), axis, 0)
    values = ops.pad(values, ((0, length % 2), *((0, 0) for _ in values.shape[1:])))
    low, high = (ops.bitwise_and(values[start::2], 15) for start in (0, 1))
    packed = ops.bitwise_or(low, ops.left_shift(high, 4))
    if dtype == "int8":
        packed = packed - 256 * ops.cast(packed > 127, "int32")
    packed = ops.moveaxis(ops.cast(packed, dtype), 0, axis)
    return packed, tuple(packed.shape), length


def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: str = "int8") -> Any:
    """Returns the integers that `pack_int4` packed.

    Args:
        packed: the bytes.
        orig_len: the length of the axis before.
        axis: the axis along which pairs were made.
        dtype: `"int8"` or `"uint8"`.
    """
    packed = ops.convert_to_tensor(packed)
    _check_bytes(dtype, packed)
    axis %= len(packed.shape)
    values = ops.moveaxis(ops.cast(packed, "int32"), axis, 0)
    halves = (ops.bitwise_and(values, 15), ops.bitwise_and(ops.right_shift(values, 4), 15))
    both = ops.reshape(ops.stack(halves, axis=1), (-1, *values.shape[1:]))[:orig_len]
    if dtype == "int8":
        both = both - 16 * ops.cast(both > 7, "int32")
    return ops.moveaxis(ops.cast(both, dtype), 0, axis)
