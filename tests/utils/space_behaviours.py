"""Tables of what FeatureSpace does: expressions of `keras`, by name."""

# ruff: noqa: B023 - each case is called before the next one is asked for

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from outcomes import record

RECORDED = pathlib.Path(__file__).with_suffix(".json")

Pairs = Iterator[tuple[str, Callable[[], Any]]]

DATA = {
    "i": np.array([1, 2, 2, 3]),
    "s": np.array(["a", "b", "b", "c"]),
    "f": np.array([0.1, 0.5, 0.9, 2.0]),
    "h": np.array(["x", "y", "z", "x"]),
    "g": np.array([1.0, 2.0, 3.0, 4.0]),
    "k": np.array([5, 6, 7, 8]),
    "r": np.array([10.0, 20.0, 30.0, 40.0]),
}


def space(keras: Any, **arguments: Any) -> Any:
    """Returns a space of one feature of each kind, adapted."""
    kinds = keras.utils.FeatureSpace
    features = {
        "i": "integer_categorical",
        "s": "string_categorical",
        "f": "float",
        "h": kinds.string_hashed(num_bins=4, name="h"),
        "g": "float_normalized",
        "k": kinds.integer_hashed(num_bins=3, name="k"),
        "r": kinds.float_discretized(num_bins=3, name="r"),
    }
    made = kinds(features, **arguments)
    if keras.__name__ == "keras":
        import tensorflow as tf

        made.adapt(tf.data.Dataset.from_tensor_slices(DATA).batch(4))
    else:
        made.adapt(DATA)
    return made


def told(config: Any) -> Any:
    """Returns a config without the shapes that layers were built for."""
    if isinstance(config, dict):
        return {key: told(value) for key, value in config.items() if key != "build_config"}
    return [told(value) for value in config] if isinstance(config, list | tuple) else config


def values(keras: Any) -> Pairs:
    cross = keras.utils.FeatureSpace.cross
    for arguments in (
        {},
        {"output_mode": "dict", "crosses": [("i", "s")], "crossing_dim": 5},
        {"crosses": [("i", "s"), cross(("s", "h"), crossing_dim=7)], "crossing_dim": 4},
        {"output_mode": "dict", "crosses": [cross(("s", "h"), 7, output_mode="int")]},
    ):
        name = {k: str(v) if k != "crosses" else len(v) for k, v in arguments.items()}
        made = space(keras, **arguments)
        yield f"all {name}", lambda: made(DATA)
        yield f"one {name}", lambda: made({k: v[0] for k, v in DATA.items()})
        yield f"columns {name}", lambda: made({k: v[:2, None] for k, v in DATA.items()})
        yield f"lists {name}", lambda: made({k: v[:2].tolist() for k, v in DATA.items()})
        yield f"config {name}", lambda: told(made.get_config())
        yield f"inputs {name}", lambda: made.get_inputs()


def features(keras: Any) -> Pairs:
    make = keras.utils.FeatureSpace
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("float", {}),
        ("float_rescaled", {"scale": 2.0, "offset": 1.0}),
        ("float_normalized", {}),
        ("float_discretized", {"num_bins": 3}),
        ("integer_categorical", {"max_tokens": 5, "num_oov_indices": 2}),
        ("string_categorical", {"output_mode": "int"}),
        ("string_hashed", {"num_bins": 3}),
        ("integer_hashed", {"num_bins": 3}),
    ]
    for kind, given in kinds:
        feature = getattr(make, kind)(**given, name="n")
        yield (
            f"{kind} {given}",
            lambda: [
                feature.dtype,
                feature.output_mode,
                told(feature.get_config()),
            ],
        )
    crossed = make.cross(("a", "b"), 3)
    yield "cross", lambda: [crossed.name, crossed.get_config()]
    numbers = {"a": np.array([1, 2]), "b": np.array([1.0, 2.0])}
    hashed = {"a": make.integer_hashed(4, output_mode="int"), "b": "float"}
    yield "integers", lambda: make(hashed, output_mode="dict")(numbers)
    yield "integers, joined", lambda: make(hashed)(numbers)
    yield "rescaled", lambda: make({"a": make.float_rescaled(2.0, 1.0)})({"a": numbers["a"]})
    for bad in ({}, {"a": "what"}, {"a": 3}):
        yield f"features {bad}", lambda: type(make(bad)).__name__
    yield "unknown names", lambda: make({"a": "float"}, crosses=[("a", "z")])
    yield "wrong mode", lambda: make({"a": "float"}, output_mode="x")
    yield "wrong mode of a cross", lambda: make.cross(("a", "b"), 3, output_mode="x")
    yield "wrong mode of a feature", lambda: make.integer_hashed(4, output_mode="multi_hot")
    yield "not adapted", lambda: make({"a": "integer_categorical"})(numbers)
    yield "missing", lambda: make({"a": "float", "z": "float"})(numbers)
    yield "no dict", lambda: make({"a": "float"})(np.array([1]))


TABLES = {"values": values, "features": features}

if __name__ == "__main__":
    record(RECORDED, TABLES)
