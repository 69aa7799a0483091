"""What all tests share."""

import os

# The reference is the real Keras on JAX, in all dtypes. It compiles each op once and runs it a few
# times: optimizing would take most of the time.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import pytest


@pytest.fixture(autouse=True)
def fresh_names():
    """Names of layers start anew in each test."""
    from cornu.scopes import clear_session

    clear_session(free_memory=False)


@pytest.fixture
def without_numpy(monkeypatch):
    """Gives the function that makes numpy's computing functions raise until the test ends."""
    from numpy_refused import refuse

    yield lambda: refuse(monkeypatch)
    monkeypatch.undo()
