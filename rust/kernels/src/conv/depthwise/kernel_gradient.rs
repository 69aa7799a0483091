//! The gradient of a depthwise kernel, for some channels.

use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, prefetch_second};

use super::read;
use crate::conv::geometry::Geometry;
use crate::gemm::Real;
use crate::threads::Disjoint;

/// Taps along the last axis whose sums are held at a time.
const TAPS: usize = 5;

/// Filters that take some lines in turn: of these lines, theirs stay in the first-level cache.
const FILTERS: usize = 32;

/// Columns of short lines that are summed at once, about: longer sums of floats lose digits, shorter ones are added up more often.
const COLUMNS: usize = if cfg!(test) { 8 } else { 64 };

/// Adds to all taps of the gradient for some filters.
pub struct KernelGradient<'a, T> {
    pub geometry: &'a Geometry,
    /// Lines of `x` per line of positions: the channels of a group.
    pub parts: usize,
    /// Which [blocks of lines](line_blocks) are added.
    pub lines: Range<usize>,
    /// The input in lanes of filters.
    pub x: &'a [T],
    pub g: &'a [T],
    pub filters: Range<usize>,
    /// Holds whole gradients; of that from item `first` on the task alone writes these filters.
    pub out: &'a Disjoint<'a, T>,
    pub first: usize,
}

/// The lines of positions that are summed at once, and how many such blocks an outer position has.
fn blocks_of_plane(geometry: &Geometry) -> [usize; 2] {
    let [_, middle, inner] = geometry.window.output;
    let lines = (COLUMNS / inner.max(1)).max(1);
    [lines, middle.div_ceil(lines)]
}

/// The blocks of lines of so many images.
pub fn line_blocks(geometry: &Geometry, images: usize) -> usize {
    images * geometry.window.output[0] * blocks_of_plane(geometry)[1]
}

/// Neighbouring taps along the last axis, and the columns of a line that they reach.
struct Reached {
    first: usize,
    count: usize,
    each: [Range<usize>; TAPS],
    all: Range<usize>,
}

