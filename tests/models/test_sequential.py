"""Stacks of layers."""

import numpy as np
import pytest

from cornu import Input, Model, Sequential, layers

X = np.ones((2, 4), "float32")


def test_built_from_an_input():
    model = Sequential([Input((4,)), layers.Dense(3), layers.Dense(2)])
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense"]
    assert [w.path for w in model.weights][:2] == [
        "sequential/dense/kernel", "sequential/dense/bias",
    ]  # fmt: skip
    assert model(X).shape == (2, 2)


def test_the_first_layer_may_say_the_shape():
    model = Sequential([layers.Dense(3, input_shape=(4,)), layers.Dense(2)])
    assert model.built and model.input_shape == (None, 4)
    assert Sequential([layers.Dense(3, input_dim=4)]).input_shape == (None, 4)
    assert Sequential([layers.Dense(3, batch_input_shape=(5, 4))]).input_shape == (5, 4)


def test_built_by_the_first_call():
    model = Sequential([layers.Dense(3), layers.Dense(2)])
    assert not model.built and model.weights == []
    with pytest.raises(AttributeError, match="input shape is known"):
        model.output  # noqa: B018
    model(X)
    assert model.built and len(model.weights) == 4
    assert model(np.ones((7, 4))).shape == (7, 2)


def test_built_for_a_shape():
    model = Sequential()
    for _ in range(3):
        model.add(layers.Dense(3))
    model.build(input_shape=(4, 4))
    assert [w.shape for w in model.trainable_variables] == [
        (4, 3), (3,), (3, 3), (3,), (3, 3), (3,),
    ]  # fmt: skip
    assert model.layers[2].output.shape == (4, 3)


def test_add_and_pop():
    model = Sequential([Input((4,)), layers.Dense(3)])
    top = layers.Dense(2)
    model.add(top)
    assert model.output_shape == (None, 2)
    assert model.pop() is top
    assert model.output_shape == (None, 3)
    kernel = model.weights[0]
    model.add(layers.ReLU())
    assert model.weights[0] is kernel


def test_what_is_no_layer_is_refused():
    model = Sequential([Input((4,)), layers.Dense(3, name="d")])
    with pytest.raises(ValueError, match=r"Only instances of `keras.Layer` can be added"):
        model.add(3)
    with pytest.raises(ValueError, match="should have unique names"):
        model.add(layers.Dense(2, name="d"))
    with pytest.raises(ValueError, match="already been configured to use input shape"):
        model.add(Input((3,)))
    with pytest.raises(ValueError, match="cannot be built because it has no layers"):
        Sequential().build((None, 3))


def test_inside_other_models():
    inner = Sequential([layers.Dense(4), layers.Dense(3)], name="inner")
    x = Input((4,))
    model = Model(x, inner(x))
    assert model.output_shape == (None, 3)
    assert len(model.weights) == 4
    outer = Sequential([inner, layers.Dense(1)])
    assert outer.built and outer.input_shape == (None, 4)
    assert outer(X).shape == (2, 1)


def test_sub_models_of_a_stack():
    model = Sequential([Input((4,)), layers.Dense(3, name="a"), layers.Dense(2)])
    part = Model(model.inputs, model.get_layer("a").output)
    np.testing.assert_allclose(np.asarray(part(X)), np.asarray(model.layers[0](X)), rtol=1e-6)


def test_training_reaches_the_layers():
    class Probe(layers.Layer):
        def call(self, x, training=False):
            return x * 2.0 if training else x

    for model in (Sequential([Probe()]), Sequential([Input((4,)), Probe()])):
        assert np.asarray(model(X, training=True))[0, 0] == 2
        assert np.asarray(model(X))[0, 0] == 1


@pytest.mark.parametrize("built", [True, False])
def test_configs_go_and_come_back(built):
    model = Sequential([layers.Dense(3, activation="relu"), layers.Dropout(0.5)], name="s")
    if built:
        model(X)
    config = model.get_config()
    again = Sequential.from_config(config)
    assert again.built == built and again.name == "s"
    assert again.get_config() == config
    assert ("build_input_shape" in config) == built


def test_losses_of_layers():
    model = Sequential([Input((4,)), layers.Dense(3, kernel_regularizer="l2")])
    for _ in range(2):
        model(X)
        assert len(model.losses) == 1
    model.trainable = False
    assert model.trainable_weights == [] and not model.layers[0].trainable
