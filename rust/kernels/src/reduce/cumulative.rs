//! Running sums and products along an axis.
use half::{bf16, f16};
use num_complex::Complex;

use super::{Number, Reducible, Widen};
use crate::threads::{Disjoint, grain, parallel_for};

/// Columns that run side by side.
const COLUMNS: usize = 64;

/// An element with the type that its running sums are kept in: wide, because a running sum has only one order.
pub trait Running: Reducible {
    /// float64 for float32, float32 for the halves, else the type itself.
    type Wide: Number;
    /// The same number.
    fn to_wide(self) -> Self::Wide;
    /// The nearest element.
    fn from_wide(x: Self::Wide) -> Self;
}

macro_rules! running {
    ($($type:ty),*) => {$(
        impl Running for $type {
            type Wide = <$type as Reducible>::Accumulator;
            #[inline(always)]
            fn to_wide(self) -> Self::Wide {
                self.widen()
            }
            #[inline(always)]
            fn from_wide(x: Self::Wide) -> Self {
                Self::narrow(x)
            }
        }
    )*};
}
running!(
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    f16,
    bf16,
    f64,
    Complex<f32>,
    Complex<f64>
);

impl Running for f32 {
    type Wide = f64;
    #[inline(always)]
    fn to_wide(self) -> f64 {
        self.into()
    }
    #[inline(always)]
    fn from_wide(x: f64) -> f32 {
        x as f32
    }
}

/// `output[i]` is the sum of the elements up to `i` along `axis`, or from `i` on if `reverse`.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn cumsum<E: Running>(
    input: &[E],
    shape: &[usize],
    axis: usize,
    reverse: bool,
    output: &mut [E],
) {
    scan(
        input,
        input,
        shape,
        axis,
        reverse,
        output,
        E::Wide::ZERO,
        |sum, x, _| sum.add(x),
    );
}

/// The products in place of the sums of [`cumsum`].
pub fn cumprod<E: Running>(
    input: &[E],
    shape: &[usize],
    axis: usize,
    reverse: bool,
    output: &mut [E],
) {
    scan(
        input,
        input,
        shape,
        axis,
        reverse,
        output,
        E::Wide::ONE,
        |product, x, _| product.mul(x),
    );
}

/// `output[i] = state = step(state, a[i], b[i])` along `axis`.
fn scan<E: Running>(
    a: &[E],
    b: &[E],
    shape: &[usize],
    axis: usize,
    reverse: bool,
    output: &mut [E],
    start: E::Wide,
    step: impl Fn(E::Wide, E::Wide, E::Wide) -> E::Wide + Sync,
) {
    let outer: usize = shape[..axis].iter().product();
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    for len in [a.len(), b.len(), output.len()] {
        assert_eq!(len, outer * n * inner, "operands of shape {shape:?}");
    }
    let tiles = inner.div_ceil(COLUMNS);
    let output = Disjoint::new(output);
    parallel_for(outer * tiles, grain(4 * n * inner.min(COLUMNS)), |range| {
        for tile in range {
            let (outer, column) = (tile / tiles, tile % tiles * COLUMNS);
            let width = COLUMNS.min(inner - column);
            let mut states = [start; COLUMNS];
            for i in 0..n {
                let row = if reverse { n - 1 - i } else { i };
                let at = (outer * n + row) * inner + column;
                // SAFETY: each tile has its own columns of its own block.
                let output = unsafe { output.slice_mut(at..at + width) };
                let operands = a[at..at + width].iter().zip(&b[at..at + width]);
                for ((state, (a, b)), output) in states.iter_mut().zip(operands).zip(output) {
                    *state = step(*state, a.to_wide(), b.to_wide());
                    *output = E::from_wide(*state);
                }
            }
        }
    });
}

/// `output[i] = a[i] * output[i - 1] + b[i]` along `axis`, from the end if `reverse`; the neighbour of the first is 0.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn recurrence<E: Running>(
    a: &[E],
    b: &[E],
    shape: &[usize],
    axis: usize,
    reverse: bool,
    output: &mut [E],
) {
    scan(
        a,
        b,
        shape,
        axis,
        reverse,
        output,
        E::Wide::ZERO,
        |state, a, b| a.mul(state).add(b),
    );
}
