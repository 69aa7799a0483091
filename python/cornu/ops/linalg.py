"""Decompositions, solutions and norms of matrices.

LAPACK, through numpy, computes the values. The gradients come from a first-order term that is
added to them: a decomposition's differential, linear in `x - stop_gradient(x)`, which is zero.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cornu import _cornu
from cornu._cornu import Tensor, primitive
from cornu.ops.creation import counting, eye, tril, triu, zeros_like
from cornu.ops.elementwise import abs, power, sqrt, square
from cornu.ops.manipulation import diagonal, expand_dims, moveaxis, pad, squeeze, swapaxes
from cornu.ops.operation import op
from cornu.ops.products import matmul
from cornu.ops.promotion import as_float, as_tensor, promoted
from cornu.ops.reduction import max, min, sum
from cornu.ops.selection import take_along_axis
from cornu.ops.shapes import broadcast_shapes, normalize_axes, smaller

_stop_gradient = primitive("stop_gradient")


def _host(name: str, function: Callable[..., Any], xs: Sequence[Tensor], *specs: Any) -> Any:
    """What a function of numpy arrays gives: a step that calls Python, with no gradient.

    Args:
        name: What the step is called.
        function: Gives an array or a tuple of them; half precision comes as `float32`.
        xs: The operands.
        *specs: For each result its shape and its dtype, None for that of `xs[0]`.
    """
    dtype = xs[0].dtype
    work = "float64" if dtype == "float64" else "float32"
    described = [(tuple(shape), work if kind is None else kind) for shape, kind in specs]

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        results = function(*arrays)
        results = results if isinstance(results, tuple) else (results,)
        pairs = zip(results, described, strict=True)
        return [np.ascontiguousarray(r, dtype=kind) for r, (_, kind) in pairs]

    operands = [_stop_gradient(as_tensor(x, work)) for x in xs]
    results = _cornu.host(name, run, operands, described)
    results = results if isinstance(results, tuple) else (results,)
    cast = tuple(
        as_tensor(r, dtype) if kind is None else r
        for r, (_, kind) in zip(results, specs, strict=True)
    )
    return cast if len(cast) > 1 else cast[0]


def _differential(x: Tensor) -> Tensor:
    """Zero, with the gradient of `x`."""
    return x - _stop_gradient(x)


def _matrices(x: Any, *, square: bool = False) -> Tensor:
    x = as_float(x)
    if x.ndim < 2:
        raise ValueError(f"Expected input to have rank >= 2. Received: x.shape={tuple(x.shape)}")
    if square and x.shape[-1] != x.shape[-2]:
        raise ValueError(f"Expected a square matrix. Received: x.shape={tuple(x.shape)}")
    return x


def _turned(x: Tensor) -> Tensor:
    return swapaxes(x, -2, -1)


def _half_lower(x: Tensor) -> Tensor:
    """The lower triangle, with half of the diagonal."""
    return tril(x) - 0.5 * x * eye(x.shape[-1], dtype=x.dtype)


def _inverse(x: Tensor) -> Tensor:
    return _host("inv", np.linalg.inv, [x], (x.shape, None))


def _pseudo_inverse(x: Tensor, rcond: float) -> Tensor:
    shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return _host("pinv", lambda a: np.linalg.pinv(a, rcond=rcond), [x], (shape, None))


def _singular(x: Tensor, full: bool) -> tuple[Tensor, Tensor, Tensor]:
    *batch, rows, columns = x.shape
    count = smaller(rows, columns)
    left = (*batch, rows, rows if full else count)
    right = (*batch, columns if full else count, columns)
    specs = (left, None), ((*batch, count), None), (right, None)
    return _host("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=full)), [x], *specs)


@op
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The triangular matrix whose product with its transpose is `x`.

    Args:
        x: Positive definite matrices `(..., n, n)`.
        upper: Whether to return the upper instead of the lower triangle.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        ValueError: a matrix is not positive definite.
    """
    x = _matrices(x, square=True)
    try:
        lower = _host("cholesky", np.linalg.cholesky, [x], (x.shape, None))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"Cholesky decomposition failed: {error}") from None
    inverse = _inverse(lower)
    dx = _differential(x)
    dx = (dx + _turned(dx)) / 2
    lower = lower + matmul(lower, _half_lower(matmul(matmul(inverse, dx), _turned(inverse))))
    return _turned(lower) if upper else lower


