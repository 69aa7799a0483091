//! Moves of elements: nothing here looks at a value, so each function serves every dtype of an element's size.
//!
//! Callers pass `u8`, `u16`, `u32`, `u64` or [`Word16`] for elements of 1, 2, 4, 8 or 16 bytes.
mod pad;
mod strided;
#[cfg(test)]
mod tests;

use smallvec::SmallVec;

pub use pad::{PadMode, pad};
pub use strided::{Dims, copy, row_major};

/// An element of 16 bytes that needs no more than the alignment of its halves.
pub type Word16 = [u64; 2];

/// `output[i] = input[j]` with `j[axes[k]] = i[k]`: permutes the axes of an array of `shape`.
///
/// # Panics
/// When `axes` is not a permutation or the output has another size.
pub fn transpose<T: Copy + Send + Sync>(
    input: &[T],
    shape: &[usize],
    axes: &[usize],
    output: &mut [T],
) {
    assert_eq!(axes.len(), shape.len(), "an axis for each dimension");
    let strides = row_major(shape);
    let sizes: Dims<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let source: Dims<isize> = axes.iter().map(|&axis| strides[axis]).collect();
    copy(&sizes, input, 0, &source, output, 0, &row_major(&sizes));
}

/// Repeats axes of size one, and adds leading axes, until `shape` is `output_shape`.
///
/// # Panics
/// When the shapes do not broadcast.
pub fn broadcast_to<T: Copy + Send + Sync>(
    input: &[T],
    shape: &[usize],
    output: &mut [T],
    output_shape: &[usize],
) {
    let added = output_shape
        .len()
        .checked_sub(shape.len())
        .expect("broadcasting never drops an axis");
    let mut source: Dims<isize> = SmallVec::from_elem(0, added);
    for ((&size, &stride), &wanted) in shape
        .iter()
        .zip(&row_major(shape))
        .zip(&output_shape[added..])
    {
        assert!(
            size == wanted || size == 1,
            "{shape:?} does not broadcast to {output_shape:?}"
        );
        source.push(if size == 1 { 0 } else { stride });
    }
    copy(
        output_shape,
        input,
        0,
        &source,
        output,
        0,
        &row_major(output_shape),
    );
}

/// Takes `output_shape[k]` elements from `starts[k]` on, `strides[k]` apart, along each axis; a stride may be negative.
pub fn slice<T: Copy + Send + Sync>(
    input: &[T],
    shape: &[usize],
    starts: &[usize],
    strides: &[isize],
    output: &mut [T],
    output_shape: &[usize],
) {
    let (offset, steps) = steps(shape, starts, strides);
    copy(
        output_shape,
        input,
        offset,
        &steps,
        output,
        0,
        &row_major(output_shape),
    );
}

/// Writes `update` into the places of `output` that [`slice`](fn@slice) with positive strides would read.
pub fn update_slice<T: Copy + Send + Sync>(
    update: &[T],
    update_shape: &[usize],
    starts: &[usize],
    strides: &[isize],
    output: &mut [T],
    shape: &[usize],
) {
    let (offset, steps) = steps(shape, starts, strides);
    copy(
        update_shape,
        update,
        0,
        &row_major(update_shape),
        output,
        offset,
        &steps,
    );
}

/// The offset of `starts` in a row-major array of `shape`, and the distance of one `stride` along each axis.
fn steps(shape: &[usize], starts: &[usize], strides: &[isize]) -> (usize, Dims<isize>) {
    assert!(
        starts.len() == shape.len() && strides.len() == shape.len(),
        "a start and a stride for each axis"
    );
    let unit = row_major(shape);
    let offset = starts
        .iter()
        .zip(&unit)
        .map(|(&start, &unit)| start * unit as usize)
        .sum();
    (
        offset,
        strides
            .iter()
            .zip(&unit)
            .map(|(&stride, &unit)| stride * unit)
            .collect(),
    )
}

/// Reverses the order along `axes`.
pub fn flip<T: Copy + Send + Sync>(input: &[T], shape: &[usize], axes: &[usize], output: &mut [T]) {
    let mut source = row_major(shape);
    let mut offset = 0;
    for &axis in axes {
        offset += shape[axis].saturating_sub(1) * source[axis] as usize;
        source[axis] = -source[axis];
    }
    copy(shape, input, offset, &source, output, 0, &row_major(shape));
}

/// Repeats each element along `axis` `repeats` times.
pub fn repeat<T: Copy + Send + Sync>(
    input: &[T],
    shape: &[usize],
    axis: usize,
    repeats: usize,
    output: &mut [T],
) {
    let (before, inner) = (
        shape[..=axis].iter().product(),
        shape[axis + 1..].iter().product(),
    );
    let sizes = [before, repeats, inner];
    copy(
        &sizes,
        input,
        0,
        &[inner as isize, 0, 1],
        output,
        0,
        &row_major(&sizes),
    );
}

/// Reads `width` columns from column `start` on, out of rows of `input_width`: one output of a split.
pub fn read_columns<T: Copy + Send + Sync>(
    input: &[T],
    input_width: usize,
    start: usize,
    width: usize,
    output: &mut [T],
) {
    let rows = output.len().checked_div(width).unwrap_or(0);
    copy(
        &[rows, width],
        input,
        start,
        &[input_width as isize, 1],
        output,
        0,
        &[width as isize, 1],
    );
}

/// Writes rows of `width` into columns from `start` on of rows of `output_width`: one operand of a concatenation.
pub fn write_columns<T: Copy + Send + Sync>(
    input: &[T],
    width: usize,
    output: &mut [T],
    output_width: usize,
    start: usize,
) {
    let rows = input.len().checked_div(width).unwrap_or(0);
    copy(
        &[rows, width],
        input,
        0,
        &[width as isize, 1],
        output,
        start,
        &[output_width as isize, 1],
    );
}

/// The start that keeps `width` elements inside an axis of `size`, for a start that may be anywhere (negative counts from the end).
pub fn clamp_start(start: impl Into<i64>, width: usize, size: usize) -> usize {
    let start = start.into();
    let start = if start < 0 {
        start.saturating_add(size as i64)
    } else {
        start
    };
    start.clamp(0, size.saturating_sub(width) as i64) as usize
}
