//! Sums over the rows of arrays `(images, rows, n)`, per image and column, and affine functions of such columns: what batch and group
//! normalization are made of.
//!
//! Sums are taken in blocks of rows whose size depends on the shape alone, and blocks are added in order: the number of threads changes
//! no bit.
use simd::{Float, Isa, Lanes, Task, dispatch};

use super::splat;
use crate::real::{Real, load_at, store_at};
use crate::threads::{grain, parallel_ranges_mut};

/// The shape of an array whose rows are summed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub images: usize,
    pub rows: usize,
    pub n: usize,
}

impl Columns {
    /// The most blocks of an image, unless rows are very many.
    const MAX_BLOCKS: usize = 64;
    /// Items of a block: enough that adding the blocks costs little.
    const BLOCK_ITEMS: usize = 1 << 14;

    /// All rows as those of one image.
    pub fn of_rows(rows: usize, n: usize) -> Self {
        Columns { images: 1, rows, n }
    }

    /// Rows that are summed at once.
    pub fn block_rows(&self) -> usize {
        let few = (Self::BLOCK_ITEMS / self.n.max(1)).clamp(8, 512);
        self.rows.div_ceil(Self::MAX_BLOCKS).max(few)
    }

    /// Blocks of an image.
    pub fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block_rows()).max(1)
    }

    /// Items of the sums: two rows of `n` for each block.
    pub fn sums_len(&self) -> usize {
        self.images * self.blocks() * 2 * self.n
    }

    /// The sum of a column of an image over its blocks: of its first number, or of its second.
    pub fn total<T: Real>(&self, sums: &[T], image: usize, column: usize, second: bool) -> f64 {
        let at = column + if second { self.n } else { 0 };
        let image_len = self.blocks() * 2 * self.n;
        sums[image * image_len..(image + 1) * image_len]
            .chunks_exact(2 * self.n)
            .map(|block| block[at].to_f64())
            .sum()
    }

    /// Hands both sums of each column over, of an array of one image: some columns at a time, so that blocks are read along their rows.
    pub fn totals<T: Real>(&self, sums: &[T], mut take: impl FnMut(usize, [f64; 2])) {
        const WIDE: usize = 64;
        for first in (0..self.n).step_by(WIDE) {
            let columns = first..self.n.min(first + WIDE);
            let mut totals = [[0.0; WIDE]; 2];
            for block in sums[..self.blocks() * 2 * self.n].chunks_exact(2 * self.n) {
                for (totals, sums) in totals.iter_mut().zip(block.chunks_exact(self.n)) {
                    for (total, sum) in totals.iter_mut().zip(&sums[columns.clone()]) {
                        *total += sum.to_f64();
                    }
                }
            }
            columns
                .clone()
                .for_each(|c| take(c, totals.map(|totals| totals[c - first])));
        }
    }
}

/// What is summed, two numbers per column.
#[derive(Clone, Copy)]
pub(super) enum Sums<'a, T> {
    /// `x - shift` and its square, where the shift is the image's first row: near the mean, so that little cancels.
    Moments,
    /// `g (x - mean)` and `g`, where each image has its means, and `g` is zero where a gate is closed.
    Gradient {
        g: &'a [T],
        mean: &'a [T],
        gate: Option<Gate<'a, T>>,
    },
}

/// Where an activation behind `slope (x - mean) + offset` lets gradients through: between its bounds.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a, T> {
    pub slope: &'a [T],
    pub offset: &'a [T],
    pub bounds: [f64; 2],
}

impl<T: Real> Gate<'_, T> {
    /// What comes through of `g`, of the columns from `first` on, where `d` is `x - mean`.
    #[inline(always)]
    fn pass<I: Isa>(&self, isa: I, d: T::Lanes<I>, g: T::Lanes<I>, first: usize) -> T::Lanes<I> {
        let [low, high] = self.bounds.map(|bound| splat::<T, I>(isa, bound));
        let slope = load_at::<T, I>(isa, self.slope, first);
        let y = d.mul_add(slope, load_at::<T, I>(isa, self.offset, first));
        g.select(y.gt(low) & y.lt(high), T::Lanes::<I>::zero(isa))
    }
}

/// Sums over the rows of `x` by blocks.
pub(super) fn column_sums<T: Real>(columns: Columns, sums: Sums<'_, T>, x: &[T], out: &mut [T]) {
    let Columns { rows, n, .. } = columns;
    let (blocks, per_block) = (columns.blocks(), columns.block_rows());
    parallel_ranges_mut(
        out,
        2 * n,
        grain(3 * n * per_block.min(rows)),
        |range, out| {
            for (block, out) in range.zip(out.chunks_exact_mut(2 * n)) {
                let (image, first) = (block / blocks, block % blocks * per_block);
                let start = image * rows;
                let center = match sums {
                    Sums::Moments => &x[start * n..(start + 1) * n],
                    Sums::Gradient { mean, .. } => &mean[image * n..(image + 1) * n],
                };
                dispatch(ColumnSums {
                    sums,
                    center,
                    x,
                    n,
                    rows: start + first..start + rows.min(first + per_block),
                    out,
                });
            }
        },
    );
}

