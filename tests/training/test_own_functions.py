"""`train_function`, `test_function`, `predict_function`, what makes them, and overridden steps."""

import numpy as np
import pytest

import cornu
from reference import keras

X = np.arange(16, dtype="float32").reshape(8, 2) / 16
Y = X.sum(axis=1, keepdims=True)
KINDS = ("train", "test", "predict")


def single(library=cornu, kind=None, **compiled):
    """Returns a model whose only weights are ones."""
    model = (kind or library.Sequential)(
        [library.Input((2,)), library.layers.Dense(1, kernel_initializer="ones")]
    )
    model.compile("sgd", "mse", **compiled)
    return model


def functions(model):
    return [getattr(model, f"{kind}_function") for kind in KINDS]


def make(model, **arguments):
    return [getattr(model, f"make_{kind}_function")(**arguments) for kind in KINDS]


def run(model):
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)


@pytest.mark.parametrize("library", [keras, cornu], ids=["keras", "cornu"])
def test_when_there_are_functions(library):
    model = single(library)
    assert functions(model) == [None, None, None]
    run(model)
    made = functions(model)
    assert all(map(callable, made))
    make(model)
    run(model)
    assert functions(model) == made
    make(model, force=True)
    assert not set(functions(model)) & set(made)
    model.compile("sgd", "mse")
    assert functions(model) == [None, None, None]
    make(model)
    assert all(map(callable, functions(model)))


def test_functions_take_iterators():
    model, twin = single(), single()
    train, test, predict = make(model)
    batch = (X, Y)
    assert float(train(iter([batch]))["loss"]) == pytest.approx(twin.train_on_batch(X, Y))
    model.reset_metrics()
    assert float(test(iter([batch]))["loss"]) == pytest.approx(twin.test_on_batch(X, Y))
    np.testing.assert_allclose(predict(iter([(X,)])), twin.predict(X, verbose=0), rtol=1e-6)
    # Code that serves a model holds its function; it goes on with what the model has become.
    model.compile("adam", "mae")
    model.set_weights([np.full((2, 1), 2.0), np.ones(1)])
    np.testing.assert_allclose(predict(iter([(X,)])), 2 * Y + 1, rtol=1e-6)


class Note(cornu.callbacks.Callback):
    """Notes the batches that it is told of, and the shapes of predictions."""

    def __init__(self):
        super().__init__()
        self.told = []
        for mode in KINDS:
            setattr(self, f"on_{mode}_batch_begin", lambda batch, logs=None: self.note(batch))
            setattr(self, f"on_{mode}_batch_end", lambda batch, logs=None: self.note(batch, logs))

    def note(self, batch, logs=None):
        self.told.append(batch if logs is None else (batch, *map(np.shape, logs.values())))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_steps_per_execution(steps):
    model, twin = single(steps_per_execution=steps), single()
    given = {"batch_size": 3, "verbose": 0}
    note = Note()
    predicted = model.predict(X, callbacks=[note], **given)
    np.testing.assert_allclose(predicted, Y, rtol=1e-6)
    starts = range(0, 3, steps)
    last = [min(start + steps, 3) - 1 for start in starts]
    rows = [len(X[3 * start : 3 * (start + steps)]) for start in starts]
    assert note.told == [
        told
        for start, end, size in zip(starts, last, rows, strict=True)
        for told in (start, (end, (size, 1)))
    ]
    note.told.clear()
    history = model.fit(X, Y, shuffle=False, callbacks=[note], **given).history
    assert history == twin.fit(X, Y, shuffle=False, **given).history
    assert note.told == [
        told for start, end in zip(starts, last, strict=True) for told in (start, (end, ()))
    ]
    assert model.train_on_batch(X, Y) == twin.train_on_batch(X, Y)
    note.told.clear()
    assert model.evaluate(X, Y, callbacks=[note], **given) == twin.evaluate(X, Y, **given)
    assert len(note.told) == 2 * len(starts)


def own_functions(seen):
    """Functions by kind that take two batches at a time."""

    def pair(iterator):
        batches = next(iterator), next(iterator)
        seen.append([len(cornu.tree.flatten(batch)[0]) for batch in batches])
        assert all(type(leaf) is cornu.Tensor for leaf in cornu.tree.flatten(batches))
        return batches

    return {
        "train": lambda iterator: (pair(iterator), {"own": float(len(seen))})[1],
        "test": lambda iterator: (pair(iterator), {"mine": 3.0})[1],
        "predict": lambda iterator: cornu.ops.concatenate(pair(iterator)) * 2,
    }


