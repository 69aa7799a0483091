//! Between the dtypes in memory and the few that arithmetic is done in.
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use num_complex::Complex;

use crate::DType;

/// The types that registers hold. Narrow integers wrap when stored, halves round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compute {
    /// float16, bfloat16 and float32.
    F32,
    /// float64.
    F64,
    /// bool and every integer but uint64.
    I64,
    /// uint64.
    U64,
    /// complex64 and complex128.
    C128,
}

impl Compute {
    /// What arithmetic on `dtype` is done in.
    pub const fn of(dtype: DType) -> Compute {
        match dtype {
            DType::Float16 | DType::BFloat16 | DType::Float32 => Compute::F32,
            DType::Float64 => Compute::F64,
            DType::UInt64 => Compute::U64,
            DType::Complex64 | DType::Complex128 => Compute::C128,
            _ => Compute::I64,
        }
    }

    /// The registers' own dtype.
    pub const fn dtype(self) -> DType {
        match self {
            Compute::F32 => DType::Float32,
            Compute::F64 => DType::Float64,
            Compute::I64 => DType::Int64,
            Compute::U64 => DType::UInt64,
            Compute::C128 => DType::Complex128,
        }
    }

    /// What a cast passes through: floats saturate when they are stored as integers (NaN becomes 0), integers wrap,
    /// and none loses digits on the way.
    pub const fn between(from: DType, to: DType) -> Compute {
        if from.is_float() || from.is_complex() || !(to.is_float() || to.is_complex()) {
            match (from, to) {
                (DType::UInt64, _) => Compute::U64,
                (f, t) if f.is_float() || f.is_complex() || !matches!(t, DType::UInt64) => {
                    Compute::of(f)
                }
                _ => Compute::U64,
            }
        } else {
            Compute::of(to)
        }
    }
}

/// A bool in memory.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Bool(u8);

trait To<T> {
    fn to(self) -> T;
}

macro_rules! primitive {
    ($from:ty => $($to:ty)*) => {
        $(impl To<$to> for $from {
            #[inline(always)]
            #[allow(clippy::unnecessary_cast)]
            fn to(self) -> $to { self as $to }
        })*
        impl To<Bool> for $from {
            #[inline(always)]
            fn to(self) -> Bool { Bool((self != 0 as $from) as u8) }
        }
        impl To<f16> for $from {
            #[inline(always)]
            fn to(self) -> f16 { f16::from_f64(self as f64) }
        }
        impl To<bf16> for $from {
            #[inline(always)]
            fn to(self) -> bf16 { bf16::from_f64(self as f64) }
        }
        impl To<Complex<f32>> for $from {
            #[inline(always)]
            fn to(self) -> Complex<f32> { Complex::new(self as f32, 0.0) }
        }
        impl To<Complex<f64>> for $from {
            #[inline(always)]
            fn to(self) -> Complex<f64> { Complex::new(self as f64, 0.0) }
        }
    };
}
primitive!(i8 => f32 f64 i64 u64);
primitive!(i16 => f32 f64 i64 u64);
primitive!(i32 => f32 f64 i64 u64);
primitive!(u8 => f32 f64 i64 u64);
primitive!(u16 => f32 f64 i64 u64);
primitive!(u32 => f32 f64 i64 u64);
primitive!(i64 => f32 f64 i8 i16 i32 i64 u8 u16 u32 u64);
primitive!(u64 => f32 f64 i8 i16 i32 i64 u8 u16 u32 u64);
primitive!(f32 => f32 f64 i8 i16 i32 i64 u8 u16 u32 u64);
primitive!(f64 => f32 f64 i8 i16 i32 i64 u8 u16 u32 u64);

macro_rules! through {
    ($from:ty, |$x:ident| $value:expr => $($to:ty)*) => {
        $(impl To<$to> for $from {
            #[inline(always)]
            fn to(self) -> $to {
                let $x = self;
                To::<$to>::to($value)
            }
        })*
    };
}
through!(Bool, |x| (x.0 != 0) as u8 => f32 f64 i64 u64 Complex<f64>);
through!(f16, |x| x.to_f32() => f32 f64 i64 u64 Complex<f64>);
through!(bf16, |x| x.to_f32() => f32 f64 i64 u64 Complex<f64>);
through!(Complex<f32>, |x| x.re => f32 f64 i64 u64);
through!(Complex<f64>, |x| x.re => f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16);

impl To<Bool> for Complex<f64> {
    #[inline(always)]
    fn to(self) -> Bool {
        Bool((self.re != 0.0 || self.im != 0.0) as u8)
    }
}

