"""Convolutions of one, two and three spatial axes."""

from typing import Any

from cornu import ops
from cornu.layers.configured import (
    ConfiguredLayer,
    channel_axis,
    spatial_axes,
    standardize_padding,
    standardize_tuple,
)
from cornu.layers.input_spec import InputSpec
from cornu.layers.lora import LowRankLayer


def _positive(name: str, value: Any) -> None:
    if value is not None and value <= 0:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a strictly positive value. "
            f"Received {name}={value}."
        )


def check_strides_or_dilation(strides: tuple[int, ...], dilation_rate: tuple[int, ...]) -> None:
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
            f"Received: strides={strides} and dilation_rate={dilation_rate}"
        )


class _Convolution(ConfiguredLayer):
    """The geometry that all convolutions have: a window over `rank` spatial axes, a bias."""

    rank: int
    _causal = False

    def _keep_geometry(
        self, kernel_size: Any, strides: Any, padding: Any, data_format: Any, dilation_rate: Any
    ) -> None:
        self._keep(
            kernel_size=standardize_tuple(kernel_size, self.rank, "kernel_size"),
            strides=standardize_tuple(strides, self.rank, "strides"),
            padding=standardize_padding(padding, self._causal),
            data_format=data_format,
            dilation_rate=standardize_tuple(dilation_rate, self.rank, "dilation_rate"),
        )
        self.input_spec = InputSpec(min_ndim=self.rank + 2)

    def _input_channels(self, input_shape: Any) -> int:
        """Returns the number of input channels and ties later inputs to it."""
        axis = channel_axis(self.data_format)
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"The channel dimension of the inputs of layer '{self.name}' should be defined. "
                f"Found None at axis {axis}. Full input shape received: "
                f"input_shape={tuple(input_shape)}"
            )
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _add_bias(self, channels: int) -> None:
        self.bias = self._add("bias", (channels,)) if self.use_bias else None

    def _finish(self, outputs: Any) -> Any:
        """Adds the bias and applies the activation."""
        if self.bias is not None:
            bias = self.bias
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (1, -1, *(1,) * self.rank))
            outputs = ops.add(outputs, bias)
        return outputs if self.activation is None else self.activation(outputs)


class _Conv(_Convolution, LowRankLayer):
    """Sums over a window and all channels, or the channels of a group, of the input.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, an integer or one for each spatial axis.
        strides: step of the window; not above 1 where `dilation_rate` is.
        padding: `"valid"` for none, `"same"` for as many zeros as keep the size at stride 1;
            `Conv1D` also takes `"causal"`: all zeros come first.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        dilation_rate: distance of the window's elements.
        groups: number of groups that the channels are split into; divides both sides' channels.
        activation: function or its name; None applies none.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after each update.

    Input shape: `(batch, *space, channels)`, channels second if they come first. The kernel has
    shape `(*kernel_size, channels / groups, filters)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        lora_rank, lora_alpha = kwargs.pop("lora_rank", None), kwargs.pop("lora_alpha", None)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(filters=filters)
        self._keep_geometry(kernel_size, strides, padding, data_format, dilation_rate)
        self._keep(
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        _positive("filters", filters)
        if groups <= 0:
            raise ValueError(
                f"The number of groups must be a positive integer. Received: groups={groups}."
            )
        if filters is not None and filters % groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. "
                f"Received: groups={groups}, filters={filters}."
            )
        if not isinstance(filters, int):
            raise ValueError(f"`filters` must be an integer. Received: filters={filters}")
        check_strides_or_dilation(self.strides, self.dilation_rate)
        self._keep_lora(lora_rank, lora_alpha)

    @property
    def kernel(self) -> Any:
        """The kernel, with its low-rank adaptation if there is one."""
        return self._adapted()

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number of groups. "
                f"Received groups={self.groups}, but the input has {channels} channels "
                f"(full input shape is {tuple(input_shape)})."
            )
        self._add_adapted((*self.kernel_size, channels // self.groups, self.filters))
        self._add_bias(self.filters)
        self._check_fit(input_shape)
        self._finish_build()

    def _check_fit(self, input_shape: Any) -> None:
        if self.padding != "valid":
            return
        for axis, size, step in zip(
            spatial_axes(self.data_format, self.rank),
            self.kernel_size,
            self.dilation_rate,
            strict=True,
        ):
            length = input_shape[axis]
            if length is not None and length < step * (size - 1) + 1:
                raise ValueError(
                    "Computed output size would be zero or negative. Received `inputs shape="
                    f"{tuple(input_shape)}`, `kernel shape={tuple(self._kernel.shape)}`, "
                    f"`dilation_rate=[{' '.join(map(str, self.dilation_rate))}]`, "
                    f"`strides={self.strides}`, `padding={self.padding}`."
                )

    def call(self, inputs: Any) -> Any:
        if self.padding == "causal":
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            first = self.data_format == "channels_first"
            inputs = ops.pad(
                inputs, ((0, 0), (0, 0), before) if first else ((0, 0), before, (0, 0))
            )
        return self._finish(self.convolution_op(inputs, self.kernel))

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Returns the convolution of the inputs with a kernel; a subclass may define its own."""
        return ops.conv(
            inputs,
            kernel,
            strides=self.strides,
            padding="valid" if self.padding == "causal" else self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )


