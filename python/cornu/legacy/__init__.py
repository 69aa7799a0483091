"""Spellings of Keras 2 and tf.keras that programs still have."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {".names": "variable_name variable_names"},
    submodules="backend saving",
)
