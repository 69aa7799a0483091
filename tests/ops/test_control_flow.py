"""Branches and loops: eager, as steps of a plan, and in the real Keras; values and gradients."""

# ruff: noqa: E501

import warnings

import jax
import numpy as np
import pytest

import cornu
from cornu import _cornu, ops
from reference import keras

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
W = np.random.default_rng(1).normal(size=(3, 3)).astype("float32")


def _scan(reverse):
    def run(o, x, w):
        def step(state, entry):
            h, count = state
            h = o.tanh(o.matmul(h, w) + entry)
            return (h, count + 1), (o.sum(h), h * w[0])

        (h, count), (sums, rows) = o.scan(step, (x[0], 0), x, reverse=reverse)
        return [h, o.cast(count, "float32"), sums, rows]

    return run


# Functions of a package's `ops` and two matrices, and whether they have gradients in a plan.
PROGRAMS = {
    "cond": (lambda o, x, w: o.cond(o.sum(x) > 0, lambda: o.sin(x) * w[0], lambda: o.exp(x)), True),
    "cond, else": (lambda o, x, w: o.cond(o.sum(x) > 99, lambda: x, lambda: x * w[1]), True),
    "cond of a structure": (
        lambda o, x, w: list(o.cond(w[0, 0] < 9, lambda: {"a": x, "b": w}, lambda: {"a": x + 1, "b": w - 1}).values()),
        True,
    ),
    "a condition that is a number": (lambda o, x, w: o.cond(o.sum(x) * 0, lambda: x, lambda: x * w[1]), True),
    "nested cond": (
        lambda o, x, w: o.cond(
            o.max(x) > 0,
            lambda: o.cond(o.min(x) > 0, lambda: x, lambda: x * w[2]),
            lambda: o.cond(o.min(w) > 0, lambda: x, lambda: x + w[2]),
        ),
        True,
    ),
    "switch": (
        lambda o, x, w: o.switch(
            o.cast(o.sum(o.abs(x)), "int32"), [lambda a: a, lambda a: o.sin(a), lambda a: a * o.sum(w)], x
        ),
        True,
    ),
    "scan": (_scan(False), True),
    "scan, reverse": (_scan(True), True),
    "scan without a sequence": (
        lambda o, x, w: list(o.scan(lambda h, _: (o.matmul(h, w) * 0.5, o.sum(h)), x, None, length=4)),
        True,
    ),
    "scan without a state": (lambda o, x, w: o.scan(lambda _, e: (None, e * o.sum(w)), None, x)[1], True),
    "scan without outputs": (lambda o, x, w: o.scan(lambda h, e: (h * e + w[0], None), x[0], x)[0], True),
    "scan of a branch": (
        lambda o, x, w: list(
            o.scan(lambda h, e: (o.cond(o.sum(e) > 0, lambda: h + e, lambda: h * w[1]), h), x[0], x)
        ),
        True,
    ),
    "scan in a scan": (
        lambda o, x, w: o.scan(
            lambda h, e: (o.scan(lambda g, row: (g + o.sin(row * e), None), h, w)[0], None), x[0], x
        )[0],
        True,
    ),
    "map": (lambda o, x, w: o.map(lambda e: o.matmul(w, e), x), True),
    "vectorized_map": (lambda o, x, w: o.vectorized_map(lambda e: o.cumsum(e) * w[0], x), True),
    "fori_loop": (lambda o, x, w: o.fori_loop(0, 4, lambda i, a: o.sin(a) * w[0] + o.cast(i, "float32"), x), True),
    "fori_loop of an unknown range": (
        lambda o, x, w: o.fori_loop(0, o.cast(o.sum(o.abs(x)), "int32"), lambda i, a: o.sin(a) + w[0], x),
        False,
    ),
    "while_loop": (
        lambda o, x, w: list(
            o.while_loop(
                lambda n, a: o.sum(o.abs(a)) < 500.0, lambda n, a: (n + 1, a * 2.0 + w[0]), (o.cast(0, "float32"), x)
            )
        ),
        False,
    ),
    "while_loop with a limit": (
        lambda o, x, w: o.while_loop(lambda a: o.all(a < 1e9), lambda a: a * 1.5, o.abs(x), maximum_iterations=3),
        False,
    ),
    "associative_scan": (lambda o, x, w: o.associative_scan(lambda a, b: a * b, x), True),
}  # fmt: skip


