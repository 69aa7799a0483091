"""The layers of strings and categories do what Keras's do on TensorFlow."""

import pytest
from behaviours import TABLES
from outcomes import differences

import cornu


@pytest.mark.parametrize("name", TABLES)
def test_as_keras_on_tensorflow(name):
    assert differences(name, TABLES[name], cornu) == {}
