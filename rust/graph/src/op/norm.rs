//! Layer, batch and group normalization.

mod group;

use std::sync::Arc;

use kernels::activation::Activation;
use kernels::elementwise::{
    Compute, Instruction, Op as Function, Operand as Kernel, Program, Value as Register,
};
use kernels::norm::{self as kernel, BatchNormGrads, Statistics};
use kernels::real::Real;
use smallvec::SmallVec;

use super::real::{Call, RealKernel, real_scratch, run_real};
use super::reduce::Kind;
use super::term::{Term, Terms, differentiate};
use super::{
    Family, Op, Operand, Run, Vjp, create, expect_operands, expect_same_dtype, first_by_rows,
};
use crate::emit::Emitter;
use crate::{
    Bindings, DType, Dim, Error, Result, Shape, Spec, Specs, Value, trace, type_error, value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("layer_norm", |attrs| {
        let axis_count = attrs.int_or("axis_count", 1)?;
        let Ok(axis_count) = usize::try_from(axis_count) else {
            return value_error!("`axis_count` must not be negative, got {axis_count}");
        };
        Ok(Arc::new(LayerNorm {
            axis_count,
            epsilon: attrs.float_or("epsilon", 1e-3)?,
            rms: attrs.bool_or("rms", false)?,
        }))
    }),
    ("group_norm", |attrs| {
        let groups = attrs.int("groups")?;
        let Ok(groups @ 1..) = usize::try_from(groups) else {
            return value_error!("`groups` must be positive, got {groups}");
        };
        Ok(Arc::new(group::GroupNorm {
            groups,
            epsilon: attrs.float_or("epsilon", 1e-3)?,
        }))
    }),
    ("batch_norm_train", |attrs| {
        let epsilon = attrs.float_or("epsilon", 1e-3)?;
        Ok(Arc::new(BatchNorm {
            epsilon,
            activation: None,
        }))
    }),
    ("batch_norm_inference", |attrs| {
        let epsilon = attrs.float_or("epsilon", 1e-3)?;
        Ok(Arc::new(BatchNormInference { epsilon }))
    }),
];

fn expect_floats(inputs: &[&Spec]) -> Result<DType> {
    let dtype = expect_same_dtype(inputs)?;
    if dtype.is_float() {
        return Ok(dtype);
    }
    type_error!("operands must be of floats, got {dtype}")
}

pub(super) fn expect_shape(name: &str, x: &Spec, shape: &Shape) -> Result<()> {
    let differ = |(a, b): (&Dim, &Dim)| a.never_equals(b);
    if x.shape.rank() != shape.rank() || x.shape.iter().zip(shape.iter()).any(differ) {
        return value_error!("{name} must be of shape {shape}, got {}", x.shape);
    }
    for (a, b) in x.shape.iter().zip(shape.iter()) {
        trace::assume_equal(a, b);
    }
    Ok(())
}

/// Normalizes over the last axes: operands x, maybe gamma, maybe beta; results y, then means and inverse deviations for the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    axis_count: usize,
    epsilon: f64,
    rms: bool,
}

impl LayerNorm {
    /// The shapes of rows and of a row.
    fn split(&self, x: &Shape) -> Result<(Shape, Shape)> {
        let Some(at) = x.rank().checked_sub(self.axis_count) else {
            return value_error!("a tensor of shape {x} has no {} axes", self.axis_count);
        };
        Ok((
            x[..at].iter().cloned().collect(),
            x[at..].iter().cloned().collect(),
        ))
    }

    fn kernel<'a, T>(
        &self,
        shape: &[usize],
        gamma: Option<&'a [T]>,
        beta: Option<&'a [T]>,
    ) -> kernel::LayerNorm<'a, T> {
        let n = shape[shape.len() - self.axis_count..].iter().product();
        kernel::LayerNorm {
            n,
            rms: self.rms,
            gamma,
            beta,
        }
    }
}

