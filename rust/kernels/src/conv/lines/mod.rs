//! Convolution as a matrix product whose left side is read where it lies: the windows of neighbouring positions lie at equal
//! distances, and each line of a window's taps is one run of memory. Only the kernel is packed; where windows reach into padding, the
//! lines that a task reads are copied with zeros around them.

mod kernel_gradient;
mod source;

use std::ops::Range;

use simd::{Isa, Task, dispatch_at, level};

use super::Pass;
use super::geometry::{Geometry, SPATIAL};
use super::products::Product;
use crate::activation::Activation;
use crate::gemm::Real;
use crate::gemm::panels::{self, Shared};
use crate::threads::{num_threads, share_tasks};
use source::{SEGMENTS, Source, View};

pub use kernel_gradient::{kernel_gradient, kernel_gradient_scratch_len};

/// Positions of a line from which on lines are worth it: fewer fill too little of a tile. Lines of 7 give 52 and 93 GFLOP/s on one and
/// on two AVX2 cores for 3 x 3 of 7 x 7 x 512, packed patches 60 and 105, and as much more where strides lead there or back.
const LEAST_POSITIONS: usize = 8;

/// Multiply-adds that are worth waking a thread for.
const TASK_MACS: usize = 1 << 19;

/// Tasks per worker, to balance the load.
const TASKS_PER_WORKER: usize = 3;

/// Items to the next cache line, at most.
const ALIGNMENT: usize = 16;

/// Whether the products of a pass can be read so: lines are long, a window has few runs, and positions of single points, which the
/// kernel meets once each, don't push each other out of the first-level cache.
pub fn suits(pass: Pass, geometry: &Geometry) -> bool {
    let positions = match pass {
        Pass::InputGradient => geometry.window.input[2] / geometry.window.strides[2],
        _ => geometry.window.output[2],
    };
    let window = &geometry.window;
    let runs = window.size[0]
        * window.size[1]
        * if window.dilation[2] == 1 && geometry.groups == 1 {
            1
        } else {
            window.size[2]
        };
    let step = geometry.channels * window.strides[2] * size_of::<f32>();
    let held = pass != Pass::Forward || window.size != [1; SPATIAL] || panels::holds_rows(step);
    positions >= LEAST_POSITIONS && runs <= SEGMENTS && held
}

/// How a product is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    source: Source,
    /// Images of a task; several where it takes all their lines.
    images: usize,
    /// Output lines of a task, along the middle axis.
    lines: usize,
    /// Columns of a task.
    columns: usize,
    workers: usize,
}

impl Cut {
    /// The cut for the threads, with as many lines as the second-level cache holds, or fewer.
    fn new<T: Real>(geometry: &Geometry, product: &Product, threads: usize) -> Cut {
        let source = Source::new(product);
        let [outer, middle, _] = product.axes.map(|axis| axis.lines);
        let [_, width] = panels::sizes::<T>(level());
        let columns = product.target.columns.len;
        let room = panels::second_level_cache() / 2 / size_of::<T>();
        let macs = geometry.batch * product.positions() * product.depth() * columns;
        let workers = threads.min(macs / TASK_MACS).max(1);
        let wanted = match workers {
            1 => 1,
            _ => workers * TASKS_PER_WORKER,
        };
        let planes = (geometry.batch * outer).max(1);
        let balanced = middle.div_ceil(wanted.div_ceil(planes));
        let lines = source.lines_within(room).min(balanced).max(1);
        // The kernel passes by once for all images of a task.
        let most = match outer {
            1 if lines == middle => (room / source.lines_len(middle)).min(planes.div_ceil(wanted)),
            _ => 1,
        };
        // As many as leave the busiest worker the least.
        let images = (1..=most.max(1))
            .rev()
            .min_by_key(|images| planes.div_ceil(*images).div_ceil(workers) * images)
            .unwrap_or(1);
        let bands = planes.div_ceil(images) * middle.div_ceil(lines);
        // Few lines: several tasks for one, each with some of the columns.
        let panel_count = columns.div_ceil(width).max(1);
        let splits = wanted.div_ceil(bands.max(1));
        Cut {
            source,
            images,
            lines,
            columns: panels::even_share(panel_count, splits, bands, workers) * width,
            workers,
        }
    }

    /// Items of scratch of a worker.
    fn worker_len(&self) -> usize {
        self.images * self.image_len()
    }

    /// Items of the copy of an image.
    fn image_len(&self) -> usize {
        let len = self.source.copy_len(1, self.lines);
        len.next_multiple_of(ALIGNMENT)
    }
}

/// Items of scratch that [`run`] takes: the lines of fewer threads are more, so those of one serve any number.
pub fn scratch_len<T: Real>(pass: Pass, geometry: &Geometry) -> usize {
    let products = Product::all(pass, geometry).map(|product| {
        let workers = Cut::new::<T>(geometry, &product, num_threads()).workers;
        workers * Cut::new::<T>(geometry, &product, 1).worker_len()
    });
    products.max().unwrap_or(0) + ALIGNMENT
}

