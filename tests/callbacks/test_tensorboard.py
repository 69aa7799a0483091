"""Event files, read back by a small decoder of their own."""

import struct

import numpy as np
import pytest

import cornu
from cornu.callbacks import TensorBoard, events


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(data):
    """The fields of a message, as lists by number."""
    found, at = {}, 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        else:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        found.setdefault(number, []).append(value)
    return found


def _events(folder):
    (path,) = folder.glob("events.out.tfevents.*.v2")
    data, at = path.read_bytes(), 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        body = data[at + 12 : at + 12 + size]
        checks = (
            struct.unpack_from("<I", data, at + 8)[0],
            struct.unpack_from("<I", data, at + 12 + size)[0],
        )
        assert checks == (events.masked_crc32c(data[at : at + 8]), events.masked_crc32c(body))
        yield _fields(body)
        at += size + 16


def _scalars(folder):
    found = {}
    for event in _events(folder):
        for summary in event.get(5, []):
            value = _fields(_fields(summary)[1][0])
            tensor = _fields(value[8][0])
            if tensor[1] == [1]:
                step = event.get(2, [0])[0]
                number = struct.unpack("<f", tensor[4][0])[0]
                found.setdefault(value[1][0].decode(), {})[step] = number
    return found


def _fit(tmp_path, **kwargs):
    model = cornu.Sequential([cornu.Input((3,)), cornu.layers.Dense(1, name="dense")])
    model.compile(cornu.optimizers.SGD(0.25), "mse")
    x = np.ones((8, 3), "float32")
    board = TensorBoard(tmp_path, **kwargs)
    return model.fit(
        x,
        np.zeros(8),
        batch_size=4,
        epochs=3,
        validation_data=(x, np.ones(8)),
        callbacks=[board],
        verbose=0,
    ).history


def test_checksum():
    # The check value of CRC-32C, rotated and offset.
    crc = 0xE3069283
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert events.masked_crc32c(b"123456789") == expected


def test_values_of_epochs(tmp_path):
    history = _fit(tmp_path)
    first = next(_events(tmp_path / "train"))
    assert first[3] == [b"brain.Event:2"]
    train, held = _scalars(tmp_path / "train"), _scalars(tmp_path / "validation")
    for epoch in range(3):
        assert train["epoch_loss"][epoch] == pytest.approx(history["loss"][epoch])
        assert held["epoch_loss"][epoch] == pytest.approx(history["val_loss"][epoch])
        assert train["epoch_learning_rate"][epoch] == 0.25
    assert sorted(held["evaluation_loss_vs_iterations"]) == [2, 4, 6]


@pytest.mark.parametrize("update_freq, steps", [("batch", [1, 2, 3, 4, 5, 6]), (3, [3, 6])])
def test_values_of_batches(tmp_path, update_freq, steps):
    _fit(tmp_path, update_freq=update_freq, write_steps_per_second=True)
    train = _scalars(tmp_path / "train")
    assert sorted(train["batch_loss"]) == steps
    assert all(value > 0 for value in train["epoch_steps_per_second"].values())


def test_histograms_images_and_text(tmp_path):
    _fit(tmp_path, histogram_freq=2, write_images=True)
    kinds = {}
    for event in _events(tmp_path / "train"):
        for summary in event.get(5, []):
            value = _fields(_fields(summary)[1][0])
            plugin = _fields(_fields(value[9][0])[1][0])[1][0].decode()
            step = event.get(2, [0])[0]
            kinds.setdefault((plugin, value[1][0].decode()), []).append((step, value[8][0]))
    name = "sequential/dense/kernel"
    assert [step for step, _ in kinds["histograms", f"{name}/histogram"]] == [0, 2]
    rows = _fields(kinds["histograms", f"{name}/histogram"][0][1])[4][0]
    rows = np.frombuffer(rows, "<f8").reshape(-1, 3)
    assert rows[:, 2].sum() == 3 and (rows[:, 0] <= rows[:, 1]).all()
    png = _fields(kinds["images", f"{name}/image"][0][1])[8]
    assert png[:2] == [b"1", b"3"] and png[2].startswith(b"\x89PNG")
    assert b"Sequential" in kinds["text", "keras"][0][1]


def test_embeddings_for_the_projector(tmp_path):
    model = cornu.Sequential([cornu.Input((2,)), cornu.layers.Embedding(4, 2, name="table")])
    model.compile("sgd", "mse")
    board = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"table": "names.tsv"})
    model.fit(np.zeros((2, 2)), np.zeros((2, 2, 2)), callbacks=[board], verbose=0)
    table = np.loadtxt(tmp_path / "train" / "table.tsv")
    np.testing.assert_allclose(table, model.get_weights()[0], rtol=1e-5)
    assert "names.tsv" in (tmp_path / "train" / "projector_config.pbtxt").read_text()
