"""The real Keras, which results are compared with where it is installed."""

import contextlib
import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")


@contextlib.contextmanager
def float64():
    """Both compute in float64 inside."""
    import jax

    import cornu

    # On JAX, Keras promotes float64 with float32 to float32, and computes means in that.
    backend = keras.src.backend
    promote = backend.result_type

    def wide(*dtypes):
        names = [backend.standardize_dtype(getattr(d, "dtype", d)) for d in dtypes if d is not None]
        return "float64" if "float64" in names else promote(*dtypes)

    before = jax.config.jax_enable_x64

    def switch(on):
        jax.config.update("jax_enable_x64", on or before)
        for package in (keras, cornu):
            package.config.set_floatx("float64" if on else "float32")
        for module in (backend, backend.common.dtypes):
            module.result_type = wide if on else promote

    switch(True)
    try:
        yield
    finally:
        switch(False)


def fresh():
    """Names start anew in both."""
    import cornu

    keras.utils.clear_session(free_memory=False)
    cornu.utils.clear_session(free_memory=False)
