"""Variables and scopes that replace their values."""

import copy
import pickle

import numpy as np
import pytest

import cornu
from cornu import GradientTape, StatelessScope, Variable, name_scope
from cornu.scopes import autocast_scope


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
