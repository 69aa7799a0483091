"""Settings that only Cornu has: threads, and Winograd's way of convolutions."""

import numpy as np
import pytest

import cornu
from cornu import ops


@pytest.fixture
def threads():
    before = cornu.config.num_threads()
    yield
    cornu.config.set_num_threads(before)


def test_threads(threads):
    a = np.random.default_rng(0).random((300, 300), "float32")
    results = []
    for number in (1, 2, 3):
        cornu.config.set_num_threads(number)
        assert cornu.config.num_threads() == number
        results.append(ops.matmul(a, a).numpy())
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()
    for number in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1.*number={number}"):
            cornu.config.set_num_threads(number)


def test_winograd():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 28, 28, 64)).astype("float32")
    model = cornu.Sequential([cornu.layers.Conv2D(64, 3, padding="same")])
    kernel = (model(x), model.layers[0].kernel.numpy())[1]
    exact = np.asarray(ops.conv(x.astype("float64"), kernel.astype("float64"), padding="same"))

    def error():
        return [
            float(np.abs(np.asarray(y) - exact).max())
            for y in (model(x), ops.conv(x, kernel, padding="same"), model.predict(x, verbose=0))
        ]

    assert cornu.config.is_winograd_enabled()
    first = error()
    cornu.config.disable_winograd()
    try:
        assert not cornu.config.is_winograd_enabled()
        without = error()
    finally:
        cornu.config.enable_winograd()
    assert max(first) < 1e-4
    assert max(without) < min(first)
    assert error() == first


def test_settings_have_a_number_each():
    first = cornu.config.settings()
    try:
        cornu.config.set_epsilon(0.5)
        assert cornu.config.settings() != first
    finally:
        cornu.config.set_epsilon(1e-7)
    assert cornu.config.settings() == first
