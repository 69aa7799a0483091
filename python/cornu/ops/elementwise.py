"""Functions of each element: arithmetic, comparison, trigonometry, rounding, bits.

Most are one primitive behind one promotion: `"result"` brings the operands to their common
dtype, `"float"` to a common floating one.
"""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from cornu._cornu import Tensor, primitive
from cornu.ops.operation import op
from cornu.ops.promotion import as_float, as_tensor, common_dtype, is_inexact, numeric, promoted
from cornu.tensor import is_float_dtype


def unary(name: str, promote: str | None, doc: str) -> Callable[[Any], Tensor]:
    """The function `name(x)`: the primitive of that name."""
    apply = primitive(name, promote=promote)

    def function(x: Any) -> Tensor:
        return apply(x)

    return finish(
        function,
        name,
        f"{doc}\n\nArgs:\n    x: A tensor of any shape.\n\n"
        "Returns:\n    A tensor of the same shape.\n",
    )


def binary(name: str, promote: str | None, doc: str) -> Callable[[Any, Any], Tensor]:
    """The function `name(x1, x2)`: the primitive of that name."""
    apply = primitive(name, promote=promote)

    def function(x1: Any, x2: Any) -> Tensor:
        return apply(x1, x2)

    return finish(function, name, doc + BINARY.format(a="x1", b="x2"))


BINARY = """

Args:
    {a}: A tensor.
    {b}: A tensor whose shape broadcasts with that of `{a}`.

Returns:
    A tensor of the shape that both broadcast to.
"""


