"""What an initializer is."""

from __future__ import annotations

from typing import Any


class Initializer:
    """A callable that makes the initial value of a weight.

    A subclass defines `__call__(shape, dtype=None)` and, if it has arguments, `get_config`.
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The initial value.

        Args:
            shape: The shape of the weight.
            dtype: Its dtype; `floatx` by default.

        Returns:
            A tensor of that shape.
        """
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such an initializer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """An initializer of these arguments."""
        return cls(**config)

    def clone(self) -> Initializer:
        """An initializer of the same arguments."""
        return self.__class__.from_config(self.get_config())
