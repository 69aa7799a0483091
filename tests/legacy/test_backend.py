"""Keras 2's backend: each function against its meaning in numpy."""

import numpy as np
import pytest

import cornu
from cornu import backend as K
from cornu import layers

RNG = np.random.default_rng(3)
A = RNG.standard_normal((2, 3, 4)).astype("float32")
B = RNG.standard_normal((2, 4, 5)).astype("float32")
IMAGES = RNG.standard_normal((2, 6, 5, 3)).astype("float32")
PROBABILITIES = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]], "float32")
CLASSES = np.array([1, 2])
MASK = np.array([[True], [False]])


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _windows(x, size):
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))


VALUES = {
    "abs": (lambda: K.abs(A), np.abs(A)),
    "all": (lambda: K.all(A > 0, axis=1), (A > 0).all(1)),
    "any": (lambda: K.any(A > 0, axis=1, keepdims=True), (A > 0).any(1, keepdims=True)),
    "arange": (lambda: K.arange(3), np.arange(3, dtype="int32")),
    "arange down": (lambda: K.arange(-2), np.arange(0, dtype="int32")),
    "argmax": (lambda: K.argmax(A), A.argmax(-1)),
    "argmin": (lambda: K.argmin(A, axis=0), A.argmin(0)),
    "batch_dot": (lambda: K.batch_dot(A, B), A @ B),
    "batch_dot axes": (lambda: K.batch_dot(A, B, axes=(2, 1)), A @ B),
    "batch_dot vectors": (
        lambda: K.batch_dot(A[:, 0], A[:, 1]),
        (A[:, 0] * A[:, 1]).sum(1)[:, None],
    ),
    "batch_flatten": (lambda: K.batch_flatten(A), A.reshape(2, 12)),
    "batch_normalization": (
        lambda: K.batch_normalization(A, A.mean((0, 1)), A.var((0, 1)), np.ones(4), 2 * np.ones(4)),
        2 * (A - A.mean((0, 1))) / np.sqrt(A.var((0, 1)) + 1e-3) + 1,
    ),
    "bias_add": (lambda: K.bias_add(A, np.arange(4.0)), A + np.arange(4.0)),
    "bias_add first": (
        lambda: K.bias_add(IMAGES, np.arange(6.0), "channels_first"),
        IMAGES + np.arange(6.0)[:, None, None],
    ),
    "binary_crossentropy": (
        lambda: K.binary_crossentropy(np.ones((2, 3), "float32"), PROBABILITIES),
        -np.log(PROBABILITIES),
    ),
    "binary_focal_crossentropy": (
        lambda: K.binary_focal_crossentropy(np.ones((2, 3), "float32"), PROBABILITIES),
        -np.log(PROBABILITIES) * (1 - PROBABILITIES) ** 2,
    ),
    "cast": (lambda: K.cast(A, "int32"), A.astype("int32")),
    "cast_to_floatx": (lambda: K.cast_to_floatx(np.arange(3)), np.arange(3, dtype="float32")),
    "categorical_crossentropy": (
        lambda: K.categorical_crossentropy(np.eye(3, dtype="float32")[CLASSES], PROBABILITIES),
        -np.log(PROBABILITIES[[0, 1], CLASSES]),
    ),
    "categorical_focal_crossentropy": (
        lambda: K.categorical_focal_crossentropy(
            np.eye(3, dtype="float32")[CLASSES], PROBABILITIES
        ),
        -0.25 * np.log(PROBABILITIES[[0, 1], CLASSES]) * (1 - PROBABILITIES[[0, 1], CLASSES]) ** 2,
    ),
    "clip": (lambda: K.clip(A, -0.5, 0.5), A.clip(-0.5, 0.5)),
    "concatenate": (lambda: K.concatenate([A, A]), np.concatenate([A, A], -1)),
    "constant": (lambda: K.constant([[1, 2]]), np.array([[1, 2]], "float32")),
    "constant shape": (lambda: K.constant(3, shape=(2, 2)), np.full((2, 2), 3, "float32")),
    "conv2d": (
        lambda: K.conv2d(IMAGES, np.ones((2, 2, 3, 1), "float32")),
        _windows(IMAGES, (2, 2)).sum((3, 4, 5))[..., None],
    ),
    "conv1d causal": (
        lambda: K.conv1d(A, np.ones((2, 4, 1), "float32"), padding="causal"),
        (A + np.pad(A, ((0, 0), (1, 0), (0, 0)))[:, :-1]).sum(-1, keepdims=True),
    ),
    "cumsum": (lambda: K.cumsum(A, axis=1), A.cumsum(1)),
    "cumprod": (lambda: K.cumprod(A, axis=1), A.cumprod(1)),
    "depthwise_conv2d": (
        lambda: K.depthwise_conv2d(IMAGES, np.ones((2, 2, 3, 1), "float32")),
        _windows(IMAGES, (2, 2)).sum((4, 5)),
    ),
    "dot": (lambda: K.dot(A, B[0]), A @ B[0]),
    "dot n-d": (lambda: K.dot(A, B), np.dot(A, B)),
    "elu": (lambda: K.elu(A, 2.0), np.where(A > 0, A, 2 * (np.exp(A) - 1))),
    "eval": (lambda: K.eval(K.variable([1, 2])), np.array([1, 2], "float32")),
    "expand_dims": (lambda: K.expand_dims(A), A[..., None]),
    "eye": (lambda: K.eye(3), np.eye(3)),
    "flatten": (lambda: K.flatten(A), A.reshape(-1)),
    "foldl": (lambda: K.foldl(lambda a, x: a - x, A), A[0] - A[1]),
    "foldr": (lambda: K.foldr(lambda a, x: a - x, A, 0.0), -A[1] - A[0]),
    "gather": (lambda: K.gather(A, [1, 0]), A[[1, 0]]),
    "greater": (lambda: K.greater(A, 0), A > 0),
    "hard_sigmoid": (lambda: K.hard_sigmoid(A), np.clip(0.2 * A + 0.5, 0, 1)),
    "in_top_k": (lambda: K.in_top_k(PROBABILITIES, CLASSES, 1), np.array([True, False])),
    "l2_normalize": (
        lambda: K.l2_normalize(A, axis=-1),
        A / np.linalg.norm(A, axis=-1, keepdims=True),
    ),
    "local_conv1d": (
        lambda: K.local_conv1d(A, np.ones((2, 8, 1), "float32"), (2,), (1,)),
        (A[:, :-1] + A[:, 1:]).sum(-1, keepdims=True),
    ),
    "local_conv2d": (
        lambda: K.local_conv2d(IMAGES, np.ones((20, 12, 1), "float32"), (2, 2), (1, 1), (5, 4)),
        _windows(IMAGES, (2, 2)).sum((3, 4, 5))[..., None],
    ),
    "map_fn": (lambda: K.map_fn(lambda x: x * 2, A), A * 2),
    "max": (lambda: K.max(A, axis=[0, 1]), A.max((0, 1))),
    "mean": (lambda: K.mean(A), A.mean()),
    "min": (lambda: K.min(A, axis=-1), A.min(-1)),
    "not_equal": (lambda: K.not_equal(CLASSES, 1), CLASSES != 1),
    "normalize_batch_in_training": (
        lambda: K.normalize_batch_in_training(A, 2 * np.ones(4), np.ones(4), [0, 1])[0],
        2 * (A - A.mean((0, 1))) / np.sqrt(A.var((0, 1)) + 1e-3) + 1,
    ),
    "one_hot": (lambda: K.one_hot(CLASSES, 3), np.eye(3)[CLASSES]),
    "ones": (lambda: K.ones((2, 2), "int32"), np.ones((2, 2), "int32")),
    "ones_like": (lambda: K.ones_like(A), np.ones_like(A)),
    "permute_dimensions": (lambda: K.permute_dimensions(A, (2, 0, 1)), A.transpose(2, 0, 1)),
    "pool2d": (lambda: K.pool2d(IMAGES, (2, 2)), _windows(IMAGES, (2, 2)).max((4, 5))),
    "pool2d avg": (
        lambda: K.pool2d(IMAGES, (2, 2), pool_mode="avg"),
        _windows(IMAGES, (2, 2)).mean((4, 5)),
    ),
    "pow": (lambda: K.pow(A, 2), A**2),
    "prod": (lambda: K.prod(A, axis=1), A.prod(1)),
    "relu": (lambda: K.relu(A, 0.1, 0.5), np.where(A > 0, A, 0.1 * A).clip(max=0.5)),
    "repeat": (lambda: K.repeat(A[:, 0], 3), np.repeat(A[:, :1], 3, 1)),
    "repeat_elements": (lambda: K.repeat_elements(A, 2, 1), np.repeat(A, 2, 1)),
    "reshape": (lambda: K.reshape(A, [-1, 4]), A.reshape(-1, 4)),
    "resize_images": (
        lambda: K.resize_images(IMAGES, 2, 3, "channels_last"),
        IMAGES.repeat(2, 1).repeat(3, 2),
    ),
    "reverse": (lambda: K.reverse(A, 1), A[:, ::-1]),
    "separable_conv2d": (
        lambda: K.separable_conv2d(
            IMAGES, np.ones((2, 2, 3, 1), "float32"), np.ones((1, 1, 3, 1), "float32")
        ),
        _windows(IMAGES, (2, 2)).sum((3, 4, 5))[..., None],
    ),
    "softmax": (lambda: K.softmax(A), _softmax(A)),
    "sparse_categorical_crossentropy": (
        lambda: K.sparse_categorical_crossentropy(CLASSES, PROBABILITIES),
        -np.log(PROBABILITIES[[0, 1], CLASSES]),
    ),
    "sparse_categorical_crossentropy ignoring": (
        lambda: K.sparse_categorical_crossentropy(CLASSES, PROBABILITIES, ignore_class=2),
        [-np.log(0.6), 0],
    ),
    "spatial_2d_padding": (
        lambda: K.spatial_2d_padding(IMAGES, ((1, 0), (0, 2))),
        np.pad(IMAGES, ((0, 0), (1, 0), (0, 2), (0, 0))),
    ),
    "square": (lambda: K.square(A), A**2),
    "stack": (lambda: K.stack([A, A]), np.stack([A, A])),
    "std": (lambda: K.std(A, axis=0), A.std(0)),
    "sum": (lambda: K.sum(A, axis=-1, keepdims=True), A.sum(-1, keepdims=True)),
    "switch scalar": (lambda: K.switch(np.array(True), lambda: A, lambda: -A), A),
    "switch": (lambda: K.switch(MASK[:, 0], A, -A), np.where(MASK[:, :, None], A, -A)),
    "temporal_padding": (lambda: K.temporal_padding(A), np.pad(A, ((0, 0), (1, 1), (0, 0)))),
    "transpose": (lambda: K.transpose(A), A.T),
    "var": (lambda: K.var(A, axis=0), A.var(0)),
    "variable": (lambda: K.variable(A, "float64"), A.astype("float64")),
    "zeros": (lambda: K.zeros((2,)), np.zeros(2, "float32")),
    "zeros_like": (lambda: K.zeros_like(A, "int32"), np.zeros_like(A, "int32")),
}


