//! The gradient of the kernel: at each point a product of the inputs' transforms with those of the outputs' gradients, over all tiles.
//!
//! `y = A' (G k G' . B' x B) A` gives `dk = G' (A dy A' . B' x B) G`: the transforms of a forward pass transposed.

use std::ops::Range;

use simd::{Isa, Lanes, Task};

use super::squares::{Gradients, Inputs, Squares, along_both_axes};
use super::transform::{Of, POINTS, Transform, each, run_under};
use super::{APART, Problem, Tile};
use crate::gemm::{self, Epilogue, Gemm, Strided, panels::Shared};
use crate::real::MAX_LANES;
use crate::threads::{grain, parallel_for};

/// Items of the transforms of the tiles that are multiplied at a time, about.
const HELD: usize = if cfg!(test) { 1 << 12 } else { 1 << 21 };

/// Such tiles, at least: the sums of all points are read and written for them.
const LEAST_TILES: usize = if cfg!(test) { 4 } else { 256 };

/// Where things lie in the scratch.
#[derive(Clone, Copy)]
struct Cut {
    points: usize,
    /// Tiles that are multiplied at a time.
    tiles: usize,
    /// Items of a position of the input, and of the output.
    widths: [usize; 2],
    /// Items of a point of either.
    apart: [usize; 2],
    /// Items of the sums of a point.
    sums: usize,
}

impl Cut {
    fn new(problem: &Problem, tile: Tile) -> Cut {
        let widths = [problem.depth, problem.columns].map(|n| n.next_multiple_of(MAX_LANES));
        let (points, tiles) = (tile.points(), problem.tiles(tile));
        let most = (HELD / (points * (widths[0] + widths[1]))).max(LEAST_TILES);
        let tiles = tiles.div_ceil(tiles.div_ceil(most).max(1));
        Cut {
            points,
            tiles,
            widths,
            apart: widths.map(|width| tiles * width + APART),
            sums: problem.depth * problem.columns,
        }
    }

    /// Items of zeros, transforms of inputs, those of gradients, sums.
    fn parts(&self) -> [usize; 4] {
        let [inputs, gradients] = self.apart.map(|apart| self.points * apart);
        let zeros = self.widths[0].max(self.widths[1]);
        [zeros, inputs, gradients, self.points * self.sums]
    }
}

/// Items of scratch that [`kernel_gradient`] takes.
pub fn kernel_gradient_scratch_len(problem: &Problem, tile: Tile) -> usize {
    let cut = Cut::new(problem, tile);
    let parts: usize = cut.parts().iter().sum();
    let [m, n, k] = [problem.depth, problem.columns, cut.tiles];
    parts + gemm::scratch_len::<f32>(cut.points, m, n, k)
}

/// The gradient of the kernel `(3, 3, depth, columns)` from the input and the gradient of the output.
///
/// # Panics
/// When a slice is shorter than the problem says, or the scratch too short.
pub fn kernel_gradient(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    g: &[f32],
    out: &mut [f32],
    scratch: &mut [f32],
) {
    let cut = Cut::new(problem, tile);
    let [zeros, inputs, gradients, sums] = cut.parts();
    let (zeros, scratch) = scratch.split_at_mut(zeros);
    let (inputs, scratch) = scratch.split_at_mut(inputs);
    let (gradients, scratch) = scratch.split_at_mut(gradients);
    let (sums, scratch) = scratch.split_at_mut(sums);
    zeros.fill(0.0);
    let all = problem.tiles(tile);
    for first in (0..all).step_by(cut.tiles) {
        let tiles = first..all.min(first + cut.tiles);
        let size = [problem.depth, problem.columns, tiles.len()];
        transform(
            problem,
            tile,
            &cut,
            tiles,
            [x, g, zeros],
            [inputs, gradients],
        );
        let product = |point: usize| {
            let a = Strided::new(&inputs[point * cut.apart[0]..], 1, cut.widths[0]);
            let b = Strided::new(&gradients[point * cut.apart[1]..], 1, cut.widths[1]);
            let epilogue = Epilogue {
                add: first > 0,
                ..Epilogue::default()
            };
            Gemm::new(size[0], size[1], size[2], a, b).epilogue(epilogue)
        };
        gemm::batched(cut.points, size, product, sums, scratch);
    }
    assert!(out.len() >= 9 * cut.sums);
    let out = Shared(out.as_mut_ptr());
    parallel_for(
        cut.sums.div_ceil(MAX_LANES),
        grain(8 * cut.points * MAX_LANES),
        |range| {
            let range = range.start * MAX_LANES..cut.sums.min(range.end * MAX_LANES);
            let taps = Taps {
                sums,
                step: cut.sums,
                range,
                out: out.get(),
            };
            run_under(tile, taps);
        },
    );
}

