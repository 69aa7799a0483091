"""Images in any layout as batches with the channels last, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import config
from cornu._cornu import Tensor
from cornu.ops.convolution import channels_last, laid_out
from cornu.ops.manipulation import expand_dims, squeeze
from cornu.ops.promotion import as_tensor


def on_batch(
    function: Callable[[Tensor], Tensor], images: Any, data_format: str | None, rank: int = 2
) -> Tensor:
    """`function` of one image or several, given to it as `(batch, *spatial, channels)`.

    Raises:
        ValueError: the images have a wrong number of axes.
    """
    data_format = config.standardize_data_format(data_format)
    images = as_tensor(images)
    if images.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"Invalid images rank: expected rank {rank + 1} (single image) or rank {rank + 2} "
            f"(batch of images). Received: images.shape={tuple(images.shape)}"
        )
    single = images.ndim == rank + 1
    batch = expand_dims(images, 0) if single else images
    result = laid_out(function(channels_last(batch, data_format)), data_format)
    return squeeze(result, 0) if single else result
