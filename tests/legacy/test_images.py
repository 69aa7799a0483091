"""Keras 2's image generator."""

import numpy as np
import pytest

import cornu
from cornu import Sequential, layers
from cornu.preprocessing import image
from cornu.utils import set_random_seed

RNG = np.random.default_rng(0)
X = (RNG.random((8, 6, 6, 3)) * 255).astype("float32")
Y = np.arange(8) % 2


def test_batches_hold_every_image_once_per_epoch():
    flow = image.ImageDataGenerator(rescale=1 / 255).flow(X, Y, batch_size=3, seed=1)
    assert len(flow) == 3
    batches = [next(flow) for _ in range(3)]
    x = np.concatenate([x for x, _ in batches])
    assert sorted(x.sum((1, 2, 3))) == pytest.approx(sorted((X / 255).sum((1, 2, 3))), rel=1e-5)
    again = image.ImageDataGenerator(rescale=1 / 255).flow(X, Y, batch_size=3, seed=1)
    np.testing.assert_array_equal(next(again)[0], batches[0][0])


def test_subsets_share_no_image():
    generator = image.ImageDataGenerator(validation_split=0.25)
    flows = [
        generator.flow(X, Y, subset=name, shuffle=False) for name in ("validation", "training")
    ]
    np.testing.assert_array_equal(flows[0][0][0], X[:2])
    np.testing.assert_array_equal(flows[1][0][0], X[2:])


def test_weights_and_further_inputs():
    flow = image.ImageDataGenerator().flow(
        [X, Y * 10], Y, sample_weight=Y + 1, batch_size=4, shuffle=False
    )
    (x, more), y, weight = flow[1]
    np.testing.assert_array_equal(x, X[4:])
    assert more.tolist() == [0, 10, 0, 10] and weight.tolist() == [1, 2, 1, 2] and len(y) == 4


MOVES = {
    "flip": ({"flip_horizontal": True}, lambda x: x[:, ::-1]),
    "flip vertical": ({"flip_vertical": True}, lambda x: x[::-1]),
    "half a turn": ({"theta": 180}, lambda x: x[::-1, ::-1]),
    "shift": ({"ty": 2}, lambda x: np.concatenate([x[2:], x[-1:], x[-1:]])),
    "channel": ({"channel_shift_intensity": 9.0}, lambda x: (x + 9).clip(x.min(), x.max())),
    "brightness": ({"brightness": 0.5}, lambda x: np.floor(np.floor(x) * 0.5)),
    "nothing": ({}, lambda x: x),
}


@pytest.mark.parametrize("name", MOVES)
def test_move(name):
    parameters, expected = MOVES[name]
    moved = image.ImageDataGenerator().apply_transform(X[0], parameters)
    np.testing.assert_allclose(moved, expected(X[0]), atol=1e-2)


def test_what_stands_outside():
    generator = image.ImageDataGenerator(fill_mode="constant", cval=7.0)
    moved = generator.apply_transform(X[0], {"tx": 2.0})
    np.testing.assert_allclose(moved[:, -2:], 7.0)
    np.testing.assert_allclose(moved[:, :-2], X[0][:, 2:], rtol=1e-5)


def test_channels_first_moves_alike():
    first = image.ImageDataGenerator(data_format="channels_first")
    move = {"theta": 30, "zx": 1.2, "zy": 0.9, "shear": 10}
    moved = first.apply_transform(X[0].transpose(2, 0, 1), move)
    last = image.ImageDataGenerator(data_format="channels_last").apply_transform(X[0], move)
    np.testing.assert_allclose(moved.transpose(1, 2, 0), last, rtol=1e-4)


def test_random_transforms_stay_in_their_ranges():
    generator = image.ImageDataGenerator(
        rotation_range=10, width_shift_range=0.5, height_shift_range=3, zoom_range=0.1
    )
    for _ in range(20):
        drawn = generator.get_random_transform((6, 6, 3))
        assert abs(drawn["theta"]) <= 10 and abs(drawn["ty"]) <= 3 and abs(drawn["tx"]) < 3
        assert 0.9 <= drawn["zx"] <= 1.1 and not drawn["flip_horizontal"]


