//! Images of other sizes, channels last: each pixel is a sum over rows and columns, weighted by a matrix for each of the two axes.
//!
//! The matrices of interpolation are zero but for a band: an output reaches neighbouring inputs only. Rows are summed first, into a
//! line of scratch that stays in a cache, then columns of that line.
use simd::{Float, Isa, Lanes, Task, dispatch};

use crate::real::{Real, load_at, store_at};
use crate::threads::{Disjoint, num_threads, share_tasks};

/// Sizes of images before and after.
#[derive(Clone, Copy, Debug)]
pub struct Resample {
    /// Images.
    pub batch: usize,
    /// Rows of an image, and of its result.
    pub rows: [usize; 2],
    /// Columns likewise.
    pub columns: [usize; 2],
    /// Channels.
    pub channels: usize,
}

/// Outputs below which a line of several is not worth a task of its own.
const TASK_ITEMS: usize = 1 << 13;

impl Resample {
    /// Items of a line of summed rows.
    fn line_len(&self) -> usize {
        self.columns[0] * self.channels
    }

    /// Lines of the results that a task makes.
    fn task_lines(&self) -> usize {
        TASK_ITEMS.div_ceil(self.columns[1] * self.channels)
    }

    /// Items of scratch of [`resample`].
    pub fn scratch_len(&self) -> usize {
        2 * (self.rows[1] + self.columns[1]) + num_threads() * self.line_len()
    }
}

/// `out[b, i, j, c] = sum over p and q of row_weights[p, i] column_weights[q, j] x[b, p, q, c]`.
///
/// Weights that are zero outside of a band cost nothing there. `scratch` has [`Resample::scratch_len`] items.
///
/// # Panics
/// When the lengths do not fit.
pub fn resample<T: Real>(
    sizes: &Resample,
    x: &[T],
    row_weights: &[T],
    column_weights: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    let Resample {
        batch,
        rows,
        columns,
        channels,
    } = *sizes;
    let (image_len, out_len) = (rows[0] * sizes.line_len(), columns[1] * channels);
    assert_eq!(x.len(), batch * image_len);
    assert_eq!(out.len(), batch * rows[1] * out_len);
    if out.is_empty() {
        return;
    }
    let (bands, scratch) = scratch.split_at_mut(2 * (rows[1] + columns[1]));
    let (row_bands, column_bands) = bands.split_at_mut(2 * rows[1]);
    let rows_of = Banded::new(row_weights, rows, row_bands);
    let columns_of = Banded::new(column_weights, columns, column_bands);
    let lines = batch * rows[1];
    let per_task = sizes.task_lines();
    let tasks = lines.div_ceil(per_task);
    // The number of threads may have changed since the scratch was measured.
    let workers = num_threads().min(scratch.len() / sizes.line_len().max(1));
    let out = Disjoint::new(out);
    share_tasks(
        tasks,
        workers.min(tasks).max(1),
        scratch,
        sizes.line_len(),
        |tasks, line| {
            for task in tasks {
                for index in task * per_task..lines.min((task + 1) * per_task) {
                    let (image, row) = (index / rows[1], index % rows[1]);
                    // SAFETY: each line of the result is of one task.
                    let out = unsafe { out.slice_mut(index * out_len..(index + 1) * out_len) };
                    dispatch(Line {
                        x: &x[image * image_len..(image + 1) * image_len],
                        rows: &rows_of,
                        row,
                        columns: &columns_of,
                        channels,
                        line,
                        out,
                    });
                }
            }
        },
    );
}

/// A matrix `(inputs, outputs)`, and for each output the inputs from the first to the last whose weight is not zero.
struct Banded<'a, T> {
    weights: &'a [T],
    outputs: usize,
    /// First input, then how many; whole numbers.
    bands: &'a [T],
}

impl<'a, T: Real> Banded<'a, T> {
    fn new(weights: &'a [T], [inputs, outputs]: [usize; 2], bands: &'a mut [T]) -> Self {
        assert_eq!(weights.len(), inputs * outputs);
        bands.fill(T::default());
        for (input, weights) in weights.chunks_exact(outputs).enumerate() {
            for (weight, band) in weights.iter().zip(bands.chunks_exact_mut(2)) {
                if *weight != T::default() {
                    if band[1] == T::default() {
                        band[0] = T::from_f64(input as f64);
                    }
                    band[1] = T::from_f64((input + 1) as f64 - band[0].to_f64());
                }
            }
        }
        Banded {
            weights,
            outputs,
            bands,
        }
    }

