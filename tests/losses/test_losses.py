"""Losses against the real Keras, and on their own."""

import inspect

import numpy as np
import pytest
from loss_cases import LOSSES

from cornu import losses, ops
from reference import fresh, keras

REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]
NAMES = sorted({name for name, _, _ in LOSSES})
ROWS = [
    pytest.param(name, data, arguments, id=f"{name}-{i}-{arguments}")
    for i, (name, data, several) in enumerate(LOSSES)
    for arguments in several
]


def test_every_loss_of_keras_has_a_row():
    theirs = [n for n, c in vars(keras.losses).items() if isinstance(c, type) and n != "Loss"]
    assert set(theirs) <= set(NAMES)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "data", "arguments"), ROWS)
def test_values(name, data, arguments, reduction):
    y_true, y_pred = data[0], data[1].astype("float32")
    weights = [None, np.linspace(0, 2, 8, dtype="float32")]
    for weight in [*weights, *(w[:, None] for w in weights[1:])]:
        theirs = getattr(keras.losses, name)(reduction=reduction, **arguments)
        ours = getattr(losses, name)(reduction=reduction, **arguments)
        try:
            expected = np.asarray(theirs(y_true, y_pred, sample_weight=weight))
        except (TypeError, ValueError):  # weights that don't broadcast with the values
            continue
        value = np.asarray(ours(y_true, y_pred, sample_weight=weight))
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "data", "arguments"), ROWS)
def test_functions_take_the_same_arguments_as_in_keras(name, data, arguments):
    function = getattr(losses, name)._function
    theirs = getattr(keras.losses, function.__name__)
    assert [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()] == [
        (p.name, p.default) for p in inspect.signature(function).parameters.values()
    ]
    assert losses.get(function.__name__) is function


@pytest.mark.parametrize("name", NAMES)
def test_signatures_and_configs(name):
    theirs, ours = getattr(keras.losses, name), getattr(losses, name)
    assert [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()] == [
        (p.name, p.default) for p in inspect.signature(ours).parameters.values()
    ]
    fresh()
    loss = ours()
    assert loss.get_config() == theirs().get_config()
    assert losses.serialize(loss) == keras.losses.serialize(theirs())
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is ours
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("Huber", {"delta": 2.0}), ("CosineSimilarity", {"axis": 1})],
)
def test_configs_lose_no_argument(name, arguments):
    loss = getattr(losses, name)(**arguments)
    again = losses.deserialize(losses.serialize(loss))
    assert {key: getattr(again, key) for key in arguments} == arguments


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_masks(reduction):
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.random((4, 3, 2)), rng.random((4, 3, 2)).astype("float32")
    mask = rng.random((4, 3)) > 0.3
    for weight in (None, rng.random((4, 3)).astype("float32")):
        values = []
        for package, module in ((keras, keras.losses), (ops, losses)):
            convert = package.ops.convert_to_tensor if package is keras else ops.convert_to_tensor
            outputs = convert(y_pred)
            outputs._keras_mask = convert(mask)
            loss = module.MeanSquaredError(reduction=reduction)
            values.append(np.asarray(loss(y_true, outputs, sample_weight=weight)))
        np.testing.assert_allclose(values[1], values[0], rtol=2e-5)


@pytest.mark.parametrize("name", ["mse", "MAE", "bce", "kld", "Huber", "categorical_hinge", "ctc"])
def test_identifiers(name):
    theirs = keras.losses.get(name)
    ours = losses.get(name)
    label = "__name__" if inspect.isfunction(theirs) else "name"
    assert getattr(ours, label) == getattr(theirs, label)


def test_an_unknown_identifier_is_named():
    for identifier in ("nope", 3):
        with pytest.raises(ValueError, match=f"Could not interpret loss identifier: {identifier}"):
            losses.get(identifier)


def test_a_wrong_reduction_is_refused():
    with pytest.raises(ValueError, match="Invalid value for argument `reduction`"):
        losses.MeanSquaredError(reduction="nope")


def test_own_losses():
    class Half(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.abs(y_true - y_pred), axis=-1) / 2.0

    fresh()
    assert Half().name == "half"
    assert float(Half()(np.zeros((2, 2)), np.ones((2, 2)))) == 0.5
    wrapped = losses.LossFunctionWrapper(losses.mean_squared_error, name="mine")
    assert float(wrapped(np.zeros((2, 2)), np.full((2, 2), 3.0))) == 9


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_dtypes(dtype):
    loss = losses.MeanSquaredError(dtype=dtype)
    assert loss.dtype == dtype
    assert loss(np.zeros((2, 2), "float32"), np.ones((2, 2), "float32")).dtype == dtype


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("CategoricalCrossentropy", ((2, 3), (2, 4))),
        ("BinaryCrossentropy", ((3,), (2, 4))),
        ("SparseCategoricalCrossentropy", ((3,), (2, 4))),
    ],
)
def test_targets_that_do_not_fit(name, shapes):
    arrays = [np.zeros(shape, "float32") for shape in shapes]
    with pytest.raises(ValueError, match="must have the same shape"):
        getattr(losses, name)()(*arrays)
