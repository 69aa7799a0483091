//! Group normalization.

use std::sync::Arc;

use kernels::elementwise::Op as Function;
use kernels::norm as kernel;
use kernels::real::Real;
use smallvec::SmallVec;

use super::{infer_norm, last_axis, norm_vjp};
use crate::emit::Emitter;
use crate::op::real::{Call, RealKernel, real_scratch, run_real};
use crate::op::reduce::Kind;
use crate::op::term::{Term, Terms, differentiate};
use crate::op::{Op, Operand, Run, Vjp, expect_operands, first_by_rows, layout};
use crate::{Bindings, Dim, Result, Shape, Spec, Specs, Value, value_error};

/// Normalizes groups of the last axis over all axes but the first: operands x, maybe gamma, maybe beta; results y, then means and
/// inverse deviations for the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// How many; a divisor of the channels.
    pub groups: usize,
    /// Added to the variances.
    pub epsilon: f64,
}

impl GroupNorm {
    fn kernel<'a, T>(
        &self,
        shape: &[usize],
        gamma: Option<&'a [T]>,
        beta: Option<&'a [T]>,
    ) -> kernel::GroupNorm<'a, T> {
        let last = shape.len() - 1;
        kernel::GroupNorm {
            images: shape[0],
            rows: shape[1..last].iter().product(),
            n: shape[last],
            groups: self.groups,
            gamma,
            beta,
        }
    }
}

impl GroupNorm {
    /// What [`GroupNormGradient`] computes, from the shapes of x and of its groups, whose statistics are over `axes`. They are computed
    /// again from x: all that depends on it counts as its gradient.
    fn composed_gradient<'t, 'e>(
        &self,
        terms: &'t Terms<'e>,
        operands: &[Term<'t, 'e>],
        [shape, grouped]: [&Shape; 2],
        axes: &[usize],
    ) -> Vec<Term<'t, 'e>> {
        let reshaped = |x: &Term<'t, 'e>, shape: &Shape| {
            terms.apply(Arc::new(layout::Reshape(shape.clone())), &[x])
        };
        let mean = |x: &Term<'t, 'e>| x.reduce(Kind::Mean, axes);
        let (g, x) = (&operands[0], reshaped(&operands[1], grouped));
        let centered = &x - mean(&x);
        let variance = mean(&centered.map(Function::Square));
        let inverse = (variance + self.epsilon).map(Function::Rsqrt);
        let normal = centered * &inverse;
        let scaled = match operands.get(4) {
            Some(gamma) => reshaped(&(g * gamma), grouped),
            None => reshaped(g, grouped),
        };
        let dx = (&scaled - mean(&scaled) - &normal * mean(&(&scaled * &normal))) * inverse;
        let channels = std::iter::once(shape[shape.rank() - 1].clone()).collect();
        vec![
            reshaped(&dx, shape),
            (g * reshaped(&normal, shape)).sum_to(&channels),
            g.sum_to(&channels),
        ]
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        infer_norm(inputs, |x| {
            let channels = last_axis(x)?;
            if x.shape.rank() < 2 || channels[0].known().is_none_or(|n| n % self.groups != 0) {
                return value_error!(
                    "{} groups take a tensor with a multiple of as many channels, got {}",
                    self.groups,
                    x.shape
                );
            }
            let groups = [x.shape[0].clone(), Dim::Known(self.groups as i64)];
            Ok((groups.into_iter().collect(), channels))
        })
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        first_by_rows(batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        norm_vjp(Arc::new(GroupNormGradient(*self)), e, vjp)
    }

    fn visible_outputs(&self) -> usize {
        1
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        6 * inputs[0].size() as u64
    }
}

impl RealKernel for GroupNorm {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let (gamma, beta) = (call.inputs.get(1).copied(), call.inputs.get(2).copied());
        let norm = self.kernel(call.operands[0].shape, gamma, beta);
        let [y, mean, inverse] = &mut call.outputs[..] else {
            unreachable!("inferred three results")
        };
        kernel::group_norm(
            norm,
            call.inputs[0],
            self.epsilon,
            y,
            mean,
            inverse,
            call.scratch,
        );
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        self.kernel::<f32>(inputs[0].shape, None, None)
            .scratch_len()
    }
}

/// The gradients of [`GroupNorm`]: operands the result's gradient, x, means, inverse deviations, maybe gamma; results those of x, gamma
/// and beta.
#[derive(Clone, Copy, Debug)]
pub struct GroupNormGradient(GroupNorm);

impl Op for GroupNormGradient {
    fn name(&self) -> &'static str {
        "group_norm_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 4..=5)?;
        let x = inputs[1];
        let parameter = x.with_shape(last_axis(x)?);
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
        let x = vjp.inputs[1].spec();
        let (shape, last) = (&x.shape, x.shape.rank() - 1);
        let Some(channels) = shape[last].known() else {
            return value_error!("the channels of groups must be known");
        };
        let group = [self.0.groups, channels / self.0.groups].map(|n| Dim::Known(n as i64));
        let grouped: Shape = shape[..last].iter().cloned().chain(group).collect();
        let axes: SmallVec<[usize; 4]> = (1..=shape.rank()).filter(|&axis| axis != last).collect();
        differentiate(vjp, |terms, operands| {
            self.0
                .composed_gradient(terms, operands, [shape, &grouped], &axes)
        })
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        10 * inputs[0].size() as u64
    }
}

impl RealKernel for GroupNormGradient {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let gamma = call.inputs.get(4).copied();
        let norm = self.0.kernel(call.operands[1].shape, gamma, None);
        let [g, x, mean, inverse] = call.inputs[..4] else {
            unreachable!("inferred four operands at least")
        };
        let [dx, dgamma, dbeta] = &mut call.outputs[..] else {
            unreachable!("inferred three results")
        };
        kernel::group_norm_gradient(norm, g, x, [mean, inverse], dx, dgamma, dbeta, call.scratch);
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        self.0
            .kernel::<f32>(inputs[1].shape, None, None)
            .scratch_len()
    }
}
