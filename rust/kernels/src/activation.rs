//! Activation functions over lanes of `f32`, as Keras defines them: for elementwise programs and for the epilogues of products.
use simd::{Float, Isa, Lanes, math};

use crate::elementwise;

/// What a layer may apply to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Activation {
    Relu,
    Relu6,
    Sigmoid,
    Tanh,
    Silu,
    Gelu,
    GeluTanh,
    Elu,
    Selu,
    Softplus,
    Softsign,
    HardSigmoid,
    HardSilu,
}

impl Activation {
    /// The activations by their names.
    pub const ALL: [(&str, Activation); 13] = [
        ("relu", Activation::Relu),
        ("relu6", Activation::Relu6),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("silu", Activation::Silu),
        ("gelu", Activation::Gelu),
        ("gelu_tanh", Activation::GeluTanh),
        ("elu", Activation::Elu),
        ("selu", Activation::Selu),
        ("softplus", Activation::Softplus),
        ("softsign", Activation::Softsign),
        ("hard_sigmoid", Activation::HardSigmoid),
        ("hard_silu", Activation::HardSilu),
    ];

    /// The activation of that name.
    pub fn from_name(name: &str) -> Option<Activation> {
        let (_, found) = Activation::ALL.into_iter().find(|(n, _)| *n == name)?;
        Some(found)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Activation::ALL[self as usize].0
    }

    /// The least and the greatest value that it leaves, if that is all that it does.
    pub fn bounds(self) -> Option<[f32; 2]> {
        match self {
            Activation::Relu => Some([0.0, f32::INFINITY]),
            Activation::Relu6 => Some([0.0, 6.0]),
            _ => None,
        }
    }

    /// It as a function of `f64`.
    pub fn of_f64(self) -> fn(f64) -> f64 {
        match self {
            Activation::Relu => |x| if x > 0.0 || x.is_nan() { x } else { 0.0 },
            Activation::Relu6 => |x| x.clamp(0.0, 6.0),
            Activation::Elu => |x| if x > 0.0 { x } else { x.exp_m1() },
            Activation::Softsign => |x| x / (1.0 + x.abs()),
            Activation::HardSigmoid => |x| (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::HardSilu => |x| x * ((x + 3.0).clamp(0.0, 6.0) / 6.0),
            other => elementwise::function_of_f64(other.name())
                .expect("the other activations are functions"),
        }
    }

    /// Its value in each lane. In a hot loop, match on `self` outside of it.
    #[inline(always)]
    pub fn apply<I: Isa>(self, isa: I, x: I::F32) -> I::F32 {
        match self {
            Activation::Relu => relu(isa, x),
            Activation::Relu6 => relu6(isa, x),
            Activation::Sigmoid => math::sigmoid(isa, x),
            Activation::Tanh => math::tanh(isa, x),
            Activation::Silu => silu(isa, x),
            Activation::Gelu => gelu(isa, x),
            Activation::GeluTanh => gelu_tanh(isa, x),
            Activation::Elu => elu(isa, x, isa.splat(1.0)),
            Activation::Selu => selu(isa, x),
            Activation::Softplus => softplus(isa, x),
            Activation::Softsign => softsign(isa, x),
            Activation::HardSigmoid => hard_sigmoid(isa, x),
            Activation::HardSilu => x * hard_sigmoid(isa, x),
        }
    }
}

/// Slope and scale of [`selu`] (Klambauer et al., Self-normalizing neural networks, 2017).
pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// See [`SELU_ALPHA`].
pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// `max(x, 0)`.
#[inline(always)]
pub fn relu<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // `max` gives its second operand when either is NaN.
    isa.splat(0.0).max(x)
}

/// `min(max(x, 0), 6)`.
#[inline(always)]
pub fn relu6<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    isa.splat(6.0).min(relu(isa, x))
}

/// `relu6(x + 3) / 6`.
#[inline(always)]
pub fn hard_sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    relu6(isa, x + isa.splat(3.0)) * isa.splat(1.0 / 6.0)
}

/// `x sigmoid(x)`.
#[inline(always)]
pub fn silu<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // Without what the logistic function does for its last bit.
    let (zero, one) = (isa.splat(0.0), isa.splat(1.0));
    let e = math::bounded_exp(isa, -x.abs());
    x * e.select(x.lt(zero), one) / (one + e)
}

/// `x / 2 (1 + erf(x / sqrt 2))`.
#[inline(always)]
pub fn gelu<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let half = x * isa.splat(0.5);
    half.mul_add(
        math::quick_erf(isa, x * isa.splat(std::f32::consts::FRAC_1_SQRT_2)),
        half,
    )
}

/// [`gelu`] with its error function approximated by a hyperbolic tangent.
#[inline(always)]
pub fn gelu_tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let half = x * isa.splat(0.5);
    let cubic = (x * x).mul_add(
        isa.splat(0.044715 * SQRT_2_OVER_PI),
        isa.splat(SQRT_2_OVER_PI),
    );
    half.mul_add(math::tanh(isa, x * cubic), half)
}

/// `x` above zero, else `alpha (e^x - 1)`.
#[inline(always)]
pub fn elu<I: Isa>(isa: I, x: I::F32, alpha: I::F32) -> I::F32 {
    x.select(x.gt(isa.splat(0.0)), alpha * math::expm1(isa, x))
}

/// `scale elu(x, alpha)` with constants that keep mean and variance.
#[inline(always)]
pub fn selu<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    isa.splat(SELU_SCALE as f32) * elu(isa, x, isa.splat(SELU_ALPHA as f32))
}

/// `x` above zero, else `alpha (e^(x / alpha) - 1)`.
#[inline(always)]
pub fn celu<I: Isa>(isa: I, x: I::F32, alpha: I::F32) -> I::F32 {
    x.select(x.gt(isa.splat(0.0)), alpha * math::expm1(isa, x / alpha))
}

/// `x` from zero on, else `slope x`.
#[inline(always)]
pub fn leaky_relu<I: Isa>(isa: I, x: I::F32, slope: I::F32) -> I::F32 {
    x.select(x.ge(isa.splat(0.0)), slope * x)
}

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    relu(isa, x) + math::log1p(isa, math::exp(isa, -x.abs()))
}

/// `ln(sigmoid(x))`.
#[inline(always)]
pub fn log_sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    -softplus(isa, -x)
}

/// `x / (1 + |x|)`.
#[inline(always)]
pub fn softsign<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    x / (isa.splat(1.0) + x.abs())
}

/// `x tanh(softplus(x))`.
#[inline(always)]
pub fn mish<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    x * math::tanh(isa, softplus(isa, x))
}
