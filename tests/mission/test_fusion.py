"""What people did with Keras and TensorFlow together."""

import numpy as np
import pytest
from mission_data import blobs, rng

import cornu as keras
from cornu import backend as K
from cornu import layers, ops
from cornu.models import Model, Sequential


def test_constants_are_added():
    np.testing.assert_allclose(
        ops.convert_to_tensor(2.0) + ops.convert_to_tensor([1.0, 3.0]), [3, 5]
    )
    np.testing.assert_allclose(K.eval(K.constant(2.0) + K.constant([1.0, 3.0])), [3, 5])


def test_backend_functions():
    v = K.variable(np.arange(6.0).reshape(2, 3))
    np.testing.assert_allclose(K.eval(K.zeros((2, 3))), np.zeros((2, 3)))
    product = K.dot(v, K.constant(np.ones((3, 2))))
    np.testing.assert_allclose(K.eval(product), [[3, 3], [12, 12]])
    assert K.int_shape(K.dot(K.zeros((2, 3, 4)), K.zeros((5, 4, 6)))) == (2, 3, 5, 6)
    model = Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(1)])
    hidden = K.function([model.input], [model.layers[0].output])([K.eval(v)])[0]
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(hidden, K.eval(v) @ kernel, rtol=1e-5)
    # The same in Keras 3.
    inner = Model(model.input, model.layers[0].output)
    np.testing.assert_allclose(inner(K.eval(v)), hidden)
    variable = keras.Variable(np.ones(3))
    variable.assign(ops.square(variable + 1))
    np.testing.assert_allclose(variable, [4, 4, 4])
    drawn = keras.random.normal((3,), seed=1)
    np.testing.assert_array_equal(drawn, keras.random.normal((3,), seed=1))


@pytest.mark.filterwarnings("ignore:Do not pass")
@pytest.mark.parametrize("old", [True, False])
def test_summary_counts(capsys, old):
    model = Sequential()
    if not old:
        model.add(keras.Input((100,)))
    model.add(layers.Dense(64, activation="relu", **({"input_shape": (100,)} if old else {})))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    model.summary()
    printed = capsys.readouterr().out
    assert "6,464" in printed and "7,114" in printed and "650" in printed


def test_functional_value():
    inputs = keras.Input(shape=(4,))
    outputs = layers.Dense(2)(layers.Activation("tanh")(layers.Dense(3)(inputs)))
    model = Model(inputs=inputs, outputs=outputs)
    x, _ = blobs(5, features=4)
    a, b, c, d = model.get_weights()
    np.testing.assert_allclose(model.predict(x, verbose=0), np.tanh(x @ a + b) @ c + d, rtol=1e-4)


def test_linear_regression_by_hand():
    r = rng()
    x = r.standard_normal((100, 2)).astype("float32")
    y = x @ np.array([[2.0], [-1.0]], "float32") + 0.5
    w, b = keras.Variable(np.zeros((2, 1))), keras.Variable(np.zeros(1))
    for _ in range(100):
        with keras.GradientTape() as tape:
            loss = ops.mean(ops.square(ops.matmul(x, w) + b - y))
        dw, db = tape.gradient(loss, [w, b])
        w.assign_sub(0.1 * dw)
        b.assign_sub(0.1 * db)
    np.testing.assert_allclose(w, [[2], [-1]], atol=1e-2)
    np.testing.assert_allclose(b, [0.5], atol=1e-2)


