"""The cells that recurrent layers step."""

from collections.abc import Sequence
from typing import Any

from cornu import activations, initializers, ops, random
from cornu._cornu import primitive
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.layer import Layer

_recurrent = primitive("recurrent")

CELL_ARGUMENTS = """

    Args:
        units: size of the state.
        activation: function of the candidate state, or its name.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights.
        dropout: share of the inputs that is dropped in training, the same at every step.
        recurrent_dropout: share of the state that is dropped in training.
        seed: integer that makes the choice repeatable."""


class DropoutCell(ConfiguredLayer):
    """A cell that keeps its dropout masks until they are reset, so all steps share them."""

    dropout: float
    recurrent_dropout: float

    def _reset(self) -> None:
        self._masks: dict[str, Any] = {}

    def reset_dropout_mask(self) -> None:
        """Forgets the mask of the inputs."""
        self._masks.pop("dropout", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the mask of the state."""
        self._masks.pop("recurrent_dropout", None)

    def get_dropout_mask(self, step_input: Any) -> Any:
        """Returns what one step's inputs are multiplied by, None without dropout."""
        return self._mask("dropout", step_input)

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """Returns what the state is multiplied by, None without dropout."""
        return self._mask("recurrent_dropout", step_input)

    def _mask(self, kind: str, like: Any) -> Any:
        rate = getattr(self, kind)
        if rate <= 0:
            return None
        if kind not in self._masks:
            ones = ops.ones_like(like)
            self._masks[kind] = random.dropout(ones, rate, seed=self.seed_generator)
        return self._masks[kind]


class Cell(DropoutCell):
    """The cells of Keras: a projection of the input, then a step of the state.

    Subclasses say how many gates they have and what a step does. The projection of all steps'
    inputs may be made at once.
    """

    _gates = 1
    _states = 1

    def _keep_cell(self, units: int, dropout: float, recurrent_dropout: float, **kept: Any) -> None:
        if units <= 0:
            raise ValueError(
                "Received an invalid value for argument `units`, expected a positive integer, "
                f"got {units}."
            )
        self._keep(
            units=units,
            **kept,
            dropout=min(1.0, max(0.0, dropout)),
            recurrent_dropout=min(1.0, max(0.0, recurrent_dropout)),
        )
        self.seed_generator = random.SeedGenerator(kept.get("seed"))
        self.state_size = units if self._states == 1 else [units] * self._states
        self.output_size = units
        self._reset()

    def build(self, input_shape: Any) -> None:
        width = self.units * self._gates
        self.kernel = self._add("kernel", (input_shape[-1], width))
        self.recurrent_kernel = self._add("recurrent_kernel", (self.units, width), "recurrent")
        self.bias = self._add_bias(width) if self.use_bias else None

    def _add_bias(self, width: int) -> Any:
        return self._add("bias", (width,))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Returns zeros for every state."""
        shape = (batch_size, self.units)
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(self._states)]

    def project(self, inputs: Any, training: bool = False) -> Any:
        """Returns the inputs' part of the gates, for one step or for a whole sequence."""
        sequence = len(inputs.shape) == 3
        if training and self.dropout > 0:
            mask = self.get_dropout_mask(inputs[:, 0] if sequence else inputs)
            inputs = ops.multiply(inputs, ops.expand_dims(mask, 1) if sequence else mask)
        projected = ops.matmul(inputs, self.kernel)
        return projected if self._input_bias() is None else ops.add(projected, self._input_bias())

    def _input_bias(self) -> Any:
        return self.bias

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        single = not isinstance(states, list | tuple)
        output, after = self.step(
            self.project(inputs, training), [states] if single else states, training
        )
        return output, after[0] if single else after

    def step(self, projected: Any, states: Sequence[Any], training: bool) -> tuple[Any, list[Any]]:
        """Returns the output and the states after one step, from projected inputs."""
        raise NotImplementedError

    @property
    def is_plain(self) -> bool:
        """Whether `project` and `step` say all that a call does: no subclass has its own `call`."""
        return self.call.__module__ == __name__

    def takes_sequences(self, training: bool) -> bool:
        """Returns whether `sequence` can do what all its steps would."""
        return (
            type(self) in _PRIMITIVES
            and self.activation is activations.tanh
            and getattr(self, "recurrent_activation", activations.sigmoid) is activations.sigmoid
            and getattr(self, "reset_after", True)
            and not (training and self.recurrent_dropout > 0)
        )

    def sequence(
        self, projected: Any, states: Sequence[Any], mask: Any, **options: bool
    ) -> tuple[Any, list[Any]]:
        """Steps along a whole sequence at once.

        Args:
            projected: the projected inputs, `(batch, steps, gates * units)`.
            states: the first states.
            mask: which steps count, `(batch, steps)`, or None.
            options: `go_backwards` and `zero_output_for_mask`, as an `RNN` has them.

        Returns:
            The outputs of all steps in the order they are made, and the last states.
        """
        operands = [self.recurrent_kernel, *states]
        bias = self._state_bias()
        if bias is not None:
            operands.append(bias)
        operands = [ops.cast(operand, projected.dtype) for operand in operands]
        if mask is not None:
            operands.append(ops.cast(mask, "bool"))
        outputs, *after = _recurrent(
            projected,
            *operands,
            cell=_PRIMITIVES[type(self)],
            use_bias=bias is not None,
            use_mask=mask is not None,
            **options,
        )
        return outputs, after

    def _state_bias(self) -> Any:
        """Returns what is added to the state's part of the gates, or None."""
        return None

    def _dropped(self, state: Any, training: bool) -> Any:
        if training and self.recurrent_dropout > 0:
            return ops.multiply(state, self.get_recurrent_dropout_mask(state))
        return state


class SimpleRNNCell(Cell):
    __doc__ = f"One step of `SimpleRNN`.{CELL_ARGUMENTS}\n"

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_cell(
            units,
            dropout,
            recurrent_dropout,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
        )

    def call(self, sequence: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        return super().call(sequence, states, training)

    def step(self, projected: Any, states: Sequence[Any], training: bool) -> tuple[Any, list[Any]]:
        before = self._dropped(states[0], training)
        output = ops.add(projected, ops.matmul(before, self.recurrent_kernel))
        if self.activation is not None:
            output = self.activation(output)
        return output, [output]


class LSTMCell(Cell):
    __doc__ = f"""One step of `LSTM`, with the states `[h, c]`.{CELL_ARGUMENTS}
        recurrent_activation: function of the gates, or its name.
        unit_forget_bias: whether the forget gate's bias begins with ones.

    Paper: Hochreiter and Schmidhuber, Long Short-Term Memory (1997).
    """
    _gates = 4
    _states = 2
    _gate_axis = -1

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_cell(
            units,
            dropout,
            recurrent_dropout,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
        )

    def _add_bias(self, width: int) -> Any:
        if not self.unit_forget_bias:
            return super()._add_bias(width)

        def initialize(shape: Any, *args: Any, **kwargs: Any) -> Any:
            units, initializer = self.units, self.bias_initializer
            forget = initializers.get("ones")((units,), *args, **kwargs)
            parts = [initializer((units,), *args, **kwargs), forget]
            return ops.concatenate([*parts, initializer((2 * units,), *args, **kwargs)])

        return self.add_weight(
            name="bias",
            shape=(width,),
            initializer=initialize,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def step(self, projected: Any, states: Sequence[Any], training: bool) -> tuple[Any, list[Any]]:
        hidden, carry = self._dropped(states[0], training), states[1]
        z = ops.add(projected, self._recurrent(hidden))
        i, f, c, o = ops.split(z, 4, axis=self._gate_axis)
        gate = self.recurrent_activation
        kept = ops.multiply(gate(f), carry)
        carry = ops.add(kept, ops.multiply(gate(i), self.activation(c)))
        output = ops.multiply(gate(o), self.activation(carry))
        return output, [output, carry]

    def _recurrent(self, hidden: Any) -> Any:
        """Returns the state's part of the gates."""
        return ops.matmul(hidden, self.recurrent_kernel)


class GRUCell(Cell):
    __doc__ = f"""One step of `GRU`.{CELL_ARGUMENTS}
        recurrent_activation: function of the gates, or its name.
        reset_after: whether the reset gate is applied behind the product with the state.

    Paper: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014).
    """
    _gates = 3

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_cell(
            units,
            dropout,
            recurrent_dropout,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            reset_after=reset_after,
            seed=seed,
        )

    def _add_bias(self, width: int) -> Any:
        return self._add("bias", (2, width) if self.reset_after else (width,))

    def _input_bias(self) -> Any:
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def _state_bias(self) -> Any:
        return self.bias[1] if self.bias is not None and self.reset_after else None

    def step(self, projected: Any, states: Sequence[Any], training: bool) -> tuple[Any, list[Any]]:
        before = states[0]
        hidden = self._dropped(before, training)
        x_z, x_r, x_h = ops.split(projected, 3, axis=-1)
        gate, units = self.recurrent_activation, self.units
        if self.reset_after:
            inner = ops.matmul(hidden, self.recurrent_kernel)
            if self.bias is not None:
                inner = ops.add(inner, self._state_bias())
            r_z, r_r, r_h = ops.split(inner, 3, axis=-1)
            z, r = gate(ops.add(x_z, r_z)), gate(ops.add(x_r, r_r))
            candidate = ops.add(x_h, ops.multiply(r, r_h))
        else:
            kernel = ops.convert_to_tensor(self.recurrent_kernel)
            inner = ops.matmul(hidden, kernel[:, : 2 * units])
            r_z, r_r = ops.split(inner, 2, axis=-1)
            z, r = gate(ops.add(x_z, r_z)), gate(ops.add(x_r, r_r))
            candidate = ops.add(x_h, ops.matmul(ops.multiply(r, hidden), kernel[:, 2 * units :]))
        candidate = self.activation(candidate)
        output = ops.add(ops.multiply(z, before), ops.multiply(ops.subtract(1, z), candidate))
        return output, [output]


# The cells, no subclasses of them, that the primitive steps, and its names for them.
_PRIMITIVES = {SimpleRNNCell: "simple_rnn", LSTMCell: "lstm", GRUCell: "gru"}


class StackedRNNCells(ConfiguredLayer):
    """Several cells as one: each takes the output of the one before.

    Args:
        cells: the cells, in order.
    """

    def __init__(self, cells: Sequence[Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            for needed in ("call", "state_size"):
                if not hasattr(cell, needed):
                    raise ValueError(
                        f"All cells must have a `{needed}` "
                        f"{'method' if needed == 'call' else 'attribute'}. Received cell without "
                        f"a `{needed}`: {cell}"
                    )
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The output size of the last cell."""
        cell = self.cells[-1]
        return getattr(cell, "output_size", None) or sizes_of(cell.state_size)[0]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if not cell.built:
                cell.build(input_shape)
            size = getattr(cell, "output_size", None) or sizes_of(cell.state_size)[0]
            input_shape = (input_shape[0], size)

    def get_initial_state(self, batch_size: Any = None) -> list[list[Any]]:
        """Returns the initial states of all cells."""
        return [initial_state_of(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        after = []
        for cell, state in zip(self.cells, states, strict=True):
            state = list(state) if isinstance(state, list | tuple) else [state]
            inputs, state = step_cell(cell, inputs, state, training)
            after.append(state)
        return inputs, after

    def get_config(self) -> dict[str, Any]:
        from cornu.saving import serialize_keras_object

        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "StackedRNNCells":
        """Rebuilds the cells and the stack."""
        from cornu.saving import deserialize_keras_object

        config = dict(config)
        cells = [deserialize_keras_object(c, custom_objects) for c in config.pop("cells")]
        return cls(cells, **config)


def sizes_of(state_size: Any) -> list[Any]:
    return list(state_size) if isinstance(state_size, list | tuple) else [state_size]


def initial_state_of(cell: Layer, batch_size: Any) -> list[Any]:
    if hasattr(cell, "get_initial_state"):
        state = cell.get_initial_state(batch_size=batch_size)
    else:
        dtype = getattr(cell, "compute_dtype", None)
        state = [
            ops.zeros((batch_size, *(size if isinstance(size, tuple) else (size,))), dtype=dtype)
            for size in sizes_of(cell.state_size)
        ]
    return list(state) if isinstance(state, list | tuple) else [state]


def step_cell(cell: Layer, inputs: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
    """Calls any cell: states are a list here, and a bare tensor in cells that have one."""
    arguments = {"training": training} if getattr(cell, "_call_has_training_arg", True) else {}
    output, after = cell(inputs, states, **arguments)
    return output, list(after) if isinstance(after, list | tuple) else [after]