@op
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of a matrix whose Cholesky factor is given.

    Args:
        x: Triangular matrices `(..., n, n)`.
        upper: Whether they are upper ones.

    Returns:
        A tensor of the shape of `x`.
    """
    x = _matrices(x, square=True)
    inverse = inv(triu(x) if upper else tril(x))
    return matmul(inverse, _turned(inverse)) if upper else matmul(_turned(inverse), inverse)


@op
def inv(x: Any) -> Tensor:
    """The inverses of matrices.

    Args:
        x: Matrices `(..., n, n)`.

    Returns:
        A tensor of the shape of `x`.

    Raises:
        ValueError: they are not square.
    """
    x = _matrices(x, square=True)
    inverse = _inverse(x)
    return inverse - matmul(matmul(inverse, _differential(x)), inverse)


def _log_differential(x: Tensor) -> Tensor:
    """The differential of the logarithm of the determinant."""
    inverse = _pseudo_inverse(x, 1e-15)
    return sum(_turned(inverse) * _differential(x), axis=(-2, -1))


@op
def det(x: Any) -> Tensor:
    """The determinants of matrices.

    Args:
        x: Matrices `(..., n, n)`.

    Returns:
        A tensor `(...)`.

    Raises:
        ValueError: they are not square.
    """
    x = _matrices(x, square=True)
    value = _host("det", np.linalg.det, [x], (x.shape[:-2], None))
    return value + value * _log_differential(x)


@op
def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The signs of the determinants of matrices and the logarithms of their magnitudes.

    Args:
        x: Matrices `(..., n, n)`.

    Returns:
        A tuple of two tensors `(...)`.
    """
    x = _matrices(x, square=True)
    spec = x.shape[:-2], None
    signs, logs = _host("slogdet", lambda a: tuple(np.linalg.slogdet(a)), [x], spec, spec)
    return signs, logs + _log_differential(x)


@op
def logdet(x: Any) -> Tensor:
    """The logarithms of the determinants of positive definite matrices.

    Args:
        x: Matrices `(..., n, n)`.

    Returns:
        A tensor `(...)`.
    """
    from cornu.ops.elementwise import log

    return 2.0 * sum(log(diagonal(cholesky(x), 0, -2, -1)), axis=-1)


@op
def solve(a: Any, b: Any) -> Tensor:
    """The solutions of `a x = b`.

    Args:
        a: Matrices `(..., n, n)`.
        b: Vectors `(..., n)` or matrices `(..., n, m)`.

    Returns:
        A tensor of the shape of `b`.
    """
    a, b = promoted(a, b, floating=True)
    _matrices(a, square=True)
    line = b.ndim == a.ndim - 1
    b = expand_dims(b, -1) if line else b
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = _host("solve", np.linalg.solve, [a, b], ((*batch, *b.shape[-2:]), None))
    # One step of iterative refinement, which carries the gradient.
    x = x + matmul(_inverse(a), b - matmul(a, x))
    return squeeze(x, -1) if line else x


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The solutions of `a x = b` for triangular `a`.

    Args:
        a: Matrices `(..., n, n)` of which one triangle is read.
        b: Vectors `(..., n)` or matrices `(..., n, m)`.
        lower: Whether it is the lower triangle.

    Returns:
        A tensor of the shape of `b`.
    """
    return solve(tril(as_float(a)) if lower else triu(as_float(a)), b)


@op
def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """An orthogonal and an upper triangular matrix whose product is `x`.

    Args:
        x: Matrices `(..., n, m)`.
        mode: `"reduced"` or `"complete"`.

    Returns:
        A tuple of the two.

    Raises:
        ValueError: the mode is unknown.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(
            "`mode` argument value not supported. Expected one of {'reduced', 'complete'}. "
            f"Received: mode={mode}"
        )
    x = _matrices(x)
    *batch, rows, columns = x.shape
    inner = smaller(rows, columns) if mode == "reduced" else rows
    specs = ((*batch, rows, inner), None), ((*batch, inner, columns), None)
    q, r = _host("qr", lambda a: tuple(np.linalg.qr(a, mode)), [x], *specs)
    if r.shape[-1] != r.shape[-2]:
        return q, r
    dx = matmul(_differential(x), _pseudo_inverse(r, 1e-15))
    inside = matmul(_turned(q), dx)
    below = tril(inside, -1)
    turn = below - _turned(below)
    dq = matmul(q, turn) + dx - matmul(q, inside)
    return q + dq, r + matmul(inside - turn, r)


