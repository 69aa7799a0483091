"""Adafactor, whose memory of a matrix is one row and one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cornu import ops
from cornu.naming import name_scope
from cornu.optimizers.optimizer import Optimizer
from cornu.variable import Variable


class Adafactor(Optimizer):
    """Steps divided by the root of a factored mean of squared gradients.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_2_decay: The exponent of the mean's decay.
        epsilon_1: Keeps the mean from zero.
        epsilon_2: The least root mean square of a variable that steps are scaled by.
        clip_threshold: The largest root mean square of a step before it is scaled.
        relative_step: Whether the rate is at most the inverse root of the step's number.
        **kwargs: The arguments of `Optimizer`.

    Reference: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory
    Cost", 2018 (arXiv:1804.04235).
    """

    _hyperparameters = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        self._rows: list[Variable] = []
        self._columns: list[Variable] = []
        self._velocities: list[Variable] = []
        with name_scope(self.name, caller=self):
            for variable in var_list:
                shape = tuple(variable.shape)
                factored = len(shape) >= 2
                # A vector has no factors, yet keeps its two places in files.
                row = shape[:-1] if factored else ()
                column = (*shape[:-2], shape[-1]) if factored else ()
                for slots, size in ((self._rows, row), (self._columns, column)):
                    slots.append(self.add_variable(size, name=variable.name, dtype=variable.dtype))
                self._velocities.append(self.add_variable_from_reference(variable, "velocity"))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        count = ops.cast(ops.add(self.iterations, 1), variable.dtype)
        i = self._get_variable_index(variable)
        row, column, velocity = self._rows[i], self._columns[i], self._velocities[i]
        if self.relative_step:
            rate = ops.minimum(rate, ops.rsqrt(count))
        rate = ops.maximum(self.epsilon_2, _root_mean_square(variable)) * rate
        squares = ops.square(gradient) + self.epsilon_1
        decay = 1.0 - ops.power(count, self.beta_2_decay)
        if len(variable.shape) >= 2:
            row.assign(decay * row + (1.0 - decay) * ops.mean(squares, axis=-1))
            column.assign(decay * column + (1.0 - decay) * ops.mean(squares, axis=-2))
            share = row / ops.mean(row, axis=-1, keepdims=True)
            velocity.assign(ops.expand_dims(share, -1) * ops.expand_dims(column, -2))
        else:
            velocity.assign(decay * velocity + (1.0 - decay) * squares)
        step = gradient * ops.rsqrt(velocity)
        step = step / ops.maximum(1.0, _root_mean_square(step) / self.clip_threshold)
        variable.assign_sub(rate * step)


def _root_mean_square(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
