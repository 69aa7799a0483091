"""How layers make, pass on and use masks: as Keras's do."""

import keras
import numpy as np
import pytest

import cornu

IDS = np.array([[3, 1, 0, 0], [2, 0, 4, 0]], "int32")
STEPS = np.array([[1, 0, 1, 1], [1, 1, 0, 1]], bool)
OTHER = np.array([[1, 0, 1, 0], [1, 1, 1, 1]], bool)
X = np.arange(24.0, dtype="float32").reshape(2, 4, 3)
X[0, 1] = 0.0

MADE = {
    "embedding": lambda k: k.layers.Embedding(5, 2, mask_zero=True).compute_mask(IDS),
    "embedding without": lambda k: k.layers.Embedding(5, 2).compute_mask(IDS),
    "masking": lambda k: k.layers.Masking().compute_mask(X),
    "dense passes": lambda k: k.layers.Dense(2).compute_mask(X, STEPS),
    "dropout passes": lambda k: k.layers.Dropout(0.5).compute_mask(X, STEPS),
    "pooling ends": lambda k: k.layers.GlobalAveragePooling1D().compute_mask(X, STEPS),
    "add": lambda k: k.layers.Add().compute_mask([X, X], [STEPS, OTHER]),
    "add with none": lambda k: k.layers.Add().compute_mask([X, X], [None, OTHER]),
    "multiply": lambda k: k.layers.Multiply().compute_mask([X, X], [STEPS, OTHER]),
    "maximum": lambda k: k.layers.Maximum().compute_mask([X, X], [STEPS, OTHER]),
    "concatenate steps": lambda k: k.layers.Concatenate(1).compute_mask([X, X], [STEPS, OTHER]),
    "concatenate features": lambda k: k.layers.Concatenate(2).compute_mask([X, X], [STEPS, OTHER]),
    "concatenate with none": lambda k: k.layers.Concatenate(1).compute_mask([X, X], [None, OTHER]),
    "concatenate none": lambda k: k.layers.Concatenate(1).compute_mask([X, X], [None, None]),
    "dot": lambda k: k.layers.Dot(1).compute_mask([X, X], [STEPS, OTHER]),
    "lambda": lambda k: k.layers.Lambda(lambda x: x, mask=STEPS).compute_mask(X, None),
    "lstm": lambda k: k.layers.LSTM(2).compute_mask(X, STEPS),
    "lstm of steps": lambda k: k.layers.LSTM(2, return_sequences=True).compute_mask(X, STEPS),
    "bidirectional": lambda k: k.layers.Bidirectional(
        k.layers.LSTM(2, return_sequences=True)
    ).compute_mask(X, STEPS),
    "attention": lambda k: k.layers.Attention().compute_mask([X, X], [STEPS, None]),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_masks_are_made_as_in_keras(make):
    expected, mask = make(keras), make(cornu)
    if expected is None:
        assert mask is None
    else:
        np.testing.assert_array_equal(np.asarray(mask), np.asarray(expected))


PASSED = {
    "embedding to pooling": lambda k: [
        k.layers.Embedding(5, 2, mask_zero=True),
        k.layers.GlobalAveragePooling1D(),
    ],
    "through dense and dropout to lstm": lambda k: [
        k.layers.Embedding(5, 2, mask_zero=True),
        k.layers.Dense(3),
        k.layers.Dropout(0.5),
        k.layers.LSTM(2),
    ],
    "two recurrent layers": lambda k: [
        k.layers.Embedding(5, 2, mask_zero=True),
        k.layers.Bidirectional(k.layers.GRU(2, return_sequences=True)),
        k.layers.LSTM(3),
    ],
    "normalization": lambda k: [
        k.layers.Embedding(5, 2, mask_zero=True),
        k.layers.BatchNormalization(),
        k.layers.GlobalAveragePooling1D(),
    ],
}


@pytest.mark.parametrize("stack", PASSED.values(), ids=PASSED.keys())
def test_masks_reach_the_layers_that_use_them(stack):
    models = [library.Sequential(stack(library)) for library in (keras, cornu)]
    expected = np.asarray(models[0](IDS))
    models[1](IDS)
    models[1].set_weights(models[0].get_weights())
    np.testing.assert_allclose(np.asarray(models[1](IDS)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(models[1].predict(IDS, verbose=0), expected, rtol=1e-5, atol=1e-6)


def merged(library, merge):
    layers = library.layers
    inputs = library.Input((4,), dtype="int32")
    first = layers.Embedding(5, 3, mask_zero=True)(inputs)
    second = layers.Embedding(5, 3)(inputs)
    joined = merge(layers)([first, layers.Dense(3)(first), second])
    return library.Model(inputs, layers.LSTM(2, return_sequences=True)(joined))


@pytest.mark.parametrize(
    "merge",
    [
        lambda layers: layers.Add(),
        lambda layers: layers.Concatenate(),
        lambda layers: layers.Concatenate(1),
    ],
)
def test_masks_are_merged_in_graphs(merge):
    expected, model = (merged(library, merge) for library in (keras, cornu))
    model.set_weights(expected.get_weights())
    np.testing.assert_allclose(
        model.predict(IDS, verbose=0), expected.predict(IDS, verbose=0), rtol=1e-4, atol=1e-6
    )


def own(library, supports=None):
    class Own(library.layers.Layer):
        def __init__(self):
            super().__init__()
            if supports is not None:
                self.supports_masking = supports

        def compute_mask(self, inputs, mask=None):
            return library.ops.not_equal(inputs[..., 0], 0)

        def call(self, inputs):
            return inputs + 1.0

    return Own()


def taking(library):
    class Taking(library.layers.Layer):
        def call(self, inputs, mask=None):
            return inputs + 1.0

    return Taking()


SENT_ON = {
    "a layer with a compute_mask of its own": lambda k: own(k)(X),
    "one that says it has none": lambda k: own(k, supports=False)(X),
    "a mask given to a recurrent layer": lambda k: k.layers.LSTM(2, return_sequences=True)(
        X, mask=STEPS
    ),
    "a mask given to a wrapper": lambda k: k.layers.TimeDistributed(k.layers.Dense(2))(
        X, mask=STEPS
    ),
    "masks given to an attention": lambda k: k.layers.Attention()([X, X], mask=[STEPS, OTHER]),
    "a mask given to a layer that ends it": lambda k: taking(k)(X, mask=STEPS),
}


@pytest.mark.filterwarnings("ignore:Layer")
@pytest.mark.parametrize("call", SENT_ON.values(), ids=SENT_ON.keys())
def test_outputs_carry_masks_as_in_keras(call):
    expected, mask = (getattr(call(library), "_keras_mask", None) for library in (keras, cornu))
    if expected is None:
        assert mask is None
    else:
        np.testing.assert_array_equal(np.asarray(mask), np.asarray(expected))


@pytest.mark.filterwarnings("error:Layer")
def test_an_attention_says_nothing_of_masks_to_its_projections():
    attention = cornu.layers.MultiHeadAttention(2, 2)
    masked = cornu.layers.Masking()(X)
    attention(masked, masked)


@pytest.mark.parametrize("axis", [-1, (1, 2)])
@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_a_softmax_of_nothing_is_zero(axis, dtype):
    mask = np.stack([STEPS, np.zeros_like(STEPS)]).astype(dtype)
    logits = np.random.default_rng(0).normal(size=mask.shape).astype("float32")
    expected, found = (k.layers.Softmax(axis=axis)(logits, mask=mask) for k in (keras, cornu))
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda k: k.layers.MultiHeadAttention(2, 2),
        lambda k: k.layers.MultiHeadAttention(2, 2, dropout=0.5),
        lambda k: k.layers.GroupQueryAttention(2, 2, 1),
        lambda k: k.layers.GroupQueryAttention(2, 2, 1, dropout=0.5),
    ],
)
def test_a_query_that_sees_no_key(make, causal, told):
    seen = np.tril(np.ones((2, 4, 4), bool))
    seen[:, 2] = False
    seen[:, 0] = [False, False, True, True]  # none with a causal mask
    expected, layer = make(keras), make(cornu)
    for attention in (expected, layer):
        attention.build(X.shape, X.shape)
    layer.set_weights(expected.get_weights())
    options = {
        "attention_mask": seen,
        "return_attention_scores": told,
        "use_causal_mask": causal,
    }
    outputs = [attention(X, X, **options) for attention in (layer, expected)]
    for ours, theirs in zip(*(keras.tree.flatten(o) for o in outputs), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-5)
