"""Quantized layers and models against Keras."""

import contextlib
import json

import numpy as np
import pytest

import cornu
from reference import keras as real

RNG = np.random.default_rng(0)
FLOATS = RNG.standard_normal((2, 3, 6)).astype("float32")
LAYERS = {
    "dense": (lambda kind, **k: kind.Dense(5, activation="tanh", **k), FLOATS[0]),
    "no bias": (lambda kind, **k: kind.Dense(4, use_bias=False, **k), FLOATS),
    "einsum": (
        lambda kind, **k: kind.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", **k),
        FLOATS,
    ),
    "heads": (
        lambda kind, **k: kind.EinsumDense("btnh,nhd->btd", (None, 5), **k),
        RNG.standard_normal((2, 3, 2, 4)).astype("float32"),
    ),
    "embedding": (lambda kind, **k: kind.Embedding(7, 5, **k), RNG.integers(0, 7, (2, 3))),
}
MODES = {
    "int8": lambda q: {"mode": "int8"},
    "int4": lambda q: {"mode": "int4"},
    "int4 channels": lambda q: {"config": q.Int4QuantizationConfig(block_size=-1)},
    "int4 blocks": lambda q: {"config": q.Int4QuantizationConfig(block_size=2)},
    "weights alone": lambda q: {"config": q.Int8QuantizationConfig(activation_quantizer=None)},
    "float8": lambda q: {"mode": "float8"},
}
CASES = [
    (name, mode) for name in LAYERS for mode in MODES if (name, mode) != ("embedding", "float8")
]


def _layer(library, name):
    make, x = LAYERS[name]
    layer = make(library.layers)
    layer.build(x.shape)
    layer.set_weights(
        [np.sin(1.3 * np.arange(int(np.prod(w.shape)))).reshape(w.shape) for w in layer.weights]
    )
    return layer


