"""Products of tensors: matrix, dot, outer, Kronecker, einsum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cornu._cornu import Tensor, are_matrices, primitive
from cornu.ops.elementwise import multiply, subtract
from cornu.ops.manipulation import (
    diagonal,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    squeeze,
    stack,
    transpose,
)
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, numeric, promoted
from cornu.ops.reduction import mean, sum
from cornu.ops.shapes import as_shape, is_one, normalize_axes, product

# Of tensors of one dtype and at least two axes; the product of int8 is int32.
_matmul = primitive("matmul")


def _wide(x: Tensor) -> Tensor:
    """The tensor with room for sums: int32 in place of int8."""
    return as_tensor(x, "int32") if x.dtype == "int8" else x


@op
def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product over the last two axes; the axes before broadcast.

    Args:
        x1: A tensor `(..., n, k)`, or `(k,)`.
        x2: A tensor `(..., k, m)`, or `(k,)`.

    Returns:
        A tensor `(..., n, m)`, without the axis that a vector lacks.

    Raises:
        ValueError: the inner sizes differ.
    """
    if are_matrices(x1, x2):
        return _matmul(x1, x2)
    a, b = promoted(x1, x2)
    if are_matrices(a, b):
        return _matmul(a, b)
    # int8 products need the room of int32; those of int8 with bool have none.
    roomy = all(as_tensor(x).dtype == "int8" for x in (x1, x2))
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("matmul takes tensors of at least one axis; got a scalar.")
    dtype = "int32" if roomy else a.dtype
    if dtype == "bool":
        a, b = numeric(a), numeric(b)
    lines = a.ndim == 1, b.ndim == 1
    a = expand_dims(a, 0) if lines[0] else a
    b = expand_dims(b, 1) if lines[1] else b
    y = _matmul(a, b)
    gone = tuple(axis for axis, line in zip((-2, -1), lines, strict=True) if line)
    return as_tensor(squeeze(y, gone) if gone else y, dtype)


@op
def dot(x1: Any, x2: Any) -> Tensor:
    """The sum product over the last axis of `x1` and the last but one of `x2`.

    Args:
        x1: A tensor.
        x2: A tensor; of one axis, that one is meant.

    Returns:
        A tensor with the other axes of both.
    """
    x1, x2 = promoted(x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return multiply(x1, x2)
    return tensordot(x1, x2, ([-1], [-1 if x2.ndim == 1 else -2]))


@op
def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of the products of all elements, those of `x1` conjugated.

    Args:
        x1: A tensor.
        x2: A tensor of as many elements.

    Returns:
        A scalar.
    """
    from cornu.ops.complex_numbers import conj

    return dot(ravel(conj(x1)), ravel(x2))


@op
def inner(x1: Any, x2: Any) -> Tensor:
    """The sum product over the last axes of both.

    Args:
        x1: A tensor.
        x2: A tensor whose last axis has the same size.

    Returns:
        A tensor with the other axes of both.
    """
    x1, x2 = promoted(x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return multiply(x1, x2)
    return tensordot(x1, x2, ([-1], [-1]))


@op
def outer(x1: Any, x2: Any) -> Tensor:
    """The products of each element of `x1` with each of `x2`.

    Args:
        x1: A tensor, taken flat.
        x2: A tensor, taken flat.

    Returns:
        A tensor of two axes.
    """
    return multiply(reshape(as_tensor(x1), (-1, 1)), ravel(x2))


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sum product over axes.

    Args:
        x1: A tensor.
        x2: A tensor.
        axes: How many of the last axes of `x1` and the first of `x2`; or a pair of their lists.

    Returns:
        A tensor with the other axes of both.
    """
    x1, x2 = promoted(x1, x2)
    if isinstance(axes, int):
        first, second = tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes))
    else:
        first, second = (normalize_axes(a, x.ndim) for a, x in zip(axes, (x1, x2), strict=True))
    summed = [[x.shape[i] for i in axes] for x, axes in ((x1, first), (x2, second))]
    if len(first) != len(second) or any(
        isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(*summed, strict=True)
    ):
        raise ValueError(
            f"The sizes that are summed over differ: {summed[0]} in shape {tuple(x1.shape)}, "
            f"{summed[1]} in shape {tuple(x2.shape)}"
        )
    dtype = x1.dtype
    rest1 = tuple(i for i in range(x1.ndim) if i not in first)
    rest2 = tuple(i for i in range(x2.ndim) if i not in second)
    inside = product([x1.shape[i] for i in first])
    shape = (*(x1.shape[i] for i in rest1), *(x2.shape[i] for i in rest2))
    a = reshape(transpose(x1, rest1 + first), (product([x1.shape[i] for i in rest1]), inside))
    b = reshape(transpose(x2, second + rest2), (inside, product([x2.shape[i] for i in rest2])))
    y = reshape(_matmul(numeric(a), numeric(b)), shape)
    return as_tensor(y, dtype)


