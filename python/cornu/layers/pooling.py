"""Pooling: local, global and adaptive."""

from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer, spatial_axes, standardize_tuple
from cornu.layers.input_spec import InputSpec

_LOCAL = """

    Args:
        pool_size: size of the window, an integer or one for each spatial axis.
        strides: step of the window; `pool_size` if None.
        padding: `"valid"` for none, `"same"` to cover the whole input.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.

    Input shape: `(batch, *space, channels)`, channels second if they come first.
    """


class _Pooling(ConfiguredLayer):
    rank: int

    def _keep_pooling(self, pool_size: Any, strides: Any, padding: str, data_format: Any) -> None:
        pool_size = standardize_tuple(pool_size, self.rank, "pool_size")
        strides = pool_size if strides is None else strides
        self._keep(
            pool_size=pool_size,
            padding=padding,
            strides=standardize_tuple(strides, self.rank, "strides", allow_zero=True),
            data_format=data_format,
        )
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def _pool(self, function: Any, inputs: Any) -> Any:
        return function(
            inputs,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding.lower(),
            data_format=self.data_format,
        )


class _MaxPooling(_Pooling):
    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._keep_pooling(pool_size, strides, padding, data_format)

    def call(self, inputs: Any) -> Any:
        return self._pool(ops.max_pool, inputs)


class MaxPooling1D(_MaxPooling):
    __doc__ = f"The largest value of each window of a sequence.{_LOCAL}"
    rank = 1


class MaxPooling2D(_MaxPooling):
    __doc__ = f"The largest value of each window of an image.{_LOCAL}"
    rank = 2


class MaxPooling3D(_MaxPooling):
    __doc__ = f"The largest value of each window of a volume.{_LOCAL}"
    rank = 3


class _AveragePooling(_Pooling):
    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._keep_pooling(pool_size, strides, padding, data_format)

    def call(self, inputs: Any) -> Any:
        return self._pool(ops.average_pool, inputs)


class AveragePooling1D(_AveragePooling):
    __doc__ = f"The mean of each window of a sequence; padding does not count.{_LOCAL}"
    rank = 1


class AveragePooling2D(_AveragePooling):
    __doc__ = f"The mean of each window of an image; padding does not count.{_LOCAL}"
    rank = 2


class AveragePooling3D(_AveragePooling):
    __doc__ = f"The mean of each window of a volume; padding does not count.{_LOCAL}"
    rank = 3


_GLOBAL = """

    Args:
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        keepdims: whether the pooled axes stay, with size 1.

    Input shape: `(batch, *space, channels)`, channels second if they come first.
    """


class _GlobalPooling(ConfiguredLayer):
    rank: int

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep(data_format=data_format, keepdims=keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def _axes(self) -> tuple[int, ...]:
        return spatial_axes(self.data_format, self.rank)


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    __doc__ = f"The largest value over all timesteps.{_GLOBAL}"
    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    __doc__ = f"The largest value over a whole image.{_GLOBAL}"
    rank = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    __doc__ = f"The largest value over a whole volume.{_GLOBAL}"
    rank = 3


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(_GlobalAveragePooling):
    __doc__ = f"The mean over all timesteps that a mask leaves.{_GLOBAL}"
    rank = 1

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        kept = ops.cast(mask, ops.dtype(inputs))
        kept = ops.expand_dims(kept, 2 if self.data_format == "channels_last" else 1)
        total = ops.sum(ops.multiply(inputs, kept), axis=self._axes, keepdims=self.keepdims)
        return ops.divide(total, ops.sum(kept, axis=self._axes, keepdims=self.keepdims))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


class GlobalAveragePooling2D(_GlobalAveragePooling):
    __doc__ = f"The mean over a whole image.{_GLOBAL}"
    rank = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    __doc__ = f"The mean over a whole volume.{_GLOBAL}"
    rank = 3


_ADAPTIVE = """

    Args:
        output_size: size of the output, an integer or one for each spatial axis.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.

    Input shape: `(batch, *space, channels)`, channels second if they come first.
    """
_SIZES = {1: "(length,)", 2: "(height, width)", 3: "(depth, height, width)"}


class _AdaptivePooling(ConfiguredLayer):
    rank: int

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(output_size, int):
            sizes = (output_size,) * self.rank
        elif isinstance(output_size, list | tuple) and len(output_size) == self.rank:
            sizes = tuple(output_size)
        else:
            raise TypeError(
                f"`output_size` must be an integer or {_SIZES[self.rank]} tuple. "
                f"Received: {output_size} of type {type(output_size)}"
            )
        self._keep(output_size=sizes, data_format=data_format)


class _AdaptiveMaxPooling(_AdaptivePooling):
    def call(self, inputs: Any) -> Any:
        return ops.adaptive_max_pool(inputs, self.output_size, data_format=self.data_format)


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    __doc__ = f"The largest values of a sequence cut into a given number of parts.{_ADAPTIVE}"
    rank = 1


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    __doc__ = f"The largest values of an image cut into a given number of parts.{_ADAPTIVE}"
    rank = 2


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    __doc__ = f"The largest values of a volume cut into a given number of parts.{_ADAPTIVE}"
    rank = 3


class _AdaptiveAveragePooling(_AdaptivePooling):
    def call(self, inputs: Any) -> Any:
        return ops.adaptive_average_pool(inputs, self.output_size, data_format=self.data_format)


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    __doc__ = f"The means of a sequence cut into a given number of parts.{_ADAPTIVE}"
    rank = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    __doc__ = f"The means of an image cut into a given number of parts.{_ADAPTIVE}"
    rank = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    __doc__ = f"The means of a volume cut into a given number of parts.{_ADAPTIVE}"
    rank = 3
