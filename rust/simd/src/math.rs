//! Elementary functions over lanes of `f32`, within 2 ULP of the true value, but for those that are called quick.
//!
//! Special values are those of C: infinities, NaN and signed zeros come out as expected unless said otherwise.
//! The polynomials are minimax fits of the remainder after the leading terms of each series.
use crate::{F32Lanes, Float, I32Lanes, Isa, Lanes, Level, Mask};

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(isa: I, x: I::F32, c: [f32; N]) -> I::F32 {
    let mut sum = isa.splat(c[N - 1]);
    for &c in c[..N - 1].iter().rev() {
        sum = sum.mul_add(x, isa.splat(c));
    }
    sum
}

/// As [`polynomial`] of eight coefficients, in pairs: fewer steps wait for each other.
#[inline(always)]
fn polynomial_in_pairs<I: Isa>(isa: I, x: I::F32, c: [f32; 8]) -> I::F32 {
    let square = x * x;
    let low = polynomial(isa, x, [c[2], c[3]]).mul_add(square, polynomial(isa, x, [c[0], c[1]]));
    let high = polynomial(isa, x, [c[6], c[7]]).mul_add(square, polynomial(isa, x, [c[4], c[5]]));
    high.mul_add(square * square, low)
}

/// What rounding left of the product `product = a b`.
#[inline(always)]
fn product_rest<I: Isa>(isa: I, a: I::F32, b: I::F32, product: I::F32) -> I::F32 {
    if I::LEVEL != Level::Scalar {
        return a.mul_add(b, -product);
    }
    // Without a fused operation, from halves whose products are exact.
    let high = |x: I::F32| I::F32::from_bits(x.to_bits() & isa.splat_i32(!0xfff));
    let (a_high, b_high) = (high(a), high(b));
    let (a_low, b_low) = (a - a_high, b - b_high);
    ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
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
    exp_parts_of_sum(isa, x, isa.splat(0.0))
}

/// [`exp_parts`] of the sum of a number and a much smaller one.
#[inline(always)]
fn exp_parts_of_sum<I: Isa>(isa: I, x: I::F32, low: I::F32) -> (I::I32, I::F32) {
    let n = (x * isa.splat(std::f32::consts::LOG2_E)).round();
    (n.trunc_i32(), expm1_near(isa, less_ln_2(isa, x, n) + low))
}

/// `x - n ln 2`.
#[inline(always)]
fn less_ln_2<I: Isa>(isa: I, x: I::F32, n: I::F32) -> I::F32 {
    n.neg_mul_add(isa.splat(LN_2_LOW), n.neg_mul_add(isa.splat(LN_2_HIGH), x))
}

/// `e^r - 1` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn expm1_near<I: Isa>(isa: I, r: I::F32) -> I::F32 {
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
    (r * r).mul_add(q, r)
}

/// `e^x`.
#[inline(always)]
pub fn exp<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // Bounds beyond which the result is 0 or infinity; NaN passes, as the second operand of `min` and `max`.
    let x = isa.splat(89.0).min(isa.splat(-104.0).max(x));
    scaled(isa, exp_parts(isa, x))
}

/// `e^x` for `x <= 88`, in fewer steps than [`exp`]; zero where the result would not be normal.
#[inline(always)]
pub fn bounded_exp<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let (power, p) = bounded_exp_parts(isa, x);
    p.mul_add(power, power)
}

/// `2^n` and `p` of `e^x = 2^n + p 2^n`.
#[inline(always)]
fn bounded_exp_parts<I: Isa>(isa: I, x: I::F32) -> (I::F32, I::F32) {
    // Below, the exponent is that of zero; NaN passes.
    let x = isa.splat(-88.0).max(x);
    // So large a number has no room for fractions: its last bits are the exponent of 2^n.
    let large = isa.splat(12_582_912.0 + 127.0);
    let rounded = x.mul_add(isa.splat(std::f32::consts::LOG2_E), large);
    let power = I::F32::from_bits(rounded.to_bits().shl::<23>());
    (power, expm1_near(isa, less_ln_2(isa, x, rounded - large)))
}

