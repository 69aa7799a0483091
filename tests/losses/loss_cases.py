"""One row per loss: what it is called with."""

import numpy as np

_rng = np.random.default_rng(0)


def _unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _distribution(x):
    return x / x.sum(axis=-1, keepdims=True)


POSITIVE = _rng.random((8, 5)), _rng.random((8, 5))
SIGNED = _rng.normal(size=(8, 5)), _rng.normal(size=(8, 5))
BINARY = (_rng.random((8, 5)) > 0.5).astype("float64"), _rng.random((8, 5))
ONE_HOT = np.eye(5)[_rng.integers(0, 5, 8)], _distribution(_rng.random((8, 5)))
SPARSE = _rng.integers(0, 5, 8), _distribution(_rng.random((8, 5)))
SEQUENCES = _rng.integers(0, 5, (8, 3)), _distribution(_rng.random((8, 3, 5)))
SPEECH = _rng.integers(1, 5, (8, 2)), _rng.normal(size=(8, 6, 5))
EMBEDDINGS = _rng.integers(0, 3, 8), _unit(_rng.normal(size=(8, 4)))

# Class, data, and the arguments that are tried.
LOSSES = [
    ("MeanSquaredError", SIGNED, [{}]),
    ("MeanAbsoluteError", SIGNED, [{}]),
    ("MeanAbsolutePercentageError", POSITIVE, [{}]),
    ("MeanSquaredLogarithmicError", POSITIVE, [{}]),
    ("CosineSimilarity", SIGNED, [{}, {"axis": 0}]),
    ("Huber", SIGNED, [{}, {"delta": 0.5}]),
    ("LogCosh", SIGNED, [{}]),
    ("Hinge", BINARY, [{}]),
    ("Hinge", SIGNED, [{}]),
    ("SquaredHinge", BINARY, [{}]),
    ("CategoricalHinge", ONE_HOT, [{}]),
    ("KLDivergence", POSITIVE, [{}]),
    ("Poisson", POSITIVE, [{}]),
    (
        "BinaryCrossentropy",
        BINARY,
        [{}, {"from_logits": True}, {"label_smoothing": 0.1}, {"axis": 0}],
    ),
    (
        "BinaryFocalCrossentropy",
        BINARY,
        [{}, {"from_logits": True}, {"apply_class_balancing": True, "alpha": 0.4, "gamma": 1.5}],
    ),
    ("CategoricalCrossentropy", ONE_HOT, [{}, {"from_logits": True}, {"label_smoothing": 0.1}]),
    (
        "CategoricalFocalCrossentropy",
        ONE_HOT,
        [{}, {"from_logits": True}, {"label_smoothing": 0.1, "gamma": 3.0}],
    ),
    (
        "SparseCategoricalCrossentropy",
        SPARSE,
        [{}, {"from_logits": True}, {"ignore_class": 2}],
    ),
    ("SparseCategoricalCrossentropy", SEQUENCES, [{}, {"ignore_class": 1, "from_logits": True}]),
    ("CategoricalGeneralizedCrossEntropy", SPARSE, [{}, {"q": 0.8}]),
    ("CTC", SPEECH, [{}]),
    ("Dice", POSITIVE, [{}, {"axis": (1,)}]),
    ("Tversky", POSITIVE, [{}, {"alpha": 0.3, "beta": 0.7, "axis": (1,)}]),
    ("Circle", EMBEDDINGS, [{}, {"gamma": 20.0, "margin": 0.2, "remove_diagonal": False}]),
]
