"""Which methods stand for what a subclass of `Layer` has not defined."""

from typing import Any

_DEFAULTS: dict[str, set[Any]] = {}


def mark_default(cls: type, *names: str) -> None:
    """Says that these methods of `cls` stand for what a subclass has not defined."""
    for name in names:
        _DEFAULTS.setdefault(name, set()).add(getattr(cls, name))


def is_default(layer: Any, name: str) -> bool:
    """Returns whether the class of a layer leaves a method as it is."""
    return getattr(type(layer), name) in _DEFAULTS[name]