/// `out = activation(conv(x, kernel) + bias)`, or the gradient of the input, with the packed right sides of all products in `kernel`.
///
/// # Panics
/// When a slice is shorter than the geometry says, or the scratch too short.
pub fn run<T: Real>(
    pass: Pass,
    geometry: &Geometry,
    x: &[T],
    mut kernel: &[T],
    bias: Option<&[T]>,
    activation: Option<Activation>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let (x_len, out_len) = match pass {
        Pass::InputGradient => (geometry.out_len(), geometry.x_len()),
        _ => (geometry.x_len(), geometry.out_len()),
    };
    assert!(
        x.len() >= x_len
            && out.len() >= out_len
            && bias.is_none_or(|bias| bias.len() >= geometry.filters),
        "operands of {geometry:?}"
    );
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let out = Shared(out.as_mut_ptr());
    for product in Product::all(pass, geometry) {
        let (here, rest) = kernel.split_at(product.packed_len::<T>());
        kernel = rest;
        let cut = Cut::new::<T>(geometry, &product, num_threads());
        let worker_len = cut.worker_len();
        // The number of threads may have changed since the scratch was measured.
        let workers = cut
            .workers
            .min(scratch.len().checked_div(worker_len).unwrap_or(usize::MAX));
        assert!(workers > 0, "the scratch of a convolution is longer");
        let [outer, middle, _] = product.axes.map(|axis| axis.lines);
        let columns = product.target.columns.len;
        let (bands, splits) = (middle.div_ceil(cut.lines), columns.div_ceil(cut.columns));
        let tasks = geometry.batch.div_ceil(cut.images) * outer * bands * splits;
        share_tasks(tasks, workers, scratch, worker_len, |tasks, copy| {
            for task in tasks {
                let part =
                    |index: usize, step: usize, n: usize| index * step..n.min((index + 1) * step);
                let (band, split) = (task / splits, task % splits);
                let (plane, band) = (band / bands, band % bands);
                dispatch_at(
                    level(),
                    Band {
                        product: &product,
                        cut: &cut,
                        x,
                        images: part(plane / outer, cut.images, geometry.batch),
                        at: plane % outer,
                        lines: part(band, cut.lines, middle),
                        columns: part(split, cut.columns, columns),
                        kernel: here,
                        bias,
                        activation,
                        out: out.get(),
                        copy,
                    },
                );
            }
        });
    }
}

/// One task: some lines and some columns of an image, or of several.
struct Band<'a, T> {
    product: &'a Product,
    cut: &'a Cut,
    x: &'a [T],
    images: Range<usize>,
    /// The index along the outer axis.
    at: usize,
    lines: Range<usize>,
    columns: Range<usize>,
    kernel: &'a [T],
    bias: Option<&'a [T]>,
    activation: Option<Activation>,
    /// The whole output, of which the task alone writes these lines and columns.
    out: *mut T,
    copy: &'a mut [T],
}

impl<T: Real> Band<'_, T> {
    /// The windows of an image.
    #[inline(always)]
    fn view(&self, image: usize) -> View<T> {
        let source = &self.cut.source;
        if source.copied {
            let start = (image - self.images.start) * self.cut.image_len();
            source.view_of_copy(1, self.lines.len(), &self.copy[start..])
        } else {
            source.view_in_place(self.x, image, self.at, self.lines.start)
        }
    }
}

impl<T: Real> Task for Band<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let (product, cut, source) = (self.product, self.cut, &self.cut.source);
        let copy = std::mem::take(&mut self.copy);
        if source.copied {
            let copies = copy.chunks_mut(cut.image_len());
            for (image, copy) in self.images.clone().zip(copies) {
                source.copy(
                    self.x,
                    image,
                    self.at..self.at + 1,
                    self.lines.clone(),
                    copy,
                );
            }
        }
        self.copy = copy;
        let [rows, width] = panels::sizes::<T>(I::LEVEL);
        let (target, depth) = (&product.target, product.depth());
        let mut segments = [0; SEGMENTS];
        let segments = source.segments(&self.view(self.images.start), &mut segments);
        // The next panel comes to the caches while one is in use.
        let far = depth * self.columns.len() * size_of::<T>() > panels::second_level_cache();
        let positions = product.axes[2].lines;
        let tiles = self.images.len() * self.lines.len() * positions.div_ceil(rows);
        let next_step = width.div_ceil(tiles.max(1));
        let share = positions.div_ceil(rows) * depth * next_step;
        for column in self.columns.clone().step_by(width) {
            let n = width.min(self.columns.end - column);
            let panel = &self.kernel[column * depth..];
            let mut next = panel.as_ptr().wrapping_add(depth * width);
            let first = target.columns.start + column;
            let bias = self.bias.map(|bias| bias[first..first + n].as_ptr());
            for image in self.images.clone() {
                let view = self.view(image);
                for (index, line) in self.lines.clone().enumerate() {
                    // SAFETY: the view holds the windows of the lines; the kernel whole panels; the target's lines lie in the
                    // output, whose length was checked.
                    unsafe {
                        let c = self
                            .out
                            .add(target.line(image, [self.at, line, 0]) + column);
                        let a = view.start.add(index * view.between_lines);
                        panels::multiply_lines(
                            isa,
                            &panels::Lines {
                                rows: positions,
                                depth: source.run,
                                segments,
                                a: (a, view.between_positions, 1),
                                b: (panel.as_ptr(), width),
                                next: far.then_some((next, next_step)),
                                c: (c, target.step[2] * target.row),
                                columns: n,
                                add: false,
                                bias,
                                activation: self.activation,
                            },
                        );
                    }
                    next = next.wrapping_add(share);
                }
            }
        }
    }
}
