"""What layers do beyond one call: random choices, states, statistics, changes after building."""

import keras
import numpy as np
import pytest

import cornu
from cornu import layers, ops

RNG = np.random.default_rng(0)


def array(tensor):
    return np.asarray(tensor)


# Random layers


def test_dropout_drops_its_share_and_scales_the_rest():
    outputs = array(layers.Dropout(0.3, seed=1)(np.ones((200, 300), "float32"), training=True))
    assert abs((outputs == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(outputs[outputs != 0], 1 / 0.7, rtol=1e-6)


def test_dropout_repeats_with_a_seed_and_moves_on():
    x = np.ones((10, 10), "float32")
    first, second = layers.Dropout(0.5, seed=1), layers.Dropout(0.5, seed=1)
    drawn = array(first(x, training=True))
    np.testing.assert_array_equal(drawn, array(second(x, training=True)))
    assert (drawn != array(first(x, training=True))).any()


@pytest.mark.parametrize("rate", [0, 1])
def test_dropout_at_its_ends(rate):
    x = np.ones((4, 5), "float32")
    np.testing.assert_array_equal(array(layers.Dropout(rate)(x, training=True)), x * (1 - rate))


def test_dropout_shares_a_choice_along_an_axis_of_noise_shape():
    x = np.ones((8, 6, 5), "float32")
    outputs = array(layers.Dropout(0.5, noise_shape=(None, 1, None), seed=2)(x, training=True))
    assert (outputs == outputs[:, :1]).all()
    assert len(np.unique(outputs)) == 2


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_spatial_dropout_drops_whole_channels(rank):
    x = np.ones((16, *(3,) * rank, 8), "float32")
    layer = getattr(layers, f"SpatialDropout{rank}D")(0.5, seed=1)
    outputs = array(layer(x, training=True)).reshape(16, -1, 8)
    assert (outputs == outputs[:, :1]).all()
    assert 0.2 < (outputs == 0).mean() < 0.8


def test_noise_has_its_moments():
    x = np.zeros((300, 300), "float32")
    noise = array(layers.GaussianNoise(0.2, seed=1)(x, training=True))
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 0.2) < 0.01
    factor = array(layers.GaussianDropout(0.2, seed=1)(x + 1, training=True))
    assert abs(factor.mean() - 1) < 0.01 and abs(factor.std() - 0.5) < 0.01


def test_alpha_dropout_keeps_mean_and_variance():
    x = RNG.standard_normal((400, 400)).astype("float32")
    outputs = array(layers.AlphaDropout(0.2, seed=1)(x, training=True))
    assert abs(outputs.mean()) < 0.02 and abs(outputs.std() - 1) < 0.02


def test_random_flip_mirrors_some_images():
    x = RNG.standard_normal((64, 4, 5, 3)).astype("float32")
    outputs = array(layers.RandomFlip("horizontal", seed=1)(x, training=True))
    mirrored = (outputs == x[:, :, ::-1]).all((1, 2, 3))
    kept = (outputs == x).all((1, 2, 3))
    assert (mirrored | kept).all() and 16 < mirrored.sum() < 48


# Statistics


def test_batch_normalization_that_is_frozen_uses_its_averages_in_training():
    layer = layers.BatchNormalization()
    x = RNG.standard_normal((16, 4)).astype("float32") + 3
    layer(x, training=True)
    before = layer.get_weights()
    layer.trainable = False
    outputs = array(layer(x, training=True))
    np.testing.assert_array_equal(outputs, array(layer(x, training=False)))
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not layer.trainable_variables


def test_batch_normalization_in_half_precision_keeps_float32_statistics():
    layer = layers.BatchNormalization(dtype="mixed_bfloat16")
    outputs = layer(RNG.standard_normal((64, 4)).astype("float32") + 100, training=True)
    assert outputs.dtype == "bfloat16" and layer.moving_mean.dtype == "float32"
    np.testing.assert_allclose(array(layer.moving_mean), 1.0, atol=0.1)


@pytest.mark.parametrize("axis", [-1, None, (1, 2)])
def test_normalization_adapts_as_keras_does(axis):
    data = RNG.standard_normal((20, 3, 4)).astype("float32") * 3 + 1
    ours, theirs = layers.Normalization(axis=axis), keras.layers.Normalization(axis=axis)
    ours.adapt(data)
    theirs.adapt(data)
    np.testing.assert_allclose(array(ours(data)), array(theirs(data)), rtol=1e-4, atol=1e-5)
    batches = layers.Normalization(axis=axis)
    batches.adapt(iter(np.split(data, [3, 11])))
    np.testing.assert_allclose(array(batches(data)), array(ours(data)), rtol=1e-4, atol=1e-5)


def test_spectral_normalization_leaves_a_kernel_of_zeros():
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    x = RNG.standard_normal((2, 4)).astype("float32")
    assert (array(layer(x, training=True)) == 0).all()


# Recurrent layers


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_a_stateful_layer_goes_on_where_it_stopped(name):
    layer = getattr(layers, name)(3, stateful=True)
    x = RNG.standard_normal((2, 6, 4)).astype("float32")
    layer(x[:, :2])
    last = array(layer(x[:, 2:]))
    whole = getattr(layers, name)(3)
    whole(x)
    whole.set_weights(layer.get_weights())
    np.testing.assert_allclose(last, array(whole(x)), rtol=1e-5, atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(array(layer(x)), array(whole(x)), rtol=1e-5, atol=1e-6)


def test_initial_state_is_taken_from_a_call():
    layer = layers.LSTM(3, return_state=True)
    x = RNG.standard_normal((2, 6, 4)).astype("float32")
    _, *states = layer(x[:, :3])
    output, *_ = layer(x[:, 3:], initial_state=states)
    expected, *_ = layer(x)
    np.testing.assert_allclose(array(output), array(expected), rtol=1e-5, atol=1e-6)


def test_rnn_steps_a_cell_of_ones_own():
    class Sum(layers.Layer):
        state_size = 4

        def call(self, inputs, states):
            total = inputs + states[0]
            return total * 2, [total]

    x = RNG.standard_normal((2, 5, 4)).astype("float32")
    outputs = layers.RNN(Sum(), return_sequences=True)(x)
    np.testing.assert_allclose(array(outputs), 2 * np.cumsum(x, axis=1), rtol=1e-5, atol=1e-5)


def test_sequences_of_unknown_length_are_read():
    inputs = cornu.Input((None, 4))
    model = cornu.Model(inputs, layers.LSTM(3)(inputs))
    for steps in (1, 3, 7):
        x = RNG.standard_normal((2, steps, 4)).astype("float32")
        np.testing.assert_allclose(
            model.predict(x, verbose=0), array(model.layers[-1](x)), rtol=1e-5, atol=1e-6
        )


# Changes after building


def test_a_replaced_activation_takes_effect():
    model = cornu.Sequential([cornu.Input((4,)), layers.Dense(3)])
    x = RNG.standard_normal((2, 4)).astype("float32")
    before = model.predict(x, verbose=0)
    model.layers[-1].activation = cornu.activations.relu
    np.testing.assert_allclose(model.predict(x, verbose=0), np.maximum(before, 0), rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: layers.Dense(3), RNG.standard_normal((2, 4)).astype("float32")),
        (lambda: layers.Conv2D(3, 2), RNG.standard_normal((2, 5, 5, 4)).astype("float32")),
        (lambda: layers.Embedding(7, 3), np.array([[1, 2], [3, 0]])),
    ],
    ids=["Dense", "Conv2D", "Embedding"],
)
def test_lora_freezes_the_weight_and_trains_two_thin_ones(layer, x):
    layer = layer()
    before = array(layer(x))
    name = layer._adapted_name
    layer.enable_lora(2)
    np.testing.assert_allclose(array(layer(x)), before, rtol=1e-5, atol=1e-6)
    trained = [w.path.rpartition("/")[2] for w in layer.trainable_variables]
    assert f"lora_{name}_a" in trained and name not in trained
    getattr(layer, f"lora_{name}_b").assign(ops.ones(getattr(layer, f"lora_{name}_b").shape))
    assert (array(layer(x)) != before).any()
    with pytest.raises(ValueError, match="already enabled"):
        layer.enable_lora(2)


