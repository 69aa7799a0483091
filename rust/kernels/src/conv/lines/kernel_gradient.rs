//! The gradient of the kernel: a row per tap and channel, a column per filter, and the positions of the output along the depth.
//!
//! Many rows are shared among threads, each of which reads all positions for its own. For few rows that would be most of the work:
//! then the lines are shared, in slices of their own sums. How many there are depends on the sizes alone, and they are added in
//! order: the number of threads changes no bit.

use std::ops::Range;

use simd::{Isa, Lanes, Task, dispatch, level};

use super::source::{SEGMENTS, Source};
use super::{ALIGNMENT, TASK_MACS, TASKS_PER_WORKER};
use crate::conv::Pass;
use crate::conv::geometry::Geometry;
use crate::conv::products::Product;
use crate::gemm::panels::{self, Shared};
use crate::gemm::{Operand, Real, Strided};
use crate::threads::{Disjoint, grain, num_threads, parallel_for, share_tasks};

/// Positions whose terms are summed at a time: their items of a few rows and of a panel fit into the first-level cache.
const DEPTH: usize = 256;

/// Rows of a task are counted in pieces of a run of so many.
const ROWS: usize = 48;

/// Rows up to which lines are cut into slices.
const FEW_ROWS: usize = 4 * ROWS;

/// Slices, at most, and the multiply-adds and the positions of one, at least.
const SLICES: usize = 8;
const SLICE_MACS: usize = if cfg!(test) { 1 << 8 } else { TASK_MACS };
const SLICE_POSITIONS: usize = if cfg!(test) { 1 << 2 } else { 1 << 9 };

/// Items that are copied at a time, about: whole images.
const COPIED: usize = 1 << 20;

/// How the gradient of a group is cut.
struct Cut {
    source: Source,
    /// Images that are summed at a time.
    images: usize,
    /// The first image that is copied, the images that are copied at a time, and the items of one.
    first_copied: usize,
    copies: usize,
    image_len: usize,
    /// Pieces of rows.
    pieces: usize,
    /// Slices of the lines.
    slices: usize,
    /// Tasks along the pieces and along the panels.
    tasks: [usize; 2],
    workers: usize,
}

impl Cut {
    /// That of every group, as all are of one size.
    fn of_all<T: Real>(geometry: &Geometry) -> Option<Cut> {
        let product = Product::all(Pass::Forward, geometry).next()?;
        Some(Cut::new::<T>(geometry, &product))
    }

    /// Items of the sums of the slices behind the first.
    fn others_len(&self, geometry: &Geometry) -> usize {
        (self.slices - 1) * geometry.kernel_len()
    }

    fn new<T: Real>(geometry: &Geometry, product: &Product) -> Cut {
        let of = |copied| Source::of(product.axes, product.row, product.channels, copied);
        let (source, batch) = (of(false), geometry.batch);
        // An item more is read with each odd run: behind the last image there is none.
        let first_copied = match (source.copied, source.run.is_multiple_of(2)) {
            (false, true) => batch,
            (false, false) if product.channels.len == product.row => batch.saturating_sub(1),
            _ => 0,
        };
        let source = if first_copied < batch {
            of(true)
        } else {
            source
        };
        let [_, width] = panels::sizes::<T>(level());
        let [planes, lines, _] = product.axes.map(|axis| axis.lines);
        let image_len = source.copy_len(planes, lines).next_multiple_of(ALIGNMENT);
        let images = match first_copied {
            0 => (COPIED / image_len.max(1)).clamp(1, batch.max(1)),
            _ => batch,
        };
        let pieces = product.depth() / source.run.max(1) * source.run.div_ceil(ROWS);
        let columns = product.target.columns.len;
        let macs = geometry.rows() * product.depth() * columns;
        let workers = num_threads().min(macs / TASK_MACS).max(1);
        let few = product.depth() <= FEW_ROWS;
        let slices = if few {
            (macs / SLICE_MACS).min(geometry.rows() / SLICE_POSITIONS)
        } else {
            1
        };
        let slices = slices.clamp(1, SLICES);
        let wanted = if workers == 1 {
            1
        } else {
            (workers * TASKS_PER_WORKER).div_ceil(slices)
        };
        let panel_count = columns.div_ceil(width).max(1);
        let across = panel_count.div_ceil(panels::even_share(panel_count, wanted, 1, workers));
        let down = wanted.div_ceil(across).min(pieces).max(1);
        Cut {
            source,
            images,
            first_copied,
            copies: images.min(batch - first_copied),
            image_len,
            pieces,
            slices,
            tasks: [down, across],
            workers,
        }
    }
}

