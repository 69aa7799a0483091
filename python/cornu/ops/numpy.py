"""The functions that numpy has too: `keras.ops.numpy`."""

from cornu.lazy import attach
from cornu.ops import _FAMILIES

_WHOLE = (
    ".complex_numbers",
    ".creation",
    ".elementwise",
    ".indexing",
    ".logic",
    ".manipulation",
    ".nan_reduction",
    ".products",
    ".quantiles",
    ".reduction",
    ".selection",
)
_OTHERS = {"erf", "erfc", "erfinv", "rsqrt", "logsumexp", "in_top_k", "top_k"}
_NAMES = {name for family in _WHOLE for name in _FAMILIES[family].split()} - _OTHERS

__getattr__, __dir__, __all__ = attach(
    __name__, {"cornu.ops": " ".join(sorted({*_NAMES, "ndim", "size", "slogdet"}))}
)
