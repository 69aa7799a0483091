"""A dict of settings with attributes."""

import json
from collections.abc import Iterator
from typing import Any


class Config:
    """Settings that are attributes and items alike, and may be frozen.

    Args:
        kwargs: the settings.

    >>> config = Config(depth=3)
    >>> config.width = 64
    >>> config["width"]
    64
    """

    def __init__(self, **kwargs: Any) -> None:
        self.__dict__["_config"] = kwargs
        self.__dict__["_frozen"] = False

    @property
    def frozen(self) -> bool:
        """Whether settings can't be changed."""
        return self.__dict__["_frozen"]

    def _check_mutable(self) -> None:
        if self.frozen:
            raise ValueError("Cannot mutate attribute(s) because the config is frozen.")

    def freeze(self) -> None:
        """Makes changes an error."""
        self.__dict__["_frozen"] = True

    def unfreeze(self) -> None:
        """Allows changes again."""
        self.__dict__["_frozen"] = False

    def as_dict(self) -> dict[str, Any]:
        """Returns a copy of the settings as a dict."""
        return dict(self._config)

    def to_json(self) -> str:
        """Returns the settings as JSON."""
        return json.dumps(self._config)

    def get(self, keyname: str, value: Any = None) -> Any:
        """Returns a setting, `value` if there is none."""
        return self._config.get(keyname, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Changes settings as `dict.update` does."""
        self._check_mutable()
        self._config.update(*args, **kwargs)

    def pop(self, *args: Any) -> Any:
        """Takes a setting away as `dict.pop` does."""
        self._check_mutable()
        return self._config.pop(*args)

    def keys(self) -> Any:
        """Returns the names."""
        return self._config.keys()

    def values(self) -> Any:
        """Returns the values."""
        return self._config.values()

    def items(self) -> Any:
        """Returns the names with the values."""
        return self._config.items()

    def __getattr__(self, name: str) -> Any:
        config = self.__dict__.get("_config", {})
        if name in config:
            return config[name]
        raise AttributeError(f"Unknown attribute: '{name}'.")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._config:
            raise AttributeError(f"Unknown attribute: '{name}'.")
        del self[name]

    def __getitem__(self, name: str) -> Any:
        return self._config[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._check_mutable()
        self._config[name] = value

    def __delitem__(self, name: str) -> None:
        self._check_mutable()
        del self._config[name]

    def __contains__(self, name: str) -> bool:
        return name in self._config

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
