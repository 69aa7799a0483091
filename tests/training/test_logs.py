"""The names and the order of what training tells: as Keras's."""

import numpy as np
import pytest

import cornu
from reference import fresh, keras

X = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3)
Y = np.eye(3, dtype="float32")[np.arange(8) % 3]


def two_values(library, name="two"):
    class TwoValues(library.metrics.Metric):
        def __init__(self):
            super().__init__(name=name)
            self.batches = self.add_weight(name="batches", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.batches.assign_add(1.0)

        def result(self):
            return {"z": self.batches + 0.0, "a": self.batches * 2}

    return TwoValues()


def one_output(library, **arguments):
    model = library.Sequential([library.Input((3,)), library.layers.Dense(3, name="out")])
    model.compile("sgd", "mse", **arguments)
    return model, Y


def two_outputs(library, **arguments):
    inputs = library.Input((3,))
    outputs = {name: library.layers.Dense(3, name=name)(inputs) for name in "ab"}
    model = library.Model(inputs, outputs)
    model.compile("sgd", {"a": "mse", "b": "mae"}, **arguments)
    return model, {"a": Y, "b": Y}


CASES = {
    "a metric twice, and weighted twice": lambda k: one_output(
        k, metrics=["mse", "mse", "mae"], weighted_metrics=["mse", "mse"]
    ),
    "a metric of two values": lambda k: one_output(k, metrics=[two_values(k), "mae"]),
    "two of them, one weighted": lambda k: one_output(
        k, metrics=[two_values(k)], weighted_metrics=["mae", two_values(k, "weighted")]
    ),
    "by the output's name": lambda k: one_output(k, metrics={"out": ["mae", "mae"]}),
    "two outputs": lambda k: two_outputs(
        k,
        metrics={"a": ["mae", "mae"], "b": [two_values(k), "mse"]},
        weighted_metrics={"a": ["mae"], "b": ["mae"]},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_names_and_order(case):
    told = []
    for library in (keras, cornu):
        fresh()
        model, y = case(library)
        model.set_weights([np.full(w.shape, 0.1 * i) for i, w in enumerate(model.get_weights())])
        history = model.fit(X, y, verbose=0, batch_size=4, shuffle=False, validation_data=(X, y))
        values = model.evaluate(X, y, verbose=0)
        logs = model.evaluate(X, y, verbose=0, return_dict=True)
        told.append((history.history, values, logs))
    for expected, ours in zip(*told, strict=True):
        if isinstance(expected, dict):
            assert list(ours) == list(expected)
            expected, ours = list(expected.values()), list(ours.values())
        np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("library", [keras, cornu])
def test_single_batches_start_with_fresh_metrics(library):
    model, y = one_output(library, metrics=[two_values(library), "mae"])
    for _ in range(2):
        logs = model.train_on_batch(X, y, return_dict=True)
        assert list(logs) == ["loss", "mae", "a", "z"] and logs["z"] == 1
        assert model.test_on_batch(X, y, return_dict=True)["z"] == 1
    assert len(model.train_on_batch(X, y)) == 4
