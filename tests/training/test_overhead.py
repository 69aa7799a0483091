"""How much Python runs around a plan or an op: counted calls, which no load changes."""

import sys

import numpy as np
import pytest

import cornu
from cornu import layers, ops

X = np.ones((1, 8), "float32")
Y = np.zeros((1,), "int32")


def count(function):
    """Returns how many functions a call of one calls, those of C too."""
    calls = 0

    def note(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    ("way", "most"),
    [
        (lambda model: model.predict(X, verbose=0), 36),
        (lambda model: model(X), 42),
        (lambda model: model.train_on_batch(X, Y), 290),
    ],
    ids=["predict", "call", "train_on_batch"],
)
def test_a_warm_call_runs_little_python(way, most):
    model = cornu.Sequential(
        [
            cornu.Input((8,)),
            layers.Dense(16, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(3):
        way(model)
    assert count(lambda: way(model)) < most


T = ops.convert_to_tensor(np.ones((4, 4), "float32"))


@pytest.mark.parametrize(
    ("call", "most"),
    [
        (lambda: T + T, 2),
        (lambda: -T, 2),
        (lambda: T @ T, 7),
        (lambda: ops.matmul(T, T), 7),
        (lambda: ops.add(T, T), 5),
        (lambda: ops.add(T, 1.0), 5),
        (lambda: ops.exp(T), 5),
        (lambda: ops.relu(T), 8),
        (lambda: ops.sum(T), 10),
        (lambda: ops.mean(T, -1), 14),
        (lambda: ops.reshape(T, (2, 8)), 10),
        (lambda: ops.transpose(T), 7),
    ],
)
def test_a_call_of_an_op_runs_little_python(call, most):
    call()
    assert count(call) <= most
