"""Layers that mirror images."""

from typing import Any

from cornu import ops, random
from cornu.layers.configured import ConfiguredLayer, spatial_axes


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
