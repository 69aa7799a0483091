"""Writes the files of this folder: `python write.py` where `tf_keras` is installed.

Each model is written as Keras 2 does, as `.h5` and some as `.keras`, with inputs and outputs in
`.npz`. Of a compiled model there are also targets, and the weights after two more epochs.
"""

import pathlib

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

FOLDER = pathlib.Path(__file__).parent
Input, Sequential = keras.Input, keras.Sequential
# The models that are also written as `.keras`.
ARCHIVES = ["attention", "bidirectional", "cnn", "mlp", "nested", "tf_ops", "two_inputs"]


def mlp():
    dense = layers.Dense(3, activation="softmax", kernel_regularizer="l2")
    return Sequential([layers.Dense(5, activation="relu", input_shape=(4,)), dense])


def activations():
    parts = [layers.LeakyReLU(alpha=0.1), layers.ELU(), layers.ThresholdedReLU(theta=0.2)]
    parts += [layers.Activation("hard_sigmoid"), layers.PReLU(), layers.Softmax()]
    normal = keras.initializers.RandomNormal(stddev=0.2)
    return Sequential([Input((4,)), layers.Dense(5, kernel_initializer=normal), *parts])


def cnn():
    return Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 3), padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.SeparableConv2D(4, 3),
            layers.GlobalAveragePooling2D(),
        ]
    )


def residual():
    x = inputs = Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False)(layers.ZeroPadding2D(1)(x))
    x = layers.BatchNormalization(fused=True)(x)
    y = layers.Conv2D(4, 1, groups=2)(layers.Activation("swish")(x))
    x = layers.concatenate([layers.Add()([x, y]), y])
    x = layers.UpSampling2D()(layers.Conv2DTranspose(3, 3, strides=2)(x))
    x = layers.Flatten()(layers.Cropping2D(1)(layers.AveragePooling2D()(x)))
    return keras.Model(inputs, layers.Dense(2)(x))


def lstm():
    hard = layers.LSTM(3, recurrent_activation="hard_sigmoid", implementation=1)
    return Sequential([layers.LSTM(3, return_sequences=True, input_shape=(5, 4)), hard])


def gru():
    return Sequential(
        [
            layers.GRU(3, return_sequences=True, input_shape=(5, 4)),
            layers.GRU(3, reset_after=False),
        ]
    )


def bidirectional():
    inputs = Input((5, 4))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(inputs)
    x = layers.TimeDistributed(layers.Dense(3))(x)
    return keras.Model(inputs, layers.Bidirectional(layers.GRU(2), merge_mode="sum")(x))


def stacked_cells():
    cells = [layers.LSTMCell(3), layers.GRUCell(2)]
    return Sequential(
        [Input((5, 4)), layers.RNN(cells, return_sequences=True), layers.SimpleRNN(3)]
    )


def sequence_to_sequence():
    a, b = Input((5, 4)), Input((6, 4))
    _, h, c = layers.LSTM(3, return_state=True)(a)
    return keras.Model([a, b], layers.LSTM(3, return_sequences=True)(b, initial_state=[h, c]))


def embedding():
    table = layers.Embedding(9, 4, input_length=6, mask_zero=True)
    return Sequential([table, layers.LSTM(3), layers.Dense(1, activation="sigmoid")])


def two_inputs():
    a, b = Input((4,), name="a"), Input((3,), name="b")
    x = layers.Dense(3, name="h")(a)
    parts = [layers.multiply([x, b]), layers.Dot(axes=1)([x, b]), layers.Subtract()([x, b])]
    return keras.Model([a, b], [layers.concatenate(parts), layers.Average()([x, b])])


def nested():
    a = Input((5,))
    inner = keras.Model(a, layers.Dense(5, activation="tanh")(a), name="inner")
    normal = Sequential([layers.Dense(5, input_shape=(5,)), layers.BatchNormalization()])
    inputs = Input((4,))
    x = layers.Dense(5)(inputs)
    return keras.Model(inputs, inner(normal(inner(x))))


def shared():
    dense, a, b = layers.Dense(3), Input((4,)), Input((4,))
    return keras.Model([a, b], layers.maximum([dense(a), dense(b)]))


def attention():
    inputs = Input((5, 4))
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(inputs, inputs) + inputs)
    y = layers.Attention(use_scale=True)([x, x])
    return keras.Model(inputs, layers.GlobalMaxPooling1D()(layers.AdditiveAttention()([y, x])))


def tf_ops():
    inputs = Input((5, 4))
    x = layers.Dense(4)(inputs)
    y = tf.nn.relu(x) * 2.0 + 1.0 - tf.reduce_mean(x, axis=1, keepdims=True)
    w = tf.transpose(tf.concat([y, x], axis=-1)[:, 1:, ::2], [0, 2, 1])
    w = tf.reshape(tf.matmul(w, w, transpose_b=True), [-1, 16])
    w = tf.math.sigmoid(-w / 3.0) + tf.square(tf.cast(w, "float32")) ** 0.5
    return keras.Model(inputs, tf.nn.softmax(w))


def operators():
    inputs = Input((5, 4))
    a = layers.Dense(4)(inputs)
    outputs = [a + inputs, 1.0 - a, 2.0 / (3.0 + a * a), a[:, 0], tf.split(a, 2, axis=-1)[1]]
    outputs += [tf.expand_dims(a[..., -1], -1), tf.stack([a, inputs], axis=1)]
    return keras.Model(inputs, outputs)


