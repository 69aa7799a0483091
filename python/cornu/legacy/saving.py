"""The functions of configs, where older programs look for them."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__, {"cornu.saving": "deserialize_keras_object serialize_keras_object"}
)
