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


def compiled(keras, model, *, rate=0.01, loss="sparse_categorical_crossentropy", **arguments):
    """Compiles a classifier."""
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"], **arguments)
    return model


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
    compiled(keras, model)
    fit = {"x": x, "y": y, "batch_size": 16, "validation_split": 0.25}
    return Program(model, fit, epochs=15, above={"val_accuracy": 0.85})


def residual_net(keras, random):
    """Functional, with batch norms and shortcuts."""
    layers = keras.layers

    def block(x, filters, strides):
        shortcut = x
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.8, gamma_initializer="zeros")(x)
        if strides > 1:
            shortcut = layers.Conv2D(filters, 1, strides)(shortcut)
        return layers.ReLU()(layers.add([x, shortcut]))

    x, y = shapes()
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(4, 3, padding="same")(inputs)
    hidden = block(block(hidden, 4, 1), 8, 2)
    outputs = layers.Dense(3)(layers.GlobalAveragePooling2D()(hidden))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compiled(keras, model, rate=0.02, loss=loss)
    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=15, above={"accuracy": 0.85})


def separable_net(keras, random):
    """Depthwise-separable convolutions between shortcuts with strides."""
    layers = keras.layers
    x, y = shapes()
    inputs = keras.Input((8, 8, 1))
    hidden = previous = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    for filters in (8, 12):
        hidden = layers.Activation("relu")(hidden)
        hidden = layers.SeparableConv2D(
            filters, 3, padding="same", depth_multiplier=2, use_bias=False
        )(hidden)
        hidden = layers.BatchNormalization(momentum=0.8)(hidden)
        hidden = layers.MaxPooling2D(3, strides=2, padding="same")(hidden)
        shortcut = layers.Conv2D(filters, 1, strides=2, padding="same")(previous)
        hidden = previous = layers.add([hidden, shortcut])
    hidden = layers.DepthwiseConv2D(2, activation="swish")(hidden)
    hidden = layers.Dropout(0.2 * random)(layers.GlobalAveragePooling2D()(hidden))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    compiled(keras, model, rate=0.02)
    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=15, above={"accuracy": 0.85})


def vision_transformer(keras, random):
    """Patches and their places as layers of one's own, then attention."""
    layers, ops = keras.layers, keras.ops

    class Patches(layers.Layer):
        def __init__(self, size, **kwargs):
            super().__init__(**kwargs)
            self.size = size

        def call(self, images):
            batch, height, width, channels = ops.shape(images)
            found = ops.image.extract_patches(images, size=self.size)
            count = (height // self.size) * (width // self.size)
            return ops.reshape(found, (batch, count, self.size * self.size * channels))

        def get_config(self):
            return {**super().get_config(), "size": self.size}

    class Places(layers.Layer):
        def __init__(self, count, width, **kwargs):
            super().__init__(**kwargs)
            self.count = count
            self.projection = layers.Dense(width)
            self.embedding = layers.Embedding(count, width)

        def call(self, patches):
            positions = ops.expand_dims(ops.arange(0, self.count), axis=0)
            return self.projection(patches) + self.embedding(positions)

    x, y = shapes()
    inputs = keras.Input((8, 8, 1))
    tokens = Places(4, 12)(Patches(4)(inputs))
    normed = layers.LayerNormalization(epsilon=1e-6)(tokens)
    attended = layers.MultiHeadAttention(2, 6, dropout=0.1 * random)(normed, normed)
    tokens = layers.Add()([attended, tokens])
    hidden = layers.LayerNormalization(epsilon=1e-6)(tokens)
    hidden = layers.Dense(24, activation=keras.activations.gelu)(hidden)
    hidden = layers.Dense(12)(layers.Dropout(0.1 * random)(hidden))
    tokens = layers.Add()([hidden, tokens])
    hidden = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(tokens))
    model = keras.Model(inputs, layers.Dense(3)(hidden))
    model.compile(
        keras.optimizers.AdamW(0.01, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2"),
        ],
    )
    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=15, above={"accuracy": 0.85})


def mlp_mixer(keras, random):
    """Mixes along patches, then along channels."""
    layers, ops = keras.layers, keras.ops

    class Mixer(layers.Layer):
        def __init__(self, patches, width, **kwargs):
            super().__init__(**kwargs)
            self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
            self.over_patches = keras.Sequential(
                [layers.Dense(patches, activation="gelu"), layers.Dense(patches)]
            )
            self.over_channels = keras.Sequential(
                [layers.Dense(width, activation="gelu"), layers.Dense(width)]
            )

        def call(self, inputs):
            channels = ops.transpose(self.norms[0](inputs), (0, 2, 1))
            inputs = inputs + ops.transpose(self.over_patches(channels), (0, 2, 1))
            return inputs + self.over_channels(self.norms[1](inputs))

    x, y = shapes()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(12, 4, strides=4),
            layers.Reshape((4, 12)),
            Mixer(4, 12),
            Mixer(4, 12),
            layers.GlobalAveragePooling1D(),
            layers.Dropout(0.1 * random),
            layers.Dense(3, activation="softmax"),
        ]
    )
    compiled(keras, model)
    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=15, above={"accuracy": 0.85})


