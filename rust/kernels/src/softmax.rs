//! Softmax, its logarithm, and the cross-entropies that are computed with it.
use simd::{Float, Isa, Lanes, Task, dispatch, unrolled};

use crate::Element;
use crate::real::{MAX_LANES, Real, load_at, load_or, store_at};
use crate::threads::{Disjoint, grain, parallel_for, parallel_ranges_mut};

/// `e^x / sum e^x` over the middle axis of `[.., n, inner]`, or its logarithm.
///
/// # Panics
/// When `out` has not the length of `x`, or that is no multiple of `n inner`.
pub fn softmax<T: Real>(x: &[T], out: &mut [T], n: usize, inner: usize, log: bool) {
    assert_eq!(x.len(), out.len());
    if out.is_empty() {
        return;
    }
    assert_eq!(x.len() % (n * inner), 0);
    parallel_ranges_mut(out, n * inner, grain(12 * n * inner), |range, out| {
        let x = &x[range.start * n * inner..range.end * n * inner];
        dispatch(Softmax {
            x,
            out,
            n,
            inner,
            log,
        });
    });
}

struct Softmax<'a, T> {
    x: &'a [T],
    out: &'a mut [T],
    n: usize,
    inner: usize,
    log: bool,
}

impl<T: Real> Task for Softmax<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let step = self.n * self.inner;
        for (x, out) in self
            .x
            .chunks_exact(step)
            .zip(self.out.chunks_exact_mut(step))
        {
            if self.inner == 1 {
                row(isa, x, out, self.log);
            } else {
                let mut first = 0;
                while first < self.inner {
                    columns(isa, x, out, self.inner, first, self.log);
                    first += T::Lanes::<I>::LEN;
                }
            }
        }
    }
}

#[inline(always)]
fn row<T: Real, I: Isa>(isa: I, x: &[T], out: &mut [T], log: bool) {
    let greatest = greatest(isa, x);
    let mut i = 0;
    if log {
        let sum = exp_sum(isa, x, greatest, None);
        let shift = T::Lanes::<I>::splat(isa, T::from_f64(sum.to_f64().ln()));
        while i < x.len() {
            store_at::<T, I>(load_at::<T, I>(isa, x, i) - greatest - shift, out, i);
            i += T::Lanes::<I>::LEN;
        }
    } else {
        let sum = exp_sum(isa, x, greatest, Some(out));
        let scale = T::Lanes::<I>::splat(isa, T::from_f64(1.0 / sum.to_f64()));
        while i < out.len() {
            store_at::<T, I>(load_at::<T, I>(isa, out, i) * scale, out, i);
            i += T::Lanes::<I>::LEN;
        }
    }
}

/// The greatest item in every lane.
#[inline(always)]
fn greatest<T: Real, I: Isa>(isa: I, x: &[T]) -> T::Lanes<I> {
    let len = T::Lanes::<I>::LEN;
    // Four registers at a time, as each maximum waits for the one before it.
    let mut four = [T::Lanes::<I>::splat(isa, T::LEAST); 4];
    let groups = x.chunks_exact(4 * len);
    let rest = groups.remainder();
    for x in groups {
        unrolled!(PART < 4, {
            four[PART % 4] = four[PART % 4].max(T::Lanes::<I>::load(isa, &x[PART % 4 * len..]));
        });
    }
    let mut greatest = four[0].max(four[1]).max(four[2].max(four[3]));
    let mut i = 0;
    while i < rest.len() {
        greatest = greatest.max(load_or::<T, I>(isa, rest, i, T::LEAST));
        i += len;
    }
    T::Lanes::<I>::splat(isa, greatest.max_lane())
}

/// The sum of `e^(x - greatest)`, whose terms go to `out`. What pads the last lanes adds nothing.
#[inline(always)]
fn exp_sum<T: Real, I: Isa>(
    isa: I,
    x: &[T],
    greatest: T::Lanes<I>,
    mut out: Option<&mut [T]>,
) -> T {
    let len = T::Lanes::<I>::LEN;
    let mut sum = T::Lanes::<I>::zero(isa);
    let whole = x.chunks_exact(len);
    let rest = whole.remainder();
    let mut terms = out.as_deref_mut().map(|out| out.chunks_exact_mut(len));
    for x in whole {
        let e = T::exp(isa, T::Lanes::<I>::load(isa, x) - greatest);
        sum = sum + e;
        if let Some(out) = terms.as_mut().and_then(Iterator::next) {
            e.store(out);
        }
    }
    if !rest.is_empty() {
        let e = T::exp(isa, load_or::<T, I>(isa, rest, 0, T::LEAST) - greatest);
        sum = sum + e;
        if let Some(out) = out {
            store_at::<T, I>(e, out, x.len() - rest.len());
        }
    }
    sum.sum()
}

