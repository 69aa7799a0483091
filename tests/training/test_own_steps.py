"""What `History` and `evaluate` make of the logs of steps that a model overrides."""

import numpy as np
import pytest

import cornu
from reference import keras

X = np.random.default_rng(0).random((40, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def own(library, logs, of_keras):
    """Returns a model whose steps log what `logs(value)` gives."""

    class Own(library.Model):
        def __init__(self):
            super().__init__()
            self.dense = library.layers.Dense(1)
            self.tracker = library.metrics.Mean(name="own")

        def call(self, inputs):
            return self.dense(inputs)

        def build(self, input_shape):
            self.dense.build(input_shape)
            self.built = True

    def of(data):
        return logs(library.ops.mean(data[1]))

    if of_keras:  # on JAX, steps are functions of the state
        Own.train_step = Own.test_step = lambda self, state, data: (of(data), state)
    else:
        Own.train_step = Own.test_step = lambda self, data: of(data)
    return Own()


LOGS = {
    "loss": lambda value: {"loss": value},
    "loss and another": lambda value: {"loss": value, "extra": value * 2},
    "another": lambda value: {"other": value},
    "all metrics": lambda value: {"loss": value, "own": value},
    "more than all metrics": lambda value: {"own": value, "loss": value, "a": value, "mae": value},
    "nothing": lambda value: {},
    "a number": lambda value: {"loss": 3.0},
    "not by name": lambda value: {"z": value, "b": value},
}


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize(
    "compiled",
    [{"loss": "mse"}, {"loss": "mse", "metrics": ["mae"]}, {}],
    ids=["loss", "metrics", "bare"],
)
@pytest.mark.parametrize("logs", LOGS.values(), ids=LOGS)
def test_history_of_an_own_step(logs, compiled, run_eagerly):
    results = []
    for library in (keras, cornu):
        model = own(library, logs, library is keras)
        model.build((None, 4))
        model.compile("sgd", run_eagerly=run_eagerly, **compiled)
        given = {"batch_size": 16, "verbose": 0}
        history = model.fit(X, Y, shuffle=False, epochs=2, **given).history
        results.append((history, model.evaluate(X, Y, return_dict=True, **given)))
    (theirs, their_values), (ours, our_values) = results
    assert list(ours) == list(theirs)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    assert our_values == pytest.approx(their_values)


@pytest.mark.parametrize("returned", [None, 3.0, (1.0,)])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_step_must_return_a_dict(returned, method):
    model = own(cornu, lambda value: returned, False)
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"`t\w+_step` of model 'own' must return a dict.*returned"):
        getattr(model, method)(X, Y, verbose=0)


def test_an_own_step_that_learns_and_logs_a_loss_alone():
    class Own(cornu.Sequential):
        def train_step(self, data):
            x, y = data
            with cornu.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            self._loss_tracker.update_state(loss)
            return {"loss": loss}

    model = Own([cornu.Input((4,)), cornu.layers.Dense(1)])
    model.compile(cornu.optimizers.Adam(0.05), "mse")
    losses = model.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 5


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("given", ["pair", "nothing"])
def test_a_model_whose_steps_have_no_use_for_call(given, run_eagerly):
    class Own(cornu.Model):
        def __init__(self):
            super().__init__()
            self.dense = cornu.layers.Dense(1)
            self.tracker = cornu.metrics.Mean(name="loss")

        def learn(self, x, y):
            with cornu.GradientTape() as tape:
                loss = cornu.ops.mean((self.dense(x) - y) ** 2)
            weights = self.dense.trainable_weights
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

        def train_step(self, data):
            return self.learn(*data[0])

        def test_step(self, data):
            x, y = data[0]
            return {"off": cornu.ops.mean(cornu.ops.abs(self.dense(x) - y))}

    class Called(Own):
        def call(self, one):
            return self.dense(one)

    model = (Own if given == "nothing" else Called)()
    model.compile(cornu.optimizers.Adam(0.1), run_eagerly=run_eagerly)
    losses = model.fit((X, Y), epochs=100, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 20
    assert model.evaluate((X, Y), verbose=0) < 0.3
    assert model.dense.kernel.shape == (4, 1)
    if given == "nothing":
        with pytest.raises(NotImplementedError, match="Model Own does not have a `call"):
            model.predict(X, verbose=0)


def shape_of(data):
    """A structure with the ranks of its arrays."""
    if isinstance(data, dict):
        return {name: shape_of(part) for name, part in data.items()}
    if isinstance(data, tuple | list):
        return type(data)(shape_of(part) for part in data)
    return None if data is None else len(data.shape)


def batches_of(library, batch):
    class Batches(library.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return batch

    return Batches()


GIVEN = {
    "x": lambda library: {"x": X},
    "tuple": lambda library: {"x": (X, Y)},
    "list": lambda library: {"x": [X, Y]},
    "dict": lambda library: {"x": {"a": X, "b": Y}},
    "x and y": lambda library: {"x": X, "y": Y},
    "all": lambda library: {"x": {"a": X}, "y": Y, "sample_weight": Y[:, 0]},
    "weights without y": lambda library: {"x": X, "sample_weight": Y[:, 0]},
    **{
        f"batches {name}": lambda library, batch=batch: {"x": batches_of(library, batch)}
        for name, batch in {
            "x": X,
            "(x,)": (X,),
            "(x, y)": (X, Y),
            "[x, y]": [X, Y],
            "((x, y),)": ((X, Y),),
            "dict": {"a": X},
        }.items()
    },
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_what_a_step_gets(given):
    seen = []
    for library in (keras, cornu):

        def step(self, *arguments, library=library):
            seen.append(shape_of(arguments[-1]))
            value = library.ops.ones((1,) if self.predicts else ())
            logs = value if self.predicts else {"loss": value}
            return (logs, arguments[0]) if library is keras else logs

        own = type("Own", (library.Model,), dict.fromkeys(("train_step", "test_step"), step))
        own.call, own.predict_step = lambda self, inputs: inputs, step
        model = own()
        model.predicts = False
        model.built = True
        model.compile(run_eagerly=True)
        model.fit(**given(library), verbose=0)
        model.evaluate(**given(library), verbose=0)
        model.predicts = True
        model.predict(given(library)["x"], verbose=0)
    half = len(seen) // 2
    assert half and seen[half:] == seen[:half]


def counted(library):
    """Names of metrics, those of a compiled model inside, and logs."""

    class Counting(library.layers.Layer):
        def __init__(self, name):
            super().__init__(name=name)
            self.counter = library.metrics.Mean(name=f"of_{name}")

        def call(self, inputs):
            return inputs

    inner = library.Sequential(
        [library.Input((4,)), Counting("within"), library.layers.Dense(1)], name="inner"
    )
    inner.compile("sgd", "mae", metrics=["mse"])
    inputs = library.Input((4,))
    model = library.Model(inputs, Counting("without")(inner(inputs)))
    model.tracker = library.metrics.Mean(name="own")
    model.compile("sgd", "mse", metrics=["mae"])
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 0.5, "float32"))
    history = model.fit(X, Y, batch_size=16, shuffle=False, verbose=0).history
    inner.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    return list(dict.fromkeys(model.metrics_names)), inner.metrics_names, history


def test_models_inside_count_for_themselves():
    *names, logs = counted(cornu)
    *expected_names, expected_logs = counted(keras)
    assert names == expected_names
    assert list(logs) == list(expected_logs)
    for name, values in expected_logs.items():
        np.testing.assert_allclose(logs[name], values, rtol=1e-5)