# Spellings


ALIASES = {
    "Conv2D": "Convolution2D",
    "Conv1DTranspose": "Convolution1DTranspose",
    "SeparableConv2D": "SeparableConvolution2D",
    "MaxPooling2D": "MaxPool2D",
    "AveragePooling1D": "AvgPool1D",
    "GlobalMaxPooling3D": "GlobalMaxPool3D",
    "GlobalAveragePooling2D": "GlobalAvgPool2D",
    "GroupedQueryAttention": "GroupQueryAttention",
}


@pytest.mark.parametrize(("name", "alias"), ALIASES.items())
def test_aliases_are_the_same_class(name, alias):
    assert getattr(layers, alias) is getattr(layers, name)


@pytest.mark.parametrize("name", ["add", "multiply", "average", "maximum", "minimum", "subtract"])
def test_functional_forms_of_merges(name):
    pair = [RNG.standard_normal((2, 3)).astype("float32") for _ in range(2)]
    ours, theirs = getattr(layers, name)(pair), getattr(keras.layers, name)(pair)
    np.testing.assert_allclose(array(ours), array(theirs), rtol=1e-6)


def test_functional_forms_with_arguments():
    pair = [RNG.standard_normal((2, 3, 4)).astype("float32") for _ in range(2)]
    for make in (
        lambda k: k.layers.concatenate(pair, axis=1),
        lambda k: k.layers.dot(pair, axes=(1, 1)),
        lambda k: k.layers.dot(pair, axes=2, normalize=True),
    ):
        np.testing.assert_allclose(array(make(cornu)), array(make(keras)), rtol=1e-5, atol=1e-6)


def test_every_layer_of_keras_that_is_here_takes_its_arguments():
    import inspect

    for name in layers.__all__:
        ours, theirs = getattr(layers, name), getattr(keras.layers, name, None)
        if not isinstance(ours, type) or theirs is None or name in ("Layer", "InputSpec"):
            continue

        def arguments(cls):
            parameters = inspect.signature(cls.__init__).parameters.values()
            return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]

        if name.startswith(("Conv3DTranspose", "Convolution3DTranspose")):
            continue
        assert arguments(ours) == arguments(theirs), name
