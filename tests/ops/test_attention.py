"""Attention in blocks, against the scores as a whole, which a bias asks for."""

import numpy as np
import pytest
from tests.processes import run_python

import cornu
from cornu import ops

# Batch, queries, keys, heads, key heads, depth of keys and of values; the axes of a mask; causal.
CALLS = [
    ((2, 5, 7, 4, 2, 3, 3), None, False),
    ((2, 3, 1, 1, 1, 2, 5), (0, 3), False),
    ((1, 150, 290, 2, 1, 20, 36), None, True),
    ((2, 70, 140, 2, 2, 8, 8), (0, 3), False),
    ((2, 70, 140, 2, 2, 8, 8), (2, 3), True),
    ((2, 140, 70, 3, 3, 5, 4), (0, 1, 2, 3), True),
]


def arrays(sizes, axes, dtype="float32"):
    batch, queries, keys, heads, key_heads, depth, value_depth = sizes
    rng = np.random.default_rng(0)
    shapes = (
        (batch, queries, heads, depth),
        (batch, keys, key_heads, depth),
        (batch, keys, key_heads, value_depth),
    )
    inputs = [ops.cast(rng.normal(size=shape), dtype) for shape in shapes]
    scores = (batch, heads, queries, keys)
    mask = None
    if axes is not None:
        shape = [size if axis in axes else 1 for axis, size in enumerate(scores)]
        mask = rng.random(shape) < 0.4
        mask[..., 0, :] = False
    return inputs, mask


def output_and_gradients(inputs, mask, **options):
    with cornu.GradientTape() as tape:
        for x in inputs:
            tape.watch(x)
        y = ops.dot_product_attention(*inputs, mask=mask, **options)
        loss = ops.sum(ops.sin(ops.cast(y, "float32")))
    return [np.asarray(x, "float64") for x in (y, *tape.gradient(loss, inputs))]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize(("sizes", "axes", "causal"), CALLS)
def test_blocks_give_what_the_scores_give(sizes, axes, causal, dtype):
    inputs, mask = arrays(sizes, axes, dtype)
    tolerance = {"float16": 2e-2, "bfloat16": 2e-1}.get(dtype, 1e-5)
    found = output_and_gradients(inputs, mask, is_causal=causal)
    zero = np.zeros((1, 1, 1, 1), dtype if dtype == "float64" else "float32")
    expected = output_and_gradients(inputs, mask, is_causal=causal, bias=zero)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("sizes", "axes", "causal"), CALLS)
def test_a_plan_for_any_length(sizes, axes, causal):
    inputs, mask = arrays(sizes, axes)
    symbolic = [cornu.KerasTensor((None, None, *x.shape[2:])) for x in inputs]
    output = ops.dot_product_attention(*symbolic, is_causal=causal)
    assert output.shape == (None, None, sizes[3], sizes[6])

    def call(query, key, value, mask):
        return ops.dot_product_attention(query, key, value, mask=mask, is_causal=causal)

    traced = cornu.function(call)
    for cut in range(min(3, sizes[1], sizes[2])):
        queries, keys = sizes[1] - cut, sizes[2] - cut
        parts = [inputs[0][:, :queries], *(x[:, :keys] for x in inputs[1:])]
        seen = None if mask is None else mask[..., :queries, :keys]
        found, expected = (np.asarray(f(*parts, seen)) for f in (traced, call))
        np.testing.assert_array_equal(found, expected)


def test_errors_name_what_came():
    x = np.ones((2, 3, 3, 4), "float32")
    with pytest.raises(ValueError, match="got 2 and 3"):
        ops.dot_product_attention(x, x[:, :, :2], x[:, :, :2])
    with pytest.raises(ValueError, match=r"\(2, 3, 3, 4\)"):
        ops.dot_product_attention(x, x[..., :3], x)
    with pytest.raises(ValueError, match="broadcast"):
        ops.dot_product_attention(x, x, x, mask=np.ones((5, 3), bool))


MEMORY = """
import resource

import cornu
from cornu import layers, ops

x = ops.ones((1, 8192, 1, 16))
small = x[:, :64]


def train(x):
    with cornu.GradientTape() as tape:
        tape.watch(x)
        y = ops.dot_product_attention(x, x, x, is_causal=True)
    return tape.gradient(y, x)


peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
calls = [train, cornu.function(train), layers.MultiHeadAttention(1, 16)]
inputs = [(x,), (x,), (x[:, :, 0], x[:, :, 0])]
for call, args in zip(calls, inputs):
    call(*(x[:, :64] for x in args))
before = peak()
for call, args in zip(calls, inputs):
    call(*args)
print(peak() - before)
"""


def test_a_long_sequence_needs_no_room_for_its_scores():
    scores = 8192**2 * 4 / 2**20
    grown = int(run_python(MEMORY))
    assert grown < scores / 4