def segmentation_unet(keras, random):
    """A class for each pixel: down, up, and across."""
    layers = keras.layers
    x, _ = shapes(24)
    y = (x > 0.5).astype("int32")
    inputs = keras.Input((8, 8, 1))
    down = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    middle = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(down)
    middle = layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(middle))
    up = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(middle)
    up = layers.Concatenate()([up, layers.UpSampling2D(2)(middle), down])
    model = keras.Model(inputs, layers.Conv2D(2, 3, activation="softmax", padding="same")(up))
    iou = keras.metrics.MeanIoU(2, sparse_y_pred=False, name="iou")
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=[iou])
    return Program(model, {"x": x, "y": y, "batch_size": 12}, epochs=12, above={"iou": 0.8})


def transfer_and_fine_tuning(keras, random):
    """A head learns on a frozen base; then all learns, slowly."""
    layers = keras.layers
    x, y = shapes()
    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.Flatten(),
        ],
        name="base",
    )
    base.trainable = False
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Dropout(0.2 * random)(base(inputs, training=False))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    compiled(keras, model)
    state = {"epochs": 0}
    fit = {"batch_size": 16, "shuffle": False, "verbose": 0}

    def epoch():
        if state["epochs"] == 1:
            base.trainable = True
            base.layers[1].trainable = False
            compiled(keras, model, rate=0.002)
        state["epochs"] += 1
        before = base.get_weights()
        logs = {name: values[-1] for name, values in model.fit(x, y, **fit).history.items()}
        moved = [np.abs(a - b).max() > 0 for a, b in zip(before, base.get_weights(), strict=True)]
        learning = state["epochs"] > 1
        assert moved == [learning, learning, False, False, False, False]
        return {**logs, "trainable": len(model.trainable_weights)}

    return Program(
        model,
        epoch=epoch,
        predict=lambda: model.predict(x, verbose=0),
        compared=3,
        epochs=15,
        above={"accuracy": 0.9, "trainable": 3},
    )


def where_it_looks(keras, random):
    """Grad-CAM: the gradient of a class with respect to the last maps."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(2)
    x = rng.normal(0, 0.2, (40, 8, 8, 1)).astype("float32")
    y = np.arange(40, dtype="float32") % 2
    rows, columns = rng.integers(0, 6, (2, 40))
    for picture, row, column, seen in zip(x, rows, columns, y, strict=True):
        picture[row : row + 3, column : column + 3] += 2 * seen
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    maps = layers.Conv2D(6, 3, padding="same", activation="relu", name="last")(hidden)
    score = layers.Dense(1)(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, score)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=[accuracy])

    def heat():
        seer = keras.Model(model.inputs, [model.get_layer("last").output, model.output])
        with keras.GradientTape() as tape:
            maps, score = seer(ops.convert_to_tensor(x))
            chosen = score[:, 0]
        weights = ops.mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
        found = ops.relu(ops.sum(weights * maps, axis=-1))
        return found / (ops.max(found, axis=(1, 2), keepdims=True) + 1e-6)

    def check():
        brightest = np.asarray(heat()).reshape(40, -1).argmax(1)
        hit = (abs(brightest // 8 - rows - 1) < 2) & (abs(brightest % 8 - columns - 1) < 2)
        assert hit[y == 1].mean() > 0.8

    return Program(
        model,
        {"x": x, "y": y, "batch_size": 20},
        predict=lambda: [model(x), heat()],
        epochs=20,
        above={"accuracy": 0.9},
        check=check,
    )


def augmentation_in_the_model(keras, random):
    """Pictures are changed at random while the model learns, and left alone afterwards."""
    layers = keras.layers
    x, y = shapes()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(0.5, offset=0.1),
            *(
                [
                    layers.RandomFlip("horizontal_and_vertical"),
                    layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
                    layers.RandomRotation(0.02),
                    layers.RandomZoom(0.05),
                    layers.RandomContrast(0.1),
                    layers.GaussianNoise(0.05),
                ]
                if random
                else [layers.CenterCrop(7, 7), layers.Resizing(8, 8)]
            ),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    compiled(keras, model)

    def check():
        first, second = (np.asarray(model(x, training=False)) for _ in range(2))
        assert np.array_equal(first, second)
        assert not np.allclose(np.asarray(model(x, training=True)), first)

    return Program(
        model,
        {"x": x, "y": y, "batch_size": 16},
        epochs=20,
        above={"accuracy": 0.8},
        check=check,
    )


def learnable_resizer(keras, random):
    """A small model learns how to shrink pictures for another."""
    layers, ops = keras.layers, keras.ops
    x, y = shapes(size=12)
    inputs = keras.Input((None, None, 1))
    plain = layers.Resizing(6, 6)(inputs)
    hidden = layers.Conv2D(4, 3, padding="same")(inputs)
    hidden = layers.LeakyReLU(negative_slope=0.2)(hidden)
    hidden = ops.image.resize(hidden, (6, 6), interpolation="bilinear")
    hidden = layers.Conv2D(1, 3, padding="same", use_bias=False)(hidden)
    hidden = layers.BatchNormalization(momentum=0.8)(hidden)
    resizer = keras.Model(inputs, layers.Add()([hidden, plain]), name="resizer")
    pictures = keras.Input((12, 12, 1))
    hidden = layers.Flatten()(layers.Conv2D(6, 3, activation="relu")(resizer(pictures)))
    model = keras.Model(pictures, layers.Dense(3, activation="softmax")(hidden))
    compiled(keras, model)
    return Program(
        model,
        {"x": x, "y": y, "batch_size": 16},
        predict=lambda: [model.predict(x, verbose=0), resizer.predict(x[:, :9], verbose=0)],
        epochs=15,
        above={"accuracy": 0.9},
    )


def volumes(keras, random):
    """A 3D convolutional net tells where in the depth a bright slice lies."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (32, 6, 6, 6, 1)).astype("float32")
    y = np.arange(32) % 2
    for volume, kind in zip(x, y, strict=True):
        volume[:, :, rng.integers(0, 3) + 3 * kind] += 1
    model = keras.Sequential(
        [
            keras.Input((6, 6, 6, 1)),
            layers.Conv3D(4, 3, activation="relu"),
            layers.MaxPooling3D(2),
            layers.BatchNormalization(momentum=0.8),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.2 * random),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 20, 0.9, staircase=True)
    model.compile(keras.optimizers.Adam(schedule), "binary_crossentropy", metrics=["acc"])
    return Program(model, {"x": x, "y": y, "batch_size": 16}, epochs=15, above={"acc": 0.9})


