//! Products with a vector: bound by memory, so nothing is packed.
use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, dispatch, dispatch_at, unrolled};

use super::Real;
use super::driver::{Checked, Packed, Side, panel_columns};
use super::epilogue::{Epilogue, activate_row};
use super::operand::Strided;
use super::rows::multiply_rows;
use crate::threads::{grain, parallel_ranges_mut};

/// Lines whose sums stay in the first-level cache while the matrix passes by.
const CHUNK: usize = 2048;

/// Computes the product if it is one with a vector that suits; says whether it did.
pub(super) fn run<T: Real>(
    product: &Checked<T>,
    c: &mut [T],
    c_stride: usize,
    scratch: &mut [T],
) -> bool {
    let [m, n, k] = product.size;
    if let (1, Side::Packed(b)) = (m, &product.b) {
        return run_packed(product, *b, &mut c[..n], scratch);
    }
    let (matrix, vector, lines) = match (&product.a, &product.b) {
        (a, Side::Strided(b)) if m == 1 => (b, a, n),
        (Side::Strided(a), b) if n == 1 && c_stride == 1 => (a, b, m),
        _ => return false,
    };
    let (line_stride, depth_stride) = matrix.strides();
    if line_stride != 1 && depth_stride != 1 {
        return false;
    }
    let Some(vector) = contiguous(vector, k, scratch) else {
        return false;
    };
    let mut epilogue = product.epilogue;
    if let (Some(&[bias, ..]), 1) = (epilogue.bias, n) {
        // One item for all lines.
        let sums = c[..lines].iter_mut();
        sums.for_each(|x| *x = if epilogue.add { *x + bias } else { bias });
        (epilogue.bias, epilogue.add) = (None, true);
    }
    parallel_ranges_mut(&mut c[..lines], 1, grain(k), |range, sums| {
        dispatch(Lines {
            matrix,
            vector,
            sums,
            epilogue: epilogue.after_columns(range.start),
            range,
        });
    });
    true
}

/// The `k` items of a vector one after the other, as they lie or in scratch, if that is long enough.
fn contiguous<'v, T: Real>(
    vector: &'v Side<'_, T>,
    k: usize,
    scratch: &'v mut [T],
) -> Option<&'v [T]> {
    match vector {
        Side::Strided(v) if v.strides().1 == 1 => Some(v.run(0, k)),
        Side::Packed(_) => None,
        _ if scratch.len() < k => None,
        other => {
            other.pack_vector(k, &mut scratch[..k]);
            Some(&scratch[..k])
        }
    }
}

/// [`run`] for a row with a packed matrix: tasks share its panels.
fn run_packed<T: Real>(product: &Checked<T>, b: Packed<T>, c: &mut [T], scratch: &mut [T]) -> bool {
    let k = product.size[2];
    let Some(a) = contiguous(&product.a, k, scratch) else {
        return false;
    };
    let width = panel_columns::<T>(b.level);
    parallel_ranges_mut(c, width, grain(k * width), |range, c| {
        let task = PackedRow {
            a,
            b: Packed::new(b.level, &b.items[range.start * width * k..]),
            c,
            epilogue: product.epilogue.after_columns(range.start * width),
        };
        dispatch_at(b.level, task);
    });
    true
}

/// A row with some panels of a matrix.
struct PackedRow<'a, T> {
    a: &'a [T],
    b: Packed<'a, T>,
    c: &'a mut [T],
    epilogue: Epilogue<'a, T>,
}

impl<T: Real> Task for PackedRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (n, k) = (self.c.len(), self.a.len());
        let add = self.epilogue.add || self.epilogue.bias.is_some();
        if add {
            self.epilogue.begin(self.c);
        }
        multiply_rows(isa, [1, n, k], self.a, k, self.b, self.c, n, add);
        if let Some(activation) = self.epilogue.activation {
            activate_row(isa, activation, self.c);
        }
    }
}

/// The sums of some lines.
struct Lines<'a, T> {
    matrix: &'a Strided<'a, T>,
    vector: &'a [T],
    range: Range<usize>,
    sums: &'a mut [T],
    epilogue: Epilogue<'a, T>,
}