def _flat(results):
    return list(results) if isinstance(results, list | tuple) else [results]


def _arrays(results):
    return [np.asarray(result) for result in _flat(results)]


def _loss(o, results):
    """Each element with a weight of its own, so that no gradient hides another."""
    return sum(o.sum(o.sin(r)) * (k + 1) for k, r in enumerate(_flat(results)))


def _assert_close(results, expected):
    assert len(results) == len(expected)
    for result, reference in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, reference, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_eager_traced_and_keras_agree(name):
    program, _ = PROGRAMS[name]
    expected = _arrays(
        program(keras.ops, keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(W))
    )
    eager = program(ops, ops.convert_to_tensor(X), ops.convert_to_tensor(W))
    _assert_close(_arrays(eager), expected)
    traced = cornu.function(lambda x, w: program(ops, x, w))
    _assert_close(_arrays(traced(ops.convert_to_tensor(X), ops.convert_to_tensor(W))), expected)


def _gradients(program, x, w):
    with cornu.GradientTape() as tape:
        tape.watch([x, w])
        loss = _loss(ops, program(ops, x, w))
    return [
        ops.zeros_like(v) if g is None else g
        for v, g in zip((x, w), tape.gradient(loss, [x, w]), strict=True)
    ]


@pytest.mark.parametrize("name", [name for name, (_, smooth) in PROGRAMS.items() if smooth])
def test_gradients_agree(name):
    program, _ = PROGRAMS[name]
    expected = jax.grad(lambda x, w: _loss(keras.ops, program(keras.ops, x, w)), argnums=(0, 1))(
        X, W
    )
    x, w = ops.convert_to_tensor(X), ops.convert_to_tensor(W)
    _assert_close(_arrays(_gradients(program, x, w)), _arrays(expected))
    traced = cornu.function(lambda x, w: _gradients(program, x, w))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _assert_close(_arrays(traced(x, w)), _arrays(expected))


