"""Programs on series of measurements: forecasts, anomalies, classes, traffic on a map."""

import numpy as np

from cornu.utils import timeseries_dataset_from_array
from programs.harness import Program


def weather(steps=400):
    """Temperature, pressure and wind by the hour: days, weather fronts and noise."""
    rng = np.random.default_rng(0)
    hour = np.arange(steps)
    front = np.convolve(rng.normal(size=steps + 23), np.ones(24) / 5, "valid")
    day = np.sin(hour * 2 * np.pi / 24)
    columns = [day + 0.3 * front, front + 0.1 * day, rng.normal(size=steps)]
    return np.stack(columns, axis=1).astype("float32")


def windows(data, targets, **options):
    """Batches of windows and targets, and the same as two arrays.

    Cornu makes them for both libraries: the real one needs TensorFlow or Grain for it.
    """
    batches = timeseries_dataset_from_array(data, targets, **options)
    return batches, [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def fitted(batches, arrays, random):
    """The batches themselves for learning, which the real Keras can't take, else the arrays."""
    return {"x": batches} if random else {"x": arrays[0], "y": arrays[1]}


def weather_forecast(keras, random):
    """The temperature in some hours is told from windows of every second hour, normalized."""
    layers = keras.layers
    data = weather()
    past, future = 24, 6
    normalize = layers.Normalization()
    normalize.adapt(data[:300])
    train = windows(
        data[:300],
        data[past + future : 330, :1],
        sequence_length=past // 2,
        sampling_rate=2,
        batch_size=32,
        end_index=276,
    )
    _, test = windows(
        data[300:-future],
        data[300 + past + future :, :1],
        sequence_length=past // 2,
        sampling_rate=2,
        batch_size=32,
    )
    inputs = keras.Input((past // 2, 3))
    x = layers.LSTM(12)(normalize(inputs))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    fit = {**fitted(*train, random), "validation_data": tuple(test)}
    return Program(
        model,
        fit,
        predict=lambda: model.predict(test[0], verbose=0),
        epochs=15,
        below={"val_loss": 0.06, "val_mae": 0.2},
    )


def anomalies_by_reconstruction(keras, random):
    """A convolutional autoencoder learns what is usual; what it can't make again is not."""
    layers = keras.layers
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(330) * 2 * np.pi / 12) + 0.05 * rng.normal(size=330)
    x = np.lib.stride_tricks.sliding_window_view(wave, 24)[..., None].astype("float32")
    model = keras.Sequential(
        [
            keras.Input((24, 1)),
            layers.Conv1D(8, 5, padding="same", strides=2, activation="relu"),
            layers.Dropout(0.1 * random),
            layers.Conv1D(4, 5, padding="same", strides=2, activation="relu"),
            layers.Conv1DTranspose(4, 5, padding="same", strides=2, activation="relu"),
            layers.Conv1DTranspose(8, 5, padding="same", strides=2, activation="relu"),
            layers.Conv1DTranspose(1, 5, padding="same"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")

    def check():
        odd = x[:40].copy()
        odd[:, 10:14] = 1.5
        usual, unusual = (np.abs(model.predict(p, verbose=0) - p).mean((1, 2)) for p in (x, odd))
        assert unusual.min() > np.quantile(usual, 0.99)

    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, mode="min")
    fit = {"x": x, "y": x, "validation_split": 0.2, "callbacks": [stop]}
    return Program(model, fit, epochs=15, below={"val_loss": 0.05}, check=check)


def curves(count=96, steps=24, seed=0):
    """Curves of three kinds: slow waves, fast waves, and steps."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, count)
    time, shift = np.arange(steps), rng.uniform(0, 6, (count, 1))
    made = np.stack([np.sin(time / 4 + shift), np.sin(time + shift), np.sign(time - 4 * shift)])
    x = made[kind, np.arange(count)] + 0.1 * rng.normal(size=(count, steps))
    return x[..., None].astype("float32"), kind


def convolutional_classifier(keras, random):
    """Convolutions with batch norms, with the best weights kept and the rate lowered."""
    layers = keras.layers
    x, kind = curves()
    inputs = hidden = keras.Input((24, 1))
    for _ in range(2):
        hidden = layers.Conv1D(8, 3, padding="same", use_bias=False)(hidden)
        hidden = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(hidden))
    hidden = layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    model.compile(
        keras.optimizers.Adam(0.02),
        "sparse_categorical_crossentropy",
        metrics=["sparse_categorical_accuracy"],
    )
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_lr=1e-3),
        keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True),
    ]
    fit = {"x": x, "y": kind, "validation_data": curves(seed=1), "callbacks": callbacks}
    return Program(model, fit, epochs=15, above={"val_sparse_categorical_accuracy": 0.9})


def transformer_classifier(keras, random):
    """Attention with several heads over the steps, after convolutions of width one."""
    layers = keras.layers
    x, kind = curves()
    inputs = keras.Input((24, 1))
    hidden = layers.Conv1D(8, 4, strides=2, activation="relu")(inputs)
    normal = layers.LayerNormalization(epsilon=1e-6)(hidden)
    attention = layers.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.1 * random)
    hidden = hidden + attention(normal, normal)
    normal = layers.LayerNormalization(epsilon=1e-6)(hidden)
    normal = layers.Conv1D(8, 1, activation="relu")(normal)
    hidden = hidden + layers.Conv1D(8, 1)(layers.Dropout(0.1 * random)(normal))
    hidden = layers.GlobalAveragePooling1D(data_format="channels_first")(hidden)
    hidden = layers.Dense(16, activation="relu")(hidden)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    model.compile(
        keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    fit = {"x": x, "y": kind, "validation_split": 0.2, "batch_size": 16}
    return Program(model, fit, epochs=15, above={"accuracy": 0.95})


def traffic_on_a_map(keras, random):
    """Speeds on roads depend on those of the roads around: a graph convolution, then an LSTM."""
    layers, ops = keras.layers, keras.ops
    rng = np.random.default_rng(0)
    near = np.eye(5) + np.eye(5, k=1) + np.eye(5, k=-1)
    wave = np.sin((np.arange(150)[:, None] - 2 * np.arange(5)) / 3)
    speeds = (wave + 0.1 * rng.normal(size=(150, 5))).astype("float32")

    class GraphConvolution(layers.Layer):
        def __init__(self, width, edges, **options):
            super().__init__(**options)
            self.width = width
            self.edges = edges

        def build(self, shape):
            self.kernel = self.add_weight(
                shape=(shape[-1], self.width), initializer="glorot_uniform", name="kernel"
            )

        def call(self, features):
            # (batch, steps, roads, features)
            gathered = ops.take(ops.matmul(features, self.kernel), self.edges[1], axis=2)
            sums = ops.segment_sum(
                ops.transpose(gathered, (2, 0, 1, 3)), self.edges[0], num_segments=5
            )
            sums = ops.transpose(sums, (1, 2, 0, 3))
            own = ops.matmul(features, self.kernel)
            return ops.relu(ops.concatenate([own, sums], axis=-1))

    class OverTime(layers.Layer):
        """Reads the steps of each road with one LSTM."""

        def __init__(self, graph, units, ahead, **options):
            super().__init__(**options)
            self.graph = graph
            self.lstm = layers.LSTM(units, activation="relu")
            self.dense = layers.Dense(ahead)

        def call(self, inputs):
            features = self.graph(inputs)
            batch, steps, roads, width = ops.shape(features)
            by_road = ops.transpose(features, [0, 2, 1, 3])
            by_road = ops.reshape(by_road, (batch * roads, steps, width))
            out = self.dense(self.lstm(by_road))
            return ops.transpose(ops.reshape(out, (batch, roads, -1)), [0, 2, 1])

    edges = np.stack(np.nonzero(near)).astype("int32")
    x = np.lib.stride_tricks.sliding_window_view(speeds, 6, axis=0)[:-1]
    x = x.transpose(0, 2, 1)[..., None]
    y = speeds[6:, None]
    inputs = keras.Input((6, 5, 1))
    outputs = OverTime(GraphConvolution(6, edges), 12, 1)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.RMSprop(0.01), keras.losses.MeanSquaredError())
    fit = {"x": x, "y": y, "validation_split": 0.2}
    return Program(model, fit, epochs=12, below={"loss": 0.1})


def gated_forecast(keras, random):
    """Series are chosen by gates, read by an LSTM and seen by attention; quantiles are told."""
    layers, ops = keras.layers, keras.ops
    data = weather(300)
    x = np.lib.stride_tricks.sliding_window_view(data, 12, axis=0)[:-3].transpose(0, 2, 1)
    y = data[14:, :1]

    class GatedResidual(layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = units
            self.hidden = layers.Dense(units, activation="elu")
            self.linear = layers.Dense(units)
            self.gate = layers.Dense(units, activation="sigmoid")
            self.norm = layers.LayerNormalization()
            self.project = None

        def build(self, shape):
            if shape[-1] != self.units:
                self.project = layers.Dense(self.units)
                self.project.build(shape)
            self.hidden.build(shape)
            inner = (*shape[:-1], self.units)
            for layer in (self.linear, self.gate, self.norm):
                layer.build(inner)

        def call(self, inputs):
            x = self.linear(self.hidden(inputs))
            kept = inputs if self.project is None else self.project(inputs)
            return self.norm(kept + x * self.gate(x))

    def quantile_loss(y_true, y_pred):
        quantiles = ops.convert_to_tensor([0.1, 0.5, 0.9], "float32")
        error = y_true - y_pred
        return ops.mean(ops.maximum(quantiles * error, (quantiles - 1) * error), axis=-1)

    inputs = keras.Input((12, 3))
    columns = ops.split(inputs, 3, axis=-1)
    embedded = ops.stack([GatedResidual(8)(layers.Dense(8)(c)) for c in columns], axis=-1)
    weights = layers.Dense(3, activation="softmax")(GatedResidual(8)(inputs))
    x_chosen = ops.sum(embedded * ops.expand_dims(weights, 2), axis=-1)
    steps = layers.LSTM(8, return_sequences=True)(x_chosen)
    steps = layers.LayerNormalization()(steps + x_chosen)
    seen = layers.MultiHeadAttention(2, 4)(steps, steps, use_causal_mask=True)
    last = GatedResidual(8)(layers.Add()([steps, seen]))[:, -1]
    model = keras.Model(inputs, layers.Dense(3, name="quantiles")(last))
    model.compile(keras.optimizers.Adam(0.01), quantile_loss)

    def check():
        low, _, high = model.predict(x, verbose=0).T
        assert (low < high).mean() > 0.95
        assert 0.5 < ((low < y[:, 0]) & (y[:, 0] < high)).mean() < 0.99

    fit = {"x": x, "y": y}
    return Program(model, fit, epochs=15, below={"loss": 0.15}, check=check)
