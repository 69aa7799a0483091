"""Whole sequences stepped by one kernel, and by the single operations that `unroll` asks for."""

import functools
import itertools

import numpy as np
import pytest

import cornu
from cornu import layers, ops, tree
from cornu.layers.rnn.wrappers import treats_examples_alone
from reference import keras

RNG = np.random.default_rng(3)
CELLS = {"SimpleRNN": {}, "LSTM": {}, "GRU": {}, "GRU without bias": {"use_bias": False}}
X = RNG.standard_normal((3, 5, 4))
# A row begins with masked steps, another has nothing else.
MASK = np.array([[0, 0, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


def array(tensor):
    return np.asarray(ops.cast(tensor, "float64"))


def pair(cell, dtype, **options):
    """Returns a layer, and the same with single operations."""
    made = [
        layers.RNN(
            getattr(layers, f"{cell.split()[0]}Cell")(3, **CELLS[cell], dtype=dtype),
            unroll=unroll,
            return_sequences=True,
            return_state=True,
            dtype=dtype,
            **options,
        )
        for unroll in (False, True)
    ]
    for layer in made:
        layer.build(X.shape)
    weights = [RNG.standard_normal(w.shape) * 0.5 for w in made[0].get_weights()]
    for layer in made:
        layer.set_weights(weights)
    return made


def results_and_gradients(layer, x, mask, order=1):
    """Returns what a layer gives, and gradients of the given order of all of it."""
    x = ops.convert_to_tensor(x, layer.compute_dtype)
    sources = [x, *layer.trainable_weights]

    def loss(values):
        numbered = enumerate(values)
        parts = [ops.sum(ops.sin(ops.cast(v, "float64") * (i + 1))) for i, v in numbered]
        return sum(parts[1:], parts[0])

    def gradients(order):
        with cornu.GradientTape(persistent=True) as tape:
            tape.watch(x)
            values = layer(x, mask=mask) if order == 1 else gradients(order - 1)[1]
            total = loss(values)
        return values, tape.gradient(total, sources)

    values, grads = gradients(order)
    return [array(v) for v in (*values, *grads)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_one_kernel_gives_what_single_steps_give(cell, masked):
    for go_backwards, zeros in itertools.product([False, True], [False, masked]):
        options = {"go_backwards": go_backwards, "zero_output_for_mask": zeros}
        fused, unrolled = pair(cell, "float64", **options)
        mask = MASK if masked else None
        for order in (1, 2):
            ours, theirs = (results_and_gradients(x, X, mask, order) for x in (fused, unrolled))
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("cell", CELLS)
def test_other_dtypes(cell, dtype):
    tolerance = {"float32": 1e-5, "mixed_bfloat16": 0.1}.get(dtype, 0.02)
    fused, unrolled = pair(cell, dtype)
    ours, theirs = (results_and_gradients(layer, X, MASK) for layer in (fused, unrolled))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    outputs = fused(ops.convert_to_tensor(X, fused.compute_dtype))
    assert {ops.dtype(output) for output in outputs} == {fused.compute_dtype}


@cornu.saving.register_keras_serializable("test_recurrent")
class Mean(layers.Layer):
    """A cell of one's own, with two states of different shapes."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [units, 1]

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.state_size[0]))

    def call(self, inputs, states):
        total, count = states[0] + ops.matmul(inputs, self.kernel), states[1] + 1
        return total / count, [total, count]


# Layers whose steps are a loop of a plan, by their arguments besides.
LOOPS = {
    "a cell of one's own": lambda **o: layers.RNN(Mean(), **o),
    "stacked cells": lambda **o: layers.RNN([layers.LSTMCell(3), Mean(), layers.GRUCell(2)], **o),
    "relu": lambda **o: layers.LSTM(3, activation="relu", **o),
    "reset before the product": lambda **o: layers.GRU(3, reset_after=False, **o),
    "dropout of the state": lambda **o: layers.GRU(3, recurrent_dropout=0.4, seed=5, **o),
    "dropout of stacked cells": lambda **o: layers.RNN(
        [layers.LSTMCell(3, dropout=0.3, recurrent_dropout=0.4, seed=s) for s in (1, 2)], **o
    ),
}
WALKS = [
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True},
    {"go_backwards": True, "zero_output_for_mask": True},
]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_of_a_plan_gives_what_single_steps_give(loop, masked):
    x, mask = ops.convert_to_tensor(X.astype("float32")), ops.convert_to_tensor(MASK)

    def run(layer, x, mask):
        variables = layer.trainable_variables
        with cornu.GradientTape() as tape:
            tape.watch(x)
            results = layer(x, mask=mask if masked else None, training=True)
            results = results if isinstance(results, tuple) else (results,)
            total = sum(ops.sum(ops.sin(r) * (i + 1)) for i, r in enumerate(tree.flatten(results)))
        return [*tree.flatten(results), *tape.gradient(total, [x, *variables])]

    for walk in WALKS:
        weights, values = None, []
        for traced, unroll in ((False, False), (True, False), (True, True)):
            layer = LOOPS[loop](**walk, unroll=unroll)
            layer.build(X.shape)
            weights = weights or [RNG.standard_normal(w.shape) * 0.5 for w in layer.weights]
            for variable, weight in zip(layer.trainable_variables, weights, strict=False):
                variable.assign(weight)
            step = functools.partial(run, layer)
            step = cornu.function(step) if traced else step
            values.append([array(v) for v in step(x, mask)])
        for other in values[1:]:
            for one, two in zip(values[0], other, strict=True):
                np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)


def test_losses_of_steps_are_kept():
    """They are as many as there are steps, which are single operations then."""

    class Penalized(Mean):
        def call(self, inputs, states):
            self.add_loss(ops.mean(inputs))
            return super().call(inputs, states)

    layer = layers.RNN(Penalized())
    layer.build(X.shape)

    def losses(x):
        layer(x)
        return layer.losses

    x = ops.convert_to_tensor(X.astype("float32"))
    eager, traced = losses(x), cornu.function(losses)(x)
    assert len(eager) == X.shape[1]
    np.testing.assert_allclose([float(t) for t in traced], [float(t) for t in eager], rtol=1e-5)


def test_a_sequence_of_one_step():
    x = X[:, :1].astype("float32")
    layer = LOOPS["relu"](return_sequences=True, return_state=True)
    for one, other in zip(layer(x), cornu.function(layer)(x), strict=True):
        np.testing.assert_allclose(array(other), array(one), rtol=1e-6)


def test_a_loop_keeps_the_state_of_a_stateful_layer():
    x = X.astype("float32")
    eager, traced = (LOOPS["reset before the product"](stateful=True) for _ in range(2))
    for layer in (eager, traced):
        layer.build(X.shape)
    traced.set_weights(eager.get_weights())
    step = cornu.function(traced)
    for _ in range(3):
        np.testing.assert_allclose(array(step(x)), array(eager(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU", *LOOPS])
def test_a_plan_serves_every_length(cell):
    """A second length makes the number of steps unknown; nothing is traced again from then on."""
    traced = []

    class Counting(layers.Layer):
        def call(self, x):
            traced.append(x.shape)
            return x

    inputs = cornu.Input((None, 4))
    make = functools.partial(getattr(layers, cell), 3) if cell in CELLS else LOOPS[cell]
    hidden = make(return_sequences=True)(Counting()(inputs))
    model = cornu.Model(inputs, layers.Dense(1)(make()(hidden)))
    model.compile("sgd", "mse")
    losses = []
    for steps in (5, 3, 100, 7):
        x = np.ones((2, steps, 4), "float32")
        losses.append(model.evaluate(x, np.ones((2, 1)), verbose=0))
        model.train_on_batch(x, np.ones((2, 1)))
        if steps == 3:
            assert traced and not isinstance(traced[-1][1], int)
            del traced[:]
    assert traced == []
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU", *LOOPS])
def test_steps_of_a_plan_do_not_grow_with_the_sequence(cell):
    counts = set()
    for steps in (5, 50):
        make = functools.partial(getattr(layers, cell), 3) if cell in CELLS else LOOPS[cell]
        inputs = cornu.Input((None, 4))
        hidden = make(return_sequences=True)(inputs)
        model = cornu.Model(inputs, layers.Dense(1)(layers.Bidirectional(make())(hidden)))
        model.compile("sgd", "mse")
        x, y = np.ones((2, steps, 4), "float32"), np.ones((2, 1), "float32")
        counts.add(len(cornu.profile(model, x, y, repeats=0).steps))
    assert len(counts) == 1
    if cell in CELLS:
        assert counts.pop() < 80


def test_convolutions_step_along_unknown_lengths():
    inputs = cornu.Input((None, 4, 4, 2))
    hidden = layers.ConvLSTM2D(2, 3, return_sequences=True)(inputs)
    model = cornu.Model(inputs, layers.ConvLSTM2D(2, 1)(hidden))
    for steps in (2, 5, 9):
        x = RNG.standard_normal((2, steps, 4, 4, 2)).astype("float32")
        expected = x
        for layer in model.layers[1:]:
            expected = layer(expected)
        np.testing.assert_allclose(
            model.predict(x, verbose=0), array(expected), rtol=1e-4, atol=1e-5
        )
    assert len(cornu.profile(model, x, repeats=0).steps) < 50


def test_long_sequences_match():
    x = RNG.standard_normal((2, 100, 4))
    for cell in CELLS:
        fused, unrolled = pair(cell, "float64")
        ours, theirs = (results_and_gradients(layer, x, None) for layer in (fused, unrolled))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)


def test_what_the_kernel_lacks_is_stepped_by_single_operations():
    for options in (
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"reset_after": False},
    ):
        layer = layers.GRU(3, return_sequences=True, **options)
        layer.build(X.shape)
        cell, state, outputs = layer.cell, [ops.zeros((3, 3))], []
        for t in range(5):
            output, state = cell(ops.convert_to_tensor(X[:, t], "float32"), state)
            outputs.append(array(output))
        got = array(layer(X.astype("float32")))
        np.testing.assert_allclose(got, np.stack(outputs, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("unroll", [False, True])
def test_a_subclass_of_a_cell_is_called(cell, unroll):
    """As in Keras, its own `call` counts."""
    outputs, weights = [], None
    for library in (keras, cornu):

        class Halved(getattr(library.layers, cell)):
            def call(self, inputs, states, training=False):
                output, states = super().call(inputs, states, training=training)
                return output * 0.5, [state * 0.5 for state in states]

        layer = library.layers.RNN(Halved(3), unroll=unroll, return_sequences=True)
        layer.build(X.shape)
        weights = weights or [RNG.standard_normal(w.shape) for w in layer.get_weights()]
        layer.set_weights(weights)
        outputs.append(np.asarray(layer(X.astype("float32"))))
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


def tower(k, batch=None, op=None):
    inputs = k.Input((6, 4), batch_size=batch)
    x = k.layers.Conv1D(3, 2, activation="relu")(inputs)
    x = k.layers.BatchNormalization()(x)
    x = k.layers.Add()([x, k.layers.ReLU()(x)])
    x = k.layers.Flatten()(x if op is None else op(k, x))
    return k.Model(inputs, k.layers.Dense(2)(x))


def over_batch(k, x):
    return k.ops.subtract(x, k.ops.mean(x, axis=0, keepdims=True))


def own_dense(k):
    class Centred(k.layers.Dense):
        def call(self, inputs):
            return over_batch(k, super().call(inputs))

    return Centred(2)


# What is applied to each step of (3, 5, 6, 4), and whether all are applied at once: when training,
# and not.
STEPS = {
    "dense": (lambda k: k.layers.Dense(2, activation="relu"), True, True),
    "convolution": (lambda k: k.layers.SeparableConv1D(3, 2), True, True),
    "pooling": (lambda k: k.layers.GlobalMaxPooling1D(), True, True),
    "norm of examples": (lambda k: k.layers.LayerNormalization(), True, True),
    "norm of batches": (lambda k: k.layers.BatchNormalization(), False, True),
    "sequential": (
        lambda k: k.Sequential([k.layers.Flatten(), k.layers.Dense(3), k.layers.ELU()]),
        True,
        True,
    ),
    "functional": (tower, False, True),
    "functional of a fixed batch": (lambda k: tower(k, batch=3), False, False),
    "functional with an op": (lambda k: tower(k, op=over_batch), False, False),
    "nested": (lambda k: k.layers.TimeDistributed(k.layers.Dense(2)), False, False),
    "activation over the batch": (
        lambda k: k.layers.Dense(2, activation=lambda x: over_batch(k, x)),
        False,
        False,
    ),
    "a class of one's own": (own_dense, False, False),
    "a penalty on the outputs": (
        lambda k: k.layers.Dense(2, activity_regularizer=k.regularizers.L2(0.1)),
        False,
        False,
    ),
    "stateful": (lambda k: k.layers.LSTM(2, stateful=True), False, False),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_a_distributed_layer(name):
    make, *alone = STEPS[name]
    x = RNG.standard_normal((3, 5, 6, 4)).astype("float32")
    theirs, ours = (k.layers.TimeDistributed(make(k)) for k in (keras, cornu))
    for layer in (theirs, ours):
        layer.build(x.shape if name == "stateful" else (None, *x.shape[1:]))
    ours.set_weights([RNG.standard_normal(w.shape) for w in theirs.get_weights()])
    theirs.set_weights(ours.get_weights())
    for training, expected in zip((True, False), alone, strict=True):
        assert treats_examples_alone(ours.layer, training) == expected
        found, wanted = (np.asarray(layer(x, training=training)) for layer in (ours, theirs))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    for value, wanted in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


def test_one_plan_distributes_over_any_number_of_steps():
    model = cornu.Sequential(
        [cornu.Input((None, 4)), layers.TimeDistributed(layers.Dense(2, activation="tanh"))]
    )
    traces = []
    model.layers[0].layer.call = lambda x, training, call=model.layers[0].layer.call: (
        traces.append(x.shape) or call(x)
    )
    kernel, bias = model.get_weights()
    for steps in (2, 3, 7, 9):
        x = RNG.standard_normal((4, steps, 4)).astype("float32")
        found = model.predict(x, verbose=0)
        np.testing.assert_allclose(found, np.tanh(x @ kernel + bias), rtol=1e-5, atol=1e-6)
    assert len(traces) == 2  # one of the first number, one of any
