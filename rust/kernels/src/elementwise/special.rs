//! Functions of `f64` that the standard library lacks.
#![allow(clippy::excessive_precision)] // coefficients as they are published
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `c[0] + c[1] x + ...`; without `f64::mul_add`, a slow call where the target has no FMA.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    c.iter().rev().fold(0.0, |sum, &c| sum * x + c)
}

/// The error function, to about one unit in the last place (W. J. Cody, Rational Chebyshev approximations for the error function, 1969).
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a <= 0.46875 {
        let s = x * x;
        let p = polynomial(
            s,
            [
                3.209_377_589_138_469_4e3,
                3.774_852_376_853_020_2e2,
                1.138_641_541_510_501_6e2,
                3.161_123_743_870_565_6,
                1.857_777_061_846_031_5e-1,
            ],
        );
        let q = polynomial(
            s,
            [
                2.844_236_833_439_170_6e3,
                1.282_616_526_077_372_3e3,
                2.440_246_379_344_441_7e2,
                2.360_129_095_234_412_1e1,
                1.0,
            ],
        );
        x * p / q
    } else {
        (1.0 - erfc_tail(a)).copysign(x)
    }
}

/// `1 - erf(x)` without cancellation.
pub fn erfc(x: f64) -> f64 {
    if x.abs() <= 0.46875 {
        1.0 - erf(x)
    } else if x < 0.0 {
        2.0 - erfc_tail(-x)
    } else {
        erfc_tail(x)
    }
}

/// `erfc` of `x > 0.46875`.
fn erfc_tail(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 27.3 {
        return 0.0;
    }
    let r = if x <= 4.0 {
        let p = polynomial(
            x,
            [
                1.230_339_354_797_997_2e3,
                2.051_078_377_826_071_6e3,
                1.712_047_612_634_070_7e3,
                8.819_522_212_417_691e2,
                2.986_351_381_974_001e2,
                6.611_919_063_714_163e1,
                8.883_149_794_388_377,
                5.641_884_969_886_701e-1,
                2.153_115_354_744_038_3e-8,
            ],
        );
        let q = polynomial(
            x,
            [
                1.230_339_354_803_749_4e3,
                3.439_367_674_143_721_6e3,
                4.362_619_090_143_247e3,
                3.290_799_235_733_459_7e3,
                1.621_389_574_566_690_3e3,
                5.371_811_018_620_099e2,
                1.176_939_508_913_125e2,
                1.574_492_611_070_983_5e1,
                1.0,
            ],
        );
        p / q
    } else {
        let s = 1.0 / (x * x);
        let p = polynomial(
            s,
            [
                6.587_491_615_298_378e-4,
                1.608_378_514_874_227_5e-2,
                1.257_817_261_112_292_6e-1,
                3.603_448_999_498_044_5e-1,
                3.053_266_349_612_323_6e-1,
                1.631_538_713_730_209_7e-2,
            ],
        );
        let q = polynomial(
            s,
            [
                2.335_204_976_268_691_8e-3,
                6.051_834_131_244_132e-2,
                5.279_051_029_514_285e-1,
                1.872_952_849_923_467_2,
                2.568_520_192_289_822,
                1.0,
            ],
        );
        const FRAC_1_SQRT_PI: f64 = 0.564_189_583_547_756_3;
        (FRAC_1_SQRT_PI - s * p / q) / x
    };
    // exp(-x^2) in two factors, of which the first has an exact argument.
    let coarse = (x * 16.0).trunc() / 16.0;
    let rest = (x - coarse) * (x + coarse);
    (-coarse * coarse).exp() * (-rest).exp() * r
}

