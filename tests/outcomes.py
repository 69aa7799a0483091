"""What expressions give, as plain data that can be recorded and compared.

Some parts of Keras need TensorFlow, which the tests do not. What they give is recorded in JSON
files beside the tables of expressions; with Keras and TensorFlow installed, such a table run as
a program records its file anew.
"""

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Cases = Callable[[Any], Iterator[tuple[str, Callable[[], Any]]]]

# TensorFlow's own errors reach callers as RuntimeError where Keras runs on another backend.
_OF_TENSORFLOW = ("InvalidArgumentError", "FailedPreconditionError", "UnimplementedError")


def plain(value: Any) -> Any:
    """Returns a value as JSON can hold it."""
    if type(value).__name__ == "KerasTensor":
        return {"shape": plain(list(value.shape)), "of": str(value.dtype)}
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = np.asarray(value.numpy())
    elif hasattr(value, "__array__") and not isinstance(value, np.generic | type):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OSU":
            return {"strings": plain(value.tolist())}
        return {"dtype": str(value.dtype), "values": plain(value.tolist())}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    return value if isinstance(value, str | int | bool | type(None)) else type(value).__name__


def outcome(function: Callable[[], Any]) -> Any:
    """Returns what a call gives, or the class of the error that it raises."""
    try:
        return plain(function())
    except Exception as error:
        kind = type(error).__name__
        return {"raises": "RuntimeError" if kind in _OF_TENSORFLOW else kind}


def outcomes(cases: Cases, keras: Any) -> dict[str, Any]:
    """Returns the outcomes of a table's cases, by their names."""
    found: dict[str, Any] = {}
    for name, function in cases(keras):
        assert name not in found, name
        found[name] = outcome(function)
    return found


def same(ours: Any, theirs: Any) -> bool:
    """Returns whether two outcomes are equal, floats nearly so."""
    if isinstance(ours, float) or isinstance(theirs, float):
        numbers = isinstance(ours, int | float) and isinstance(theirs, int | float)
        return numbers and bool(np.isclose(ours, theirs, rtol=1e-5, atol=1e-6))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


def differences(
    path: pathlib.Path, name: str, cases: Cases, keras: Any
) -> dict[str, tuple[Any, Any]]:
    """Returns the cases that give something else than what is recorded: `(ours, recorded)`."""
    recorded = json.loads(path.read_text(encoding="utf-8"))[name]
    found = outcomes(cases, keras)
    assert found.keys() == recorded.keys()
    return {k: (found[k], recorded[k]) for k in found if not same(found[k], recorded[k])}


def record(path: pathlib.Path, tables: dict[str, Cases]) -> None:
    """Writes what Keras gives on TensorFlow."""
    import keras

    assert keras.config.backend() == "tensorflow"
    recorded = {name: outcomes(cases, keras) for name, cases in tables.items()}
    path.write_text(json.dumps(recorded, indent=0) + "\n", encoding="utf-8")
