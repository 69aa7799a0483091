"""Utilities of data do what Keras's do."""

import numpy as np
import pytest
from utility_behaviours import OF_IMAGES, RECORDED, TABLES

import cornu
from outcomes import differences, outcome, same
from reference import keras


@pytest.mark.parametrize("name", TABLES)
def test_as_keras_on_tensorflow(name):
    assert differences(RECORDED, name, TABLES[name], cornu) == {}


@pytest.mark.parametrize("name", OF_IMAGES)
def test_images_as_keras_on_tensorflow(name):
    pytest.importorskip("PIL")
    assert differences(RECORDED, name, OF_IMAGES[name], cornu) == {}


ROWS = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, -1.0]])
SEQUENCES = [[1], [2, 3], [4, 5, 6]]
CALLS = {
    "to_categorical": [
        ([0, 1, 2], {}),
        ([[0], [1]], {"num_classes": 3}),
        (np.array([[0, 1], [2, 0]]), {}),
        ([3], {"num_classes": 2}),
        (5, {}),
        ([-1, 1], {}),
        ([0.5, 1.7], {}),
        (["1", "2"], {}),
        ([], {}),
    ],
    "normalize": [
        *((ROWS, {"order": order}) for order in (1, 2, 3, np.inf, 0, 0.5)),
    ],
    "pad_sequences": [
        (SEQUENCES, {}),
        (SEQUENCES, {"maxlen": 2}),
        (SEQUENCES, {"maxlen": 2, "padding": "post", "truncating": "post"}),
        (SEQUENCES, {"value": -1.0, "dtype": "float32"}),
        (SEQUENCES, {"maxlen": 5, "padding": "post"}),
        (SEQUENCES, {"padding": "x"}),
        (SEQUENCES, {"truncating": "x", "maxlen": 1}),
        (SEQUENCES, {"dtype": object, "value": "p"}),
        ([], {}),
        ([[]], {}),
        (3, {}),
        ([1, 2], {}),
        ([[[1, 2]], [[3, 4], [5, 6]]], {}),
        ([[[1, 2]], [[3], [5]]], {}),
        ([["a"], ["b", "c"]], {"dtype": "<U3", "value": "x"}),
        ([["a"], ["b", "c"]], {"value": "x"}),
    ],
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_of_arrays(name):
    for x, given in CALLS[name]:

        def called(library, x=x, given=given):
            return outcome(lambda: np.asarray(getattr(library.utils, name)(x, **given)))

        ours, theirs = called(cornu), called(keras)
        assert same(ours, theirs), (x, given, ours, theirs)


def test_categories_of_a_tensor():
    hot = cornu.utils.to_categorical(cornu.ops.convert_to_tensor([[0], [2]]))
    assert isinstance(hot, cornu.Tensor)
    np.testing.assert_array_equal(hot, [[1, 0, 0], [0, 0, 1]])


def test_config():
    def use(library):
        config = library.utils.Config(a=1, b="x")
        config.z = [1, 2]
        config["w"] = 3.0
        config.update({"k": 2}, j=3)
        config.pop("j")
        told = [config.a, config["b"], repr(config), config.as_dict(), config.to_json()]
        told += [len(config), list(config), dict(config), "a" in config, config.get("n", 7)]
        told += [outcome(lambda: config.nope), outcome(lambda: config["nope"])]
        config.freeze()
        told += [config.frozen, outcome(lambda: setattr(config, "a", 3))]
        config.unfreeze()
        config.a = 3
        return [*told, config.a]

    assert outcome(lambda: use(cornu)) == outcome(lambda: use(keras))


def test_datasets_feed_models(tmp_path):
    for name, text in (("a", "good good"), ("b", "bad bad")):
        (tmp_path / name).mkdir()
        for number in range(8):
            (tmp_path / name / f"{number}.txt").write_text(text)
    texts = cornu.utils.text_dataset_from_directory(tmp_path, batch_size=4, seed=1, verbose=False)
    orders = [np.concatenate([labels for _, labels in texts]).tolist() for _ in range(2)]
    assert orders[0] != orders[1]
    vectorize = cornu.layers.TextVectorization(output_mode="multi_hot")
    vectorize.adapt(x for x, _ in texts)
    model = cornu.Sequential([vectorize, cornu.layers.Dense(1, activation="sigmoid")])
    model.compile(cornu.optimizers.SGD(1.0), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(texts, epochs=8, verbose=0).history
    assert history["accuracy"][-1] == 1.0
    series = np.arange(40, dtype="float32")
    windows = cornu.utils.timeseries_dataset_from_array(series, series[4:], 4, shuffle=True)
    model = cornu.Sequential([cornu.layers.Dense(1)])
    model.compile("adam", "mse")
    assert len(model.fit(windows, epochs=2, verbose=0).history["loss"]) == 2
    assert model.predict(windows, verbose=0).shape == (36, 1)


@pytest.mark.parametrize(
    "shape, size, given",
    [
        ((4, 7, 3), (2, 2), {}),
        ((2, 5, 4, 1), (3, 6), {"interpolation": "nearest"}),
        ((3, 4, 7), (2, 5), {"data_format": "channels_first"}),
        ((4, 7), (2, 2), {}),
        ((4, 7, 3), (2, 2, 2), {}),
    ],
)
def test_smart_resize(shape, size, given):
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    ours, theirs = (
        outcome(lambda image=library.preprocessing.image: image.smart_resize(x, size, **given))
        for library in (cornu, keras)
    )
    assert same(ours, theirs)