/// The inverse of the error function: a first guess (M. Giles, Approximating the erfinv function, 2010), then two steps of Halley's method.
pub fn erfinv(x: f64) -> f64 {
    let a = x.abs();
    if a >= 1.0 || a.is_nan() {
        return if a == 1.0 {
            f64::INFINITY.copysign(x)
        } else {
            f64::NAN
        };
    }
    let w = -((1.0 - a) * (1.0 + a)).ln();
    let guess = if w < 5.0 {
        polynomial(
            w - 2.5,
            [
                1.501_409_41,
                0.246_640_727,
                -0.004_177_681_64,
                -0.001_253_725_03,
                0.000_218_580_87,
                -4.391_506_54e-6,
                -3.523_387_7e-6,
                3.432_739_39e-7,
                2.810_226_36e-8,
            ],
        )
    } else {
        polynomial(
            w.sqrt() - 3.0,
            [
                2.832_976_82,
                1.001_674_06,
                0.009_438_870_47,
                -0.007_622_461_3,
                0.005_739_507_73,
                -0.003_676_423_4,
                0.001_349_343_22,
                0.000_100_950_558,
                -0.000_200_214_257,
            ],
        )
    };
    let mut y = guess * a;
    for _ in 0..2 {
        // Near one the complement keeps the digits.
        let error = if a < 0.5 {
            erf(y) - a
        } else {
            (1.0 - a) - erfc(y)
        };
        let step = error / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// Quantile of the standard normal distribution at `p` in (0, 1).
pub fn normal_quantile(p: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfinv(2.0 * p - 1.0)
}

/// Distribution function of the standard normal distribution.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// `sin(pi x)`, exactly zero at integers.
fn sin_pi(x: f64) -> f64 {
    let r = x % 2.0;
    let n = (2.0 * r).round();
    let t = PI * (r - 0.5 * n);
    match n as i64 & 3 {
        0 => t.sin(),
        1 => t.cos(),
        2 => -t.sin(),
        _ => -t.cos(),
    }
}

/// The logarithm of the absolute value of the gamma function.
pub fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::INFINITY;
    }
    if x < 0.5 {
        if x == x.floor() && x <= 0.0 {
            return f64::INFINITY;
        }
        return (PI / sin_pi(x).abs()).ln() - lgamma(1.0 - x);
    }
    // ln Γ(1 + t) = sum of (-1)^k ζ(k) t^k / k has no cancellation around the zeros at 1 and 2.
    if (0.5..=1.5).contains(&x) {
        return lgamma_near_one(x - 1.0);
    }
    if x <= 2.5 {
        let t = x - 2.0;
        return lgamma_near_one(t) + t.ln_1p();
    }
    let mut x = x;
    let mut product = 1.0;
    while x < 10.0 {
        product *= x;
        x += 1.0;
    }
    let s = 1.0 / (x * x);
    let series = polynomial(
        s,
        [
            1.0 / 12.0,
            -1.0 / 360.0,
            1.0 / 1260.0,
            -1.0 / 1680.0,
            1.0 / 1188.0,
            -691.0 / 360_360.0,
            1.0 / 156.0,
            -3617.0 / 122_400.0,
        ],
    ) / x;
    const HALF_LN_2PI: f64 = 0.918_938_533_204_672_8;
    (x - 0.5) * x.ln() - x + HALF_LN_2PI + series - product.ln()
}

/// `lgamma(1 + t)` for |t| <= 1/2.
fn lgamma_near_one(t: f64) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    /// ζ(k) - 1 for k = 2, 3, ...; the ones sum to `t - ln(1 + t)`.
    const ZETA: [f64; 30] = [
        0.644_934_066_848_226_4,
        0.202_056_903_159_594_29,
        0.082_323_233_711_138_19,
        0.036_927_755_143_369_93,
        0.017_343_061_984_449_14,
        0.008_349_277_381_922_827,
        0.004_077_356_197_944_34,
        0.002_008_392_826_082_214,
        0.000_994_575_127_818_085_3,
        0.000_494_188_604_119_464_6,
        0.000_246_086_553_308_048_3,
        0.000_122_713_347_578_489_15,
        6.124_813_505_870_483e-5,
        3.058_823_630_702_049_4e-5,
        1.528_225_940_865_187_2e-5,
        7.637_197_637_899_762e-6,
        3.817_293_264_999_84e-6,
        1.908_212_716_553_939e-6,
        9.539_620_338_727_961e-7,
        4.769_329_867_878_064_6e-7,
        2.384_505_027_277_33e-7,
        1.192_199_259_653_110_7e-7,
        5.960_818_905_125_948e-8,
        2.980_350_351_465_228e-8,
        1.490_155_482_836_504_2e-8,
        7.450_711_789_835_43e-9,
        3.725_334_024_788_457e-9,
        1.862_659_723_513_049e-9,
        9.313_274_324_196_682e-10,
        4.656_629_065_033_784e-10,
    ];
    let mut sum = 0.0;
    for (i, zeta) in ZETA.iter().enumerate().rev() {
        let k = (i + 2) as f64;
        let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
        sum = sum * t + sign * zeta / k;
    }
    (1.0 - EULER) * t - t.ln_1p() + t * t * sum
}

/// The derivative of `lgamma`.
pub fn digamma(x: f64) -> f64 {
    if x == f64::NEG_INFINITY || (x <= 0.0 && x == x.floor()) {
        return f64::NAN;
    }
    if x < 0.0 {
        let r = x - x.round();
        return digamma(1.0 - x) - PI / (PI * r).tan();
    }
    let mut x = x;
    let mut sum = 0.0;
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let s = 1.0 / (x * x);
    let series = s * polynomial(
        s,
        [
            1.0 / 12.0,
            -1.0 / 120.0,
            1.0 / 252.0,
            -1.0 / 240.0,
            1.0 / 132.0,
            -691.0 / 32_760.0,
            1.0 / 12.0,
        ],
    );
    sum + x.ln() - 0.5 / x - series
}

/// `ln(1 + e^x)`.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}
