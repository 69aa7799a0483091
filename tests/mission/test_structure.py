"""Architecture and way of working."""

import threading

import numpy as np
import pytest
from mission_data import blobs, images

import cornu as keras
from cornu import layers
from cornu.models import Model, Sequential


def _classifier(**kwargs):
    inputs = keras.Input((8,))
    hidden = layers.Dense(16, activation="relu", name="hidden")(inputs)
    model = Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        **kwargs,
    )
    return model


def _one_hot(y):
    return np.eye(3, dtype="float32")[y]


def test_features_are_what_the_hidden_layer_computes():
    base, (x, _) = _classifier(), blobs(6)
    features = Model(inputs=base.inputs, outputs=base.layers[-2].output)
    kernel, bias = base.get_layer("hidden").get_weights()
    expected = np.maximum(x @ kernel + bias, 0)
    np.testing.assert_allclose(features.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_adam_takes_lr():
    with pytest.warns(UserWarning, match="lr"):
        old = keras.optimizers.Adam(lr=0.001)
    assert float(old.learning_rate) == float(keras.optimizers.Adam(learning_rate=0.001).lr)


def test_fit_then_evaluate_prints_a_line(capsys):
    keras.utils.set_random_seed(0)
    model, (x, y) = _classifier(), blobs()
    model.fit(x, _one_hot(y), epochs=10, verbose=0)
    capsys.readouterr()
    loss, accuracy = model.evaluate(x, _one_hot(y), verbose=2)
    assert accuracy > 0.8
    line = capsys.readouterr().out
    assert f"loss: {loss:.4f}" in line and "accuracy" in line


def test_autoencoder():
    keras.utils.set_random_seed(0)
    x, _ = blobs()
    model = Sequential([keras.Input((8,)), layers.Dense(3, activation="relu"), layers.Dense(8)])
    model.compile("adam", "mse")
    history = model.fit(x, x, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]


def test_dropout():
    layer, x = layers.Dropout(0.25, seed=1), np.ones((100, 100), "float32")
    np.testing.assert_array_equal(layer(x), x)
    dropped = np.asarray(layer(x, training=True))
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert abs((dropped == 0).mean() - 0.25) < 0.02
    assert not np.array_equal(dropped, layer(x, training=True))


def test_early_stopping():
    model, (x, y) = _classifier(), blobs()
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=2, restore_best_weights=True, min_delta=100.0
    )
    history = model.fit(
        x,
        _one_hot(y),
        validation_split=0.2,
        epochs=20,
        callbacks=[stopping],
        verbose=0,
    )
    assert stopping.stopped_epoch == 2 and len(history.history["loss"]) == 3
    best = model.evaluate(x[160:], _one_hot(y[160:]), verbose=0)[0]
    np.testing.assert_allclose(best, history.history["val_loss"][0], rtol=1e-5)


def test_a_replaced_activation_takes_effect():
    model, (x, _) = _classifier(), blobs(4)
    kernel, bias = model.layers[-1].get_weights()
    model.predict(x, verbose=0)
    model.layers[-1].activation = keras.activations.linear
    hidden = Model(model.inputs, model.layers[-2].output)(x)
    expected = hidden @ kernel + bias
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_convolution_and_recurrence_over_rows():
    keras.utils.set_random_seed(0)
    x, y = images(128, channels=1)
    x = x[..., 0] / 255.0
    model = Sequential(
        [
            keras.Input((12, 12)),
            layers.Conv1D(8, 3, activation="relu"),
            layers.LSTM(8),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


def test_custom_loss_and_label_smoothing():
    def confident(y_true, y_pred):
        penalty = keras.ops.mean(keras.ops.square(y_pred), axis=-1)
        return keras.losses.categorical_crossentropy(y_true, y_pred) - 0.1 * penalty

    model, (x, y) = _classifier(), blobs(8)
    model.compile("sgd", confident)
    p, t = model.predict(x, verbose=0), _one_hot(y)
    expected = np.mean(-np.log((p * t).sum(-1)) - 0.1 * (p**2).mean(-1))
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0), expected, rtol=1e-4)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(label_smoothing=0.3))
    smooth = t * 0.7 + 0.1
    expected = np.mean(-(smooth * np.log(p)).sum(-1))
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0), expected, rtol=1e-4)


