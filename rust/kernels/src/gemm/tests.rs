use super::*;
use crate::activation::Activation;
use crate::testing::numbers;
use crate::threads::set_num_threads;
use half::{bf16, f16};
use num_complex::Complex;
use proptest::prelude::*;
use simd::{Level, for_each_isa};

/// One product of every kind; `transposed` says which operands lie transposed.
#[derive(Clone, Copy, Debug)]
struct Case {
    size: [usize; 3],
    transposed: [bool; 2],
    /// What the sums begin with: 1 the bias, 2 the output, 3 both.
    start: usize,
    activation: Option<Activation>,
    packed: bool,
    padding: usize,
}

/// Runs the case and compares it with sums in `f64`.
fn check<T: Real + From<f32> + Into<f64>>(case: Case, level: Level, epsilon: f64) -> Vec<T> {
    let [m, n, k] = case.size;
    let (a, b): (Vec<T>, Vec<T>) = (numbers(m * k, 1), numbers(k * n, 2));
    let bias: Vec<T> = numbers(n, 3);
    let stride = n + case.padding;
    let before: Vec<T> = numbers(m * stride, 4);
    let left = Strided::left(&a, m, k, case.transposed[0]);
    let right = Strided::right(&b, k, n, case.transposed[1]);
    let mut panels = vec![T::default(); Packed::<T>::len(level, n, k)];
    let right: Side<T> = if case.packed {
        Packed::pack(level, &right, n, k, &mut panels).into()
    } else {
        right.into()
    };
    let (with_bias, add) = (case.start & 1 != 0, case.start & 2 != 0);
    let gemm = Gemm::new(m, n, k, left, right).epilogue(Epilogue {
        bias: with_bias.then_some(&bias[..]),
        add,
        activation: case.activation,
    });
    let mut c = before.clone();
    let mut scratch = vec![T::default(); gemm.scratch_len()];
    gemm.run(&mut c, stride, &mut scratch);
    let tolerance = epsilon * (k + 2) as f64;
    for i in 0..m {
        for j in 0..stride {
            let got: f64 = c[i * stride + j].into();
            let old: f64 = before[i * stride + j].into();
            if j >= n {
                assert_eq!(got, old, "{case:?} under {level:?} wrote beyond row {i}");
                continue;
            }
            let mut sum = if add { old } else { 0.0 };
            sum += if with_bias { bias[j].into() } else { 0.0 };
            for d in 0..k {
                let x: f64 = a[if case.transposed[0] {
                    d * m + i
                } else {
                    i * k + d
                }]
                .into();
                let y: f64 = b[if case.transposed[1] {
                    j * k + d
                } else {
                    d * n + j
                }]
                .into();
                sum += x * y;
            }
            let sum = case.activation.map_or(sum, |f| f.of_f64()(sum));
            assert!(
                (got - sum).abs() <= tolerance,
                "{case:?} under {level:?}: c[{i}, {j}] = {got}, not {sum}"
            );
        }
    }
    c
}

/// The cases of a size: transpositions, starts, packing.
fn cases(size: [usize; 3]) -> impl Iterator<Item = Case> {
    (0..32).map(move |i| Case {
        size,
        transposed: [i & 1 != 0, i & 2 != 0],
        packed: i & 4 != 0,
        start: i / 8,
        activation: [None, Some(Activation::Relu), Some(Activation::Tanh)][i % 3],
        padding: i % 2 * 3,
    })
}

#[test]
fn sizes_at_tile_edges() {
    for_each_isa(|level| {
        for size in [
            [1, 1, 1],
            [1, 5, 3],
            [5, 1, 3],
            [2, 16, 0],
            [6, 16, 8],
            [7, 17, 9],
            [12, 33, 31],
            [13, 31, 16],
            [14, 32, 64],
            [15, 48, 17],
            [28, 64, 5],
            [29, 65, 33],
            [31, 7, 40],
            [3, 200, 70],
            [70, 3, 300],
        ] {
            for case in cases(size) {
                check::<f32>(case, level, 2.4e-7);
                check::<f64>(case, level, 4.5e-16);
            }
        }
    });
}

