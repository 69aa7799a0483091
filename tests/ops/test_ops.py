"""Every case of the table: value, gradient, trace and symbolic shape; every op: dtypes.

The reference is the real Keras on JAX, in the same process.
"""

# ruff: noqa: SIM905 (names read better in one string)

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import inspect
import itertools
import pathlib
import re

import jax
import keras
import numpy as np
import pytest
from op_cases import (
    BINARY,
    BINARY_FLAT,
    BINARY_POSITIVE,
    BITWISE,
    CASES,
    FLAT_REDUCTIONS,
    REDUCTIONS,
    UNARY,
    UNARY_FLAT,
    UNARY_POSITIVE,
    UNARY_UNIT,
    Input,
)

from cornu import KerasTensor, _cornu, ops, tree


def function(library, name):
    for part in name.split("."):
        library = getattr(library, part)
    return library


def label(case):
    return f"{case.name}-{CASES.index(case)}"


def flat(outputs):
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def real_keras(call, *args, **kwargs):
    """What real Keras gives without 64-bit types, as it does by default."""
    with jax.enable_x64(False):
        return [np.asarray(x) for x in flat(call(*args, **kwargs))]


def assert_close(got, expected, tolerance):
    assert got.shape == expected.shape
    wide = "complex128" if np.iscomplexobj(expected) else "float64"
    np.testing.assert_allclose(
        got.astype(wide), expected.astype(wide), rtol=10 * tolerance, atol=tolerance
    )


@pytest.mark.parametrize("case", [c for c in CASES if c.reference], ids=label)
def test_value(case):
    args, kwargs = case.draw()
    expected = real_keras(function(keras.ops, case.name), *args, **kwargs)
    got = [np.asarray(x) for x in flat(function(ops, case.name)(*args, **kwargs))]
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert_close(a, b, case.tolerance)
        assert str(a.dtype) == str(b.dtype)


class Called:
    """A case as a function of its arrays alone: all of them, or the floats."""

    def __init__(self, case, library, dtype=None, floats=False):
        self.call = function(library, case.name)
        (self.args, self.kwargs) = case.draw(dtype)
        leaves = tree.flatten((case.args, case.kwargs))
        drawn = tree.flatten((self.args, self.kwargs))
        self.places = [
            i
            for i, leaf in enumerate(leaves)
            if isinstance(leaf, Input) and (not floats or leaf.dtype == "float32")
        ]
        self.leaves = drawn
        self.known = [leaves[i].weights for i in self.places]
        self.arrays = [drawn[i] for i in self.places]

    def __call__(self, *tensors):
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = tree.pack_sequence_as((self.args, self.kwargs), leaves)
        return flat(self.call(*args, **kwargs))


def weights_of(outputs):
    """Fixed weights that make a scalar of the float outputs."""
    rng = np.random.default_rng(5)
    return [
        rng.uniform(0.5, 1.5, tuple(y.shape)).astype("float64") if "float" in str(y.dtype) else None
        for y in outputs
    ]


@pytest.mark.parametrize("case", [c for c in CASES if c.gradient], ids=label)
def test_gradient(case):
    run = Called(case, ops, "float64", floats=True)
    xs = [_cornu.tensor(a) for a in run.arrays]
    with _cornu.Tape() as tape:
        for x in xs:
            tape.watch(x)
        outputs = run(*xs)
        weights = weights_of(outputs)
        total = sum(ops.sum(y * w) for y, w in zip(outputs, weights, strict=True) if w is not None)
    got = tape.gradient([total], xs)

    def scalar(arrays):
        values = run(*arrays)
        return sum(
            float(np.sum(np.asarray(y) * w))
            for y, w in zip(values, weights, strict=True)
            if w is not None
        )

    rng = np.random.default_rng(7)
    for i, x in enumerate(run.arrays):
        # The gradient along one random direction says as much as each of its elements.
        direction = rng.uniform(-1.0, 1.0, x.shape)
        step = 1e-6
        ends = []
        for sign in (1, -1):
            moved = list(run.arrays)
            moved[i] = x + sign * step * direction
            ends.append(scalar(moved))
        slope = (ends[0] - ends[1]) / (2 * step)
        given = 0.0 if got[i] is None else float(np.sum(np.asarray(got[i]) * direction))
        np.testing.assert_allclose(given, slope, rtol=2e-4, atol=2e-5)


WITHOUT_GRADIENT_IN_JAX = {"segment_prod"}


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.gradient and c.reference and c.name not in WITHOUT_GRADIENT_IN_JAX],
    ids=label,
)
def test_gradient_is_that_of_jax(case):
    ours, theirs = Called(case, ops, floats=True), Called(case, keras.ops, floats=True)
    xs = [_cornu.tensor(a) for a in ours.arrays]
    with _cornu.Tape() as tape:
        for x in xs:
            tape.watch(x)
        outputs = ours(*xs)
        weights = [None if w is None else w.astype("float32") for w in weights_of(outputs)]
        total = sum(ops.sum(y * w) for y, w in zip(outputs, weights, strict=True) if w is not None)
    got = tape.gradient([total], xs)

    def scalar(arrays):
        values = theirs(*arrays)
        return sum((y * w).sum() for y, w in zip(values, weights, strict=True) if w is not None)

    with jax.enable_x64(False):
        expected = jax.grad(scalar)([jax.numpy.asarray(a) for a in theirs.arrays])
    for a, b in zip(got, expected, strict=True):
        a = np.zeros(b.shape) if a is None else np.asarray(a)
        assert_close(a, np.asarray(b), 10 * case.tolerance)


