"""Recurrent layers whose cells convolve images instead of multiplying vectors."""

import math
from collections.abc import Sequence
from typing import Any

from cornu import ops, random
from cornu.layers.configured import (
    channel_axis,
    spatial_axes,
    standardize_padding,
    standardize_tuple,
)
from cornu.layers.convolutional import check_strides_or_dilation
from cornu.layers.input_spec import InputSpec
from cornu.layers.rnn.cells import LSTMCell
from cornu.layers.rnn.recurrent import CellRNN


class ConvLSTMCell(LSTMCell):
    """One step of `ConvLSTM2D` and its like: the arguments are theirs.

    Args:
        rank: number of spatial axes.
    """

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        **gates: Any,
    ) -> None:
        super(LSTMCell, self).__init__(name=name, dtype=dtype, trainable=trainable)
        self.rank = rank
        self._keep(
            filters=filters,
            kernel_size=standardize_tuple(kernel_size, rank, "kernel_size"),
            strides=standardize_tuple(strides, rank, "strides"),
            padding=standardize_padding(padding),
            data_format=data_format,
            dilation_rate=standardize_tuple(dilation_rate, rank, "dilation_rate"),
            **gates,
            dropout=min(1.0, max(0.0, dropout)),
            recurrent_dropout=min(1.0, max(0.0, recurrent_dropout)),
            seed=seed,
        )
        check_strides_or_dilation(self.strides, self.dilation_rate)
        self.seed_generator = random.SeedGenerator(seed)
        self.units = filters  # what the bias of a vector's cell counts
        self.state_size = [filters, filters]
        self._reset()

    @property
    def _gate_axis(self) -> int:
        return channel_axis(self.data_format)

    def build(self, input_shape: Any) -> None:
        channels = input_shape[channel_axis(self.data_format)]
        sizes = [input_shape[axis] for axis in spatial_axes(self.data_format, self.rank)]
        if None in sizes:
            raise ValueError(
                "ConvLSTM layers only support static input shapes for the spatial dimension. "
                f"Received invalid input shape: input_shape={tuple(input_shape)}"
            )
        gates = self.filters * self._gates
        self.kernel = self._add("kernel", (*self.kernel_size, channels, gates))
        shape = (*self.kernel_size, self.filters, gates)
        self.recurrent_kernel = self._add("recurrent_kernel", shape, "recurrent")
        self.bias = self._add_bias(gates) if self.use_bias else None
        self._state_sizes = tuple(map(self._convolved, sizes, range(self.rank)))

    def _convolved(self, size: int, axis: int) -> int:
        """Returns the size of an axis behind the convolution of the input."""
        if self.padding == "valid":
            size -= (self.kernel_size[axis] - 1) * self.dilation_rate[axis]
        return math.ceil(size / self.strides[axis])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Returns zeros for the output and the carry."""
        first = self.data_format == "channels_first"
        sizes = self._state_sizes
        shape = (self.filters, *sizes) if first else (*sizes, self.filters)
        return [ops.zeros((batch_size, *shape), dtype=self.compute_dtype) for _ in range(2)]

    def project(self, inputs: Any, training: bool = False) -> Any:
        """Returns the inputs' part of the gates, for one step or for a whole sequence."""
        sequence = len(inputs.shape) == self.rank + 3
        if training and self.dropout > 0:
            mask = self.get_dropout_mask(inputs[:, 0] if sequence else inputs)
            inputs = ops.multiply(inputs, ops.expand_dims(mask, 1) if sequence else mask)
        steps = inputs.shape[1]
        if sequence:  # steps are convolved as if they were samples
            inputs = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        projected = ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        if self.bias is not None:
            bias = self.bias
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (1, -1, *(1,) * self.rank))
            projected = ops.add(projected, bias)
        return ops.reshape(projected, (-1, steps, *projected.shape[1:])) if sequence else projected

    def _recurrent(self, hidden: Any) -> Any:
        return ops.conv(hidden, self.recurrent_kernel, padding="same", data_format=self.data_format)


class _ConvLSTM(CellRNN):
    """Long short-term memory on sequences of images: convolutions make the gates.

    Args:
        filters: number of channels of the state.
        kernel_size: size of the window, an integer or one for each spatial axis.
        strides: step of the window on the input; not above 1 where `dilation_rate` is.
        padding: `"valid"` or `"same"`, of the input; the state is always padded.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        dilation_rate: distance of the window's elements.
        activation: function of the candidate state, or its name.
        recurrent_activation: function of the gates, or its name.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        unit_forget_bias: whether the forget gate's bias begins with ones.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights.
        dropout: share of the inputs that is dropped in training, the same at every step.
        recurrent_dropout: share of the state that is dropped in training.
        seed: integer that makes the choice repeatable.
        return_sequences: whether every step's output is returned, not only the last.
        return_state: whether the last state is returned behind the output.
        go_backwards: whether the sequence is read from its end.
        stateful: whether a batch goes on from the last state of the batch before.

    Call arguments: `sequences` of shape `(batch, steps, *space, channels)` (channels before space
    if they come first), `initial_state`, `mask` of shape `(batch, steps)`, and `training`.

    Paper: Shi et al., Convolutional LSTM Network (2015).
    """

    rank: int
    _cell = ConvLSTMCell
    _cell_name = "conv_lstm_cell"
    _cell_arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "activation",
        "recurrent_activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "unit_forget_bias",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "seed",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        given = locals()
        cell = {name: given[name] for name in self._cell_arguments}
        layer = {
            "activity_regularizer": activity_regularizer,
            "return_sequences": return_sequences,
            "return_state": return_state,
            "go_backwards": go_backwards,
            "stateful": stateful,
        }
        self._make({"rank": self.rank, **cell}, {**layer, **kwargs})
        self.input_spec = InputSpec(ndim=self.rank + 3)


class ConvLSTM1D(_ConvLSTM):
    __doc__ = _ConvLSTM.__doc__
    rank = 1


class ConvLSTM2D(_ConvLSTM):
    __doc__ = _ConvLSTM.__doc__
    rank = 2


class ConvLSTM3D(_ConvLSTM):
    __doc__ = _ConvLSTM.__doc__
    rank = 3
