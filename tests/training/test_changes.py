"""What is changed after a model has run: the next run sees it, as an eager one does."""

import operator

import numpy as np
import pytest

import cornu
from cornu import layers

RNG = np.random.default_rng(0)
X = RNG.random((6, 4)).astype("float32")
Y = RNG.random((6, 2)).astype("float32")


class Model(cornu.Model):
    """The same layers as attributes, and plain numbers in every kind of place."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(5, activation="tanh")
        self.norm = layers.BatchNormalization()
        self.drop = layers.Dropout(0.1, seed=1)
        self.leaky = layers.LeakyReLU()
        self.out = layers.Dense(2)
        self.factor, self.numbers, self.table = 1.0, [1.0, 2.0], {"scale": 1.0}
        self.flags = {"kept"}

    def call(self, x, training=False):
        x = self.norm(self.hidden(x), training=training)
        x = self.out(self.leaky(self.drop(x, training=training)))
        factor = self.factor if "kept" in self.flags else 5.0
        return x * (factor * self.numbers[0] * self.table["scale"])


def functional():
    inputs = cornu.Input((4,))
    x = layers.Dense(5, activation="tanh", name="hidden")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.1, seed=1, name="drop")(x)
    x = layers.LeakyReLU(name="leaky")(x)
    return cornu.Model(inputs, layers.Dense(2, name="out")(x))


def part(model, name):
    return getattr(model, name) if isinstance(model, Model) else model.get_layer(name)


def attribute(layer, name, value):
    return lambda model: setattr(part(model, layer), name, value)


def of_kernel(name, value):
    return lambda model: setattr(part(model, "hidden").kernel, name, value)


def of_optimizer(name, value):
    return lambda model: setattr(model.optimizer, name, value)


def compiled(*args, **kwargs):
    return lambda model: model.compile(*args, run_eagerly=model.run_eagerly, **kwargs)


L2 = cornu.regularizers.L2(0.5)
CHANGES = {
    "activation": attribute("hidden", "activation", cornu.activations.relu),
    "rate": attribute("drop", "rate", 0.5),
    "slope": attribute("leaky", "negative_slope", 0.9),
    "epsilon": attribute("norm", "epsilon", 0.5),
    "momentum": attribute("norm", "momentum", 0.1),
    "frozen layer": attribute("hidden", "trainable", False),
    "frozen norm": attribute("norm", "trainable", False),
    "frozen variable": of_kernel("trainable", False),
    "frozen model": lambda model: setattr(model, "trainable", False),
    "activity regularizer": attribute("hidden", "activity_regularizer", L2),
    "regularizer": of_kernel("regularizer", L2),
    "constraint": of_kernel("constraint", cornu.constraints.MaxNorm(0.1)),
    "policy": attribute("hidden", "dtype_policy", cornu.DTypePolicy("float64")),
    "weights": lambda model: model.set_weights([w * 2 for w in model.get_weights()]),
    "int8": lambda model: part(model, "out").quantize("int8"),
    "global epsilon": lambda model: cornu.config.set_epsilon(0.01),
    "global floatx": lambda model: cornu.config.set_floatx("float64"),
    "learning rate": of_optimizer("learning_rate", 1.0),
    "clipping": of_optimizer("clipnorm", 1e-3),
    "decay": of_optimizer("weight_decay", 0.5),
    "optimizer": lambda model: setattr(model, "optimizer", cornu.optimizers.SGD(2.0)),
    "loss": compiled("sgd", "mae"),
    "loss weights": compiled("sgd", "mse", loss_weights=0.1),
    "metrics": compiled("sgd", "mse", metrics=["mae", cornu.metrics.CosineSimilarity()]),
}
OWN_CHANGES = {
    "number": lambda model: setattr(model, "factor", 3.0),
    "number in a list": lambda model: model.numbers.__setitem__(0, 3.0),
    "number in a dict": lambda model: model.table.update(scale=3.0),
    "joined dict": lambda model: operator.ior(model.table, {"scale": 3.0}),
    "sorted list": lambda model: model.numbers.sort(reverse=True),
    "reversed list": lambda model: model.numbers.reverse(),
    "difference of sets": lambda model: operator.isub(model.flags, {"kept"}),
    "intersection of sets": lambda model: model.flags.intersection_update({"other"}),
    "call": lambda model: setattr(model, "call", lambda x, training=False: model.hidden(x)[:, :2]),
}
CASES = [(functional, name, CHANGES[name]) for name in CHANGES]
CASES += [(Model, name, change) for name, change in (CHANGES | OWN_CHANGES).items()]


def outcomes(model):
    """What each way to run a model gives."""
    yield model(X)
    yield model(X, training=True)
    yield model.predict(X, verbose=0)
    yield model.test_on_batch(X, Y)
    yield model.train_on_batch(X, Y)
    yield model.fit(X, Y, epochs=2, batch_size=3, shuffle=False, verbose=0).history
    yield model.evaluate(X, Y, verbose=0)
    yield model.get_weights()


def before_and_after(make, change, run_eagerly):
    cornu.utils.set_random_seed(0)
    model = make()
    model.compile(cornu.optimizers.SGD(0.1), "mse", metrics=["mae"], run_eagerly=run_eagerly)
    try:
        first = list(outcomes(model))
        change(model)
        return [first, list(outcomes(model))]
    finally:
        cornu.config.set_epsilon(1e-7)
        cornu.config.set_floatx("float32")


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize(
    ("make", "change"),
    [(make, change) for make, _, change in CASES],
    ids=[f"{make.__name__.lower()}-{name}" for make, name, _ in CASES],
)
def test_a_change_is_seen(make, change):
    planned = cornu.tree.flatten(before_and_after(make, change, run_eagerly=False))
    eager = cornu.tree.flatten(before_and_after(make, change, run_eagerly=True))
    assert len(planned) == len(eager) > 1
    for ours, expected in zip(planned, eager, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("inside", [False, True])
def test_a_replaced_method_of_a_class_is_seen(inside):
    class Twice(layers.Layer):
        def call(self, x):
            return x * 2.0

    class Own(cornu.Model):
        def __init__(self):
            super().__init__()
            self.inner = Twice()

        def call(self, x):
            return self.inner(x)

    inputs = cornu.Input((4,))
    models = [Own(), cornu.Model(inputs, Twice()(inputs))]
    for model in models:
        model.compile("sgd", "mse")
    apply = cornu.function(lambda x: models[0](x))

    def outcomes():
        for model in models:
            yield from (np.asarray(model(X)), model.predict(X, verbose=0))
            yield model.evaluate(X, X, verbose=0)
        yield np.asarray(apply(X))

    list(outcomes())
    if inside:
        Twice.call = lambda self, x: x * 3.0
        expected = [X * 3, X * 3, np.mean((X * 2) ** 2)] * 2 + [X * 3]
    else:
        Own.call = lambda self, x: self.inner(x) * 2.0
        expected = [X * 4, X * 4, np.mean((X * 3) ** 2)]
        expected += [X * 2, X * 2, np.mean(X**2), X * 4]
    for ours, theirs in zip(outcomes(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_what_does_not_change_traces_nothing_anew():
    calls = []

    class Counted(Model):
        def call(self, x, training=False):
            calls.append(training)
            self.seen = len(calls)  # what a call sets is part of what it computes
            return super().call(x, training=training)

    model = Counted()
    model.compile(cornu.optimizers.SGD(0.1), "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    before = len(calls)
    model.optimizer.learning_rate = 0.5
    part(model, "hidden").kernel.trainable = True
    other = functional()
    other.compile("adam", "mse")
    other.trainable = False
    model.fit(X, Y, epochs=2, verbose=0)
    assert len(calls) == before
