"""Real architectures of Keras cross in files."""

import json

import numpy as np
import pytest

import cornu
from reference import keras

MODELS = {"MobileNetV2": ".keras", "ResNet50": ".h5"}


@pytest.mark.filterwarnings("ignore:.*compiled")
@pytest.mark.parametrize("name", MODELS)
def test_applications_cross(name, tmp_path):
    rng = np.random.default_rng(1)
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    for variable in model.weights:
        noise = 0.02 * rng.standard_normal(variable.shape)
        variable.assign_add(np.abs(noise) if "variance" in variable.path else noise)
    x = rng.random((2, 64, 64, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    path, back = (str(tmp_path / f"{part}{MODELS[name]}") for part in ("model", "back"))
    model.save(path)
    again = cornu.saving.load_model(path)
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)
    again.save(back)
    returned = keras.saving.load_model(back)
    assert json.dumps(returned.get_config()) == json.dumps(model.get_config())
    for mine, other in zip(returned.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