/// Items of a panel of the gradient of the output.
fn panel_len<T: Real>() -> usize {
    let [_, width] = panels::sizes::<T>(level());
    width * DEPTH
}

/// Items of scratch that [`kernel_gradient`] takes.
pub fn kernel_gradient_scratch_len<T: Real>(geometry: &Geometry) -> usize {
    Cut::of_all::<T>(geometry).map_or(0, |cut| {
        cut.others_len(geometry)
            + cut.workers * panel_len::<T>()
            + cut.copies * cut.image_len
            + ALIGNMENT
    })
}

/// The gradient of the kernel: `out (..size, channels / groups, filters)` from `x` and `g (batch, ..output, filters)`.
///
/// # Panics
/// When a slice is shorter than the geometry says, or the scratch too short.
pub fn kernel_gradient<T: Real>(
    geometry: &Geometry,
    x: &[T],
    g: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    assert!(
        x.len() >= geometry.x_len()
            && g.len() >= geometry.out_len()
            && out.len() >= geometry.kernel_len(),
        "operands of {geometry:?}"
    );
    out.fill(T::default());
    let len = geometry.kernel_len();
    let others_len = Cut::of_all::<T>(geometry).map_or(0, |cut| cut.others_len(geometry));
    let (others, scratch) = scratch.split_at_mut(others_len);
    others.fill(T::default());
    let sums = [Shared(out.as_mut_ptr()), Shared(others.as_mut_ptr())];
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let panel_len = panel_len::<T>();
    for product in Product::all(Pass::Forward, geometry) {
        let cut = Cut::new::<T>(geometry, &product);
        let workers = cut
            .workers
            .min((scratch.len() - cut.copies * cut.image_len) / panel_len);
        assert!(workers > 0, "the scratch of a convolution is longer");
        let (panels, copies) = scratch.split_at_mut(workers * panel_len);
        let [planes, lines, _] = product.axes.map(|axis| axis.lines);
        for first in (0..geometry.batch).step_by(cut.images) {
            let images = first..geometry.batch.min(first + cut.images);
            let copied = images.start.max(cut.first_copied)..images.end;
            let slots = Disjoint::new(&mut *copies);
            parallel_for(copied.len(), grain(2 * cut.image_len), |range| {
                for index in range {
                    // SAFETY: one part per image.
                    let slot = unsafe {
                        slots.slice_mut(index * cut.image_len..(index + 1) * cut.image_len)
                    };
                    let image = copied.start + index;
                    cut.source.copy(x, image, 0..planes, 0..lines, slot);
                }
            });
            let copies = &*copies;
            let tasks = cut.tasks[0] * cut.tasks[1];
            share_tasks(
                cut.slices * tasks,
                workers,
                panels,
                panel_len,
                |all, panel| {
                    for task in all {
                        let (slice, task) = (task / tasks, task % tasks);
                        let out = match slice {
                            0 => sums[0].get(),
                            _ => sums[1].get().wrapping_add((slice - 1) * len),
                        };
                        dispatch(Part {
                            geometry,
                            product: &product,
                            cut: &cut,
                            x,
                            g,
                            images: images.clone(),
                            copies,
                            slice,
                            task: [task / cut.tasks[1], task % cut.tasks[1]],
                            panel,
                            out,
                        });
                    }
                },
            );
        }
    }
    for other in others.chunks_exact(len) {
        for (sum, &more) in out.iter_mut().zip(other) {
            *sum = *sum + more;
        }
    }
}

