//! Images of other sizes, channels last: each pixel is a sum over rows and columns, weighted by a matrix for each of the two axes.
//!
//! The matrices of interpolation are zero but for a band: an output reaches neighbouring inputs only. Rows are summed first, into a
//! line of scratch that stays in a cache, then columns of that line.
use std::array::from_fn;

use simd::{Float, Isa, Lanes, Task, dispatch};

use crate::real::{MAX_LANES, Real, load_at, store_at};
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

/// Lines of a result that are made together: what a column needs is looked up once for all.
const LINES: usize = 4;

/// Items in which a band is kept.
const BAND: usize = 4;

impl Resample {
    /// Items of a line of summed rows.
    fn line_len(&self) -> usize {
        self.columns[0] * self.channels
    }

    /// Lines of the results that a task makes.
    fn task_lines(&self) -> usize {
        TASK_ITEMS.div_ceil(self.columns[1] * self.channels)
    }

    /// Items of scratch of a thread: lines, and a register more, as pixels are read by registers.
    fn lines_len(&self) -> usize {
        LINES * self.line_len() + MAX_LANES
    }

    /// Items of scratch of [`resample`].
    pub fn scratch_len(&self) -> usize {
        BAND * (self.rows[1] + self.columns[1]) + num_threads() * self.lines_len()
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
    let (bands, scratch) = scratch.split_at_mut(BAND * (rows[1] + columns[1]));
    let (row_bands, column_bands) = bands.split_at_mut(BAND * rows[1]);
    let rows_of = Banded::new(row_weights, rows, row_bands);
    let columns_of = Banded::new(column_weights, columns, column_bands);
    let per_task = sizes.task_lines();
    let image_tasks = rows[1].div_ceil(per_task);
    let tasks = batch * image_tasks;
    // The number of threads may have changed since the scratch was measured.
    let workers = num_threads().min(scratch.len() / sizes.lines_len());
    let out = Disjoint::new(out);
    share_tasks(
        tasks,
        workers.min(tasks).max(1),
        scratch,
        sizes.lines_len(),
        |tasks, scratch| {
            for task in tasks {
                let (image, start) = (task / image_tasks, task % image_tasks * per_task);
                let end = rows[1].min(start + per_task);
                for row in (start..end).step_by(LINES) {
                    let lines = image * rows[1] + row..image * rows[1] + end.min(row + LINES);
                    // SAFETY: each line of the result is of one task.
                    let out = unsafe { out.slice_mut(lines.start * out_len..lines.end * out_len) };
                    dispatch(Lines {
                        x: &x[image * image_len..(image + 1) * image_len],
                        rows: &rows_of,
                        row,
                        columns: &columns_of,
                        channels,
                        len: sizes.line_len(),
                        scratch,
                        out,
                    });
                }
            }
        },
    );
}

/// A matrix `(inputs, outputs)`, and for each output its band: the inputs from the first to the last whose weight is not zero.
struct Banded<'a, T> {
    weights: &'a [T],
    outputs: usize,
    /// First input, how many (whole numbers), the weights of the first two.
    bands: &'a [[T; BAND]],
}

/// What an output is summed of.
struct Band<'a, T> {
    /// The first input.
    first: usize,
    /// How many inputs.
    count: usize,
    /// The weights of the first two.
    pair: [T; 2],
    /// All weights from the first on, of which one stands at every `step`.
    weights: &'a [T],
    step: usize,
}

impl<'a, T: Real> Banded<'a, T> {
    /// `bands` has [`BAND`] items for each output.
    fn new(weights: &'a [T], [inputs, outputs]: [usize; 2], bands: &'a mut [T]) -> Self {
        assert_eq!(weights.len(), inputs * outputs);
        bands.fill(T::default());
        let (bands, _) = bands.as_chunks_mut::<BAND>();
        for (input, weights) in weights.chunks_exact(outputs).enumerate() {
            for (weights, bands) in weights.chunks(64).zip(bands.chunks_mut(64)) {
                // Most are zero: a look at many at once.
                if !weights
                    .iter()
                    .fold(false, |any, w| any | (*w != T::default()))
                {
                    continue;
                }
                for (weight, [first, count, ..]) in weights.iter().zip(bands) {
                    if *weight != T::default() {
                        if *count == T::default() {
                            *first = T::from_f64(input as f64);
                        }
                        *count = T::from_f64((input + 1) as f64 - first.to_f64());
                    }
                }
            }
        }
        for (output, [first, count, pair @ ..]) in bands.iter_mut().enumerate() {
            let inputs = (first.to_f64() as usize..).take(count.to_f64() as usize);
            for (weight, input) in pair.iter_mut().zip(inputs) {
                *weight = weights[input * outputs + output];
            }
        }
        Banded {
            weights,
            outputs,
            bands,
        }
    }

    #[inline(always)]
    fn band(&self, output: usize) -> Band<'_, T> {
        let [first, count, pair @ ..] = self.bands[output];
        let first = first.to_f64() as usize;
        let start = (first * self.outputs + output).min(self.weights.len());
        Band {
            first,
            count: count.to_f64() as usize,
            pair,
            weights: &self.weights[start..],
            step: self.outputs,
        }
    }
}

