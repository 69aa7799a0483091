"""Constraints by name."""

from typing import Any

from cornu.constraints.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from cornu.identifiers import Identifiers

_IDENTIFIERS = Identifiers(
    "constraint",
    {
        "MaxNorm": MaxNorm,
        "MinMaxNorm": MinMaxNorm,
        "NonNeg": NonNeg,
        "UnitNorm": UnitNorm,
        "max_norm": MaxNorm,
        "min_max_norm": MinMaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
    },
)
get = _IDENTIFIERS.get
deserialize = _IDENTIFIERS.deserialize


def serialize(constraint: Any) -> Any:
    """Returns the config of a constraint, as `deserialize` takes it."""
    return _IDENTIFIERS.serialize(constraint)
