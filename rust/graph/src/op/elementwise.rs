//! Elementwise ops: one struct over the kernels' functions, and one table of gradient rules.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};
use std::sync::Arc;

use kernels::activation::{SELU_ALPHA, SELU_SCALE};
use kernels::elementwise::{Op as Function, Operand, Program};
use num_complex::Complex;
use smallvec::{SmallVec, smallvec};

use super::term::{Term, Terms};
use super::{Attrs, Family, Op, Run, Vjp, expect_operands};
use crate::emit::Emitter;
use crate::op::layout;
use crate::{DType, Error, Result, Spec, Specs, Tensor, Value, type_error, unsupported};

macro_rules! family {
    ($($function:ident)*; $($rest:expr,)*) => {
        /// The family's ops.
        pub const OPS: Family = &[
            $((Function::$function.name(), |_| Ok(Elementwise::op(Function::$function))),)*
            $($rest,)*
        ];
    };
}

family! {
    Negative Abs Sign Exp Expm1 Log Log1p Sqrt Rsqrt Square Reciprocal Sin Cos Tan Arcsin Arccos Arctan Sinh Cosh Tanh Arcsinh
    Arccosh Arctanh Erf Erfinv Lgamma Digamma Floor Ceil Round Trunc IsNan IsInf IsFinite LogicalNot BitwiseNot Sigmoid Relu Relu6
    Softplus Softsign Silu GeluTanh Selu HardSigmoid HardSilu LogSigmoid Mish Real Imag Conj
    Add Subtract Multiply Divide FloorDivide Mod Power Maximum Minimum Arctan2 Equal NotEqual Less LessEqual Greater GreaterEqual
    LogicalAnd LogicalOr LogicalXor BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift
    Where Clip;
    ("gelu", |attrs| {
        let approximate = attrs.bool_or("approximate", true)?;
        Ok(Elementwise::op(if approximate { Function::GeluTanh } else { Function::Gelu }))
    }),
    ("elu", |attrs| Elementwise::with_attribute(Function::Elu, attrs, "alpha", 1.0)),
    ("celu", |attrs| Elementwise::with_attribute(Function::Celu, attrs, "alpha", 1.0)),
    ("leaky_relu", |attrs| {
        Elementwise::with_attribute(Function::LeakyRelu, attrs, "negative_slope", 0.2)
    }),
    ("cast", |attrs| Ok(Arc::new(Cast(attrs.dtype("dtype")?)))),
    ("copy", |_| Ok(Arc::new(Copy))),
    ("stop_gradient", |_| Ok(Arc::new(StopGradient))),
}

/// A function of operands that broadcast, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elementwise {
    /// The function.
    pub function: Function,
    /// The last operand of a function that takes a parameter.
    pub parameter: Option<f64>,
}

impl Elementwise {
    /// The op of a function without parameter.
    pub fn op(function: Function) -> Arc<dyn Op> {
        Arc::new(Elementwise {
            function,
            parameter: None,
        })
    }

    fn with_attribute(
        function: Function,
        attrs: &Attrs<'_>,
        name: &str,
        default: f64,
    ) -> Result<Arc<dyn Op>> {
        let parameter = Some(attrs.float_or(name, default)?);
        Ok(Arc::new(Elementwise {
            function,
            parameter,
        }))
    }

    /// The error for operands that the function does not take.
    fn undefined(&self, dtype: DType) -> Error {
        Error::Type(format!(
            "{} is not defined for {dtype}",
            self.function.name()
        ))
    }
}

/// `Op::by_rows` of elementwise ops: the first axis of what is batched must be that of the result.
pub fn elementwise_by_rows(inputs: &[&Spec], batched: &[bool]) -> bool {
    let ranks = inputs.iter().map(|input| input.shape.rank());
    let most = ranks.clone().max();
    (ranks.zip(batched)).all(|(rank, batched)| !batched || Some(rank) == most)
}

