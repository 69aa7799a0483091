//! Softmax, its logarithm, and cross-entropies of logits.

use std::sync::Arc;

use kernels::elementwise::Op as Function;
use kernels::real::Real;
use kernels::softmax::{self as kernel, Classes};

use super::real::{Call, RealKernel, real_scratch, run_real};
use super::reduce::Kind;
use super::term::{Term, Terms, differentiate};
use super::{Family, Op, Operand, Run, Vjp, create, expect_operands};
use crate::emit::Emitter;
use crate::{
    Bindings, DType, Dim, Result, Shape, Spec, Specs, Value, trace, type_error, value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("softmax", |attrs| {
        Ok(Arc::new(Softmax {
            axis: attrs.int_or("axis", -1)?,
            log: false,
        }))
    }),
    ("log_softmax", |attrs| {
        Ok(Arc::new(Softmax {
            axis: attrs.int_or("axis", -1)?,
            log: true,
        }))
    }),
    ("softmax_cross_entropy", |_| {
        Ok(Arc::new(CrossEntropy { sparse: false }))
    }),
    ("sparse_softmax_cross_entropy", |_| {
        Ok(Arc::new(CrossEntropy { sparse: true }))
    }),
];

fn expect_floats(x: &Spec) -> Result<()> {
    if x.dtype.is_float() {
        return Ok(());
    }
    type_error!("the operand must be of floats, got {}", x.dtype)
}

/// Exponentials along an axis divided by their sum, or the logarithms of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    axis: i64,
    log: bool,
}

impl Softmax {
    /// The softmax along an axis.
    pub fn along(axis: i64) -> Softmax {
        Softmax { axis, log: false }
    }
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        expect_floats(inputs[0])?;
        inputs[0].shape.axis(self.axis)?;
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let axis = [vjp.inputs[0].shape().axis(self.axis)?];
        let terms = Terms::new(e);
        let (g, y) = (terms.of(vjp.grad()?), terms.of(&vjp.outputs[0]));
        let grad = if self.log {
            &g - y.map(Function::Exp) * g.reduce(Kind::Sum, &axis)
        } else {
            &y * (&g - (&g * &y).reduce(Kind::Sum, &axis))
        };
        Ok(vec![Some(grad.value()?)])
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        12 * inputs[0].size() as u64
    }
}

impl RealKernel for Softmax {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let shape = call.operands[0].shape;
        let axis = if self.axis < 0 {
            self.axis + shape.len() as i64
        } else {
            self.axis
        } as usize;
        let inner = shape[axis + 1..].iter().product();
        kernel::softmax(
            call.inputs[0],
            call.outputs[0],
            shape[axis],
            inner,
            self.log,
        );
    }
}

/// The cross-entropies of the softmax of logits `(..., classes)` with probabilities of that shape, or with class numbers `(...)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEntropy {
    sparse: bool,
}

impl CrossEntropy {
    /// The losses' spec.
    fn expect(&self, logits: &Spec, targets: &Spec) -> Result<Spec> {
        expect_floats(logits)?;
        let Some((_, rows)) = logits.shape.split_last() else {
            return value_error!("logits need an axis of classes, got a scalar");
        };
        let rows: Shape = rows.iter().cloned().collect();
        let fits_dtype = if self.sparse {
            matches!(targets.dtype, DType::Int32 | DType::Int64)
        } else {
            targets.dtype == logits.dtype
        };
        if !fits_dtype {
            let wanted = if self.sparse {
                "int32 or int64"
            } else {
                logits.dtype.name()
            };
            return type_error!("targets must be {wanted}, got {}", targets.dtype);
        }
        let wanted = if self.sparse { &rows } else { &logits.shape };
        // Sizes that may be equal are checked when memory is planned.
        let fits = targets.shape.rank() == wanted.rank()
            && targets
                .shape
                .iter()
                .zip(wanted.iter())
                .all(|(a, b)| !a.never_equals(b));
        if !fits {
            return value_error!(
                "targets of shape {} do not fit logits of shape {}",
                targets.shape,
                logits.shape
            );
        }
        for (a, b) in targets.shape.iter().zip(wanted.iter()) {
            trace::assume_equal(a, b);
        }
        Ok(logits.with_shape(rows))
    }

