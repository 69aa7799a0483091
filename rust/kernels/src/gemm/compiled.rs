//! The entries to the compiled loops, one per type: generic callers, in other crates too, call these and compile nothing again.
use simd::dispatch;

use super::Gemm;
use super::driver;
use super::operand::{PackLines, PackStrided};

/// The loops of a type.
#[allow(missing_docs)]
pub trait Compiled: Sized {
    fn run_all<'a>(
        count: usize,
        size: [usize; 3],
        product: &(dyn Fn(usize) -> Gemm<'a, Self> + Sync),
        c: &mut [Self],
        c_stride: usize,
        c_step: usize,
        scratch: &mut [Self],
    );
    fn pack_lines(task: PackLines<'_, Self>);
    fn pack_strided(task: PackStrided<'_, Self>);
}

macro_rules! compiled {
    ($($type:ty),*) => {$(
        impl Compiled for $type {
            fn run_all<'a>(
                count: usize,
                size: [usize; 3],
                product: &(dyn Fn(usize) -> Gemm<'a, Self> + Sync),
                c: &mut [Self],
                c_stride: usize,
                c_step: usize,
                scratch: &mut [Self],
            ) {
                driver::run_all(count, size, product, c, c_stride, c_step, scratch);
            }

            fn pack_lines(task: PackLines<'_, Self>) {
                dispatch(task);
            }

            fn pack_strided(task: PackStrided<'_, Self>) {
                dispatch(task);
            }
        }
    )*};
}
compiled!(f32, f64);
