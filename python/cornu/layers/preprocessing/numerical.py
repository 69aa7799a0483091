"""Layers that prepare numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.preprocessing.adapting import batches


class Rescaling(ConfiguredLayer):
    """`inputs * scale + offset`, in training and in inference.

    Args:
        scale: factor, or one for each channel.
        offset: summand, or one for each channel.

    >>> layers.Rescaling(1 / 255)(np.array([[255.0]]))[0, 0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(scale=scale, offset=offset)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        dtype = self.compute_dtype
        scale, offset = ops.cast(self.scale, dtype), ops.cast(self.offset, dtype)
        return ops.add(ops.multiply(ops.cast(inputs, dtype), scale), offset)

    def get_config(self) -> dict[str, Any]:
        from cornu.saving import serialize_keras_object

        config = super().get_config()
        return config | {k: serialize_keras_object(config[k]) for k in ("scale", "offset")}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Rescaling":
        """Returns the layer that `get_config` told."""
        from cornu.saving import deserialize_keras_object

        known = {
            k: deserialize_keras_object(config[k], custom_objects) for k in ("scale", "offset")
        }
        return cls(**config | known)


class Normalization(ConfiguredLayer):
    """Shifts and scales features to mean 0 and variance 1.

    Args:
        axis: the axes whose entries have statistics of their own; None for one mean and variance.
        mean, variance: the statistics, if they are known; else `adapt` finds them.
        invert: whether the layer undoes the normalization.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: mean={mean} and variance={variance}"
            )
        axes = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self._keep(axis=axes, invert=invert)
        self.input_mean = None if mean is None else np.asarray(mean).tolist()
        self.input_variance = None if variance is None else np.asarray(variance).tolist()
        self._given = mean, variance
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                "All `axis` values must be in the range [-ndim, ndim). "
                f"Received inputs with ndim={rank}, while axis={self.axis}"
            )
        kept = sorted(axis % rank for axis in self.axis)
        for axis in kept:
            if input_shape[axis] is None:
                raise ValueError(
                    "All `axis` values to be kept must have a known shape. "
                    f"Received axis={self.axis}, inputs.shape={tuple(input_shape)}, "
                    f"with unknown axis at index {axis}"
                )
        self._reduced = tuple(axis for axis in range(rank) if axis not in kept)
        self._lying = tuple(input_shape[axis] if axis in kept else 1 for axis in range(rank))
        if self.input_mean is not None:
            return

        def weight(name: str, shape: tuple, initializer: str, **kwargs: Any) -> Any:
            return self.add_weight(
                name=name, shape=shape, initializer=initializer, trainable=False, **kwargs
            )

        shape = tuple(input_shape[axis] for axis in kept)
        self.adapt_mean = weight("mean", shape, "zeros", autocast=False)
        self.adapt_variance = weight("variance", shape, "ones", autocast=False)
        self.count = weight("count", (), "zeros", dtype="int32")

    def adapt(self, data: Any) -> None:
        """Takes the mean and the variance of data.

        Args:
            data: an array, or an iterable of batches.
        """
        if self.input_mean is not None:
            raise ValueError(
                "Cannot `adapt` a Normalization layer that is initialized with static "
                "`mean` and `variance`, you passed mean {} and variance {}.".format(*self._given)
            )
        count, mean, variance = 0, 0.0, 0.0
        for batch in batches(data):
            batch = ops.convert_to_tensor(batch)
            if not self.built:
                self.build(tuple(batch.shape))
            # Chan's rule joins the moments of the batches.
            batch_mean, batch_variance = (
                ops.convert_to_numpy(moment).astype("float64")
                for moment in ops.moments(ops.cast(batch, "float32"), axes=self._reduced)
            )
            added = int(np.prod([batch.shape[axis] for axis in self._reduced]))
            total = count + added
            gap = batch_mean - mean
            variance = (
                variance * count + batch_variance * added + gap**2 * count * added / total
            ) / total
            mean, count = mean + gap * added / total, total
        self.adapt_mean.assign(np.asarray(mean, "float32"))
        self.adapt_variance.assign(np.asarray(variance, "float32"))

    def finalize_state(self) -> None:
        """Does nothing: a call takes the statistics as they are."""

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        mean, variance = self.mean, self.variance
        deviation = ops.maximum(ops.sqrt(variance), 1e-7)
        if self.invert:
            return ops.add(mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, mean), deviation)

    @property
    def mean(self) -> Any:
        """The mean, a tensor of the rank of the inputs; None before the layer is built."""
        return self._statistic("mean")

    @property
    def variance(self) -> Any:
        """The variance, a tensor of the rank of the inputs; None before the layer is built."""
        return self._statistic("variance")

    def _statistic(self, name: str) -> Any:
        if not self.built:
            return None
        given = getattr(self, f"input_{name}")
        statistic = getattr(self, f"adapt_{name}") if given is None else given
        statistic = self._laid(ops.cast(statistic, self.compute_dtype))
        return ops.broadcast_to(statistic, self._lying)

    def _laid(self, statistic: Any) -> Any:
        """Gives a statistic the rank of the inputs."""
        kept = [size for axis, size in enumerate(self._lying) if axis not in self._reduced]
        return (
            ops.reshape(statistic, self._lying) if len(statistic.shape) == len(kept) else statistic
        )

    def get_config(self) -> dict[str, Any]:
        mean, variance = self.input_mean, self.input_variance
        return super().get_config() | {"mean": mean, "variance": variance}
