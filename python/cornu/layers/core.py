"""Dense and embedding layers, and the layers that wrap functions and other layers."""

import inspect
import re
import string
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cornu import ops
from cornu.layers.configured import ConfiguredLayer
from cornu.layers.input_spec import InputSpec
from cornu.layers.layer import Layer
from cornu.layers.quantization import QuantizedLayer


class Dense(QuantizedLayer):
    """`activation(inputs @ kernel + bias)`, on the last axis.

    Args:
        units: positive integer, the size of the output's last axis.
        activation: function or its name; None applies none.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after each update.
        lora_rank: if given, the kernel is frozen and a product of two matrices of this rank is
            trained on top of it.
        lora_alpha: that product is scaled by `lora_alpha / lora_rank`.
        quantization_config: how a layer is quantized whose dtype policy is a quantized one.

    Input shape: `(batch, ..., input_dim)`. Output shape: `(batch, ..., units)`.

    >>> layers.Dense(3)(np.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                "Received an invalid value for `units`, expected a positive integer. "
                f"Received: units={units}"
            )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(
            units=units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            quantization_config=quantization_config,
        )
        self._keep_lora(lora_rank, lora_alpha)
        self.bias = None
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    @property
    def kernel(self) -> Any:
        """The kernel, with its low-rank adaptation if there is one."""
        return self._shown()

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self._add_adapted((width, self.units))
        if self.use_bias:
            self.bias = self._add("bias", (self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})
        self._finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.quantization_mode is not None:
            return self.quantized_call(inputs, training)
        return self._finished(ops.matmul(inputs, self.kernel))

    def _product(self, inputs: Any, weight: Any) -> Any:
        return ops.matmul(inputs, weight)

    def _input_gradient(self, upstream: Any, weight: Any) -> Any:
        return ops.matmul(upstream, ops.transpose(weight))

    def _input_axes(self, inputs: Any) -> tuple[int, ...]:
        return (-1,)

    def _beside(self, inputs_scale: Any, inputs: Any) -> Any:
        return inputs_scale

    def _reduced_axes(self) -> tuple[int, ...]:
        return (0,)

    def _scale_of(self, kept: Any) -> Any:
        return ops.squeeze(kept, 0)

    def _wide_scale(self, scale: Any) -> Any:
        return scale


class EinsumDense(QuantizedLayer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: `"inputs,kernel->outputs"`; `...` may begin or end both inputs and outputs.
        output_shape: shape of the output without the batch, an integer if it has one axis; None
            stands for a size taken over from the input.
        activation: function or its name; None applies none.
        bias_axes: the letters of the output that the bias has, as `"d"`; None for no bias.
        kernel_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, bias_constraint: projections of the weights after each update.
        lora_rank, lora_alpha: low-rank adaptation, as in `Dense`.
        gptq_unpacked_column_size: columns of the kernel as a matrix, kept in the config; GPTQ sets
            it.
        quantization_config: as in `Dense`.

    >>> layer = layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")
    >>> layer(np.ones((2, 3, 4))).shape
    (2, 3, 5)
    """

    _zero_name = "zero_point"

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.partial_output_shape = sizes
        self._keep(
            equation=equation,
            activation=activation,
            bias_axes=bias_axes,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            quantization_config=quantization_config,
        )
        self._keep_lora(lora_rank, lora_alpha)
        self.gptq_unpacked_column_size = gptq_unpacked_column_size
        self.bias = None

    @property
    def kernel(self) -> Any:
        """The kernel, with its low-rank adaptation if there is one."""
        return self._shown()

    def build(self, input_shape: Any) -> None:
        kernel_shape, bias_shape, self.full_output_shape = _einsum_shapes(
            self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape
        )
        self.input_spec = InputSpec(ndim=len(input_shape))
        self._add_adapted(kernel_shape)
        if bias_shape is not None:
            self.bias = self._add("bias", bias_shape)
        self._finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.quantization_mode is not None:
            return self.quantized_call(inputs, training)
        return self._finished(ops.einsum(self.equation, inputs, self.kernel))

    def _gptq_build(self, shape: tuple[int, ...], config: Any) -> None:
        super()._gptq_build(shape, config)
        self.gptq_unpacked_column_size = self._matrix_shape()[1]

    def _product(self, inputs: Any, weight: Any) -> Any:
        return ops.einsum(self.equation, inputs, weight)

    def _letters(self) -> tuple[str, str, str]:
        """The letters of the inputs, the kernel and the outputs, with some for the dots."""
        equation = self.equation.replace(" ", "")
        inputs, rest = equation.split(",")
        free = (letter for letter in string.ascii_letters if letter not in equation)
        hidden = self.input_spec.ndim - len(inputs.replace("...", ""))
        dots = "".join(next(free) for _ in range(hidden)) if "..." in equation else ""
        kernel, outputs = rest.split("->")
        return inputs.replace("...", dots), kernel, outputs.replace("...", dots)

    def _input_gradient(self, upstream: Any, weight: Any) -> Any:
        inputs, kernel, outputs = self._letters()
        return ops.einsum(f"{outputs},{kernel}->{inputs}", upstream, weight)

    def _input_axes(self, inputs: Any) -> tuple[int, ...]:
        letters, _, outputs = self._letters()
        return tuple(i for i, letter in enumerate(letters) if letter not in outputs)

    def _beside(self, inputs_scale: Any, inputs: Any) -> Any:
        letters, _, outputs = self._letters()
        return _rearranged(inputs_scale, letters, outputs)

    def _input_order(self, inputs: Any) -> tuple[int, ...]:
        letters, kernel, outputs = self._letters()
        gone = [letters.index(letter) for letter in kernel if letter not in outputs]
        return (*(i for i in range(len(letters)) if i not in gone), *gone)

    def _reduced_axes(self) -> tuple[int, ...]:
        _, kernel, outputs = self._letters()
        return tuple(i for i, letter in enumerate(kernel) if letter not in outputs)

    def _scale_of(self, kept: Any) -> Any:
        _, kernel, outputs = self._letters()
        return _rearranged(kept, kernel, outputs)

    def _wide_scale(self, scale: Any) -> Any:
        _, kernel, outputs = self._letters()
        return _rearranged(scale, outputs, kernel)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["output_shape"] = self.partial_output_shape
        if self.gptq_unpacked_column_size:
            config["gptq_unpacked_column_size"] = self.gptq_unpacked_column_size
        return config


