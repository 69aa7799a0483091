"""Lets `import keras` in other packages find Cornu; `python -m cornu.as_keras` runs a script so."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import runpy
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import cornu
from cornu.legacy.modules import PLACES, View

# Where Keras stands: as a package of its own, and inside TensorFlow.
_ROOTS = ("keras", "tensorflow.keras", "tensorflow.python.keras")
# Parts of paths that say nothing about the place: `keras.src.layers` is `keras.layers`.
_SILENT = ("src", "api", "_tf_keras", "_v1", "_v2", "keras")
# What the private modules of Keras are called that stand elsewhere here.
_PRIVATE = {
    "argument_validation": "layers.configured",
    "backend": "config",
    "compile_utils": "training.compile",
    "node": "ops.operation",
    "trainers": "training",
    "trainer": "training.trainer",
    "data_adapters": "utils",
    "engine": "models layers",
    "common": "backend",
    "tracking": "tracking",
    "naming": "naming",
}
# The modules in the private packages of Keras; `*` where each module holds a class or two.
_MODULES = {
    "": "engine legacy trainers",
    "activations": "activations",
    "applications": "*",
    "backend": "common config",
    "backend.common": (
        "backend_utils dtypes global_state keras_tensor masking name_scope remat stateless_scope "
        "symbolic_scope tensor_attributes variables"
    ),
    "callbacks": "*",
    "constraints": "constraints",
    "datasets": "*",
    "distillation": "*",
    "distribution": "distribution_lib",
    "dtype_policies": "dtype_policy dtype_policy_map",
    "engine": "*",
    "export": "export_lib export_utils saved_model",
    "initializers": "constant_initializers initializer initializers random_initializers",
    "layers": (
        "activations attention convolutional core input_spec layer merging normalization pooling "
        "preprocessing regularization reshaping rnn"
    ),
    "layers.activations": "*",
    "layers.attention": "*",
    "layers.convolutional": "*",
    "layers.core": "*",
    "layers.merging": "*",
    "layers.normalization": "*",
    "layers.pooling": "*",
    "layers.preprocessing": "*",
    "layers.preprocessing.image_preprocessing": "*",
    "layers.preprocessing.image_preprocessing.bounding_boxes": "*",
    "layers.regularization": "*",
    "layers.reshaping": "*",
    "layers.rnn": "*",
    "legacy": "backend layers losses preprocessing saving",
    "legacy.preprocessing": "image sequence text",
    "legacy.saving": "json_utils legacy_h5_format saving_options saving_utils serialization",
    "losses": "loss losses",
    "metrics": "*",
    "mixed_precision": "*",
    "models": "*",
    "ops": (
        "core einops function image linalg math nn node numpy operation operation_utils "
        "symbolic_arguments"
    ),
    "optimizers": "*",
    "optimizers.schedules": "*",
    "quantizers": "*",
    "random": "random seed_generator",
    "regularizers": "regularizers",
    "saving": (
        "file_editor keras_saveable legacy object_registration orbax_util saving_api saving_lib "
        "serialization_lib"
    ),
    "saving.legacy": "*",
    "trainers": "compile_utils data_adapters epoch_iterator trainer",
    "trainers.data_adapters": (
        "array_data_adapter array_slicing data_adapter data_adapter_utils generator_data_adapter "
        "grain_dataset_adapter py_dataset_adapter tf_dataset_adapter torch_data_loader_adapter"
    ),
    "tree": "tree_api",
    "utils": (
        "argument_validation audio_dataset_utils backend_utils code_stats config dataset_utils "
        "dtype_utils file_utils grain_utils image_dataset_utils image_utils io_utils jax_layer "
        "jax_utils model_visualization module_utils naming numerical_utils progbar python_utils "
        "rng_utils sequence_utils summary_utils text_dataset_utils tf_utils "
        "timeseries_dataset_utils torch_utils traceback_utils tracking"
    ),
    "visualization": "*",
    "wrappers": "fixes sklearn_wrapper utils",
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of Keras, and of TensorFlow if wanted, among Cornu's."""

    tensorflow = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        root = fullname.partition(".")[0]
        if root == "keras" or (root == "tensorflow" and self.tensorflow):
            if _module(fullname) is not None:
                return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
            raise ModuleNotFoundError(f"Cornu has no module {fullname!r}", name=fullname)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import statement looks here for what it gives: the module itself, not a copy.
        sys.modules[module.__name__] = _module(module.__name__)

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context
    ) -> Iterable[importlib.metadata.Distribution]:
        if context.name == "keras":
            yield _Distribution()


