"""Programs about training itself: losses, callbacks, optimizers, freezing, saving, fine-tuning."""

import numpy as np

from programs.harness import Program


def blobs(count=128, classes=3, width=6, seed=0):
    """Points around a centre for each class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    centres = np.random.default_rng(1).normal(size=(classes, width))
    return (centres[y] + 0.5 * rng.normal(size=(count, width))).astype("float32"), y


def small_net(keras, hidden=12, rate=0.0):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(hidden, activation="relu", name="hidden"),
            layers.Dropout(rate),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )


def several_outputs(keras, random):
    """Two inputs and three outputs with losses, weights and metrics in dicts."""
    layers = keras.layers
    x, kind = blobs()
    other = np.random.default_rng(1).normal(size=(128, 2)).astype("float32")
    inputs = {"points": keras.Input((6,), name="points"), "other": keras.Input((2,), name="other")}
    shared = layers.Dense(12, activation="relu")(layers.concatenate(list(inputs.values())))
    outputs = {
        "kind": layers.Dense(3, activation="softmax", name="kind")(shared),
        "size": layers.Dense(1, name="size")(shared),
        "priority": layers.Dense(1, activation="sigmoid", name="priority")(shared),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(0.02),
        loss={
            "kind": "sparse_categorical_crossentropy",
            "size": keras.losses.Huber(),
            "priority": keras.losses.BinaryCrossentropy(label_smoothing=0.1),
        },
        loss_weights={"kind": 1.0, "size": 0.5, "priority": 0.2},
        metrics={"kind": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)]},
        weighted_metrics={"size": ["mae"]},
    )
    y = {
        "kind": kind,
        "size": np.linalg.norm(x, axis=1, keepdims=True) + other[:, :1],
        "priority": (other[:, 1] > 0).astype("float32"),
    }
    weights = {"kind": np.ones(128), "size": np.linspace(0, 2, 128), "priority": np.ones(128)}
    fit = {"x": {"points": x, "other": other}, "y": y, "sample_weight": weights}
    return Program(
        model,
        {
            **fit,
            "validation_data": (
                {"points": x[:32], "other": other[:32]},
                {k: v[:32] for k, v in y.items()},
            ),
        },
        epochs=15,
        above={"kind_accuracy": 0.9},
        below={"val_size_loss": 0.2},
    )


def callbacks_and_schedules(keras, random):
    """Rates by a schedule, then by a callback; the log of a callback of the program's own."""
    x, y = blobs()
    model = small_net(keras, rate=0.1 * random)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.005, decay_steps=16, warmup_target=0.03, warmup_steps=4
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=1e-3, clipnorm=1.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    seen = []

    class Noting(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, float(logs["loss"])))

        def on_epoch_end(self, epoch, logs=None):
            logs["rate"] = float(self.model.optimizer.learning_rate)

    callbacks = [
        Noting(),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)),
    ]

    def check():
        assert [entry for entry in seen if isinstance(entry, int)] == list(range(10))
        assert float(model.optimizer.learning_rate) < 1e-4
        assert int(model.optimizer.iterations) == 40

    fit = {"x": x, "y": y, "callbacks": callbacks}
    return Program(model, fit, epochs=10, above={"accuracy": 0.85}, check=check)


def stopping_early(keras, random):
    """Rates by a function of the epoch, halved on a plateau; training stops and goes back."""
    x, y = blobs()
    model = small_net(keras)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    stop = keras.callbacks.EarlyStopping(
        "val_accuracy", patience=2, restore_best_weights=True, min_delta=0.001, mode="max"
    )
    history = keras.callbacks.History()
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.97),
        keras.callbacks.ReduceLROnPlateau("val_accuracy", factor=0.5, patience=1),
        stop,
        history,
    ]
    held = blobs(seed=3)

    def check():
        assert 0 < stop.stopped_epoch < 39
        best = max(history.history["val_accuracy"])
        found = model.evaluate(*held, verbose=0, return_dict=True)["accuracy"]
        np.testing.assert_allclose(found, best, rtol=1e-6)

    fit = {"x": x, "y": y, "validation_data": held, "callbacks": callbacks}
    return Program(model, fit, epochs=40, compared=4, above={"accuracy": 0.95}, check=check)