/// The terms of some images for some rows and columns.
struct Part<'a, T> {
    geometry: &'a Geometry,
    product: &'a Product,
    cut: &'a Cut,
    x: &'a [T],
    g: &'a [T],
    images: Range<usize>,
    copies: &'a [T],
    /// Which slice of the lines of these images.
    slice: usize,
    /// The index of the task along the pieces and along the panels.
    task: [usize; 2],
    panel: &'a mut [T],
    /// The whole gradient of the slice, of which the task alone writes its rows and columns.
    out: *mut T,
}

impl<T: Real> Task for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Part {
            geometry,
            product,
            cut,
            x,
            g,
            images,
            copies,
            slice,
            task,
            panel,
            out,
        } = self;
        let [_, width] = panels::sizes::<T>(I::LEVEL);
        let [planes, lines, inner] = product.axes.map(|axis| axis.lines);
        let (filters, columns) = (geometry.filters, product.target.columns);
        let share = |n: usize, axis: usize| {
            task[axis] * n / cut.tasks[axis]..(task[axis] + 1) * n / cut.tasks[axis]
        };
        let pieces = share(cut.pieces, 0);
        let of_run = cut.source.run.div_ceil(ROWS);
        // Whole lines, or parts of one.
        let at_once = (DEPTH / inner.max(1)).clamp(1, SEGMENTS);
        let mut taps = [0; SEGMENTS];
        let mut segments = [0; SEGMENTS];
        let all = images.len() * planes * lines;
        let part = slice * all / cut.slices..(slice + 1) * all / cut.slices;
        for image in images.clone() {
            let before = (image - images.start) * planes * lines;
            let part = part.start.max(before)..part.end.min(before + planes * lines);
            let view = if image >= cut.first_copied {
                let start = (image - images.start.max(cut.first_copied)) * cut.image_len;
                cut.source.view_of_copy(planes, lines, &copies[start..])
            } else {
                cut.source.view_in_place(x, image, 0, 0)
            };
            let taps = cut.source.segments(&view, &mut taps);
            for line in part.clone().step_by(at_once) {
                let (line, count) = (line - before, at_once.min(part.end - line));
                for (index, segment) in segments[..count].iter_mut().enumerate() {
                    let line = line + index;
                    *segment =
                        line / lines * view.between_planes + line % lines * view.between_lines;
                }
                for position in (0..inner).step_by(DEPTH) {
                    let depth = DEPTH.min(inner - position);
                    let first = (image * planes * lines + line) * inner + position;
                    let g = &g[first * filters + columns.start..];
                    for index in share(columns.len.div_ceil(width), 1) {
                        let column = index * width;
                        let n = width.min(columns.len - column);
                        // Whole registers are read where they lie.
                        let b = if n.is_multiple_of(T::Lanes::<I>::LEN) {
                            (g[column..].as_ptr(), filters)
                        } else {
                            let g = Strided::new(g, 1, filters);
                            g.pack(column..column + n, 0..count * depth, width, panel);
                            (panel.as_ptr(), width)
                        };
                        // The positions behind these come from memory meanwhile.
                        let next = g[column..].as_ptr().wrapping_add(count * depth * filters);
                        let next = (next, filters);
                        for piece in pieces.clone() {
                            let (run, start) = (piece / of_run, piece % of_run * ROWS);
                            let row = run * cut.source.run + start;
                            let place = row * filters + columns.start + column;
                            // SAFETY: the view holds the windows of the lines, the panel or `g` the positions, `out` the rows.
                            unsafe {
                                let a = view
                                    .start
                                    .add(taps[run] + start + position * view.between_positions);
                                panels::multiply_lines(
                                    isa,
                                    &panels::Lines {
                                        rows: ROWS.min(cut.source.run - start),
                                        depth,
                                        segments: &segments[..count],
                                        a: (a, 1, view.between_positions),
                                        b,
                                        next: (piece == pieces.start).then_some(next),
                                        c: (out.add(place), filters),
                                        columns: n,
                                        add: true,
                                        bias: None,
                                        activation: None,
                                    },
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}
