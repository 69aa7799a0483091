//! Arithmetic on `f64`: accurate rather than fast.
use super::Op;
use super::special::{digamma, erf, erfc, erfinv, lgamma, sigmoid, softplus};
use super::{SELU_ALPHA, SELU_SCALE, map1, map2, map3};

/// # Safety
/// As for [`super::program::execute`].
pub(super) unsafe fn execute(op: Op, args: [*const f64; 3], out: *mut f64, n: usize) {
    use Op::*;
    let truth = |x: bool| x as u8 as f64;
    // SAFETY: the caller vouches for `n` items behind every pointer.
    unsafe {
        macro_rules! each {
            (|$x:ident| $body:expr) => {
                map1(args, out, n, |$x: f64| -> f64 { $body })
            };
            (|$x:ident, $y:ident| $body:expr) => {
                map2(args, out, n, |$x: f64, $y: f64| -> f64 { $body })
            };
            (|$x:ident, $y:ident, $z:ident| $body:expr) => {
                map3(args, out, n, |$x: f64, $y: f64, $z: f64| -> f64 { $body })
            };
        }
        if let Some(f) = rare(op) {
            return each!(|x| f(x));
        }
        match op {
            Negative => each!(|x| -x),
            Abs => each!(|x| x.abs()),
            Sign => each!(|x| if x == 0.0 || x.is_nan() {
                x
            } else {
                x.signum()
            }),
            Sqrt => each!(|x| x.sqrt()),
            Rsqrt => each!(|x| 1.0 / x.sqrt()),
            Square => each!(|x| x * x),
            Reciprocal => each!(|x| 1.0 / x),
            IsNan => each!(|x| truth(x.is_nan())),
            IsInf => each!(|x| truth(x.is_infinite())),
            IsFinite => each!(|x| truth(x.is_finite())),
            LogicalNot => each!(|x| truth(x == 0.0)),
            Relu => each!(|x| maximum(x, 0.0)),
            Relu6 => each!(|x| minimum(maximum(x, 0.0), 6.0)),
            Softsign => each!(|x| x / (1.0 + x.abs())),
            HardSigmoid => each!(|x| hard_sigmoid(x)),
            HardSilu => each!(|x| x * hard_sigmoid(x)),
            Real | Conj => each!(|x| x),
            Imag => each!(|_x| 0.0),
            Add => each!(|x, y| x + y),
            Subtract => each!(|x, y| x - y),
            Multiply => each!(|x, y| x * y),
            Divide => each!(|x, y| x / y),
            FloorDivide => each!(|x, y| floor_divide(x, y)),
            Mod => each!(|x, y| modulo(x, y)),
            Power => each!(|x, y| power(x, y)),
            Maximum => each!(|x, y| maximum(x, y)),
            Minimum => each!(|x, y| minimum(x, y)),
            Arctan2 => each!(|x, y| x.atan2(y)),
            Equal => each!(|x, y| truth(x == y)),
            NotEqual => each!(|x, y| truth(x != y)),
            Less => each!(|x, y| truth(x < y)),
            LessEqual => each!(|x, y| truth(x <= y)),
            Greater => each!(|x, y| truth(x > y)),
            GreaterEqual => each!(|x, y| truth(x >= y)),
            LogicalAnd => each!(|x, y| truth(x != 0.0 && y != 0.0)),
            LogicalOr => each!(|x, y| truth(x != 0.0 || y != 0.0)),
            LogicalXor => each!(|x, y| truth((x != 0.0) != (y != 0.0))),
            Elu => each!(|x, alpha| if x > 0.0 { x } else { alpha * x.exp_m1() }),
            LeakyRelu => each!(|x, slope| if x >= 0.0 { x } else { slope * x }),
            Celu => each!(|x, alpha| if x > 0.0 {
                x
            } else {
                alpha * (x / alpha).exp_m1()
            }),
            Where => each!(|c, x, y| if c != 0.0 { x } else { y }),
            Clip => each!(|x, low, high| minimum(maximum(x, low), high)),
            MultiplyAdd => each!(|x, y, z| x * y + z),
            other => unreachable!("{} of floats", other.name()),
        }
    }
}

/// The functions that cost a call anyway.
pub(super) fn rare(op: Op) -> Option<fn(f64) -> f64> {
    Some(match op {
        Op::Exp => f64::exp,
        Op::Expm1 => f64::exp_m1,
        Op::Log => f64::ln,
        Op::Log1p => f64::ln_1p,
        Op::Sin => f64::sin,
        Op::Cos => f64::cos,
        Op::Tan => f64::tan,
        Op::Arcsin => f64::asin,
        Op::Arccos => f64::acos,
        Op::Arctan => f64::atan,
        Op::Sinh => f64::sinh,
        Op::Cosh => f64::cosh,
        Op::Tanh => f64::tanh,
        Op::Arcsinh => f64::asinh,
        Op::Arccosh => f64::acosh,
        Op::Arctanh => f64::atanh,
        Op::Erf => erf,
        Op::Erfinv => erfinv,
        Op::Lgamma => lgamma,
        Op::Digamma => digamma,
        Op::Floor => f64::floor,
        Op::Ceil => f64::ceil,
        Op::Round => f64::round_ties_even,
        Op::Trunc => f64::trunc,
        Op::Sigmoid => sigmoid,
        Op::Softplus => softplus,
        Op::LogSigmoid => |x| -softplus(-x),
        Op::Silu => |x| x * sigmoid(x),
        Op::Gelu => |x| 0.5 * x * erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        Op::GeluTanh => gelu_tanh,
        Op::Selu => |x| SELU_SCALE * if x > 0.0 { x } else { SELU_ALPHA * x.exp_m1() },
        Op::Mish => |x| x * softplus(x).tanh(),
        _ => return None,
    })
}

fn gelu_tanh(x: f64) -> f64 {
    const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
    0.5 * x * (1.0 + (SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)).tanh())
}

#[inline(always)]
fn hard_sigmoid(x: f64) -> f64 {
    minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0
}

/// The greater, NaN if either is.
#[inline(always)]
pub(super) fn maximum(x: f64, y: f64) -> f64 {
    if x > y || x.is_nan() { x } else { y }
}

/// The lesser, NaN if either is.
#[inline(always)]
pub(super) fn minimum(x: f64, y: f64) -> f64 {
    if x < y || x.is_nan() { x } else { y }
}

/// The remainder with the sign of the divisor.
pub(super) fn modulo(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r == 0.0 {
        0f64.copysign(y)
    } else if (r < 0.0) != (y < 0.0) {
        r + y
    } else {
        r
    }
}

/// The quotient rounded down.
pub(super) fn floor_divide(x: f64, y: f64) -> f64 {
    if y == 0.0 || x.is_infinite() || y.is_infinite() {
        return (x / y).floor();
    }
    // The remainder is exact; what is left divides to very nearly an integer.
    ((x - modulo(x, y)) / y).round()
}

/// `x` to the power `y`.
pub(super) fn power(x: f64, y: f64) -> f64 {
    if y == 2.0 { x * x } else { x.powf(y) }
}