def _rearranged(x: Any, letters: str, wanted: str) -> Any:
    """Returns `x` with other axes: those it lacks have size 1, as those have that go."""
    gone = tuple(i for i, letter in enumerate(letters) if letter not in wanted)
    kept = [letter for letter in letters if letter in wanted]
    x = ops.squeeze(x, gone) if gone else x
    x = ops.transpose(x, [kept.index(letter) for letter in wanted if letter in kept])
    new = tuple(i for i, letter in enumerate(wanted) if letter not in kept)
    return ops.expand_dims(x, new) if new else x


_EQUATION = re.compile(
    r"([a-zA-Z]*)(\.\.\.)?([a-zA-Z]*),([a-zA-Z]+)->([a-zA-Z]*)(\.\.\.)?([a-zA-Z]*)"
)


def _einsum_shapes(
    equation: str, bias_axes: str | None, input_shape: tuple, output_sizes: tuple
) -> tuple[tuple, tuple | None, tuple]:
    """Returns the shapes of the kernel, of the bias (or None) and of the output."""
    match = _EQUATION.fullmatch(equation.replace(" ", ""))
    head, dots, tail, kernel, out_head, out_dots, out_tail = match.groups("") if match else [""] * 7
    if not match or dots != out_dots or (dots and ((head and tail) or (out_head and out_tail))):
        raise ValueError(
            f"Invalid einsum equation '{equation}'. Equations must be in the form "
            "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
        )
    letters, outputs = head + tail, out_head + out_tail
    hidden = len(input_shape) - len(letters)  # axes that the dots stand for
    if tail and dots:
        sizes = dict(zip(letters, input_shape[hidden:], strict=True))
        extra = input_shape[:hidden]
    else:
        sizes = dict(zip(letters, input_shape, strict=False))
        extra = input_shape[len(letters) :] if dots else ()
    # The output shape leaves out the batch: the first axis, be it a letter or behind the dots.
    leading_dots = bool(dots) and not out_head
    named = outputs if leading_dots else outputs[1:]
    given = output_sizes[len(output_sizes) - len(named) :] if leading_dots else output_sizes
    output = {} if leading_dots else {outputs[0]: sizes.get(outputs[0])}
    for position, letter in enumerate(named):
        size = given[position]
        known = sizes.get(letter)
        if letter in letters and size is not None and known is not None and size != known:
            raise ValueError(
                "Input shape and output shape do not match at shared "
                f"dimension '{letter}'. Input shape is {known}, and output shape is {size}."
            )
        output[letter] = known if size is None else size
    for letter in outputs:
        if letter not in letters and letter not in kernel:
            raise ValueError(
                f"Dimension '{letter}' was specified in the output '{outputs}' but has no "
                f"corresponding dim in the input spec '{letters}' or weight spec '{kernel}'"
            )
    for letter in kernel:
        if letter not in sizes and letter not in output:
            raise ValueError(
                f"Weight dimension '{letter}' did not have a match in either the input spec "
                f"'{letters}' or the output spec '{outputs}'. For this layer, the weight must "
                "be fully specified."
            )
    kernel_shape = tuple(sizes[k] if k in sizes else output[k] for k in kernel)
    shape = tuple(output[letter] for letter in outputs)
    full = (*extra, *shape) if leading_dots else (*shape, *extra)
    bias_shape = None
    if bias_axes:
        for letter in bias_axes:
            if letter not in outputs:
                raise ValueError(
                    f"Bias dimension '{letter}' was requested, but is not part of the output "
                    f"spec '{outputs}'"
                )
        first = min(outputs.index(letter) for letter in bias_axes)
        bias_shape = tuple(output[k] if k in bias_axes else 1 for k in outputs[first:])
        if dots and not leading_dots:
            bias_shape += (1,) * len(extra)
    return kernel_shape, bias_shape, full


