"""Layers with one large weight that may be kept in few bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import dtype_policies, ops, quantizers
from cornu.layers.calibrated import CALIBRATED_MODES, CalibratedLayer
from cornu.quantizers import float8
from cornu.quantizers.configs import Int4QuantizationConfig, QuantizationConfig

_INTEGERS = ("int8", "int4")


class QuantizedLayer(CalibratedLayer):
    """A layer whose weight `_{name}` may be integers with a scale.

    A subclass says along which axes elements share a scale, and how a scale lies beside the
    output: `_reduced_axes`, `_scale_of`, `_wide_scale`. `_product` is its computation with inputs
    and a weight.
    """

    inputs_quantizer: Any = None
    # Whether a row of the packed weight is a sample's, as in a table, and not an input's.
    _is_table = False

    # What a subclass says

    def _scale_of(self, kept: Any) -> Any:
        """Returns a scale with the weight's axes, as it is kept."""
        raise NotImplementedError

    def _wide_scale(self, scale: Any) -> Any:
        """Returns a kept scale with the weight's axes."""
        raise NotImplementedError

    # Building

    @property
    def _weight(self) -> Any:
        return getattr(self, f"_{self._adapted_name}")

    def _add_adapted(self, shape: tuple[int, ...], arguments: str | None = None) -> None:
        self._weight_shape = tuple(shape)
        mode = self.quantization_mode
        if mode is not None:
            self.quantized_build(shape, mode, self.quantization_config)
        if mode in CALIBRATED_MODES:
            self._kernel = None  # a file has it calibrated
        elif mode not in _INTEGERS:
            super()._add_adapted(shape, arguments)

    def quantized_build(self, kernel_shape: Any, mode: str, config: Any = None) -> None:
        """Makes the variables of a quantized layer.

        Args:
            kernel_shape: shape of the weight.
            mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`.
            config: how it is quantized.

        Raises:
            NotImplementedError: for a mode that the layer doesn't have.
        """
        build = {
            "int8": self._int8_build,
            "int4": self._int4_build,
            "float8": self._float8_build,
            "gptq": self._gptq_build,
            "awq": self._awq_build,
        }
        if mode not in build or mode not in self.variable_serialization_spec:
            raise NotImplementedError(
                f"Layer '{self.name}' (of type {type(self).__name__}) can't be quantized in "
                f"mode='{mode}'. Possible modes are: {self._modes()}."
            )
        build[mode](tuple(kernel_shape), config)
        self._is_quantized = True

    def _modes(self) -> list[str]:
        return [mode for mode in self.variable_serialization_spec if mode is not None]

    def _add_integers(self, shape: tuple[int, ...], scale_shape: tuple[int, ...]) -> None:
        name = self._adapted_name
        weight = self.add_weight(
            name=name, shape=shape, initializer="zeros", dtype="int8", trainable=False
        )
        setattr(self, f"_{name}", weight)
        scale = self.add_weight(
            name=f"{name}_scale", shape=scale_shape, initializer="ones", trainable=False
        )
        setattr(self, f"{name}_scale", scale)

    def _int8_build(self, shape: tuple[int, ...], config: Any) -> None:
        if not self._is_table:
            self.inputs_quantizer = QuantizationConfig.activation_quantizer_or_default(
                config, quantizers.AbsMaxQuantizer()
            )
        self._add_integers(shape, self._scale_shape(shape))

    def _scale_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        reduced = self._reduced_axes()
        kept = tuple(1 if axis in reduced else size for axis, size in enumerate(shape))
        return tuple(self._scale_of(ops.ones(kept)).shape)

    def _flat_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Returns the weight's shape as a matrix: elements that share a scale, and the others."""
        rows = columns = 1
        for axis, size in enumerate(shape):
            if axis in self._reduced_axes():
                rows *= size
            else:
                columns *= size
        return (columns, rows) if self._is_table else (rows, columns)

    def _block_size(self, config: Any) -> int | None:
        if isinstance(config, Int4QuantizationConfig):
            size = config.block_size
        else:
            size = getattr(self.dtype_policy, "block_size", None)
        return None if size == -1 else size

    def _int4_build(self, shape: tuple[int, ...], config: Any) -> None:
        name, block = self._adapted_name, self._block_size(config)
        if not self._is_table:
            self.inputs_quantizer = QuantizationConfig.activation_quantizer_or_default(config, None)
        rows, columns = self._flat_shape(shape)
        self._int4_block_size = block
        if block is None:
            channels = rows if self._is_table else columns
            self._add_integers((rows, (columns + 1) // 2), (channels,))
            return
        length = columns if self._is_table else rows
        groups = -(-length // block)
        scale_shape = (rows, groups) if self._is_table else (groups, columns)
        self._add_integers((rows, (columns + 1) // 2), scale_shape)
        zero = self.add_weight(
            name=f"{name}_zero",
            shape=scale_shape,
            initializer="zeros",
            dtype="int8",
            trainable=False,
        )
        setattr(self, f"{name}_zero", zero)
        self.g_idx = self.add_weight(
            name="g_idx", shape=(length,), initializer="zeros", dtype="float32", trainable=False
        )
        self.g_idx.assign(ops.floor_divide(ops.arange(length, dtype="float32"), block))

    def _float8_build(self, shape: tuple[int, ...], config: Any) -> None:
        length = getattr(
            self.dtype_policy,
            "amax_history_length",
            dtype_policies.QuantizedFloat8DTypePolicy.default_amax_history_length,
        )
        for part in ("inputs", self._adapted_name, "outputs_grad"):
            for kind, sizes, start in (("scale", (), "ones"), ("amax_history", (length,), "zeros")):
                # Training overwrites them with what stands for their gradients.
                variable = self.add_weight(
                    name=f"{part}_{kind}",
                    shape=sizes,
                    initializer=start,
                    dtype="float32",
                    trainable=True,
                    autocast=False,
                    overwrite_with_gradient=True,
                )
                setattr(self, f"{part}_{kind}", variable)

    # Quantizing

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Quantizes the weight.

        Args:
            mode: `"int8"`, `"int4"` or `"float8"`; or `"gptq"` or `"awq"`, with a config: then
                `Model.quantize` calibrates the weight, which stays as it is until then.
            type_check: whether subclasses are refused.
            config: a `QuantizationConfig`, in place of the mode or besides it.

        Raises:
            ValueError: if the layer is not built or quantized already, or for wrong arguments.
            NotImplementedError: if the layer can't be quantized so.
        """
        from cornu.quantizers.configs import resolved

        config = resolved(mode, config)
        mode = config.mode
        self._check_quantizable(mode)
        if type_check and not type(self).__module__.startswith("cornu."):
            return super().quantize(mode, type_check, config)
        if mode not in self._modes():
            # The mode's own refusal.
            self.quantized_build(self._weight_shape, mode, config)
        if mode in CALIBRATED_MODES and self.lora_enabled:
            raise NotImplementedError(
                f"Layer '{self.name}' can't be quantized in mode='{mode}': it is adapted by LoRA."
            )
        name = mode
        if mode in CALIBRATED_MODES:
            name, config = config.dtype_policy_string(), config.without_samples()
        self._tracker.unlock()
        try:
            self.quantization_config = config
            if mode in _INTEGERS:
                parts = self._integers(mode, ops.convert_to_tensor(self._weight), config)
                self._untrack_variable(self._weight)
                self._tracker.unlock()
                self.quantized_build(self._weight_shape, mode, config)
                for attribute, value in parts.items():
                    getattr(self, attribute).assign(value)
            else:
                self.quantized_build(self._weight_shape, mode, config)
        finally:
            self._lock_state()
        if self.dtype_policy.quantization_mode is None:
            if mode == "int4":
                block = self._block_size(config)
                name = f"int4/{-1 if block is None else block}"
            self.dtype_policy = dtype_policies.get(f"{name}_from_{self.dtype_policy.name}")

    def _check_quantizable(self, mode: str) -> None:
        if not self.built:
            raise ValueError(
                f"Cannot quantize a layer that isn't yet built. Layer '{self.name}' (of type "
                f"'{type(self).__name__}') is not built yet."
            )
        if self.quantization_mode is not None:
            raise ValueError(
                f"Layer '{self.name}' is already quantized with "
                f"dtype_policy='{self.dtype_policy.name}'. Received: mode={mode}"
            )
        if mode == "int8" and self.compute_dtype == "float16":
            raise ValueError(
                f"Quantization mode='{mode}' doesn't work well with compute_dtype='float16'. "
                "Consider loading model/layer with another dtype policy such as 'mixed_bfloat16' "
                "or 'mixed_float16' before calling `quantize()`."
            )

    def _integers(self, mode: str, weight: Any, config: Any) -> dict[str, Any]:
        """Returns the variables of a quantized weight, by their attributes."""
        name = self._adapted_name
        scale_name, zero_name = f"{name}_scale", f"{name}_zero"
        default = QuantizationConfig.weight_quantizer_or_default
        if mode == "int8":
            quantizer = default(config, quantizers.AbsMaxQuantizer(axis=self._reduced_axes()))
            values, scale = quantizer(weight)
            return {f"_{name}": values, scale_name: self._scale_of(scale)}
        flat = ops.reshape(weight, self._flat_shape(self._weight_shape))
        axis, block = (-1 if self._is_table else 0), self._block_size(config)
        if block is None:
            quantizer = default(config, quantizers.AbsMaxQuantizer(axis, value_range=(-8, 7)))
            values, scale = quantizer(flat)
            parts = {scale_name: ops.squeeze(scale, axis)}
        else:
            turn = ops.transpose if self._is_table else ops.convert_to_tensor
            group = quantizers.abs_max_quantize_grouped_with_zero_point
            values, scale, zero = (turn(part) for part in group(turn(flat), block))
            parts = {scale_name: scale, zero_name: zero}
        return {f"_{name}": quantizers.pack_int4(values, axis=-1)[0], **parts}

    def _scale(self) -> Any:
        return getattr(self, f"{self._adapted_name}_scale")

    def _flat_integers(self) -> Any:
        """Returns the integers of a weight of 4 bits, in its flat shape."""
        _, columns = self._flat_shape(self._weight_shape)
        return quantizers.unpack_int4(self._weight, columns, axis=-1)

    def _dequantized(self) -> Any:
        """Returns the weight as floats."""
        if self.is_calibrated:
            return self._calibrated_kernel()
        if self.quantization_mode not in _INTEGERS:
            return self._weight
        dtype, scale = self.compute_dtype, self._scale()
        if self.quantization_mode == "int8":
            return ops.cast(self._weight, dtype) / self._wide_scale(ops.cast(scale, dtype))
        values = self._flat_integers()
        if self._int4_block_size is None:
            floats = ops.cast(values, dtype)
            scale = ops.cast(scale, dtype)
            flat = floats / (ops.expand_dims(scale, -1) if self._is_table else scale)
        else:
            zero = getattr(self, f"{self._adapted_name}_zero")
            turn = ops.transpose if self._is_table else ops.convert_to_tensor
            parts = (turn(part) for part in (values, scale, zero))
            flat = turn(quantizers.dequantize_grouped(*parts, self.g_idx, dtype))
        return ops.reshape(flat, self._weight_shape)

    def _shown(self) -> Any:
        """Returns the weight as its property gives it: integers as they are, as in Keras."""
        if self.is_calibrated or not self.built or self.quantization_mode not in _INTEGERS:
            return self._adapted()
        integers = self._weight
        if self.quantization_mode == "int4":
            integers = ops.reshape(self._flat_integers(), self._weight_shape)
        return ops.add(integers, self._lora_delta()) if self.lora_enabled else integers

    def _adapted(self) -> Any:
        if self.is_calibrated or (self.built and self.quantization_mode in _INTEGERS):
            weight = self._dequantized()
            return ops.add(weight, self._lora_delta()) if self.lora_enabled else weight
        return super()._adapted()

    # Computing

    def _finished(self, x: Any) -> Any:
        """Returns the outputs: the product with the bias added, activated."""
        bias = self.bias
        if bias is not None:
            if self.quantization_mode == "float8" and self.compute_dtype == "float32":
                bias = ops.cast(ops.cast(bias, "bfloat16"), "float32")  # as Keras has it
            x = ops.add(x, bias)
        return x if self.activation is None else self.activation(x)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs with the quantized weight."""
        if self.quantization_mode == "float8":
            return self._float8_call(*args, **kwargs)
        if self.quantization_mode in CALIBRATED_MODES:
            return self._calibrated_call(*args, **kwargs)
        return self._integer_call(*args, **kwargs)

    def _integer_call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.inputs_quantizer is None:
            return self._finished(self._product(inputs, self._adapted()))
        outputs = self._integer_product(inputs)
        if self.lora_enabled:
            outputs = outputs + self._product(inputs, self._lora_delta())
        return self._finished(outputs)

    def _integer_product(self, inputs: Any) -> Any:
        """Returns the product of quantized inputs with the integers; gradients see floats."""
        if self.quantization_mode == "int4":
            integers = ops.reshape(self._flat_integers(), self._weight_shape)
            scale = self._scale()
            kept = tuple(
                1 if axis in self._reduced_axes() else size
                for axis, size in enumerate(self._weight_shape)
            )
            scale = self._scale_of(ops.reshape(scale, kept))
        else:
            integers, scale = ops.convert_to_tensor(self._weight), self._scale()

        @ops.custom_gradient
        def scaled(x: Any) -> tuple[Any, Callable[..., Any]]:
            values, inputs_scale = self.inputs_quantizer(x, axis=self._input_axes(x))
            exact = "int8" if values.dtype == "int8" else "float32"
            product = self._product(ops.cast(values, exact), ops.cast(integers, exact))
            outputs = ops.cast(product, self.compute_dtype)
            outputs = outputs / (ops.cast(scale, outputs.dtype) * self._beside(inputs_scale, x))

            def gradient(*args: Any, upstream: Any = None) -> Any:
                upstream = args[0] if upstream is None else upstream
                return self._input_gradient(upstream, self._dequantized())

            return outputs, gradient

        return scaled(inputs)

    def _float8_call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.lora_enabled:
            raise NotImplementedError("Currently, `_float8_call` doesn't support LoRA")
        narrow, wide = "float8_e4m3fn", "float8_e5m2"
        name = self._adapted_name
        rounded = _rounded_forward(narrow, self.compute_dtype, bool(training))
        x = rounded(inputs, *self._float8_state("inputs"))
        weight = rounded(
            ops.cast(ops.convert_to_tensor(self._weight), self.compute_dtype),
            *self._float8_state(name),
        )
        outputs = self._product(x, weight)
        backward = _rounded_backward(wide, self.compute_dtype)
        return self._finished(backward(outputs, *self._float8_state("outputs_grad")))

    def _float8_state(self, part: str) -> tuple[Any, Any]:
        names = (f"{part}_scale", f"{part}_amax_history")
        return tuple(ops.convert_to_tensor(getattr(self, name)) for name in names)

    # Files

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The attributes that a file keeps, in their order, by mode."""
        name = self._adapted_name
        bias = [] if self._is_table else ["bias"]
        spec = {
            None: [name, *bias],
            "int8": [name, *bias, f"{name}_scale"],
            "int4": [name, *bias, f"{name}_scale", f"{name}_zero", "g_idx"],
        }
        if not self._is_table:
            parts = ("inputs", name, "outputs_grad")
            spec["float8"] = [
                name,
                "bias",
                *(f"{part}_{kind}" for part in parts for kind in ("scale", "amax_history")),
            ]
            integers = ["bias", "quantized_kernel", "kernel_scale", "kernel_zero"]
            spec["gptq"] = [*integers, "g_idx"]
            spec["awq"] = [*integers, "awq_scales", "g_idx"]
        return spec

    def _stored(self) -> list[str]:
        """The attributes that are there, with the weight's own in place of the adapted one."""
        name = self._adapted_name
        wanted = self.variable_serialization_spec[self.quantization_mode]
        names = [f"_{name}" if attribute == name else attribute for attribute in wanted]
        return [n for n in names if getattr(self, n, None) is not None]

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables; what LoRA has learnt is part of the weight."""
        if self.quantization_mode is None:
            return super().save_own_variables(store)
        if self.quantization_mode in CALIBRATED_MODES and not self.is_calibrated:
            raise ValueError(
                f"Layer '{self.name}' can't be saved: it is to be quantized in "
                f"mode='{self.quantization_mode}' and is not calibrated. Quantize the model with "
                "`model.quantize`."
            )
        merged = {}
        if self.lora_enabled and self.quantization_mode in _INTEGERS:
            merged = self._integers(self.quantization_mode, self._adapted(), None)
        for index, attribute in enumerate(self._stored()):
            store[str(index)] = ops.convert_to_numpy(
                merged.get(attribute, getattr(self, attribute))
            )

    def load_own_variables(self, store: Any) -> None:
        """Reads the variables, and sets what LoRA adds to nothing."""
        if self.quantization_mode is None:
            return super().load_own_variables(store)
        names = self._stored()
        if len(store) != len(names):
            raise ValueError(
                f"Layer '{self.name}' expected {len(names)} variables, but received {len(store)} "
                f"variables during loading. Expected: {names}"
            )
        for index, attribute in enumerate(names):
            getattr(self, attribute).assign(store[str(index)])
        if self.quantization_mode in CALIBRATED_MODES:
            self._drop_kernel()
        if self.lora_enabled:
            for matrix in self._lora_pair():
                matrix.assign(ops.zeros(matrix.shape))


def _rounded_forward(dtype: str, compute_dtype: str, training: bool) -> Callable[..., Any]:
    """Returns a function that rounds a tensor; its state's gradients are its new values."""

    @ops.custom_gradient
    def rounded(x: Any, scale: Any, history: Any) -> tuple[Any, Callable[..., Any]]:
        result = float8.quantize_and_dequantize(x, scale, dtype, compute_dtype)
        new = _moved_on(x, scale, history, dtype) if training else (scale, history)

        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            return (args[0] if upstream is None else upstream, *new)

        return result, gradient

    return rounded


def _rounded_backward(dtype: str, compute_dtype: str) -> Callable[..., Any]:
    """Returns the identity, whose gradient is rounded."""

    @ops.custom_gradient
    def identity(x: Any, scale: Any, history: Any) -> tuple[Any, Callable[..., Any]]:
        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            upstream = args[0] if upstream is None else upstream
            rounded = float8.quantize_and_dequantize(upstream, scale, dtype, compute_dtype)
            return (rounded, *_moved_on(upstream, scale, history, dtype))

        return ops.copy(x), gradient

    return identity


def _moved_on(x: Any, scale: Any, history: Any, dtype: str) -> tuple[Any, Any]:
    new = float8.compute_float8_scale(ops.max(history), scale, float8.largest(dtype))
    return new, float8.compute_float8_amax_history(x, history)
