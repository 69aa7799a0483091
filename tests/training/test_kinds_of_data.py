"""Arrays of every layout and kind, and what is no array: right results or a clear refusal."""

import warnings

import numpy as np
import pytest

import cornu
from cornu import layers

RNG = np.random.default_rng(0)
X = RNG.random((10, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class AsArray:
    """Something that numpy makes an array of."""

    def __array__(self, dtype=None, copy=None):
        return X


def every_second():
    large = np.full((20, 8), np.nan, "float32")
    large[::2, ::2] = X
    return large[::2, ::2]


def unaligned():
    raw = np.zeros(X.nbytes + 1, "uint8")[1:].view("float32").reshape(X.shape)
    raw[...] = X
    return raw


def read_only():
    array = X.copy()
    array.flags.writeable = False
    return array


def mapped(tmp_path):
    array = np.memmap(tmp_path / "array", "float32", "w+", shape=X.shape)
    array[...] = X
    return array


# The same values in another layout, kind or dtype.
SAME = {
    "fortran": lambda: np.asfortranarray(X),
    "strided": every_second,
    "negative strides": lambda: X[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda: np.ascontiguousarray(X.T).T,
    "unaligned": unaligned,
    "read-only": read_only,
    "big-endian": lambda: X.astype(">f4"),
    "big-endian float64": lambda: X.astype(">f8"),
    "float64": lambda: X.astype("float64"),
    "long double": lambda: X.astype(np.longdouble),
    "objects": lambda: X.astype(object),
    "masked": lambda: np.ma.masked_array(X),
    "matrix": lambda: np.asmatrix(X),
    "in a list": lambda: [X],
    "in a tuple": lambda: (X,),
    "tensor": lambda: cornu.ops.convert_to_tensor(X),
    "variable": lambda: cornu.Variable(X),
    "__array__": AsArray,
}


# Calls make tensors of arrays as they are.
NOT_CALLED = ("objects", "long double", "in a list", "in a tuple")


def made():
    model = cornu.Sequential([cornu.Input((4,)), layers.Dense(3), layers.Dense(1)])
    for number, weight in enumerate(model.weights):
        weight.assign(np.full(weight.shape, 0.1 * (number + 1)))
    model.compile("sgd", "mse")
    return model


def results(x, y=Y):
    """Returns what each way into a model makes of data."""
    model = made()
    values = {"predict": model.predict(x, verbose=0)}
    values["predict_on_batch"] = np.asarray(model.predict_on_batch(x))
    values["evaluate"] = model.evaluate(x, y, verbose=0)
    values["fit"] = model.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history[
        "loss"
    ]
    values["train_on_batch"] = model.train_on_batch(x, y)
    values["weights"] = np.concatenate([w.ravel() for w in model.get_weights()])
    return values


PLAIN = results(X)


def assert_equal(values, expected):
    for way, value in expected.items():
        np.testing.assert_allclose(values[way], value, rtol=1e-6, err_msg=way)


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_inputs_of_every_kind(make):
    assert_equal(results(make()), PLAIN)


@pytest.mark.parametrize("make", [v for k, v in SAME.items() if " a " not in k])
def test_targets_of_every_kind(make):
    assert_equal(results(X, make()), results(X, X))


def test_mapped_files(tmp_path):
    assert_equal(results(mapped(tmp_path)), PLAIN)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", ">i2", "int32", ">i4", "uint32", "int64", "bool"]
)
def test_integers(dtype):
    x = (RNG.integers(0, 2, (10, 4)) * (1 if dtype == "bool" else 100)).astype(dtype)
    assert_equal(results(x), results(x.astype("float32")))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats(dtype):
    x = cornu.ops.cast(X, dtype).numpy()
    assert_equal(results(x), results(x.astype("float32")))


@pytest.mark.parametrize("make", [v for k, v in SAME.items() if k not in NOT_CALLED])
def test_calls(make):
    for model in (made(), layers.Dense(3, kernel_initializer="ones")):
        np.testing.assert_allclose(model(make()), model(X), rtol=1e-6)


def test_what_is_given_stays_as_it_is():
    for make in SAME.values():
        x, before = make(), np.array(make())
        results(x)
        np.testing.assert_array_equal(np.array(x), before)


def test_results_are_arrays_of_their_own():
    model = made()
    first = model.predict(X, verbose=0)
    kept = first.copy()
    model.predict(X + 1, verbose=0)
    np.testing.assert_array_equal(first, kept)
    first[...] = 7
    np.testing.assert_array_equal(model.predict(X, verbose=0), kept)


# What is refused, and what the message tells.
REFUSED = {
    "nothing": (None, ValueError, r"x=None"),
    "text": ("abc", ValueError, "x=abc"),
    "bytes": (b"abc", ValueError, "x=b'abc'"),
    "a number": (3.0, ValueError, "x=3.0"),
    "a list of numbers": (X.tolist(), ValueError, "Unrecognized data type.*list"),
    "an empty list": ([], ValueError, r"x=\[\]"),
    "an empty dict": ({}, ValueError, r"x={}"),
    "a set": ({1, 2}, ValueError, "x={1, 2}"),
    "a function": (results, ValueError, "Unrecognized data type.*function"),
    "a module": (np, ValueError, "Unrecognized data type|Invalid dtype"),
    "no axis": (np.float32(3), IndexError, r"`x` has no axis of samples.*shape \(\)"),
    "an array without axes": (np.array(3.0), IndexError, r"`x` has no axis of samples.*\(\)"),
    "one axis": (X[:, 0], ValueError, r"Invalid input shape.*\(None, 4\).*\((10|None),\)"),
    "too many axes": (
        X[:, :, None, None],
        ValueError,
        r"Invalid input shape.*\(None, 4\).*4, 1, 1",
    ),
    "too few features": (X[:, :3], ValueError, r"'dense.*axis -1.*value 4.*(10|None), 3\)"),
    "no features": (X[:, :0], ValueError, r"'dense.*axis -1.*value 4.*(10|None), 0\)"),
    "two arrays": ([X, X], ValueError, "'sequential|\"sequential.*expects 1 input.*received 2"),
    "a dict of another name": ({"z": X}, ValueError, r"'sequential.*\['z'\]"),
    "dates": (np.zeros((10, 4), "M8[s]"), ValueError, r"Invalid dtype: datetime64"),
    "records": (np.zeros(10, [("a", "f4")]), ValueError, "Invalid dtype"),
    "raw bytes": (np.zeros((10, 4), "V4"), ValueError, "Invalid dtype"),
    "rows of several lengths": (
        np.array([[1.0], [1, 2]] * 5, dtype=object),
        ValueError,
        "Invalid dtype: object",
    ),
    "None among numbers": (np.array([[None] * 4] * 10), ValueError, "Invalid dtype: object.*None"),
    "words": (np.array([["a"] * 4] * 10), (TypeError, ValueError), "dtype str"),
    "words as objects": (np.array([["a"] * 4] * 10, object), (TypeError, ValueError), "dtype obj"),
}


@pytest.mark.parametrize("way", ["predict", "fit", "evaluate"])
@pytest.mark.parametrize("what", REFUSED)
def test_refused_inputs(what, way):
    x, error, message = REFUSED[what]
    model = made()
    targets = () if way == "predict" else (Y,)
    with pytest.raises(error, match=f"(?s){message}"):
        getattr(model, way)(x, *targets, verbose=0)
    assert_equal(results(X), PLAIN)
    np.testing.assert_allclose(model.predict(X, verbose=0), PLAIN["predict"], rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (Y.tolist(), ValueError, "Unrecognized data type: y="),
        (3, ValueError, "Unrecognized data type: y=3"),
        (None, ValueError, "mean_squared_error.*needs targets"),
        (Y[:5], ValueError, "'x' sizes: 10.*'y' sizes: 5"),
        ([Y, Y], ValueError, "different structures"),
        (np.float32(1), IndexError, "`y` has no axis"),
        (np.array([["a"]] * 10), (TypeError, ValueError), "dtype str"),
        (np.zeros((10, 3, 2), "float32"), ValueError, r"\(10, 3, 2\)"),
    ],
)
@pytest.mark.parametrize("way", ["fit", "evaluate"])
def test_refused_targets(way, y, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        getattr(made(), way)(X, y, verbose=0)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0] * 10, ValueError, "Unrecognized data type: sample_weight="),
        (np.ones(5), ValueError, "'sample_weight' sizes: 5"),
        (np.ones((10, 4)), ValueError, r"multiply.*\(10,\).*\(10, 4\)"),
    ],
)
def test_refused_weights(weights, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        made().fit(X, Y, sample_weight=weights, verbose=0)


# NaN, infinity, nothing at all.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e-42])
def test_special_values_stay_in_their_rows(value):
    x = X.copy()
    x[3] = value
    predicted = made().predict(x, verbose=0)
    plain = np.delete(predicted, 3, axis=0)
    np.testing.assert_array_equal(plain, np.delete(PLAIN["predict"], 3, axis=0))
    weights = made().get_weights()
    with np.errstate(all="ignore"):
        expected = (x[3] @ weights[0] + weights[1]) @ weights[2] + weights[3]
    np.testing.assert_allclose(predicted[3], expected, rtol=1e-6)


def test_a_loss_that_is_not_a_number_shows():
    model = made()
    y = Y.copy()
    y[0] = np.nan
    history = model.fit(X, y, verbose=0, callbacks=[cornu.callbacks.TerminateOnNaN()]).history
    assert np.isnan(history["loss"]).all()
    assert np.isnan(model.get_weights()[0]).all()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.Dense(3), (0, 4)),
        (lambda: layers.Dense(3, "softmax"), (2, 0, 4)),
        (lambda: layers.Conv2D(3, 2, padding="same"), (0, 5, 5, 2)),
        (lambda: layers.MaxPooling1D(), (0, 4, 3)),
        (lambda: layers.GlobalAveragePooling1D(), (0, 4, 3)),
        (lambda: layers.LSTM(3), (0, 4, 3)),
        (lambda: layers.GRU(3, return_sequences=True), (0, 4, 3)),
        (lambda: layers.LayerNormalization(), (0, 4)),
        (lambda: layers.BatchNormalization(), (0, 4)),
        (lambda: layers.Dropout(0.5), (0, 4)),
        (lambda: layers.Embedding(5, 3), (0, 4)),
        (lambda: layers.Embedding(5, 3), (2, 0)),
        (lambda: layers.Flatten(), (0, 3, 2)),
        (lambda: layers.Reshape((6,)), (0, 3, 2)),
        (lambda: layers.UpSampling2D(), (0, 2, 2, 1)),
        (lambda: layers.Softmax(), (0, 4)),
        (lambda: layers.PReLU(), (0, 4)),
        (lambda: layers.ZeroPadding1D(2), (2, 0, 3)),
        (lambda: layers.TimeDistributed(layers.Dense(2)), (0, 3, 4)),
    ],
)
def test_layers_on_nothing(layer, shape):
    x = np.zeros(shape, "int32" if "Embedding" in str(layer()) else "float32")
    for training in (False, True):
        made_layer = layer()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = made_layer(x, training=training)
            with cornu.GradientTape() as tape:
                total = cornu.ops.sum(made_layer(x, training=training))
            gradients = tape.gradient(total, made_layer.trainable_variables)
        assert outputs.shape == made_layer.compute_output_shape(shape)
        assert outputs.numpy().size == int(np.prod(outputs.shape))
        for gradient in gradients:
            assert np.isfinite(np.asarray(gradient)).all()


