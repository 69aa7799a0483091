//! Batch normalization: columns by the batch's own statistics.
use super::columns::{Affine, Columns, Sums, column_sums};
use crate::real::Real;

/// Items of scratch for [`batch_norm`] and [`batch_norm_gradient`] of `rows` rows.
pub fn batch_norm_scratch_len(rows: usize, columns: usize) -> usize {
    Columns::of_rows(rows, columns).sums_len() + 3 * columns
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
    let columns = Columns::of_rows(rows, n);
    let (sums, scratch) = scratch.split_at_mut(columns.sums_len());
    column_sums(columns, Sums::Moments, x, sums);
    let slope = &mut scratch[..n];
    for c in 0..n {
        let off = columns.total(sums, 0, c, false) / rows as f64;
        let square = columns.total(sums, 0, c, true) / rows as f64;
        mean[c] = T::from_f64(x[c].to_f64() + off);
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
    let columns = Columns::of_rows(rows, n);
    let (sums, scratch) = scratch.split_at_mut(columns.sums_len());
    column_sums(columns, Sums::Gradient { g, mean }, x, sums);
    let (factor, scratch) = scratch.split_at_mut(n);
    let (slope, scratch) = scratch.split_at_mut(n);
    let offset = &mut scratch[..n];
    let per = 1.0 / rows as f64;
    for c in 0..n {
        let inverse = 1.0 / (variance[c].to_f64() + epsilon).sqrt();
        let dot = columns.total(sums, 0, c, false) * inverse;
        let sum = columns.total(sums, 0, c, true);
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
    .run_parallel(columns);
}
