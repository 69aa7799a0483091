"""Activations as layers."""

from collections.abc import Sequence
from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.input_spec import InputSpec


class _Elementwise(ConfiguredLayer):
    """A layer without weights whose output has the shape, and the mask, of its input."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True


class Activation(_Elementwise):
    """Applies an activation function.

    Args:
        activation: function or its name.

    >>> layers.Activation("relu")(np.array([-1.0, 2.0]))
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(activation=activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class ReLU(_Elementwise):
    """`max(x, 0)`, with an optional ceiling, slope and threshold.

    Args:
        max_value: ceiling of the output, at least 0; None for none.
        negative_slope: slope below the threshold, at least 0.
        threshold: values below it are `negative_slope * (x - threshold)`; at least 0.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if "alpha" in kwargs:
            negative_slope = _renamed("alpha", kwargs.pop("alpha"))
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0:
            raise ValueError(
                "max_value of a ReLU layer cannot be a negative value. "
                f"Received: max_value={max_value}"
            )
        for name, value in (("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None or value < 0:
                raise ValueError(
                    f"{name} of a ReLU layer cannot be None or a negative value. "
                    f"Received: {name}={value}"
                )
        self._keep(max_value=max_value, negative_slope=negative_slope, threshold=threshold)

    def call(self, inputs: Any) -> Any:
        from cornu import activations

        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


class LeakyReLU(_Elementwise):
    """`x` where it is positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: slope of the negative side, at least 0.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = _renamed("alpha", kwargs.pop("alpha"))
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or negative "
                f"value. Expected a float. Received: negative_slope={negative_slope}"
            )
        self._keep(negative_slope=negative_slope)

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, negative_slope=self.negative_slope)


class PReLU(_Elementwise):
    """`x` where it is positive, `alpha * x` elsewhere, with a learned `alpha`.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: of the slopes.
        shared_axes: axes along which the slope is shared, as `[1, 2]` for one slope a channel.

    Paper: He et al., Delving Deep into Rectifiers (2015).
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if shared_axes is not None:
            shared_axes = list(shared_axes) if isinstance(shared_axes, Sequence) else [shared_axes]
        self._keep(
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
            shared_axes=shared_axes,
        )
        self.built = False

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        shared = self.shared_axes or []
        for axis in shared:
            shape[axis - 1] = 1
        self.alpha = self._add("alpha", shape)
        axes = {i: input_shape[i] for i in range(1, len(input_shape)) if i not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes if shared else {})

    def call(self, inputs: Any) -> Any:
        negative = ops.multiply(self.alpha, ops.relu(ops.negative(inputs)))
        return ops.subtract(ops.relu(inputs), negative)


class ELU(_Elementwise):
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: the limit at minus infinity, negated.

    Paper: Clevert et al., Fast and Accurate Deep Network Learning by ELUs (2016).
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(alpha=alpha)

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, alpha=self.alpha)


class Softmax(_Elementwise):
    """Normalised exponentials.

    Args:
        axis: axis, or axes, along which the output sums to one.

    Call arguments: `inputs`, and `mask`: a bool tensor that broadcasts to their shape; where it is
    False the output is zero.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(axis=axis)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return self._normalized(inputs)
        if ops.dtype(mask) != "bool":
            mask = ops.greater(mask, 0.5)
        return ops.where(mask, self._normalized(hidden_where_not(mask, inputs)), 0.0)

    def _normalized(self, inputs: Any) -> Any:
        if isinstance(self.axis, int):
            return ops.softmax(inputs, axis=self.axis)
        axis = tuple(self.axis)
        if len(axis) == 1:
            return ops.softmax(inputs, axis=axis[0])
        total = ops.logsumexp(inputs, axis=axis, keepdims=True)
        return ops.exp(ops.subtract(inputs, total))


def hidden_where_not(mask: Any, logits: Any) -> Any:
    """Returns logits that a softmax makes zero where a mask is False, unless all of it is."""
    return ops.where(mask, logits, -3e4 if ops.dtype(logits) == "float16" else -1e9)


def _renamed(old: str, value: Any) -> Any:
    import warnings

    warnings.warn(f"Argument `{old}` is deprecated. Use `negative_slope` instead.", stacklevel=3)
    return value
