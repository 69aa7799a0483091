"""Programs that read: reviews, pairs of sentences, names in sentences, small languages."""

import numpy as np

from cornu.layers import TextVectorization
from programs.harness import Program

GOOD = ["great", "lovely", "bright", "superb", "warm", "charming"]
BAD = ["awful", "dull", "broken", "clumsy", "bitter", "tedious"]
PLAIN = ["the", "film", "was", "and", "plot", "a", "with", "scene"]


def reviews(count, seed=0):
    """Sentences of four to nine words, and whether their words of opinion are good ones."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    sentences = []
    for label in labels:
        opinion = rng.choice(GOOD if label else BAD, rng.integers(1, 3))
        words = np.concatenate([opinion, rng.choice(PLAIN, rng.integers(3, 8))])
        sentences.append(" ".join(rng.permutation(words)))
    return sentences, labels


def encoded(sentences, length=9, **options):
    """Numbers of words, 0 filling up, and the size of the vocabulary.

    Cornu's layer makes them for both libraries: the real one needs TensorFlow for text.
    """
    vectorize = TextVectorization(output_sequence_length=length, **options)
    vectorize.adapt(sentences)
    return np.asarray(vectorize(sentences)).astype("int32"), vectorize.vocabulary_size()


def token_and_position(keras, length, vocabulary, width):
    class TokenAndPosition(keras.layers.Layer):
        """Embeds words and their places; word 0 is masked."""

        def __init__(self):
            super().__init__()
            self.token = keras.layers.Embedding(vocabulary, width, mask_zero=True)
            self.position = keras.layers.Embedding(length, width)

        def compute_mask(self, inputs, mask=None):
            return self.token.compute_mask(inputs)

        def call(self, inputs):
            places = keras.ops.arange(keras.ops.shape(inputs)[-1])
            return self.token(inputs) + self.position(places)

    return TokenAndPosition()


def transformer_block(keras, width, heads=2, rate=0.0, causal=False):
    layers = keras.layers

    class TransformerBlock(layers.Layer):
        """Attention, then two dense layers, each added to what went in and normalized."""

        def __init__(self):
            super().__init__()
            self.supports_masking = True
            self.attention = layers.MultiHeadAttention(heads, width // heads)
            self.feed = keras.Sequential(
                [layers.Dense(2 * width, activation="gelu"), layers.Dense(width)]
            )
            self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
            self.drop = layers.Dropout(rate)

        def call(self, inputs, training=False):
            seen = self.attention(inputs, inputs, use_causal_mask=causal)
            x = self.norms[0](inputs + self.drop(seen, training=training))
            return self.norms[1](x + self.drop(self.feed(x), training=training))

    return TransformerBlock()


def classifier(keras, inputs, outputs, rate, loss="binary_crossentropy", **options):
    model = keras.Model(inputs, outputs, **options)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def classification_from_raw_strings(keras, random):
    """Strings to numbers of words, an embedding, and convolutions over it."""
    layers = keras.layers
    sentences, labels = reviews(160)
    tokens, vocabulary = encoded(sentences, max_tokens=24)
    inputs = keras.Input((None,), dtype="int64")
    x = layers.Dropout(0.2 * random)(layers.Embedding(vocabulary, 8)(inputs))
    x = layers.Conv1D(12, 3, padding="valid", activation="relu")(x)
    x = layers.Conv1D(12, 3, padding="same", activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dense(8, activation="relu")(x)
    model = classifier(keras, inputs, layers.Dense(1, activation="sigmoid")(x), 0.02)
    fit = {"x": tokens, "y": labels, "validation_split": 0.2}
    return Program(model, fit, epochs=8, above={"val_accuracy": 0.9})


def bidirectional_lstm(keras, random):
    """Two layers of LSTM read sentences of different lengths both ways."""
    layers = keras.layers
    sentences, labels = reviews(96)
    tokens, vocabulary = encoded(sentences)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(vocabulary, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(6), merge_mode="sum"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return Program(model, {"x": tokens, "y": labels}, epochs=6, above={"accuracy": 0.95})


def transformer_classifier(keras, random):
    """A transformer of two custom layers; what fills a sentence up is masked."""
    sentences, labels = reviews(128)
    tokens, vocabulary = encoded(sentences)
    inputs = keras.Input((9,), dtype="int32")
    x = token_and_position(keras, 9, vocabulary, 8)(inputs)
    x = transformer_block(keras, 8, rate=0.1 * random)(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    outputs = keras.layers.Dense(2, activation="softmax")(x)
    model = classifier(keras, inputs, outputs, 0.01, "sparse_categorical_crossentropy")
    return Program(model, {"x": tokens, "y": labels}, epochs=10, above={"accuracy": 0.95})


def masked_words(keras, random):
    """Words hidden in a sentence are told from what stands around them.

    The hidden ones alone weigh in the loss, which the model's own `compute_loss` makes.
    """
    rng = np.random.default_rng(0)
    starts, steps = rng.integers(0, 10, (128, 1)), rng.integers(1, 3, (128, 1))
    words = 1 + (starts + steps * np.arange(8)) % 10
    hidden = rng.random(words.shape) < 0.2
    tokens = np.where(hidden, 11, words).astype("int32")

    class MaskedWords(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            each = keras.losses.sparse_categorical_crossentropy(y, y_pred)
            weight = keras.ops.cast(sample_weight, each.dtype)
            return keras.ops.sum(each * weight) / keras.ops.sum(weight)

    inputs = keras.Input((8,), dtype="int32")
    x = token_and_position(keras, 8, 12, 16)(inputs)
    for _ in range(2):
        x = transformer_block(keras, 16)(x)
    model = MaskedWords(inputs, keras.layers.Dense(12, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.01), weighted_metrics=["accuracy"])
    fit = {"x": tokens, "y": words, "sample_weight": hidden.astype("float32")}
    return Program(model, fit, epochs=30, above={"accuracy": 0.9})


def small_gpt(keras, random):
    """Each word is told from those before it; then the model goes on with a sentence."""
    rng = np.random.default_rng(0)
    text = 1 + (rng.integers(0, 7, (96, 1)) + 2 * np.arange(9)) % 7
    inputs = keras.Input((8,), dtype="int32")
    x = token_and_position(keras, 8, 8, 16)(inputs)
    x = transformer_block(keras, 16, rate=0.1 * random, causal=True)(x)
    model = keras.Model(inputs, {"words": keras.layers.Dense(8)(x), "hidden": x})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), {"words": loss, "hidden": None})

    class Writer(keras.callbacks.Callback):
        """Goes on with a sentence after each epoch."""

        def on_epoch_end(self, epoch, logs=None):
            self.written = [3]
            for _ in range(6):
                padded = np.zeros((1, 8), "int32")
                padded[0, : len(self.written)] = self.written
                words = self.model.predict(padded, verbose=0)["words"]
                self.written.append(int(words[0, len(self.written) - 1].argmax()))

    writer = Writer()

    def check():
        assert writer.written == [3, 5, 7, 2, 4, 6, 1]

    fit = {"x": text[:, :-1], "y": {"words": text[:, 1:]}, "callbacks": [writer]}
    return Program(model, fit, epochs=8, below={"loss": 0.5}, check=check)


def switch_transformer(keras, random):
    """Words are sent to one expert each, up to its capacity; a loss of the layer's own keeps the
    load even."""
    layers, ops = keras.layers, keras.ops

    class Switch(layers.Layer):
        def __init__(self, experts, width, capacity):
            super().__init__()
            self.experts, self.capacity = experts, capacity
            self.route = layers.Dense(experts)
            self.feeds = [layers.Dense(width, activation="relu") for _ in range(experts)]

        def build(self, shape):
            self.route.build(shape)
            for feed in self.feeds:
                feed.build((self.capacity, shape[-1]))

        def call(self, inputs):
            flat = ops.reshape(inputs, (-1, inputs.shape[-1]))
            chances = ops.softmax(self.route(flat))
            gate, expert = ops.top_k(chances, 1)
            chosen = ops.one_hot(ops.squeeze(expert, -1), self.experts)
            share, mean = ops.mean(chosen, axis=0), ops.mean(chances, axis=0)
            self.add_loss(0.01 * self.experts * ops.sum(share * mean))
            place = ops.cast(ops.cumsum(chosen, axis=0) * chosen, "int32") - 1
            sent = chosen[..., None] * ops.one_hot(place, self.capacity)
            packed = ops.einsum("tec,td->ecd", sent, flat)
            done = ops.stack([feed(packed[i]) for i, feed in enumerate(self.feeds)])
            back = ops.einsum("tec,ecd->td", sent * gate[..., None], done)
            return ops.reshape(back, ops.shape(inputs))

    sentences, labels = reviews(96)
    tokens, vocabulary = encoded(sentences, length=8)
    inputs = keras.Input((8,), dtype="int32")
    x = layers.Embedding(vocabulary, 8)(inputs)
    x = layers.LayerNormalization()(x + Switch(3, 8, 40)(x))
    x = layers.GlobalAveragePooling1D()(x)
    outputs = layers.Dense(2, activation="softmax")(x)
    model = classifier(keras, inputs, outputs, 0.02, "sparse_categorical_crossentropy")
    fit = {"x": tokens, "y": labels, "batch_size": 16}
    return Program(model, fit, epochs=8, above={"accuracy": 0.95})


def names_in_sentences(keras, random):
    """Each word gets a tag; a loss function of the program's own leaves out what fills up."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 9, 96)
    tokens = rng.integers(1, 20, (96, 8)) * (np.arange(8) < lengths[:, None])
    before = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
    # 1 begins a name, 2 goes on with it, 3 is another word.
    tags = np.where(tokens > 14, np.where(before > 14, 2, 1), 3) * (tokens > 0)

    def loss(y_true, y_pred):
        each = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        counts = ops.cast(y_true > 0, "float32")
        return ops.sum(each * counts) / ops.sum(counts)

    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(20, 12, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.GRU(8, return_sequences=True))(x)
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(4))(x))
    model.compile(keras.optimizers.Adam(0.03), loss)

    def check():
        found = model.predict(tokens, verbose=0).argmax(-1)
        assert (found == tags)[tokens > 0].mean() > 0.95

    return Program(model, {"x": tokens, "y": tags}, epochs=12, below={"loss": 0.2}, check=check)


