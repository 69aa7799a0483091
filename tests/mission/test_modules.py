"""Modules that feed each other, training and deployment."""

import subprocess
import sys

import numpy as np
import pytest
from mission_data import blobs, images, rng

import cornu as keras
from cornu import layers
from cornu.models import Model, Sequential


class BaseModel(Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(4, 3, strides=8, activation="relu")
        self.flatten = layers.GlobalAveragePooling2D()
        self.dense = layers.Dense(5, activation="relu")

    def call(self, inputs):
        return self.dense(self.flatten(self.conv(inputs)))


class ModifiedBaseModel(BaseModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)


PHOTOS = rng().random((2, 224, 224, 3)).astype("float32")


def test_a_subclassed_model_is_called_on_arrays():
    model = BaseModel()
    assert model(PHOTOS).shape == (2, 5)
    assert [w.shape for w in model.weights] == [(3, 3, 3, 4), (4,), (4, 5), (5,)]
    assert len(model.layers) == 3 and model.count_params() == 3 * 3 * 3 * 4 + 4 + 25


def test_a_layer_is_replaced_in_a_subclass():
    base, modified = BaseModel(), ModifiedBaseModel()
    base(PHOTOS)
    assert modified(PHOTOS).shape == (2, 3)
    assert modified.layers[-1] is modified.dense and modified.dense.built
    modified.set_weights([w + 1 for w in modified.get_weights()])
    assert len(modified.get_weights()) == 4
    modified.conv.set_weights(base.conv.get_weights())
    hidden = base.flatten(base.conv(PHOTOS))
    np.testing.assert_allclose(modified(PHOTOS), modified.dense(hidden), rtol=1e-5)


def test_a_model_between_the_ends_of_subclassed_models():
    base, modified = BaseModel(), ModifiedBaseModel()
    x = keras.Input((224, 224, 3))
    modified(x)
    base(x)
    joined = Model(inputs=base.input, outputs=modified.output)
    np.testing.assert_allclose(joined(PHOTOS), modified(PHOTOS), rtol=1e-5)
    modified.dense.set_weights([np.zeros((4, 3)), np.full(3, 7.0)])
    np.testing.assert_allclose(joined(PHOTOS), 7.0)
    assert all(any(v is w for w in modified.weights) for v in joined.weights)


def test_blocks_feed_each_other():
    a_in = keras.Input((8,))
    a = Model(a_in, layers.Dense(4, name="last")(layers.Dense(6, activation="relu")(a_in)))
    b_in = keras.Input((4,))
    b = Model(b_in, layers.Dense(2)(b_in))
    whole = Model(a.input, b(a.output))
    inner = Model(a.input, a.layers[1].output)
    x, _ = blobs(5)
    np.testing.assert_allclose(whole(x), b(a(x)), rtol=1e-5)
    kernel, bias = a.layers[1].get_weights()
    np.testing.assert_allclose(inner(x), np.maximum(x @ kernel + bias, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("functional", [False, True])
def test_compile_fit_evaluate(functional):
    keras.utils.set_random_seed(0)
    x, y = blobs()
    if functional:
        inputs = keras.Input((8,))
        model = Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    else:
        model = Sequential([layers.Dense(3, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    assert model.loss == "sparse_categorical_crossentropy"
    history = model.fit(x, y, batch_size=8, epochs=15, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    loss, accuracy = model.evaluate(*blobs(seed=1), verbose=0)
    assert accuracy > 0.8 and np.isfinite(loss)


def test_binary_crossentropy_is_the_formula():
    y, p = np.array([[1.0], [0.0]]), np.array([[0.7], [0.4]])
    loss = keras.losses.BinaryCrossentropy()(y, p)
    np.testing.assert_allclose(loss, -(np.log(0.7) + np.log(0.6)) / 2, rtol=1e-5)
    from_logits = keras.losses.binary_crossentropy(y, np.log(p / (1 - p)), from_logits=True)
    np.testing.assert_allclose(from_logits, [-np.log(0.7), -np.log(0.6)], rtol=1e-5)


def test_a_new_head_on_an_old_model():
    backbone = Sequential([keras.Input((8,)), layers.Dense(6, activation="relu", name="body")])
    backbone.trainable = False
    input_layer = keras.Input(shape=(8,))
    output = layers.Dense(1, name="output", activation="sigmoid")(backbone(input_layer))
    model = Model(input_layer, output)
    assert model.get_layer("output").units == 1
    assert [v.path.split("/")[-2] for v in model.trainable_variables] == ["output", "output"]
    before = backbone.get_weights()
    x, y = blobs(classes=2)
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, epochs=2, verbose=0)
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.predict(x, verbose=0).shape == (200, 1)


@pytest.mark.filterwarnings("ignore:Do not pass")
def test_a_convolutional_network_learns_images():
    keras.utils.set_random_seed(1)
    (x, y), (x_test, y_test) = images(256), images(64, seed=1)
    x, x_test = x / 255.0, x_test / 255.0
    model = Sequential()
    model.add(layers.Conv2D(8, (3, 3), activation="relu", input_shape=(12, 12, 3)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dense(2, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=128, epochs=25, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.6
    assert model.predict(x_test, verbose=0).shape == (64, 2)


_DEPLOYED = """
import sys, numpy as np, cornu as keras
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_another_process_predicts_the_same(tmp_path, ending):
    model = Sequential([keras.Input((8,)), layers.Dense(4, activation="tanh"), layers.Dense(2)])
    x, _ = blobs(10)
    files = [str(tmp_path / name) for name in (f"model{ending}", "x.npy", "y.npy")]
    model.save(files[0])
    np.save(files[1], x)
    subprocess.run([sys.executable, "-c", _DEPLOYED, *files], check=True)
    np.testing.assert_array_equal(np.load(files[2]), model.predict(x, verbose=0))
