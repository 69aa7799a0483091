"""Conversion, control flow, gradients of one's own and indexing."""

# ruff: noqa: E501

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pytest

import cornu
from cornu import Variable, _cornu, ops

X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "int32"),
        (1.5, "float32"),
        (True, "bool"),
        ([1.0, 2.0], "float32"),
        ([[1], [2]], "int32"),
    ],
)
def test_dtype_of_python_values(value, dtype):
    assert ops.convert_to_tensor(value).dtype == dtype
    assert ops.dtype(ops.convert_to_tensor(value, "float16")) == "float16"


def test_conversion():
    v = Variable(X)
    assert ops.shape(v) == (4, 5, 6) and ops.ndim(v) == 3 and ops.size(v) == 120
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.convert_to_tensor(v)), X)
    assert ops.is_tensor(ops.convert_to_tensor(X)) and not ops.is_tensor(X)
    assert not ops.is_tensor(v)
    assert ops.cast(v, "int32").dtype == "int32"
    np.testing.assert_array_equal(ops.cast(X, "int8"), keras.ops.cast(X, "int8"))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16", "bool"])
def test_saturate_cast(dtype):
    x = np.array([-1e9, -200.0, -1.0, 0.0, 1.5, 300.0, 1e9], "float32")
    np.testing.assert_array_equal(
        np.asarray(ops.saturate_cast(x, dtype)).astype("float64"),
        np.asarray(keras.ops.saturate_cast(x, dtype)).astype("float64"),
    )