class Making(cornu.Sequential):
    """It makes its functions itself; it returns them, or sets them."""

    given = None

    def make_train_function(self, force=False):
        return self.given["train"]

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self.test_function = self.given["test"]

    def make_predict_function(self, force=False):
        self.predict_function = self.given["predict"]
        return self.predict_function


@pytest.mark.parametrize("way", ["set", "made"])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_own_functions_run(way, run_eagerly):
    seen = []
    given = own_functions(seen)
    model = single(kind=Making if way == "made" else None, run_eagerly=run_eagerly)
    model.given = given
    if way == "set":
        for kind in KINDS:
            setattr(model, f"{kind}_function", given[kind])
    x, y = X[:6], Y[:6]
    model.optimizer = cornu.optimizers.Adam()  # forgets traced steps, not what was given
    weights = model.get_weights()
    history = model.fit(x, y, batch_size=1, epochs=2, validation_data=(x, y), verbose=0).history
    assert history == {"own": [3.0, 9.0], "val_mine": [3.0, 3.0]}
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert model.evaluate(x, y, batch_size=3, verbose=0, return_dict=True) == {"mine": 3.0}
    np.testing.assert_array_equal(model.predict(x, batch_size=3, verbose=0), 2 * x)
    assert seen == [[1, 1]] * 12 + [[3, 3]] * 2
    # Batches that are too few for the function end the epoch.
    assert model.fit(x, y, batch_size=2, verbose=0).history == {"own": [15.0]}


def test_own_functions_of_one_batch():
    model = single()
    model.train_function = lambda iterator: (next(iterator), {"own": 1.0})[1]
    model.test_function = lambda iterator: (next(iterator), {"own": 2.0})[1]
    model.predict_function = lambda iterator: cornu.ops.zeros((len(next(iterator)[0]), 3))
    assert model.train_on_batch(X, Y, return_dict=True) == {"own": 1.0}
    assert model.test_on_batch(X, Y) == 2.0
    assert model.predict_on_batch(X).shape == (8, 3)
    model.predict_function = lambda iterator: cornu.ops.zeros((len(next(iterator)), 3))
    assert model.predict(X, verbose=0).shape == (8, 3)
    model.make_predict_function(force=True)
    np.testing.assert_allclose(model.predict(X, verbose=0), Y, rtol=1e-6)
    model.compile("sgd", "mse")
    assert model.train_on_batch(X, Y) == pytest.approx(0, abs=1e-10)


def test_a_callback_gives_a_function():
    model = single()

    class Giving(cornu.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                model.train_function = lambda iterator: (next(iterator), {"own": 1.0})[1]

    assert model.fit(X, Y, batch_size=2, verbose=0, callbacks=[Giving()]).history == {"own": [1.0]}


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("replaced", [True, False], ids=["of the object", "of the class"])
def test_other_steps_after_compile(replaced, run_eagerly):
    """A step that is replaced after it has run counts from the next `compile` on."""

    class Own(cornu.Sequential):
        pass

    model = single(kind=Own, run_eagerly=run_eagerly)
    run(model)
    steps = {
        "train_step": lambda self, data: {"own": cornu.ops.sum(data[0])},
        "test_step": lambda self, data: {"own": cornu.ops.max(data[1])},
        "predict_step": lambda self, data: self(data) + 1,
    }
    for name, step in steps.items():
        if replaced:
            setattr(model, name, step.__get__(model))
        else:
            setattr(Own, name, step)
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    for _ in range(2):
        assert model.fit(X, Y, verbose=0).history["own"] == pytest.approx([X.sum()])
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(Y.max())
        np.testing.assert_allclose(model.predict(X, verbose=0), Y + 1, rtol=1e-6)
    assert model.train_on_batch(X, Y) == pytest.approx(X.sum())


@pytest.mark.parametrize("library", [keras, cornu], ids=["keras", "cornu"])
@pytest.mark.parametrize(
    ("flag", "mode", "method"),
    [("stop_evaluating", "test", "evaluate"), ("stop_predicting", "predict", "predict")],
)
def test_callbacks_stop_loops(library, flag, mode, method):
    model = single(library)
    callback = library.callbacks.Callback()
    seen = []

    def stop(batch, logs=None):
        seen.append(batch)
        setattr(model, flag, batch == 1)

    setattr(callback, f"on_{mode}_batch_end", stop)
    for _ in range(2):
        result = getattr(model, method)(X, batch_size=2, verbose=0, callbacks=[callback], **(
            {"y": Y} if mode == "test" else {}
        ))  # fmt: skip
    assert seen == [0, 1, 0, 1]
    if mode == "predict":
        assert result.shape == (4, 1)