class _Distribution(importlib.metadata.Distribution):
    """What `importlib.metadata` tells about the package `keras`."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: keras\nVersion: {cornu.__version__}\n"

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


def _module(fullname: str) -> ModuleType | None:
    """Returns the module that a name of Keras or TensorFlow stands for, None if there is none."""
    if fullname == "tensorflow":
        return importlib.import_module("cornu.legacy.tensorflow")
    root = max((r for r in _ROOTS if f"{fullname}.".startswith(f"{r}.")), key=len, default=None)
    if root is None:
        return _of_tensorflow(fullname)
    words = fullname.removeprefix(root).split(".")[1:]
    private = "src" in words or "engine" in words or root.endswith("python.keras")
    words = [word for word in words if word not in _SILENT]
    if not words:
        # What is imported from a private package becomes an attribute of it, not of Cornu.
        return View(fullname, ("cornu",)) if private else cornu
    place = ".".join(words)
    if place in PLACES:
        sources = [f"cornu.{source}" for source in PLACES[place].split()]
        return View(fullname, (*sources, *_existing([place])))
    found = _existing([place])
    if found and not private:
        return importlib.import_module(found[0])
    if not found and not _is_private_module(words):
        return None  # it may be the name of something in a module
    # A private module shows the names of the nearest modules that are here.
    nearest = [".".join(words[:size]) for size in range(len(words), 0, -1)]
    homes = _existing([name for word in words for name in _PRIVATE.get(word, "").split()])
    sources = (*_existing(nearest), *homes)
    return View(fullname, (*sources, "cornu")) if private and sources else None


def _is_private_module(words: Sequence[str]) -> bool:
    *package, name = words
    known = _MODULES.get(".".join(package), "")
    plain = name == name.lower() and not name.startswith("_")
    return plain if known == "*" else name in known.split()


def _existing(places: Iterable[str]) -> list[str]:
    names = [f"cornu.{place}" for place in places]
    return [name for name in names if _exists(name)]


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _of_tensorflow(fullname: str) -> ModuleType | None:
    if fullname == "tensorflow.python":
        return View(fullname, ("cornu.legacy.tensorflow",))
    found: Any = importlib.import_module("cornu.legacy.tensorflow")
    for word in fullname.split(".")[1:]:
        found = getattr(found, word, None)
    return found if isinstance(found, ModuleType) else None


_finder = _Finder()


def install_as_keras(tensorflow: bool = False) -> None:
    """Lets `import keras`, here and in every package that is imported later, find Cornu.

    Modules that Keras 2 had, and the private ones under `keras.src` that packages use, are found
    too. Call it before anything imports Keras.

    Args:
        tensorflow: whether `import tensorflow` finds a small module with `tf.keras` and the
            functions that code around Keras uses.

    Raises:
        RuntimeError: if the real package is imported already.

    >>> cornu.install_as_keras()
    >>> import keras
    >>> keras.layers.Dense is cornu.layers.Dense
    True
    """
    for name, own in (("keras", "cornu"), ("tensorflow", "cornu.legacy.tensorflow")):
        loaded = sys.modules.get(name)
        wanted = name == "keras" or tensorflow
        if wanted and loaded is not None and loaded.__name__ != own:
            raise RuntimeError(
                f"`{name}` is imported already, from {getattr(loaded, '__file__', None)}. Call "
                "`cornu.install_as_keras()` before anything imports it."
            )
    _finder.tensorflow = _finder.tensorflow or tensorflow
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def main(arguments: Sequence[str]) -> None:
    """Runs a script, or a module after `-m`, for which `import keras` finds Cornu.

    Args:
        arguments: `[--tensorflow] script.py ...` or `[--tensorflow] -m module ...`.
    """
    arguments = list(arguments)
    tensorflow = arguments[:1] == ["--tensorflow"]
    if tensorflow:
        del arguments[0]
    if not arguments or arguments == ["-m"]:
        raise SystemExit("usage: python -m cornu.as_keras [--tensorflow] script.py | -m module ...")
    install_as_keras(tensorflow=tensorflow)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    # This file runs as a module of its own: the finder is that of the package's.
    importlib.import_module("cornu.as_keras").main(sys.argv[1:])