/// `2^n (1 + p)`.
#[inline(always)]
fn scaled<I: Isa>(isa: I, (n, p): (I::I32, I::F32)) -> I::F32 {
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
    let lost = (x - (u - one)).select(x.lt(one), one - (u - x));
    let y = log_of_sum(isa, u, lost);
    y.select(x.abs().gt(isa.splat(1e-7)) | u.is_nan(), x)
}

/// The natural logarithm of the sum of a normal number and a much smaller one.
#[inline(always)]
fn log_of_sum<I: Isa>(isa: I, x: I::F32, low: I::F32) -> I::F32 {
    let (f, n) = split(isa, x);
    let f = f
        + (low * power_of_two(isa, isa.splat_i32(0) - n))
            .select(n.lt(isa.splat_i32(100)), isa.splat(0.0));
    log_limits(isa, x, log_parts(isa, f, I::F32::from_i32(n)))
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
    let far = one - isa.splat(2.0) / (bounded_exp(isa, t + t) + one);
    far.select(t.gt(isa.splat(0.55)), near).copysign(x)
}

/// The hyperbolic tangent within six units in the last place, five with fused multiply-adds, in a third of the time of [`tanh`]: a
/// ratio of polynomials.
#[inline(always)]
pub fn quick_tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // Beyond, the result is less than four units from one.
    let x = isa.splat(8.0).min(isa.splat(-8.0).max(x));
    let square = x * x;
    let above = polynomial(
        isa,
        square,
        [
            1.0,
            0.134_444_95,
            3.571_594_4e-3,
            2.189_46e-5,
            1.523_033_3e-8,
        ],
    );
    let below = polynomial(
        isa,
        square,
        [1.0, 0.467_778_2, 2.616_443e-2, 3.411_286e-4, 8.522_412e-7],
    );
    x * above / below
}

/// The logistic function `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // As e^x / (1 + e^x) on the negative side, where the other form would round twice as much; there, what the exponential and the
    // sum lose by rounding is put right behind the division.
    let (zero, one) = (isa.splat(0.0), isa.splat(1.0));
    let (power, p) = bounded_exp_parts(isa, -x.abs());
    let e = p.mul_add(power, power);
    let sum = one + e;
    let negative = x.lt(zero);
    let y = e.select(negative, one) / sum;
    let lost = p.mul_add(power, power - e);
    let lost_of_sum = e - (sum - one) + lost;
    let right = y.neg_mul_add(lost_of_sum, lost).mul_add(one - y, y);
    right.select(negative, y)
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
    let q = polynomial_in_pairs(
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
    let far = isa.splat(1.0) - bounded_exp(isa, -(t * q));
    far.select(t.gt(isa.splat(0.9)), near).copysign(x)
}

/// The error function within six units in the last place, five with fused multiply-adds, in half of the time of [`erf`]: a ratio of
/// polynomials.
#[inline(always)]
pub fn quick_erf<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // Beyond 4, where the function is one, the ratio is greater; NaN passes.
    let t = isa.splat(10.0).min(x.abs());
    let square = t * t;
    let above = polynomial(
        isa,
        square,
        [
            std::f32::consts::FRAC_2_SQRT_PI,
            0.193_542_89,
            5.310_145_7e-2,
            3.883_249_9e-3,
            2.845_636_2e-4,
            1.986_797_3e-6,
        ],
    );
    let below = polynomial(
        isa,
        square,
        [
            1.0,
            0.504_855_5,
            0.115_349_1,
            1.520_706_4e-2,
            1.185_548e-3,
            3.742_021e-5,
        ],
    );
    isa.splat(1.0).min(t * above / below).copysign(x)
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

