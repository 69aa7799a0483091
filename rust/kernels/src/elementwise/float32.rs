//! Arithmetic on `f32`, in lanes.
use simd::{Float, Isa, Lanes, Task, math};

use super::{Op, float64, map1, map2};
use crate::activation as act;
use crate::real::MAX_LANES;

/// # Safety
/// As for [`super::program::execute`].
pub(super) unsafe fn execute(op: Op, args: [*const f32; 3], out: *mut f32, n: usize) {
    let wide = |f: fn(f64, f64) -> f64| move |x: f32, y: f32| f(x.into(), y.into()) as f32;
    // SAFETY: the caller vouches for `n` items behind every pointer.
    unsafe {
        match op {
            Op::Mod => map2(args, out, n, wide(float64::modulo)),
            Op::FloorDivide => map2(args, out, n, wide(float64::floor_divide)),
            _ if is_scalar(op) => match float64::rare(op) {
                Some(f) => map1(args, out, n, |x: f32| f(x.into()) as f32),
                None => unreachable!("{} of floats", op.name()),
            },
            _ => {
                let whole = n - n % MAX_LANES;
                if whole > 0 {
                    run(Step {
                        op,
                        args,
                        out,
                        n: whole,
                    });
                }
                if whole < n {
                    // What does not fill lanes goes through them in copies, so that no step has a second form for it.
                    let mut items = [[0f32; MAX_LANES]; 3];
                    let mut result = [0f32; MAX_LANES];
                    for (items, arg) in items.iter_mut().zip(args).take(op.arity()) {
                        arg.add(whole).copy_to(items.as_mut_ptr(), n - whole);
                    }
                    run(Step {
                        op,
                        args: items.each_ref().map(|items| items.as_ptr()),
                        out: result.as_mut_ptr(),
                        n: MAX_LANES,
                    });
                    result.as_ptr().copy_to(out.add(whole), n - whole);
                }
            }
        }
    }
}

/// What has no lanes: few models use them, and a call per item is fast enough.
fn is_scalar(op: Op) -> bool {
    use Op::*;
    matches!(op, Sinh | Cosh | Lgamma | Digamma)
}

/// Runs a step: most are one chain of operations per register, so short registers go in pairs.
fn run(step: Step) {
    simd::dispatch(simd::interleaved(step));
}

struct Step {
    op: Op,
    args: [*const f32; 3],
    out: *mut f32,
    /// A multiple of [`MAX_LANES`].
    n: usize,
}

