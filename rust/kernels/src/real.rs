//! Kernels written once for lanes of `f32` and of `f64`.
use simd::{Isa, Lanes, math};

use crate::elementwise::special::sigmoid;
use crate::{attention, gemm};

/// A number with functions on lanes of its own.
pub trait Real: gemm::Real + attention::Compiled {
    /// Minus infinity.
    const LEAST: Self;
    /// The number of each lane.
    const NUMBERS: [Self; MAX_LANES];

    /// The nearest number.
    fn from_f64(x: f64) -> Self;
    /// The same number in double precision.
    fn to_f64(self) -> f64;
    /// The exponential of each lane, none of which is above 88; it may be zero where it would not be normal.
    fn exp<I: Isa>(isa: I, x: Self::Lanes<I>) -> Self::Lanes<I>;
    /// The hyperbolic tangent of each lane.
    fn tanh<I: Isa>(isa: I, x: Self::Lanes<I>) -> Self::Lanes<I>;
    /// The hyperbolic tangent of each lane, in single precision within six units in the last place.
    #[inline(always)]
    fn quick_tanh<I: Isa>(isa: I, x: Self::Lanes<I>) -> Self::Lanes<I> {
        Self::tanh(isa, x)
    }
    /// The logistic function of each lane.
    fn sigmoid<I: Isa>(isa: I, x: Self::Lanes<I>) -> Self::Lanes<I>;
}

impl Real for f32 {
    const LEAST: f32 = f32::NEG_INFINITY;
    const NUMBERS: [f32; MAX_LANES] = [
        0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.,
    ];

    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }

    #[inline(always)]
    fn exp<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        math::bounded_exp(isa, x)
    }

    #[inline(always)]
    fn tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        math::tanh(isa, x)
    }

    #[inline(always)]
    fn quick_tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        math::quick_tanh(isa, x)
    }

    #[inline(always)]
    fn sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        math::sigmoid(isa, x)
    }
}

impl Real for f64 {
    const LEAST: f64 = f64::NEG_INFINITY;
    const NUMBERS: [f64; MAX_LANES] = [
        0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.,
    ];

    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn exp<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        each_lane(isa, x, f64::exp)
    }

    #[inline(always)]
    fn tanh<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        each_lane(isa, x, f64::tanh)
    }

    #[inline(always)]
    fn sigmoid<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        each_lane(isa, x, sigmoid)
    }
}

#[inline(always)]
fn each_lane<I: Isa>(isa: I, x: I::F64, function: impl Fn(f64) -> f64) -> I::F64 {
    let mut lanes = [0.0; MAX_LANES];
    x.store(&mut lanes);
    for lane in &mut lanes[..I::F64::LEN] {
        *lane = function(*lane);
    }
    I::F64::load(isa, &lanes)
}

/// At least as many lanes as any instruction set has.
pub const MAX_LANES: usize = 16;

/// Lanes of `x[i..]`, with `fill` behind its end.
#[inline(always)]
pub fn load_or<T: Real, I: Isa>(isa: I, x: &[T], i: usize, fill: T) -> T::Lanes<I> {
    let x = &x[i..];
    if x.len() >= T::Lanes::<I>::LEN {
        return T::Lanes::<I>::load(isa, x);
    }
    let inside = T::Lanes::<I>::load(isa, &T::NUMBERS)
        .lt(T::Lanes::<I>::splat(isa, T::from_f64(x.len() as f64)));
    T::Lanes::<I>::load_partial(isa, x).select(inside, T::Lanes::<I>::splat(isa, fill))
}

/// Lanes of `x[i..]`, with zeros behind its end.
#[inline(always)]
pub fn load_at<T: Real, I: Isa>(isa: I, x: &[T], i: usize) -> T::Lanes<I> {
    let x = &x[i..];
    if x.len() >= T::Lanes::<I>::LEN {
        T::Lanes::<I>::load(isa, x)
    } else {
        T::Lanes::<I>::load_partial(isa, x)
    }
}

/// Stores to `out[i..]`, only as many lanes as it has items.
#[inline(always)]
pub fn store_at<T: Real, I: Isa>(y: T::Lanes<I>, out: &mut [T], i: usize) {
    let out = &mut out[i..];
    if out.len() >= T::Lanes::<I>::LEN {
        y.store(out);
    } else {
        y.store_partial(out);
    }
}
