"""Classes that are one function with its arguments kept, as most losses and metrics are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar


class FunctionArguments:
    """Gives a subclass a constructor that takes one function's arguments.

    A subclass is declared with the class keywords

    - `function`: the function;
    - `name`: the default name, the function's own unless given;
    - `arguments`: the function's arguments with their defaults. The base class's own
      arguments come after them (or before, with `_base_first`); to place one elsewhere, name
      it here with the value `...`;
    - `quiet`: arguments that Keras leaves out of configs. They are written only when they
      differ from their default, so that nothing is lost.
    """

    _base: ClassVar[dict[str, Any]]
    _base_first: ClassVar[bool] = False
    _function: ClassVar[Callable[..., Any]]
    _signature: ClassVar[inspect.Signature]
    _quiet: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls,
        function: Callable[..., Any] | None = None,
        name: str | None = None,
        arguments: dict[str, Any] | None = None,
        quiet: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if function is None:
            return
        arguments = arguments or {}
        base = {**cls._base, "name": name or function.__name__}
        first, then = (base, arguments) if cls._base_first else (arguments, base)
        if any(key in arguments for key in base):
            first, then = arguments, base
        defaults = {key: base.get(key, arguments.get(key)) for key in {**first, **then}}
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        cls._signature = cls.__signature__ = inspect.Signature(
            [inspect.Parameter(key, kind, default=value) for key, value in defaults.items()]
        )
        cls._function = staticmethod(function)
        cls._quiet = quiet

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """All arguments of a constructor's call, by name."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}.__init__() {error}") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _arguments_config(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The function's arguments, as far as a config names them."""
        parameters = self._signature.parameters
        return {
            key: value
            for key, value in arguments.items()
            if key not in self._quiet or value != parameters[key].default
        }
