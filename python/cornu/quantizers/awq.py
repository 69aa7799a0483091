"""AWQ: weights of inputs with large activations are spread before they are rounded.

Paper: Lin et al., AWQ: Activation-aware Weight Quantization for LLM Compression (2023).
"""

from __future__ import annotations

from typing import Any

from cornu import ops
from cornu.quantizers.configs import AWQConfig
from cornu.quantizers.grids import grid, group_of, on_grid
from cornu.quantizers.integers import dequantize_grouped


class AWQ:
    """Quantizes a matrix of weights by the largest magnitudes of its inputs.

    Args:
        config: how it is quantized.
        inputs: number of rows of the matrix.
    """

    def __init__(self, config: AWQConfig, inputs: int) -> None:
        self.config = config
        self.magnitudes = ops.zeros((inputs,), "float32")

    def watch(self, rows: Any) -> None:
        """Takes note of inputs, `(samples, inputs)`."""
        rows = ops.cast(rows, "float32")
        self.magnitudes = ops.maximum(self.magnitudes, ops.max(ops.abs(rows), axis=0))

    def _on_grids(self, weights: Any) -> dict[str, Any]:
        """Returns the integers of weights with the grids of their groups."""
        inputs, outputs = weights.shape
        size = inputs if self.config.group_size == -1 else self.config.group_size
        groups = -(-inputs // size)
        padded = ops.pad(weights, ((0, groups * size - inputs), (0, 0)))
        blocks = ops.reshape(padded, (groups, size, outputs))
        scale, zero = grid(blocks, 1, self.config.weight_bits)
        values = ops.reshape(
            on_grid(blocks, scale, zero, self.config.weight_bits), (groups * size, outputs)
        )
        return {
            "values": values[:inputs],
            "scale": ops.squeeze(scale, 1),
            "zero": ops.squeeze(zero, 1),
            "g_idx": group_of(inputs, self.config.group_size),
        }

    def quantized(self, weights: Any) -> dict[str, Any]:
        """Returns the integers of weights, `(inputs, outputs)`, with grids, groups and spreads.

        The spread of an input is a power of its magnitude: the one, of those tried, with the
        least error of the weights times the magnitudes.
        """
        weights = ops.cast(weights, "float32")
        magnitudes = ops.where(self.magnitudes < 1e-8, 1.0, self.magnitudes)
        best, least = {}, float("inf")
        for point in range(self.config.num_grid_points + 1):
            spread = ops.power(magnitudes, point / self.config.num_grid_points)
            spread = ops.maximum(spread, 1e-4)
            middle = ops.sqrt(ops.max(spread) * ops.min(spread))
            spread = spread / ops.maximum(middle, 1e-8)
            wide = ops.expand_dims(spread, 1)
            found = self._on_grids(weights * wide)
            rounded = dequantize_grouped(*found.values(), "float32") / wide
            errors = (weights - rounded) * ops.expand_dims(magnitudes, 1)
            loss = float(ops.mean(ops.square(errors)))
            if not best or loss < least:
                best, least = {**found, "awq_scales": spread}, loss
        return best
