//! The gradient of an input of few channels, such as images, which would fill few of the lanes: here lanes are neighbouring positions.
//!
//! The gradient of the output is transposed into planes, one for each filter. In them all positions are one line: the lines of all
//! images follow one another, with as many zeros between them as windows reach over the borders, so that a tap lies equally far from
//! every position. The line is cut wherever a task or a tile is full; what is computed for the zeros between lines is left out.
//! Planes hold a part of the line at a time, which moves along; the next part is asked for meanwhile.

use std::cell::Cell;
use std::ops::Range;

use simd::{
    Float, Isa, Lanes, Level, Task, dispatch_at, level, prefetch, prefetch_second, unrolled,
};

use super::Pass;
use super::geometry::{Geometry, SPATIAL};
use super::products::Product;
use crate::gemm::panels::{self, Shared};
use crate::gemm::{register_bytes, transpose_lines_apart};
use crate::threads::{num_threads, share_tasks};

/// Taps of a kernel, at most.
const TAPS: usize = 512;

/// Channels that a tile computes, at most.
const ROWS: usize = 4;

/// Registers of a channel, at most.
const MOST: usize = 8;

/// Positions of the longest tile.
const TILE: usize = 128;

/// Positions that are transposed at a time, of which tasks are multiples: whole tiles of any number of rows.
const STEP: usize = 384;

/// Filters whose terms are summed at a time: what the taps of a line read of their planes stays in the first-level cache.
const BLOCK: usize = 16;

/// Multiply-adds that are worth waking a thread for.
const TASK_MACS: usize = 1 << 19;

/// Tasks per worker, to balance the load.
const TASKS_PER_WORKER: usize = 3;

/// Items of a cache line, where planes start.
const ALIGNMENT: usize = 16;

/// Items of all planes, at most: in three dimensions taps reach far.
const PLANES: usize = 1 << 22;

/// Channels of each tile but the last: as even as can be.
fn rows_of_tile(channels: usize) -> usize {
    channels.div_ceil(channels.div_ceil(ROWS).max(1)).max(1)
}

/// Registers of each channel of a tile: beside the sums there is room for a weight of each channel and an item of a plane.
const fn registers(level: Level, rows: usize) -> usize {
    match level {
        Level::Avx512 => [8, 8, 8, 6][rows - 1],
        Level::Avx2 => [8, 6, 4, 2][rows - 1],
        Level::Scalar => 1,
    }
}

/// The line of all positions: of those of the input that take the same taps, and of those of the output that they take from.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Positions of the output.
    output: [usize; SPATIAL],
    /// Positions from an image to the next, and from an index of an axis to the next.
    image: usize,
    steps: [usize; SPATIAL],
    /// All positions.
    len: usize,
    /// The first and the last position that a position takes from, counted from its own.
    reach: [isize; 2],
}

impl Line {
    fn new(geometry: &Geometry) -> Line {
        let mut extents = [1; SPATIAL];
        let output = geometry.window.output;
        for axes in products(geometry).map(|product| product.axes) {
            for (axis, along) in axes.iter().enumerate() {
                let (positions, lines) = (along.source as isize, along.lines as isize);
                let last = along.start + lines - 1 + (along.taps as isize - 1) * along.pitch;
                let zeros = (-along.start).max(last - (positions - 1)).max(0);
                extents[axis] = extents[axis].max(lines).max(positions + zeros);
            }
        }
        let [outer, middle, inner] = extents.map(|extent| extent as usize);
        let mut line = Line {
            output,
            image: outer * middle * inner,
            steps: [middle * inner, inner, 1],
            len: geometry.batch * outer * middle * inner,
            reach: [0; 2],
        };
        for product in products(geometry) {
            let first = line.origin(&product);
            let last = line.tap(&product, product.axes.map(|axis| axis.taps.max(1) - 1));
            line.reach = [line.reach[0].min(first), line.reach[1].max(first + last)];
        }
        line
    }

