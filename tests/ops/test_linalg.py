"""Decompositions and solutions of matrices: values and gradients against real Keras."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
import pytest

from cornu import KerasTensor, _cornu, ops

RNG = np.random.default_rng(4)
A = (RNG.normal(size=(2, 4, 4)) + 2 * np.eye(4)).astype("float32")
TALL = RNG.normal(size=(2, 5, 3)).astype("float32")
S = (A @ A.transpose(0, 2, 1) + np.eye(4)).astype("float32")
B = RNG.normal(size=(2, 4, 3)).astype("float32")

# A name, its arguments, and whether signs of columns are free.
CASES = [
    ("cholesky", (S,), False),
    ("cholesky", (S, True), False),
    ("cholesky_inverse", (np.linalg.cholesky(S[0]),), False),
    ("inv", (A,), False),
    ("det", (A,), False),
    ("slogdet", (A,), False),
    ("logdet", (S,), False),
    ("solve", (A, B), False),
    ("solve", (A[0], B[0, :, 0]), False),
    ("solve_triangular", (A, B, True), False),
    ("solve_triangular", (A, B, False), False),
    ("pinv", (TALL,), False),
    ("lstsq", (TALL[0], TALL[0, :, 1]), False),
    ("matrix_rank", (A,), False),
    ("lu_factor", (A,), False),
    ("lu_factor", (TALL,), False),
    ("lu_factor", (TALL.transpose(0, 2, 1),), False),
    ("eig", (A,), True),
    ("qr", (TALL,), True),
    ("qr", (A,), True),
    ("eigh", (S,), True),
    ("svd", (TALL, False), True),
    ("svd", (TALL, True, False), False),
    ("norm", (A, "nuc", (1, 2)), False),
    ("norm", (A, 2, (1, 2)), False),
]


def flat(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def ids(row):
    return row if isinstance(row, str) else ""


@pytest.mark.parametrize(("name", "args", "signs"), CASES, ids=ids)
def test_value(name, args, signs):
    ours, theirs = (flat(getattr(library, name)(*args)) for library in (ops, keras.ops))
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if signs:
            a, b = np.abs(a), np.abs(b)
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


def scalar(library, name, args, x, signs):
    """A number that depends on every output, and on no sign that is free."""
    total = 0.0
    for i, y in enumerate(flat(getattr(library, name)(x, *args[1:]))):
        y = library.square(y) if signs else y
        if "int" in str(y.dtype):
            continue
        weights = np.cos(np.arange(np.prod(y.shape), dtype="float32") + i).reshape(y.shape)
        total = total + library.sum(y * weights)
    return total


@pytest.mark.parametrize(
    ("name", "args", "signs"),
    [c for c in CASES if c[0] not in ("matrix_rank", "eig")],  # JAX has no gradients of them
    ids=ids,
)
def test_gradient(name, args, signs):
    x = _cornu.tensor(args[0])
    with _cornu.Tape() as tape:
        tape.watch(x)
        total = scalar(ops, name, args, x, signs)
    got = np.asarray(tape.gradient([total], [x])[0])
    with jax.enable_x64(False):
        expected = jax.grad(lambda x: scalar(keras.ops, name, args, x, signs))(args[0])
    if name in ("cholesky", "eigh", "logdet"):
        # Only what is symmetric can change.
        got, expected = (np.asarray(g) + np.swapaxes(g, -2, -1) for g in (got, expected))
    np.testing.assert_allclose(got, np.asarray(expected), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize(("name", "args", "signs"), [c for c in CASES if c[1][0].ndim > 2], ids=ids)
def test_unknown_batch(name, args, signs):
    symbols = [KerasTensor((None, *a.shape[1:])) if isinstance(a, np.ndarray) else a for a in args]
    concrete = flat(getattr(ops, name)(*args))
    for symbol, value in zip(flat(getattr(ops, name)(*symbols)), concrete, strict=True):
        assert symbol.shape == (None, *value.shape[1:])


def test_jvp():
    x, t = A[0], B[0, :, 0][:, None] * np.ones((4, 4), "float32")
    value, tangent = ops.jvp(lambda x: ops.sum(ops.exp(x) * x, axis=1), (x,), (t,))
    expected = jax.jvp(lambda x: (jax.numpy.exp(x) * x).sum(1), (x,), (t,))
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    np.testing.assert_allclose(tangent, expected[1], rtol=1e-4)
