use half::{bf16, f16};
use num_complex::Complex;
use proptest::prelude::*;
use simd::for_each_isa;

use super::*;
use crate::testing::numbers;

/// Numbers without pattern, in -1..1.
fn noise(n: usize) -> Vec<f32> {
    numbers(n, n as u64)
}

/// The elements that fall into each output, in order.
fn groups<E: Copy>(input: &[E], shape: &[usize], axes: &[usize]) -> Vec<Vec<E>> {
    let kept: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
    let mut groups = vec![Vec::new(); kept.iter().map(|&a| shape[a]).product()];
    for (at, &x) in input.iter().enumerate() {
        let mut rest = at;
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        groups[kept.iter().fold(0, |g, &a| g * shape[a] + index[a])].push(x);
    }
    groups
}

fn reduced<E: Reducible>(
    reduction: Reduction,
    input: &[E],
    shape: &[usize],
    axes: &[usize],
) -> Vec<E> {
    let len = (0..shape.len())
        .filter(|a| !axes.contains(a))
        .map(|a| shape[a])
        .product();
    let mut output = vec![E::default(); len];
    let mut scratch = vec![E::Accumulator::default(); reduce_scratch_len(E::DTYPE, shape, axes)];
    reduce(reduction, input, shape, axes, &mut output, &mut scratch);
    output
}

fn log_summed<E: Reducible<Accumulator: LogSumExp>>(
    input: &[E],
    shape: &[usize],
    axes: &[usize],
) -> Vec<E> {
    let len = (0..shape.len())
        .filter(|a| !axes.contains(a))
        .map(|a| shape[a])
        .product();
    let mut output = vec![E::default(); len];
    let mut scratch = vec![E::Accumulator::default(); reduce_scratch_len(E::DTYPE, shape, axes)];
    logsumexp(input, shape, axes, &mut output, &mut scratch);
    output
}

fn close(found: f64, expected: f64, scale: f64) -> bool {
    found == expected || (found - expected).abs() <= 1e-6 * (1.0 + scale)
}

fn check_f32(shape: &[usize], axes: &[usize]) {
    let input = noise(shape.iter().product());
    let groups = groups(&input, shape, axes);
    let found = |reduction| reduced(reduction, &input, shape, axes);
    let (sum, mean, max, min) = (
        found(Reduction::Sum),
        found(Reduction::Mean),
        found(Reduction::Max),
        found(Reduction::Min),
    );
    let logs = log_summed(&input, shape, axes);
    for (at, group) in groups.iter().enumerate() {
        let exact: f64 = group.iter().map(|&x| f64::from(x)).sum();
        let scale: f64 = group.iter().map(|&x| f64::from(x.abs())).sum();
        assert!(
            close(sum[at].into(), exact, scale),
            "{shape:?} {axes:?}: {} for {exact}",
            sum[at]
        );
        if !group.is_empty() {
            assert!(
                close(mean[at].into(), exact / group.len() as f64, 1.0),
                "{shape:?} {axes:?}"
            );
        }
        assert_eq!(
            max[at],
            group.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            "{shape:?} {axes:?}"
        );
        assert_eq!(
            min[at],
            group.iter().copied().fold(f32::INFINITY, f32::min),
            "{shape:?} {axes:?}"
        );
        let log = group.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        assert!(
            close(logs[at].into(), log, 2.0 * log.abs()),
            "{shape:?} {axes:?}: {} for {log}",
            logs[at]
        );
    }
}

