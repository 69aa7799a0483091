"""Bounding boxes against the real Keras."""

import inspect

import numpy as np
import pytest

from cornu import tree
from cornu.utils import bounding_boxes
from reference import keras

theirs = keras.utils.bounding_boxes
BOXES = np.array([[1, 2, 5, 8], [0, 0, 4, 4], [-1, 2, 30, 60], [19, 5, 21, 6]], "float32")
OTHERS = np.array([[2, 2, 6, 6], [1, 1, 3, 5], [-1, -1, -1, -1]], "float32")
LABELLED = {"boxes": BOXES[None], "labels": np.array([[1, 2, 3, 4]])}
ANCHORS = np.array([[0, 0, 4, 4], [1, 1, 3, 5], [2, 3, 8, 9], [1, 2, 3, 4]], "float32")
SIZE = {"height": 10, "width": 20}
SHAPE = {"image_shape": (10, 20, 3)}
FORMATS = bounding_boxes.FORMATS


def ones(*values):
    return [np.array([value], "float32") for value in values]


CASES = [
    *[("convert_format", BOXES, source, "xyxy", SIZE) for source in FORMATS],
    *[("convert_format", BOXES[None], "xyxy", target, SIZE) for target in FORMATS],
    ("convert_format", BOXES, "rel_xywh", "rel_yxyx", SIZE),
    ("convert_format", LABELLED, "xyxy", "XYWH", {"dtype": "float16"}),
    ("convert_format", BOXES.astype("int32"), "xyxy", "yxyx", {}),
    ("clip_to_image_size", LABELLED, 10, 20, {}),
    ("clip_to_image_size", LABELLED, {"bounding_box_format": "rel_xyxy"}),
    ("crop", BOXES, 1, 2, 5, 6, {}),
    ("pad", BOXES, 1, 2, 5, 6, {}),
    ("pad", BOXES.astype("int32"), 1, 2, {}),
    *[
        ("affine_transform", BOXES[None], *ones(*values), SIZE)
        for values in [(0, 0.2, 0.3, 1, 0, 0), (30, 0, 0, 0.5, 0, 0), (30, 0.1, 0.2, 2, 5, 7)]
    ],
    ("affine_transform", BOXES[None], *ones(30, 0, 0, 1, 0, 0), 10, 20, *ones(0.3, 0.4), {}),
    ("compute_iou", BOXES, OTHERS, "xyxy", {}),
    ("compute_iou", BOXES[None], OTHERS, "xywh", {}),
    ("compute_iou", BOXES / 20, OTHERS[None] / 20, "rel_yxyx", SHAPE),
    ("compute_iou", BOXES, OTHERS, "xyxy", {"use_masking": True, "mask_val": -3}),
    ("compute_ciou", BOXES[:, None], OTHERS, "xyxy", {}),
    ("compute_ciou", BOXES, BOXES[::-1], "center_xywh", {}),
    *[
        (function, ANCHORS, BOXES + 2, "xyxy", box_format, encoding, variance, {})
        for function in ("encode_box_to_deltas", "decode_deltas_to_boxes")
        for box_format, encoding, variance in [
            ("xyxy", "center_yxhw", None),
            ("yxyx", "center_xywh", [0.1, 0.1, 0.2, 0.2]),
        ]
    ],
    ("encode_box_to_deltas", ANCHORS, BOXES[None], "rel_xyxy", "xywh", SHAPE),
    ("decode_deltas_to_boxes", ANCHORS, BOXES[None] / 9, "xyxy", "rel_xyxy", SHAPE),
    ("decode_deltas_to_boxes", {"a": ANCHORS}, {"a": BOXES / 9}, "xyxy", "xywh", {}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_values_are_those_of_keras(case):
    name, *arguments, options = case
    ours = getattr(bounding_boxes, name)(*arguments, **options)
    expected = getattr(theirs, name)(*arguments, **options)
    tree.assert_same_structure(ours, expected)
    for mine, other in zip(tree.flatten(ours), tree.flatten(expected), strict=True):
        assert str(mine.dtype) == str(other.dtype)
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)


ERRORS = [
    (ValueError, "convert_format", BOXES, "xyxy", "foo"),
    (ValueError, "convert_format", BOXES, "xyxy", "rel_xyxy"),
    (ValueError, "convert_format", BOXES[:, :3], "xyxy", "xywh"),
    (NotImplementedError, "clip_to_image_size", LABELLED, 10, 20, "xywh"),
    (ValueError, "clip_to_image_size", LABELLED),
    (NotImplementedError, "crop", BOXES, 1, 2, 3, 4, "yxyx"),
    (NotImplementedError, "pad", BOXES, 1, 2, 3, 4, "rel_xyxy"),
    (NotImplementedError, "affine_transform", BOXES, *[0] * 6, 1, 1, None, None, "xywh"),
    (ValueError, "compute_iou", BOXES[0], BOXES, "xyxy"),
    (ValueError, "compute_iou", BOXES, BOXES, "rel_xyxy"),
    (ValueError, "compute_ciou", BOXES, BOXES, "rel_xyxy"),
    (ValueError, "encode_box_to_deltas", ANCHORS, BOXES, "xyxy", "xyxy", "xyxy"),
    (ValueError, "decode_deltas_to_boxes", ANCHORS, BOXES, "xyxy", "xyxy", "center_xywh", (1, 2)),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case[1])
def test_errors_are_those_of_keras(case):
    error, name, *arguments = case
    for library in (theirs, bounding_boxes):
        with pytest.raises(error):
            getattr(library, name)(*arguments)


def test_signatures_are_those_of_keras():
    for name in (name for name in dir(theirs) if not name.startswith("_")):
        expected = inspect.signature(getattr(theirs, name)).parameters
        ours = inspect.signature(getattr(bounding_boxes, name)).parameters
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in expected.values()
        ]


def test_boxes_of_one_image_move_by_plain_numbers():
    moved = bounding_boxes.affine_transform(BOXES[None], 0, 0.1, 0, 1, 0, 0, 10, 21)
    np.testing.assert_allclose(moved[0], BOXES + np.array([2, 0, 2, 0]), atol=1e-5)