impl Op for Elementwise {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let arity = self.function.arity() - usize::from(self.parameter.is_some());
        expect_operands(inputs, arity..=arity)?;
        let condition = usize::from(self.function == Function::Where);
        if condition == 1 && inputs[0].dtype != DType::Bool {
            return type_error!("the condition must be bool, got {}", inputs[0].dtype);
        }
        let dtype = inputs[condition].dtype;
        if inputs[condition..].iter().any(|spec| spec.dtype != dtype) {
            let names: SmallVec<[&str; 3]> = inputs.iter().map(|spec| spec.dtype.name()).collect();
            return type_error!("operands must share a dtype, got {}", names.join(", "));
        }
        let mut shape = inputs[0].shape.clone();
        for input in &inputs[1..] {
            if shape != input.shape {
                shape = shape.broadcast(&input.shape)?;
            }
        }
        let Ok((_, dtype)) = Program::resolve(self.function, dtype) else {
            return Err(self.undefined(dtype));
        };
        Ok(smallvec![Spec { dtype, shape }])
    }

    fn by_rows(&self, inputs: &[&Spec], batched: &[bool]) -> bool {
        elementwise_by_rows(inputs, batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let dtypes: SmallVec<[DType; 3]> = run.inputs.iter().map(|x| x.dtype).collect();
        let program = Program::single(self.function, &dtypes, self.parameter)
            .map_err(|_| self.undefined(dtypes[dtypes.len() - 1]))?;
        run_program(&program, run);
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let terms = Terms::new(e);
        let g = terms.of(vjp.grad()?);
        let y = terms.of(&vjp.outputs[0]);
        let x: SmallVec<[Term<'_, '_>; 3]> = vjp.inputs.iter().map(|x| terms.of(x)).collect();
        (0..x.len())
            .map(|i| {
                if !vjp.wanted[i] {
                    return Ok(None);
                }
                let grad = match &x[..] {
                    [x] => unary_rule(self, x, &y, &g, &terms)?,
                    x => broadcast_rule(self.function, i, x, &y, &g, &terms)?,
                };
                let shape = vjp.inputs[i].shape();
                grad.map(|grad| grad.sum_to(shape).value()).transpose()
            })
            .collect()
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (1, 0), (2, 0)]
    }

    fn flops(&self, _: &[super::Operand<'_>], outputs: &[super::Operand<'_>]) -> u64 {
        (outputs[0].size() * self.function.cost()) as u64
    }
}

