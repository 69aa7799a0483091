"""Models that are graphs."""

import copy
import pickle

import numpy as np
import pytest

import cornu
from cornu import Input, Model, Sequential, layers, ops
from cornu.models import Functional, clone_model, model_from_json

X = np.arange(8, dtype="float32").reshape(2, 4)


def out(model, *args, **kwargs):
    return np.asarray(model(*args, **kwargs))


def test_a_chain():
    x = Input((4,))
    model = Model(x, layers.Dense(3)(x))
    assert isinstance(model, Functional)
    assert model.input is x and model.inputs == [x]
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 3))
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(out(model, X), X @ kernel + bias, rtol=1e-6)
    assert [layer.name for layer in model.layers] == ["input_layer", "dense"]


def test_layers_stand_in_the_order_of_their_depth():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = layers.Dense(4, name="shared")
    left = layers.Activation("relu", name="relu")(shared(a))
    right = shared(b)
    joined = layers.Add(name="add")([left, right])
    model = Model([a, b], [layers.Dense(1, name="out")(joined), right])
    names = [layer.name for layer in model.layers]
    assert names == ["a", "shared", "b", "relu", "add", "out"]
    assert len(model.weights) == 4
    y, r = model([X, X])
    assert y.shape == (2, 1) and r.shape == (2, 4)


def test_dicts_in_and_out():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    model = Model({"a": a, "b": b}, {"sum": a + b, "first": a})
    result = model({"b": X * 10, "a": X})
    assert np.asarray(result["sum"]).tolist() == (X * 11).tolist()
    assert np.asarray(result["first"]).tolist() == X.tolist()
    listed = Model([a, b], a - b)
    assert out(listed, {"b": X, "a": X * 3}).tolist() == (X * 2).tolist()
    with pytest.warns(UserWarning, match="all keys in the dict must match"):
        Model({"x": a}, a + 1.0)


def test_operators_and_functions_are_part_of_the_graph():
    x = Input((4,))
    model = Model(x, ops.sum((x * 2.0 + 1.0)[:, :2], axis=1, keepdims=True))
    assert out(model, X).tolist() == (X * 2 + 1)[:, :2].sum(1, keepdims=True).tolist()
    assert [op.name for op in model.operations][1:] == ["multiply", "add", "get_item", "sum"]


def test_models_from_intermediate_tensors():
    x = Input((4,))
    first = layers.Dense(3, name="first")
    hidden = first(x)
    y = layers.Dense(2, name="second")(hidden)
    model = Model(x, y)
    head = Model(model.layers[1].output, model.output)
    body = Model(model.input, model.get_layer("first").output)
    np.testing.assert_allclose(out(head, np.asarray(body(X))), out(model, X), rtol=1e-6)
    assert head.layers[1] is model.layers[2]


def test_nested_models_share_weights():
    inner_in = Input((4,))
    inner = Model(inner_in, layers.Dense(4)(inner_in), name="inner")
    x = Input((4,))
    model = Model(x, inner(inner(x)))
    assert len(model.weights) == 2
    np.testing.assert_allclose(out(model, X), out(inner, np.asarray(inner(X))), rtol=1e-6)
    assert model.get_layer("inner") is inner


class Base(Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(3, activation="relu")
        self.out = layers.Dense(2)

    def call(self, x):
        return self.out(self.hidden(x))


class Changed(Base):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = layers.Dense(5)


def test_subclassed_models_called_on_symbolic_inputs_have_input_and_output():
    base, changed = Base(), Changed()
    x = Input((4,))
    base(x)
    changed(base.input)
    model = Model(inputs=base.input, outputs=changed.output)
    assert out(model, X).shape == (2, 5)
    np.testing.assert_allclose(out(model, X), out(changed, X), rtol=1e-6)


def test_subclassed_models_build_for_a_shape():
    model = Base()
    model.build((None, 4))
    assert [w.path for w in model.weights] == [
        "base/dense/kernel", "base/dense/bias", "base/dense_1/kernel", "base/dense_1/bias",
    ]  # fmt: skip
    assert model.count_params() == 23
    assert model.built


def test_a_subclass_may_be_functional():
    class Own(Model):
        def __init__(self, units):
            x = Input((4,))
            super().__init__(inputs=x, outputs=layers.Dense(units)(x))
            self.units = units

    model = Own(3)
    assert isinstance(model, Functional) and isinstance(model, Own)
    assert out(model, X).shape == (2, 3)
    assert model.get_config()["units"] == 3


def test_inputs_are_converted():
    x = Input((1,))
    model = Model(x, x * 2.0)
    assert out(model, np.ones(3)).tolist() == [[2]] * 3  # a missing last axis
    assert out(model, np.ones((3, 1, 1))).shape == (3, 1)
    assert model(np.ones((3, 1), "float64")).dtype == "float32"
    ids = Input((2,), dtype="int32")
    assert Model(ids, ids + 1)(np.ones((1, 2), "int64")).dtype == "int32"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.ones((2, 5)), r"expected shape=\(None, 4\), found shape=\(2, 5\)"),
        ([X, X], r"expects 1 named input\(s\) .*, but it received 2"),
        ({"z": X}, 'Missing data for input "input_layer"'),
    ],
)
def test_wrong_inputs(inputs, message):
    x = Input((4,))
    with pytest.raises(ValueError, match=message):
        Model(x, x + 1.0)(inputs)


