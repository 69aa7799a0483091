"""Plain calls that run as plans."""

import numpy as np
import pytest

from cornu import GradientTape, Input, Model, Sequential, layers
from cornu.layers import Layer
from cornu.models import planned

X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)


def stack():
    return Sequential([Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)])


def same_as_layers(model, x=X, **kwargs):
    np.testing.assert_allclose(
        np.asarray(model(x, **kwargs)),
        np.asarray(Layer.__call__(model, x, **kwargs)),
        rtol=1e-6,
        atol=1e-7,
    )


def test_a_plan_gives_what_the_layers_give():
    model = stack()
    same_as_layers(model)
    assert planned.is_plannable(model) and model._planned.function is not None
    same_as_layers(model, X[:1])
    same_as_layers(model, np.tile(X, (5, 1)))
    same_as_layers(model, X.astype("float64"))


def test_changes_are_seen():
    model = stack()
    model(X)
    model.set_weights([w + 1 for w in model.get_weights()])
    same_as_layers(model)
    model.layers[0].activation = None
    same_as_layers(model)
    model.add(layers.Dense(5))
    assert model(X).shape == (2, 5)


def test_what_a_plan_would_lose_runs_by_layers():
    class Own(Layer):
        def call(self, x):
            return x

    for layer in (Own(), layers.Dense(2, activity_regularizer="l2"), layers.Lambda(lambda x: x)):
        x = Input((4,))
        assert not planned.is_plannable(Model(x, layer(x)))
    model = stack()
    with GradientTape() as tape:
        y = model(X)
    assert tape.gradient(y, model.weights[0]) is not None


def test_wrong_inputs_raise_each_time():
    model = stack()
    for _ in range(2):
        with pytest.raises(ValueError, match="axis -1 of input shape to have value 4"):
            model(np.ones((2, 5), "float32"))
