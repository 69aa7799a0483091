"""Training loops written by hand: as plans they do what they do eagerly."""

import gc
import weakref

import numpy as np
import pytest

import cornu
from cornu import GradientTape, Variable, layers, losses, metrics, ops, optimizers

RNG = np.random.default_rng(0)
X = RNG.random((20, 4)).astype("float32")
Y = RNG.integers(0, 3, 20)
BATCHES = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 20, 8)] * 2  # the last of 4


def classifier(*inside):
    return cornu.Sequential([cornu.Input((4,)), layers.Dense(5), *inside, layers.Dense(3)])


CROSSENTROPY = losses.SparseCategoricalCrossentropy(from_logits=True)


def plain(wrap):
    model, optimizer = classifier(), optimizers.SGD(0.1)

    @wrap
    def step(x, y):
        with GradientTape() as tape:
            loss = CROSSENTROPY(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return model, [step(x, y) for x, y in BATCHES]


def with_state(wrap):
    """A schedule, clipping, metrics, dropout, batch statistics and losses of layers."""
    model = classifier(
        layers.BatchNormalization(),
        layers.Dropout(0.5, seed=3),
        layers.ActivityRegularization(l2=0.1),
    )
    schedule = optimizers.schedules.PolynomialDecay(0.1, 4)
    optimizer = optimizers.Adam(schedule, global_clipnorm=0.5, use_ema=True)
    seen, accuracy = metrics.Mean(), metrics.SparseCategoricalAccuracy()

    @wrap
    def step(x, y):
        with GradientTape() as tape:
            logits = model(x, training=True)
            loss = CROSSENTROPY(y, logits) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply(gradients, model.trainable_weights)
        seen.update_state(loss)
        accuracy.update_state(y, logits)
        return {"loss": seen.result(), "accuracy": accuracy.result()}

    logs = [step(x, y) for x, y in BATCHES]
    seen.reset_state()
    return model, [*logs, step(*BATCHES[0])]


def accumulating(wrap):
    """Gradients of two batches are one update; a Python number is an argument."""
    model, optimizer = classifier(), optimizers.SGD(0.1, momentum=0.9)
    sums = [Variable(ops.zeros(v.shape), trainable=False) for v in model.trainable_variables]

    @wrap
    def step(x, y, update):
        with GradientTape() as tape:
            loss = CROSSENTROPY(y, model(x))
        for total, gradient in zip(
            sums, tape.gradient(loss, model.trainable_variables), strict=True
        ):
            total.assign_add(gradient / 2)
        if update:
            optimizer.apply(sums, model.trainable_variables)
            for total in sums:
                total.assign(ops.zeros_like(total))
        return loss

    return model, [step(x, y, bool(number % 2)) for number, (x, y) in enumerate(BATCHES)]


def adversaries(wrap):
    """Two models and optimizers in one step, a penalty on gradients, functions in functions."""
    maker = classifier()
    critic = cornu.Sequential([cornu.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    of_maker, of_critic = optimizers.Adam(0.01), optimizers.RMSprop(0.01)

    @wrap
    def penalty(made):
        with GradientTape() as inner:
            inner.watch(made)
            scores = critic(made)
        return ops.mean(ops.square(ops.norm(inner.gradient(scores, made), axis=-1) - 1.0))

    @wrap
    def step(x, y):
        real = ops.one_hot(y, 3)
        with GradientTape(persistent=True) as tape:
            made = maker(x)
            critical = ops.mean(critic(made)) - ops.mean(critic(real)) + penalty(made)
            making = -ops.mean(critic(made))
        for loss, model, optimizer in (
            (critical, critic, of_critic),
            (making, maker, of_maker),
        ):
            optimizer.apply(
                tape.gradient(loss, model.trainable_variables), model.trainable_variables
            )
        return critical, making

    return maker, [step(x, y) for x, y in BATCHES]


class Trainer:
    """A step that is a method, given what it trains."""

    def __init__(self, wrap, scale):
        self.scale = scale
        self.optimizer = optimizers.AdamW(0.05, weight_decay=0.1)
        self.step = wrap(self.own_step)

    def own_step(self, model, batch, weights=None):
        with GradientTape() as tape:
            loss = self.scale * CROSSENTROPY(batch["y"], model(batch["x"]), sample_weight=weights)
        self.optimizer.minimize(loss, model.trainable_variables, tape=tape)
        return loss


def methods(wrap):
    model, trainer = classifier(), Trainer(wrap, 2.0)
    logs = [trainer.step(model, {"x": x, "y": y}) for x, y in BATCHES]
    weights = np.arange(8, dtype="float32")
    return model, [*logs, trainer.step(model, {"x": X[:8], "y": Y[:8]}, weights=weights)]


def by_scopes(wrap):
    """Everything in and everything out, as Keras on JAX writes it."""
    model, optimizer = classifier(layers.BatchNormalization()), optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)

    @wrap
    def step(state, x, y):
        trained, others, slots = state
        logits, others = model.stateless_call(trained, others, x, training=True)
        gradients = [ops.sum(logits) * 0.01 * ops.sign(v) for v in trained]
        trained, slots = optimizer.stateless_apply(slots, gradients, trained)
        return CROSSENTROPY(y, logits), (trained, others, slots)

    parts = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    state = tuple([v.value for v in part] for part in parts)
    logs = []
    for x, y in BATCHES:
        loss, state = step(state, x, y)
        logs.append(loss)
    for part, values in zip(parts, state, strict=True):
        for variable, value in zip(part, values, strict=True):
            variable.assign(value)
    return model, logs


@pytest.mark.parametrize(
    "loop",
    [plain, with_state, accumulating, adversaries, methods, by_scopes],
    ids=lambda loop: loop.__name__,
)
def test_a_loop_as_a_plan(loop, recwarn):
    found = []
    for wrap in (lambda function: function, cornu.function):
        cornu.utils.set_random_seed(1)
        found.append(loop(wrap))
    (eager, expected), (planned, logs) = found
    assert not recwarn.list
    for ours, theirs in zip(cornu.tree.flatten(logs), cornu.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    for ours, theirs in zip(planned.variables, eager.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6, err_msg=ours.path)


def test_a_function_keeps_no_model_alive():
    step = cornu.function(lambda model, x: model(x))
    model = classifier()
    step(model, X)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
