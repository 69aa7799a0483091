//! Elementary functions over lanes of `f32`, within 2.1 ULP of the true value.
//!
//! Special values are those of C: infinities, NaN and signed zeros come out as expected unless said otherwise.
//! The polynomials are minimax fits of the remainder after the leading terms of each series.
use crate::{F32Lanes, Float, I32Lanes, Isa, Lanes, Mask};

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(isa: I, x: I::F32, c: [f32; N]) -> I::F32 {
    let mut sum = isa.splat(c[N - 1]);
    for &c in c[..N - 1].iter().rev() {
        sum = sum.mul_add(x, isa.splat(c));
    }
    sum
}

/// `2^n` for `n` in -126..=127.
#[inline(always)]
fn power_of_two<I: Isa>(isa: I, n: I::I32) -> I::F32 {
    I::F32::from_bits((n + isa.splat_i32(127)).shl::<23>())
}

// Parts of ln 2: the product of the first with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `n` and `e^r - 1` where `x = n ln 2 + r` and `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_parts<I: Isa>(isa: I, x: I::F32) -> (I::I32, I::F32) {
    let n = (x * isa.splat(std::f32::consts::LOG2_E)).round();
    let r = n.neg_mul_add(isa.splat(LN_2_HIGH), x);
    let r = n.neg_mul_add(isa.splat(LN_2_LOW), r);
    let q = polynomial(
        isa,
        r,
        [
            0.5,
            0.166_666_67,
            4.166_627e-2,
            8.333_264e-3,
            1.394_610_4e-3,
            1.991_842_7e-4,
        ],
    );
    (n.trunc_i32(), (r * r).mul_add(q, r))
}

/// `e^x`.
#[inline(always)]
pub fn exp<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // Bounds beyond which the result is 0 or infinity; NaN passes, as the second operand of `min` and `max`.
    let x = isa.splat(89.0).min(isa.splat(-104.0).max(x));
    let (n, p) = exp_parts(isa, x);
    // In two steps, for 2^n itself may leave the range.
    let half = n.shr::<1>();
    (p + isa.splat(1.0)) * power_of_two(isa, half) * power_of_two(isa, n - half)
}

/// `e^x - 1`.
#[inline(always)]
pub fn expm1<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let clamped = isa.splat(89.0).min(isa.splat(-18.0).max(x));
    let (n, p) = exp_parts(isa, clamped);
    // Half of the scale, for 2^128 is out of range.
    let scale = power_of_two(isa, n - isa.splat_i32(1));
    let y = p.mul_add(scale, scale - isa.splat(0.5));
    // Where n = 0, and for the sign of zero, the polynomial is the result.
    (y + y).select(clamped.abs().gt(isa.splat(0.346)), p.copysign(x))
}

/// The natural logarithm of `1 + f` for `sqrt(1/2) - 1 <= f <= sqrt(2) - 1`, and `n ln 2` added.
#[inline(always)]
fn log_parts<I: Isa>(isa: I, f: I::F32, n: I::F32) -> I::F32 {
    let p = polynomial(
        isa,
        f,
        [
            0.333_333_13,
            -0.250_000_1,
            0.200_021_19,
            -0.166_679_96,
            0.142_195_52,
            -0.124_055_89,
            0.118_881_62,
            -0.116_756_52,
            6.746_64e-2,
        ],
    );
    let square = f * f;
    let y = n.mul_add(isa.splat(LN_2_LOW), square * f * p);
    let y = square.neg_mul_add(isa.splat(0.5), y);
    n.mul_add(isa.splat(LN_2_HIGH), f + y)
}

/// `f` and `n` with `x = 2^n (1 + f)`, for normal `x > 0`.
#[inline(always)]
fn split<I: Isa>(isa: I, x: I::F32) -> (I::F32, I::I32) {
    let bits = x.to_bits();
    // The exponent as it is relative to sqrt(1/2).
    let n = (bits - isa.splat_i32(0x3f35_04f3)).shr::<23>();
    let m = I::F32::from_bits(bits - n.shl::<23>());
    (m - isa.splat(1.0), n)
}

/// The natural logarithm.
#[inline(always)]
pub fn log<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let small = x.lt(isa.splat(f32::MIN_POSITIVE));
    let scaled = (x * isa.splat(8_388_608.0)).select(small, x);
    let shift = isa.splat_i32(23).select(small, isa.splat_i32(0));
    let (f, n) = split(isa, scaled);
    let y = log_parts(isa, f, I::F32::from_i32(n - shift));
    log_limits(isa, x, y)
}

/// `y`, or what a logarithm gives at the ends of its domain and beyond.
#[inline(always)]
fn log_limits<I: Isa>(isa: I, x: I::F32, y: I::F32) -> I::F32 {
    let infinity = isa.splat(f32::INFINITY);
    let y = y.select(x.lt(infinity), x); // infinity and NaN
    let y = y.select(
        x.eq(isa.splat(0.0)) | x.gt(isa.splat(0.0)) | x.is_nan(),
        isa.splat(f32::NAN),
    );
    (-infinity).select(x.eq(isa.splat(0.0)), y)
}

