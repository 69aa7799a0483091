//! The gradient of a depthwise kernel, for some channels.

use std::ops::Range;

use simd::{Float, Isa, Lanes, Task};

use super::read;
use crate::conv::geometry::Geometry;
use crate::gemm::Real;
use crate::threads::Disjoint;

/// Taps along the last axis whose sums are held at a time.
const TAPS: usize = 5;

/// Adds to all taps of the gradient for some filters.
pub struct KernelGradient<'a, T> {
    pub geometry: &'a Geometry,
    /// Lines of `x` per line of positions: the channels of a group.
    pub parts: usize,
    pub images: usize,
    /// The input in lanes of filters.
    pub x: &'a [T],
    pub g: &'a [T],
    pub filters: Range<usize>,
    /// The whole gradient, of which the task alone writes these filters.
    pub out: &'a Disjoint<'a, T>,
}

/// Neighbouring taps along the last axis, and the columns of a line that they reach.
struct Reached {
    first: usize,
    each: [Range<usize>; TAPS],
    all: Range<usize>,
}

impl<T: Real> Task for KernelGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let w = &self.geometry.window;
        for first in (0..w.size[2]).step_by(TAPS) {
            let count = TAPS.min(w.size[2] - first);
            let each = std::array::from_fn(|k| w.outputs_of_tap(2, first + k.min(count - 1)));
            let all = each.iter().fold(0..w.output[2], |all, range| {
                all.start.max(range.start)..all.end.min(range.end)
            });
            let reached = Reached { first, each, all };
            // The lines of an image in turn: those of `x` are in the cache for the other taps that see them.
            for image in 0..self.images {
                for i in 0..w.output[0] {
                    for j in 0..w.output[1] {
                        let o = (image * w.output[0] + i) * w.output[1] + j;
                        for a in w.taps(0, i) {
                            for b in w.taps(1, j) {
                                let row = image * w.input[0] + w.place(0, i, a);
                                let row = row * w.input[1] + w.place(1, j, b);
                                let tap = (a * w.size[1] + b) * w.size[2] + first;
                                for part in 0..self.parts {
                                    let row = row * self.parts + part;
                                    let tap = tap * self.parts + part;
                                    self.line(isa, &reached, count, [row, o, tap]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl<T: Real> KernelGradient<'_, T> {
    /// Some filters of a row of the gradient, which is `(taps x parts, filters)`.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn taps_at(&self, row: usize, filters: Range<usize>) -> &mut [T] {
        let start = row * self.geometry.filters;
        // SAFETY: a task owns its filters and holds one of these slices at a time.
        unsafe {
            self.out
                .slice_mut(start + filters.start..start + filters.end)
        }
    }

    /// Adds a line of `x` and a line of the gradient of the outputs to `count` taps.
    #[inline(always)]
    fn line<I: Isa>(&self, isa: I, reached: &Reached, count: usize, at: [usize; 3]) {
        let lanes = T::Lanes::<I>::LEN;
        let mut channel = self.filters.start;
        while channel < self.filters.end {
            let left = self.filters.end - channel;
            // Enough sums to hide the latency of a multiply-add.
            let two = left >= 2 * lanes && count <= 3;
            let n = left.min(lanes);
            match (count, two) {
                (3, true) => self.sums::<T::Lanes<I>, 3, 2>(isa, reached, at, channel, n),
                (2, true) => self.sums::<T::Lanes<I>, 2, 2>(isa, reached, at, channel, n),
                (1, true) => self.sums::<T::Lanes<I>, 1, 2>(isa, reached, at, channel, n),
                (TAPS.., _) => self.sums::<T::Lanes<I>, TAPS, 1>(isa, reached, at, channel, n),
                (4, _) => self.sums::<T::Lanes<I>, 4, 1>(isa, reached, at, channel, n),
                (3, _) => self.sums::<T::Lanes<I>, 3, 1>(isa, reached, at, channel, n),
                (2, _) => self.sums::<T::Lanes<I>, 2, 1>(isa, reached, at, channel, n),
                _ => self.sums::<T::Lanes<I>, 1, 1>(isa, reached, at, channel, n),
            }
            channel += if two { 2 * lanes } else { lanes };
        }
    }

    /// `N` vectors of filters (whole, or the first `n` lanes of one) of the sums for `K` taps.
    #[inline(always)]
    fn sums<V: Float<Item = T>, const K: usize, const N: usize>(
        &self,
        isa: V::Isa,
        reached: &Reached,
        [row, o, tap]: [usize; 3],
        channel: usize,
        n: usize,
    ) {
        let (w, channels) = (&self.geometry.window, self.geometry.filters);
        let x = self.x[row * w.input[2] * channels + channel..].as_ptr();
        let g = self.g[o * w.output[2] * channels + channel..].as_ptr();
        let Reached { first, each, all } = reached;
        let pitch = w.dilation[2] * channels;
        // A line's sum is taken on its own: long sums of floats lose digits.
        let mut sums = [[V::zero(isa); N]; K];
        // SAFETY: a column of `reached` or `all` has its tap on the line of `x`; the lengths of the slices are checked where the
        // task is made.
        unsafe {
            let item = |column: usize, k: usize| x.add(w.place(2, column, first + k) * channels);
            for (k, (sum, reached)) in sums.iter_mut().zip(each).enumerate() {
                for column in reached.clone() {
                    if !all.contains(&column) {
                        for (v, sum) in sum.iter_mut().enumerate() {
                            let g: V = read(isa, g.add(column * channels + v * V::LEN), n);
                            *sum = g.mul_add(read(isa, item(column, k).add(v * V::LEN), n), *sum);
                        }
                    }
                }
            }
            if !all.is_empty() {
                let step = w.strides[2] * channels;
                let (mut x, mut g) = (item(all.start, 0), g.add(all.start * channels));
                if n == V::LEN {
                    for _ in all.clone() {
                        for v in 0..N {
                            let y = V::load_ptr(isa, g.add(v * V::LEN));
                            for (k, sum) in sums.iter_mut().enumerate() {
                                let x = V::load_ptr(isa, x.add(k * pitch + v * V::LEN));
                                sum[v] = y.mul_add(x, sum[v]);
                            }
                        }
                        (x, g) = (x.wrapping_add(step), g.wrapping_add(channels));
                    }
                } else {
                    for _ in all.clone() {
                        let y: V = read(isa, g, n);
                        for (k, sum) in sums.iter_mut().enumerate() {
                            sum[0] = y.mul_add(read(isa, x.add(k * pitch), n), sum[0]);
                        }
                        (x, g) = (x.wrapping_add(step), g.wrapping_add(channels));
                    }
                }
            }
        }
        for (k, sum) in sums.into_iter().enumerate() {
            for (v, sum) in sum.into_iter().enumerate() {
                let channel = channel + v * V::LEN;
                let out = self.taps_at(tap + k * self.parts, channel..channel + n);
                (V::load_partial(isa, out) + sum).store_partial(out);
            }
        }
    }
}