    /// The distance from a position to its first tap.
    fn origin(&self, product: &Product) -> isize {
        let axes = product.axes.iter().zip(self.steps);
        axes.map(|(axis, step)| axis.start * step as isize).sum()
    }

    /// The distance from the first tap to another.
    fn tap(&self, product: &Product, at: [usize; SPATIAL]) -> isize {
        let pitches = product.axes.map(|axis| axis.pitch);
        (0..SPATIAL)
            .map(|axis| at[axis] as isize * pitches[axis] * self.steps[axis] as isize)
            .sum()
    }

    /// Positions, beyond its own, that a part of the line takes from.
    fn halo(&self) -> usize {
        (self.reach[1] - self.reach[0]) as usize
    }

    /// The image of a position and its index along each axis.
    #[inline(always)]
    fn place(&self, position: usize) -> (usize, [usize; SPATIAL]) {
        let (image, rest) = (position / self.image, position % self.image);
        let (outer, rest) = (rest / self.steps[0], rest % self.steps[0]);
        (image, [outer, rest / self.steps[1], rest % self.steps[1]])
    }
}

/// The products of the gradient.
fn products(geometry: &Geometry) -> impl Iterator<Item = Product> + '_ {
    Product::all(Pass::InputGradient, geometry)
}

/// How the line is cut into tasks.
#[derive(Clone, Copy, Debug)]
struct Cut {
    line: Line,
    /// Positions of a task.
    positions: usize,
    /// Positions that planes hold at a time, without the halo.
    window: usize,
    /// Items from a plane to the next.
    plane: usize,
    /// Items of the gradient that are asked for with each item of a plane that a tile reads.
    fetched: usize,
    workers: usize,
}

impl Cut {
    fn new(geometry: &Geometry, threads: usize) -> Cut {
        let line = Line::new(geometry);
        let (channels, filters) = (geometry.channels, geometry.filters);
        let halo = line.halo();
        let macs = geometry.rows() * geometry.kernel_len();
        let workers = threads.min(macs / TASK_MACS).max(1);
        let steps = line.len.div_ceil(STEP).max(1);
        let positions = STEP
            * match workers {
                1 => steps,
                _ => panels::even_share(steps, workers * TASKS_PER_WORKER, 1, workers),
            };
        // A quarter of the second-level cache, through which the gradient passes too, but no less than what is moved along.
        let room = panels::second_level_cache() / 4 / size_of::<f32>() / filters.max(1);
        let window = room.saturating_sub(halo).max(halo).max(2 * STEP) / STEP * STEP;
        let window = window.min(positions);
        // Planes an odd number of cache lines apart: those of a block lie in different sets.
        let plane = ((window + halo + TILE).div_ceil(ALIGNMENT) | 1) * ALIGNMENT;
        let rows = rows_of_tile(channels);
        let tiles = STEP / registers(level(), rows) / (register_bytes(level()) / size_of::<f32>());
        let sums = tiles * channels.div_ceil(rows) * geometry.window.taps_len();
        Cut {
            line,
            positions,
            window,
            plane,
            fetched: STEP.div_ceil(sums.max(1)),
            workers,
        }
    }
}

/// Whether a gradient can be computed so: its planes hold not too much.
pub fn suits(geometry: &Geometry) -> bool {
    geometry.groups == 1
        && geometry.window.taps_len() <= TAPS
        && Cut::new(geometry, 1).plane * geometry.filters <= PLANES
}

/// Items of scratch that [`input_gradient`] takes: the planes of fewer threads are longer, so those of one serve any number.
pub fn scratch_len(geometry: &Geometry) -> usize {
    let workers = Cut::new(geometry, num_threads()).workers;
    let planes = Cut::new(geometry, 1).plane * geometry.filters;
    geometry.kernel_len() + ALIGNMENT + workers * planes
}