def gathered_gradients(keras, random):
    """Gradients of four batches make one step, and averages of the weights are kept."""
    x, y = blobs()
    model = small_net(keras)
    model.compile(
        keras.optimizers.Adam(
            0.03,
            gradient_accumulation_steps=4,
            use_ema=True,
            ema_momentum=0.8,
            ema_overwrite_frequency=8,
        ),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    fit = {"x": x, "y": y, "batch_size": 8}
    return Program(model, fit, epochs=20, above={"accuracy": 0.95})


def endpoint_layer(keras, random):
    """The last layer takes the labels too, adds the loss and keeps a metric of its own."""
    layers, ops = keras.layers, keras.ops
    x, y = blobs()

    class LogisticEndpoint(layers.Layer):
        def __init__(self, name=None):
            super().__init__(name=name)
            self.loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            # The real Keras can't update a metric inside a layer on JAX.
            self.accuracy = keras.metrics.SparseCategoricalAccuracy("right") if random else None

        def call(self, logits, targets=None, sample_weight=None):
            if targets is not None:
                self.add_loss(self.loss_fn(targets, logits, sample_weight))
                if self.accuracy is not None:
                    self.accuracy.update_state(targets, logits)
            return ops.softmax(logits)

    inputs = keras.Input((6,), name="inputs")
    targets = keras.Input((), dtype="int32", name="targets")
    logits = layers.Dense(3)(layers.Dense(12, activation="relu")(inputs))
    predictions = LogisticEndpoint(name="predictions")(logits, targets)
    model = keras.Model({"inputs": inputs, "targets": targets}, predictions)
    model.compile(keras.optimizers.Adam(0.03))
    fit = {"x": {"inputs": x, "targets": y.astype("int32")}}
    return Program(model, fit, epochs=10, above={"right": 0.95}, below={"loss": 0.2})


def own_loss_and_metrics(keras, random):
    """`compute_loss` and `compute_metrics` of the model's own, with trackers in `metrics`."""
    ops = keras.ops
    x, y = blobs()
    weight = np.linspace(0.5, 1.5, len(x)).astype("float32")

    class Focused(keras.Model):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.focus = keras.metrics.Mean(name="focus")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            chance = ops.take_along_axis(y_pred, ops.cast(y, "int32")[:, None], axis=1)[:, 0]
            each = -ops.log(chance + 1e-7) * (1 - ops.stop_gradient(chance)) ** 2
            self.focus.update_state((1 - chance) ** 2)
            return ops.mean(each * sample_weight) + sum(self.losses)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            found = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**found, "focus": self.focus.result()}

        @property
        def metrics(self):
            return [*super().metrics, self.focus]

    inputs = keras.Input((6,))
    decay = keras.regularizers.L1L2(1e-4, 1e-3)
    hidden = keras.layers.Dense(12, activation="relu", kernel_regularizer=decay)(inputs)
    model = Focused(inputs, keras.layers.Dense(3, activation="softmax")(hidden))
    model.compile(keras.optimizers.Adam(0.03), metrics=["accuracy"])
    fit = {"x": x, "y": y, "sample_weight": weight, "validation_data": (x, y, weight)}
    return Program(model, fit, epochs=10, above={"val_accuracy": 0.95}, below={"focus": 0.1})


def data_from_workers(keras, random):
    """A `PyDataset` makes batches in threads, with weights for the samples."""
    x, y = blobs()
    epochs = []

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 9  # the last is smaller

        def __getitem__(self, index):
            part = slice(index * 15, (index + 1) * 15)
            weight = 1.0 + (y[part] == 0)
            return x[part], y[part], weight.astype("float32")

        def on_epoch_end(self):
            epochs.append(len(epochs))

    model = small_net(keras)
    model.compile(
        keras.optimizers.Adam(0.02),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    # With several workers the real Keras gives some batches twice, and others never.
    batches = Batches(workers=2 if random else 1, max_queue_size=4)

    def check():
        assert len(epochs) >= 8
        expected = model.evaluate(x, y, sample_weight=1.0 + (y == 0), verbose=0, batch_size=15)
        np.testing.assert_allclose(model.evaluate(batches, verbose=0), expected, rtol=1e-5)

    return Program(
        model,
        {"x": batches},
        predict=lambda: model.predict(x, verbose=0),
        epochs=8,
        above={"accuracy": 0.95},
        check=check,
    )


def fine_tuning_by_low_rank(keras, random):
    """A trained net learns other classes through low-rank updates alone, which are then merged."""
    x, y = blobs()
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(16, activation="relu", name="body")(inputs)
    numbers = keras.layers.Embedding(4, 16, name="table")(keras.ops.ones_like(inputs, "int32"))
    hidden = hidden + keras.ops.mean(numbers, axis=1)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(hidden))
    model.get_layer("body").enable_lora(2)
    model.get_layer("table").enable_lora(1, lora_alpha=2)
    model.get_layer("head").bias.trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=["accuracy"])
    before = np.asarray(model.get_layer("body")._kernel)

    def check():
        np.testing.assert_array_equal(np.asarray(model.get_layer("body")._kernel), before)
        trained = [variable.path for variable in model.trainable_variables]
        assert sum("lora" in path for path in trained) == 4

    fit = {"x": x, "y": (y + 1) % 3}
    return Program(model, fit, epochs=15, above={"accuracy": 0.95}, check=check)


