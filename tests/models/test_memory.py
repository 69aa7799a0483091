"""Calling, predicting and training again and again leaves the process's memory as it is."""

import gc
from pathlib import Path

import numpy as np
import pytest

import cornu
from cornu import layers
from processes import run_python

RNG = np.random.default_rng(0)
X = RNG.random((64, 6)).astype("float32")
Y = RNG.random((64, 2)).astype("float32")
SLACK = 2**19  # bytes: what five bytes lost in each of 100,000 predicts would add up to


def resident():
    """Returns the bytes of memory that the process holds in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def small():
    model = cornu.Sequential(
        [cornu.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(2)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def subclassed():
    class Own(cornu.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.last = layers.Dense(16, activation="relu"), layers.Dense(2)

        def call(self, inputs):
            return self.last(self.hidden(inputs))

    return Own()


def functional():
    inputs = cornu.Input((6,))
    hidden = layers.Dense(16, activation="relu")(inputs)
    return cornu.Model(inputs, layers.Dense(2)(layers.Concatenate()([hidden, inputs])))


MODELS = {"sequential": small, "functional": functional, "subclassed": subclassed}


def predicts(model):
    return lambda number: model.predict(X[:1], verbose=0)


def gradient(model):
    def step(number):
        with cornu.GradientTape() as tape:
            loss = cornu.ops.mean(model(X[: number % 5 + 2]))
        tape.gradient(loss, model.trainable_variables)

    return step


REPEATED = {
    "predict": (100_000, predicts),
    "functional predict": (20_000, lambda _: predicts(functional())),
    "subclassed predict": (20_000, lambda _: predicts(subclassed())),
    "predict at changing sizes": (
        300,
        lambda model: lambda number: model.predict(X[: number % 60 + 1], verbose=0),
    ),
    "predict in changing batches": (
        300,
        lambda model: lambda number: model.predict(X, batch_size=number % 60 + 1, verbose=0),
    ),
    "call": (2_000, lambda model: lambda number: model(X[: number % 3 + 1])),
    "call in training": (1_000, lambda model: lambda number: model(X[:2], training=True)),
    "train_on_batch": (1_000, lambda model: lambda number: model.train_on_batch(X[:8], Y[:8])),
    "test_on_batch": (1_000, lambda model: lambda number: model.test_on_batch(X[:8], Y[:8])),
    "fit": (60, lambda model: lambda number: model.fit(X, Y, verbose=0)),
    "gradients": (500, gradient),
    "subclassed call": (1_000, lambda _: (lambda own: lambda number: own(X[:3]))(subclassed())),
    "set_weights": (
        1_000,
        lambda model: lambda number: (model.set_weights(model.get_weights()), model(X[:1])),
    ),
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("what", REPEATED)
def test_memory_stays_flat(what):
    count, make = REPEATED[what]
    once = make(small())
    for number in range(max(count // 3, 60)):
        once(number)
    before = resident()
    for number in range(count):
        once(number)
    assert resident() - before < SLACK


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_models_that_nobody_holds_give_their_memory_back():
    apply = cornu.function(lambda model, x: model(x))

    def one():
        model = cornu.Sequential([cornu.Input((6,)), layers.Dense(100_000)])  # 2.8 MB
        model.predict(X[:1], verbose=0)
        model(X[:1])
        apply(model, X[:1])

    for _ in range(3):
        one()
    gc.collect()
    before = resident()
    for _ in range(10):
        one()
        gc.collect()
    # Ten models that stay would take 28 MB; the allocator's own play is some 10 MB.
    assert resident() - before < 14 * 2**20


def come_and_go(kind, count):
    """Makes, compiles, trains and drops models; returns the memory and the objects that stay."""
    for _ in range(count):
        model = MODELS[kind]()
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(X[:4], Y[:4], verbose=0)
    del model
    gc.collect()
    return resident(), len(gc.get_objects())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", MODELS)
def test_models_come_and_go(kind):
    """Neither they nor their classes nor their plans stay."""
    code = f"""
import sys
sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]}
from test_memory import come_and_go
before, after = come_and_go({kind!r}, 200), come_and_go({kind!r}, 500)
print(after[0] - before[0], after[1] - before[1])
"""
    memory, objects = map(int, run_python(code).split())
    assert memory < 2**21  # four kilobytes for each: less than a plan takes
    assert objects < 50
