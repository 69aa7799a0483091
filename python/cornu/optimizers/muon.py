"""Muon, which makes the steps of matrices orthogonal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cornu import ops
from cornu.optimizers import updates
from cornu.optimizers.optimizer import Optimizer
from cornu.variable import Variable


class Muon(Optimizer):
    """Momentum made orthogonal by a Newton-Schulz iteration; Adam for what is no matrix.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        adam_beta_1, adam_beta_2, epsilon: Adam's arguments.
        adam_weight_decay: The weight decay of variables that Adam updates.
        weight_decay: The weight decay of matrices.
        exclude_layers: Regular expressions; Adam updates a variable whose path one is found in.
        exclude_embeddings: Whether Adam updates embeddings.
        muon_a, muon_b, muon_c: The coefficients of the iteration.
        adam_lr_ratio: Adam's learning rate as a part of `learning_rate`.
        momentum: The decay of the momentum.
        ns_steps: The number of iterations.
        nesterov: Whether momentum looks ahead.
        rms_rate: Scales steps so that their root mean square is that of Adam's; `None` does not.
        **kwargs: The arguments of `Optimizer`.

    Reference: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024;
    Liu et al., "Muon is Scalable for LLM Training", 2025 (arXiv:2502.16982).
    """

    _hyperparameters = (
        "adam_beta_1",
        "adam_beta_2",
        "epsilon",
        "exclude_layers",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "exclude_embeddings",
        "adam_weight_decay",
        "rms_rate",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _is_for_adam(self, variable: Variable) -> bool:
        if len(variable.shape) != 2:
            return True
        if self.exclude_embeddings and "embedding" in variable.path.lower():
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        self._momentums: list[Variable] = []
        # Only what Adam updates has one.
        self._velocities: list[Variable | None] = []
        for variable in var_list:
            self._momentums.append(self.add_variable_from_reference(variable, "momentum"))
            self._velocities.append(
                self.add_variable_from_reference(variable, "velocity")
                if self._is_for_adam(variable)
                else None
            )

    def _apply_weight_decay(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            adam = self._is_for_adam(variable)
            decay = self.adam_weight_decay if adam else self.weight_decay
            if decay is not None and self._use_weight_decay(variable):
                rate = ops.cast(self.learning_rate, variable.dtype)
                variable.assign(variable - variable * ops.cast(decay, variable.dtype) * rate)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        i = self._get_variable_index(variable)
        momentum, velocity = self._momentums[i], self._velocities[i]
        if velocity is not None:
            count = ops.cast(ops.add(self.iterations, 1), variable.dtype)
            power_1 = ops.power(ops.cast(self.adam_beta_1, variable.dtype), count)
            power_2 = ops.power(ops.cast(self.adam_beta_2, variable.dtype), count)
            step_size = rate * self.adam_lr_ratio * ops.sqrt(1.0 - power_2) / (1.0 - power_1)
            updates.adam(
                variable,
                momentum,
                velocity,
                gradient,
                step_size,
                self.adam_beta_1,
                self.adam_beta_2,
                self.epsilon,
            )
            return
        momentum.assign(momentum * self.momentum + gradient)
        direction = momentum * self.momentum + gradient if self.nesterov else momentum.value
        step = self.zeropower_via_newtonschulz5(direction, self.ns_steps)
        variable.assign_sub(rate * self.lr_adjust(step))

    def lr_adjust(self, x: Any) -> Any:
        """The step of a matrix, scaled so that its root mean square is that of Adam's."""
        return x if self.rms_rate is None else x * (self.rms_rate * max(x.shape) ** 0.5)

    def transpose_last_axis(self, X: Any) -> Any:
        """`X` with its last two axes exchanged."""
        return ops.swapaxes(X, -1, -2)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """An approximation of the orthogonal matrix next to `x`, by this many iterations."""
        tall = x.shape[0] > x.shape[1]
        if tall:
            x = self.transpose_last_axis(x)
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(steps):
            a = ops.matmul(x, self.transpose_last_axis(x))
            b = self.muon_b * a + self.muon_c * ops.matmul(a, a)
            x = self.muon_a * x + ops.matmul(b, x)
        return self.transpose_last_axis(x) if tall else x
