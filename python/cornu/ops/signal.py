"""Frames and Fourier transforms.

The transforms of pairs of real and imaginary parts are primitives; everything else is made of them.
"""

from __future__ import annotations

import math
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.complex_numbers import imag, real
from cornu.ops.creation import counting, ones
from cornu.ops.elementwise import cos
from cornu.ops.manipulation import moveaxis, pad, reshape, stack
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.selection import take
from cornu.tensor import is_float_dtype

_select = primitive("where")
_fft, _rfft, _irfft = primitive("fft"), primitive("rfft"), primitive("irfft")

Complex = tuple[Any, Any]


def _pair(x: Complex) -> tuple[Tensor, Tensor]:
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(
            f"Input `x` should be a tuple of two tensors - real and imaginary. Received: x={x}"
        )
    a, b = as_float(x[0]), as_float(x[1])
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(
            "Input `x` should be a tuple of two tensors of the same shape. "
            f"Received: {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return a, b


def _transform(a: Tensor, b: Tensor, axis: int, inverse: bool = False) -> tuple[Tensor, Tensor]:
    dtype, a, b = a.dtype, _computed(a), _computed(b)
    last = axis in (-1, a.ndim - 1)
    if not last:
        a, b = moveaxis(a, axis, -1), moveaxis(b, axis, -1)
    re, im = _fft(a, b, backward=inverse)
    if inverse:
        size = a.shape[-1]
        re, im = re / size, im / size
    if not last:
        re, im = moveaxis(re, -1, axis), moveaxis(im, -1, axis)
    return as_tensor(re, dtype), as_tensor(im, dtype)


def _computed(x: Tensor) -> Tensor:
    """The tensor in a dtype that transforms compute in."""
    return as_tensor(x, None if x.dtype in ("float32", "float64") else "float32")


@op
def fft(x: Complex) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform along the last axis.

    Args:
        x: A tuple of the real and the imaginary part.

    Returns:
        A tuple of the real and the imaginary part, of the same shape.
    """
    return _transform(*_pair(x), axis=-1)


@op
def fft2(x: Complex) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform along the last two axes.

    Args:
        x: A tuple of the real and the imaginary part.

    Returns:
        A tuple of the real and the imaginary part, of the same shape.
    """
    return _transform(*_transform(*_pair(x), axis=-1), axis=-2)


@op
def ifft2(x: Complex) -> tuple[Tensor, Tensor]:
    """The inverse of `fft2`.

    Args:
        x: A tuple of the real and the imaginary part.

    Returns:
        A tuple of the real and the imaginary part, of the same shape.
    """
    return _transform(*_transform(*_pair(x), axis=-1, inverse=True), axis=-2, inverse=True)


def _fitted(x: Tensor, size: int) -> Tensor:
    """The last axis cut, or filled up with zeros, to a size."""
    own = int(x.shape[-1])
    if own >= size:
        return x[..., :size]
    return pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - own)])


@op
def rfft(x: Any, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform of real numbers along the last axis.

    Args:
        x: A tensor.
        fft_length: The size that the axis is cut or filled up to; its own by default.

    Returns:
        A tuple of the real and the imaginary part, the last axis of `fft_length // 2 + 1`.
    """
    x = as_float(x)
    x = x if fft_length is None else _fitted(x, fft_length)
    re, im = _rfft(_computed(x))
    return as_tensor(re, x.dtype), as_tensor(im, x.dtype)


@op
def irfft(x: Complex, fft_length: int | None = None) -> Tensor:
    """The inverse of `rfft`.

    Args:
        x: A tuple of the real and the imaginary part.
        fft_length: The size of the result's last axis; `2 * (n - 1)` by default.

    Returns:
        A tensor.
    """
    a, b = _pair(x)
    size = 2 * (int(a.shape[-1]) - 1) if fft_length is None else fft_length
    count = size // 2 + 1
    dtype, a, b = a.dtype, _computed(_fitted(a, count)), _computed(_fitted(b, count))
    # Every frequency but the first, and the middle one of an even size, stands for two.
    places = counting(count, "int32")
    alone = (places == 0) | (places * 2 == size)
    weight = _select(alone, as_tensor(1 / size, a.dtype), as_tensor(2 / size, a.dtype))
    return as_tensor(_irfft(a * weight, b * weight, size=size), dtype)


@op
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Overlapping frames of the last axis.

    Args:
        x: A tensor `(..., samples)`.
        sequence_length: The size of a frame.
        sequence_stride: The distance of their beginnings.

    Returns:
        `(..., frames, sequence_length)`.
    """
    x = as_tensor(x)
    count = (x.shape[-1] - sequence_length) // sequence_stride + 1
    starts = counting(count, "int32") * sequence_stride
    places = reshape(starts, (-1, 1)) + counting(sequence_length, "int32")
    return take(x, places, axis=-1)


_WINDOWS = {"hann": (0.5, -0.5), "hamming": (0.54, -0.46)}


def _window(window: Any, length: int, fft_length: int, dtype: str) -> Tensor:
    """The window of a length, in the middle of `fft_length`."""
    if window is None:
        values = ones((length,), dtype)
    elif isinstance(window, str):
        if window not in _WINDOWS:
            raise ValueError(
                "If a string is passed to `window`, it must be one of `'hann'`, `'hamming'`. "
                f"Received: window={window}"
            )
        constant, cosine = _WINDOWS[window]
        turns = counting(length, "float64") * (2 * math.pi / length)
        values = constant + cosine * cos(turns)
    else:
        values = as_tensor(window)
        if tuple(values.shape) != (length,):
            raise ValueError(
                "The shape of `window` must be equal to [sequence_length]. "
                f"Received: window shape={tuple(values.shape)}"
            )
    before = (fft_length - length) // 2
    return pad(as_tensor(values, dtype), (before, fft_length - length - before))


@op
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Tensor, Tensor]:
    """The short-time Fourier transform along the last axis.

    Args:
        x: A float tensor `(..., samples)`.
        sequence_length: The size of the window.
        sequence_stride: The distance of the frames.
        fft_length: The size of a frame.
        window: `"hann"`, `"hamming"`, a tensor `(sequence_length,)`, or None.
        center: Whether the first frame's middle is the first sample.

    Returns:
        A tuple of the real and the imaginary part, `(..., frames, fft_length // 2 + 1)`.
    """
    x = as_tensor(x)
    if not is_float_dtype(x.dtype):
        raise TypeError(f"Invalid input type. Expected float. Received: input type={x.dtype}")
    _check_lengths(sequence_length, fft_length)
    if center:
        half = fft_length // 2
        x = pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode="reflect")
    frames = extract_sequences(x, fft_length, sequence_stride)
    return rfft(frames * _window(window, sequence_length, fft_length, x.dtype), fft_length)


