//! The updates of optimizers.

use std::sync::Arc;

use half::{bf16, f16};
use kernels::elementwise::cast;
use kernels::optimizer::Update;
use kernels::real::Real;
use smallvec::SmallVec;

use super::{Family, Op, Operand, Run, expect_operands, expect_same_dtype};
use crate::{Bindings, DType, Element, Result, Spec, Specs, type_error, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("sgd_update", |_| Ok(Arc::new(Update::Sgd))),
    ("momentum_update", |attrs| {
        let nesterov = attrs.bool_or("nesterov", false)?;
        Ok(Arc::new(Update::Momentum { nesterov }))
    }),
    ("adam_update", |_| Ok(Arc::new(Update::Adam))),
    ("amsgrad_update", |_| Ok(Arc::new(Update::Amsgrad))),
    ("rmsprop_update", |_| Ok(Arc::new(Update::Rmsprop))),
];

/// Operands: the states, the gradient, scalar rates; results: the states after the step, in their memory where nobody else reads it.
impl Op for Update {
    fn name(&self) -> &'static str {
        match self {
            Update::Sgd => "sgd_update",
            Update::Momentum { .. } => "momentum_update",
            Update::Adam => "adam_update",
            Update::Amsgrad => "amsgrad_update",
            Update::Rmsprop => "rmsprop_update",
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let (states, rates) = (self.states(), self.rates());
        let count = states + 1 + rates;
        expect_operands(inputs, count..=count)?;
        let dtype = expect_same_dtype(inputs)?;
        if !dtype.is_float() {
            return type_error!("an optimizer's variable of {dtype}");
        }
        for input in &inputs[1..=states] {
            if input.shape != inputs[0].shape {
                return value_error!(
                    "a variable of shape {} got a state or gradient of shape {}",
                    inputs[0].shape,
                    input.shape
                );
            }
        }
        if let Some(rate) = inputs[states + 1..]
            .iter()
            .find(|rate| rate.shape.rank() > 0)
        {
            return value_error!("rates are scalars, got one of shape {}", rate.shape);
        }
        Ok((0..states).map(|_| inputs[0].clone()).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        match run.inputs[0].dtype {
            DType::Float64 => step::<f64>(*self, run),
            DType::Float32 => step::<f32>(*self, run),
            DType::Float16 => step_of_halves::<f16>(*self, run),
            _ => step_of_halves::<bf16>(*self, run),
        }
        Ok(())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        if inputs[0].dtype.size() > 2 {
            return 0;
        }
        (inputs[0].size() * (self.states() + 1) + self.rates()) * size_of::<f32>()
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (1, 1), (2, 2), (3, 3)][..self.states()]
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        (inputs[0].size() * 4 * self.states()) as u64
    }
}

/// A step where states, gradient and rates are held in numbers with lanes.
fn step<T: Real>(update: Update, run: &mut Run<'_, '_>) {
    let count = update.states();
    for k in 0..count {
        run.carry_over(k, k);
    }
    let rates: SmallVec<[T; 4]> = (run.inputs[count + 1..].iter())
        .map(|rate| rate.as_slice::<T>()[0])
        .collect();
    let gradient = run.input::<T>(count);
    let mut states: SmallVec<[&mut [T]; 4]> = (0..count).map(|k| run.output(k)).collect();
    update.step(&mut states, gradient, &rates);
}

/// A step that is computed in `f32`, in scratch.
fn step_of_halves<H: Element>(update: Update, run: &mut Run<'_, '_>) {
    let (count, n) = (update.states(), run.inputs[0].size());
    let inputs = run.inputs;
    let scratch = run.scratch_of::<f32>();
    let (wide, rates) = scratch.split_at_mut((count + 1) * n);
    let rates = &mut rates[..update.rates()];
    for (rate, given) in rates.iter_mut().zip(&inputs[count + 1..]) {
        cast(given.as_slice::<H>(), std::slice::from_mut(rate));
    }
    if n == 0 {
        return;
    }
    let mut parts: SmallVec<[&mut [f32]; 5]> = wide.chunks_exact_mut(n).collect();
    for (part, given) in parts.iter_mut().zip(inputs) {
        cast(given.as_slice::<H>(), part);
    }
    let (states, gradient) = parts.split_at_mut(count);
    update.step(states, gradient[0], rates);
    // The results may be the operands' memory, which is read by now.
    let addresses: SmallVec<[(*const f32, usize); 4]> = (states.iter())
        .map(|state| (state.as_ptr(), state.len()))
        .collect();
    drop(parts);
    for (k, (state, len)) in addresses.into_iter().enumerate() {
        // SAFETY: a part of the scratch, which nothing writes any more.
        let state = unsafe { std::slice::from_raw_parts(state, len) };
        cast(state, run.output::<H>(k));
    }
}