@pytest.mark.parametrize("name", VALUES)
def test_value(name):
    compute, expected = VALUES[name]
    value = np.asarray(compute())
    assert value.shape == np.shape(expected)
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    if name in ("argmax", "zeros", "ones", "variable", "constant", "cast", "arange"):
        assert value.dtype == np.asarray(expected).dtype


def test_transposed_convolution_has_the_shape_asked_for():
    kernel = np.ones((3, 3, 2, 3), "float32")
    for size in (11, 12):
        shape = (2, size, 10, 2)
        result = K.conv2d_transpose(IMAGES, kernel, shape, (2, 2), "same")
        assert K.int_shape(result) == shape


def test_variables_are_set_and_updated():
    v, w = K.variable([1.0, 2.0], name="v"), K.zeros((2,))
    K.set_value(v, [3.0, 4.0])
    K.batch_set_value([(w, np.ones(2))])
    for change, expected in (
        (lambda: K.update_add(v, 1.0), [4, 5]),
        (lambda: K.update_sub(v, 2.0), [2, 3]),
        (lambda: K.moving_average_update(v, w, 0.5), [1.5, 2]),
        (lambda: K.update(v, w * 7), [7, 7]),
    ):
        change()
        np.testing.assert_allclose(K.get_value(v), expected)
    assert [x.tolist() for x in K.batch_get_value([v, w])] == [[7, 7], [1, 1]]
    assert K.ndim(v) == 1 and K.count_params(v) == 2 and K.dtype(v) == "float32"


