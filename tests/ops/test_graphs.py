"""Calls of operations as graphs."""

import numpy as np
import pytest

from cornu import Function, Input, Operation, ops
from cornu.ops.operation import operation_class
from cornu.ops.symbolic import KerasTensor


def test_a_call_of_a_function_is_a_node_with_keras_s_names():
    x = Input((3,))
    y = ops.clip(x, 0.0, 1.0)
    operation = y._keras_history.operation
    assert (type(operation).__module__, type(operation).__name__) == ("keras.src.ops.numpy", "Clip")
    assert operation.get_config() == {"name": "clip", "x_min": 0.0, "x_max": 1.0}
    again = type(operation).from_config(operation.get_config())
    assert np.asarray(again(np.array([-1.0, 0.5, 2.0]))).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "Multiply"),
        ("nn", "BatchNorm"),
        ("core", "Cast"),
        ("math", "TopK"),
        ("linalg", "SVD"),
    ],
)
def test_classes_are_found_by_keras_s_names(module, name):
    cls = operation_class(f"keras.src.ops.{module}", name)
    assert cls.__name__ == name
    assert operation_class(f"keras.src.ops.{module}", "NoSuchThing") is None


def test_functions_of_graphs():
    a, b = Input((2,)), Input((2,))
    f = Function([a, b], {"sum": a + b, "difference": a - b})
    out = f([np.ones((1, 2), "float32"), np.full((1, 2), 3.0, "float32")])
    assert np.asarray(out["sum"]).tolist() == [[4, 4]]
    assert f.compute_output_shape([(5, 2), (5, 2)]) == {"sum": (5, 2), "difference": (5, 2)}
    assert [op.name for op in f.operations][-2:] == ["subtract", "add"]
    with pytest.raises(ValueError, match="invalid input structure"):
        f(np.ones((1, 2)))


def test_own_operations():
    class Double(Operation):
        def call(self, x):
            return x * 2.0

    assert np.asarray(Double()(np.ones(2, "float32") + 0)).tolist() == [2, 2]
    y = Double()(KerasTensor((None, 3)))
    assert (y.shape, y._keras_history.operation.name) == ((None, 3), "double_1")


@pytest.mark.parametrize(
    ("call", "shape", "dtype"),
    [
        (lambda x: x + 1, (None, 4), "float32"),
        (lambda x: 1 / x, (None, 4), "float32"),
        (lambda x: x > 0, (None, 4), "bool"),
        (lambda x: x[:, 1:], (None, 3), "float32"),
        (lambda x: x[:, None], (None, 1, 4), "float32"),
        (lambda x: x @ np.ones((4, 2), "float32"), (None, 2), "float32"),
        (lambda x: ops.reshape(x, (-1, 2)), (None, 2), "float32"),
        (lambda x: ops.concatenate([x, x], axis=0), (None, 4), "float32"),
        (lambda x: ops.argmax(x, axis=-1), (None,), "int32"),
        (lambda x: np.ones((1, 4), "float32") * x, (None, 4), "float32"),
    ],
)
def test_shapes_and_dtypes_are_inferred(call, shape, dtype):
    y = call(Input((4,)))
    assert (y.shape, y.dtype) == (shape, dtype)


def test_several_results():
    values, indices = ops.top_k(Input((4,)), 2)
    assert values.shape == indices.shape == (None, 2)
    assert values._keras_history.operation is indices._keras_history.operation
    assert indices._keras_history.tensor_index == 1
