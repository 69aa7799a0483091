"""Names that are given automatically, and the scopes that make up paths."""

import re
import threading
from collections import defaultdict
from typing import Any


class _Names(threading.local):
    def __init__(self) -> None:
        self.used: defaultdict[str, int] = defaultdict(int)
        self.scopes: list[name_scope] = []


_names = _Names()


def to_snake_case(name: str) -> str:
    """Returns a class name as a variable's name: `"LayerNorm2D"` gives `"layer_norm2d"`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """Returns a name that was not given yet: `"dense"`, then `"dense_1"`, and so on."""
    prefix = to_snake_case(prefix)
    used = _names.used[prefix]
    _names.used[prefix] = used + 1
    return f"{prefix}_{used}" if used else prefix


def get_uid(prefix: str = "") -> int:
    """Returns how often `prefix` was asked for, this time included."""
    _names.used[prefix] += 1
    return _names.used[prefix]


def forget_names() -> None:
    """Starts the automatic names anew."""
    _names.used.clear()


def checked_name(name: Any) -> str:
    """Returns `name` if it can be part of a path.

    Raises:
        ValueError: if it is no string or holds a slash.
    """
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            "Argument `name` must be a string and cannot contain character `/`. "
            f"Received: name={name}"
        )
    return name


class name_scope:
    """Prefixes the paths of the variables that are created inside.

    Args:
        name: the prefix.
        caller: whose scope it is; entered twice in a row by one caller, it counts once. A layer's
            scope opens where the layer was first used.
        deduplicate: whether it does.
        override_parent: a path to use in place of the path of the enclosing scopes.

    >>> with name_scope("block"):
    ...     Variable(1.0, name="scale").path
    'block/scale'
    """

    def __init__(
        self,
        name: str,
        caller: Any = None,
        deduplicate: bool = True,
        override_parent: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = checked_name(name)
        self.caller = caller
        self.deduplicate = deduplicate
        if override_parent is None and deduplicate:
            override_parent = getattr(caller, "_parent_path", None)
        self.override_parent = override_parent
        self._entered: list[bool] = []

    def __enter__(self) -> "name_scope":
        scopes = _names.scopes
        last = scopes[-1] if scopes else None
        repeated = (
            self.deduplicate
            and last is not None
            and self.caller is not None
            and last.caller is self.caller
            and last.name == self.name
        )
        self._entered.append(not repeated)
        if not repeated:
            scopes.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._entered.pop():
            _names.scopes.pop()


def current_path() -> str:
    """Returns the names of the open scopes, joined by slashes."""
    parts: list[str] = []
    for scope in _names.scopes:
        if scope.override_parent is not None:
            parts = [scope.override_parent] if scope.override_parent else []
        parts.append(scope.name)
    return "/".join(parts)
