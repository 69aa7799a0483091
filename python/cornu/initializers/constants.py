"""Initial values that are no draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cornu import ops
from cornu.initializers.initializer import Initializer


class Constant(Initializer):
    """The same number everywhere, or a given array.

    Args:
        value: A number, or an array that broadcasts to the shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The value, of a shape and dtype."""
        return ops.broadcast_to(ops.cast(self.value, dtype), shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {"value": _plain(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        """An initializer of these arguments."""
        from cornu import saving

        value = config["value"]
        return cls(saving.deserialize_keras_object(value) if isinstance(value, dict) else value)


def _plain(value: Any) -> Any:
    """A value as a config holds it."""
    if isinstance(value, int | float):
        return value
    from cornu import saving

    return saving.serialize_keras_object(value)


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Zeros, of a shape and dtype."""
        return ops.zeros(shape, dtype)


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Ones, of a shape and dtype."""
        return ops.ones(shape, dtype)


class Identity(Initializer):
    """The identity matrix, multiplied by a factor.

    Args:
        gain: The factor.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The matrix, of a shape of two axes.

        Raises:
            ValueError: the shape has another number of axes.
        """
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return ops.cast(self.gain, dtype) * ops.eye(*shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer; the gain where it is not 1."""
        return {} if self.gain == 1.0 else {"gain": self.gain}


_COSINES = {
    "hann": (0.5, -0.5),
    "hanning": (0.5, -0.5),
    "hamming": (0.54, -0.46),
    "blackman": (0.42, -0.5, 0.08),
    "boxcar": (1.0,),
    "rectangular": (1.0,),
}


class STFT(Initializer):
    """The roots of unity under a window: the kernel of a short-time Fourier transform.

    Args:
        side: `"real"` or `"imag"`.
        window: `"hann"`, `"hamming"`, `"blackman"`, `"boxcar"`, or None.
        scaling: `"density"`, `"spectrum"`, or None.
        periodic: Whether the window is periodic instead of symmetric.

    Raises:
        ValueError: an argument is none of those.
    """

    def __init__(
        self,
        side: str = "real",
        window: str | None = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f"`side` should be 'real' or 'imag', not {side!r}.")
        if window is not None and window not in _COSINES:
            raise ValueError(f"Unknown window: {window!r}. Expected one of {sorted(_COSINES)}.")
        if scaling not in ("density", "spectrum", None):
            raise ValueError(
                f"Unknown scaling: {scaling!r}. `scaling` must be one of 'density', 'spectrum', "
                "or None."
            )
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The kernel, of a shape `(frame length, 1, frequencies)`."""
        length, _, count = shape
        steps = np.outer(np.arange(length), np.arange(count))
        angles = 2 * math.pi * steps / ((count - 1) * 2)
        kernel = np.cos(angles) if self.side == "real" else -np.sin(angles)
        if self.window is not None:
            period = length if self.periodic else max(length - 1, 1)
            turns = 2 * math.pi * np.arange(length) / period
            weights = sum(w * np.cos(k * turns) for k, w in enumerate(_COSINES[self.window]))
            if self.scaling == "density":
                weights = weights / math.sqrt(np.sum(weights**2))
            elif self.scaling == "spectrum":
                weights = weights / np.sum(np.abs(weights))
            kernel = kernel * weights[:, None]
        return ops.cast(kernel[:, None, :], dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {
            "side": self.side,
            "window": self.window,
            "periodic": self.periodic,
            "scaling": self.scaling,
        }