/// Runs a program on a call's operands and results, which broadcast to the first result's shape.
pub fn run_program(program: &Program, run: &mut Run<'_, '_>) {
    let operands: SmallVec<[Operand<'_>; 4]> = (run.inputs.iter())
        .map(|x| Operand::from_ptr(x.address(), x.shape))
        .collect();
    let shape = run.outputs[0].shape;
    let outputs: SmallVec<[*mut u8; 2]> = run.outputs.iter_mut().map(|y| y.address()).collect();
    // SAFETY: the views are whole tensors of the dtypes that the program was made for; an output shares memory only with an input
    // of as many bytes (`Op::inplace`).
    unsafe { program.run(shape, &operands, &outputs) }
}

/// Which numbers lie between two bounds.
fn between<'t, 'e>(x: &Term<'t, 'e>, low: f64, high: f64) -> Term<'t, 'e> {
    x.with_number(Function::Greater, low)
        .with(Function::LogicalAnd, &x.with_number(Function::Less, high))
}

/// The gradient of a function of one tensor, from its operand `x`, result `y` and the gradient `g` that reaches it.
fn unary_rule<'t, 'e>(
    op: &Elementwise,
    x: &Term<'t, 'e>,
    y: &Term<'t, 'e>,
    g: &Term<'t, 'e>,
    terms: &'t Terms<'e>,
) -> Result<Option<Term<'t, 'e>>> {
    use Function::*;
    let zero = || g.number(0.0);
    let above = |bound: f64| x.with_number(Greater, bound);
    let inside = |low: f64, high: f64| between(x, low, high);
    let parameter = op.parameter.unwrap_or(1.0);
    let dtype = x.clone().value()?.dtype();
    Ok(Some(match op.function {
        Negative => -g,
        Abs if dtype.is_complex() => g.cast(dtype) * x.map(Conj).map(Sign),
        Abs => g * x.map(Sign),
        Exp => g * y,
        Expm1 => g * (y + 1.0),
        Log => g / x,
        Log1p => g / (x + 1.0),
        Sqrt => g * 0.5 / y,
        Rsqrt => g * -0.5 * y.map(Square) * y,
        Square => g * 2.0 * x,
        Reciprocal => -(g * y.map(Square)),
        Sin => g * x.map(Cos),
        Cos => -(g * x.map(Sin)),
        Tan => g * (1.0 + y.map(Square)),
        Arcsin => g * (1.0 - x.map(Square)).map(Rsqrt),
        Arccos => -(g * (1.0 - x.map(Square)).map(Rsqrt)),
        Arctan => g / (1.0 + x.map(Square)),
        Sinh => g * x.map(Cosh),
        Cosh => g * x.map(Sinh),
        Tanh => g * (1.0 - y.map(Square)),
        Arcsinh => g * (1.0 + x.map(Square)).map(Rsqrt),
        Arccosh => g * ((x - 1.0) * (x + 1.0)).map(Rsqrt),
        Arctanh => g / (1.0 - x.map(Square)),
        Erf => g * FRAC_2_SQRT_PI * (-x.map(Square)).map(Exp),
        Erfinv => g * (1.0 / FRAC_2_SQRT_PI) * y.map(Square).map(Exp),
        Lgamma => g * x.map(Digamma),
        Digamma => return unsupported!("the gradient of digamma"),
        Sigmoid => g * (y * (1.0 - y)),
        Relu => terms.select(&y.with_number(Greater, 0.0), g, &zero()),
        Relu6 => terms.select(&between(y, 0.0, 6.0), g, &zero()),
        Softplus => g * x.map(Sigmoid),
        Softsign => g * (1.0 + x.map(Abs)).map(Square).map(Reciprocal),
        Silu => {
            let s = x.map(Sigmoid);
            g * (&s * (1.0 + x * (1.0 - &s)))
        }
        Gelu => {
            let cdf = 0.5 * ((x * FRAC_1_SQRT_2).map(Erf) + 1.0);
            let density = (x.map(Square) * -0.5).map(Exp) * (1.0 / (2.0 * PI).sqrt());
            g * (cdf + x * density)
        }
        GeluTanh => {
            let c = (2.0 / PI).sqrt();
            let square = x.map(Square);
            let t = (x * (&square * (0.044715 * c) + c)).map(Tanh);
            let slope = square * (3.0 * 0.044715 * c) + c;
            g * (0.5 * (1.0 + &t) + 0.5 * x * (1.0 - t.map(Square)) * slope)
        }
        Elu => terms.select(&above(0.0), g, &(g * (y + parameter))),
        Celu => terms.select(&above(0.0), g, &(g * (y * (1.0 / parameter) + 1.0))),
        Selu => terms.select(
            &above(0.0),
            &(g * SELU_SCALE),
            &(g * (y + SELU_SCALE * SELU_ALPHA)),
        ),
        LeakyRelu => terms.select(&x.with_number(GreaterEqual, 0.0), g, &(g * parameter)),
        HardSigmoid => terms.select(&inside(-3.0, 3.0), &(g * (1.0 / 6.0)), &zero()),
        HardSilu => {
            let middle = g * (x * (1.0 / 3.0) + 0.5);
            terms.select(
                &inside(-3.0, 3.0),
                &middle,
                &terms.select(&above(0.0), g, &zero()),
            )
        }
        LogSigmoid => g * (-x).map(Sigmoid),
        Mish => {
            let t = x.map(Softplus).map(Tanh);
            g * (&t + x * (1.0 - t.map(Square)) * x.map(Sigmoid))
        }
        Real => g.cast(dtype),
        Imag if dtype.is_complex() => {
            let minus_i = match dtype {
                DType::Complex64 => Tensor::scalar(Complex::new(0f32, -1.0)),
                _ => Tensor::scalar(Complex::new(0f64, -1.0)),
            };
            g.cast(dtype) * terms.of(&Value::concrete(minus_i))
        }
        Conj => g.map(Conj),
        // Steps: the derivative is zero wherever there is one.
        _ => return Ok(None),
    }))
}

/// The gradient with respect to operand `i` of a function of several, before it is summed over the axes that broadcast.
fn broadcast_rule<'t, 'e>(
    function: Function,
    i: usize,
    x: &[Term<'t, 'e>],
    y: &Term<'t, 'e>,
    g: &Term<'t, 'e>,
    terms: &'t Terms<'e>,
) -> Result<Option<Term<'t, 'e>>> {
    use Function::*;
    let zero = || g.number(0.0);
    Ok(Some(match (function, i) {
        (Add, _) | (Subtract, 0) => g.clone(),
        (Subtract, _) => -g,
        (Multiply, 0) => g * &x[1],
        (Multiply, _) => g * &x[0],
        (Divide, 0) => g / &x[1],
        (Divide, _) => -(g * y / &x[1]),
        (Power, 0) => {
            // At exponent 0 the derivative is 0, whatever the base.
            let none = x[1].with_number(Equal, 0.0);
            let less = terms.select(&none, &x[1].number(1.0), &(&x[1] - 1.0));
            g * (&x[1] * x[0].with(Power, &less))
        }
        (Power, _) => {
            // 0 to a positive power has a flat gradient, not 0 times minus infinity.
            let base = terms.select(&x[0].with_number(Equal, 0.0), &x[0].number(1.0), &x[0]);
            g * (base.map(Log) * y)
        }
        // Equal operands share the gradient.
        (Maximum | Minimum, _) => {
            let first = x[0].with(if function == Maximum { Greater } else { Less }, &x[1]);
            let half = g * 0.5;
            let tie = terms.select(&x[0].with(Equal, &x[1]), &half, &zero());
            let mine = if i == 0 {
                first
            } else {
                x[1].with(if function == Maximum { Greater } else { Less }, &x[0])
            };
            terms.select(&mine, g, &tie)
        }
        (Mod, 0) => g.clone(),
        (Mod, _) => -(g * x[0].with(FloorDivide, &x[1])),
        (Arctan2, _) => {
            let norm = x[0].map(Square) + x[1].map(Square);
            if i == 0 {
                g * &x[1] / norm
            } else {
                -(g * &x[0] / norm)
            }
        }
        (Where, 1) => terms.select(&x[0], g, &zero()),
        (Where, 2) => terms.select(&x[0], &zero(), g),
        (Clip, 0) => {
            let inside = x[0]
                .with(GreaterEqual, &x[1])
                .with(LogicalAnd, &x[0].with(LessEqual, &x[2]));
            terms.select(&inside, g, &zero())
        }
        (Clip, 1) => terms.select(&x[0].with(Less, &x[1]), g, &zero()),
        (Clip, _) => terms.select(&x[0].with(Greater, &x[2]), g, &zero()),
        _ => return Ok(None),
    }))
}

/// Converts to a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast(pub DType);

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        Ok(std::iter::once(inputs[0].with_dtype(self.0)).collect())
    }

    fn by_rows(&self, inputs: &[&Spec], batched: &[bool]) -> bool {
        elementwise_by_rows(inputs, batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_program(&Program::cast(run.inputs[0].dtype, self.0), run);
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let dtype = vjp.inputs[0].dtype();
        Ok(vec![Some(cast(e, vjp.grad()?, dtype)?)])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// The same elements in memory of their own.
#[derive(Clone, Copy, Debug)]
pub struct Copy;

impl Op for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let (x, y) = (&run.inputs[0], &mut run.outputs[0]);
        let bytes = x.size() * x.dtype.size();
        // SAFETY: both are tensors of that many bytes; in place they are the same, which `copy` allows.
        unsafe { std::ptr::copy(x.address(), y.address(), bytes) };
        Ok(())
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(vjp.grad()?.clone())])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// The same elements; no gradient passes.
#[derive(Clone, Copy, Debug)]
pub struct StopGradient;