def _gaps(values: Tensor) -> Tensor:
    """`1 / (values[j] - values[i])`, 0 on the diagonal and between equals."""
    from cornu.ops.elementwise import divide_no_nan

    gap = expand_dims(values, -2) - expand_dims(values, -1)
    return divide_no_nan(as_tensor(1, gap.dtype), gap)


@op
def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """The eigenvalues, ascending, and the eigenvectors of symmetric matrices.

    Args:
        x: Matrices `(..., n, n)`.

    Returns:
        A tuple of the values `(..., n)` and the vectors, as columns `(..., n, n)`.
    """
    x = _matrices(x, square=True)
    specs = (x.shape[:-1], None), (x.shape, None)
    values, vectors = _host("eigh", lambda a: tuple(np.linalg.eigh(a)), [x], *specs)
    dx = _differential(x)
    inside = matmul(matmul(_turned(vectors), (dx + _turned(dx)) / 2), vectors)
    turned = matmul(vectors, _gaps(values) * inside)
    return values + diagonal(inside, 0, -2, -1), vectors + turned


@op
def eig(x: Any) -> tuple[Tensor, Tensor]:
    """The eigenvalues and the eigenvectors of matrices, complex numbers; without gradients.

    Args:
        x: Matrices `(..., n, n)`.

    Returns:
        A tuple of the values `(..., n)` and the vectors, as columns `(..., n, n)`.
    """
    x = _matrices(x, square=True)
    dtype = "complex128" if x.dtype == "float64" else "complex64"
    specs = (x.shape[:-1], dtype), (x.shape, dtype)
    return _host("eig", lambda a: tuple(np.linalg.eig(a)), [x], *specs)


@op
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular values of matrices, descending, and their vectors.

    Args:
        x: Matrices `(..., n, m)`.
        full_matrices: Whether the vectors span the whole spaces.
        compute_uv: Whether to return the vectors too.

    Returns:
        The values `(..., min(n, m))`, or a tuple of the left vectors, the values and the right
        vectors, transposed.
    """
    x = _matrices(x)
    u, s, vt = _singular(x, full=False)
    dx = _differential(x)
    inside = matmul(matmul(_turned(u), dx), _turned(vt))
    values = s + diagonal(inside, 0, -2, -1)
    if not compute_uv:
        return values
    if full_matrices and x.shape[-1] != x.shape[-2]:
        # The vectors beyond the values are any basis: they have no gradient.
        u, _, vt = _singular(x, full=True)
        return u, values, vt
    scale, gaps = expand_dims(s, -2), _gaps(square(s))
    du = gaps * (inside * scale + _turned(inside * scale))
    dv = gaps * (_turned(inside) * scale + inside * expand_dims(s, -1))
    left = matmul(dx, _turned(vt)) - matmul(u, inside)
    right = matmul(_turned(dx), u) - matmul(_turned(vt), _turned(inside))
    u_new = u + matmul(u, du) + left / scale
    v_new = _turned(vt) + matmul(_turned(vt), dv) + right / scale
    return u_new, values, _turned(v_new)


@op
def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The pseudo-inverses of matrices.

    Args:
        x: Matrices `(..., n, m)`.
        rcond: Singular values below this part of the largest count as zero.

    Returns:
        A tensor `(..., m, n)`.
    """
    x = _matrices(x)
    if rcond is None:
        rcond = 10 * builtins.max(x.shape[-2:]) * float(np.finfo(_real(x.dtype)).eps)
    p = _pseudo_inverse(x, rcond)
    dx, fixed = _differential(x), _stop_gradient(x)
    dxt = _turned(dx)
    first = dxt - matmul(dxt, matmul(fixed, p))
    last = dxt - matmul(matmul(p, fixed), dxt)
    change = matmul(matmul(p, _turned(p)), first) + matmul(last, matmul(_turned(p), p))
    return p - matmul(matmul(p, dx), p) + change


