"""Tables of what layers of strings and categories do: expressions of `keras`, by name."""

# ruff: noqa: B023 - each case is called before the next one is asked for

import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Pairs = Iterator[tuple[str, Callable[[], Any]]]

_WORDS = np.array([["a", "b", "b"], ["q", "r", "a"]])
_STRANGERS = np.array(["x", "y", "z", "xx", "hello world", "ünï", ""])
_TEXTS = np.array(["The cat, sat on the MAT!", "a b  c\tthe\nd", "", "don't [stop] x-y_z"])
_LONG = np.array([["a", "b"], ["hello", "z" * 40], ["q" * 20, "m" * 100], ["", "ü" * 64]])


def adapted(layer: Any, data: Any, **arguments: Any) -> Any:
    layer.adapt(data, **arguments)
    return layer


def saved(keras: Any, layer: Any, shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    """Returns what a file of a layer's model holds."""
    import h5py

    model = keras.Sequential([keras.Input(shape, dtype=dtype), layer])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        again = keras.models.load_model(path).layers[-1]
    datasets = {}
    with h5py.File(io.BytesIO(files["model.weights.h5"])) as file:
        file.visititems(
            lambda name, item: datasets.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    assets = {name: text for name, text in files.items() if name.startswith("assets")}
    config = again.get_config()
    config.pop("name")
    return {
        "assets": assets,
        "datasets": datasets,
        "config": config,
        "vocabulary": again.get_vocabulary() if hasattr(again, "get_vocabulary") else None,
    }


def config(layer: Any) -> dict[str, Any]:
    told = layer.get_config()
    told.pop("name")
    return told


def string_lookup(keras: Any) -> Pairs:
    make, ab = keras.layers.StringLookup, ["a", "b"]
    options: list[dict[str, Any]] = [
        {},
        {"mask_token": ""},
        {"mask_token": "", "num_oov_indices": 0},
        {"num_oov_indices": 0},
        {"num_oov_indices": 2},
        {"num_oov_indices": 3, "mask_token": ""},
        {"oov_token": "o", "mask_token": "m"},
        {"max_tokens": 3},
        {"salt": 3, "num_oov_indices": 7},
        {"salt": (3, 4), "num_oov_indices": 7},
        {"max_tokens": 8, "output_mode": "multi_hot", "pad_to_max_tokens": True},
        {"output_mode": "tf_idf", "idf_weights": [0.1, 0.2]},
        {"output_mode": "tf_idf", "idf_weights": [0.1, 0.2], "max_tokens": 8,
         "pad_to_max_tokens": True},
    ]  # fmt: skip
    for given in options:
        layer = make(vocabulary=ab, **given)
        yield f"config {given}", lambda: config(layer)
        yield f"vocabulary {given}", lambda: layer.get_vocabulary()
        yield f"tokens {given}", lambda: layer.get_vocabulary(include_special_tokens=False)
        yield f"size {given}", lambda: layer.vocabulary_size()
        yield f"known {given}", lambda: layer(np.array([["a", "b"], ["b", "b"]]))
        yield f"unknown {given}", lambda: layer(np.array([["a", "zz"], ["b", ""]]))
        yield f"strangers {given}", lambda: layer(_STRANGERS)
    for mode in ("int", "one_hot", "multi_hot", "count", "tf_idf"):
        weights = {"idf_weights": [0.5, 0.75]} if mode == "tf_idf" else {}
        layer = make(vocabulary=ab, output_mode=mode, **weights)
        for x in (np.array("a"), _WORDS[0], _WORDS, np.array([["a"], ["b"]])):
            yield f"{mode} of shape {x.shape}", lambda: layer(x)
        yield f"{mode} symbolic", lambda: list(layer(keras.Input((3,), dtype="string")).shape)
        masked = make(vocabulary=ab, output_mode=mode, mask_token="", **weights)
        yield f"{mode} with a mask", lambda: masked(np.array([["a", ""], ["b", ""]]))
        yield f"{mode} with a mask, vocabulary", lambda: masked.get_vocabulary()
    for given in ({}, {"mask_token": ""}, {"num_oov_indices": 0}, {"num_oov_indices": 2}):
        layer = make(vocabulary=ab, invert=True, **given)
        yield f"invert {given}", lambda: layer(np.array([0, 1, 2, 3, 4, -1, 7]))
    yield "lists", lambda: make(vocabulary=ab)([["a", "z"]])
    yield "bytes", lambda: make(vocabulary=[b"a", "b"])(np.array(["a", b"b"], object))
    for given in (["", "[UNK]", "a"], ["[UNK]", "a"], ["", "a"], ["a", "[UNK]"], [], ["a", "a"]):
        yield f"given {given}", lambda: make(vocabulary=given).get_vocabulary()
        masked = {"mask_token": ""}
        yield f"given {given}, mask", lambda: make(vocabulary=given, **masked).get_vocabulary()
    wrong: list[dict[str, Any]] = [
        {"max_tokens": 1},
        {"max_tokens": 2, "vocabulary": ["a", "b", "c"]},
        {"num_oov_indices": -1},
        {"output_mode": "x"},
        {"invert": True, "output_mode": "count"},
        {"invert": True, "vocabulary": ["a", "[UNK]"]},
        {"sparse": True},
        {"pad_to_max_tokens": True},
        {"idf_weights": [1.0]},
        {"vocabulary": ["a"], "output_mode": "tf_idf"},
        {"vocabulary": ["a"], "output_mode": "tf_idf", "idf_weights": [1.0, 2.0]},
        {"vocabulary": "/no/such/file"},
        {"what": 1},
    ]
    for given in wrong:
        yield f"wrong {given}", lambda: type(make(**given)).__name__
    yield "no vocabulary", lambda: make()(["a"])
    yield "no vocabulary, counted", lambda: make(output_mode="count")(["a"])
    yield "no vocabulary, told", lambda: make(mask_token="").get_vocabulary()
    documents = np.array([["a", "a", "b"], ["c", "d", "c"]])
    adapting: list[tuple[dict[str, Any], Any]] = [
        ({}, documents),
        ({"max_tokens": 3}, documents),
        ({"mask_token": ""}, np.array([["", "[UNK]", "b"], ["c", "d", "c"]])),
        ({}, ["b", "a", "c", "B", "10", "9", "é"]),
        ({}, [["a"], ["b"]]),
        ({"output_mode": "tf_idf"}, documents),
        ({"output_mode": "tf_idf"}, np.array(["a", "a", "b"])),
        ({"output_mode": "count"}, documents),
    ]
    for number, (given, data) in enumerate(adapting):
        layer = make(**given)
        yield f"adapt {number} {given}", lambda: adapted(layer, data).get_vocabulary()
        yield f"adapted {number}", lambda: layer(np.array([["a", "c", "q"]]))
        yield f"adapted config {number}", lambda: config(layer)
        yield f"adapt again {number}", lambda: adapted(layer, ["n", "m", "m"]).get_vocabulary()

    def in_parts() -> list[str]:
        layer = make()
        layer.update_state(["a"])
        layer.update_state(["b", "b"])
        layer.finalize_state()
        return layer.get_vocabulary()

    def set_then(then: Callable[[Any], None], **given: Any) -> Any:
        layer = make(**given)
        layer.set_vocabulary(["x", "y"])
        then(layer)
        return layer.get_vocabulary()

    def call_and_grow(layer: Any) -> None:
        layer(["x"])
        layer.set_vocabulary(["x", "y", "z"])

    yield "adapt in parts", in_parts
    yield "adapt a static vocabulary", lambda: adapted(make(vocabulary=ab), ["c"])
    yield "set", lambda: set_then(lambda layer: None)
    yield "set and adapt", lambda: set_then(lambda layer: layer.adapt(["b"]))
    yield "set, call and grow", lambda: set_then(call_and_grow)
    yield "set, call and grow, counted", lambda: set_then(call_and_grow, output_mode="count")
    for name, shape, layer in (
        ("static", (2,), make(vocabulary=ab)),
        ("adapted", (2,), adapted(make(mask_token=""), ["a", "b"])),
        ("adapted tf_idf", (2,), adapted(make(output_mode="tf_idf"), documents)),
        ("static tf_idf", (2,), make(vocabulary=ab, output_mode="tf_idf", idf_weights=[1.0, 2.0])),
    ):
        yield f"file, {name}", lambda: saved(keras, layer, shape, "string")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "words.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("a\nb\n")
        layer = make(vocabulary=path)
        yield "text file", lambda: layer(["b", "q"])
        yield "text file, config", lambda: config(layer)
        yield (
            "text file, tf_idf",
            lambda: make(vocabulary=path, output_mode="tf_idf", idf_weights=[1.0, 2.0]),
        )


def integer_lookup(keras: Any) -> Pairs:
    make, some = keras.layers.IntegerLookup, [6, 5]
    options: list[dict[str, Any]] = [
        {},
        {"mask_token": 0},
        {"num_oov_indices": 0},
        {"num_oov_indices": 3},
        {"num_oov_indices": 3, "oov_method": "farmhash"},
        {"num_oov_indices": 3, "oov_method": "farmhash", "salt": 5},
        {"mask_token": 0, "num_oov_indices": 2, "oov_token": -7},
        {"mask_token": 0, "output_mode": "multi_hot"},
        {"mask_token": 0, "output_mode": "one_hot", "num_oov_indices": 0},
        {"output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True},
        {"output_mode": "tf_idf", "idf_weights": [1.0, 2.0]},
    ]
    for given in options:
        layer = make(vocabulary=some, **given)
        yield f"config {given}", lambda: config(layer)
        yield f"vocabulary {given}", lambda: layer.get_vocabulary()
        yield f"known {given}", lambda: layer(np.array([5, 6, 6, 5]))
        yield f"unknown {given}", lambda: layer(np.array([5, 6, 0, 99, -4, 100, -1]))
        yield f"rows {given}", lambda: layer(np.array([[5, 0], [6, 0]], "int32"))
    for given in ({}, {"mask_token": 0}, {"num_oov_indices": 2}):
        layer = make(vocabulary=some, invert=True, **given)
        yield f"invert {given}", lambda: layer(np.array([0, 1, 2, 3, -1]))
    yield "floats", lambda: make(vocabulary=some)(np.array([5.0, 6.5]))
    yield "lists", lambda: make(vocabulary=some)([[5], [7]])
    for given in (
        {"salt": 5},
        {"oov_method": "x"},
        {"vocabulary_dtype": "int32"},
        {"vocabulary": [5, 5]},
        {"max_tokens": 1},
        {"output_mode": "x"},
        {"sparse": True},
    ):
        yield f"wrong {given}", lambda: type(make(**given)).__name__
    yield "strings", lambda: make(vocabulary=some)(["5"])
    numbers = np.array([[3, 3, 4], [5, 5, 5]])
    for number, (given, data) in enumerate(
        [
            ({}, numbers),
            ({"max_tokens": 3}, [3, 4, 2, 1]),
            ({"mask_token": 0}, [3, 4, 2, 1, 0, 0, -1, -1]),
            ({"output_mode": "tf_idf"}, numbers),
            ({"num_oov_indices": 2, "mask_token": 0}, [3, 4, 2, 1, 0, 0, -1, -1]),
        ]
    ):
        layer = make(**given)
        yield f"adapt {number}", lambda: adapted(layer, np.array(data)).get_vocabulary()
        yield f"adapted {number}", lambda: layer(np.array([[3, 5, 9]]))
        yield f"file {number}", lambda: saved(keras, layer, (3,), "int64")
    yield "file, static", lambda: saved(keras, make(vocabulary=some), (3,), "int64")


TABLES = {
    "StringLookup": string_lookup,
    "IntegerLookup": integer_lookup,
}
