"""Objects as plain data and back, in Keras 3's own form."""

from __future__ import annotations

import inspect
import json
import threading
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from cornu.saving.homes import EXPORTED_NAMES, find_class, find_function, find_operation, home
from cornu.saving.registration import (
    CustomObjectScope,
    get_registered_name,
    get_registered_object,
)

_PLAIN = (str, int, float, bool, type(None))


class _SafeMode(threading.local):
    def __init__(self) -> None:
        self.stack: list[bool] = []


_safe_mode = _SafeMode()


class SafeModeScope:
    """Says whether code in configs is refused, while it is entered."""

    def __init__(self, safe_mode: bool) -> None:
        self.safe_mode = safe_mode

    def __enter__(self) -> None:
        _safe_mode.stack.append(self.safe_mode)

    def __exit__(self, *error: Any) -> None:
        _safe_mode.stack.pop()


def in_safe_mode() -> bool:
    """Returns whether a config is being read that may neither run code nor read files."""
    return bool(_safe_mode.stack) and _safe_mode.stack[-1]


class _Sharing(threading.local):
    def __init__(self) -> None:
        # By identity: the object, which thus stays alive, and its config.
        self.configs: dict[int, tuple[Any, dict[str, Any]]] | None = None
        self.objects: dict[Any, Any] | None = None


_sharing = _Sharing()


class ObjectSharingScope:
    """Makes an object that occurs in several places of a config one object again."""

    def __enter__(self) -> None:
        self._outer = _sharing.configs, _sharing.objects
        _sharing.configs, _sharing.objects = {}, {}

    def __exit__(self, *error: Any) -> None:
        _sharing.configs, _sharing.objects = self._outer


_SHARED = "shared_object_id"


def _mark_shared(obj: Any, config: dict[str, Any]) -> None:
    if _sharing.configs is None:
        return
    first = _sharing.configs.setdefault(id(obj), (obj, config))[1]
    if first is not config:
        config[_SHARED] = first[_SHARED] = id(obj)


def serialize_keras_object(obj: Any) -> Any:
    """Returns an object as data for JSON.

    Args:
        obj: a Keras object, function, tensor, array, number, string, or a structure of these.

    Raises:
        TypeError: if the object tells no config.

    >>> serialize_keras_object(keras.regularizers.L2(0.5))["config"]
    {'l2': 0.5}
    """
    from cornu.tensor import Tensor

    if isinstance(obj, np.generic) and not isinstance(obj, _PLAIN):
        return obj.item()
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, list | tuple):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, slice):
        config = {name: serialize_keras_object(getattr(obj, name)) for name in _SLICE}
        return {"class_name": "__slice__", "config": config}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.ndarray | Tensor):
        kind = "__numpy__" if isinstance(obj, np.ndarray) else "__tensor__"
        array = np.asarray(obj)
        return {
            "class_name": kind,
            "config": {"value": array.tolist(), "dtype": array.dtype.name},
        }
    if type(obj).__name__ == "KerasTensor":
        history = getattr(obj, "_keras_history", None)
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(obj.shape),
                "dtype": obj.dtype,
                "keras_history": list(history) if history else None,
            },
        }
    if isinstance(obj, types.FunctionType) and obj.__name__ == "<lambda>":
        return _lambda_config(obj)
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return {
            "module": "builtins",
            "class_name": "function",
            "config": get_registered_name(obj) if obj.__name__ else str(obj),
            "registered_name": "function",
        }
    if inspect.isclass(obj):
        if hasattr(obj, "get_config"):
            raise TypeError(f"A class cannot be serialized, only its instances: {obj}")
        return {
            "module": "builtins",
            "class_name": "type",
            "config": obj.__name__,
            "registered_name": "type",
        }
    if hasattr(obj, "get_config"):
        return _object_config(obj)
    if hasattr(obj, "__name__"):
        return get_registered_name(obj)
    raise TypeError(
        f"Cannot serialize object {obj} of type {type(obj)}. To be serializable, a class must "
        "implement the `get_config()` method."
    )


_SLICE = ("start", "stop", "step")


def _lambda_config(function: types.FunctionType) -> dict[str, Any]:
    import base64
    import marshal

    code = base64.encodebytes(marshal.dumps(function.__code__)).decode("ascii")
    closure = function.__closure__
    cells = None if closure is None else [cell.cell_contents for cell in closure]
    return {
        "class_name": "__lambda__",
        "config": {
            "code": code,
            "defaults": serialize_keras_object(function.__defaults__),
            "closure": serialize_keras_object(cells),
        },
    }