#[test]
fn shapes_at_the_edges() {
    for_each_isa(|_| {
        for n in [
            0, 1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 129, 511, 513, 1000, 16383, 16384,
            16385, 40001,
        ] {
            check_f32(&[n], &[0]);
            check_f32(&[3, n], &[1]);
            check_f32(&[n, 3], &[0]);
        }
        for inner in [1, 2, 5, 31, 32, 33, 64, 65, 255, 256, 257, 300] {
            for n in [1, 3, 8, 9, 60, 255, 257, 600] {
                check_f32(&[2, n, inner], &[1]);
            }
        }
        check_f32(&[], &[]);
        check_f32(&[4, 5], &[]);
        check_f32(&[0, 5], &[1]);
        check_f32(&[5, 0], &[1]);
        check_f32(&[70, 40, 70], &[0, 2]);
        check_f32(&[300, 7, 300], &[0, 2]);
        check_f32(&[3, 4, 5, 6, 7], &[0, 2, 4]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_axes((shape, flags) in prop::collection::vec(0usize..9, 0..6).prop_flat_map(|s| {
        let n = s.len();
        (Just(s), prop::collection::vec(any::<bool>(), n))
    })) {
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| flags[a]).collect();
        check_f32(&shape, &axes);

        let input: Vec<i8> = noise(shape.iter().product()).iter().map(|x| (x * 128.0) as i8).collect();
        let groups = groups(&input, &shape, &axes);
        let expect = |f: &dyn Fn(&[i8]) -> i8| -> Vec<i8> { groups.iter().map(|g| f(g)).collect() };
        prop_assert_eq!(reduced(Reduction::Sum, &input, &shape, &axes), expect(&|g| g.iter().fold(0, |a, &x| a.wrapping_add(x))));
        prop_assert_eq!(reduced(Reduction::Prod, &input, &shape, &axes), expect(&|g| g.iter().fold(1, |a, &x| a.wrapping_mul(x))));
        prop_assert_eq!(reduced(Reduction::Max, &input, &shape, &axes), expect(&|g| g.iter().copied().max().unwrap_or(i8::MIN)));
        let bools: Vec<u8> = input.iter().map(|&x| if x > 40 { 7 } else { 0 }).collect();
        let flags = self::groups(&bools, &shape, &axes);
        let any: Vec<u8> = flags.iter().map(|g| g.iter().any(|&x| x != 0).into()).collect();
        let all: Vec<u8> = flags.iter().map(|g| g.iter().all(|&x| x != 0).into()).collect();
        prop_assert_eq!(reduced(Reduction::Any, &bools, &shape, &axes), any);
        prop_assert_eq!(reduced(Reduction::All, &bools, &shape, &axes), all);
    }

    #[test]
    fn positions_and_running_sums(shape in prop::collection::vec(1usize..40, 1..4), axis in 0usize..4, nan in any::<bool>()) {
        let axis = axis % shape.len();
        let mut input: Vec<f32> = noise(shape.iter().product()).iter().map(|x| (x * 8.0).round()).collect();
        if nan {
            let middle = input.len() / 2;
            input[middle] = f32::NAN;
        }
        let groups = groups(&input, &shape, &[axis]);
        let first = |beats: fn(f32, f32) -> bool| -> Vec<i32> {
            groups.iter().map(|g| {
                let mut best = 0;
                for (i, &x) in g.iter().enumerate() {
                    if !g[best].is_nan() && (x.is_nan() || beats(x, g[best])) { best = i; }
                }
                best as i32
            }).collect()
        };
        let mut output = vec![0; groups.len()];
        argmax(&input, &shape, axis, &mut output);
        prop_assert_eq!(&output, &first(|x, best| x > best));
        argmin(&input, &shape, axis, &mut output);
        prop_assert_eq!(&output, &first(|x, best| x < best));

        for reverse in [false, true] {
            let mut sums = vec![0.0; input.len()];
            cumsum(&input, &shape, axis, reverse, &mut sums);
            for (group, sums) in groups.iter().zip(self::groups(&sums, &shape, &[axis])) {
                let mut sum = 0.0;
                for i in 0..group.len() {
                    let i = if reverse { group.len() - 1 - i } else { i };
                    sum += group[i];
                    prop_assert!(sums[i] == sum || sum.is_nan() && sums[i].is_nan());
                }
            }
        }
    }
}

#[test]
fn the_same_bits_for_any_threads_and_lanes() {
    let cases: [(&[usize], &[usize]); 6] = [
        (&[1_000_003], &[0]),
        (&[3, 200_001], &[1]),
        (&[100_001, 5], &[0]),
        (&[1001, 300], &[0]),
        (&[40, 50, 60, 8], &[0, 2]),
        (&[3000, 100], &[1]),
    ];
    for (shape, axes) in cases {
        let input = noise(shape.iter().product());
        let mut seen: Option<Vec<f32>> = None;
        for_each_isa(|_| {
            for threads in [1, 2, 3] {
                crate::threads::set_num_threads(threads);
                let sums = reduced(Reduction::Sum, &input, shape, axes);
                assert_eq!(
                    seen.get_or_insert_with(|| sums.clone()),
                    &sums,
                    "{shape:?} {axes:?}"
                );
            }
            crate::threads::set_num_threads(0);
        });
    }
}

#[test]
fn nan_and_infinity_pass() {
    for n in [3, 20, 200, 20000] {
        for at in [0, n / 2, n - 1] {
            let mut x = noise(n);
            x[at] = f32::NAN;
            for reduction in [
                Reduction::Max,
                Reduction::Min,
                Reduction::Sum,
                Reduction::Mean,
            ] {
                assert!(
                    reduced(reduction, &x, &[n], &[0])[0].is_nan(),
                    "{reduction:?} of {n}"
                );
            }
            assert!(log_summed(&x, &[n], &[0])[0].is_nan());
            x[at] = f32::INFINITY;
            assert_eq!(log_summed(&x, &[n], &[0])[0], f32::INFINITY);
            assert_eq!(reduced(Reduction::Max, &x, &[n], &[0])[0], f32::INFINITY);
        }
        assert_eq!(
            log_summed(&vec![f32::NEG_INFINITY; n], &[n], &[0])[0],
            f32::NEG_INFINITY
        );
        let large = log_summed(&vec![1000.0f32; n], &[n], &[0])[0];
        assert!((large - 1000.0 - (n as f32).ln()).abs() < 1e-3);
    }
}

#[test]
fn halves_are_summed_in_float32() {
    // Passes of any number leave float32 to the last.
    for n in [10, 100, 20_000, 5_000_000] {
        let shape = [3, n];
        let ones = vec![f16::ONE; 3 * n];
        assert_eq!(reduced(Reduction::Mean, &ones, &shape, &[1]), [f16::ONE; 3]);
        assert_eq!(reduced(Reduction::Max, &ones, &shape, &[0, 1]), [f16::ONE]);
        let log = (n as f32).ln() + 1.0;
        assert!((log_summed(&ones, &shape, &[1])[2].to_f32() - log).abs() < 0.02);
    }
    let ones = vec![f16::ONE; 5000];
    assert_eq!(
        reduced(Reduction::Sum, &ones, &[5000], &[0])[0].to_f32(),
        5000.0
    );
    assert_eq!(
        reduced(Reduction::Mean, &vec![bf16::ONE; 5000], &[50, 100], &[0])[7].to_f32(),
        1.0
    );
    let mut sums = vec![bf16::ZERO; 5000];
    cumsum(&vec![bf16::ONE; 5000], &[5000], 0, false, &mut sums);
    assert_eq!(sums[4095].to_f32(), 4096.0);
}

#[test]
fn other_types() {
    let x: Vec<f64> = noise(3000).into_iter().map(f64::from).collect();
    assert!((reduced(Reduction::Sum, &x, &[3000], &[0])[0] - x.iter().sum::<f64>()).abs() < 1e-12);
    assert!(
        (log_summed(&x, &[3000], &[0])[0] - x.iter().map(|x| x.exp()).sum::<f64>().ln()).abs()
            < 1e-12
    );
    let z = [Complex::new(1.0f32, 2.0), Complex::new(3.0, -1.0)];
    assert_eq!(
        reduced(Reduction::Sum, &z, &[2], &[0])[0],
        Complex::new(4.0, 1.0)
    );
    assert_eq!(
        reduced(Reduction::Prod, &z, &[2], &[0])[0],
        Complex::new(5.0, 5.0)
    );
    assert_eq!(reduced(Reduction::Max, &z, &[2], &[0])[0], z[1]);
    let mut products = [0u8; 4];
    cumprod(&[2u8, 3, 5, 100], &[4], 0, false, &mut products);
    assert_eq!(products, [2, 6, 30, 3000u32 as u8]);
}

#[test]
fn a_recurrence_runs_either_way() {
    let (a, b) = ([2, 3, 4, 5], [1, 10, 100, 1000]);
    let mut y = [0; 4];
    recurrence(&a, &b, &[4], 0, false, &mut y);
    assert_eq!(y, [1, 13, 152, 1760]);
    recurrence(&a, &b, &[2, 2], 0, true, &mut y);
    assert_eq!(y, [201, 3010, 100, 1000]);
}

#[test]
fn a_long_float_sum_keeps_its_digits() {
    let n = 10_000_000;
    let sum = reduced(Reduction::Sum, &vec![0.1f32; n], &[n], &[0])[0];
    assert!((f64::from(sum) / (n as f64 * f64::from(0.1f32)) - 1.0).abs() < 1e-6);
}

#[test]
#[should_panic(expected = "extreme of no elements")]
fn the_position_of_nothing_panics() {
    argmax::<f32>(&[], &[0, 3], 0, &mut [0; 3]);
}
