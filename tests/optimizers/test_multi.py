"""Several optimizers in one."""

import numpy as np
import pytest

import cornu
from cornu import optimizers
from reference import keras as real


def _trained(library, steps=3):
    library.utils.set_random_seed(0)
    layers = library.layers
    model = library.Sequential(
        [library.Input((4,)), layers.Dense(3, name="encoder"), layers.Dense(1, name="head")],
        name="model",
    )
    model.set_weights(
        [np.linspace(-1, 1, int(np.prod(w.shape))).reshape(w.shape) for w in model.weights]
    )
    chosen = library.optimizers.OptimizerMap(library.optimizers.SGD(0.1))
    chosen[".*encoder/.*"] = library.optimizers.Adam(0.01)
    multi = library.optimizers.MultiOptimizer(chosen)
    model.compile(multi, "mse")
    x = np.linspace(-1, 1, 32).reshape(8, 4).astype("float32")
    model.fit(x, x[:, :1], epochs=steps, batch_size=8, verbose=0)
    return model


def test_steps_are_those_of_keras():
    ours, theirs = _trained(cornu), _trained(real)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert [o.name for o in ours.optimizer.optimizers] == ["adam", "sgd"]
    assert int(ours.optimizer.iterations) == 3
    shapes = [v.shape for v in ours.optimizer.variables]
    assert shapes == [tuple(v.shape) for v in theirs.optimizer.variables]


def test_a_function_chooses():
    adam, sgd = optimizers.Adam(), optimizers.SGD()
    multi = optimizers.MultiOptimizer(lambda v: adam if len(v.shape) > 1 else sgd)
    a, b = cornu.Variable(np.ones((2, 2))), cornu.Variable(np.ones(2))
    multi.apply([np.ones((2, 2)), np.ones(2)], [a, b])
    assert multi.optimizers == [adam, sgd] and int(adam.iterations) == 1
    multi.loss_scale_factor = 8.0
    assert adam.loss_scale_factor == 8.0
    with pytest.raises(AttributeError, match="sub-optimizers"):
        multi.learning_rate = 1.0


def test_config_round_trip():
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.5), {"a/.*": optimizers.Adam(0.25)})
    multi = optimizers.MultiOptimizer(chosen, name="both")
    again = optimizers.deserialize(optimizers.serialize(multi))
    assert again.get_config() == multi.get_config() and again.name == "both"
    assert float(again._optimizer_map["a/kernel"].learning_rate) == 0.25


@pytest.mark.parametrize("library", [cornu, real])
def test_errors(library):
    o = library.optimizers
    for wrong in (lambda: o.OptimizerMap("sgd"), lambda: o.OptimizerMap(o.SGD(), [1])):
        with pytest.raises(TypeError):
            wrong()
    chosen = o.OptimizerMap(o.SGD(), {"a.*": o.Adam(), ".*b": o.Adam()})
    with pytest.raises(ValueError, match="Multiple"):
        chosen["ab"]
    for key, value in (("a.*", o.SGD()), (3, o.SGD()), ("c", "sgd")):
        with pytest.raises(ValueError):
            chosen[key] = value
    with pytest.raises(ValueError, match="cannot be"):
        chosen["d"] = o.LossScaleOptimizer(o.SGD())
