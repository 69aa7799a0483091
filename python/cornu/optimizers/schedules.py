"""Learning rates that depend on the number of steps made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cornu import ops, saving
from cornu.identifiers import Identifiers


class LearningRateSchedule:
    """A learning rate as a function of the step; subclass it, write `__call__`.

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** ops.cast(step, "float32")
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step, which may be a variable or a tensor."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in "
            "order to be serializable."
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule that `get_config` described."""
        return cls(**config)


class _Schedule(LearningRateSchedule):
    """A schedule whose config is its attributes of these names."""

    _arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._arguments}


def _positive_steps(decay_steps: Any) -> None:
    if decay_steps <= 0:
        raise ValueError(f"Argument `decay_steps` must be > 0. Received: decay_steps={decay_steps}")


class ExponentialDecay(_Schedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The steps after which the rate has been multiplied by `decay_rate`.
        decay_rate: The factor.
        staircase: Whether the exponent is rounded down.
        name: Name of the schedule.

    Raises:
        ValueError: `decay_steps` is not positive.
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _positive_steps(decay_steps)

    def __call__(self, step: Any) -> Any:
        rate = ops.convert_to_tensor(self.initial_learning_rate)
        exponent = ops.cast(step, rate.dtype) / self.decay_steps
        if self.staircase:
            exponent = ops.floor(exponent)
        return rate * ops.power(ops.cast(self.decay_rate, rate.dtype), exponent)


class PiecewiseConstantDecay(_Schedule):
    """One constant after another.

    Args:
        boundaries: The steps up to which (inclusively) each but the last value holds.
        values: One value more than boundaries.
        name: Name of the schedule.

    Raises:
        ValueError: The lengths do not fit.
    """

    _arguments = ("boundaries", "values", "name")

    def __init__(
        self, boundaries: Sequence[int], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. "
                f"Received: boundaries={boundaries} of length {len(boundaries)}, and "
                f"values={values} of length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        rate = ops.convert_to_tensor(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            # The dtype of the boundary decides, as steps may be large whole numbers.
            beyond = step > ops.cast(boundary, step.dtype)
            rate = ops.where(beyond, ops.cast(value, rate.dtype), rate)
        return rate


class PolynomialDecay(_Schedule):
    """From one rate to another along `(1 - step / decay_steps) ** power`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The steps after which the end is reached.
        end_learning_rate: The rate at the end.
        power: The exponent.
        cycle: Whether the decay starts again, over a multiple of `decay_steps`.
        name: Name of the schedule.

    Raises:
        ValueError: `decay_steps` is not positive.
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name
        _positive_steps(decay_steps)

    def __call__(self, step: Any) -> Any:
        rate = ops.convert_to_tensor(self.initial_learning_rate)
        step = ops.cast(step, rate.dtype)
        steps = ops.cast(self.decay_steps, rate.dtype)
        if self.cycle:
            steps = steps * ops.maximum(ops.ceil(step / steps), ops.ones_like(step))
        else:
            step = ops.minimum(step, steps)
        left = ops.power(1.0 - step / steps, ops.cast(self.power, rate.dtype))
        return (rate - self.end_learning_rate) * left + self.end_learning_rate


class InverseTimeDecay(_Schedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: How often the decay is applied.
        decay_rate: The rate of the decay.
        staircase: Whether `step / decay_steps` is rounded down.
        name: Name of the schedule.

    Raises:
        ValueError: `decay_steps` is not positive.
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _positive_steps(decay_steps)

    def __call__(self, step: Any) -> Any:
        rate = ops.convert_to_tensor(self.initial_learning_rate)
        passed = ops.cast(step, rate.dtype) / self.decay_steps
        if self.staircase:
            passed = ops.floor(passed)
        return rate / (1.0 + self.decay_rate * passed)


class CosineDecay(_Schedule):
    """Along half a cosine, after an optional linear warm-up.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: The steps of the decay, after the warm-up.
        alpha: The rate at the end, as a part of the rate at the decay's start.
        name: Name of the schedule.
        warmup_target: The rate at the end of the warm-up; `None` means there is none.
        warmup_steps: The steps of the warm-up.

    Raises:
        ValueError: `decay_steps` is not positive.

    Reference: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    2016 (arXiv:1608.03983).
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "name",
        "warmup_target",
        "warmup_steps",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps
        _positive_steps(decay_steps)

    def __call__(self, step: Any) -> Any:
        start = ops.convert_to_tensor(self.initial_learning_rate)
        step = ops.cast(step, start.dtype)
        if self.warmup_target is None:
            return self._decayed(ops.minimum(step, self.decay_steps), start)
        target = ops.cast(self.warmup_target, start.dtype)
        done = ops.minimum(step, self.warmup_steps + self.decay_steps)
        warming = start + (target - start) * (done / max(self.warmup_steps, 1))
        decaying = self._decayed(done - self.warmup_steps, target)
        return ops.where(done < self.warmup_steps, warming, decaying)

    def _decayed(self, step: Any, start: Any) -> Any:
        cosine = 0.5 * (1.0 + ops.cos(step / self.decay_steps * math.pi))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)


class CosineDecayRestarts(_Schedule):
    """Along half a cosine, again and again.

    Args:
        initial_learning_rate: The rate at step 0.
        first_decay_steps: The steps of the first period.
        t_mul: By what each period is longer than the one before.
        m_mul: By what each period starts higher than the one before.
        alpha: The lowest rate, as a part of the initial one.
        name: Name of the schedule.

    Raises:
        ValueError: `first_decay_steps` is not positive.

    Reference: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    2016 (arXiv:1608.03983).
    """

    _arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name
        if first_decay_steps <= 0:
            raise ValueError(
                "Argument `first_decay_steps` must be > 0. "
                f"Received: first_decay_steps={first_decay_steps}"
            )

    def __call__(self, step: Any) -> Any:
        start = ops.convert_to_tensor(self.initial_learning_rate)
        done = ops.cast(step, start.dtype) / self.first_decay_steps
        if self.t_mul == 1.0:
            period = ops.floor(done)
            done = done - period
        else:
            growth = self.t_mul - 1.0
            period = ops.floor(ops.log(1.0 + done * growth) / math.log(self.t_mul))
            length = ops.power(ops.cast(self.t_mul, start.dtype), period)
            done = (done - (length - 1.0) / growth) / length
        height = ops.power(ops.cast(self.m_mul, start.dtype), period)
        cosine = 0.5 * height * (1.0 + ops.cos(math.pi * done))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)


_identifiers = Identifiers(
    "learning rate schedule",
    {
        name: value
        for name, value in vars().items()
        if isinstance(value, type) and issubclass(value, LearningRateSchedule) and name[0] != "_"
    },
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """The config of a schedule."""
    return saving.serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule of a config.

    Args:
        config: What `serialize` gave.
        custom_objects: Your own classes by name.
    """
    return _identifiers.deserialize(config, custom_objects)
