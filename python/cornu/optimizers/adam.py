"""Adam and what descends from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cornu import ops
from cornu.optimizers import updates
from cornu.optimizers.optimizer import Optimizer
from cornu.variable import Variable


class _Moments(Optimizer):
    """An optimizer with moving averages of the gradient and of its square."""

    _slots: tuple[str, str] = ("momentum", "velocity")

    def __init__(self, learning_rate: Any, beta_1: float, beta_2: float, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(
            var_list, list(self._slots)
        )

    def _moments(self, variable: Variable) -> tuple[Variable, Variable]:
        i = self._get_variable_index(variable)
        return self._momentums[i], self._velocities[i]

    def _count(self, variable: Variable) -> Any:
        """The number of this step, from 1 on."""
        return ops.cast(ops.add(self.iterations, 1), variable.dtype)

    def _powers(self, variable: Variable) -> tuple[Any, Any]:
        """`beta_1` and `beta_2` to the power of the step's number."""
        count = self._count(variable)
        return tuple(
            ops.power(ops.cast(beta, variable.dtype), count) for beta in (self.beta_1, self.beta_2)
        )

    def _update_moments(self, gradient: Any, momentum: Variable, velocity: Variable) -> None:
        momentum.assign_add((gradient - momentum) * (1.0 - self.beta_1))
        velocity.assign_add((ops.square(gradient) - velocity) * (1.0 - self.beta_2))


