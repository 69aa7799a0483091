//! Lanes as arrays: the compiler vectorises them for whatever the target is. With 16 lanes they stand in for AVX-512 in tests.
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use crate::{F32Lanes, Float, I32Lanes, Isa, Lanes, Level, Mask, Task};

/// The token which every machine has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Isa for Portable {
    const LEVEL: Level = Level::Scalar;
    type Mask32 = ArrayMask<16>;
    type F32 = F32x16;
    type I32 = I32x16;
    type F64 = F64x8;

    #[inline(never)]
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }
}

/// A `bool` per lane.
#[derive(Clone, Copy, Debug)]
pub struct ArrayMask<const N: usize>([bool; N]);

impl<const N: usize> Mask for ArrayMask<N> {
    #[inline(always)]
    fn any(self) -> bool {
        self.0.iter().fold(false, |any, &x| any | x)
    }

    #[inline(always)]
    fn all(self) -> bool {
        self.0.iter().fold(true, |all, &x| all & x)
    }
}

/// Applies an expression to each lane of one or two arrays.
macro_rules! each {
    ($n:expr, |$a:ident| $x:expr; $body:expr) => {{
        let x = $x;
        let mut out = [Default::default(); $n];
        for (out, &$a) in out.iter_mut().zip(&x) {
            *out = $body;
        }
        out
    }};
    ($n:expr, |$a:ident, $b:ident| $x:expr, $y:expr; $body:expr) => {{
        let (x, y) = ($x, $y);
        let mut out = [Default::default(); $n];
        for ((out, &$a), &$b) in out.iter_mut().zip(&x).zip(&y) {
            *out = $body;
        }
        out
    }};
}

macro_rules! operators {
    ($lanes:ty, $n:expr, $($trait:ident $method:ident |$a:ident, $b:ident| $body:expr;)*) => {
        $(impl $trait for $lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(each!($n, |$a, $b| self.0, other.0; $body))
            }
        })*
    };
}

impl<const N: usize> BitAnd for ArrayMask<N> {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }
}

impl<const N: usize> BitOr for ArrayMask<N> {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }
}

impl<const N: usize> Not for ArrayMask<N> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|x| !x))
    }
}

macro_rules! lanes {
    ($name:ident, $item:ty, $n:expr) => {
        #[doc = concat!(stringify!($n), " lanes of `", stringify!($item), "`.")]
        #[derive(Clone, Copy, Debug)]
        #[repr(align(64))]
        pub struct $name([$item; $n]);

        impl Lanes for $name {
            type Isa = Portable;
            type Item = $item;
            type Mask = ArrayMask<$n>;
            const LEN: usize = $n;

            #[inline(always)]
            fn splat(_: Portable, x: $item) -> Self {
                Self([x; $n])
            }

            #[inline(always)]
            unsafe fn load_ptr(_: Portable, ptr: *const $item) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { ptr.cast::<[$item; $n]>().read_unaligned() })
            }

            #[inline(always)]
            unsafe fn load_ptr_partial(_: Portable, ptr: *const $item, n: usize) -> Self {
                debug_assert!(n <= $n);
                let mut out = [<$item>::default(); $n];
                // SAFETY: the caller's promise, and `n <= LEN`.
                unsafe { std::ptr::copy_nonoverlapping(ptr, out.as_mut_ptr(), n.min($n)) };
                Self(out)
            }

            #[inline(always)]
            unsafe fn store_ptr(self, ptr: *mut $item) {
                // SAFETY: the caller's promise.
                unsafe { ptr.cast::<[$item; $n]>().write_unaligned(self.0) }
            }

            #[inline(always)]
            unsafe fn store_ptr_partial(self, ptr: *mut $item, n: usize) {
                debug_assert!(n <= $n);
                // SAFETY: the caller's promise, and `n <= LEN`.
                unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), ptr, n.min($n)) }
            }

            #[inline(always)]
            fn select(self, mask: Self::Mask, other: Self) -> Self {
                let mut out = other.0;
                for ((out, &x), &m) in out.iter_mut().zip(&self.0).zip(&mask.0) {
                    *out = if m { x } else { *out };
                }
                Self(out)
            }

            #[inline(always)]
            fn eq(self, other: Self) -> Self::Mask {
                ArrayMask(each!($n, |a, b| self.0, other.0; a == b))
            }

            #[inline(always)]
            fn lt(self, other: Self) -> Self::Mask {
                ArrayMask(each!($n, |a, b| self.0, other.0; a < b))
            }

            #[inline(always)]
            fn le(self, other: Self) -> Self::Mask {
                ArrayMask(each!($n, |a, b| self.0, other.0; a <= b))
            }
        }
    };
}

/// Whether `mul_add` of a scalar is one instruction; else it is a slow library call.
const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

