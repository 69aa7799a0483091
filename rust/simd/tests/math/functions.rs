//! The functions of lanes, with those of `f64` that they stand for.
use simd::{Isa, Lanes, Task, math};

/// A function of lanes with the `f64` function that it stands for.
pub struct Case {
    pub name: &'static str,
    pub reference: fn(f64) -> f64,
    /// The least and the greatest argument of the sweep.
    pub range: (f32, f32),
}

pub struct Apply<'a>(pub &'static str, pub &'a mut [f32]);

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
                "quick_erf" => math::quick_erf(isa, v),
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
pub fn erf(x: f64) -> f64 {
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

pub const CASES: [Case; 19] = [
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

pub struct ApplyTwo<'a>(pub &'static str, pub &'a [f32], pub &'a mut [f32]);

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

/// The functions of two numbers.
pub const OF_TWO: [(&str, fn(f64, f64) -> f64); 2] =
    [("power", f64::powf), ("arctan2", f64::atan2)];

/// The distance in units of the last place of the true value.
pub fn ulps(got: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
    (f64::from(got) - expected).abs() / unit
}
