"""Whole sequences stepped by one kernel, and by the single operations that `unroll` asks for."""

import itertools

import numpy as np
import pytest

import cornu
from cornu import layers, ops
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


def sequence_model(cell, units=3, features=4):
    inputs = cornu.Input((None, features))
    hidden = getattr(layers, cell)(units, return_sequences=True)(inputs)
    outputs = layers.Bidirectional(getattr(layers, cell)(units))(hidden)
    model = cornu.Model(inputs, layers.Dense(1)(outputs))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_a_plan_serves_every_length(cell):
    """A second length makes the number of steps unknown; nothing is traced again from then on."""
    traced = []

    class Counting(layers.Layer):
        def call(self, x):
            traced.append(x.shape)
            return x

    inputs = cornu.Input((None, 4))
    hidden = getattr(layers, cell)(3, return_sequences=True)(Counting()(inputs))
    model = cornu.Model(inputs, layers.Dense(1)(getattr(layers, cell)(3)(hidden)))
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


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_steps_of_a_plan_do_not_grow_with_the_sequence(cell):
    counts = set()
    for steps in (5, 100):
        model = sequence_model(cell)
        x, y = np.ones((2, steps, 4), "float32"), np.ones((2, 1), "float32")
        counts.add(len(cornu.profile(model, x, y, repeats=0).steps))
    assert len(counts) == 1 and counts.pop() < 80


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