class Embedding(QuantizedLayer):
    """Rows of a table, looked up by integer ids.

    Args:
        input_dim: number of rows.
        output_dim: size of a row.
        embeddings_initializer: initializer of the table.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: projection of the table after each update.
        mask_zero: whether id 0 is padding, to be masked in the layers that follow.
        weights: the table's first value, of shape `(input_dim, output_dim)`, or a list of it.
        lora_rank, lora_alpha: low-rank adaptation, as in `Dense`.
        quantization_config: as in `Dense`.

    Input shape: `(batch, ...)` of integers. Output shape: `(batch, ..., output_dim)`.
    """

    _adapted_name = "embeddings"
    _is_table = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        for name, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={value} "
                    f"(of type {type(value).__name__})."
                )
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Argument `input_length` is deprecated. Just remove it.", stacklevel=2)
        super().__init__(**kwargs)
        self._keep(
            input_dim=input_dim,
            output_dim=output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            activity_regularizer=self.activity_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            quantization_config=quantization_config,
        )
        self._keep_lora(lora_rank, lora_alpha)
        self.supports_masking = mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            if not (isinstance(weights, list) and len(weights) == 1):
                weights = [weights]
            self.set_weights(weights)

    @property
    def embeddings(self) -> Any:
        """The table, with its low-rank adaptation if there is one."""
        return self._shown()

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        self._add_adapted((self.input_dim, self.output_dim))
        self._finish_build()

    def call(self, inputs: Any) -> Any:
        if ops.dtype(inputs) not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        if self.quantization_mode is not None:
            return self.quantized_call(inputs)
        outputs = ops.take(self.embeddings, inputs, axis=0)
        return ops.cast(outputs, self.compute_dtype)

    def _product(self, inputs: Any, weight: Any) -> Any:
        return ops.take(weight, inputs, axis=0)

    def _finished(self, x: Any) -> Any:
        return ops.cast(x, self.compute_dtype)

    def quantized_build(self, embeddings_shape: Any, mode: str, config: Any = None) -> None:
        super().quantized_build(embeddings_shape, mode, config)

    def _integer_call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.quantization_mode == "int8" and not self.lora_enabled:
            # The rows alone become floats.
            scale = ops.take(self.embeddings_scale, inputs, axis=0)
            rows = ops.cast(ops.take(self._embeddings, inputs, axis=0), self.compute_dtype)
            return rows / ops.cast(ops.expand_dims(scale, -1), self.compute_dtype)
        return super()._integer_call(inputs)

    def _reduced_axes(self) -> tuple[int, ...]:
        return (1,)

    def _scale_of(self, kept: Any) -> Any:
        return ops.squeeze(kept, -1)

    def _wide_scale(self, scale: Any) -> Any:
        return ops.expand_dims(scale, -1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class ReversibleEmbedding(Embedding):
    """An embedding whose table, or a second one, also maps vectors back to logits of the ids.

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer,
            embeddings_constraint, mask_zero: as in `Embedding`.
        tie_weights: whether the way back uses the same table, transposed.
        reverse_dtype: dtype of the way back; the compute dtype if None.
        logit_soft_cap: if given, logits are `cap * tanh(logits / cap)`.

    Call arguments: `inputs`, and `reverse`: False looks up ids, True maps
    `(batch, ..., output_dim)` to `(batch, ..., input_dim)`.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self._keep(
            tie_weights=tie_weights, reverse_dtype=reverse_dtype, logit_soft_cap=logit_soft_cap
        )

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings",
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            return super().call(inputs)
        kernel = ops.transpose(self._adapted()) if self.tie_weights else self.reverse_embeddings
        dtype = self.reverse_dtype or self.compute_dtype
        logits = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        if self.logit_soft_cap is not None:
            cap = self.logit_soft_cap
            logits = ops.multiply(ops.tanh(ops.divide(logits, cap)), cap)
        return logits


class Identity(ConfiguredLayer):
    """Returns its inputs, whatever their structure."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Masking(ConfiguredLayer):
    """Masks the timesteps of which every feature equals a value.

    Args:
        mask_value: the value.

    Input shape: `(batch, timesteps, features)`. The output is the input, with zeros at masked
    steps; its mask has shape `(batch, timesteps)`.
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config"):
            mask_value = mask_value["config"]["value"]
        self._keep(mask_value=mask_value)
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.multiply(inputs, ops.cast(kept, ops.dtype(inputs)))


class Lambda(ConfiguredLayer):
    """Calls a function.

    The function's variables are not tracked, and a saved lambda is rebuilt only where
    `safe_mode=False` allows to; a layer class of one's own has neither limit.

    Args:
        function: called with the inputs, and with `mask` and `training` if it takes them.
        output_shape: shape without the batch, or a function of the input shape; for
            `compute_output_shape` alone.
        mask: what `compute_mask` returns, or a function of inputs and mask.
        arguments: more keyword arguments of the function.

    >>> layers.Lambda(lambda x: x**2)(np.array([3.0]))[0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments or {})
        self._output_shape = output_shape
        self.mask = mask
        self.supports_masking = mask is not None
        try:
            taken = inspect.signature(function).parameters
        except ValueError:  # a builtin may have no signature
            taken = {}
        self._takes = [name for name in ("mask", "training") if name in taken]

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        return self.function(inputs, **{k: given[k] for k in self._takes}, **self.arguments)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self._output_shape
        if shape is None:
            return super().compute_output_shape(input_shape)
        if callable(shape):
            return shape(input_shape)
        return (input_shape[0], *((shape,) if isinstance(shape, int) else shape))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        from cornu.saving import serialize_keras_object

        config = super().get_config()
        config["function"] = serialize_keras_object(self.function)
        for name, value in (("output_shape", self._output_shape), ("mask", self.mask)):
            if value is not None:
                config[name] = serialize_keras_object(value) if callable(value) else value
        config["arguments"] = serialize_keras_object(self.arguments)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None
    ) -> "Lambda":
        """Rebuilds the layer; a function that is stored as code needs `safe_mode=False`."""
        from cornu.saving import deserialize_keras_object

        config = dict(config)
        for name in ("function", "output_shape", "mask", "arguments"):
            if isinstance(config.get(name), dict | str):
                config[name] = deserialize_keras_object(
                    config[name], custom_objects=custom_objects, safe_mode=safe_mode
                )
        return cls(**config)


class Wrapper(ConfiguredLayer):
    """The base of layers that change what another layer does.

    Args:
        layer: the layer that is wrapped.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Layer {layer} supplied to Wrapper isn't a supported layer type. "
                "Please ensure wrapped layer is a valid Keras layer."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        from cornu.saving import serialize_keras_object

        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Wrapper":
        """Rebuilds the wrapped layer and the wrapper."""
        from cornu.saving import deserialize_keras_object

        config = dict(config)
        layer = deserialize_keras_object(config.pop("layer"), custom_objects=custom_objects)
        return cls(layer, **config)