class Conv1D(_Conv):
    __doc__ = f"Convolution of sequences.\n\n{_Conv.__doc__}"
    rank = 1
    _causal = True


class Conv2D(_Conv):
    __doc__ = f"Convolution of images.\n\n{_Conv.__doc__}"
    rank = 2


class Conv3D(_Conv):
    __doc__ = f"Convolution of volumes.\n\n{_Conv.__doc__}"
    rank = 3


class _ConvTranspose(_Convolution):
    """The transposed convolution: what the gradient of a convolution does to its input.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, an integer or one for each spatial axis.
        strides: step of the window on the output's side.
        padding: `"valid"` or `"same"`.
        output_padding: how much longer the output is at the end of each axis, less than the
            stride; None for the usual size.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        dilation_rate: distance of the window's elements; not above 1 where `strides` is.
        activation: function or its name; None applies none.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after each update.

    Input shape: `(batch, *space, channels)`, channels second if they come first. The kernel has
    shape `(*kernel_size, filters, channels)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(filters=filters)
        self._keep_geometry(kernel_size, strides, padding, data_format, dilation_rate)
        if output_padding is not None:
            output_padding = standardize_tuple(
                output_padding, self.rank, "output_padding", allow_zero=True
            )
        self._keep(
            output_padding=output_padding,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        _positive("filters", filters)
        check_strides_or_dilation(self.strides, self.dilation_rate)
        for axis, (extra, stride) in enumerate(
            zip(output_padding or (), self.strides, strict=False)
        ):
            if extra >= stride:
                raise ValueError(
                    "`output_padding` must be strictly less than `strides` for all dimensions. "
                    f"At dimension {axis}, `output_padding` is {extra} but `strides` is {stride}. "
                    f"Received: output_padding={output_padding}, strides={self.strides}"
                )

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels))
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = ops.conv_transpose(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finish(outputs)


class Conv1DTranspose(_ConvTranspose):
    __doc__ = f"Transposed convolution of sequences.\n\n{_ConvTranspose.__doc__}"
    rank = 1


class Conv2DTranspose(_ConvTranspose):
    __doc__ = f"Transposed convolution of images.\n\n{_ConvTranspose.__doc__}"
    rank = 2


class Conv3DTranspose(_ConvTranspose):
    __doc__ = f"Transposed convolution of volumes.\n\n{_ConvTranspose.__doc__}"
    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        # In Keras, these two arguments stand the other way round here.
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, *args, **kwargs
        )


class _DepthwiseConv(_Convolution):
    """Convolves each channel by itself.

    Args:
        kernel_size: size of the window, an integer or one for each spatial axis.
        strides: step of the window.
        padding: `"valid"` or `"same"`.
        depth_multiplier: number of output channels for each input channel.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        dilation_rate: distance of the window's elements.
        activation: function or its name; None applies none.
        use_bias: whether a bias is added.
        depthwise_initializer, bias_initializer: initializers of the weights.
        depthwise_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        depthwise_constraint, bias_constraint: projections of the weights after each update.

    Input shape: `(batch, *space, channels)`, channels second if they come first. The kernel has
    shape `(*kernel_size, channels, depth_multiplier)`.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(depth_multiplier=depth_multiplier)
        self._keep_geometry(kernel_size, strides, padding, data_format, dilation_rate)
        self._keep(
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
        )
        _positive("depth_multiplier", depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._add("kernel", shape, "depthwise")
        self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        outputs = ops.depthwise_conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finish(outputs)


class DepthwiseConv1D(_DepthwiseConv):
    __doc__ = f"Depthwise convolution of sequences.\n\n{_DepthwiseConv.__doc__}"
    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    __doc__ = f"Depthwise convolution of images.\n\n{_DepthwiseConv.__doc__}"
    rank = 2


class _SeparableConv(_Convolution):
    """Convolves each channel by itself, then mixes the channels at each place.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, an integer or one for each spatial axis.
        strides: step of the window.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        dilation_rate: distance of the window's elements.
        depth_multiplier: number of channels between the two steps for each input channel.
        activation: function or its name; None applies none.
        use_bias: whether a bias is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: initializers of the weights.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        depthwise_constraint, pointwise_constraint, bias_constraint: projections of the weights
            after each update.

    Input shape: `(batch, *space, channels)`, channels second if they come first.

    Paper: Chollet, Xception: Deep Learning with Depthwise Separable Convolutions (2017).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(depth_multiplier=depth_multiplier, filters=filters)
        self._keep_geometry(kernel_size, strides, padding, data_format, dilation_rate)
        self._keep(
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
        )
        _positive("depth_multiplier", depth_multiplier)
        _positive("filters", filters)

    def build(self, input_shape: Any) -> None:
        channels = self._input_channels(input_shape)
        self.depthwise_kernel = self._add(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self.pointwise_kernel = self._add(
            "pointwise_kernel",
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            "pointwise",
        )
        self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = ops.separable_conv(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finish(outputs)


class SeparableConv1D(_SeparableConv):
    __doc__ = f"Separable convolution of sequences.\n\n{_SeparableConv.__doc__}"
    rank = 1


class SeparableConv2D(_SeparableConv):
    __doc__ = f"Separable convolution of images.\n\n{_SeparableConv.__doc__}"
    rank = 2