/// The dtype of statistics: that of the arithmetic.
fn statistics_dtype(dtype: DType) -> DType {
    Compute::of(dtype).dtype()
}

/// `Op::infer` of a norm of x, maybe gamma, maybe beta: the result, then means and inverse deviations. `shapes` gives theirs, and that
/// of gamma and beta.
fn infer_norm(
    inputs: &[&Spec],
    shapes: impl FnOnce(&Spec) -> Result<(Shape, Shape)>,
) -> Result<Specs> {
    expect_operands(inputs, 1..=3)?;
    let dtype = statistics_dtype(expect_floats(inputs)?);
    let (shape, parameters) = shapes(inputs[0])?;
    for (parameter, name) in inputs[1..].iter().zip(["gamma", "beta"]) {
        expect_shape(name, parameter, &parameters)?;
    }
    let statistic = Spec { dtype, shape };
    Ok([inputs[0].clone(), statistic.clone(), statistic]
        .into_iter()
        .collect())
}

/// `Op::vjp` of such a norm, whose `gradient` takes the result's gradient, x, means, inverse deviations, maybe gamma, and gives those
/// of x, gamma and beta.
fn norm_vjp(
    gradient: Arc<dyn Op>,
    e: &mut dyn Emitter,
    vjp: &Vjp<'_>,
) -> Result<Vec<Option<Value>>> {
    let (mean, inverse) = (&vjp.outputs[1], &vjp.outputs[2]);
    let mut operands = vec![vjp.grad()?, &vjp.inputs[0], mean, inverse];
    operands.extend(vjp.inputs.get(1));
    let grads = e.emit(gradient, &operands)?;
    Ok(grads.into_iter().take(vjp.inputs.len()).map(Some).collect())
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        if self.rms { "rms_norm" } else { "layer_norm" }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        infer_norm(inputs, |x| self.split(&x.shape))
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        norm_vjp(Arc::new(LayerNormGradient(*self)), e, vjp)
    }

    fn visible_outputs(&self) -> usize {
        1
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        8 * inputs[0].size() as u64
    }
}

impl RealKernel for LayerNorm {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let (gamma, beta) = (call.inputs.get(1).copied(), call.inputs.get(2).copied());
        let norm = self.kernel(call.operands[0].shape, gamma, beta);
        let [y, mean, inverse] = &mut call.outputs[..] else {
            unreachable!("inferred three results")
        };
        kernel::layer_norm(norm, call.inputs[0], self.epsilon, y, mean, inverse);
    }
}

/// The gradients of [`LayerNorm`]: operands the result's gradient, x, means, inverse deviations, maybe gamma; results those of x, gamma
/// and beta.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormGradient(LayerNorm);

impl Op for LayerNormGradient {
    fn name(&self) -> &'static str {
        if self.0.rms {
            "rms_norm_gradient"
        } else {
            "layer_norm_gradient"
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 4..=5)?;
        let x = inputs[1];
        let (_, row) = self.0.split(&x.shape)?;
        let parameter = x.with_shape(row);
        Ok([x.clone(), parameter.clone(), parameter]
            .into_iter()
            .collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let x = &vjp.inputs[1];
        let (_, row) = self.0.split(x.shape())?;
        let axes: SmallVec<[usize; 4]> = (x.rank() - self.0.axis_count..x.rank()).collect();
        // The statistics are computed again from x: all that depends on it counts as its gradient.
        differentiate(vjp, |_: &Terms<'_>, operands: &[Term<'_, '_>]| {
            let (g, x) = (&operands[0], &operands[1]);
            let centered = if self.0.rms {
                x.clone()
            } else {
                x - x.reduce(Kind::Mean, &axes)
            };
            let variance = centered.map(Function::Square).reduce(Kind::Mean, &axes);
            let inverse = (variance + self.0.epsilon).map(Function::Rsqrt);
            let normal = centered * &inverse;
            let scaled = match operands.get(4) {
                Some(gamma) => g * gamma,
                None => g.clone(),
            };
            let projected = &scaled - &normal * (&scaled * &normal).reduce(Kind::Mean, &axes);
            let dx = if self.0.rms {
                projected
            } else {
                projected - scaled.reduce(Kind::Mean, &axes)
            };
            vec![dx * inverse, (g * normal).sum_to(&row), g.sum_to(&row)]
        })
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        16 * inputs[0].size() as u64
    }
}

