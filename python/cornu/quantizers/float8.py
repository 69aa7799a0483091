"""Floats of eight bits, kept in wider ones.

Paper: Micikevicius et al., FP8 Formats for Deep Learning (2022).
"""

from __future__ import annotations

from typing import Any

from cornu import ops

# Bits of the fraction, the least exponent of a normal number, and the largest number.
_FORMATS = {"float8_e4m3fn": (3, -6, 448.0), "float8_e5m2": (2, -14, 57344.0)}


def largest(dtype: str) -> float:
    """Returns the largest number of a dtype of eight bits."""
    return _FORMATS[dtype][2]


def compute_float8_scale(amax: Any, scale: Any, dtype_max: Any, margin: int = 0) -> Any:
    """Returns the scale with which magnitudes up to `amax` fill a dtype.

    Args:
        amax: the largest magnitude; where it is 0 or not finite the scale stays.
        scale: the present scale.
        dtype_max: the largest number of the dtype.
        margin: how many powers of two are left free.
    """
    inverse = dtype_max / amax / 2**margin
    kept = ops.reciprocal(scale)
    usable = ops.logical_and(amax > 0.0, ops.isfinite(amax))
    return ops.reciprocal(ops.where(usable, inverse, kept))


def compute_float8_amax_history(x: Any, amax_history: Any) -> Any:
    """Returns the history of largest magnitudes, moved on, with that of `x` in front."""
    newest = ops.cast(ops.max(ops.abs(x)), amax_history.dtype)
    moved = ops.roll(amax_history, shift=-1)
    return ops.concatenate([ops.reshape(newest, (1,)), moved[1:]], axis=0)


def quantize_and_dequantize(
    inputs: Any, scale: Any, quantized_dtype: str, compute_dtype: str
) -> Any:
    """Returns the inputs as a dtype of eight bits holds them.

    Args:
        inputs: a float tensor.
        scale: what inputs are divided by before.
        quantized_dtype: `"float8_e4m3fn"` or `"float8_e5m2"`.
        compute_dtype: dtype of the result.
    """
    bits, least, top = _FORMATS[str(quantized_dtype)]
    scale = ops.cast(scale, compute_dtype)
    x = ops.cast(ops.clip(inputs / scale, -top, top), "float32")
    # The distance of neighbours is a power of two that the exponent decides.
    magnitude = ops.maximum(ops.abs(x), 2.0**least)
    exponent = ops.floor(ops.log2(magnitude))
    # A logarithm just below an integer may round to it.
    exponent = ops.where(ops.power(2.0, exponent) > magnitude, exponent - 1.0, exponent)
    exponent = ops.where(ops.power(2.0, exponent + 1.0) <= magnitude, exponent + 1.0, exponent)
    step = ops.power(2.0, exponent - bits)
    return ops.cast(ops.round(x / step) * step, compute_dtype) * scale