/// Brings some tiles to the points: `x` and `g`, with zeros for what lies beside them.
fn transform(
    problem: &Problem,
    tile: Tile,
    cut: &Cut,
    tiles: Range<usize>,
    [x, g, zeros]: [&[f32]; 3],
    [inputs, gradients]: [&mut [f32]; 2],
) {
    assert!(inputs.len() >= cut.points * cut.apart[0]);
    assert!(gradients.len() >= cut.points * cut.apart[1]);
    let to = [Shared(inputs.as_mut_ptr()), Shared(gradients.as_mut_ptr())];
    let count = tiles.len();
    let cost = 4 * cut.points * cut.widths[0].max(cut.widths[1]);
    // The tiles of the input, then those of the gradient.
    parallel_for(2 * count, grain(cost), |range| {
        for index in range {
            let (row, side) = (index % count, index / count);
            let squares = match side {
                0 => Squares::of_input(problem, x, zeros),
                _ => Squares::of_output(problem, g, zeros),
            };
            let square = Square {
                problem,
                squares: Squares {
                    apart: cut.apart[side],
                    ..squares
                },
                tile: tiles.start + row,
                gradient: side == 1,
                to: to[side].get().wrapping_add(row * cut.widths[side]),
            };
            run_under(tile, square);
        }
    });
}

/// The square of a tile, of the input or of the gradient.
struct Square<'a> {
    problem: &'a Problem,
    squares: Squares<'a>,
    tile: usize,
    gradient: bool,
    /// Where its first point goes, at whose row of each point the task alone writes.
    to: *mut f32,
}

impl<F: Transform> Task for Of<Square<'_>, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Of(square, _) = self;
        let place = square.problem.place::<F>(square.tile);
        // SAFETY: a row of each point is as wide as whole registers for the channels; how many points there are was checked.
        unsafe {
            if square.gradient {
                square
                    .squares
                    .transform::<I, Gradients<F>>(isa, place, square.to);
            } else {
                square
                    .squares
                    .transform::<I, Inputs<F>>(isa, place, square.to);
            }
        }
    }
}

/// Sums of points, brought to taps.
struct Taps<'a> {
    sums: &'a [f32],
    /// Items from a point to the next, and from a tap to the next.
    step: usize,
    range: Range<usize>,
    /// The whole gradient, of which the task alone writes this range of each tap.
    out: *mut f32,
}

impl<F: Transform> Task for Of<Taps<'_>, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Of(taps, _) = self;
        let len = I::F32::LEN;
        for first in taps.range.clone().step_by(len) {
            let n = len.min(taps.range.end - first);
            along_both_axes!(isa, F::POINTS => 3, F::kernel_gradient,
                |i, j| isa.load_partial(&taps.sums[(i * F::POINTS + j) * taps.step + first..][..n]),
                // SAFETY: the length of the gradient was checked.
                |k, l, y| unsafe { y.store_ptr_partial(taps.out.add((3 * k + l) * taps.step + first), n) });
        }
    }
}
