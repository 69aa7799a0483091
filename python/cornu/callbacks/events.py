"""Event files that TensorBoard reads: TFRecords of protocol buffers, written by hand.

A record is its length, a checksum of the length, the data and a checksum of the data. The data is
a message `Event`; of the schemas of `Event`, `Summary` and `Tensor` only the fields in use are
encoded here.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any

import numpy as np


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """Returns the checksum of a record: CRC-32C, rotated and offset as TFRecords have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Returns data framed as a TFRecord."""
    length = struct.pack("<Q", len(data))
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
    return length + next(checksums) + data + next(checksums)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    value &= 0xFFFFFFFFFFFFFFFF  # negative numbers as 64 bits of two's complement
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


_FLOAT, _STRING, _DOUBLE = 1, 7, 2  # of the enum DataType


def _tensor(dtype: int, shape: Iterable[int], content: bytes) -> bytes:
    """A message `TensorProto`: dtype, shape, then the content."""
    sizes = b"".join(_bytes(2, _integer(1, size)) for size in shape)
    return _integer(1, dtype) + _bytes(2, sizes) + content


def _value(tag: str, plugin: str, tensor: bytes) -> bytes:
    """A message `Summary` of one value for a plugin of TensorBoard."""
    metadata = _bytes(1, _bytes(1, plugin))
    return _bytes(1, _bytes(1, tag) + _bytes(9, metadata) + _bytes(8, tensor))


def scalar_summary(tag: str, value: float) -> bytes:
    """Returns the summary of a number."""
    return _value(tag, "scalars", _tensor(_FLOAT, (), _bytes(4, struct.pack("<f", value))))


def histogram_summary(tag: str, values: Any, bins: int = 30) -> bytes:
    """Returns the summary of an array: how many of its elements lie in each of some intervals."""
    values = np.asarray(values, dtype="float64").ravel()
    values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, bins=bins if len(values) else 1)
    rows = np.stack([edges[:-1], edges[1:], counts], axis=1).astype("<f8")
    return _value(tag, "histograms", _tensor(_DOUBLE, rows.shape, _bytes(4, rows.tobytes())))


def text_summary(tag: str, text: str) -> bytes:
    """Returns the summary of a text."""
    return _value(tag, "text", _tensor(_STRING, (), _bytes(8, text)))


def image_summary(tag: str, pngs: Iterable[bytes], width: int, height: int) -> bytes:
    """Returns the summary of images, each encoded as PNG."""
    parts = [str(width).encode(), str(height).encode(), *pngs]
    content = b"".join(_bytes(8, part) for part in parts)
    return _value(tag, "images", _tensor(_STRING, (len(parts),), content))


class EventWriter:
    """Writes an event file.

    Args:
        log_dir: folder of the file; made if it isn't there.

    >>> writer = EventWriter("logs/train")
    >>> writer.write(scalar_summary("loss", 0.5), step=1)
    """

    _count = 0

    def __init__(self, log_dir: str) -> None:
        os.makedirs(log_dir, exist_ok=True)
        EventWriter._count += 1
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}"
        self.path = os.path.join(log_dir, f"{name}.{EventWriter._count}.v2")
        self._file = open(self.path, "wb")  # noqa: SIM115
        self._file.write(record(_double(1, now) + _bytes(3, "brain.Event:2")))
        self._file.flush()

    def write(self, summary: bytes, step: int) -> None:
        """Writes a summary of a step."""
        self._file.write(record(_double(1, time.time()) + _integer(2, step) + _bytes(5, summary)))

    def flush(self) -> None:
        """Makes what was written readable."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
