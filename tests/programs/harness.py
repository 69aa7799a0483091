"""What runs a program twice: with Cornu, and with the real Keras from the same weights.

A program is a function `program(keras, random)` of the library and of whether it may use random
numbers (dropout, augmentation, noise); comparisons run without. It returns a `Program`.

A bias before a batch norm has a gradient of nothing but rounding, which Adam makes whole steps of:
programs have none there, which is checked of layers that make a graph.
"""

import dataclasses
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np

import cornu
from programs.jax_tape import GradientTape, applied_at_once
from reference import fresh, keras

Logs = dict[str, list[float]]
REFERENCE = types.SimpleNamespace(**{**vars(keras), "GradientTape": GradientTape})


@dataclasses.dataclass
class Program:
    """A model with its data and what shows that it learns.

    Args:
        model: what has weights: a model, a layer or a variable, or a list of them.
        fit: arguments of `fit`, for a model that is trained so.
        epoch: the function that makes one epoch by hand, and gives its logs.
        predict: gives the outputs that are compared; by default `model.predict(x)`.
        epochs: how many epochs it learns.
        compared: how many epochs are compared.
        above: what logs must pass in the last epoch, and not in the first.
        below: what logs must fall under in the last epoch, and not in the first.
        check: what else must be true after learning; raises if it isn't.
        tolerance: the relative difference of losses and predictions that is allowed.
    """

    model: Any
    fit: dict[str, Any] | None = None
    epoch: Callable[[], dict[str, Any]] | None = None
    predict: Callable[[], Any] | None = None
    epochs: int = 10
    compared: int = 2
    above: dict[str, float] = dataclasses.field(default_factory=dict)
    below: dict[str, float] = dataclasses.field(default_factory=dict)
    check: Callable[[], None] | None = None
    tolerance: float = 1e-3

    def variables(self) -> list[Any]:
        """The weights of all parts."""
        parts = self.model if isinstance(self.model, list | tuple) else [self.model]
        return [v for part in parts for v in (part.weights if hasattr(part, "weights") else [part])]

    def biases_before_norms(self) -> list[str]:
        """The layers of graphs of the real Keras whose bias a batch norm takes away again."""
        parts = self.model if isinstance(self.model, list | tuple) else [self.model]
        norms = [norm for part in parts for norm in _norms_of_batches(part)]
        nodes = [before for x in norms for at in x._inbound_nodes for before in at.parent_nodes]
        linear = (None, keras.activations.linear)
        before = [node.operation for node in nodes]
        return [x.name for x in before if getattr(x, "use_bias", False) and x.activation in linear]

    def outputs(self) -> list[np.ndarray]:
        """The predictions, as a flat list of arrays."""
        made = self.predict() if self.predict else self.model.predict(self.fit["x"], verbose=0)
        return [np.asarray(keras.ops.convert_to_numpy(leaf)) for leaf in keras.tree.flatten(made)]

    def train(self, epochs: int) -> Logs:
        """Trains, and returns the logs of each epoch."""
        if self.fit is not None and not _steps_for_a_tape(self.model):
            arguments = {"shuffle": False, "verbose": 0, **self.fit}
            return self.model.fit(epochs=epochs, **arguments).history
        epoch = self.epoch or (lambda: _epoch_of_own_steps(self.model, **self.fit))
        logs: Logs = {}
        for _ in range(epochs):
            for name, value in epoch().items():
                logs.setdefault(name, []).append(float(value))
        return logs


def _norms_of_batches(part: Any) -> Iterator[Any]:
    """The batch norms in a layer of Keras, but for those called with `training=False`."""
    calls = getattr(part, "_inbound_nodes", [])
    if calls and all(call.arguments.kwargs.get("training") is False for call in calls):
        return
    if isinstance(part, keras.layers.BatchNormalization):
        yield part
    for layer in getattr(part, "_layers", []):
        yield from _norms_of_batches(layer)


def batches(keras: Any, size: int, *arrays: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """Gives arrays batch by batch, as tensors."""
    for start in range(0, len(arrays[0]), size):
        yield tuple(keras.ops.convert_to_tensor(a[start : start + size]) for a in arrays)


def _steps_for_a_tape(model: Any) -> bool:
    """Whether the real Keras can't call the model's steps, which take no state."""
    own = isinstance(model, keras.Model)
    return own and type(model).train_step is not keras.Model.train_step


def _epoch_of_own_steps(
    model: Any, x: Any, y: Any = None, batch_size: int = 32, validation_data: Any = None
) -> dict[str, Any]:
    """One epoch of `fit` with the steps of a model of the real Keras that are made for a tape."""

    def run(step, *given):
        model.reset_metrics()
        data = keras.utils.pack_x_y_sample_weight(*given)
        flat = keras.tree.flatten(data)
        for batch in batches(keras, batch_size, *map(np.asarray, flat)):
            logs = step(keras.tree.pack_sequence_as(data, batch))
        return logs

    logs = dict(run(model.train_step, x, y))
    if validation_data is not None:
        found = run(model.test_step, *validation_data)
        logs.update({f"val_{name}": value for name, value in found.items()})
    return logs


def learn(function: Callable[[Any, bool], Program]) -> None:
    """Lets a program learn with Cornu, and asserts that it did, and wasn't done at once."""
    fresh()
    cornu.utils.set_random_seed(1)
    program = function(cornu, True)
    assert program.above or program.below
    logs = program.train(program.epochs)
    for sign, goals in ((1, program.above), (-1, program.below)):
        for name, goal in goals.items():
            assert sign * logs[name][-1] > sign * goal, (name, logs[name])
            assert sign * logs[name][0] <= sign * goal, (name, logs[name])
    if program.check:
        program.check()


@mock.patch.object(
    keras.optimizers.Optimizer, "apply", applied_at_once(keras.optimizers.Optimizer.apply)
)
def compare(function: Callable[[Any, bool], Program]) -> None:
    """Runs a program with both libraries from the same weights, and compares all it gives."""
    fresh()
    programs = []
    for library in (REFERENCE, cornu):
        library.utils.set_random_seed(1)
        programs.append(function(library, False))
        programs[-1].outputs()  # builds what isn't yet
    theirs, ours = programs
    assert not theirs.biases_before_norms()
    pairs = list(zip(ours.variables(), theirs.variables(), strict=True))
    assert [our.path for our, _ in pairs] == [their.path for _, their in pairs]
    for our, their in pairs:
        our.assign(their.numpy())
    near = {"rtol": ours.tolerance, "atol": ours.tolerance / 10}
    for stage in ("before", "after"):
        for output, expected in zip(ours.outputs(), theirs.outputs(), strict=True):
            np.testing.assert_allclose(output, expected, **near, err_msg=f"{stage} training")
        if stage == "before":
            logs, expected_logs = ours.train(ours.compared), theirs.train(ours.compared)
            assert sorted(logs) == sorted(expected_logs)
            for name, values in expected_logs.items():
                np.testing.assert_allclose(logs[name], values, **near, err_msg=name)
