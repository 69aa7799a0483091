"""Layers that transform images, against the real Keras."""

import inspect
from functools import cache

import keras
import numpy as np
import pytest
from image_cases import IMAGE_CASES, SIZE

import cornu
from cornu import tree

ids = {"ids": str}
every_case = pytest.mark.parametrize("case", IMAGE_CASES, **ids)


def images_of(case, batch=3, channels=3):
    low, high = case.value_range
    rng = np.random.default_rng(0)
    return rng.uniform(low, high, (batch, *SIZE, channels)).astype("float32")


MASKS = np.random.default_rng(1).integers(0, 4, (3, *SIZE, 1)).astype("float32")
LABELS = np.eye(3, dtype="float32")
BOXES = {
    "boxes": np.array([[[1, 1, 3, 4], [7, 2, 9, 6]]] * 3, "float32"),
    "labels": np.array([[1, 2], [3, 0], [1, 1]]),
}


@cache
def drawn(case):
    """Returns Keras's layer, and what it drew, as numpy."""
    # The same draws in each run: a pixel beside a threshold may round to its other side.
    keras.utils.set_random_seed(1)
    layer = case.make(keras, bounding_box_format="xyxy")
    layer.build((None, *SIZE, 3))
    with_arrays = layer.get_random_transformation(
        images_of(case) if case.layer == "RandomGrayscale" else {"images": images_of(case)},
        training=True,
    )
    return layer, as_numpy(with_arrays)