/// A few columns from `first` on, a lane each.
#[inline(always)]
fn columns<T: Real, I: Isa>(isa: I, x: &[T], out: &mut [T], inner: usize, first: usize, log: bool) {
    let mut greatest = T::Lanes::<I>::splat(isa, T::LEAST);
    for x in x.chunks_exact(inner) {
        greatest = greatest.max(load_at::<T, I>(isa, x, first));
    }
    let mut sum = T::Lanes::<I>::splat(isa, T::default());
    for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
        let e = T::exp(isa, load_at::<T, I>(isa, x, first) - greatest);
        sum = sum + e;
        if !log {
            store_at::<T, I>(e, out, first);
        }
    }
    if log {
        let mut sums = [T::default(); MAX_LANES];
        sum.store(&mut sums);
        for sum in &mut sums {
            *sum = T::from_f64(sum.to_f64().ln());
        }
        let shift = T::Lanes::<I>::load(isa, &sums);
        for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
            store_at::<T, I>(
                load_at::<T, I>(isa, x, first) - greatest - shift,
                out,
                first,
            );
        }
    } else {
        let scale = T::Lanes::<I>::splat(isa, T::from_f64(1.0)) / sum;
        for out in out.chunks_exact_mut(inner) {
            store_at::<T, I>(load_at::<T, I>(isa, out, first) * scale, out, first);
        }
    }
}

/// What the classes of rows should be.
#[derive(Clone, Copy, Debug)]
pub enum Classes<'a, T> {
    /// A probability of each class, of the shape of the logits.
    Dense(&'a [T]),
    /// The class of each row. One that there is not has no probability, as its one-hot vector is zero.
    Int32(&'a [i32]),
    /// The class of each row.
    Int64(&'a [i64]),
}

impl<'a, T: Element> Classes<'a, T> {
    fn of_row(&self, row: usize, n: usize) -> Target<'a, T> {
        let sparse = |class: i64| Target::Sparse(usize::try_from(class).ok().filter(|c| *c < n));
        match self {
            Classes::Dense(p) => Target::Dense(&p[row * n..(row + 1) * n]),
            Classes::Int32(ids) => sparse(ids[row].into()),
            Classes::Int64(ids) => sparse(ids[row]),
        }
    }

    fn check(&self, rows: usize, n: usize) {
        match self {
            Classes::Dense(p) => assert_eq!(p.len(), rows * n),
            Classes::Int32(ids) => assert_eq!(ids.len(), rows),
            Classes::Int64(ids) => assert_eq!(ids.len(), rows),
        }
    }
}

enum Target<'a, T> {
    Dense(&'a [T]),
    Sparse(Option<usize>),
}

/// The cross-entropy of each row of `n` logits with its classes.
///
/// # Panics
/// When the lengths do not fit.
pub fn cross_entropy<T: Real>(logits: &[T], classes: Classes<'_, T>, n: usize, losses: &mut [T]) {
    assert_eq!(logits.len(), losses.len() * n);
    classes.check(losses.len(), n);
    parallel_ranges_mut(losses, 1, grain(12 * n), |range, losses| {
        dispatch(CrossEntropy {
            logits,
            classes,
            n,
            first: range.start,
            losses,
        });
    });
}

struct CrossEntropy<'a, T> {
    logits: &'a [T],
    classes: Classes<'a, T>,
    n: usize,
    first: usize,
    losses: &'a mut [T],
}

