"""Checkpoints of Orbax are refused, as Keras refuses them without its package."""

import pytest

import cornu
from reference import keras


@pytest.mark.parametrize("library", [cornu, keras])
def test_the_callback_is_refused(library, tmp_path):
    for arguments in ({}, {"save_freq": 3, "save_weights_only": True}):
        with pytest.raises(ImportError, match="orbax-checkpoint"):
            library.callbacks.OrbaxCheckpoint(tmp_path, **arguments)
    with pytest.raises(TypeError, match="directory"):
        library.callbacks.OrbaxCheckpoint()


@pytest.mark.parametrize("library", [cornu, keras])
def test_its_folders_are_refused(library, tmp_path):
    model = library.Sequential([library.Input((2,)), library.layers.Dense(1)])
    (tmp_path / "3" / "pytree.orbax-checkpoint").mkdir(parents=True)
    for load in (library.saving.load_model, model.load_weights):
        with pytest.raises(ImportError, match="orbax-checkpoint"):
            load(tmp_path)


def test_other_folders_are_of_no_known_format(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "other.bin").touch()
    with pytest.raises(ValueError, match="not supported"):
        cornu.saving.load_model(tmp_path)
