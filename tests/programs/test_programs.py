"""Whole programs: each learns, and each is what the real Keras makes of it."""

import importlib
import inspect
import pathlib

import pytest

from programs.harness import compare, learn

_SUBJECTS = sorted(
    path.stem
    for path in pathlib.Path(__file__).parent.glob("*.py")
    if path.stem not in ("harness", "jax_tape") and not path.stem.startswith("test_")
)


def _found():
    for subject in _SUBJECTS:
        module = importlib.import_module(f"programs.{subject}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if list(inspect.signature(function).parameters) == ["keras", "random"]:
                yield pytest.param(function, id=f"{subject}-{name}")


_PROGRAMS = list(_found())


@pytest.mark.parametrize("program", _PROGRAMS)
def test_learns(program):
    learn(program)


@pytest.mark.parametrize("program", _PROGRAMS)
def test_is_what_keras_makes_of_it(program):
    compare(program)