@pytest.mark.parametrize("base", [keras.utils.PyDataset, keras.utils.Sequence])
def test_batches_are_produced_while_the_model_consumes(base):
    x, y = blobs(96)
    threads = set()

    class Producer(base):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            threads.add(threading.get_ident())
            part = slice(index * 16, index * 16 + 16)
            return x[part], _one_hot(y[part])

    model = _classifier()
    history = model.fit(Producer(workers=2, max_queue_size=4), epochs=3, verbose=0)
    assert len(history.history["loss"]) == 3
    assert threads - {threading.get_ident()}

    def batches():
        while True:
            yield x[:16], _one_hot(y[:16])

    assert len(model.fit(batches(), steps_per_epoch=4, verbose=0).history["loss"]) == 1


def test_custom_graph():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    double = layers.Lambda(lambda x: x * 2, name="double")(a)
    total = layers.Add(name="total")([double, b])
    model = Model([a, b], layers.Dense(2, name="end")(total))
    assert [layer.name for layer in model.layers] == ["a", "double", "b", "total", "end"]
    x, z = np.ones((2, 3), "float32"), np.full((2, 3), 5.0, "float32")
    kernel, bias = model.get_layer("end").get_weights()
    np.testing.assert_allclose(model([x, z]), (2 * x + z) @ kernel + bias, rtol=1e-5)
    np.testing.assert_allclose(model({"a": x, "b": z}), model([x, z]))


def test_training_goes_on_after_loading(tmp_path):
    model, (x, y) = _classifier(), blobs(64)
    model.fit(x, _one_hot(y), epochs=2, shuffle=False, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 4
    losses = [
        m.fit(x, _one_hot(y), epochs=2, shuffle=False, verbose=0).history["loss"]
        for m in (model, again)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert int(again.optimizer.iterations) == 8


def test_hidden_features_feed_other_learners():
    model, (x, y) = _classifier(), blobs(64)
    features = Model(model.input, model.get_layer("hidden").output).predict(x, verbose=0)
    assert type(features) is np.ndarray and features.dtype == "float32"
    assert features.flags.writeable and features.flags.c_contiguous
    stump = features[:, features.std(0).argmax()] > features.mean()
    assert stump.shape == y.shape


def test_namespaces_and_deeper_networks():
    model = keras.models.Sequential([keras.layers.Dense(4, activation="relu") for _ in range(6)])
    model.add(keras.layers.Dense(1))
    model.compile(
        keras.optimizers.SGD(learning_rate=0.01, momentum=0.9), keras.losses.MeanSquaredError()
    )
    x, y = blobs(32)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()
    assert isinstance(model, keras.models.Model)


def test_digits_are_prepared_as_the_article_does(tmp_path, monkeypatch):
    from cornu.datasets import mnist

    digits = np.arange(30) % 10
    arrays = {
        "x_train": np.repeat(digits, 784).reshape(30, 28, 28).astype("uint8"),
        "y_train": digits.astype("uint8"),
    }
    arrays |= {"x_test": arrays["x_train"][:10], "y_test": arrays["y_train"][:10]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setattr(mnist, "get_file", lambda *args, **kwargs: str(tmp_path / "mnist.npz"))
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert x_train.dtype == y_train.dtype == "uint8" and len(x_test) == len(y_test) == 10
    x_train = x_train.reshape((30, 784)).astype("float32") / 255
    for to_categorical in (keras.utils.to_categorical, keras.utils.np_utils.to_categorical):
        targets = to_categorical(y_train, 10)
        np.testing.assert_array_equal(targets, np.eye(10)[digits])
    model = Sequential([layers.Dense(10, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    assert np.isfinite(model.fit(x_train, targets, verbose=0).history["loss"]).all()
