"""The optimizer around an optimizer that scales the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cornu import ops, saving
from cornu.optimizers.optimizer import Optimizer
from cornu.variable import Variable


class LossScaleOptimizer(Optimizer, shows_base=False):
    """Scales the loss so that gradients in float16 neither vanish nor overflow.

    A step whose gradients are not finite is left out, and the scale halved; after
    `dynamic_growth_steps` finite ones it is doubled.

    Args:
        inner_optimizer: The optimizer that makes the steps.
        initial_scale: The scale at the beginning.
        dynamic_growth_steps: After how many finite steps the scale grows.
        name: Name of the optimizer.
        **kwargs: Must not hold what the inner optimizer does.

    Raises:
        ValueError: An argument belongs to the inner optimizer.
    """

    _hyperparameters = ("initial_scale", "dynamic_growth_steps")

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer no longer suports `dynamic=False`. Instead, simply set "
                "`loss_scale_factor` directly on the `inner_optimizer`."
            )
        super().__init__(learning_rate=0.0, name=name, **kwargs)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps

    def build(self, var_list: Sequence[Variable]) -> None:
        if self.built:
            return
        self.step_counter = self.add_variable((), "zeros", dtype="int", name="step_counter")
        from cornu import initializers

        self.dynamic_scale = self.add_variable(
            (), initializers.Constant(self.initial_scale), dtype="float32", name="dynamic_scale"
        )
        self.inner_optimizer.build(var_list)
        super().build(var_list)

    @property
    def variables(self) -> list[Variable]:
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> Any:
        return self.inner_optimizer.iterations

    def _apply_gradients(self, grads: list[Any], variables: list[Variable]) -> None:
        scale = ops.convert_to_tensor(self.dynamic_scale)
        finite = self.check_finite(grads)
        unscaled = [gradient / ops.cast(scale, gradient.dtype) for gradient in grads]

        def update() -> None:
            self.inner_optimizer.apply(unscaled, variables)

        own = [self.step_counter, self.dynamic_scale, self._iterations]
        self._only_if(finite, update, variables, besides=own)
        count = ops.add(self.step_counter, 1)
        grown = ops.equal(count, self.dynamic_growth_steps)
        zero = ops.zeros_like(count)
        counts = ops.logical_and(finite, ops.logical_not(grown))
        self.step_counter.assign(ops.where(counts, count, zero))
        larger = ops.where(grown, scale * 2.0, scale)
        self.dynamic_scale.assign(ops.where(finite, larger, scale / 2.0))

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Whether all gradients are finite."""
        finite = ops.convert_to_tensor(True)
        for gradient in grads:
            finite = ops.logical_and(finite, ops.all(ops.isfinite(gradient)))
        return finite

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the present scale."""
        scale = self.dynamic_scale if self.built else self.initial_scale
        return loss * ops.cast(scale, loss.dtype)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": saving.serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer that `get_config` described."""
        config = dict(config)
        inner = saving.deserialize_keras_object(
            config.pop("inner_optimizer"), custom_objects=custom_objects
        )
        return cls(inner, **config)
