"""Public names that are imported when they are first used (PEP 562)."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def attach(
    package: str, exports: dict[str, str], submodules: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Returns `(__getattr__, __dir__, __all__)` for a package that loads its names lazily.

    Args:
        package: name of the package, `__name__`.
        exports: the names that each module gives, as `{"module": "Name other_name alias=name"}`;
            the module is relative to the package (`".layer"`) or absolute.
        submodules: names of submodules that are attributes of the package.

    Example:

    >>> __getattr__, __dir__, __all__ = attach(__name__, {".variable": "Variable"})
    """
    homes: dict[str, tuple[str, str | None]] = {
        name: (f".{name}", None) for name in submodules.split()
    }
    for module, names in exports.items():
        for entry in names.split():
            name, _, source = entry.partition("=")
            homes[name] = (module, source or name)

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home, attribute = homes[name]
        try:
            value = importlib.import_module(home, package)
        except ModuleNotFoundError as error:
            if error.name != importlib.util.resolve_name(home, package):
                raise  # something that the module needs is not installed
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        if attribute is not None:
            value = getattr(value, attribute)
        setattr(sys.modules[package], name, value)
        return value

    public = sorted(homes)
    return load, lambda: public, public
