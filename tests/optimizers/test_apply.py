"""`Optimizer.apply` outside of plans is one plan: what changes from call to call still counts."""

import numpy as np
import pytest

import cornu
from cornu import optimizers


def variables(*values: float) -> list:
    return [cornu.Variable(np.full(3, value, "float32")) for value in values]


def moved(variable: cornu.Variable, change) -> float:
    """How far one entry moves."""
    before = float(variable.numpy()[0])
    change()
    return before - float(variable.numpy()[0])


def ones() -> cornu.Tensor:
    return cornu.ops.ones(3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda optimizer: optimizer.learning_rate.assign(0.5), 0.5),
        (lambda optimizer: setattr(optimizer, "learning_rate", 0.25), 0.25),
        (lambda optimizer: setattr(optimizer, "clipvalue", 0.5), 0.05),
        (lambda optimizer: setattr(optimizer, "weight_decay", 0.5), 0.1 + 0.1 * 0.5 * 0.8),
    ],
)
def test_what_is_replaced_counts_at_the_next_call(change, expected):
    (variable,) = variables(1.0)
    optimizer = optimizers.SGD(0.1)
    for _ in range(2):
        optimizer.apply([ones()], [variable])
    change(optimizer)
    distance = moved(variable, lambda: optimizer.apply([ones()], [variable]))
    np.testing.assert_allclose(distance, expected, rtol=1e-5)
    assert int(optimizer.iterations) == 3


def test_only_the_variables_that_are_given_move():
    optimizer, (first, second) = optimizers.SGD(0.1), variables(1.0, 2.0)
    optimizer.build([first, second])
    optimizer.apply([ones()], [second])
    assert first.numpy()[0] == 1.0 and second.numpy()[0] == np.float32(1.9)
    optimizer.apply([ones()], [first])
    optimizer.apply([ones(), ones()])
    np.testing.assert_allclose([first.numpy()[0], second.numpy()[0]], [0.8, 1.8], rtol=1e-6)


def test_a_callable_rate_is_called_each_time():
    rates = iter([0.5, 0.25, 0.125])
    (variable,) = variables(1.0)
    optimizer = optimizers.SGD(lambda: next(rates))
    apply = lambda: optimizer.apply([ones()], [variable])  # noqa: E731
    assert [moved(variable, apply) for _ in range(3)] == [0.5, 0.25, 0.125]


def test_a_users_own_step_is_called_each_time():
    calls = []

    class Own(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            calls.append(float(gradient[0]))
            super().update_step(gradient, variable, learning_rate)

    (variable,) = variables(1.0)
    optimizer = Own(0.1)
    for _ in range(3):
        optimizer.apply([ones()], [variable])
    assert calls == [1.0, 1.0, 1.0]


def test_gradients_of_numpy_and_half_precision_are_taken():
    (variable,) = variables(1.0)
    optimizer = optimizers.Adam(0.1)
    optimizer.apply([np.ones(3, "float32")], [variable])
    optimizer.apply([cornu.ops.ones(3, "float16")], [variable])
    np.testing.assert_allclose(variable.numpy(), 0.8, rtol=1e-3)
