//! What a reduction computes with: the numbers themselves, or a wider type for the half-precision floats.
use half::{bf16, f16};
use num_complex::Complex;

use crate::Element;

/// Arithmetic of running results. Integers wrap; a NaN operand of [`Number::max`] and [`Number::min`] is the result;
/// complex numbers are ordered by their real, then their imaginary part.
pub trait Number: Element {
    /// The sum of nothing.
    const ZERO: Self;
    /// The product of nothing.
    const ONE: Self;
    /// No number is less.
    const LEAST: Self;
    /// No number is greater.
    const GREATEST: Self;
    /// Whether loops over it are worth compiling for every instruction set.
    const TUNED: bool = false;

    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self * other`.
    fn mul(self, other: Self) -> Self;
    /// `self / count`.
    fn div(self, count: usize) -> Self;
    /// Whether `self > other`; false for NaN.
    fn gt(self, other: Self) -> bool;
    /// Whether it is (or holds) NaN.
    fn is_nan(self) -> bool;

    /// The greater number, or a NaN.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self.gt(other) | self.is_nan() {
            self
        } else {
            other
        }
    }

    /// The lesser number, or a NaN.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if other.gt(self) | self.is_nan() {
            self
        } else {
            other
        }
    }
}

/// An element with the type that its sums are kept in.
pub trait Reducible: Widen<Self::Accumulator> + Element {
    /// float32 for float16 and bfloat16, else the type itself.
    type Accumulator: Number;
    /// The nearest element.
    fn narrow(x: Self::Accumulator) -> Self;
    /// The same memory as accumulators, if they are the elements' own type.
    fn as_accumulators(x: &mut [Self]) -> Option<&mut [Self::Accumulator]>;
}

/// A number that `A` represents exactly.
pub trait Widen<A>: Copy + Send + Sync {
    /// The same number.
    fn widen(self) -> A;
}

impl<A: Number> Widen<A> for A {
    #[inline(always)]
    fn widen(self) -> A {
        self
    }
}

macro_rules! its_own_accumulator {
    ($($type:ty),*) => {$(
        impl Reducible for $type {
            type Accumulator = $type;
            #[inline(always)]
            fn narrow(x: $type) -> $type {
                x
            }
            fn as_accumulators(x: &mut [$type]) -> Option<&mut [$type]> {
                Some(x)
            }
        }
    )*};
}
its_own_accumulator!(
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    f32,
    f64,
    Complex<f32>,
    Complex<f64>
);

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LEAST: Self = <$type>::MIN;
            const GREATEST: Self = <$type>::MAX;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn div(self, count: usize) -> Self {
                (self as i128 / count as i128) as $type
            }
            #[inline(always)]
            fn gt(self, other: Self) -> bool {
                self > other
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($type:ty: $tuned:literal),*) => {$(
        impl Number for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LEAST: Self = <$type>::NEG_INFINITY;
            const GREATEST: Self = <$type>::INFINITY;
            const TUNED: bool = $tuned;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, count: usize) -> Self {
                self / count as $type
            }
            #[inline(always)]
            fn gt(self, other: Self) -> bool {
                self > other
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
        }

        impl Number for Complex<$type> {
            const ZERO: Self = Complex::new(0.0, 0.0);
            const ONE: Self = Complex::new(1.0, 0.0);
            const LEAST: Self = Complex::new(<$type>::NEG_INFINITY, <$type>::NEG_INFINITY);
            const GREATEST: Self = Complex::new(<$type>::INFINITY, <$type>::INFINITY);

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, count: usize) -> Self {
                self / count as $type
            }
            #[inline(always)]
            fn gt(self, other: Self) -> bool {
                (self.re, self.im) > (other.re, other.im)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.re.is_nan() || self.im.is_nan()
            }
        }
    )*};
}
floats!(f32: true, f64: false);

macro_rules! halves {
    ($($type:ty),*) => {$(
        impl Widen<f32> for $type {
            #[inline(always)]
            fn widen(self) -> f32 {
                self.to_f32()
            }
        }
        impl Reducible for $type {
            type Accumulator = f32;
            #[inline(always)]
            fn narrow(x: f32) -> Self {
                <$type>::from_f32(x)
            }
            fn as_accumulators(_: &mut [$type]) -> Option<&mut [f32]> {
                None
            }
        }
    )*};
}
halves!(f16, bf16);
