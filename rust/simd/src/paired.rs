//! Two registers as one: what is written for one runs on both side by side.
//!
//! A function that is one long chain of operations leaves a core waiting for each; two chains, step by step in turns, keep it busy. That
//! is for instruction sets whose registers are short: [`interleaved`] takes two where one has fewer lanes than [`LANES`].
use std::array::from_fn;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use crate::{F32Lanes, Float, I32Lanes, Isa, Lanes, Level, Mask, Task};

/// Lanes of `f32` in the longest registers, and in two short ones.
pub const LANES: usize = 16;

/// A task that runs on two short registers at a time, or on one long one.
pub fn interleaved<T: Task>(task: T) -> impl Task<Output = T::Output> {
    Interleaved(task)
}

struct Interleaved<T>(T);

impl<T: Task> Task for Interleaved<T> {
    type Output = T::Output;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> T::Output {
        if I::F32::LEN < LANES {
            self.0.run(Paired(isa))
        } else {
            self.0.run(isa)
        }
    }
}

/// The token of pairs.
#[derive(Clone, Copy, Debug)]
struct Paired<I>(I);

impl<I: Isa> Isa for Paired<I> {
    const LEVEL: Level = I::LEVEL;
    type Mask32 = Pair<I::Mask32>;
    type F32 = Pair<I::F32>;
    type I32 = Pair<I::I32>;
    type F64 = Pair<I::F64>;

    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        self.0.run(Interleaved(task))
    }
}

/// Two values of the same kind.
#[derive(Clone, Copy, Debug)]
struct Pair<T>([T; 2]);

impl<T: Copy> Pair<T> {
    #[inline(always)]
    fn map<U>(self, f: impl Fn(T) -> U) -> Pair<U> {
        let [x, y] = self.0;
        Pair([f(x), f(y)])
    }

    #[inline(always)]
    fn with<S: Copy, U>(self, other: Pair<S>, f: impl Fn(T, S) -> U) -> Pair<U> {
        Pair([f(self.0[0], other.0[0]), f(self.0[1], other.0[1])])
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl<T: Copy + $trait<Output = T>> $trait for Pair<T> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.with(other, T::$method)
            }
        }
    )*};
}

operators!(Add add, Sub sub, Mul mul, Div div, BitAnd bitand, BitOr bitor, BitXor bitxor);

impl<T: Copy + Neg<Output = T>> Neg for Pair<T> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.map(T::neg)
    }
}

impl<T: Copy + Not<Output = T>> Not for Pair<T> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        self.map(T::not)
    }
}

impl<M: Mask> Mask for Pair<M> {
    #[inline(always)]
    fn any(self) -> bool {
        let [x, y] = self.0;
        (x | y).any()
    }

    #[inline(always)]
    fn all(self) -> bool {
        let [x, y] = self.0;
        (x & y).all()
    }
}

impl<L: Lanes> Lanes for Pair<L> {
    type Isa = Paired<L::Isa>;
    type Item = L::Item;
    type Mask = Pair<L::Mask>;
    const LEN: usize = 2 * L::LEN;

    #[inline(always)]
    fn splat(isa: Self::Isa, x: L::Item) -> Self {
        Pair([L::splat(isa.0, x); 2])
    }

    #[inline(always)]
    unsafe fn load_ptr(isa: Self::Isa, ptr: *const L::Item) -> Self {
        // SAFETY: the caller's promise, for each half.
        unsafe { Pair([L::load_ptr(isa.0, ptr), L::load_ptr(isa.0, ptr.add(L::LEN))]) }
    }

    #[inline(always)]
    unsafe fn load_ptr_partial(isa: Self::Isa, ptr: *const L::Item, n: usize) -> Self {
        Pair(from_fn(|half| {
            let (skip, count) = part::<L>(half, n);
            // SAFETY: the caller's promise, for the items of this half.
            unsafe { L::load_ptr_partial(isa.0, ptr.add(skip), count) }
        }))
    }

    #[inline(always)]
    unsafe fn store_ptr(self, ptr: *mut L::Item) {
        let [x, y] = self.0;
        // SAFETY: the caller's promise, for each half.
        unsafe {
            x.store_ptr(ptr);
            y.store_ptr(ptr.add(L::LEN));
        }
    }

