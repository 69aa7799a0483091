"""Activation functions, by themselves and by name: `keras.activations`."""

from __future__ import annotations

import inspect
from typing import Any

from cornu import ops
from cornu.identifiers import Identifiers
from cornu.ops.activation import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh_shrink,
    threshold,
)
from cornu.ops.elementwise import exp, tanh
from cornu.saving.registration import register_keras_serializable

hard_swish = hard_silu
swish = silu


def linear(x: Any) -> Any:
    """`x` itself.

    Args:
        x: A tensor.

    Returns:
        The same tensor.
    """
    return x


def exponential(x: Any) -> Any:
    """`exp(x)`.

    Args:
        x: A tensor.

    Returns:
        A tensor of the same shape.
    """
    return exp(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """The Gaussian error linear unit: Hendrycks and Gimpel, arXiv:1606.08415.

    Args:
        x: A tensor.
        approximate: Whether to use the approximation with `tanh` or the exact form with `erf`.

    Returns:
        A tensor of the same shape.
    """
    return ops.gelu(x, approximate)


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """`max(x, 0)`, or a bent line with a slope, a bound and a threshold.

    Args:
        x: A tensor.
        negative_slope: The slope below the threshold.
        max_value: The largest value.
        threshold: Below it values are `negative_slope * (x - threshold)`.

    Returns:
        A tensor of the same shape.
    """
    if negative_slope == 0.0 and threshold == 0.0:
        if max_value is None:
            return ops.relu(x)
        return ops.relu6(x) if max_value == 6 else ops.clip(x, 0, max_value)
    if negative_slope != 0.0 and threshold == 0.0 and max_value is None:
        return ops.leaky_relu(x, negative_slope=negative_slope)
    x = ops.convert_to_tensor(x)
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(ops.greater(x, threshold), above, negative_slope * (x - threshold))


def softmax(x: Any, axis: Any = -1) -> Any:
    """`exp(x) / sum(exp(x))` along axes.

    Args:
        x: A tensor.
        axis: An axis, or several.

    Returns:
        A tensor of the same shape whose sums along the axes are 1.
    """
    return ops.softmax(x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """`log(softmax(x))` along axes.

    Args:
        x: A tensor.
        axis: An axis, or several.

    Returns:
        A tensor of the same shape.
    """
    return ops.log_softmax(x, axis)


_FUNCTIONS = {
    function.__name__: function
    for function in (
        celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh,
        leaky_relu, linear, log_sigmoid, log_softmax, mish, relu, relu6, selu, sigmoid, silu,
        soft_shrink, softmax, softplus, softsign, sparse_plus, sparse_sigmoid, sparsemax,
        squareplus, tanh, tanh_shrink, threshold,
    )
}  # fmt: skip


@register_keras_serializable("keras2", "hard_sigmoid")
def _old_hard_sigmoid(x: Any) -> Any:
    """What Keras 2 calls `hard_sigmoid`, by the name that its files get."""
    from cornu.legacy.backend import hard_sigmoid

    return hard_sigmoid(x)


_IDENTIFIERS = Identifiers(
    "activation function", {**_FUNCTIONS, "hard_swish": hard_silu, "swish": silu}
)


def get(identifier: Any) -> Any:
    """The activation that a name, a config or a callable stands for; `linear` for None.

    Raises:
        ValueError: nothing is known by this identifier.
    """
    if identifier is None:
        return linear
    # A class is called as it is: layers can be made by it.
    return identifier if inspect.isclass(identifier) else _IDENTIFIERS.get(identifier)


def serialize(activation: Any) -> Any:
    """The name of a built-in activation, or the config of another."""
    name = getattr(activation, "__name__", None)
    if name in _FUNCTIONS and not inspect.isclass(activation):
        return name
    config = _IDENTIFIERS.serialize(activation)
    if inspect.isfunction(activation) and isinstance(config, dict):
        from cornu import saving

        if isinstance(config.get("config"), str):
            config["config"] = saving.get_registered_name(activation)
    return config


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The activation of a name or a config.

    Raises:
        ValueError: nothing is known by this name.
    """
    return _IDENTIFIERS.deserialize(config, custom_objects)
