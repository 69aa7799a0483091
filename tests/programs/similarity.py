"""Programs that learn what is alike, or learn from another model."""

import numpy as np

from programs.harness import Program
from programs.vision import shapes


def siamese_twins(keras, random):
    """Pairs go through one model; a contrastive loss pulls and pushes."""
    layers, ops = keras.layers, keras.ops
    x, y = shapes()
    rng = np.random.default_rng(1)
    left, right = rng.permutation(48), rng.permutation(48)
    alike = (y[left] == y[right]).astype("float32")

    class Distance(layers.Layer):
        def call(self, inputs):
            a, b = inputs
            squares = ops.sum(ops.square(a - b), axis=-1, keepdims=True)
            return ops.sqrt(ops.maximum(squares, keras.config.epsilon()))

    def contrastive(margin):
        def loss(truth, distance):
            apart = ops.square(ops.maximum(margin - distance, 0.0))
            return ops.mean(truth * ops.square(distance) + (1.0 - truth) * apart)

        return loss

    def accuracy(truth, distance):
        return ops.mean(ops.equal(truth, ops.cast(distance < 0.5, truth.dtype)))

    one = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(6, 3, activation="tanh")(one)
    hidden = layers.Flatten()(layers.AveragePooling2D(2)(hidden))
    twin = keras.Model(one, layers.Dense(4, activation="tanh")(hidden), name="twin")
    inputs = [keras.Input((8, 8, 1), name=name) for name in ("left", "right")]
    model = keras.Model(inputs, Distance()([twin(each) for each in inputs]))
    model.compile(keras.optimizers.Adam(0.01), contrastive(margin=1.0), metrics=[accuracy])
    return Program(
        model,
        {"x": [x[left], x[right]], "y": alike[:, None], "batch_size": 16},
        epochs=25,
        above={"accuracy": 0.9},
        below={"loss": 0.1},
    )


def supervised_contrast(keras, random):
    """An encoder learns to gather the pictures of a class; then a head learns on it."""
    layers, ops = keras.layers, keras.ops
    x, y = shapes()

    class Contrast(keras.losses.Loss):
        def __init__(self, temperature=0.5, name="contrast"):
            super().__init__(name=name)
            self.temperature = temperature

        def call(self, labels, features):
            features = ops.normalize(features, axis=1)
            scores = ops.matmul(features, ops.transpose(features)) / self.temperature
            scores = scores - 1e9 * ops.eye(ops.shape(features)[0])
            labels = ops.reshape(labels, (-1, 1))
            alike = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32")
            alike = alike - ops.eye(ops.shape(features)[0])
            wanted = alike / ops.maximum(ops.sum(alike, axis=1, keepdims=True), 1.0)
            return -ops.sum(wanted * ops.log_softmax(scores, axis=-1), axis=-1)

    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(6),
        ],
        name="encoder",
    )
    encoder.compile(keras.optimizers.Adam(0.02), Contrast())
    encoder_fit = {"x": x, "y": y, "batch_size": 24, "epochs": 3, "shuffle": False, "verbose": 0}

    def with_head():
        inputs = keras.Input((8, 8, 1))
        for layer in encoder.layers:
            layer.trainable = False
        outputs = layers.Dense(3, activation="softmax", name="head")(encoder(inputs))
        return keras.Model(inputs, outputs)

    model = with_head()
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )

    def epoch():
        for layer in encoder.layers:
            layer.trainable = True
        contrast = encoder.fit(**encoder_fit).history["loss"][-1]
        for layer in encoder.layers:
            layer.trainable = False
        history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
        return {"contrast": contrast, **{name: values[-1] for name, values in history.items()}}

    return Program(
        model, epoch=epoch, predict=lambda: [model(x), encoder(x)], above={"accuracy": 0.9}
    )


def distillation(keras, random):
    """A small model learns from what a larger one says, by a `compute_loss` of its own."""
    layers, ops = keras.layers, keras.ops
    x, y = shapes()

    def classifier(width, name):
        return keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(width, 3),
                layers.LeakyReLU(negative_slope=0.2),
                layers.MaxPooling2D(2, strides=1, padding="same"),
                layers.Flatten(),
                layers.Dense(3),
            ],
            name=name,
        )

    class Distiller(keras.Model):
        def __init__(self, student, teacher):
            super().__init__()
            self.teacher = teacher
            self.student = student
            self.soft_tracker = keras.metrics.Mean(name="soft")

        def compile(self, soft_loss, alpha, temperature, **kwargs):
            super().compile(**kwargs)
            self.soft_loss = soft_loss
            self.alpha, self.temperature = alpha, temperature

        def compute_loss(
            self, x=None, y=None, y_pred=None, sample_weight=None, training=True, **kwargs
        ):
            told = ops.stop_gradient(self.teacher(x, training=False))
            hard = super().compute_loss(x, y, y_pred, sample_weight)
            soft = self.soft_loss(
                ops.softmax(told / self.temperature), ops.softmax(y_pred / self.temperature)
            )
            self.soft_tracker.update_state(soft)
            return self.alpha * hard + (1 - self.alpha) * soft * self.temperature**2

        def call(self, inputs):
            return self.student(inputs)

    teacher, student = classifier(8, "teacher"), classifier(3, "student")
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    teacher.compile(keras.optimizers.Adam(0.02), hard)
    distiller = Distiller(student, teacher)
    teacher.trainable = False
    distiller.compile(
        keras.losses.KLDivergence(),
        alpha=0.1,
        temperature=3,
        optimizer=keras.optimizers.Adam(0.02),
        loss=hard,
        metrics=[accuracy],
    )
    teacher.trainable = True
    fit = {"batch_size": 16, "shuffle": False, "verbose": 0}

    def epoch():
        of_teacher = teacher.fit(x, y, epochs=2, **fit).history["loss"][-1]
        teacher.trainable = False
        kept = teacher.get_weights()
        history = distiller.fit(x, y, **fit).history
        for before, after in zip(kept, teacher.get_weights(), strict=True):
            assert np.array_equal(before, after)
        teacher.trainable = True
        return {"teacher": of_teacher, **{name: values[0] for name, values in history.items()}}

    return Program(
        distiller,
        epoch=epoch,
        predict=lambda: [student(x), teacher(x), distiller(x)],
        epochs=15,
        above={"accuracy": 0.9},
        below={"soft": 0.05},
    )


def triplets(keras, random):
    """A `train_step` of its own with a tape."""
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
