"""Gradient tapes."""

import numpy as np
import pytest

from cornu import GradientTape, Variable
from cornu.tensor import convert_to_tensor


def test_tensors_are_watched_on_request():
    x = convert_to_tensor([1.0, 2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert tape.gradient(y, x).numpy().tolist() == [2, 4]


def test_a_tape_is_used_once_unless_persistent():
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * v
    tape.gradient(y, v)
    with pytest.raises((RuntimeError, ValueError), match="non-persistent"):
        tape.gradient(y, v)
    with GradientTape(persistent=True) as tape:
        y, z = v * v, v * 4.0
    assert float(tape.gradient(y, v)) == 6
    assert float(tape.gradient(z, [v])[0]) == 4


def test_unconnected_gradients():
    v, w = Variable(3.0), Variable([1.0, 2.0])
    with GradientTape(persistent=True) as tape:
        y = v * v
    assert tape.gradient(y, w) is None
    assert tape.gradient(y, w, unconnected_gradients="zero").numpy().tolist() == [0, 0]
    with pytest.raises(ValueError, match="unconnected_gradients"):
        tape.gradient(y, w, unconnected_gradients="one")


def test_gradients_of_gradients():
    v = Variable(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = v * v * v
        first = inner.gradient(y, v)
    assert float(first) == 12
    assert float(outer.gradient(first, v)) == 12


def test_stop_recording_and_reset():
    v = Variable(2.0)
    with GradientTape(persistent=True) as tape:
        with tape.stop_recording():
            hidden = v * v
        seen = v * 3.0
    assert tape.gradient(hidden, v) is None
    assert float(tape.gradient(seen, v)) == 3


def test_output_gradients():
    v = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = v * v
    gradient = tape.gradient(y, v, output_gradients=np.array([1.0, 10.0], "float32"))
    assert gradient.numpy().tolist() == [2, 40]


def test_output_gradients_are_one_for_each_target():
    v = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = v * v
    with pytest.raises(ValueError, match=r"for each of 1 targets, received 2"):
        tape.gradient(y, v, output_gradients=[1.0, 10.0])


def test_only_tensors_and_variables_are_watched():
    with pytest.raises(ValueError, match="not a tensor or"):
        GradientTape().watch(3)


def test_an_assignment_is_a_step_of_the_computation():
    """As in a trace, and in Keras on JAX: a later read counts through what was assigned."""
    v = Variable([2.0])
    for assigned, slope in ((lambda: v * 1.0, 3), (lambda: v * 2.0, 6), (lambda: [5.0], 3)):
        with GradientTape() as tape:
            v.assign(assigned())
            y = v * 3.0
        assert tape.gradient(y, v).numpy().tolist() == [slope]
    with GradientTape() as tape:
        y = v * 1.0
        v.assign(v * 1.0)
        y = y + v * v
    assert tape.gradient(y, v).numpy().tolist() == [1 + 2 * v.numpy()[0]]
