"""Sequences of equal length; Keras 2's generators of windows and pairs."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.legacy.sequences": "TimeseriesGenerator make_sampling_table skipgrams",
        "cornu.utils": "pad_sequences",
    },
)
