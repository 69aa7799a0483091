//! Writes.
use std::ops::Range;

use super::{Index, around, row};
use crate::reduce::{Number, Reducible};
use crate::threads::{Disjoint, grain, num_threads, parallel_for};

/// What a write does with the element that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scatter {
    Set,
    Add,
    Min,
    Max,
    Mul,
}

/// Combines `updates` into `output`, both as long.
#[inline(always)]
fn write<T: Reducible>(mode: Scatter, output: &mut [T], updates: &[T]) {
    #[inline(always)]
    fn each<T: Reducible>(
        output: &mut [T],
        updates: &[T],
        combine: impl Fn(T::Accumulator, T::Accumulator) -> T::Accumulator,
    ) {
        for (output, update) in output.iter_mut().zip(updates) {
            *output = T::narrow(combine(output.widen(), update.widen()));
        }
    }
    match mode {
        Scatter::Set => output.copy_from_slice(updates),
        Scatter::Add => each(output, updates, Number::add),
        Scatter::Min => each(output, updates, Number::min),
        Scatter::Max => each(output, updates, Number::max),
        Scatter::Mul => each(output, updates, Number::mul),
    }
}

/// Writes `updates[o, m, i]` to `output[o, indices[m], i]`, an array of `shape` whose values take part.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn scatter<T: Reducible, I: Index>(
    mode: Scatter,
    updates: &[T],
    indices: &[I],
    output: &mut [T],
    shape: &[usize],
    axis: usize,
) {
    let (outer, n, inner) = around(shape, axis);
    assert_eq!(output.len(), outer * n * inner, "output of shape {shape:?}");
    assert_eq!(
        updates.len(),
        outer * indices.len() * inner,
        "a row for each index"
    );
    let lines = updates.len().checked_div(inner).unwrap_or(0);
    write_rows(mode, updates, lines, output, inner, &|line| {
        let (outer, m) = (line / indices.len(), line % indices.len());
        Some(outer * n + indices[m].place(n)?)
    });
}

/// Writes `updates[m]` to the row `output[indices[m, 0], ..., indices[m, depth - 1]]` of an array of `shape` whose values take part.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn scatter_nd<T: Reducible, I: Index>(
    mode: Scatter,
    updates: &[T],
    indices: &[I],
    depth: usize,
    output: &mut [T],
    shape: &[usize],
) {
    let inner: usize = shape[depth..].iter().product();
    assert_eq!(
        output.len(),
        shape.iter().product::<usize>(),
        "output of shape {shape:?}"
    );
    let lines = updates.len().checked_div(inner).unwrap_or(0);
    write_rows(mode, updates, lines, output, inner, &|line| {
        row(&indices[line * depth..(line + 1) * depth], &shape[..depth])
    });
}

/// Adds `updates[o, m, i]` to `output[o, indices[o, m, i], i]`, an array of `shape`; there are `count` updates along the axis.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn put_along_axis_add<T: Reducible, I: Index>(
    updates: &[T],
    indices: &[I],
    count: usize,
    output: &mut [T],
    shape: &[usize],
    axis: usize,
) {
    let (outer, n, inner) = around(shape, axis);
    assert_eq!(output.len(), outer * n * inner, "output of shape {shape:?}");
    assert!(
        indices.len() == outer * count * inner && updates.len() == indices.len(),
        "an index for each update"
    );
    let output = Disjoint::new(output);
    parallel_for(outer, grain(4 * count * inner), |range| {
        for outer in range {
            // SAFETY: each block is written by the one range that holds it.
            let block = unsafe { output.slice_mut(outer * n * inner..(outer + 1) * n * inner) };
            for at in 0..count * inner {
                let from = outer * count * inner + at;
                if let Some(row) = indices[from].place(n) {
                    let to = &mut block[row * inner + at % inner..][..1];
                    write(Scatter::Add, to, &updates[from..from + 1]);
                }
            }
        }
    });
}

/// Writes each of `lines` rows of `updates`, `width` wide, to the row of `output` that `place` names, in order.
///
/// Threads own rows of the output: each reads every index and writes what is its own.
fn write_rows<T: Reducible>(
    mode: Scatter,
    updates: &[T],
    lines: usize,
    output: &mut [T],
    width: usize,
    place: &(dyn Fn(usize) -> Option<usize> + Sync),
) {
    if width == 0 || lines == 0 {
        return;
    }
    let rows = output.len() / width;
    // More ranges than threads would only read the indices again.
    let grain = (rows / num_threads()).max(grain(lines * (width + 4) / rows.max(1)));
    let output = Disjoint::new(output);
    parallel_for(rows, grain, |own: Range<usize>| {
        // SAFETY: ranges of rows are disjoint.
        let output = unsafe { output.slice_mut(own.start * width..own.end * width) };
        for line in 0..lines {
            if let Some(row) = place(line)
                && own.contains(&row)
            {
                let row = row - own.start;
                write(
                    mode,
                    &mut output[row * width..(row + 1) * width],
                    &updates[line * width..(line + 1) * width],
                );
            }
        }
    });
}
