"""Layers that turn sounds into pictures of their frequencies."""

import math
import warnings
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.input_spec import InputSpec


def _mel(frequencies: Any) -> Any:
    """Returns hertz in mel, as O'Shaughnessy's formula has it."""
    return 1127.0 * ops.log1p(ops.convert_to_tensor(frequencies, "float64") / 700.0)


class MelSpectrogram(ConfiguredLayer):
    """Turns sounds into the powers of frequency bands that are equally wide to the ear.

    Args:
        fft_length: size of a frame, in samples.
        sequence_stride: distance of frames, in samples.
        sequence_length: size of the window; that of a frame by default.
        window: `"hann"`, `"hamming"`, a tensor of the size of the window, or None.
        sampling_rate: samples per second.
        num_mel_bins: number of bands.
        min_freq, max_freq: ends of the bands in hertz; the highest is half of the sampling rate
            by default.
        power_to_db: whether powers are told in decibel.
        top_db: by how many decibel the least value is below the largest at most.
        mag_exp: power of the magnitudes: 1 for them, 2 for energies.
        min_power: least power that is told in decibel.
        ref_power: power of 0 decibel.

    Input shape: `(samples,)` or `(..., samples)`. Output shape: `(..., num_mel_bins, frames)`.

    >>> layers.MelSpectrogram(num_mel_bins=64, sampling_rate=8000)(waves).shape
    (1, 64, 32)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(
            fft_length=fft_length,
            sequence_stride=sequence_stride,
            sequence_length=sequence_length or fft_length,
            window=window,
            sampling_rate=sampling_rate,
            num_mel_bins=num_mel_bins,
            min_freq=min_freq,
            max_freq=max_freq or int(sampling_rate / 2),
            power_to_db=power_to_db,
            top_db=top_db,
            mag_exp=mag_exp,
            min_power=min_power,
            ref_power=ref_power,
        )

    def call(self, inputs: Any) -> Any:
        dtype = self.compute_dtype if self.compute_dtype == "float64" else "float32"
        real, imaginary = ops.stft(
            ops.cast(inputs, dtype),
            sequence_length=self.sequence_length,
            sequence_stride=self.sequence_stride,
            fft_length=self.fft_length,
            window=self.window,
            center=True,
        )
        energies = ops.add(ops.square(real), ops.square(imaginary))
        magnitudes = ops.power(ops.sqrt(energies), self.mag_exp)
        bands = self.linear_to_mel_weight_matrix(
            num_mel_bins=self.num_mel_bins,
            num_spectrogram_bins=self.fft_length // 2 + 1,
            sampling_rate=self.sampling_rate,
            lower_edge_hertz=self.min_freq,
            upper_edge_hertz=self.max_freq,
            dtype=dtype,
        )
        powers = ops.swapaxes(ops.matmul(magnitudes, bands), -1, -2)
        if self.power_to_db:
            powers = self._decibel(powers)
        return ops.cast(powers, self.compute_dtype)

    def _decibel(self, powers: Any) -> Any:
        zero = 10.0 * math.log10(max(self.min_power, self.ref_power))
        told = ops.subtract(ops.multiply(ops.log10(ops.maximum(powers, self.min_power)), 10), zero)
        return ops.maximum(told, ops.subtract(ops.max(told), self.top_db))

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: str = "float32",
    ) -> Any:
        """Returns how much each frequency of a spectrum counts in each band.

        Args:
            num_mel_bins: number of bands.
            num_spectrogram_bins: number of frequencies, 0 and half of the sampling rate included.
            sampling_rate: samples per second.
            lower_edge_hertz, upper_edge_hertz: ends of the bands.
            dtype: dtype of the result.

        Returns:
            A tensor `(num_spectrogram_bins, num_mel_bins)`; bands are triangles that overlap by
            halves, and the frequency 0 counts nowhere.
        """
        bins = ops.linspace(0.0, sampling_rate / 2.0, num_spectrogram_bins, dtype="float64")
        frequencies = ops.expand_dims(_mel(bins)[1:], 1)
        low, high = _mel(lower_edge_hertz), _mel(upper_edge_hertz)
        edges = ops.linspace(low, high, num_mel_bins + 2, dtype="float64")
        left, middle, right = edges[:-2], edges[1:-1], edges[2:]
        rising = (frequencies - left) / (middle - left)
        falling = (right - frequencies) / (right - middle)
        weights = ops.maximum(ops.minimum(rising, falling), 0.0)
        return ops.cast(ops.pad(weights, [[1, 0], [0, 0]]), dtype)

    def compute_output_shape(self, input_shape: Any) -> list[int | None]:
        samples = input_shape[-1]
        frames = None if samples is None else 1 + samples // self.sequence_stride
        return [*input_shape[:-1], self.num_mel_bins, frames]


_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(ConfiguredLayer):
    """Turns signals into their short-time spectra, by convolutions whose kernels may be trained.

    Args:
        mode: `"log"`, `"magnitude"`, `"psd"` (spectral density), `"real"`, `"imag"`, `"angle"`,
            or `"stft"` for real and imaginary parts side by side.
        frame_length: size of a frame, in samples.
        frame_step: distance of frames; half of their size by default.
        fft_length: size of the transform; the next power of two of `frame_length` by default.
        window: name of a window of `scipy.signal.get_window`, an array, or None.
        periodic: whether the window is periodic, not symmetric.
        scaling: `"density"`, `"spectrum"` or None.
        padding: `"valid"` or `"same"`.
        expand_dims: whether channels keep an axis of their own behind frames and frequencies.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.

    Input shape: `(batch, samples, channels)`. Output shape:
    `(batch, frames, channels * frequencies)`, or `(batch, frames, frequencies, channels)` with
    `expand_dims`; where channels come first they stand behind the batch.
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        if frame_step is not None and not 0 < frame_step <= frame_length:
            raise ValueError(
                "`frame_step` should be a positive integer not greater than `frame_length`. "
                f"Received frame_step={frame_step}, frame_length={frame_length}"
            )
        if frame_length <= 0:
            raise ValueError(f"`frame_length` should be positive. Received: {frame_length}")
        if fft_length is not None:
            if fft_length < frame_length:
                raise ValueError(
                    "`fft_length` should be not less than `frame_length`. "
                    f"Received fft_length={fft_length}, frame_length={frame_length}"
                )
            if fft_length & (fft_length - 1):
                warnings.warn(
                    "`fft_length` is recommended to be a power of two. "
                    f"Received fft_length={fft_length}",
                    stacklevel=2,
                )
        if mode not in _MODES:
            raise ValueError(
                "Output mode is invalid, it must be one of log, magnitude, psd, real, imag, angle, "
                f"stft. Received: mode={mode}"
            )
        if padding not in ("valid", "same"):
            raise ValueError(
                f"Padding is invalid, it should be 'valid', 'same'. Received: padding={padding}"
            )
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                "Scaling is invalid, it must be `None`, 'density' or 'spectrum'. "
                f"Received scaling={scaling}"
            )
        super().__init__(**kwargs)
        self._keep(
            mode=mode,
            frame_length=frame_length,
            frame_step=frame_step,
            fft_length=fft_length,
            window=window,
            periodic=periodic,
            scaling=scaling,
            padding=padding,
            data_format=data_format,
            expand_dims=expand_dims,
        )
        self._frame_step = frame_step or frame_length // 2
        self._fft_length = fft_length or 2 ** math.ceil(math.log2(frame_length))
        self._frame_window()  # a wrong window is an error now
        self.input_spec = InputSpec(ndim=3)

    def _frame_window(self) -> np.ndarray | None:
        """Returns the window, scaled."""
        if self.window is None:
            return None
        window = _window(self.window, self.frame_length, self.periodic)
        if self.scaling == "density":
            return window / np.sqrt(np.sum(window**2))
        return window / np.sum(window) if self.scaling == "spectrum" else window

    def build(self, input_shape: Any) -> None:
        """Makes the kernels, which hold the waves of the transform."""
        samples = np.arange(self.frame_length)[:, None, None]
        angles = -2 * np.pi * samples * np.arange(self._fft_length // 2 + 1) / self._fft_length
        window = self._frame_window()
        window = 1.0 if window is None else window[:, None, None]
        self.real_kernel = self.imag_kernel = None
        for name, wave, alone in (("real", np.cos, "imag"), ("imag", np.sin, "real")):
            if self.mode == alone:
                continue
            values = wave(angles) * window

            def initialize(shape: Any, dtype: Any = None, values: np.ndarray = values) -> Any:
                return ops.cast(values, dtype)

            kernel = self.add_weight(
                name=f"{name}_kernel", shape=values.shape, initializer=initialize
            )
            setattr(self, f"{name}_kernel", kernel)

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        first = self.data_format == "channels_first"
        if not first:
            inputs = ops.transpose(inputs, (0, 2, 1))
        channels, samples = inputs.shape[1:]
        inputs = ops.reshape(inputs, (-1, samples, 1))

        def convolved(kernel: Any) -> Any:
            return (
                None
                if kernel is None
                else ops.conv(
                    inputs,
                    kernel,
                    strides=self._frame_step,
                    padding=self.padding,
                    data_format="channels_last",
                )
            )

        spectra = self._told(convolved(self.real_kernel), convolved(self.imag_kernel))
        frames, width = spectra.shape[1:]
        spectra = ops.reshape(spectra, (-1, channels, frames, width))
        if self.expand_dims:
            return spectra if first else ops.transpose(spectra, (0, 2, 3, 1))
        if first:
            spectra = ops.transpose(spectra, (0, 1, 3, 2))
            return ops.reshape(spectra, (-1, channels * width, frames))
        spectra = ops.transpose(spectra, (0, 2, 1, 3))
        return ops.reshape(spectra, (-1, frames, channels * width))

    def _told(self, real: Any, imaginary: Any) -> Any:
        """Returns what the mode tells of the spectra."""
        if self.mode in ("real", "imag"):
            return real if self.mode == "real" else imaginary
        if self.mode == "stft":
            return ops.concatenate([real, imaginary], axis=-1)
        if self.mode == "angle":
            return ops.arctan2(imaginary, real)
        energies = ops.add(ops.square(real), ops.square(imaginary))
        if self.mode == "psd":
            # Every frequency has a negative twin, but 0 and half of the sampling rate.
            twins = np.full(self._fft_length // 2 + 1, 2.0)
            twins[0] = 1.0
            if self._fft_length % 2 == 0:
                twins[-1] = 1.0
            return ops.multiply(energies, ops.cast(twins, energies.dtype))
        energies = ops.maximum(energies, 1e-7**2 if self.mode == "log" else 0.0)
        magnitudes = ops.sqrt(energies)
        return ops.log(magnitudes) if self.mode == "log" else magnitudes

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        first = self.data_format == "channels_first"
        batch, samples, channels = (
            (input_shape[0], input_shape[2], input_shape[1]) if first else tuple(input_shape)
        )
        if samples is not None and self.padding == "valid":
            frames = (samples - self.frame_length) // self._frame_step + 1
        else:
            frames = None if samples is None else math.ceil(samples / self._frame_step)
        width = (self._fft_length // 2 + 1) * (2 if self.mode == "stft" else 1)
        if self.expand_dims:
            return (batch, channels, frames, width) if first else (batch, frames, width, channels)
        width = None if channels is None else width * channels
        return (batch, width, frames) if first else (batch, frames, width)


def _window(window: Any, length: int, periodic: bool) -> np.ndarray:
    """Returns a window by its name, or an array as one."""
    if not isinstance(window, str):
        window = np.asarray(window, "float64")
        if window.shape != (length,):
            raise ValueError(f"A window of shape ({length},) is expected. Received: {window.shape}")
        return window
    raised = {"hann": 0.5, "hamming": 0.54}.get(window)
    if raised is not None:
        turns = np.arange(length) / (length if periodic else max(length - 1, 1))
        return raised - (1 - raised) * np.cos(2 * np.pi * turns)
    try:
        from scipy.signal import get_window
    except ImportError as error:
        raise ImportError(
            f"The window {window!r} needs scipy: `pip install scipy`. Without it there are 'hann' "
            "and 'hamming'."
        ) from error
    return get_window(window, length, fftbins=periodic)
