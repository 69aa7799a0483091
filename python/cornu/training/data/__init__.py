"""Batches for `fit`, `evaluate` and `predict`, from whatever data comes as."""

from __future__ import annotations

from cornu.training.data.source import (
    Source,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from cornu.training.data.sources import make_source

__all__ = ["Source", "make_source", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"]
