"""GPTQ and AWQ: what calibration finds, against Keras's methods and against plain rounding."""

import numpy as np
import pytest
from keras.src.quantizers import awq as real_awq
from keras.src.quantizers import gptq as real_gptq

import cornu
from cornu import ops
from cornu.quantizers.awq import AWQ
from cornu.quantizers.calibration import METHODS, samples_of
from cornu.quantizers.gptq import GPTQ, inverse_factor, rounded_in_turn
from cornu.quantizers.grids import grid, on_grid
from reference import keras as real

RNG = np.random.default_rng(0)
INPUTS, OUTPUTS = 12, 5
WEIGHTS = RNG.standard_normal((INPUTS, OUTPUTS)).astype("float32")
# Both signs in each group: only then Keras's grids hold zero.
WEIGHTS[0::4], WEIGHTS[1::4] = np.abs(WEIGHTS[0::4]), -np.abs(WEIGHTS[1::4])
# Inputs that depend on each other, of unlike sizes, and one that is always 0.
SEEN = RNG.standard_normal((4, 30, 4)) @ RNG.standard_normal((4, INPUTS))
SEEN = ((SEEN + RNG.standard_normal((4, 30, INPUTS)) / 9) * np.linspace(0.5, 3, INPUTS)).astype(
    "float32"
)
SEEN[..., 3] = 0.0
LIBRARIES = (cornu, real)


def _config(library, mode, dataset=(), tokenizer=None, **arguments):
    kind = {"gptq": library.quantizers.GPTQConfig, "awq": library.quantizers.AWQConfig}[mode]
    return kind(dataset, tokenizer, **arguments)


def _layer(library, mode, arguments):
    layer = library.layers.Dense(OUTPUTS)
    layer.build((None, INPUTS))
    layer.set_weights([WEIGHTS, np.arange(OUTPUTS)])
    layer.quantize(mode, config=_config(library, mode, **arguments))
    return layer


def _theirs(mode, arguments):
    """A layer that Keras's method has quantized."""
    layer = _layer(real, mode, arguments)
    config = _config(real, mode, **arguments)
    if mode == "gptq":
        method = real_gptq.GPTQ(layer, config)
        for x in SEEN:
            method.update_hessian_with_batch(x)
        method.quantize_and_correct_layer()
    else:
        method = real_awq.AWQ(layer, config)
        for x in SEEN:
            method.update_activation_magnitudes(x)
        method.quantize_layer()
    return layer


def _ours(mode, arguments):
    layer = _layer(cornu, mode, arguments)
    method = METHODS[mode](_config(cornu, mode, **arguments), INPUTS)
    layer.watched_by(method)
    for x in SEEN:
        layer(x)
    layer.watched_by(None)
    layer.take_calibrated(method)
    return layer


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_grid_is_that_of_keras(symmetric, bits, per_channel):
    weights = WEIGHTS * np.array([1, 1, 1, 0, 5], "float32")  # a column of zeros too
    scale, zero = grid(ops.array(weights), 0 if per_channel else (0, 1), bits, symmetric)
    arguments = {"bits": bits, "symmetric": symmetric, "per_channel": per_channel}
    theirs = real_gptq.compute_quantization_parameters(weights.T, **arguments)
    for got, expected in zip((scale, zero), theirs[:2], strict=True):
        got = np.broadcast_to(got, (1, OUTPUTS))
        np.testing.assert_allclose(got, np.asarray(expected).T, rtol=1e-6)


def test_grid_holds_zero():
    weights = ops.array([[5.0], [6.0]])
    scale, zero = grid(weights, 0, 4)
    integers = on_grid(weights, scale, zero, 4)
    np.testing.assert_allclose((integers - zero) * scale, weights, atol=0.2)