def _real(dtype: str) -> str:
    return "float64" if dtype == "float64" else "float32"


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The `x` for which `a x` is nearest to `b`, the smallest of several.

    Args:
        a: A matrix `(n, m)`.
        b: A vector `(n,)` or a matrix `(n, k)`.
        rcond: Singular values below this part of the largest count as zero.

    Returns:
        A tensor `(m,)` or `(m, k)`.
    """
    a, b = promoted(a, b, floating=True)
    if rcond is None:
        rcond = builtins.max(a.shape) * float(np.finfo(_real(a.dtype)).eps)
    return matmul(pinv(a, rcond), b)


@op
def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """The triangular factors of matrices, in one, and their exchanged rows.

    Args:
        x: Matrices `(..., n, m)`.

    Returns:
        A tuple of the factors `(..., n, m)` and, for each step, the row exchanged with it.
    """
    x = _matrices(x)

    def factor(a: np.ndarray) -> tuple[np.ndarray, ...]:
        a = a.copy()
        *batch, rows, columns = a.shape
        steps = builtins.min(rows, columns)
        pivots = np.zeros((*batch, steps), "int32")
        order = np.zeros((*batch, rows, 1), "int32") + np.arange(rows, dtype="int32")[:, None]
        for place in np.ndindex(*batch):
            m, p, o = a[place], pivots[place], order[place]
            for i in range(steps):
                p[i] = i + np.argmax(np.abs(m[i:, i]))
                m[[i, p[i]]] = m[[p[i], i]]
                o[[i, p[i]]] = o[[p[i], i]]
                if m[i, i] != 0:
                    m[i + 1 :, i] /= m[i, i]
                m[i + 1 :, i + 1 :] -= np.outer(m[i + 1 :, i], m[i, i + 1 :])
        return a, pivots, order

    *batch, rows, columns = x.shape
    steps = smaller(rows, columns)
    specs = (x.shape, None), ((*batch, steps), "int32"), ((*batch, rows, 1), "int32")
    factors, pivots, order = _host("lu", factor, [x], *specs)
    lower = _completed(tril(factors[..., :, :steps], -1), rows, 0)
    upper = _completed(triu(factors[..., :steps, :]), columns, steps)
    dx = take_along_axis(_differential(x), order, axis=-2)
    change = matmul(matmul(_inverse(lower), dx), _pseudo_inverse(upper, 1e-15))
    return factors + matmul(lower, tril(change, -1)) + matmul(triu(change), upper), pivots


def _completed(x: Tensor, size: Any, start: Any) -> Tensor:
    """A matrix with zeros up to a square of this size, and ones on its diagonal from `start` on."""
    missing = [(0, 0)] * (x.ndim - 2) + [(0, size - n) for n in x.shape[-2:]]
    diagonal = as_tensor(counting(size, "int32") >= start, x.dtype)
    return pad(x, missing) + eye(size, dtype=x.dtype) * diagonal


@op
def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """How many singular values of matrices are not zero.

    Args:
        x: Matrices `(..., n, m)`.
        tol: Below which a singular value counts as zero.

    Returns:
        An `int32` tensor `(...)`.
    """
    x = _matrices(x)
    values = svd(x, compute_uv=False)
    if tol is None:
        eps = float(np.finfo(_real(x.dtype)).eps)
        bound = max(values, axis=-1, keepdims=True) * (builtins.max(x.shape[-2:]) * eps)
    else:
        bound = as_tensor(tol, values.dtype)
    return sum(as_tensor(values > bound, "int32"), axis=-1)


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norms of vectors or matrices.

    Args:
        x: A tensor.
        ord: The order: a number, `inf`, `-inf`, `"fro"` or `"nuc"`; by default that of Euclid.
        axis: The axis of the vectors or the two of the matrices; all by default.
        keepdims: Whether they stay, with size 1.

    Returns:
        A float tensor without these axes.

    Raises:
        ValueError: there is no such norm of vectors, or of matrices.
    """
    x = as_float(x)
    axes = normalize_axes(axis, x.ndim)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return sqrt(sum(square(abs(x)), axes, keepdims))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(
            f"Invalid axis format. Expected one or two axes with ord={ord}. Received: axis={axis}"
        )
    if ord in (2, -2, "nuc"):
        values = svd(moveaxis(x, axes, (-2, -1)), compute_uv=False)
        y = {2: max, -2: min, "nuc": sum}[ord](values, axis=-1)
        return expand_dims(y, axes) if keepdims else y
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"Invalid `ord` argument for matrix norm. Received: ord={ord}")
    rows, columns = axes
    inner, outer = (rows, columns) if ord in (1, -1) else (columns, rows)
    y = sum(abs(x), inner, keepdims=True)
    y = (max if ord > 0 else min)(y, outer, keepdims=True)
    return y if keepdims else squeeze(y, axes)


