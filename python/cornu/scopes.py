"""Scopes of the thread, and what a session is."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any


class _ThreadState(threading.local):
    def __init__(self) -> None:
        self.stateless: Any = None
        self.symbolic = False
        self.eager = False  # models inside run by their layers, not by plans
        self.autocast_dtype: str | None = None
        self.call_context: Any = None
        self.learning_phase: bool | None = None  # Keras 2's default of `training`
        self.tapes = 0  # that record
        self.put_off: list[Any] | None = None  # variables whose first values are to come
        # Layers called and optimizers applied by the function that is traced.
        self.called_layers: list[Any] | None = None


state = _ThreadState()


class SymbolicScope:
    """Marks that layers are called to learn the shapes of their outputs alone."""

    def __enter__(self) -> "SymbolicScope":
        self._outer = state.symbolic
        state.symbolic = True
        return self

    def __exit__(self, *error: Any) -> None:
        state.symbolic = self._outer


@contextlib.contextmanager
def _holding(name: str, value: Any) -> Iterator[None]:
    """The thread's state of this name is `value` inside."""
    outer = getattr(state, name)
    setattr(state, name, value)
    try:
        yield
    finally:
        setattr(state, name, outer)


def eager_scope() -> contextlib.AbstractContextManager[None]:
    """Models that are called inside run the Python code of their layers each time."""
    return _holding("eager", True)


def autocast_scope(dtype: str | None) -> contextlib.AbstractContextManager[None]:
    """Float variables that allow it read as `dtype` inside; None leaves them as they are."""
    return _holding("autocast_dtype", dtype)


@contextlib.contextmanager
def device(device_name: str) -> Iterator[None]:
    """Accepted for compatibility: there is one device, the processor."""
    yield


def clear_session(free_memory: bool = True) -> None:
    """Forgets the names in use and the random state, so that new models are named from the start.

    Args:
        free_memory: whether to collect garbage at once.
    """
    from cornu import config, naming

    naming.forget_names()
    config.set_dtype_policy(None)
    seeds = sys.modules.get("cornu.random.seeds")
    if seeds is not None:
        seeds.reset()
    if free_memory:
        import gc

        gc.collect()