/// Lines that are summed at once: of `x`, and of the gradient of the outputs.
#[derive(Clone, Copy)]
struct Rows {
    /// The first ones.
    x: usize,
    g: usize,
    /// Lines of `x` from one to the next.
    x_step: usize,
    count: usize,
    /// Lines of `x` that are not read yet, with as many lines of the gradient.
    ahead: usize,
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
            let reached = Reached {
                first,
                count,
                each,
                all,
            };
            let [lines, blocks] = blocks_of_plane(self.geometry);
            for block in self.lines.clone() {
                let (plane, start) = (block / blocks, block % blocks * lines);
                let lines = start..w.output[1].min(start + lines);
                for channel in self.filters.clone().step_by(FILTERS) {
                    let filters = channel..self.filters.end.min(channel + FILTERS);
                    self.taps(isa, &reached, plane, lines.clone(), filters);
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
        let start = self.first + row * self.geometry.filters;
        // SAFETY: a task owns its filters of its gradient and holds one of these slices at a time.
        unsafe {
            self.out
                .slice_mut(start + filters.start..start + filters.end)
        }
    }

    /// Adds what some lines of an outer position give to the taps of some filters.
    #[inline(always)]
    fn taps<I: Isa>(
        &self,
        isa: I,
        reached: &Reached,
        plane: usize,
        lines: Range<usize>,
        filters: Range<usize>,
    ) {
        let w = &self.geometry.window;
        let (image, i) = (plane / w.output[0], plane % w.output[0]);
        for a in w.taps(0, i) {
            let x_plane = image * w.input[0] + w.place(0, i, a);
            for b in 0..w.size[1] {
                let seen = w.outputs_of_tap(1, b);
                let (start, end) = (lines.start.max(seen.start), lines.end.min(seen.end));
                if start >= end {
                    continue;
                }
                let row = x_plane * w.input[1] + w.place(1, start, b);
                let tap = (a * w.size[1] + b) * w.size[2] + reached.first;
                let last = b + 1 == w.size[1] && self.parts == 1;
                for part in 0..self.parts {
                    let rows = Rows {
                        x: row * self.parts + part,
                        g: plane * w.output[1] + start,
                        x_step: w.strides[1] * self.parts,
                        count: end - start,
                        ahead: if last { w.strides[1] } else { 0 },
                    };
                    self.rows(isa, reached, rows, tap * self.parts + part, filters.clone());
                }
            }
        }
    }

    /// Adds lines to the neighbouring taps from `tap` on.
    #[inline(always)]
    fn rows<I: Isa>(
        &self,
        isa: I,
        reached: &Reached,
        rows: Rows,
        tap: usize,
        filters: Range<usize>,
    ) {
        let lanes = T::Lanes::<I>::LEN;
        let mut channel = filters.start;
        while channel < filters.end {
            let left = filters.end - channel;
            // Enough sums to hide the latency of a multiply-add.
            let two = left >= 2 * lanes && reached.count <= 3;
            let at = [tap, channel, left.min(lanes)];
            match (reached.count, two) {
                (3, true) => self.sums::<T::Lanes<I>, 3, 2>(isa, reached, rows, at),
                (2, true) => self.sums::<T::Lanes<I>, 2, 2>(isa, reached, rows, at),
                (1, true) => self.sums::<T::Lanes<I>, 1, 2>(isa, reached, rows, at),
                (TAPS.., _) => self.sums::<T::Lanes<I>, TAPS, 1>(isa, reached, rows, at),
                (4, _) => self.sums::<T::Lanes<I>, 4, 1>(isa, reached, rows, at),
                (3, _) => self.sums::<T::Lanes<I>, 3, 1>(isa, reached, rows, at),
                (2, _) => self.sums::<T::Lanes<I>, 2, 1>(isa, reached, rows, at),
                _ => self.sums::<T::Lanes<I>, 1, 1>(isa, reached, rows, at),
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
        rows: Rows,
        [tap, channel, n]: [usize; 3],
    ) {
        let (w, channels) = (&self.geometry.window, self.geometry.filters);
        let (x_len, g_len) = (w.input[2] * channels, w.output[2] * channels);
        let Reached { each, all, .. } = reached;
        let pitch = w.dilation[2] * channels;
        // Sums of some lines are taken on their own: long sums of floats lose digits.
        let mut sums = [[V::zero(isa); N]; K];
        for line in 0..rows.count {
            let x = self.x[(rows.x + line * rows.x_step) * x_len + channel..].as_ptr();
            let g = self.g[(rows.g + line) * g_len + channel..].as_ptr();
            // SAFETY: a column of `reached` or `all` has its tap on the line of `x`; the lengths of the slices are checked where
            // the task is made.
            unsafe {
                let item = |column: usize, k: usize| {
                    x.add(w.place(2, column, reached.first + k) * channels)
                };
                for (k, (sum, reached)) in sums.iter_mut().zip(each).enumerate() {
                    for column in reached.clone() {
                        if !all.contains(&column) {
                            for (v, sum) in sum.iter_mut().enumerate() {
                                let g: V = read(isa, g.add(column * channels + v * V::LEN), n);
                                let x = item(column, k).add(v * V::LEN);
                                *sum = g.mul_add(read(isa, x, n), *sum);
                            }
                        }
                    }
                }
                if all.is_empty() {
                    continue;
                }
                let step = w.strides[2] * channels;
                let (mut x, mut g) = (item(all.start, 0), g.add(all.start * channels));
                for _ in all.clone() {
                    for v in 0..N {
                        let y: V = read(isa, g.add(v * V::LEN), n);
                        for (k, sum) in sums.iter_mut().enumerate() {
                            let x = read(isa, x.add(k * pitch + v * V::LEN), n);
                            sum[v] = y.mul_add(x, sum[v]);
                        }
                    }
                    if rows.ahead > 0 {
                        prefetch_second(g.wrapping_add(rows.count * g_len));
                        for line in 0..rows.ahead {
                            let x = x.wrapping_add((rows.count * rows.x_step - line) * x_len);
                            for column in 0..w.strides[2] {
                                prefetch_second(x.wrapping_add(column * channels));
                            }
                        }
                    }
                    (x, g) = (x.wrapping_add(step), g.wrapping_add(channels));
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