def _vector_norm(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if isinstance(ord, str):
        raise ValueError(f"Invalid `ord` argument for vector norm. Received: ord={ord}")
    magnitude = abs(x)
    if ord == math.inf:
        return max(magnitude, axes, keepdims)
    if ord == -math.inf:
        return min(magnitude, axes, keepdims)
    if ord == 0:
        return sum(as_tensor(magnitude > 0, x.dtype), axes, keepdims)
    if ord == 1:
        return sum(magnitude, axes, keepdims)
    return power(sum(power(magnitude, float(ord)), axes, keepdims), 1.0 / ord)


@op
def cdist(x: Any, y: Any) -> Tensor:
    """The Euclidean distances of each row of `x` from each of `y`.

    Args:
        x: `(..., n, d)`.
        y: `(..., m, d)`.

    Returns:
        A float tensor `(..., n, m)`.
    """
    x, y = promoted(x, y, floating=True)
    return norm(expand_dims(x, -2) - expand_dims(y, -3), axis=-1)


def jvp(
    fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False
) -> tuple[Any, ...]:
    """A function's value and its derivative in a direction.

    The gradient is linear in what it is given from above; its derivative by that is asked for.

    Args:
        fun: The function.
        primals: A tuple or list of the arguments.
        tangents: The direction: a tensor for each argument.
        has_aux: Whether `fun` returns a pair of its value and something else.

    Returns:
        A tuple of the value and the derivative, and of what else `fun` returns.
    """
    from cornu import tree
    from cornu._cornu import Tape

    xs = [as_tensor(x) for x in primals]
    directions = [as_tensor(t, x.dtype) for t, x in zip(tangents, xs, strict=True)]
    with Tape(persistent=True) as outer:
        with Tape(persistent=True) as inner:
            for x in xs:
                inner.watch(x)
            result = fun(*xs)
            value, *aux = result if has_aux else (result,)
        outputs = [as_tensor(y) for y in tree.flatten(value)]
        upstream = [zeros_like(y) for y in outputs]
        for u in upstream:
            outer.watch(u)
        grads = inner.gradient(outputs, xs, upstream)
    pairs = [(g, d) for g, d in zip(grads, directions, strict=True) if g is not None]
    given = outer.gradient([g for g, _ in pairs], upstream, [d for _, d in pairs])
    turned = [zeros_like(y) if d is None else d for d, y in zip(given, outputs, strict=True)]
    return (value, tree.pack_sequence_as(value, turned), *aux)
