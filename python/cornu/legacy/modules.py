"""Modules of Keras 2 that Keras 3 has no more, as views of those that took over their names."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

# What the modules of Keras 2 are called, and where their names are found now.
PLACES = {
    "engine": "layers models",
    "engine.base_layer": "layers",
    "engine.functional": "models",
    "engine.input_layer": "layers",
    "engine.input_spec": "layers",
    "engine.network": "models",
    "engine.sequential": "models",
    "engine.topology": "layers models",
    "engine.training": "models",
    "layers.advanced_activations": "layers",
    "layers.convolutional": "layers",
    "layers.convolutional_recurrent": "layers",
    "layers.core": "layers",
    "layers.cudnn_recurrent": "layers",
    "layers.embeddings": "layers",
    "layers.experimental": "layers",
    "layers.experimental.preprocessing": "layers",
    "layers.local": "layers",
    "layers.merge": "layers",
    "layers.noise": "layers",
    "layers.normalization": "layers",
    "layers.pooling": "layers",
    "layers.recurrent": "layers",
    "layers.wrappers": "layers",
    "mixed_precision.experimental": "mixed_precision",
    "optimizers.schedules.learning_rate_schedule": "optimizers.schedules",
    "utils.conv_utils": "utils",
    "utils.data_utils": "utils",
    "utils.generic_utils": "utils saving",
    "utils.io_utils": "utils",
    "utils.layer_utils": "utils",
    "utils.np_utils": "utils",
    "utils.training_utils": "utils",
    "utils.vis_utils": "utils",
}


# What Keras's private modules call what has another name here.
_OTHER_NAMES = {
    "BaseOptimizer": ("cornu.optimizers", "Optimizer"),
    "any_symbolic_tensors": ("cornu.ops.symbolic", "any_symbolic"),
    "load_weights_only": ("cornu.saving", "load_weights"),
    "save_weights_only": ("cornu.saving", "save_weights"),
}


class View(ModuleType):
    """A module that shows the names of others.

    Args:
        name: name of the module.
        sources: names of the modules, the first that has a name gives it.
    """

    def __init__(self, name: str, sources: tuple[str, ...]) -> None:
        super().__init__(name, f"The names of {', '.join(sources)}.")
        self.__dict__["__path__"] = []
        self.__dict__["_sources"] = sources

    def __getattr__(self, name: str) -> Any:
        for source in self._sources:
            module = importlib.import_module(source)
            if not name.startswith("__") and hasattr(module, name):
                return getattr(module, name)
        if name in _OTHER_NAMES:
            home, other = _OTHER_NAMES[name]
            return getattr(importlib.import_module(home), other)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({name for s in self._sources for name in dir(importlib.import_module(s))})

    @property
    def __all__(self) -> list[str]:
        """What a star import takes: the whole package's names only where nothing is nearer."""
        nearest = [source for source in self._sources if source != "cornu"] or self._sources
        modules = [importlib.import_module(source) for source in nearest]
        return sorted({name for module in modules for name in _public(module)})


def _public(module: ModuleType) -> list[str]:
    return getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]


def view(place: str) -> View:
    """Returns the module that Keras 2 has at a place such as `"layers.core"`."""
    sources = tuple(f"cornu.{source}" for source in PLACES[place].split())
    return View(f"cornu.{place}", sources)


def __getattr__(name: str) -> Any:
    """Gives `layers_experimental` and the like: views named by their places."""
    place = name.replace("_", ".", 1)
    if place not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = view(place)
    if place == "layers.experimental":
        found.preprocessing = view("layers.experimental.preprocessing")
    return found