#[test]
fn slices_of_the_depth() {
    for_each_isa(|level| {
        for size in [[7, 20, 2100], [20, 7, 4099]] {
            for case in cases(size).step_by(3) {
                check::<f32>(case, level, 2.4e-7);
            }
            check::<f64>(cases(size).last().unwrap(), level, 4.5e-16);
        }
    });
}

#[test]
fn sizes_of_several_blocks() {
    for_each_isa(|level| {
        // The rows of the last are 4 KiB apart, where they lie in one piece.
        for size in [
            [130, 140, 700],
            [1100, 40, 300],
            [20, 1300, 300],
            [27, 40, 1024],
        ] {
            for case in cases(size).step_by(3) {
                check::<f32>(case, level, 2.4e-7);
            }
        }
    });
}

#[test]
fn vectors() {
    for_each_isa(|level| {
        for (lines, k) in [(1, 1), (3, 40), (17, 33), (130, 100), (2100, 70), (5, 2000)] {
            for size in [[1, lines, k], [lines, 1, k]] {
                for case in cases(size) {
                    check::<f32>(case, level, 2.4e-7);
                    check::<f64>(case, level, 4.5e-16);
                }
            }
        }
    });
}

#[test]
fn threads_do_not_change_a_bit() {
    for_each_isa(|level| {
        for size in [
            [300, 300, 500],
            [30, 3000, 300],
            [5000, 20, 100],
            [1, 5000, 600],
            [5000, 1, 600],
        ] {
            for case in cases(size).step_by(7) {
                let results = [1, 2, 5].map(|threads| {
                    set_num_threads(threads);
                    check::<f32>(case, level, 2.4e-7)
                });
                assert!(
                    results[0] == results[1] && results[0] == results[2],
                    "{case:?} under {level:?}"
                );
            }
        }
        set_num_threads(0);
    });
}

#[test]
fn every_activation() {
    for_each_isa(|level| {
        for (_, activation) in Activation::ALL {
            let case = Case {
                size: [15, 37, 20],
                transposed: [false; 2],
                start: 1,
                activation: Some(activation),
                packed: false,
                padding: 1,
            };
            check::<f32>(case, level, 5e-7);
            check::<f64>(case, level, 1e-15);
        }
    });
}

/// Activations that only cut sums off leave what is no number, and the infinite sums that they allow.
#[test]
fn bounds_keep_what_is_no_number() {
    for_each_isa(|_| {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let a = [nan, inf, -inf, 2.0, 9.0, -3.0, 0.0];
        for (activation, expected) in [
            (None, a),
            (Some(Activation::Relu), [nan, inf, 0.0, 2.0, 9.0, 0.0, 0.0]),
            (Some(Activation::Relu6), [nan, 6.0, 0.0, 2.0, 6.0, 0.0, 0.0]),
        ] {
            let ones = [1.0; 17];
            let (left, right) = (
                Strided::left(&a, 7, 1, false),
                Strided::right(&ones, 1, 17, false),
            );
            let gemm = Gemm::new(7, 17, 1, left, right).epilogue(Epilogue {
                activation,
                ..Epilogue::default()
            });
            let mut c = vec![0.0; 7 * 17];
            gemm.run(&mut c, 17, &mut vec![0.0; gemm.scratch_len()]);
            for (row, expected) in c.chunks(17).zip(expected) {
                assert!(
                    row.iter().all(|x| x.to_bits() == expected.to_bits()),
                    "{activation:?} gives {row:?}, not {expected}"
                );
            }
        }
    });
}