def test_branches_sharing_and_weights_of_losses(tmp_path):
    keras.utils.set_random_seed(0)
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    shared = layers.Dense(3, activation="relu", name="shared")
    joined = layers.concatenate([shared(first), shared(second)])
    outputs = {
        "number": layers.Dense(1, name="number")(joined),
        "kind": layers.Dense(2, activation="softmax", name="kind")(joined),
    }
    model = Model(inputs={"first": first, "second": second}, outputs=outputs)
    losses = {"number": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile("adam", loss=losses, loss_weights={"number": 0.5, "kind": 2.0})
    x = {"first": blobs(32, 4)[0], "second": blobs(32, 4, seed=1)[0]}
    y = {"number": x["first"][:, :1], "kind": (x["second"][:, 0] > 0).astype("int32")}
    total, *parts = model.evaluate(x, y, verbose=0)
    predicted = model.predict(x, verbose=0)
    number = ((predicted["number"] - y["number"]) ** 2).mean()
    kind = -np.log(predicted["kind"][np.arange(32), y["kind"]]).mean()
    np.testing.assert_allclose(total, 0.5 * number + 2 * kind, rtol=1e-3)
    assert len(parts) == 2
    model.fit(x, y, epochs=1, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert len(again.get_layer("shared")._inbound_nodes) == 2
    assert len(again.weights) == len(model.weights) == 6
    for name, value in again.predict(x, verbose=0).items():
        np.testing.assert_allclose(value, model.predict(x, verbose=0)[name], rtol=1e-6)


class Linear(layers.Layer):
    def __init__(self, units=4, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            regularizer=keras.regularizers.l2(0.5),
            trainable=True,
        )

    def call(self, inputs):
        return self.activation(ops.matmul(inputs, self.kernel))

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_custom_layer(tmp_path, ending):
    model = Sequential([keras.Input((3,)), Linear(2, activation="relu", name="linear")])
    x = rng().standard_normal((5, 3)).astype("float32")
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(model(x), np.maximum(x @ kernel, 0), rtol=1e-5)
    np.testing.assert_allclose(model.losses, [0.5 * (kernel**2).sum()], rtol=1e-5)
    copy = Linear.from_config(model.layers[0].get_config())
    assert (copy.units, copy.name, copy.activation) == (2, "linear", keras.activations.relu)
    path = tmp_path / f"model{ending}"
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Linear": Linear})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_initializers_regularizers_constraints_activations():
    zeros, ones = keras.initializers.Zeros(), keras.initializers.Constant(3.0)
    np.testing.assert_array_equal(zeros((2,)), [0, 0])
    np.testing.assert_array_equal(ones((2,)), [3, 3])
    glorot = np.asarray(keras.initializers.GlorotUniform(seed=0)((200, 100)))
    assert abs(glorot).max() <= (6 / 300) ** 0.5 and abs(glorot.mean()) < 1e-3
    assert abs(np.std(keras.initializers.HeNormal(seed=0)((200, 100))) - 0.1) < 0.01
    w = np.array([[1.0, -2.0]], "float32")
    np.testing.assert_allclose(keras.regularizers.l1_l2(l1=0.1, l2=0.2)(w), 0.3 + 1.0, rtol=1e-6)
    np.testing.assert_allclose(keras.constraints.NonNeg()(w), [[1, 0]])
    np.testing.assert_allclose(np.linalg.norm(keras.constraints.UnitNorm(axis=1)(w)), 1, rtol=1e-5)
    model = Sequential([keras.Input((2,)), layers.Dense(1, kernel_regularizer="l2")])
    model.compile("sgd", "mse")
    x = np.zeros((4, 2), "float32")
    penalty = 0.01 * (model.get_weights()[0] ** 2).sum()
    np.testing.assert_allclose(model.evaluate(x, np.zeros(4), verbose=0), penalty, rtol=1e-5)
    x = np.linspace(-2, 2, 9).astype("float32")
    for name, expected in (
        ("relu", np.maximum(x, 0)),
        ("sigmoid", 1 / (1 + np.exp(-x))),
        ("tanh", np.tanh(x)),
        ("softplus", np.log1p(np.exp(x))),
    ):
        function = keras.activations.get(name)
        np.testing.assert_allclose(function(x), expected, rtol=1e-5, atol=1e-6)
        assert keras.activations.serialize(function) == name


class TwoLayers(Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8, activation="relu")
        self.dropout = layers.Dropout(0.5)
        self.end = layers.Dense(3, activation="softmax")

    def call(self, inputs, training=False):
        return self.end(self.dropout(self.hidden(inputs), training=training))


def test_custom_model_metric_and_callback():
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, sorted(logs)))

    def error_rate(y_true, y_pred):
        wrong = ops.not_equal(ops.argmax(y_pred, -1), ops.cast(ops.squeeze(y_true), "int32"))
        return ops.cast(wrong, "float32")

    x, y = blobs()
    model = TwoLayers()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[error_rate])
    model.fit(x, y, epochs=2, callbacks=[Recorder()], verbose=0)
    assert seen == [(0, ["error_rate", "loss"]), (1, ["error_rate", "loss"])]
    wrong = (model.predict(x, verbose=0).argmax(-1) != y).mean()
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[1], wrong, rtol=1e-5)


def test_eager_steps_give_the_same():
    x, y = blobs(64)
    results = []
    for eagerly in (False, True):
        keras.utils.set_random_seed(3)
        model = TwoLayers()
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
        history = model.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append((history, model.predict(x, verbose=0)))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-3, atol=1e-5)


def test_settings():
    K.set_floatx("float64")
    K.set_epsilon(1e-5)
    K.set_image_data_format("channels_first")
    try:
        assert keras.config.floatx() == K.floatx() == "float64"
        assert K.variable([1.0]).dtype == "float64"
        assert keras.config.epsilon() == K.epsilon() == 1e-5
        assert layers.Conv2D(1, 1).data_format == keras.config.image_data_format()
        assert K.image_data_format() == "channels_first"
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        keras.config.set_image_data_format("channels_last")
    first = layers.Dense(1).name
    for clear in (K.clear_session, keras.utils.clear_session):
        clear()
        assert layers.Dense(1).name == "dense" != first + "_"


def test_fit_evaluate_predict(capsys):
    x, y = blobs(100)
    model = Sequential([keras.Input((8,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x, y, validation_split=0.2, class_weight={0: 1.0, 1: 2.0, 2: 0.0}, epochs=2, verbose=2
    )
    printed = capsys.readouterr().out
    assert "Epoch 1/2" in printed and "val_accuracy" in printed
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    model.reset_metrics()
    loss, accuracy = model.test_on_batch(x, y)
    np.testing.assert_allclose([loss, accuracy], model.evaluate(x, y, verbose=0), rtol=1e-4)
    before = model.get_weights()[0].copy()
    assert len(model.train_on_batch(x, y)) == 2
    assert not np.array_equal(before, model.get_weights()[0])
    outputs = model.predict_on_batch(x)
    np.testing.assert_allclose(outputs, model.predict(x, verbose=0), rtol=1e-5)


def test_class_weights_scale_the_losses():
    x, y = blobs(30)
    model = Sequential([keras.Input((8,)), layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    each = -np.log(model.predict(x, verbose=0)[np.arange(30), y])
    weights = np.array([1.0, 2.0, 0.5])
    loss = model.fit(x, y, batch_size=30, class_weight=dict(enumerate(weights)), verbose=0).history[
        "loss"
    ][0]
    np.testing.assert_allclose(loss, (each * weights[y]).mean(), rtol=1e-4)