# Blocks that end inside of a group are left out: there Keras makes more grids than groups.
@pytest.mark.parametrize(("group_size", "block_size"), [(-1, 128), (4, 128), (4, 8)])
def test_rounding_in_turn_is_that_of_keras(group_size, block_size):
    moments = SEEN.reshape(-1, INPUTS)
    factor = np.linalg.inv(moments.T @ moments / len(moments) + np.eye(INPUTS)).astype("float32")
    ours = rounded_in_turn(
        ops.array(WEIGHTS), ops.array(factor), 4, lambda w: grid(w, 0, 4), group_size, block_size
    )
    theirs = real_gptq.gptq_quantize_matrix(
        WEIGHTS.T,
        real.ops.array(factor),
        blocksize=block_size,
        group_size=group_size,
        compute_scale_zero=lambda w: real_gptq.compute_quantization_parameters(
            w, bits=4, per_channel=True
        ),
    )
    for got, expected in zip(ours, theirs[:3], strict=True):
        np.testing.assert_allclose(got, np.asarray(expected).T, rtol=1e-5)


def test_inverse_factor():
    hessian = (SEEN[0].T @ SEEN[0] + np.eye(INPUTS)).astype("float32")
    factor = np.asarray(inverse_factor(ops.array(hessian)))
    assert not np.tril(factor, -1).any()
    inverse = np.linalg.inv(hessian.astype("float64"))
    np.testing.assert_allclose(factor.T @ factor, inverse, atol=1e-4 * np.abs(inverse).max())


def test_moments_are_those_of_keras():
    method = GPTQ(_config(cornu, "gptq"), INPUTS)
    theirs = real_gptq.GPTQ(_layer(real, "gptq", {}), _config(real, "gptq"))
    for x in (SEEN[0], SEEN[1][:7]):
        method.watch(ops.array(x))
        theirs.update_hessian_with_batch(x)
    expected = np.asarray(theirs.hessian)
    np.testing.assert_allclose(method.hessian, expected, atol=1e-4 * expected.max())


@pytest.mark.parametrize("arguments", [{"group_size": -1}, {"group_size": 4}, {"group_size": 5}])
def test_awq_is_that_of_keras(arguments):
    ours, theirs = (make("awq", arguments) for make in (_ours, _theirs))
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        assert (a.path.split("/")[1], str(a.dtype)) == (b.path.split("/")[1], str(b.dtype))
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-4, err_msg=a.path)
    np.testing.assert_allclose(ours(SEEN), np.asarray(theirs(SEEN)), rtol=1e-3, atol=1e-3)


GPTQ_CASES = [
    {},
    {"group_size": 4},
    {"group_size": 4, "activation_order": True},
    {"symmetric": True},
    {"per_channel": False},
    {"weight_bits": 2},
    {"weight_bits": 3, "group_size": 5},
    {"weight_bits": 8},
]


@pytest.mark.parametrize("arguments", GPTQ_CASES)
def test_gptq_errs_as_little_as_that_of_keras(arguments):
    arguments = {"group_size": -1, **arguments}
    ours, theirs = (make("gptq", arguments) for make in (_ours, _theirs))
    shapes = [[(w.shape, str(w.dtype)) for w in layer.weights] for layer in (ours, theirs)]
    assert shapes[0] == shapes[1]
    plain = _theirs_unseen(arguments)
    exact = SEEN @ WEIGHTS + np.arange(OUTPUTS)
    errors = [np.square(np.asarray(layer(SEEN)) - exact).mean() for layer in (ours, theirs, plain)]
    assert errors[0] < 1.3 * errors[1] and errors[0] < 0.9 * errors[2]
    if arguments["group_size"] == -1:  # then the grids don't depend on corrections
        for name in ("kernel_scale", "kernel_zero"):
            np.testing.assert_allclose(
                getattr(ours, name), np.asarray(getattr(theirs, name)), rtol=1e-5
            )


def _theirs_unseen(arguments):
    """Keras's layer without samples: every weight is rounded to the nearest."""
    layer = _layer(real, "gptq", arguments)
    real_gptq.GPTQ(layer, _config(real, "gptq", **arguments)).quantize_and_correct_layer()
    return layer


