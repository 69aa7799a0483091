"""Where Keras keeps each class: the module that a config names, and back."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

# The packages of Cornu whose classes configs may name, and what Keras calls them.
_PACKAGES = {
    "constraints": "keras.constraints",
    "distillation": "keras.distillation",
    "dtype_policies": "keras",
    "initializers": "keras.initializers",
    "layers": "keras.layers",
    "losses": "keras.losses",
    "metrics": "keras.metrics",
    "models": "keras",
    "optimizers": "keras.optimizers",
    "quantizers": "keras.quantizers",
    "random": "keras.random",
    "regularizers": "keras.regularizers",
}
# Classes that stand elsewhere than the rest of their package.
_CLASSES = {"Functional": ("keras.src.models.functional", "Functional")}
# The classes of `utils.feature_space` and what configs call their homes.
_FEATURES = "keras.src.layers.preprocessing.feature_space"
_FEATURE_CLASSES = {
    "FeatureSpace": ("keras.utils", None),
    **{name: (_FEATURES, name) for name in ("Cross", "Feature", "TFDConcat", "TFDIdentity")},
}
# Layers that only models of `applications` use, and the modules that have them.
_APPLICATION_LAYERS = {"CustomScaleLayer": "inception_resnet_v2", "LayerScale": "convnext"}
# Classes that Keras exports under another name than their own.
EXPORTED_NAMES = {"GroupedQueryAttention": "GroupQueryAttention"}
# Calls of TensorFlow's functions in models of Keras 2.
_TENSORFLOW_OPS = ("TFOpLambda", "SlicingOpLambda")
# The packages whose functions configs may name.
_FUNCTIONS = ("activations", "losses", "metrics", "initializers", "ops")


def home(cls: type) -> tuple[str, str | None] | None:
    """Returns Keras's module of a class of Cornu and the registered name that configs give it.

    Returns None for a class that is a program's own.
    """
    root, _, rest = cls.__module__.partition(".")
    if cls.__module__.startswith("keras.src.ops."):
        return cls.__module__, cls.__name__
    if root != "cornu":
        return None
    package, _, module = rest.partition(".")
    if cls.__name__ in _CLASSES and package == "models":
        return _CLASSES[cls.__name__]
    if rest == "utils.feature_space":
        return _FEATURE_CLASSES.get(cls.__name__)
    if package == "applications":
        return f"keras.src.{rest}", cls.__name__
    if package == "optimizers" and module == "schedules":
        return "keras.optimizers.schedules", None
    return (_PACKAGES[package], None) if package in _PACKAGES else None


def _packages_of(module: str) -> list[str]:
    """Returns the packages of Cornu that a module name in a config may mean."""
    parts = module.replace("tensorflow.keras", "keras").replace("tf_keras", "keras").split(".")
    if parts[0] not in ("keras", "keras_core", "cornu"):
        return []
    words = [part for part in parts[1:] if part not in ("src", "api", "_tf_keras", "engine")]
    if "schedules" in words:
        return ["optimizers.schedules"]
    named = [word for word in words[:1] if word in _PACKAGES]
    return named or ["models", "layers", *[p for p in _PACKAGES if p not in ("models", "layers")]]


def find_class(module: str, name: str) -> type | None:
    """Returns the class of Cornu that a config means, None if there is none."""
    if not name.isidentifier() or name.startswith("_"):
        return None
    if module.startswith("keras.src.ops."):
        from cornu.ops.operation import operation_class

        return operation_class(module, name)
    if module.startswith("keras.src.applications.") and name in _APPLICATION_LAYERS:
        return getattr(
            importlib.import_module(f"cornu.applications.{_APPLICATION_LAYERS[name]}"), name
        )
    if name == "Functional":
        from cornu.models.functional import Functional

        return Functional
    if _FEATURE_CLASSES.get(name, ("",))[0] == module:
        from cornu.utils import feature_space

        return getattr(feature_space, name)
    if name in _TENSORFLOW_OPS:
        return getattr(importlib.import_module("cornu.legacy.tensorflow_ops"), name)
    for package in _packages_of(module):
        try:
            namespace = importlib.import_module(f"cornu.{package}")
        except ModuleNotFoundError:
            continue
        found = getattr(namespace, name, None)
        if inspect.isclass(found) and hasattr(found, "from_config"):
            return found
    return None


def find_operation(name: str) -> type | None:
    """Returns the class of calls of a function of `ops`, None if no module of ops has one."""
    from cornu.ops.keras_names import MODULES
    from cornu.ops.operation import operation_class

    found = (operation_class(f"keras.src.ops.{module}", name) for module in MODULES)
    return next(filter(None, found), None)


def find_function(name: str) -> Any:
    """Returns the function of Cornu that a config means, None if there is none."""
    if not name.isidentifier() or name.startswith("_") or name in ("get", "serialize"):
        return None
    for package in _FUNCTIONS:
        found = getattr(importlib.import_module(f"cornu.{package}"), name, None)
        if inspect.isfunction(found) and name != "deserialize":
            return found
    return None
