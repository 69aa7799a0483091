//! Convolution with 3 x 3 taps by Winograd's minimal filtering: tiles of the input and the kernel are brought to points where the
//! convolution is a product per point, so that 36 multiplications stand for the 144 of a 4 x 4 tile of outputs.
//!
//! At each point it is a matrix product (tiles x channels) (channels x filters). A task takes a block of tiles whose transforms
//! stay in the second-level cache, and some filters at a time: transforms of the inputs, a product for each point straight on
//! packed panels of the kernel's transform, transforms of the sums to outputs with bias and activation.
//!
//! The gradient of the input is the same with the rotated kernel, its channels and filters exchanged. That of the kernel transposes the
//! last two transforms: a product (channels x tiles) (tiles x filters) per point.

mod gradient;
mod kernel;
mod squares;
#[cfg(test)]
mod tests;
mod transform;

use std::ops::Range;

use simd::{Isa, Lanes, Task, level};

use super::Pass;
use super::geometry::Geometry;
use crate::activation::Activation;
use crate::gemm::panels::{self, Shared};
use crate::threads::{num_threads, share_tasks};
use squares::along_both_axes;
use transform::{Four, Of, POINTS, Transform, Two, each, run_under};

pub use gradient::{kernel_gradient, kernel_gradient_scratch_len};
pub use kernel::transform_kernel;
use squares::{Inputs, Squares};

/// Outputs of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tile {
    /// F(2 x 2, 3 x 3): fewer multiplications by 2.25, as exact as the plain sum.
    Two,
    /// F(4 x 4, 3 x 3): fewer multiplications by 4, with an error of about 2e-6 of the greatest result.
    Four,
}

impl Tile {
    /// Outputs along an axis.
    pub fn outputs(self) -> usize {
        match self {
            Tile::Two => Two::OUTPUTS,
            Tile::Four => Four::OUTPUTS,
        }
    }

    /// Points: inputs of a tile.
    pub fn points(self) -> usize {
        (self.outputs() + 2) * (self.outputs() + 2)
    }
}

/// A convolution of `(images, ..input, depth)` to `(images, ..output, columns)`: a forward pass, the one whose kernel's gradient is
/// wanted, or the gradient of an input.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// Images.
    pub images: usize,
    /// Positions of the input.
    pub input: [usize; 2],
    /// Positions of the output.
    pub output: [usize; 2],
    /// How far the first window reaches over the start of the input.
    pub low: [isize; 2],
    /// Channels of the input.
    pub depth: usize,
    /// Channels of the output.
    pub columns: usize,
    /// Whether the kernel is rotated and lies as `(3, 3, columns, depth)`.
    pub backward: bool,
}

impl Problem {
    /// The pass of a geometry, if Winograd's way takes it.
    pub fn new(pass: Pass, geometry: &Geometry) -> Option<Problem> {
        let w = &geometry.window;
        let fits = w.size == [1, 3, 3]
            && w.strides == [1; 3]
            && w.dilation[1..] == [1; 2]
            && w.low[0] == 0
            && w.input[0] == w.output[0]
            && geometry.groups == 1;
        let last = |values: [usize; 3]| [values[1], values[2]];
        let forward = Problem {
            images: geometry.batch * w.input[0],
            input: last(w.input),
            output: last(w.output),
            low: [w.low[1], w.low[2]],
            depth: geometry.channels,
            columns: geometry.filters,
            backward: false,
        };
        if !fits {
            return None;
        }
        Some(match pass {
            Pass::Forward | Pass::KernelGradient => forward,
            Pass::InputGradient => Problem {
                input: forward.output,
                output: forward.input,
                low: forward.low.map(|low| 2 - low),
                depth: geometry.filters,
                columns: geometry.channels,
                backward: true,
                ..forward
            },
        })
    }

    /// Tiles along the axes of an image.
    fn grid(&self, tile: Tile) -> [usize; 2] {
        self.output.map(|n| n.div_ceil(tile.outputs()))
    }

    /// The image of a tile and the first of its outputs along each axis.
    #[inline(always)]
    fn place<F: Transform>(&self, tile: usize) -> (usize, [usize; 2]) {
        let [down, across] = self.output.map(|n| n.div_ceil(F::OUTPUTS));
        let at = [tile / across % down, tile % across];
        (tile / across / down, at.map(|index| index * F::OUTPUTS))
    }

    /// Tiles of all images.
    pub fn tiles(&self, tile: Tile) -> usize {
        self.images * self.grid(tile).iter().product::<usize>()
    }
}

/// Bytes of the second-level cache for the transforms of a block, as a share of it.
const CACHE_SHARE: usize = 2;

/// Panels of tiles in a block, at least: each item of the kernel's transform that is read serves all tiles of a block.
const LEAST_PANELS: usize = 4;

/// As [`LEAST_PANELS`], where the kernel's transform is many times as long as the second-level cache.
const LEAST_PANELS_OF_GREAT_KERNELS: usize = 12;

/// Filters of which a block holds the sums at a time.
const HELD_COLUMNS: usize = 64;