def test_gptq_errs_less_than_rounding_and_than_by_the_inverse():
    """Keras takes the inverse of the moments where the paper has its triangular factor."""
    rng = np.random.default_rng(1)
    seen = rng.standard_normal((500, 64)) @ (np.eye(64) + 0.3 * rng.standard_normal((64, 64)))
    weights = ops.array(rng.standard_normal((64, 32)), "float32")
    hessian = ops.array(seen.T @ seen / len(seen) + np.eye(64) / 10, "float32")
    scale, zero = grid(weights, 0, 4)
    ways = [on_grid(weights, scale, zero, 4)]
    for factor in (ops.inv(hessian), inverse_factor(hessian)):
        ways.append(rounded_in_turn(weights, factor, 4, lambda w: grid(w, 0, 4), -1, 16)[0])
    errors = [np.square(seen @ np.asarray((w - zero) * scale - weights)).mean() for w in ways]
    assert errors[2] < 0.7 * errors[0] and errors[2] < 0.7 * errors[1]


TOKENS = np.arange(20)


def _model(library):
    """A model with two blocks, whose layers have kernels of two and three axes."""
    layers = library.layers
    inputs = library.Input((None, 8))
    x = layers.Dense(9, activation="relu", name="first")(inputs)
    x = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", name="heads")(x)
    x = layers.EinsumDense("abde,def->abf", (None, 8), name="joined")(x)
    blocks = [
        library.Model(inputs, x),
        library.Sequential([library.Input((None, 8)), layers.Dense(8, name="last")]),
    ]
    table = layers.Embedding(20, 8)
    ids = library.Input((None,), dtype="int32")
    outputs = layers.Dense(3, name="head")(blocks[1](blocks[0](table(ids))))
    model = library.Model(ids, outputs)
    rng = np.random.default_rng(5)
    model.set_weights([rng.standard_normal(w.shape) / 2 for w in model.get_weights()])
    return model, {"pre_block_layers": [table], "sequential_blocks": blocks}


def _quantized(mode, **arguments):
    model, structure = _model(cornu)
    config = _config(
        cornu,
        mode,
        [TOKENS],
        object(),
        sequence_length=20,
        num_samples=2,
        group_size=4,
        quantization_layer_structure=structure,
    )
    model.quantize(mode, config=config, **arguments)
    return model


@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_model(mode, tmp_path):
    x = TOKENS[None]
    plain = _model(cornu)[0]
    exact = plain.predict(x, verbose=0)
    ours = _quantized(mode)
    inside = [layer for layer in ours._flatten_layers() if layer.name in ("first", "heads", "last")]
    for layer in inside:
        assert layer.is_calibrated and layer.dtype_policy.name == f"{mode}/4/4_from_float32"
        assert layer.kernel.shape == layer._weight_shape
    outputs = ours.predict(x, verbose=0)
    np.testing.assert_allclose(outputs, exact, atol=0.2 * np.abs(exact).max())
    np.testing.assert_allclose(ours(x), outputs, rtol=1e-5, atol=1e-5)
    ours.save(tmp_path / "model.keras")
    again = cornu.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), outputs)
    read = real.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(read(x)), outputs, rtol=1e-4, atol=1e-4)
    ours.save_weights(tmp_path / "model.weights.h5")
    again = _quantized(mode)
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), outputs)