def similar_pairs(keras, random):
    """One encoder reads both sentences of a pair; their cosine tells whether they mean alike."""
    layers = keras.layers
    (first, labels), (second, others) = reviews(128), reviews(128, seed=1)
    tokens, vocabulary = encoded(first + second)
    x = {"first": tokens[:128], "second": tokens[128:]}
    encoder = keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            layers.Embedding(vocabulary, 8, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(6, activation="tanh"),
        ],
        name="encoder",
    )
    inputs = {name: keras.Input((9,), dtype="int32", name=name) for name in x}
    cosine = layers.Dot(axes=1, normalize=True)([encoder(i) for i in inputs.values()])
    chance = layers.Rescaling(0.5, offset=0.5, name="similar")(cosine)
    model = keras.Model(inputs, chance)
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy", "auc"])
    fit = {"x": x, "y": (labels == others).astype("int32")}
    return Program(model, fit, epochs=12, above={"accuracy": 0.95, "auc": 0.95})


def fourier_mixing(keras, random):
    """Words are mixed by a Fourier transform in place of attention (FNet, Lee-Thorp 2021)."""
    layers, ops = keras.layers, keras.ops

    class Fourier(layers.Layer):
        def call(self, inputs):
            real, _ = ops.fft2((inputs, ops.zeros_like(inputs)))
            return real

    sentences, labels = reviews(128)
    tokens, vocabulary = encoded(sentences, length=8)
    inputs = keras.Input((8,), dtype="int32")
    x = layers.Embedding(vocabulary, 8)(inputs)
    x = layers.LayerNormalization()(x + Fourier()(x))
    x = layers.LayerNormalization()(x + layers.Dense(8, activation="gelu")(x))
    x = layers.GlobalAveragePooling1D()(x)
    outputs = layers.Dense(2, activation="softmax")(x)
    model = classifier(keras, inputs, outputs, 0.02, "sparse_categorical_crossentropy")
    return Program(model, {"x": tokens, "y": labels}, epochs=10, above={"accuracy": 0.95})