/// The tangent.
#[inline(always)]
pub fn tan<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let (n, r, low) = quarters(isa, x);
    let square = r * r;
    let p = polynomial(
        isa,
        square,
        [
            0.333_333_52,
            0.133_326_08,
            5.406_564_6e-2,
            2.125_441_1e-2,
            1.090_386_8e-2,
            7.549_874e-6,
            4.414_880_6e-3,
        ],
    );
    let y = (p * square).mul_add(r, low.mul_add(square, low)) + r;
    let even = (n & isa.splat_i32(1)).eq(isa.splat_i32(0));
    let y = y.select(even, isa.splat(-1.0) / y);
    // Near zero x itself, for the sign of zero.
    let y = y.select(x.abs().gt(isa.splat(1e-4)), x);
    with_far(isa, x, y, f64::tan)
}

/// Beyond this the reduction to quarters is left to `f64`.
const FAR: f32 = 8192.0;

/// `n` and the sum `r + low` with `x = n pi / 2 + r + low` and `|r| <= pi / 4`, for `|x| <= FAR`.
#[inline(always)]
fn quarters<I: Isa>(isa: I, x: I::F32) -> (I::I32, I::F32, I::F32) {
    // The parts of pi / 2: products of the first three with n < 2^13 are exact.
    const PARTS: [f32; 4] = [1.570_312_5, 4.837_513e-4, 7.549_533_6e-8, 2.563_344e-12];
    let n = (x * isa.splat(std::f32::consts::FRAC_2_PI)).round();
    let (mut r, mut low) = (x, isa.splat(0.0));
    for part in PARTS {
        let step = n * isa.splat(part);
        let next = r - step;
        low = low + ((r - next) - step);
        r = next;
    }
    let sum = r + low;
    (n.trunc_i32(), sum, (r - sum) + low)
}

/// `y` with the lanes whose `x` is beyond [`FAR`] computed by `far`.
#[inline(always)]
fn with_far<I: Isa>(isa: I, x: I::F32, y: I::F32, far: fn(f64) -> f64) -> I::F32 {
    if !x.abs().gt(isa.splat(FAR)).any() {
        return y;
    }
    let (mut xs, mut ys) = ([0.0f32; 16], [0.0f32; 16]);
    x.store_partial(&mut xs);
    y.store_partial(&mut ys);
    for (y, &x) in ys.iter_mut().zip(&xs) {
        if x.abs() > FAR {
            *y = far(f64::from(x)) as f32;
        }
    }
    isa.load_partial(&ys)
}

/// `sin(x + quarter pi / 2)`; `far` computes the lanes which are too large for the fast reduction.
#[inline(always)]
fn sin_quarter<I: Isa>(isa: I, x: I::F32, quarter: i32, far: fn(f64) -> f64) -> I::F32 {
    let (n, r, _) = quarters(isa, x);
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

    let n = n + isa.splat_i32(quarter);
    let one = isa.splat_i32(1);
    let y = s.select((n & one).eq(isa.splat_i32(0)), c);
    let sign = (n & isa.splat_i32(2)).shl::<30>();
    let y = I::F32::from_bits(y.to_bits() ^ sign);
    with_far(isa, x, y, far)
}

// Two thirds, pi and its half, each with what rounding left over.
const TWO_THIRDS: [f32; 2] = [0.666_666_7, -1.986_821_5e-8];
const PI: [f32; 2] = [std::f32::consts::PI, -8.742_278e-8];
const HALF_PI: [f32; 2] = [std::f32::consts::FRAC_PI_2, -4.371_139e-8];

/// `of - x`.
#[inline(always)]
fn minus<I: Isa>(isa: I, of: [f32; 2], x: I::F32) -> I::F32 {
    isa.splat(of[0]) - (x - isa.splat(of[1]))
}