def quantized_after_training(keras, random):
    """Weights become int8 once a model is trained; it still tells the classes."""
    x, y = blobs()
    model = small_net(keras)
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )

    def check():
        full = model.predict(x, verbose=0)
        model.quantize("int8")
        assert model.get_layer("hidden")._kernel.dtype == "int8"
        found = model.predict(x, verbose=0)
        np.testing.assert_allclose(found, full, atol=0.05)
        assert (found.argmax(1) == y).mean() > 0.95

    return Program(model, {"x": x, "y": y}, epochs=12, above={"accuracy": 0.95}, check=check)


def training_when_quantized(keras, random):
    """Low-rank updates train on top of a frozen int8 kernel."""
    x, y = blobs()
    model = small_net(keras)
    model.quantize("int8")
    for layer in model.layers[::2]:
        layer.enable_lora(3)
    model.compile(
        keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return Program(model, {"x": x, "y": y}, epochs=15, above={"accuracy": 0.9})


def optimizer_of_ones_own(keras, random):
    """Gradients are centred before RMSprop uses them (Yong 2020); one rule is written anew."""
    ops = keras.ops
    x, y = blobs()

    class Centred(keras.optimizers.RMSprop):
        def apply(self, grads, trainable_variables=None):
            grads = [
                g - ops.mean(g, axis=list(range(len(g.shape) - 1)), keepdims=True)
                if len(g.shape) > 1
                else g
                for g in grads
            ]
            return super().apply(grads, trainable_variables)

    class Signs(keras.optimizers.Optimizer):
        """Steps by the sign of an average of gradients, with its own slot and counter."""

        def __init__(self, learning_rate=0.01, beta=0.9, **options):
            super().__init__(learning_rate, **options)
            self.beta = beta

        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.averages = [self.add_variable_from_reference(v, name="average") for v in variables]

        def update_step(self, gradient, variable, learning_rate):
            average = self.averages[self._get_variable_index(variable)]
            rate = ops.cast(learning_rate, variable.dtype)
            mixed = self.beta * average + (1 - self.beta) * ops.cast(gradient, variable.dtype)
            self.assign(average, mixed)
            self.assign_sub(variable, rate * ops.sign(mixed))

    model = small_net(keras)
    model.compile(Centred(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    second = small_net(keras)
    second.compile(
        Signs(0.01, clipvalue=0.5), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )

    def epoch():
        logs = {}
        for name, net in (("centred", model), ("signs", second)):
            history = net.fit(x, y, shuffle=False, verbose=0).history
            logs.update({f"{name}_{key}": values[-1] for key, values in history.items()})
        return logs

    return Program(
        [model, second],
        epoch=epoch,
        predict=lambda: [net.predict(x, verbose=0) for net in (model, second)],
        epochs=10,
        above={"centred_accuracy": 0.9, "signs_accuracy": 0.9},
    )


def ensemble_of_submodels(keras, random):
    """Models share a first part and are averaged; the shared part trains once."""
    layers = keras.layers
    x, y = blobs()
    first = keras.Sequential([keras.Input((6,)), layers.Dense(12, activation="relu")], name="first")
    inputs = keras.Input((6,))

    def member(seed):
        initial = keras.initializers.GlorotUniform(seed=seed)
        outputs = layers.Dense(3, activation="softmax", kernel_initializer=initial)(first(inputs))
        return keras.Model(inputs, outputs, name=f"member_{seed}")

    members = [member(seed) for seed in range(3)]
    model = keras.Model(inputs, layers.Average()([m(inputs) for m in members]))
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )

    def check():
        assert len(model.trainable_variables) == 2 + 3 * 2
        found = np.mean([m.predict(x, verbose=0) for m in members], axis=0)
        np.testing.assert_allclose(model.predict(x, verbose=0), found, rtol=1e-5)

    return Program(model, {"x": x, "y": y}, epochs=12, above={"accuracy": 0.95}, check=check)


def surgery(keras, random):
    """A net is cut in the middle, a new head is put on, and a layer is replaced in a clone."""
    layers = keras.layers
    x, y = blobs()
    base = small_net(keras, rate=0.1 * random)
    body = keras.Model(base.inputs, base.get_layer("hidden").output)
    body.trainable = False
    head = layers.Dense(2, activation="softmax", name="head")(body.output)
    model = keras.Model(body.input, {"head": head, "hidden": body.output})
    wide = keras.models.clone_model(
        base,
        clone_function=lambda layer: (
            layers.Dense(3, activation="tanh", name="tanh")
            if layer.name == "classes"
            else layer.__class__.from_config(layer.get_config())
        ),
    )
    loss = {"head": "sparse_categorical_crossentropy", "hidden": None}
    model.compile(keras.optimizers.Adam(0.05), loss)
    before = body.get_weights()

    def check():
        assert [v.path for v in model.trainable_variables] == ["head/kernel", "head/bias"]
        for weight, old in zip(body.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, old)
        assert [layer.name for layer in wide.layers] == ["hidden", "dropout", "tanh"]
        assert wide.predict(x, verbose=0).min() < 0

    fit = {"x": x, "y": {"head": (y == 1).astype("int32")}}
    return Program(
        [model, base, wide],
        fit=None,
        epoch=lambda: (
            model.fit(**fit, shuffle=False, verbose=0).history
            and model.evaluate(fit["x"], fit["y"], verbose=0, return_dict=True)
        ),
        predict=lambda: [net.predict(x, verbose=0) for net in (model, base, wide)],
        epochs=15,
        below={"loss": 0.3},
        check=check,
    )


def freezing_and_unfreezing(keras, random):
    """Only the head trains; then all does after a new `compile`, but for the batch norms."""
    layers = keras.layers
    x, y = blobs()
    body = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8), layers.BatchNormalization(), layers.ReLU()]
    )
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(body(inputs, training=False)))
    phases = []

    def compiled(rate):
        model.compile(
            keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )

    def epoch():
        phase = len(phases)
        if phase == 0:
            body.trainable = False
            compiled(0.05)
        elif phase == 2:
            body.trainable = True
            body.layers[1].trainable = False
            compiled(0.01)
        phases.append(len(model.trainable_variables))
        before = [np.array(w) for w in body.get_weights()]
        logs = model.fit(x, y, epochs=3, shuffle=False, verbose=0).history
        moved = [not np.array_equal(a, b) for a, b in zip(before, body.get_weights(), strict=True)]
        found = {name: values[-1] for name, values in logs.items()}
        return {**found, "moved": sum(moved), "trained": phases[-1]}

    def check():
        assert phases == [2, 2, 4, 4]

    return Program(
        model,
        epoch=epoch,
        predict=lambda: model.predict(x, verbose=0),
        epochs=4,
        compared=3,
        above={"accuracy": 0.85, "moved": 1},
        check=check,
    )


