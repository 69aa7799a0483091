"""One row per metric: the data of a batch, and the arguments that are tried."""

import numpy as np

BATCH = 8


def positive(rng):
    return rng.random((BATCH, 5)), rng.random((BATCH, 5))


def binary(rng):
    return (rng.random((BATCH, 5)) > 0.5).astype("float64"), rng.random((BATCH, 5))


def logits(rng):
    return binary(rng)[0], rng.normal(size=(BATCH, 5))


def distribution(rng):
    x = rng.random((BATCH, 5))
    return x / x.sum(axis=-1, keepdims=True)


def one_hot(rng):
    return np.eye(5)[rng.integers(0, 5, BATCH)], distribution(rng)


def sparse(rng):
    return rng.integers(0, 5, BATCH), distribution(rng)


def regions(rng):
    return rng.integers(0, 3, BATCH), rng.integers(0, 3, BATCH)


def labels(rng):
    return (rng.random(BATCH) > 0.5).astype("float64"), rng.random(BATCH)


_THRESHOLDS = [{}, {"thresholds": 0.3}, {"thresholds": [0.2, 0.7, 0.9]}]
_RATES = [
    *_THRESHOLDS,
    {"thresholds": [0.0, 0.5, 1.0]},
    {"top_k": 2},
    {"class_id": 1},
    {"top_k": 2, "class_id": 3},
]
_CURVES = [
    {"curve": curve, "summation_method": method}
    for curve in ("ROC", "PR", "PRGAIN")
    for method in ("interpolation", "minoring", "majoring")
]
_LABELS = [1.0, 2.0, 3.0, 4.0, 5.0]
_AVERAGES = [
    {"average": average, "threshold": threshold}
    for average in (None, "micro", "macro", "weighted")
    for threshold in (None, 0.4)
]

METRICS = [
    ("Accuracy", regions, [{}]),
    ("BinaryAccuracy", binary, [{}, {"threshold": 0.2}]),
    ("CategoricalAccuracy", one_hot, [{}]),
    ("SparseCategoricalAccuracy", sparse, [{}]),
    ("TopKCategoricalAccuracy", one_hot, [{}, {"k": 2}]),
    ("SparseTopKCategoricalAccuracy", sparse, [{}, {"k": 2}]),
    ("MeanSquaredError", positive, [{}]),
    ("RootMeanSquaredError", positive, [{}]),
    ("MeanAbsoluteError", positive, [{}]),
    ("MeanAbsolutePercentageError", positive, [{}]),
    ("MeanSquaredLogarithmicError", positive, [{}]),
    ("CosineSimilarity", positive, [{}]),
    ("LogCoshError", positive, [{}]),
    ("PearsonCorrelation", positive, [{}, {"axis": 1}]),
    ("ConcordanceCorrelation", positive, [{}, {"axis": 1}]),
    ("R2Score", positive, [{}, {"class_aggregation": None}, {"num_regressors": 2}]),
    ("R2Score", positive, [{"class_aggregation": "variance_weighted_average"}]),
    ("Hinge", binary, [{}]),
    ("SquaredHinge", binary, [{}]),
    ("CategoricalHinge", one_hot, [{}]),
    ("KLDivergence", positive, [{}]),
    ("Poisson", positive, [{}]),
    ("BinaryCrossentropy", binary, [{}, {"from_logits": True, "label_smoothing": 0.1}]),
    ("CategoricalCrossentropy", one_hot, [{}, {"from_logits": True, "label_smoothing": 0.1}]),
    ("SparseCategoricalCrossentropy", sparse, [{}, {"from_logits": True}, {"ignore_class": 2}]),
    ("TruePositives", binary, _THRESHOLDS),
    ("TrueNegatives", binary, _THRESHOLDS),
    ("FalsePositives", binary, _THRESHOLDS),
    ("FalseNegatives", binary, _THRESHOLDS),
    ("Precision", binary, _RATES),
    ("Recall", binary, _RATES),
    ("SensitivityAtSpecificity", binary, [{"specificity": 0.5}]),
    ("SpecificityAtSensitivity", binary, [{"sensitivity": 0.5, "num_thresholds": 1}]),
    ("PrecisionAtRecall", binary, [{"recall": 0.5}, {"recall": 0.9, "class_id": 2}]),
    ("RecallAtPrecision", binary, [{"precision": 0.5}]),
    ("AUC", binary, [{}, *_CURVES, {"thresholds": [0.3, 0.5]}, {"num_thresholds": 2}]),
    (
        "AUC",
        binary,
        [
            {"multi_label": True},
            {"multi_label": True, "num_labels": 5, "curve": "PR", "label_weights": _LABELS},
            {"label_weights": _LABELS},
        ],
    ),
    ("AUC", logits, [{"from_logits": True}]),
    ("F1Score", binary, _AVERAGES),
    ("FBetaScore", binary, [{}, {"beta": 2.0, "average": "micro"}]),
    ("IoU", regions, [{"num_classes": 3, "target_class_ids": [0, 2]}]),
    ("IoU", regions, [{"num_classes": 3, "target_class_ids": [0], "ignore_class": 1}]),
    ("MeanIoU", regions, [{"num_classes": 3}]),
    ("BinaryIoU", labels, [{}, {"target_class_ids": [1], "threshold": 0.3}]),
    ("OneHotIoU", one_hot, [{"num_classes": 5, "target_class_ids": [0, 3]}]),
    ("OneHotMeanIoU", one_hot, [{"num_classes": 5}]),
]
