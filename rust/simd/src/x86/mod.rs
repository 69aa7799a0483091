//! The instruction sets of x86-64.
mod avx2;
mod avx512;

pub use avx2::Avx2;
pub use avx512::Avx512;

/// A token with its constructor and its feature boundary.
macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $level:expr, [$($feature:tt),*], $enable:literal,
     mask32 $mask:ty, f32 $f32:ty, i32 $i32:ty, f64 $f64:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(());

        impl $name {
            /// The token, when the machine has the instruction set.
            #[inline(always)]
            pub fn new() -> Option<Self> {
                ($(std::arch::is_x86_feature_detected!($feature))&&*).then_some(Self(()))
            }
        }

        impl crate::Isa for $name {
            const LEVEL: crate::Level = $level;
            type Mask32 = $mask;
            type F32 = $f32;
            type I32 = $i32;
            type F64 = $f64;

            #[inline]
            fn run<T: crate::Task>(self, task: T) -> T::Output {
                // A call of its own: code size stays in the hands of whoever writes tasks.
                #[inline(never)]
                #[target_feature(enable = $enable)]
                fn enter<T: crate::Task>(isa: $name, task: T) -> T::Output {
                    task.run(isa)
                }
                // SAFETY: the token proves that the features were detected.
                unsafe { enter(self, task) }
            }
        }
    };
}

/// A binary operator which is one intrinsic.
macro_rules! operators {
    ($lanes:ident, $($trait:ident $method:ident $intrinsic:ident;)*) => {
        $(impl std::ops::$trait for $lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: lanes exist only where a token proved the features.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        })*
    };
}

/// A unary or binary method which is one intrinsic (or a function of the module that stands for one).
macro_rules! methods {
    ($($method:ident($self:ident $(, $other:ident)*) $intrinsic:ident;)*) => {
        $(#[inline(always)]
        fn $method($self $(, $other: Self)*) -> Self {
            // SAFETY: lanes exist only where a token proved the features.
            Self(unsafe { $intrinsic($self.0 $(, $other.0)*) })
        })*
    };
}

/// The memory side of lanes: broadcast, loads and stores, whole and masked, and selection.
macro_rules! memory {
    ($isa:ident, $item:ty, $len:expr, $mask:ident,
     $splat:ident, $load:ident, $store:ident, $load_masked:ident, $store_masked:ident, $select:ident) => {
        type Isa = $isa;
        type Item = $item;
        type Mask = $mask;
        const LEN: usize = $len;

        #[inline(always)]
        fn splat(_: $isa, x: $item) -> Self {
            // SAFETY: the token proves the features.
            Self(unsafe { $splat(x) })
        }

        #[inline(always)]
        unsafe fn load_ptr(_: $isa, ptr: *const $item) -> Self {
            // SAFETY: the caller's promise; the token proves the features.
            Self(unsafe { $load(ptr.cast()) })
        }

        #[inline(always)]
        unsafe fn load_ptr_partial(_: $isa, ptr: *const $item, n: usize) -> Self {
            debug_assert!(n <= $len);
            // SAFETY: the caller's promise: lanes from `n` on are masked off.
            Self(unsafe { $load_masked(ptr, n) })
        }

        #[inline(always)]
        unsafe fn store_ptr(self, ptr: *mut $item) {
            // SAFETY: the caller's promise.
            unsafe { $store(ptr.cast(), self.0) }
        }

        #[inline(always)]
        unsafe fn store_ptr_partial(self, ptr: *mut $item, n: usize) {
            debug_assert!(n <= $len);
            // SAFETY: the caller's promise: lanes from `n` on are masked off.
            unsafe { $store_masked(ptr, n, self.0) }
        }

        #[inline(always)]
        fn select(self, mask: $mask, other: Self) -> Self {
            // SAFETY: lanes exist only where a token proved the features.
            Self(unsafe { $select(mask.0, self.0, other.0) })
        }
    };
}

/// Comparisons of floats: ordered, so false when either side is NaN.
macro_rules! float_comparisons {
    ($mask:ident, $compare:ident, $($method:ident $predicate:ident;)*) => {
        $(#[inline(always)]
        fn $method(self, other: Self) -> $mask {
            // SAFETY: lanes exist only where a token proved the features.
            $mask(unsafe { $compare::<$predicate>(self.0, other.0) })
        })*
    };
}

/// Reductions of all lanes to one.
macro_rules! reductions {
    ($item:ty, $($method:ident $function:ident;)*) => {
        $(#[inline(always)]
        fn $method(self) -> $item {
            // SAFETY: lanes exist only where a token proved the features.
            unsafe { $function(self.0) }
        })*
    };
}

use {float_comparisons, memory, methods, operators, reductions, token};
