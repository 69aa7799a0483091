"""The names of `keras.distribution` on one machine."""

import numpy as np
import pytest

import cornu
from cornu import distribution as d


def test_one_device():
    assert d.list_devices() == ["cpu:0"] and d.list_devices("gpu") == []
    assert d.get_device_count() == 1
    d.initialize()
    with pytest.raises(NotImplementedError, match="one process"):
        d.initialize(num_processes=2)


def test_data_parallel_is_one_device():
    x = np.linspace(-1, 1, 32).reshape(8, 4).astype("float32")
    weights = []
    for distribution in (None, d.DataParallel()):
        cornu.utils.set_random_seed(0)
        d.set_distribution(distribution)
        model = cornu.Sequential([cornu.Input((4,)), cornu.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, :1], verbose=0)
        weights.append(model.get_weights()[0])
    assert d.distribution() is distribution
    d.set_distribution(None)
    np.testing.assert_array_equal(*weights)
    with distribution.scope():
        assert d.distribution() is distribution
    assert d.distribution() is None
    assert distribution.get_data_layout((8, 4)).axes == ("batch", None)
    assert distribution.num_model_replicas == 1 and distribution.distribute_dataset(x) is x


def test_layouts():
    mesh = d.DeviceMesh((1, 1), ["batch", "model"])
    layouts = d.LayoutMap(mesh)
    layouts[".*kernel"] = (None, "model")
    layouts["exact"] = d.TensorLayout(("model",))
    assert layouts["dense/kernel"].axes == (None, "model") and layouts["dense/bias"] is None
    assert layouts["exact"].device_mesh is mesh and len(layouts) == 2
    parallel = d.ModelParallel(layout_map=layouts)
    layer = cornu.layers.Dense(2)
    layer.build((None, 2))
    assert parallel.get_variable_layout(layer.kernel).axes == (None, "model")
    assert parallel.get_variable_layout(layer.bias).axes == (None,)
    assert d.distribute_tensor(layer.bias, layouts["exact"]) is layer.bias


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: d.DeviceMesh((), []),
        lambda: d.DeviceMesh((1,), ["a", "b"]),
        lambda: d.DeviceMesh((2,), ["a"]),
        lambda: d.TensorLayout(("z",), d.DeviceMesh((1,), ["a"])),
        lambda: d.ModelParallel(),
        lambda: d.DataParallel(device_mesh="mesh"),
        lambda: d.LayoutMap(d.DeviceMesh((1,), ["a"])).__setitem__("k", 3),
    ],
)
def test_errors(wrong):
    with pytest.raises(ValueError):
        wrong()


def test_backend():
    cornu.config.set_backend("cornu")
    assert not cornu.config.is_nnx_enabled()
    with pytest.raises(ValueError, match="cornu"):
        cornu.config.set_backend("jax")
