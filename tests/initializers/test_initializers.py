"""Initializers, regularizers, constraints and activations against real Keras."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pytest

import cornu

INITIALIZERS = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 0.3}),
    ("Identity", {}),
    ("STFT", {}),
    ("STFT", {"side": "imag", "window": "hamming", "scaling": "spectrum", "periodic": True}),
    ("RandomNormal", {"mean": 1.0, "stddev": 0.2, "seed": 3}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 0.2, "seed": 3}),
    ("RandomUniform", {"minval": 0.5, "maxval": 2.0, "seed": 3}),
    *(
        (name, {"seed": 3})
        for name in (
            "GlorotNormal",
            "GlorotUniform",
            "HeNormal",
            "HeUniform",
            "LecunNormal",
            "LecunUniform",
            "Orthogonal",
        )
    ),
    *(
        ("VarianceScaling", {"scale": 2.0, "mode": mode, "distribution": kind, "seed": 3})
        for mode in ("fan_in", "fan_out", "fan_avg")
        for kind in ("truncated_normal", "untruncated_normal", "uniform")
    ),
]


def shape_for(name):
    return {"STFT": (9, 1, 8), "Identity": (30, 40)}.get(name, (5, 40, 60))


@pytest.mark.parametrize(("name", "arguments"), INITIALIZERS)
def test_initializer(name, arguments):
    ours = getattr(cornu.initializers, name)(**arguments)
    theirs = getattr(keras.initializers, name)(**arguments)
    shape = shape_for(name)
    a, b = np.asarray(ours(shape)), np.asarray(theirs(shape))
    assert a.shape == b.shape and a.dtype == b.dtype
    if "seed" in arguments:
        # Other numbers of the same distribution, the same ones for the same seed.
        np.testing.assert_array_equal(a, np.asarray(ours(shape)))
        scale = max(b.std(), 1e-6)
        assert abs(a.mean() - b.mean()) < 0.06 * scale
        assert abs(a.std() - b.std()) < 0.04 * scale
        assert a.max() <= b.max() + scale and a.min() >= b.min() - scale
    else:
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert ours.get_config() == theirs.get_config()
    assert cornu.initializers.serialize(ours) == keras.initializers.serialize(theirs)
    again = cornu.initializers.deserialize(keras.initializers.serialize(theirs))
    assert type(again) is type(ours)
    assert again.get_config() == ours.get_config()


def test_orthogonal_is_orthogonal():
    q = np.asarray(cornu.initializers.Orthogonal(seed=1)((3, 4, 8)))
    np.testing.assert_allclose(q.reshape(12, 8).T @ q.reshape(12, 8), np.eye(8), atol=1e-5)


@pytest.mark.parametrize("given", ["glorot_uniform", "GlorotUniform", "zeros", "he_normal", "one"])
def test_initializer_by_name(given):
    ours, theirs = cornu.initializers.get(given), keras.initializers.get(given)
    assert type(ours).__name__ == type(theirs).__name__


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: k.initializers.get("nothing"), "Could not interpret initializer identifier"),
        (lambda k: k.initializers.get(5), "Could not interpret initializer identifier"),
        (lambda k: k.initializers.RandomNormal(seed="a"), "`seed` argument"),
        (lambda k: k.initializers.VarianceScaling(scale=-1), "`scale` must be positive"),
        (lambda k: k.initializers.VarianceScaling(mode="x"), "Invalid `mode`"),
        (lambda k: k.initializers.Orthogonal()((3,)), "at least two-dimensional"),
        (lambda k: k.initializers.Identity()((3, 3, 3)), "2D matrices"),
        (lambda k: k.regularizers.L1(l1=-1), "non-negative float"),
        (lambda k: k.regularizers.L2(l2="a"), "non-negative float"),
        (lambda k: k.regularizers.get("nothing"), "Could not interpret regularizer"),
        (lambda k: k.constraints.get("nothing"), "Could not interpret constraint"),
        (lambda k: k.activations.get("nothing"), "Could not interpret activation function"),
    ],
)
def test_errors_are_those_of_keras(call, message):
    for library in (cornu, keras):
        with pytest.raises(ValueError, match=message):
            call(library)


X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")

REGULARIZERS = [
    ("L1", {"l1": 0.5}),
    ("L2", {"l2": 0.25}),
    ("L1L2", {"l1": 0.5, "l2": 0.25}),
    ("OrthogonalRegularizer", {"factor": 0.5}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]
CONSTRAINTS = [
    ("MaxNorm", {"max_value": 1.0}),
    ("MaxNorm", {"max_value": 1.0, "axis": 1}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.5, "rate": 0.7, "axis": 0}),
    ("NonNeg", {}),
    ("UnitNorm", {"axis": 1}),
]


@pytest.mark.parametrize(
    ("namespace", "name", "arguments"),
    [("regularizers", *row) for row in REGULARIZERS]
    + [("constraints", *row) for row in CONSTRAINTS],
)
def test_regularizer_and_constraint(namespace, name, arguments):
    mine, real = getattr(cornu, namespace), getattr(keras, namespace)
    ours, theirs = getattr(mine, name)(**arguments), getattr(real, name)(**arguments)
    np.testing.assert_allclose(
        np.asarray(ours(cornu.ops.convert_to_tensor(X))),
        np.asarray(theirs(keras.ops.convert_to_tensor(X))),
        rtol=1e-5,
        atol=1e-6,
    )
    assert mine.serialize(ours) == real.serialize(theirs)
    again = mine.get(real.serialize(theirs))
    assert again.get_config() == ours.get_config()
    assert mine.get(ours) is ours


ACTIVATIONS = [name for name in dir(keras.activations) if not name.startswith("_")]
ACTIVATIONS = [n for n in ACTIVATIONS if n not in ("get", "serialize", "deserialize")]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    ours, theirs = getattr(cornu.activations, name), getattr(keras.activations, name)
    x = X[:, :4]
    more = (0.2, -1.0) if name == "threshold" else ()
    if name != "sparsemax":
        np.testing.assert_allclose(
            np.asarray(ours(x, *more)), np.asarray(theirs(x, *more)), rtol=1e-5, atol=1e-6
        )
    assert cornu.activations.serialize(ours) == keras.activations.serialize(theirs)
    assert cornu.activations.get(name) is ours


@pytest.mark.parametrize(
    "arguments",
    [
        {"negative_slope": 0.1},
        {"max_value": 1.0},
        {"max_value": 6},
        {"threshold": 0.5},
        {"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.2},
    ],
)
def test_bent_relu(arguments):
    np.testing.assert_allclose(
        np.asarray(cornu.activations.relu(X, **arguments)),
        np.asarray(keras.activations.relu(X, **arguments)),
        rtol=1e-6,
    )


def test_activation_by_nothing_is_linear():
    assert cornu.activations.get(None) is cornu.activations.linear