    #[inline(always)]
    unsafe fn store_ptr_partial(self, ptr: *mut L::Item, n: usize) {
        for (half, lanes) in self.0.into_iter().enumerate() {
            let (skip, count) = part::<L>(half, n);
            // SAFETY: the caller's promise, for the items of this half.
            unsafe { lanes.store_ptr_partial(ptr.add(skip), count) }
        }
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, other: Self) -> Self {
        Pair(from_fn(|half| {
            self.0[half].select(mask.0[half], other.0[half])
        }))
    }

    #[inline(always)]
    fn eq(self, other: Self) -> Self::Mask {
        self.with(other, L::eq)
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self::Mask {
        self.with(other, L::lt)
    }

    #[inline(always)]
    fn le(self, other: Self) -> Self::Mask {
        self.with(other, L::le)
    }
}

/// Of the first `n` items, where those of a half begin and how many they are.
#[inline(always)]
fn part<L: Lanes>(half: usize, n: usize) -> (usize, usize) {
    let skip = (half * L::LEN).min(n);
    (skip, (n - skip).min(L::LEN))
}

/// Methods that run on each half.
macro_rules! by_halves {
    (one: $($one:ident)*, two: $($two:ident)*) => {
        $(
            #[inline(always)]
            fn $one(self) -> Self {
                self.map(L::$one)
            }
        )*
        $(
            #[inline(always)]
            fn $two(self, other: Self) -> Self {
                self.with(other, L::$two)
            }
        )*
    };
}

impl<L: Float> Float for Pair<L> {
    by_halves!(one: abs sqrt round floor trunc, two: min max copysign);

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Pair(from_fn(|half| self.0[half].mul_add(a.0[half], b.0[half])))
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Pair(from_fn(|half| {
            self.0[half].neg_mul_add(a.0[half], b.0[half])
        }))
    }

    #[inline(always)]
    fn zip(self, other: Self) -> (Self, Self) {
        let [low, high] = [0, 1].map(|half| self.0[half].zip(other.0[half]));
        (Pair([low.0, low.1]), Pair([high.0, high.1]))
    }

    #[inline(always)]
    fn sum(self) -> L::Item {
        let [x, y] = self.0;
        (x + y).sum()
    }

    #[inline(always)]
    fn max_lane(self) -> L::Item {
        let [x, y] = self.0;
        x.max(y).max_lane()
    }

    #[inline(always)]
    fn min_lane(self) -> L::Item {
        let [x, y] = self.0;
        x.min(y).min_lane()
    }
}

impl<L: F32Lanes> F32Lanes for Pair<L> {
    #[inline(always)]
    fn to_bits(self) -> Pair<<L::Isa as Isa>::I32> {
        self.map(L::to_bits)
    }

    #[inline(always)]
    fn from_bits(bits: Pair<<L::Isa as Isa>::I32>) -> Self {
        bits.map(L::from_bits)
    }

    #[inline(always)]
    fn from_i32(x: Pair<<L::Isa as Isa>::I32>) -> Self {
        x.map(L::from_i32)
    }

    #[inline(always)]
    fn trunc_i32(self) -> Pair<<L::Isa as Isa>::I32> {
        self.map(L::trunc_i32)
    }

    #[inline(always)]
    fn round_i32(self) -> Pair<<L::Isa as Isa>::I32> {
        self.map(L::round_i32)
    }
}

impl<L: I32Lanes> I32Lanes for Pair<L> {
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        self.map(L::shl::<N>)
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        self.map(L::shr::<N>)
    }

    #[inline(always)]
    fn shr_logical<const N: u32>(self) -> Self {
        self.map(L::shr_logical::<N>)
    }

    #[inline(always)]
    fn mul_high_unsigned(self, other: Self) -> Self {
        self.with(other, L::mul_high_unsigned)
    }

    #[inline(always)]
    fn dot_halves(self, other: Self) -> Self {
        self.with(other, L::dot_halves)
    }

    #[inline(always)]
    unsafe fn load_halves(isa: Self::Isa, low: *const i8, high: *const i8) -> Self {
        Pair(from_fn(|half| {
            let skip = half * L::LEN;
            // SAFETY: the caller's promise, for the bytes of this half.
            unsafe { L::load_halves(isa.0, low.add(skip), high.add(skip)) }
        }))
    }
}
