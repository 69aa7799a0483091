"""The models of `applications` against facts of the real Keras, and against it."""

import json

import numpy as np
import pytest
from facts import PATH, SMALL, outputs, structure, without_top

import cornu
from reference import fresh

FACTS = json.loads(PATH.read_text())
ours = cornu.applications


@pytest.fixture
def unloaded(monkeypatch):
    """Weights are zeros, and files are asked for but neither fetched nor read."""
    asked = []

    def get_file(name, url, cache_subdir, file_hash=None):
        asked.append([name, url, cache_subdir, file_hash])

    add_weight = cornu.layers.Layer.add_weight

    def zeros(self, *args, **kwargs):
        return add_weight(self, *args, **kwargs | {"initializer": "zeros"})

    monkeypatch.setattr(cornu.utils, "get_file", get_file, raising=False)
    monkeypatch.setattr(cornu.layers.Layer, "add_weight", zeros)
    monkeypatch.setattr(cornu.Model, "load_weights", lambda *_, **__: None)
    return asked


@pytest.mark.parametrize(
    ("name", "top"), [*((name, "top") for name in FACTS), *((name, "no_top") for name in SMALL)]
)
def test_structure_and_files_are_those_of_keras(name, top, unloaded):
    fresh()
    options = {} if top == "top" else without_top(name)
    model = getattr(ours, name)(include_top=top == "top", **options)
    assert structure(model) | {"file": unloaded[0]} == FACTS[name][top]


@pytest.mark.parametrize("name", [name for name in SMALL if "outputs" in FACTS[name]])
def test_outputs_are_those_of_keras(name):
    np.testing.assert_allclose(outputs(cornu, name), FACTS[name]["outputs"], rtol=1e-3, atol=1e-5)
