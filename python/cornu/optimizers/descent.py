"""Gradient descent, and descent scaled by running sums of squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cornu import ops
from cornu.optimizers import updates
from cornu.optimizers.optimizer import Optimizer
from cornu.variable import Variable


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        momentum: How much of the last step is kept.
        nesterov: Whether momentum looks ahead.
        **kwargs: The arguments of `Optimizer`.

    >>> optimizer = keras.optimizers.SGD(learning_rate=0.1)
    """

    _hyperparameters = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        if not isinstance(momentum, (int, float)) or momentum < 0 or momentum > 1:
            raise ValueError("`momentum` must be a float between [0, 1].")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        if self.momentum != 0:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        if self.momentum == 0:
            updates.sgd(variable, gradient, learning_rate)
        else:
            velocity = self.momentums[self._get_variable_index(variable)]
            updates.momentum(
                variable, velocity, gradient, learning_rate, self.momentum, self.nesterov
            )


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squared gradients.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        rho: The decay of the average.
        momentum: How much of the last step is kept.
        epsilon: Keeps the root from zero.
        centered: Whether the average gradient is subtracted, which makes it a variance.
        **kwargs: The arguments of `Optimizer`.

    Reference: Hinton, "Neural Networks for Machine Learning", lecture 6, 2012.
    """

    _hyperparameters = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        self._velocities = self.add_optimizer_variables(var_list, "velocity")
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(var_list, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(var_list, "average_gradient")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        i = self._get_variable_index(variable)
        velocity = self._velocities[i]
        if not self.centered and self.momentum <= 0:
            updates.rmsprop(variable, velocity, gradient, learning_rate, self.rho, self.epsilon)
            return
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        velocity.assign(self.rho * velocity + (1.0 - self.rho) * ops.square(gradient))
        spread = velocity + self.epsilon
        if self.centered:
            average = self._average_gradients[i]
            average.assign(self.rho * average + (1.0 - self.rho) * gradient)
            spread = spread - ops.square(average)
        step = rate * gradient * ops.rsqrt(spread)
        if self.momentum > 0:
            momentum = self._momentums[i]
            momentum.assign(self.momentum * momentum + step)
            step = momentum
        variable.assign_sub(step)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of squared gradients.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        initial_accumulator_value: What the sums start with.
        epsilon: Keeps the root from zero.
        **kwargs: The arguments of `Optimizer`.

    Reference: Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", 2011.
    """

    _hyperparameters = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        from cornu import initializers

        self._accumulators = self.add_optimizer_variables(
            var_list,
            "accumulator",
            initializer=initializers.Constant(self.initial_accumulator_value),
        )

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        accumulator.assign_add(ops.square(gradient))
        variable.assign_sub(rate * gradient / ops.sqrt(accumulator + self.epsilon))


class Adadelta(Optimizer):
    """Steps scaled by the ratio of moving averages of steps and gradients.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        rho: The decay of the averages.
        epsilon: Keeps roots from zero.
        **kwargs: The arguments of `Optimizer`.

    Reference: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012 (arXiv:1212.5701).
    """

    _hyperparameters = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            var_list, ["accumulated_grad", "accumulated_delta_var"]
        )

    def update_step(self, grad: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        grad = ops.cast(grad, variable.dtype)
        i = self._get_variable_index(variable)
        gradients, deltas = self._accumulated_grads[i], self._accumulated_delta_vars[i]
        gradients.assign(self.rho * gradients + (1.0 - self.rho) * ops.square(grad))
        ratio = ops.sqrt(deltas + self.epsilon) / ops.sqrt(gradients + self.epsilon)
        delta = -ratio * grad
        deltas.assign(self.rho * deltas + (1.0 - self.rho) * ops.square(delta))
        variable.assign_add(rate * delta)


class Ftrl(Optimizer):
    """Follow the regularised leader, for sparse linear models.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        learning_rate_power: At most 0; how the rate falls, 0 for a constant one.
        initial_accumulator_value: What the sums start with.
        l1_regularization_strength: At least 0.
        l2_regularization_strength: At least 0.
        l2_shrinkage_regularization_strength: At least 0; shrinks weights, unlike the above,
            only when they get a gradient.
        beta: Added to the root of the sums.
        **kwargs: The arguments of `Optimizer`.

    Raises:
        ValueError: An argument is out of its range.

    Reference: McMahan et al., "Ad Click Prediction: a View from the Trenches", 2013.
    """

    _hyperparameters = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        for name, value in (
            ("initial_accumulator_value", initial_accumulator_value),
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
        ):
            if value < 0.0:
                raise ValueError(
                    f"`{name}` needs to be positive or zero. Received: {name}={value}."
                )
        if learning_rate_power > 0.0:
            raise ValueError(
                "`learning_rate_power` needs to be negative or zero. "
                f"Received: learning_rate_power={learning_rate_power}."
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        from cornu import initializers

        self._accumulators, self._linears = self.add_optimizer_variables(
            var_list,
            ["accumulator", "linear"],
            initializer=[initializers.Constant(self.initial_accumulator_value), "zeros"],
        )

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        i = self._get_variable_index(variable)
        accumulator, linear = self._accumulators[i], self._linears[i]
        l1 = self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2.0 * rate)
        shrunk = gradient + 2.0 * self.l2_shrinkage_regularization_strength * variable
        total = accumulator + ops.square(gradient)
        fall = ops.power(total, -self.learning_rate_power)
        before = ops.power(accumulator, -self.learning_rate_power)
        linear.assign_add(shrunk - (fall - before) / rate * variable)
        quadratic = fall / rate + 2.0 * l2
        variable.assign((ops.clip(linear, -l1, l1) - linear) / quadratic)
        accumulator.assign(total)


class Lion(Optimizer):
    """Steps of one size in the direction of the sign of a momentum.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable.
        beta_1: How much of the momentum, against the gradient, decides the sign.
        beta_2: The decay of the momentum.
        **kwargs: The arguments of `Optimizer`.

    Raises:
        ValueError: `beta_1` is not in `(0, 1]`.

    Reference: Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023
    (arXiv:2302.06675).
    """

    _hyperparameters = ("beta_1", "beta_2")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        if beta_1 <= 0 or beta_1 > 1:
            raise ValueError(
                "Argument `beta_1` must be in the [0, 1] range. Otherwise, the optimizer "
                f"degenerates to SignSGD. Received: beta_1={beta_1}."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(var_list)
        self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        momentum = self._momentums[self._get_variable_index(variable)]
        direction = ops.sign(momentum * self.beta_1 + gradient * (1.0 - self.beta_1))
        variable.assign_sub(rate * direction)
        momentum.assign(momentum * self.beta_2 + gradient * (1.0 - self.beta_2))
