"""Layers that prepare data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cornu import ops, random
from cornu.layers.configured import ConfiguredLayer, spatial_axes


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
        self.input_mean = None if mean is None else np.asarray(mean, "float32").tolist()
        self.input_variance = None if variance is None else np.asarray(variance, "float32").tolist()
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

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Takes the mean and the variance of data.

        Args:
            data: an array, or an iterable of batches.
            batch_size: not needed; an array is taken whole.
            steps: how many batches are taken at most.
        """
        if self.input_mean is not None:
            raise ValueError(
                "Cannot `adapt` a Normalization layer that is initialized with static "
                "`mean` and `variance`, you passed mean {} and variance {}.".format(*self._given)
            )
        if hasattr(data, "shape") or isinstance(data, list | tuple):
            data = [data]
        count, mean, variance = 0, 0.0, 0.0
        for step, batch in enumerate(data):
            if steps is not None and step >= steps:
                break
            batch = ops.convert_to_tensor(batch[0] if isinstance(batch, tuple) else batch)
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

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        given = self.input_mean is not None
        mean = self.input_mean if given else self.adapt_mean
        variance = self.input_variance if given else self.adapt_variance
        mean, variance = (
            ops.broadcast_to(self._laid(ops.cast(x, self.compute_dtype)), self._lying)
            for x in (mean, variance)
        )
        deviation = ops.maximum(ops.sqrt(variance), 1e-7)
        if self.invert:
            return ops.add(mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, mean), deviation)

    def _laid(self, statistic: Any) -> Any:
        """Gives a statistic the rank of the inputs."""
        kept = [size for axis, size in enumerate(self._lying) if axis not in self._reduced]
        return (
            ops.reshape(statistic, self._lying) if len(statistic.shape) == len(kept) else statistic
        )

    def get_config(self) -> dict[str, Any]:
        mean, variance = self.input_mean, self.input_variance
        return super().get_config() | {"mean": mean, "variance": variance}


class CategoryEncoding(ConfiguredLayer):
    """Encodes integers below `num_tokens` as vectors of this size.

    Args:
        num_tokens: how many different integers there are.
        output_mode: `"one_hot"`: a vector for each integer; `"multi_hot"`: one for each sample,
            with ones for the integers that occur; `"count"`: with their numbers.
        sparse: accepted; outputs are dense.

    Call arguments: `inputs`: integers of shape `(batch,)` or `(batch, n)`; `count_weights`: what
    each counts, for `"count"`.
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if output_mode == "binary":  # a name of Keras 2
            output_mode = "multi_hot"
        if output_mode not in ("count", "one_hot", "multi_hot"):
            raise ValueError(f"Unknown arg for output_mode: {output_mode}")
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be set to use this layer. If the number of tokens is not known "
                "beforehand, use the IntegerLookup layer instead."
            )
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        self._keep(num_tokens=num_tokens, output_mode=output_mode)
        self._allow_non_tensor_positional_args = True

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. "
                f"Received `count_weights={count_weights}`."
            )
        inputs = ops.cast(inputs, "int32")
        if self.output_mode == "one_hot" and len(inputs.shape) > 1 and inputs.shape[-1] == 1:
            inputs = ops.squeeze(inputs, -1)
        hot = ops.one_hot(inputs, self.num_tokens, dtype=self.compute_dtype)
        if self.output_mode == "one_hot":
            return hot
        axis = -2 if len(inputs.shape) else None
        if self.output_mode == "multi_hot":
            return ops.max(hot, axis=axis) if axis else hot
        if count_weights is not None:
            hot = ops.multiply(hot, ops.expand_dims(ops.cast(count_weights, hot.dtype), -1))
        return ops.sum(hot, axis=axis) if axis else hot


class CenterCrop(ConfiguredLayer):
    """Cuts the middle out of images; smaller ones are resized so that it fills the frame.

    Args:
        height, width: size of the output.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep(data_format=data_format, height=height, width=width)

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        axes = tuple(axis - 4 for axis in spatial_axes(self.data_format, 2))  # batched or not
        size = (self.height, self.width)
        spare = [inputs.shape[axis] - wanted for axis, wanted in zip(axes, size, strict=True)]
        if min(spare) < 0:
            return ops.image.resize(
                inputs, size, data_format=self.data_format, crop_to_aspect_ratio=True
            )
        index = [slice(None)] * len(inputs.shape)
        for axis, extra, wanted in zip(axes, spare, size, strict=True):
            index[axis] = slice(extra // 2, extra // 2 + wanted)
        return inputs[tuple(index)]


class Resizing(ConfiguredLayer):
    """Resizes images.

    Args:
        height, width: size of the output.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        crop_to_aspect_ratio: whether images are cut, not stretched, to the new shape.
        pad_to_aspect_ratio: whether images are padded, not stretched, to the new shape.
        fill_mode, fill_value: how they are padded.
        antialias: whether a smaller image is smoothed.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(
            data_format=data_format,
            height=height,
            width=width,
            interpolation=interpolation,
            crop_to_aspect_ratio=crop_to_aspect_ratio,
            pad_to_aspect_ratio=pad_to_aspect_ratio,
            fill_mode=fill_mode,
            fill_value=fill_value,
            antialias=antialias,
        )

    def call(self, inputs: Any) -> Any:
        return ops.image.resize(
            inputs,
            (self.height, self.width),
            interpolation=self.interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )


class RandomFlip(ConfiguredLayer):
    """Mirrors some of the images in training.

    Args:
        mode: `"horizontal"`, `"vertical"` or `"horizontal_and_vertical"`.
        seed: integer that makes the choice repeatable.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(data_format=data_format, seed=seed, mode=mode)
        self.seed_generator = random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        if not training:
            return inputs
        height, width = (axis - 4 for axis in spatial_axes(self.data_format, 2))
        batched = len(inputs.shape) == 4
        shape = (inputs.shape[0] if batched else 1, *(1,) * (len(inputs.shape) - 1))
        for word, axis in (("horizontal", width), ("vertical", height)):
            if word in self.mode:
                chosen = ops.less(random.uniform(shape, seed=self.seed_generator), 0.5)
                inputs = ops.where(chosen, ops.flip(inputs, axis=axis), inputs)
        return inputs
