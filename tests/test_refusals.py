"""Wrong use of every part: the exception is Keras's, and says what was wrong.

`refusals.txt` holds an expression, the class of the exception that Keras 3.15 raises, and words
that Cornu's message must contain. An expression after `!` fails inside Keras's backend: JAX's
exception is no one else's, and the class is numpy's. Run as a program, this module checks the
classes against the Keras that is installed, which takes minutes; the test does so for the part of
the table that compiles nothing.
"""

import builtins
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import cornu
from reference import keras

X = np.random.default_rng(0).random((8, 4)).astype("float32")
Y = X[:, :1].copy()


class Names:
    """What expressions may use, made of a library."""

    def __init__(self, library):
        self.keras, self.ops, self.layers = library, library.ops, library.layers
        self.Input, self.Model, self.Sequential = library.Input, library.Model, library.Sequential
        self.np, self.X, self.Y = np, X, Y

    def ones(self, *shape):
        return np.ones(shape, "float32")

    def built(self, layer, shape):
        layer(self.ones(*shape))
        return layer

    def built2(self, layer, shape):
        layer(self.ones(*shape), self.ones(*shape))
        return layer

    def batches(self):
        return iter([(X, Y)] * 3)

    def model(self, **compiled):
        dense = self.layers.Dense
        model = self.Sequential([self.Input((4,)), dense(3), dense(1)])
        model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
        return model

    def two_outputs(self, **compiled):
        inputs = self.Input((4,))
        outputs = [self.layers.Dense(1, name=name)(inputs) for name in "ab"]
        model = self.Model(inputs, outputs)
        model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
        return model

    def two_inputs(self):
        inputs = [self.Input((4,), name=name) for name in "ab"]
        return self.Model(inputs, self.layers.Add()(inputs))

    def unique_names(self):
        inputs = outputs = self.Input((4,))
        for _ in range(2):
            outputs = self.layers.Dense(4, name="a")(outputs)
        return self.Model(inputs, outputs)

    def if_input(self):
        return 1 if self.Input((3,)) else 2


def table(section=""):
    """Yields `(expression, class, words, fails in the backend)` of a section, or of all."""
    inside = not section
    for line in (Path(__file__).parent / "refusals.txt").read_text().splitlines():
        if line.startswith("#"):
            inside = not section or line == f"# {section}"
        elif inside:
            expression, _, told = line.removeprefix("! ").rpartition(" => ")
            name, _, words = told.partition(": ")
            kind = getattr(builtins, name)
            yield expression, kind, words.split("; "), line.startswith("! ")


def cases(section=""):
    return [pytest.param(*row[:-1], id=row[0]) for row in table(section)]


def failure(library, expression):
    """Returns the exception that an expression raises."""
    library.utils.clear_session(free_memory=False)
    names = Names(library)
    usable = {name: getattr(names, name) for name in dir(names) if not name.startswith("_")}
    with warnings.catch_warnings(), pytest.raises(Exception) as raised:
        warnings.simplefilter("ignore")
        eval(expression, usable)
    return raised.value


@pytest.mark.parametrize(("expression", "kind", "words"), cases())
def test_refused(expression, kind, words):
    error = failure(cornu, expression)
    assert isinstance(error, kind)
    message = re.sub(r"\x1b\[\d+m", "", str(error))
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(("expression", "kind", "words"), cases("pieces"))
def test_refused_by_keras(expression, kind, words):
    in_backend = {row[0]: row[-1] for row in table()}[expression]
    assert (type(failure(keras, expression)) is kind) is not in_backend


def test_there_are_many_kinds():
    expressions = [row[0] for row in table()]
    assert len(set(expressions)) == len(expressions) > 300


if __name__ == "__main__":
    for expression, kind, _, in_backend in table():
        if (type(failure(keras, expression)) is kind) is in_backend:
            print(expression, repr(failure(keras, expression)))