/// The gradient of the input: `out (batch, ..input, channels)` from `g (batch, ..output, filters)`.
///
/// # Panics
/// When a slice is shorter than the geometry says, or the scratch too short.
pub fn input_gradient(
    geometry: &Geometry,
    g: &[f32],
    kernel: &[f32],
    out: &mut [f32],
    scratch: &mut [f32],
) {
    assert!(
        g.len() >= geometry.out_len() && out.len() >= geometry.x_len(),
        "operands of {geometry:?}"
    );
    if out.is_empty() {
        return;
    }
    let channels = geometry.channels;
    let (weights, scratch) = scratch.split_at_mut(geometry.kernel_len());
    let mut rest = &mut *weights;
    for product in products(geometry) {
        product.with_kernel(Pass::InputGradient, geometry, kernel, |b| {
            for first in (0..channels).step_by(rows_of_tile(channels)) {
                let rows = first..channels.min(first + rows_of_tile(channels));
                let (width, depth) = (rows.len(), product.depth());
                let (here, after) = std::mem::take(&mut rest).split_at_mut(depth * width);
                b.pack(rows, 0..depth, width, here);
                rest = after;
            }
        });
    }
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let cut = Cut::new(geometry, num_threads());
    let worker_len = cut.plane * geometry.filters;
    // The number of threads may have changed since the scratch was measured.
    let workers = cut.workers.min(scratch.len() / worker_len.max(1));
    assert!(workers > 0, "the scratch of a convolution is longer");
    let out = Shared(out.as_mut_ptr());
    let tasks = cut.line.len.div_ceil(cut.positions);
    share_tasks(tasks, workers, scratch, worker_len, |tasks, planes| {
        for task in tasks {
            let first = task * cut.positions;
            dispatch_at(
                level(),
                Part {
                    geometry,
                    cut: &cut,
                    g,
                    weights,
                    positions: first..cut.line.len.min(first + cut.positions),
                    planes,
                    start: first,
                    held: 0,
                    out: out.get(),
                },
            );
        }
    });
}

/// One task: some of the positions.
struct Part<'a> {
    geometry: &'a Geometry,
    cut: &'a Cut,
    g: &'a [f32],
    /// Those of all products and tiles, in their order.
    weights: &'a [f32],
    positions: Range<usize>,
    planes: &'a mut [f32],
    /// The position at which the planes start, and how many they hold.
    start: usize,
    held: usize,
    /// The whole output, of which the task alone writes these positions.
    out: *mut f32,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let channels = self.geometry.channels;
        assert!(self.planes.len() >= self.geometry.filters * self.cut.plane);
        for first in self.positions.clone().step_by(STEP) {
            let positions = first..self.positions.end.min(first + STEP);
            if positions.end - self.start > self.cut.window {
                self.advance(first);
            }
            self.transpose(isa, positions.end);
            let mut next = self.after_planes();
            let mut weights = self.weights;
            for product in products(self.geometry) {
                for channel in (0..channels).step_by(rows_of_tile(channels)) {
                    let rows = rows_of_tile(channels).min(channels - channel);
                    let (here, rest) = weights.split_at(product.depth() * rows);
                    weights = rest;
                    let at = positions.clone();
                    match rows {
                        1 => self.tiles::<I, 1>(isa, &product, here, channel, at, &mut next),
                        2 => self.tiles::<I, 2>(isa, &product, here, channel, at, &mut next),
                        3 => self.tiles::<I, 3>(isa, &product, here, channel, at, &mut next),
                        _ => self.tiles::<I, ROWS>(isa, &product, here, channel, at, &mut next),
                    }
                }
            }
        }
    }
}

