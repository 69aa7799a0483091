"""Results don't depend on the number of threads, nor on who else is computing; forks work."""

import concurrent.futures
import multiprocessing
import os
import threading

import numpy as np
import pytest

import cornu
from cornu import layers
from processes import run_python

RNG = np.random.default_rng(0)

# Each is large enough for its kernels to share the work among threads.
MODELS = {
    "cnn": (
        (24, 24, 3),
        lambda: [
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv2D(48, 3),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, strides=2, activation="gelu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ],
    ),
    "mlp": (
        (300,),
        lambda: [
            layers.Dense(512, activation="relu"),
            layers.LayerNormalization(),
            layers.Dropout(0.3),
            layers.Dense(512, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ],
    ),
    "lstm": (
        (20, 24),
        lambda: [
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Dropout(0.3),
            layers.GRU(48),
            layers.Dense(10, activation="softmax"),
        ],
    ),
    "attention": ((40, 32), lambda: [_Block(), layers.GlobalMaxPooling1D(), layers.Dense(10)]),
}


class _Block(layers.Layer):
    """Attention and a residual."""

    def __init__(self):
        super().__init__()
        self.attention = layers.MultiHeadAttention(4, 16, dropout=0.2)
        self.normalization = layers.LayerNormalization()

    def build(self, shape):
        self.attention.build(shape, shape)
        self.normalization.build(shape)

    def call(self, inputs, training=None):
        mixed = self.attention(inputs, inputs, training=training)
        return self.normalization(inputs + mixed)


def made(name):
    """Returns a compiled model and its data, the same each time."""
    cornu.utils.set_random_seed(3)
    shape, stack = MODELS[name]
    model = cornu.Sequential([cornu.Input(shape), *stack()])
    model.compile("adam", "categorical_crossentropy", metrics=["mae"])
    rng = np.random.default_rng(1)
    x = rng.standard_normal((96, *shape)).astype("float32")
    y = np.eye(10, dtype="float32")[rng.integers(0, 10, 96)]
    return model, x, y


@pytest.fixture
def threads():
    """Gives the function that sets the number of threads; what it was comes back."""
    before = cornu._cornu.num_threads()
    yield cornu._cornu.set_num_threads
    cornu._cornu.set_num_threads(before)


@pytest.mark.parametrize("name", MODELS)
def test_the_number_of_threads_changes_no_bit(name, threads):
    results = []
    for count in (1, 2, 5):
        threads(count)
        model, x, y = made(name)
        predicted = model.predict(x, batch_size=40, verbose=0)
        history = model.fit(x, y, batch_size=40, epochs=3, verbose=0).history
        results.append([predicted, *history.values(), *model.get_weights()])
        assert np.isfinite(predicted).all()
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, second)


def test_the_environment_sets_the_number_of_threads():
    code = "import cornu; from cornu import _cornu; print(_cornu.num_threads())"
    assert [int(run_python(code, CORNU_NUM_THREADS=str(n))) for n in (1, 3)] == [1, 3]


def in_threads(count, work):
    """Returns what `work(number)` gives in each of `count` threads, all started at once."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        return work(number)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("sizes", [(16,), (1, 7, 16, 33, 64, 96)], ids=["equal", "different"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("how", ["predict", "call"])
def test_threads_that_use_one_model_get_what_one_thread_gets(name, sizes, how):
    model, x, _ = made(name)

    def compute(data):
        if how == "call":
            return np.asarray(model(data))
        return model.predict(data, verbose=0)

    expected = {size: compute(x[:size]) for size in sizes}
    fresh, _, _ = made(name)  # traced by the threads themselves, all at once
    model = fresh

    def work(number):
        return [
            (size, compute(x[:size]))
            for size in (sizes[(number + turn) % len(sizes)] for turn in range(6))
        ]

    for results in in_threads(8 if how == "predict" else 4, work):
        for size, result in results:
            np.testing.assert_array_equal(result, expected[size])


def test_threads_train_models_of_their_own():
    def work(number):
        rng = np.random.default_rng(number)
        model = models[number]
        x = rng.standard_normal((64, 6)).astype("float32")
        model.fit(x, x[:, :1], epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    def make():
        cornu.utils.set_random_seed(3)
        model = cornu.Sequential([cornu.Input((6,)), layers.Dense(8, "relu"), layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    models = [make() for _ in range(4)]
    together = in_threads(4, work)
    models = [make() for _ in range(4)]
    for number, weights in enumerate(together):
        for ours, alone in zip(weights, work(number), strict=True):
            np.testing.assert_array_equal(ours, alone)


def test_a_tape_hears_only_its_own_thread():
    x = cornu.ops.convert_to_tensor(np.float32(3))

    def work(number):
        with cornu.GradientTape() as tape:
            tape.watch(x)
            y = x
            for _ in range(number + 1):
                y = y * x
        return float(tape.gradient(y, x))

    assert in_threads(8, work) == [(n + 2) * 3.0 ** (n + 1) for n in range(8)]


# Forks


def work_of_a_child(model, x, y):
    """Predicts and trains; returns what shows that it worked."""
    predicted = model.predict(x, verbose=0)
    loss = model.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"]
    called = np.asarray(model(x[:3]))
    return predicted, loss, np.isfinite(called).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_a_forked_child_predicts_and_trains(name):
    model, x, y = made(name)
    model.fit(x, y, verbose=0)
    before = model.predict(x, verbose=0)
    expected = work_of_a_child(*made(name))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            same = (model.predict(x, verbose=0) == before).all()
            _, loss, finite = work_of_a_child(*made(name))
            status = 0 if same and finite and loss == expected[1] else 2
        finally:
            os.write(write, bytes([status]))
            os._exit(status)
    os.close(write)
    assert os.read(read, 1) == b"\0"
    os.waitpid(child, 0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_predict_and_train(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    model, x, y = made("mlp")
    model.fit(x, y, verbose=0)
    before = model.predict(x, verbose=0)
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        results = list(pool.map(work_of_a_child, [model] * 2, [x] * 2, [y] * 2))
    for predicted, loss, finite in results:
        np.testing.assert_array_equal(predicted, before)
        assert finite
        assert loss == results[0][1]
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
