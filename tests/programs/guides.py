"""Programs after guides: layers, loops, steps and graphs of one's own."""

import pathlib
import tempfile

import numpy as np

from programs.harness import Program, batches


def blobs(count=60):
    """Points in 6 dimensions around three centres."""
    rng = np.random.default_rng(0)
    y = (np.arange(count) % 3).astype("int32")
    centres = rng.normal(0, 1.2, (3, 6))
    return (centres[y] + rng.normal(0, 0.6, (count, 6))).astype("float32"), y


def layers_in_layers(keras, random):
    """Weights made in `build`, sublayers, losses and metrics that a layer adds by itself."""
    layers, ops = keras.layers, keras.ops

    class Linear(layers.Layer):
        def __init__(self, units=8, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units),
                initializer="random_normal",
                regularizer=keras.regularizers.L2(1e-3),
                constraint=keras.constraints.MaxNorm(2.0),
            )
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="shift")
            self.calls = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="calls"
            )

        def call(self, inputs):
            self.calls.assign_add(1.0)
            return ops.matmul(inputs, self.w) + self.b

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    class Quiet(layers.Layer):
        """Wants its inputs small, and counts how large they were."""

        def __init__(self, rate, **kwargs):
            super().__init__(**kwargs)
            self.rate = rate
            self.size = keras.metrics.Mean(name="size")

        def call(self, inputs):
            self.add_loss(self.rate * ops.mean(ops.square(inputs)))
            if random:  # on JAX, Keras can't count within layers
                self.size.update_state(ops.mean(ops.abs(inputs)))
            return inputs

    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.linears = {"first": Linear(8), "second": Linear(3)}
            self.quiet = Quiet(1e-2)
            self.dropout = layers.Dropout(0.1 * random)

        def call(self, inputs, training=None):
            hidden = self.quiet(ops.relu(self.linears["first"](inputs)))
            return self.linears["second"](self.dropout(hidden, training=training))

    x, y = blobs()
    inputs = keras.Input((6,))
    model = keras.Model(inputs, Block()(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])

    def check():
        block = model.layers[-1]
        assert len(model.losses) == 3
        assert float(block.linears["first"].calls) > 0
        norms = np.linalg.norm(block.linears["first"].w.numpy(), axis=0)
        assert norms.max() < 2.001

    return Program(
        model,
        {"x": x, "y": y, "batch_size": 20},
        epochs=15,
        above={"accuracy": 0.9},
        check=check,
    )


def loop_by_hand(keras, random):
    """Steps as functions, metrics that are updated, read and reset, and a validation."""
    layers, ops = keras.layers, keras.ops
    x, y = blobs()
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(12, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dense(3),
        ]
    )
    optimizer = keras.optimizers.SGD(0.01, momentum=0.8)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learnt = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    tested = keras.metrics.SparseCategoricalAccuracy(name="val_accuracy")
    compiled = getattr(keras, "function", lambda function: function)

    @compiled
    def train_step(x, y):
        with keras.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_of(y, logits) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        learnt.update_state(y, logits)
        return loss

    @compiled
    def test_step(x, y):
        tested.update_state(y, model(x, training=False))

    def epoch():
        for batch in batches(keras, 15, x[:45], y[:45]):
            loss = train_step(*batch)
        for batch in batches(keras, 15, x[45:], y[45:]):
            test_step(*batch)
        logs = {"loss": loss, **{m.name: float(m.result()) for m in (learnt, tested)}}
        learnt.reset_state()
        tested.reset_state()
        return logs

    def probabilities():
        return ops.softmax(model(x, training=False))

    return Program(
        model,
        epoch=epoch,
        predict=probabilities,
        epochs=10,
        above={"accuracy": 0.97, "val_accuracy": 0.9},
    )


