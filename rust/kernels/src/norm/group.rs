//! Group normalization: groups of columns by each image's own statistics.
use super::columns::{Affine, BOUNDLESS, Columns, Sums, column_sums};
use crate::real::Real;

/// How groups of the channels of images are normalized.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a, T> {
    /// Images.
    pub images: usize,
    /// Positions of an image.
    pub rows: usize,
    /// Channels.
    pub n: usize,
    /// Groups of as many neighbouring channels each.
    pub groups: usize,
    /// What is multiplied, per channel.
    pub gamma: Option<&'a [T]>,
    /// What is added, per channel.
    pub beta: Option<&'a [T]>,
}

impl<T: Real> GroupNorm<'_, T> {
    fn columns(&self) -> Columns {
        Columns {
            images: self.images,
            rows: self.rows,
            n: self.n,
        }
    }

    /// Items of scratch for [`group_norm`] and [`group_norm_gradient`].
    pub fn scratch_len(&self) -> usize {
        self.columns().sums_len() + 4 * self.images * self.n
    }

    /// Channels of a group.
    fn group_len(&self) -> usize {
        self.n / self.groups
    }

    fn gamma(&self, channel: usize) -> f64 {
        self.gamma.map_or(1.0, |gamma| gamma[channel].to_f64())
    }

    /// Each image and group, with the group's channels.
    fn groups(&self) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
        let (groups, len) = (self.groups, self.group_len());
        (0..self.images).flat_map(move |image| {
            (0..groups).map(move |group| {
                (
                    image,
                    image * groups + group,
                    group * len..(group + 1) * len,
                )
            })
        })
    }
}

/// Cuts the sums of scratch off, and four numbers per image and channel.
fn cut<T>(scratch: &mut [T], sums_len: usize, part_len: usize) -> (&mut [T], [&mut [T]; 4]) {
    let (sums, mut rest) = scratch.split_at_mut(sums_len);
    let parts = std::array::from_fn(|_| {
        let (part, left) = std::mem::take(&mut rest).split_at_mut(part_len);
        rest = left;
        part
    });
    (sums, parts)
}

/// Normalizes the groups of each image of `x`, and keeps their means and inverse deviations.
///
/// # Panics
/// When the lengths do not fit.
pub fn group_norm<T: Real>(
    norm: GroupNorm<'_, T>,
    x: &[T],
    epsilon: f64,
    out: &mut [T],
    mean: &mut [T],
    inverse: &mut [T],
    scratch: &mut [T],
) {
    let GroupNorm {
        images, rows, n, ..
    } = norm;
    assert!(x.len() == images * rows * n && out.len() == x.len());
    assert!(mean.len() == images * norm.groups && inverse.len() == mean.len());
    if x.is_empty() {
        mean.fill(T::from_f64(f64::NAN));
        inverse.fill(T::from_f64(f64::NAN));
        return;
    }
    let columns = norm.columns();
    let (sums, [center, slope, offset, _]) = cut(scratch, columns.sums_len(), images * n);
    column_sums(columns, Sums::Moments, x, sums);
    for (image, group, channels) in norm.groups() {
        let per = 1.0 / channels.len() as f64;
        let moments = |c: usize| {
            let off = columns.total(sums, image, c, false) / rows as f64;
            let square = columns.total(sums, image, c, true) / rows as f64;
            (x[image * rows * n + c].to_f64() + off, square - off * off)
        };
        let middle = per * channels.clone().map(|c| moments(c).0).sum::<f64>();
        let spread = |c: usize| {
            let (mean, variance) = moments(c);
            variance + (mean - middle) * (mean - middle)
        };
        let variance = per * channels.clone().map(spread).sum::<f64>();
        let scale = 1.0 / (variance.max(0.0) + epsilon).sqrt();
        (mean[group], inverse[group]) = (T::from_f64(middle), T::from_f64(scale));
        for c in channels {
            let at = image * n + c;
            center[at] = mean[group];
            slope[at] = T::from_f64(norm.gamma(c) * scale);
            offset[at] = norm.beta.map_or(T::default(), |beta| beta[c]);
        }
    }
    Affine {
        u: None,
        gate: None,
        x,
        mean: center,
        factor: slope,
        slope,
        offset,
        bounds: BOUNDLESS,
        out,
    }
    .run_parallel(columns);
}

/// The gradients of [`group_norm`] with respect to `x`, gamma and beta, where `g` reaches its result.
///
/// # Panics
/// When the lengths do not fit.
pub fn group_norm_gradient<T: Real>(
    norm: GroupNorm<'_, T>,
    g: &[T],
    x: &[T],
    [mean, inverse]: [&[T]; 2],
    dx: &mut [T],
    dgamma: &mut [T],
    dbeta: &mut [T],
    scratch: &mut [T],
) {
    let GroupNorm {
        images, rows, n, ..
    } = norm;
    assert!(x.len() == images * rows * n && g.len() == x.len() && dx.len() == x.len());
    assert!(mean.len() == images * norm.groups && inverse.len() == mean.len());
    assert!(dgamma.len() == n && dbeta.len() == n);
    dgamma.fill(T::default());
    dbeta.fill(T::default());
    if x.is_empty() {
        return;
    }
    let columns = norm.columns();
    let (sums, [center, factor, slope, offset]) = cut(scratch, columns.sums_len(), images * n);
    for (image, group, channels) in norm.groups() {
        center[image * n..][channels].fill(mean[group]);
    }
    let kind = Sums::Gradient {
        g,
        mean: center,
        gate: None,
    };
    column_sums(columns, kind, x, sums);
    let per = 1.0 / (rows * norm.group_len()) as f64;
    for (image, group, channels) in norm.groups() {
        let inverse = inverse[group].to_f64();
        let (mut sum, mut dot) = (0.0, 0.0);
        for c in channels.clone() {
            let own_dot = columns.total(sums, image, c, false) * inverse;
            let own_sum = columns.total(sums, image, c, true);
            dgamma[c] = T::from_f64(dgamma[c].to_f64() + own_dot);
            dbeta[c] = T::from_f64(dbeta[c].to_f64() + own_sum);
            dot += norm.gamma(c) * own_dot;
            sum += norm.gamma(c) * own_sum;
        }
        for c in channels {
            let at = image * n + c;
            factor[at] = T::from_f64(norm.gamma(c) * inverse);
            slope[at] = T::from_f64(-inverse * inverse * dot * per);
            offset[at] = T::from_f64(-inverse * sum * per);
        }
    }
    Affine {
        u: Some(g),
        gate: None,
        x,
        mean: center,
        factor,
        slope,
        offset,
        bounds: BOUNDLESS,
        out: dx,
    }
    .run_parallel(columns);
}
