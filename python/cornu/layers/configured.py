"""What the layers of the catalogue share: arguments parsed once and told by `get_config`."""

from collections.abc import Callable, Iterable
from typing import Any

from cornu import activations, constraints, initializers, regularizers, saving
from cornu.config import standardize_data_format
from cornu.layers.layer import Layer

# The last word of an argument's name says how it is parsed and how a config tells it.
_KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "activation": (activations.get, activations.serialize),
    "initializer": (initializers.get, initializers.serialize),
    "regularizer": (regularizers.get, regularizers.serialize),
    "constraint": (constraints.get, constraints.serialize),
    "format": (standardize_data_format, str),
    "config": (saving.deserialize_keras_object, saving.serialize_keras_object),
}
_WEIGHT_ARGUMENTS = ("initializer", "regularizer", "constraint")


def _kind(name: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    return _KINDS.get(name.rpartition("_")[2])


class ConfiguredLayer(Layer):
    """A layer whose constructor arguments are attributes and make up its config."""

    _kept: tuple[str, ...] = ()

    def _keep(self, **arguments: Any) -> None:
        """Sets each argument as an attribute and makes it part of the config.

        Activations, initializers, regularizers, constraints and data formats are parsed: they
        are known by the last word of their names.
        """
        self._kept = self._kept + tuple(arguments)
        for name, value in arguments.items():
            kind = _kind(name)
            setattr(self, name, kind[0](value) if kind else value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain data."""
        config = super().get_config()
        for name in self._kept:
            value, kind = getattr(self, name), _kind(name)
            config[name] = kind[1](value) if kind and value is not None else value
        return config

    def _add(
        self, name: str, shape: Iterable[int], arguments: str | None = None, **kwargs: Any
    ) -> Any:
        """Adds the weight that the arguments `{name}_initializer`, ... describe.

        Args:
            name: name of the weight.
            shape: its shape.
            arguments: what the names of the arguments begin with, if not with `name`.
            kwargs: more arguments of `add_weight`.
        """
        described = {
            word: getattr(self, f"{arguments or name}_{word}", None) for word in _WEIGHT_ARGUMENTS
        }
        return self.add_weight(name=name, shape=tuple(shape), **described, **kwargs)


def standardize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """Returns `n` integers from one integer or an iterable of them.

    Raises:
        ValueError: if there are not `n` of them, one is no integer or one is not positive.
    """
    expected = f"The `{name}` argument must be a tuple of {n} integers. Received {name}={value}"
    if isinstance(value, int):
        values = (value,) * n
    else:
        try:
            values = tuple(value)
        except TypeError:
            raise ValueError(expected) from None
        if len(values) != n:
            raise ValueError(expected)
        for element in values:
            try:
                int(element)
            except (ValueError, TypeError):
                raise ValueError(
                    f"{expected}, including element {element} of type {type(element)}"
                ) from None
        values = tuple(int(element) for element in values)
    refused = {element for element in values if element < 0 or (element == 0 and not allow_zero)}
    if refused:
        bound = ">= 0" if allow_zero else "> 0"
        raise ValueError(
            f"{expected}, including values {refused} that do not satisfy `value {bound}`"
        )
    return values


def standardize_padding(value: Any, causal: bool = False) -> Any:
    """Returns the padding in lower case: `"valid"`, `"same"`, `"causal"` where allowed.

    Raises:
        ValueError: for any other word.
    """
    if isinstance(value, list | tuple):
        return value
    allowed = ("valid", "same", "causal") if causal else ("valid", "same")
    padding = value.lower()
    if padding not in allowed:
        words = ", ".join(f"'{word}'" for word in allowed)
        raise ValueError(
            f"The `padding` argument must be a list/tuple or one of {{{words}}}. "
            f"Received: {padding}"
        )
    return padding


def channel_axis(data_format: str) -> int:
    """Returns the axis of the channels of a batch."""
    return -1 if data_format == "channels_last" else 1


def spatial_axes(data_format: str, rank: int) -> tuple[int, ...]:
    """Returns the axes of a batch that are neither samples nor channels."""
    first = 1 if data_format == "channels_last" else 2
    return tuple(range(first, first + rank))