impl RealKernel for LayerNormGradient {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let norm = self
            .0
            .kernel(call.operands[1].shape, call.inputs.get(4).copied(), None);
        let statistics = Statistics {
            mean: call.inputs[2],
            inverse: call.inputs[3],
        };
        let [dx, dgamma, dbeta] = &mut call.outputs[..] else {
            unreachable!("inferred three results")
        };
        kernel::layer_norm_gradient(
            norm,
            call.inputs[0],
            call.inputs[1],
            statistics,
            dx,
            dgamma,
            dbeta,
            call.scratch,
        );
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let norm = self.0.kernel::<f32>(inputs[1].shape, None, None);
        kernel::layer_norm_scratch_len(inputs[2].size(), norm.n)
    }
}

/// Sizes of all rows together and of the last axis.
fn rows_and_columns(shape: &[usize]) -> (usize, usize) {
    let (columns, rows) = shape
        .split_last()
        .map_or((1, &[][..]), |(n, rows)| (*n, rows));
    (rows.iter().product(), columns)
}

/// The shape of what belongs to the last axis.
fn last_axis(x: &Spec) -> Result<Shape> {
    match x.shape.last() {
        Some(n) => Ok(std::iter::once(n.clone()).collect()),
        None => value_error!("expected a tensor with an axis of channels, got a scalar"),
    }
}

/// Normalizes over all axes but the last by the batch's own statistics: operands x, gamma, beta; results y, means and variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variances.
    pub epsilon: f64,
    /// What follows, of those that have bounds and do nothing else. Only a pass joins it, behind all gradients.
    pub activation: Option<Activation>,
}

/// The kernel's view of a norm.
fn batch_norm<'a, T>(
    epsilon: f64,
    activation: Option<Activation>,
    gamma: &'a [T],
    beta: &'a [T],
) -> kernel::BatchNorm<'a, T> {
    kernel::BatchNorm {
        gamma,
        beta,
        epsilon,
        bounds: activation
            .and_then(Activation::bounds)
            .map(|bounds| bounds.map(f64::from)),
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm_train"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        expect_floats(inputs)?;
        let channels = last_axis(inputs[0])?;
        expect_shape("gamma", inputs[1], &channels)?;
        expect_shape("beta", inputs[2], &channels)?;
        Ok([inputs[0].clone(), inputs[1].clone(), inputs[1].clone()]
            .into_iter()
            .collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let moments = vjp.grads[1].is_some() || vjp.grads[2].is_some();
        let mut grads = SmallVec::<[Value; 3]>::new();
        for (grad, output) in vjp
            .grads
            .iter()
            .zip(vjp.outputs)
            .take(if moments { 3 } else { 1 })
        {
            grads.push(match grad {
                Some(grad) => grad.clone(),
                None => create::zeros_like(e, output)?,
            });
        }
        let mut operands: SmallVec<[&Value; 8]> = SmallVec::new();
        operands.push(&grads[0]);
        operands.extend(vjp.inputs);
        operands.extend(&vjp.outputs[1..]);
        operands.extend(&grads[1..]);
        let op = BatchNormGradient {
            epsilon: self.epsilon,
            activation: None,
        };
        Ok(e.emit(Arc::new(op), &operands)?
            .into_iter()
            .map(Some)
            .collect())
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        6 * inputs[0].size() as u64
    }
}

