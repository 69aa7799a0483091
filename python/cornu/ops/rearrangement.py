"""Axes named, split, merged and reordered by a pattern: Rogozhnikov, einops, ICLR 2022."""

from __future__ import annotations

import re
from typing import Any

from cornu._cornu import Tensor
from cornu.ops.manipulation import reshape, transpose
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor
from cornu.ops.shapes import product

_TOKEN = re.compile(r"\(|\)|\.\.\.|\w+")


def _groups(text: str, dots: list[str]) -> list[list[str]]:
    """The axes of one side, each as the names that it is made of."""
    groups: list[list[str]] = []
    inside = False
    for token in _TOKEN.findall(text):
        if token == "(":
            inside = True
            groups.append([])
        elif token == ")":
            inside = False
        else:
            names = dots if token == "..." else [] if token == "1" else [token]
            if inside:
                groups[-1] += names
            elif token == "...":
                groups += [[name] for name in names]
            else:
                groups.append(list(names))
    return groups


@op
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """The tensor with its axes split, merged and reordered as a pattern says.

    Args:
        tensor: A tensor.
        pattern: The axes before and after: `"b (h w) c -> b c h w"`; parentheses join several
            names in one axis, `...` stands for the axes not named, 1 for a new one.
        **axes_lengths: The sizes of names that the shape alone does not tell.

    Returns:
        A tensor.

    Raises:
        ValueError: the pattern does not fit the tensor.

    >>> ops.rearrange(ops.ones((2, 6, 3)), "b (h w) c -> b c h w", h=2).shape
    (2, 3, 2, 3)
    """
    x = as_tensor(tensor)
    before, arrow, after = pattern.partition("->")
    if not arrow:
        raise ValueError(f"A pattern has two sides with '->' between. Received: {pattern}")
    extra = x.ndim - len(_groups(before, []))
    dots = [f".{i}" for i in range(extra)] if "..." in before else []
    left, right = _groups(before, dots), _groups(after, dots)
    if len(left) != x.ndim:
        raise ValueError(f"Pattern '{pattern}' does not fit a tensor of shape {tuple(x.shape)}.")
    sizes: dict[str, Any] = dict(axes_lengths)
    for names, size in zip(left, x.shape, strict=True):
        unknown = [name for name in names if name not in sizes]
        if len(unknown) > 1:
            raise ValueError(f"Pattern '{pattern}' leaves the sizes of {unknown} open.")
        for name in unknown:
            sizes[name] = size // product([sizes[n] for n in names if n != name])
    order = [name for names in left for name in names]
    target = [name for names in right for name in names]
    if sorted(order) != sorted(target):
        raise ValueError(f"Both sides of pattern '{pattern}' must hold the same names.")
    x = reshape(x, [sizes[name] for name in order])
    x = transpose(x, [order.index(name) for name in target])
    return reshape(x, [product([sizes[name] for name in names]) for names in right])
