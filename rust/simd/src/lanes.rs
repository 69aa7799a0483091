//! The traits: a token, lanes of an item, lanes of floats, lanes of integers, masks.
use std::fmt::Debug;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use crate::Level;

/// A computation written once for every instruction set.
pub trait Task {
    /// What it returns.
    type Output;

    /// The body; mark it `#[inline(always)]`.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// A token: holding one proves that the machine has the instruction set.
pub trait Isa: Copy + Debug + Send + Sync + 'static {
    /// The level which [`crate::dispatch_at`] knows it by.
    const LEVEL: Level;
    /// The mask of 32-bit lanes.
    type Mask32: Mask;
    /// Lanes of `f32`.
    type F32: F32Lanes<Isa = Self, Item = f32, Mask = Self::Mask32>;
    /// As many lanes of `i32`.
    type I32: I32Lanes<Isa = Self, Item = i32, Mask = Self::Mask32>;
    /// Half as many lanes of `f64`.
    type F64: Float<Isa = Self, Item = f64>;

    /// Runs `task` compiled with the features of this instruction set.
    fn run<T: Task>(self, task: T) -> T::Output;

    /// Every lane `x`.
    #[inline(always)]
    fn splat(self, x: f32) -> Self::F32 {
        Self::F32::splat(self, x)
    }

    /// Every lane `x`.
    #[inline(always)]
    fn splat_i32(self, x: i32) -> Self::I32 {
        Self::I32::splat(self, x)
    }

    /// The first lanes of `x`; panics when there are too few.
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::F32 {
        Self::F32::load(self, x)
    }

    /// The items of `x`, then zeros; see [`Lanes::load_partial`].
    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> Self::F32 {
        Self::F32::load_partial(self, x)
    }
}

/// A truth value per lane.
pub trait Mask:
    Copy + Debug + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self>
{
    /// Whether some lane is true.
    fn any(self) -> bool;
    /// Whether every lane is true.
    fn all(self) -> bool;
}

/// A register's worth of items.
pub trait Lanes: Copy + Debug + Send + Sync + 'static {
    /// The token that it belongs to.
    type Isa: Isa;
    /// What a lane holds.
    type Item: Copy + Debug + Default + PartialOrd + Send + Sync + 'static;
    /// The result of a comparison.
    type Mask: Mask;
    /// The number of lanes.
    const LEN: usize;

    /// Every lane `x`.
    fn splat(isa: Self::Isa, x: Self::Item) -> Self;

    /// Loads from `ptr`, aligned as an item is.
    ///
    /// # Safety
    /// `ptr` is valid for reads of `LEN` items.
    unsafe fn load_ptr(isa: Self::Isa, ptr: *const Self::Item) -> Self;

    /// Loads the first `n <= LEN` lanes; the others are zero and their memory is not touched.
    ///
    /// # Safety
    /// `ptr` is valid for reads of `n` items.
    unsafe fn load_ptr_partial(isa: Self::Isa, ptr: *const Self::Item, n: usize) -> Self;

    /// Stores to `ptr`, aligned as an item is.
    ///
    /// # Safety
    /// `ptr` is valid for writes of `LEN` items.
    unsafe fn store_ptr(self, ptr: *mut Self::Item);

    /// Stores the first `n <= LEN` lanes and touches nothing behind them.
    ///
    /// # Safety
    /// `ptr` is valid for writes of `n` items.
    unsafe fn store_ptr_partial(self, ptr: *mut Self::Item, n: usize);

    /// `self` where `mask` holds, else `other`.
    fn select(self, mask: Self::Mask, other: Self) -> Self;

    /// `self == other`.
    fn eq(self, other: Self) -> Self::Mask;
    /// `self < other`.
    fn lt(self, other: Self) -> Self::Mask;
    /// `self <= other`.
    fn le(self, other: Self) -> Self::Mask;

    /// `self > other`.
    #[inline(always)]
    fn gt(self, other: Self) -> Self::Mask {
        other.lt(self)
    }

    /// `self >= other`.
    #[inline(always)]
    fn ge(self, other: Self) -> Self::Mask {
        other.le(self)
    }

    /// Every lane zero.
    #[inline(always)]
    fn zero(isa: Self::Isa) -> Self {
        Self::splat(isa, Self::Item::default())
    }

    /// The first `LEN` items of `x`; panics when there are fewer.
    #[inline(always)]
    fn load(isa: Self::Isa, x: &[Self::Item]) -> Self {
        assert!(x.len() >= Self::LEN);
        // SAFETY: the slice holds at least `LEN` items.
        unsafe { Self::load_ptr(isa, x.as_ptr()) }
    }

    /// The items of `x` (at most the first `LEN`), then zeros.
    #[inline(always)]
    fn load_partial(isa: Self::Isa, x: &[Self::Item]) -> Self {
        // SAFETY: the slice holds as many items as are read.
        unsafe { Self::load_ptr_partial(isa, x.as_ptr(), x.len().min(Self::LEN)) }
    }

    /// Stores to the first `LEN` items of `x`; panics when there are fewer.
    #[inline(always)]
    fn store(self, x: &mut [Self::Item]) {
        assert!(x.len() >= Self::LEN);
        // SAFETY: the slice holds at least `LEN` items.
        unsafe { self.store_ptr(x.as_mut_ptr()) }
    }

    /// Stores as many lanes as `x` has items (at most `LEN`).
    #[inline(always)]
    fn store_partial(self, x: &mut [Self::Item]) {
        // SAFETY: the slice holds as many items as are written.
        unsafe { self.store_ptr_partial(x.as_mut_ptr(), x.len().min(Self::LEN)) }
    }
}

