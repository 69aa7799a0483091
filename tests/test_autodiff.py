"""Gradient tapes."""

import numpy as np
import pytest

import cornu
from cornu import GradientTape, Variable, ops
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


# What `tf.GradientTape` gives in the same cases (TensorFlow 2.21).

X = [[1.0, 2.0], [3.0, 4.0]]


def test_jacobian():
    x, unused = Variable(X), Variable([1.0, 2.0, 3.0])
    with GradientTape() as tape:
        y = x * x * ops.sum(x)
    jacobian = tape.jacobian(y, {"x": x, "unused": unused})
    assert jacobian["unused"] is None
    expected = np.zeros((2, 2, 2, 2)) + np.square(X)[..., None, None]
    for i, j in np.ndindex(2, 2):
        expected[i, j, i, j] += 2 * X[i][j] * np.sum(X)
    np.testing.assert_allclose(jacobian["x"], expected)


def test_jacobian_of_shapes():
    x, w = Variable([1.0, 2.0, 3.0]), Variable(np.ones((3, 2), "float32"))
    with GradientTape(persistent=True) as tape:
        y = ops.matmul(x, w)
        total = ops.sum(y)
    assert tape.jacobian(y, w).shape == (2, 3, 2)
    assert tape.jacobian(total, w).shape == (3, 2)
    np.testing.assert_array_equal(tape.jacobian(y, x), np.ones((2, 3)))
    zeros = tape.jacobian(x * 1.0, [w], unconnected_gradients="zero")
    assert zeros[0].shape == (3, 3, 2)
    assert not zeros[0].numpy().any()
    with pytest.raises(ValueError, match="unconnected_gradients"):
        tape.jacobian(y, x, unconnected_gradients="one")


def test_hessian():
    x = Variable([1.0, 2.0])
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = ops.sum(x * x * x) + x[0] * x[1]
        gradient = inner.gradient(y, x)
    np.testing.assert_allclose(outer.jacobian(gradient, x), [[6, 1], [1, 12]])


BATCH = np.arange(6, dtype="float32").reshape(3, 2)
BATCH_JACOBIANS = {
    "square": (lambda x: x * x, 2 * BATCH[:, :, None] * np.eye(2)),
    "sum": (lambda x: ops.sum(x, 1, keepdims=True), np.ones((3, 1, 2))),
    "unconnected": (lambda x: ops.ones((3, 2)), np.zeros((3, 2, 2))),
    "product": (
        lambda x: ops.reshape(x[:, :1] * x, (3, 1, 2)),
        np.stack([[[[2 * a, 0], [b, a]]] for a, b in BATCH]),
    ),
}


@pytest.mark.parametrize("name", BATCH_JACOBIANS)
def test_batch_jacobian(name):
    function, expected = BATCH_JACOBIANS[name]
    x = convert_to_tensor(BATCH)
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    np.testing.assert_allclose(tape.batch_jacobian(y, x), expected)


def test_batch_jacobian_refuses_other_batches():
    x = Variable(BATCH)
    with GradientTape(persistent=True) as tape:
        y = x * x
    for target in (ops.sum(y), ops.sum(y, 1), ops.concatenate([y, y])):
        with pytest.raises(ValueError, match="batch_jacobian"):
            tape.batch_jacobian(target, x)


def test_jacobians_in_a_traced_function():
    x = Variable(BATCH)

    @cornu.function
    def both(scale):
        with GradientTape(persistent=True) as tape:
            y = x * x * scale
        return tape.jacobian(y, x), tape.batch_jacobian(y, x)

    whole, batch = both(convert_to_tensor(2.0))
    np.testing.assert_allclose(batch, 4 * BATCH[:, :, None] * np.eye(2))
    np.testing.assert_allclose(np.einsum("iaib->iab", whole), batch)


def test_watched_variables():
    first, second = Variable(1.0), Variable(2.0)
    kept, counter = Variable(3.0, trainable=False), Variable(4, dtype="int32")
    with GradientTape() as tape:
        y = second * first * kept + cornu.ops.cast(counter, "float32")
    assert list(map(id, tape.watched_variables())) == [id(first), id(second)]
    tape.gradient(y, first)
    assert len(tape.watched_variables()) == 2
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(kept)
        y = second * first * kept
    assert list(map(id, tape.watched_variables())) == [id(kept)]


def gradients_inside(tape, v):
    with tape:
        y = v * v * v
        first = tape.gradient(y, v)
        second = tape.gradient(first, v) if tape._persistent else first
    return second


def test_persistent_tapes_record_gradients_taken_inside():
    v = Variable(2.0)
    assert float(gradients_inside(GradientTape(persistent=True), v)) == 12
    assert float(gradients_inside(GradientTape(), v)) == 12  # 3 v², once


def played_twice(tape, v):
    with tape:
        y = v * v
    tape.jacobian(y, v)
    tape.gradient(y, v)


def recorded_after_playing(tape, v):
    with tape:
        tape.gradient(v * v, v)
        y = v * v
    tape.gradient(y, v)


def entered_twice(tape, v):
    with tape, tape:
        pass


def reset_outside(tape, v):
    with tape:
        pass
    tape.reset()


def stopped_outside(tape, v):
    with tape.stop_recording():
        pass


@pytest.mark.parametrize(
    ("misuse", "error"),
    [
        (played_twice, RuntimeError),
        (recorded_after_playing, RuntimeError),
        (entered_twice, ValueError),
        (reset_outside, ValueError),
        (stopped_outside, RuntimeError),
    ],
)
def test_misuse_of_a_tape(misuse, error):
    with pytest.raises(error):
        misuse(GradientTape(), Variable(2.0))


def test_a_tape_is_entered_again():
    v = Variable(2.0)
    tape = GradientTape()
    with tape:
        y = v * v
    with tape:
        z = y * v
    assert float(tape.gradient(z, v)) == 12
    with tape:  # used up: it starts anew
        y = v * v
    assert float(tape.gradient(y, v)) == 4


def test_reset_forgets_what_came_before():
    v = Variable(2.0)
    with GradientTape(persistent=True) as tape:
        before = v * v
        tape.reset()
        after = v * 3.0
    assert tape.gradient(before, v) is None
    assert float(tape.gradient(after, v)) == 3


def test_stop_recording_stops_one_tape():
    v = Variable(2.0)
    with GradientTape() as outer, GradientTape() as inner:
        y = v * v
        with inner.stop_recording():
            gradient = inner.gradient(y, v)
        z = y * 3.0
    assert float(gradient) == 4
    assert inner.gradient(z, v) is None  # y came before it started anew
    assert float(outer.gradient(z, v)) == 12
