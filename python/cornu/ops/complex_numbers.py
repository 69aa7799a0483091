"""Functions of complex numbers: their parts, conjugates and angles."""

from __future__ import annotations

from typing import Any

from cornu._cornu import Tensor, primitive
from cornu.ops.elementwise import arctan2, equal, renamed
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor

_conj = primitive("conj")
_real = primitive("real")
_imag = primitive("imag")
_broadcast_to = primitive("broadcast_to")


@op
def real(x: Any) -> Tensor:
    """The real part of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A real tensor of the same shape.
    """
    x = as_tensor(x)
    return _real(x) if x.dtype.startswith("complex") else x


@op
def imag(x: Any) -> Tensor:
    """The imaginary part of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A real tensor of the same shape.
    """
    x = as_tensor(x)
    return (
        _imag(x)
        if x.dtype.startswith("complex")
        else _broadcast_to(as_tensor(0, x.dtype), shape=x.shape)
    )


@op
def conj(x: Any) -> Tensor:
    """The complex conjugate of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.
    """
    x = as_tensor(x)
    return _conj(x) if x.dtype.startswith("complex") else x


conjugate = renamed(conj, "conjugate")


@op
def isreal(x: Any) -> Tensor:
    """Whether the imaginary part of each element is zero.

    Args:
        x: A tensor of any shape.

    Returns:
        A `bool` tensor of the same shape.
    """
    return equal(imag(x), 0)


@op
def angle(x: Any) -> Tensor:
    """The angle of each complex number, in radians.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    return arctan2(imag(x), real(x))