def _check_lengths(sequence_length: int, fft_length: int) -> None:
    if fft_length < sequence_length:
        raise ValueError(
            "`fft_length` must equal or larger than `sequence_length`. "
            f"Received: sequence_length={sequence_length}, fft_length={fft_length}"
        )


@op
def istft(
    x: Complex,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The inverse of `stft`.

    Args:
        x: A tuple of the real and the imaginary part, `(..., frames, fft_length // 2 + 1)`.
        sequence_length: The size of the window.
        sequence_stride: The distance of the frames.
        fft_length: The size of a frame.
        length: The number of samples of the result.
        window: As in `stft`.
        center: As in `stft`.

    Returns:
        A float tensor `(..., samples)`.
    """
    _check_lengths(sequence_length, fft_length)
    frames = irfft(x, fft_length)
    shape = _window(window, sequence_length, fft_length, frames.dtype)
    weight = _overlapped(
        pad(reshape(shape * shape, (1, -1)), [(0, int(frames.shape[-2]) - 1), (0, 0)], "edge"),
        sequence_stride,
    )
    samples = _overlapped(frames * shape, sequence_stride)
    silent = weight < 1e-10
    samples = samples / _select(silent, as_tensor(1, weight.dtype), weight)
    start = fft_length // 2 if center else 0
    total = int(samples.shape[-1])
    if length is not None:
        stop = start + length
    else:
        stop = total - fft_length // 2 if center else total
    if stop > total:
        samples = pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, stop - total)])
    return samples[..., start:stop]


def _overlapped(frames: Tensor, stride: int) -> Tensor:
    """The sum of frames laid `stride` apart."""
    count, size = int(frames.shape[-2]), int(frames.shape[-1])
    pieces = -(-size // stride)
    lead = tuple(frames.shape[:-2])
    none = [(0, 0)] * len(lead)
    frames = pad(frames, [*none, (0, 0), (0, pieces * stride - size)])
    frames = reshape(frames, (*lead, count, pieces, stride))
    total = None
    for piece in range(pieces):
        part = pad(frames[..., piece, :], [*none, (piece, pieces - 1 - piece), (0, 0)])
        total = part if total is None else total + part
    flat = reshape(total, (*lead, (count + pieces - 1) * stride))
    return flat[..., : (count - 1) * stride + size]


@op
def view_as_complex(x: Any) -> Tensor:
    """Pairs of real numbers along the last axis as complex numbers.

    Args:
        x: A float tensor `(..., 2)`.

    Returns:
        A complex tensor `(...)`.
    """
    x = as_float(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ValueError(
            "Last dimension of input must be size 2 (real and imaginary). "
            f"Received: {tuple(x.shape)}"
        )
    return complex_from(x[..., 0], x[..., 1])


def complex_from(re: Tensor, im: Tensor) -> Tensor:
    """The complex numbers of these parts."""
    dtype = "complex128" if re.dtype == "float64" else "complex64"
    return as_tensor(re, dtype) + as_tensor(im, dtype) * as_tensor(1j, dtype)


@op
def view_as_real(x: Any) -> Tensor:
    """Complex numbers as pairs of real numbers along a new last axis.

    Args:
        x: A complex tensor.

    Returns:
        A float tensor `(..., 2)`.
    """
    return stack([real(x), imag(x)], axis=-1)


@op
def polar(abs_: Any, angle: Any) -> Tensor:
    """Complex numbers from their magnitudes and angles.

    Args:
        abs_: The magnitudes.
        angle: The angles, in radians, of the same shape.

    Returns:
        A complex tensor of the same shape.
    """
    from cornu.ops.elementwise import cos, sin

    abs_, angle = as_float(abs_), as_float(angle)
    return complex_from(abs_ * cos(angle), abs_ * sin(angle))
