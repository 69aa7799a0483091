"""With `run_eagerly=True` the Python code of every layer runs for each batch, as in Keras."""

import warnings

import numpy as np
import pytest

import cornu
from reference import keras

X = np.random.default_rng(0).random((6, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)

WAYS = {
    "fit": lambda model: model.fit(X, Y, batch_size=2, verbose=0),
    "fit and validate": lambda model: model.fit(
        X, Y, batch_size=2, validation_data=(X, Y), verbose=0
    ),
    "evaluate": lambda model: model.evaluate(X, Y, batch_size=2, verbose=0),
    "predict": lambda model: model.predict(X, batch_size=2, verbose=0),
    "predict a batch": lambda model: model.predict(X[:2], verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X[:2], Y[:2]),
    "test_on_batch": lambda model: model.test_on_batch(X[:2], Y[:2]),
    "predict_on_batch": lambda model: model.predict_on_batch(X[:2]),
    "call": lambda model: model(X[:2]),
}


def counting(library, calls):
    """Returns a layer that notes each call; where it stands a model runs code of others."""

    class Counting(library.layers.Layer):
        def call(self, inputs):
            calls.append(inputs)
            return inputs

    return Counting()


def functional(library, middle):
    inputs = library.Input((3,))
    return library.Model(inputs, library.layers.Dense(1)(middle(inputs)))


def sequential(library, middle):
    return library.Sequential([library.Input((3,)), middle, library.layers.Dense(1)])


def deferred(library, middle):
    return library.Sequential([middle, library.layers.Dense(1)])


def subclassed(library, middle):
    class Own(library.Model):
        def __init__(self):
            super().__init__()
            self.middle, self.last = middle, library.layers.Dense(1)

        def call(self, inputs):
            return self.last(self.middle(inputs))

    return Own()


def steps_of_its_own(library, middle):
    """A model whose steps call a model inside, as autoencoders and the like do."""

    class Own(library.Model):
        def __init__(self):
            super().__init__()
            self.inner = functional(library, middle)

        def call(self, inputs):
            return self.inner(inputs)

        def predict_step(self, data):
            return self.inner(data)

    if library is keras:  # on JAX, steps are functions of the state
        del Own.predict_step
    return Own()


MODELS = {
    make.__name__: make for make in (functional, sequential, deferred, subclassed, steps_of_its_own)
}


def counts(library, make, middle, calls, **compiled):
    """How often each way of running a model that is warm makes the calls."""
    model = make(library, middle(library))
    model.compile("sgd", "mse", **compiled)
    for way in WAYS.values():
        way(model)
    found = {}
    for name, way in WAYS.items():
        calls.clear()
        way(model)
        found[name] = len(calls)
    return found


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_layers_of_others_run_for_each_batch(make):
    calls = []
    expected, ours = (
        counts(library, make, lambda library: counting(library, calls), calls, run_eagerly=True)
        for library in (keras, cornu)
    )
    assert ours == expected
    assert {"fit": 3, "evaluate": 3, "predict": 3, "call": 1}.items() <= ours.items()


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_own_layers_run_for_each_batch(make, monkeypatch):
    """Breakpoints in them and replacements of their methods are met each time."""
    calls = []
    for library in (keras, cornu):
        kind = library.layers.ReLU
        call = kind.call
        replacement = lambda self, x, call=call: (calls.append(1), call(self, x))[1]  # noqa: E731
        monkeypatch.setattr(kind, "call", replacement)
    expected, ours = (
        counts(library, make, lambda library: library.layers.ReLU(), calls, run_eagerly=True)
        for library in (keras, cornu)
    )
    assert ours == expected


def test_values_are_real_and_the_switch_may_come_later():
    calls = []
    model = functional(cornu, counting(cornu, calls))
    model.compile("sgd", "mse")
    model.predict(X[:2], verbose=0)
    calls.clear()
    model.predict(X[:2], verbose=0)
    assert calls == []
    model.run_eagerly = True
    model.predict(X, batch_size=2, verbose=0)
    np.testing.assert_array_equal(np.concatenate([np.asarray(seen) for seen in calls]), X)
    model.run_eagerly = False
    model.predict(X, batch_size=2, verbose=0)
    calls.clear()
    model.predict(X, batch_size=2, verbose=0)
    assert calls == []


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("jit_compile", ["auto", False, True])
def test_jit_compile_beside_it(run_eagerly, jit_compile):
    found = []
    for library in (keras, cornu):
        model = sequential(library, library.layers.ReLU())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model.compile("sgd", "mse", run_eagerly=run_eagerly, jit_compile=jit_compile)
        settings = model.get_compile_config()
        found.append(
            (
                [warning.category for warning in told if "jit_compile" in str(warning.message)],
                model.jit_compile,
                model.run_eagerly,
                settings["jit_compile"],
                settings["run_eagerly"],
            )
        )
    assert found[1] == found[0]


def test_the_switch_of_tensorflow():
    from cornu.legacy import tensorflow as tf

    calls = []
    model = functional(cornu, counting(cornu, calls))
    model.compile("sgd", "mse")
    double = tf.function(lambda x: calls.append(1) or x + x)
    ways = [*list(WAYS.values())[:-1], lambda model: double(X)]

    def count():
        calls.clear()
        for way in ways:
            way(model)
        return len(calls)

    count()
    assert count() == 0
    tf.config.run_functions_eagerly(True)
    try:
        assert tf.config.functions_run_eagerly()
        assert count() == 3 + 6 + 3 + 3 + 1 + 1 + 1 + 1 + 1
    finally:
        tf.config.run_functions_eagerly(False)
    assert not tf.config.functions_run_eagerly()
    assert count() == 0
