"""Pictures of boxes and masks; where Keras needs no other package, against it."""

import inspect
import sys
import types

import numpy as np
import pytest

from cornu import visualization
from reference import keras

IMAGES = np.full((1, 2, 3, 3), 100.0, "float32")
MASKS = np.array([[[0, 1, 2], [3, -1, 1]]])[..., None]
COLORS = {0: (0, 0, 0), 1: (10, 20, 30), 2: (40, 50, 60), 3: (1, 1, 1)}

MASK_CASES = [
    {},
    {"num_classes": 4},
    {"num_classes": 4, "blend": False},
    {"num_classes": 4, "alpha": 0.5, "ignore_index": 1},
    {"num_classes": 4, "color_mapping": COLORS, "alpha": 1.0},
]


@pytest.mark.parametrize("options", MASK_CASES, ids=str)
def test_masks_are_drawn_as_in_keras(options):
    expected = keras.visualization.draw_segmentation_masks(IMAGES, MASKS, **options)
    result = visualization.draw_segmentation_masks(IMAGES, MASKS, **options)
    np.testing.assert_array_equal(result, expected)
    first = visualization.draw_segmentation_masks(
        np.moveaxis(IMAGES, -1, 1), np.moveaxis(MASKS, -1, 1), data_format="channels_first",
        **options,
    )  # fmt: skip
    np.testing.assert_array_equal(first, result)


def test_wrong_masks_are_refused_as_in_keras():
    for library in (keras.visualization, visualization):
        with pytest.raises(ValueError, match="4D"):
            library.draw_segmentation_masks(IMAGES[0], MASKS)
        with pytest.raises(TypeError, match="integer"):
            library.draw_segmentation_masks(IMAGES, MASKS.astype("float32"))


@pytest.mark.parametrize(
    "name", [n for n in dir(keras.visualization) if n[:5] in ("draw_", "plot_")]
)
def test_signatures_are_those_of_keras(name):
    ours, theirs = (
        inspect.signature(getattr(library, name)).parameters.values()
        for library in (visualization, keras.visualization)
    )
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


def test_boxes_are_frames():
    boxes = {"boxes": np.array([[[2, 1, 6, 5], [0, 0, 9, 9]]]), "labels": np.array([[3, -1]])}
    images = np.zeros((1, 10, 10, 3))
    drawn = visualization.draw_bounding_boxes(
        images, boxes, "xyxy", color=(9, 8, 7), line_thickness=1
    )
    expected = np.zeros((10, 10), bool)
    expected[[1, 5], 2:7] = True
    expected[1:6, [2, 6]] = True
    np.testing.assert_array_equal(drawn[0].any(-1), expected)
    assert drawn.dtype == "uint8"
    assert tuple(drawn[0, 1, 2]) == (9, 8, 7)
    thick = visualization.draw_bounding_boxes(images, boxes, "xyxy", line_thickness=3)
    assert thick[0, 0:3, 1:8].all()
    assert not thick[0, 3, 4].any()
    outside = {"boxes": np.array([[[-5, -5, 50, 4]]]), "labels": np.array([[1]])}
    visualization.draw_bounding_boxes(images, outside, "xyxy")
    with pytest.raises(ValueError, match="labels"):
        visualization.draw_bounding_boxes(images, {"boxes": boxes["boxes"]}, "xyxy")


class Recorder(types.ModuleType):
    """A stand-in for matplotlib that keeps the calls made on it and on what they return."""

    def __init__(self, calls, name="matplotlib"):
        super().__init__(name)
        self.__dict__["calls"] = calls

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return Recorder(self.calls)

        return call


@pytest.fixture
def calls(monkeypatch):
    calls = []
    for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.patches"):
        monkeypatch.setitem(sys.modules, name, Recorder(calls, name))
    return calls


def made(calls, name):
    return [(args, kwargs) for called, args, kwargs in calls if called == name]


def test_galleries_show_all_images(calls, tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (5, 4, 4, 3))
    visualization.plot_image_gallery(
        images, y_true=np.arange(5), y_pred=np.zeros(5, int), label_map=dict(enumerate("abcde")),
        value_range=(-1, 1), path=str(tmp_path / "a.png"),
    )  # fmt: skip
    shown = [args[0] for args, _ in made(calls, "imshow")]
    assert len(shown) == 5
    np.testing.assert_allclose(shown[3], (images[3] + 1) * 127.5, atol=1)
    assert made(calls, "set_title")[2][0] == ("Actual: c\nPredicted: a",)
    assert [args for args, _ in made(calls, "add_subplot")][-1] == (3, 2, 5)
    assert made(calls, "savefig") and not made(calls, "show")
    with pytest.raises(ValueError, match="path"):
        visualization.plot_image_gallery(images, path="a.png", show=True)


def test_galleries_of_boxes_and_masks(calls):
    images = np.zeros((2, 8, 8, 3))
    boxes = {"boxes": np.array([[[1, 1, 5, 5]]] * 2), "labels": np.ones((2, 1), int)}
    visualization.plot_bounding_box_gallery(images, "xyxy", y_true=boxes, legend=True)
    assert all(args[0].any() for args, _ in made(calls, "imshow"))
    assert [kwargs["label"] for _, kwargs in made(calls, "Patch")] == ["Ground Truth", "Prediction"]
    assert made(calls, "show")
    calls.clear()
    masks = np.ones((2, 8, 8, 1), int)
    figure = visualization.plot_segmentation_mask_gallery(
        images, num_classes=2, y_true=masks, y_pred=masks, show=False
    )
    assert isinstance(figure, Recorder)
    assert made(calls, "imshow")[0][0][0].shape == (8, 24, 3)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="plots"):
        visualization.plot_image_gallery(IMAGES)
    boxes = {"boxes": np.array([[[0, 0, 1, 1]]]), "labels": np.array([[1]])}
    with pytest.raises(ImportError, match="images"):
        visualization.draw_bounding_boxes(IMAGES, boxes, "xyxy", class_mapping={1: "cat"})
