"""Layers compute without numpy: its computing functions may all raise."""

import pytest
from cases import CASES
from check_layer import arrays, built, flat

import cornu


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward(case, without_numpy):
    layer = built(case, cornu)
    inputs = [cornu.ops.convert_to_tensor(x) for x in case.inputs("float32")]
    arguments = case.call_arguments()
    without_numpy()
    with cornu.GradientTape() as tape:
        for x in inputs:
            tape.watch(x)
        outputs = flat(layer(*case.pack(inputs), **arguments))
        total = sum(cornu.ops.sum(cornu.ops.square(y)) for y in outputs)
    gradients = tape.gradient(total, layer.trainable_variables)
    assert all(y.shape is not None for y in outputs)
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert gradient is None or tuple(gradient.shape) == tuple(variable.shape)
    assert len(arrays(outputs)) == len(outputs)
