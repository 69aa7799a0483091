"""Connectionist temporal classification: Graves et al., 2006, doi:10.1145/1143844.1143891."""

from __future__ import annotations

from typing import Any

import numpy as np

from cornu._cornu import Tensor, primitive
from cornu.ops.activation import log_softmax
from cornu.ops.creation import counting, full
from cornu.ops.elementwise import logaddexp
from cornu.ops.losses import one_hot
from cornu.ops.manipulation import concatenate, expand_dims, pad, reshape, transpose
from cornu.ops.operation import op
from cornu.ops.products import matmul
from cornu.ops.promotion import as_float, as_tensor
from cornu.ops.reduction import argmax, max, sum
from cornu.ops.selection import argsort, take_along_axis

_select = primitive("where")

# The logarithm of a probability of nothing; finite, so that differences stay numbers.
_NEVER = -1e5


@op
def ctc_loss(
    target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0
) -> Tensor:
    """The negative log-probability of a sequence of labels, over all its alignments.

    Args:
        target: The labels, `(batch, labels)`.
        output: The logits, `(batch, steps, classes)`.
        target_length: How many labels count, `(batch,)`.
        output_length: How many steps count, `(batch,)`.
        mask_index: The class that stands for no label.

    Returns:
        A float tensor `(batch,)`.
    """
    target, output = as_tensor(target, "int32"), as_float(output)
    target_length = as_tensor(target_length, "int32")
    output_length = as_tensor(output_length, "int32")
    if target.ndim != 2 or output.ndim != 3:
        raise ValueError(
            "`target` must have two axes and `output` three. "
            f"Received: target.shape={tuple(target.shape)}, output.shape={tuple(output.shape)}"
        )
    batch, labels = target.shape
    steps = int(output.shape[1])
    dtype = output.dtype
    logs = log_softmax(output)
    # Labels stand between blanks: states 0, 2, 4, ... are blanks, 1, 3, 5, ... labels.
    states = 2 * labels + 1
    blanks = full((batch, labels, 1), mask_index, "int32")
    between = reshape(concatenate([blanks, expand_dims(target, -1)], -1), (batch, 2 * labels))
    symbols = concatenate([between, full((batch, 1), mask_index, "int32")], -1)
    chosen = one_hot(symbols, output.shape[-1], dtype=dtype)
    emitted = matmul(logs, transpose(chosen, (0, 2, 1)))
    never = as_tensor(_NEVER, dtype)
    place = counting(states, "int32")
    # A blank between two labels may be left out unless they are the same.
    differs = pad(symbols[:, 2:] != symbols[:, :-2], [(0, 0), (2, 0)])
    skips = differs & (place % 2 == 1)
    forward = _select(place < 2, emitted[:, 0], never)
    for t in range(1, steps):
        one = pad(forward[:, :-1], [(0, 0), (1, 0)], constant_values=_NEVER)
        two = pad(forward[:, :-2], [(0, 0), (2, 0)], constant_values=_NEVER)
        step = logaddexp(logaddexp(forward, one), _select(skips, two, never)) + emitted[:, t]
        forward = _select(expand_dims(output_length > t, -1), step, forward)
    last = one_hot(2 * target_length, states, dtype=dtype)
    before = one_hot(2 * target_length - 1, states, dtype=dtype)
    blank_end = sum(forward * last, -1)
    label_end = _select(target_length > 0, sum(forward * before, -1), never)
    return -logaddexp(blank_end, label_end)


@op
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Tensor, Tensor]:
    """The most probable sequences of labels.

    Args:
        inputs: The logits, `(batch, steps, classes)`.
        sequence_lengths: How many steps count, `(batch,)`.
        strategy: `"greedy"` or `"beam_search"`.
        beam_width: How many sequences a beam search keeps.
        top_paths: How many of them are returned.
        merge_repeated: Whether a label repeated without a blank between is one.
        mask_index: The class that stands for no label.

    Returns:
        A tuple of the labels, `(paths, batch, steps)`, filled up with -1, and of scores
        `(batch, paths)`.

    Raises:
        ValueError: the strategy is unknown.
    """
    logits = as_float(inputs)
    lengths = as_tensor(sequence_lengths, "int32")
    if strategy == "greedy":
        return _greedy(logits, lengths, merge_repeated, mask_index)
    if strategy == "beam_search":
        return _beams(logits, lengths, beam_width, top_paths, mask_index)
    raise ValueError(
        f"Invalid strategy {strategy}. Supported values are 'greedy' and 'beam_search'."
    )


def _greedy(logits: Tensor, lengths: Tensor, merge: bool, blank: int) -> tuple[Tensor, Tensor]:
    steps = logits.shape[1]
    best = argmax(logits, axis=-1)
    inside = counting(steps, "int32") < expand_dims(lengths, -1)
    zero = as_tensor(0, logits.dtype)
    score = -sum(_select(inside, max(logits, axis=-1), zero), axis=-1, keepdims=True)
    keep = inside & (best != blank)
    if merge:
        repeated = pad(best[:, 1:] == best[:, :-1], [(0, 0), (1, 0)])
        keep = keep & ~repeated
    # Kept labels move to the front, in order.
    order = argsort(as_tensor(~keep, "int32"), axis=-1)
    labels = take_along_axis(_select(keep, best, as_tensor(-1, "int32")), order, axis=-1)
    return expand_dims(labels, 0), score


def _beams(
    logits: Tensor, lengths: Tensor, width: int, paths: int, blank: int
) -> tuple[Tensor, Tensor]:
    """Prefix beam search: each prefix with its probability to end in a blank and in a label."""
    logs = log_softmax(logits).numpy().astype("float64")
    counts = lengths.numpy()
    batch, steps, classes = logs.shape
    labels = np.full((paths, batch, steps), -1, "int32")
    scores = np.full((batch, paths), -np.inf)
    for b in range(batch):
        beam = {(): (0.0, -np.inf)}
        for row in logs[b, : counts[b]]:
            grown: dict[tuple[int, ...], list[float]] = {}

            def put(prefix: tuple[int, ...], kind: int, value: float, grown: Any = grown) -> None:
                entry = grown.setdefault(prefix, [-np.inf, -np.inf])
                entry[kind] = np.logaddexp(entry[kind], value)

            for prefix, (in_blank, in_label) in beam.items():
                either = np.logaddexp(in_blank, in_label)
                put(prefix, 0, either + row[blank])
                for c in range(classes):
                    if c == blank:
                        continue
                    if prefix and prefix[-1] == c:
                        put(prefix, 1, in_label + row[c])
                        put((*prefix, c), 1, in_blank + row[c])
                    else:
                        put((*prefix, c), 1, either + row[c])
            ranked = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))
            beam = {prefix: tuple(entry) for prefix, entry in ranked[:width]}
        for p, (prefix, entry) in enumerate(list(beam.items())[:paths]):
            labels[p, b, : len(prefix)] = prefix
            scores[b, p] = np.logaddexp(*entry)
    return as_tensor(labels), as_tensor(scores, logits.dtype)
