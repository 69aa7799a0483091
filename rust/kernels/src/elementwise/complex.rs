//! Arithmetic on complex numbers, by their definitions in two `f64`.
use num_complex::Complex;

use super::Op;
use super::{map1, map2, map3};

type C = Complex<f64>;

/// # Safety
/// As for [`super::program::execute`].
pub(super) unsafe fn execute(op: Op, args: [*const C; 3], out: *mut C, n: usize) {
    use Op::*;
    let real = |x: f64| C::new(x, 0.0);
    let truth = |x: bool| real(x as u8 as f64);
    let zero = C::new(0.0, 0.0);
    // SAFETY: the caller vouches for `n` items behind every pointer.
    unsafe {
        macro_rules! each {
            (|$x:ident| $body:expr) => {
                map1(args, out, n, |$x: C| -> C { $body })
            };
            (|$x:ident, $y:ident| $body:expr) => {
                map2(args, out, n, |$x: C, $y: C| -> C { $body })
            };
            (|$x:ident, $y:ident, $z:ident| $body:expr) => {
                map3(args, out, n, |$x: C, $y: C, $z: C| -> C { $body })
            };
        }
        match op {
            Negative => each!(|x| -x),
            Abs => each!(|x| real(x.norm())),
            Sign => each!(|x| if x == zero { x } else { x / x.norm() }),
            Exp => each!(|x| x.exp()),
            Expm1 => each!(|x| x.exp() - 1.0),
            Log => each!(|x| x.ln()),
            Log1p => each!(|x| (x + 1.0).ln()),
            Sqrt => each!(|x| x.sqrt()),
            Rsqrt => each!(|x| x.sqrt().inv()),
            Square => each!(|x| x * x),
            Reciprocal => each!(|x| x.inv()),
            Sin => each!(|x| x.sin()),
            Cos => each!(|x| x.cos()),
            Tan => each!(|x| x.tan()),
            Arcsin => each!(|x| x.asin()),
            Arccos => each!(|x| x.acos()),
            Arctan => each!(|x| x.atan()),
            Sinh => each!(|x| x.sinh()),
            Cosh => each!(|x| x.cosh()),
            Tanh => each!(|x| x.tanh()),
            Arcsinh => each!(|x| x.asinh()),
            Arccosh => each!(|x| x.acosh()),
            Arctanh => each!(|x| x.atanh()),
            IsNan => each!(|x| truth(x.is_nan())),
            IsInf => each!(|x| truth(x.is_infinite())),
            IsFinite => each!(|x| truth(x.is_finite())),
            LogicalNot => each!(|x| truth(x == zero)),
            Real => each!(|x| real(x.re)),
            Imag => each!(|x| real(x.im)),
            Conj => each!(|x| x.conj()),
            Add => each!(|x, y| x + y),
            Subtract => each!(|x, y| x - y),
            Multiply => each!(|x, y| x * y),
            Divide => each!(|x, y| x / y),
            Power => each!(|x, y| if x == zero && y != zero {
                zero
            } else {
                x.powc(y)
            }),
            Equal => each!(|x, y| truth(x == y)),
            NotEqual => each!(|x, y| truth(x != y)),
            LogicalAnd => each!(|x, y| truth(x != zero && y != zero)),
            LogicalOr => each!(|x, y| truth(x != zero || y != zero)),
            LogicalXor => each!(|x, y| truth((x != zero) != (y != zero))),
            Where => each!(|c, x, y| if c != zero { x } else { y }),
            other => unreachable!("{} of complex numbers", other.name()),
        }
    }
}