/// Items between what is kept for neighbouring points, so that these do not fall into the same sets of a cache.
const APART: usize = 16;

/// Multiply-adds that are worth waking a thread for.
const TASK_MACS: usize = 1 << 19;

/// How a problem is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    points: usize,
    tiles: usize,
    /// Items of the transform of a tile's input at a point.
    depth: usize,
    /// Tiles of a block.
    block: usize,
    /// Filters whose sums are held at a time.
    held: usize,
    /// Items of a block's inputs at a point.
    inputs: usize,
    /// Items of a block's sums at a point.
    sums: usize,
}

impl Cut {
    fn new(problem: &Problem, tile: Tile) -> Cut {
        let [rows, width] = panels::sizes::<f32>(level());
        let points = tile.points();
        let tiles = problem.tiles(tile);
        let depth = problem.depth.next_multiple_of(16);
        let held = HELD_COLUMNS.min(problem.columns).next_multiple_of(width);
        let most = panels::second_level_cache() / CACHE_SHARE / (points * (depth + held) * 4);
        let great = points * problem.depth * problem.columns * 4 > 4 * panels::second_level_cache();
        let least = if great {
            LEAST_PANELS_OF_GREAT_KERNELS
        } else {
            LEAST_PANELS
        };
        let most = (most / rows).max(least) * rows;
        let block = tiles
            .div_ceil(tiles.div_ceil(most).max(1))
            .next_multiple_of(rows);
        Cut {
            points,
            tiles,
            depth,
            block,
            held,
            inputs: block * depth + APART,
            sums: block * held + APART,
        }
    }

    /// Items of scratch of a worker: zeros to read for padding, inputs, sums.
    fn worker_len(&self) -> usize {
        self.depth + self.points * (self.inputs + self.sums)
    }

    fn workers(&self, problem: &Problem) -> usize {
        let macs = self.tiles * self.points * problem.depth * problem.columns;
        num_threads().min(macs / TASK_MACS).max(1)
    }
}

/// Items of the transform of a kernel.
pub fn kernel_len(problem: &Problem, tile: Tile) -> usize {
    tile.points() * point_len(problem)
}

/// Items of the transform of a kernel at a point.
fn point_len(problem: &Problem) -> usize {
    let [_, width] = panels::sizes::<f32>(level());
    problem.columns.next_multiple_of(width) * problem.depth + APART
}

/// Items to the next cache line, at most.
const ALIGNMENT: usize = 16;

/// Items of scratch that [`run`] takes.
pub fn scratch_len(problem: &Problem, tile: Tile) -> usize {
    let cut = Cut::new(problem, tile);
    cut.workers(problem) * cut.worker_len() + ALIGNMENT
}

/// `out = activation(conv(x, kernel) + bias)` with what [`transform_kernel`] made of the kernel.
///
/// # Panics
/// When a slice is shorter than the problem says, or the scratch too short.
pub fn run(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    kernel: &[f32],
    bias: Option<&[f32]>,
    activation: Option<Activation>,
    out: &mut [f32],
    scratch: &mut [f32],
) {
    let positions = |axes: [usize; 2]| problem.images * axes[0] * axes[1];
    assert!(
        x.len() >= positions(problem.input) * problem.depth
            && out.len() >= positions(problem.output) * problem.columns
            && kernel.len() >= kernel_len(problem, tile)
            && bias.is_none_or(|bias| bias.len() >= problem.columns),
        "operands of {problem:?}"
    );
    let cut = Cut::new(problem, tile);
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let worker_len = cut.worker_len();
    let workers = cut.workers(problem).min(scratch.len() / worker_len);
    assert!(workers > 0, "the scratch of a convolution is longer");
    let blocks = cut.tiles.div_ceil(cut.block);
    // Few blocks: several tasks for one, each with some of the filters.
    let chunks = problem.columns.div_ceil(cut.held);
    let splits = (2 * workers).div_ceil(blocks.max(1)).min(chunks);
    let splits = if workers == 1 { 1 } else { splits };
    let columns = chunks.div_ceil(splits) * cut.held;
    let out = Shared(out.as_mut_ptr());
    share_tasks(
        blocks * splits,
        workers,
        scratch,
        worker_len,
        |tasks, scratch| {
            for task in tasks {
                let part = |index: usize, step: usize, n: usize| {
                    (index * step).min(n)..n.min((index + 1) * step)
                };
                let block = Block {
                    problem,
                    cut,
                    x,
                    kernel,
                    bias,
                    activation,
                    tiles: part(task / splits, cut.block, cut.tiles),
                    columns: part(task % splits, columns, problem.columns),
                    out: out.get(),
                    scratch,
                };
                run_under(tile, block);
            }
        },
    );
}

/// Some tiles and some filters.
struct Block<'a> {
    problem: &'a Problem,
    cut: Cut,
    x: &'a [f32],
    kernel: &'a [f32],
    bias: Option<&'a [f32]>,
    activation: Option<Activation>,
    tiles: Range<usize>,
    columns: Range<usize>,
    /// The whole output, of which the task alone writes these tiles and filters.
    out: *mut f32,
    scratch: &'a mut [f32],
}