impl Task for Step {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        use Op::*;
        let zero = isa.splat(0.0);
        let one = isa.splat(1.0);
        let truth = |mask: I::Mask32| one.select(mask, zero);
        let is = |x: I::F32| !x.eq(zero);
        macro_rules! each {
            (|$x:ident| $body:expr) => {
                self.lanes(isa, |$x, _, _| $body, 1)
            };
            (|$x:ident, $y:ident| $body:expr) => {
                self.lanes(isa, |$x, $y, _| $body, 2)
            };
            (|$x:ident, $y:ident, $z:ident| $body:expr) => {
                self.lanes(isa, |$x, $y, $z| $body, 3)
            };
        }
        match self.op {
            Negative => each!(|x| -x),
            Abs => each!(|x| x.abs()),
            Sign => each!(|x| {
                // Zeros and NaN are their own signs.
                one.copysign(x).select(x.abs().gt(zero), x)
            }),
            Exp => each!(|x| math::exp(isa, x)),
            Expm1 => each!(|x| math::expm1(isa, x)),
            Log => each!(|x| math::log(isa, x)),
            Log1p => each!(|x| math::log1p(isa, x)),
            Sqrt => each!(|x| x.sqrt()),
            Rsqrt => each!(|x| one / x.sqrt()),
            Square => each!(|x| x * x),
            Reciprocal => each!(|x| one / x),
            Sin => each!(|x| math::sin(isa, x)),
            Cos => each!(|x| math::cos(isa, x)),
            Tan => each!(|x| math::tan(isa, x)),
            Arcsin => each!(|x| math::arcsin(isa, x)),
            Arccos => each!(|x| math::arccos(isa, x)),
            Arctan => each!(|x| math::arctan(isa, x)),
            Arcsinh => each!(|x| math::arcsinh(isa, x)),
            Arccosh => each!(|x| math::arccosh(isa, x)),
            Arctanh => each!(|x| math::arctanh(isa, x)),
            Erfinv => each!(|x| math::erfinv(isa, x)),
            Tanh => each!(|x| math::tanh(isa, x)),
            Erf => each!(|x| math::erf(isa, x)),
            Floor => each!(|x| x.floor()),
            Ceil => each!(|x| x.ceil()),
            Round => each!(|x| x.round()),
            Trunc => each!(|x| x.trunc()),
            IsNan => each!(|x| truth(x.is_nan())),
            IsInf => each!(|x| truth(x.abs().eq(isa.splat(f32::INFINITY)))),
            IsFinite => each!(|x| truth(x.abs().lt(isa.splat(f32::INFINITY)))),
            LogicalNot => each!(|x| truth(x.eq(zero))),
            Sigmoid => each!(|x| math::sigmoid(isa, x)),
            Relu => each!(|x| act::relu(isa, x)),
            Relu6 => each!(|x| act::relu6(isa, x)),
            Softplus => each!(|x| act::softplus(isa, x)),
            Softsign => each!(|x| act::softsign(isa, x)),
            Silu => each!(|x| act::silu(isa, x)),
            Gelu => each!(|x| act::gelu(isa, x)),
            GeluTanh => each!(|x| act::gelu_tanh(isa, x)),
            Selu => each!(|x| act::selu(isa, x)),
            HardSigmoid => each!(|x| act::hard_sigmoid(isa, x)),
            HardSilu => each!(|x| x * act::hard_sigmoid(isa, x)),
            LogSigmoid => each!(|x| act::log_sigmoid(isa, x)),
            Mish => each!(|x| act::mish(isa, x)),
            Real | Conj => each!(|x| x),
            Imag => each!(|_x| zero),
            Add => each!(|x, y| x + y),
            Subtract => each!(|x, y| x - y),
            Multiply => each!(|x, y| x * y),
            Divide => each!(|x, y| x / y),
            Power => each!(|x, y| math::power(isa, x, y)),
            Arctan2 => each!(|y, x| math::arctan2(isa, y, x)),
            Maximum => each!(|x, y| x.maximum(y)),
            Minimum => each!(|x, y| x.minimum(y)),
            Equal => each!(|x, y| truth(x.eq(y))),
            NotEqual => each!(|x, y| truth(!x.eq(y))),
            Less => each!(|x, y| truth(x.lt(y))),
            LessEqual => each!(|x, y| truth(x.le(y))),
            Greater => each!(|x, y| truth(x.gt(y))),
            GreaterEqual => each!(|x, y| truth(x.ge(y))),
            LogicalAnd => each!(|x, y| truth(is(x) & is(y))),
            LogicalOr => each!(|x, y| truth(is(x) | is(y))),
            LogicalXor => each!(|x, y| truth((is(x) & !is(y)) | (is(y) & !is(x)))),
            Elu => each!(|x, alpha| act::elu(isa, x, alpha)),
            LeakyRelu => each!(|x, slope| act::leaky_relu(isa, x, slope)),
            Celu => each!(|x, alpha| act::celu(isa, x, alpha)),
            Where => each!(|c, x, y| x.select(is(c), y)),
            Clip => each!(|x, low, high| x.maximum(low).minimum(high)),
            MultiplyAdd => each!(|x, y, z| x * y + z),
            op => unreachable!("{} of floats", op.name()),
        }
    }
}

impl Step {
    /// Applies `f` to the operands in lanes; `arity` is a constant where this is inlined.
    #[inline(always)]
    fn lanes<I: Isa>(&self, isa: I, f: impl Fn(I::F32, I::F32, I::F32) -> I::F32, arity: usize) {
        let zero = isa.splat(0.0);
        let Step { args, out, n, .. } = *self;
        let mut i = 0;
        while i < n {
            let load = |k: usize| {
                if k < arity {
                    // SAFETY: whoever made the step vouches for `n` items behind every operand, which are whole lanes.
                    unsafe { I::F32::load_ptr(isa, args[k].add(i)) }
                } else {
                    zero
                }
            };
            let y = f(load(0), load(1), load(2));
            // SAFETY: as above.
            unsafe { y.store_ptr(out.add(i)) };
            i += I::F32::LEN;
        }
    }
}
