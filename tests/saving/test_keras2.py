"""Files that Keras 2 wrote: `files/write.py` made them."""

import json
import pathlib

import numpy as np
import pytest

import cornu
from cornu.legacy.configs import is_old, modern
from reference import keras

FILES = sorted(
    path
    for path in (pathlib.Path(__file__).parent / "files").iterdir()
    if path.suffix in (".h5", ".keras")
)
# The older optimizers have no state in a `.keras` file.
STATELESS = ("cnn.keras", "nested.keras")
pytestmark = pytest.mark.filterwarnings("ignore:.*compiled", "ignore:Skipping variable loading")


def bare(items):
    return items[0] if len(items) == 1 else items


def arrays(outputs):
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [np.asarray(cornu.ops.cast(y, "float32")) for y in outputs]


def assert_near(results, expected, tolerance):
    for result, value in zip(results, expected, strict=True):
        scale = max(1.0, np.abs(value).max())
        np.testing.assert_allclose(result / scale, value / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_models_of_keras_2(path, tmp_path):
    stored = np.load(path.with_suffix(".npz"))
    inputs, outputs, targets, weights = (
        [stored[key] for key in sorted(stored) if key[0] == kind] for kind in "xytw"
    )
    tolerance = 1e-2 if path.stem == "mixed_float16" else 1e-5
    model = cornu.saving.load_model(path)
    assert_near(arrays(model(bare(inputs), training=False)), outputs, tolerance)
    assert model.compiled == bool(targets)
    again = str(tmp_path / "model.keras")
    if path.stem != "stateful":
        model.save(again)
        model_again = cornu.saving.load_model(again)
        assert_near(arrays(model_again(bare(inputs), training=False)), outputs, tolerance)
    if targets and path.name not in STATELESS:
        assert int(np.asarray(model.optimizer.iterations)) == 2
        model.fit(bare(inputs), bare(targets), epochs=2, batch_size=3, shuffle=False, verbose=0)
        # TensorFlow's fused batch norm averages the unbiased variance.
        assert_near(model.get_weights(), weights, 1e-3 if path.stem == "cnn" else 1e-4)


@pytest.mark.parametrize(
    "version, old",
    [("2.15.0", True), (b"2.2.4-tf", True), (None, True), ("3.0.0", False), ("1.2", True)],
)
def test_which_files_are_old(version, old):
    assert is_old(version) == old


def dense(name, **config):
    initializer = {"class_name": "Ones", "config": {}}
    return {
        "class_name": "Dense",
        "config": {"name": name, "units": 2, "kernel_initializer": initializer, **config},
    }


def text(class_name, config):
    return json.dumps({"class_name": class_name, "config": config, "keras_version": "2.2.4"})


def node(*names, **kwargs):
    return [[[name, 0, 0, kwargs] for name in names]]


ZEROS = {"kernel_initializer": "zeros"}
FIRST = {"batch_input_shape": [None, 3], "dtype": "float32"}
GRAPH = {
    "name": "m",
    "layers": [
        {
            "class_name": "InputLayer",
            "config": {"name": "a", "sparse": False, **FIRST},
            "inbound_nodes": [],
            "name": "a",
        },
        {**dense("d"), "name": "d", "inbound_nodes": node("a")},
        {**dense("e"), "name": "e", "inbound_nodes": node("a")},
        {
            "class_name": "Add",
            "config": {"name": "s", "trainable": True},
            "name": "s",
            "inbound_nodes": node("d", "e"),
        },
    ],
    "input_layers": [["a", 0, 0]],
    "output_layers": [["s", 0, 0]],
}
# Spellings of the versions before 2.3, which no longer run; what the models give for ones.
TEXTS = {
    "a list": (text("Sequential", [dense("d", **FIRST)]), 3.0),
    "no input": (text("Sequential", {"name": "s", "layers": [dense("d", **FIRST)]}), 3.0),
    "Model": (text("Model", GRAPH), 6.0),
    "dtype": (
        text(
            "Sequential",
            [
                dense(
                    "d",
                    **FIRST,
                    bias_initializer={
                        "class_name": "RandomUniform",
                        "config": {"minval": 0, "maxval": 0, "seed": None, "dtype": "float32"},
                    },
                )
            ],
        ),
        3.0,
    ),
    "hard_sigmoid": (
        text(
            "Sequential",
            [dense("d", **FIRST, activation="hard_sigmoid", kernel_initializer="zeros")],
        ),
        0.5,
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_configs_before_tensorflow_2(name):
    config, expected = TEXTS[name]
    model = cornu.models.model_from_json(config)
    result = np.asarray(model(np.ones((1, 3), "float32")))
    np.testing.assert_allclose(result, np.full((1, 2), expected), rtol=1e-6)


def test_hard_sigmoid_is_that_of_keras_2(tmp_path):
    layer = modern({"class_name": "Activation", "config": {"activation": "hard_sigmoid"}})
    model = cornu.Sequential([cornu.Input((1,)), cornu.layers.deserialize(layer)])
    x = np.linspace(-4, 4, 9, dtype="float32")[:, None]
    model.save(tmp_path / "model.keras")
    for each in (model, cornu.saving.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(each(x), np.clip(0.2 * x + 0.5, 0, 1), atol=1e-6)


REFUSED = {
    "time_major": {"class_name": "LSTM", "config": {"units": 2, "time_major": True}},
    "tf.py_function": {"class_name": "TFOpLambda", "config": {"function": "py_function"}},
    "tf.io.read_file": {"class_name": "TFOpLambda", "config": {"function": "io.read_file"}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_is_refused(name):
    with pytest.raises((ValueError, TypeError), match=name):
        cornu.layers.deserialize(modern(REFUSED[name]))


def test_layers_are_serialized_as_keras_does():
    for library in (keras, cornu):
        config = library.layers.serialize(library.layers.Dense(3, name="d"))
        assert library.layers.deserialize(config).get_config() == config["config"] | {
            "dtype": library.layers.Dense(3).get_config()["dtype"]
        }
        loss = library.saving.serialize_keras_object(library.losses.MeanSquaredError())
        for broken in (loss, 3, None):
            with pytest.raises(ValueError, match=r"not a `keras\.layers\.Layer`"):
                library.layers.deserialize(broken)
        with pytest.raises(TypeError, match="Could not locate class"):
            library.layers.deserialize({"class_name": "Nothing", "config": {}})
