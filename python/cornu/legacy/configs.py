"""Configs that Keras 2 wrote, told as Keras 3 tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cornu import initializers
from cornu.legacy.graphs import modern_graph

# Arguments that Keras 3 no longer has, by class; "*" is every class. Those whose value could
# matter are only dropped at the value that says nothing.
_DROPPED = {
    "*": "time_major implementation batch_input_shape build_input_shape input_dtype input_length "
    "noise_shape:None rng_type:stateful",
    "BatchNormalization": "fused virtual_batch_size adjustment",
    "Bidirectional": "go_backwards return_sequences",
    "MultiHeadAttention": "query_shape key_shape value_shape softmax_robust_masking",
    "Lambda": "module function_type output_shape_type output_shape_module",
    **{f"Conv{rank}DTranspose": "groups:1" for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": "groups:1" for rank in (1, 2)},
    **{
        f"SeparableConv{rank}D": "groups:1 kernel_initializer kernel_regularizer kernel_constraint"
        for rank in (1, 2)
    },
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), "noise_shape"),
}
_RENAMED_CLASSES = {
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Model": "Functional",
    "ThresholdedReLU": "ReLU",
}
_RENAMED_ARGUMENTS = {
    "ThresholdedReLU": {"theta": "threshold"},
    "LeakyReLU": {"alpha": "negative_slope"},
}
# The classes of which Keras 2 keeps a list of axes where Keras 3 wants one.
_ONE_AXIS = ("BatchNormalization",)
# Functions by the names that they had. `hard_sigmoid` computes something else in Keras 3.
_ACTIVATIONS = {
    "hard_sigmoid": "keras2>hard_sigmoid",
    "softmax_v2": "softmax",
    "swish": "silu",
}
_OPTIMIZERS = {
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lion", "Nadam"),
    *("LossScaleOptimizer", "RMSprop", "SGD"),
}
_OF_OPTIMIZERS = ("jit_compile", "is_legacy_optimizer", "decay")


def is_old(version: Any) -> bool:
    """Returns whether a file's `keras_version` is one before 3; files of Keras 1 have none."""
    text = version.decode("utf-8") if isinstance(version, bytes) else version
    return text is None or (isinstance(text, str) and text.split(".")[0] in ("0", "1", "2"))


def modern(config: Any) -> Any:
    """Returns a config of Keras 2 as one of Keras 3.

    Args:
        config: of a layer, a model, an optimizer, a loss or a metric, or a structure of such.

    Raises:
        ValueError: if it asks for what Keras 3 can't do.
    """
    if isinstance(config, list | tuple):
        return [modern(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") == "Sequential":
        config = _with_input(config)
    told = {key: modern(value) for key, value in config.items()}
    if isinstance(told.get("class_name"), str) and isinstance(told.get("config"), dict):
        return _modern_object(told)
    return told


def _modern_object(told: dict[str, Any]) -> dict[str, Any]:
    name = told["class_name"].removeprefix("Custom>")
    inner = told["config"]
    if not isinstance(inner, dict):
        return told
    translate = _TRANSLATIONS.get(name)
    if translate is not None:
        told = {**told, "class_name": name, "config": inner}
        return translate(told)
    if name in _OPTIMIZERS:
        inner = _optimizer(inner)
        return {**told, "class_name": name, "config": inner, "registered_name": name}
    if inner.get("reduction") == "auto":
        inner["reduction"] = "sum_over_batch_size"
    if {"reduction", "fn"} <= inner.keys():
        inner.pop("fn")
    _rename(name, inner)
    if name == "MultiHeadAttention":  # tells one shape of three
        told.pop("build_config", None)
    name = _RENAMED_CLASSES.get(name, name)
    return {**told, "class_name": name, "config": inner}


def _rename(name: str, inner: dict[str, Any]) -> None:
    """Changes the arguments of a layer to those of Keras 3, in place."""
    if inner.get("time_major"):
        raise ValueError(f"Layer {inner.get('name')!r}: `time_major=True` has no place in Keras 3")
    for entry in f"{_DROPPED['*']} {_DROPPED.get(name, '')}".split():
        key, _, value = entry.partition(":")
        if key in inner and (not value or str(inner[key]) == value):
            inner.pop(key)
    for old, new in _RENAMED_ARGUMENTS.get(name, {}).items():
        if old in inner:
            inner[new] = inner.pop(old)
    axis = inner.get("axis")
    if name in _ONE_AXIS and isinstance(axis, list) and len(axis) == 1:
        inner["axis"] = axis[0]
    for key, value in inner.items():
        if "activation" in key and isinstance(value, str):
            inner[key] = _ACTIVATIONS.get(value, value)
    if hasattr(initializers, name):
        inner.pop("dtype", None)


def _optimizer(inner: dict[str, Any]) -> dict[str, Any]:
    rate, decay = inner.get("learning_rate", inner.pop("lr", 0.001)), inner.get("decay")
    if decay:
        schedule = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
        rate = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": schedule,
            "registered_name": None,
        }
    elif isinstance(rate, Mapping) and "module" not in rate:
        rate = {**rate, "module": "keras.optimizers.schedules", "registered_name": None}
    if isinstance(rate, Mapping) and rate["config"].get("name", "") is None:
        rate["config"].pop("name")
    kept = {key: value for key, value in inner.items() if key not in _OF_OPTIMIZERS}
    return {**kept, "learning_rate": rate}


def _input_layer(told: dict[str, Any]) -> dict[str, Any]:
    inner = told["config"]
    if "batch_input_shape" in inner:
        inner["batch_shape"] = inner.pop("batch_input_shape")
    inner.pop("build_input_shape", None)
    return told


def _with_input(config: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the layer of the input where the first layer's config tells its shape."""
    inner = config["config"]
    if isinstance(inner, list):  # the first Sequential models
        inner = {"name": config.get("name"), "layers": inner}
    layers = inner.get("layers") or []
    first = layers[0].get("config") if layers and isinstance(layers[0], Mapping) else None
    shape = first.get("batch_input_shape") if isinstance(first, Mapping) else None
    if shape is not None and layers[0].get("class_name") != "InputLayer":
        told = {"batch_shape": shape, "name": f"{first.get('name', 'first')}_input"}
        if layers[0].get("class_name") == "Embedding":
            told["dtype"] = "int32"
        layers = [{"class_name": "InputLayer", "config": told}, *layers]
    return {**config, "config": {**inner, "layers": layers}}


def _sequential(told: dict[str, Any]) -> dict[str, Any]:
    told["config"].pop("build_input_shape", None)
    return told


def _wrapped_function(told: dict[str, Any]) -> Any:
    """Tells the function of a loss or metric as a function."""
    inner = told["config"]
    if inner.get("reduction") == "auto":
        inner["reduction"] = "sum_over_batch_size"
    if isinstance(inner.get("fn"), str):
        inner["fn"] = {
            "module": "builtins",
            "class_name": "function",
            "config": inner["fn"],
            "registered_name": "function",
        }
    return told


_TRANSLATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "InputLayer": _input_layer,
    "Sequential": _sequential,
    "Functional": modern_graph,
    "Model": modern_graph,
    "MeanMetricWrapper": _wrapped_function,
    "LossFunctionWrapper": _wrapped_function,
}