impl<T: Real> Task for CrossEntropy<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let n = self.n;
        for (i, loss) in self.losses.iter_mut().enumerate() {
            let row = self.first + i;
            let x = &self.logits[row * n..(row + 1) * n];
            let greatest = greatest(isa, x);
            let log = exp_sum(isa, x, greatest, None).to_f64().ln();
            let top = greatest.max_lane().to_f64();
            let value = match self.classes.of_row(row, n) {
                Target::Sparse(Some(class)) => log - (x[class].to_f64() - top),
                Target::Sparse(None) => 0.0,
                Target::Dense(p) => {
                    let zero = T::default();
                    let shift = T::Lanes::<I>::splat(isa, T::from_f64(log)) + greatest;
                    let mut sum = T::Lanes::<I>::splat(isa, zero);
                    let mut i = 0;
                    while i < n {
                        let below = shift - load_at::<T, I>(isa, x, i);
                        sum = below.mul_add(load_at::<T, I>(isa, p, i), sum);
                        i += T::Lanes::<I>::LEN;
                    }
                    sum.sum().to_f64()
                }
            };
            *loss = T::from_f64(value);
        }
    }
}

/// The gradient of [`cross_entropy`] with respect to the logits, where `grads` reach the losses.
///
/// # Panics
/// When the lengths do not fit.
pub fn cross_entropy_gradient<T: Real>(
    logits: &[T],
    classes: Classes<'_, T>,
    grads: &[T],
    n: usize,
    out: &mut [T],
) {
    assert!(logits.len() == grads.len() * n && out.len() == logits.len());
    classes.check(grads.len(), n);
    let out = Disjoint::new(out);
    parallel_for(grads.len(), grain(14 * n), |range| {
        // SAFETY: the ranges of a parallel region are disjoint, so are their rows.
        let out = unsafe { out.slice_mut(range.start * n..range.end * n) };
        dispatch(Gradient {
            logits,
            classes,
            grads: &grads[range.clone()],
            n,
            first: range.start,
            out,
        });
    });
}

struct Gradient<'a, T> {
    logits: &'a [T],
    classes: Classes<'a, T>,
    grads: &'a [T],
    n: usize,
    first: usize,
    out: &'a mut [T],
}

