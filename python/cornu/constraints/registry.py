"""Constraints by name."""

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
serialize = _IDENTIFIERS.serialize
deserialize = _IDENTIFIERS.deserialize
