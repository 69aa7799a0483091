//! Products of the numbers that have no microkernel: integers and complex numbers in plain loops, half floats through `f32`.
use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use num_complex::Complex;

use super::{Epilogue, Gemm, Operand, Strided, scratch_len};
use crate::Element;
use crate::activation::Activation;
use crate::threads::{grain, parallel_ranges_mut};

/// Numbers with sums and products; those of integers wrap.
pub trait Ring: Element {
    /// `a b + c`.
    fn mul_add(a: Self, b: Self, c: Self) -> Self;
}

macro_rules! wrapping {
    ($($type:ty),*) => {$(
        impl Ring for $type {
            #[inline(always)]
            fn mul_add(a: Self, b: Self, c: Self) -> Self {
                a.wrapping_mul(b).wrapping_add(c)
            }
        }
    )*};
}
wrapping!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! complex {
    ($($type:ty),*) => {$(
        impl Ring for Complex<$type> {
            #[inline(always)]
            fn mul_add(a: Self, b: Self, c: Self) -> Self {
                a * b + c
            }
        }
    )*};
}
complex!(f32, f64);

/// `C = A B` of an `m` x `k` and a `k` x `n` matrix.
///
/// # Panics
/// When an operand or the output is too short.
pub fn matmul_ring<T: Ring>([m, n, k]: [usize; 3], a: Strided<T>, b: Strided<T>, c: &mut [T]) {
    a.check(m, k);
    b.check(n, k);
    let c = &mut c[..m * n];
    if c.is_empty() {
        return;
    }
    parallel_ranges_mut(c, n, grain(n * k), |range, rows| {
        for (i, row) in range.zip(rows.chunks_mut(n)) {
            row.fill(T::default());
            for d in 0..k {
                let x = a.item(i, d);
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = T::mul_add(x, b.item(j, d), *sum);
                }
            }
        }
    });
}

/// A float of 16 bits.
pub trait Half: Element {
    /// Converts a slice.
    fn widen(from: &[Self], to: &mut [f32]);
    /// Converts a slice, rounding to nearest.
    fn narrow(from: &[f32], to: &mut [Self]);
}

macro_rules! half {
    ($($type:ty),*) => {$(
        impl Half for $type {
            fn widen(from: &[Self], to: &mut [f32]) {
                from.convert_to_f32_slice(to);
            }

            fn narrow(from: &[f32], to: &mut [Self]) {
                to.convert_from_f32_slice(from);
            }
        }
    )*};
}
half!(f16, bf16);

/// A matrix of half floats as an operand of `f32`.
struct Widened<'a, H>(Strided<'a, H>);

/// Items widened at a time.
const RUN: usize = 64;

impl<H: Half> Operand<f32> for Widened<'_, H> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [f32]) {
        let matrix = &self.0;
        if matrix.strides().1 == 1 {
            // Runs of lines, packed some lines at a time.
            let mut wide = [0.0; RUN];
            for (l, line) in lines.enumerate() {
                for start in depth.clone().step_by(RUN) {
                    let run = &matrix.run(line, depth.end)[start..depth.end.min(start + RUN)];
                    H::widen(run, &mut wide[..run.len()]);
                    let column = panel[(start - depth.start) * width + l..]
                        .iter_mut()
                        .step_by(width);
                    for (to, &x) in column.zip(&wide[..run.len()]) {
                        *to = x;
                    }
                }
            }
        } else {
            for (row, d) in panel.chunks_exact_mut(width).zip(depth) {
                for (to, line) in row.chunks_mut(RUN).zip(lines.clone().step_by(RUN)) {
                    let count = to.len().min(lines.end - line);
                    let mut run = [H::default(); RUN];
                    for (l, x) in run[..count].iter_mut().enumerate() {
                        *x = matrix.item(line + l, d);
                    }
                    H::widen(&run[..count], &mut to[..count]);
                }
            }
        }
    }
}

/// Rows of a product that are held in `f32` at a time: so many that they hold about this number of items.
const HELD: usize = 1 << 20;

fn held_rows(m: usize, n: usize) -> usize {
    m.min((HELD / n.max(1)).max(1))
}

/// Items of scratch that [`matmul_half`] wants.
pub fn half_scratch_len([m, n, k]: [usize; 3]) -> usize {
    let rows = held_rows(m, n);
    n + rows * n + scratch_len::<f32>(1, rows, n, k)
}

/// `C = activation(bias + A B)` of an `m` x `k` and a `k` x `n` matrix, computed in `f32` and rounded once.
///
/// # Panics
/// When an operand, the bias, the output or the scratch is too short.
pub fn matmul_half<H: Half>(
    [m, n, k]: [usize; 3],
    a: Strided<H>,
    b: Strided<H>,
    bias: Option<&[H]>,
    activation: Option<Activation>,
    c: &mut [H],
    scratch: &mut [f32],
) {
    a.check(m, k);
    b.check(n, k);
    let c = &mut c[..m * n];
    if c.is_empty() {
        return;
    }
    let (row, scratch) = scratch.split_at_mut(n);
    if let Some(bias) = bias {
        H::widen(&bias[..n], row);
    }
    let rows = held_rows(m, n);
    let (held, scratch) = scratch.split_at_mut(rows * n);
    let right = Widened(b);
    for (i, c) in c.chunks_mut(rows * n).enumerate() {
        let held = &mut held[..c.len()];
        let left = Widened(a.after_lines(i * rows));
        let epilogue = Epilogue {
            bias: bias.map(|_| &*row),
            activation,
            ..Epilogue::default()
        };
        Gemm::new(c.len() / n, n, k, &left, &right)
            .epilogue(epilogue)
            .run(held, n, scratch);
        H::narrow(held, c);
    }
}
