"""The updates that are one fused kernel each; the only place that knows their primitives."""

from __future__ import annotations

from typing import Any

from cornu import ops
from cornu._cornu import primitive
from cornu.variable import Variable

_sgd = primitive("sgd_update")
_momentum = primitive("momentum_update")
_adam = primitive("adam_update")
_rmsprop = primitive("rmsprop_update")


def _like(variable: Variable, *values: Any) -> list[Any]:
    return [ops.cast(value, variable.dtype) for value in values]


def sgd(variable: Variable, gradient: Any, learning_rate: Any) -> None:
    """`variable -= learning_rate * gradient`."""
    variable.assign(_sgd(variable, *_like(variable, gradient, learning_rate)))


def momentum(
    variable: Variable,
    velocity: Variable,
    gradient: Any,
    learning_rate: Any,
    factor: float,
    nesterov: bool,
) -> None:
    """Gradient descent with (Nesterov's) momentum."""
    new, new_velocity = _momentum(
        variable,
        velocity,
        *_like(variable, gradient, learning_rate, factor),
        nesterov=nesterov,
    )
    variable.assign(new)
    velocity.assign(new_velocity)


def adam(
    variable: Variable,
    mean: Variable,
    square: Variable,
    gradient: Any,
    step_size: Any,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam's update; `step_size` is the learning rate with the bias corrected."""
    new, new_mean, new_square = _adam(
        variable,
        mean,
        square,
        *_like(variable, gradient, step_size, beta_1, beta_2, epsilon),
    )
    variable.assign(new)
    mean.assign(new_mean)
    square.assign(new_square)


def rmsprop(
    variable: Variable,
    square: Variable,
    gradient: Any,
    learning_rate: Any,
    rho: float,
    epsilon: float,
) -> None:
    """RMSprop's update, neither centred nor with momentum."""
    new, new_square = _rmsprop(
        variable, square, *_like(variable, gradient, learning_rate, rho, epsilon)
    )
    variable.assign(new)
    square.assign(new_square)