macro_rules! float {
    ($name:ident, $item:ty, $n:expr) => {
        lanes!($name, $item, $n);
        operators! { $name, $n,
            Add add |a, b| a + b;
            Sub sub |a, b| a - b;
            Mul mul |a, b| a * b;
            Div div |a, b| a / b;
        }

        impl Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self(each!($n, |a| self.0; -a))
            }
        }

        impl $name {
            /// Combines the halves until one lane is left.
            #[inline(always)]
            fn fold(self, combine: impl Fn($item, $item) -> $item) -> $item {
                let mut x = self.0;
                let mut half = $n / 2;
                while half > 0 {
                    for i in 0..half {
                        x[i] = combine(x[i], x[i + half]);
                    }
                    half /= 2;
                }
                x[0]
            }
        }

        impl Float for $name {
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                let mut out = b.0;
                for ((out, &x), &a) in out.iter_mut().zip(&self.0).zip(&a.0) {
                    *out = if FUSED { x.mul_add(a, *out) } else { x * a + *out };
                }
                Self(out)
            }

            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                (-self).mul_add(a, b)
            }

            #[inline(always)]
            fn min(self, other: Self) -> Self {
                Self(each!($n, |a, b| self.0, other.0; if a < b { a } else { b }))
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                Self(each!($n, |a, b| self.0, other.0; if a > b { a } else { b }))
            }

            #[inline(always)]
            fn abs(self) -> Self {
                Self(each!($n, |a| self.0; a.abs()))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(each!($n, |a| self.0; a.sqrt()))
            }

            #[inline(always)]
            fn round(self) -> Self {
                Self(each!($n, |a| self.0; a.round_ties_even()))
            }

            #[inline(always)]
            fn floor(self) -> Self {
                Self(each!($n, |a| self.0; a.floor()))
            }

            #[inline(always)]
            fn trunc(self) -> Self {
                Self(each!($n, |a| self.0; a.trunc()))
            }

            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                Self(each!($n, |a, b| self.0, sign.0; a.copysign(b)))
            }

            #[inline(always)]
            fn zip(self, other: Self) -> (Self, Self) {
                let lane = |i: usize| if i % 2 == 0 { self.0[i / 2] } else { other.0[i / 2] };
                (Self(std::array::from_fn(lane)), Self(std::array::from_fn(|i| lane(i + $n))))
            }

            #[inline(always)]
            fn sum(self) -> $item {
                self.fold(|a, b| a + b)
            }

            #[inline(always)]
            fn max_lane(self) -> $item {
                self.fold(|a, b| if a > b { a } else { b })
            }

            #[inline(always)]
            fn min_lane(self) -> $item {
                self.fold(|a, b| if a < b { a } else { b })
            }
        }
    };
}

float!(F32x16, f32, 16);
float!(F64x8, f64, 8);
lanes!(I32x16, i32, 16);

operators! { I32x16, 16,
    Add add |a, b| a.wrapping_add(b);
    Sub sub |a, b| a.wrapping_sub(b);
    Mul mul |a, b| a.wrapping_mul(b);
    BitAnd bitand |a, b| a & b;
    BitOr bitor |a, b| a | b;
    BitXor bitxor |a, b| a ^ b;
}

impl F32Lanes for F32x16 {
    #[inline(always)]
    fn to_bits(self) -> I32x16 {
        I32x16(each!(16, |a| self.0; a.to_bits().cast_signed()))
    }

    #[inline(always)]
    fn from_bits(bits: I32x16) -> Self {
        Self(each!(16, |a| bits.0; f32::from_bits(a.cast_unsigned())))
    }

    #[inline(always)]
    fn from_i32(x: I32x16) -> Self {
        Self(each!(16, |a| x.0; a as f32))
    }

    #[inline(always)]
    fn trunc_i32(self) -> I32x16 {
        I32x16(each!(16, |a| self.0; a as i32))
    }

    #[inline(always)]
    fn round_i32(self) -> I32x16 {
        self.round().trunc_i32()
    }
}

impl I32Lanes for I32x16 {
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        Self(each!(16, |a| self.0; a << N))
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        Self(each!(16, |a| self.0; a >> N))
    }

    #[inline(always)]
    fn shr_logical<const N: u32>(self) -> Self {
        Self(each!(16, |a| self.0; (a.cast_unsigned() >> N).cast_signed()))
    }

    #[inline(always)]
    fn mul_high_unsigned(self, other: Self) -> Self {
        Self(each!(16, |a, b| self.0, other.0; {
            let product = u64::from(a.cast_unsigned()) * u64::from(b.cast_unsigned());
            ((product >> 32) as u32).cast_signed()
        }))
    }

    #[inline(always)]
    fn dot_halves(self, other: Self) -> Self {
        Self(each!(16, |a, b| self.0, other.0; {
            let low = i32::from(a as i16) * i32::from(b as i16);
            low.wrapping_add((a >> 16) * (b >> 16))
        }))
    }

    #[inline(always)]
    unsafe fn load_halves(_: Portable, low: *const i8, high: *const i8) -> Self {
        // SAFETY: the caller's promise covers 16 bytes of each.
        let (low, high) = unsafe { (*low.cast::<[i8; 16]>(), *high.cast::<[i8; 16]>()) };
        Self(each!(16, |a, b| low, high; i32::from(a) & 0xffff | i32::from(b) << 16))
    }
}