@op
def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product.

    Args:
        x1: A tensor.
        x2: A tensor.

    Returns:
        A tensor whose sizes are the products of those of both.
    """
    x1, x2 = promoted(x1, x2)
    ndim = x1.ndim if x1.ndim > x2.ndim else x2.ndim
    shape1 = (1,) * (ndim - x1.ndim) + tuple(x1.shape)
    shape2 = (1,) * (ndim - x2.ndim) + tuple(x2.shape)
    spread1 = tuple(n for size in shape1 for n in (size, 1))
    spread2 = tuple(n for size in shape2 for n in (1, size))
    y = multiply(reshape(x1, spread1), reshape(x2, spread2))
    return reshape(y, tuple(a * b for a, b in zip(shape1, shape2, strict=True)))


@op
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """The cross product of vectors of two or three coordinates.

    Args:
        x1: A tensor.
        x2: A tensor.
        axisa: The axis of the coordinates in `x1`.
        axisb: The axis of the coordinates in `x2`.
        axisc: The axis of the coordinates in the result.
        axis: All three at once.

    Returns:
        A tensor; without the coordinates' axis if all vectors lie in the plane.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = promoted(x1, x2)
    x1, x2 = moveaxis(x1, axisa, -1), moveaxis(x2, axisb, -1)
    for x in (x1, x2):
        if x.shape[-1] not in (2, 3):
            raise ValueError(
                "`x1`'s and `x2`'s dim on `axis` must be 2 or 3. "
                f"Received: {tuple(x1.shape)} and {tuple(x2.shape)}"
            )
    a, b = ([x[..., i] for i in range(x.shape[-1])] for x in (x1, x2))
    flat = len(a) == len(b) == 2
    last = subtract(multiply(a[0], b[1]), multiply(a[1], b[0]))
    if flat:
        return last
    a, b = (v if len(v) == 3 else [*v, as_tensor(0, v[0].dtype)] for v in (a, b))
    parts = [subtract(multiply(a[i], b[j]), multiply(a[j], b[i])) for i, j in ((1, 2), (2, 0))]
    from cornu.ops.manipulation import broadcast_together

    return moveaxis(stack(broadcast_together(*parts, last), -1), -1, axisc)


@op
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The cross-correlation of two sequences.

    Args:
        x1: A tensor of one axis.
        x2: A tensor of one axis.
        mode: `"valid"`, `"same"` or `"full"`.

    Returns:
        A float tensor of one axis.
    """
    from cornu.ops.convolution import conv
    from cornu.ops.manipulation import flip, pad

    if mode not in ("valid", "same", "full"):
        raise ValueError(f"mode must be 'valid', 'same' or 'full'. Received: mode={mode}")
    x1, x2 = promoted(x1, x2, floating=True)
    n, m = int(x1.shape[0]), int(x2.shape[0])
    if n < m:
        y = correlate(x2, x1, "full" if mode == "full" else mode)
        return flip(y) if mode != "same" else flip(_middle(correlate(x2, x1, "full"), m))
    full = conv(
        reshape(pad(x1, (m - 1, m - 1)), (1, -1, 1)), reshape(x2, (-1, 1, 1)),
        data_format="channels_last",
    )  # fmt: skip
    full = ravel(full)
    if mode == "full":
        return full
    return full[m - 1 : n] if mode == "valid" else _middle(full, n)


def _middle(x: Tensor, size: int) -> Tensor:
    start = (x.shape[0] - size) // 2
    return x[start : start + size]


@op
def corrcoef(x: Any) -> Tensor:
    """The correlation coefficients of variables.

    Args:
        x: A tensor `(variables, observations)`.

    Returns:
        A float tensor `(variables, variables)`.
    """
    from cornu.ops.elementwise import clip, sqrt
    from cornu.ops.manipulation import diag

    x = as_float(x)
    if x.ndim == 0:
        return x / x
    line = x.ndim == 1
    x = reshape(x, (1, -1)) if line else x
    x = x - mean(x, axis=-1, keepdims=True)
    covariance = _matmul(x, x, transpose_b=True)
    scale = sqrt(diag(covariance))
    y = clip(covariance / expand_dims(scale, 1) / expand_dims(scale, 0), -1.0, 1.0)
    return reshape(y, ()) if line else y


# einsum


@op
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sums of products, in Einstein's notation.

    Args:
        subscripts: The letters of each operand's axes and of the result's: `"ij,jk->ik"`; `...`
            stands for axes that broadcast.
        *operands: The tensors.

    Returns:
        A tensor.

    Raises:
        ValueError: the letters do not fit the operands.

    >>> ops.einsum("ij->ji", ops.ones((2, 3))).shape
    (3, 2)
    """
    inputs, output = _parsed(subscripts, [len(as_shape(_shape(x))) for x in operands])
    tensors = promoted(*operands)
    dtype = tensors[0].dtype
    if dtype == "bool":
        tensors = [as_tensor(x, "int32") for x in tensors]
    terms = [_plain(x, letters) for x, letters in zip(tensors, inputs, strict=True)]
    while len(terms) > 1:
        first, second, *rest = terms
        needed = set(output).union(*(letters for _, letters in rest))
        terms = [_contracted(first, second, needed), *rest]
    x, letters = terms[0]
    x, letters = _summed(_wide(x), letters, set(output))
    x = transpose(x, [letters.index(letter) for letter in output])
    return as_tensor(x, "bool") if dtype == "bool" else x