/// The inverse tangent of `0 <= x <= 1`.
#[inline(always)]
fn arctan_near<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let square = x * x;
    let p = polynomial(
        isa,
        square,
        [
            -0.333_333,
            0.199_985_49,
            -0.142_642_41,
            0.109_521_81,
            -8.403_437e-2,
            5.795_736e-2,
            -3.117_761_4e-2,
            1.091_448_1e-2,
            -1.793_593_9e-3,
        ],
    );
    (p * square).mul_add(x, x)
}

/// The inverse tangent.
#[inline(always)]
pub fn arctan<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = x.abs();
    let far = t.gt(isa.splat(1.0));
    let y = arctan_near(isa, (isa.splat(1.0) / t).select(far, t));
    minus(isa, HALF_PI, y).select(far, y).copysign(x)
}

/// The angle of the point `(x, y)`.
#[inline(always)]
pub fn arctan2<I: Isa>(isa: I, y: I::F32, x: I::F32) -> I::F32 {
    let (zero, one) = (isa.splat(0.0), isa.splat(1.0));
    let (height, width) = (y.abs(), x.abs());
    let steep = height.gt(width);
    let (less, more) = (width.select(steep, height), height.select(steep, width));
    let slope = one.select(less.eq(more), less / more);
    let angle = arctan_near(isa, zero.select(less.eq(more) & more.eq(zero), slope));
    let angle = minus(isa, HALF_PI, angle).select(steep, angle);
    let left = x.to_bits().lt(isa.splat_i32(0));
    minus(isa, PI, angle).select(left, angle).copysign(y)
}

/// The inverse sine of `x <= 1/2`, and the share of it that `x` itself is not.
#[inline(always)]
fn arcsin_near<I: Isa>(isa: I, x: I::F32, square: I::F32) -> (I::F32, I::F32) {
    let p = polynomial(
        isa,
        square,
        [
            0.166_667_54,
            7.495_233e-2,
            4.547_834e-2,
            2.414_1e-2,
            4.223_053e-2,
        ],
    );
    let rest = p * square * x;
    (x + rest, rest)
}

/// The inverse sine.
#[inline(always)]
pub fn arcsin<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = x.abs();
    let large = t.gt(isa.splat(0.5));
    let half = (isa.splat(1.0) - t) * isa.splat(0.5);
    let square = half.select(large, t * t);
    let root = half.sqrt().select(large, t);
    let (near, rest) = arcsin_near(isa, root, square);
    // pi / 2 - 2 root is exact: what is small comes last.
    let far = isa.splat(HALF_PI[0]) - (root + root);
    let far = far - (rest + rest - isa.splat(HALF_PI[1]));
    far.select(large, near).copysign(x)
}

/// The inverse cosine.
#[inline(always)]
pub fn arccos<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = x.abs();
    let large = t.gt(isa.splat(0.5));
    let half = (isa.splat(1.0) - t) * isa.splat(0.5);
    let square = half.select(large, t * t);
    let (near, _) = arcsin_near(isa, half.sqrt().select(large, t), square);
    let twice = near + near;
    let far = minus(isa, PI, twice).select(x.lt(isa.splat(0.0)), twice);
    far.select(large, minus(isa, HALF_PI, near.copysign(x)))
}

/// The logarithm of `x >= 1`, of which `low` was lost, `ln 2` added where `x` stands for half of its number.
#[inline(always)]
fn log_or_of_twice<I: Isa>(isa: I, x: I::F32, low: I::F32, huge: I::Mask32) -> I::F32 {
    let y = log_of_sum(isa, x, low);
    (y + isa.splat(std::f32::consts::LN_2)).select(huge, y)
}

