"""The high-level API."""

import itertools

import numpy as np
import pytest
from mission_data import Batches, blobs, rng

import cornu as keras
from cornu import layers, legacy, ops
from cornu.models import Model, Sequential


def test_a_sequential_model_is_called_on_a_tensor():
    network = Sequential([layers.Dense(3), layers.ReLU(), layers.Dense(2), layers.ReLU()])
    x = ops.convert_to_tensor(rng().standard_normal((4, 3)).astype("float32"))
    out = network(x)
    a, b, c, d = network.get_weights()
    hidden = np.maximum(np.asarray(x) @ a + b, 0)
    np.testing.assert_allclose(out, np.maximum(hidden @ c + d, 0), rtol=1e-5, atol=1e-6)


def _grown():
    network = Sequential([])
    for index in range(2):
        network.add(layers.Dense(3, name=f"dense_{index + 2}"))
        network.add(layers.ReLU())
    network.build(input_shape=(4, 4))
    return network


def test_a_grown_network_has_a_summary(capsys):
    _grown().summary()
    lines = capsys.readouterr().out.splitlines()
    counts = [line.split("│")[-2].strip() for line in lines if line.count("│") == 4]
    assert counts == ["15", "0", "12", "0"]
    text = "\n".join(lines)
    assert "Total params: 27" in text and "Trainable params: 27" in text
    assert "Non-trainable params: 0" in text


def test_names_and_shapes_of_variables():
    network = _grown()
    found = [(v.path.split("/", 1)[1], tuple(v.shape)) for v in network.trainable_variables]
    assert found == [
        ("dense_2/kernel", (4, 3)),
        ("dense_2/bias", (3,)),
        ("dense_3/kernel", (3, 3)),
        ("dense_3/bias", (3,)),
    ]
    assert legacy.variable_names(network)[0] == "dense_2/kernel:0"
    norm = layers.BatchNormalization()
    norm.build((None, 4))
    assert [len(v) for v in (norm.variables, norm.trainable_variables)] == [4, 2]


def _network():
    network = Sequential([layers.Dense(16, activation="relu"), layers.Dense(3)])
    network.build((None, 8))
    return network


def _batches(seed=0):
    x, y = blobs(96, seed=seed)
    return Batches(x, np.eye(3, dtype="float32")[y], 32)


