//! Layer and batch normalization, forward and backward.
//!
//! Sums over rows are taken in blocks whose size depends on the shape alone, and blocks are added in order: the number of threads
//! changes no bit.
use simd::{Float, Isa, Lanes, Task, dispatch};

use crate::real::{Real, load_at, load_or, store_at};
use crate::threads::{Disjoint, grain, parallel_for, parallel_ranges_mut};

/// The most blocks of rows that are summed apart.
const MAX_BLOCKS: usize = 64;

/// Rows of a block.
fn block_rows(rows: usize) -> usize {
    rows.div_ceil(MAX_BLOCKS).max(8)
}

/// Items of scratch for sums over `rows` rows of two numbers per column.
pub fn sums_scratch_len(rows: usize, columns: usize) -> usize {
    rows.div_ceil(block_rows(rows)).max(1) * 2 * columns
}

#[inline(always)]
fn splat<T: Real, I: Isa>(isa: I, x: f64) -> T::Lanes<I> {
    T::Lanes::<I>::splat(isa, T::from_f64(x))
}

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
            let mut mean = 0.0;
            if !self.norm.rms {
                let mut sum = splat::<T, I>(isa, 0.0);
                let mut i = 0;
                while i < n {
                    sum = sum + load_at::<T, I>(isa, x, i);
                    i += T::Lanes::<I>::LEN;
                }
                mean = T::from_f64(sum.sum().to_f64() / n as f64).to_f64();
            }
            let center = splat::<T, I>(isa, mean);
            let mut squares = splat::<T, I>(isa, 0.0);
            let mut i = 0;
            while i < n {
                // The mean pads the last lanes, so they add nothing.
                let d = load_or::<T, I>(isa, x, i, T::from_f64(mean)) - center;
                squares = d.mul_add(d, squares);
                i += T::Lanes::<I>::LEN;
            }
            let inverse = 1.0 / (squares.sum().to_f64() / n as f64 + self.epsilon).sqrt();
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
            self.mean[row] = T::from_f64(mean);
            self.inverse[row] = T::from_f64(inverse);
        }
    }
}

/// The gradients of [`layer_norm`] with respect to `x`, gamma and beta, where `g` reaches its result.
///
/// `scratch` has [`sums_scratch_len`] items; gradients of parameters that are not wanted may be empty.
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
    let per_block = block_rows(rows);
    let blocks = rows.div_ceil(per_block);
    let sums = &mut scratch[..blocks.max(1) * 2 * n];
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
    for (out, second) in [(dgamma, false), (dbeta, true)] {
        for (column, out) in out.iter_mut().enumerate() {
            *out = T::from_f64(add_blocks(sums, n, column, second));
        }
    }
}

/// The sums of a column over blocks, in order: of its first number, or of its second.
fn add_blocks<T: Real>(sums: &[T], n: usize, column: usize, second: bool) -> f64 {
    let at = column + if second { n } else { 0 };
    sums.chunks_exact(2 * n)
        .map(|block| block[at].to_f64())
        .sum()
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

/// What is summed over the rows of an array, two numbers per column.
#[derive(Clone, Copy)]
enum Sums<'a, T> {
    /// `x - shift` and its square, where the shift is the first row: near the mean, so that little cancels.
    Moments { shift: &'a [T] },
    /// `g (x - mean)` and `g`.
    Gradient { g: &'a [T], mean: &'a [T] },
}

/// Sums over the rows of `x` by blocks.
fn column_sums<T: Real>(sums: Sums<'_, T>, x: &[T], n: usize, out: &mut [T]) {
    let rows = x.len() / n;
    let per_block = block_rows(rows);
    parallel_ranges_mut(out, 2 * n, grain(3 * n * per_block), |blocks, out| {
        for (block, out) in blocks.zip(out.chunks_exact_mut(2 * n)) {
            let first = block * per_block;
            let last = (first + per_block).min(rows);
            dispatch(ColumnSums {
                sums,
                x,
                n,
                rows: first..last,
                out,
            });
        }
    });
}

struct ColumnSums<'a, T> {
    sums: Sums<'a, T>,
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
        let center = match self.sums {
            Sums::Moments { shift } => shift,
            Sums::Gradient { mean, .. } => mean,
        };
        let center: [_; W] =
            std::array::from_fn(|w| load_at::<T, I>(isa, center, first + w * lanes));
        let mut sums = [[splat::<T, I>(isa, 0.0); W]; 2];
        for row in self.rows.clone() {
            let x = &self.x[row * n..(row + 1) * n];
            for w in 0..W {
                let d = load_at::<T, I>(isa, x, first + w * lanes) - center[w];
                match self.sums {
                    Sums::Moments { .. } => {
                        sums[0][w] = sums[0][w] + d;
                        sums[1][w] = d.mul_add(d, sums[1][w]);
                    }
                    Sums::Gradient { g, .. } => {
                        let g = load_at::<T, I>(isa, &g[row * n..(row + 1) * n], first + w * lanes);
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

/// `factor u + slope (x - mean) + offset` per column.
struct Affine<'a, T> {
    u: Option<&'a [T]>,
    x: &'a [T],
    mean: &'a [T],
    factor: &'a [T],
    slope: &'a [T],
    offset: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Task for Affine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (n, step) = (self.mean.len(), T::Lanes::<I>::LEN);
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
                    let u = load_at::<T, I>(isa, &u[row * n..(row + 1) * n], i);
                    y = u.mul_add(load_at::<T, I>(isa, self.factor, i), y);
                }
                store_at::<T, I>(y, out, i);
                i += step;
            }
        }
    }
}