struct ColumnSums<'a, T> {
    sums: Sums<'a, T>,
    center: &'a [T],
    x: &'a [T],
    n: usize,
    rows: std::ops::Range<usize>,
    out: &'a mut [T],
}

impl<T: Real> Task for ColumnSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        const WIDE: usize = 4;
        let lanes = T::Lanes::<I>::LEN;
        let mut first = 0;
        while first < self.n {
            if self.n - first >= WIDE * lanes {
                self.columns::<I, WIDE>(isa, first);
                first += WIDE * lanes;
            } else {
                self.columns::<I, 1>(isa, first);
                first += lanes;
            }
        }
    }
}

impl<T: Real> ColumnSums<'_, T> {
    /// `W` registers of columns from `first` on.
    #[inline(always)]
    fn columns<I: Isa, const W: usize>(&mut self, isa: I, first: usize) {
        let (n, lanes) = (self.n, T::Lanes::<I>::LEN);
        let center: [_; W] =
            std::array::from_fn(|w| load_at::<T, I>(isa, self.center, first + w * lanes));
        let mut sums = [[splat::<T, I>(isa, 0.0); W]; 2];
        for row in self.rows.clone() {
            let x = &self.x[row * n..(row + 1) * n];
            for w in 0..W {
                let d = load_at::<T, I>(isa, x, first + w * lanes) - center[w];
                match self.sums {
                    Sums::Moments => {
                        sums[0][w] = sums[0][w] + d;
                        sums[1][w] = d.mul_add(d, sums[1][w]);
                    }
                    Sums::Gradient { g, gate, .. } => {
                        let first = first + w * lanes;
                        let mut g = load_at::<T, I>(isa, &g[row * n..(row + 1) * n], first);
                        if let Some(gate) = gate {
                            g = gate.pass(isa, d, g, first);
                        }
                        sums[0][w] = d.mul_add(g, sums[0][w]);
                        sums[1][w] = sums[1][w] + g;
                    }
                }
            }
        }
        for (out, sums) in self.out.chunks_exact_mut(n).zip(sums) {
            for (w, sum) in sums.into_iter().enumerate() {
                store_at::<T, I>(sum, out, first + w * lanes);
            }
        }
    }
}

/// `factor u + slope (x - mean) + offset` per image and column, inside of bounds.
pub(super) struct Affine<'a, T> {
    pub u: Option<&'a [T]>,
    /// Where `u` counts, in an array of one image.
    pub gate: Option<Gate<'a, T>>,
    pub x: &'a [T],
    pub mean: &'a [T],
    pub factor: &'a [T],
    pub slope: &'a [T],
    pub offset: &'a [T],
    pub bounds: [f64; 2],
    pub out: &'a mut [T],
}

/// The bounds of what has none.
pub(super) const BOUNDLESS: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

impl<T: Real> Task for Affine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (n, step) = (self.mean.len(), T::Lanes::<I>::LEN);
        let [low, high] = self.bounds.map(|bound| splat::<T, I>(isa, bound));
        for (row, out) in self.out.chunks_exact_mut(n).enumerate() {
            let x = &self.x[row * n..(row + 1) * n];
            let mut i = 0;
            while i < n {
                let d = load_at::<T, I>(isa, x, i) - load_at::<T, I>(isa, self.mean, i);
                let mut y = d.mul_add(
                    load_at::<T, I>(isa, self.slope, i),
                    load_at::<T, I>(isa, self.offset, i),
                );
                if let Some(u) = self.u {
                    let mut u = load_at::<T, I>(isa, &u[row * n..(row + 1) * n], i);
                    if let Some(gate) = &self.gate {
                        u = gate.pass(isa, d, u, i);
                    }
                    y = u.mul_add(load_at::<T, I>(isa, self.factor, i), y);
                }
                // The second operand is kept where it is no number.
                store_at::<T, I>(high.min(low.max(y)), out, i);
                i += step;
            }
        }
    }
}

impl<T: Real> Affine<'_, T> {
    /// Fills `out`.
    pub fn run_parallel(self, columns: Columns) {
        let Columns { rows, n, .. } = columns;
        parallel_ranges_mut(self.out, n, grain(3 * n), |range, mut out| {
            let mut row = range.start;
            while row < range.end {
                let image = row / rows;
                let last = range.end.min((image + 1) * rows);
                let (items, own) = (row * n..last * n, image * n..(image + 1) * n);
                let (part, rest) = out.split_at_mut(items.len());
                dispatch(Affine {
                    u: self.u.map(|u| &u[items.clone()]),
                    gate: self.gate,
                    x: &self.x[items],
                    mean: &self.mean[own.clone()],
                    factor: &self.factor[own.clone()],
                    slope: &self.slope[own.clone()],
                    offset: &self.offset[own],
                    bounds: self.bounds,
                    out: part,
                });
                (row, out) = (last, rest);
            }
        });
    }
}
