"""Layers that change the sizes of images."""

from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer, spatial_axes


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