    fn classes<'a, T: Real>(&self, call: &Call<'a, T>) -> Classes<'a, T> {
        let targets = &call.operands[1];
        match targets.dtype {
            DType::Int32 => Classes::Int32(targets.as_slice()),
            DType::Int64 => Classes::Int64(targets.as_slice()),
            _ => Classes::Dense(call.inputs[1]),
        }
    }
}

/// The size of the last axis.
fn classes_of(shape: &[usize]) -> usize {
    shape[shape.len() - 1]
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        if self.sparse {
            "sparse_softmax_cross_entropy"
        } else {
            "softmax_cross_entropy"
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        Ok(std::iter::once(self.expect(inputs[0], inputs[1])?).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (logits, targets, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.grad()?);
        let mut grads = vec![None, None];
        if vjp.wanted[0] {
            grads[0] = Some(e.one(Arc::new(CrossEntropyGradient(*self)), &[logits, targets, g])?);
        }
        if vjp.wanted[1] && !self.sparse {
            let log = e.one(
                Arc::new(Softmax {
                    axis: -1,
                    log: true,
                }),
                &[logits],
            )?;
            let terms = Terms::new(e);
            let g = terms.of(g).reshape(&column(g.shape()));
            grads[1] = Some((-(g * terms.of(&log))).value()?);
        }
        Ok(grads)
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        12 * inputs[0].size() as u64
    }
}

/// The shape with an axis of size 1 at its end.
fn column(shape: &Shape) -> Shape {
    shape.iter().cloned().chain([Dim::Known(1)]).collect()
}

impl RealKernel for CrossEntropy {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let n = classes_of(call.operands[0].shape);
        let classes = self.classes(&call);
        kernel::cross_entropy(call.inputs[0], classes, n, call.outputs[0]);
    }
}

/// The gradient of [`CrossEntropy`] with respect to its logits: logits, targets, the gradient of the losses.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyGradient(CrossEntropy);

impl Op for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        if self.0.sparse {
            "sparse_softmax_cross_entropy_gradient"
        } else {
            "softmax_cross_entropy_gradient"
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        self.0.expect(inputs[0], inputs[1])?;
        Ok(std::iter::once(inputs[0].clone()).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (logits, targets) = (&vjp.inputs[0], &vjp.inputs[1]);
        let rank = logits.rank();
        // Class numbers become vectors; those of no class become zeros.
        let ids = create::iota(
            e,
            &std::iter::once(logits.shape()[rank - 1].clone()).collect(),
            0,
            targets.dtype(),
        );
        let sparse = self.0.sparse;
        let ids = if sparse { Some(ids?) } else { None };
        let (shape, dtype) = (column(&vjp.inputs[2].shape().clone()), logits.dtype());
        differentiate(vjp, |terms: &Terms<'_>, x: &[Term<'_, '_>]| {
            let p = terms.apply(
                Arc::new(Softmax {
                    axis: -1,
                    log: false,
                }),
                &[&x[0]],
            );
            let targets = match &ids {
                Some(ids) => terms
                    .of(ids)
                    .with(Function::Equal, &x[1].reshape(&shape))
                    .cast(dtype),
                None => x[1].clone(),
            };
            let total = targets.reduce(Kind::Sum, &[rank - 1]);
            vec![x[2].reshape(&shape) * (p * total - targets)]
        })
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        14 * inputs[0].size() as u64
    }
}

impl RealKernel for CrossEntropyGradient {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let n = classes_of(call.operands[0].shape);
        let classes = self.0.classes(&call);
        kernel::cross_entropy_gradient(call.inputs[0], classes, call.inputs[2], n, call.outputs[0]);
    }
}