impl<F: Transform> Task for Of<Block<'_>, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Of(mut block, _) = self;
        if block.columns.is_empty() {
            return;
        }
        let (problem, cut) = (block.problem, block.cut);
        let (zeros, rest) = std::mem::take(&mut block.scratch).split_at_mut(cut.depth);
        let (inputs, sums) = rest.split_at_mut(cut.points * cut.inputs);
        zeros.fill(0.0);
        let squares = Squares {
            apart: cut.inputs,
            ..Squares::of_input(problem, block.x, zeros)
        };
        assert!(block.tiles.len() <= cut.block);
        for (row, tile) in block.tiles.clone().enumerate() {
            let place = problem.place::<F>(tile);
            let to = inputs[row * cut.depth..].as_mut_ptr();
            // SAFETY: the inputs hold the tiles of a block at each point, of `cut.depth` items, a multiple of any number of lanes.
            unsafe { squares.transform::<I, Inputs<F>>(isa, place, to) };
        }
        let [_, width] = panels::sizes::<f32>(I::LEVEL);
        let mut start = block.columns.start;
        while start < block.columns.end {
            let columns = start..block.columns.end.min(start + cut.held);
            let at =
                |point: usize, start: usize| point * point_len(problem) + start * problem.depth;
            for point in 0..cut.points {
                let kernel = &block.kernel[at(point, start)..];
                let next = if point + 1 < cut.points {
                    at(point + 1, start)
                } else {
                    at(0, columns.end)
                };
                let after = block.kernel.as_ptr().wrapping_add(next);
                let held = columns.len().next_multiple_of(width);
                assert!(kernel.len() >= held * problem.depth);
                // SAFETY: the inputs hold the tiles of a block at each point, of `cut.depth` items; the kernel's transform
                // whole panels; the sums the tiles of a block with `cut.held` items, at least the columns.
                unsafe {
                    panels::multiply(
                        isa,
                        [block.tiles.len(), held, problem.depth],
                        (inputs[point * cut.inputs..].as_ptr(), cut.depth),
                        (kernel.as_ptr(), after),
                        (sums[point * cut.sums..].as_mut_ptr(), cut.held),
                    );
                }
            }
            for (row, tile) in block.tiles.clone().enumerate() {
                block.transform_output::<I, F>(isa, tile, &sums[row * cut.held..], columns.clone());
            }
            start = columns.end;
        }
    }
}

impl Block<'_> {
    /// Writes a tile's outputs of some filters from its sums, those of each point `cut.sums` apart.
    #[inline(always)]
    fn transform_output<I: Isa, F: Transform>(
        &self,
        isa: I,
        tile: usize,
        sums: &[f32],
        columns: Range<usize>,
    ) {
        let (problem, cut) = (self.problem, self.cut);
        let (image, at) = problem.place::<F>(tile);
        let [height, width] = problem.output;
        let (rows, across) = (
            F::OUTPUTS.min(height - at[0]),
            F::OUTPUTS.min(width - at[1]),
        );
        assert!(sums.len() >= (cut.points - 1) * cut.sums + cut.held.max(columns.len()));
        let sums = sums.as_ptr();
        let row = width * problem.columns;
        let first = ((image * height + at[0]) * width + at[1]) * problem.columns + columns.start;
        // SAFETY: the tile lies in the output, whose length was checked.
        let out = unsafe { self.out.add(first) };
        let len = I::F32::LEN;
        let mut column = 0;
        while column < columns.len() {
            let left = columns.len() - column;
            let bias = match self.bias {
                Some(bias) => isa.load_partial(&bias[columns.start + column..columns.end]),
                None => I::F32::zero(isa),
            };
            // SAFETY: whole lanes of sums may be read, as `cut.held` is a multiple of any number of lanes; the outputs that are
            // written are those of the tile that exist.
            unsafe {
                if rows == F::OUTPUTS && across == F::OUTPUTS && left >= len {
                    along_both_axes!(isa, F::POINTS => F::OUTPUTS, F::output,
                        |i, j| I::F32::load_ptr(isa, sums.add((i * F::POINTS + j) * cut.sums + column)),
                        |k, l, y| (y + bias).store_ptr(out.add(k * row + l * problem.columns + column)));
                } else {
                    along_both_axes!(isa, F::POINTS => F::OUTPUTS, F::output,
                    |i, j| I::F32::load_ptr(isa, sums.add((i * F::POINTS + j) * cut.sums + column)),
                    |k, l, y| if k < rows && l < across {
                        let to = out.add(k * row + l * problem.columns + column);
                        if left >= len {
                            (y + bias).store_ptr(to);
                        } else {
                            (y + bias).store_ptr_partial(to, left);
                        }
                    });
                }
            }
            column += len;
        }
        if let Some(activation) = self.activation {
            for i in 0..rows {
                // SAFETY: positions of the tile.
                unsafe {
                    let start = out.add(i * row);
                    panels::activate_rows(
                        isa,
                        activation,
                        (start, problem.columns),
                        [across, columns.len()],
                    );
                }
            }
        }
    }
}
