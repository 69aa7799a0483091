"""Formats of other runtimes: what is refused, and with which advice."""

import re

import pytest

import cornu
from cornu import layers
from reference import keras


def _model(library):
    return library.Sequential([library.Input((2,)), library.layers.Dense(1)], name="served")


REFUSED = {
    "tf_saved_model": NotImplementedError,
    "onnx": NotImplementedError,
    "openvino": NotImplementedError,
    "litert": ValueError,
    "torch": ValueError,
}


@pytest.mark.parametrize("format", REFUSED)
def test_formats_that_are_not_written_say_what_to_do(format, tmp_path):
    with pytest.raises(REFUSED[format], match=r"'served'.*model\.save.*Keras on .*") as raised:
        _model(cornu).export(tmp_path / "model", format=format)
    assert format in str(raised.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["litert", "torch", "saved_model", "nothing", None])
def test_keras_refuses_the_same(format, tmp_path):
    for library in (cornu, keras):
        with pytest.raises(ValueError):
            _model(library).export(tmp_path / "model", format=format)


def test_the_formats_are_those_of_keras(tmp_path):
    messages = []
    for library in (cornu, keras):
        with pytest.raises(ValueError) as raised:
            _model(library).export(tmp_path / "model", format="nothing")
        messages.append(re.findall("'.*'", str(raised.value)))
    assert messages[0] == messages[1]


SPEC = [layers.InputSpec(shape=(None, 2), dtype="float32")]
# What Keras refuses in an archive, whatever the backend.
WRONG_CALLS = [
    (lambda archive: archive.track(3), "type '<class 'int'>'"),
    (lambda archive: archive.track(layers.Dense(2)), "not yet been built"),
    (lambda archive: archive.add_endpoint("serve", abs, SPEC), "already taken"),
    (lambda archive: archive.add_endpoint("other", abs), "input_signature"),
    (lambda archive: archive.add_variable_collection("a", 3), "list/tuple/set"),
    (lambda archive: archive.add_variable_collection("a", [3]), "'int'"),
    (lambda archive: archive.track_and_add_endpoint("c", 3, SPEC), "type '<class 'int'>'"),
]


@pytest.mark.parametrize(("call", "message"), WRONG_CALLS)
def test_wrong_calls_of_an_archive(call, message):
    archive = cornu.export.ExportArchive()
    archive.add_endpoint("serve", abs, SPEC)
    with pytest.raises(ValueError, match=re.escape(message)):
        call(archive)


@pytest.mark.parametrize(
    ("format", "error"),
    [("neptune_model", NotImplementedError), ("tf_saved_model", ValueError), (None, ValueError)],
)
def test_formats_of_an_archive(format, error):
    for library in (cornu, keras):
        with pytest.raises(error):
            library.export.ExportArchive(format=format)


def test_an_archive_collects(tmp_path):
    model = _model(cornu)
    archive = cornu.export.ExportArchive()
    with pytest.raises(ValueError, match="No endpoints"):
        archive.write_out(tmp_path / "model")
    archive.track_and_add_endpoint("serve", model, SPEC)
    archive.track(model)
    archive.add_variable_collection("kernels", {model.layers[0].kernel})
    assert archive.variables == archive.trainable_variables == model.variables
    assert archive.non_trainable_variables == []
    assert archive.kernels == [model.layers[0].kernel]
    with pytest.raises(NotImplementedError, match=r"model\.save"):
        archive.write_out(tmp_path / "model")
