"""Programs on sequences: translation, sums of digits, cells of one's own, letters, frames."""

import numpy as np

from programs.harness import Program


def one_hot(numbers, classes):
    return np.eye(classes, dtype="float32")[numbers]


def translation(keras, random):
    """An encoder's last state starts a decoder; separate models then decode word by word."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    source = rng.integers(1, 6, (128, 4))
    target = source[:, ::-1] + 1  # the words of the other language come in opposite order
    shifted = np.concatenate([np.zeros((128, 1), int), target[:, :-1]], axis=1)

    encoder_inputs = keras.Input((None, 7), name="source")
    _, *states = layers.LSTM(24, return_state=True, name="encoder")(encoder_inputs)
    decoder_inputs = keras.Input((None, 7), name="target")
    decoder = layers.LSTM(24, return_sequences=True, return_state=True, name="decoder")
    x, _, _ = decoder(decoder_inputs, initial_state=states)
    dense = layers.Dense(7, activation="softmax")
    model = keras.Model([encoder_inputs, decoder_inputs], dense(x))
    model.compile(keras.optimizers.RMSprop(0.02), "categorical_crossentropy", metrics=["accuracy"])

    encoding = keras.Model(encoder_inputs, states)
    given = [keras.Input((24,)), keras.Input((24,))]
    x, *left = decoder(decoder_inputs, initial_state=given)
    decoding = keras.Model([decoder_inputs, *given], [dense(x), *left])

    def decoded(words):
        states = encoding.predict(one_hot(words, 7), verbose=0)
        word = np.zeros((len(words), 1), int)
        found = []
        for _ in range(4):
            chances, *states = decoding.predict([one_hot(word, 7), *states], verbose=0)
            word = chances.argmax(-1)
            found.append(word)
        return np.concatenate(found, axis=1)

    def check():
        assert (decoded(source) == target).mean() > 0.8

    return Program(
        model,
        {"x": [one_hot(source, 7), one_hot(shifted, 7)], "y": one_hot(target, 7)},
        epochs=25,
        above={"accuracy": 0.85},
        check=check,
    )


def translation_with_attention(keras, random):
    """A decoder of GRU looks at all the steps of the encoder, by additive attention."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 7, 128)
    source = rng.integers(1, 6, (128, 6)) * (np.arange(6) < lengths[:, None])
    target = np.stack(
        [np.concatenate([r[:n][::-1], r[n:]]) for r, n in zip(source, lengths, strict=True)]
    )
    shifted = np.concatenate([np.full((128, 1), 6), target[:, :-1]], axis=1)

    inputs = {name: keras.Input((6,), dtype="int32", name=name) for name in ("source", "target")}
    memory = layers.Embedding(6, 12, mask_zero=True)(inputs["source"])
    memory = layers.Bidirectional(layers.GRU(12, return_sequences=True))(memory)
    memory = layers.Dense(16)(memory)
    query = layers.GRU(16, return_sequences=True)(layers.Embedding(7, 12)(inputs["target"]))
    seen, weights = layers.AdditiveAttention()([query, memory], return_attention_scores=True)
    x = layers.Concatenate()([query, seen])
    words = layers.Dense(6, activation="softmax", name="words")(x)
    model = keras.Model(inputs, {"words": words, "weights": weights})
    model.compile(
        keras.optimizers.Adam(0.03),
        {"words": "sparse_categorical_crossentropy", "weights": None},
    )
    x = {"source": source, "target": shifted}

    def check():
        weights = model.predict(x, verbose=0)["weights"]
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-4)
        assert (weights[source[:, None].repeat(6, 1) == 0] < 1e-4).all()

    fit = {"x": x, "y": {"words": target}, "batch_size": 16}
    return Program(model, fit, epochs=25, below={"loss": 0.3}, check=check)


def sums_of_digits(keras, random):
    """A recurrent net reads `3+4`, another writes the sum, letter by letter."""
    layers = keras.layers
    pairs = np.array([(a, b) for a in range(10) for b in range(10)])
    letters = "0123456789+ "

    def written(texts):
        return one_hot(np.array([[letters.index(c) for c in text] for text in texts]), 12)

    x = written([f"{a}+{b}" for a, b in pairs])
    y = written([f"{a + b:2}" for a, b in pairs])
    model = keras.Sequential(
        [
            keras.Input((3, 12)),
            layers.LSTM(32),
            layers.RepeatVector(2),
            layers.LSTM(32, return_sequences=True),
            layers.TimeDistributed(layers.Dense(12, activation="softmax")),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return Program(model, {"x": x, "y": y, "batch_size": 10}, epochs=60, above={"accuracy": 0.8})


def cells_of_ones_own(keras, random):
    """A custom cell with two states that are matrices or vectors, stacked with cells of Keras."""
    layers, ops = keras.layers, keras.ops

    class Leaky(layers.Layer):
        """Keeps a share of its state, which it learns, and counts the steps."""

        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = units
            self.state_size = (units, 1)
            self.output_size = units

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
            self.keep = self.add_weight(shape=(self.units,), initializer="zeros", name="keep")

        def call(self, inputs, states, training=False):
            state, count = states
            keep = ops.sigmoid(self.keep)
            state = keep * state + (1 - keep) * ops.tanh(ops.matmul(inputs, self.kernel))
            return state + 0.01 * count, [state, count + 1]

    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 7, 3)).astype("float32")
    y = x[:, -4:, 0].sum(1, keepdims=True) * 0.5
    inputs = keras.Input((7, 3))
    cells = [Leaky(8, name="leaky"), layers.GRUCell(6), layers.SimpleRNNCell(4)]
    hidden = layers.RNN(cells, return_sequences=True)(inputs)
    hidden = layers.RNN(Leaky(4), go_backwards=True)(hidden)
    model = keras.Model(inputs, layers.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=25, below={"loss": 0.3})