impl Op for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn run(&self, _run: &mut Run<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn is_alias(&self) -> bool {
        true
    }
}

/// a + b
///
/// # Errors
/// When the operands do not broadcast or share a dtype.
pub fn add(e: &mut dyn Emitter, a: &Value, b: &Value) -> Result<Value> {
    e.one(Elementwise::op(Function::Add), &[a, b])
}

/// a * b
///
/// # Errors
/// As `add`.
pub fn multiply(e: &mut dyn Emitter, a: &Value, b: &Value) -> Result<Value> {
    e.one(Elementwise::op(Function::Multiply), &[a, b])
}

/// `x` as another dtype.
///
/// # Errors
/// Those of the emitter.
pub fn cast(e: &mut dyn Emitter, x: &Value, dtype: DType) -> Result<Value> {
    if x.dtype() == dtype {
        return Ok(x.clone());
    }
    e.one(Arc::new(Cast(dtype)), &[x])
}

/// A scalar of the dtype of `like`.
pub fn scalar_like(like: &Value, value: f64) -> Value {
    Value::concrete(Tensor::scalar_of(like.dtype(), value))
}

/// Ones of the shape and dtype of `like`.
///
/// # Errors
/// Those of a broadcast.
pub fn ones_like(e: &mut dyn Emitter, like: &Value) -> Result<Value> {
    layout::broadcast_to(e, &scalar_like(like, 1.0), like.shape())
}