def test_random_values():
    x = K.eval(K.random_normal((4000,), 1.0, 2.0, seed=1))
    assert abs(x.mean() - 1) < 0.15 and abs(x.std() - 2) < 0.15
    assert abs(K.eval(K.random_bernoulli((4000,), 0.3, seed=1)).mean() - 0.3) < 0.05
    assert (np.abs(K.eval(K.truncated_normal((500,), seed=1))) <= 2).all()
    assert K.int_shape(K.random_uniform_variable((2, 3), 0, 1)) == (2, 3)
    kept = K.eval(K.dropout(np.ones((2000,), "float32"), 0.5, seed=1))
    assert set(kept) == {0.0, 2.0}


def test_function_gives_what_layers_inside_compute():
    model = cornu.Sequential(
        [cornu.Input((4,)), layers.Dense(3, activation="relu"), layers.Dropout(0.5)]
    )
    x = A[:, 0]
    features = K.function([model.input], [model.layers[0].output, K.sum(model.output)])
    hidden, total = features([x])
    np.testing.assert_allclose(hidden, np.maximum(x @ model.get_weights()[0], 0), rtol=1e-5)
    np.testing.assert_allclose(total, hidden.sum(), rtol=1e-5)
    in_phase = K.function([model.input, K.learning_phase()], [model.output])
    np.testing.assert_allclose(in_phase([x, 0])[0], hidden, rtol=1e-5)
    assert not np.allclose(in_phase([x, 1])[0], hidden)


