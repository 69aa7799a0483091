"""The table that drives the tests of ops: a case is a name, arguments and attributes.

Arguments that are `Input`s are arrays to come; all others are passed on as they are.
"""

# ruff: noqa: E501, E743, SIM905

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Input:
    """An array of a shape, drawn between two bounds."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    dtype: str = "float32"
    weights: bool = False

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.dtype == "bool":
            return rng.random(self.shape) < 0.5
        if self.dtype.startswith("int"):
            return rng.integers(int(self.low), int(self.high), self.shape).astype(self.dtype)
        return rng.uniform(self.low, self.high, self.shape).astype(self.dtype)


def F(*shape):
    return Input(shape)


def W(*shape):
    """Weights, whose shape is known."""
    return Input(shape, weights=True)


def V(*shape):
    """Weights well above zero."""
    return Input(shape, 0.3, 2.0, weights=True)


def P(*shape):
    """Well above zero."""
    return Input(shape, 0.3, 2.0)


def U(*shape):
    """Well inside -1 and 1."""
    return Input(shape, -0.9, 0.9)


def I8(*shape):
    return Input(shape, -128, 128, "int8")


def I(*shape, low=0, high=5):
    return Input(shape, low, high, "int32")


def B(*shape):
    return Input(shape, dtype="bool")


@dataclass(frozen=True, eq=False)
class Case:
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    gradient: bool = True
    symbolic: bool = True
    traced: bool = True
    tolerance: float = 1e-5
    # Whether real Keras gives the right value.
    reference: bool = True

    def draw(self, dtype: str | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with arrays, the floats of another dtype."""
        rng = np.random.default_rng(zlib.crc32(repr((self.name, self.args)).encode()))

        def fill(value):
            if isinstance(value, Input):
                array = value.draw(rng)
                return array.astype(dtype) if dtype and array.dtype == "float32" else array
            if isinstance(value, list | tuple):
                return type(value)(fill(v) for v in value)
            return value

        return fill(self.args), {k: fill(v) for k, v in self.kwargs.items()}


def case(
    name, *args, gradient=True, symbolic=True, traced=True, tolerance=1e-5, reference=True, **kwargs
):
    return Case(name, args, kwargs, gradient, symbolic, traced, tolerance, reference)


def no(name, *args, **kwargs):
    """A case without a gradient."""
    return case(name, *args, gradient=False, **kwargs)


def host(name, *args, **kwargs):
    """A case that needs its values: it is neither traced nor symbolic."""
    return case(name, *args, gradient=False, symbolic=False, traced=False, **kwargs)


UNARY = (
    "abs absolute negative square exp exp2 expm1 sin cos tan sinh cosh tanh arcsinh arctan "
    "sigmoid silu swish softplus softsign relu relu6 elu celu selu gelu leaky_relu "
    "log_sigmoid hard_sigmoid hard_silu hard_swish hard_tanh hard_shrink soft_shrink "
    "tanh_shrink squareplus sparse_plus sparse_sigmoid erf erfc sinc deg2rad rad2deg fabs "
    "i0"
).split()
UNARY_POSITIVE = "sqrt rsqrt log log1p log2 log10 reciprocal cbrt".split()
UNARY_UNIT = ["arcsin", "arccos", "arctanh", "erfinv"]
UNARY_FLAT = (
    "sign floor ceil trunc round isnan isinf isfinite isposinf isneginf isreal signbit "
    "logical_not angle nan_to_num imag"
).split()
BINARY = (
    "add subtract multiply maximum minimum fmax fmin arctan2 hypot logaddexp logaddexp2"
).split()
BINARY_POSITIVE = ["divide", "true_divide", "divide_no_nan", "power"]
BINARY_FLAT = (
    "equal not_equal less less_equal greater greater_equal logical_and logical_or "
    "logical_xor floor_divide mod fmod heaviside isclose nextafter"
).split()
BITWISE = (
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift left_shift "
    "right_shift gcd lcm"
).split()
REDUCTIONS = "sum mean max min prod var std logsumexp amax amin ptp".split()
NAN_REDUCTIONS = "nansum nanmean nanmax nanmin nanprod nanvar nanstd".split()
FLAT_REDUCTIONS = "any all argmax argmin nanargmax nanargmin count_nonzero".split()