impl<T: Real> Task for Lines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        self.epilogue.begin(self.sums);
        let k = self.vector.len();
        let first = self.range.start;
        if self.matrix.strides().0 == 1 {
            for (i, sums) in self.sums.chunks_mut(CHUNK).enumerate() {
                let line = first + i * CHUNK;
                let whole = k / 8 * 8;
                for d in (0..whole).step_by(8) {
                    add_rows::<I, T, 8>(isa, self.matrix, line, d, self.vector, sums);
                }
                for d in whole..k {
                    add_rows::<I, T, 1>(isa, self.matrix, line, d, self.vector, sums);
                }
            }
        } else {
            let mut quads = self.sums.chunks_exact_mut(4);
            let mut line = first;
            for sums in &mut quads {
                add_dots::<I, T, 4>(isa, self.matrix, line, self.vector, sums);
                line += 4;
            }
            for (i, sum) in quads.into_remainder().iter_mut().enumerate() {
                add_dots::<I, T, 1>(
                    isa,
                    self.matrix,
                    line + i,
                    self.vector,
                    std::slice::from_mut(sum),
                );
            }
        }
        if let Some(activation) = self.epilogue.activation {
            activate_row(isa, activation, self.sums);
        }
    }
}

/// Adds to the sums of the lines from `line` on the terms of `D` depths from `d` on, where lines are neighbours.
#[inline(always)]
fn add_rows<I: Isa, T: Real, const D: usize>(
    isa: I,
    matrix: &Strided<T>,
    line: usize,
    d: usize,
    vector: &[T],
    sums: &mut [T],
) {
    let len = T::Lanes::<I>::LEN;
    let mut rows: [&[T]; 16] = [&[]; 16];
    let mut factors = [T::Lanes::<I>::zero(isa); 16];
    unrolled!(ROW < D, {
        rows[ROW] = matrix.neighbours(line, d + ROW, sums.len());
        factors[ROW] = T::Lanes::<I>::splat(isa, vector[d + ROW]);
    });
    let mut at = 0;
    while at + len <= sums.len() {
        // SAFETY: `LEN` items from `at` on lie in the sums and in each row, which are as long.
        unsafe {
            let mut sum = T::Lanes::<I>::load_ptr(isa, sums.as_ptr().add(at));
            unrolled!(ROW < D, {
                sum = T::Lanes::<I>::load_ptr(isa, rows[ROW].as_ptr().add(at))
                    .mul_add(factors[ROW], sum);
            });
            sum.store_ptr(sums.as_mut_ptr().add(at));
        }
        at += len;
    }
    let mut sum = T::Lanes::<I>::load_partial(isa, &sums[at..]);
    unrolled!(ROW < D, {
        sum = T::Lanes::<I>::load_partial(isa, &rows[ROW][at..]).mul_add(factors[ROW], sum);
    });
    sum.store_partial(&mut sums[at..]);
}

/// Adds to the sums of `L` lines from `line` on their products with the vector, where lines are contiguous.
#[inline(always)]
fn add_dots<I: Isa, T: Real, const L: usize>(
    isa: I,
    matrix: &Strided<T>,
    line: usize,
    vector: &[T],
    sums: &mut [T],
) {
    let len = T::Lanes::<I>::LEN;
    let k = vector.len();
    let mut lines: [&[T]; 16] = [&[]; 16];
    for (l, run) in lines[..L].iter_mut().enumerate() {
        *run = matrix.run(line + l, k);
    }
    // Two sums per line, whatever `L` is: a line's bits do not depend on its neighbours.
    let mut even = [T::Lanes::<I>::zero(isa); 16];
    let mut odd = even;
    let mut d = 0;
    while d + 2 * len <= k {
        // SAFETY: `2 LEN` items from `d` on lie in the vector and in each line.
        unsafe {
            let x = T::Lanes::<I>::load_ptr(isa, vector.as_ptr().add(d));
            let y = T::Lanes::<I>::load_ptr(isa, vector.as_ptr().add(d + len));
            unrolled!(LINE < L, {
                let run = lines[LINE].as_ptr().add(d);
                even[LINE] = T::Lanes::<I>::load_ptr(isa, run).mul_add(x, even[LINE]);
                odd[LINE] = T::Lanes::<I>::load_ptr(isa, run.add(len)).mul_add(y, odd[LINE]);
            });
        }
        d += 2 * len;
    }
    while d < k {
        let x = T::Lanes::<I>::load_partial(isa, &vector[d..]);
        unrolled!(LINE < L, {
            even[LINE] = T::Lanes::<I>::load_partial(isa, &lines[LINE][d..]).mul_add(x, even[LINE]);
        });
        d += len;
    }
    unrolled!(LINE < L, {
        sums[LINE] = sums[LINE] + (even[LINE] + odd[LINE]).sum();
    });
}
