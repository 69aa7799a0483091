"""Models as pictures."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

import cornu
from cornu.utils import model_to_dot, plot_model


def model():
    inner = cornu.Sequential(
        [cornu.Input((3,)), cornu.layers.Dense(4, activation="relu", name="in_a")], name="inner"
    )
    x = cornu.Input((3,), name="x")
    left = inner(x)
    right = cornu.layers.Dense(4, name="right", trainable=False)(x)
    both = cornu.layers.Add(name="both")([left, right])
    return cornu.Model(x, cornu.layers.Dense(2, name='"last" & <best>')(both))


def drawn(text):
    """Returns the first lines of the boxes by key, and the edges."""
    boxes = {key: label.split("\\n")[0] for key, label in re.findall(r'(\w+) \[label="(.*?)"\];', text)}  # fmt: skip  # noqa: E501
    return boxes, {(boxes[a], boxes[b]) for a, b in re.findall(r"(\w+) -> (\w+);", text)}


def test_layers_and_edges():
    boxes, edges = drawn(str(model_to_dot(model())))
    names = {"x (InputLayer)", "inner (Sequential)", "right (Dense)", "both (Add)"}
    assert names <= set(boxes.values()) and len(boxes) == 5
    assert ("x (InputLayer)", "inner (Sequential)") in edges
    assert ("inner (Sequential)", "both (Add)") in edges
    assert ("right (Dense)", "both (Add)") in edges
    assert len(edges) == 5


def test_models_inside():
    text = model_to_dot(model(), expand_nested=True).to_string()
    boxes, edges = drawn(text)
    assert "inner (Sequential)" not in boxes.values()
    assert ("x (InputLayer)", "in_a (Dense)") in edges
    assert ("in_a (Dense)", "both (Add)") in edges
    assert 'subgraph "cluster_0_inner"' in text


def test_what_is_told():
    text = model_to_dot(
        model(),
        show_shapes=True,
        show_dtype=True,
        show_layer_names=False,
        show_layer_activations=True,
        show_trainable=True,
        expand_nested=True,
        rankdir="LR",
    ).to_string()
    told = (
        "Dense\\nActivation: relu\\nInput shape: (None, 3)\\nOutput shape: (None, 4)\\n"
        "Output dtype: float32\\nTrainable"
    )
    assert told in text
    assert "Non-trainable" in text and 'rankdir="LR"' in text and "right" not in text


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_svg(rankdir, tmp_path):
    path = tmp_path / "model.svg"
    plot_model(model(), path, show_shapes=True, show_layer_names=True, rankdir=rankdir)
    root = ElementTree.parse(path).getroot()
    space = {"svg": "http://www.w3.org/2000/svg"}
    texts = [text.text for text in root.findall("svg:text", space)]
    assert '"last" & <best> (Dense)' in texts and "Output shape: (None, 2)" in texts
    assert len(root.findall("svg:path", space)) == 5
    width, height = float(root.get("width")), float(root.get("height"))
    corners = []
    for box in root.findall("svg:rect", space)[1:]:
        x, y, w, h = (float(box.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for left, top, right, bottom in corners:  # no box covers another
            assert x >= right or x + w <= left or y >= bottom or y + h <= top
        corners.append((x, y, x + w, y + h))
    along = "y" if rankdir in ("TB", "BT") else "x"
    order = [float(box.get(along)) for box in root.findall("svg:rect", space)[1:]]
    assert (order[0] < order[-1]) == (rankdir in ("TB", "LR"))


def test_files(tmp_path):
    plot_model(model(), tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text().startswith("digraph")


def test_pixels(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    plot_model(model(), tmp_path / "model.png", dpi=72)
    with image_module.open(tmp_path / "model.png") as image:
        assert image.getextrema() == ((0, 255),) * 3


def test_a_subclassed_model_is_one_box():
    class Own(cornu.Model):
        def call(self, x):
            return x

    own = Own(name="own")
    own(cornu.ops.ones((2, 3)))
    assert drawn(str(model_to_dot(own))) == ({"layer_0": "own (Own)"}, set())


def test_errors():
    with pytest.raises(ValueError, match="not yet been built"):
        model_to_dot(cornu.Sequential([cornu.layers.Dense(1)]))
    with pytest.raises(ValueError, match="Unrecognized"):
        model_to_dot(model(), colour="red")
    with pytest.raises(ValueError, match="rankdir"):
        model_to_dot(model(), rankdir="up")
