"""Profiles: the figures of each step, as a table, a picture and a trace."""

import json
import xml.etree.ElementTree as xml

import numpy as np
import pytest

import cornu
from cornu import layers
from cornu.profiling import Profile, Step

X = np.ones((4, 6, 6, 2), "float32")
Y = np.zeros(4, "int32")


@pytest.fixture(scope="module")
def model():
    model = cornu.Sequential(
        [
            cornu.Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    model.compile("sgd", cornu.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


# A multiply-add counts as two operations: taps x channels x positions x filters.
FLOPS = {"Conv": 2 * 4 * 16 * 9 * 2 * 3, "Dense": 2 * 4 * 48 * 5}


@pytest.mark.parametrize("kernel", FLOPS)
def test_operations_follow_from_shapes(model, kernel):
    (step,) = [s for s in cornu.profile(model, X, repeats=1).steps if kernel in s.kernel]
    assert step.flops == FLOPS[kernel]
    assert step.seconds > 0


@pytest.mark.parametrize("data", [(X,), (X, Y)], ids=["predict", "train"])
def test_the_table_tells_the_share_of_the_peak(model, data):
    profile = cornu.profile(model, *data, repeats=2)
    header, _, *rows, total = str(profile).splitlines()
    assert "of peak" in header
    assert len(rows) == len(profile.steps)
    assert total.startswith(f"{len(rows)} steps, ")
    assert "of the peak of" in total
    assert profile.peak > 1e8


STEPS = [
    Step("a/b", "Conv { activation: Some(Relu) }", "float32[2, 3]", 2e-6, 4000),
    Step("a/b", "Softmax", "float32[2, 3]", 1e-6, 0),
    Step("", "Fused(add < multiply)", "float32[]", 1e-6, 1000),
]


def test_a_trace_follows_the_format(tmp_path):
    path = tmp_path / "trace.json"
    Profile(STEPS, peak=4e9).save(path)
    trace = json.loads(path.read_text())
    layer, *steps = trace["traceEvents"]
    assert (layer["name"], layer["ts"], layer["dur"]) == ("a/b", 0, pytest.approx(3))
    assert [step["name"] for step in steps] == ["Conv Relu", "Softmax", "Fused(add < multiply)"]
    assert [step["ts"] for step in steps] == pytest.approx([0, 2, 3])
    assert [step["dur"] for step in steps] == pytest.approx([2, 1, 1])
    assert {(event["ph"], event["pid"], event["tid"]) for event in trace["traceEvents"]} == {
        ("X", 0, 0)
    }
    assert steps[0]["args"] == {
        "step": 0,
        "kernel": STEPS[0].kernel,
        "result": "float32[2, 3]",
        "µs": "2.0",
        "share": "50.0%",
        "GFLOP/s": "2.0",
        "of peak": "50.0%",
    }


def test_the_picture_is_as_long_as_the_times(tmp_path):
    path = tmp_path / "profile.svg"
    profile = Profile(STEPS, peak=4e9)
    profile.save(path)
    assert path.read_text() == profile._repr_svg_()
    root = xml.fromstring(path.read_text())
    space = "{http://www.w3.org/2000/svg}"
    bars = [float(bar.get("width")) for bar in root.findall(f"{space}g/{space}rect")]
    assert bars == [300, 150, 150]
    assert "50.0% of peak" in "".join(root.itertext())


def test_a_picture_of_a_long_plan_is_short():
    root = xml.fromstring(Profile(STEPS * 1000)._repr_svg_())
    assert len(root) == 2 + 61
    assert "2940 other steps" in "".join(root.itertext())


def test_what_was_not_measured(model, tmp_path):
    profile = cornu.profile(model, X, repeats=0)
    assert profile.peak == 0
    assert profile.memory > 0
    total = f"{len(profile.steps)} steps, {profile.memory / 1e6:.1f} MB"
    assert str(profile).splitlines()[-1] == total
    xml.fromstring(profile._repr_svg_())
    with pytest.raises(ValueError, match="without times"):
        profile.save(tmp_path / "trace.json")
    with pytest.raises(ValueError, match=r"\.json or \.svg"):
        Profile(STEPS).save(tmp_path / "trace.png")
    assert not list(tmp_path.iterdir())
