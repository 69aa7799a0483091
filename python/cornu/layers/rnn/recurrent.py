"""Layers that step a cell along a sequence."""

import functools
from collections.abc import Callable
from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.input_spec import InputSpec
from cornu.layers.rnn.cells import (
    CELL_ARGUMENTS,
    Cell,
    DropoutCell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    initial_state_of,
    sizes_of,
    step_cell,
)
from cornu.variable import Variable

_LAYER_ARGUMENTS = f"""{CELL_ARGUMENTS}
        activity_regularizer: penalty on the output.
        return_sequences: whether every step's output is returned, not only the last.
        return_state: whether the last state is returned behind the output.
        go_backwards: whether the sequence is read from its end.
        stateful: whether a batch goes on from the last state of the batch before.
        unroll: whether a plan has operations of its own for each step. Else it has those of one
            step, in a loop; LSTM, GRU and SimpleRNN run as one kernel, unless their activations
            or dropout ask for the loop.

    Call arguments: `sequences` of shape `(batch, steps, features)`, `initial_state`, `mask` of
    shape `(batch, steps)`, and `training`.
    """


def _map(function: Callable[..., Any], *states: Any) -> Any:
    """Applies a function to the tensors of states that are nested alike."""
    if isinstance(states[0], list | tuple):
        return [_map(function, *parts) for parts in zip(*states, strict=True)]
    return function(*states)


