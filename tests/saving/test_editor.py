"""Weights files edited."""

import numpy as np
import pytest

import cornu
from cornu.saving import KerasFileEditor
from reference import keras as real


def _model(library=cornu, names=("first", "end"), units=2):
    layers = [library.layers.Dense(units, name=name) for name in names]
    return library.Sequential([library.Input((3,)), *layers])


@pytest.fixture(params=[".keras", ".weights.h5"])
def path(request, tmp_path):
    path = str(tmp_path / f"model{request.param}")
    model = _model()
    model.save(path) if request.param == ".keras" else model.save_weights(path)
    return path


def test_contents_and_comparison_are_those_of_keras(path, capsys):
    pytest.importorskip("rich")
    ours, theirs = KerasFileEditor(path), real.saving.KerasFileEditor(path)
    ours.summary()
    assert "shape=(3, 2)" in capsys.readouterr().out
    assert ours.weights_dict["layers"].keys() == theirs.weights_dict["layers"].keys()
    for units in (2, 4):
        found = ours.compare(_model(units=units))
        # Keras counts the weights of nested objects more than once.
        assert found["status"] == theirs.compare(_model(real, units=units))["status"]
    assert ours.compare(_model()) == {"status": "success", "error_count": 0, "match_count": 4}
    missing = ours.compare(_model(names=("a", "b", "c")))
    assert missing["status"] == "error" and missing["error_count"] == 2


def test_edited_weights_are_loaded(path, tmp_path):
    editor = KerasFileEditor(path)
    first, end = editor.weights_dict["layers"].values()
    editor.delete_object("layers/dense_1")
    editor.rename_object("dense", "old")
    editor.add_object("layers/dense", {"0": np.ones((3, 2))})
    editor.add_weights("layers/dense", {"1": np.zeros(2), "2": np.zeros(5)})
    editor.delete_weight("layers/dense", "2")
    editor.rename_object("layers/old", "dense_1")
    edited = str(tmp_path / "edited.weights.h5")
    editor.resave_weights(edited)
    again = KerasFileEditor(edited).weights_dict["layers"]
    np.testing.assert_array_equal(again["dense"]["0"], 1)
    np.testing.assert_array_equal(again["dense_1"]["0"], first["0"])
    assert end["1"].shape == (2,) and "2" not in again["dense"]


def test_errors(path, tmp_path):
    editor = KerasFileEditor(path)
    for wrong in (
        lambda: KerasFileEditor("model.h5"),
        lambda: editor.save(tmp_path / "model.keras"),
        lambda: editor.rename_object("layers/dense", "a/b"),
        lambda: editor.delete_object("nothing"),
        lambda: editor.delete_object("layers/nothing"),
        lambda: editor.delete_weight("layers/dense", "7"),
        lambda: editor.add_object("no/where", {}),
        lambda: editor.add_weights("dense", [1]),
    ):
        with pytest.raises(ValueError):
            wrong()