/// Lanes of floating-point numbers.
pub trait Float:
    Lanes
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// `self * a + b`, fused where the machine has it.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `b - self * a`, fused where the machine has it.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// `self < other ? self : other`: `other` when either is NaN (or both are zero).
    fn min(self, other: Self) -> Self;
    /// `self > other ? self : other`: `other` when either is NaN (or both are zero).
    fn max(self, other: Self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// The nearest integer, halves to even.
    fn round(self) -> Self;
    /// The greatest integer which is not above.
    fn floor(self) -> Self;
    /// The integer part.
    fn trunc(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// The lanes of both in turn (`self[0], other[0], self[1], ...`): the first half, the second half.
    fn zip(self, other: Self) -> (Self, Self);
    /// The sum of all lanes, halves added to each other until one is left.
    fn sum(self) -> Self::Item;
    /// The greatest lane; unspecified when one is NaN.
    fn max_lane(self) -> Self::Item;
    /// The least lane; unspecified when one is NaN.
    fn min_lane(self) -> Self::Item;

    /// Transposes the square of the first `LEN` entries: lane `j` of entry `i` becomes lane `i` of entry `j`.
    #[inline(always)]
    fn transpose(block: &mut [Self; 16]) {
        crate::unrolled!(STAGE < 4, {
            if 1 << STAGE < Self::LEN {
                let old = *block;
                crate::unrolled!(I < Self::LEN / 2, {
                    (block[(2 * I) % 16], block[(2 * I + 1) % 16]) =
                        old[I].zip(old[(I + Self::LEN / 2) % 16]);
                });
            }
        });
    }

    /// The least integer which is not below.
    #[inline(always)]
    fn ceil(self) -> Self {
        -(-self).floor()
    }

    /// Where the lane is not a number.
    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        !self.eq(self)
    }

    /// [`Float::min`] with any NaN passed on.
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        self.select(self.is_nan(), self.min(other))
    }

    /// [`Float::max`] with any NaN passed on.
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.select(self.is_nan(), self.max(other))
    }
}

/// Lanes of `f32` with their way to integers.
pub trait F32Lanes: Float<Item = f32> {
    /// The bits.
    fn to_bits(self) -> <Self::Isa as Isa>::I32;
    /// The number with these bits.
    fn from_bits(bits: <Self::Isa as Isa>::I32) -> Self;
    /// Converts integers, rounded to nearest.
    fn from_i32(x: <Self::Isa as Isa>::I32) -> Self;
    /// The integer part; unspecified outside the range of `i32`.
    fn trunc_i32(self) -> <Self::Isa as Isa>::I32;
    /// The nearest integer, halves to even; unspecified outside the range of `i32`.
    fn round_i32(self) -> <Self::Isa as Isa>::I32;
}

/// Lanes of `i32`; arithmetic wraps.
pub trait I32Lanes:
    Lanes<Item = i32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
{
    /// Shifts left by `N` bits.
    fn shl<const N: u32>(self) -> Self;
    /// Shifts right by `N` bits, copying the sign.
    fn shr<const N: u32>(self) -> Self;
    /// Shifts right by `N` bits, filling with zeros.
    fn shr_logical<const N: u32>(self) -> Self;
    /// The high words of the products of unsigned numbers; the low words are those of `*`.
    fn mul_high_unsigned(self, other: Self) -> Self;
    /// The sums of the products of both halves: `low * low + high * high`, each half a signed number of 16 bits.
    fn dot_halves(self, other: Self) -> Self;
    /// Lanes with one byte of `low` as their low half and one of `high` as their high half, both signed.
    ///
    /// # Safety
    /// Both pointers are valid for reads of `LEN` bytes.
    unsafe fn load_halves(isa: Self::Isa, low: *const i8, high: *const i8) -> Self;
}

/// Repeats a block for each index below a bound of at most 16, as straight code whatever the optimiser thinks of loops: an array of
/// lanes that is indexed by a variable lives in memory. The index is a constant in the block.
///
/// ```
/// let mut sum = 0;
/// simd::unrolled!(I < 3, {
///     sum += I;
/// });
/// assert_eq!(sum, 3);
/// ```
#[macro_export]
macro_rules! unrolled {
    ($index:ident < $bound:expr, $body:block) => {
        $crate::unrolled!(@ $index $bound, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $index:ident $bound:expr, $body:block, $($i:literal)*) => {
        $(if $i < $bound {
            const $index: usize = $i;
            $body
        })*
    };
}

/// Asks the first-level cache for the line at `ptr`, which may be any address.
#[inline(always)]
pub fn prefetch<T>(ptr: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint and never faults; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(ptr.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ptr;
}

/// [`prefetch`] into the second-level cache.
#[inline(always)]
pub fn prefetch_second<T>(ptr: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(ptr.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ptr;
}