#[test]
fn batches() {
    for_each_isa(|level| {
        let (count, [m, n, k]) = (7, [9, 21, 13]);
        let (a, b): (Vec<f32>, Vec<f32>) = (numbers(count * m * k, 1), numbers(k * n, 2));
        let lefts: Vec<_> = a
            .chunks(m * k)
            .map(|a| Strided::left(a, m, k, false))
            .collect();
        let right = Strided::right(&b, k, n, true);
        let mut c = vec![0.0; count * m * n];
        let mut scratch = vec![0.0; scratch_len::<f32>(count, m, n, k)];
        let product = |i: usize| Gemm::new(m, n, k, lefts[i], right);
        batched(count, [m, n, k], product, &mut c, &mut scratch);
        for (i, c) in c.chunks(m * n).enumerate() {
            let mut alone = vec![0.0; m * n];
            product(i).run(&mut alone, n, &mut scratch);
            assert_eq!(c, alone, "{level:?}");
        }
    });
}

/// The naive product of row-major matrices.
fn naive<T: Ring>([m, n, k]: [usize; 3], a: &[T], b: &[T]) -> Vec<T> {
    let sum = |i: usize, j: usize| {
        (0..k).fold(T::default(), |c, d| {
            T::mul_add(a[i * k + d], b[d * n + j], c)
        })
    };
    (0..m * n).map(|x| sum(x / n, x % n)).collect()
}

#[test]
fn rings() {
    let size @ [m, n, k] = [5, 7, 11];
    let a: Vec<i8> = (0..m * k).map(|i| (i * 37) as i8).collect();
    let b: Vec<i8> = (0..k * n).map(|i| (i * 91) as i8).collect();
    let mut c = vec![0i8; m * n];
    matmul_ring(
        size,
        Strided::left(&a, m, k, false),
        Strided::right(&b, k, n, false),
        &mut c,
    );
    assert_eq!(c, naive(size, &a, &b));

    let complex = |len: usize, seed| -> Vec<Complex<f64>> {
        let parts: Vec<f64> = numbers(2 * len, seed);
        parts.chunks(2).map(|x| Complex::new(x[0], x[1])).collect()
    };
    let (a, b) = (complex(m * k, 1), complex(k * n, 2));
    let transposed: Vec<_> = (0..n * k).map(|x| b[x % k * n + x / k]).collect();
    let mut c = vec![Complex::default(); m * n];
    matmul_ring(
        size,
        Strided::left(&a, m, k, false),
        Strided::right(&transposed, k, n, true),
        &mut c,
    );
    assert_eq!(c, naive(size, &a, &b));
}

fn check_half<H: Half>(to: fn(f32) -> H, from: fn(H) -> f32, epsilon: f32) {
    for size @ [m, n, k] in [[1, 1, 1], [17, 40, 70], [3, 9, 130], [40, 5, 3]] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            let round = |x: Vec<f32>| x.into_iter().map(to).collect::<Vec<H>>();
            let (a, b) = (round(numbers(m * k, 1)), round(numbers(k * n, 2)));
            let bias = round(numbers(n, 3));
            let mut c = vec![to(0.0); m * n];
            let mut scratch = vec![0.0; half_scratch_len(size)];
            let (left, right) = (
                Strided::left(&a, m, k, transposed[0]),
                Strided::right(&b, k, n, transposed[1]),
            );
            matmul_half(
                size,
                left,
                right,
                Some(&bias),
                Some(Activation::Relu),
                &mut c,
                &mut scratch,
            );
            for (x, &got) in c.iter().enumerate() {
                let (i, j) = (x / n, x % n);
                let terms = (0..k).map(|d| from(left.item(i, d)) * from(right.item(j, d)));
                let sum = (from(bias[j]) + terms.sum::<f32>()).max(0.0);
                assert!(
                    (from(got) - sum).abs() <= epsilon * (1.0 + sum),
                    "{size:?} {transposed:?}: {} {sum}",
                    from(got)
                );
            }
        }
    }
}

#[test]
fn half_floats() {
    for_each_isa(|_| {
        check_half::<f16>(f16::from_f32, f16::to_f32, 6e-4);
        check_half::<bf16>(bf16::from_f32, bf16::to_f32, 5e-3);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_shape(m in 0usize..70, n in 0usize..100, k in 0usize..90, kind in 0usize..32) {
        let case = cases([m, n, k]).nth(kind).expect("32 cases");
        for_each_isa(|level| {
            check::<f32>(case, level, 2.4e-7);
        });
    }
}
