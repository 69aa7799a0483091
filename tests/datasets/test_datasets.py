"""Datasets ask for Keras's files and make the same of them; no file can run code."""

import gzip
import importlib
import inspect
import json
import os
import pickle
from functools import partial

import numpy as np
import pytest

import cornu
from outcomes import outcome, same
from reference import keras

WORDS = np.empty(9, object)
WORDS[:] = [list(range(1, 2 + n)) for n in range(9)]
HOUSES = {"x": np.arange(1400.0).reshape(700, 2), "y": np.arange(700.0)}
DIGITS = {name: np.arange(4, dtype="uint8") for name in ("x_train", "y_train", "x_test", "y_test")}
REVIEWS = {"x_train": WORDS, "y_train": np.arange(9), "x_test": WORDS[::-1], "y_test": np.arange(9)}
NEWS = {"x": WORDS, "y": np.arange(9)}
OPTIONS = [
    {},
    {"num_words": 6},
    {"skip_top": 5, "oov_char": None},
    {"maxlen": 6},
    {"start_char": None, "index_from": 0},
    {"start_char": None, "seed": 4},
    {"maxlen": 1},
]
CASES = [
    ("boston_housing", HOUSES, [{}, {"test_split": 0.5, "seed": 3}, {"test_split": 2.0}]),
    ("california_housing", HOUSES, [{}, {"version": "small"}, {"version": "x"}]),
    ("mnist", DIGITS, [{}]),
    ("imdb", REVIEWS, [*OPTIONS, {"what": 1}, {"nb_words": 6}]),
    ("reuters", NEWS, [*OPTIONS, {"test_split": 0.5}]),
]


def modules(name):
    places = ("cornu.datasets", "keras.src.datasets")
    return [importlib.import_module(f"{place}.{name}") for place in places]


@pytest.mark.parametrize("name, arrays, options", CASES, ids=[case[0] for case in CASES])
def test_same_data(name, arrays, options, tmp_path, monkeypatch):
    path = str(tmp_path / "data.npz")
    np.savez(path, **arrays)
    ours, theirs = modules(name)
    for module in (ours, theirs):
        monkeypatch.setattr(module, "get_file", lambda *args, **kwargs: path)
    for given in options:
        mine, other = (outcome(partial(module.load_data, **given)) for module in (ours, theirs))
        assert same(mine, other), given


FUNCTIONS = [
    *((name, "load_data") for name in (
        "boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb",
        "mnist", "reuters")),
    ("imdb", "get_word_index"),
    ("reuters", "get_word_index"),
]  # fmt: skip


@pytest.mark.parametrize("name, function", FUNCTIONS)
def test_same_files(name, function, tmp_path, monkeypatch):
    empty = tmp_path / "empty.gz"
    empty.write_bytes(gzip.compress(bytes(16)))
    signature = inspect.signature(keras.utils.get_file)
    asked = []
    for module in modules(name):
        calls = []

        def get_file(*args, calls=calls, **kwargs):
            calls.append(dict(signature.bind(*args, **kwargs).arguments))
            return str(empty)

        monkeypatch.setattr(module, "get_file", get_file)
        outcome(getattr(module, function))
        asked.append(calls)
    assert asked[0] == asked[1] and asked[0]


def test_pictures_of_cifar(tmp_path, monkeypatch):
    pixels = np.arange(2 * 3072, dtype="int64").reshape(2, 3072).astype("uint8")

    def write(folder, name, **labels):
        batch = {b"data": pixels, **{key.encode(): value for key, value in labels.items()}}
        os.makedirs(tmp_path / folder, exist_ok=True)
        with open(tmp_path / folder / name, "wb") as file:
            pickle.dump(batch, file, protocol=2)

    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        write("cifar-10-batches-py", name, labels=[3, 7])
    for name in ("train", "test"):
        write("cifar-100-python", name, fine_labels=[99, 5], coarse_labels=[1, 2])
    ten, hundred = cornu.datasets.cifar10, cornu.datasets.cifar100
    for module in (ten, hundred):
        monkeypatch.setattr(module, "get_file", lambda *args, **kwargs: str(tmp_path))
    (x_train, y_train), (x_test, y_test) = ten.load_data()
    expected = pixels.reshape(2, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(x_train, np.concatenate([expected] * 5))
    np.testing.assert_array_equal(x_test, expected)
    assert y_train.shape == (10, 1) and y_test.tolist() == [[3], [7]]
    assert hundred.load_data()[0][1].tolist() == [[99], [5]]
    assert hundred.load_data("coarse")[1][1].tolist() == [[1], [2]]


def test_clothes(tmp_path, monkeypatch):
    pixels = np.arange(2 * 784, dtype="int64").astype("uint8")

    def get_file(name, **kwargs):
        labels = "labels" in name
        content = bytes(8 if labels else 16) + (bytes([4, 9]) if labels else pixels.tobytes())
        (tmp_path / name).write_bytes(gzip.compress(content))
        return str(tmp_path / name)

    for module in modules("fashion_mnist"):
        monkeypatch.setattr(module, "get_file", get_file)
    ours, theirs = (outcome(module.load_data) for module in modules("fashion_mnist"))
    assert same(ours, theirs) and ours[0][0]["values"][0][0][:2] == [0, 1]


def test_names(tmp_path, monkeypatch):
    assert cornu.datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"the": 1}))
    monkeypatch.setattr(cornu.datasets.imdb, "get_file", lambda *args, **kwargs: str(path))
    assert cornu.datasets.imdb.get_word_index() == {"the": 1}


class Evil:
    def __reduce__(self):
        return os.system, ("false",)


def test_no_file_runs_code(tmp_path, monkeypatch):
    for module in (cornu.datasets.imdb, cornu.datasets.cifar100):
        monkeypatch.setattr(module, "get_file", lambda *args, **kwargs: str(tmp_path))
    x = np.empty(1, object)
    x[0] = Evil()
    np.savez(tmp_path / "evil.npz", x_train=x, y_train=x, x_test=x, y_test=x)
    evil = str(tmp_path / "evil.npz")
    monkeypatch.setattr(cornu.datasets.imdb, "get_file", lambda *args, **kwargs: evil)
    with pytest.raises(pickle.UnpicklingError, match="system"):
        cornu.datasets.imdb.load_data()
    os.mkdir(tmp_path / "cifar-100-python")
    (tmp_path / "cifar-100-python" / "train").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(pickle.UnpicklingError, match="system"):
        cornu.datasets.cifar100.load_data()
