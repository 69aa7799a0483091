"""The table that drives the tests of files: models that together use what a file can hold."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Saved:
    """One model that crosses in files.

    Attributes:
        make: makes it of `keras` or `cornu`.
        shapes: shapes of the inputs, without the batch.
        integers: if given, inputs are integers below this.
        formats: endings of the files that can hold it.
        unread: endings of files that Keras itself can't read back.
        names: of the inputs, if they are a dict.
        tolerance: of outputs.
    """

    make: Callable[[Any], Any]
    shapes: tuple[tuple[int, ...], ...] = ((4,),)
    integers: int | None = None
    formats: tuple[str, ...] = (".keras", ".h5", ".weights.h5")
    unread: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tolerance: float = 1e-5

    def inputs(self, batch: int = 3) -> Any:
        """Returns the arrays to call on, the same each time."""
        rng = np.random.default_rng(3)
        arrays = []
        for shape in self.shapes:
            if self.integers is not None:
                arrays.append(rng.integers(0, self.integers, (batch, *shape)).astype("int32"))
            else:
                arrays.append(rng.standard_normal((batch, *shape)).astype("float32"))
        if self.names:
            return dict(zip(self.names, arrays, strict=True))
        return arrays[0] if len(arrays) == 1 else arrays

    def outputs(self, model: Any) -> list[np.ndarray]:
        """Returns what a model gives for the inputs."""
        outputs = model(self.inputs(), training=False)
        if isinstance(outputs, dict):
            outputs = [outputs[name] for name in sorted(outputs)]
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [np.asarray(y).astype("float64") for y in outputs]

    def __str__(self) -> str:
        return self.make.__name__


def fill(model: Any) -> Any:
    """Gives the model weights that depend on nothing but their shapes; returns it."""
    rng = np.random.default_rng(11)
    model.set_weights([_drawn(rng, w) for w in model.get_weights()])
    return model


def _drawn(rng: Any, weight: np.ndarray) -> np.ndarray:
    if not np.issubdtype(weight.dtype, np.floating):
        return weight
    return (0.1 + np.abs(rng.standard_normal(weight.shape)) * 0.3).astype(weight.dtype)


@cache
def own_classes(keras: Any) -> dict[str, Any]:
    """Returns classes and functions of a program's own, the same over both libraries."""

    @keras.saving.register_keras_serializable("files")
    class Scale(keras.layers.Layer):
        def __init__(self, start=1.0, **kwargs):
            super().__init__(**kwargs)
            self.start = start

        def build(self, input_shape):
            self.factor = self.add_weight(
                shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.start)
            )

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return {**super().get_config(), "start": self.start}

    @keras.saving.register_keras_serializable("files")
    class Block(keras.Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.out = keras.layers.Dense(units)
            self.branches = [keras.layers.Dense(units, activation="tanh") for _ in range(2)]
            self.named = {"b": keras.layers.Dense(units), "a": Scale(2.0)}
            self.gate = keras.Sequential([keras.layers.Dense(units, activation="sigmoid")])
            self.inner = keras.layers.LayerNormalization()

        def build(self, input_shape):
            self.offset = self.add_weight(shape=(self.units,), name="offset")
            for layer in (*self.branches, self.named["b"], self.gate):
                layer.build(input_shape)
            wide = (*input_shape[:-1], self.units)
            for layer in (self.out, self.named["a"], self.inner):
                layer.build(wide)
            self.built = True

        def call(self, inputs):
            x = self.branches[0](inputs) + self.branches[1](inputs) + self.offset
            x = self.named["a"](x) + self.named["b"](inputs)
            return self.out(self.inner(x) * self.gate(inputs))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @keras.saving.register_keras_serializable("files")
    class Towers(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            dense = keras.layers.Dense
            self.towers = [[dense(3), [dense(4)]], (dense(3), {"out": dense(4)})]

        def build(self, input_shape):
            for first, _ in self.towers:
                first.build(input_shape)
            for last in (self.towers[0][1][0], self.towers[1][1]["out"]):
                last.build((None, 3))
            self.built = True

        def call(self, inputs):
            (a, (b,)), (c, last) = self.towers
            return b(a(inputs)) + last["out"](c(inputs))

        def get_config(self):
            return super().get_config()

    @keras.saving.register_keras_serializable("files")
    def twice(x):
        return 2 * keras.ops.tanh(x)

    return {"Scale": Scale, "Block": Block, "Towers": Towers, "twice": twice}


def nested(keras: Any) -> Any:
    """Functional and Sequential models, and one of a program's own class, inside another."""
    layers = keras.layers
    a = keras.Input((5,))
    functional = keras.Model(a, layers.Dense(5, activation="relu")(layers.Dense(3)(a)), name="fun")
    sequential = keras.Sequential([layers.Dense(4), layers.Dense(5, activation="tanh")], name="seq")
    block = own_classes(keras)["Block"](5)
    x = inputs = keras.Input((4,))
    x = layers.Dense(5)(x)
    x = block(sequential(functional(x)))
    return keras.Model(inputs, layers.add([x, block(x)]))


def nested_in_sequential(keras: Any) -> Any:
    layers = keras.layers
    a = keras.Input((5,))
    functional = keras.Model(a, layers.Dense(5, activation="relu")(layers.Dense(3)(a)))
    block = own_classes(keras)["Block"](5)
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(5), layers.BatchNormalization()])
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(5), functional, inner, block, layers.Dense(2)]
    )


