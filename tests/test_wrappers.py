"""Models as estimators of scikit-learn."""

import numpy as np
import pytest

import cornu

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

from cornu.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
LABELS = np.array(["no", "yes"])[(X.sum(1) > 0).astype(int)]


def _build(X, y, units=8, end="softmax", loss="categorical_crossentropy"):
    cornu.utils.set_random_seed(0)
    outputs = y.shape[1] if y.ndim > 1 else 1
    model = cornu.Sequential(
        [
            cornu.Input(X.shape[1:]),
            cornu.layers.Dense(units, activation="relu"),
            cornu.layers.Dense(outputs, activation=end),
        ]
    )
    model.compile(cornu.optimizers.Adam(0.05), loss)
    return model


REGRESSION = {"end": None, "loss": "mse"}


def test_classifier():
    classifier = SKLearnClassifier(_build, fit_kwargs={"epochs": 20, "verbose": 0})
    classifier.fit(X, LABELS)
    assert classifier.score(X, LABELS) > 0.9 and list(classifier.classes_) == ["no", "yes"]
    assert classifier.predict(X).shape == LABELS.shape
    assert classifier.decision_function(X).shape == (60, 2)
    again = clone(classifier)
    assert not hasattr(again, "model_") and again.fit_kwargs == {"epochs": 20, "verbose": 0}
    with pytest.raises(ValueError, match="one class"):
        again.fit(X, np.zeros(60))
    with pytest.raises(ValueError, match="multiclass"):
        again.fit(X, X[:, 0])


def test_regressor():
    regressor = SKLearnRegressor(_build, model_kwargs=REGRESSION)
    regressor.fit(X, X[:, 0] * 2, epochs=60, verbose=0)
    assert regressor.score(X, X[:, 0] * 2) > 0.8
    two = SKLearnRegressor(_build, model_kwargs=REGRESSION).fit(X, X[:, :2], verbose=0)
    assert two.predict(X).shape == (60, 2)


def test_a_model_is_cloned_unless_started_warm():
    model = _build(X, X[:, :1], **REGRESSION)
    before = [w.copy() for w in model.get_weights()]
    SKLearnRegressor(model).fit(X, X[:, 0], verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    warm = SKLearnRegressor(model, warm_start=True).fit(X, X[:, 0], verbose=0)
    assert warm.model_ is model and not np.array_equal(before[0], model.get_weights()[0])


def test_transformer_and_uncompiled_models():
    transformer = SKLearnTransformer(_build, model_kwargs=REGRESSION)
    assert transformer.fit(X, X[:, :2], verbose=0).transform(X).shape == (60, 2)
    with pytest.raises(RuntimeError, match="compiled"):
        SKLearnRegressor(cornu.Sequential([cornu.layers.Dense(1)])).fit(X, X[:, 0])


def test_grid_search():
    search = GridSearchCV(
        SKLearnClassifier(_build, fit_kwargs={"epochs": 3, "verbose": 0}),
        {"model_kwargs": [{"units": 2}, {"units": 8}]},
        cv=2,
    )
    assert search.fit(X, LABELS).best_params_["model_kwargs"]["units"] in (2, 8)