impl Part<'_> {
    /// Moves what the planes hold from a position on to their start.
    fn advance(&mut self, first: usize) {
        let gone = first - self.start;
        for plane in self.planes.chunks_exact_mut(self.cut.plane) {
            plane.copy_within(gone..self.held, 0);
        }
        self.start = first;
        self.held -= gone;
    }

    /// Fills the planes with what the positions before `end` take, in whole cache lines.
    #[inline(always)]
    fn transpose<I: Isa>(&mut self, isa: I, end: usize) {
        let line = &self.cut.line;
        let filters = self.geometry.filters;
        let held = (end - self.start + line.halo()).next_multiple_of(ALIGNMENT);
        let positions = std::mem::replace(&mut self.held, held)..held;
        let first = (self.start + positions.start) as isize + line.reach[0];
        let [outer, middle, inner] = line.output;
        // The first position of a line, and its items; none in padding.
        let current = Cell::new((isize::MIN, std::ptr::null::<f32>()));
        let item = |index: usize| {
            let position = first + index as isize;
            if position < 0 {
                return std::ptr::null();
            }
            let (mut start, mut from) = current.get();
            if position.wrapping_sub(start) as usize >= line.steps[1] {
                let (image, [i, j, at]) = line.place(position as usize);
                let inside = image < self.geometry.batch && i < outer && j < middle;
                start = position - at as isize;
                from = if inside {
                    let row = ((image * outer + i) * middle + j) * inner;
                    self.g[row * filters..][..inner * filters].as_ptr()
                } else {
                    std::ptr::null()
                };
                current.set((start, from));
            }
            let at = (position - start) as usize;
            if from.is_null() || at >= inner {
                std::ptr::null()
            } else {
                from.wrapping_add(at * filters)
            }
        };
        let step = self.cut.plane;
        let to = self.planes[positions.start..].as_mut_ptr();
        // SAFETY: an item is null or those of a position; each plane holds a window with its halo, and the planes are as long as was
        // asserted.
        unsafe { transpose_lines_apart(isa, item, filters, positions.len(), to, step) }
    }

    /// Computes `R` channels of a product from one on.
    #[inline(always)]
    fn tiles<I: Isa, const R: usize>(
        &self,
        isa: I,
        product: &Product,
        weights: &[f32],
        channel: usize,
        positions: Range<usize>,
        next: &mut *const f32,
    ) {
        let line = &self.cut.line;
        let [_, middle, inner] = product.axes.map(|axis| axis.taps);
        let mut shifts = [0; TAPS];
        let shifts = &mut shifts[..product.axes.iter().map(|axis| axis.taps).product()];
        for (tap, shift) in shifts.iter_mut().enumerate() {
            let at = [tap / inner / middle, tap / inner % middle, tap % inner];
            let distance = line.origin(product) + line.tap(product, at) - line.reach[0];
            *shift = distance as usize;
        }
        let step = registers(I::LEVEL, R) * I::F32::LEN;
        // Items from a position of a tile to the next, and of the output.
        let width = R.next_power_of_two();
        let apart = product.target.step[2] * product.target.row;
        let mut items = [0.0; TILE * ROWS];
        for first in positions.clone().step_by(step) {
            let places = first..positions.end.min(first + step);
            self.runs(product, channel, places.clone(), |_, to, count| {
                for item in (0..count * apart).step_by(ALIGNMENT) {
                    prefetch(to.wrapping_add(item));
                }
            });
            // SAFETY: behind the positions that planes hold there are the halo, as far as taps reach, and a tile; the weights are those
            // of all taps.
            unsafe {
                let from = self.planes.as_ptr().add(first - self.start);
                tile::<I, R>(
                    isa,
                    (from, self.cut.plane),
                    shifts,
                    (weights.as_ptr(), product.channels.len),
                    (*next, self.cut.fetched),
                    &mut items,
                );
            }
            *next = next.wrapping_add(shifts.len() * product.channels.len * self.cut.fetched);
            self.runs(product, channel, places, |index, to, count| {
                let items = items[index * width..].chunks_exact(width).take(count);
                for (index, item) in items.enumerate() {
                    // SAFETY: channels of a position of the output, which no other task writes.
                    unsafe {
                        let to = to.add(index * apart);
                        to.copy_from_nonoverlapping(item.as_ptr(), R);
                    }
                }
            });
        }
    }

    /// Calls `f` for each run of positions on a line of the input: with the index of the first, its item of a channel, and their number.
    #[inline(always)]
    fn runs(
        &self,
        product: &Product,
        channel: usize,
        positions: Range<usize>,
        mut f: impl FnMut(usize, *mut f32, usize),
    ) {
        let line = &self.cut.line;
        let [outer, middle, inner] = product.axes.map(|axis| axis.lines);
        let mut first = positions.start;
        while first < positions.end {
            let (image, [i, j, at]) = line.place(first);
            let run = (line.steps[1] - at).min(positions.end - first);
            if i < outer && j < middle {
                let to = product.target.line(image, [i, j, at]) + channel;
                let count = inner.saturating_sub(at).min(run);
                f(first - positions.start, self.out.wrapping_add(to), count);
            }
            first += run;
        }
    }

    /// What is transposed next, or what is near it.
    fn after_planes(&self) -> *const f32 {
        let line = &self.cut.line;
        let position = (self.start + self.held) as isize + line.reach[0];
        let (image, at) = line.place(position.max(0) as usize);
        let index = (0..SPATIAL).fold(image, |index, axis| {
            index * line.output[axis] + at[axis].min(line.output[axis])
        });
        self.g.as_ptr().wrapping_add(index * self.geometry.filters)
    }
}

