//! Transforms against their definition.
use simd::for_each_isa;

use super::*;
use crate::testing::numbers;
use crate::threads::set_num_threads;

/// One result of a row, by its definition.
fn naive<S: Number>(t: Transform, n: usize, re: &[S], im: &[S], k: usize) -> [f64; 2] {
    let sign = if matches!(t, Transform::Backward | Transform::ToReal) {
        1.0
    } else {
        -1.0
    };
    let mut sum = [0.0; 2];
    for j in 0..re.len() {
        let [c, s] = root::<f64>(j * k, n);
        let (re, im) = (re[j].to_f64(), im.get(j).map_or(0.0, |x| x.to_f64()));
        sum[0] += re * c - im * s * sign;
        sum[1] += im * c + re * s * sign;
    }
    sum
}

fn check<S: Number>(t: Transform, rows: usize, n: usize, tolerance: f64) {
    let complex = t.complex_len(n);
    let (inputs, outputs) = match t {
        Transform::FromReal => ([n, 0], [complex; 2]),
        Transform::ToReal => ([complex; 2], [n, 0]),
        _ => ([n; 2], [n; 2]),
    };
    let x: [Vec<S>; 2] = [0, 1].map(|i| numbers(rows * inputs[i], n as u64 + i as u64));
    let mut before: Option<[Vec<S>; 2]> = None;
    for threads in [1, 3] {
        set_num_threads(threads);
        let mut y: [Vec<S>; 2] = [0, 1].map(|i| vec![S::from_f64(9.0); rows * outputs[i]]);
        let mut scratch = vec![f64::NAN; scratch_len(t, rows, n)];
        let [re, im] = &mut y;
        run(t, rows, n, [&x[0], &x[1]], [re, im], &mut scratch);
        if let Some(before) = &before {
            assert!(*before == y, "{t:?} {rows} x {n}: threads change bits");
        }
        before = Some(y);
    }
    set_num_threads(0);
    let y = before.unwrap();
    // All results of small sizes, some of large ones.
    let step = if outputs[0] < 300 { 1 } else { outputs[0] / 50 };
    for row in 0..rows {
        let part = |i: usize| &x[i][row * inputs[i]..(row + 1) * inputs[i]];
        let (mut error, mut norm) = (0.0, 0.0);
        for k in (0..outputs[0]).step_by(step) {
            let expected = naive(t, n, part(0), part(1), k);
            for i in 0..2 {
                if outputs[i] > 0 {
                    let got = y[i][row * outputs[i] + k].to_f64();
                    error += (got - expected[i]).powi(2);
                    norm += expected[i].powi(2);
                }
            }
        }
        assert!(
            error.sqrt() <= tolerance * norm.sqrt() + 1e-30,
            "{t:?} {rows} x {n}: {:e}",
            (error / norm).sqrt()
        );
    }
}

const ALL: [Transform; 4] = [
    Transform::Forward,
    Transform::Backward,
    Transform::FromReal,
    Transform::ToReal,
];

#[test]
fn every_size() {
    for_each_isa(|_| {
        for t in ALL {
            for n in (1..=130).chain([251, 509, 1000, 1024, 1155]) {
                for rows in [1, 5] {
                    check::<f32>(t, rows, n, 5e-7);
                    check::<f64>(t, rows, n, 1e-14);
                }
            }
        }
    });
}

#[test]
fn large_sizes_and_many_rows() {
    for_each_isa(|_| {
        for t in ALL {
            for (rows, n) in [
                (1, 4096),
                (2, 44_100),
                (1, 44_101),
                (19, 400),
                (40, 17),
                (33, 64),
            ] {
                check::<f32>(t, rows, n, 5e-7);
                check::<f64>(t, rows, n, 1e-13);
            }
        }
    });
}
