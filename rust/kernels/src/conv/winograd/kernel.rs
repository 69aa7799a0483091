//! The transform of a kernel, in the panels that the products read.

use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, level};

use super::transform::{Of, POINTS, Transform, each, run_under};
use super::{Problem, Tile, kernel_len, point_len};
use crate::gemm::panels::{self, Shared};
use crate::threads::{grain, parallel_for};

/// Items of the depth that a task takes.
const DEPTH: usize = 32;

/// Writes the transform of a kernel `(3, 3, channels, filters)` to `out`, of [`kernel_len`] items, at best at the start of a
/// cache line: for each point its panels, of some columns and the whole depth.
///
/// # Panics
/// When a slice is too short.
pub fn transform_kernel(problem: &Problem, tile: Tile, kernel: &[f32], out: &mut [f32]) {
    let [_, width] = panels::sizes::<f32>(level());
    assert!(kernel.len() >= 9 * problem.depth * problem.columns);
    assert!(out.len() >= kernel_len(problem, tile));
    let pieces = problem.depth.div_ceil(DEPTH);
    let tasks = problem.columns.div_ceil(width) * pieces;
    let out = Shared(out.as_mut_ptr());
    parallel_for(tasks, grain(DEPTH * width * 64), |range| {
        for task in range {
            let depth = task % pieces * DEPTH;
            let part = Part {
                problem,
                kernel,
                panel: task / pieces,
                depth: depth..problem.depth.min(depth + DEPTH),
                out: out.get(),
            };
            run_under(tile, part);
        }
    });
}

/// Some depth of a panel, at every point.
struct Part<'a> {
    problem: &'a Problem,
    kernel: &'a [f32],
    panel: usize,
    depth: Range<usize>,
    /// The whole transform, of which the task alone writes this part.
    out: *mut f32,
}

impl<F: Transform> Task for Of<Part<'_>, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Of(part, _) = self;
        let [_, width] = panels::sizes::<f32>(I::LEVEL);
        for column in (0..width).step_by(I::F32::LEN) {
            if part.problem.backward {
                part.transposed::<I, F>(isa, column);
            } else {
                part.straight::<I, F>(isa, column);
            }
        }
    }
}

/// The transform of the 3 x 3 taps that `load` reads, handed to `store` with the index of each point.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn transform<I: Isa, F: Transform>(
    isa: I,
    load: impl Fn(usize) -> I::F32,
    mut store: impl FnMut(usize, I::F32),
) {
    let zero = I::F32::zero(isa);
    let mut half = [[zero; 3]; POINTS];
    for j in 0..3 {
        let column = F::kernel(isa, [load(j), load(3 + j), load(6 + j)]);
        each!(ROW < F::POINTS, {
            half[ROW][j] = column[ROW];
        });
    }
    for (i, &row) in half[..F::POINTS].iter().enumerate() {
        let row = F::kernel(isa, row);
        each!(COLUMN < F::POINTS, {
            store(i * F::POINTS + COLUMN, row[COLUMN]);
        });
    }
}

impl Part<'_> {
    /// Where the lanes of a column of the panel at a depth go, at the first point.
    #[inline(always)]
    fn place(&self, width: usize, depth: usize, column: usize) -> usize {
        (self.panel * self.problem.depth + depth) * width + column
    }

    /// Lanes from a column of the panel on, of a kernel whose columns are contiguous.
    #[inline(always)]
    fn straight<I: Isa, F: Transform>(&self, isa: I, column: usize) {
        let (problem, point) = (self.problem, point_len(self.problem));
        let [_, width] = panels::sizes::<f32>(I::LEVEL);
        let first = (self.panel * width + column).min(problem.columns);
        let n = (problem.columns - first).min(I::F32::LEN);
        for depth in self.depth.clone() {
            let to = self.place(width, depth, column);
            transform::<I, F>(
                isa,
                #[inline(always)]
                |tap| {
                    let start = (tap * problem.depth + depth) * problem.columns + first;
                    isa.load_partial(&self.kernel[start..start + n])
                },
                #[inline(always)]
                |index, y| {
                    // SAFETY: the length of the transform was checked.
                    unsafe { y.store_ptr(self.out.add(index * point + to)) }
                },
            );
        }
    }

    /// Lanes from a column of the panel on, of a rotated kernel whose depth is contiguous.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn transposed<I: Isa, F: Transform>(&self, isa: I, column: usize) {
        let (problem, point, len) = (self.problem, point_len(self.problem), I::F32::LEN);
        let [_, width] = panels::sizes::<f32>(I::LEVEL);
        let first = self.panel * width + column;
        let zero = I::F32::zero(isa);
        let mut squares = [[zero; 16]; POINTS * POINTS];
        for depth in self.depth.clone().step_by(len) {
            let n = len.min(self.depth.end - depth);
            for lane in 0..len {
                let column = first + lane;
                transform::<I, F>(
                    isa,
                    #[inline(always)]
                    |tap| {
                        if column >= problem.columns {
                            return zero;
                        }
                        let start = ((8 - tap) * problem.columns + column) * problem.depth + depth;
                        isa.load_partial(&self.kernel[start..start + n])
                    },
                    #[inline(always)]
                    |index, y| squares[index][lane] = y,
                );
            }
            for (index, square) in squares[..F::POINTS * F::POINTS].iter_mut().enumerate() {
                I::F32::transpose(square);
                for (row, y) in square[..n].iter().enumerate() {
                    let to = index * point + self.place(width, depth + row, column);
                    // SAFETY: the length of the transform was checked.
                    unsafe { y.store_ptr(self.out.add(to)) };
                }
            }
        }
    }
}
