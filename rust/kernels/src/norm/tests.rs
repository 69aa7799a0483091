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
                    let mut scratch = zeros(layer_norm_scratch_len(rows, n));
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

/// y, mean, variance, then dx, dgamma, dbeta; maybe with gradients of the moments, and with bounds.
fn batch<T: Real>(
    x: &[f64],
    g: &[f64],
    [gamma, beta]: [&[f64]; 2],
    extra: bool,
    bounds: Option<[f64; 2]>,
) -> Vec<Vec<T>> {
    let of = |x: &[f64]| x.iter().map(|x| T::from_f64(*x)).collect::<Vec<T>>();
    let (n, rows) = (gamma.len(), x.len() / gamma.len());
    let (x, g, gamma, beta) = (of(x), of(g), of(gamma), of(beta));
    let zeros = |n: usize| vec![T::from_f64(f64::NAN); n];
    let mut scratch = zeros(batch_norm_scratch_len(rows, n));
    let (mut y, mut mean, mut variance) = (zeros(x.len()), zeros(n), zeros(n));
    let norm = BatchNorm {
        gamma: &gamma,
        beta: &beta,
        epsilon: 1e-3,
        bounds,
    };
    batch_norm(&norm, &x, &mut y, &mut mean, &mut variance, &mut scratch);
    let (mut dx, mut dgamma, mut dbeta) = (zeros(x.len()), zeros(n), zeros(n));
    let grads = BatchNormGrads {
        out: &g,
        mean: extra.then_some(&beta[..]),
        variance: extra.then_some(&gamma[..]),
    };
    batch_norm_gradient(
        &norm,
        grads,
        &x,
        &mean,
        &variance,
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
            for (extra, bounds) in [(false, None), (true, None), (false, Some([0.0, 0.8]))] {
                let [low, high] = bounds.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
                let mut want = vec![
                    vec![0.0; rows * n],
                    vec![0.0; n],
                    vec![0.0; n],
                    vec![0.0; rows * n],
                    vec![0.0; n],
                    vec![0.0; n],
                ];
                for c in 0..n {
                    let column = |x: &[f64]| (0..rows).map(|r| x[r * n + c]).collect::<Vec<f64>>();
                    let (xs, mut gs) = (column(&x), column(&g));
                    let (mean, variance) = moments(&xs);
                    let inverse = 1.0 / (variance + 1e-3).sqrt();
                    let y = |x: f64| (x - mean) * inverse * gamma[c] + beta[c];
                    for (x, g) in xs.iter().zip(&mut gs) {
                        if y(*x) <= low || y(*x) >= high {
                            *g = 0.0;
                        }
                    }
                    let dot: f64 = xs
                        .iter()
                        .zip(&gs)
                        .map(|(x, g)| g * (x - mean) * inverse)
                        .sum();
                    let sum: f64 = gs.iter().sum();
                    (want[1][c], want[2][c], want[4][c], want[5][c]) = (mean, variance, dot, sum);
                    let m = rows as f64;
                    for r in 0..rows {
                        let normal = (xs[r] - mean) * inverse;
                        want[0][r * n + c] = y(xs[r]).clamp(low, high);
                        let mut d = gamma[c] * inverse * (gs[r] - sum / m - normal * dot / m);
                        if extra {
                            d += beta[c] / m + gamma[c] * 2.0 * (xs[r] - mean) / m;
                        }
                        want[3][r * n + c] = d;
                    }
                }
                let parameters = [&gamma[..], &beta];
                let exact = batch::<f64>(&x, &g, parameters, extra, bounds);
                for (got, want) in exact.iter().zip(&want) {
                    assert_close(got, want, 1e-9);
                }
                let single = batch::<f32>(&x, &g, parameters, extra, bounds);
                for (got, want) in single.iter().zip(&want) {
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
        let all = batch::<f32>(&x, &g, [&p, &p], false, None);
        set_num_threads(1);
        assert!(batch::<f32>(&x, &g, [&p, &p], false, None) == all);
        set_num_threads(0);
    });
}

/// y, mean, inverse, then dx, dgamma, dbeta.
fn group<T: Real>(
    [images, rows, n, groups]: [usize; 4],
    x: &[f64],
    g: &[f64],
    parameters: Option<[&[f64]; 2]>,
) -> [Vec<T>; 6] {
    let of = |x: &[f64]| x.iter().map(|x| T::from_f64(*x)).collect::<Vec<T>>();
    let (x, g, parameters) = (
        of(x),
        of(g),
        parameters.map(|parameters| parameters.map(of)),
    );
    let norm = GroupNorm {
        images,
        rows,
        n,
        groups,
        gamma: parameters.as_ref().map(|p| &p[0][..]),
        beta: parameters.as_ref().map(|p| &p[1][..]),
    };
    let unset = |len: usize| vec![T::from_f64(f64::NAN); len];
    let (mut y, mut mean, mut inverse) = (
        unset(x.len()),
        unset(images * groups),
        unset(images * groups),
    );
    let mut scratch = unset(norm.scratch_len());
    group_norm(
        norm,
        &x,
        1e-3,
        &mut y,
        &mut mean,
        &mut inverse,
        &mut scratch,
    );
    let (mut dx, mut dgamma, mut dbeta) = (unset(x.len()), unset(n), unset(n));
    let statistics = [&mean[..], &inverse[..]];
    group_norm_gradient(
        norm,
        &g,
        &x,
        statistics,
        &mut dx,
        &mut dgamma,
        &mut dbeta,
        &mut scratch,
    );
    [y, mean, inverse, dx, dgamma, dbeta]
}

#[test]
fn groups() {
    simd::for_each_isa(|_| {
        for sizes in [
            [1, 1, 2, 1],
            [2, 5, 6, 3],
            [3, 700, 8, 8],
            [2, 40, 66, 2],
            [1, 9, 96, 32],
        ] {
            let [images, rows, n, groups] = sizes;
            let len = images * rows * n;
            let x: Vec<f64> = numbers(len, 5).iter().map(|x| x + 10.0).collect();
            let (g, gamma, beta) = (numbers(len, 6), numbers(n, 7), numbers(n, 8));
            for scaled in [false, true] {
                let mut want =
                    [len, images * groups, images * groups, len, n, n].map(|n| vec![0.0; n]);
                let scale = |c: usize| if scaled { gamma[c] } else { 1.0 };
                for image in 0..images {
                    for group in 0..groups {
                        let of = n / groups;
                        let at: Vec<usize> = (0..rows * of)
                            .map(|i| (image * rows + i / of) * n + group * of + i % of)
                            .collect();
                        let xs: Vec<f64> = at.iter().map(|&i| x[i]).collect();
                        let (mean, variance) = moments(&xs);
                        let inverse = 1.0 / (variance + 1e-3).sqrt();
                        want[1][image * groups + group] = mean;
                        want[2][image * groups + group] = inverse;
                        let normal = |i: usize| (x[i] - mean) * inverse;
                        let m = at.len() as f64;
                        let sum = at.iter().map(|&i| g[i] * scale(i % n)).sum::<f64>() / m;
                        let dot = at
                            .iter()
                            .map(|&i| g[i] * scale(i % n) * normal(i))
                            .sum::<f64>()
                            / m;
                        for &i in &at {
                            let shift = if scaled { beta[i % n] } else { 0.0 };
                            want[0][i] = normal(i) * scale(i % n) + shift;
                            want[3][i] = inverse * (g[i] * scale(i % n) - sum - normal(i) * dot);
                            want[4][i % n] += g[i] * normal(i);
                            want[5][i % n] += g[i];
                        }
                    }
                }
                let parameters = scaled.then_some([&gamma[..], &beta[..]]);
                for (got, want) in group::<f64>(sizes, &x, &g, parameters).iter().zip(&want) {
                    assert_close(got, want, 1e-9);
                }
                for (got, want) in group::<f32>(sizes, &x, &g, parameters).iter().zip(&want) {
                    let largest = want.iter().fold(1.0, |a: f64, x| a.max(x.abs()));
                    assert_close(got, want, 6e-5 * largest);
                }
            }
        }
    });
}
