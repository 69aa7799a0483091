"""Layers that disturb or penalise activations in training and do nothing in inference."""

import math
from collections.abc import Iterable
from typing import Any

from cornu import ops, random
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.input_spec import InputSpec


class _Noise(ConfiguredLayer):
    """A layer that draws random numbers in training, if its `_amount` is above zero."""

    _amount = "rate"

    def _keep_amount(self, value: float, seed: Any, **arguments: Any) -> None:
        if not 0 <= value <= 1:
            raise ValueError(
                f"Invalid value received for argument `{self._amount}`. Expected a float value "
                f"between 0 and 1. Received: {self._amount}={value}"
            )
        self._keep(**{self._amount: value}, seed=seed, **arguments)
        if value > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training and getattr(self, self._amount) > 0:
            return self._disturb(inputs)
        return inputs

    def _disturb(self, inputs: Any) -> Any:
        raise NotImplementedError


class Dropout(_Noise):
    """Sets a random share of the inputs to zero in training and scales up the rest.

    Args:
        rate: share that is dropped, from 0 to 1; the rest is divided by `1 - rate`.
        noise_shape: shape of the random choice, broadcast to the input; None in it stands for the
            input's size, as in `(None, 1, None)` for one choice along all steps.
        seed: integer that makes the choice repeatable.

    Paper: Srivastava et al., Dropout (2014).
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Iterable[int | None] | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_amount(rate, seed, noise_shape=_standardize_noise_shape(noise_shape))

    def _disturb(self, inputs: Any) -> Any:
        return random.dropout(
            inputs, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
        )


def _standardize_noise_shape(noise_shape: Any) -> tuple[int | None, ...] | None:
    if noise_shape is None:
        return None
    try:
        return tuple(noise_shape)
    except TypeError:
        raise ValueError(
            "Invalid value received for argument `noise_shape`. Expected an iterable of integers "
            f"(e.g., a tuple or list). Received: noise_shape={noise_shape}"
        ) from None


class _SpatialDropout(_Noise):
    """Drops whole channels of every sample.

    Args:
        rate: share of the channels that is dropped, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        seed: integer that makes the choice repeatable.

    Paper: Tompson et al., Efficient Object Localization Using Convolutional Networks (2015).
    """

    rank: int
    data_format = "channels_last"

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._keep_amount(rate, seed, data_format=data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]  # no argument of the constructor
        return config | {"dtype": self.dtype}

    def _disturb(self, inputs: Any) -> Any:
        batch, ones = inputs.shape[0], (1,) * self.rank
        if self.data_format == "channels_last":
            noise_shape = (batch, *ones, inputs.shape[-1])
        else:
            noise_shape = (batch, inputs.shape[1], *ones)
        return random.dropout(inputs, self.rate, noise_shape=noise_shape, seed=self.seed_generator)


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of sequences in training.

    Args:
        rate: share of the channels that is dropped, from 0 to 1.
        seed: integer that makes the choice repeatable.

    Paper: Tompson et al., Efficient Object Localization Using Convolutional Networks (2015).
    """

    rank = 1

    def __init__(
        self, rate: float, seed: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        ConfiguredLayer.__init__(self, name=name, dtype=dtype)
        self._keep_amount(rate, seed)
        self.input_spec = InputSpec(ndim=3)


class SpatialDropout2D(_SpatialDropout):
    __doc__ = f"Drops whole channels of images in training.\n\n{_SpatialDropout.__doc__}"
    rank = 2


class SpatialDropout3D(_SpatialDropout):
    __doc__ = f"Drops whole channels of volumes in training.\n\n{_SpatialDropout.__doc__}"
    rank = 3


# The limit that SELU tends to at minus infinity.
_SELU_LIMIT = -1.0507009873554805 * 1.6732632423543772


class AlphaDropout(_Noise):
    """Dropout that keeps the mean and the variance of SELU networks.

    Args:
        rate: share that is set to SELU's negative limit, from 0 to 1.
        noise_shape: shape of the random choice, broadcast to the input.
        seed: integer that makes the choice repeatable.

    Paper: Klambauer et al., Self-Normalizing Neural Networks (2017).
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Iterable[int | None] | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_amount(rate, seed, noise_shape=_standardize_noise_shape(noise_shape))

    def _disturb(self, inputs: Any) -> Any:
        shape = tuple(inputs.shape)
        if self.noise_shape is not None:
            shape = tuple(
                size if chosen is None else chosen
                for size, chosen in zip(shape, self.noise_shape, strict=True)
            )
        kept = ops.greater_equal(random.uniform(shape, seed=self.seed_generator), self.rate)
        kept = ops.cast(kept, ops.dtype(inputs))
        keep = 1 - self.rate
        scale = (keep * (1 + self.rate * _SELU_LIMIT**2)) ** -0.5 if keep else 0.0
        shift = -scale * _SELU_LIMIT * self.rate
        dropped = ops.multiply(ops.subtract(1, kept), _SELU_LIMIT)
        outputs = ops.add(ops.multiply(inputs, kept), dropped)
        return ops.add(ops.multiply(outputs, scale), shift)


class GaussianDropout(_Noise):
    """Multiplies the inputs by normal noise of mean one in training.

    Args:
        rate: as in `Dropout`: the noise has the deviation `sqrt(rate / (1 - rate))`.
        seed: integer that makes the noise repeatable.

    Paper: Srivastava et al., Dropout (2014).
    """

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep_amount(rate, seed)

    def _disturb(self, inputs: Any) -> Any:
        deviation = math.sqrt(self.rate / (1 - self.rate))
        noise = random.normal(
            inputs.shape,
            mean=1.0,
            stddev=deviation,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )
        return ops.multiply(inputs, noise)


class GaussianNoise(_Noise):
    """Adds normal noise in training.

    Args:
        stddev: deviation of the noise, from 0 to 1.
        seed: integer that makes the noise repeatable.
    """

    _amount = "stddev"

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep_amount(stddev, seed)

    def _disturb(self, inputs: Any) -> Any:
        noise = random.normal(
            inputs.shape, stddev=self.stddev, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return ops.add(inputs, noise)


class ActivityRegularization(ConfiguredLayer):
    """Returns its input and adds a penalty on it to the loss.

    Args:
        l1: factor of the sum of absolute values.
        l2: factor of the sum of squares.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        from cornu import regularizers

        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self._keep(l1=l1, l2=l2)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)  # the two factors say it
        return config