/// `t + sqrt(t^2 + of)` for `t >= 0`, and what rounding lost of it; `t` itself where `t^2` has no room for it.
#[inline(always)]
fn with_root<I: Isa>(isa: I, t: I::F32, of: f32) -> (I::F32, I::F32, I::Mask32) {
    let (zero, of) = (isa.splat(0.0), isa.splat(of));
    let huge = t.gt(isa.splat(1e9));
    let product = t * t;
    let square = product + of;
    let added = square - product;
    let lost = (product - (square - added)) + (of - added) + product_rest(isa, t, t, product);
    let root = square.sqrt();
    let product = root * root;
    let lost = ((square - product) - product_rest(isa, root, root, product)) + lost;
    let low = lost / (root + root);
    let (more, less) = (t.select(t.gt(root), root), root.select(t.gt(root), t));
    let sum = more + less;
    let low = (less - (sum - more)) + low;
    (t.select(huge, sum), zero.select(huge, low), huge)
}

/// The inverse hyperbolic sine.
#[inline(always)]
pub fn arcsinh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = x.abs();
    let square = t * t;
    let p = polynomial(
        isa,
        square,
        [
            -0.166_666_66,
            7.499_89e-2,
            -4.461_343_2e-2,
            3.001_440_6e-2,
            -1.998_526e-2,
            9.174_835e-3,
        ],
    );
    let near = (p * square).mul_add(t, t);
    let (sum, low, huge) = with_root(isa, t, 1.0);
    let far = log_or_of_twice(isa, sum, low, huge);
    far.select(t.gt(isa.splat(0.5)), near).copysign(x)
}

/// The inverse hyperbolic cosine.
#[inline(always)]
pub fn arccosh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let t = x - isa.splat(1.0);
    let p = polynomial(
        isa,
        t,
        [
            1.0,
            -8.333_317e-2,
            1.874_610_8e-2,
            -5.545_654e-3,
            1.755_723_7e-3,
            -4.101_36e-4,
        ],
    );
    let near = (t + t).sqrt() * p;
    let (sum, low, huge) = with_root(isa, x, -1.0);
    let far = log_or_of_twice(isa, sum, low, huge);
    far.select(x.gt(isa.splat(1.5)), near)
}

/// The inverse hyperbolic tangent.
#[inline(always)]
pub fn arctanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let one = isa.splat(1.0);
    let t = x.abs();
    let square = t * t;
    let p = polynomial(
        isa,
        square,
        [
            0.333_333_37,
            0.199_997_19,
            0.142_950_7,
            0.109_646_02,
            0.102_982_38,
            2.406_092_7e-2,
            0.176_477_04,
        ],
    );
    let near = (p * square).mul_add(t, t);
    let (above, below) = (one + t, one - t);
    let ratio = above / below;
    let product = ratio * below;
    let lost = (above - product) - product_rest(isa, ratio, below, product);
    let low = (lost + (t - (above - one))) / below;
    let far = isa.splat(0.5) * log_of_sum(isa, ratio, low);
    let far = isa.splat(f32::INFINITY).select(t.eq(one), far);
    far.select(!t.le(isa.splat(0.5)), near).copysign(x)
}

/// The inverse of the error function.
#[inline(always)]
pub fn erfinv<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let one = isa.splat(1.0);
    let t = x.abs();
    // (1 - t) (1 + t), and what each step lost.
    let (below, above) = (one - t, one + t);
    let product = below * above;
    let low = product_rest(isa, below, above, product)
        + ((one - below) - t).mul_add(above, below * (t - (above - one)));
    let w = -log_of_sum(isa, product, low);
    let near = polynomial(
        isa,
        w - one,
        [
            1.127_374_4,
            0.247_832_88,
            4.250_716_4e-3,
            -2.376_449e-3,
            1.001_338_24e-4,
            3.831_590_2e-5,
            -4.346_319e-6,
            -5.970_47e-7,
            1.704_440_3e-7,
            -1.380_599_5e-8,
            3.355_460_6e-10,
        ],
    );
    let tail = polynomial(
        isa,
        w.sqrt() - isa.splat(3.0),
        [
            2.832_976_8,
            1.001_675_2,
            9.445_312e-3,
            -7.642_748e-3,
            5.687_604e-3,
            -3.567_211_3e-3,
            1.475_450_9e-3,
            -1.197_595_9e-4,
            -2.780_127e-4,
            1.603_404_6e-4,
            -2.921_983_5e-5,
        ],
    );
    let y = t * tail.select(w.gt(isa.splat(5.0)), near);
    let y = isa.splat(f32::INFINITY).select(t.eq(one), y);
    // Beyond one the logarithm is none.
    isa.splat(f32::NAN).select(t.gt(one), y).copysign(x)
}