def _shape(x: Any) -> Any:
    return x.shape if hasattr(x, "shape") else as_tensor(x).shape


def _parsed(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with capital-free names for `...`."""
    text = re.sub(r"\s", "", subscripts)
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks):
        raise ValueError(
            f"einsum '{subscripts}' names {len(inputs)} operands, but {len(ranks)} were given."
        )
    spare = [chr(c) for c in range(0x3B1, 0x3B1 + 25)]
    widest = 0
    for i, (letters, rank) in enumerate(zip(inputs, ranks, strict=True)):
        missing = rank - len(letters.replace("...", ""))
        if missing < 0 or (missing and "..." not in letters):
            raise ValueError(
                f"einsum '{subscripts}': operand {i} has {rank} axes, '{letters}' names another "
                "number."
            )
        widest = missing if missing > widest else widest
        inputs[i] = letters.replace("...", "".join(spare[24 - missing : 24]))
    dots = "".join(spare[24 - widest : 24])
    if arrow:
        output = output.replace("...", dots)
    else:
        every = "".join(inputs)
        once = sorted(c for c in set(every) if every.count(c) == 1 and c not in dots)
        output = dots + "".join(once)
    unknown = set(output) - set("".join(inputs))
    if unknown or len(set(output)) != len(output):
        raise ValueError(
            f"einsum '{subscripts}': the result's letters must be the operands', once."
        )
    return inputs, output


def _plain(x: Tensor, letters: str) -> tuple[Tensor, str]:
    """The term with each letter once: axes that share one become their diagonal."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            x = diagonal(x, 0, first, second)
            letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + letter
    return x, letters


def _summed(x: Tensor, letters: str, needed: set[str]) -> tuple[Tensor, str]:
    """The term without the axes that nothing else needs."""
    gone = tuple(i for i, letter in enumerate(letters) if letter not in needed)
    if gone:
        x = _wide(x)
        x = as_tensor(sum(x, axis=gone), x.dtype)
    return x, "".join(letter for letter in letters if letter in needed)


def _contracted(
    first: tuple[Tensor, str], second: tuple[Tensor, str], needed: set[str]
) -> tuple[Tensor, str]:
    """The product of two terms, summed over the letters that nothing else needs."""
    x, a = _summed(*first, needed | set(second[1]))
    y, b = _summed(*second, needed | set(first[1]))
    size_x, size_y = dict(zip(a, x.shape, strict=True)), dict(zip(b, y.shape, strict=True))
    # A size of 1 against another one broadcasts: it is no axis of the term at all.
    for letter in set(a) & set(b):
        if is_one(size_x[letter]) and not is_one(size_y[letter]):
            x, a = squeeze(x, a.index(letter)), a.replace(letter, "")
        elif is_one(size_y[letter]) and not is_one(size_x[letter]):
            y, b = squeeze(y, b.index(letter)), b.replace(letter, "")
    x, a = _summed(x, a, needed | set(b))
    y, b = _summed(y, b, needed | set(a))
    shared = [letter for letter in a if letter in b]
    batch = [letter for letter in shared if letter in needed]
    inside = [letter for letter in shared if letter not in needed]
    rows = [letter for letter in a if letter not in shared]
    columns = [letter for letter in b if letter not in shared]
    if not inside:
        left = reshape(
            transpose(x, [a.index(c) for c in batch + rows]),
            [size_x[c] for c in batch + rows] + [1] * len(columns),
        )
        right = reshape(
            transpose(y, [b.index(c) for c in batch + columns]),
            [size_y[c] for c in batch] + [1] * len(rows) + [size_y[c] for c in columns],
        )
        return multiply(_wide(left), _wide(right)), "".join(batch + rows + columns)
    x = _grouped(transpose(x, [a.index(c) for c in batch + rows + inside]), len(batch), len(rows))
    # The order that needs no copy of the second operand where there is one.
    turned = bool(columns) and b.index(columns[-1]) < b.index(inside[-1])
    order = batch + columns + inside if turned else batch + inside + columns
    y = transpose(y, [b.index(c) for c in order])
    y = _grouped(y, len(batch), len(columns) if turned else len(inside))
    z = _matmul(*promoted(x, y), transpose_b=turned)
    shape = [size_x[c] for c in batch + rows] + [size_y[c] for c in columns]
    return reshape(z, shape), "".join(batch + rows + columns)


def _grouped(x: Tensor, batch: int, first: int) -> Tensor:
    """`(*batch, first axes as one, other axes as one)`."""
    shape = tuple(x.shape)
    split = batch + first
    return reshape(x, (*shape[:batch], product(shape[batch:split]), product(shape[split:])))