impl<T: Real> Affine<'_, T> {
    fn run_parallel(self) {
        let n = self.mean.len();
        parallel_ranges_mut(self.out, n, grain(3 * n), |rows, out| {
            let items = rows.start * n..rows.end * n;
            dispatch(Affine {
                u: self.u.map(|u| &u[items.clone()]),
                x: &self.x[items],
                out,
                ..self
            });
        });
    }
}

/// Items of scratch for [`batch_norm`] and [`batch_norm_gradient`] of `rows` rows.
pub fn batch_norm_scratch_len(rows: usize, columns: usize) -> usize {
    sums_scratch_len(rows, columns) + 3 * columns
}

/// Normalizes the columns of `x` by their own means and (biased) variances, which it gives too.
///
/// # Panics
/// When the lengths do not fit.
pub fn batch_norm<T: Real>(
    x: &[T],
    gamma: &[T],
    beta: &[T],
    epsilon: f64,
    out: &mut [T],
    mean: &mut [T],
    variance: &mut [T],
    scratch: &mut [T],
) {
    let n = mean.len();
    assert!(variance.len() == n && gamma.len() == n && beta.len() == n && out.len() == x.len());
    if x.is_empty() {
        mean.fill(T::from_f64(f64::NAN));
        variance.fill(T::from_f64(f64::NAN));
        return;
    }
    assert_eq!(x.len() % n, 0);
    let rows = x.len() / n;
    let (sums, scratch) = scratch.split_at_mut(sums_scratch_len(rows, n));
    let shift = &x[..n];
    column_sums(Sums::Moments { shift }, x, n, sums);
    let slope = &mut scratch[..n];
    for c in 0..n {
        let off = add_blocks(sums, n, c, false) / rows as f64;
        let square = add_blocks(sums, n, c, true) / rows as f64;
        mean[c] = T::from_f64(shift[c].to_f64() + off);
        variance[c] = T::from_f64((square - off * off).max(0.0));
        slope[c] = T::from_f64(gamma[c].to_f64() / (variance[c].to_f64() + epsilon).sqrt());
    }
    Affine {
        u: None,
        x,
        mean,
        factor: slope,
        slope,
        offset: beta,
        out,
    }
    .run_parallel();
}

/// What reaches the results of [`batch_norm`].
#[derive(Clone, Copy, Debug)]
pub struct BatchNormGrads<'a, T> {
    /// The gradient of the normalized array.
    pub out: &'a [T],
    /// The gradient of the means, if any.
    pub mean: Option<&'a [T]>,
    /// The gradient of the variances, if any.
    pub variance: Option<&'a [T]>,
}

