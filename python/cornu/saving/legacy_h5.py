"""Whole models, and weights, in Keras's older `.h5` format."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from cornu.saving.archive import new_h5, open_h5
from cornu.saving.homes import home
from cornu.saving.serialization import (
    ObjectSharingScope,
    deserialize_keras_object,
    model_of_config,
    of_any_age,
    parsed_config,
    serialize_keras_object,
)
from cornu.saving.weights import Store, open_group, read_array, size_limit
from cornu.variable import first_values_put_off

_BACKEND = "jax"
_KERAS_VERSION = "3.15.0"
# An attribute of an HDF5 object holds less than 64 KiB: longer lists of names are cut into several.
_ATTRIBUTE_BYTES = 64512


def save_model(model: Any, file: Any, include_optimizer: bool = True) -> None:
    """Writes a model into an open binary file.

    Raises:
        ValueError: if the model is subclassed: this format has no word for its structure.
    """
    from cornu.models import Sequential
    from cornu.models.functional import Functional

    if not isinstance(model, Functional | Sequential):
        raise NotImplementedError(
            "Saving the model to HDF5 format requires the model to be a Functional model or a "
            "Sequential model. It does not work for subclassed models, because such models are "
            "defined via the body of a Python method, which isn't safely serializable. Consider "
            "saving to the `.keras` format or using `save_weights`."
        )
    with new_h5(file) as h5:
        h5.attrs["keras_version"] = _KERAS_VERSION
        h5.attrs["backend"] = _BACKEND
        h5.attrs["model_config"] = json.dumps(_model_config(model))
        _save_layers(h5.create_group("model_weights"), model)
        optimizer = getattr(model, "optimizer", None)
        if include_optimizer and optimizer is not None and model.compiled:
            h5.attrs["training_config"] = json.dumps(_training_config(model))
            group = h5.create_group("optimizer_weights")
            names = [_variable_path(variable) for variable in optimizer.variables]
            _save_arrays(group, names, optimizer.variables)


def _model_config(model: Any) -> dict[str, Any]:
    """Returns a model's config as this format has it.

    The outer model is told by its class alone. What it contains keeps its modules: by classes
    alone, readers mistake an op for the layer of that name.
    """
    with ObjectSharingScope():
        return _class_and_config(model)


def _class_and_config(obj: Any) -> dict[str, Any]:
    config = serialize_keras_object(obj)
    name = config["class_name"] if home(type(obj)) else config["registered_name"]
    return {"class_name": name, "config": config["config"]}


def _training_config(model: Any) -> dict[str, Any]:
    config = dict(model.get_compile_config() or {})
    config.pop("optimizer", None)
    config["optimizer_config"] = _class_and_config(model.optimizer)
    return config


def _variable_path(variable: Any) -> str:
    return getattr(variable, "path", None) or variable.name


def _save_layers(group: Any, model: Any) -> None:
    layers = _layers(model)
    _save_names(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = _BACKEND
    group.attrs["keras_version"] = _KERAS_VERSION
    for layer in layers:
        weights = _ordered_weights(layer)
        _save_arrays(
            group.create_group(layer.name), [_variable_path(weight) for weight in weights], weights
        )
    own = _own_variables(model)
    top = group.create_group("top_level_model_weights")
    _save_arrays(top, [_variable_path(variable) for variable in own], own)


def _layers(model: Any) -> list[Any]:
    return [layer for layer in model.layers if hasattr(layer, "weights")]


def _ordered_weights(layer: Any) -> list[Any]:
    """Returns a layer's weights in this format's order: the trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _save_arrays(group: Any, names: list[str], variables: list[Any]) -> None:
    _save_names(group, "weight_names", names)
    for name, variable in zip(names, variables, strict=True):
        Store(group)[name] = variable.numpy()


def _save_names(group: Any, attribute: str, names: list[str]) -> None:
    encoded = [name.encode("utf-8") for name in names]
    if sum(len(name) for name in encoded) + 16 * len(encoded) <= _ATTRIBUTE_BYTES:
        group.attrs[attribute] = encoded if encoded else np.array([], dtype="float64")
        return
    longest = max(len(name) for name in encoded)
    each = max(1, _ATTRIBUTE_BYTES // longest)
    for chunk, start in enumerate(range(0, len(encoded), each)):
        group.attrs[f"{attribute}{chunk}"] = encoded[start : start + each]


def _names(group: Any, attribute: str) -> list[str]:
    """Reads a list of names, whole or in chunks."""
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        found, chunk = [], 0
        while f"{attribute}{chunk}" in group.attrs:
            found += list(group.attrs[f"{attribute}{chunk}"])
            chunk += 1
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in found]