/// Lines of a result, from one row of an image on.
struct Lines<'a, T> {
    x: &'a [T],
    rows: &'a Banded<'a, T>,
    row: usize,
    columns: &'a Banded<'a, T>,
    channels: usize,
    /// Items of a line of summed rows.
    len: usize,
    scratch: &'a mut [T],
    out: &'a mut [T],
}

/// Registers of sums that are in flight at once.
const WIDE: usize = 4;

impl<T: Real> Task for Lines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Lines { len, channels, .. } = self;
        let out_len = self.columns.outputs * channels;
        for at in 0..self.out.len() / out_len {
            let band = self.rows.band(self.row + at);
            let rows = &self.x[band.first * len..][..band.count * len];
            weighted_sum::<T, I>(isa, rows, &band, &mut self.scratch[at * len..][..len]);
        }
        for column in 0..self.columns.outputs {
            let band = self.columns.band(column);
            let pixels = &self.scratch[band.first * channels..];
            let out = &mut self.out[column * channels..];
            let two = band.count == 2 && column + 1 < self.columns.outputs;
            if two && few_between(channels, pixels, band.pair, out, [len, out_len]) {
                continue;
            }
            let lanes = T::Lanes::<I>::LEN;
            let narrow = channels < lanes && column * channels + lanes <= out_len;
            for (at, out) in out.chunks_mut(out_len).enumerate() {
                let pixels = &pixels[at * len..];
                if narrow {
                    narrow_sum::<T, I>(isa, pixels, channels, &band, out);
                } else {
                    let pixels = &pixels[..band.count * channels];
                    weighted_sum::<T, I>(isa, pixels, &band, &mut out[..channels]);
                }
            }
        }
    }
}

/// [`between`] for few channels; says whether they are few enough.
#[inline(always)]
fn few_between<T: Real>(
    channels: usize,
    pixels: &[T],
    weights: [T; 2],
    out: &mut [T],
    lens: [usize; 2],
) -> bool {
    match channels {
        1 => between::<T, 1, 1>(pixels, weights, out, lens),
        2 => between::<T, 2, 2>(pixels, weights, out, lens),
        3 => between::<T, 3, 4>(pixels, weights, out, lens),
        4 => between::<T, 4, 4>(pixels, weights, out, lens),
        _ => return false,
    }
    true
}

/// What lies between two pixels of `C` channels, in each line of these lengths, by `W` items: what is behind a pixel, the next
/// overwrites.
#[inline(always)]
fn between<T: Real, const C: usize, const W: usize>(
    pixels: &[T],
    [u, v]: [T; 2],
    out: &mut [T],
    [len, out_len]: [usize; 2],
) {
    for (at, out) in out.chunks_mut(out_len).enumerate() {
        let x = &pixels[at * len..][..C + W];
        let out = out.first_chunk_mut::<W>().expect("a pixel more");
        *out = from_fn(|c| x[c] * u + x[C + c] * v);
    }
}

/// The sum of rows as long as `out`, each times its weight.
#[inline(always)]
fn weighted_sum<T: Real, I: Isa>(isa: I, rows: &[T], band: &Band<'_, T>, out: &mut [T]) {
    let (lanes, len) = (T::Lanes::<I>::LEN, out.len());
    let weights = band.weights.iter().step_by(band.step);
    let mut at = 0;
    if band.count == 2 {
        let (a, b) = rows.split_at(len);
        let [u, v] = band.pair.map(|weight| T::Lanes::<I>::splat(isa, weight));
        let pairs = a.chunks_exact(lanes).zip(b.chunks_exact(lanes));
        for ((a, b), out) in pairs.zip(out.chunks_exact_mut(lanes)) {
            let first = T::Lanes::<I>::load(isa, a) * u;
            T::Lanes::<I>::load(isa, b).mul_add(v, first).store(out);
        }
        at = len - len % lanes;
    }
    while at + WIDE * lanes <= len {
        let mut sums = [T::Lanes::<I>::splat(isa, T::default()); WIDE];
        for (row, weight) in rows.chunks_exact(len).zip(weights.clone()) {
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
        for (row, weight) in rows.chunks_exact(len).zip(weights.clone()) {
            let weight = T::Lanes::<I>::splat(isa, *weight);
            sum = load_at::<T, I>(isa, row, at).mul_add(weight, sum);
        }
        store_at::<T, I>(sum, out, at);
        at += lanes;
    }
}

/// The sum of pixels of few channels, a whole register at a time: what is behind the channels, the next pixel overwrites.
#[inline(always)]
fn narrow_sum<T: Real, I: Isa>(
    isa: I,
    pixels: &[T],
    channels: usize,
    band: &Band<'_, T>,
    out: &mut [T],
) {
    let pixel = |at: usize| T::Lanes::<I>::load(isa, &pixels[at * channels..]);
    let mut sum = T::Lanes::<I>::splat(isa, T::default());
    let weights = band.weights.iter().step_by(band.step);
    for (at, weight) in weights.take(band.count).enumerate() {
        sum = pixel(at).mul_add(T::Lanes::<I>::splat(isa, *weight), sum);
    }
    sum.store(out);
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
