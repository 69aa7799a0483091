//! Batch normalization: columns by the batch's own statistics.
use super::columns::{Affine, BOUNDLESS, Columns, Gate, Sums, column_sums};
use crate::real::Real;

/// Items of scratch for [`batch_norm`] and [`batch_norm_gradient`] of `rows` rows.
pub fn batch_norm_scratch_len(rows: usize, columns: usize) -> usize {
    Columns::of_rows(rows, columns).sums_len() + 3 * columns
}

/// How the columns of an array are normalized.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a, T> {
    /// The factors of the normalized columns.
    pub gamma: &'a [T],
    /// What is added to them.
    pub beta: &'a [T],
    /// Added to the variances.
    pub epsilon: f64,
    /// The least and the greatest result, for a relu that follows.
    pub bounds: Option<[f64; 2]>,
}

impl<T: Real> BatchNorm<'_, T> {
    /// What a column is divided by.
    fn deviation(&self, variance: T) -> f64 {
        (variance.to_f64() + self.epsilon).sqrt()
    }

    /// The slope of a normalized column, before its relu.
    fn slope(&self, column: usize, variance: T) -> T {
        T::from_f64(self.gamma[column].to_f64() / self.deviation(variance))
    }
}

/// Normalizes the columns of `x` by their own means and (biased) variances, which it gives too.
///
/// # Panics
/// When the lengths do not fit.
pub fn batch_norm<T: Real>(
    norm: &BatchNorm<'_, T>,
    x: &[T],
    out: &mut [T],
    mean: &mut [T],
    variance: &mut [T],
    scratch: &mut [T],
) {
    let n = mean.len();
    assert!(variance.len() == n && norm.gamma.len() == n && norm.beta.len() == n);
    assert_eq!(out.len(), x.len());
    if x.is_empty() {
        mean.fill(T::from_f64(f64::NAN));
        variance.fill(T::from_f64(f64::NAN));
        return;
    }
    assert_eq!(x.len() % n, 0);
    let rows = x.len() / n;
    let columns = Columns::of_rows(rows, n);
    let (sums, scratch) = scratch.split_at_mut(columns.sums_len());
    column_sums(columns, Sums::Moments, x, sums);
    let slope = &mut scratch[..n];
    columns.totals(sums, |c, totals| {
        let [off, square] = totals.map(|total| total / rows as f64);
        mean[c] = T::from_f64(x[c].to_f64() + off);
        variance[c] = T::from_f64((square - off * off).max(0.0));
        slope[c] = norm.slope(c, variance[c]);
    });
    Affine {
        u: None,
        gate: None,
        x,
        mean,
        factor: slope,
        slope,
        offset: norm.beta,
        bounds: norm.bounds.unwrap_or(BOUNDLESS),
        out,
    }
    .run_parallel(columns);
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
    norm: &BatchNorm<'_, T>,
    grads: BatchNormGrads<'_, T>,
    x: &[T],
    mean: &[T],
    variance: &[T],
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
    scratch: &mut [T],
) {
    let (n, g) = (mean.len(), grads.out);
    assert!(variance.len() == n && norm.gamma.len() == n && norm.beta.len() == n);
    assert!(dgamma.len() == n && dbeta.len() == n);
    assert!(g.len() == x.len() && dx.len() == x.len());
    if x.is_empty() {
        dgamma.fill(T::default());
        dbeta.fill(T::default());
        return;
    }
    assert_eq!(x.len() % n, 0);
    let rows = x.len() / n;
    let columns = Columns::of_rows(rows, n);
    let (sums, scratch) = scratch.split_at_mut(columns.sums_len());
    let (factor, scratch) = scratch.split_at_mut(n);
    let (slope, scratch) = scratch.split_at_mut(n);
    let offset = &mut scratch[..n];
    for (c, factor) in factor.iter_mut().enumerate() {
        *factor = norm.slope(c, variance[c]);
    }
    let gate = norm.bounds.map(|bounds| Gate {
        slope: factor,
        offset: norm.beta,
        bounds,
    });
    column_sums(columns, Sums::Gradient { g, mean, gate }, x, sums);
    let per = 1.0 / rows as f64;
    columns.totals(sums, |c, [dot, sum]| {
        let inverse = 1.0 / norm.deviation(variance[c]);
        let dot = dot * inverse;
        let a = norm.gamma[c].to_f64() * inverse;
        let reaching = |of: Option<&[T]>| of.map_or(0.0, |g| g[c].to_f64());
        dgamma[c] = T::from_f64(dot);
        dbeta[c] = T::from_f64(sum);
        slope[c] = T::from_f64((2.0 * reaching(grads.variance) - a * inverse * dot) * per);
        offset[c] = T::from_f64((reaching(grads.mean) - a * sum) * per);
    });
    Affine {
        u: Some(g),
        gate,
        x,
        mean,
        factor,
        slope,
        offset,
        bounds: BOUNDLESS,
        out: dx,
    }
    .run_parallel(columns);
}