def quotient_and_remainder(keras, random):
    """Two small tables stand for a large one: a word's row is the product of those of its quotient
    and its remainder."""
    layers, ops = keras.layers, keras.ops
    sentences, labels = reviews(128)
    tokens, vocabulary = encoded(sentences)

    class Composite(layers.Layer):
        def __init__(self, buckets, width):
            super().__init__()
            self.buckets = buckets
            self.quotients = layers.Embedding(vocabulary // buckets + 1, width)
            self.remainders = layers.Embedding(buckets, width)

        def call(self, inputs):
            quotient = self.quotients(ops.floor_divide(inputs, self.buckets))
            return ops.multiply(quotient, self.remainders(ops.mod(inputs, self.buckets)))

    inputs = keras.Input((9,), dtype="int32")
    x = layers.Dense(12, activation="relu")(Composite(5, 12)(inputs))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(1)(x))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metric = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=[metric])
    return Program(model, {"x": tokens, "y": labels}, epochs=12, above={"accuracy": 0.9})


def pretrained_vectors(keras, random):
    """Vectors that were made elsewhere are put into an embedding that does not train."""
    layers = keras.layers
    sentences, labels = reviews(128)
    tokens, vocabulary = encoded(sentences)
    vectors = np.random.default_rng(0).normal(size=(vocabulary, 16)).astype("float32")
    embedding = layers.Embedding(vocabulary, 16, trainable=False)
    embedding.build((None,))
    embedding.set_weights([vectors])
    inputs = keras.Input((9,), dtype="int32")
    x = layers.Conv1D(8, 2, activation="relu")(embedding(inputs))
    x = layers.GlobalMaxPooling1D()(x)
    outputs = layers.Dense(2, activation="softmax")(x)
    model = classifier(keras, inputs, outputs, 0.03, "sparse_categorical_crossentropy")

    def check():
        np.testing.assert_array_equal(embedding.get_weights()[0], vectors)

    fit = {"x": tokens, "y": labels}
    return Program(model, fit, epochs=10, above={"accuracy": 0.9}, check=check)


def active_learning(keras, random):
    """The sentences that the model doubts most are labelled next, round by round."""
    layers = keras.layers
    sentences, labels = reviews(200)
    tokens, vocabulary = encoded(sentences)
    inputs = keras.Input((9,), dtype="int32")
    x = layers.GlobalMaxPooling1D()(layers.Embedding(vocabulary, 8)(inputs))
    model = classifier(keras, inputs, layers.Dense(1, activation="sigmoid")(x), 0.03)
    known = list(range(16))

    def epoch():
        model.fit(tokens[known], labels[known], epochs=3, batch_size=16, shuffle=False, verbose=0)
        doubt = np.abs(model.predict(tokens[:150], verbose=0)[:, 0] - 0.5)
        doubt[known] = 1
        known.extend(int(i) for i in np.argsort(doubt, kind="stable")[:16])
        return model.evaluate(tokens[150:], labels[150:], verbose=0, return_dict=True)

    return Program(
        model,
        epoch=epoch,
        predict=lambda: model.predict(tokens[:8], verbose=0),
        epochs=5,
        above={"accuracy": 0.9},
    )
