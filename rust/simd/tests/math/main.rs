//! The elementary functions against `f64`, under every instruction set.
mod functions;

use simd::{dispatch, for_each_isa};

use functions::{Apply, ApplyTwo, CASES, OF_TWO, erf, ulps};

/// Numbers of a range: evenly spread, and evenly spread in magnitude.
fn sweep((low, high): (f32, f32)) -> Vec<f32> {
    const N: usize = 100_000;
    let even = (0..=N).map(|i| low + (high - low) * (i as f32 / N as f32));
    let powers = (0..=N).flat_map(|i| {
        let x = 2f64.powf(-125.0 + 253.0 * i as f64 / N as f64) as f32;
        [x, -x, 1.0 + x, 1.0 - x]
    });
    even.chain(powers)
        .filter(|x| (low..=high).contains(x))
        .collect()
}

#[test]
fn quick_functions() {
    let functions: [(&str, fn(f64) -> f64, f64); 2] =
        [("quick_tanh", f64::tanh, 6.0), ("quick_erf", erf, 6.0)];
    for_each_isa(|level| {
        for (name, reference, most) in functions {
            let x = sweep((-20.0, 20.0));
            let mut y = x.clone();
            dispatch(Apply(name, &mut y));
            let mut worst = 0.0;
            for (&x, &y) in x.iter().zip(&y) {
                let error = ulps(y, reference(f64::from(x)));
                worst = error.max(worst);
                assert!(
                    error <= most && y.abs() <= 1.0,
                    "{name} {level:?} {x:e}: {y}"
                );
            }
            println!("{level:?} {name} {worst:.2}");
            let mut special = [f32::NAN, f32::INFINITY, -0.0];
            dispatch(Apply(name, &mut special));
            assert!(special[0].is_nan() && special[1] > 0.999_999);
            assert!(special[2] == 0.0 && special[2].is_sign_negative());
        }
    });
}

#[test]
fn within_two_ulps() {
    for_each_isa(|level| {
        for case in CASES {
            let x = sweep(case.range);
            let mut y = x.clone();
            dispatch(Apply(case.name, &mut y));
            let (mut worst, mut at) = (0.0, 0.0);
            for (&x, &y) in x.iter().zip(&y) {
                let error = ulps(y, (case.reference)(f64::from(x)));
                if error > worst || error.is_nan() {
                    (worst, at) = (error, x);
                }
            }
            println!("{level:?} {} {worst:.2} at {at:e}", case.name);
            assert!(
                worst <= 2.0,
                "{} under {level:?}: {worst} ULP at {at:e}",
                case.name
            );
        }
    });
}

#[test]
fn special_values() {
    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    #[rustfmt::skip]
    let table: [(&str, &[(f32, f32)]); 17] = [
        ("exp", &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN), (90.0, INF), (-200.0, 0.0), (1e30, INF)]),
        ("expm1", &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (NAN, NAN), (90.0, INF), (-200.0, -1.0), (1e-30, 1e-30)]),
        ("log", &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN), (1e-40, -92.103_41)]),
        ("log1p", &[(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN), (1e-30, 1e-30)]),
        ("tanh", &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (1e-30, 1e-30), (-1e30, -1.0)]),
        ("sigmoid", &[(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (NAN, NAN), (-200.0, 0.0), (200.0, 1.0)]),
        ("erf", &[(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (1e30, 1.0)]),
        ("sin", &[(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN), (1e-30, 1e-30)]),
        ("cos", &[(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN)]),
        ("tan", &[(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN), (1e-30, 1e-30)]),
        ("arctan", &[(0.0, 0.0), (-0.0, -0.0), (INF, FRAC_PI_2), (-INF, -FRAC_PI_2), (NAN, NAN), (1e-30, 1e-30), (1.0, FRAC_PI_4)]),
        ("arcsin", &[(0.0, 0.0), (-0.0, -0.0), (1.0, FRAC_PI_2), (-1.0, -FRAC_PI_2), (1.1, NAN), (INF, NAN), (NAN, NAN), (1e-30, 1e-30)]),
        ("arccos", &[(0.0, FRAC_PI_2), (1.0, 0.0), (-1.0, PI), (1.1, NAN), (-INF, NAN), (NAN, NAN)]),
        ("arcsinh", &[(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN), (1e-30, 1e-30)]),
        ("arccosh", &[(1.0, 0.0), (0.5, NAN), (-2.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)]),
        ("arctanh", &[(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (INF, NAN), (NAN, NAN), (1e-30, 1e-30)]),
        ("erfinv", &[(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN), (NAN, NAN)]),
    ];
    for_each_isa(|level| {
        for (name, cases) in table {
            for &(x, expected) in cases {
                let mut y = [x];
                dispatch(Apply(name, &mut y));
                let [y] = y;
                let same = y == expected && y.is_sign_negative() == expected.is_sign_negative();
                assert!(
                    same || y.is_nan() && expected.is_nan(),
                    "{name}({x}) = {y}, not {expected}, under {level:?}"
                );
            }
        }
    });
}

/// The special values, ordinary ones and a sweep of magnitudes, each with each.
#[test]
fn of_two_within_two_ulps() {
    let mut values = vec![
        0.0,
        1.0,
        2.0,
        3.0,
        0.5,
        1.5,
        16_777_216.0,
        16_777_217.0,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-40,
        f32::INFINITY,
        f32::NAN,
    ];
    values.extend((0..500).map(|i| 1.6f32.powf(i as f32 * 0.37 - 92.0)));
    values.extend((0..500).map(|i| 0.7 + i as f32 * 0.001_37));
    let values: Vec<f32> = values.iter().flat_map(|&x| [x, -x]).collect();
    for_each_isa(|level| {
        for (name, reference) in OF_TWO {
            let mut worst = (0.0, 0.0, 0.0);
            for &x in &values {
                let mut z = values.clone();
                dispatch(ApplyTwo(name, &vec![x; values.len()], &mut z));
                for (&y, &z) in values.iter().zip(&z) {
                    let expected = reference(x.into(), y.into());
                    let nearest = expected as f32;
                    if nearest.is_nan() || nearest.is_infinite() || nearest.abs() < 1.2e-38 {
                        // At the ends of the range a neighbour will do; zeros and infinities have their signs.
                        let near = (f64::from(z) - expected).abs() <= 3e-7 * expected.abs() + 1e-44
                            || z.is_infinite() && expected.abs() > 3.4028e38;
                        let same = near && z.is_sign_negative() == nearest.is_sign_negative();
                        assert!(
                            same || z == nearest && z != 0.0 || z.is_nan() && nearest.is_nan(),
                            "{name}({x:e}, {y:e}) = {z:e}, not {nearest:e}, under {level:?}"
                        );
                        continue;
                    }
                    let error = ulps(z, expected);
                    if error > worst.0 || error.is_nan() {
                        worst = (error, x, y);
                    }
                }
            }
            println!("{level:?} {name} {worst:?}");
            assert!(worst.0 <= 2.0, "{name} under {level:?}: {worst:?}");
        }
    });
}