def test_graphs_that_are_none():
    x = Input((4,))
    with pytest.raises(ValueError, match="must be KerasTensors"):
        Model(3, 4)
    with pytest.raises(ValueError, match="Graph disconnected"):
        Model(x, layers.Dense(2)(Input((3,))))
    a, b = layers.Dense(2, name="same"), layers.Dense(2, name="same")
    with pytest.raises(ValueError, match='name "same" is used'):
        Model(x, b(a(x)))


def test_training_reaches_the_layers():
    class Probe(layers.Layer):
        def call(self, x, training=False):
            return x * 2.0 if training else x

    x = Input((4,))
    model = Model(x, Probe()(x))
    assert out(model, X).tolist() == X.tolist()
    assert out(model, X, training=True).tolist() == (X * 2).tolist()
    outer = Model(x, model(x))
    assert out(outer, X, training=True).tolist() == (X * 2).tolist()


def test_masks_flow_through_the_graph():
    class Count(layers.Layer):
        supports_masking = True

        def compute_mask(self, x, mask=None):
            return None

        def call(self, x, mask=None):
            return ops.sum(ops.cast(mask, "float32"), axis=1)

    x = Input((3,), dtype="int32")
    model = Model(x, Count()(layers.Embedding(5, 2, mask_zero=True)(x)))
    assert out(model, np.array([[1, 0, 2], [0, 0, 0]])).tolist() == [2, 0]
    assert [type(op).__name__ for op in model.operations] == [
        "InputLayer", "Embedding", "NotEqual", "Count",
    ]  # fmt: skip


def graphs():
    """Models that use every part of the config format."""
    x = Input((4,), name="x")
    yield Model(x, layers.Dense(3, activation="relu")(x))
    shared = layers.Dense(4)
    yield Model([x], [layers.Add()([shared(x), shared(shared(x))]), x * 2.0])
    y = Input((4,), name="y")
    total = ops.concatenate([x[:, 1:], ops.expand_dims(y[..., 0], -1)], axis=-1)
    yield Model({"x": x, "y": y}, {"total": total, "clip": ops.clip(x, 0.0, 1.0)})
    inner = Sequential([Input((4,)), layers.Dense(4), layers.Dropout(0.5)], name="inner")
    yield Model([x, y], [inner(x), inner(y), ops.where(x > 0, x, 1.0)])


@pytest.mark.parametrize("index", range(4))
def test_configs_go_and_come_back(index):
    model = list(graphs())[index]
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    inputs = {"x": X, "y": X + 1} if len(model.inputs) == 2 else X
    for a, b in zip(
        cornu.tree.flatten(model(inputs)), cornu.tree.flatten(again(inputs)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b))
    assert model_from_json(model.to_json()).to_json() == model.to_json()


@pytest.mark.parametrize("index", range(4))
def test_clones_have_weights_of_their_own(index):
    model = list(graphs())[index]
    clone = clone_model(model)
    assert type(clone) is type(model) and clone.name == model.name
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    assert len(clone.weights) == len(model.weights)


def test_clone_with_functions():
    x = Input((4,))
    model = Model(x, layers.Dense(3, name="d")(x))

    def wider(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "units": 7} if "units" in config else config)

    assert clone_model(model, clone_function=wider).output_shape == (None, 7)
    doubled = clone_model(model, call_function=lambda layer, *a, **k: layer(*a, **k) * 2.0)
    assert len(doubled.operations) == len(model.operations) + 1
    new = Input((4,), name="new")
    assert clone_model(model, input_tensors=[new]).input is new


def test_get_layer():
    x = Input((4,))
    model = Model(x, layers.Dense(3, name="d")(x))
    assert model.get_layer(index=1) is model.get_layer("d")
    with pytest.raises(ValueError, match=r"No such layer: z. Existing layers are"):
        model.get_layer("z")
    with pytest.raises(ValueError, match="index 9 but model only has 2 layers"):
        model.get_layer(index=9)
    with pytest.raises(ValueError, match="either a layer name or layer index"):
        model.get_layer()


def test_source_inputs():
    a, b = Input((4,)), Input((4,))
    assert set(map(id, cornu.utils.get_source_inputs(a + b))) == {id(a), id(b)}


def test_state_trees():
    x = Input((4,))
    model = Model(x, layers.Dense(3, name="d")(x))
    tree = model.get_state_tree(value_format="numpy_array")
    assert tree["trainable_variables"]["d"]["kernel"].shape == (4, 3)
    tree["trainable_variables"]["d"]["bias"] = np.ones(3)
    model.set_state_tree(tree)
    assert model.get_weights()[1].tolist() == [1, 1, 1]


def test_copies_are_independent():
    x = Input((4,))
    model = Model(x, layers.Dense(3)(x) * 2.0)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(out(other, X), out(model, X))
        assert not {id(w) for w in other.weights} & {id(w) for w in model.weights}


@pytest.mark.parametrize("change", ["lora", "int8"])
def test_weights_that_come_later_stand_where_their_layer_does(change):
    model = Sequential([Input((2,)), layers.Dense(2, name="last")], name="net")
    model.layers[0].enable_lora(1) if change == "lora" else model.layers[0].quantize("int8")
    assert all(weight.path.startswith("net/last/") for weight in model.weights)