def _object_config(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    place = home(cls)
    name = get_registered_name(cls)
    if place is None or name != cls.__name__:
        module, registered = None if cls.__module__ == "__main__" else cls.__module__, name
    else:
        module, registered = place
    config: dict[str, Any] = {
        "module": module,
        "class_name": cls.__name__
        if place is None
        else EXPORTED_NAMES.get(cls.__name__, cls.__name__),
        "config": serialize_keras_object(obj.get_config()),
        "registered_name": registered,
    }
    for key, method in (
        ("build_config", "get_build_config"),
        ("compile_config", "get_compile_config"),
    ):
        tell = getattr(obj, method, None)
        told = tell() if tell is not None else None
        if told is not None:
            config[key] = serialize_keras_object(told)
    _mark_shared(obj, config)
    return config


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool | None = True,
    **kwargs: Any,
) -> Any:
    """Returns the object that `serialize_keras_object` made data of.

    Names are looked up among Keras's own classes and functions, the registered ones and
    `custom_objects`; nothing is imported.

    Args:
        config: the data.
        custom_objects: classes and functions by the names that the config uses.
        safe_mode: False accepts a stored lambda whose name is in `custom_objects`.

    Raises:
        TypeError: if a class or function is not known.
        ValueError: if the data hold code.
    """
    if safe_mode is None:
        safe_mode = _safe_mode.stack[-1] if _safe_mode.stack else True
    with CustomObjectScope(custom_objects), SafeModeScope(safe_mode):
        return _revive(config)


# A config is nested as deep as models in models are; Python's stack allows a little more.
_DEPTH = 200


