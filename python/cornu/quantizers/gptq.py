"""GPTQ: weights are rounded one input after the other, and the rest makes up for the error.

Paper: Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu import ops
from cornu.quantizers.configs import GPTQConfig
from cornu.quantizers.grids import grid, group_of, on_grid


def rounded_in_turn(
    weights: Any,
    factor: Any,
    bits: int,
    grid_of: Callable[[Any], tuple[Any, Any]],
    group_size: int = -1,
    block_size: int = 128,
) -> tuple[Any, Any, Any]:
    """Returns weights on grids, each row corrected for the errors of those before it.

    Args:
        weights: a matrix, `(inputs, outputs)`.
        factor: `(inputs, inputs)`; row `i` says how an error in row `i` is made up for by the
            rows from `i` on.
        bits: bits of an integer.
        grid_of: gives the scale and the zero point of rows, each `(1, outputs)`.
        group_size: rows that share a grid; -1: all.
        block_size: after so many rows the others are corrected, by one product.

    Returns:
        The integers as floats, `(inputs, outputs)`; scales and zero points, `(groups, outputs)`.
    """
    inputs = weights.shape[0]
    size = inputs if group_size == -1 else group_size
    integers, scales, zeros = [], [], []
    left = weights
    for start in range(0, inputs, block_size):
        stop = min(start + block_size, inputs)
        block, errors = left[: stop - start], []
        for row in range(start, stop):
            if row % size == 0:
                scale, zero = grid_of(left[row - start : row - start + size])
                scales.append(scale)
                zeros.append(zero)
            rounded = on_grid(block[:1], scale, zero, bits)
            error = (block[:1] - (rounded - zero) * scale) / factor[row, row]
            block = block[1:] - ops.expand_dims(factor[row, row + 1 : stop], 1) * error
            integers.append(rounded)
            errors.append(error)
        effects = ops.transpose(factor[start:stop, stop:])
        left = left[stop - start :] - ops.matmul(effects, ops.concatenate(errors))
    return ops.concatenate(integers), ops.concatenate(scales), ops.concatenate(zeros)


def inverse_factor(hessian: Any) -> Any:
    """Returns the upper triangular `u` with `inverse(hessian) = transpose(u) @ u`.

    Row `i` belongs to the inverse for the inputs from `i` on, those before it being fixed.
    """
    # The factor from the last input up, so that nothing is inverted but a triangle.
    upper = ops.flip(ops.cholesky(ops.flip(hessian)))
    return ops.solve_triangular(upper, ops.eye(upper.shape[0], dtype=upper.dtype))


class GPTQ:
    """Quantizes a matrix of weights by the second moments of its inputs.

    Args:
        config: how it is quantized.
        inputs: number of rows of the matrix.
    """

    def __init__(self, config: GPTQConfig, inputs: int) -> None:
        self.config = config
        self.count = 0
        self.hessian = ops.zeros((inputs, inputs), "float32")

    def watch(self, rows: Any) -> None:
        """Takes note of inputs, `(samples, inputs)`."""
        rows = ops.cast(rows, "float32")
        total = self.count + rows.shape[0]
        moments = ops.matmul(ops.transpose(rows), rows)
        self.hessian = self.hessian * (self.count / total) + moments * (2.0 / total)
        self.count = total

    def _damped(self) -> Any:
        """Returns the moments, made safe to invert; inputs that were always 0 stand alone."""
        diagonal = ops.diagonal(self.hessian)
        dead = ops.cast(ops.equal(diagonal, 0.0), "float32")
        damping = self.config.hessian_damping * ops.mean(diagonal + dead)
        return self.hessian + ops.diag(dead + damping)

    def _grid_of(self, rows: Any) -> tuple[Any, Any]:
        config = self.config
        axis = 0 if config.per_channel else (0, 1)
        found = grid(rows, axis, config.weight_bits, config.symmetric)
        return tuple(ops.broadcast_to(part, (1, rows.shape[1])) for part in found)

    def quantized(self, weights: Any) -> dict[str, Any]:
        """Returns the integers of weights, `(inputs, outputs)`, with their grids and groups."""
        config, hessian = self.config, self._damped()
        groups = group_of(weights.shape[0], config.group_size)
        weights = ops.cast(weights, "float32")
        if config.activation_order:
            order = ops.argsort(ops.negative(ops.diagonal(hessian)))
            weights = ops.take(weights, order, axis=0)
            hessian = ops.take(ops.take(hessian, order, axis=0), order, axis=1)
        values, scale, zero = rounded_in_turn(
            weights, inverse_factor(hessian), config.weight_bits, self._grid_of, config.group_size
        )
        if config.activation_order:
            back = ops.argsort(order)
            values, groups = (ops.take(part, back, axis=0) for part in (values, groups))
        return {"values": values, "scale": scale, "zero": zero, "g_idx": groups}