    /// The inputs that an output reaches.
    #[inline(always)]
    fn band(&self, output: usize) -> (usize, usize) {
        let band = &self.bands[2 * output..2 * output + 2];
        (band[0].to_f64() as usize, band[1].to_f64() as usize)
    }

    /// The weights of an output from an input on, and how far apart they stand.
    #[inline(always)]
    fn weights(&self, input: usize, output: usize) -> (&[T], usize) {
        let start = (input * self.outputs + output).min(self.weights.len());
        (&self.weights[start..], self.outputs)
    }
}

/// One line of a result.
struct Line<'a, T> {
    x: &'a [T],
    rows: &'a Banded<'a, T>,
    row: usize,
    columns: &'a Banded<'a, T>,
    channels: usize,
    line: &'a mut [T],
    out: &'a mut [T],
}

/// Registers of sums that are in flight at once.
const WIDE: usize = 4;

impl<T: Real> Task for Line<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (len, channels) = (self.line.len(), self.channels);
        let (first, count) = self.rows.band(self.row);
        let rows = &self.x[first * len..(first + count) * len];
        let (weights, step) = self.rows.weights(first, self.row);
        weighted_sum::<T, I>(isa, rows, len, weights, step, self.line);
        let line = &*self.line;
        match channels {
            1 => self.columns.few_channels::<1>(line, self.out),
            2 => self.columns.few_channels::<2>(line, self.out),
            3 => self.columns.few_channels::<3>(line, self.out),
            4 => self.columns.few_channels::<4>(line, self.out),
            _ => {
                for (column, out) in self.out.chunks_exact_mut(channels).enumerate() {
                    let (first, count) = self.columns.band(column);
                    let pixels = &line[first * channels..(first + count) * channels];
                    let (weights, step) = self.columns.weights(first, column);
                    weighted_sum::<T, I>(isa, pixels, channels, weights, step, out);
                }
            }
        }
    }
}

/// The sum of rows of `len` items, each times its weight, of which one stands at every `step`.
#[inline(always)]
fn weighted_sum<T: Real, I: Isa>(
    isa: I,
    rows: &[T],
    len: usize,
    weights: &[T],
    step: usize,
    out: &mut [T],
) {
    let lanes = T::Lanes::<I>::LEN;
    let mut at = 0;
    if rows.len() == 2 * len {
        // As between two pixels.
        let ((a, b), [u, v]) = (rows.split_at(len), [weights[0], weights[step]]);
        let [u, v] = [T::Lanes::<I>::splat(isa, u), T::Lanes::<I>::splat(isa, v)];
        let pairs = a.chunks_exact(lanes).zip(b.chunks_exact(lanes));
        for ((a, b), out) in pairs.zip(out.chunks_exact_mut(lanes)) {
            let first = T::Lanes::<I>::load(isa, a) * u;
            T::Lanes::<I>::load(isa, b).mul_add(v, first).store(out);
        }
        at = len - len % lanes;
    }
    while at + WIDE * lanes <= len {
        let mut sums = [T::Lanes::<I>::splat(isa, T::default()); WIDE];
        for (row, weight) in rows.chunks_exact(len).zip(weights.iter().step_by(step)) {
            let weight = T::Lanes::<I>::splat(isa, *weight);
            let row = &row[at..][..WIDE * lanes];
            for (w, sum) in sums.iter_mut().enumerate() {
                *sum = T::Lanes::<I>::load(isa, &row[w * lanes..]).mul_add(weight, *sum);
            }
        }
        for (w, sum) in sums.into_iter().enumerate() {
            sum.store(&mut out[at + w * lanes..]);
        }
        at += WIDE * lanes;
    }
    while at < len {
        let mut sum = T::Lanes::<I>::splat(isa, T::default());
        for (row, weight) in rows.chunks_exact(len).zip(weights.iter().step_by(step)) {
            let weight = T::Lanes::<I>::splat(isa, *weight);
            sum = load_at::<T, I>(isa, row, at).mul_add(weight, sum);
        }
        store_at::<T, I>(sum, &mut out[..len], at);
        at += lanes;
    }
}

