"""Layers that give activations, or weights, a standard scale."""

from collections.abc import Mapping, Sequence
from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.core import Wrapper
from cornu.layers.input_spec import InputSpec
from cornu.layers.layer import Layer
from cornu.ops.normalization import batch_normalization_in_training, group_normalization


def _at_least_float32(dtype: str) -> str:
    """Statistics of half-precision values are computed in single precision."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


class _Scaled(ConfiguredLayer):
    """A normalization whose output may be multiplied by `gamma` and shifted by `beta`."""

    def _keep_scaling(
        self,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
    ) -> None:
        self._keep(
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )
        self.gamma = self.beta = None
        self.supports_masking = True

    def _add_scaling(self, shape: Sequence[int]) -> None:
        if self.scale:
            self.gamma = self._add("gamma", shape, autocast=False)
        if self.center:
            self.beta = self._add("beta", shape, autocast=False)


class BatchNormalization(_Scaled):
    """Gives each channel mean 0 and variance 1: over the batch, in inference by moving averages.

    With `trainable = False` the layer uses the moving averages in training, too.

    Args:
        axis: the axis of the channels.
        momentum: share of the old value in each update of a moving average.
        epsilon: added to the variance.
        center, scale: whether `beta` is added, and the output multiplied by `gamma` before.
        beta_initializer, gamma_initializer, moving_mean_initializer,
            moving_variance_initializer: initializers of the weights.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections of the weights after each update.
        renorm: whether training corrects the batch's statistics towards the moving ones.
        renorm_clipping: bounds of that correction, with the keys `rmax`, `rmin` and `dmax`.
        renorm_momentum: momentum of the statistics that the correction uses.
        synchronized: statistics over all replicas of a batch; with one replica there is nothing
            to synchronize.

    Call arguments: `inputs`, `training`, and `mask`: bool, of the inputs' shape without the last
    axis; places where it is False do not count in the statistics.

    Papers: Ioffe and Szegedy, Batch Normalization (2015); Ioffe, Batch Renormalization (2017).
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(axis=int(axis), momentum=float(momentum), epsilon=float(epsilon))
        self._keep_scaling(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
        )
        clipping = dict(renorm_clipping or {})
        if renorm and not clipping.keys() <= set(_RENORM_BOUNDS):
            raise ValueError(
                "Received invalid keys for `renorm_clipping` argument: "
                f"{clipping}. Supported values: {_RENORM_BOUNDS}."
            )
        self._keep(
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            synchronized=synchronized,
            renorm=renorm,
            renorm_clipping=clipping if renorm else renorm_clipping,
            renorm_momentum=renorm_momentum,
        )

    def build(self, input_shape: Any) -> None:
        shape = (input_shape[self.axis],)
        self._add_scaling(shape)

        def statistic(name: str, initializer: Any) -> Any:
            return self.add_weight(
                name=name, shape=shape, initializer=initializer, trainable=False, autocast=False
            )

        self.moving_mean = statistic("moving_mean", self.moving_mean_initializer)
        self.moving_variance = statistic("moving_variance", self.moving_variance_initializer)
        if self.renorm:
            self.moving_stddev = statistic("moving_stddev", "ones")
            self.renorm_mean = statistic("renorm_mean", self.moving_mean_initializer)
            self.renorm_stddev = statistic("renorm_stddev", "ones")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: shape[0]})

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"Axis {self.axis} is out of bounds for input shape {tuple(input_shape)}. "
                f"Received: axis={self.axis}"
            )
        return tuple(input_shape)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        rank = len(inputs.shape)
        if mask is not None and len(mask.shape) != rank - 1:
            raise ValueError(
                "The mask provided should be one dimension less than the inputs. "
                f"Received: mask.shape={tuple(mask.shape)}, inputs.shape={tuple(inputs.shape)}"
            )
        x = ops.cast(inputs, _at_least_float32(self.compute_dtype))
        affine = {"offset": self.beta, "scale": self.gamma, "epsilon": self.epsilon}
        if not (training and self.trainable):
            outputs = ops.batch_normalization(
                x, self.moving_mean, self.moving_variance, axis=self.axis, **affine
            )
        elif mask is None and not self.renorm:
            outputs, mean, variance = batch_normalization_in_training(x, axis=self.axis, **affine)
            self._update(self.moving_mean, mean, self.momentum)
            self._update(self.moving_variance, variance, self.momentum)
        else:
            mean, variance = self._moments(x, mask)
            self._update(self.moving_mean, mean, self.momentum)
            if self.renorm:
                affine["scale"], affine["offset"] = self._renormalize(mean, variance)
            else:
                self._update(self.moving_variance, variance, self.momentum)
            outputs = ops.batch_normalization(x, mean, variance, axis=self.axis, **affine)
        return ops.cast(outputs, self.compute_dtype)

    def _moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        rank = len(x.shape)
        axes = tuple(i for i in range(rank) if i != self.axis % rank)
        if mask is None:
            return ops.moments(x, axes=axes)
        weights = ops.expand_dims(ops.cast(mask, ops.dtype(x)), -1)
        weights = ops.broadcast_to(weights, x.shape)
        total = ops.add(ops.sum(weights, axes, keepdims=True), _MASKED_EPSILON)
        mean = ops.divide(ops.sum(ops.multiply(x, weights), axes, keepdims=True), total)
        squares = ops.multiply(weights, ops.square(ops.subtract(x, mean)))
        variance = ops.divide(ops.sum(squares, axes, keepdims=True), total)
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)

    def _update(self, statistic: Any, value: Any, momentum: float) -> None:
        value = ops.cast(value, statistic.dtype)
        statistic.assign(
            ops.add(ops.multiply(statistic, momentum), ops.multiply(value, 1.0 - momentum))
        )

    def _renormalize(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """Updates deviations and variance; returns gamma and beta with the correction in them."""
        stddev = ops.sqrt(ops.add(variance, self.epsilon))
        old_mean, old_stddev = self.renorm_mean, self.renorm_stddev
        r = ops.divide(stddev, old_stddev)
        d = ops.divide(ops.subtract(mean, old_mean), old_stddev)
        bounds = self.renorm_clipping
        if "rmin" in bounds:
            r = ops.maximum(r, bounds["rmin"])
        if "rmax" in bounds:
            r = ops.minimum(r, bounds["rmax"])
        if "dmax" in bounds:
            d = ops.clip(d, -bounds["dmax"], bounds["dmax"])
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        gamma = r if self.gamma is None else ops.multiply(r, self.gamma)
        beta = d if self.gamma is None else ops.multiply(d, self.gamma)
        if self.beta is not None:
            beta = ops.add(beta, self.beta)
        self._update(self.renorm_mean, mean, self.renorm_momentum)
        self._update(self.renorm_stddev, stddev, self.renorm_momentum)
        self._update(self.moving_stddev, stddev, self.momentum)
        moving = ops.subtract(ops.square(self.moving_stddev), self.epsilon)
        self.moving_variance.assign(ops.maximum(moving, 0.0))
        return gamma, beta


_RENORM_BOUNDS = ["rmax", "rmin", "dmax"]
_MASKED_EPSILON = 1e-7  # keeps the division defined where a whole batch is masked


class LayerNormalization(_Scaled):
    """Gives each sample mean 0 and variance 1 along one or several axes.

    Args:
        axis: axis or axes that are normalized.
        epsilon: added to the variance.
        center, scale: whether `beta` is added, and the output multiplied by `gamma` before.
        beta_initializer, gamma_initializer: initializers of the weights.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections of the weights after each update.

    Paper: Ba et al., Layer Normalization (2016).
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple):
            axis = list(axis)
        elif not isinstance(axis, int):
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', "
                f"but received: {axis!r}"
            )
        self._keep(axis=axis, epsilon=epsilon, rms_scaling=rms_scaling)
        self._keep_scaling(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
        )

    def build(self, input_shape: Any) -> None:
        if not isinstance(self.axis, list):
            self.axis = [self.axis]
        shape = tuple(input_shape[axis] for axis in self.axis)
        if self.rms_scaling:
            self.gamma = self._add("gamma", shape, autocast=False)
        else:
            self._add_scaling(shape)

    def call(self, inputs: Any) -> Any:
        axis = list(self.axis)
        if self.rms_scaling:
            return _rms_by_variance(inputs, self.gamma, axis, self.epsilon)
        outputs = ops.layer_normalization(
            inputs, gamma=self.gamma, beta=self.beta, axis=axis, epsilon=self.epsilon
        )
        return ops.cast(outputs, self.compute_dtype)


def _rms_by_variance(x: Any, gamma: Any, axis: list[int], epsilon: float) -> Any:
    """Divides by the deviation without subtracting the mean: the older form of RMS scaling."""
    dtype = ops.dtype(x)
    x = ops.cast(x, _at_least_float32(dtype))
    variance = ops.var(x, axis=tuple(axis), keepdims=True)
    shape = [
        x.shape[i] if i in {a % len(x.shape) for a in axis} else 1 for i in range(len(x.shape))
    ]
    scale = ops.multiply(ops.rsqrt(ops.add(variance, epsilon)), ops.reshape(gamma, shape))
    return ops.cast(ops.multiply(x, scale), dtype)


class RMSNormalization(ConfiguredLayer):
    """Divides each sample by the root of its mean square along one or several axes.

    Args:
        axis: axis or axes that are normalized.
        epsilon: added to the mean square.

    Paper: Zhang and Sennrich, Root Mean Square Layer Normalization (2019).
    """

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep(axis=axis, epsilon=epsilon)

    def build(self, input_shape: Any) -> None:
        self.axis = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        shape = tuple(input_shape[axis] for axis in self.axis)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", autocast=False)

    def call(self, x: Any) -> Any:
        outputs = ops.rms_normalization(
            x, scale=self.scale, axis=list(self.axis), epsilon=self.epsilon
        )
        return ops.cast(outputs, self.compute_dtype)


class GroupNormalization(_Scaled):
    """Gives each group of channels of each sample mean 0 and variance 1.

    Args:
        groups: number of groups; divides the channels. -1: every channel is a group.
        axis: the axis of the channels.
        epsilon: added to the variance.
        center, scale: whether `beta` is added, and the output multiplied by `gamma` before.
        beta_initializer, gamma_initializer: initializers of the weights.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections of the weights after each update.

    Paper: Wu and He, Group Normalization (2018).
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(groups=groups, axis=axis, epsilon=epsilon)
        self._keep_scaling(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
        )

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"Axis {self.axis} of input tensor should have a defined dimension but the layer "
                f"received an input with shape {tuple(input_shape)}."
            )
        if self.groups == -1:
            self.groups = channels
        if self.groups <= 0:
            raise ValueError(
                "Received an invalid value for argument `groups`, expected a positive integer (or "
                f"`-1` for instance normalization). Received: groups={self.groups}"
            )
        if channels < self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) cannot be more than the number of channels "
                f"({channels})."
            )
        if channels % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must be a multiple of the number of channels "
                f"({channels})."
            )
        self._add_scaling((channels,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, _at_least_float32(self.compute_dtype))
        y = group_normalization(x, self.groups, self.axis, self.gamma, self.beta, self.epsilon)
        return ops.cast(y, self.compute_dtype)


class UnitNormalization(ConfiguredLayer):
    """Scales each sample to length one.

    Args:
        axis: axis or axes along which the squares sum to one.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple):
            axis = list(axis)
        elif not isinstance(axis, int):
            raise TypeError(
                "Invalid value for `axis` argument: expected an int or a list/tuple of ints. "
                f"Received: axis={axis}"
            )
        self._keep(axis=axis)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        return ops.normalize(inputs, axis=axis, order=2, epsilon=1e-12)


class SpectralNormalization(Wrapper):
    """Divides a layer's kernel by its largest singular value, which power iteration estimates.

    Args:
        layer: a layer with a `kernel` or `embeddings`.
        power_iterations: number of iterations in each training step.

    Paper: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018).
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                "`power_iterations` should be greater than zero. "
                f"Received: `power_iterations={power_iterations}`"
            )
        self._keep(power_iterations=power_iterations)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        rank = len(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[rank - 1]})
        for name in ("kernel", "embeddings"):
            if hasattr(self.layer, name):
                self.kernel = getattr(self.layer, name)
                break
        else:
            raise ValueError(
                f"{type(self.layer).__name__} object has no attribute 'kernel' nor 'embeddings'"
            )
        self.vector_u = self.add_weight(
            name="vector_u",
            shape=(1, self.kernel.shape[-1]),
            initializer="truncated_normal",
            trainable=False,
            dtype=self.kernel.dtype,
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.normalized_weights()
        return ops.cast(self.layer(inputs), inputs.dtype)

    def normalized_weights(self) -> None:
        """Divides the kernel by its largest singular value, estimated anew."""
        weights = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        u = self.vector_u
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(weights)), axis=None)
            u = ops.normalize(ops.matmul(v, weights), axis=None)
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, weights), ops.transpose(u))
        # A kernel of zeros has no direction: it stays as it is.
        empty = ops.all(ops.equal(weights, 0))
        kernel = ops.reshape(ops.divide(weights, ops.where(empty, 1.0, sigma)), self.kernel.shape)
        self.vector_u.assign(ops.where(empty, self.vector_u, u))
        self.kernel.assign(kernel)