class Adam(_Moments):
    """Steps along the mean gradient, divided by the root of the mean square.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_1: The decay of the mean gradient.
        beta_2: The decay of the mean square.
        epsilon: Keeps the divisor from zero.
        amsgrad: Whether the largest mean square so far divides.
        **kwargs: The arguments of `Optimizer`.

    Reference: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014
    (arXiv:1412.6980).

    >>> optimizer = keras.optimizers.Adam(learning_rate=0.001)
    """

    _hyperparameters = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(var_list, "velocity_hat")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        power_1, power_2 = self._powers(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        step_size = rate * ops.sqrt(1.0 - power_2) / (1.0 - power_1)
        momentum, velocity = self._moments(variable)
        if not self.amsgrad:
            updates.adam(
                variable,
                momentum,
                velocity,
                gradient,
                step_size,
                self.beta_1,
                self.beta_2,
                self.epsilon,
            )
            return
        self._update_moments(ops.cast(gradient, variable.dtype), momentum, velocity)
        largest = self._velocity_hats[self._get_variable_index(variable)]
        largest.assign(ops.maximum(largest, velocity))
        variable.assign_sub(momentum * step_size / (ops.sqrt(largest) + self.epsilon))


class AdamW(Adam):
    """Adam with weights that decay apart from the gradient.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        weight_decay: By which part, times the learning rate, weights shrink at each step.
        beta_1: The decay of the mean gradient.
        beta_2: The decay of the mean square.
        epsilon: Keeps the divisor from zero.
        amsgrad: Whether the largest mean square so far divides.
        **kwargs: The arguments of `Optimizer`.

    Raises:
        ValueError: There is no `weight_decay`.

    Reference: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017
    (arXiv:1711.05101).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            **kwargs,
        )
        if self.weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")


class Adamax(_Moments):
    """Adam with the largest absolute gradient in place of the root of the mean square.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_1: The decay of the mean gradient.
        beta_2: The decay of the largest gradient.
        epsilon: Keeps the divisor from zero.
        **kwargs: The arguments of `Optimizer`.

    Reference: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014
    (arXiv:1412.6980), section 7.
    """

    _hyperparameters = ("beta_1", "beta_2", "epsilon")
    _slots = ("momentum", "norm")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)
        self.epsilon = epsilon

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        power_1, _ = self._powers(variable)
        momentum, norm = self._moments(variable)
        momentum.assign_add((gradient - momentum) * (1.0 - self.beta_1))
        norm.assign(ops.maximum(self.beta_2 * norm, ops.abs(gradient)))
        variable.assign_sub(rate * momentum / ((1.0 - power_1) * (norm + self.epsilon)))


class Nadam(_Moments):
    """Adam with Nesterov's momentum.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_1: The decay of the mean gradient.
        beta_2: The decay of the mean square.
        epsilon: Keeps the divisor from zero.
        **kwargs: The arguments of `Optimizer`.

    Reference: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """

    _hyperparameters = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        dtype = var_list[0].dtype if var_list else None
        self._u_product = Variable(1.0, dtype=dtype, trainable=False)

    def _u(self, count: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * ops.power(ops.cast(0.96, count.dtype), count))

    def _update(self, grads: list[Any], variables: list[Variable]) -> None:
        # The product grows once per step, not once per variable.
        count = ops.cast(ops.add(self.iterations, 1), self._u_product.dtype)
        self._u_product.assign(self._u_product * self._u(count))
        super()._update(grads, variables)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        count = self._count(variable)
        now, ahead = self._u(count), self._u(count + 1.0)
        product = ops.cast(self._u_product, variable.dtype)
        _, power_2 = self._powers(variable)
        momentum, velocity = self._moments(variable)
        self._update_moments(gradient, momentum, velocity)
        mean = ahead * momentum / (1.0 - product * ahead) + (1.0 - now) * gradient / (1.0 - product)
        square = velocity / (1.0 - power_2)
        variable.assign_sub(mean * rate / (ops.sqrt(square) + self.epsilon))


class Lamb(_Moments):
    """Adam's step, scaled per variable by the ratio of the norms of variable and step.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_1: The decay of the mean gradient.
        beta_2: The decay of the mean square.
        epsilon: Keeps the divisor from zero.
        **kwargs: The arguments of `Optimizer`.

    Reference: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76
    minutes", 2019 (arXiv:1904.00962).
    """

    _hyperparameters = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)
        self.epsilon = epsilon

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        power_1, power_2 = self._powers(variable)
        momentum, velocity = self._moments(variable)
        self._update_moments(gradient, momentum, velocity)
        mean, square = momentum / (1.0 - power_1), velocity / (1.0 - power_2)
        step = mean / (ops.sqrt(square) + self.epsilon)
        norm, step_norm = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, step))
        scalable = ops.logical_and(norm > 0, step_norm > 0)
        ratio = ops.where(scalable, ops.divide_no_nan(norm, step_norm), ops.ones_like(norm))
        variable.assign_sub(rate * ratio * step)


class ScheduleFreeAdamW(_Moments):
    """Adam that averages its iterates, and needs no schedule for that.

    Between steps, variables hold the point that gradients are taken at.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_1: How much of the average, against the last iterate, gradients are taken at.
        beta_2: The decay of the mean square.
        epsilon: Keeps the divisor from zero.
        warmup_steps: Over how many steps the rate rises.
        **kwargs: The arguments of `Optimizer`.

    Reference: Defazio et al., "The Road Less Scheduled", 2024 (arXiv:2405.15682).
    """

    _hyperparameters = ("beta_1", "beta_2", "epsilon", "warmup_steps")

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        # The first slot holds the iterate, which starts at the variable.
        for iterate, variable in zip(self._momentums, var_list, strict=True):
            iterate.assign(variable)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        count = self._count(variable)
        if self.warmup_steps > 0:
            rate = rate * ops.minimum(count / self.warmup_steps, 1.0)
        _, power_2 = self._powers(variable)
        iterate, velocity = self._moments(variable)
        velocity.assign_add((ops.square(gradient) - velocity) * (1.0 - self.beta_2))
        average = (variable - (1.0 - self.beta_1) * iterate) / self.beta_1
        root = ops.sqrt(velocity / (1.0 - power_2)) + self.epsilon
        iterate.assign_sub(rate * gradient / root)
        part = 1.0 / count
        average = (1.0 - part) * average + part * iterate
        variable.assign((1.0 - self.beta_1) * iterate + self.beta_1 * average)