impl<T: Real> Banded<'_, T> {
    /// The pixels of `C` channels of a line that sums columns.
    #[inline(always)]
    fn few_channels<const C: usize>(&self, line: &[T], out: &mut [T]) {
        let (pixels, _) = line.as_chunks::<C>();
        for (column, out) in out.as_chunks_mut::<C>().0.iter_mut().enumerate() {
            let (first, count) = self.band(column);
            let (weights, step) = self.weights(first, column);
            if let [a, b] = &pixels[first..first + count] {
                // As between two pixels.
                let [u, v] = [weights[0], weights[step]];
                *out = std::array::from_fn(|c| a[c] * u + b[c] * v);
                continue;
            }
            let mut sums = [T::default(); C];
            let weights = weights.iter().step_by(step);
            for (pixel, weight) in pixels[first..first + count].iter().zip(weights) {
                for (sum, x) in sums.iter_mut().zip(pixel) {
                    *sum = *sum + *x * *weight;
                }
            }
            *out = sums;
        }
    }
}

#[cfg(test)]
mod tests {
    use simd::for_each_isa;

    use super::*;

    /// Numbers between -1 and 1, always the same.
    fn numbers<T: Real>(len: usize) -> Vec<T> {
        (0..len)
            .map(|i| T::from_f64(((i * 2_654_435_761) % 2000) as f64 / 1000.0 - 1.0))
            .collect()
    }

    /// Weights that are zero outside of a band of that width.
    fn banded<T: Real>([inputs, outputs]: [usize; 2], width: usize) -> Vec<T> {
        let mut weights = numbers::<T>(inputs * outputs);
        for (at, weight) in weights.iter_mut().enumerate() {
            let (input, output) = (at / outputs, at % outputs);
            let first = (output * inputs / outputs).min(inputs.saturating_sub(width));
            if !(first..first + width).contains(&input) {
                *weight = T::default();
            }
        }
        weights
    }

    fn check<T: Real>(sizes: Resample, width: usize, tolerance: f64) {
        let Resample {
            batch,
            rows,
            columns,
            channels,
        } = sizes;
        let x = numbers::<T>(batch * rows[0] * columns[0] * channels);
        let (of_rows, of_columns) = (banded::<T>(rows, width), banded::<T>(columns, width));
        let mut out = vec![T::from_f64(f64::NAN); batch * rows[1] * columns[1] * channels];
        let mut scratch = vec![T::from_f64(f64::NAN); sizes.scratch_len()];
        resample(&sizes, &x, &of_rows, &of_columns, &mut out, &mut scratch);
        for (at, y) in out.iter().enumerate() {
            let (c, rest) = (at % channels, at / channels);
            let (j, rest) = (rest % columns[1], rest / columns[1]);
            let (i, b) = (rest % rows[1], rest / rows[1]);
            let mut expected = 0.0;
            for p in 0..rows[0] {
                for q in 0..columns[0] {
                    let pixel = x[((b * rows[0] + p) * columns[0] + q) * channels + c];
                    expected += of_rows[p * rows[1] + i].to_f64()
                        * of_columns[q * columns[1] + j].to_f64()
                        * pixel.to_f64();
                }
            }
            assert!(
                (y.to_f64() - expected).abs() <= tolerance,
                "{sizes:?} at {at}"
            );
        }
    }

    #[test]
    fn sums_pixels_under_two_matrices() {
        for_each_isa(|_| {
            for channels in [1, 2, 3, 4, 5, 8, 33, 70] {
                for (rows, columns) in [([5, 9], [7, 4]), ([6, 6], [1, 8]), ([3, 1], [4, 1])] {
                    for width in [0, 1, 2, 5] {
                        let sizes = Resample {
                            batch: 2,
                            rows,
                            columns,
                            channels,
                        };
                        check::<f32>(sizes, width, 1e-5);
                        check::<f64>(sizes, width, 1e-12);
                    }
                }
            }
        });
    }

    #[test]
    fn takes_images_without_pixels() {
        for (rows, columns, batch) in [
            ([0, 3], [2, 2], 1),
            ([2, 0], [2, 2], 1),
            ([2, 2], [2, 2], 0),
        ] {
            let sizes = Resample {
                batch,
                rows,
                columns,
                channels: 3,
            };
            check::<f32>(sizes, 1, 0.0);
        }
    }
}