def test_second_derivatives_pass_through_loops():
    def second(x):
        with cornu.GradientTape() as outer:
            outer.watch(x)
            with cornu.GradientTape() as inner:
                inner.watch(x)
                y = ops.sum(ops.scan(lambda h, e: (h * e + ops.sin(e), None), x[0], x)[0])
            first = inner.gradient(y, x)
            loss = ops.sum(first * first)
        return outer.gradient(loss, x)

    def loss(x):
        grad = jax.grad(
            lambda x: keras.ops.sum(
                keras.ops.scan(lambda h, e: (h * e + keras.ops.sin(e), None), x[0], x)[0]
            )
        )(x)
        return keras.ops.sum(grad * grad)

    x = ops.convert_to_tensor(X)
    expected = np.asarray(jax.grad(loss)(X))
    np.testing.assert_allclose(second(x), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(cornu.function(second)(x), expected, rtol=1e-4, atol=1e-4)


def test_a_loop_is_one_step_and_its_length_may_be_unknown():
    def program(x):
        return [ops.scan(lambda h, e: (h + e, h * e), x[0], x)[1]]

    graph = _cornu.trace(program, [((None, 3), "float32")])
    assert "scan" in str(graph).lower() and len(graph) < 12
    calls = []

    @cornu.function
    def counted(x):
        calls.append(x.shape)
        return program(x)[0]

    for length in (4, 7, 50):
        x = np.linspace(0, 1, length * 3, dtype="float32").reshape(length, 3)
        np.testing.assert_allclose(counted(x), program(ops.convert_to_tensor(x))[0], rtol=1e-6)
    assert len(calls) == 1


def test_only_the_chosen_branch_runs():
    """The other would divide integers by zero, or take forever: here it counts its rounds."""
    rounds = cornu.Variable(0, dtype="int32", trainable=False)

    def heavy(x):
        def body(n, a):
            rounds.assign_add(1)
            return n + 1, a * 1.0

        return ops.while_loop(lambda n, a: n < 5, body, (0, x))[1]

    choose = cornu.function(lambda x: ops.cond(ops.sum(x) > 0, lambda: heavy(x), lambda: x))
    for sign, expected in ((-1.0, 0), (1.0, 5), (-1.0, 5), (1.0, 10)):
        choose(np.full((2, 3), sign, "float32"))
        assert int(rounds) == expected


def test_variables_and_seeds_inside_of_loops():
    state = cornu.Variable(np.zeros(3, "float32"))
    seeds = cornu.random.SeedGenerator(7)

    def program(x):
        def step(h, entry):
            state.assign_add(entry)
            return h + state, cornu.random.normal((2,), seed=seeds)

        last, noise = ops.scan(step, x[0], x)
        return last, noise, ops.cond(ops.sum(state) > 0, lambda: state * 2.0, lambda: state - 1.0)

    results = []
    for run in (program, cornu.function(program)):
        state.assign(np.zeros(3, "float32"))
        seeds.state.assign(cornu.random.SeedGenerator(7).state)
        results.append(
            [*_arrays(run(ops.convert_to_tensor(X))), state.numpy(), seeds.state.numpy()]
        )
    for eager, traced in zip(*results, strict=True):
        np.testing.assert_allclose(traced, eager, rtol=1e-6)


def test_gradients_reach_variables_that_only_a_body_reads():
    w = cornu.Variable(W)

    def gradient(x):
        with cornu.GradientTape() as tape:
            h, _ = ops.scan(lambda h, e: (ops.tanh(ops.matmul(h, w) + e), None), x[:1] * 0, x)
            loss = ops.sum(ops.cond(ops.sum(x) > 99, lambda: h, lambda: h * w[0]))
        return tape.gradient(loss, w)

    x = ops.convert_to_tensor(X)
    np.testing.assert_allclose(cornu.function(gradient)(x), gradient(x), rtol=1e-5)


def test_a_gradient_of_one_s_own_inside_of_a_loop_is_kept():
    @ops.custom_gradient
    def double(x):
        return x * 1.0, lambda upstream: upstream * 2.0

    def gradient(x):
        with cornu.GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(ops.scan(lambda h, e: (h + double(e), None), x[0], x)[0])
        return tape.gradient(loss, x)

    x = ops.convert_to_tensor(X)
    with pytest.warns(UserWarning):
        np.testing.assert_array_equal(cornu.function(gradient)(x), gradient(x))


def test_the_gradient_of_an_open_loop_is_computed_eagerly():
    def gradient(x):
        with cornu.GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(ops.while_loop(lambda a: ops.sum(a) < 100.0, lambda a: a * a + 2.0, x))
        return tape.gradient(loss, x)

    x = ops.convert_to_tensor(X)
    with pytest.warns(UserWarning):
        np.testing.assert_array_equal(cornu.function(gradient)(x), gradient(x))


@pytest.mark.parametrize(
    "program",
    [
        lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.cast(x, "int32")),
        lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: x[0]),
        lambda x: ops.scan(lambda h, e: (ops.cast(h, "int32"), None), x[0], x)[0],
        lambda x: ops.scan(lambda h, e: (h[0], None), x[0], x)[0],
        lambda x: ops.while_loop(lambda a: ops.sum(a) < 9, lambda a: ops.sum(a), x),
        lambda x: ops.while_loop(lambda a: a < 9, lambda a: a + 1, x),
    ],
)
def test_results_must_fit(program):
    with pytest.raises(TypeError, match="expected"):
        _cornu.trace(lambda x: [program(x)], [((4, 3), "float32")])