def test_function_updates_variables():
    x, count = K.placeholder((None, 2)), K.variable(0.0)
    step = K.function([x], K.mean(x), updates=[(count, K.sum(x))])
    assert step([np.ones((3, 2))]) == 1.0
    assert K.get_value(count) == 6.0


def test_gradients_of_symbolic_tensors():
    model = cornu.Sequential([cornu.Input((4,)), layers.Dense(3), layers.Dense(1)])
    hidden, kernel = model.layers[0].output, model.layers[1].kernel
    loss = K.sum(K.square(model.output))
    gradients = K.gradients(loss, [model.input, hidden, kernel])
    assert [g.shape for g in gradients] == [(None, 4), (None, 3), (3, 1)]
    x = A[:, 0]
    got = K.function([model.input], gradients)([x])
    first, bias, second, end = model.get_weights()
    h = x @ first + bias
    out = 2 * (h @ second + end)
    wanted = (out @ second.T @ first.T, out @ second.T, h.T @ out)
    for value, expected in zip(got, wanted, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="GradientTape"):
        K.gradients(K.variable(1.0), [K.variable(1.0)])


def test_learning_phase():
    class Doubled(layers.Layer):
        def call(self, x, training=None):
            return K.in_train_phase(lambda: x * 2, x)

    layer, x = Doubled(), np.ones((1, 2), "float32")
    assert K.learning_phase() == 0
    assert K.eval(layer(x, training=True)).sum() == 4
    assert K.eval(layer(x)).sum() == 2
    with K.learning_phase_scope(1):
        assert K.learning_phase() == 1
        assert K.eval(layer(x)).sum() == 4
        assert K.eval(layer(x, training=False)).sum() == 2
        assert K.in_test_phase(1, 2) == 2
    assert K.learning_phase() == 0
    with pytest.raises(ValueError, match="0 or 1"):
        K.set_learning_phase(2)


def test_rnn_keeps_states_where_the_mask_is_false():
    def step(x, states):
        new = states[0] + x
        return new, [new]

    mask = np.array([[True, True, False], [True, False, True]])
    last, outputs, states = K.rnn(step, A, [np.zeros((2, 4), "float32")], mask=mask)
    sums = np.cumsum(A * mask[..., None], axis=1)
    np.testing.assert_allclose(K.eval(outputs), sums, rtol=1e-5)
    np.testing.assert_allclose(K.eval(last), sums[:, -1], rtol=1e-5)
    np.testing.assert_allclose(K.eval(states[0]), sums[:, -1], rtol=1e-5)
    last, _, _ = K.rnn(step, A, [np.zeros((2, 4), "float32")], go_backwards=True)
    np.testing.assert_allclose(K.eval(last), A.sum(1), rtol=1e-5)


def test_ctc():
    # Both times of the first sample say class 0, the blank is class 2.
    y = np.array([[[0.8, 0.1, 0.1], [0.7, 0.1, 0.2]]], "float32")
    cost = K.ctc_batch_cost(np.array([[0]]), y, np.array([[2]]), np.array([[1]]))
    paths = 0.8 * 0.7 + 0.8 * 0.2 + 0.1 * 0.7
    np.testing.assert_allclose(K.eval(cost), [[-np.log(paths)]], rtol=1e-4)
    decoded, _ = K.ctc_decode(y, np.array([2]))
    assert K.eval(decoded[0])[0].tolist()[0] == 0


def test_every_name_of_keras_2_is_there():
    assert not [name for name in cornu.legacy.backend.__all__ if not callable(getattr(K, name))]
    assert K.epsilon() == 1e-7 and K.image_data_format() == "channels_last"
