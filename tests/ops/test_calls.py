"""What calls of ops mean however their operands come."""

import itertools

import numpy as np
import pytest

import cornu
from cornu import _cornu, ops

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(4,)).astype("float32")
TENSOR = ops.convert_to_tensor(X)


class Held:
    """Something that holds a tensor."""

    def __init__(self, value):
        self.value = value

    def __tensor__(self):
        return ops.convert_to_tensor(self.value)


# Tensors of one dtype are taken as they are; all else is read and promoted first.
WAYS = {
    "tensor": ops.convert_to_tensor,
    "variable": cornu.Variable,
    "array": lambda x: x,
    "list": lambda x: x.tolist(),
    "held": Held,
}
CALLS = {
    "add": ops.add,
    "matmul": ops.matmul,
    "power": lambda x, y: ops.power(ops.abs(x), y),
    "divide": ops.divide,
    "where": lambda x, y: ops.where(ops.equal(x, y), x, y),
    "arctan2": ops.arctan2,
    "floor_divide": ops.floor_divide,
}


@pytest.mark.parametrize("dtype", ["float32", "int32", "float16", "bool"])
@pytest.mark.parametrize("name", CALLS)
def test_operands_of_any_kind_agree(name, dtype):
    call = CALLS[name]
    x, y = (np.round(4 * data).astype(dtype) for data in (X, Y))
    y[y == 0] = 1
    want = call(ops.convert_to_tensor(x), ops.convert_to_tensor(y))
    for a, b in itertools.product(WAYS, WAYS):
        # A list of numbers forgets a narrow dtype.
        if dtype == "float16" and "list" in (a, b):
            continue
        result = call(WAYS[a](x), WAYS[b](y))
        assert result.dtype == want.dtype, (a, b)
        np.testing.assert_array_equal(result, want, err_msg=f"{a} {b}")


def test_operands_of_any_kind_agree_in_a_trace():
    eager = ops.matmul(TENSOR, Y) + TENSOR[:, 0]
    traced = cornu.function(lambda x, y: ops.matmul(x, y) + x[:, 0])(X, Y)
    np.testing.assert_array_equal(eager, traced)


@pytest.mark.parametrize(
    ("operands", "floating", "dtype"),
    [
        ((TENSOR, TENSOR), False, "float32"),
        ((TENSOR, 1), False, "float32"),
        ((TENSOR, np.float64(1)), False, "float64"),
        ((np.int8(1), 2), False, "int8"),
        ((1, 2), True, "float32"),
        ((ops.cast(TENSOR, "int32"),) * 2, True, "float32"),
        ((ops.cast(TENSOR, "complex64"),) * 2, True, "complex64"),
        ((True, 2), False, "int32"),
        ((), False, None),
    ],
)
def test_promoted(operands, floating, dtype):
    results = _cornu.promoted(*operands, floating=floating)
    assert [result.dtype for result in results] == [dtype] * len(operands)
    for operand, result in zip(operands, results, strict=True):
        # A tensor that has the dtype stays the object that it is.
        same = isinstance(operand, _cornu.Tensor) and operand.dtype == dtype
        assert (result is operand) == same


def test_symbolic_tensors_are_found_in_any_structure():
    x = cornu.KerasTensor((None, 3))
    for args, kwargs in [((x,), {}), (([1, (x,)],), {}), ((), {"a": {"b": [x]}})]:
        assert _cornu.any_symbolic(args, kwargs)
    for args, kwargs in [((), {}), ((TENSOR, [1, None], "x"), {"a": {"b": X}})]:
        assert not _cornu.any_symbolic(args, kwargs)

    loop = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        _cornu.any_symbolic((loop,), {})


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"shape": (4, 3)}, None),
        ({"shape": [4, np.int64(3)]}, None),
        ({"shape": (2.0, 6)}, TypeError),
    ],
)
def test_attributes(attributes, error):
    reshape = _cornu.primitive("reshape")
    if error is None:
        assert reshape(TENSOR, **attributes).shape == (4, 3)
    else:
        with pytest.raises(error, match="must be an integer"):
            reshape(TENSOR, **attributes)


def test_results_keep_their_memory():
    """Small blocks of memory are used again, but none that somebody holds."""
    ones = ops.ones((3, 4))
    held = [(i, ones * float(i)) for i in range(100)]
    for _ in range(3):
        del held[::2]
        held += [(i + 1, x + 1.0) for i, x in held[:10]]
    for value, tensor in held:
        np.testing.assert_array_equal(tensor, np.full((3, 4), value))
