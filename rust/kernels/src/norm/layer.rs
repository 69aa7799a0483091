//! Layer and RMS normalization: rows by their own statistics.
use simd::{Float, Isa, Lanes, Task, dispatch};

use super::columns::Columns;
use super::splat;
use crate::real::{Real, load_at, load_or, store_at};
use crate::threads::{Disjoint, grain, parallel_for};

/// How rows are normalized: by mean and variance, or by their root mean square alone.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a, T> {
    /// The length of a row.
    pub n: usize,
    /// Whether means are left in (RMS normalization).
    pub rms: bool,
    /// What is multiplied, per column.
    pub gamma: Option<&'a [T]>,
    /// What is added, per column.
    pub beta: Option<&'a [T]>,
}

/// Statistics of rows: means (zeros for RMS normalization) and inverse deviations.
#[derive(Clone, Copy, Debug)]
pub struct Statistics<'a, T> {
    /// The means.
    pub mean: &'a [T],
    /// One over the root of variance plus epsilon.
    pub inverse: &'a [T],
}

/// Normalizes each row of `x`, and keeps its statistics.
///
/// # Panics
/// When the lengths do not fit.
pub fn layer_norm<T: Real>(
    norm: LayerNorm<'_, T>,
    x: &[T],
    epsilon: f64,
    out: &mut [T],
    mean: &mut [T],
    inverse: &mut [T],
) {
    let (n, rows) = (norm.n, mean.len());
    assert!(x.len() == rows * n && out.len() == x.len() && inverse.len() == rows);
    assert!(
        [norm.gamma, norm.beta]
            .iter()
            .flatten()
            .all(|p| p.len() == n)
    );
    let (out, mean, inverse) = (
        Disjoint::new(out),
        Disjoint::new(mean),
        Disjoint::new(inverse),
    );
    parallel_for(rows, grain(6 * n), |range| {
        // SAFETY: the ranges of a parallel region are disjoint, so are their rows.
        let (out, mean, inverse) = unsafe {
            (
                out.slice_mut(range.start * n..range.end * n),
                mean.slice_mut(range.clone()),
                inverse.slice_mut(range.clone()),
            )
        };
        let x = &x[range.start * n..range.end * n];
        dispatch(Rows {
            norm,
            x,
            epsilon,
            out,
            mean,
            inverse,
        });
    });
}

struct Rows<'a, T> {
    norm: LayerNorm<'a, T>,
    x: &'a [T],
    epsilon: f64,
    out: &'a mut [T],
    mean: &'a mut [T],
    inverse: &'a mut [T],
}

impl<T: Real> Task for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let n = self.norm.n;
        for row in 0..self.mean.len() {
            let x = &self.x[row * n..(row + 1) * n];
            let out = &mut self.out[row * n..(row + 1) * n];
            let mut mean = T::default();
            if !self.norm.rms {
                let sum = fold_row::<T, I>(
                    isa,
                    x,
                    mean,
                    #[inline(always)]
                    |sum, x| sum + x,
                );
                mean = T::from_f64(sum / n as f64);
            }
            let center = T::Lanes::<I>::splat(isa, mean);
            // The mean pads the last lanes, so they add nothing.
            let squares = fold_row::<T, I>(
                isa,
                x,
                mean,
                #[inline(always)]
                |sum, x| {
                    let d = x - center;
                    d.mul_add(d, sum)
                },
            );
            let inverse = 1.0 / (squares / n as f64 + self.epsilon).sqrt();
            let scale = splat::<T, I>(isa, inverse);
            let mut i = 0;
            while i < n {
                let mut y = (load_at::<T, I>(isa, x, i) - center) * scale;
                if let Some(gamma) = self.norm.gamma {
                    y = y * load_at::<T, I>(isa, gamma, i);
                }
                if let Some(beta) = self.norm.beta {
                    y = y + load_at::<T, I>(isa, beta, i);
                }
                store_at::<T, I>(y, out, i);
                i += T::Lanes::<I>::LEN;
            }
            self.mean[row] = mean;
            self.inverse[row] = T::from_f64(inverse);
        }
    }
}

/// Adds up the lanes of a row, the last ones padded, by `add`: in four sums, as each addition would wait for the one before.
#[inline(always)]
fn fold_row<T: Real, I: Isa>(
    isa: I,
    x: &[T],
    padding: T,
    add: impl Fn(T::Lanes<I>, T::Lanes<I>) -> T::Lanes<I>,
) -> f64 {
    const WIDE: usize = 4;
    let step = T::Lanes::<I>::LEN;
    let mut sums = [splat::<T, I>(isa, 0.0); WIDE];
    let mut blocks = x.chunks_exact(WIDE * step);
    for block in &mut blocks {
        for (sum, x) in sums.iter_mut().zip(block.chunks_exact(step)) {
            *sum = add(*sum, T::Lanes::<I>::load(isa, x));
        }
    }
    let rest = blocks.remainder();
    for i in (0..rest.len()).step_by(step) {
        sums[0] = add(sums[0], load_or::<T, I>(isa, rest, i, padding));
    }
    ((sums[0] + sums[1]) + (sums[2] + sums[3])).sum().to_f64()
}

