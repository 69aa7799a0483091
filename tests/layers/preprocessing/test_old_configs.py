"""Configs of Keras 2 make layers."""

import numpy as np
import pytest

import cornu

BASE = {"name": "layer", "trainable": True, "batch_input_shape": [None, 2]}
LOOKUP = {
    "invert": False,
    "max_tokens": None,
    "num_oov_indices": 1,
    "output_mode": "int",
    "sparse": False,
    "pad_to_max_tokens": False,
    "idf_weights": None,
    "vocabulary_size": 3,
}
CONFIGS = {
    "StringLookup": {
        **LOOKUP,
        "dtype": "int64",
        "oov_token": "[UNK]",
        "mask_token": None,
        "encoding": "utf-8",
        "vocabulary": ["a", "b"],
    },
    "IntegerLookup": {
        **LOOKUP,
        "dtype": "int64",
        "oov_token": -1,
        "mask_token": None,
        "vocabulary_dtype": "int64",
        "vocabulary": [1, 2],
    },
    "Discretization": {
        "dtype": "int64",
        "bin_boundaries": None,
        "num_bins": 2,
        "epsilon": 0.01,
        "output_mode": "int",
        "sparse": False,
    },
    "ConvLSTM2D": {
        "dtype": "float32",
        "time_major": False,
        "unroll": False,
        "filters": 2,
        "kernel_size": [2, 2],
        "recurrent_activation": "hard_sigmoid",
    },
    "LSTM": {"dtype": "float32", "time_major": False, "implementation": 2, "units": 2},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs(name):
    stored = {"class_name": name, "config": {**BASE, **CONFIGS[name]}, "module": "keras.layers"}
    layer = cornu.saving.deserialize_keras_object({**stored, "registered_name": None})
    assert layer.name == "layer"
    if hasattr(layer, "get_vocabulary"):
        assert layer.get_vocabulary(include_special_tokens=False) == CONFIGS[name]["vocabulary"]


def test_boundaries_that_are_weights():
    layer = cornu.layers.Discretization(num_bins=3)
    layer.load_own_variables({"0": np.array([1.0, 2.0])})
    assert np.asarray(layer(np.array([0.5, 1.5, 2.5]))).tolist() == [0, 1, 2]


def test_time_comes_second():
    with pytest.raises(ValueError, match="time_major"):
        cornu.layers.LSTM(2, time_major=True)
