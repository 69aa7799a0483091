"""A step of `fit` is one plan: forward, gradients, updates, metrics, and no step in Python."""

import numpy as np
import pytest

import cornu
from cornu import layers

RNG = np.random.default_rng(0)


def digits_cnn():
    def convolution(filters):
        return [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]

    return cornu.Sequential(
        [
            cornu.Input((8, 8, 1)),
            *convolution(8),
            layers.MaxPooling2D(),
            *convolution(16),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )


def mlp():
    return cornu.Sequential(
        [
            cornu.Input((12,)),
            layers.Dense(32, kernel_regularizer="l2", kernel_constraint="non_neg"),
            layers.BatchNormalization(),
            layers.Activation("gelu"),
            layers.Dropout(0.3),
            layers.GaussianNoise(0.1),
            layers.Dense(10, activation="softmax"),
        ]
    )


def lstm():
    return cornu.Sequential(
        [
            cornu.Input((6,), dtype="int32"),
            layers.Embedding(20, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True, dropout=0.1)),
            layers.GRU(8),
            layers.Dense(10, activation="softmax"),
        ]
    )


def transformer():
    inputs = cornu.Input((6, 8))
    attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(inputs, inputs, use_causal_mask=True)
    x = layers.LayerNormalization()(inputs + attended)
    hidden = layers.Dense(16, activation="gelu")(x)
    x = layers.LayerNormalization()(x + layers.Dropout(0.1)(layers.Dense(8)(hidden)))
    x = layers.GlobalAveragePooling1D()(x)
    return cornu.Model(inputs, layers.Dense(10, activation="softmax")(x))


MODELS = {
    "digits": (digits_cnn, RNG.random((16, 8, 8, 1)).astype("float32")),
    "mlp": (mlp, RNG.random((16, 12)).astype("float32")),
    "lstm": (lstm, RNG.integers(0, 20, (16, 6)).astype("int32")),
    "transformer": (transformer, RNG.random((16, 6, 8)).astype("float32")),
}
UPDATES = ("Adam", "Sgd")
LABELS = RNG.integers(0, 10, 16)


def host_steps(profile):
    """Returns the steps that run Python."""
    return [step.kernel for step in profile.steps if "host" in step.kernel.lower()]


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        "sgd",
        lambda: cornu.optimizers.AdamW(
            cornu.optimizers.schedules.CosineDecay(0.01, 10), weight_decay=0.01, clipnorm=1.0
        ),
    ],
    ids=["adam", "sgd", "adamw"],
)
@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_fit(name, optimizer):
    make, x = MODELS[name]
    model = make()
    model.compile(
        optimizer if isinstance(optimizer, str) else optimizer(),
        "sparse_categorical_crossentropy",
        metrics=["accuracy", cornu.metrics.SparseTopKCategoricalAccuracy(3)],
    )
    model.fit(x, LABELS, verbose=0)
    before = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    profile = cornu.profile(model, x, LABELS, repeats=2)
    assert host_steps(profile) == []
    table = str(profile)
    assert len(table.splitlines()) == len(profile.steps) + 3
    scopes = {part for step in profile.steps for part in step.layer.split("/")}
    assert {layer.name for layer in model.layers if layer.weights} <= scopes  # forward
    kernels = [step.kernel for step in profile.steps]
    assert sum(kernel in UPDATES for kernel in kernels) == len(model.trainable_weights)
    first_update = next(i for i, kernel in enumerate(kernels) if kernel in UPDATES)
    assert any("transpose_a: true" in kernel for kernel in kernels[:first_update])  # gradients
    assert any(kernel.startswith("Arg ") for kernel in kernels)  # accuracy
    # Measuring has changed nothing.
    for ours, variable in zip(before, (*model.variables, *model.optimizer.variables), strict=True):
        np.testing.assert_array_equal(ours, variable.numpy())


@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_predict(name):
    make, x = MODELS[name]
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy")
    profile = cornu.profile(model, x, repeats=0)
    assert host_steps(profile) == []
    kernels = " ".join(step.kernel for step in profile.steps)
    assert "Dropout" not in kernels
    assert "Gradient" not in kernels
    if "activation: Some(Relu)" in kernels:
        assert " Relu  " in str(profile)  # the table names what is fused, and no sizes
    assert "{" not in str(profile)


def residual_blocks(shortcut, activation, kept):
    """A bottleneck of ResNet, then an inverted one of MobileNetV2."""
    inputs = cornu.Input((7, 5, 6))
    x = layers.Conv2D(12, 1, use_bias=False)(inputs)
    branch = x
    for filters, size in ((8, 1), (8, 3), (12, 1)):
        branch = layers.Conv2D(filters, size, padding="same")(layers.Activation("relu")(branch))
        branch = layers.BatchNormalization()(branch)
    if shortcut:
        x = layers.BatchNormalization()(layers.Conv2D(12, 1)(x))
    x = layers.Activation(activation)(layers.Add()([x, branch]))
    branch = layers.Activation("relu6")(layers.Conv2D(24, 1)(x))
    branch = layers.DepthwiseConv2D(3, padding="same")(branch)
    x = layers.Add()([layers.Dropout(0.1)(layers.Conv2D(12, 1)(branch)), x])
    hidden = layers.Dense(20, activation="gelu")(x)
    x = x + layers.Dense(12)(hidden)
    pooled = layers.GlobalAveragePooling2D()(x)
    return cornu.Model(inputs, [pooled, x] if kept else pooled)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("shortcut", "activation", "kept"), [(True, "relu", False), (False, "silu", True)]
)
def test_residuals_are_added_in_products(batch, shortcut, activation, kept):
    model = residual_blocks(shortcut, activation, kept)
    model.set_weights([RNG.uniform(0.1, 0.6, w.shape) - 0.2 * (w.ndim > 1) for w in model.weights])
    x = RNG.normal(size=(batch, 7, 5, 6)).astype("float32")
    profile = cornu.profile(model, x, repeats=0)
    kernels = [step.kernel for step in profile.steps]
    assert sum("residual: true" in kernel for kernel in kernels) == 3
    assert not [kernel for kernel in kernels if "Add" in kernel]
    assert f" residual {activation.title()} " in str(profile)
    planned = model.predict(x, verbose=0)
    by_layers = layers.Layer.__call__(model, x, training=False)
    for ours, expected in zip(planned, by_layers, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_host_step_shows():
    """What the tests above look for would be found."""
    model = cornu.Sequential(
        [cornu.Input((4, 4)), layers.Lambda(lambda x: cornu.ops.linalg.svd(x)[1]), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x = RNG.random((3, 4, 4)).astype("float32")
    profile = cornu.profile(model, x, np.ones((3, 1), "float32"), repeats=0)
    assert host_steps(profile)


def test_a_fit_traces_each_step_once():
    traced = []

    class Counting(layers.Dense):
        def call(self, inputs):
            traced.append(inputs.shape)
            return super().call(inputs)

    model = cornu.Sequential([cornu.Input((12,)), Counting(4), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = RNG.random((50, 12)).astype("float32"), RNG.integers(0, 10, 50)
    model.fit(x, y, batch_size=16, epochs=1, validation_split=0.2, verbose=0)
    after_one = len(traced)
    for size in (5, 9, 16, 33):
        model.fit(x, y, batch_size=size, epochs=2, verbose=0)
        model.evaluate(x, y, batch_size=size, verbose=0)
    # Batches of one sample are a kind of their own.
    assert len(traced) - after_one <= 2
