"""What `get`, `serialize` and `deserialize` of a namespace such as `keras.losses` do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from cornu import saving


def public_objects(module: ModuleType) -> dict[str, Any]:
    """The public classes and functions that a module defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", None) == module.__name__
    }


class Identifiers:
    """The objects of one namespace, found by name, config, class or instance.

    Args:
        kind: What an object is called in errors: `"loss"`.
        objects: The built-in classes and functions by every name they answer to.
        fold: Normalises a name before it is looked up, `str.lower` for instance.
        wants: Whether an object that is neither name, config nor class is accepted.
    """

    def __init__(
        self,
        kind: str,
        objects: Mapping[str, Any],
        fold: Callable[[str], str] = str,
        wants: Callable[[Any], bool] = callable,
    ) -> None:
        self.kind = kind
        self.objects = dict(objects)
        self.fold = fold
        self.wants = wants

    def get(self, identifier: Any) -> Any:
        """The object that a name, a config, a class or an instance stands for.

        Raises:
            ValueError: Nothing is known by this identifier.
        """
        if identifier is None:
            return None
        found = identifier
        if isinstance(identifier, (str, Mapping)):
            found = self.deserialize(identifier)
        if inspect.isclass(found):
            found = found()
        if isinstance(found, (str, Mapping)) or not self.wants(found):
            raise self._unknown(identifier)
        return found

    def serialize(self, value: Any) -> Any:
        """The config of an object, as `deserialize` takes it."""
        return saving.serialize_keras_object(value)

    def deserialize(
        self, config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """The object of a name or a config.

        Raises:
            ValueError: Nothing is known by this name.
        """
        if isinstance(config, str):
            return self._named(config, custom_objects)
        # Configs of Keras 2 name no module; nor do lambdas, arrays and the like.
        name = config.get("class_name")
        if isinstance(name, str) and name[:2] != "__" and not config.get("module"):
            cls = self._named(name, custom_objects)
            return (
                cls.from_config(dict(config.get("config") or {})) if inspect.isclass(cls) else cls
            )
        return saving.deserialize_keras_object(dict(config), custom_objects=custom_objects)

    def _named(self, name: str, custom_objects: Mapping[str, Any] | None) -> Any:
        found = saving.get_registered_object(name, custom_objects=custom_objects)
        if found is None:
            found = self.objects.get(self.fold(name))
        if found is None:
            raise self._unknown(name)
        return found

    def _unknown(self, identifier: Any) -> ValueError:
        return ValueError(f"Could not interpret {self.kind} identifier: {identifier}")