def localisation(keras, random):
    """Two heads: what is there, and its box."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, (48, 8, 8, 1)).astype("float32")
    sizes = 2 + np.arange(48) % 2
    corners = rng.integers(0, 5, (48, 2))
    for picture, size, (row, column) in zip(x, sizes, corners, strict=True):
        picture[row : row + size, column : column + size] += 1
    boxes = np.concatenate([corners, corners + sizes[:, None]], -1).astype("float32") / 8

    def overlap(truth, found):
        sides = ops.minimum(truth[:, 2:], found[:, 2:]) - ops.maximum(truth[:, :2], found[:, :2])
        common = ops.prod(ops.maximum(sides, 0.0), axis=-1)
        areas = [ops.prod(ops.relu(box[:, 2:] - box[:, :2]), axis=-1) for box in (truth, found)]
        return common / (areas[0] + areas[1] - common + 1e-6)

    inputs = keras.Input((8, 8, 1), name="picture")
    hidden = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(inputs))
    hidden = layers.Dense(24, activation="relu")(hidden)
    outputs = {
        "box": layers.Dense(4, name="box")(hidden),
        "kind": layers.Dense(1, activation="sigmoid", name="kind")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={"box": keras.losses.Huber(delta=0.5), "kind": "binary_crossentropy"},
        loss_weights={"box": 5.0, "kind": 0.5},
        metrics={"box": [overlap, "mae"], "kind": "accuracy"},
    )
    y = {"box": boxes, "kind": (sizes[:, None] - 2).astype("float32")}
    return Program(
        model,
        {"x": {"picture": x}, "y": y, "batch_size": 16},
        epochs=30,
        above={"box_overlap": 0.5, "kind_accuracy": 0.8},
        below={"box_loss": 0.01},
    )


def mixed_up_pictures(keras, random):
    """MixUp and CutMix by a `PyDataset`, with soft labels."""
    layers = keras.layers
    x, y = shapes()
    soft = keras.utils.to_categorical(y, 3).astype("float32")

    class Mixed(keras.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            rng = np.random.default_rng(index)
            one, other = rng.integers(0, 48, (2, 16))
            share = rng.beta(0.4, 0.4, 16).astype("float32")
            if index % 2:  # a part of each picture comes from the other
                pictures = x[one].copy()
                for picture, source, part in zip(pictures, other, share, strict=True):
                    width = round(8 * (1 - part))
                    picture[:, :width] = x[source, :, :width]
                share = 1 - np.round(8 * (1 - share)) / 8
            else:
                weight = share[:, None, None, None]
                pictures = weight * x[one] + (1 - weight) * x[other]
            return pictures, share[:, None] * soft[one] + (1 - share[:, None]) * soft[other]

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)
    compiled(keras, model, rate=0.02, loss=loss)
    return Program(
        model,
        {"x": Mixed(), "validation_data": (x, soft)},
        predict=lambda: model.predict(x, verbose=0),
        epochs=10,
        above={"val_accuracy": 0.9},
    )
