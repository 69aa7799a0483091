//! The updates of optimizers.

use std::sync::Arc;

use kernels::optimizer::Update;

use super::elementwise::run_program;
use super::{Family, Op, Operand, Run, expect_operands, expect_same_dtype};
use crate::{Error, Result, Spec, Specs, value_error};

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
        self.program(dtype)
            .map_err(|why| Error::Type(why.to_string()))?;
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
        let program = self.program(run.inputs[0].dtype);
        run_program(&program.map_err(|why| Error::Type(why.to_string()))?, run);
        Ok(())
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (1, 1), (2, 2), (3, 3)][..self.states()]
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        (inputs[0].size() * 4 * self.states()) as u64
    }
}
