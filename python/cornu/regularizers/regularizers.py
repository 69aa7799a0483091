"""The regularizers."""

from __future__ import annotations

import math
from typing import Any

from cornu import ops


class Regularizer:
    """A penalty: called with a tensor, it gives a scalar that is added to the loss.

    A subclass defines `__call__(x)` and `get_config`.
    """

    def __call__(self, x: Any) -> Any:
        """The penalty on a tensor."""
        return 0.0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """A regularizer of these arguments."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a regularizer."""
        raise NotImplementedError(f"{self} does not implement get_config()")


def _factor(value: Any, name: str, default: float) -> float:
    """An argument as a number; None is the default.

    Raises:
        ValueError: it is not a number of zero or more.
    """
    if value is None:
        return default
    if isinstance(value, str | bool) or not hasattr(value, "__float__"):
        good = False
    else:
        good = math.isfinite(float(value)) and float(value) >= 0
    if not good:
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float."
            f"Received: {name}={value}"
        )
    return float(value)


class L1L2(Regularizer):
    """The sum of magnitudes and the sum of squares, each times a factor.

    Args:
        l1: The factor of the magnitudes.
        l2: The factor of the squares.

    Raises:
        ValueError: a factor is negative or no number.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor(l1, "l1", 0.0)
        self.l2 = _factor(l2, "l2", 0.0)

    def __call__(self, x: Any) -> Any:
        """The penalty on a tensor."""
        penalty = ops.convert_to_tensor(0.0, dtype=x.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(ops.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a regularizer."""
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """The sum of magnitudes times a factor.

    Args:
        l1: The factor.

    Raises:
        ValueError: it is negative or no number.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor(l1, "l1", 0.01)

    def __call__(self, x: Any) -> Any:
        """The penalty on a tensor."""
        return self.l1 * ops.sum(ops.abs(x))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a regularizer."""
        return {"l1": self.l1}


class L2(Regularizer):
    """The sum of squares times a factor.

    Args:
        l2: The factor.

    Raises:
        ValueError: it is negative or no number.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor(l2, "l2", 0.01)

    def __call__(self, x: Any) -> Any:
        """The penalty on a tensor."""
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a regularizer."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """The mean magnitude of the cosines between rows, or between columns, times a factor.

    Args:
        factor: The factor.
        mode: `"rows"` or `"columns"`.

    Raises:
        ValueError: the factor is negative or no number, or the mode is unknown.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(factor, "factor", 0.01)
        if mode not in ("rows", "columns"):
            raise ValueError(
                "Invalid value for argument `mode`. Expected one of "
                f'{{"rows", "columns"}}. Received: mode={mode}'
            )
        self.mode = mode

    def __call__(self, inputs: Any) -> Any:
        """The penalty on a matrix.

        Raises:
            ValueError: it is no matrix.
        """
        if len(inputs.shape) != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape="
                f"{tuple(inputs.shape)}"
            )
        x = ops.convert_to_tensor(inputs)
        x = ops.normalize(x if self.mode == "rows" else ops.transpose(x), axis=1)
        size = x.shape[0]
        cosines = ops.matmul(x, ops.transpose(x)) * (1.0 - ops.eye(size, dtype=x.dtype))
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * ops.sum(ops.abs(cosines)) / pairs

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a regularizer."""
        return {"factor": self.factor, "mode": self.mode}


def of_activity(regularizer: Any, outputs: Any) -> Any:
    """Returns what a regularizer says of the outputs of a batch, divided by its samples."""
    loss = regularizer(outputs)
    if not outputs.shape:
        return loss
    return ops.divide_no_nan(loss, ops.cast(ops.shape(outputs)[0], ops.dtype(loss)))