@pytest.mark.parametrize("case", [c for c in CASES if c.traced], ids=label)
def test_trace_equals_eager(case):
    run = Called(case, ops)
    eager = [np.asarray(y) for y in run(*run.arrays)]
    graph = _cornu.trace(lambda *xs: run(*xs), [(a.shape, str(a.dtype)) for a in run.arrays])
    traced = graph.compile()(*run.arrays)
    for a, b in zip(traced, eager, strict=True):
        assert a.dtype == str(b.dtype)
        assert_close(np.asarray(a), b, 1e-6)


def takes_arrays(case, scalars=True):
    """Whether a case has arrays; without `scalars`, whether all have axes."""
    arrays = Called(case, ops).arrays
    return bool(arrays) and (scalars or all(a.ndim for a in arrays))


def symbols(case):
    """The arrays of a case as symbolic tensors with an unknown first size."""
    run = Called(case, ops)
    made = [
        KerasTensor(a.shape if known else (None, *a.shape[1:]), dtype=str(a.dtype))
        for a, known in zip(run.arrays, run.known, strict=True)
    ]
    return run, made


@pytest.mark.parametrize("case", [c for c in CASES if c.symbolic and takes_arrays(c)], ids=label)
def test_symbolic_shape(case):
    run, made = symbols(case)
    got = run(*made)
    concrete = run(*run.arrays)
    assert len(got) == len(concrete)
    for symbol, value in zip(got, concrete, strict=True):
        assert symbol.dtype == value.dtype
        assert len(symbol.shape) == len(value.shape)
        for unknown, size in zip(symbol.shape, value.shape, strict=True):
            assert unknown is None or unknown == size


# Where the shapes that Keras infers are not those of its results, or it refuses unknown sizes.
WRONG_SYMBOLS_IN_KERAS = (
    "adaptive_average_pool adaptive_max_pool append categorical_crossentropy conv corrcoef "
    "ctc_decode ctc_loss image.scale_and_translate multi_hot polar rearrange rot90"
).split()


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.symbolic and c.name not in WRONG_SYMBOLS_IN_KERAS], ids=label
)
def test_symbolic_shape_is_that_of_keras(case):
    run, made = symbols(case)
    theirs = Called(case, keras.ops)(*[keras.KerasTensor(x.shape, dtype=x.dtype) for x in made])
    assert [(x.shape, x.dtype) for x in run(*made)] == [(x.shape, x.dtype) for x in theirs]


def traced_with_unknown_sizes(run, axes):
    """The trace with unknown sizes, but for those that the function must know."""
    known = set()

    def unknown(size, fixed):
        # Equal sizes share a symbol; 0 and 1 are always known.
        return size if fixed or size < 2 or size in known else f"n{size}"

    while True:
        specs = [
            ((*(unknown(n, fixed) for n in a.shape[:axes]), *a.shape[len(a.shape[:axes]) :]), a)
            for a, fixed in zip(run.arrays, run.known, strict=True)
        ]
        symbols = dict.fromkeys(n for shape, _ in specs for n in shape if isinstance(n, str))
        try:
            specs = [(shape, str(a.dtype)) for shape, a in specs]
            return _cornu.trace(lambda *xs: list(run(*xs)), specs)
        except _cornu.SpecializeError as error:
            known.add(int(list(symbols)[error.args[1]][1:]))


@pytest.mark.parametrize("axes", [1, None], ids=["batch", "all"])
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.symbolic and takes_arrays(c, scalars=False)], ids=label
)
def test_unknown_sizes_run_as_known(case, axes):
    run = Called(case, ops)
    eager = [np.asarray(y) for y in run(*run.arrays)]
    graph = traced_with_unknown_sizes(run, axes)
    for a, b in zip(graph.compile()(*run.arrays), eager, strict=True):
        assert_close(np.asarray(a), b, 1e-6)


# Dtypes. What Keras makes of 64-bit integers and floats depends on a switch of JAX; here they stay.

DTYPES = "bool uint8 uint16 uint32 int8 int16 int32 float16 bfloat16 float32".split()


def outcome(call, *arrays):
    try:
        return str(flat(call(*arrays))[0].dtype)
    except (TypeError, ValueError, NotImplementedError):
        return None


def values(dtype):
    return keras.ops.convert_to_numpy(keras.ops.cast(np.array([[1, 1], [1, 1]]), dtype))


