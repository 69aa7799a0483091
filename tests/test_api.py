"""The public API is that of the installed Keras: every symbol, and every call that it accepts."""

import importlib
import inspect
import pkgutil

import pytest

import cornu
from reference import keras

_JAX = "wraps or serves JAX"
_HOOK = "a hook of Keras's own backends"
_STEP = "a step of Keras's own computation"

# What is deliberately absent, and why.
ABSENT = {
    "layers.FlaxLayer": _JAX,
    "layers.JaxLayer": _JAX,
}
ABSENT_METHODS = {
    "compute_loss_and_updates": _JAX,
    "convert_weight": _HOOK,
    "get_clipped_bbox": _STEP,
    "get_elastic_transform_params": _STEP,
    "get_shifted_bbox": _STEP,
    "get_transformed_x_y": _STEP,
    "inner_loop": _HOOK,
    "callbacks.OrbaxCheckpoint.is_multihost_enabled": _JAX,
    "callbacks.OrbaxCheckpoint.is_primary_host": _JAX,
    "callbacks.OrbaxCheckpoint.wait_until_finished": _JAX,
    "callbacks.TensorBoard.summary": "the module `tf.summary`",
    "jax_state_sync": _JAX,
    "stateless_compute_loss": _JAX,
}
# Classes and methods whose parameters differ, and why.
OTHER_PARAMETERS = {
    **{
        f"layers.RandomGrayscale.transform_{what}": "named otherwise than in its base"
        for what in ("bounding_boxes", "labels", "segmentation_masks")
    },
    "optimizers.legacy.Optimizer": "in Keras 3 a class that can only raise",
    "predict_step": "JAX's trainer passes the state; elsewhere it is `predict_step(data)`",
    "test_step": "the same",
    "train_step": "the same",
}
# Keras makes a property of what is a plain attribute here.
ATTRIBUTES = {
    "KerasTensor": "dtype ragged ragged_rank row_splits_dtype shape sparse",
    "distribution.DataParallel": "auto_shard_dataset",
    "distribution.ModelParallel": "auto_shard_dataset",
    "optimizers.MultiOptimizer": "loss_scale_factor",
    "layers.MultiHeadAttention": "attention_axes key_dim num_heads use_bias value_dim",
}
# Modules, names and methods that are being written.
COMING = """
    layers.TFSMLayer
    layers.TorchModuleWrapper
"""


def _modules(package, prefix=""):
    """The public modules of a package; the private ones are not imported."""
    for info in pkgutil.iter_modules(package.__path__):
        if info.name not in ("src", "_tf_keras"):
            yield f"{prefix}{info.name}"
            if info.ispkg:
                module = importlib.import_module(f"{package.__name__}.{info.name}")
                yield from _modules(module, f"{prefix}{info.name}.")


MODULES = ["", *_modules(keras)]


def _is_coming(path):
    parts = path.split(".")
    return any(".".join(parts[:size]) in COMING.split() for size in range(1, len(parts) + 1))


def _symbols(module):
    """The public names of a module of Keras with their values, submodules left out."""
    real = importlib.import_module(f"keras.{module}".rstrip("."))
    for name, value in sorted(vars(real).items()):
        path = f"{module}.{name}".lstrip(".")
        private = name.startswith("_") or inspect.ismodule(value)
        if not private and path not in ABSENT and not _is_coming(path):
            yield path, value


def _ours(path):
    found = cornu
    for name in filter(None, path.split(".")):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_symbol_of_keras_is_there(module):
    if _is_coming(module):
        return
    missing = [path for path, _ in _symbols(module) if not _exists(path)]
    assert not missing


def _exists(path):
    try:
        _ours(path)
    except AttributeError:
        return False
    return True


def test_what_is_absent_is_absent():
    assert not [path for path in ABSENT if _exists(path)]
    assert all(_exists_in_keras(path) for path in ABSENT)


def _exists_in_keras(path):
    module, _, name = path.rpartition(".")
    return hasattr(importlib.import_module(f"keras.{module}".rstrip(".")), name)


@pytest.mark.parametrize("module", MODULES)
def test_every_call_that_keras_accepts_is_accepted(module):
    problems = {}
    for path, real in _symbols(module):
        if _exists(path) and callable(real):
            problems.update(_differences(path, real, _ours(path)))
    assert not problems


def _differences(path, real, ours):
    if not inspect.isclass(real):
        return _named(path, _refused(real, ours))
    found = {}
    if path not in OTHER_PARAMETERS:
        new = real.__init__ is object.__init__  # the arguments are those of `__new__`
        pair = (real, ours) if new else (real.__init__, ours.__init__)
        found = _named(path, _refused(*pair))
    attributes = ATTRIBUTES.get(path, "").split()
    for name in dir(real):
        coming = {name, f"{path}.{name}"} & ABSENT_METHODS.keys() or name in attributes
        if coming or (name.startswith("_") and name != "__call__"):
            continue
        method = getattr(real, name)
        if not hasattr(ours, name):
            found[f"{path}.{name}"] = ["missing"]
        elif not {name, f"{path}.{name}"} & OTHER_PARAMETERS.keys() and inspect.isroutine(method):
            found.update(_named(f"{path}.{name}", _refused(method, getattr(ours, name))))
    return found


def _named(path, problems):
    return {path: problems} if problems else {}


def _refused(real, ours):
    """What calls of `real` `ours` refuses or takes otherwise."""
    theirs, own = _parameters(real), _parameters(ours)
    if theirs is None:
        return []
    by_name = {p.name: p for p in own}
    kinds = {p.kind for p in own}
    placed = [p for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    problems = []
    for index, parameter in enumerate(theirs):
        name, kind = parameter.name, parameter.kind
        if kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            if kind not in kinds:
                problems.append(f"takes no {parameter}")
            continue
        if kind is not parameter.KEYWORD_ONLY:
            if index >= len(placed):
                if parameter.VAR_POSITIONAL not in kinds:
                    problems.append(f"{name} is no positional argument")
            elif not name.startswith("_") and placed[index].name != name:
                problems.append(f"{name} is called {placed[index].name}")
        if name not in by_name:
            if parameter.VAR_KEYWORD not in kinds and not name.startswith("_"):
                problems.append(f"takes no {name}")
        elif parameter.default is not parameter.empty:
            default = by_name[name].default
            if not _same_default(parameter.default, default):
                problems.append(f"{name}={default!r}, not {parameter.default!r}")
    known = {p.name for p in theirs}
    further = [p for p in own if p.name not in known and p.default is p.empty]
    needs = [p.name for p in further if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if needs and not any(p.name.startswith("_") for p in theirs):
        problems.append(f"needs {needs}")
    return problems


def _parameters(function):
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _same_default(real, ours):
    if isinstance(real, tuple) and isinstance(ours, int):
        return set(real) == {ours}  # one integer stands for all axes
    if callable(real):
        return getattr(real, "__name__", real) == getattr(ours, "__name__", ours)
    return type(real) is type(ours) and real == ours