impl RealKernel for BatchNorm {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let [y, mean, variance] = &mut call.outputs[..] else {
            unreachable!("inferred three results")
        };
        let (x, gamma, beta) = (call.inputs[0], call.inputs[1], call.inputs[2]);
        let norm = batch_norm(self.epsilon, self.activation, gamma, beta);
        kernel::batch_norm(&norm, x, y, mean, variance, call.scratch);
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let (rows, columns) = rows_and_columns(inputs[0].shape);
        kernel::batch_norm_scratch_len(rows, columns)
    }
}

/// The gradients of [`BatchNorm`]: operands the result's gradient, x, gamma, beta, means, variances, maybe the gradients of these two;
/// results those of x, gamma and beta.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormGradient {
    /// Added to the variances.
    pub epsilon: f64,
    /// As the norm's: then the result's gradient is that of the activation's.
    pub activation: Option<Activation>,
}

impl Op for BatchNormGradient {
    fn name(&self) -> &'static str {
        "batch_norm_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 6..=8)?;
        Ok([inputs[1].clone(), inputs[2].clone(), inputs[2].clone()]
            .into_iter()
            .collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let axes: SmallVec<[usize; 4]> = (0..vjp.inputs[1].rank() - 1).collect();
        let channels = vjp.inputs[2].shape().clone();
        differentiate(vjp, |_: &Terms<'_>, operands: &[Term<'_, '_>]| {
            let (g, x, gamma) = (&operands[0], &operands[1], &operands[2]);
            let centered = x - x.reduce(Kind::Mean, &axes);
            let variance = centered.map(Function::Square).reduce(Kind::Mean, &axes);
            let inverse = (variance + self.epsilon).map(Function::Rsqrt);
            let normal = &centered * &inverse;
            let own =
                g - g.reduce(Kind::Mean, &axes) - &normal * (g * &normal).reduce(Kind::Mean, &axes);
            let mut dx = own * gamma * inverse;
            if let (Some(mean), Some(variance)) = (operands.get(6), operands.get(7)) {
                // What reaches a moment is shared by the items that it is a mean of.
                let ones = g * 0.0 + 1.0;
                let count = ones.sum_to(&channels);
                dx = dx + (mean + 2.0 * centered * variance) / count;
            }
            vec![dx, (g * normal).sum_to(&channels), g.sum_to(&channels)]
        })
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        10 * inputs[0].size() as u64
    }
}

impl RealKernel for BatchNormGradient {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let grads = BatchNormGrads {
            out: call.inputs[0],
            mean: call.inputs.get(6).copied(),
            variance: call.inputs.get(7).copied(),
        };
        let [dx, dgamma, dbeta] = &mut call.outputs[..] else {
            unreachable!("inferred three results")
        };
        let [x, gamma, beta, mean, variance] = std::array::from_fn(|i| call.inputs[1 + i]);
        let norm = batch_norm(self.epsilon, self.activation, gamma, beta);
        kernel::batch_norm_gradient(
            &norm,
            grads,
            x,
            mean,
            variance,
            dx,
            dgamma,
            dbeta,
            call.scratch,
        );
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let (rows, columns) = rows_and_columns(inputs[1].shape);
        kernel::batch_norm_scratch_len(rows, columns)
    }
}

/// Normalizes the last axis by given statistics: operands x, gamma, beta, means, variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormInference {
    /// Added to the variances.
    pub epsilon: f64,
}

impl BatchNormInference {
    /// gamma, beta, means, variances -> scales and shifts, in the numbers of the arithmetic.
    fn fold(&self, dtype: DType) -> Program {
        use Register::{Constant, Input, Result};
        let wide = statistics_dtype(dtype);
        let code = [
            Instruction::new(Function::Add, &[Input(3), Constant(self.epsilon)]),
            Instruction::new(Function::Rsqrt, &[Result(0)]),
            Instruction::new(Function::Multiply, &[Input(0), Result(1)]),
            Instruction::new(Function::Multiply, &[Input(2), Result(2)]),
            Instruction::new(Function::Subtract, &[Input(1), Result(3)]),
        ];
        let outputs = [(Result(2), wide), (Result(4), wide)];
        Program::new(Compute::of(dtype), &[dtype; 4], &code, &outputs).expect("functions of floats")
    }

