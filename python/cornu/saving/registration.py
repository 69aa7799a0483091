"""A program's own classes and functions, by the names that files know them by."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.objects: list[Mapping[str, Any]] = []


_scopes = _Scopes()


class CustomObjectScope:
    """Makes classes and functions known to deserialization while it is entered.

    Args:
        custom_objects: classes and functions by the names that configs use.

    >>> with CustomObjectScope({"double": lambda x: 2 * x}):
    ...     keras.activations.get("double")(3)
    6
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = custom_objects or {}

    def __enter__(self) -> CustomObjectScope:
        _scopes.objects.append(self.custom_objects)
        return self

    def __exit__(self, *error: Any) -> None:
        _scopes.objects.pop()


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """Returns the registered classes and functions by name; changing the dict registers."""
    return _registered


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Decorates a class or function so that files can name it.

    Args:
        package: prefix of the name.
        name: the name, else that of the class or function.

    Raises:
        ValueError: if a class has no `get_config`.

    >>> @register_keras_serializable("my_package")
    ... class Scale(keras.layers.Layer):
    ...     pass
    >>> get_registered_name(Scale)
    'my_package>Scale'
    """

    def decorate(value: Any) -> Any:
        if inspect.isclass(value) and not hasattr(value, "get_config"):
            raise ValueError("Cannot register a class that does not have a get_config() method.")
        full = f"{package}>{name if name is not None else value.__name__}"
        _registered[full] = value
        _names[value] = full
        return value

    return decorate


def get_registered_name(obj: Any) -> str:
    """Returns the name that a class or function is registered by, else its own."""
    return _names.get(obj, getattr(obj, "__name__", str(obj)))


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Returns the class or function of that name, None if there is none.

    Args:
        name: registered name, or a name in one of the tables.
        custom_objects: a table that is asked after the scopes and the registered ones.
        module_objects: a table that is asked last.
    """
    for table in (*reversed(_scopes.objects), _registered, custom_objects, module_objects):
        if table and name in table:
            return table[name]
    return None