def saved_in_the_middle(keras, random):
    """A model is saved while it trains; one that is read goes on as if nothing had happened."""
    import pathlib
    import tempfile

    x, y = blobs()
    made = [small_net(keras)]
    made[0].compile(
        keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.03, 4, 0.9)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )

    def epoch():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.keras"
            logs = made[-1].fit(x, y, shuffle=False, verbose=0).history
            made[-1].save(path)
            made.append(keras.models.load_model(path))
        old, new = made[-2:]
        for ours, theirs in zip(new.optimizer.variables, old.optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
        return {name: values[-1] for name, values in logs.items()}

    def check():
        assert int(made[-1].optimizer.iterations) == 4 * 8

    return Program(
        made[0],
        epoch=epoch,
        predict=lambda: made[-1].predict(x, verbose=0),
        epochs=8,
        above={"accuracy": 0.9},
        check=check,
    )


def half_precision(keras, random):
    """A mixed policy computes in bfloat16 and keeps float32; losses are scaled."""
    layers = keras.layers
    x, y = blobs()
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    inputs = keras.Input((6,))
    hidden = layers.Dense(16, activation="relu", dtype=policy)(inputs)
    hidden = layers.LayerNormalization(dtype=policy)(hidden)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(hidden))
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.02), initial_scale=1024.0, dynamic_growth_steps=8
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def check():
        assert float(optimizer.dynamic_scale) > 1024

    return Program(
        model, {"x": x, "y": y}, epochs=10, above={"accuracy": 0.95}, check=check, tolerance=2e-2
    )