def steps_with_weights(keras, random):
    """`train_step` and `test_step` that know sample weights and what `compile` was given."""
    layers, ops = keras.layers, keras.ops

    class Weighing(keras.Model):
        def train_step(self, data):
            x, y = data
            weight = 1.0 + ops.cast(y == 0, "float32")
            with keras.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=weight)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred, sample_weight=weight)
            return {metric.name: metric.result() for metric in self.metrics[:1]} | {
                "accuracy": self.get_metrics_result()["accuracy"]
            }

        def test_step(self, data):
            x, y = data
            y_pred = self(x, training=False)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            return {"off": loss, "wrong": ops.mean(ops.argmax(y_pred, -1) != ops.cast(y, "int32"))}

    x, y = blobs()
    inputs = keras.Input((6,))
    hidden = layers.Dense(10, activation="tanh")(inputs)
    model = Weighing(inputs, layers.Dense(3, activation="softmax")(hidden))
    model.compile(
        keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return Program(
        model,
        {"x": x, "y": y, "batch_size": 20, "validation_data": (x, y)},
        epochs=10,
        above={"accuracy": 0.9},
        below={"val_wrong": 0.05, "val_off": 0.5},
    )


def without_state(keras, random):
    """All state is handed around: `stateless_call`, `stateless_apply` and metrics likewise."""
    layers = keras.layers
    x, y = blobs()
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dense(3),
        ]
    )
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    def epoch():
        weights = [v.value for v in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        slots = [v.value for v in optimizer.variables]
        counts = accuracy.stateless_reset_state()
        kept = [w.numpy() for w in model.weights]
        for inputs, truth in batches(keras, 20, x, y):
            with keras.GradientTape() as tape:
                tape.watch(weights)
                logits, others, losses = model.stateless_call(
                    weights, others, inputs, return_losses=True, training=True
                )
                loss = loss_of(truth, logits) + sum(losses)
            gradients = tape.gradient(loss, weights)
            weights, slots = optimizer.stateless_apply(slots, gradients, weights)
            counts = accuracy.stateless_update_state(counts, truth, logits)
        for before, weight in zip(kept, model.weights, strict=True):
            assert np.array_equal(before, weight.numpy())
        variables = [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *optimizer.variables,
        ]
        for variable, value in zip(variables, [*weights, *others, *slots], strict=True):
            variable.assign(value)
        return {"loss": loss, "accuracy": accuracy.stateless_result(counts)}

    return Program(model, epoch=epoch, predict=lambda: model(x), epochs=10, above={"accuracy": 0.9})


def saved_and_read(keras, random):
    """Registered layers, functions and models of one's own, saved and read between epochs."""
    layers, ops = keras.layers, keras.ops
    register = keras.saving.register_keras_serializable

    @register(package="programs")
    class Scaled(layers.Layer):
        def __init__(self, inner, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.inner = inner
            self.factor = factor

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
            self.inner.build(input_shape)

        def call(self, inputs):
            return self.factor * self.scale * self.inner(inputs)

        def get_config(self):
            inner = keras.saving.serialize_keras_object(self.inner)
            return {**super().get_config(), "inner": inner, "factor": self.factor}

        @classmethod
        def from_config(cls, config):
            config["inner"] = keras.saving.deserialize_keras_object(config["inner"])
            return cls(**config)

    @register(package="programs", name="bent")
    def bent(x):
        return ops.tanh(x) + 0.1 * x

    @register(package="programs")
    class Classifier(keras.Model):
        def __init__(self, units, activation, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.activation = keras.activations.get(activation)
            self.first = Scaled(layers.Dense(units, name="first"), factor=0.5)
            self.last = layers.Dense(3)

        def call(self, inputs):
            return self.last(self.activation(self.first(inputs)))

        def get_config(self):
            activation = keras.activations.serialize(self.activation)
            return {**super().get_config(), "units": self.units, "activation": activation}

        def get_compile_config(self):
            return {"rate": float(self.optimizer.learning_rate)}

        def compile_from_config(self, config):
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.compile(keras.optimizers.SGD(config["rate"]), loss, metrics=["accuracy"])

    x, y = blobs()
    model = Classifier(10, bent)
    model.build((None, 6))
    model.compile_from_config({"rate": 0.3})
    program = Program(model, epochs=12, above={"accuracy": 0.9})

    def epoch():
        history = program.model.fit(x, y, batch_size=20, shuffle=False, verbose=0).history
        before = program.model.predict(x, verbose=0)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            program.model.save(path)
            program.model = keras.saving.load_model(path)
        np.testing.assert_allclose(program.model.predict(x, verbose=0), before, rtol=1e-5)
        return {name: values[-1] for name, values in history.items()}

    program.epoch = epoch
    program.predict = lambda: program.model(x)
    return program


def graphs_of_layers(keras, random):
    """Shared layers, models as layers, features from within, and a graph that is changed."""
    layers, ops = keras.layers, keras.ops
    x, y = blobs()
    title, body = keras.Input((3,), name="title"), keras.Input((3,), name="body")
    shared = layers.Dense(5, activation="relu", name="shared")
    joined = layers.concatenate([shared(title), shared(body)], name="joined")
    joined = joined * 0.5 + ops.mean(joined, axis=-1, keepdims=True)
    encoder = keras.Model({"title": title, "body": body}, joined, name="encoder")
    heads = [keras.Sequential([layers.Dense(3)], name=f"head_{i}") for i in range(2)]
    inputs = {name: keras.Input((3,), name=name) for name in ("title", "body")}
    encoded = encoder(inputs)
    logits = layers.average([head(encoded) for head in heads])
    model = keras.Model(inputs, {"kind": logits, "zero": ops.cast(logits[:, :1] > 0, "float32")})
    model.compile(
        keras.optimizers.Adam(0.03),
        loss={"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "zero": None},
        metrics={"kind": ["accuracy"]},
    )
    data = {"title": x[:, :3], "body": x[:, 3:]}
    within = keras.Model(
        encoder.inputs, [encoder.get_layer("joined").output, encoder.output], name="within"
    )
    logs_fit = {
        "x": data,
        "y": {"kind": y, "zero": y},
        "batch_size": 20,
        "shuffle": False,
        "verbose": 0,
    }

    def epoch():
        history = model.fit(**logs_fit).history
        return {name: values[-1] for name, values in history.items()}

    def check():
        assert len(shared.trainable_weights) == 2 and shared.count_params() == 20
        assert [layer.name for layer in model.layers if layer.name.startswith("head")]
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        for a, b in zip(copy(data).values(), model(data).values(), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)

    return Program(
        model,
        epoch=epoch,
        predict=lambda: [model(data), within(data)],
        epochs=15,
        above={"kind_accuracy": 0.9},
        check=check,
    )


def masks_of_ones_own(keras, random):
    """Layers that make, change, hand on and use masks."""
    layers, ops = keras.layers, keras.ops

    class Embedding(layers.Layer):
        def __init__(self, words, width, **kwargs):
            super().__init__(**kwargs)
            self.words, self.width = words, width

        def build(self, input_shape):
            self.table = self.add_weight(
                shape=(self.words, self.width), initializer="random_normal", name="table"
            )

        def call(self, inputs):
            return ops.take(self.table, inputs, axis=0)

        def compute_mask(self, inputs, mask=None):
            return ops.not_equal(inputs, 0)

    class Halves(layers.Layer):
        """Every second step, with every second of the mask."""

        def call(self, inputs):
            return inputs[:, ::2]

        def compute_mask(self, inputs, mask=None):
            return None if mask is None else mask[:, ::2]

    class Activation(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.supports_masking = True

        def call(self, inputs):
            return ops.relu(inputs)

    class Softmax(layers.Layer):
        def call(self, inputs, mask=None):
            seen = ops.expand_dims(ops.cast(mask, "float32"), -1)
            powers = ops.exp(inputs) * seen
            weights = powers / (ops.sum(powers, axis=1, keepdims=True) + 1e-6)
            return ops.sum(weights * inputs, axis=1)

    rng = np.random.default_rng(0)
    x = rng.integers(1, 8, (48, 8)).astype("int32")
    for row, length in zip(x, rng.integers(3, 9, 48), strict=True):
        row[length:] = 0
    y = (x[:, ::2] == 5).any(1).astype("float32")
    inputs = keras.Input((8,), dtype="int32")
    hidden = Activation()(Halves()(Embedding(8, 6)(inputs)))
    ends = [Softmax()(hidden), layers.LSTM(5)(hidden), layers.GlobalAveragePooling1D()(hidden)]
    outputs = layers.Dense(1, activation="sigmoid")(layers.concatenate(ends))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])

    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=15, above={"accuracy": 0.9})