def shared_layers(keras: Any) -> Any:
    layers = keras.layers
    shared = layers.Dense(4, name="shared")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x, y = shared(a), shared(shared(b))
    return keras.Model([a, b], layers.concatenate([x, y, layers.Dense(2)(x)]))


def shared_models(keras: Any) -> Any:
    layers = keras.layers
    tower = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(4)], name="tower")
    a, b = keras.Input((4,)), keras.Input((4,))
    inner_a, inner_b = keras.Input((4,)), keras.Input((4,))
    pair = keras.Model([inner_a, inner_b], layers.add([tower(inner_a), tower(inner_b)]), name="p")
    return keras.Model([a, b], [pair([a, b]), pair([b, tower(a)])])


def many_inputs_and_outputs(keras: Any) -> Any:
    layers = keras.layers
    a, b = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    x = layers.Dense(3, name="hidden")(a)
    y = layers.Multiply()([x, b])
    return keras.Model(
        {"left": a, "right": b}, {"sum": layers.Add(name="sum")([x, y]), "product": y}
    )


def operations(keras: Any) -> Any:
    """Functions of `keras.ops` and operators among the layers."""
    ops = keras.ops
    a = keras.Input((4, 3))
    x = keras.layers.Dense(3)(a)
    y = ops.concatenate([x, a * 2 + 1], axis=-1)
    z = ops.softmax(ops.matmul(y, ops.transpose(y, (0, 2, 1))), axis=-1)
    w = ops.mean(y[:, 1:, ::2], axis=1) - ops.maximum(ops.sum(z, axis=(1,))[:, :3], 0.5)
    return keras.Model(a, [w, ops.reshape(ops.exp(-ops.abs(y)), (-1, 24))])


def mixed_policies(keras: Any) -> Any:
    layers, policy = keras.layers, keras.dtype_policies.DTypePolicy
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, dtype="mixed_bfloat16"),
            layers.Dense(5, dtype=policy("mixed_float16")),
            layers.Dense(5, dtype="bfloat16"),
            layers.LayerNormalization(dtype="float32"),
            layers.Dense(2, dtype="float64"),
        ]
    )


def wrapped_recurrent(keras: Any) -> Any:
    layers = keras.layers
    x = inputs = keras.Input((5, 4))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.Bidirectional(
        layers.GRU(2, return_sequences=True),
        backward_layer=layers.LSTM(2, return_sequences=True, go_backwards=True),
    )(x)
    x = layers.TimeDistributed(layers.Dense(4))(x)
    tower = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(4)])
    x = layers.TimeDistributed(tower)(x)
    x = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)(x)
    x = layers.RNN(layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.LSTMCell(2)]))(x)
    return keras.Model(inputs, x)


def masked_text(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3)),
            layers.Dense(2, activation="softmax"),
        ]
    )


def images(keras: Any) -> Any:
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.RandomFlip()(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6.0)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.add([x, layers.SeparableConv2D(4, 3, padding="same")(y)])
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(2)(layers.Dropout(0.5)(x)))


def own_objects(keras: Any) -> Any:
    own = own_classes(keras)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation=own["twice"]),
            own["Scale"](3.0),
            keras.layers.Activation(own["twice"]),
        ]
    )


def own_model(keras: Any) -> Any:
    model = own_classes(keras)["Block"](5)
    model.build((None, 4))
    return model


def lists_in_lists(keras: Any) -> Any:
    model = own_classes(keras)["Towers"]()
    model.build((None, 4))
    return model


def options(keras: Any) -> Any:
    """Objects as arguments: initializers, regularizers, constraints, names, frozen layers."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,), name="first"),
            layers.Dense(
                3,
                name="a_name",
                kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", seed=1),
                kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
                bias_constraint=keras.constraints.MaxNorm(2, axis=0),
                activity_regularizer="l2",
                activation=keras.activations.gelu,
            ),
            layers.Dense(3, trainable=False, activation=layers.LeakyReLU(0.2)),
            layers.BatchNormalization(),
            layers.PReLU(),
        ],
        name="outer",
    )
    model.layers[2].trainable = False
    return model


def attention(keras: Any) -> Any:
    layers = keras.layers
    x = inputs = keras.Input((5, 4))
    x = layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    x = layers.Attention()([x, x])
    return keras.Model(inputs, layers.LayerNormalization()(x))


_NO_H5 = (".keras", ".weights.h5")
MODELS = [
    Saved(nested),
    Saved(nested_in_sequential),
    Saved(shared_layers, ((4,), (4,))),
    Saved(shared_models, ((4,), (4,)), unread=(".keras",)),
    Saved(many_inputs_and_outputs, ((4,), (3,)), names=("left", "right")),
    Saved(operations, ((4, 3),)),
    Saved(mixed_policies, unread=(".h5",), tolerance=2e-2),
    Saved(wrapped_recurrent, ((5, 4),)),
    Saved(masked_text, ((6,),), integers=9),
    Saved(images, ((8, 8, 3),)),
    Saved(own_objects),
    Saved(own_model, formats=_NO_H5),
    Saved(lists_in_lists, formats=_NO_H5),
    Saved(options),
    Saved(attention, ((5, 4),)),
]
