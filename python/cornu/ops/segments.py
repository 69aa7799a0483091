"""Reductions over segments of the first axis."""

from __future__ import annotations

import math
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.creation import full
from cornu.ops.elementwise import limits
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor
from cornu.tensor import is_float_dtype

_scatter_nd = primitive("scatter_nd")
_select = primitive("where")
_reshape = primitive("reshape")


def _segmented(data: Any, segment_ids: Any, num_segments: Any, mode: str, empty: Any) -> Tensor:
    """Each segment combined with `empty(dtype)`, the value of one without elements."""
    data, ids = as_tensor(data), as_tensor(segment_ids, "int32")
    if num_segments is None:
        num_segments = int(ids.numpy().max()) + 1 if ids.size else 0
    # Negative ids belong to no segment, like those beyond the last, which nothing is written for.
    ids = _select(ids < 0, as_tensor(2**31 - 1, "int32"), ids)
    base = full((num_segments, *data.shape[1:]), empty(data.dtype), data.dtype)
    return _scatter_nd(base, _reshape(ids, shape=(-1, 1)), data, mode=mode)


_DOC = """The {what} of the entries of each segment.

    Args:
        data: A tensor.
        segment_ids: The segment of each entry of the first axis.
        num_segments: How many segments there are; by default the data tells.
        sorted: Accepted for compatibility.

    Returns:
        A tensor whose first axis runs over the segments.
    """


def _lowest(dtype: str) -> Any:
    return -math.inf if is_float_dtype(dtype) else limits(dtype)[0]


def _highest(dtype: str) -> Any:
    return math.inf if is_float_dtype(dtype) else limits(dtype)[1]


def _reduction(what: str, mode: str, empty: Any) -> Any:
    def function(
        data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
    ) -> Tensor:
        return _segmented(data, segment_ids, num_segments, mode, empty)

    function.__name__ = function.__qualname__ = f"segment_{what}"
    function.__doc__ = _DOC.format(what=what)
    return op(function)


segment_sum = _reduction("sum", "add", lambda dtype: 0)
segment_prod = _reduction("prod", "mul", lambda dtype: 1)
segment_max = _reduction("max", "max", _lowest)
segment_min = _reduction("min", "min", _highest)