def test_attention_on_nothing():
    attention = layers.MultiHeadAttention(2, 3)
    assert attention(np.zeros((0, 5, 4)), np.zeros((0, 6, 4))).shape == (0, 5, 4)
    assert attention(np.zeros((2, 0, 4)), np.zeros((2, 6, 4))).shape == (2, 0, 4)


@pytest.mark.parametrize("way", ["predict", "fit", "evaluate"])
def test_no_samples(way):
    targets = () if way == "predict" else (Y[:0],)
    with pytest.raises(ValueError, match=r"no batches|sizes: 0"):
        getattr(made(), way)(X[:0], *targets, verbose=0)
    assert made()(X[:0]).shape == (0, 1)
    assert np.asarray(made().predict_on_batch(X[:0])).shape == (0, 1)


# Sequences, images and several inputs take every layout too.


@pytest.mark.parametrize(
    "make", [np.asfortranarray, lambda x: x[::-1][::-1], lambda x: x.astype(">f8")]
)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.Conv2D(3, 2), (2, 5, 6, 3)),
        (lambda: layers.DepthwiseConv1D(3), (2, 7, 3)),
        (lambda: layers.AveragePooling2D(2), (2, 4, 6, 3)),
        (lambda: layers.LSTM(3), (2, 5, 4)),
        (lambda: layers.LayerNormalization(axis=1), (2, 5, 4)),
        (lambda: layers.Permute((2, 1)), (2, 5, 4)),
        (lambda: layers.Resizing(3, 3), (2, 5, 4, 3)),
        (lambda: layers.Cropping1D(1), (2, 5, 4)),
    ],
)
def test_layers_on_every_layout(layer, shape, make):
    x = RNG.random(shape).astype("float32")
    made_layer = layer()
    np.testing.assert_allclose(made_layer(make(x)), made_layer(x), rtol=1e-6, atol=1e-7)


class Batched(cornu.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


@pytest.mark.parametrize("kind", ["arrays", "dataset", "generator", "loader"])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_callbacks_find_all_built_and_no_batch_is_lost(kind, method):
    model = cornu.Sequential([cornu.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    seen = []

    class Watch(cornu.callbacks.Callback):
        def on_train_begin(self, logs=None):
            assert model.optimizer.built

        def begin(self, logs=None):
            assert model.built and len(model.weights) == 2

        on_test_begin = on_predict_begin = begin

        def count(self, batch, logs=None):
            seen.append(batch)

        on_train_batch_end = on_test_batch_end = on_predict_batch_end = count

    data = {
        "arrays": {"x": X[:16], "batch_size": 8},
        "dataset": {"x": Batched()},
        "generator": {"x": (Batched()[i] for i in range(2))},
        "loader": {"x": [Batched()[i] for i in range(2)].__iter__()},
    }[kind]
    if kind == "arrays" and method != "predict":
        data["y"] = Y[:16]
    getattr(model, method)(**data, verbose=0, callbacks=[Watch()])
    assert seen == [0, 1]
