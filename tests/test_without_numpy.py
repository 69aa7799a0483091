"""Training computes without numpy: its computing functions may all raise."""

import numpy as np
import pytest

import cornu
from cornu import layers
from numpy_refused import computing

RNG = np.random.default_rng(0)
X = RNG.random((8, 6)).astype("float32")
LABELS = RNG.integers(0, 3, 8)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]


def test_the_functions_that_are_refused(without_numpy):
    names = {name for _, name in computing()}
    assert len(names) > 200
    expected = "sum mean exp matmul einsum tensordot convolve maximum dot add where sqrt svd fft"
    assert set(expected.split()) <= names
    without_numpy()
    with pytest.raises(AssertionError, match=r"np\.sum was called"):
        np.sum([1, 2])
    with pytest.raises(AssertionError, match=r"np\.svd was called"):
        np.linalg.svd(np.eye(2))


def classifier():
    return cornu.Sequential(
        [
            cornu.Input((6,)),
            layers.Dense(5, activation="gelu", kernel_regularizer="l1_l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax", kernel_constraint="unit_norm"),
        ]
    )


def public(module, base):
    """Returns the names of the classes of a module that its base class is not."""
    values = {name: getattr(module, name) for name in module.__dir__()}
    return sorted(
        {
            value.__name__
            for value in values.values()
            if isinstance(value, type) and issubclass(value, base) and value is not base
        }
    )


OF_OTHERS = {"LossScaleOptimizer", "MultiOptimizer"}
OPTIMIZERS = set(public(cornu.optimizers, cornu.optimizers.Optimizer)) - OF_OTHERS
LOSSES = set(public(cornu.losses, cornu.losses.Loss)) - {"CTC", "LossFunctionWrapper"}
OF_LABELS = {"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle"}
_METRICS = """
    BinaryAccuracy CategoricalAccuracy TopKCategoricalAccuracy MeanSquaredError CosineSimilarity
    AUC Precision Recall F1Score R2Score KLDivergence LogCoshError Poisson
    CategoricalCrossentropy CategoricalHinge
"""


def learn(without_numpy, y=ONE_HOT, **compiled):
    """Compiles, learns from a batch and predicts, all but the first without numpy."""
    model = classifier()
    model.compile(**{"optimizer": "adam", "loss": "categorical_crossentropy", **compiled})
    for eagerly in (False, True):
        model.run_eagerly = eagerly
        model.train_on_batch(X, y)
    before = model.get_weights()[0].tobytes()
    without_numpy()
    for eagerly in (False, True):
        model.run_eagerly = eagerly
        model.train_on_batch(X, y)
        model.test_on_batch(X, y)
        assert model.predict_on_batch(X).shape == (8, 3)
    assert model.get_weights()[0].tobytes() != before


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers(name, without_numpy):
    learn(without_numpy, optimizer=getattr(cornu.optimizers, name)())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses(name, without_numpy):
    y = LABELS if name in OF_LABELS else ONE_HOT
    learn(without_numpy, y, loss=getattr(cornu.losses, name)())


@pytest.mark.parametrize("name", _METRICS.split())
def test_metrics(name, without_numpy):
    learn(without_numpy, metrics=[getattr(cornu.metrics, name)()])
