"""Functions of bits and of truth values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.elementwise import (
    BINARY,
    abs,
    equal,
    finish,
    isfinite,
    isnan,
    less_equal,
    numbers,
    renamed,
    unary,
)
from cornu.ops.operation import op
from cornu.ops.promotion import as_tensor, promoted


def bitwise(name: str, doc: str, *, spelled: str | None = None) -> Callable[[Any, Any], Tensor]:
    """The function `name(x, y)` of integers: the primitive `spelled`."""
    apply = primitive(spelled or name, promote="result")

    def function(x: Any, y: Any) -> Tensor:
        return apply(x, y)

    return finish(function, name, doc + BINARY.format(a="x", b="y"))


bitwise_not = unary("bitwise_not", "result", "Each bit inverted.")
bitwise_and = bitwise("bitwise_and", "The bits that are set in both.")
bitwise_or = bitwise("bitwise_or", "The bits that are set in either.")
bitwise_xor = bitwise("bitwise_xor", "The bits that are set in one of the two.")
bitwise_invert = renamed(bitwise_not, "bitwise_invert")
_left_shift = primitive("left_shift", promote="result")
_right_shift = primitive("right_shift", promote="result")
_logical = {name: primitive(f"logical_{name}") for name in ("not", "and", "or", "xor")}


@op
def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    """The bits of `x` moved left by `y` places.

    Args:
        x: A tensor of integers.
        y: A tensor of integers whose shape broadcasts with that of `x`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _left_shift(*numbers(x, y))


@op
def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    """The bits of `x` moved right by `y` places.

    Args:
        x: A tensor of integers.
        y: A tensor of integers whose shape broadcasts with that of `x`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _right_shift(*numbers(x, y))


left_shift = renamed(bitwise_left_shift, "left_shift")
right_shift = renamed(bitwise_right_shift, "right_shift")


def _logical_binary(name: str, doc: str) -> Callable[[Any, Any], Tensor]:
    apply = _logical[name]

    def function(x1: Any, x2: Any) -> Tensor:
        return apply(as_tensor(x1, "bool"), as_tensor(x2, "bool"))

    return finish(function, f"logical_{name}", doc + BINARY.format(a="x1", b="x2"))


logical_and = _logical_binary("and", "Whether both elements are true.")
logical_or = _logical_binary("or", "Whether either element is true.")
logical_xor = _logical_binary("xor", "Whether exactly one element is true.")


@op
def logical_not(x: Any) -> Tensor:
    """Whether each element is false.

    Args:
        x: A tensor of any shape.

    Returns:
        A `bool` tensor of the same shape.
    """
    return _logical["not"](as_tensor(x, "bool"))


@op
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`, element by element.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.
        rtol: The tolerance relative to `x2`.
        atol: The absolute tolerance.
        equal_nan: Whether two that are not numbers are close.

    Returns:
        A `bool` tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2, floating=True)
    close = less_equal(abs(x1 - x2), atol + rtol * abs(x2))
    finite = logical_and(isfinite(x1), isfinite(x2))
    close = logical_or(logical_and(close, finite), equal(x1, x2))
    return logical_or(close, logical_and(isnan(x1), isnan(x2))) if equal_nan else close
