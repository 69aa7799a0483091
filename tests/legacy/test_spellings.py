"""Arguments, methods, attributes and modules of Keras 2."""

import importlib

import numpy as np
import pytest

import cornu
from cornu import Input, Model, Sequential, layers, legacy, optimizers
from reference import keras as real

X = np.random.default_rng(0).standard_normal((20, 4)).astype("float32")
Y = (X.sum(1) > 0).astype("float32")

WARNINGS = {
    "input_shape": lambda k: k.layers.Dense(3, input_shape=(4,)),
    "input_dim": lambda k: k.layers.Dense(3, input_dim=4),
    "input_length": lambda k: k.layers.Embedding(3, 2, input_length=4),
    "InputLayer": lambda k: k.layers.InputLayer(input_shape=(3,)),
    "decay": lambda k: k.optimizers.Adam(decay=0.1),
    "alpha": lambda k: k.layers.LeakyReLU(alpha=0.2),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warning_is_that_of_keras(name):
    messages = []
    for library in (real, cornu):
        with pytest.warns(UserWarning) as caught:
            WARNINGS[name](library)
        messages.append(str(caught[0].message))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "layer, arguments, shape",
    [
        (layers.Dense, {"units": 3, "input_shape": (4,)}, (None, 4)),
        (layers.Dense, {"units": 3, "input_dim": 4}, (None, 4)),
        (layers.Dense, {"units": 3, "batch_input_shape": (2, 4)}, (2, 4)),
        (layers.Dense, {"units": 3, "input_shape": (4,), "batch_size": 5}, (5, 4)),
        (layers.LSTM, {"units": 3, "input_shape": (None, 4)}, (None, None, 4)),
        (layers.Flatten, {"input_shape": (2, 3)}, (None, 2, 3)),
        (layers.Activation, {"activation": "relu", "input_shape": (2,)}, (None, 2)),
    ],
)
@pytest.mark.filterwarnings("ignore:Do not pass")
def test_first_layer_takes_the_shape_of_the_input(layer, arguments, shape):
    model = Sequential([layer(**arguments)])
    assert model.built and model.input_shape == shape


def test_weights_argument():
    kernel, bias = np.ones((4, 2)), np.arange(2.0)
    model = Sequential([Input((4,)), layers.Dense(2, weights=[kernel, bias])])
    np.testing.assert_allclose(model(X), X @ kernel + bias, rtol=1e-5)
    table = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(layers.Embedding(3, 2, weights=[table])(np.array([2])), table[2:])


def test_name_first_in_add_weight():
    class Old(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight("w", [input_shape[-1], 3])
            self.b = self.add_variable("b", shape=[3], initializer="zeros")

        def call(self, x):
            return x @ self.w + self.b

    layer = Old()
    assert layer(X).shape == (20, 3)
    assert [w.name for w in layer.weights] == ["w", "b"]


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Nadam", "Adamax"])
def test_lr(name):
    with pytest.warns(UserWarning, match="use `learning_rate`"):
        optimizer = getattr(optimizers, name)(lr=0.25)
    assert float(optimizer.learning_rate) == float(optimizer.lr) == 0.25
    optimizer.lr = 0.5
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Ftrl", "Adadelta"])
def test_legacy_optimizers_let_the_rate_decay(name):
    optimizer = getattr(optimizers.legacy, name)(lr=0.1, decay=0.5)
    variable = cornu.Variable(np.ones(2, "float32"))
    rates = []
    for _ in range(3):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply_gradients([(np.ones(2, "float32"), variable)])
    np.testing.assert_allclose(rates, [0.1, 0.1 / 1.5, 0.1 / 2], rtol=1e-6)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert isinstance(again, getattr(optimizers, name))
    assert float(again.learning_rate) == pytest.approx(0.1)
    assert float(getattr(optimizers.legacy, name)(0.3).learning_rate) == pytest.approx(0.3)


def _batches():
    while True:
        yield X, Y


def _model(units=1):
    activation = "sigmoid" if units == 1 else "softmax"
    model = Sequential([Input((4,)), layers.Dense(units, activation=activation)])
    loss = "binary_crossentropy" if units == 1 else "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def test_generator_methods():
    model = _model()
    with pytest.warns(UserWarning, match="fit_generator"):
        history = model.fit_generator(
            _batches(),
            steps_per_epoch=3,
            epochs=2,
            verbose=0,
            validation_data=(X, Y),
            workers=2,
            max_queue_size=4,
        )
    assert len(history.history["val_loss"]) == 2
    with pytest.warns(UserWarning, match="evaluate_generator"):
        scores = model.evaluate_generator(_batches(), steps=2)
    np.testing.assert_allclose(scores, model.evaluate(X, Y, verbose=0), rtol=1e-5)
    with pytest.warns(UserWarning, match="predict_generator"):
        outputs = model.predict_generator(((X,) for _ in range(2)), steps=2)
    assert outputs.shape == (40, 1)


@pytest.mark.parametrize("units", [1, 3])
def test_classes_and_probabilities(units):
    model = _model(units)
    outputs = model.predict(X, verbose=0)
    with pytest.warns(UserWarning, match="predict_classes"):
        classes = model.predict_classes(X)
    expected = outputs.argmax(-1) if units > 1 else (outputs > 0.5).astype("int32")
    np.testing.assert_array_equal(classes, expected)
    with pytest.warns(UserWarning, match="predict_proba"):
        np.testing.assert_array_equal(model.predict_proba(X), outputs)


@pytest.mark.parametrize("kind", ["train", "test", "predict"])
def test_functions_that_servers_make_beforehand(kind):
    model = _model()
    with pytest.warns(UserWarning, match=f"_make_{kind}_function"):
        getattr(model, f"_make_{kind}_function")()
    assert callable(getattr(model, f"{kind}_function"))


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_a_step_as_keras_2_writes_it(metrics):
    class Own(Model):
        def train_step(self, data):
            x, y = data
            with cornu.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
            self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
            self.compiled_metrics.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    found = []
    for kind in (Model, Own):
        inputs = Input((4,))
        regularized = layers.Dense(1, "sigmoid", kernel_initializer="ones", kernel_regularizer="l2")
        model = kind(inputs, regularized(inputs))
        model.compile(optimizers.SGD(0.5), "binary_crossentropy", metrics=metrics)
        fit = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
        found.append(model.fit(X, Y, **fit).history)
    assert found[1].keys() == found[0].keys()
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-6)


