"""Conversion, control flow, gradients of one's own and indexing."""

# ruff: noqa: E501

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
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


# What a Python integer that a dtype may not hold is given to; whether Keras on JAX refuses it.
INTEGERS = {
    "scalar": (lambda k: k.ops.convert_to_tensor(2**40, "int32"), True),
    "scalar below": (lambda k: k.ops.convert_to_tensor(-1, "uint8"), True),
    "scalar without dtype": (lambda k: k.ops.convert_to_tensor(2**31), True),
    "more than 64 bits": (lambda k: k.ops.convert_to_tensor(10**30), True),
    "list": (lambda k: k.ops.convert_to_tensor([1, 300], "uint8"), True),
    "list without dtype": (lambda k: k.ops.convert_to_tensor([[1], [2**40]]), True),
    "list of more than 64 bits": (lambda k: k.ops.convert_to_tensor([10**30]), True),
    "cast": (lambda k: k.ops.cast(300, "uint8"), True),
    "cast of a list": (lambda k: k.ops.cast([-129], "int8"), True),
    "variable": (lambda k: k.Variable(300, dtype="uint8"), True),
    "assignment": (lambda k: k.Variable(1, dtype="uint8").assign(300), True),
    "operand of 32 bits": (lambda k: k.ops.ones(2, "int32") + 2**40, True),
    "edges": (lambda k: k.ops.convert_to_tensor([-(2**31), 2**31 - 1]), False),
    "edges of a dtype": (lambda k: k.ops.cast([0, 255], "uint8"), False),
    "float": (lambda k: k.ops.convert_to_tensor(10**30, "float32"), False),
    "list of floats": (lambda k: k.ops.convert_to_tensor([2**40], "float32"), False),
    "truth": (lambda k: k.ops.convert_to_tensor([0, 300], "bool"), False),
    "array": (lambda k: k.ops.convert_to_tensor(np.array([300]), "uint8"), False),
    "operand": (lambda k: k.ops.ones(2, "uint8") + 300, False),
    "operand before": (lambda k: 200 + k.ops.ones(2, "int8"), False),
    "negative operand": (lambda k: k.ops.maximum(k.ops.ones(2, "uint8"), -1), False),
    "operand of bits": (lambda k: k.ops.bitwise_and(k.ops.ones(2, "uint8"), 300), False),
    "fill": (lambda k: k.ops.full((2,), 300, "uint8"), False),
    "fill of pads": (
        lambda k: k.ops.pad(k.ops.ones(2, "uint8"), [[1, 1]], constant_values=300),
        False,
    ),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_that_a_dtype_may_not_hold(name):
    make, refused = INTEGERS[name]
    with jax.enable_x64(False):
        if refused:
            for library in (keras, cornu):
                with pytest.raises(OverflowError):
                    make(library)
            return
        found, expected = (np.asarray(make(library)) for library in (cornu, keras))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_integers_of_64_bits():
    for number, dtype in ((2**40, "int64"), (-(2**63), "int64"), (2**64 - 1, "uint64")):
        assert np.asarray(ops.convert_to_tensor(number, dtype)) == number
        assert np.asarray(ops.convert_to_tensor([number], dtype)) == [number]
        assert np.asarray(ops.zeros((), dtype) + number) == number
    with pytest.raises(OverflowError, match=r"18446744073709551616.*uint64"):
        ops.convert_to_tensor(2**64, "uint64")


def test_sizes_of_more_than_64_bits():
    with pytest.raises(TypeError):
        keras.ops.zeros((10**30,))
    with pytest.raises(TypeError, match=r"`shape` must be an integer below 2\*\*63, got 1e30"):
        ops.zeros((10**30,))


# numpy's functions give arrays; operators with an array on the left give tensors.
NUMPY = {
    "sqrt": lambda x: np.sqrt(x),
    "add": lambda x: np.add(np.ones(2, "float32"), x),
    "both": lambda x: np.multiply(x, x),
    "reduced": lambda x: np.maximum.reduce(x),
    "into an array": lambda x: np.add(x, 1, out=np.zeros(2)),
    "plus": lambda x: np.ones(2, "float32") + x,
    "number": lambda x: np.float32(3) * x,
    "compared": lambda x: np.ones(2, "float32") >= x,
    "product": lambda x: np.ones((2, 2), "float32") @ x,
}


@pytest.mark.parametrize("name", NUMPY)
def test_functions_and_operators_of_numpy(name):
    with jax.enable_x64(False):
        found, expected = (
            NUMPY[name](library.ops.convert_to_tensor([1.0, 4.0])) for library in (cornu, keras)
        )
    array = isinstance(expected, np.ndarray | np.generic)
    assert isinstance(found, type(expected) if array else _cornu.Tensor)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert np.asarray(found).dtype == np.asarray(expected).dtype


def test_functions_of_numpy_see_no_values_in_a_trace():
    with pytest.raises(_cornu.TraceError):
        _cornu.trace(lambda x: [ops.convert_to_tensor(np.sqrt(x))], [((2,), "float32")])


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
    -4,
    True,
    False,
    (True, np.array([2, 0, 1])),
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


@pytest.mark.parametrize("key", [4, -5, 2**70, (0, 0, 0, 0), (Ellipsis, Ellipsis), 1.5])
def test_wrong_indices(key):
    with pytest.raises((IndexError, TypeError)):
        ops.convert_to_tensor(X)[key]


def test_rows_have_gradients():
    x = ops.convert_to_tensor(X)
    with cornu.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(x[-1] * 2) + ops.sum(x[1])
    expected = np.zeros_like(X)
    expected[-1], expected[1] = 2, 1
    np.testing.assert_array_equal(tape.gradient(y, x), expected)
    assert [row.shape for row in ops.convert_to_tensor([[1, 2]])] == [(2,)]


def test_indexing_of_unknown_sizes():
    def f(x):
        return [x[-2:], x[:3], x[::-1], x[1:, -1], x[x.shape[0] - 1], x[1], x[-2]]

    plan = _cornu.trace(f, [((None, 6), "float32")]).compile()
    for count in (2, 3, 7):
        x = np.arange(count * 6, dtype="float32").reshape(count, 6)
        expected = [x[-2:], x[:3], x[::-1], x[1:, -1], x[count - 1], x[1], x[-2]]
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