def parsed_config(text: str | bytes, source: str) -> dict[str, Any]:
    """Returns a config that stands in a file as JSON.

    Args:
        text: the JSON.
        source: what errors call the file.

    Raises:
        ValueError: if it is no JSON, no object, or nested too deep.
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: the config is no JSON: {error}") from error
    level, depth = [[config]], 0
    while level:
        if depth > _DEPTH:
            raise ValueError(f"{source}: the config is nested more than {_DEPTH} deep")
        members = [x for values in level for x in values if isinstance(x, dict | list)]
        level = [x.values() if isinstance(x, dict) else x for x in members]
        depth += 1
    if not isinstance(config, dict):
        raise ValueError(
            f"{source}: the config must be a JSON object, but is a {type(config).__name__}"
        )
    return config


# What a config of another structure than it should have leads to.
_BROKEN = (AttributeError, IndexError, KeyError, RecursionError, StopIteration)


def of_any_age(config: dict[str, Any], version: Any) -> dict[str, Any]:
    """Returns a config as Keras 3 tells it.

    Args:
        config: what a file holds.
        version: of the Keras that wrote it, None for the first ones.

    Raises:
        ValueError: if it is broken.
    """
    from cornu.legacy.configs import is_old, modern

    if not is_old(version):
        return config
    try:
        return modern(config)
    except (*_BROKEN, TypeError) as error:
        raise ValueError(f"The config, which Keras 2 wrote, is broken: {error!r}") from error


def model_of_config(
    config: dict[str, Any], version: Any, source: str, custom_objects: Any, safe_mode: bool
) -> Any:
    """Returns the model of a config in a file.

    Args:
        config: the config.
        version: of the Keras that wrote it.
        source: what errors call the file.
        custom_objects: classes and functions of one's own by name.
        safe_mode: whether code and files that the config names are refused.

    Raises:
        ValueError: if the config is broken, or makes no model.
    """
    config = of_any_age(config, version)
    try:
        with ObjectSharingScope():
            model = deserialize_keras_object(config, custom_objects, safe_mode=safe_mode)
    except _BROKEN as error:
        raise ValueError(f"{source}: the config is broken: {error!r}") from error
    if not hasattr(model, "load_own_variables"):
        raise ValueError(f"{source}: its config makes no model, but {model!r}")
    return model


def _revive(config: Any) -> Any:
    if isinstance(config, str):
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, list | tuple):
        return type(config)(_revive(item) for item in config)
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _revive(value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise TypeError(f"The class of an object must be named by a string, but came as {name!r}")
    special = _SPECIAL.get(name)
    if special is not None:
        return special(inner)
    module, registered = config.get("module"), config.get("registered_name") or name
    if not isinstance(module, str | None) or not isinstance(registered, str):
        raise TypeError(f"'module' and 'registered_name' must be strings: {dict(config)}")
    if module == "builtins" and name == "function":
        return _function(inner, config)
    if module == "builtins" and name == "type":
        return np.dtype(str(inner)).type
    return _instance(module, name, registered, config)


def _function(name: Any, config: Mapping) -> Any:
    found = get_registered_object(str(name))
    if found is None:
        found = find_function(str(name))
    if found is None:
        raise TypeError(_not_located("function", str(name), config))
    return found


def _not_located(kind: str, name: str, config: Mapping) -> str:
    return (
        f"Could not locate {kind} '{name}'. Make sure custom classes and functions are decorated "
        "with `@keras.saving.register_keras_serializable()`, or pass them as "
        f"`custom_objects={{'{name}': ...}}`. If they are already decorated, make sure they are "
        "all imported so that the decorator is run before trying to load them. "
        f"Full object config: {dict(config)}"
    )


def _instance(module: str | None, name: str, registered: str, config: Mapping) -> Any:
    shared = config.get(_SHARED)
    if _sharing.objects is not None and isinstance(shared, int | str):
        if shared not in _sharing.objects:
            _sharing.objects[shared] = _new_instance(module, name, registered, config)
        return _sharing.objects[shared]
    return _new_instance(module, name, registered, config)


def _new_instance(module: str | None, name: str, registered: str, config: Mapping) -> Any:
    cls = get_registered_object(registered)
    if cls is None:
        cls = get_registered_object(name)
    if cls is None and not module and "inbound_nodes" in config:
        cls = _operation_of_node(name, config["config"])
    if cls is None:
        cls = find_class(module or "keras", name)
    if cls is None and module and module.partition(".")[0] == "keras":
        raise ValueError(
            f"Could not deserialize '{module}.{name}' because it is not a KerasSaveable subclass: "
            f"there is no such class. Full object config: {dict(config)}"
        )
    if cls is None:
        raise TypeError(_not_located("class", name, config))
    if inspect.isfunction(cls):
        return cls
    if not hasattr(cls, "from_config"):
        raise TypeError(
            f"Unable to reconstruct an instance of '{name}' because the class is missing a "
            f"`from_config()` method. Full object config: {dict(config)}"
        )
    inner = config["config"]
    if not isinstance(inner, Mapping):
        raise TypeError(f"The config of '{name}' must be a dict, but is {inner!r}")
    try:
        instance = cls.from_config(dict(inner))
    except TypeError as error:
        raise TypeError(
            f"{cls} could not be deserialized properly. Please ensure that components that are "
            "Python object instances (layers, models, etc.) returned by `get_config()` are "
            "explicitly deserialized in the model's `from_config()` method.\n\n"
            f"config={dict(config)}.\n\nException encountered: {error}"
        ) from error
    build_config = config.get("build_config")
    if build_config and not getattr(instance, "built", True):
        instance.build_from_config(build_config)
    compile_config = config.get("compile_config")
    if compile_config:
        instance.compile_from_config(compile_config)
    return instance


def _operation_of_node(name: str, inner: Any) -> Any:
    """Returns the class of a call of an op in a graph whose config names no module.

    An op often has the name of a layer, but it has no `trainable`.
    """
    if not isinstance(inner, Mapping) or {"trainable", "batch_shape"} & inner.keys():
        return None
    return find_operation(name)


def _revive_tensor(inner: Mapping) -> Any:
    from cornu import ops

    return ops.convert_to_tensor(np.array(inner["value"]), dtype=inner["dtype"])


def _revive_keras_tensor(inner: Mapping) -> Any:
    from cornu.ops.symbolic import KerasTensor

    return KerasTensor(tuple(inner["shape"]), dtype=inner["dtype"])


def _refuse_code(inner: Any) -> Any:
    raise ValueError(
        "Requested the deserialization of a Python lambda. Its code is stored in the file, and "
        "code in files is never run: define the function in your program and pass it as "
        "`custom_objects`, or register it with `@keras.saving.register_keras_serializable()`."
    )


_SPECIAL = {
    "__tensor__": _revive_tensor,
    "__numpy__": lambda inner: np.array(inner["value"], dtype=inner["dtype"]),
    "__keras_tensor__": _revive_keras_tensor,
    "__bytes__": lambda inner: inner["value"].encode("utf-8"),
    "__ellipsis__": lambda inner: Ellipsis,
    "__slice__": lambda inner: slice(*(_revive(inner[name]) for name in _SLICE)),
    "__lambda__": _refuse_code,
}
