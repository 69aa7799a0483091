//! Positions of extremes.
use std::ops::Range;

use simd::{Isa, Portable, Task, dispatch};

use super::fold::is_tuned;
use super::{Number, Reducible};
use crate::threads::{Disjoint, grain, parallel_for};

/// Columns that are scanned side by side.
const COLUMNS: usize = 64;

/// The first position of the greatest element along `axis`, or of the first NaN; `output` has the shape without `axis`.
///
/// # Panics
/// When a slice does not fit the shape, or `axis` has no element and the output has some.
pub fn argmax<E: Reducible>(input: &[E], shape: &[usize], axis: usize, output: &mut [i32]) {
    arg(input, shape, axis, output, |x, best| x.gt(best));
}

/// The first position of the least element along `axis`, or of the first NaN; like [`argmax`].
pub fn argmin<E: Reducible>(input: &[E], shape: &[usize], axis: usize, output: &mut [i32]) {
    arg(input, shape, axis, output, |x, best| best.gt(x));
}

fn arg<E: Reducible>(
    input: &[E],
    shape: &[usize],
    axis: usize,
    output: &mut [i32],
    beats: impl Fn(E::Accumulator, E::Accumulator) -> bool + Copy + Sync,
) {
    let outer: usize = shape[..axis].iter().product();
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    assert_eq!(input.len(), outer * n * inner, "input of shape {shape:?}");
    assert_eq!(
        output.len(),
        outer * inner,
        "output of {shape:?} without axis {axis}"
    );
    assert!(n > 0 || output.is_empty(), "the extreme of no elements");
    assert!(
        i32::try_from(n).is_ok(),
        "an axis longer than an int32 counts"
    );
    let tiles = inner.div_ceil(COLUMNS);
    let output = Disjoint::new(output);
    parallel_for(outer * tiles, grain(2 * n * inner.min(COLUMNS)), |range| {
        let task = Units {
            input,
            n,
            inner,
            range,
            output: &output,
            beats,
        };
        if is_tuned::<E, E::Accumulator>() {
            dispatch(task)
        } else {
            Portable.run(task)
        }
    });
}

struct Units<'a, E, B> {
    input: &'a [E],
    n: usize,
    inner: usize,
    /// Numbers of tiles of columns.
    range: Range<usize>,
    output: &'a Disjoint<'a, i32>,
    beats: B,
}

impl<E: Reducible, B: Fn(E::Accumulator, E::Accumulator) -> bool + Copy> Task for Units<'_, E, B> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let (n, inner) = (self.n, self.inner);
        let tiles = inner.div_ceil(COLUMNS);
        for tile in self.range {
            let (outer, start) = (tile / tiles, tile % tiles * COLUMNS);
            let width = COLUMNS.min(inner - start);
            // SAFETY: each tile has its own columns of its own line.
            let output = unsafe {
                self.output
                    .slice_mut(outer * inner + start..outer * inner + start + width)
            };
            let block = &self.input[outer * n * inner..(outer + 1) * n * inner];
            if inner == 1 {
                output[0] = position(block, self.beats) as i32;
            } else {
                positions(block, inner, start..start + width, output, self.beats);
            }
        }
    }
}

/// The first position of the best number in a row.
#[inline(always)]
fn position<E: Reducible>(
    row: &[E],
    beats: impl Fn(E::Accumulator, E::Accumulator) -> bool,
) -> usize {
    const LANES: usize = 32;
    if row.len() < LANES {
        let (mut at, mut best) = (0, row[0].widen());
        for (i, x) in row.iter().map(|x| x.widen()).enumerate().skip(1) {
            if !best.is_nan() && (beats(x, best) || x.is_nan()) {
                (at, best) = (i, x);
            }
        }
        return at;
    }
    // The best number, by lanes: a NaN sticks.
    let mut best = [row[0].widen(); LANES];
    let mut chunks = row.chunks_exact(LANES);
    let better = |best: &mut E::Accumulator, x: E| {
        let x = x.widen();
        let keep = best.is_nan() | !(beats(x, *best) | x.is_nan());
        *best = if keep { *best } else { x };
    };
    for chunk in &mut chunks {
        for (best, x) in best.iter_mut().zip(chunk) {
            better(best, *x);
        }
    }
    for (best, x) in best.iter_mut().zip(chunks.remainder()) {
        better(best, *x);
    }
    let first = best[0];
    let best = best.into_iter().fold(first, |best, x| {
        let keep = best.is_nan() | !(beats(x, best) | x.is_nan());
        if keep { best } else { x }
    });
    row.iter()
        .position(|x| x.widen() == best || (best.is_nan() && x.widen().is_nan()))
        .expect("the best number is one of the row's")
}

/// The first position of the best number in each of `columns`.
#[inline(always)]
fn positions<E: Reducible>(
    block: &[E],
    inner: usize,
    columns: Range<usize>,
    output: &mut [i32],
    beats: impl Fn(E::Accumulator, E::Accumulator) -> bool,
) {
    let mut best = [E::Accumulator::ZERO; COLUMNS];
    for (best, x) in best.iter_mut().zip(&block[columns.clone()]) {
        *best = x.widen();
    }
    output.fill(0);
    for (at, row) in block.chunks_exact(inner).enumerate().skip(1) {
        for ((best, output), x) in best
            .iter_mut()
            .zip(output.iter_mut())
            .zip(&row[columns.clone()])
        {
            let x = x.widen();
            let keep = best.is_nan() | !(beats(x, *best) | x.is_nan());
            *best = if keep { *best } else { x };
            *output = if keep { *output } else { at as i32 };
        }
    }
}
