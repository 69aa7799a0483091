"""Metrics, streamed over batches, against the real Keras, and on their own."""

import inspect

import numpy as np
import pytest
from metric_cases import BATCH, METRICS

import cornu
from cornu import metrics, ops
from reference import fresh, keras

NAMES = sorted({name for name, _, _ in METRICS})
# No row of the table fits them.
OTHERS = {"Metric", "Mean", "Sum", "MeanMetricWrapper"}
ROWS = [
    pytest.param(name, data, arguments, id=f"{name}-{data.__name__}-{arguments}")
    for name, data, several in METRICS
    for arguments in several
]


def test_every_metric_of_keras_has_a_row():
    theirs = {n for n, c in vars(keras.metrics).items() if isinstance(c, type)}
    assert theirs <= {*NAMES, *OTHERS}


def streamed(metric, data, weighted):
    rng = np.random.default_rng(0)
    for _ in range(3):
        y_true, y_pred = data(rng)
        weight = rng.integers(0, 4, BATCH).astype("float32") if weighted else None
        if y_pred.dtype.kind == "f":
            y_pred = y_pred.astype("float32")
        metric.update_state(y_true, y_pred, sample_weight=weight)
    return metric


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "data", "arguments"), ROWS)
def test_values(name, data, arguments, weighted):
    fresh()
    theirs = streamed(getattr(keras.metrics, name)(**arguments), data, weighted)
    ours = streamed(getattr(metrics, name)(**arguments), data, weighted)
    expected, value = np.asarray(theirs.result()), np.asarray(ours.result())
    assert value.dtype == expected.dtype
    np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-6)
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]
    assert [v.dtype for v in ours.variables] == [v.dtype for v in theirs.variables]
    ours.reset_state()
    assert all(not v.numpy().any() for v in ours.variables)


@pytest.mark.parametrize(("name", "data", "arguments"), ROWS)
def test_a_traced_update_equals_an_eager_one(name, data, arguments):
    eager = streamed(getattr(metrics, name)(**arguments), data, True)
    metric = getattr(metrics, name)(**arguments)
    # Some make their variables in the first update.
    streamed(metric, data, True)
    metric.reset_state()

    class Traced:
        def update_state(self, y_true, y_pred, sample_weight):
            update(y_true, y_pred, sample_weight)

    update = cornu.function(lambda *batch: metric.update_state(*batch))
    streamed(Traced(), data, True)
    for ours, expected in zip(metric.variables, eager.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "data", "arguments"), ROWS)
def test_signatures_and_configs(name, data, arguments):
    theirs, ours = getattr(keras.metrics, name), getattr(metrics, name)
    assert [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()] == [
        (p.name, p.default) for p in inspect.signature(ours).parameters.values()
    ]
    fresh()
    metric, other = ours(**arguments), theirs(**arguments)
    config, expected = metric.get_config(), other.get_config()
    if arguments.get("label_weights"):
        expected["label_weights"] = np.asarray(expected["label_weights"]).tolist()
    # Keras leaves out a few arguments, which would be lost.
    assert {key: config[key] for key in expected} == expected
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is ours
    assert again.get_config() == config
    assert metric._direction == getattr(other, "_direction", None)


@pytest.mark.parametrize("weight", [None, (6,), (6, 1), (6, 4)])
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_reductions(name, weight):
    rng = np.random.default_rng(0)
    values = rng.random((6, 4)).astype("float32")
    weights = None if weight is None else rng.random(weight).astype("float32")
    results = []
    for module in (keras.metrics, metrics):
        metric = getattr(module, name)()
        for part in (slice(0, 4), slice(4, 6)):
            metric.update_state(
                values[part], sample_weight=None if weights is None else weights[part]
            )
        results.append(float(metric.result()))
    assert results[1] == pytest.approx(results[0], rel=1e-6)


def test_masks():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random((4, 3, 2)), rng.random((4, 3, 2)).astype("float32")
    mask = rng.random((4, 3)) > 0.3
    for weight in (None, rng.random((4, 3)).astype("float32")):
        results = []
        for convert, module in ((keras.ops, keras.metrics), (ops, metrics)):
            outputs = convert.convert_to_tensor(y_pred)
            outputs._keras_mask = convert.convert_to_tensor(mask)
            metric = module.MeanSquaredError()
            metric.update_state(y_true, outputs, sample_weight=weight)
            results.append(float(metric.result()))
        assert results[1] == pytest.approx(results[0], rel=1e-5)


@pytest.mark.parametrize(
    "name",
    ["mse", "MAE", "accuracy", "AUC", "auc", "f1_score", "io_u", "Mean", "cosine_similarity"],
)
def test_identifiers(name):
    if name == "io_u":
        name = {"class_name": "IoU", "config": {"num_classes": 2, "target_class_ids": [0]}}
    assert type(metrics.get(name)).__name__ == type(keras.metrics.get(name)).__name__


def test_an_unknown_identifier_is_named():
    with pytest.raises(ValueError, match="Could not interpret metric identifier: nope"):
        metrics.get("nope")


def test_stateless_calls_leave_the_state_alone():
    metric = metrics.Mean()
    values = metric.stateless_update_state([v.value for v in metric.variables], [1.0, 3.0])
    assert float(metric.stateless_result(values)) == 2
    assert float(metric.result()) == 0
    assert [float(v) for v in metric.stateless_reset_state()] == [0, 0]


def test_own_metrics_keep_nested_ones():
    class Both(metrics.Metric):
        def __init__(self, name="both"):
            super().__init__(name=name)
            self.total = self.add_variable((), "zeros", name="total")
            self.parts = [metrics.Sum(name="part")]
            self.mean = metrics.Mean(name="mean")

        def update_state(self, values):
            self.total.assign_add(ops.sum(values))
            self.mean.update_state(values)

        def result(self):
            return self.total + self.mean.result()

    fresh()
    metric = Both()
    assert [v.path for v in metric.variables] == [
        "both/total",
        "part/total",
        "mean/total",
        "mean/count",
    ]
    assert float(metric(np.array([1.0, 3.0]))) == 6
    metric.reset_state()
    assert float(metric.result()) == 0


def test_a_forgotten_super_is_named():
    class Wrong(metrics.Metric):
        def __init__(self):
            self.state = self.add_variable((), "zeros")

    with pytest.raises(RuntimeError, match="You forgot to call `super"):
        Wrong()