/// The sums of `R` channels at the positions of a tile, from planes that lie a step apart and `filters` weights for each shift. The items
/// of a position follow one another, up to a power of two. Meanwhile `next` is asked for, step by step.
///
/// # Safety
/// Each plane holds the tile at every shift; there is a weight for each shift, plane and row.
#[inline(always)]
unsafe fn tile<I: Isa, const R: usize>(
    isa: I,
    (planes, step): (*const f32, usize),
    shifts: &[usize],
    (weights, filters): (*const f32, usize),
    (mut next, next_step): (*const f32, usize),
    items: &mut [f32; TILE * ROWS],
) {
    let zero = isa.splat(0.0);
    let mut sums = [[zero; MOST]; ROWS];
    for block in (0..filters).step_by(BLOCK) {
        let count = BLOCK.min(filters - block);
        for (tap, &shift) in shifts.iter().enumerate() {
            let mut x = planes.wrapping_add(block * step + shift);
            let mut weight = weights.wrapping_add((tap * filters + block) * R);
            // As this loop is known to be entered, all sums stay in their registers.
            let mut left = count;
            loop {
                let mut factors = [zero; ROWS];
                // SAFETY: the caller's promise.
                unsafe {
                    unrolled!(ROW < R, {
                        factors[ROW % ROWS] = isa.splat(*weight.add(ROW));
                    });
                    unrolled!(V < registers(I::LEVEL, R), {
                        let x = I::F32::load_ptr(isa, x.add(V * I::F32::LEN));
                        unrolled!(ROW < R, {
                            let sum = sums[ROW % ROWS][V % MOST];
                            sums[ROW % ROWS][V % MOST] = factors[ROW % ROWS].mul_add(x, sum);
                        });
                    });
                }
                prefetch_second(next);
                next = next.wrapping_add(next_step);
                x = x.wrapping_add(step);
                weight = weight.wrapping_add(R);
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
    }
    let width = R.next_power_of_two();
    unrolled!(V < registers(I::LEVEL, R), {
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| sums[row][V % MOST]);
        let interleaved = match R {
            1 => [a; 4],
            2 => {
                let (low, high) = a.zip(b);
                [low, high, low, high]
            }
            _ => {
                let (even, odd) = (a.zip(c), b.zip(d));
                let (low, high) = (even.0.zip(odd.0), even.1.zip(odd.1));
                [low.0, low.1, high.0, high.1]
            }
        };
        let to = items[V * width * I::F32::LEN..].chunks_exact_mut(I::F32::LEN);
        for (register, to) in interleaved.into_iter().take(width).zip(to) {
            register.store(to);
        }
    });
}
