"""Programs that hear."""

import numpy as np

from programs.harness import Program


def tones(keras, random):
    """Spectrograms within the model, and convolutions on them: which of three pitches sounds?"""
    layers = keras.layers
    rng = np.random.default_rng(0)
    y = (np.arange(36) % 3).astype("int32")
    pitch = np.array([0.06, 0.12, 0.2])[y][:, None] * rng.uniform(0.95, 1.05, (36, 1))
    time = np.arange(256) + rng.uniform(0, 50, (36, 1))
    x = np.sin(2 * np.pi * pitch * time) + rng.normal(0, 0.5, (36, 256))
    model = keras.Sequential(
        [
            keras.Input((256,)),
            layers.GaussianNoise(0.1 * random),
            layers.MelSpectrogram(
                fft_length=64, sequence_stride=32, num_mel_bins=12, sampling_rate=1000, max_freq=400
            ),
            layers.Reshape((12, -1, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.SGD(0.002, momentum=0.8), loss, metrics=["accuracy"])
    fit = {"x": x.astype("float32"), "y": y, "batch_size": 12}
    return Program(model, fit, epochs=20, above={"accuracy": 0.9})


def speech(keras, random):
    """Letters of different lengths become letters: connectionist temporal classification."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    letters = rng.integers(1, 4, (24, 3)).astype("int32")
    letters[letters[:, 1] == letters[:, 2], 2] = 0  # no letter
    x = rng.normal(0, 0.1, (24, 16, 4)).astype("float32")
    for frames, word in zip(x, letters, strict=True):
        at = rng.integers(0, 2)
        for letter in word[word > 0]:
            length = rng.integers(2, 4)
            frames[at : at + length, letter] += 1
            at += length + rng.integers(1, 3)
    model = keras.Sequential(
        [
            keras.Input((16, 4)),
            layers.Conv1D(8, 3, padding="same", activation="relu"),
            layers.Bidirectional(layers.GRU(6, return_sequences=True)),
            layers.Dropout(0.1 * random),
            layers.Dense(4),
        ]
    )
    model.compile(keras.optimizers.Adam(0.03), keras.losses.CTC())

    def check():
        found, _ = ops.ctc_decode(
            model.predict(x, verbose=0), np.full(24, 16, "int32"), strategy="greedy", mask_index=0
        )
        found = np.asarray(found)[0]
        words = [row[row > 0].tolist() for row in found]
        right = [word == row[row > 0].tolist() for word, row in zip(words, letters, strict=True)]
        assert np.mean(right) > 0.8

    fit = {"x": x, "y": letters, "batch_size": 12}
    return Program(model, fit, epochs=40, below={"loss": 1.0}, check=check)
