"""Regularizers by name."""

from typing import Any

from cornu.identifiers import Identifiers
from cornu.regularizers.regularizers import L1, L1L2, L2, OrthogonalRegularizer

_IDENTIFIERS = Identifiers(
    "regularizer",
    {
        "L1": L1,
        "L1L2": L1L2,
        "L2": L2,
        "OrthogonalRegularizer": OrthogonalRegularizer,
        "l1": L1,
        "l1_l2": L1L2,
        "l1l2": L1L2,
        "l2": L2,
        "orthogonal_regularizer": OrthogonalRegularizer,
    },
)
get = _IDENTIFIERS.get
deserialize = _IDENTIFIERS.deserialize


def serialize(regularizer: Any) -> Any:
    """Returns the config of a regularizer, as `deserialize` takes it."""
    return _IDENTIFIERS.serialize(regularizer)
