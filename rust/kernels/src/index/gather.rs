//! Reads.
use half::{bf16, f16};
use num_complex::Complex;

use super::{Index, around, row};
use crate::threads::{grain, parallel_ranges_mut};

/// An element type with the value that reads outside of an array.
pub trait Fill: Copy + Send + Sync {
    /// NaN, the least signed integer, or the greatest unsigned one.
    const FILL: Self;
}

macro_rules! fill {
    ($($type:ty: $fill:expr),*) => {$(
        impl Fill for $type {
            const FILL: Self = $fill;
        }
    )*};
}
fill!(
    i8: i8::MIN, i16: i16::MIN, i32: i32::MIN, i64: i64::MIN, u8: u8::MAX, u16: u16::MAX, u32: u32::MAX, u64: u64::MAX,
    f16: f16::NAN, bf16: bf16::NAN, f32: f32::NAN, f64: f64::NAN,
    Complex<f32>: Complex::new(f32::NAN, f32::NAN), Complex<f64>: Complex::new(f64::NAN, f64::NAN)
);

/// `output[o, m, i] = input[o, indices[m], i]`, where `m` stands for all axes of `indices` and takes the place of `axis`.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn gather<T: Copy + Send + Sync, I: Index>(
    input: &[T],
    shape: &[usize],
    axis: usize,
    indices: &[I],
    fill: T,
    output: &mut [T],
) {
    let (outer, n, inner) = around(shape, axis);
    assert_eq!(input.len(), outer * n * inner, "input of shape {shape:?}");
    assert_eq!(
        output.len(),
        outer * indices.len() * inner,
        "a row for each index"
    );
    read_rows(output, inner, fill, input, |line| {
        let (outer, m) = (line / indices.len(), line % indices.len());
        Some(outer * n + indices[m].place(n)?)
    });
}

/// `output[m] = input[indices[m, 0], ..., indices[m, depth - 1]]`: rows of the axes from `depth` on.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn gather_nd<T: Copy + Send + Sync, I: Index>(
    input: &[T],
    shape: &[usize],
    indices: &[I],
    depth: usize,
    fill: T,
    output: &mut [T],
) {
    let inner: usize = shape[depth..].iter().product();
    assert_eq!(
        input.len(),
        shape.iter().product::<usize>(),
        "input of shape {shape:?}"
    );
    read_rows(output, inner, fill, input, |line| {
        row(&indices[line * depth..(line + 1) * depth], &shape[..depth])
    });
}

/// `output[o, m, i] = input[o, indices[o, m, i], i]`: an index for each element of the output, `count` along the axis.
///
/// # Panics
/// When a slice does not fit the shape.
pub fn take_along_axis<T: Copy + Send + Sync, I: Index>(
    input: &[T],
    shape: &[usize],
    axis: usize,
    indices: &[I],
    count: usize,
    fill: T,
    output: &mut [T],
) {
    let (outer, n, inner) = around(shape, axis);
    assert_eq!(input.len(), outer * n * inner, "input of shape {shape:?}");
    assert!(
        indices.len() == outer * count * inner && output.len() == indices.len(),
        "an index for each element"
    );
    if output.is_empty() {
        return;
    }
    parallel_ranges_mut(output, inner, grain(4 * inner), |lines, output| {
        for (line, output) in lines.zip(output.chunks_exact_mut(inner)) {
            let indices = &indices[line * inner..(line + 1) * inner];
            let block = &input[line / count * n * inner..(line / count + 1) * n * inner];
            for (i, (output, index)) in output.iter_mut().zip(indices).enumerate() {
                *output = index.place(n).map_or(fill, |at| block[at * inner + i]);
            }
        }
    });
}

/// Fills each line of `output`, `width` wide, with the row of `input` that `origin` names, or else with `fill`.
pub(crate) fn read_rows<T: Copy + Send + Sync>(
    output: &mut [T],
    width: usize,
    fill: T,
    input: &[T],
    origin: impl Fn(usize) -> Option<usize> + Sync,
) {
    if width == 0 {
        return;
    }
    parallel_ranges_mut(output, width, grain(width + 8), |lines, output| {
        if width == 1 {
            for (line, output) in lines.zip(output) {
                *output = origin(line).map_or(fill, |row| input[row]);
            }
            return;
        }
        for (line, output) in lines.zip(output.chunks_exact_mut(width)) {
            match origin(line) {
                Some(row) => output.copy_from_slice(&input[row * width..(row + 1) * width]),
                None => output.fill(fill),
            }
        }
    });
}