def as_numpy(value):
    """Returns a structure with arrays of numpy, its dicts in their order."""
    if isinstance(value, dict):
        return {key: as_numpy(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(as_numpy, value))
    return np.asarray(value) if hasattr(value, "shape") else value


same_draws = pytest.mark.parametrize("case", [c for c in IMAGE_CASES if not c.own_draws], **ids)


def assert_near(case, ours, theirs):
    scale = case.value_range[1] - case.value_range[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=case.tolerance * scale)


@same_draws
def test_images_are_those_of_keras(case):
    layer, transformation = drawn(case)
    if case.layer == "RandomColorJitter":  # draws while it transforms
        return
    expected = layer.transform_images(images_of(case), transformation, training=True)
    ours = case.make(cornu).transform_images(images_of(case), transformation, training=True)
    assert_near(case, ours, expected)
    assert str(ours.dtype) == str(expected.dtype)


MOVING = [c for c in IMAGE_CASES if c.moves]
# Keras mixes the numbers of classes where it resizes crops.
MIXED = {("RandomCrop", 10), ("CenterCrop", 10)}


@pytest.mark.parametrize("case", MOVING, **ids)
def test_masks_move_as_in_keras(case):
    layer, transformation = drawn(case)
    result = case.make(cornu).transform_segmentation_masks(MASKS, transformation, training=True)
    expected = layer.transform_segmentation_masks(MASKS, transformation, training=True)
    assert tuple(result.shape) == tuple(expected.shape)
    assert set(np.unique(result)) <= set(np.unique(MASKS))
    if (case.layer, case.options.get("height")) not in MIXED:
        np.testing.assert_allclose(result, expected)


@pytest.mark.parametrize("case", [c for c in MOVING if c.layer != "RandomCrop"], **ids)
def test_boxes_move_as_in_keras(case):
    layer, transformation = drawn(case)
    ours = case.make(cornu, bounding_box_format="xyxy")
    expected = layer.transform_bounding_boxes(dict(BOXES), transformation, training=True)
    result = ours.transform_bounding_boxes(BOXES, transformation, training=True)
    np.testing.assert_allclose(result["boxes"], expected["boxes"], atol=1e-4)
    np.testing.assert_array_equal(result["labels"], expected["labels"])


@pytest.mark.parametrize("size", [(5, 6), (10, 6)])
def test_boxes_follow_a_random_crop(size):
    # A bright rectangle marks the box; Keras moves boxes by the wrong axes.
    images = np.zeros((1, *SIZE, 1), "float32")
    images[0, 3:5, 4:6] = 1
    boxes = {"boxes": np.array([[[4, 3, 6, 5]]], "float32"), "labels": np.array([[1]])}
    layer = cornu.layers.RandomCrop(*size, seed=1, bounding_box_format="xyxy")
    for _ in range(4):
        result = layer({"images": images, "bounding_boxes": boxes})
        left, top, right, bottom = np.asarray(result["bounding_boxes"]["boxes"])[0, 0]
        bright = np.argwhere(np.asarray(result["images"])[0, ..., 0] > 0.5)
        low, high = bright.min(0), bright.max(0) + 1
        np.testing.assert_allclose([top, left, bottom, right], [*low, *high], atol=0.51)


def config_of(layer):
    config = layer.get_config()
    lists = {key: list(value) for key, value in config.items() if isinstance(value, tuple)}
    return {key: config[key] for key in config if key not in ("name", "dtype")} | lists


@every_case
def test_configs_and_signatures_are_those_of_keras(case):
    ours, theirs = case.make(cornu), case.make(keras)
    assert config_of(ours) == config_of(theirs)
    parameters = [
        [(p.name, p.default) for p in inspect.signature(type(layer).__init__).parameters.values()]
        for layer in (ours, theirs)
    ]
    assert parameters[0] == parameters[1]
    assert config_of(type(theirs).from_config(ours.get_config())) == config_of(ours)
    assert config_of(type(ours).from_config(theirs.get_config())) == config_of(ours)
    with_boxes = case.make(cornu, bounding_box_format="rel_xyxy").get_config()
    assert type(ours).from_config(with_boxes).bounding_box_format == "rel_xyxy"


@every_case
def test_a_seed_decides(case):
    """The same draws in a plan, for channels first, for one image, and for any batch."""
    seeded = case.layer not in (
        "AutoContrast", "Equalization", "ContrastLimitedAdaptiveHistogramEqualization",
        "CenterCrop", "Resizing",
    )  # fmt: skip
    seed = {"seed": 7} if seeded else {}
    images = images_of(case)
    expected = np.asarray(case.make(cornu, **seed)(images, training=True))
    layer = case.make(cornu, **seed)
    function = cornu.function(lambda x: layer(x, training=True))
    assert_near(case, function(images), expected)
    assert function(images[:2]).shape == expected[:2].shape
    if case.layer != "RandomErasing":  # the noise of another shape is other noise
        last = np.moveaxis(images, -1, 1)
        layer = case.make(cornu, data_format="channels_first", **seed)
        assert_near(case, np.moveaxis(np.asarray(layer(last, training=True)), 1, -1), expected)
        one = case.make(cornu, **seed)(images[0], training=True)
        assert_near(case, one, np.asarray(case.make(cornu, **seed)(images[:1], training=True))[0])


@pytest.mark.parametrize("case", [c for c in IMAGE_CASES if c.neutral is not None], **ids)
def test_neutral_arguments_change_nothing(case):
    images = images_of(case)
    options = case.neutral | {k: v for k, v in case.options.items() if k == "value_range"}
    if case.layer == "RandomShear":
        options = {}
    layer = getattr(cornu.layers, case.layer)(**options)
    assert_near(case, layer(images, training=True), images)


CHANGES_ALWAYS = {
    "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CenterCrop", "Resizing",
}  # fmt: skip


@every_case
def test_sizes_may_be_unknown(case):
    outputs = []
    for size in (SIZE, (None, None)):
        cornu.utils.set_random_seed(3)
        inputs = cornu.Input((*size, 3))
        model = cornu.Model(inputs, case.make(cornu)(inputs))
        outputs.append(np.asarray(model(images_of(case), training=True)))
    scale = case.value_range[1] - case.value_range[0]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("case", [c for c in IMAGE_CASES if c.layer not in CHANGES_ALWAYS], **ids)
def test_nothing_happens_in_inference(case):
    images = images_of(case)
    np.testing.assert_array_equal(case.make(cornu)(images, training=False), images)


@every_case
def test_values_stay_in_their_range(case):
    low, high = case.value_range
    images = np.clip(images_of(case), low, high)
    result = np.asarray(case.make(cornu)(images, training=True))
    # Full colours may leave the range, as in Keras.
    free = case.layer == "RandomSaturation" or "saturation_factor" in case.options
    assert free or (result.min() >= low - 1e-4 and result.max() <= high + 1e-3)
    model = cornu.Sequential([cornu.Input((*SIZE, 3)), case.make(cornu)])
    assert model.predict(images, verbose=0).shape[0] == len(images)


@every_case
def test_labels_boxes_and_masks_go_along(case):
    data = {"images": images_of(case), "labels": LABELS, "segmentation_masks": MASKS}
    if case.boxes:
        data["bounding_boxes"] = BOXES
    layer = case.make(cornu, bounding_box_format="xyxy")
    result = layer(data, training=True)
    assert sorted(result) == sorted(data)
    height, width = result["images"].shape[1:3]
    assert tuple(result["segmentation_masks"].shape) == (3, height, width, 1)
    assert tuple(result["labels"].shape) == (3, 3)
    np.testing.assert_allclose(np.asarray(result["labels"]).sum(axis=1), 1, rtol=1e-5)
    if case.boxes:
        boxes = result["bounding_boxes"]
        assert tuple(boxes["boxes"].shape[:2]) == tuple(boxes["labels"].shape)
    function = cornu.function(lambda data: layer(data, training=True))
    assert sorted(function(data)) == sorted(data)
    if case.layer != "MixUp":
        one = layer(tree.map_structure(lambda x: x[0], data), training=True)
        assert tuple(one["images"].shape) == (height, width, 3)


FREQUENCIES = [
    ("RandomInvert", {"factor": (0.3, 0.3)}, 0.3),
    ("RandomGrayscale", {"factor": 0.3}, 0.3),
    ("RandomErasing", {"factor": (0.3, 0.3), "scale": (1, 1)}, 0.3),
    ("RandomFlip", {"mode": "horizontal"}, 0.5),
    ("RandomPerspective", {"factor": (0.3, 0.3)}, 0.3),
]


@pytest.mark.parametrize(("name", "options", "frequency"), FREQUENCIES)
def test_how_often_images_change(name, options, frequency):
    images = np.random.default_rng(0).uniform(0, 1, (2000, 4, 4, 3)).astype("float32")
    result = np.asarray(getattr(cornu.layers, name)(seed=1, **options)(images, training=True))
    changed = np.abs(result - images).max((1, 2, 3)) > 1e-6
    assert abs(changed.mean() - frequency) < 0.04


DRAWS = [
    ("RandomBrightness", {"factor": (-0.2, 0.6)}, "rgb_delta"),
    ("RandomContrast", {"factor": (0.2, 0.6)}, "contrast_factor"),
    ("RandomColorDegeneration", {"factor": (0.2, 0.6)}, "factor"),
    ("RandomSaturation", {"factor": (0.2, 0.6)}, "factor"),
    ("RandomHue", {"factor": (0.2, 0.6)}, "factor"),
    ("RandomSharpness", {"factor": (0.2, 0.6)}, "factor"),
    ("RandomPosterization", {"factor": (2, 5)}, "shift_factor"),
    ("Solarization", {"addition_factor": 0.3, "threshold_factor": 0.5}, "additions"),
    ("Solarization", {"addition_factor": 0.3, "threshold_factor": 0.5}, "thresholds"),
    ("RandomRotation", {"factor": (-0.1, 0.4)}, "rotation_matrix"),
    ("RandomTranslation", {"height_factor": (-0.2, 0.5), "width_factor": 0.1}, "translations"),
    ("RandomZoom", {"height_factor": (-0.2, 0.5)}, "width_zoom"),
    ("RandomShear", {"x_factor": (0.1, 0.3), "y_factor": (0.2, 0.4)}, "shear_factor"),
    ("RandomPerspective", {"scale": 0.4}, "end_points"),
    ("RandomErasing", {"scale": (0.1, 0.4)}, "batch_masks"),
    ("CutMix", {"factor": (0.5, 0.5)}, "batch_masks"),
    ("CutMix", {"factor": (0.5, 0.5)}, "mix_weight"),
    ("MixUp", {"alpha": 0.4}, "mix_weight"),
]


@pytest.mark.parametrize(("name", "options", "key"), DRAWS, ids=lambda v: str(v))
def test_draws_are_distributed_as_in_keras(name, options, key):
    images = np.zeros((3000, 6, 10, 1), "float32")
    samples = []
    for library in (cornu, keras):
        layer = getattr(library.layers, name)(seed=5, **options)
        layer.build(images.shape)
        values = layer.get_random_transformation({"images": images}, training=True)[key]
        samples.append(np.asarray(values).astype("float64"))
    ours, theirs = samples
    assert ours.shape == theirs.shape
    scale = theirs.std() + 1e-3
    for statistic in (np.mean, np.std):
        np.testing.assert_allclose(
            statistic(ours, axis=0), statistic(theirs, axis=0), atol=0.12 * scale
        )
    for bound in (np.min, np.max):
        np.testing.assert_allclose(bound(ours), bound(theirs), atol=0.05 * scale)


ERRORS = [
    (ValueError, "RandomBrightness", {"factor": 2}),
    (ValueError, "RandomBrightness", {"factor": (0.1,)}),
    (ValueError, "RandomBrightness", {"factor": "a"}),
    (ValueError, "RandomBrightness", {"factor": 0.1, "value_range": 3}),
    (ValueError, "RandomContrast", {"factor": -0.5}),
    (ValueError, "RandomHue", {"factor": 1.5}),
    (ValueError, "RandomGrayscale", {"factor": 2}),
    (ValueError, "RandomPosterization", {"factor": 9}),
    (ValueError, "AutoContrast", {"factor": 0.3}),
    (ValueError, "AutoContrast", {"value_range": 3}),
    (ValueError, "Solarization", {"addition_factor": 2}),
    (ValueError, "Solarization", {"threshold_factor": "a"}),
    (ValueError, "RandomGaussianBlur", {"kernel_size": 4}),
    (ValueError, "RandomGaussianBlur", {"kernel_size": (3, 5, 7)}),
    (ValueError, "RandomGaussianBlur", {"sigma": 2}),
    (ValueError, "RandomErasing", {"scale": -0.1}),
    (ValueError, "CutMix", {"factor": 2}),
    (ValueError, "RandomTranslation", {"height_factor": 2, "width_factor": 0}),
    (ValueError, "RandomZoom", {"height_factor": (-1, 1)}),
    (ValueError, "RandomShear", {"x_factor": -0.1}),
    (ValueError, "RandomShear", {"x_factor": (0.1, 0.2, 0.3)}),
    (ValueError, "RandomPerspective", {"scale": 2}),
    (ValueError, "RandomInvert", {"unknown": 1}),
    (NotImplementedError, "RandomRotation", {"factor": 0.1, "fill_mode": "x"}),
    (NotImplementedError, "RandomZoom", {"height_factor": 0.1, "interpolation": "x"}),
    (NotImplementedError, "RandAugment", {"interpolation": "x"}),
]


@pytest.mark.parametrize(("error", "name", "options"), ERRORS, ids=str)
def test_wrong_arguments_are_refused_as_in_keras(error, name, options):
    for library in (keras, cornu):
        with pytest.raises(error):
            getattr(library.layers, name)(**options)


WRONG_BOXES = [
    {"boxes": BOXES["boxes"]},
    BOXES["boxes"],
    {"boxes": BOXES["boxes"][..., :3], "labels": BOXES["labels"]},
]


def test_wrong_calls_are_refused():
    layer = cornu.layers.RandomFlip(bounding_box_format="xyxy")
    images = np.zeros((3, *SIZE, 3), "float32")
    for wrong in WRONG_BOXES:
        with pytest.raises(ValueError, match="boxes"):
            layer({"images": images, "bounding_boxes": wrong})
    with pytest.raises(ValueError, match="bounding_box_format"):
        cornu.layers.RandomFlip()({"images": images, "bounding_boxes": BOXES})
    for shape in ((9, 3), (1, 2, 8, 9, 3)):
        with pytest.raises(ValueError, match="rank 3"):
            layer(np.zeros(shape, "float32"))


def test_chains_of_augmix_are_those_of_keras():
    case = next(c for c in IMAGE_CASES if c.layer == "AugMix")
    theirs, transformation = drawn(case)
    ours = case.make(cornu)
    translated = transformation | {
        "chain_transforms": [
            [
                {
                    "layer_index": ours._choices.index(step["layer_name"]),
                    "transformations": dict.fromkeys(ours._choices)
                    | {step["layer_name"]: step["transformation"]},
                }
                for step in chain
            ]
            for chain in transformation["chain_transforms"]
        ]
    }
    expected = theirs.transform_images(images_of(case), transformation, training=True)
    assert_near(case, ours.transform_images(images_of(case), translated), expected)


def test_files_cross_between_the_libraries(tmp_path):
    for writer, reader in ((cornu, keras), (keras, cornu)):
        layers = [writer.layers.RandomFlip(seed=1), writer.layers.RandomZoom((-0.1, 0.1), seed=2)]
        model = writer.Sequential([writer.Input((*SIZE, 3)), *layers, writer.layers.Flatten()])
        model.save(tmp_path / "model.keras")
        again = reader.saving.load_model(tmp_path / "model.keras")
        for mine, other in zip(again.layers, model.layers, strict=True):
            assert config_of(mine) == config_of(other)