def test_minimize():
    x = cornu.Variable([1.0, 2.0])
    sgd = optimizers.SGD(0.25)
    assert int(sgd.minimize(lambda: cornu.ops.sum(x * x), [x])) == 1
    np.testing.assert_allclose(x.numpy(), [0.5, 1.0])
    with cornu.GradientTape() as tape:
        loss = x * x
    sgd.minimize(loss, lambda: [x], grad_loss=np.array([2.0, 0.0], "float32"), tape=tape)
    np.testing.assert_allclose(x.numpy(), [0.0, 1.0])
    with pytest.raises(ValueError, match="`tape` is required"):
        sgd.minimize(loss, [x])


def test_metrics_are_reset():
    mean = cornu.metrics.Mean()
    mean.update_state([1.0, 3.0])
    mean.reset_states()
    assert float(mean.result()) == 0.0


def test_states_are_reset():
    model = Sequential([Input(batch_shape=(2, 3, 1)), layers.LSTM(2, stateful=True)])
    x = np.ones((2, 3, 1), "float32")
    first, second = model(x), model(x)
    assert not np.allclose(first, second)
    model.reset_states()
    np.testing.assert_allclose(model(x), first)


def test_what_layers_tell_of_their_calls():
    a, b = Input((4,)), Input((4,))
    layer = layers.Dense(3)
    y, z = layer(a), layer(b)
    assert layer.get_output_at(0) is y and layer.get_input_at(1) is b
    assert layer.get_output_shape_at(1) == (None, 3) and layer.get_input_shape_at(0) == (None, 4)
    assert len(layer.inbound_nodes) == 2 and z is layer.get_output_at(1)
    with pytest.raises(ValueError, match="called 2 times"):
        layer.get_output_at(2)
    model = Model(a, layers.Dense(2)(y))
    assert model.layers[-1].output_shape == (None, 2) and model.layers[-1].input_shape == (None, 3)
    with pytest.raises(AttributeError):
        layers.Dense(2).output_shape  # noqa: B018

    class Own(layers.Layer):
        def __init__(self, output_shape):
            super().__init__()
            self.output_shape = output_shape

    assert Own(7).output_shape == 7


def test_names_of_variables():
    model = Sequential([Input((4,)), layers.Dense(3, name="dense_2"), layers.BatchNormalization()])
    assert legacy.variable_names(model) == [
        "dense_2/kernel:0",
        "dense_2/bias:0",
        "batch_normalization/gamma:0",
        "batch_normalization/beta:0",
        "batch_normalization/moving_mean:0",
        "batch_normalization/moving_variance:0",
    ]

    class Mine(Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.head = layers.Dense(1, name="head")

        def call(self, x):
            return self.head(x)

    mine = Mine(name="mine")
    mine(X)
    assert legacy.variable_names(mine) == ["mine/head/kernel:0", "mine/head/bias:0"]


def test_names_of_other_places():
    preprocessing = layers.experimental.preprocessing
    assert preprocessing.Rescaling is layers.Rescaling
    assert layers.experimental.RandomFlip is layers.RandomFlip
    assert cornu.utils.np_utils.PyDataset is cornu.utils.Sequence
    assert cornu.utils.generic_utils.get_custom_objects is cornu.saving.get_custom_objects
    assert isinstance(layers.CuDNNLSTM(3), layers.LSTM)
    assert layers.CuDNNGRU(3, return_sequences=True).reset_after
    with pytest.raises(AttributeError, match="Nothing"):
        layers.experimental.Nothing  # noqa: B018
    modules = importlib.import_module("cornu.legacy.modules")
    for place in modules.PLACES:
        assert "__init__" not in dir(modules.view(place)) and dir(modules.view(place))