impl<T: Real> Task for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (n, zero) = (self.n, T::default());
        if n == 0 {
            return;
        }
        let splat = |x: T| T::Lanes::<I>::splat(isa, x);
        for (i, (out, g)) in self.out.chunks_exact_mut(n).zip(self.grads).enumerate() {
            let row = self.first + i;
            let x = &self.logits[row * n..(row + 1) * n];
            let target = self.classes.of_row(row, n);
            if matches!(target, Target::Sparse(None)) {
                out.fill(zero);
                continue;
            }
            let greatest = greatest(isa, x);
            let sum = exp_sum(isa, x, greatest, Some(&mut *out));
            let mut weight = g.to_f64();
            if let Target::Dense(p) = target {
                let mut total = splat(zero);
                let mut i = 0;
                while i < n {
                    total = total + load_at::<T, I>(isa, p, i);
                    i += T::Lanes::<I>::LEN;
                }
                weight *= total.sum().to_f64();
            }
            let scale = splat(T::from_f64(weight / sum.to_f64()));
            let g_lanes = splat(*g);
            let mut i = 0;
            while i < n {
                let mut y = load_at::<T, I>(isa, out, i) * scale;
                if let Target::Dense(p) = target {
                    y = load_at::<T, I>(isa, p, i).neg_mul_add(g_lanes, y);
                }
                store_at::<T, I>(y, out, i);
                i += T::Lanes::<I>::LEN;
            }
            if let Target::Sparse(Some(class)) = target {
                out[class] = T::from_f64(out[class].to_f64() - g.to_f64());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 7919 + seed * 104_729) % 1013) as f64 / 100.0 - 5.0)
            .collect()
    }

    fn reference(x: &[f64], n: usize, inner: usize) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for o in 0..x.len() / (n * inner) {
            for c in 0..inner {
                let at = |i: usize| (o * n + i) * inner + c;
                let top = (0..n).map(|i| x[at(i)]).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..n).map(|i| (x[at(i)] - top).exp()).sum();
                (0..n).for_each(|i| y[at(i)] = (x[at(i)] - top).exp() / sum);
            }
        }
        y
    }

    fn narrow(x: &[f64]) -> Vec<f32> {
        x.iter().map(|x| *x as f32).collect()
    }

    fn assert_close<T: Real>(got: &[T], want: &[f64], tolerance: f64) {
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            let error = (got.to_f64() - want).abs();
            assert!(
                error <= tolerance * want.abs().max(1e-3),
                "[{i}] {got:?} for {want}"
            );
        }
    }

    #[test]
    fn softmax_over_any_axis() {
        simd::for_each_isa(|_| {
            for (outer, n, inner) in [
                (3, 1, 1),
                (5, 10, 1),
                (2, 17, 1),
                (3, 100, 1),
                (2, 5, 3),
                (2, 7, 16),
                (1, 9, 37),
            ] {
                let x = numbers(outer * n * inner, n);
                let want = reference(&x, n, inner);
                let logs: Vec<f64> = want.iter().map(|p| p.ln()).collect();
                for (log, want) in [(false, &want), (true, &logs)] {
                    let mut y = vec![0f64; x.len()];
                    softmax(&x, &mut y, n, inner, log);
                    assert_close(&y, want, 1e-12);
                    let mut y = vec![0f32; x.len()];
                    softmax(&narrow(&x), &mut y, n, inner, log);
                    assert_close(&y, want, 3e-6);
                }
            }
        });
    }

    #[test]
    fn large_and_infinite_logits() {
        let mut y = [0f32; 3];
        softmax(&[1000.0, 1000.0, f32::NEG_INFINITY], &mut y, 3, 1, false);
        assert_eq!(y, [0.5, 0.5, 0.0]);
        softmax(&[1.0, f32::NAN, 2.0], &mut y, 3, 1, false);
        assert!(y.iter().all(|y| y.is_nan()));
        softmax::<f32>(&[], &mut [], 0, 1, false);
    }

    #[test]
    fn cross_entropies_and_gradients() {
        simd::for_each_isa(|_| {
            for n in [1, 3, 8, 10, 17, 33, 1000] {
                let rows = 5;
                let x = numbers(rows * n, n);
                let p = reference(&x, n, 1);
                let ids: Vec<i32> = (0..rows).map(|r| ((r * 7) % n) as i32).collect();
                let wide_ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
                let t: Vec<f64> = numbers(rows * n, 3).iter().map(|t| t.abs()).collect();
                let g = numbers(rows, 9);
                let row = |r: usize| r * n..(r + 1) * n;
                let sparse: Vec<f64> = (0..rows)
                    .map(|r| -p[row(r)][ids[r] as usize].ln())
                    .collect();
                let dense: Vec<f64> = (0..rows)
                    .map(|r| row(r).map(|i| -t[i] * p[i].ln()).sum())
                    .collect();
                let sparse_grad: Vec<f64> = (0..rows * n)
                    .map(|i| g[i / n] * (p[i] - f64::from(u8::from(i % n == ids[i / n] as usize))))
                    .collect();
                let dense_grad: Vec<f64> = (0..rows * n)
                    .map(|i| g[i / n] * (p[i] * t[row(i / n)].iter().sum::<f64>() - t[i]))
                    .collect();
                let mut loss = vec![0.0; rows];
                let mut grad = vec![0.0; rows * n];
                for (classes, want, want_grad) in [
                    (Classes::Int32(&ids), &sparse, &sparse_grad),
                    (Classes::Int64(&wide_ids), &sparse, &sparse_grad),
                    (Classes::Dense(&t), &dense, &dense_grad),
                ] {
                    cross_entropy(&x, classes, n, &mut loss);
                    assert_close(&loss, want, 1e-12);
                    cross_entropy_gradient(&x, classes, &g, n, &mut grad);
                    assert_close(&grad, want_grad, 1e-9);
                }
                let (x, t, g) = (narrow(&x), narrow(&t), narrow(&g));
                let (mut loss, mut grad) = (vec![0f32; rows], vec![0f32; rows * n]);
                cross_entropy(&x, Classes::Dense(&t), n, &mut loss);
                assert_close(&loss, &dense, 1e-5);
                cross_entropy_gradient(&x, Classes::Int32(&ids), &g, n, &mut grad);
                for (got, want) in grad.iter().zip(&sparse_grad) {
                    assert!((f64::from(*got) - want).abs() < 5e-6);
                }
            }
        });
        let (mut loss, mut grad) = ([9f32; 2], [9f32; 4]);
        let classes = Classes::Int32(&[-1, 2]);
        cross_entropy(&[1.0, 2.0, 3.0, 4.0], classes, 2, &mut loss);
        cross_entropy_gradient(&[1.0, 2.0, 3.0, 4.0], classes, &[1.0, 1.0], 2, &mut grad);
        assert_eq!((loss, grad), ([0.0; 2], [0.0; 4]));
    }
}