PROGRAMS = [
    lambda k: k.cond(k.sum(X) > 0, lambda: k.add(X, 1), lambda: k.subtract(X, 1)),
    lambda k: k.switch(1, [lambda a: a, lambda a: k.multiply(a, 2)], X),
    lambda k: k.switch(9, [lambda a: a, lambda a: k.multiply(a, 2)], k.convert_to_tensor(X)),
    lambda k: k.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), (0, X))[1],
    lambda k: k.while_loop(lambda i: i < 9, lambda i: i + 1, 0, maximum_iterations=4),
    lambda k: k.fori_loop(0, 3, lambda i, a: a + i, k.convert_to_tensor(X)),
    lambda k: k.scan(lambda c, x: (c + k.sum(x), c * x), k.convert_to_tensor(0.5), X)[1],
    lambda k: k.scan(lambda c, x: (c + k.sum(x), c * x), k.convert_to_tensor(0.5), X, None, True)[1],
    lambda k: k.associative_scan(lambda a, b: a + b, k.convert_to_tensor(X)),
    lambda k: k.associative_scan(lambda a, b: a * b, k.convert_to_tensor(X), reverse=True, axis=1),
    lambda k: k.map(lambda x: k.sum(x, axis=0), X),
    lambda k: k.vectorized_map(lambda x: k.matmul(x, k.transpose(x)), X),
    lambda k: k.vectorize(lambda a, b: a + 2 * b)(X[0], X[0, 0]),
    lambda k: k.stop_gradient(X),
    lambda k: k.image.perspective_transform(
        X,
        np.array([[0, 0], [0, 4], [3, 0], [3, 4]], "float32"),
        np.array([[0.5, 0.2], [0, 4], [3, 0.3], [2.5, 4]], "float32"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_program(program):
    np.testing.assert_allclose(
        np.asarray(program(ops)), np.asarray(program(keras.ops)), rtol=1e-4, atol=1e-4
    )


def test_cond_of_a_traced_value_selects():
    def f(x):
        return [ops.cond(ops.sum(x) > 0, lambda: x + 1, lambda: x - 1)]

    plan = _cornu.trace(f, [((2,), "float32")]).compile()
    np.testing.assert_array_equal(np.asarray(plan(np.ones(2, "float32"))[0]), [2, 2])
    np.testing.assert_array_equal(np.asarray(plan(-np.ones(2, "float32"))[0]), [-2, -2])


def test_custom_gradient():
    @ops.custom_gradient
    def doubled(x):
        return ops.square(x), lambda upstream: 10.0 * upstream

    x = ops.convert_to_tensor([1.0, 2.0])
    with _cornu.Tape() as tape:
        tape.watch(x)
        y = ops.sum(doubled(x) * 3.0)
    assert float(y) == 15.0
    np.testing.assert_array_equal(np.asarray(tape.gradient([y], [x])[0]), [30.0, 30.0])


KEYS = [
    1,
    -1,
    slice(1, 3),
    slice(None, None, -1),
    slice(3, 0, -2),
    slice(-3, None),
    slice(0, 100),
    slice(2, 1),
    None,
    Ellipsis,
    (Ellipsis, 0),
    (0, Ellipsis, None, slice(1, None, 2)),
    (slice(None), 2, slice(None, None, 3)),
    (1, 2, 3),
    [0, 2],
    np.array([[0, -1], [1, 2]]),
    (np.array([0, 1]), np.array([1, 2])),
    (slice(None), np.array([0, 1]), np.array([1, 2])),
    (np.array([0, 1]), slice(None), np.array([1, 2])),
    (np.array([[0], [1]]), np.array([1, 2, 3])),
    (0, slice(None), np.array([1, 2])),
    (np.array([0, 2]), None, 1),
    np.array([True, False, True, False]),
    (slice(None), np.array([True, False, True, False, True])),
    X > 0.5,
    np.int64(2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_that_of_numpy(key):
    got = ops.convert_to_tensor(X)[key]
    np.testing.assert_array_equal(np.asarray(got), X[key])


def test_tensors_index():
    x = ops.convert_to_tensor(X)
    i = ops.convert_to_tensor(2)
    np.testing.assert_array_equal(np.asarray(x[i]), X[2])
    np.testing.assert_array_equal(np.asarray(x[:, i]), X[:, 2])
    np.testing.assert_array_equal(np.asarray(x[1:i]), X[1:2])


@pytest.mark.parametrize("key", [7, (0, 0, 0, 0), (Ellipsis, Ellipsis), 1.5])
def test_wrong_indices(key):
    with pytest.raises((IndexError, TypeError)):
        ops.convert_to_tensor(X)[key]


def test_indexing_of_unknown_sizes():
    def f(x):
        return [x[-2:], x[:3], x[::-1], x[1:, -1], x[x.shape[0] - 1]]

    plan = _cornu.trace(f, [((None, 6), "float32")]).compile()
    for count in (2, 3, 7):
        x = np.arange(count * 6, dtype="float32").reshape(count, 6)
        expected = [x[-2:], x[:3], x[::-1], x[1:, -1], x[count - 1]]
        for a, b in zip(plan(x), expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a), b)


@pytest.mark.parametrize("index", [-1, 0, 1, 2, 9])
def test_a_switch_in_a_trace(index):
    branches = [lambda a: {"y": a}, lambda a: {"y": a * 2}, lambda a: {"y": a - 1}]
    traced = cornu.function(lambda i: ops.switch(i, branches, X)["y"])
    expected = ops.switch(index, branches, X)["y"]
    np.testing.assert_allclose(traced(ops.convert_to_tensor(index)), expected, rtol=1e-6)


CONTROL = {
    "switch": lambda o, x: o.switch(
        o.cast(o.sum(x) > 0, "int32"), [lambda a: a, lambda a: a * 2], x
    ),
    "while_loop": lambda o, x: o.while_loop(lambda a: o.max(a) < 50.0, lambda a: (a * 2,), (x,))[0],
    "map": lambda o, x: o.map(lambda row: row * o.sum(row), x),
    "vectorized_map": lambda o, x: o.vectorized_map(lambda row: row * o.sum(row), x),
    "associative_scan": lambda o, x: o.associative_scan(lambda a, b: a + b, x, axis=1),
    "fori_loop": lambda o, x: o.fori_loop(
        0, o.cast(o.sum(x) > 0, "int32") + 1, lambda i, a: a * 2, x
    ),
}


@pytest.mark.filterwarnings("ignore:.*eager")
@pytest.mark.parametrize(
    ("name", "inside"),
    # Keras takes no symbolic bounds of `fori_loop` in a graph.
    [(name, True) for name in CONTROL] + [(name, False) for name in CONTROL if name != "fori_loop"],
)
def test_control_flow_in_models(name, inside):
    results = []
    for library in (keras, cornu):

        class Controlled(library.layers.Layer):
            def call(self, x, library=library):
                return CONTROL[name](library.ops, x)

        inputs = library.Input((3,))
        outputs = Controlled()(inputs) if inside else CONTROL[name](library.ops, inputs)
        assert outputs.shape == (None, 3)
        results.append(library.Model(inputs, outputs).predict(X[:, 0, :3], verbose=0))
    np.testing.assert_allclose(*results, rtol=1e-5)
