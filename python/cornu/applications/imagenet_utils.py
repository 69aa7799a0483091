"""Inputs and outputs of the models that were trained on ImageNet."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from cornu import config, ops

_INDEX = (
    "imagenet_class_index.json",
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    "c2c37ea517e94d9795004a39431a14cb",
)
# For each way to prepare images: whether channels come as blue, green, red; what they are divided
# by; the mean and the deviation of each.
_MODES = {
    "caffe": (True, 1.0, [103.939, 116.779, 123.68], [1.0, 1.0, 1.0]),
    "tf": (False, 127.5, [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
    "torch": (False, 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Prepares images of values from 0 to 255 for a model.

    Args:
        x: an image or a batch, with three channels; it is not changed.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        mode: `"caffe"` (blue, green, red, without their means), `"tf"` (from -1 to 1) or
            `"torch"` (from 0 to 1, then mean 0 and deviation 1).

    Returns:
        An array if `x` is one, else a tensor.

    Raises:
        ValueError: for an unknown mode or data format.
    """
    if mode not in _MODES:
        raise ValueError(
            f"Expected mode to be one of `caffe`, `tf` or `torch`. Received: mode={mode}"
        )
    data_format = _checked_format(data_format)
    backward, divisor, mean, deviation = _MODES[mode]
    array = isinstance(x, np.ndarray)
    if array:
        x = x.astype(x.dtype if x.dtype.kind == "f" else config.floatx())
    elif not str(ops.convert_to_tensor(x).dtype if not hasattr(x, "dtype") else x.dtype).startswith(
        ("float", "bfloat")
    ):
        x = ops.cast(x, config.floatx())
    axis = -1 if data_format == "channels_last" else -3
    if backward:
        x = np.flip(x, axis) if array else ops.flip(x, axis=axis)
    shape = (3,) if axis == -1 else (3, 1, 1)
    mean, deviation = (
        np.asarray(numbers, str(x.dtype) if array else "float32").reshape(shape)
        for numbers in (mean, deviation)
    )
    return (x / divisor - mean) / deviation


def _checked_format(data_format: str | None) -> str:
    if data_format is None:
        return config.image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            "Expected data_format to be one of `channels_first` or `channels_last`. "
            f"Received: data_format={data_format}"
        )
    return data_format


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """Names the classes of ImageNet that a model gives the highest scores.

    Args:
        preds: scores of shape `(samples, 1000)`.
        top: how many classes are named for each sample.

    Returns:
        For each sample a list of `(class_name, class_description, score)`, the best first.

    Raises:
        ValueError: for scores of another shape.
    """
    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != 1000:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape "
            f"(samples, 1000)). Received array with shape: {preds.shape}"
        )
    from cornu.utils import get_file

    name, url, digest = _INDEX
    with open(get_file(name, url, cache_subdir="models", file_hash=digest)) as file:
        classes = json.load(file)
    return [
        [(*classes[str(i)], scores[i]) for i in np.argsort(scores)[::-1][:top]] for scores in preds
    ]


def preprocessing(mode: str | None) -> Callable[..., Any]:
    """Returns the `preprocess_input` of a model: of a mode, or one that changes nothing."""

    def preprocess_input(x: Any, data_format: str | None = None) -> Any:
        """Prepares images of values from 0 to 255 for the model."""
        if mode is None:
            return x
        return _in_mode(x, data_format=data_format, mode=mode)

    return preprocess_input


_in_mode = preprocess_input
