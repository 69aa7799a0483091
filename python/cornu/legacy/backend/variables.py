"""Variables, constants and random values of Keras 2's backend."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cornu import config, constraints, ops, random
from cornu.variable import Variable


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """Returns a new variable.

    Args:
        value: its first value, an array or a number.
        dtype: its dtype, the default float dtype if None.
        name: its name.
        constraint: projection after each update.
    """
    result = Variable(ops.convert_to_tensor(value), dtype=dtype or config.floatx(), name=name)
    result.constraint = constraints.get(constraint)
    return result


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """Returns a tensor, of one value throughout if a shape is given."""
    tensor = ops.convert_to_tensor(value, dtype=dtype or config.floatx())
    if shape is None:
        return tensor
    return ops.reshape(tensor, shape) if ops.size(tensor) > 1 else ops.broadcast_to(tensor, shape)


def _filled(fill: Callable[..., Any], summary: str) -> Callable[..., Any]:
    def function(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
        values = fill(shape, dtype=dtype or config.floatx())
        return variable(values, dtype=values.dtype, name=name)

    function.__name__ = function.__qualname__ = fill.__name__
    function.__doc__ = f"Returns a variable of {summary}."
    return function


zeros = _filled(ops.zeros, "zeros of a shape")
ones = _filled(ops.ones, "ones of a shape")


def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    """Returns a variable with the identity matrix of this size."""
    return variable(ops.eye(size), dtype=dtype, name=name)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Returns zeros in the shape of `x`."""
    return ops.zeros_like(x, dtype=dtype)


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Returns ones in the shape of `x`."""
    return ops.ones_like(x, dtype=dtype)


def get_value(x: Any) -> np.ndarray:
    """Returns the value of a variable or tensor as an array."""
    return np.array(x)


def batch_get_value(tensors: Iterable[Any]) -> list[np.ndarray]:
    """Returns the values of several variables as arrays."""
    return [get_value(x) for x in tensors]


def set_value(x: Any, value: Any) -> None:
    """Sets a variable."""
    x.assign(np.asarray(value, dtype=x.dtype) if isinstance(value, list | tuple) else value)


def batch_set_value(tuples: Iterable[tuple[Any, Any]]) -> None:
    """Sets several variables.

    Args:
        tuples: pairs of a variable and its value.
    """
    for x, value in tuples:
        set_value(x, value)


def update(x: Any, new_x: Any) -> Any:
    """Sets a variable and returns its value."""
    return x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Adds to a variable and returns its value."""
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtracts from a variable and returns its value."""
    return x.assign_sub(decrement)


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """Moves a variable towards `value`, keeping `momentum` of itself."""
    return x.assign(ops.add(ops.multiply(x, momentum), ops.multiply(value, 1.0 - momentum)))


def manual_variable_initialization(value: bool) -> None:
    """Does nothing: a variable has its value from the start."""


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Returns normally distributed numbers."""
    return random.normal(shape, mean, stddev, dtype=dtype, seed=seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Returns normally distributed numbers, none beyond two deviations."""
    return random.truncated_normal(shape, mean, stddev, dtype=dtype, seed=seed)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Returns evenly distributed numbers."""
    return random.uniform(shape, minval, maxval, dtype=dtype, seed=seed)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """Returns ones with probability `p`, else zeros."""
    return ops.cast(random.uniform(shape, seed=seed) <= p, dtype or config.floatx())


random_binomial = random_bernoulli


def random_normal_variable(
    shape: Any,
    mean: float,
    scale: float,
    dtype: Any = None,
    name: str | None = None,
    seed: Any = None,
) -> Any:
    """Returns a variable that starts with normally distributed numbers."""
    return variable(random_normal(shape, mean, scale, dtype, seed), dtype=dtype, name=name)


def random_uniform_variable(
    shape: Any,
    low: float,
    high: float,
    dtype: Any = None,
    name: str | None = None,
    seed: Any = None,
) -> Any:
    """Returns a variable that starts with evenly distributed numbers."""
    return variable(random_uniform(shape, low, high, dtype, seed), dtype=dtype, name=name)