def own_metrics_and_losses_by_name(keras, random):
    """A loss class, a metric class and functions of one's own, found by their registered names."""
    ops = keras.ops
    x, y = blobs()

    @keras.saving.register_keras_serializable(package="programs", name="Soft")
    class Soft(keras.losses.Loss):
        def __init__(self, power=0.7, **options):
            super().__init__(**options)
            self.power = power

        def call(self, y_true, y_pred):
            chance = ops.sum(y_true * y_pred, axis=-1)
            return (1 - chance**self.power) / self.power

        def get_config(self):
            return {**super().get_config(), "power": self.power}

    class Hits(keras.metrics.Metric):
        def __init__(self, name="hits", **options):
            super().__init__(name=name, **options)
            self.total = self.add_weight(name="total", initializer="zeros")
            self.each = self.add_variable((3,), initializer="zeros", name="each")

        def update_state(self, y_true, y_pred, sample_weight=None):
            right = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))
            right = ops.cast(right, "float32")[:, None] * ops.cast(y_true, "float32")
            self.each.assign_add(ops.sum(right, axis=0))
            self.total.assign_add(ops.cast(ops.shape(y_true)[0], "float32"))

        def result(self):
            return {"hits": ops.sum(self.each) / self.total, "rarest": ops.min(self.each)}

    model = small_net(keras)
    loss = keras.losses.get({"class_name": "programs>Soft", "config": {"power": 0.5}})
    if not random:
        loss = Soft(0.5)

    def distance(y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)

    model.compile(
        keras.optimizers.Nadam(0.02), loss, metrics=[Hits(), distance, "cosine_similarity"]
    )
    fit = {"x": x, "y": np.eye(3, dtype="float32")[y]}
    return Program(model, fit, epochs=10, above={"hits": 0.95}, below={"distance": 0.1})


def distilled(keras, random):
    """A small net learns from the soft answers of a larger one that is kept as it is."""
    ops = keras.ops
    x, y = blobs()
    teacher = small_net(keras, hidden=32)
    student = small_net(keras, hidden=4)

    class Distiller(keras.Model):
        def __init__(self, teacher, student, alpha, temperature):
            super().__init__()
            self.teacher, self.student = teacher, student
            self.alpha, self.temperature = alpha, temperature
            teacher.trainable = False

        def call(self, inputs, training=False):
            return self.student(inputs, training=training)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
            hard = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
            soft = [
                ops.softmax(ops.log(p + 1e-7) / self.temperature)
                for p in (self.teacher(x, training=False), y_pred)
            ]
            near = ops.mean(keras.losses.kl_divergence(*soft)) * self.temperature**2
            return self.alpha * hard + (1 - self.alpha) * near

    model = Distiller(teacher, student, 0.9, 3.0)
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return Program(model, {"x": x, "y": y}, epochs=12, above={"accuracy": 0.9})


def one_model_step_by_step(keras, random):
    """`train_on_batch`, `test_on_batch` and `predict_on_batch`, with metrics reset by hand."""
    x, y = blobs()
    model = small_net(keras)
    model.compile(
        keras.optimizers.Adamax(0.05),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=1,
    )

    def epoch():
        model.reset_metrics()
        for start in range(0, 96, 24):
            part = slice(start, start + 24)
            logs = model.train_on_batch(
                x[part], y[part], class_weight={0: 1.0, 1: 2.0, 2: 0.5}, return_dict=True
            )
        model.reset_metrics()
        test = model.test_on_batch(x[96:], y[96:], sample_weight=np.arange(32.0), return_dict=True)
        return {**logs, **{f"test_{name}": value for name, value in test.items()}}

    return Program(
        model,
        epoch=epoch,
        predict=lambda: model.predict_on_batch(x),
        epochs=12,
        above={"test_accuracy": 0.9, "accuracy": 0.9},
    )
