"""Initializers by name."""

from typing import Any

from cornu.identifiers import Identifiers
from cornu.initializers import constants, draws
from cornu.initializers.initializer import Initializer

_CLASSES = {
    name: value
    for module in (constants, draws)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Initializer) and not name.startswith("_")
}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


_NAMES = {
    **_CLASSES,
    **{_snake(name): cls for name, cls in _CLASSES.items()},
    "stft": constants.STFT,
    "IdentityInitializer": constants.Identity,
    "OrthogonalInitializer": draws.Orthogonal,
    "STFTInitializer": constants.STFT,
    "normal": draws.RandomNormal,
    "one": constants.Ones,
    "uniform": draws.RandomUniform,
    "zero": constants.Zeros,
}

_IDENTIFIERS = Identifiers("initializer", _NAMES)
get = _IDENTIFIERS.get
deserialize = _IDENTIFIERS.deserialize


def serialize(initializer: Any) -> Any:
    """Returns the config of an initializer, as `deserialize` takes it."""
    return _IDENTIFIERS.serialize(initializer)
