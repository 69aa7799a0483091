"""Functions of one's own standardize and split texts; statistics can be read."""

import keras
import numpy as np
import pytest

import cornu

TEXTS = ["A-b", "b-A-c"]


@cornu.saving.register_keras_serializable("test")
def by_dashes(texts):
    return [text.split("-") for text in texts]


@cornu.saving.register_keras_serializable("test")
def small(texts):
    return np.char.lower(texts.astype("str"))


def test_texts(tmp_path):
    layer = cornu.layers.TextVectorization(standardize=small, split=by_dashes)
    layer.adapt(TEXTS)
    assert layer.get_vocabulary() == ["", "[UNK]", "b", "a", "c"]
    np.testing.assert_array_equal(layer(TEXTS), [[3, 2, 0], [2, 3, 4]])
    model = cornu.Sequential([cornu.Input((1,), dtype="string"), layer])
    model.save(tmp_path / "model.keras")
    again = cornu.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.layers[-1](TEXTS), layer(TEXTS))


@pytest.mark.parametrize("axis", [-1, None, (0, 1)])
def test_statistics(axis):
    x = np.arange(12.0, dtype="float32").reshape(3, 4)
    ours, theirs = (library.layers.Normalization(axis=axis) for library in (cornu, keras))
    for layer in (ours, theirs):
        layer.adapt(x)
    for name in ("mean", "variance"):
        mine, other = (np.asarray(getattr(layer, name)) for layer in (ours, theirs))
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=1e-6)
    assert cornu.layers.Normalization(mean=1.0, variance=2.0).mean is None
