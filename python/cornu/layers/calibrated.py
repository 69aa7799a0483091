"""Layers with one large weight that may be quantized by the inputs that it meets."""

from __future__ import annotations

import math
from typing import Any

from cornu import ops, quantizers
from cornu.layers.lora import LowRankLayer

CALIBRATED_MODES = ("gptq", "awq")


class CalibratedLayer(LowRankLayer):
    """A layer that GPTQ and AWQ can quantize.

    The weight stays until it is calibrated. Then it is a matrix of integers from 0 up, one row for
    each output, with grids for groups of inputs; `kernel_zero`, `kernel_scale` and `g_idx` say
    which. A subclass says in `_reduced_axes` which axes of the weight are those of an input.
    """

    _zero_name = "kernel_zero"
    _method: Any = None

    def _reduced_axes(self) -> tuple[int, ...]:
        """Returns the axes of the weight that go in the product with inputs."""
        raise NotImplementedError

    def _input_order(self, inputs: Any) -> tuple[int, ...]:
        """Returns the axes of inputs, those that go in the product last, as the weight has them."""
        return tuple(range(len(inputs.shape)))

    @property
    def is_calibrated(self) -> bool:
        """Whether GPTQ or AWQ has quantized the weight."""
        calibrated = self.built and self.quantization_mode in CALIBRATED_MODES
        return calibrated and self._kernel is None

    def _check_adaptable(self) -> None:
        super()._check_adaptable()
        if self.quantization_mode in CALIBRATED_MODES:
            raise NotImplementedError(
                f"Layer '{self.name}' can't be adapted by LoRA: it is quantized in "
                f"mode='{self.quantization_mode}'."
            )

    # The weight as a matrix

    def _matrix_order(self) -> tuple[int, ...]:
        reduced = self._reduced_axes()
        return (*reduced, *(i for i in range(len(self._weight_shape)) if i not in reduced))

    def _matrix_shape(self) -> tuple[int, int]:
        rows = math.prod(self._weight_shape[axis] for axis in self._reduced_axes())
        return rows, math.prod(self._weight_shape) // rows

    def kernel_matrix(self) -> Any:
        """Returns the weight that is to be calibrated, `(inputs, outputs)`."""
        weight = ops.transpose(ops.convert_to_tensor(self._kernel), self._matrix_order())
        return ops.reshape(weight, self._matrix_shape())

    def _calibrated_kernel(self) -> Any:
        """Returns the weight as floats, with its own axes."""
        _, outputs = self._matrix_shape()
        values = ops.convert_to_tensor(self.quantized_kernel)
        if self._calibrated_sizes(self.quantization_config)[0] == 4:
            values = quantizers.unpack_int4(values, outputs, axis=0, dtype="uint8")
        parts = (ops.transpose(part) for part in (values, self.kernel_scale, self.kernel_zero))
        matrix = quantizers.dequantize_grouped(*parts, self.g_idx, self.compute_dtype)
        if self.quantization_mode == "awq":
            spread = ops.cast(self.awq_scales, self.compute_dtype)
            matrix = matrix / ops.expand_dims(spread, 1)
        order = self._matrix_order()
        shape = tuple(self._weight_shape[axis] for axis in order)
        back = tuple(order.index(axis) for axis in range(len(order)))
        return ops.transpose(ops.reshape(matrix, shape), back)

    # Building and calibrating

    def _calibrated_sizes(self, config: Any) -> tuple[int, int]:
        """Returns the bits of a weight and the number of inputs that share a grid."""
        for source in (config, self.dtype_policy):
            if hasattr(source, "weight_bits"):
                return source.weight_bits, source.group_size
        raise ValueError(
            f"Layer '{self.name}' needs `weight_bits` and `group_size`, from a `GPTQConfig`, an "
            f"`AWQConfig` or a dtype policy. Received: config={config}, "
            f"dtype_policy={self.dtype_policy}"
        )

    def _gptq_build(self, shape: tuple[int, ...], config: Any) -> None:
        self._add_calibrated(config, spread=False)

    def _awq_build(self, shape: tuple[int, ...], config: Any) -> None:
        self._add_calibrated(config, spread=True)

    def _add_calibrated(self, config: Any, spread: bool) -> None:
        bits, group_size = self._calibrated_sizes(config)
        rows, columns = self._matrix_shape()
        groups = 1 if group_size == -1 else -(-rows // group_size)
        packed = (columns + 1) // 2 if bits == 4 else columns
        variables = {
            "quantized_kernel": ("kernel", (packed, rows), "uint8", "zeros"),
            "kernel_scale": ("kernel_scale", (columns, groups), None, "ones"),
            "kernel_zero": (self._zero_name, (columns, groups), "uint8", "zeros"),
            "awq_scales": ("awq_scales", (rows,), None, "ones"),
            "g_idx": ("g_idx", (rows,), "float32", "zeros"),
        }
        if not spread:
            del variables["awq_scales"]
        for attribute, (name, sizes, dtype, start) in variables.items():
            variable = self.add_weight(
                name=name, shape=sizes, dtype=dtype, initializer=start, trainable=False
            )
            setattr(self, attribute, variable)

    def watched_by(self, method: Any) -> None:
        """Shows the inputs of each call to `method.watch`, as rows; to nobody if it is None."""
        self._method = method

    def take_calibrated(self, method: Any) -> None:
        """Takes the weight over as `method.quantized` gives it."""
        parts = method.quantized(self.kernel_matrix())
        values = ops.transpose(ops.cast(parts.pop("values"), "uint8"))
        if self._calibrated_sizes(self.quantization_config)[0] == 4:
            values, _, _ = quantizers.pack_int4(values, axis=0, dtype="uint8")
        self._drop_kernel()
        self.quantized_kernel.assign(values)
        self.kernel_scale.assign(ops.transpose(parts.pop("scale")))
        self.kernel_zero.assign(ops.transpose(ops.cast(parts.pop("zero"), "uint8")))
        for attribute, value in parts.items():
            getattr(self, attribute).assign(value)

    def _drop_kernel(self) -> None:
        """Forgets the weight as floats."""
        if self._kernel is not None:
            self._untrack_variable(self._kernel)
            self._kernel = None

    def _calibrated_call(self, inputs: Any, training: bool | None = None) -> Any:
        if self._method is not None:
            rows = ops.transpose(inputs, self._input_order(inputs))
            self._method.watch(ops.reshape(rows, (-1, self._matrix_shape()[0])))
        return self._finished(self._product(inputs, self._adapted()))
