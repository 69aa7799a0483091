"""Tables of what layers of strings and categories do: expressions of `keras`, by name."""

# ruff: noqa: B023 - each case is called before the next one is asked for

import io
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from outcomes import record

RECORDED = pathlib.Path(__file__).with_suffix(".json")

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


def text_vectorization(keras: Any) -> Pairs:
    make = keras.layers.TextVectorization
    options: list[dict[str, Any]] = [
        {},
        {"standardize": None},
        {"standardize": "lower"},
        {"standardize": "strip_punctuation"},
        {"split": "character"},
        {"split": None},
        {"ngrams": 2},
        {"ngrams": (2,)},
        {"ngrams": (1, 3)},
        {"split": "character", "ngrams": 2},
        {"max_tokens": 5},
        {"max_tokens": 5, "ngrams": 2},
        {"output_sequence_length": 3},
        {"output_sequence_length": 9},
        {"output_mode": "multi_hot"},
        {"output_mode": "count"},
        {"output_mode": "tf_idf"},
        {"output_mode": "multi_hot", "max_tokens": 20, "pad_to_max_tokens": True},
        {"output_mode": "tf_idf", "max_tokens": 20, "pad_to_max_tokens": True},
        {"output_mode": "count", "ngrams": 2, "max_tokens": 6},
    ]
    for given in options:
        layer = make(**given)
        yield f"adapt {given}", lambda: adapted(layer, _TEXTS).get_vocabulary()
        yield f"call {given}", lambda: layer(_TEXTS)
        yield f"tokens {given}", lambda: layer.get_vocabulary(include_special_tokens=False)
        yield f"config {given}", lambda: config(layer)
    inputs = {
        "scalar": np.array("a b"),
        "one": np.array(["a b"]),
        "column": np.array([["a b"], ["c"]]),
        "str": "a b",
        "list": ["a b", "c"],
        "nested list": [["a b"], ["c d"]],
        "two columns": np.array([["a", "b"], ["c", "d"]]),
        "bytes": np.array([b"a b", b"c"]),
    }
    for mode in ("int", "multi_hot", "count"):
        for name, x in inputs.items():
            layer = make(vocabulary=["a", "b", "c"], output_mode=mode)
            yield f"{mode} of {name}", lambda: layer(x)
    for given in ({}, {"output_sequence_length": 2}, {"output_sequence_length": 4},
                  {"output_mode": "multi_hot"}, {"ngrams": 2}):  # fmt: skip
        layer = make(vocabulary=["a", "b"], split=None, **given)
        yield f"split None, rows {given}", lambda: layer(np.array([["a", "b", "a"]]))
        if "ngrams" not in given and "output_mode" not in given:
            yield f"split None, row {given}", lambda: layer(np.array(["a", "b", "a"]))
    for given in (
        {"standardize": "x"},
        {"split": "x"},
        {"ngrams": "x"},
        {"output_mode": "multi_hot", "output_sequence_length": 3},
        {"ragged": True, "output_mode": "count"},
        {"sparse": True},
        {"pad_to_max_tokens": True},
        {"max_tokens": 1},
    ):
        yield f"wrong {given}", lambda: type(make(**given)).__name__
    for given in (["", "[UNK]", "a"], ["a", "b"]):
        yield f"given {given}", lambda: make(vocabulary=given).get_vocabulary()
    yield "given, counted", lambda: make(vocabulary=["[UNK]", "a"], output_mode="count")(["a b"])
    yield "no vocabulary", lambda: make()(["a"])
    yield "no vocabulary, counted", lambda: make(output_mode="count")(["a"])
    yield "adapt a list", lambda: adapted(make(), ["b b a", "c"]).get_vocabulary()
    yield "adapt a column", lambda: adapted(make(), np.array([["b b a"], ["c"]])).get_vocabulary()
    yield "adapt a static vocabulary", lambda: adapted(make(vocabulary=["a"]), ["b"])
    letters = ["ÉCOLE Ünï ß ǅ İ", "\u3000x y\u00a0z \u2003w"]
    yield "letters beyond ASCII", lambda: adapted(make(), letters).get_vocabulary()
    characters = make(split="character")
    yield "characters beyond ASCII", lambda: adapted(characters, letters).get_vocabulary()
    for output_length in (None, 4):
        layer = make(vocabulary=["a"], output_sequence_length=output_length)
        yield f"symbolic {output_length}", lambda: layer(keras.Input((1,), dtype="string"))
    for name, layer in (
        ("static", make(vocabulary=["a", "b"])),
        ("adapted", adapted(make(), ["a", "b"])),
        ("adapted tf_idf", adapted(make(output_mode="tf_idf"), ["a b", "c"])),
        ("ngrams", adapted(make(output_mode="count", ngrams=(1, 2)), ["a b", "c"])),
    ):
        yield f"file, {name}", lambda: saved(keras, layer, (1,), "string")