UNARY_OPS = UNARY + UNARY_POSITIVE + UNARY_UNIT + UNARY_FLAT + REDUCTIONS + FLAT_REDUCTIONS
UNARY_OPS += (
    "cumsum cumprod median nanmean nansum nanmax sort argsort softmax log_softmax diff "
    "sparsemax flip tril triu transpose zeros_like ones_like average ravel diag "
    "bitwise_not rsqrt erf real conj glu normalize"
).split()
BINARY_OPS = BINARY + BINARY_POSITIVE + BINARY_FLAT + BITWISE
BINARY_OPS += (
    "matmul dot vdot inner outer tensordot kron append cross ldexp isin digitize"
).split()

# Where real Keras on JAX refuses integers or truths that the same function takes elsewhere.
MORE = set(
    (
        "sigmoid silu swish log_sigmoid erf rsqrt glu normalize softmax log_softmax negative sign "
        "round subtract gcd lcm ptp kron cross ldexp"
    ).split()
)


@pytest.mark.parametrize("name", UNARY_OPS)
def test_dtype_of_one(name):
    for dtype in DTYPES:
        with jax.enable_x64(False):
            expected = outcome(getattr(keras.ops, name), values(dtype))
        got = outcome(getattr(ops, name), values(dtype))
        if expected is not None or name not in MORE:
            assert got == expected, f"{name}({dtype}) gave {got}, Keras gives {expected}"


# All pairs of dtypes for one op of each kind, for the others those that tell the kind.
THOROUGH = "add divide equal power bitwise_and matmul".split()
PAIRS = [
    ("bool", "bool"),
    ("bool", "int8"),
    ("uint8", "int8"),
    ("int32", "int32"),
    ("int16", "float16"),
    ("int32", "float32"),
    ("float16", "bfloat16"),
    ("bfloat16", "float32"),
]


@pytest.mark.parametrize("name", BINARY_OPS)
def test_dtype_of_two(name):
    for first, second in itertools.product(DTYPES, DTYPES) if name in THOROUGH else PAIRS:
        if "uint32" in (first, second) and {first, second} & {"int8", "int16", "int32"}:
            # 64 bits hold both.
            continue
        with jax.enable_x64(False):
            expected = outcome(getattr(keras.ops, name), values(first), values(second))
        got = outcome(getattr(ops, name), values(first), values(second))
        if expected is not None or name not in MORE:
            assert got == expected, f"{name}({first}, {second}): {got}, not {expected}"


@pytest.mark.parametrize("name", "add multiply divide maximum power equal floor_divide".split())
@pytest.mark.parametrize("number", [2, 2.0, True])
def test_python_numbers_are_weak(name, number):
    for dtype in DTYPES:
        with jax.enable_x64(False):
            expected = outcome(getattr(keras.ops, name), values(dtype), number)
        assert outcome(getattr(ops, name), values(dtype), number) == expected, (name, dtype)


def test_wide_types_stay():
    wide = np.ones(2, "int64"), np.ones(2, "float64")
    assert ops.add(wide[0], 1).dtype == "int64"
    assert ops.add(*wide).dtype == "float64"
    assert ops.exp(wide[0]).dtype == "float32"
    assert ops.exp(wide[1]).dtype == "float64"


def test_argpartition_parts():
    x = np.random.default_rng(0).permutation(12).reshape(2, 6).astype("float32")
    parts = np.take_along_axis(x, np.asarray(ops.argpartition(x, 2)), -1)
    assert (parts[:, :2].max(-1) < parts[:, 2]).all() and (parts[:, 2] < parts[:, 3:].min(-1)).all()


# Ops with tests of their own: control flow and conversions, decompositions.
ELSEWHERE = {
    "test_core.py": "array associative_scan cast cond convert_to_numpy convert_to_tensor "
    "custom_gradient dtype fori_loop is_tensor map ndim saturate_cast scan shape size "
    "stop_gradient switch vectorize vectorized_map while_loop",
    "test_linalg.py": "cholesky cholesky_inverse det eig eigh inv jvp logdet lstsq lu_factor "
    "matrix_rank pinv qr slogdet solve solve_triangular svd",
}


def test_every_op_of_keras_has_a_row():
    for file, names in ELSEWHERE.items():
        text = (pathlib.Path(__file__).parent / file).read_text()
        assert [n for n in names.split() if not re.search(rf"\b{n}\b", text)] == [], file
    rows = {case.name.removeprefix("image.") for case in CASES}
    rows.update(" ".join(ELSEWHERE.values()).split())
    names = {name for name in dir(keras.ops) if not name.startswith("_")}
    modules = {name for name in names if inspect.ismodule(getattr(keras.ops, name))}
    assert names - modules - rows == set()


def test_names_and_signatures_are_those_of_keras():
    for name in dir(keras.ops):
        theirs = getattr(keras.ops, name)
        if name.startswith("_") or inspect.ismodule(theirs):
            continue
        ours = getattr(ops, name)
        assert list(inspect.signature(ours).parameters.values()) == [
            p.replace(annotation=q.annotation)
            for p, q in zip(
                inspect.signature(theirs).parameters.values(),
                inspect.signature(ours).parameters.values(),
                strict=True,
            )
        ], name
