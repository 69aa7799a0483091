"""Initial values drawn at random. The same seed draws the same values at each call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cornu import ops, random
from cornu.initializers.initializer import Initializer


class _Random(Initializer):
    """An initializer with a seed.

    Args:
        seed: An integer, a `SeedGenerator` or its config; by default one is drawn, once.

    Raises:
        ValueError: the seed is none of these.
    """

    def __init__(self, seed: Any = None) -> None:
        self._init_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            from cornu import saving

            seed = saving.deserialize_keras_object(seed)
        elif not isinstance(seed, int | random.SeedGenerator):
            raise ValueError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an "
                f"integer. Received: seed={seed}"
            )
        self.seed = seed

    @property
    def repeatable(self) -> bool:
        """Whether a later call gives the same."""
        return isinstance(self.seed, int)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        seed = self._init_seed
        if isinstance(seed, random.SeedGenerator):
            from cornu import saving

            seed = saving.serialize_keras_object(seed)
        return {"seed": seed}


class RandomNormal(_Random):
    """Draws of a normal distribution.

    Args:
        mean: The mean.
        stddev: The standard deviation.
        seed: An integer or a `SeedGenerator`.
    """

    _draw = staticmethod(random.normal)

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draws, of a shape and dtype."""
        return self._draw(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Draws of a normal distribution, without those beyond two standard deviations.

    Args:
        mean: The mean.
        stddev: The standard deviation before the cut.
        seed: An integer or a `SeedGenerator`.
    """

    _draw = staticmethod(random.truncated_normal)


class RandomUniform(_Random):
    """Draws of a uniform distribution.

    Args:
        minval: The lower bound.
        maxval: The upper bound.
        seed: An integer or a `SeedGenerator`.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draws, of a shape and dtype."""
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

# The standard deviation of a normal distribution cut at two of its own.
_TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(_Random):
    """Draws whose variance goes with the size of the weight.

    The variance is `scale / n`, `n` the number of inputs, of outputs, or their mean.

    Args:
        scale: The factor.
        mode: What `n` is: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"`, `"untruncated_normal"` or `"uniform"`.
        seed: An integer or a `SeedGenerator`.
        input_axes: The axes of the inputs, if they are not the last but one.
        output_axes: The axes of the outputs, if they are not the last.

    Raises:
        ValueError: an argument is none of those.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in _MODES:
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of {set(_MODES)}")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in _DISTRIBUTIONS:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. "
                f"Please use one of {set(_DISTRIBUTIONS)}"
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draws, of a shape and dtype."""
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        stddev = math.sqrt(variance)
        if self.distribution == "truncated_normal":
            return random.truncated_normal(shape, 0.0, stddev / _TRUNCATED_STDDEV, dtype, self.seed)
        return random.normal(shape, 0.0, stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **self._axes(),
        }

    def _axes(self) -> dict[str, Any]:
        return {"input_axes": self.input_axes, "output_axes": self.output_axes}


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """How many inputs each output of a weight of this shape has, and the contrary.

    Args:
        shape: The shape of the weight.
        input_axes: The axes of the inputs.
        output_axes: The axes of the outputs.

    Returns:
        A tuple of the two. The other axes are a window, and count for both.
    """
    shape = tuple(shape)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    if input_axes is None or output_axes is None:
        input_axes, output_axes = (-2,), (-1,)
    inputs = math.prod(shape[i] for i in input_axes)
    outputs = math.prod(shape[i] for i in output_axes)
    named = {i % len(shape) for i in (*input_axes, *output_axes)}
    window = math.prod(n for i, n in enumerate(shape) if i not in named)
    return inputs * window, outputs * window


def _scaling(name: str, scale: float, mode: str, distribution: str, doc: str) -> type:
    """A `VarianceScaling` whose arguments are fixed."""

    def __init__(
        self: Any,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self: Any) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {**_Random.get_config(self), **self._axes()}

    doc = f"""{doc}

    Args:
        seed: An integer or a `SeedGenerator`.
        input_axes: The axes of the inputs, if they are not the last but one.
        output_axes: The axes of the outputs, if they are not the last.
    """
    body = {"__init__": __init__, "get_config": get_config, "__doc__": doc, "__module__": __name__}
    return type(name, (VarianceScaling,), body)


_GLOROT = "Glorot and Bengio, 2010, proceedings.mlr.press/v9/glorot10a."
_HE = "He et al., 2015, arXiv:1502.01852."
_LECUN = "LeCun et al., 1998, Efficient BackProp."

GlorotUniform = _scaling(
    "GlorotUniform", 1.0, "fan_avg", "uniform", f"Uniform draws by inputs and outputs: {_GLOROT}"
)
GlorotNormal = _scaling(
    "GlorotNormal", 1.0, "fan_avg", "truncated_normal",
    f"Truncated normal draws by inputs and outputs: {_GLOROT}",
)  # fmt: skip
HeUniform = _scaling("HeUniform", 2.0, "fan_in", "uniform", f"Uniform draws by inputs: {_HE}")
HeNormal = _scaling(
    "HeNormal", 2.0, "fan_in", "truncated_normal", f"Truncated normal draws by inputs: {_HE}"
)
LecunUniform = _scaling(
    "LecunUniform", 1.0, "fan_in", "uniform", f"Uniform draws by inputs: {_LECUN}"
)
LecunNormal = _scaling(
    "LecunNormal", 1.0, "fan_in", "truncated_normal", f"Truncated normal draws by inputs: {_LECUN}"
)


class Orthogonal(_Random):
    """A random matrix with orthonormal rows or columns: Saxe et al., 2013, arXiv:1312.6120.

    Args:
        gain: What it is multiplied by.
        seed: An integer or a `SeedGenerator`.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The matrix, its rows being all axes but the last.

        Raises:
            ValueError: the shape has less than two axes.
        """
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        draw = random.normal((max(rows, columns), min(rows, columns)), dtype=dtype, seed=self.seed)
        q, r = ops.qr(draw)
        # A positive diagonal makes the distribution uniform.
        q = q * ops.sign(ops.diag(r))
        return self.gain * ops.reshape(q if rows >= columns else ops.transpose(q), shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {**super().get_config(), "gain": self.gain}