def test_featurewise_fit():
    generator = image.ImageDataGenerator(
        featurewise_center=True, featurewise_std_normalization=True
    )
    with pytest.warns(UserWarning, match="hasn't been fit"):
        generator.standardize(X[0])
    generator.fit(X)
    whole = generator.flow(X, batch_size=8)[0]
    np.testing.assert_allclose(whole.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(whole.std((0, 1, 2)), 1, atol=1e-3)
    with pytest.warns(UserWarning, match="overrides setting"):
        white = image.ImageDataGenerator(zca_whitening=True)
    white.fit(X)
    flat = white.flow(X, batch_size=8)[0].reshape(8, -1)
    assert np.abs(np.linalg.svd(flat)[1][:7] - 8**0.5).max() < 0.05


def test_samplewise():
    with pytest.warns(UserWarning, match="samplewise_center"):
        generator = image.ImageDataGenerator(samplewise_std_normalization=True)
    one = generator.standardize(X[0])
    assert abs(one.mean()) < 1e-4 and abs(one.std() - 1) < 1e-4


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: image.ImageDataGenerator(validation_split=1.5), "validation_split"),
        (lambda: image.ImageDataGenerator(zoom_range=[1, 2, 3]), "zoom_range"),
        (lambda: image.ImageDataGenerator().flow(X[0]), "rank 4"),
        (lambda: image.ImageDataGenerator().flow(X, Y[:3]), "same length"),
        (lambda: image.ImageDataGenerator().flow(X, subset="test"), "subset"),
        (lambda: image.ImageDataGenerator().fit(X[0]), "rank 4"),
    ],
)
def test_errors(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_single_functions():
    np.random.seed(0)
    for function, bound in (
        (image.random_rotation, 20),
        (image.random_shear, 20),
        (image.random_zoom, (0.8, 1.2)),
        (image.random_channel_shift, 20),
        (image.random_brightness, (0.5, 1.5)),
    ):
        moved = function(X[0], bound)
        assert moved.shape == X[0].shape and not np.allclose(moved, X[0])
    assert image.random_shift(X[0], 0.3, 0.3, 0, 1, 2).shape == X[0].shape


def test_a_model_trains_on_it():
    set_random_seed(0)
    x = np.where(Y[:, None, None, None], X - 255, X)
    generator = image.ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, rotation_range=5)
    model = Sequential([layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    history = model.fit(generator.flow(x, Y, batch_size=4), epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0] * 0.7


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("PIL")
    for kind, value in (("cats", 40), ("dogs", 200)):
        (tmp_path / kind).mkdir()
        for index in range(4):
            pixels = np.full((8, 8, 3), value + index, "uint8")
            cornu.utils.save_img(tmp_path / kind / f"{index}.png", pixels, scale=False)
    (tmp_path / "dogs" / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.parametrize(
    "class_mode, expected",
    [
        ("categorical", np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 1]]),
        ("sparse", [0, 0, 0, 0, 1, 1, 1, 1]),
        ("binary", [0.0, 0, 0, 0, 1, 1, 1, 1]),
    ],
)
def test_flow_from_directory(folder, class_mode, expected):
    generator = image.ImageDataGenerator(rescale=0.5, validation_split=0.25)
    flow = generator.flow_from_directory(
        str(folder), target_size=(4, 4), class_mode=class_mode, shuffle=False, batch_size=8
    )
    assert flow.class_indices == {"cats": 0, "dogs": 1} and flow.samples == 8
    x, y = next(flow)
    assert x.shape == (8, 4, 4, 3) and flow.image_shape == (4, 4, 3)
    np.testing.assert_allclose(x[:, 0, 0, 0], [20, 20.5, 21, 21.5, 100, 100.5, 101, 101.5])
    np.testing.assert_array_equal(y, expected)
    parts = [
        generator.flow_from_directory(str(folder), subset=name).filenames
        for name in ("training", "validation")
    ]
    assert len(parts[0]) == 6 and len(parts[1]) == 2 and not set(parts[0]) & set(parts[1])
    alone = generator.flow_from_directory(str(folder), class_mode=None, color_mode="grayscale")
    assert next(alone).shape == (8, 256, 256, 1)


def test_flow_from_dataframe(folder, capsys):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "filename": ["cats/0.png", "dogs/1.png", "dogs/missing.png", "cats/2.png"],
            "class": ["cat", "dog", "dog", "cat"],
            "size": [0.5, 1.5, 2.5, 3.5],
        }
    )
    generator = image.ImageDataGenerator()
    arguments = {"shuffle": False, "target_size": (8, 8)}
    with pytest.warns(UserWarning, match="1 invalid image"):
        flow = generator.flow_from_dataframe(table, str(folder), **arguments)
    x, y = next(flow)
    assert x.shape == (3, 8, 8, 3) and "Found 3 validated" in capsys.readouterr().out
    np.testing.assert_array_equal(y, np.eye(2)[[0, 1, 0]])
    valid = table.drop(index=2)
    raw = generator.flow_from_dataframe(
        valid, str(folder), y_col="size", class_mode="raw", weight_col="size", **arguments
    )
    _, y, weight = next(raw)
    assert y.tolist() == weight.tolist() == [0.5, 1.5, 3.5]
    valid = valid.assign(tags=[["a"], ["a", "b"], ["b"]])
    tags = generator.flow_from_dataframe(valid, str(folder), y_col="tags", **arguments)
    np.testing.assert_array_equal(next(tags)[1], [[1, 0], [1, 1], [0, 1]])
    several = generator.flow_from_dataframe(
        valid, str(folder), y_col=["size", "class"], class_mode="multi_output", **arguments
    )
    assert [part.tolist() for part in next(several)[1]] == [[0.5, 1.5, 3.5], ["cat", "dog", "cat"]]


def test_moved_images_are_saved(folder, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    flow = image.ImageDataGenerator().flow(X, batch_size=3, save_to_dir=str(saved), save_prefix="a")
    next(flow)
    assert len(list(saved.glob("a_*.png"))) == 3