    /// x, scales, shifts -> y.
    fn scale(dtype: DType) -> Program {
        use Register::{Input, Result};
        let wide = statistics_dtype(dtype);
        let code = [
            Instruction::new(Function::Multiply, &[Input(0), Input(1)]),
            Instruction::new(Function::Add, &[Result(0), Input(2)]),
        ];
        Program::new(
            Compute::of(dtype),
            &[dtype, wide, wide],
            &code,
            &[(Result(1), dtype)],
        )
        .expect("functions of floats")
    }
}

impl Op for BatchNormInference {
    fn name(&self) -> &'static str {
        "batch_norm_inference"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 5..=5)?;
        expect_floats(inputs)?;
        let channels = last_axis(inputs[0])?;
        for (parameter, name) in
            inputs[1..]
                .iter()
                .zip(["gamma", "beta", "the mean", "the variance"])
        {
            expect_shape(name, parameter, &channels)?;
        }
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        2 * inputs[1].size() * statistics_dtype(inputs[1].dtype).size()
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        first_by_rows(batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let x = run.inputs[0];
        let channels = run.inputs[1].shape;
        let bytes = channels[0] * statistics_dtype(x.dtype).size();
        let Some((scale, shift)) = run
            .scratch
            .get_mut(..2 * bytes)
            .map(|scratch| scratch.split_at_mut(bytes))
        else {
            return Err(Error::Internal("too little scratch".into()));
        };
        let (scale, shift) = (scale.as_mut_ptr(), shift.as_mut_ptr());
        let parameters: SmallVec<[Kernel<'_>; 4]> = run.inputs[1..]
            .iter()
            .map(|p| Kernel::from_ptr(p.address(), channels))
            .collect();
        // SAFETY: the parameters are whole tensors of the channels' shape; scratch holds two such of the arithmetic's dtype.
        unsafe {
            self.fold(x.dtype)
                .run(channels, &parameters, &[scale, shift])
        };
        let operands = [
            Kernel::from_ptr(x.address(), x.shape),
            Kernel::from_ptr(scale, channels),
            Kernel::from_ptr(shift, channels),
        ];
        // SAFETY: whole tensors of the program's dtypes; the result may be the memory of x, of the same shape.
        unsafe { Self::scale(x.dtype).run(x.shape, &operands, &[run.outputs[0].address()]) };
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let channels = vjp.inputs[1].shape();
        let terms = Terms::new(e);
        let [x, gamma, mean, variance] = [0, 1, 3, 4].map(|i| terms.of(&vjp.inputs[i]));
        let g = terms.of(vjp.grad()?);
        let inverse = (variance + self.epsilon).map(Function::Rsqrt);
        let scale = &gamma * &inverse;
        let wants = |i: usize| vjp.wanted[i];
        let sum = (wants(2) || wants(3)).then(|| g.sum_to(channels));
        let dgamma = (wants(1) || wants(4)).then(|| (&g * (x - mean)).sum_to(channels) * &inverse);
        let grads = [
            wants(0).then(|| &g * &scale),
            dgamma.clone().filter(|_| wants(1)),
            sum.clone().filter(|_| wants(2)),
            sum.filter(|_| wants(3)).map(|sum| -(sum * &scale)),
            dgamma
                .filter(|_| wants(4))
                .map(|d| d * gamma * inverse.map(Function::Square) * -0.5),
        ];
        grads
            .into_iter()
            .map(|grad| grad.map(Term::value).transpose())
            .collect()
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        2 * inputs[0].size() as u64
    }
}