class RNN(ConfiguredLayer):
    """Steps a cell along a sequence.

    Args:
        cell: a layer with `call(inputs, states)` that returns an output and new states, and with
            a `state_size`: an integer or a list. A list of cells is stacked.
        return_sequences: whether every step's output is returned, not only the last.
        return_state: whether the last states are returned behind the output.
        go_backwards: whether the sequence is read from its end.
        stateful: whether a batch goes on from the last states of the batch before.
        unroll: whether a plan has operations of its own for each step. Else it has those of one
            step, in a loop; LSTM, GRU and SimpleRNN run as one kernel, unless their activations
            or dropout ask for the loop.
        zero_output_for_mask: whether the output of a masked step is zero; it repeats the one
            before otherwise.

    Call arguments: `sequences` of shape `(batch, steps, features)`, `initial_state`, `mask` of
    shape `(batch, steps)`, and `training`.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        for needed in ("call", "state_size"):
            if not hasattr(cell, needed):
                kind = "method" if needed == "call" else "attribute"
                raise ValueError(
                    f"Argument `cell` should have a `{needed}` {kind}. Received: cell={cell}"
                )
        if kwargs.get("time_major") is False:  # as in the configs of Keras 2
            del kwargs["time_major"]
        super().__init__(**kwargs)
        self._keep(
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
        )
        self.cell = cell
        self.states = None
        self.supports_masking = True
        self.input_spec = None

    @property
    def state_size(self) -> Any:
        """The cell's state size."""
        return self.cell.state_size

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if not getattr(self.cell, "built", True):
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            if sequences_shape[0] is None:
                raise ValueError(
                    "When using `stateful=True` in a RNN, the batch size must be static. Found "
                    f"dynamic batch size: sequence.shape={tuple(sequences_shape)}"
                )
            self._create_states(sequences_shape[0])

    def _create_states(self, batch_size: int) -> None:
        def variable(value: Any) -> Variable:
            return Variable(value, trainable=False, dtype=self.variable_dtype, name="rnn_state")

        # Variables of a batch are no weights: they are neither tracked nor saved.
        states = _map(variable, initial_state_of(self.cell, batch_size))
        object.__setattr__(self, "states", tuple(states))

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Returns the states that a sequence starts from."""
        return initial_state_of(self.cell, batch_size)

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        if self.states is not None:
            _map(lambda state: state.assign(ops.zeros_like(state)), self.states)

    def reset_states(self) -> None:
        """Sets the states of a stateful layer to zero."""
        self.reset_state()

    def compute_mask(self, sequences: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, list | tuple) and mask else mask
        output = mask if self.return_sequences else None
        return [output, *(None for _ in sizes_of(self.state_size))] if self.return_state else output

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        if initial_state is None:
            if self.stateful and self.states is not None:
                states = _map(lambda state: ops.cast(state, self.compute_dtype), self.states)
            else:
                states = self.get_initial_state(sequences.shape[0])
        elif isinstance(initial_state, list | tuple):
            states = list(initial_state)
        else:
            states = [initial_state]
        count = len(sizes_of(self.state_size))
        if len(states) != count:
            raise ValueError(
                f"Layer '{self.name}' has {count} states, but was passed {len(states)} initial "
                f"states: initial_state={initial_state}"
            )
        self._reset_masks()
        try:
            output, states = self._walk(sequences, states, mask, training)
        finally:
            self._reset_masks()
        if self.stateful and self.states is not None:
            _map(
                lambda variable, new: variable.assign(ops.cast(new, variable.dtype)),
                list(self.states),
                states,
            )
        return (output, *states) if self.return_state else output

    def _reset_masks(self) -> None:
        for cell in getattr(self.cell, "cells", [self.cell]):
            if isinstance(cell, DropoutCell):
                cell._reset()

    def _walk(
        self, sequences: Any, states: list[Any], mask: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Returns the output, of all steps or the last, and the last states."""
        cell = self.cell
        if not (isinstance(cell, Cell) and cell.is_plain):
            step = functools.partial(step_cell, cell)
        else:
            step = cell.step
            sequences = cell.project(sequences, training)  # one product for the whole sequence
            if not self.unroll and cell.takes_sequences(training):
                outputs, states = cell.sequence(
                    sequences,
                    states,
                    mask,
                    go_backwards=self.go_backwards,
                    zero_output_for_mask=self.zero_output_for_mask,
                )
                if self.return_sequences:
                    return outputs, states
                # Without a mask, the last output is the state.
                return states[0] if mask is None else outputs[:, -1], states
        return self._loop(step, sequences, states, mask, training)

    def _loop(
        self, step: Callable, sequences: Any, states: list[Any], mask: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Returns the output, of all steps or the last, and the last states."""

        def advance(state: tuple[Any, Any], entry: Any) -> tuple[Any, Any]:
            (output, states), (inputs, kept) = state, entry
            new, after = step(inputs, states, training)
            if kept is not None:
                if output is None or self.zero_output_for_mask:
                    output = ops.zeros_like(new)
                new = _choose(kept, new, output)
                after = _map(lambda a, b: _choose(kept, a, b), after, states)
            return (new, after), new if self.return_sequences else None

        entries = [x if x is None else ops.swapaxes(x, 0, 1) for x in (sequences, mask)]
        if self.go_backwards:
            entries = [x if x is None else ops.flip(x, 0) for x in entries]
        parts = [(x, x) if x is None else ops.split(x, [1]) for x in entries]
        head, rest = zip(*parts, strict=True)
        # The first step shows what the others hand on, and makes the dropout masks they share.
        state, output = advance(
            (None, states), [x if x is None else ops.squeeze(x, 0) for x in head]
        )
        if sequences.shape[1] != 1:
            state, outputs = ops.scan(advance, state, rest, unroll=self._unrolls())
            if output is not None:
                output = ops.concatenate([ops.expand_dims(output, 0), outputs])
        elif output is not None:
            output = ops.expand_dims(output, 0)
        output, states = state[0] if output is None else ops.swapaxes(output, 0, 1), state[1]
        return output, states

    def _unrolls(self) -> bool:
        """Whether steps are single operations also in a trace; losses of steps ask for it."""
        return self.unroll or any(
            layer._losses for layer in getattr(self.cell, "_flatten_layers", tuple)()
        )

    def get_config(self) -> dict[str, Any]:
        from cornu.saving import serialize_keras_object

        return {**super().get_config(), "cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RNN":
        """Rebuilds the cell and the layer."""
        from cornu.saving import deserialize_keras_object

        config = dict(config)
        cell = deserialize_keras_object(config.pop("cell"), custom_objects=custom_objects)
        return cls(cell, **config)


def _choose(kept: Any, new: Any, old: Any) -> Any:
    shape = (-1, *(1 for _ in new.shape[1:]))
    return ops.where(ops.reshape(ops.cast(kept, "bool"), shape), new, old)


def _of_cell(name: str) -> property:
    """Returns an attribute of a layer that stands for one of its cell."""
    return property(
        lambda layer: getattr(layer.cell, name),
        lambda layer, value: setattr(layer.cell, name, value),
        doc=f"`{name}` of the cell.",
    )


class CellRNN(RNN):
    """An RNN that makes its cell of its own arguments, which are attributes of both."""

    _cell: type[Cell]
    _cell_name: str
    _cell_arguments: tuple[str, ...]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.__dict__.get("_cell_arguments", ()):
            setattr(cls, name, _of_cell(name))

    def _make(self, cell: dict[str, Any], kwargs: dict[str, Any]) -> None:
        kwargs.pop("implementation", None)
        kwargs.pop("use_cudnn", None)
        shared = {"trainable": kwargs.get("trainable", True), "dtype": kwargs.get("dtype")}
        RNN.__init__(self, self._cell(name=self._cell_name, **shared, **cell), **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def get_config(self) -> dict[str, Any]:
        from cornu import regularizers

        config, cell = ConfiguredLayer.get_config(self), self.cell.get_config()
        config |= {name: cell[name] for name in self._cell_arguments}
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RNN":
        return cls(**config)


class SimpleRNN(CellRNN):
    __doc__ = f"""A recurrent layer whose output is its next state.{_LAYER_ARGUMENTS}
    """
    _cell = SimpleRNNCell
    _cell_name = "simple_rnn_cell"
    _cell_arguments = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
    )

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        self._make(
            {
                "units": units,
                "activation": activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "recurrent_initializer": recurrent_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "seed": seed,
            },
            {
                "activity_regularizer": activity_regularizer,
                "return_sequences": return_sequences,
                "return_state": return_state,
                "go_backwards": go_backwards,
                "stateful": stateful,
                "unroll": unroll,
                **kwargs,
            },
        )
        self.input_spec = [InputSpec(ndim=3)]


class LSTM(CellRNN):
    __doc__ = f"""Long short-term memory.{_LAYER_ARGUMENTS}
        recurrent_activation: function of the gates, or its name.
        unit_forget_bias: whether the forget gate's bias begins with ones.
        use_cudnn: accepted; there is one implementation.

    Paper: Hochreiter and Schmidhuber, Long Short-Term Memory (1997).
    """
    _cell = LSTMCell
    _cell_name = "lstm_cell"
    _cell_arguments = (
        "units",
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
        units: int,
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
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        self._make(
            {
                "units": units,
                "activation": activation,
                "recurrent_activation": recurrent_activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "recurrent_initializer": recurrent_initializer,
                "bias_initializer": bias_initializer,
                "unit_forget_bias": unit_forget_bias,
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "seed": seed,
            },
            {
                "activity_regularizer": activity_regularizer,
                "return_sequences": return_sequences,
                "return_state": return_state,
                "go_backwards": go_backwards,
                "stateful": stateful,
                "unroll": unroll,
                **kwargs,
            },
        )


class GRU(CellRNN):
    __doc__ = f"""Gated recurrent units.{_LAYER_ARGUMENTS}
        recurrent_activation: function of the gates, or its name.
        reset_after: whether the reset gate is applied behind the product with the state.
        use_cudnn: accepted; there is one implementation.

    Paper: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014).
    """
    _cell = GRUCell
    _cell_name = "gru_cell"
    _cell_arguments = (
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "reset_after",
        "seed",
    )

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        self._make(
            {
                "units": units,
                "activation": activation,
                "recurrent_activation": recurrent_activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "recurrent_initializer": recurrent_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "reset_after": reset_after,
                "seed": seed,
            },
            {
                "activity_regularizer": activity_regularizer,
                "return_sequences": return_sequences,
                "return_state": return_state,
                "go_backwards": go_backwards,
                "stateful": stateful,
                "unroll": unroll,
                **kwargs,
            },
        )