def finish(function: Callable[..., Tensor], name: str, doc: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    # The module that the function is made for, where pickle looks for it.
    function.__module__ = sys._getframe(2).f_globals["__name__"]
    function.__doc__ = doc
    return op(function)


def renamed(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The same function under a second name, which graphs keep."""
    inner = function.definition.function
    copy = FunctionType(
        inner.__code__, inner.__globals__, name, inner.__defaults__, inner.__closure__
    )
    copy.__qualname__, copy.__module__ = name, inner.__module__
    copy.__doc__, copy.__annotations__ = inner.__doc__, inner.__annotations__
    return op(copy)


# Of real numbers, always a float.
exp = unary("exp", "float", "The exponential of each element.")
expm1 = unary("expm1", "float", "`exp(x) - 1`, accurate near zero.")
log = unary("log", "float", "The natural logarithm of each element.")
log1p = unary("log1p", "float", "`log(1 + x)`, accurate near zero.")
sqrt = unary("sqrt", "float", "The square root of each element.")
rsqrt = unary("rsqrt", "float", "The reciprocal of the square root of each element.")
reciprocal = unary("reciprocal", "float", "`1 / x`.")
sin = unary("sin", "float", "The sine of each element.")
cos = unary("cos", "float", "The cosine of each element.")
tan = unary("tan", "float", "The tangent of each element.")
arcsin = unary("arcsin", "float", "The inverse sine of each element.")
arccos = unary("arccos", "float", "The inverse cosine of each element.")
arctan = unary("arctan", "float", "The inverse tangent of each element.")
sinh = unary("sinh", "float", "The hyperbolic sine of each element.")
cosh = unary("cosh", "float", "The hyperbolic cosine of each element.")
tanh = unary("tanh", "float", "The hyperbolic tangent of each element.")
arcsinh = unary("arcsinh", "float", "The inverse hyperbolic sine of each element.")
arccosh = unary("arccosh", "float", "The inverse hyperbolic cosine of each element.")
arctanh = unary("arctanh", "float", "The inverse hyperbolic tangent of each element.")
erf = unary("erf", "float", "The error function of each element.")
erfinv = unary("erfinv", "float", "The inverse of the error function.")
floor = unary("floor", "float", "The largest integer not above each element, as a float.")
ceil = unary("ceil", "float", "The smallest integer not below each element, as a float.")
isnan = unary("isnan", "float", "Whether each element is not a number.")
isinf = unary("isinf", "float", "Whether each element is infinite.")
isfinite = unary("isfinite", "float", "Whether each element is finite.")

negative = unary("negative", "result", "The negative of each element.")
sign = unary("sign", "result", "The sign of each element: -1, 0 or 1.")

add = binary("add", "result", "The sum of two tensors, element by element.")
subtract = binary("subtract", "result", "The difference of two tensors, element by element.")
multiply = binary("multiply", "result", "The product of two tensors, element by element.")
maximum = binary("maximum", "result", "The larger of two tensors, element by element.")
minimum = binary("minimum", "result", "The smaller of two tensors, element by element.")
divide = binary("divide", "float", "The quotient of two tensors, element by element.")
arctan2 = binary("arctan2", "float", "The angle of the point `(x2, x1)`, between -pi and pi.")
equal = binary("equal", "result", "Whether the elements are equal.")
not_equal = binary("not_equal", "result", "Whether the elements differ.")
less = binary("less", "result", "Whether `x1 < x2`.")
less_equal = binary("less_equal", "result", "Whether `x1 <= x2`.")
greater = binary("greater", "result", "Whether `x1 > x2`.")
greater_equal = binary("greater_equal", "result", "Whether `x1 >= x2`.")


true_divide = renamed(divide, "true_divide")


_abs = primitive("abs")
_square = primitive("square")
_round = primitive("round")
_trunc = primitive("trunc")
_clip = primitive("clip")
_floor_divide = primitive("floor_divide", promote="result")
_mod = primitive("mod", promote="result")
_power = primitive("power", promote="result")
_select = primitive("where")
_broadcast_to = primitive("broadcast_to")


def numbers(x1: Any, x2: Any) -> tuple[Any, Any]:
    """The operands, as `int32` if both are truths."""
    if isinstance(x1, Tensor) and x1.dtype != "bool":
        return x1, x2
    return (numeric(x1), x2) if common_dtype(x1, x2) == "bool" else (x1, x2)


@op
def abs(x: Any) -> Tensor:
    """The magnitude of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape.
    """
    x = as_tensor(x)
    return x if x.dtype.startswith(("bool", "uint")) else _abs(x)


absolute = renamed(abs, "absolute")


@op
def fabs(x: Any) -> Tensor:
    """The magnitude of each element, as a float.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return _abs(as_float(x))


@op
def square(x: Any) -> Tensor:
    """The square of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape.
    """
    return _square(numeric(x))


@op
def round(x: Any, decimals: int = 0) -> Tensor:
    """Each element rounded to a number of decimals, halves to even.

    Args:
        x: A tensor of any shape.
        decimals: The number of decimals kept; a negative one rounds to tens, hundreds, ...

    Returns:
        A tensor of the same shape and dtype.
    """
    x = as_tensor(x)
    if not is_float_dtype(x.dtype):
        if decimals >= 0:
            return x
        return as_tensor(round(as_tensor(x, "float64"), decimals), x.dtype)
    if decimals == 0:
        return _round(x)
    scale = 10.0 ** builtins.abs(decimals)
    return _round(x * scale) / scale if decimals > 0 else _round(x / scale) * scale


@op
def trunc(x: Any) -> Tensor:
    """Each element without its fraction.

    Args:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.
    """
    x = as_tensor(x)
    return _trunc(x) if is_float_dtype(x.dtype) else x


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Each element brought into the range from `x_min` to `x_max`.

    Args:
        x: A tensor.
        x_min: The lower bound: a number or a tensor that broadcasts with `x`.
        x_max: The upper bound.

    Returns:
        A tensor of the shape that they broadcast to.
    """
    x = numeric(x)
    if not isinstance(x_min, int | float) or not isinstance(x_max, int | float):
        return minimum(maximum(x, x_min), x_max)
    dtype = common_dtype(x, x_min, x_max)
    return _clip(*(as_tensor(value, dtype) for value in (x, x_min, x_max)))


@op
def floor_divide(x1: Any, x2: Any) -> Tensor:
    """The largest integer not above the quotient, element by element.

    Args:
        x1: The numerator.
        x2: The denominator; its shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _floor_divide(*numbers(x1, x2))


@op
def mod(x1: Any, x2: Any) -> Tensor:
    """The remainder of the division, with the sign of the divisor.

    Args:
        x1: The dividend.
        x2: The divisor; its shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _mod(*numbers(x1, x2))


@op
def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder of the division, with the sign of the dividend.

    Args:
        x1: The dividend.
        x2: The divisor; its shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(*numbers(x1, x2))
    rest = _mod(abs(x1), abs(x2))
    return _select(x1 < 0, negative(rest), rest) if not x1.dtype.startswith("uint") else rest


@op
def power(x1: Any, x2: Any) -> Tensor:
    """`x1` to the power of `x2`, element by element.

    Args:
        x1: The base.
        x2: The exponent; its shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _power(*numbers(x1, x2))


@op
def exp2(x: Any) -> Tensor:
    """2 to the power of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return _power(2.0, as_float(x))


@op
def log2(x: Any) -> Tensor:
    """The logarithm to base 2 of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return log(x) / math.log(2.0)


@op
def log10(x: Any) -> Tensor:
    """The logarithm to base 10 of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return log(x) / math.log(10.0)


@op
def cbrt(x: Any) -> Tensor:
    """The cube root of each element.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    x = as_float(x)
    return sign(x) * _power(_abs(x), 1.0 / 3.0)


@op
def deg2rad(x: Any) -> Tensor:
    """Degrees as radians.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return as_float(x) * (math.pi / 180.0)


@op
def rad2deg(x: Any) -> Tensor:
    """Radians as degrees.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return as_float(x) * (180.0 / math.pi)


@op
def sinc(x: Any) -> Tensor:
    """`sin(pi x) / (pi x)`, 1 at zero.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    y = as_float(x) * math.pi
    zero = equal(y, 0)
    safe = _select(zero, as_tensor(1, y.dtype), y)
    return _select(zero, as_tensor(1, y.dtype), sin(safe) / safe)


@op
def erfc(x: Any) -> Tensor:
    """`1 - erf(x)`.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    return 1 - erf(x)


@op
def i0(x: Any) -> Tensor:
    """The modified Bessel function of the first kind and order zero.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 9.8.1 and 9.8.2.

    Args:
        x: A tensor of any shape.

    Returns:
        A float tensor of the same shape.
    """
    x = _abs(as_float(x))
    small = _polynomial(square(minimum(x, 3.75) / 3.75), _I0_SMALL)
    large = maximum(x, 3.75)
    tail = exp(large) * rsqrt(large) * _polynomial(3.75 / large, _I0_LARGE)
    return _select(x < 3.75, small, tail)


_I0_SMALL = (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
_I0_LARGE = (
    0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281,
    -0.02057706, 0.02635537, -0.01647633, 0.00392377,
)  # fmt: skip


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """The polynomial whose coefficients are given from the constant up."""
    value = coefficients[-1] + 0 * x
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value


@op
def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """Each element that is not finite replaced by a number.

    Args:
        x: A tensor of any shape.
        nan: What stands for not-a-number.
        posinf: What stands for infinity; the largest number of the dtype by default.
        neginf: What stands for minus infinity; the smallest number by default.

    Returns:
        A tensor of the same shape and dtype.
    """
    x = as_tensor(x)
    if not is_inexact(x.dtype):
        return x
    low, high = limits(x.dtype)
    x = _select(isnan(x), as_tensor(float(nan), x.dtype), x)
    high = high if posinf is None else float(posinf)
    low = low if neginf is None else float(neginf)
    x = _select(equal(x, math.inf), as_tensor(high, x.dtype), x)
    return _select(equal(x, -math.inf), as_tensor(low, x.dtype), x)


def limits(dtype: str) -> tuple[Any, Any]:
    """The smallest and the largest number of a real dtype."""
    if dtype == "bool":
        return False, True
    if dtype.startswith(("int", "uint")):
        bits = int(dtype.lstrip("uint"))
        return (0, 2**bits - 1) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    high = _LARGEST[dtype]
    return -high, high


_LARGEST = {
    "float16": 65504.0,
    "bfloat16": (2 - 2**-7) * 2.0**127,
    "float32": (2 - 2**-23) * 2.0**127,
    "float64": (2 - 2**-52) * 2.0**1023,
}


@op
def isposinf(x: Any) -> Tensor:
    """Whether each element is plus infinity.

    Args:
        x: A tensor of any shape.

    Returns:
        A `bool` tensor of the same shape.
    """
    return equal(as_float(x), math.inf)


@op
def isneginf(x: Any) -> Tensor:
    """Whether each element is minus infinity.

    Args:
        x: A tensor of any shape.

    Returns:
        A `bool` tensor of the same shape.
    """
    return equal(as_float(x), -math.inf)


@op
def signbit(x: Any) -> Tensor:
    """Whether the sign bit of each element is set; it is for -0.0.

    Args:
        x: A tensor of any shape.

    Returns:
        A `bool` tensor of the same shape.
    """
    x = as_tensor(x)
    if not is_float_dtype(x.dtype):
        return less(numeric(x), 0)
    zero = equal(x, 0)
    return less(_select(zero, reciprocal(x), x), 0)


@op
def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where `x1` is negative, 1 where it is positive, `x2` where it is zero.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2, floating=True)
    step = _select(x1 < 0, as_tensor(0, x1.dtype), as_tensor(1, x1.dtype))
    return _select(isnan(x1), x1, _select(equal(x1, 0), x2, step))


@op
def hypot(x1: Any, x2: Any) -> Tensor:
    """The length of the hypotenuse of a right triangle with these legs.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.
    """
    x1, x2 = (_abs(x) for x in promoted(x1, x2, floating=True))
    large, small = maximum(x1, x2), minimum(x1, x2)
    zero = equal(large, 0)
    safe = _select(zero, as_tensor(1, large.dtype), large)
    return _select(zero, large, large * sqrt(1 + square(small / safe)))


@op
def logaddexp(x1: Any, x2: Any) -> Tensor:
    """`log(exp(x1) + exp(x2))`, without overflow.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2, floating=True)
    distance = x1 - x2
    large = maximum(x1, x2)
    # Equal infinities have no distance.
    return _select(isnan(distance), x1 + x2, large + log1p(exp(negative(_abs(distance)))))


@op
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """`log2(2**x1 + 2**x2)`, without overflow.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2, floating=True)
    return logaddexp(x1 * math.log(2.0), x2 * math.log(2.0)) / math.log(2.0)


@op
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """The quotient of two tensors, 0 where the divisor is 0.

    Args:
        x1: The numerator.
        x2: The denominator; its shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2, floating=True)
    zero = equal(x2, 0)
    safe = _select(zero, as_tensor(1, x2.dtype), x2)
    return _select(zero, as_tensor(0, x1.dtype), x1 / safe)


@op
def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of two tensors; a number wins over not-a-number.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _with_number(maximum, x1, x2)


@op
def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of two tensors; a number wins over not-a-number.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    return _with_number(minimum, x1, x2)


def _with_number(choose: Callable[[Any, Any], Tensor], x1: Any, x2: Any) -> Tensor:
    x1, x2 = promoted(x1, x2)
    if not is_float_dtype(x1.dtype):
        return choose(x1, x2)
    return _select(isnan(x1), x2, _select(isnan(x2), x1, choose(x1, x2)))


@op
def ldexp(x1: Any, x2: Any) -> Tensor:
    """`x1 * 2**x2`.

    Args:
        x1: A tensor.
        x2: A tensor of integers whose shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.

    Raises:
        TypeError: `x2` is not of integers.
    """
    x1, x2 = as_float(x1), as_tensor(x2)
    if is_inexact(x2.dtype):
        raise TypeError(f"ldexp exponent must be an integer type. Received: {x2.dtype}")
    return x1 * _power(as_tensor(2.0, x1.dtype), as_tensor(x2, x1.dtype))


@op
def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor of two tensors of integers.

    Args:
        x1: A tensor of integers.
        x2: A tensor of integers whose shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2)
    a, b = maximum(abs(x1), abs(x2)), minimum(abs(x1), abs(x2))
    # Euclid's steps at least halve the product, so twice the bits are always enough.
    bits = int(x1.dtype.lstrip("uint"))
    for _ in range(2 * bits):
        zero = equal(b, 0)
        a, b = (
            _select(zero, a, b),
            _select(zero, b, _mod(a, _select(zero, as_tensor(1, b.dtype), b))),
        )
    return a


@op
def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple of two tensors of integers.

    Args:
        x1: A tensor of integers.
        x2: A tensor of integers whose shape broadcasts with that of `x1`.

    Returns:
        A tensor of the shape that both broadcast to.
    """
    x1, x2 = promoted(x1, x2)
    divisor = gcd(x1, x2)
    divisor = _select(equal(divisor, 0), as_tensor(1, divisor.dtype), divisor)
    return _floor_divide(abs(x1), divisor) * abs(x2)


@op
def nextafter(x1: Any, x2: Any) -> Tensor:
    """The next number that the dtype can hold after `x1` towards `x2`.

    Args:
        x1: A tensor.
        x2: A tensor whose shape broadcasts with that of `x1`.

    Returns:
        A float tensor of the shape that both broadcast to.
    """
    x1, x2 = (x.numpy() for x in promoted(x1, x2, floating=True))
    return as_tensor(np.nextafter(x1, x2))