/// The natural logarithm of `1 + x`.
#[inline(always)]
pub fn log1p<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let one = isa.splat(1.0);
    let u = x + one;
    let (f, n) = split(isa, u);
    // What the sum lost, as a share of u.
    let lost = (x - (u - one)).select(x.lt(one), one - (u - x));
    let f = f
        + (lost * power_of_two(isa, isa.splat_i32(0) - n))
            .select(n.lt(isa.splat_i32(100)), isa.splat(0.0));
    let y = log_limits(isa, u, log_parts(isa, f, I::F32::from_i32(n)));
    y.select(x.abs().gt(isa.splat(1e-7)) | u.is_nan(), x)
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = isa.splat(10.0).min(x.abs());
    let square = t * t;
    let p = polynomial(
        isa,
        square,
        [
            -0.333_333_16,
            0.133_325_86,
            -5.385_231e-2,
            2.107_168e-2,
            -6.274_24e-3,
        ],
    );
    let near = (t * square).mul_add(p, t);
    // 1 - 2 / (e^2x + 1), which is 1 beyond 10.
    let one = isa.splat(1.0);
    let far = one - isa.splat(2.0) / (exp(isa, t + t) + one);
    far.select(t.gt(isa.splat(0.55)), near).copysign(x)
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // As e^x / (1 + e^x) on the negative side, where the other form would round twice as much.
    let one = isa.splat(1.0);
    let e = exp(isa, -x.abs());
    e.select(x.lt(isa.splat(0.0)), one) / (one + e)
}

/// The error function.
#[inline(always)]
pub fn erf<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = x.abs();
    let p = polynomial(
        isa,
        t * t,
        [
            0.128_379_17,
            -0.376_126_35,
            0.112_837_15,
            -2.686_050_9e-2,
            5.203_86e-3,
            -8.175_646e-4,
            8.513_13e-5,
        ],
    );
    let near = t.mul_add(p, t);
    // 1 - e^(-t q(t)), which is 1 beyond 4.
    let t = isa.splat(4.0).min(t);
    let q = polynomial(
        isa,
        t,
        [
            1.128_541_5,
            0.635_673_17,
            0.105_169_48,
            -2.257_560_4e-2,
            2.869_113_3e-3,
            -2.743_229_6e-5,
            -4.994_106e-5,
            5.297_051_3e-6,
        ],
    );
    let far = isa.splat(1.0) - exp(isa, -(t * q));
    far.select(t.gt(isa.splat(0.9)), near).copysign(x)
}

/// The sine.
#[inline(always)]
pub fn sin<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // Near zero x itself, for the sign of zero.
    sin_quarter(isa, x, 0, f64::sin).select(x.abs().gt(isa.splat(1e-4)), x)
}

/// The cosine.
#[inline(always)]
pub fn cos<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    sin_quarter(isa, x, 1, f64::cos)
}

/// `sin(x + quarter pi / 2)`; `far` computes the lanes which are too large for the fast reduction.
#[inline(always)]
fn sin_quarter<I: Isa>(isa: I, x: I::F32, quarter: i32, far: fn(f64) -> f64) -> I::F32 {
    // The parts of pi / 2: products of the first three with n < 2^13 are exact.
    const PARTS: [f32; 4] = [1.570_312_5, 4.837_513e-4, 7.549_533_6e-8, 2.563_344e-12];
    const LIMIT: f32 = 8192.0;

    let n = (x * isa.splat(std::f32::consts::FRAC_2_PI)).round();
    let mut r = x;
    for part in PARTS {
        r = n.neg_mul_add(isa.splat(part), r);
    }
    let square = r * r;
    let s = polynomial(
        isa,
        square,
        [-0.166_666_67, 8.333_329e-3, -1.983_933_3e-4, 2.718_302e-6],
    );
    let s = (s * square).mul_add(r, r);
    let c = polynomial(
        isa,
        square,
        [4.166_664_6e-2, -1.388_736_7e-3, 2.443_835_7e-5],
    );
    let c = (c * square).mul_add(square, square.neg_mul_add(isa.splat(0.5), isa.splat(1.0)));

    let n = n.trunc_i32() + isa.splat_i32(quarter);
    let one = isa.splat_i32(1);
    let y = s.select((n & one).eq(isa.splat_i32(0)), c);
    let sign = (n & isa.splat_i32(2)).shl::<30>();
    let y = I::F32::from_bits(y.to_bits() ^ sign);

    let large = x.abs().gt(isa.splat(LIMIT));
    if !large.any() {
        return y;
    }
    let (mut xs, mut ys) = ([0.0f32; 16], [0.0f32; 16]);
    x.store_partial(&mut xs);
    y.store_partial(&mut ys);
    for (y, &x) in ys.iter_mut().zip(&xs) {
        if x.abs() > LIMIT {
            *y = far(f64::from(x)) as f32;
        }
    }
    isa.load_partial(&ys)
}
