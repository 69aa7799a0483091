"""compile, fit, evaluate, predict: what they take, return and refuse."""

import warnings

import numpy as np
import pytest

import cornu
from cornu import layers, ops
from cornu.training.data import make_source, unpack_x_y_sample_weight
from cornu.utils import PyDataset

RNG = np.random.default_rng(0)
X = RNG.random((40, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
Y2 = RNG.random((40, 2)).astype("float32")


def single(units=1, activation=None, **compiled):
    model = cornu.Sequential([cornu.Input((4,)), layers.Dense(units, activation=activation)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


def double(structure="list", **compiled):
    inputs = cornu.Input((4,))
    a, b = layers.Dense(1, name="a")(inputs), layers.Dense(2, name="b")(inputs)
    model = cornu.Model(inputs, {"p": a, "q": b} if structure == "dict" else [a, b])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


def test_the_loss_falls():
    model = single(optimizer=cornu.optimizers.Adam(0.05))
    losses = model.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 10
    assert model.evaluate(X, Y, verbose=0) < losses[0] / 10


@pytest.mark.parametrize("metrics", [None, ["mae"]])
def test_eager_training_equals_traced(metrics):
    results = []
    start = single().get_weights()
    for eager in (False, True):
        model = single(metrics=metrics, run_eagerly=eager, optimizer="rmsprop")
        model.set_weights(start)
        history = model.fit(X, Y, epochs=2, shuffle=False, verbose=0, batch_size=16)
        results.append((history.history, model.get_weights()))
    assert list(results[0][0]) == list(results[1][0])
    for traced, eager in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(traced, eager, rtol=1e-5, atol=1e-6)


def test_a_step_is_one_plan():
    model = single(metrics=["mae"], optimizer="adam")
    model.fit(X, Y, epochs=1, verbose=0)
    step = model._steps["train"]
    names = [row["op"] for row in step.plan((X[:8], Y[:8])).profile(X[:8], Y[:8], repeats=0)]
    assert sum("adam" in name.lower() for name in names) == 2
    assert not any("host" in name.lower() for name in names)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({}, ["loss"]),
        ({"metrics": ["mae"]}, ["loss", "mae"]),
        ({"metrics": ["mae", "accuracy"]}, ["accuracy", "loss", "mae"]),
        (
            {"metrics": ["mae"], "weighted_metrics": ["mae", "mse"]},
            ["loss", "mae", "mse", "weighted_mae"],
        ),
        ({"metrics": [["mae"]]}, ["loss", "mae"]),
        ({"metrics": {"dense": "mae"}}, ["loss", "mae"]),
        ({"metrics": [lambda a, b: ops.mean(a - b, axis=-1)]}, ["<lambda>", "loss"]),
        ({"metrics": [cornu.metrics.MeanSquaredError(name="own")]}, ["loss", "own"]),
    ],
)
def test_logs_of_one_output(given, keys):
    model = single(**given)
    history = model.fit(X, Y, verbose=0, validation_split=0.25).history
    assert list(history) == sorted([*keys, *(f"val_{key}" for key in keys)])
    values = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(values) == keys
    flat = np.atleast_1d(model.evaluate(X, Y, verbose=0))
    assert flat[0] == pytest.approx(values["loss"])
    assert sorted(flat) == pytest.approx(sorted(values.values())) or len(flat) != len(values)


@pytest.mark.parametrize("structure", ["list", "dict"])
@pytest.mark.parametrize(
    ("given", "suffixes"),
    [
        ({}, ["0_loss", "1_loss"]),
        ({"loss": ["mse", "mae"], "metrics": [["mae"], None]}, ["0_loss", "0_mae", "1_loss"]),
        ({"loss": ["mse", None]}, []),
        ({"metrics": ["mae", "mse"]}, ["0_loss", "0_mae", "1_loss", "1_mse"]),
    ],
)
def test_logs_of_two_outputs(structure, given, suffixes):
    names = ["p", "q"] if structure == "dict" else ["a", "b"]
    y = {"p": Y, "q": Y2} if structure == "dict" else [Y, Y2]
    history = double(structure, **given).fit(X, y, verbose=0).history
    expected = [names[int(suffix[0])] + suffix[1:] for suffix in suffixes]
    assert list(history) == sorted([*expected, "loss"])


def test_loss_weights_and_targets_by_name():
    model = double(loss={"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 2.0})
    values = model.evaluate(X, {"a": Y, "b": Y2}, verbose=0, return_dict=True)
    assert values["loss"] == pytest.approx(values["a_loss"] + 2 * values["b_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "must call `compile", lambda: cornu.Sequential([layers.Dense(1)]).fit(X, Y)),
        (ValueError, "Could not interpret loss identifier: no", lambda: single(loss="no")),
        (ValueError, "Data cardinality is ambiguous", lambda: single().fit(X, Y[:5])),
        (ValueError, "different structures", lambda: double(loss=["mse"] * 2).fit(X, Y)),
        (ValueError, "Expected keys", lambda: double(loss={"c": "mse"}).fit(X, [Y, Y2])),
        (KeyError, "can't be found", lambda: double(loss=["mse"] * 3).fit(X, [Y, Y2])),
        (ValueError, "must match the number", lambda: double(loss_weights=[1]).fit(X, [Y, Y2])),
        (ValueError, "Invalid `metrics`", lambda: double(metrics=["mae"]).fit(X, [Y, Y2])),
        (ValueError, "Unrecognized data type", lambda: single().fit("abc", Y)),
        (ValueError, "needs targets", lambda: single().fit(X, verbose=0)),
        (ValueError, "expected axis -1", lambda: single().fit(X[:, :3], Y, verbose=0)),
        (
            ValueError,
            "must have the same shape",
            lambda: single(3, "softmax", loss="categorical_crossentropy").fit(X, Y2, verbose=0),
        ),
        (ValueError, "not sufficient to split", lambda: single().fit(X, Y, validation_split=1.0)),
        (ValueError, "`validation_freq` to be", lambda: fit_with(validation_freq="a")),
        (ValueError, "`class_weight` and `sample", lambda: fit_with(class_weight={0: 1.0})),
        (ValueError, "`y` should not be passed", lambda: single().fit(iter([(X, Y)]), Y)),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()


def fit_with(**arguments):
    single().fit(X, Y, sample_weight=np.ones(40), validation_data=(X, Y), verbose=0, **arguments)


def test_weights_of_samples_and_classes():
    classes = (RNG.random(40) > 0.5).astype("int32")
    weights = np.where(classes == 1, 3.0, 0.5).astype("float32")
    values = []
    start = single().get_weights()
    for given in ({"sample_weight": weights}, {"class_weight": {0: 0.5, 1: 3.0}}):
        model = single(1, "sigmoid", loss="binary_crossentropy")
        model.set_weights(start)
        model.fit(X, classes, shuffle=False, verbose=0, **given)
        values.append(model.get_weights()[0])
    np.testing.assert_allclose(*values, rtol=1e-6)


def batches(count):
    for _ in range(count):
        yield X[:10], Y[:10]


class Numbered(PyDataset):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.epochs = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(index * 10, index * 10 + 10)
        return X[part], Y[part]

    def on_epoch_end(self):
        self.epochs += 1


class Loader:
    def __iter__(self):
        return batches(4)

    def __len__(self):
        return 4


@pytest.mark.parametrize(
    "data",
    [
        lambda: Numbered(),
        lambda: Numbered(workers=2),
        lambda: Loader(),
        lambda: batches(8),
    ],
)
def test_batches_from_elsewhere(data):
    model = single(metrics=["mae"])
    history = model.fit(data(), epochs=2, steps_per_epoch=4, verbose=0)
    assert len(history.history["loss"]) == 2
    assert len(model.evaluate(data(), steps=4, verbose=0)) == 2
    assert model.predict(data(), steps=4, verbose=0).shape == (40, 1)


@pytest.mark.parametrize("workers, max_queue_size", [(1, 2), (2, 1), (2, 3), (3, 10)])
def test_workers_compute_each_batch_once_in_order(workers, max_queue_size):
    data = Numbered(workers=workers, max_queue_size=max_queue_size)
    model = single(metrics=["mae"])
    np.testing.assert_array_equal(
        model.predict(data, verbose=0), model.predict(X[:40], batch_size=10, verbose=0)
    )
    expected = model.evaluate(X[:40], Y[:40], batch_size=10, verbose=0)
    np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-6)


def test_an_epoch_is_interrupted_when_data_runs_out():
    with pytest.warns(UserWarning, match="ran out of data"):
        history = single().fit(batches(3), epochs=2, steps_per_epoch=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_a_dataset_hears_of_epochs():
    data = Numbered()
    single().fit(data, epochs=3, verbose=0)
    assert data.epochs == 3


def test_steps_per_epoch_go_on_where_the_last_epoch_stopped():
    seen = []
    source = make_source(np.arange(10.0).reshape(10, 1), batch_size=2)
    from cornu.training.loops import _Epochs

    epochs = _Epochs(source, 3)
    for _ in range(3):
        seen.append([batch[0, 0] for batch in epochs])
    assert seen == [[0, 2, 4], [6, 8, 0], [2, 4, 6]]


@pytest.mark.parametrize(("frequency", "count"), [(1, 4), (2, 2), ([1, 4], 2)])
def test_validation_frequency(frequency, count):
    history = single().fit(
        X, Y, epochs=4, validation_data=(X, Y), validation_freq=frequency, verbose=0
    )
    assert len(history.history["val_loss"]) == count


def test_structures_of_inputs():
    a, b = cornu.Input((4,), name="a"), cornu.Input((4,), name="b")
    model = cornu.Model({"a": a, "b": b}, layers.Dense(1)(layers.Add()([a, b])))
    model.compile("sgd", "mse")
    model.fit({"a": X, "b": X}, Y, verbose=0)
    assert model.predict({"a": X, "b": X}, verbose=0).shape == (40, 1)


@pytest.mark.parametrize("size", [0, 1, 2, 31, 32, 33, 40])
def test_predict_gives_every_sample(size):
    model = single()
    if size == 0:
        with pytest.raises(ValueError, match="no batches"):
            model.predict(X[:0], verbose=0)
        return
    expected = X[:size] @ model.get_weights()[0] + model.get_weights()[1]
    outputs = model.predict(X[:size], verbose=0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    outputs += 1.0
    np.testing.assert_allclose(model.predict_on_batch(X[:size]), expected, rtol=1e-5, atol=1e-6)


def test_outputs_of_predict_keep_their_structure():
    outputs = double("dict").predict(X, verbose=0)
    assert {key: value.shape for key, value in outputs.items()} == {"p": (40, 1), "q": (40, 2)}


def test_single_batches():
    model = single(metrics=["mae"])
    assert len(model.train_on_batch(X, Y)) == 2
    assert list(model.test_on_batch(X, Y, return_dict=True)) == ["loss", "mae"]
    assert isinstance(single().train_on_batch(X, Y), float)


def test_an_own_train_step_is_traced():
    calls = []

    class Own(cornu.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.tracker = cornu.metrics.Mean(name="own")

        def call(self, inputs):
            return self.dense(inputs)

        def train_step(self, data):
            calls.append(data)
            x, y = data
            with cornu.GradientTape() as tape:
                loss = ops.mean(ops.square(y - self(x, training=True)))
            variables = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))  # noqa: B905
            self.tracker.update_state(loss)
            return {"own": self.tracker.result()}

        @property
        def metrics(self):
            return [self.tracker]

    model = Own()
    model.compile(optimizer=cornu.optimizers.Adam(0.05))
    history = model.fit(X, Y, epochs=5, batch_size=10, verbose=0).history
    assert list(history) == ["own"]
    assert history["own"][-1] < history["own"][0]
    assert len(calls) == 1


def test_a_step_that_reads_values_runs_eagerly():
    class Branches(cornu.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs):
            outputs = self.dense(inputs)
            return outputs if float(ops.sum(outputs)) > 0 else -outputs

    model = Branches()
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, epochs=2, verbose=0)
    assert sum("runs eagerly" in str(warning.message) for warning in caught) == 1


def test_losses_that_layers_add():
    model = cornu.Sequential(
        [cornu.Input((4,)), layers.Dense(1, kernel_regularizer=cornu.regularizers.L2(0.1))]
    )
    model.compile("sgd", "mse")
    plain = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    penalty = 0.1 * np.sum(model.get_weights()[0] ** 2)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain + penalty, rel=1e-4)


def test_frozen_layers_stay():
    model = cornu.Sequential([cornu.Input((4,)), layers.Dense(3), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]
    model.layers[0].trainable = True
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_an_interrupted_fit_leaves_the_model_usable():
    class Interrupt(cornu.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = single()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Interrupt()])
    assert int(model.optimizer.iterations) == 2
    model.fit(X, Y, verbose=0)
    assert model.predict(X, verbose=0).shape == (40, 1)


def test_compile_config_comes_back():
    model = single(optimizer="adam", loss=cornu.losses.Huber(), metrics=["mae"])
    config = model.get_compile_config()
    other = cornu.Sequential([cornu.Input((4,)), layers.Dense(1)])
    other.compile_from_config(config)
    assert other.get_compile_config()["optimizer"] == config["optimizer"]
    assert other.get_compile_config()["metrics"] == ["mae"]
    other.fit(X, Y, verbose=0)


def test_the_printed_lines(capsys):
    single(metrics=["mae"]).fit(X, Y, epochs=2, verbose=2, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert lines[1].startswith("1/1 - 0s - ")
    assert [part.split(":")[0] for part in lines[1].split(" - ")[3:]] == [
        "loss",
        "mae",
        "val_loss",
        "val_mae",
    ]
    single().fit(X, Y, verbose=1)
    assert "━━━━━━━━━━━━━━━━━━━━" in capsys.readouterr().out


def test_unpacking():
    assert unpack_x_y_sample_weight(1) == (1, None, None)
    assert unpack_x_y_sample_weight((1, 2)) == (1, 2, None)
    with pytest.raises(ValueError, match="Data is expected to be in format"):
        unpack_x_y_sample_weight((1, 2, 3, 4))


def test_endless_dataset():
    class Endless(cornu.utils.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            x = np.full((2, 1), index, "float32")
            return x, 2 * x

    model = cornu.Sequential([cornu.Input((1,)), cornu.layers.Dense(1)])
    model.compile("sgd", "mse")
    for workers in (1, 2):
        history = model.fit(Endless(workers=workers), steps_per_epoch=3, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2