@pytest.mark.parametrize("name, mode", CASES)
def test_layer_is_that_of_keras(name, mode):
    x = LAYERS[name][1]
    layers = []
    for library in (cornu, real):
        layer = _layer(library, name)
        layer.quantize(**MODES[mode](library.quantizers))
        layers.append(layer)
    ours, theirs = layers
    assert ours.dtype_policy.name == theirs.dtype_policy.name
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        assert (a.name, str(a.dtype), a.trainable) == (b.name, str(b.dtype), b.trainable)
        np.testing.assert_array_equal(a, np.asarray(b))
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-4, atol=1e-5)
    config, expected = ours.get_config(), theirs.get_config()
    assert config.keys() == expected.keys()
    stored = [json.dumps(c["quantization_config"]) for c in (config, expected)]
    assert stored[0] == stored[1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_files(tmp_path, mode, ending):
    def build():
        return cornu.Sequential(
            [
                cornu.Input((3,), dtype="int32"),
                cornu.layers.Embedding(7, 6),
                cornu.layers.Dense(5, activation="relu"),
                cornu.layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"),
            ]
        )

    model, x = build(), RNG.integers(0, 7, (2, 3))
    arguments = MODES[mode](cornu.quantizers)
    with pytest.warns(UserWarning) if mode == "float8" else contextlib.nullcontext():
        model.quantize(**arguments)
    path = tmp_path / f"model{ending}"
    if ending == ".keras":
        model.save(path)
        again = cornu.saving.load_model(path)
        assert again.layers[1].dtype_policy == model.layers[1].dtype_policy
    else:
        model.save_weights(path)
        again = build()
        with pytest.warns(UserWarning) if mode == "float8" else contextlib.nullcontext():
            again.quantize(**arguments)
        again.load_weights(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("name", ["dense", "einsum"])
@pytest.mark.parametrize("mode", ["int8", "int4", "int4 blocks"])
def test_gradients_reach_inputs_and_bias(name, mode):
    layer = _layer(cornu, name)
    layer.quantize(**MODES[mode](cornu.quantizers))
    x = cornu.Variable(LAYERS[name][1])
    with cornu.GradientTape() as tape:
        loss = cornu.ops.sum(cornu.ops.square(layer(x)))
    dx, db = tape.gradient(loss, [x, layer.bias])
    plain = _layer(cornu, name)
    plain.set_weights([np.asarray(layer._dequantized()), np.asarray(layer.bias)])
    with cornu.GradientTape() as tape:
        loss = cornu.ops.sum(cornu.ops.square(plain(x)))
    expected = tape.gradient(loss, [x, plain.bias])
    for got, wanted in zip((dx, db), expected, strict=True):
        got, wanted = np.asarray(got).ravel(), np.asarray(wanted).ravel()
        cosine = got @ wanted / np.linalg.norm(got) / np.linalg.norm(wanted)
        assert cosine > 0.99


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("name, mode", CASES)
def test_the_weight_is_shown_as_keras_shows_it(name, mode, lora):
    shown = []
    for library in (cornu, real):
        layer = _layer(library, name)
        layer.quantize(**MODES[mode](library.quantizers))
        if lora:
            layer.enable_lora(2)
        shown.append(layer.embeddings if name == "embedding" else layer.kernel)
    ours, theirs = shown
    assert str(ours.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-6)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_lora_on_a_quantized_layer(mode, tmp_path):
    model = cornu.Sequential([cornu.Input((6,)), _layer(cornu, "dense")])
    layer, x = model.layers[0], LAYERS["dense"][1]
    layer.quantize(mode)
    before = np.asarray(layer(x))
    layer.enable_lora(2)
    assert [w.name for w in layer.trainable_weights] == ["bias", "lora_kernel_a", "lora_kernel_b"]
    np.testing.assert_allclose(layer(x), before, rtol=1e-5, atol=1e-6)
    model.compile("adam", "mse")
    model.fit(x, np.ones((3, 5)), epochs=3, verbose=0)
    assert not np.allclose(layer(x), before)
    outputs = model.predict(x, verbose=0)
    model.save_weights(tmp_path / "lora.weights.h5")
    model.load_weights(tmp_path / "lora.weights.h5")
    np.testing.assert_allclose(model.predict(x, verbose=0), outputs, atol=0.2)


def test_float8_training_is_that_of_keras():
    histories, weights = [], []
    for library in (cornu, real):
        layer = _layer(library, "dense")
        layer.quantize("float8")
        model = library.Sequential([library.Input((6,)), layer])
        model.compile(library.optimizers.SGD(0.1), "mse")
        history = model.fit(FLOATS[0], np.ones((3, 5)), epochs=3, batch_size=3, verbose=0)
        histories.append(history.history["loss"])
        weights.append([np.asarray(w) for w in layer.weights])
    np.testing.assert_allclose(*histories, rtol=1e-3)
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=1e-3)


def test_models_are_quantized_by_filters():
    model = cornu.Sequential(
        [cornu.Input((4,)), cornu.layers.Dense(3, name="first"), cornu.layers.Dense(2, name="end")]
    )
    x = FLOATS[0][:, :4]
    expected = model.predict(x, verbose=0)
    model.quantize("int8", filters="fir")
    assert [layer.quantization_mode for layer in model.layers] == ["int8", None]
    model.quantize("int8", filters=lambda layer: layer.name == "end")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=0.1)
    built = cornu.layers.Dense(3, dtype="int8_from_float32")
    built.build((None, 4))
    assert [str(w.dtype) for w in built.weights] == ["float32", "int8", "float32"]


@pytest.mark.parametrize(
    "change", [lambda layer: layer.quantize("int8"), lambda layer: layer.enable_lora(2)]
)
def test_variables_that_come_later_have_the_path_of_the_layer(change):
    paths = []
    for library in (cornu, real):
        layer = library.layers.Dense(3, name="inner")
        model = library.Sequential([library.Input((4,)), layer], name="outer")
        change(layer)
        paths.append([weight.path for weight in model.weights])
    assert paths[0] == paths[1]


@pytest.mark.parametrize("library", [cornu, real])
def test_errors(library):
    layer = library.layers.Dense(3)
    with pytest.raises(ValueError, match="built"):
        layer.quantize("int8")
    layer.build((None, 2))
    for arguments in (
        {"mode": "int3"},
        {},
        {"mode": "gptq"},
        {"mode": "int4", "config": library.quantizers.Int8QuantizationConfig()},
        {"config": 3},
    ):
        with pytest.raises(ValueError):
            layer.quantize(**arguments)
    layer.quantize("int8")
    with pytest.raises(ValueError, match="already quantized"):
        layer.quantize("int8")

    class Mine(library.layers.Dense):
        pass

    mine = Mine(2)
    mine.build((None, 2))
    with pytest.raises(NotImplementedError, match="Mine"):
        mine.quantize("int8")
    other = library.layers.Flatten()
    other.build((None, 2))
    with pytest.raises(NotImplementedError):
        other.quantize("int8")
    with pytest.raises(ValueError, match="filters"):
        library.Sequential([library.Input((2,)), layer]).quantize("int8", filters=3)
