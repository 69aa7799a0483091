"""20 steps of training, weight for weight as the real Keras makes them."""

import numpy as np
import pytest

import cornu
from reference import float64, fresh, keras


def cnn(package):
    layers = package.layers
    return package.Sequential(
        [
            package.Input((8, 8, 2)),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def mlp(package):
    layers = package.layers
    inputs = package.Input((6,))
    hidden = layers.Dense(8, activation="tanh", kernel_regularizer="l2")(inputs)
    hidden = layers.Add()([hidden, layers.Dense(8, activation="gelu")(hidden)])
    hidden = layers.LayerNormalization()(hidden)
    return package.Model(inputs, layers.Dense(5)(hidden))


def embedding(package):
    layers = package.layers
    return package.Sequential(
        [
            package.Input((7,), dtype="int32"),
            layers.Embedding(11, 4),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def images(rng):
    return rng.normal(size=(80, 8, 8, 2)).astype("float32"), rng.integers(0, 5, 80)


def vectors(rng):
    return rng.normal(size=(80, 6)).astype("float32"), rng.normal(size=(80, 5)).astype("float32")


def words(rng):
    return rng.integers(0, 11, (80, 7)).astype("int32"), rng.integers(0, 2, (80, 1))


MODELS = {
    "cnn": (cnn, images, "sparse_categorical_crossentropy", ["accuracy"]),
    "mlp": (mlp, vectors, "mse", ["mae"]),
    "embedding": (embedding, words, "binary_crossentropy", ["accuracy", "auc"]),
}
OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.05}, 1e-5),
    "momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}, 1e-5),
    "adam": ("Adam", {"learning_rate": 0.01}, 1e-3),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01}, 1e-3),
}


def trained(package, name, optimizer, weights, **compiled):
    build, data, loss, metrics = MODELS[name]
    x, y = data(np.random.default_rng(0))
    model = build(package)
    if weights is not None:
        model.set_weights(weights)
    kind, arguments, _ = OPTIMIZERS[optimizer]
    start = model.get_weights()
    model.compile(
        getattr(package.optimizers, kind)(**arguments), loss=loss, metrics=metrics, **compiled
    )
    # 20 steps, the last of each epoch smaller.
    history = model.fit(x, y, batch_size=17, epochs=4, shuffle=False, verbose=0)
    return start, model, history.history


def compare(name, optimizer, tolerance, **compiled):
    fresh()
    start, theirs, expected = trained(keras, name, optimizer, None)
    _, ours, history = trained(cornu, name, optimizer, start, **compiled)
    assert list(history) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(history[key], values, rtol=max(tolerance, 1e-6), atol=1e-6)
    for value, expected_value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected_value, rtol=tolerance, atol=tolerance)
    for value, expected_value in zip(
        ours.optimizer.variables, theirs.optimizer.variables, strict=True
    ):
        np.testing.assert_allclose(
            value.numpy(), expected_value.numpy(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_20_steps_in_float64(name, optimizer):
    with float64():
        compare(name, optimizer, 1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_20_steps_in_float32(name, optimizer):
    compare(name, optimizer, OPTIMIZERS[optimizer][2])


@pytest.mark.parametrize("name", MODELS)
def test_20_eager_steps(name):
    compare(name, "sgd", 1e-5, run_eagerly=True)
