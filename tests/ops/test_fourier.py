"""Fourier transforms of any size, against numpy's in double precision."""

import numpy as np
import pytest

import cornu
from cornu import ops

SIZES = [*range(1, 34), 49, 64, 97, 100, 121, 127, 128, 130, 251, 1024, 4096, 44100]
TOLERANCES = {"float32": 1e-6, "float64": 1e-13}


def assert_near(got, expected, tolerance):
    """Compares `(real, imaginary)` or real numbers, relative to the norm of each row."""
    got = [np.asarray(x, "float64") for x in got]
    got = got[0] + 1j * got[1] if len(got) == 2 else got[0]
    assert got.shape == expected.shape
    error = np.linalg.norm(got - expected, axis=-1)
    assert np.all(error <= tolerance * np.linalg.norm(expected, axis=-1) + 1e-30)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_transforms(dtype):
    rng = np.random.default_rng(0)
    for size in SIZES:
        for rows in (1, 5):
            a, b = rng.normal(size=(2, rows, size)).astype(dtype)
            z = a.astype("float64") + 1j * b
            tolerance = TOLERANCES[dtype]
            assert_near(ops.fft((a, b)), np.fft.fft(z), tolerance)
            spectrum = ops.rfft(a)
            assert spectrum[0].dtype == dtype
            assert_near(spectrum, np.fft.rfft(a.astype("float64")), tolerance)
            half = a[:, : size // 2 + 1], b[:, : size // 2 + 1]
            expected = np.fft.irfft(half[0].astype("float64") + 1j * half[1], size)
            assert_near([ops.irfft(half, size)], expected, tolerance)
    a, b = rng.normal(size=(2, 3, 12, 35)).astype(dtype)
    assert_near(ops.fft2((a, b)), np.fft.fft2(a + 1j * b.astype("float64")), tolerance)
    assert_near(ops.ifft2((a, b)), np.fft.ifft2(a + 1j * b.astype("float64")), tolerance)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves(dtype):
    x = ops.cast(np.random.default_rng(0).normal(size=(2, 12)), dtype)
    real, imaginary = ops.rfft(x)
    assert real.dtype == imaginary.dtype == dtype
    expected = np.fft.rfft(ops.convert_to_numpy(ops.cast(x, "float64")))
    np.testing.assert_allclose(ops.cast(real, "float64"), expected.real, atol=0.1)


def test_one_plan_for_every_batch():
    spectrum = cornu.function(lambda x: ops.rfft(x))
    for rows in (2, 3, 17, 40):
        x = np.random.default_rng(rows).normal(size=(rows, 400)).astype("float32")
        assert_near(spectrum(x), np.fft.rfft(x.astype("float64")), 1e-6)


@pytest.mark.parametrize("size", [7, 8])
def test_gradients_are_transposes(size):
    rng = np.random.default_rng(1)
    x = ops.convert_to_tensor(rng.normal(size=(3, size)))
    weights = rng.normal(size=(2, 3, size // 2 + 1))
    with cornu.GradientTape() as tape:
        tape.watch(x)
        real, imaginary = ops.rfft(x)
        total = ops.sum(real * weights[0]) + ops.sum(imaginary * weights[1])
    basis = np.fft.rfft(np.eye(size))
    expected = weights[0] @ basis.real.T + weights[1] @ basis.imag.T
    np.testing.assert_allclose(tape.gradient(total, x), expected, atol=1e-12)


def test_empty_axis():
    with pytest.raises(ValueError, match="at least one number"):
        ops.rfft(np.zeros((2, 0), "float32"))
