"""Bounds that weights are brought back to after each step: `keras.constraints`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".constraints": (
            "Constraint MaxNorm max_norm=MaxNorm MinMaxNorm min_max_norm=MinMaxNorm NonNeg "
            "non_neg=NonNeg UnitNorm unit_norm=UnitNorm"
        ),
        ".registry": "deserialize get serialize",
    },
)
