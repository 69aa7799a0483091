"""Configs without modules."""

import pytest

import cornu
from cornu.legacy.saving import deserialize_keras_object, serialize_keras_object

LAYERS = {"Dense": cornu.layers.Dense, "relu": cornu.activations.relu}


def test_round_trip():
    config = serialize_keras_object(cornu.layers.Dense(3, activation="relu"))
    assert config["class_name"] == "Dense" and "module" not in config
    layer = deserialize_keras_object(config, LAYERS)
    assert isinstance(layer, cornu.layers.Dense) and layer.units == 3
    assert serialize_keras_object(cornu.activations.relu) == "relu"
    assert deserialize_keras_object("relu", LAYERS) is cornu.activations.relu
    assert deserialize_keras_object(layer) is layer
    assert serialize_keras_object(None) is None


def test_custom_objects():
    class Mine(cornu.layers.Layer):
        pass

    config = serialize_keras_object(Mine(name="m"))
    assert deserialize_keras_object(config, LAYERS, {"Mine": Mine}).name == "m"


@pytest.mark.parametrize("identifier", ["Nothing", {"class_name": "Dense"}])
def test_errors(identifier):
    with pytest.raises(ValueError, match=r"Nothing|Improper"):
        deserialize_keras_object(identifier, LAYERS, printable_module_name="layer")
    with pytest.raises(ValueError, match="get_config"):
        serialize_keras_object(3)
