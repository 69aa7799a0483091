"""The layers of strings and categories do what Keras's do on TensorFlow."""

import pytest
from behaviours import RECORDED, TABLES

import cornu
from outcomes import differences


@pytest.mark.parametrize("name", TABLES)
def test_as_keras_on_tensorflow(name):
    assert differences(RECORDED, name, TABLES[name], cornu) == {}
