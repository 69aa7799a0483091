//! The gradient of a depthwise kernel, for some channels.

use std::ops::Range;

use simd::{Float, Isa, Lanes, Task};

use super::read;
use crate::conv::geometry::Geometry;
use crate::gemm::Real;
use crate::threads::Disjoint;

/// Taps along the last axis whose sums are held at a time.
const TAPS: usize = 5;

/// All taps of the gradient for some channels.
pub struct KernelGradient<'a, T> {
    pub geometry: &'a Geometry,
    pub x: &'a [T],
    pub g: &'a [T],
    pub channels: Range<usize>,
    /// The whole gradient, of which the task alone writes these channels.
    pub out: &'a Disjoint<'a, T>,
}

impl<T: Real> Task for KernelGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let w = &self.geometry.window;
        for tap in 0..w.taps_len() {
            self.taps_at(tap, self.channels.clone()).fill(T::default());
        }
        // The lines of an image in turn: those of `x` are in the cache for the other taps that see them.
        for image in 0..self.geometry.batch {
            for i in 0..w.output[0] {
                for j in 0..w.output[1] {
                    for a in w.taps(0, i) {
                        for b in w.taps(1, j) {
                            let row = (image * w.input[0] + w.place(0, i, a)) * w.input[1]
                                + w.place(1, j, b);
                            let o = (image * w.output[0] + i) * w.output[1] + j;
                            let tap = (a * w.size[1] + b) * w.size[2];
                            self.line(isa, row, o, tap);
                        }
                    }
                }
            }
        }
    }
}

impl<T: Real> KernelGradient<'_, T> {
    /// Some channels of a tap of the gradient.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn taps_at(&self, tap: usize, channels: Range<usize>) -> &mut [T] {
        let start = tap * self.geometry.channels;
        // SAFETY: a task owns its channels and holds one of these slices at a time.
        unsafe {
            self.out
                .slice_mut(start + channels.start..start + channels.end)
        }
    }

    /// Adds a line of `x` and a line of the gradient of the outputs to the taps from `tap` on.
    #[inline(always)]
    fn line<I: Isa>(&self, isa: I, row: usize, o: usize, tap: usize) {
        let (lanes, size) = (T::Lanes::<I>::LEN, self.geometry.window.size[2]);
        let mut channel = self.channels.start;
        while channel < self.channels.end {
            let left = self.channels.end - channel;
            // Enough sums to hide the latency of a multiply-add.
            let two = left >= 2 * lanes && size <= 3;
            let n = left.min(lanes);
            let mut first = 0;
            while first < size {
                let at = [row, o, tap, first];
                match (size - first, two) {
                    (3, true) => self.sums::<T::Lanes<I>, 3, 2>(isa, at, channel, n),
                    (2, true) => self.sums::<T::Lanes<I>, 2, 2>(isa, at, channel, n),
                    (1, true) => self.sums::<T::Lanes<I>, 1, 2>(isa, at, channel, n),
                    (TAPS.., _) => self.sums::<T::Lanes<I>, TAPS, 1>(isa, at, channel, n),
                    (4, _) => self.sums::<T::Lanes<I>, 4, 1>(isa, at, channel, n),
                    (3, _) => self.sums::<T::Lanes<I>, 3, 1>(isa, at, channel, n),
                    (2, _) => self.sums::<T::Lanes<I>, 2, 1>(isa, at, channel, n),
                    _ => self.sums::<T::Lanes<I>, 1, 1>(isa, at, channel, n),
                }
                first += TAPS;
            }
            channel += if two { 2 * lanes } else { lanes };
        }
    }

    /// `N` vectors of channels (whole, or the first `n` lanes of one) of the sums for `K` taps from `first` on.
    #[inline(always)]
    fn sums<V: Float<Item = T>, const K: usize, const N: usize>(
        &self,
        isa: V::Isa,
        [row, o, tap, first]: [usize; 4],
        channel: usize,
        n: usize,
    ) {
        let (w, channels) = (&self.geometry.window, self.geometry.channels);
        let x = self.x[row * w.input[2] * channels + channel..].as_ptr();
        let g = self.g[o * w.output[2] * channels + channel..].as_ptr();
        let reached: [Range<usize>; K] = std::array::from_fn(|k| w.outputs_of_tap(2, first + k));
        let all = reached.iter().fold(0..w.output[2], |all, range| {
            all.start.max(range.start)..all.end.min(range.end)
        });
        let pitch = w.dilation[2] * channels;
        // A line's sum is taken on its own: long sums of floats lose digits.
        let mut sums = [[V::zero(isa); N]; K];
        // SAFETY: a column of `reached` or `all` has its tap on the line of `x`; the lengths of the slices are checked where the
        // task is made.
        unsafe {
            let item = |column: usize, k: usize| x.add(w.place(2, column, first + k) * channels);
            for (k, (sum, reached)) in sums.iter_mut().zip(&reached).enumerate() {
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
                    for _ in all {
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
                    for _ in all {
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
                let out = self.taps_at(tap + first + k, channel..channel + n);
                (V::load_partial(isa, out) + sum).store_partial(out);
            }
        }
    }
}