def load_model(
    path: str, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
) -> Any:
    """Reads a whole model.

    Raises:
        ValueError: if the file holds no model.
    """
    with open_h5(path) as file, first_values_put_off():
        stored = file.attrs.get("model_config")
        if stored is None:
            raise ValueError(f"No model config found in the file at {path}.")
        version = file.attrs.get("keras_version")
        config = parsed_config(_text(stored), path)
        model = model_of_config(config, version, path, custom_objects, safe_mode)
        group = open_group(file, "model_weights")
        if group is None:
            raise KeyError(f"{path} holds no group 'model_weights'")
        limit = size_limit(os.path.getsize(path))
        _load_layers(group, model, limit)
        training = file.attrs.get("training_config")
        if compile and training is not None:
            training = of_any_age(parsed_config(_text(training), path), version)
            _compile(model, training, custom_objects, safe_mode)
            state = open_group(file, "optimizer_weights")
            if state is not None:
                _load_optimizer(state, model, limit)
        elif compile:
            warnings.warn(
                "No training configuration found in the save file, so the model was *not* "
                "compiled. Compile it manually.",
                stacklevel=3,
            )
    return model


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _compile(model: Any, config: dict[str, Any], custom_objects: Any, safe_mode: bool) -> None:
    from cornu import optimizers

    config = {**config}
    optimizer = optimizers.deserialize(
        config.pop("optimizer_config"), custom_objects=custom_objects
    )
    arguments = {
        key: deserialize_keras_object(value, custom_objects=custom_objects, safe_mode=safe_mode)
        for key, value in config.items()
        if key in ("loss", "metrics", "loss_weights", "weighted_metrics")
    }
    model.compile(optimizer=optimizer, **arguments)
    optimizer.build(model.trainable_variables)


def _read_arrays(group: Any, limit: int) -> list[np.ndarray]:
    return [read_array(group, name, limit) for name in _names(group, "weight_names")]


def _load_optimizer(group: Any, model: Any, limit: int) -> None:
    arrays = _read_arrays(group, limit)
    names = _names(group, "weight_names")
    if names and names[0].endswith("/iter:0"):
        # Keras 2's older optimizers keep a slot of all weights, then the next slot.
        count = len(model.trainable_variables)
        slots = [arrays[start : start + count] for start in range(1, len(arrays), count)]
        arrays = [arrays[0], *(array for each in zip(*slots, strict=False) for array in each)]
    try:
        model.optimizer.load_own_variables({str(i): array for i, array in enumerate(arrays)})
    except ValueError as error:
        warnings.warn(
            "Error in loading the saved optimizer state. As a result, your model is starting with "
            f"a freshly initialized optimizer: {error}",
            stacklevel=4,
        )


def _own_variables(model: Any) -> list[Any]:
    return [*model._trainable_variables, *model._non_trainable_variables]


def _load_layers(group: Any, model: Any, limit: int, skip_mismatch: bool = False) -> None:
    """Reads weights layer by layer, in the order in which both have layers with weights."""
    layers = [layer for layer in _layers(model) if _ordered_weights(layer)]
    names = [name for name in _names(group, "layer_names") if _weight_count(group, name)]
    if len(names) != len(layers):
        raise ValueError(
            "Layer count mismatch when loading weights from file. "
            f"Model expected {len(layers)} layers, found {len(names)} saved layers."
        )
    for layer, name in zip(layers, names, strict=True):
        arrays = _read_arrays(open_group(group, name), limit)
        what = f"layer {layer.name!r} (named {name!r} in the save file)"
        _assign(_ordered_weights(layer), arrays, what, skip_mismatch)
    _load_top(group, model, limit, skip_mismatch)


def _load_top(group: Any, model: Any, limit: int, skip_mismatch: bool, skip: bool = False) -> None:
    top = open_group(group, "top_level_model_weights")
    if top is not None:
        arrays = _read_arrays(top, limit)
        _assign(_own_variables(model), arrays, "top-level weights", skip_mismatch, skip)


def _weight_count(group: Any, name: str) -> int:
    layer = open_group(group, name)
    if layer is None:
        raise KeyError(f"The HDF5 file names the layer {name!r} but does not hold it")
    return len(_names(layer, "weight_names"))


def _assign(
    variables: list[Any],
    arrays: list[Any],
    what: str,
    skip_shapes: bool = False,
    skip_counts: bool = False,
) -> None:
    """Sets variables to arrays; what doesn't fit is an error, or a warning if it may be skipped."""
    if len(variables) != len(arrays):
        message = (
            f"Weight count mismatch for {what}. Layer expects {len(variables)} weight(s). "
            f"Received {len(arrays)} saved weight(s)"
        )
        if not skip_counts:
            raise ValueError(message)
        warnings.warn(f"Skipping loading of weights: {message}", stacklevel=5)
        return
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            message = (
                f"Shape mismatch in {what} for weight {_variable_path(variable)}. Weight expects "
                f"shape {tuple(variable.shape)}. Received saved weight with shape {array.shape}"
            )
            if not skip_shapes:
                raise ValueError(message)
            warnings.warn(f"Skipping loading of weights: {message}", stacklevel=5)
            continue
        variable.assign(array)


def load_weights(model: Any, path: str, skip_mismatch: bool, by_name: bool) -> None:
    """Reads the weights of a whole-model `.h5` file, or of a weights file of Keras 2.

    Raises:
        ValueError: if they don't fit the model.
    """
    with open_h5(path) as file:
        group = file if "layer_names" in file.attrs else open_group(file, "model_weights") or file
        limit = size_limit(os.path.getsize(path))
        if not by_name:
            _load_layers(group, model, limit, skip_mismatch)
            return
        layers = {layer.name: layer for layer in _layers(model)}
        for name in _names(group, "layer_names"):
            if name in layers:
                stored = open_group(group, name)
                arrays = [] if stored is None else _read_arrays(stored, limit)
                what = f"layer {name!r}"
                variables = _ordered_weights(layers[name])
                _assign(variables, arrays, what, skip_mismatch, skip_mismatch)
        _load_top(group, model, limit, skip_mismatch, skip_mismatch)
