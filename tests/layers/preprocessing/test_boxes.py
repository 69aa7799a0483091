"""MaxNumBoundingBoxes cuts and fills up as Keras's does."""

import keras
import numpy as np
import pytest

import cornu
from outcomes import outcome, same

BOXES = np.arange(20.0, dtype="float32").reshape(1, 5, 4)
LABELS = np.arange(5, dtype="int32")[None]


def batch(count=5):
    return {
        "images": np.ones((1, 4, 4, 3), "float32"),
        "bounding_boxes": {"boxes": BOXES[:, :count], "labels": LABELS[:, :count]},
        "labels": np.ones(1, "float32"),
        "segmentation_masks": np.ones((1, 4, 4, 1), "float32"),
    }


def single(count):
    boxes = {"boxes": BOXES[0, :count], "labels": LABELS[0, :count]}
    return {"images": np.ones((4, 4, 3), "float32"), "bounding_boxes": boxes}


XYXY = {"bounding_box_format": "xyxy"}
CASES = [
    (2, XYXY, batch()),
    (5, {"bounding_box_format": "rel_xywh"}, batch()),
    (7, XYXY, batch()),
    (7, {**XYXY, "fill_value": 7}, batch()),
    (3, XYXY, single(2)),
    (3, XYXY, single(4)),
    (3, {}, np.ones((2, 4, 4, 3), "uint8")),
    (3, {}, batch()),
]


@pytest.mark.parametrize("number, given, data", CASES)
def test_values(number, given, data):
    ours, theirs = (
        outcome(lambda layers=library.layers: layers.MaxNumBoundingBoxes(number, **given)(data))
        for library in (cornu, keras)
    )
    assert same(ours, theirs)


def test_config_and_shapes():
    ours, theirs = (
        library.layers.MaxNumBoundingBoxes(3, **XYXY, name="boxes") for library in (cornu, keras)
    )
    assert outcome(ours.get_config) == outcome(theirs.get_config)
    assert type(ours).from_config(ours.get_config()).max_number == 3
    shapes = {
        "images": (None, 4, 4, 3),
        "bounding_boxes": {"boxes": (None, 2, 4), "labels": (None, 2)},
        "labels": (None,),
    }
    assert ours.compute_output_shape(shapes) == theirs.compute_output_shape(shapes)
