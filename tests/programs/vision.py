"""Programs that see."""

import numpy as np

from programs.harness import Program


def shapes(count=48, size=8, classes=3):
    """Noisy pictures of a bright bar: horizontal, vertical, or a square in the middle."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (count, size, size, 1)).astype("float32")
    y = np.arange(count) % classes
    for picture, kind in zip(x, y, strict=True):
        at = rng.integers(1, size - 2)
        if kind == 0:
            picture[at : at + 2] += 1
        elif kind == 1:
            picture[:, at : at + 2] += 1
        else:
            picture[2:-2, 2:-2] += 1
    return x, y.astype("int32")


def convolutional_net(keras, random):
    layers = keras.layers
    x, y = shapes()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3 * random),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.01
    fit = {"x": x, "y": y, "batch_size": 16, "validation_split": 0.25}
    return Program(model, fit, epochs=15, above={"val_accuracy": 0.85})


def triplets_by_own_step(keras, random):
    layers, ops = keras.layers, keras.ops
    x, y = shapes()

    class Embedder(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(16, activation="relu")
            self.out = layers.Dense(4)
            self.tracker = keras.metrics.Mean(name="loss")

        def call(self, inputs):
            found = self.out(self.hidden(ops.reshape(inputs, (-1, 64))))
            return ops.normalize(found, axis=-1)

        def train_step(self, data):
            anchor, positive, negative = data[0]
            with keras.GradientTape() as tape:
                near = ops.sum((self(anchor) - self(positive)) ** 2, axis=-1)
                far = ops.sum((self(anchor) - self(negative)) ** 2, axis=-1)
                loss = ops.mean(ops.relu(near - far + 0.5))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

        @property
        def metrics(self):
            return [self.tracker]

    model = Embedder()
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    of = [x[y == kind] for kind in range(3)]
    anchor = np.concatenate(of)
    positive = np.concatenate([np.roll(part, 1, axis=0) for part in of])
    negative = np.roll(anchor, 16, axis=0)
    return Program(
        model,
        {"x": (anchor, positive, negative), "batch_size": 24},
        predict=lambda: model(x[:5]),
        epochs=15,
        below={"loss": 0.1},
    )
