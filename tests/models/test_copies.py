"""Copies and pickles of models, layers, optimizers: independent, complete, and still working."""

import copy
import pickle

import numpy as np
import pytest

import cornu
from cornu import layers

RNG = np.random.default_rng(0)
X = RNG.random((12, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Stack(cornu.Model):
    """A model whose layers stand in lists, dicts and tuples."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stack = [layers.Dense(5, activation="sigmoid"), layers.Dense(4)]
        self.named = {"last": layers.Dense(1)}
        self.nested = [[layers.Dropout(0.2)], (layers.BatchNormalization(),)]
        self.sizes = {3, 4}

    def call(self, inputs):
        x = inputs
        for layer in (*self.stack, *self.nested[0], *self.nested[1]):
            x = layer(x)
        return self.named["last"](x)


def sequential():
    return cornu.Sequential(
        [
            cornu.Input((4,)),
            layers.Dense(3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.2, seed=3),
            layers.Dense(1),
        ]
    )


def functional():
    inputs = cornu.Input((4,))
    shared = layers.Dense(4, activation="tanh")
    hidden = shared(inputs) + 2 * shared(inputs[:, ::-1])
    inner = cornu.Sequential([cornu.Input((4,)), layers.Dense(3)])
    return cornu.Model(inputs, layers.Dense(1)(layers.Concatenate()([hidden, inner(hidden)])))


def unpickled(value):
    return pickle.loads(pickle.dumps(value))


MODELS = {"sequential": sequential, "functional": functional, "own": Stack}
WAYS = {"deepcopy": copy.deepcopy, "pickle": unpickled, "copy": copy.copy}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def trained(name):
    model = MODELS[name]()
    model.compile(cornu.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    return model


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_goes_on_where_the_model_stands(name, way):
    model = trained(name)
    again = way(model)
    assert type(again) is type(model)
    assert again.name == model.name
    assert again.compiled
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert not {id(w) for w in again.variables} & {id(w) for w in model.variables}
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    np.testing.assert_array_equal(again(X), model(X))
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    fits = [m.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history for m in (model, again)]
    assert fits[0] == fits[1]
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(model.optimizer.iterations) == int(again.optimizer.iterations) == 6


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_training_a_copy_leaves_the_model_alone(name, way):
    model = trained(name)
    before, iterations = model.get_weights(), int(model.optimizer.iterations)
    again = way(model)
    again.fit(X, Y, epochs=3, verbose=0)
    again.layers[0].trainable = False
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(model.optimizer.iterations) == iterations
    assert int(again.optimizer.iterations) > iterations
    assert model.layers[0].trainable
    assert any(
        (a != b).any() for a, b in zip(model.get_weights(), again.get_weights(), strict=True)
    )


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_models_that_are_not_built_or_compiled(name, way):
    again = way(MODELS[name]())
    assert not again.compiled
    assert again(X).shape == (12, 1)
    again.compile("sgd", "mse")
    again.fit(X, Y, verbose=0)


@every_way
def test_containers_of_a_copy_are_kept_account_of(way):
    model = way(Stack())
    before = len(model.layers)
    model.stack.append(layers.Dense(4, name="appended"))
    model.named["other"] = layers.Dense(4)
    model.nested[0].append(layers.Dense(4))
    assert len(model.layers) == before + 3
    model(X)
    assert any(weight.path.endswith("appended/kernel") for weight in model.weights)
    model = way(model)  # built and locked now
    with pytest.raises(ValueError, match="already built"):
        model.stack.append(layers.Dense(2))
    assert model.sizes == {3, 4}


@every_way
def test_containers_of_a_model_know_nothing_of_its_copy(way):
    model = Stack()
    before = len(model.layers)
    way(model).stack.append(layers.Dense(4))
    assert len(model.layers) == before
    assert len(model.stack) == 2


@every_way
@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_the_depth_of_a_graph_does_not_matter(kind, way):
    stack = [layers.Dense(4) for _ in range(150)]
    inputs = x = cornu.Input((4,))
    for layer in stack:
        x = layer(x)
    model = cornu.Model(inputs, x) if kind == "functional" else cornu.Sequential([inputs, *stack])
    np.testing.assert_array_equal(way(model)(X), model(X))


@every_way
def test_the_graph_of_a_copy_is_its_own(way):
    model = functional()
    again = way(model)
    assert again.get_config() == model.get_config()
    assert [x.shape for x in again.inputs] == [(None, 4)]
    features = cornu.Model(again.inputs, again.layers[1].output)
    assert features(X).shape == (12, 4)
    assert len(model.layers[1]._inbound_nodes) == len(again.layers[1]._inbound_nodes) == 2
    extended = cornu.Model(again.inputs, layers.Dense(7)(again.outputs[0]))
    assert extended(X).shape == (12, 7)
    assert not model.layers[-1]._outbound_nodes


@pytest.mark.parametrize("way", [copy.deepcopy, unpickled])
def test_models_that_share_layers_still_share_them(way):
    base = functional()
    features = cornu.Model(base.inputs, base.layers[1].output)
    base, features = way([base, features])
    assert features.layers[1] is base.layers[1]
    base.layers[1].set_weights([np.zeros((4, 4)), np.ones(4)])
    np.testing.assert_allclose(features(X), np.full((12, 4), np.tanh(1)), rtol=1e-6)
    for model in (base, features):
        assert cornu.models.clone_model(model).count_params() == model.count_params()


@every_way
def test_a_copy_of_a_layer_belongs_to_no_graph(way):
    model = functional()
    layer = way(model.layers[1])
    assert not layer._inbound_nodes
    np.testing.assert_array_equal(layer(X), model.layers[1](X))
    assert len(pickle.dumps(model.layers[1])) < len(pickle.dumps(model)) / 2


@every_way
def test_a_copy_can_be_saved(way, tmp_path):
    model = way(trained("functional"))
    model.save(tmp_path / "model.keras")
    again = cornu.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


@every_way
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(3, dropout=0.1),
        lambda: layers.Bidirectional(layers.GRU(3)),
        lambda: layers.TimeDistributed(layers.Dense(3)),
        lambda: layers.RNN([layers.LSTMCell(3), layers.SimpleRNNCell(2)]),
        lambda: layers.Conv1D(3, 2, activation="silu"),
        lambda: layers.Normalization(),
        lambda: layers.Activation("softplus"),
        lambda: layers.PReLU(),
    ],
)
def test_layers(make, way):
    layer = make()
    x = RNG.standard_normal((2, 5, 4)).astype("float32")
    layer(x)
    again = way(layer)
    np.testing.assert_array_equal(again(x), layer(x))
    assert again.get_config() == layer.get_config()
    if layer.weights:
        again.set_weights([w + 1 for w in again.get_weights()])
        assert not np.array_equal(again(x), layer(x))


@every_way
@pytest.mark.parametrize(
    "make",
    [
        lambda: cornu.optimizers.SGD(0.01, momentum=0.9, clipnorm=1.0),
        lambda: cornu.optimizers.AdamW(cornu.optimizers.schedules.ExponentialDecay(0.1, 2, 0.9)),
        lambda: cornu.optimizers.RMSprop(use_ema=True),
        lambda: cornu.optimizers.Adam(gradient_accumulation_steps=2),
        lambda: cornu.optimizers.LossScaleOptimizer(cornu.optimizers.Nadam()),
    ],
)
def test_optimizers_of_copies_take_the_same_steps(make, way):
    model = sequential()
    model.compile(make(), "mse")
    model.train_on_batch(X, Y)
    again = way(model)
    losses = [[m.train_on_batch(X, Y) for _ in range(3)] for m in (model, again)]
    assert losses[0] == losses[1]


def test_weight_decay_leaves_out_the_same_variables_in_a_copy():
    optimizer = cornu.optimizers.AdamW(weight_decay=0.5)
    model = cornu.Sequential([cornu.Input((4,)), layers.Dense(1), layers.Dense(1)])
    optimizer.exclude_from_weight_decay([model.weights[0]], ["bias"])
    model.compile(optimizer, "mse")
    again = copy.deepcopy(model)
    used = [again.optimizer._use_weight_decay(weight) for weight in again.weights]
    assert used == [False, False, True, False]


@pytest.mark.parametrize("home", ["ops", "activations", "losses", "metrics"])
def test_functions_are_pickled_by_their_names(home):
    module = getattr(cornu, home)
    functions = [
        value
        for value in (getattr(module, name) for name in module.__dir__())
        if type(value) is type(unpickled)
    ]
    assert len(functions) > 20
    assert [f.__name__ for f in functions if unpickled(f) is not f] == []


@pytest.mark.parametrize("way", [copy.deepcopy, unpickled])
def test_metrics_and_other_state(way):
    metric = cornu.metrics.AUC()
    metric.update_state([0, 1, 1], [0.2, 0.7, 0.4])
    assert float(way(metric).result()) == float(metric.result())
    generator = cornu.random.SeedGenerator(5)
    cornu.random.normal((2,), seed=generator)
    draws = [cornu.random.normal((3,), seed=g) for g in (way(generator), generator)]
    np.testing.assert_array_equal(*draws)
    function = cornu.function(cornu.ops.square)
    function(X)
    np.testing.assert_allclose(way(function)(X), X * X)