def hashing(keras: Any) -> Pairs:
    make = keras.layers.Hashing
    numbers = np.array([[3], [-1], [0], [123456789]])
    options: list[dict[str, Any]] = [
        {},
        {"salt": 3},
        {"salt": [5, 6]},
        {"salt": (2**40, -7)},
        {"output_mode": "one_hot"},
        {"output_mode": "multi_hot"},
        {"output_mode": "count"},
        {"dtype": "int32"},
        {"output_mode": "count", "dtype": "int64"},
        {"num_bins": 1},
    ]
    for given in options:
        layer = make(**{"num_bins": 5, **given})
        yield f"config {given}", lambda: config(layer)
        yield f"words {given}", lambda: layer(_LONG)
        yield f"numbers {given}", lambda: layer(numbers)
        if given.get("output_mode") != "one_hot":
            yield f"scalar {given}", lambda: layer(np.array("a"))
        yield f"list {given}", lambda: layer(["a", "b"])
    for mask, x in (("a", _LONG), ("", _LONG), (3, numbers), (0, numbers), ("a", numbers),
                    (1, _LONG)):  # fmt: skip
        yield f"mask {mask!r}, {x.dtype}", lambda: make(5, mask_value=mask)(x)
    yield "mask, one bin", lambda: make(1, mask_value="a")(np.array(["a", "b"]))
    yield "floats", lambda: make(5)(np.array([1.5, 2.0]))
    yield "symbolic", lambda: make(5)(keras.Input((2,), dtype="string"))
    for given in (
        {"num_bins": 0},
        {"num_bins": None},
        {"output_mode": "x"},
        {"salt": "x"},
        {"salt": [1, 2, 3]},
        {"sparse": True},
        {"dtype": "string"},
    ):
        yield f"wrong {given}", lambda: type(make(**{"num_bins": 3, **given})).__name__
    yield "file", lambda: saved(keras, make(5, salt=3), (2,), "string")


def hashed_crossing(keras: Any) -> Pairs:
    make = keras.layers.HashedCrossing
    words, numbers = np.array(["a", "b", "c"]), np.array([1, 2, 3])
    for given in ({}, {"output_mode": "one_hot"}, {"dtype": "float32"}, {"dtype": "int32"}):
        layer = make(num_bins=5, **given)
        yield f"config {given}", lambda: config(layer)
        yield f"rows {given}", lambda: layer((words, numbers))
        yield f"columns {given}", lambda: layer((words[:, None], numbers[:, None]))
        inputs = [keras.Input((1,), dtype="string"), keras.Input((1,), dtype="int64")]
        yield f"symbolic {given}", lambda: layer(inputs)
    yield "scalars", lambda: make(5)((np.array("a"), np.array(1)))
    yield "three", lambda: make(1000)((np.arange(10) - 5, np.arange(10) * 77, np.arange(10)))
    yield "lists", lambda: make(5)([["a", "b"], ["c", "d"]])
    yield "one", lambda: make(5)((words,))
    yield "no list", lambda: make(5)(words)
    yield "two columns", lambda: make(5)((np.array([["a", "b"]]), np.array([["a", "b"]])))
    yield "several shapes", lambda: make(5)((words[:, None], numbers))
    yield "floats", lambda: make(5)((words, np.array([1.0, 2.0, 3.0])))
    yield "wrong mode", lambda: make(5, output_mode="count")
    yield "more arguments", lambda: make(3, foo=1).num_bins


def discretization(keras: Any) -> Pairs:
    make = keras.layers.Discretization
    values = np.array([[-1.0, 0.5, 0.0], [1.0, 2.0, 0.5]], "float32")
    for mode in ("int", "one_hot", "multi_hot", "count"):
        layer = make([0.0, 1.0], output_mode=mode)
        yield f"config {mode}", lambda: config(layer)
        for x in (values, values[0], values[:, :1]):
            yield f"{mode} of shape {x.shape}", lambda: layer(x)
        yield f"{mode} symbolic", lambda: layer(keras.Input((3,)))
    yield "integers", lambda: make([0.0, 1.0])(np.array([0, 1, 2]))
    yield "no numbers", lambda: make([0.0, 1.0])(np.array([np.nan, np.inf, -np.inf], "float32"))
    many = np.random.default_rng(0).standard_normal(3000).astype("float32")
    for number, (given, data) in enumerate(
        [
            ({"num_bins": 5}, np.arange(100.0)),
            ({"num_bins": 4, "epsilon": 0.1}, np.arange(100.0)[::-1].reshape(20, 5) ** 2),
            ({"num_bins": 7}, many),
            ({"num_bins": 7, "epsilon": 0.001}, many),
            ({"num_bins": 3}, np.array([1, 2, 3, 3, 3, 9])),
            ({"num_bins": 3}, np.ones(6)),
        ]
    ):
        layer = make(**given)
        yield f"adapt {number}", lambda: list(adapted(layer, data).bin_boundaries)
        yield f"adapted config {number}", lambda: config(layer)
        yield f"adapted {number}", lambda: layer(values)

    def in_parts() -> list[float]:
        layer = make(num_bins=5)
        layer.update_state(many[:1000])
        layer.update_state(many[1000:])
        layer.finalize_state()
        return list(layer.bin_boundaries)

    yield "adapt in parts", in_parts
    for given in (
        {"bin_boundaries": [0.0], "num_bins": 2},
        {},
        {"num_bins": -1},
        {"bin_boundaries": [0.0], "output_mode": "x"},
        {"bin_boundaries": [0.0], "sparse": True},
    ):
        yield f"wrong {given}", lambda: type(make(**given)).__name__
    yield "adapt boundaries", lambda: make([0.0]).adapt([1.0])
    yield "not adapted", lambda: make(num_bins=2)([1.0])
    layer = adapted(make(num_bins=3), np.arange(9.0))
    yield "file, adapted", lambda: saved(keras, layer, (2,), "float32")
    yield "file, boundaries", lambda: saved(keras, make([1.0, 2.0]), (2,), "float32")


TABLES = {
    "Discretization": discretization,
    "HashedCrossing": hashed_crossing,
    "Hashing": hashing,
    "IntegerLookup": integer_lookup,
    "StringLookup": string_lookup,
    "TextVectorization": text_vectorization,
}

if __name__ == "__main__":
    record(RECORDED, TABLES)