/// Items of scratch for [`layer_norm_gradient`] of `rows` rows.
pub fn layer_norm_scratch_len(rows: usize, n: usize) -> usize {
    Columns::of_rows(rows, n).sums_len()
}

/// The gradients of [`layer_norm`] with respect to `x`, gamma and beta, where `g` reaches its result.
///
/// `scratch` has [`layer_norm_scratch_len`] items; gradients of parameters that are not wanted may be empty.
///
/// # Panics
/// When the lengths do not fit.
pub fn layer_norm_gradient<T: Real>(
    norm: LayerNorm<'_, T>,
    g: &[T],
    x: &[T],
    statistics: Statistics<'_, T>,
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
    scratch: &mut [T],
) {
    let (n, rows) = (norm.n, statistics.mean.len());
    assert!(g.len() == rows * n && x.len() == g.len() && dx.len() == g.len());
    assert!(statistics.inverse.len() == rows && norm.gamma.is_none_or(|p| p.len() == n));
    let columns = Columns::of_rows(rows, n);
    let (blocks, per_block) = (columns.blocks(), columns.block_rows());
    let sums = &mut scratch[..columns.sums_len()];
    sums.fill(T::default());
    let (dx, parts) = (Disjoint::new(dx), Disjoint::new(sums));
    parallel_for(blocks, grain(10 * n * per_block), |range| {
        for block in range {
            let first = block * per_block;
            let last = (first + per_block).min(rows);
            // SAFETY: each block has its own rows and its own sums.
            let (dx, sums) = unsafe {
                (
                    dx.slice_mut(first * n..last * n),
                    parts.slice_mut(block * 2 * n..(block + 1) * 2 * n),
                )
            };
            let (g, x) = (&g[first * n..last * n], &x[first * n..last * n]);
            let (mean, inverse) = (
                &statistics.mean[first..last],
                &statistics.inverse[first..last],
            );
            dispatch(RowGradients {
                norm,
                g,
                x,
                mean,
                inverse,
                dx,
                sums,
            });
        }
    });
    columns.totals(sums, |column, totals| {
        (dgamma[column], dbeta[column]) = totals.map(T::from_f64).into();
    });
}

/// `g gamma`, where there is one.
#[inline(always)]
fn scaled<T: Real, I: Isa>(isa: I, g: T::Lanes<I>, gamma: Option<&[T]>, i: usize) -> T::Lanes<I> {
    match gamma {
        Some(gamma) => g * load_at::<T, I>(isa, gamma, i),
        None => g,
    }
}

struct RowGradients<'a, T> {
    norm: LayerNorm<'a, T>,
    g: &'a [T],
    x: &'a [T],
    mean: &'a [T],
    inverse: &'a [T],
    dx: &'a mut [T],
    /// Sums of `g` times the normalized items, then of `g`.
    sums: &'a mut [T],
}

impl<T: Real> Task for RowGradients<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let n = self.norm.n;
        let step = T::Lanes::<I>::LEN;
        let (dgamma, dbeta) = self.sums.split_at_mut(n);
        for row in 0..self.mean.len() {
            let (g, x) = (
                &self.g[row * n..(row + 1) * n],
                &self.x[row * n..(row + 1) * n],
            );
            let dx = &mut self.dx[row * n..(row + 1) * n];
            let mean = T::Lanes::<I>::splat(isa, self.mean[row]);
            let inverse = T::Lanes::<I>::splat(isa, self.inverse[row]);
            let (mut sum, mut dot) = (splat::<T, I>(isa, 0.0), splat::<T, I>(isa, 0.0));
            let mut i = 0;
            while i < n {
                // Lanes behind the row have `g` zero and add nothing.
                let g = load_at::<T, I>(isa, g, i);
                let normal = (load_at::<T, I>(isa, x, i) - mean) * inverse;
                let own = g * normal;
                store_at::<T, I>(load_at::<T, I>(isa, dgamma, i) + own, dgamma, i);
                store_at::<T, I>(load_at::<T, I>(isa, dbeta, i) + g, dbeta, i);
                let g = scaled::<T, I>(isa, g, self.norm.gamma, i);
                sum = sum + g;
                dot = g.mul_add(normal, dot);
                i += step;
            }
            let per = 1.0 / n as f64;
            let centered = if self.norm.rms {
                0.0
            } else {
                sum.sum().to_f64() * per
            };
            let (sum, dot) = (
                splat::<T, I>(isa, centered),
                splat::<T, I>(isa, dot.sum().to_f64() * per),
            );
            let mut i = 0;
            while i < n {
                let normal = (load_at::<T, I>(isa, x, i) - mean) * inverse;
                let g = scaled::<T, I>(isa, load_at::<T, I>(isa, g, i), self.norm.gamma, i);
                store_at::<T, I>((normal.neg_mul_add(dot, g) - sum) * inverse, dx, i);
                i += step;
            }
        }
    }
}