def test_filters_and_other_kinds_of_blocks():
    model = _quantized("gptq", filters=["first", "joined"])
    calibrated = {layer.name for layer in model._flatten_layers()
                  if getattr(layer, "is_calibrated", False)}  # fmt: skip
    assert calibrated == {"first", "joined"}

    class Block(cornu.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = cornu.layers.Dense(8)

        def build(self, shape):
            self.inner.build(shape)

        def call(self, x):
            return x + self.inner(x), None

    shared, table = Block(), cornu.layers.Embedding(20, 8)
    ids = cornu.Input((None,), dtype="int32")
    model = cornu.Model(ids, shared(shared(table(ids))[0])[0])
    exact = model.predict(TOKENS[None], verbose=0)
    structure = {"pre_block_layers": [table], "sequential_blocks": [shared, shared]}
    model.get_quantization_layer_structure = lambda mode: structure
    texts = _config(cornu, "gptq", ["one", "two"], lambda text: [len(text), 7], sequence_length=3)
    model.quantize(config=texts)
    assert shared.inner.is_calibrated
    np.testing.assert_allclose(model.predict(TOKENS[None], verbose=0), exact, atol=0.1)


def test_order_of_a_kernels_axes():
    layer = cornu.layers.EinsumDense("abc,dc->abd", (None, 5))
    layer.build((None, 3, INPUTS))
    layer.set_weights([WEIGHTS.T])
    config = _config(cornu, "awq", group_size=-1)
    layer.quantize(config=config)
    method = AWQ(config, INPUTS)
    layer.watched_by(method)
    layer(SEEN)
    layer.watched_by(None)
    np.testing.assert_allclose(method.magnitudes, np.abs(SEEN).max((0, 1)))
    layer.take_calibrated(method)
    expected = _ours("awq", {"group_size": -1}).kernel
    np.testing.assert_allclose(layer.kernel, np.asarray(expected).T, rtol=1e-6)


def test_samples():
    whole = samples_of([TOKENS[:12], TOKENS[12:]], None, 5, 4)
    assert whole.shape == (4, 1, 5) and whole.dtype == "int32"
    np.testing.assert_array_equal(whole.ravel(), TOKENS)
    np.testing.assert_array_equal(samples_of([[1, 2, 3]], None, 4, 1), [[[1, 2, 3, 1]]])
    for dataset, error in ((3, TypeError), ("text", TypeError), ([], ValueError)):
        with pytest.raises(error):
            samples_of(dataset, None, 5, 4)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_errors(library, mode):
    structure = {"sequential_blocks": []}
    for arguments in (
        {"dataset": [[1]], "tokenizer": object()},
        {"dataset": [[1]], "tokenizer": object(), "quantization_layer_structure": structure},
        {"dataset": None, "tokenizer": object(), "quantization_layer_structure": "own"},
        {"dataset": [[1]], "tokenizer": None, "quantization_layer_structure": "own"},
        {"dataset": [], "tokenizer": object(), "quantization_layer_structure": "own"},
    ):
        model, own = _model(library)
        if arguments.get("quantization_layer_structure") == "own":
            arguments = {**arguments, "quantization_layer_structure": own}
        with pytest.raises(ValueError):
            model.quantize(mode, config=_config(library, mode, **arguments))
    with pytest.raises(ValueError):
        _model(library)[0].quantize(mode)


def test_what_is_not_calibrated():
    layer = _layer(cornu, "gptq", {})
    exact = SEEN @ WEIGHTS + np.arange(OUTPUTS)
    np.testing.assert_allclose(layer(SEEN), exact, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="not calibrated"):
        layer.save_own_variables({})
    with pytest.raises(NotImplementedError, match="LoRA"):
        layer.enable_lora(2)
    adapted = cornu.layers.Dense(2, lora_rank=1)
    adapted.build((None, 3))
    with pytest.raises(NotImplementedError, match="LoRA"):
        adapted.quantize("awq", config=_config(cornu, "awq"))
    with pytest.raises(NotImplementedError, match="Embedding"):
        table = cornu.layers.Embedding(3, 2)
        table.build()
        table.quantize("awq", config=_config(cornu, "awq"))
    other = cornu.layers.Dense(2, dtype="gptq/4/8_from_float32")
    other.build((None, 3))
    assert other.is_calibrated and [w.name for w in other.weights][:2] == ["bias", "kernel"]
