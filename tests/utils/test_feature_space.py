"""FeatureSpace encodes tables as Keras does on TensorFlow."""

import numpy as np
import pytest
from space_behaviours import DATA, RECORDED, TABLES, space

import cornu
from outcomes import differences


@pytest.mark.parametrize("name", TABLES)
def test_as_keras_on_tensorflow(name):
    assert differences(RECORDED, name, TABLES[name], cornu) == {}


def test_begins_a_model():
    features = space(cornu, crosses=[("i", "s")])
    encoded = features.get_encoded_features()
    model = cornu.Model(features.get_inputs(), cornu.layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    x = {name: np.asarray(column)[:, None] for name, column in DATA.items()}
    assert len(model.fit(x, np.ones(4), verbose=0, epochs=2).history["loss"]) == 2
    inner = cornu.Model(features.get_inputs(), encoded)
    np.testing.assert_allclose(inner.predict(x, verbose=0), features(DATA), rtol=1e-6)


def test_survives_a_file(tmp_path):
    features = space(cornu, crosses=[("i", "s"), cornu.utils.FeatureSpace.cross(("s", "h"), 7)])
    features.save(tmp_path / "space.keras")
    again = cornu.saving.load_model(tmp_path / "space.keras")
    np.testing.assert_array_equal(again(DATA), features(DATA))


def test_adapts_to_batches():
    batches = [{name: np.asarray(x)[part] for name, x in DATA.items()} for part in ([0, 1], [2, 3])]
    whole, parts = (cornu.utils.FeatureSpace({"s": "string_categorical", "g": "float_normalized"})
                    for _ in range(2))  # fmt: skip
    whole.adapt(DATA)
    parts.adapt((batch, 0) for batch in batches)
    np.testing.assert_allclose(whole(DATA), parts(DATA), rtol=1e-6)
