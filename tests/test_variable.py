"""Variables and scopes that replace their values."""

import copy
import pickle

import numpy as np
import pytest

import cornu
from cornu import GradientTape, StatelessScope, Variable, name_scope
from cornu.ops.symbolic import infer
from cornu.scopes import autocast_scope
from cornu.variable import first_values_put_off


def test_value_dtype_and_shape():
    v = Variable(np.ones((2, 3)), name="v")
    assert (v.shape, v.ndim, v.dtype, v.name, v.path) == ((2, 3), 2, "float64", "v", "v")
    assert Variable(1.0).dtype == "float32"
    assert Variable(1).dtype == "int32"
    assert Variable(True).dtype == "bool"


def test_initializers():
    assert Variable("ones", shape=(2,)).numpy().tolist() == [1, 1]
    v = Variable(lambda shape, dtype: np.full(shape, 3, dtype), shape=(2,), dtype="float16")
    assert (v.dtype, v.numpy().tolist()) == ("float16", [3, 3])
    with pytest.raises(ValueError, match="`shape` argument should be specified"):
        Variable("ones")
    with pytest.raises(ValueError, match="fully-defined"):
        Variable("ones", shape=(None, 3))


class Counting(cornu.initializers.GlorotUniform):
    """Keeps the shapes that it is called with."""

    def __init__(self, seed=7):
        super().__init__(seed)
        self.calls = []

    def __call__(self, shape, dtype=None):
        self.calls.append(tuple(shape))
        return super().__call__(shape, dtype)


def inferred(v):
    """The shape and dtype of what a call would give; no value is seen."""
    found = infer(lambda x: x @ v, cornu.KerasTensor((None, 2)))
    assert (found.shape, found.dtype) == ((None, 3), "float32")


def assigned_in_a_trace(v):
    cornu.function(lambda x: v.assign(x))(np.ones((2, 3), "float32"))


# What is done with a variable whose first value is put off; how often that is drawn, and the value.
PUT_OFF = {
    "nothing": (lambda v: None, 0, None),
    "is assigned": (lambda v: v.assign(np.ones((2, 3))), 0, 1),
    "infers a shape": (inferred, 0, None),
    "keeps its role": (lambda v: setattr(v, "trainable", False), 0, None),
    "is read": (lambda v: v.numpy(), 1, None),
    "is read and assigned": (lambda v: v.assign(v * 0 + 1), 1, 1),
    "is read in a trace": (lambda v: cornu.function(lambda x: x @ v)(np.ones((1, 2))), 1, None),
    "is assigned in a trace": (assigned_in_a_trace, 1, 1),
    "is assigned without state": (lambda v: stateless_assign(v), 0, None),
    "is copied": (copy.deepcopy, 1, None),
    "is pickled": (lambda v: pickle.loads(pickle.dumps(v)), 1, None),
}


def stateless_assign(v):
    with StatelessScope():
        v.assign(np.ones((2, 3)))


@pytest.mark.parametrize("name", PUT_OFF)
def test_first_values_that_are_put_off(name):
    use, draws, value = PUT_OFF[name]
    initializer = Counting()
    expected = cornu.initializers.GlorotUniform(7)((2, 3)).numpy() if value is None else value
    with first_values_put_off():
        v = Variable(initializer, shape=(2, 3))
        use(v)
        assert initializer.calls == [(2, 3)] * draws
    np.testing.assert_array_equal(v.numpy(), np.broadcast_to(expected, (2, 3)))
    assert len(initializer.calls) == (value is None or draws)
    assert v.trainable == v._storage.trainable == (name != "keeps its role")


def test_first_values_that_are_drawn_at_once():
    initializer = Counting(cornu.random.SeedGenerator(3))  # gives something else at each call
    with first_values_put_off():
        Variable(initializer, shape=(2, 3))
        assert initializer.calls == [(2, 3)]
        with pytest.raises(ValueError, match="fully-defined"):
            Variable(Counting(), shape=(None, 3))
        with pytest.raises(MemoryError, match="this machine has"):
            Variable(Counting(), shape=(10**9, 10**9))


def test_assign():
    v = Variable([1.0, 2.0])
    v.assign([3, 4])
    v.assign_add([1.0, 1.0])
    v.assign_sub(2.0)
    assert v.numpy().tolist() == [2, 3]
    with pytest.raises(ValueError, match=r"variable.shape=\(2,\), Received: value.shape=\(3,\)"):
        v.assign(np.zeros(3))


def test_paths_follow_name_scopes():
    with name_scope("a"), name_scope("b"):
        assert Variable(1.0, name="c").path == "a/b/c"
    with pytest.raises(ValueError, match="cannot contain character `/`"):
        Variable(1.0, name="a/b")


def test_operators_and_numpy():
    v = Variable([1.0, 2.0])
    assert (v + 1).numpy().tolist() == [2, 3]
    assert (1 - v).numpy().tolist() == [0, -1]
    assert (v * v).numpy().tolist() == [1, 4]
    assert (v > 1.5).numpy().tolist() == [False, True]
    assert (-v).numpy().tolist() == [-1, -2]
    assert (np.ones(2, "float32") * v).numpy().tolist() == [1, 2]
    assert np.asarray(v).tolist() == [1, 2]
    assert float(Variable(2.5)) == 2.5
    assert len(v) == 2
    with pytest.raises(TypeError, match="boolean"):
        bool(v)


def test_numpy_gives_a_copy():
    v = Variable([1.0])
    v.numpy()[0] = 5
    assert float(v.value) == 1


@pytest.mark.parametrize("attribute", ["regularizer", "constraint"])
def test_callables_are_checked(attribute):
    with pytest.raises(ValueError, match=f"attribute `{attribute}`"):
        setattr(Variable(1.0), attribute, 3)


def test_autocast():
    v, fixed = Variable(1.0), Variable(1.0, autocast=False)
    with autocast_scope("float16"):
        assert (v.dtype, v.value.dtype, fixed.value.dtype) == ("float16", "float16", "float32")
    assert v.value.dtype == "float32"


def test_stateless_scope_keeps_updates_aside():
    v, w = Variable(1.0), Variable(2.0)
    with StatelessScope([(v, 5.0)]) as scope:
        v.assign_add(w)
        assert float(v) == 7
    assert float(v) == 1
    assert float(scope.get_current_value(v)) == 7
    assert scope.get_current_value(w) is None


def test_copies_are_independent():
    v = Variable([1.0], name="v", trainable=False)
    for other in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        other.assign([2.0])
        assert (other.name, other.trainable, v.numpy().tolist()) == ("v", False, [1])


def test_variables_that_are_made_in_a_trace_are_real():
    made = []

    @cornu.function
    def f(x):
        if not made:
            made.append(Variable(np.full(2, 3.0, "float32")))
        return x * made[0]

    assert f(np.ones(2, "float32")).numpy().tolist() == [3, 3]
    assert made[0].numpy().tolist() == [3, 3]


def test_tape_watches_trainable_variables():
    v, frozen = Variable(3.0), Variable(2.0, trainable=False)
    with GradientTape() as tape:
        y = v * v * frozen
    gradients = tape.gradient(y, {"v": v, "frozen": frozen})
    assert float(gradients["v"]) == 12
    assert gradients["frozen"] is None
