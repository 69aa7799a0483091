"""Sequences made equally long."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Returns sequences as the rows of one array.

    Args:
        sequences: lists, or arrays whose further axes are equal.
        maxlen: length of the rows; that of the longest sequence by default.
        dtype: dtype of the result.
        padding: whether short sequences are filled `"pre"` (before) or `"post"` (behind).
        truncating: whether long ones lose their beginning (`"pre"`) or their end (`"post"`).
        value: what they are filled with.

    Returns:
        An array `(len(sequences), maxlen, ...)`.

    Raises:
        ValueError: if a sequence is none, the further axes differ, or an argument is unknown.

    >>> pad_sequences([[1], [2, 3]])
    array([[0, 1],
           [2, 3]], dtype=int32)
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    lengths = []
    sample_shape: tuple[int, ...] | None = None
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise ValueError(
                f"`sequences` must be a list of iterables. Found non-iterable: {sequence}"
            )
        lengths.append(len(sequence))
        if sample_shape is None and len(sequence):
            sample_shape = np.asarray(sequence).shape[1:]
    if maxlen is None:
        maxlen = int(np.max(lengths))
    is_text = np.issubdtype(dtype, np.str_)
    if isinstance(value, str) and dtype is not object and not is_text:
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\n"
            "You should set `dtype=object` for variable length strings."
        )
    for name, way in (("Padding", padding), ("Truncating", truncating)):
        if way not in ("pre", "post"):
            raise ValueError(f'{name} type "{way}" not understood')
    rows = np.full((len(lengths), maxlen, *(sample_shape or ())), value, dtype=dtype)
    for number, sequence in enumerate(sequences):
        if not len(sequence):
            continue
        first = max(len(sequence) - maxlen, 0) if truncating == "pre" else 0
        kept = np.asarray(sequence[first : first + maxlen], dtype=dtype)
        if kept.shape[1:] != (sample_shape or ()):
            raise ValueError(
                f"Shape of sample {kept.shape[1:]} of sequence at position {number} is different "
                f"from expected shape {sample_shape}"
            )
        if len(kept):
            place = slice(-len(kept), None) if padding == "pre" else slice(None, len(kept))
            rows[number, place] = kept
    return rows