def conv1d():
    return Sequential(
        [
            Input((9, 4)),
            layers.Conv1D(3, 3, padding="causal", dilation_rate=2),
            layers.SpatialDropout1D(0.2),
            layers.SeparableConv1D(3, 2),
            layers.Conv1DTranspose(2, 3),
            layers.GlobalAveragePooling1D(),
        ]
    )


def conv3d():
    return Sequential(
        [Input((4, 6, 6, 2)), layers.Conv3D(3, 2), layers.Conv3DTranspose(2, 2), layers.Flatten()]
    )


def conv_lstm():
    return Sequential([Input((3, 6, 6, 2)), layers.ConvLSTM2D(2, 3), layers.Flatten()])


def preprocessing():
    return Sequential(
        [
            Input((8, 8, 3)),
            layers.Rescaling(1 / 255.0),
            layers.Resizing(6, 6),
            layers.CenterCrop(4, 4),
            layers.RandomFlip(),
            layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0]),
        ]
    )


def normalizations():
    return Sequential(
        [
            Input((4,)),
            layers.Reshape((2, 2)),
            layers.LayerNormalization(axis=[1, 2]),
            layers.UnitNormalization(),
            layers.Permute((2, 1)),
            layers.GroupNormalization(2),
            layers.GaussianNoise(0.1),
            layers.ActivityRegularization(0.1),
            layers.Flatten(),
            layers.RepeatVector(2),
        ]
    )


def mixed_float16():
    last = layers.Dense(3, dtype=keras.mixed_precision.Policy("float32"))
    return Sequential([Input((4,)), layers.Dense(5, dtype="mixed_float16"), last])


def arguments():
    initializers, regularizers = keras.initializers, keras.regularizers
    return Sequential(
        [
            Input((4,)),
            layers.Dense(
                3,
                kernel_constraint=keras.constraints.max_norm(2),
                bias_constraint=keras.constraints.NonNeg(),
                kernel_regularizer=regularizers.L1L2(0.1, 0.2),
                kernel_initializer=initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=1),
                bias_initializer=initializers.Constant(0.5),
            ),
            layers.Dense(2, activation=tf.nn.relu, kernel_initializer=initializers.Orthogonal(1.5)),
            layers.Dense(2, activation=tf.nn.softmax),
        ]
    )


def masking():
    wrapped = layers.TimeDistributed(layers.Dense(2))
    return Sequential(
        [layers.Masking(0.0, input_shape=(5, 4)), layers.GRU(3, return_sequences=True), wrapped]
    )


def stateful():
    return Sequential([layers.LSTM(3, stateful=True, batch_input_shape=(3, 5, 4))])


MODELS = [
    *(mlp, activations, cnn, residual, lstm, gru, bidirectional, stacked_cells, embedding),
    *(sequence_to_sequence, two_inputs, nested, shared, attention, tf_ops, operators, conv1d),
    *(conv3d, conv_lstm, preprocessing, normalizations, mixed_float16, arguments, masking),
    stateful,
]
COMPILED = {
    "mlp": lambda: {
        "optimizer": keras.optimizers.Adam(0.01),
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
    },
    "cnn": lambda: {
        "optimizer": keras.optimizers.legacy.SGD(0.01, momentum=0.9, decay=0.1),
        "loss": keras.losses.MeanSquaredError(),
        "metrics": ["mae", keras.metrics.RootMeanSquaredError()],
    },
    "two_inputs": lambda: {
        "optimizer": keras.optimizers.RMSprop(
            keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
        ),
        "loss": ["mse", "mae"],
        "loss_weights": [1.0, 2.0],
    },
    "nested": lambda: {"optimizer": keras.optimizers.legacy.Adam(0.01), "loss": "mse"},
}


def flat(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def bare(items):
    return items[0] if len(items) == 1 else items


def drawn(rng, weight):
    if weight.dtype.kind != "f":
        return weight
    return (0.1 + 0.3 * np.abs(rng.standard_normal(weight.shape))).astype(weight.dtype)


def write(make):
    keras.backend.clear_session()
    name, model, rng = make.__name__, make(), np.random.default_rng(11)
    if name == "embedding":
        model.build((None, 6))
    model.set_weights([drawn(rng, weight) for weight in model.get_weights()])
    if name == "embedding":
        inputs = [rng.integers(0, 9, (3, 6)).astype("int32")]
    else:
        inputs = [rng.standard_normal((3, *x.shape[1:])).astype("float32") for x in model.inputs]
    stored = {f"x{i}": x for i, x in enumerate(inputs)}
    options = {"epochs": 2, "batch_size": 3, "shuffle": False, "verbose": 0}
    if name in COMPILED:
        model.compile(**COMPILED[name]())
        targets = [np.abs(rng.standard_normal((3, *y.shape[1:]))) for y in model.outputs]
        targets = [(y / y.sum(axis=-1, keepdims=True)).astype("float32") for y in targets]
        model.fit(bare(inputs), bare(targets), **options)
        stored.update({f"t{i}": y for i, y in enumerate(targets)})
    outputs = flat(model(bare(inputs), training=False))
    stored.update({f"y{i}": np.asarray(tf.cast(y, "float32")) for i, y in enumerate(outputs)})
    if name == "stateful":
        model.reset_states()
    model.save(FOLDER / f"{name}.h5")
    if name in ARCHIVES:
        model.save(FOLDER / f"{name}.keras")
    if name in COMPILED:
        model.fit(bare(inputs), bare(targets), **options)
        stored.update({f"w{i:02}": w for i, w in enumerate(model.get_weights())})
    np.savez_compressed(FOLDER / f"{name}.npz", **stored)


if __name__ == "__main__":
    for model in MODELS:
        write(model)
