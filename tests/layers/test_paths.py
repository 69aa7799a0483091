"""Paths of variables."""

import keras as real
import numpy as np

import cornu


def paths(library):
    """Of a model whose parts make variables in `__init__` and in `build`."""

    class Part(library.Model):
        def __init__(self):
            super().__init__(name="part")
            self.early = self.add_weight(shape=(2, 2), name="early")
            self.inner = library.layers.Dense(2, name="inner")

        def call(self, x):
            return library.ops.matmul(self.inner(x), self.early)

    class Whole(library.Model):
        def __init__(self):
            super().__init__(name="whole")
            self.part = Part()

        def call(self, x):
            return self.part(x)

    model = Whole()
    model(np.ones((2, 3), "float32"))
    return [variable.path for variable in model.variables]


def test_variables_of_init_stand_outside_the_parts_that_hold_their_layer():
    assert paths(cornu) == paths(real)