CASES = [
    *(case(name, F(3, 4)) for name in UNARY),
    *(case(name, P(3, 4)) for name in UNARY_POSITIVE),
    *(case(name, U(3, 4)) for name in UNARY_UNIT),
    *(no(name, F(3, 4)) for name in UNARY_FLAT),
    *(case(name, F(3, 4), F(3, 4)) for name in BINARY),
    *(case(name, F(2, 1, 4), F(3, 1)) for name in BINARY),
    *(case(name, P(3, 4), P(4)) for name in BINARY_POSITIVE),
    *(no(name, F(3, 4), F(4), traced=name != "nextafter", symbolic=name != "nextafter") for name in BINARY_FLAT),
    *(no(name, I(3, 4, low=1), I(4, low=1)) for name in BITWISE),
    *(case(name, P(2, 3, 4)) for name in REDUCTIONS),
    *(case(name, P(2, 3, 4), axis=1) for name in REDUCTIONS),
    *(case(name, P(2, 3, 4), axis=(0, -1), keepdims=True) for name in REDUCTIONS),
    *(case(name, P(2, 3, 4), axis=-1) for name in NAN_REDUCTIONS),
    *(no(name, F(2, 3, 4)) for name in FLAT_REDUCTIONS),
    *(no(name, F(2, 3, 4), axis=1) for name in FLAT_REDUCTIONS),
    case("gelu", F(3, 4), approximate=False),
    case("elu", F(3, 4), alpha=0.5),
    case("celu", F(3, 4), alpha=0.5),
    case("leaky_relu", F(3, 4), negative_slope=0.1),
    case("threshold", F(3, 4), 0.3, -1.0),
    case("glu", F(3, 4)),
    case("glu", F(4, 3), axis=0),
    case("softmax", F(3, 4)),
    case("softmax", F(3, 4, 2), axis=1),
    case("softmax", F(3, 4, 2), axis=(1, 2)),
    case("log_softmax", F(3, 4)),
    case("log_softmax", F(3, 4, 2), axis=1),
    case("sparsemax", F(3, 4), reference=False),
    case("clip", F(3, 4), -0.5, 0.5),
    case("clip", F(3, 4), U(4), 0.95),
    no("round", F(3, 4), 1),
    no("clip", I(3, 4), 1, 3),
    no("bitwise_not", I(3, 4)),
    no("bitwise_invert", I(3, 4)),
    case("ldexp", F(3, 4), I(4)),
    case("where", B(3, 4), F(3, 4), F(4)),
    case("where", B(3, 4), F(3, 4), 0.0),
    case("select", [B(3), B(3)], [F(3), F(3)], 0.5),
    case("real", F(3)),
    case("conj", F(3)),
    case("conjugate", F(3)),
    case("copy", F(3, 4)),
    case("arccosh", Input((3, 4), 1.2, 3.0)),
    no("polar", P(3, 4), F(3, 4)),
    no("view_as_complex", F(3, 2)),
    no("view_as_real", np.array([1 + 2j, 3 - 1j], "complex64"), symbolic=False, traced=False),
    no("view", F(3, 4), "int32"),
    no("view", F(3, 4), "int16"),
    no("view", I(3, 4), "float32"),
    no("allclose", F(3), F(3)),
    no("isin", I(3, 4), I(3)),
    # Reductions.
    case("max", F(3, 4), axis=1, initial=0.5),
    case("average", F(3, 4), axis=1, weights=P(4)),
    case("average", F(3, 4), weights=P(3, 4)),
    case("cumsum", F(3, 4), axis=1),
    case("cumsum", F(3, 4)),
    case("cumprod", P(3, 4), axis=1),
    case("nancumsum", F(3, 4), axis=0),
    case("nancumprod", P(3, 4), axis=0),
    case("diff", F(3, 5)),
    case("diff", F(5, 3), n=2, axis=0),
    case("trapezoid", F(3, 5)),
    case("trapezoid", F(3, 5), P(5)),
    case("trace", F(3, 4)),
    case("trace", F(2, 3, 4), offset=1, axis1=1, axis2=2),
    case("median", F(3, 5)),
    case("median", F(3, 4), axis=1, keepdims=True),
    case("nanmedian", F(3, 4), axis=1),
    case("quantile", F(3, 5), 0.3),
    case("quantile", F(3, 5), [0.1, 0.6], axis=1),
    case("quantile", F(3, 5), 0.3, axis=0, method="lower"),
    case("quantile", F(3, 5), 0.3, axis=0, method="midpoint", keepdims=True),
    case("nanquantile", F(3, 5), 0.3, axis=1),
    case("percentile", F(3, 5), 30.0, axis=1),
    case("nanpercentile", F(3, 5), 30.0, axis=1),
    case("moments", F(3, 4, 2), axes=(0, 1)),
    case("moments", F(3, 4, 2), axes=[1], keepdims=True),
    # Creation.
    no("zeros", (2, 3), symbolic=False, traced=False),
    no("ones", (2, 3), "int32", symbolic=False, traced=False),
    no("full", (2, 3), 2.5, symbolic=False, traced=False),
    no("arange", 5, symbolic=False, traced=False),
    no("arange", 1, 10, 3, symbolic=False, traced=False),
    no("arange", 0.5, 3.0, 0.5, symbolic=False, traced=False),
    no("linspace", 0, 5, 7, symbolic=False, traced=False),
    no("linspace", 0, 5, 7, endpoint=False, symbolic=False, traced=False),
    no("linspace", F(3), F(3), 4, axis=1),
    no("logspace", 0, 2, 5, symbolic=False, traced=False),
    no("geomspace", 1, 100, 5, symbolic=False, traced=False),
    no("eye", 3, 4, 1, symbolic=False, traced=False),
    no("identity", 3, symbolic=False, traced=False),
    no("tri", 3, 4, -1, symbolic=False, traced=False),
    no("full_like", F(2, 3), 2),
    no("zeros_like", F(2, 3)),
    no("empty", (2, 3), symbolic=False, traced=False),
    no("empty_like", F(2, 3)),
    no("ones_like", F(2, 3), "int32"),
    no("meshgrid", F(2), F(3)),
    no("meshgrid", F(2), F(3), indexing="ij"),
    case("tril", F(3, 4)),
    case("triu", F(2, 3, 4), k=1),
    case("vander", F(3)),
    *(no(name, 7, symbolic=False, traced=False) for name in ["bartlett", "blackman", "hamming", "hanning"]),
    no("kaiser", 7, 3.0, symbolic=False, traced=False),
    # Arrangement.
    case("reshape", F(3, 4), (2, 6), symbolic=False),
    case("reshape", F(3, 4), (-1, 2)),
    case("ravel", F(3, 4)),
    case("transpose", F(2, 3, 4)),
    case("transpose", F(2, 3, 4), axes=(0, 2, 1)),
    case("moveaxis", F(2, 3, 4), 0, -1),
    case("swapaxes", F(2, 3, 4), 0, 1),
    case("expand_dims", F(3, 4), 1),
    case("expand_dims", F(3, 4), (0, 2)),
    case("squeeze", F(3, 1, 4)),
    case("squeeze", F(3, 1, 4), axis=1),
    case("broadcast_to", F(3, 1), (2, 3, 4), symbolic=False),
    case("concatenate", [F(2, 3), F(4, 3)]),
    case("concatenate", [F(3, 2), F(3, 1)], axis=-1),
    case("stack", [F(2, 3), F(2, 3)], axis=1),
    case("append", F(2, 3), F(2, 3), axis=0),
    case("append", F(2, 3), F(4)),
    case("hstack", [F(2, 3), F(2, 1)]),
    case("vstack", [F(2, 3), F(1, 3)]),
    case("dstack", [F(2, 3), F(2, 3)]),
    case("split", F(4, 6), 2),
    case("split", F(4, 6), [1, 4], axis=1),
    case("array_split", F(4, 5), 3, axis=1),
    case("hsplit", F(4, 6), 3),
    case("vsplit", F(4, 6), 2),
    case("dsplit", F(2, 3, 4), 2),
    case("unstack", F(3, 4), axis=1),
    case("pad", F(3, 4), 1),
    case("pad", F(3, 4), ((1, 2), (0, 3)), constant_values=1.5),
    case("pad", F(3, 4), ((1, 2), (0, 3)), mode="reflect"),
    case("pad", F(3, 4), ((1, 2), (0, 3)), mode="symmetric"),
    case("pad", F(3, 4), ((1, 2), (0, 3)), mode="edge"),
    case("flip", F(3, 4)),
    case("flip", F(3, 4), axis=1),
    case("fliplr", F(3, 4)),
    case("flipud", F(3, 4)),
    *(case("rot90", F(3, 4), k) for k in range(4)),
    case("roll", F(3, 4), 2, axis=1),
    case("roll", F(3, 4), 5),
    case("tile", F(3, 4), (2, 3)),
    case("tile", F(3), (2, 2)),
    case("repeat", F(3, 4), 2, axis=1),
    case("repeat", F(3, 4), np.array([1, 2, 0]), axis=0, symbolic=False),
    case("repeat", F(3, 4), 2),
    case("diag", F(3), 1),
    case("diag", F(3, 4), -1),
    case("diagflat", F(2, 2)),
    case("diagonal", F(3, 4), 1),
    case("diagonal", F(2, 3, 4), -1, 1, 2),
    no("unravel_index", I(3), (2, 3)),
    case("rearrange", F(2, 6, 3), "b (h w) c -> b c h w", h=2),
    # Selection.
    case("take", F(3, 4), I(2, high=3), axis=0),
    case("take", F(3, 4), I(2, 2, high=4), axis=1),
    case("take", F(3, 4), I(5, high=12)),
    case("take_along_axis", F(3, 4), I(3, 2, high=4), axis=1),
    case("get_item", F(3, 4, 5), (slice(None), 1, slice(0, 5, 2)), symbolic=False),
    case("get_item", F(3, 4, 5), (Ellipsis, None, slice(3, None, -1)), symbolic=False),
    case("get_item", F(3, 4, 5), I(2, high=3), symbolic=False),
    case("sort", F(3, 4)),
    case("sort", F(3, 4), axis=0),
    no("argsort", F(3, 4)),
    no("argpartition", F(3, 6), 2, reference=False),
    case("top_k", F(3, 6), 2),
    no("in_top_k", I(3, high=4), F(3, 4), 2),
    no("searchsorted", np.array([0.0, 1.0, 2.0], "float32"), F(3, 4)),
    no("digitize", F(3, 4), np.array([0.0, 1.0, 2.0], "float32")),
    host("bincount", I(10)),
    host("bincount", I(10), weights=F(10)),
    no("histogram", F(20), 5, symbolic=False),
    host("nonzero", I(3, 4, high=2)),
    host("unique", I(12)),
    host("unique", I(12), return_index=True, return_inverse=True, return_counts=True),
    case("slice", F(4, 5), (1, 2), (2, 3), symbolic=False),
    case("slice_update", F(4, 5), (1, 2), F(2, 3), symbolic=False),
    case("scatter", np.array([[0], [2], [2]]), F(3, 4), (4, 4), symbolic=False),
    case("scatter_update", F(4, 3), np.array([[0], [2]]), F(2, 3), symbolic=False),
    case("scatter_update", F(4, 3), np.array([[0, 1], [2, 2], [2, 2]]), F(3), "add", symbolic=False),
    case("scatter_update", F(4, 3), np.array([[0, 1], [2, 2]]), F(2), "max", symbolic=False),
    case("segment_sum", F(6, 2), np.array([0, 0, 1, 1, 3, 3]), 4),
    case("segment_max", F(6, 2), np.array([0, 0, 1, 1, 2, 2]), 3),
    case("segment_min", F(6, 2), np.array([0, 0, 1, 1, 2, 2]), 3),
    case("segment_prod", P(6, 2), np.array([0, 0, 1, 1, 3, 3]), 4),
    # Products.
    case("matmul", F(3, 4), F(4, 2)),
    no("matmul", I8(3, 5), I8(5, 18)),
    no("matmul", I8(700), I8(700, 33)),
    no("matmul", I8(2, 3, 4), I8(2, 4, 2)),
    no("einsum", "abc,cd->abd", I8(2, 3, 4), I8(4, 5)),
    no("einsum", "ab,cb->ac", I8(3, 4), I8(5, 4)),
    no("einsum", "ab,cd->ac", I8(3, 4), I8(5, 6)),
    no("einsum", "ab,bc->ac", B(3, 4), B(4, 5)),
    case("matmul", F(2, 3, 4), F(4, 2)),
    case("matmul", F(4), F(4, 2)),
    case("matmul", F(3, 4), F(4)),
    case("matmul", F(5, 1, 3, 4), F(2, 4, 2)),
    case("dot", F(3, 4), F(4, 2)),
    case("dot", F(2, 3, 4), F(5, 4, 2)),
    case("dot", F(4), F(4)),
    case("vdot", F(2, 3), F(2, 3)),
    case("inner", F(2, 3), F(4, 3)),
    case("outer", F(3), F(4)),
    case("tensordot", F(2, 3, 4), F(3, 4, 5)),
    case("tensordot", F(2, 3, 4), F(4, 3), axes=([1, 2], [1, 0])),
    case("kron", F(2, 3), F(3, 2)),
    case("cross", F(2, 3), F(2, 3)),
    case("cross", F(4, 2), F(4, 2)),
    case("correlate", F(7), F(3), symbolic=False, traced=False),
    case("correlate", F(7), F(3), mode="full", symbolic=False, traced=False),
    case("correlate", F(7), F(3), mode="same", symbolic=False, traced=False),
    case("corrcoef", F(3, 8), tolerance=1e-4),
    case("cdist", F(3, 4), F(5, 4)),
    *(
        case("einsum", pattern, *inputs)
        for pattern, *inputs in (
            ("ij,jk->ik", F(2, 3), F(3, 4)),
            ("ij->ji", F(2, 3)),
            ("ij->", F(2, 3)),
            ("ii->i", F(3, 3)),
            ("bij,bjk->bik", F(2, 3, 4), F(2, 4, 5)),
            ("abc,cde->abde", F(2, 3, 4), F(4, 2, 3)),
            ("btnh,bsnh->bnts", F(2, 3, 4, 5), F(2, 6, 4, 5)),
            ("bnts,bsnh->btnh", F(2, 4, 3, 6), F(2, 6, 4, 5)),
            ("...d,de->...e", F(2, 3, 4), F(4, 5)),
            ("i,j->ij", F(3), F(4)),
            ("ij,kj,jl->ikl", F(2, 3), F(4, 3), F(3, 2)),
            ("ij,ij->i", F(2, 3), F(2, 3)),
        )
    ),
    # Networks.
    *(
        case("conv", F(2, *size, 4), W(*window, 4 // groups, 6), tolerance=1e-4, **more)
        for size, window, groups, more in (
            ((9,), (3,), 1, {}),
            ((8, 7), (3, 2), 1, {"padding": "same"}),
            ((8, 7), (3, 3), 2, {"strides": 2, "padding": "same"}),
            ((9, 9), (3, 3), 1, {"dilation_rate": 2}),
            ((5, 5, 5), (2, 3, 2), 1, {"strides": (1, 2, 1)}),
        )
    ),
    case("conv", F(2, 4, 8, 7), W(3, 2, 4, 6), padding="same", data_format="channels_first", tolerance=1e-4),
    case("depthwise_conv", F(2, 8, 7, 3), W(3, 3, 3, 2), padding="same", tolerance=1e-4),
    case("depthwise_conv", F(2, 9, 3), W(3, 3, 1), strides=2, tolerance=1e-4),
    case("separable_conv", F(2, 8, 7, 3), W(3, 3, 3, 2), W(1, 1, 6, 4), tolerance=1e-4),
    *(
        case("conv_transpose", F(2, *size, 4), W(*window, 3, 4), tolerance=1e-4, **more)
        for size, window, more in (
            ((5,), (3,), {"strides": 2}),
            ((5,), (3,), {"strides": 2, "padding": "same"}),
            ((4, 5), (2, 3), {"strides": (2, 1), "padding": "same"}),
            ((4, 5), (3, 3), {"strides": 2, "padding": "valid", "output_padding": 1}),
            ((4, 5), (3, 3), {"strides": 2, "padding": "same", "output_padding": 1}),
            ((4, 5), (4, 3), {"dilation_rate": 2}),
            ((4, 5), (1, 1), {"strides": 3}),
            ((3, 3, 3), (2, 2, 2), {"strides": 2}),
        )
    ),
    *(
        case(name, F(2, *size, 3), window, **more)
        for name in ("max_pool", "average_pool")
        for size, window, more in (
            ((9,), (2,), {"strides": (2,)}),
            ((8, 7), (2, 3), {"strides": 1, "padding": "same"}),
            ((7, 7), 3, {"strides": 2, "padding": "same"}),
            ((4, 5, 6), (2, 2, 2), {"strides": (2, 2, 2)}),
        )
    ),
    case("max_pool", F(2, 3, 8, 7), (2, 2), strides=(2, 2), data_format="channels_first"),
    case("adaptive_average_pool", F(2, 8, 6, 3), (4, 3)),
    case("adaptive_average_pool", F(2, 7, 5, 3), (3, 2)),
    case("adaptive_max_pool", F(2, 7, 5, 3), (3, 2)),
    case("unfold", F(2, 3, 6, 5), 2, stride=1, padding=1),
    case("unfold", F(2, 3, 7, 7), 3, stride=2, dilation=2),
    case("fold", F(2, 12, 20), (5, 6), 2),
    case("fold", F(2, 12, 12), (5, 6), 2, stride=2, padding=1, symbolic=False),
    case("depth_to_space", F(2, 3, 4, 8), 2),
    case("space_to_depth", F(2, 4, 6, 3), 2),
    case("batch_normalization", F(3, 5, 4), W(4), V(4), -1, offset=W(4), scale=W(4)),
    case("batch_normalization", F(3, 4, 5), W(4), V(4), 1, offset=W(4), scale=W(4)),
    case("batch_normalization", F(3, 4), W(4), V(4), -1),
    case("layer_normalization", F(3, 4), tolerance=1e-4),
    case("layer_normalization", F(3, 4), V(4), W(4), epsilon=1e-3, tolerance=1e-4),
    case("layer_normalization", F(3, 4, 5), V(4, 5), W(4, 5), axis=(1, 2), epsilon=1e-3, tolerance=1e-4),
    case("layer_normalization", F(3, 4, 5), axis=1, tolerance=1e-4),
    case("rms_normalization", F(3, 4), V(4), tolerance=1e-4),
    case("normalize", F(3, 4)),
    case("normalize", F(3, 4), axis=0, order=1),
    no("one_hot", I(3, 4), 5),
    no("one_hot", I(3, 4, low=-1, high=7), 5, axis=1, dtype="int32"),
    no("multi_hot", I(3, 4), 5),
    case("binary_crossentropy", B(3, 4), Input((3, 4), 0.1, 0.9)),
    case("binary_crossentropy", P(3, 4), F(3, 4), from_logits=True),
    case("categorical_crossentropy", P(3, 4), P(3, 4)),
    case("categorical_crossentropy", P(3, 4), F(3, 4), from_logits=True),
    case("categorical_crossentropy", P(3, 4, 2), F(3, 4, 2), from_logits=True, axis=1),
    case("sparse_categorical_crossentropy", I(3, high=4), P(3, 4)),
    case("sparse_categorical_crossentropy", I(3, 1, high=4), F(3, 4), from_logits=True),
    case("sparse_categorical_crossentropy", I(3, 2, high=4), F(3, 2, 4), from_logits=True),
    case("psnr", F(3, 4), F(3, 4), 2.0),
    case("dot_product_attention", F(2, 5, 4, 3), F(2, 6, 4, 3), F(2, 6, 4, 3)),
    case("dot_product_attention", F(2, 5, 4, 3), F(2, 5, 2, 3), F(2, 5, 2, 3), is_causal=True),
    case("dot_product_attention", F(2, 5, 4, 3), F(2, 6, 2, 3), F(2, 6, 2, 3), mask=B(2, 1, 5, 6), is_causal=True),
    case("dot_product_attention", F(1, 70, 2, 3), F(1, 140, 2, 3), F(1, 140, 2, 3), mask=B(1, 1, 70, 140), scale=-0.6),
    case("dot_product_attention", F(2, 5, 4, 3), F(2, 6, 4, 3), F(2, 6, 4, 3), bias=F(2, 4, 5, 6), mask=B(2, 1, 5, 6), scale=0.3),
    case("ctc_loss", I(2, 3, low=1, high=5), F(2, 7, 5), np.array([3, 2]), np.array([7, 6]), tolerance=1e-4),
    no("ctc_decode", F(2, 7, 5), np.array([7, 6])),
    # Signals.
    case("fft", (F(2, 6), F(2, 6)), tolerance=1e-4),
    case("fft2", (F(2, 4, 6), F(2, 4, 6)), tolerance=1e-4),
    case("ifft2", (F(2, 4, 6), F(2, 4, 6)), tolerance=1e-4),
    case("rfft", F(2, 7), tolerance=1e-4),
    case("rfft", F(2, 7), 10, tolerance=1e-4),
    case("irfft", (F(2, 5), F(2, 5)), tolerance=1e-4),
    case("irfft", (F(2, 5), F(2, 5)), 7, tolerance=1e-4),
    case("extract_sequences", F(2, 12), 4, 2),
    case("stft", F(2, 32), 8, 4, 16, tolerance=1e-4),
    case("stft", F(2, 32), 8, 4, 8, window="hamming", center=False, tolerance=1e-4),
    case("istft", (F(2, 7, 9), F(2, 7, 9)), 16, 4, 16, tolerance=1e-3, gradient=False),
    # Matrices.
    case("norm", F(3, 4)),
    case("norm", F(3, 4), axis=1),
    case("norm", F(3, 4), ord=1, axis=1, keepdims=True),
    case("norm", F(3, 4), ord=3, axis=0),
    case("norm", F(3, 4), ord=np.inf, axis=1),
    case("norm", F(2, 3, 4), ord=1, axis=(1, 2)),
    case("norm", F(2, 3, 4), ord="fro", axis=(1, 2)),
    # Images.
    *(
        case("image.resize", F(2, 8, 9, 3), (5, 13), interpolation=kind, antialias=smooth, tolerance=1e-4)
        for kind in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        for smooth in (False, True)
    ),
    case("image.resize", F(2, 8, 12, 3), (5, 5), crop_to_aspect_ratio=True, tolerance=1e-4),
    case("image.resize", F(2, 8, 12, 3), (5, 5), pad_to_aspect_ratio=True, tolerance=1e-4),
    no("image.resize", Input((2, 8, 9, 3), 0, 255, "int32"), (5, 13), tolerance=1.0),
    case("image.rgb_to_grayscale", F(2, 4, 5, 3)),
    no("image.rgb_to_hsv", Input((2, 4, 5, 3), 0, 1)),
    no("image.hsv_to_rgb", Input((2, 4, 5, 3), 0, 1)),
    case("image.pad_images", F(2, 4, 5, 3), 1, 2, target_height=8, target_width=9),
    case("image.crop_images", F(2, 8, 9, 3), 1, 2, target_height=4, target_width=5),
    case("image.gaussian_blur", F(2, 6, 7, 3), (3, 5), (1.0, 0.7), reference=False),
    case("image.sobel_edges", F(2, 6, 7, 3), tolerance=1e-4),
    case("image.ssim", P(2, 16, 14, 3), P(2, 16, 14, 3), tolerance=1e-3),
    case("image.extract_patches", F(2, 8, 9, 3), 3),
    case("image.extract_patches", F(2, 8, 9, 3), (2, 3), strides=2, padding="same"),
    case("image.extract_patches_3d", F(2, 5, 6, 7, 2), 2),
    *(
        case("image.affine_transform", F(6, 7, 3), np.array([0.9, 0.1, 0.3, -0.1, 1.1, -0.5, 0.0, 0.0], "float32"), symbolic=False, interpolation=kind, fill_mode=mode, tolerance=1e-4, gradient=kind != "nearest")
        for kind, mode in (("bilinear", "constant"), ("bilinear", "reflect"), ("nearest", "wrap"), ("bilinear", "mirror"), ("bilinear", "nearest"))
    ),
    case("image.map_coordinates", F(6, 7), Input((2, 5), 0, 5, weights=True), 1, tolerance=1e-4),
    case("image.scale_and_translate", F(2, 6, 7, 3), (2, 8, 9, 3), np.array([1.3, 1.2], "float32"), np.array([0.5, -0.3], "float32"), (1, 2), "linear", tolerance=1e-4),
]  # fmt: skip