@pytest.mark.filterwarnings("ignore:The `lr`")
@pytest.mark.parametrize("rate", ["lr", "learning_rate"])
def test_train_on_batches_and_test(rate):
    keras.utils.set_random_seed(0)
    network, train, held = _network(), _batches(), _batches(1)
    network.compile(
        optimizer=keras.optimizers.Adam(**{rate: 0.01}),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = network.fit(train, epochs=4, validation_data=held, validation_freq=2, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(history.history["loss"]) == 4 and len(history.history["val_loss"]) == 2
    x, y = next(iter(held))
    predicted = ops.argmax(network.predict(x, verbose=0), axis=1)
    agree = np.mean(np.asarray(predicted) == y.argmax(1))
    np.testing.assert_allclose(network.evaluate(x, y, verbose=0)[1], agree, rtol=1e-5)
    whole = np.concatenate([network.predict(x, verbose=0).argmax(1) for x, _ in held])
    truth = np.concatenate([y.argmax(1) for _, y in held])
    accuracy = network.evaluate(held, verbose=0)[1]
    np.testing.assert_allclose(accuracy, (whole == truth).mean(), rtol=1e-5)


def test_weights_alone(tmp_path):
    network, x = _network(), _batches()[0][0]
    path = tmp_path / "my.weights.h5"
    network.save_weights(path)
    again = _network()
    again.load_weights(path)
    np.testing.assert_array_equal(again(x), network(x))
    wrong = Sequential([layers.Dense(17), layers.Dense(3)])
    wrong.build((None, 8))
    with pytest.raises(ValueError):
        wrong.load_weights(path)


@pytest.mark.filterwarnings("ignore:You are saving")
@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_whole_models(tmp_path, name):
    keras.utils.set_random_seed(0)
    network, train = _network(), _batches()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"])
    network.fit(train, epochs=1, verbose=0)
    network.save(tmp_path / name)
    again = keras.models.load_model(tmp_path / name)
    np.testing.assert_allclose(
        again.evaluate(train, verbose=0), network.evaluate(train, verbose=0), rtol=1e-6
    )
    losses = [
        m.fit(train, epochs=2, shuffle=False, verbose=0).history["loss"] for m in (network, again)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


class MyDense(layers.Layer):
    def __init__(self, inp_dim, outp_dim):
        super().__init__()
        self.kernel = self.add_weight("w", [inp_dim, outp_dim], trainable=True)

    def call(self, inputs, training=None):
        return ops.relu(inputs @ self.kernel)


class MyNetwork(Model):
    def __init__(self):
        super().__init__()
        sizes = (3072, 256, 128, 64, 32, 10)
        self.stack = [MyDense(*pair) for pair in itertools.pairwise(sizes)]

    def call(self, inputs, training=None):
        x = ops.reshape(inputs, [-1, 3072])
        for layer in self.stack:
            x = layer(x)
        return x


def test_own_network(tmp_path):
    keras.utils.set_random_seed(0)
    network = MyNetwork()
    x = rng().random((16, 32, 32, 3)).astype("float32")
    y = np.eye(10, dtype="float32")[rng().integers(0, 10, 16)]
    network.compile(
        keras.optimizers.Adam(0.001),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    losses = network.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert network.count_params() == 3072 * 256 + 256 * 128 + 128 * 64 + 64 * 32 + 32 * 10
    assert [w.name for w in network.weights] == ["w"] * 5
    network.save_weights(tmp_path / "own.weights.h5")
    again = MyNetwork()
    again(x[:1])
    again.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(again(x), network(x))


def test_a_loop_by_hand():
    keras.utils.set_random_seed(0)
    network, train = _network(), _batches()
    optimizer = keras.optimizers.Adam(0.01)
    criterion = keras.losses.CategoricalCrossentropy(from_logits=True)
    mean, accuracy = keras.metrics.Mean(), keras.metrics.CategoricalAccuracy()
    means = []
    for _ in range(4):
        mean.reset_state()
        accuracy.reset_state()
        for x, y in train:
            with keras.GradientTape() as tape:
                out = network(x, training=True)
                loss = criterion(y, out)
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
            mean.update_state(loss)
            accuracy.update_state(y, out)
        means.append(float(mean.result()))
    assert means[-1] < means[0] and 0 <= float(accuracy.result()) <= 1
    assert int(optimizer.iterations) == 12


SHAPES = {
    "Dense": ({"units": 3}, (4, 5)),
    "Activation": ({"activation": "relu"}, (4, 5)),
    "Dropout": ({"rate": 0.5}, (4, 5)),
    "Flatten": ({}, (4, 5, 2)),
    "Reshape": ({"target_shape": (10,)}, (4, 5, 2)),
    "Permute": ({"dims": (2, 1)}, (4, 5, 2)),
    "RepeatVector": ({"n": 3}, (4, 5)),
    "Conv1D": ({"filters": 2, "kernel_size": 2}, (4, 5, 2)),
    "Conv2D": ({"filters": 2, "kernel_size": 2}, (2, 5, 5, 3)),
    "SeparableConv2D": ({"filters": 2, "kernel_size": 2}, (2, 5, 5, 3)),
    "DepthwiseConv2D": ({"kernel_size": 2}, (2, 5, 5, 3)),
    "Conv2DTranspose": ({"filters": 2, "kernel_size": 2}, (2, 5, 5, 3)),
    "MaxPooling2D": ({}, (2, 6, 6, 3)),
    "AveragePooling2D": ({}, (2, 6, 6, 3)),
    "GlobalAveragePooling2D": ({}, (2, 6, 6, 3)),
    "UpSampling2D": ({}, (2, 3, 3, 1)),
    "ZeroPadding2D": ({}, (2, 3, 3, 1)),
    "BatchNormalization": ({}, (4, 5)),
    "LayerNormalization": ({}, (4, 5)),
    "SimpleRNN": ({"units": 3}, (2, 4, 3)),
    "LSTM": ({"units": 3}, (2, 4, 3)),
    "GRU": ({"units": 3}, (2, 4, 3)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_common_layer(name):
    arguments, shape = SHAPES[name]
    layer = getattr(layers, name)(**arguments)
    x = rng().random(shape).astype("float32")
    y = layer(x)
    assert tuple(y.shape) == tuple(layer.compute_output_shape(shape))
    assert np.isfinite(np.asarray(y)).all()
    again = type(layer).from_config(layer.get_config())
    assert again(x).shape == y.shape
