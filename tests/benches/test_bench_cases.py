"""The benches' table of operations: its shapes fit, and Cornu computes what JAX computes."""

from importlib import import_module

import numpy as np
import pytest
from benches.kernels.cases import CASES
from benches.kernels.libraries import unreached


def elements(case):
    return sum(map(np.prod, (case.inputs | case.weights).values()))


# The smallest case of each op.
SMALLEST = {case.op: case for case in sorted(CASES.values(), key=elements, reverse=True)}


@pytest.mark.parametrize("op", SMALLEST)
def test_libraries_compute_the_same(op):
    ours, theirs = (
        getattr(import_module(f"benches.kernels.libraries.{library}"), op)
        for library in ("cornu", "jax")
    )
    arguments = SMALLEST[op].arguments()
    results = ours(**arguments).outputs(), theirs(**arguments).outputs()
    for result, expected in zip(*results, strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-4 * np.abs(expected).max())


def test_each_case_is_bounded_by_one_thing():
    assert all(bool(case.operations) != bool(case.traffic) for case in CASES.values())


@pytest.mark.parametrize(
    "moves, side, size, strides, padding, expected",
    [(28, 56, 1, 2, "valid", 1), (112, 225, 3, 2, "valid", 0), (14, 14, 5, 1, "same", 0)],
)
def test_pixels_that_no_window_reaches(moves, side, size, strides, padding, expected):
    assert unreached(moves, side, size, strides, padding) == expected