/// `x^y`, of which `x` may be negative where `y` is an integer.
#[inline(always)]
pub fn power<I: Isa>(isa: I, x: I::F32, y: I::F32) -> I::F32 {
    let (zero, one) = (isa.splat(0.0), isa.splat(1.0));
    let infinity = isa.splat(f32::INFINITY);
    let t = x.abs();
    // The logarithm as a sum: n ln 2 + 2 s + 2 s^3 / 3 + ..., where s = f / (2 + f).
    let small = t.lt(isa.splat(f32::MIN_POSITIVE));
    let (f, n) = split(isa, (t * isa.splat(8_388_608.0)).select(small, t));
    let n = I::F32::from_i32(n - isa.splat_i32(23).select(small, isa.splat_i32(0)));
    let divisor = isa.splat(2.0) + f;
    let inverse = one / divisor;
    let s = f * inverse;
    let lost = (f - (divisor - isa.splat(2.0))) * s;
    let near = s * divisor;
    let rest = (f - near) - product_rest(isa, s, divisor, near);
    let s_low = (rest - lost) * inverse;
    let square = s * s;
    let square_low = product_rest(isa, s, s, square) + (s + s) * s_low;
    // The next term counts for large exponents: it is a sum too.
    let more = square * polynomial(isa, square, [0.400_001_53, 0.285_471_17, 0.234_189_75]);
    let p = isa.splat(TWO_THIRDS[0]) + more;
    let p_low = (isa.splat(TWO_THIRDS[0]) - p) + more + isa.splat(TWO_THIRDS[1]);
    let factor = square * p;
    let factor_low = product_rest(isa, square, p, factor) + square * p_low + square_low * p;
    let tail = s * factor;
    let tail_low = product_rest(isa, s, factor, tail) + s * factor_low + s_low * factor;
    let twice = s + s;
    let (whole, part) = (n * isa.splat(LN_2_HIGH), twice + tail);
    let sum = whole + part;
    let low = ((twice - part) + tail) + (s_low + s_low + tail_low);
    let low = ((whole - sum) + part) + n.mul_add(isa.splat(LN_2_LOW), low);
    let high = sum + low;
    let low = low - (high - sum);
    // Of infinity and NaN themselves, of zero minus infinity.
    let high = high.select(t.lt(infinity), t);
    let high = (-infinity).select(t.eq(zero), high);
    let product = y * high;
    let rest = product_rest(isa, y, high, product) + y * low;
    let bounded = isa.splat(89.0).min(isa.splat(-104.0).max(product));
    let rest = rest.select(bounded.eq(product), zero);
    let z = scaled(isa, exp_parts_of_sum(isa, bounded, rest));
    // The sign of an odd power; a negative number has integer powers alone.
    let half = y * isa.splat(0.5);
    let integer = y.eq(y.floor());
    let odd = integer & !half.eq(half.floor());
    let z = z.copysign(x).select(odd, z);
    let none = x.lt(zero) & x.gt(-infinity) & !integer;
    let z = isa.splat(f32::NAN).select(none, z);
    let z = (one.copysign(x).select(odd, one)).select(t.eq(one) & !y.is_nan() & !none, z);
    let z = one.select(y.eq(zero) | x.eq(one), z);
    (x * x).select(y.eq(isa.splat(2.0)), z)
}