/// The gradients of [`batch_norm`] with respect to `x`, gamma and beta.
///
/// # Panics
/// When the lengths do not fit.
pub fn batch_norm_gradient<T: Real>(
    grads: BatchNormGrads<'_, T>,
    x: &[T],
    gamma: &[T],
    mean: &[T],
    variance: &[T],
    epsilon: f64,
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
    scratch: &mut [T],
) {
    let (n, g) = (mean.len(), grads.out);
    assert!(variance.len() == n && gamma.len() == n && dgamma.len() == n && dbeta.len() == n);
    assert!(g.len() == x.len() && dx.len() == x.len());
    if x.is_empty() {
        dgamma.fill(T::default());
        dbeta.fill(T::default());
        return;
    }
    assert_eq!(x.len() % n, 0);
    let rows = x.len() / n;
    let (sums, scratch) = scratch.split_at_mut(sums_scratch_len(rows, n));
    column_sums(Sums::Gradient { g, mean }, x, n, sums);
    let (factor, scratch) = scratch.split_at_mut(n);
    let (slope, scratch) = scratch.split_at_mut(n);
    let offset = &mut scratch[..n];
    let per = 1.0 / rows as f64;
    for c in 0..n {
        let inverse = 1.0 / (variance[c].to_f64() + epsilon).sqrt();
        let dot = add_blocks(sums, n, c, false) * inverse;
        let sum = add_blocks(sums, n, c, true);
        let a = gamma[c].to_f64() * inverse;
        let reaching = |of: Option<&[T]>| of.map_or(0.0, |g| g[c].to_f64());
        dgamma[c] = T::from_f64(dot);
        dbeta[c] = T::from_f64(sum);
        factor[c] = T::from_f64(a);
        slope[c] = T::from_f64((2.0 * reaching(grads.variance) - a * inverse * dot) * per);
        offset[c] = T::from_f64((reaching(grads.mean) - a * sum) * per);
    }
    Affine {
        u: Some(g),
        x,
        mean,
        factor,
        slope,
        offset,
        out: dx,
    }
    .run_parallel();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::set_num_threads;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 7919 + seed * 104_729) % 1013) as f64 / 500.0 - 1.0)
            .collect()
    }

    fn narrow(x: &[f64]) -> Vec<f32> {
        x.iter().map(|x| *x as f32).collect()
    }

    fn assert_close<T: Real>(got: &[T], want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            assert!(
                (got.to_f64() - want).abs() <= tolerance,
                "[{i}] {got:?} for {want}"
            );
        }
    }

    fn moments(x: &[f64]) -> (f64, f64) {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (
            mean,
            x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64,
        )
    }

    #[test]
    fn rows() {
        simd::for_each_isa(|_| {
            for (rows, n) in [(1, 1), (3, 5), (9, 16), (40, 33), (700, 64)] {
                for rms in [false, true] {
                    let (x, g) = (numbers(rows * n, 1), numbers(rows * n, 2));
                    let (gamma, beta) = (numbers(n, 3), numbers(n, 4));
                    let epsilon = 1e-3;
                    let (mut y, mut normal, mut dx) = (
                        vec![0.0; rows * n],
                        vec![0.0; rows * n],
                        vec![0.0; rows * n],
                    );
                    let (mut dgamma, mut dbeta) = (vec![0.0; n], vec![0.0; n]);
                    for r in 0..rows {
                        let at = r * n..(r + 1) * n;
                        let (mut mean, mut variance) = moments(&x[at.clone()]);
                        if rms {
                            (mean, variance) = (0.0, variance + mean * mean);
                        }
                        let inverse = 1.0 / (variance + epsilon).sqrt();
                        let scaled: Vec<f64> = at.clone().map(|i| g[i] * gamma[i % n]).collect();
                        for i in at.clone() {
                            normal[i] = (x[i] - mean) * inverse;
                            y[i] = normal[i] * gamma[i % n] + beta[i % n];
                            dgamma[i % n] += g[i] * normal[i];
                            dbeta[i % n] += g[i];
                        }
                        let sum = if rms {
                            0.0
                        } else {
                            scaled.iter().sum::<f64>() / n as f64
                        };
                        let dot = scaled
                            .iter()
                            .zip(&normal[at.clone()])
                            .map(|(g, x)| g * x)
                            .sum::<f64>()
                            / n as f64;
                        at.for_each(|i| dx[i] = inverse * (scaled[i % n] - sum - normal[i] * dot));
                    }
                    fn check<T: Real>(
                        norm: LayerNorm<'_, T>,
                        x: &[T],
                        g: &[T],
                        epsilon: f64,
                        tolerance: f64,
                        [y, dx, dgamma, dbeta]: [&[f64]; 4],
                    ) {
                        let (n, rows) = (norm.n, x.len() / norm.n);
                        let zeros = |n: usize| vec![T::default(); n];
                        let (mut out, mut mean, mut inverse) =
                            (zeros(x.len()), zeros(rows), zeros(rows));
                        layer_norm(norm, x, epsilon, &mut out, &mut mean, &mut inverse);
                        assert_close(&out, y, tolerance);
                        let (mut gx, mut gg, mut gb) = (zeros(x.len()), zeros(n), zeros(n));
                        let mut scratch = zeros(sums_scratch_len(rows, n));
                        let statistics = Statistics {
                            mean: &mean,
                            inverse: &inverse,
                        };
                        let mut run = || {
                            layer_norm_gradient(
                                norm,
                                g,
                                x,
                                statistics,
                                &mut gx,
                                &mut gg,
                                &mut gb,
                                &mut scratch,
                            )
                        };
                        run();
                        run();
                        assert_close(&gx, dx, 50.0 * tolerance);
                        assert_close(&gg, dgamma, 50.0 * tolerance);
                        assert_close(&gb, dbeta, 50.0 * tolerance);
                    }
                    let want = [&y[..], &dx, &dgamma, &dbeta];
                    let norm = LayerNorm {
                        n,
                        rms,
                        gamma: Some(&gamma[..]),
                        beta: Some(&beta[..]),
                    };
                    check(norm, &x, &g, epsilon, 1e-12, want);
                    let (gamma, beta) = (narrow(&gamma), narrow(&beta));
                    let norm = LayerNorm {
                        n,
                        rms,
                        gamma: Some(&gamma[..]),
                        beta: Some(&beta[..]),
                    };
                    check(norm, &narrow(&x), &narrow(&g), epsilon, 4e-6, want);
                }
            }
        });
    }

    /// y, mean, variance, then dx, dgamma, dbeta.
    fn batch<T: Real>(
        x: &[f64],
        g: &[f64],
        gamma: &[f64],
        beta: &[f64],
        extra: bool,
    ) -> Vec<Vec<T>> {
        let of = |x: &[f64]| x.iter().map(|x| T::from_f64(*x)).collect::<Vec<T>>();
        let (n, rows) = (gamma.len(), x.len() / gamma.len());
        let (x, g, gamma, beta) = (of(x), of(g), of(gamma), of(beta));
        let zeros = |n: usize| vec![T::from_f64(f64::NAN); n];
        let mut scratch = zeros(batch_norm_scratch_len(rows, n));
        let (mut y, mut mean, mut variance) = (zeros(x.len()), zeros(n), zeros(n));
        batch_norm(
            &x,
            &gamma,
            &beta,
            1e-3,
            &mut y,
            &mut mean,
            &mut variance,
            &mut scratch,
        );
        let (mut dx, mut dgamma, mut dbeta) = (zeros(x.len()), zeros(n), zeros(n));
        let grads = BatchNormGrads {
            out: &g,
            mean: extra.then_some(&beta[..]),
            variance: extra.then_some(&gamma[..]),
        };
        batch_norm_gradient(
            grads,
            &x,
            &gamma,
            &mean,
            &variance,
            1e-3,
            &mut dx,
            &mut dgamma,
            &mut dbeta,
            &mut scratch,
        );
        vec![y, mean, variance, dx, dgamma, dbeta]
    }

    #[test]
    fn columns() {
        simd::for_each_isa(|_| {
            for (rows, n) in [(1, 1), (2, 3), (7, 16), (100, 5), (700, 70), (40, 130)] {
                let x: Vec<f64> = numbers(rows * n, 5).iter().map(|x| x + 10.0).collect();
                let (g, gamma, beta) = (numbers(rows * n, 6), numbers(n, 7), numbers(n, 8));
                for extra in [false, true] {
                    let mut want = vec![
                        vec![0.0; rows * n],
                        vec![0.0; n],
                        vec![0.0; n],
                        vec![0.0; rows * n],
                        vec![0.0; n],
                        vec![0.0; n],
                    ];
                    for c in 0..n {
                        let column =
                            |x: &[f64]| (0..rows).map(|r| x[r * n + c]).collect::<Vec<f64>>();
                        let (xs, gs) = (column(&x), column(&g));
                        let (mean, variance) = moments(&xs);
                        let inverse = 1.0 / (variance + 1e-3).sqrt();
                        let dot: f64 = xs
                            .iter()
                            .zip(&gs)
                            .map(|(x, g)| g * (x - mean) * inverse)
                            .sum();
                        let sum: f64 = gs.iter().sum();
                        (want[1][c], want[2][c], want[4][c], want[5][c]) =
                            (mean, variance, dot, sum);
                        let m = rows as f64;
                        for r in 0..rows {
                            let normal = (xs[r] - mean) * inverse;
                            want[0][r * n + c] = normal * gamma[c] + beta[c];
                            let mut d = gamma[c] * inverse * (gs[r] - sum / m - normal * dot / m);
                            if extra {
                                d += beta[c] / m + gamma[c] * 2.0 * (xs[r] - mean) / m;
                            }
                            want[3][r * n + c] = d;
                        }
                    }
                    for (got, want) in batch::<f64>(&x, &g, &gamma, &beta, extra).iter().zip(&want)
                    {
                        assert_close(got, want, 1e-9);
                    }
                    for (got, want) in batch::<f32>(&x, &g, &gamma, &beta, extra).iter().zip(&want)
                    {
                        let largest = want.iter().fold(1.0, |a: f64, x| a.max(x.abs()));
                        assert_close(got, want, 6e-5 * largest);
                    }
                }
            }
        });
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let (rows, n) = (5000, 48);
        let (x, g, p) = (numbers(rows * n, 1), numbers(rows * n, 2), numbers(n, 3));
        simd::for_each_isa(|_| {
            let all = batch::<f32>(&x, &g, &p, &p, false);
            set_num_threads(1);
            assert!(batch::<f32>(&x, &g, &p, &p, false) == all);
            set_num_threads(0);
        });
    }
}
