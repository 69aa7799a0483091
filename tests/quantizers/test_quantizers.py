"""Quantizers, their configs and policies against Keras."""

import json

import numpy as np
import pytest

import cornu
from cornu import GradientTape, ops
from reference import keras as real

RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 5)).astype("float32")


def _equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        assert str(a.dtype) == str(b.dtype)


@pytest.mark.parametrize("axis", [0, -1, (0, 1)])
def test_abs_max(axis):
    for arguments in ({}, {"value_range": (-8, 7)}):
        ours = cornu.quantizers.abs_max_quantize(X, axis, **arguments)
        _equal(ours, real.quantizers.abs_max_quantize(X, axis, **arguments))
        ours = cornu.quantizers.AbsMaxQuantizer(**arguments)(X, axis=axis)
        _equal(ours, real.quantizers.AbsMaxQuantizer(**arguments)(X, axis=axis))


@pytest.mark.parametrize("block_size", [1, 3, 7, 10])
def test_groups(block_size):
    name = "abs_max_quantize_grouped_with_zero_point"
    ours = getattr(cornu.quantizers, name)(X, block_size)
    theirs = getattr(real.quantizers, name)(X, block_size, to_numpy=True)
    _equal(ours, theirs)
    values, scale, zero = ours
    groups = np.arange(7) // block_size
    back = cornu.quantizers.dequantize_grouped(values, scale, zero, groups, "float32")
    expected = (np.asarray(values) - np.asarray(zero)[groups]) * np.asarray(scale)[groups]
    np.testing.assert_allclose(back, expected, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_packing(axis, dtype):
    low, high = (-8, 8) if dtype == "int8" else (0, 16)
    values = RNG.integers(low, high, (5, 3)).astype(dtype)
    packed, shape, length = cornu.quantizers.pack_int4(values, axis, dtype)
    theirs = real.quantizers.pack_int4(values, axis, dtype)
    np.testing.assert_array_equal(packed, theirs[0])
    assert (tuple(shape), length) == (tuple(theirs[1]), theirs[2])
    back = cornu.quantizers.unpack_int4(packed, length, axis, dtype)
    np.testing.assert_array_equal(back, values)
    with pytest.raises(TypeError):
        cornu.quantizers.pack_int4(values.astype("float32"))
    with pytest.raises(ValueError):
        cornu.quantizers.pack_int4(values, dtype="int32")


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_float8(dtype):
    # The middle of two neighbours too, numbers below the least normal one, and large ones.
    x = np.concatenate([X.ravel() * 10.0**e for e in range(-8, 7)] + [np.arange(0, 40, 0.25)])
    x = x.astype("float32")
    for scale in (1.0, 0.37):
        scale = np.float32(scale)
        ours = cornu.quantizers.quantize_and_dequantize(x, scale, dtype, "float32")
        theirs = real.quantizers.quantize_and_dequantize(x, scale, dtype, "float32")
        np.testing.assert_array_equal(ours, theirs)
    history = np.abs(X[0])
    np.testing.assert_array_equal(
        cornu.quantizers.compute_float8_amax_history(X, ops.array(history)),
        real.quantizers.compute_float8_amax_history(X, real.ops.array(history)),
    )
    for amax in (2.0, 0.0, np.inf):
        values = [np.float32(v) for v in (amax, 3.0, 448.0)]
        np.testing.assert_allclose(
            cornu.quantizers.compute_float8_scale(*map(ops.array, values)),
            real.quantizers.compute_float8_scale(*map(real.ops.array, values)),
            rtol=1e-6,
        )


@pytest.mark.parametrize("narrow_range", [False, True])
@pytest.mark.parametrize("axis", [None, 1])
def test_fake_quantization(axis, narrow_range):
    ends = (-1.03, 1.47) if axis is None else (-np.arange(1, 6) / 2.1, np.arange(1, 6) / 1.7)
    low, high = (np.asarray(end, "float32") for end in ends)
    arguments = {"num_bits": 4, "narrow_range": narrow_range, "axis": axis}
    ours = cornu.quantizers.fake_quant_with_min_max_vars(X, low, high, **arguments)
    theirs = real.quantizers.fake_quant_with_min_max_vars(X, low, high, **arguments)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    variables = [cornu.Variable(value) for value in (X, low, high)]
    with GradientTape() as tape:
        outputs = cornu.quantizers.fake_quant_with_min_max_vars(*variables, **arguments)
        loss = ops.sum(outputs)
    dx, dlow, dhigh = map(np.asarray, tape.gradient(loss, variables))
    assert dlow.shape == low.shape and dhigh.shape == high.shape
    np.testing.assert_allclose(np.sum(dx) + np.sum(dlow) + np.sum(dhigh), X.size)


def _json(config):
    return json.loads(json.dumps(config))


CONFIGS = {
    "int8": lambda q: q.Int8QuantizationConfig(),
    "int8 own": lambda q: q.Int8QuantizationConfig(q.AbsMaxQuantizer(axis=0), None),
    "int4": lambda q: q.Int4QuantizationConfig(block_size=64),
    "int4 own": lambda q: q.Int4QuantizationConfig(
        q.AbsMaxQuantizer(axis=0, value_range=(-8, 7)), block_size=None
    ),
    "float8": lambda q: q.Float8QuantizationConfig(),
    "gptq": lambda q: q.GPTQConfig(["a"], None, weight_bits=3, group_size=-1),
    "awq": lambda q: q.AWQConfig(["a"], None, group_size=32),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_that_of_keras(name):
    ours, theirs = (CONFIGS[name](library.quantizers) for library in (cornu, real))
    assert _json(ours.get_config()) == _json(theirs.get_config()) and ours.mode == theirs.mode
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()
    stored = [lib.saving.serialize_keras_object(c) for lib, c in ((cornu, ours), (real, theirs))]
    assert _json(stored[0]) == _json(stored[1])
    if name in ("gptq", "awq"):
        assert ours.dtype_policy_string() == theirs.dtype_policy_string()


@pytest.mark.parametrize("library", [cornu, real])
def test_wrong_configs(library):
    q = library.quantizers
    for wrong in (
        lambda: q.AbsMaxQuantizer(value_range=(-300, 300)),
        lambda: q.Int8QuantizationConfig(q.AbsMaxQuantizer(output_dtype="int4")),
        lambda: q.Int4QuantizationConfig(block_size=0),
        lambda: q.Int4QuantizationConfig(q.AbsMaxQuantizer(value_range=(-8, 7))),
        lambda: q.Int4QuantizationConfig(q.AbsMaxQuantizer(), block_size=-1),
        lambda: q.GPTQConfig([], None, weight_bits=5),
        lambda: q.GPTQConfig([], None, hessian_damping=2.0),
        lambda: q.GPTQConfig([], None, group_size=0),
        lambda: q.AWQConfig([], None, weight_bits=8),
        lambda: q.AWQConfig([], None, num_grid_points=0),
        lambda: q.get("nothing"),
    ):
        with pytest.raises(ValueError):
            wrong()


POLICIES = [
    "int8_from_float32",
    "int4_from_float32",
    "int4/128_from_mixed_bfloat16",
    "int4/-1_from_float32",
    "float8_from_float32",
    "gptq/4/128_from_float32",
    "awq/4/-1_from_mixed_float16",
]


@pytest.mark.parametrize("name", POLICIES)
def test_policy_is_that_of_keras(name):
    ours, theirs = cornu.dtype_policies.get(name), real.dtype_policies.get(name)
    assert type(ours).__name__ == type(theirs).__name__ and ours.name == theirs.name
    assert ours.get_config() == theirs.get_config()
    assert ours.quantization_mode == theirs.quantization_mode
    assert (ours.compute_dtype, ours.variable_dtype) == (
        theirs.compute_dtype,
        theirs.variable_dtype,
    )
    again = cornu.dtype_policies.deserialize(cornu.dtype_policies.serialize(ours))
    assert again == ours


@pytest.mark.parametrize(
    "name",
    [
        "int4/0_from_float32",
        "int4/x_from_float32",
        "gptq/5/128_from_float32",
        "awq/8/1_from_float32",
    ],
)
def test_wrong_policies(name):
    for library in (cornu, real):
        with pytest.raises(ValueError):
            library.dtype_policies.get(name)