def states_that_stay(keras, random):
    """A stateful LSTM reads long rows piece by piece; states are reset between epochs."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    row = np.cumsum(rng.integers(0, 2, (12, 12)), axis=1)
    x = np.diff(row, axis=1, prepend=0)[..., None].astype("float32")
    y = (row % 3 == 0)[..., None].astype("float32")
    rnn = layers.LSTM(10, stateful=True, return_sequences=True)
    model = keras.Sequential(
        [keras.Input(batch_shape=(12, 6, 1)), rnn, layers.Dense(1, activation="sigmoid")]
    )
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")

    def epoch():
        rnn.reset_state()
        losses = []
        for piece in range(0, 12, 6):
            with keras.GradientTape() as tape:
                found = model(x[:, piece : piece + 6], training=True)
                loss = keras.losses.binary_crossentropy(y[:, piece : piece + 6], found)
                loss = keras.ops.mean(loss)
            weights = model.trainable_variables
            model.optimizer.apply(tape.gradient(loss, weights), weights)
            losses.append(float(loss))
        return {"loss": sum(losses) / 2}

    def predict():
        rnn.reset_state()
        return [model(x[:, piece : piece + 6]) for piece in (0, 6)]

    def check():
        rnn.reset_state()
        pieces = [model.predict(x[:, i : i + 6], batch_size=12, verbose=0) for i in range(0, 12, 6)]
        assert ((np.concatenate(pieces, axis=1) > 0.5) == y).mean() > 0.9

    return Program(
        model,
        epoch=epoch,
        predict=predict,
        epochs=80,
        compared=1,
        below={"loss": 0.25},
        check=check,
    )


def letters(keras, random):
    """The next letter is told from the letters before it; text is written by drawing letters."""
    layers = keras.layers
    text = "the cat sat on the mat and the hat " * 5
    letters = sorted(set(text))
    numbers = np.array([letters.index(c) for c in text])
    windows = np.lib.stride_tricks.sliding_window_view(numbers, 9)
    x, y = one_hot(windows[:, :-1], len(letters)), windows[:, -1]
    model = keras.Sequential(
        [
            keras.Input((8, len(letters))),
            layers.GRU(24, dropout=0.1 * random, reset_after=False),
            layers.Dense(len(letters), activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.RMSprop(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )

    def check():
        rng = np.random.default_rng(0)
        found = list(numbers[:8])
        for _ in range(40):
            chances = model.predict(one_hot(np.array(found[-8:]), len(letters))[None], verbose=0)
            sharp = chances[0].astype("float64") ** 4
            found.append(rng.choice(len(letters), p=sharp / sharp.sum()))
        written = "".join(letters[i] for i in found)
        assert all(word in text for word in written.split())

    return Program(model, {"x": x, "y": y}, epochs=12, above={"accuracy": 0.9}, check=check)


def next_frames(keras, random):
    """Convolutional LSTMs tell the next picture of a moving square."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    films = np.zeros((32, 5, 6, 6, 1), "float32")
    starts, ways = rng.integers(0, 6, (32, 2)), rng.integers(0, 2, 32)
    for film, at, way in zip(films, starts, ways, strict=True):
        for frame in film:
            frame[at[0] % 6, at[1] % 6] = 1
            at[way] += 1
    inputs = keras.Input((None, 6, 6, 1))
    x = layers.ConvLSTM2D(6, 3, padding="same", return_sequences=True)(inputs)
    x = layers.BatchNormalization(momentum=0.5)(x)
    x = layers.ConvLSTM2D(6, 1, padding="same", return_sequences=True)(x)
    x = layers.Conv3D(1, 3, activation="sigmoid", padding="same")(x)
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")
    fit = {"x": films[:, :-1], "y": films[:, 1:], "batch_size": 8}
    return Program(model, fit, epochs=12, below={"loss": 0.05})


def frames_by_recurrence(keras, random):
    """Pictures of a film are looked at one by one, and a GRU over them says which way it moves."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    way = rng.integers(0, 2, 64)
    films = np.zeros((64, 5, 6, 6, 1), "float32")
    for film, start, side in zip(films, rng.integers(0, 6, (64, 2)), way, strict=True):
        for step, frame in enumerate(film):
            frame[start[0], (start[1] + (step if side else -step)) % 6] = 1
    lengths = rng.integers(3, 6, 64)
    mask = np.arange(5) < lengths[:, None]
    inputs = keras.Input((5, 6, 6, 1), name="film")
    seen = keras.Input((5,), dtype="bool", name="mask")
    picture = keras.Sequential(
        [
            layers.Conv2D(6, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(12, activation="relu"),
        ]
    )
    x = layers.TimeDistributed(picture)(inputs)
    x = layers.GRU(12, return_sequences=True)(x, mask=seen)
    x = layers.GRU(8)(x, mask=seen)
    model = keras.Model({"film": inputs, "mask": seen}, layers.Dense(2, activation="softmax")(x))
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"x": {"film": films, "mask": mask}, "y": way, "batch_size": 16}
    return Program(model, fit, epochs=12, above={"accuracy": 0.95})