impl To<Complex<f64>> for Complex<f32> {
    #[inline(always)]
    fn to(self) -> Complex<f64> {
        Complex::new(self.re.into(), self.im.into())
    }
}

impl To<Complex<f32>> for Complex<f64> {
    #[inline(always)]
    fn to(self) -> Complex<f32> {
        Complex::new(self.re as f32, self.im as f32)
    }
}

impl To<Complex<f64>> for Complex<f64> {
    #[inline(always)]
    fn to(self) -> Complex<f64> {
        self
    }
}

/// # Safety
/// As for [`convert`].
unsafe fn each<A: To<B> + Copy, B>(src: *const u8, dst: *mut u8, n: usize) {
    let (src, dst) = (src.cast::<A>(), dst.cast::<B>());
    for i in 0..n {
        // SAFETY: `i < n`, and the caller vouches for `n` items on both sides.
        unsafe { dst.add(i).write(src.add(i).read().to()) };
    }
}

/// Converts `n` items. `from` or `to` is a dtype that registers hold.
///
/// # Safety
/// `src` is valid for reads of `n` aligned items of `from`, `dst` for writes of `n` aligned items of `to`; they do not overlap.
pub(super) unsafe fn convert(from: DType, to: DType, src: *const u8, dst: *mut u8, n: usize) {
    macro_rules! load {
        ($a:ty) => {
            match to {
                DType::Float32 => each::<$a, f32>(src, dst, n),
                DType::Float64 => each::<$a, f64>(src, dst, n),
                DType::Int64 => each::<$a, i64>(src, dst, n),
                DType::UInt64 => each::<$a, u64>(src, dst, n),
                DType::Complex128 => each::<$a, Complex<f64>>(src, dst, n),
                _ => unreachable!("{from} to {to}: neither is a register's dtype"),
            }
        };
    }
    macro_rules! store {
        ($a:ty) => {
            match to {
                DType::Bool => each::<$a, Bool>(src, dst, n),
                DType::Int8 => each::<$a, i8>(src, dst, n),
                DType::Int16 => each::<$a, i16>(src, dst, n),
                DType::Int32 => each::<$a, i32>(src, dst, n),
                DType::Int64 => each::<$a, i64>(src, dst, n),
                DType::UInt8 => each::<$a, u8>(src, dst, n),
                DType::UInt16 => each::<$a, u16>(src, dst, n),
                DType::UInt32 => each::<$a, u32>(src, dst, n),
                DType::UInt64 => each::<$a, u64>(src, dst, n),
                DType::Float16 => each::<$a, f16>(src, dst, n),
                DType::BFloat16 => each::<$a, bf16>(src, dst, n),
                DType::Float32 => each::<$a, f32>(src, dst, n),
                DType::Float64 => each::<$a, f64>(src, dst, n),
                DType::Complex64 => each::<$a, Complex<f32>>(src, dst, n),
                DType::Complex128 => each::<$a, Complex<f64>>(src, dst, n),
            }
        };
    }
    // SAFETY: the caller vouches for both sides; halves go as slices, for the sake of the machine's own conversions.
    unsafe {
        use std::slice::{from_raw_parts, from_raw_parts_mut};
        match (from, to) {
            (DType::Float16, DType::Float32) => from_raw_parts(src.cast::<f16>(), n)
                .convert_to_f32_slice(from_raw_parts_mut(dst.cast(), n)),
            (DType::Float32, DType::Float16) => from_raw_parts_mut(dst.cast::<f16>(), n)
                .convert_from_f32_slice(from_raw_parts(src.cast(), n)),
            (DType::Float32, DType::BFloat16) => from_raw_parts_mut(dst.cast::<bf16>(), n)
                .convert_from_f32_slice(from_raw_parts(src.cast(), n)),
            (DType::Bool, _) => load!(Bool),
            (DType::Int8, _) => load!(i8),
            (DType::Int16, _) => load!(i16),
            (DType::Int32, _) => load!(i32),
            (DType::UInt8, _) => load!(u8),
            (DType::UInt16, _) => load!(u16),
            (DType::UInt32, _) => load!(u32),
            (DType::Float16, _) => load!(f16),
            (DType::BFloat16, _) => load!(bf16),
            (DType::Complex64, _) => load!(Complex<f32>),
            (DType::Int64, _) => store!(i64),
            (DType::UInt64, _) => store!(u64),
            (DType::Float32, _) => store!(f32),
            (DType::Float64, _) => store!(f64),
            (DType::Complex128, _) => store!(Complex<f64>),
        }
    }
}
