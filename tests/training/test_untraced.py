"""Models that ask for values run eagerly, after one warning that names the line."""

import warnings

import numpy as np
import pytest

import cornu
from cornu import layers, ops

X = np.random.default_rng(0).random((6, 4)).astype("float32")
Y = np.random.default_rng(1).random((6, 2)).astype("float32")


class Asking(layers.Layer):
    """It has a branch of Python's, and a loop."""

    def call(self, x):
        total = ops.sum(x)
        if total > 0:  # the line
            x = x * 2.0
        while float(ops.max(x)) > 1.5:
            x = x * 0.75
        return x

    def compute_output_shape(self, input_shape):
        return input_shape


class Own(cornu.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = layers.Dense(5, activation="tanh"), layers.Dense(2)
        self.ask, self.drop = Asking(), layers.Dropout(0.3, seed=1)

    def call(self, x, training=False):
        return self.out(self.drop(self.ask(self.hidden(x)), training=training))


def chain():
    return cornu.Sequential([layers.Dense(2), Asking(), layers.Dropout(0.3, seed=1)])


MODELS = {"subclass": Own, "chain": chain}
WAYS = {
    "fit": lambda m: m.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0).history,
    "fit and validate": lambda m: (
        m.fit(X, Y, validation_data=(X, Y), shuffle=False, verbose=0).history
    ),
    "evaluate": lambda m: m.evaluate(X, Y, batch_size=4, verbose=0),
    "predict": lambda m: m.predict(X, verbose=0),
    "predict in batches": lambda m: m.predict(X, batch_size=4, verbose=0),
    "train_on_batch": lambda m: m.train_on_batch(X, Y),
    "test_on_batch": lambda m: m.test_on_batch(X, Y),
    "predict_on_batch": lambda m: m.predict_on_batch(X),
    "function": lambda m: m.function(X),
    "call": lambda m: m(X),
}


def line():
    with open(__file__) as file:
        return next(n for n, text in enumerate(file, 1) if "# the line" in text)


def run(make, way, run_eagerly):
    """Returns what two rounds give, with the weights, and the messages of each."""
    cornu.utils.set_random_seed(0)
    model = make()
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    model(X)
    object.__setattr__(model, "function", model if run_eagerly else cornu.function(model))
    results, messages = [], []
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results.append(WAYS[way](model))
        messages.append([str(warning.message) for warning in caught])
    return cornu.tree.flatten([results, model.get_weights()]), messages


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", MODELS)
def test_one_warning_and_the_results_of_eager_steps(kind, way):
    ours, (first, second) = run(MODELS[kind], way, run_eagerly=False)
    expected, silent = run(MODELS[kind], way, run_eagerly=True)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert silent == [[], []] and second == []
    # A plain call of a model with code of others is eager anyway.
    assert len(first) == (way != "call")
    assert all(f"{__file__}:{line()}, `if total > 0:" in message for message in first)


def test_steps_of_a_model_tell_of_a_line_once():
    model = Own()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="runs eagerly") as caught:
        for way in WAYS:
            if way != "function":
                WAYS[way](model)
    assert len(caught) == 1
