"""How indices become vectors, the same in all layers of categories."""

from typing import Any

import numpy as np

from cornu import ops
from cornu.tensor import standardize_shape

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count")


def check_output_mode(layer: Any, output_mode: str, allowed: tuple[str, ...]) -> None:
    """Raises ValueError if a layer has no such output mode."""
    if output_mode not in allowed:
        raise ValueError(
            f"Unknown value for `output_mode` argument of {type(layer).__name__}. "
            f"Allowed values are: {allowed}. Received: output_mode={output_mode}"
        )


def check_sparse(sparse: bool, output_mode: str) -> None:
    """Raises ValueError if sparse outputs are asked for: tensors are dense."""
    if sparse:
        raise ValueError(
            "`sparse=True` can only be used with the TensorFlow backend. "
            f"Received: sparse=True and output_mode={output_mode}"
        )


def encoded(indices: Any, output_mode: str, depth: int, dtype: str, weights: Any = None) -> Any:
    """Returns integers as they are, or as vectors of the size `depth`.

    Args:
        indices: integers of shape `(..., n)`, a tensor or an array; one that is not below `depth`
            counts nowhere.
        output_mode: `"int"`; `"one_hot"`: a vector for each, an axis of size 1 at the end being
            left out; `"multi_hot"`: one for each sample with ones for the integers that occur;
            `"count"`: with their numbers.
        depth: size of the vectors.
        dtype: dtype of the result.
        weights: what each counts, for `"count"`.
    """
    if output_mode == "int":
        return ops.cast(indices, dtype)
    rank = len(indices.shape)
    if rank == 0:
        indices, rank = indices[None], 1
    if output_mode == "one_hot" and rank > 1 and indices.shape[-1] == 1:
        indices = indices[..., 0]
    if output_mode != "one_hot" and weights is None and isinstance(indices, np.ndarray):
        rows = indices.reshape(-1, indices.shape[-1])
        places = np.repeat(np.arange(len(rows)), rows.shape[1])
        table = occurrences(places, rows.ravel(), len(rows), depth)
        table = np.minimum(table, 1) if output_mode == "multi_hot" else table
        return ops.cast(table.reshape((*indices.shape[:-1], depth)), dtype)
    hot = ops.one_hot(indices, depth, dtype=dtype)
    if output_mode == "one_hot":
        return hot
    if output_mode == "multi_hot":
        return ops.max(hot, axis=-2)
    if weights is not None:
        hot = ops.multiply(hot, ops.expand_dims(ops.cast(weights, dtype), -1))
    return ops.sum(hot, axis=-2)


def occurrences(rows: np.ndarray, indices: np.ndarray, count: int, depth: int) -> np.ndarray:
    """Returns how often each index occurs in each row, `(count, depth)`.

    Args:
        rows: the row of each index.
        indices: the indices; one outside of `depth` counts nowhere.
        count: number of rows.
        depth: size of a row.
    """
    table = np.zeros((count, depth), "int64")
    kept = (indices >= 0) & (indices < depth)
    np.add.at(table, (rows[kept], indices[kept]), 1)
    return table


def encoded_shape(shape: Any, output_mode: str, depth: int | None) -> tuple[int | None, ...]:
    """Returns the shape of what `encoded` gives for indices of a shape."""
    shape = standardize_shape(shape)
    if output_mode == "int":
        return shape
    if output_mode == "one_hot":
        if not shape:
            return (1, depth)
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (*shape[:-1], depth)
