"""Attention."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.activation import softmax
from cornu.ops.creation import lower_triangle
from cornu.ops.elementwise import limits, tanh
from cornu.ops.manipulation import expand_dims, repeat, transpose
from cornu.ops.operation import op
from cornu.ops.products import matmul
from cornu.ops.promotion import as_tensor, promoted

_attention = primitive("attention")
_select = primitive("where")


@op
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """`softmax(query key^T * scale + bias) value`: Vaswani et al., 2017, arXiv:1706.03762.

    Works block by block, so that the scores are never there as a whole (Dao et al., 2022,
    arXiv:2205.14135); with a bias or a soft cap they are.

    Args:
        query: `(batch, queries, heads, depth)`.
        key: `(batch, keys, key heads, depth)`; each key head serves as many heads of `query`.
        value: `(batch, keys, key heads, depth)`.
        bias: Added to the scores, broadcasting to `(batch, heads, queries, keys)`.
        mask: Which scores count, broadcasting to the same.
        scale: What the scores are multiplied with; `1 / sqrt(depth)` by default.
        is_causal: Whether a query attends to no later key.
        flash_attention: Accepted for compatibility.
        attn_logits_soft_cap: The bound that scores are brought under through `tanh`.

    Returns:
        `(batch, queries, heads, depth)`.

    Raises:
        ValueError: a tensor has not four axes.
    """
    query, key, value = promoted(query, key, value, floating=True)
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.ndim != 4:
            raise ValueError(
                "`dot_product_attention` only supports 4D inputs. "
                f"Received: {name}.shape={tuple(x.shape)}."
            )
    dtype = query.dtype
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    allowed = None if mask is None else as_tensor(mask, "bool")
    if bias is None and attn_logits_soft_cap is None and isinstance(scale, Real):
        masks = () if allowed is None else (allowed,)
        return _attention(
            query,
            key,
            value,
            *masks,
            scale=float(scale),
            causal=bool(is_causal),
            use_mask=allowed is not None,
        )
    heads, key_heads = query.shape[2], key.shape[2]
    if heads != key_heads:
        key, value = (repeat(x, heads // key_heads, axis=2) for x in (key, value))
    query, key, value = (transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    scores = matmul(query, transpose(key, (0, 1, 3, 2)))
    if dtype in ("float16", "bfloat16"):
        scores = as_tensor(scores, "float32")
    scores = scores * scale
    if attn_logits_soft_cap is not None:
        scores = tanh(scores / attn_logits_soft_cap) * attn_logits_soft_cap
    if bias is not None:
        scores = scores + as_tensor(bias, scores.dtype)
    if is_causal:
        past = expand_dims(lower_triangle(*scores.shape[-2:]), (0, 1))
        allowed = past if allowed is None else allowed & past
    if allowed is not None:
        # Far below every score, and still finite after a bias.
        lowest = 0.7 * limits(scores.dtype)[0]
        scores = _select(allowed, scores, as_tensor(lowest, scores.dtype))
    weights = as_tensor(softmax(scores), dtype)
    return transpose(matmul(weights, value), (0, 2, 1, 3))
