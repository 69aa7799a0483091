"""Images, augmentation, and models inside models."""

import numpy as np
import pytest
from mission_data import Batches, images, rng, softmax

import cornu as keras
from cornu import layers
from cornu.models import Model, Sequential
from cornu.preprocessing.image import ImageDataGenerator

X, Y = images(64)


def _network(**kwargs):
    return Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(4, 3),
            layers.ReLU(),
            layers.MaxPool2D(),
            layers.Flatten(),
            layers.Dense(2, **kwargs),
        ]
    )


def test_image_data_generator():
    keras.utils.set_random_seed(0)
    generator = ImageDataGenerator(
        rescale=1.0 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=False
    )
    flow = generator.flow(X, Y, batch_size=16, seed=0)
    x, y = next(flow)
    assert x.shape == (16, 12, 12, 3) and x.max() <= 1.0 and y.shape == (16,)
    model = _network(activation="softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(flow, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    normalized = ImageDataGenerator(featurewise_center=True)
    normalized.fit(X)
    np.testing.assert_allclose(normalized.mean.ravel(), X.mean((0, 1, 2)), rtol=1e-4)


def test_augmenting_layers_before_a_network():
    keras.utils.set_random_seed(0)
    augment = Sequential(
        [
            layers.Rescaling(1.0 / 255),
            layers.RandomFlip("vertical"),
            layers.RandomZoom(0.1),
            layers.RandomRotation(0.05),
        ]
    )
    x = X.astype("float32")
    np.testing.assert_allclose(augment(x, training=False), x / 255, rtol=1e-5)
    assert not np.allclose(augment(x, training=True), x / 255)
    model = Sequential([keras.Input((12, 12, 3)), augment, *_network().layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    losses = model.fit(x, Y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["keras", "experimental"])
def test_augmentation_layers(name):
    home = layers if name == "keras" else layers.experimental.preprocessing
    x = X[:4] / 255.0
    flipped = np.asarray(home.RandomFlip("horizontal", seed=0)(x, training=True))
    for one, source in zip(flipped, x, strict=True):
        same = np.allclose(one, source, atol=1e-6)
        assert same or np.allclose(one, source[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(home.RandomFlip()(x, training=False), x, rtol=1e-6)
    np.testing.assert_allclose(home.Rescaling(1.0 / 255)(X[:4]), x, rtol=1e-5)


def test_one_hot():
    encoded = layers.CategoryEncoding(num_tokens=10, output_mode="one_hot")(np.arange(10))
    np.testing.assert_array_equal(encoded, np.eye(10))
    np.testing.assert_array_equal(keras.ops.one_hot(np.arange(10), 10), np.eye(10))
    np.testing.assert_array_equal(keras.utils.to_categorical(range(10)), np.eye(10))


def test_a_base_layer_of_another_model():
    base = _network()
    features = Model(base.inputs, base.layers[0].output)
    assert features.predict(X[:2], verbose=0).shape == (2, 10, 10, 4)
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.Convolution2D is layers.Conv2D


def test_channels_first_is_channels_last():
    last = layers.Conv2D(4, 3, padding="same", data_format="channels_last")
    first = layers.Conv2D(4, 3, padding="same", data_format="channels_first")
    x = rng().random((2, 24, 24, 3)).astype("float32")
    y = last(x)
    inputs = keras.Input(shape=(3, 24, 24))
    model = Model(inputs, layers.MaxPooling2D(data_format="channels_first")(first(inputs)))
    first.set_weights(last.get_weights())
    expected = np.transpose(layers.MaxPooling2D()(y), (0, 3, 1, 2))
    np.testing.assert_allclose(model(x.transpose(0, 3, 1, 2)), expected, rtol=1e-4, atol=1e-5)


def test_logits_batches_and_files(tmp_path):
    keras.utils.set_random_seed(0)
    x = (X / 255.0).astype("float32")
    model = _network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(), loss=loss, metrics=["accuracy"])
    history = model.fit(Batches(x, Y, 8), epochs=3, validation_data=(x, Y), verbose=0).history
    assert history["val_loss"][-1] < history["val_loss"][0]
    logits = np.asarray(model(x[:8]))
    expected = -np.log(softmax(logits)[np.arange(8), Y[:8]]).mean()
    np.testing.assert_allclose(loss(Y[:8], logits), expected, rtol=1e-4)
    path = str(tmp_path / "vgg_keras.h5")
    model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_allclose(again(x[:8]), logits, rtol=1e-6)
    np.testing.assert_allclose(again.evaluate(x, Y, verbose=0), model.evaluate(x, Y, verbose=0))


def test_a_model_in_time(tmp_path):
    inner = Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh")])
    model = Sequential(
        [keras.Input((5, 4)), layers.TimeDistributed(inner), layers.LSTM(2), layers.Dense(1)]
    )
    x = rng().standard_normal((8, 5, 4)).astype("float32")
    np.testing.assert_allclose(model.layers[0](x)[:, 2], inner(x[:, 2]), rtol=1e-5, atol=1e-6)
    before = inner.get_weights()[0].copy()
    model.compile("sgd", "mse")
    model.fit(x, np.ones(8), verbose=0)
    assert not np.array_equal(before, inner.get_weights()[0])
    path = str(tmp_path / "model.h5")
    model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
