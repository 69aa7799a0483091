"""Configs as Keras 2 wrote them: a class and its config, without a module."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cornu import saving


def serialize_keras_object(instance: Any) -> Any:
    """Returns an object as `{"class_name": ..., "config": ...}`, a function as its name.

    Raises:
        ValueError: if the object tells no config and has no name.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        name = saving.get_registered_name(type(instance))
        return {"class_name": name, "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return saving.get_registered_name(instance)
    raise ValueError(f"Cannot serialize {instance} because it doesn't implement `get_config()`.")


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """Returns the object of what `serialize_keras_object` gave, or of a name.

    Args:
        identifier: a name, a config, or an object, which is returned as it is.
        module_objects: classes and functions by name.
        custom_objects: a program's own classes and functions by name.
        printable_module_name: what such an object is called in errors.

    Raises:
        ValueError: if the name is not known, or the config is none.
    """
    if not isinstance(identifier, str | Mapping):
        return identifier
    config: Any = None
    name = identifier
    if isinstance(identifier, Mapping):
        if "class_name" not in identifier or "config" not in identifier:
            raise ValueError(
                f"Improper config format for {identifier}. Expecting python dict contains "
                "`class_name` and `config` as keys"
            )
        name, config = identifier["class_name"], identifier["config"]
    found = saving.get_registered_object(name, custom_objects, module_objects)
    if found is None:
        raise ValueError(
            f"Unknown {printable_module_name}: '{name}'. Please ensure you are using a "
            "`keras.utils.custom_object_scope` and that this object is included in the scope."
        )
    if not inspect.isclass(found):
        return found
    if config is None:
        return found()
    with saving.custom_object_scope(custom_objects or {}):
        if hasattr(found, "from_config"):
            return found.from_config(dict(config))
        return found(**config)
