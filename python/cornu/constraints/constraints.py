"""The constraints."""

from __future__ import annotations

from typing import Any

from cornu import config, ops


class Constraint:
    """A projection: called with a weight's value, it gives the nearest that is allowed.

    A subclass defines `__call__(w)` and, if it has arguments, `get_config`.
    """

    def __call__(self, w: Any) -> Any:
        """The value that is allowed."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a constraint."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """A constraint of these arguments."""
        return cls(**config)


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Keeps norms under a bound: Srivastava et al., 2014, jmlr.org/papers/v15/srivastava14a.

    Args:
        max_value: The bound.
        axis: The axes of the vectors whose norms are meant.
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The value that is allowed."""
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a constraint."""
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Brings norms between two bounds.

    Args:
        min_value: The lower bound.
        max_value: The upper bound.
        rate: How much of the way is gone: 1 is all of it.
        axis: The axes of the vectors whose norms are meant.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The value that is allowed."""
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        clipped = ops.clip(norms, self.min_value, self.max_value)
        desired = self.rate * clipped + (1 - self.rate) * norms
        return w * (desired / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a constraint."""
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


class NonNeg(Constraint):
    """Sets negative weights to zero."""

    def __call__(self, w: Any) -> Any:
        """The value that is allowed."""
        w = ops.convert_to_tensor(w)
        return ops.multiply(w, ops.greater_equal(w, 0.0))


class UnitNorm(Constraint):
    """Brings norms to 1.

    Args:
        axis: The axes of the vectors whose norms are meant.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The value that is allowed."""
        w = ops.convert_to_tensor(w)
        return w / (config.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a constraint."""
        return {"axis": self.axis}
