//! The elementary functions against `f64`, under every instruction set.
use simd::{Isa, Lanes, Task, dispatch, for_each_isa, math};

/// A function of lanes with the `f64` function that it stands for.
struct Case {
    name: &'static str,
    reference: fn(f64) -> f64,
    /// The least and the greatest argument of the sweep.
    range: (f32, f32),
}

struct Apply<'a>(&'static str, &'a mut [f32]);

impl Task for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for x in self.1.chunks_mut(I::F32::LEN) {
            let v = isa.load_partial(x);
            let y = match self.0 {
                "exp" => math::exp(isa, v),
                "bounded_exp" => math::bounded_exp(isa, v),
                "expm1" => math::expm1(isa, v),
                "log" => math::log(isa, v),
                "log1p" => math::log1p(isa, v),
                "tanh" => math::tanh(isa, v),
                "quick_tanh" => math::quick_tanh(isa, v),
                "sigmoid" => math::sigmoid(isa, v),
                "erf" => math::erf(isa, v),
                "sin" => math::sin(isa, v),
                "cos" => math::cos(isa, v),
                "tan" => math::tan(isa, v),
                "arctan" => math::arctan(isa, v),
                "arcsin" => math::arcsin(isa, v),
                "arccos" => math::arccos(isa, v),
                "arcsinh" => math::arcsinh(isa, v),
                "arccosh" => math::arccosh(isa, v),
                "arctanh" => math::arctanh(isa, v),
                "erfinv" => math::erfinv(isa, v),
                name => panic!("{name}"),
            };
            y.store_partial(x);
        }
    }
}

/// The error function as its series, or its continued fraction where the series cancels.
fn erf(x: f64) -> f64 {
    if x.abs() < 2.5 {
        let (mut sum, mut term) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let t = x.abs();
        let fraction = (1..80).rev().fold(t, |f, k| t + f64::from(k) / 2.0 / f);
        (1.0 - (-t * t).exp() / (fraction * std::f64::consts::PI.sqrt())).copysign(x)
    }
}

/// The inverse of the error function, by Newton's method on [`erf`] or on the logarithm of its complement.
fn erfinv(x: f64) -> f64 {
    let t = x.abs();
    let complement = |y: f64| {
        let fraction = (1..120).rev().fold(y, |f, k| y + f64::from(k) / 2.0 / f);
        (-y * y).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    let mut y = if t < 0.9 { t } else { (-(1.0 - t).ln()).sqrt() };
    for _ in 0..60 {
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp();
        y -= if t < 0.9 {
            (erf(y) - t) / slope
        } else {
            -complement(y) * (complement(y) / (1.0 - t)).ln() / slope
        };
    }
    y.copysign(x)
}

const CASES: [Case; 19] = [
    Case {
        name: "exp",
        reference: f64::exp,
        range: (-87.3, 88.7),
    },
    Case {
        name: "bounded_exp",
        reference: f64::exp,
        range: (-87.3, 88.0),
    },
    Case {
        name: "expm1",
        reference: f64::exp_m1,
        range: (-30.0, 88.7),
    },
    Case {
        name: "log",
        reference: f64::ln,
        range: (1.2e-38, 3e38),
    },
    Case {
        name: "log1p",
        reference: f64::ln_1p,
        range: (-0.999_999, 3e38),
    },
    Case {
        name: "tanh",
        reference: f64::tanh,
        range: (-20.0, 20.0),
    },
    Case {
        name: "sigmoid",
        reference: |x| 1.0 / (1.0 + (-x).exp()),
        range: (-87.0, 40.0),
    },
    Case {
        name: "sigmoid",
        reference: |x| 1.0 / (1.0 + (-x).exp()),
        range: (-8.0, 0.0),
    },
    Case {
        name: "erf",
        reference: erf,
        range: (-6.0, 6.0),
    },
    Case {
        name: "sin",
        reference: f64::sin,
        range: (-20_000.0, 20_000.0),
    },
    Case {
        name: "cos",
        reference: f64::cos,
        range: (-20_000.0, 20_000.0),
    },
    Case {
        name: "tan",
        reference: f64::tan,
        range: (-20_000.0, 20_000.0),
    },
    Case {
        name: "arctan",
        reference: f64::atan,
        range: (-3e38, 3e38),
    },
    Case {
        name: "arcsin",
        reference: f64::asin,
        range: (-1.0, 1.0),
    },
    Case {
        name: "arccos",
        reference: f64::acos,
        range: (-1.0, 1.0),
    },
    Case {
        name: "arcsinh",
        reference: f64::asinh,
        range: (-3e38, 3e38),
    },
    Case {
        name: "arccosh",
        reference: f64::acosh,
        range: (1.0, 3e38),
    },
    Case {
        name: "arctanh",
        reference: f64::atanh,
        range: (-0.999_999_94, 0.999_999_94),
    },
    Case {
        name: "erfinv",
        reference: erfinv,
        range: (-0.999_999_94, 0.999_999_94),
    },
];

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

/// The distance in units of the last place of the true value.
fn ulps(got: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
    (f64::from(got) - expected).abs() / unit
}

#[test]
fn a_quick_tanh_is_within_six_ulps() {
    for_each_isa(|level| {
        let x = sweep((-20.0, 20.0));
        let mut y = x.clone();
        dispatch(Apply("quick_tanh", &mut y));
        for (&x, &y) in x.iter().zip(&y) {
            let error = ulps(y, f64::from(x).tanh());
            assert!(error <= 6.0 && y.abs() <= 1.0, "{level:?} {x:e}: {y}");
        }
        let mut nan = [f32::NAN];
        dispatch(Apply("quick_tanh", &mut nan));
        assert!(nan[0].is_nan());
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

struct ApplyTwo<'a>(&'static str, &'a [f32], &'a mut [f32]);

impl Task for ApplyTwo<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = I::F32::LEN;
        for (x, y) in self.1.chunks(len).zip(self.2.chunks_mut(len)) {
            let (a, b) = (isa.load_partial(x), isa.load_partial(y));
            let z = match self.0 {
                "power" => math::power(isa, a, b),
                "arctan2" => math::arctan2(isa, a, b),
                name => panic!("{name}"),
            };
            z.store_partial(y);
        }
    }
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
        for (name, reference) in [
            ("power", f64::powf as fn(f64, f64) -> f64),
            ("arctan2", f64::atan2),
        ] {
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
            assert!(worst.0 <= 2.1, "{name} under {level:?}: {worst:?}");
        }
    });
}
