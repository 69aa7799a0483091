"""A `fit` that is interrupted leaves a model that can be used and trained on."""

import signal
import sys

import numpy as np
import pytest

import cornu
from cornu import layers
from processes import start_python

RNG = np.random.default_rng(0)
X = RNG.random((48, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def made():
    cornu.utils.set_random_seed(1)
    model = cornu.Sequential(
        [
            cornu.Input((4,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


class Interrupt(cornu.callbacks.Callback):
    """Raises when a method of this name is called with this number."""

    def __init__(self, method, number, error):
        super().__init__()

        def hear(index=None, logs=None):
            if number in (index, None):
                raise error

        setattr(self, method, hear)


def assert_usable(model, iterations):
    """Everything of the model works, and it counts on from `iterations`."""
    assert int(model.optimizer.iterations) == iterations
    assert all(np.isfinite(value).all() for value in model.get_weights())
    predicted = model.predict(X, verbose=0)
    np.testing.assert_allclose(model(X), predicted, rtol=1e-6, atol=1e-7)
    loss, _ = model.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(float(np.mean((predicted - Y) ** 2)), rel=1e-4)
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert np.isfinite(history.history["loss"]).all()
    assert int(model.optimizer.iterations) == iterations + 12
    for state in model.optimizer.variables:
        assert np.isfinite(state.numpy()).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("a callback's own")])
@pytest.mark.parametrize(
    ("method", "number", "iterations"),
    [
        ("on_train_begin", None, 0),
        ("on_epoch_begin", 0, 0),
        ("on_epoch_begin", 1, 6),
        ("on_train_batch_begin", 2, 2),
        ("on_train_batch_end", 2, 3),
        ("on_epoch_end", 0, 6),
        ("on_test_batch_end", 1, 6),
        ("on_train_end", None, 18),
    ],
)
def test_callbacks_that_raise(method, number, iterations, error):
    model = made()
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else ValueError):
        model.fit(
            X,
            Y,
            batch_size=8,
            epochs=3,
            verbose=0,
            validation_data=(X, Y),
            callbacks=[Interrupt(method, number, error)],
        )
    assert_usable(model, iterations)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_data_that_raises(run_eagerly):
    def batches():
        yield X[:8], Y[:8]
        yield X[8:16], Y[8:16]
        raise KeyboardInterrupt

    model = made()
    model.run_eagerly = run_eagerly
    with pytest.raises(KeyboardInterrupt):
        model.fit(batches(), verbose=0)
    model.run_eagerly = False
    assert_usable(model, 2)


def test_a_dataset_that_raises_in_its_workers():
    class Broken(cornu.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 3:
                raise OSError("no such sample")
            return X[:8], Y[:8]

    model = made()
    with pytest.raises(OSError, match="no such sample"):
        model.fit(Broken(workers=2), shuffle=False, verbose=0)
    assert_usable(model, 3)


@pytest.mark.parametrize("where", ["call", "loss", "metric"])
def test_what_raises_while_a_step_is_traced_changes_nothing(where):
    raises = [True]

    def maybe_raise():
        if raises[0]:
            raise KeyboardInterrupt

    class Own(layers.Layer):
        def call(self, inputs):
            if where == "call":
                maybe_raise()
            return inputs

    def loss(y_true, y_pred):
        if where == "loss":
            maybe_raise()
        return cornu.losses.mean_squared_error(y_true, y_pred)

    def metric(y_true, y_pred):
        if where == "metric":
            maybe_raise()
        return cornu.losses.mean_absolute_error(y_true, y_pred)

    raises[0] = False
    model = cornu.Sequential([cornu.Input((4,)), Own(), layers.Dense(3), layers.Dense(1)])
    model.compile("adam", loss, metrics=[metric])
    before = model.get_weights()
    raises[0] = True
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0)
    raises[0] = False
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert_usable(model, 0)


_LONG = """
import signal

import numpy as np
import cornu
from cornu import layers

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests ignores
rng = np.random.default_rng(0)
x = rng.random((4096, 64)).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = cornu.Sequential([cornu.Input((64,)), layers.Dense(64, "relu"), layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(x, y, verbose=0)
before = int(model.optimizer.iterations)
print("ready", flush=True)
try:
    model.fit(x, y, epochs=100_000, verbose=0)
except KeyboardInterrupt:
    iterations = int(model.optimizer.iterations)
    assert iterations > before, iterations
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert np.isfinite(model.predict(x, verbose=0)).all()
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert int(model.optimizer.iterations) == iterations + 2 * 128
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("what", ["fit", "predict", "evaluate"])
def test_ctrl_c(what):
    code = _LONG
    if what != "fit":
        long = "predict(x" if what == "predict" else "evaluate(x, y"
        code = code.replace(
            "    model.fit(x, y, epochs=100_000,",
            f"    model.train_on_batch(x[:8], y[:8])\n    while True: model.{long},",
        )
    process = start_python(code)
    try:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        with pytest.raises(Exception, match="timed out"):
            process.wait(timeout=0.7)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, output) == (0, "interrupted\n"), errors
