//! Images of other sizes.

use std::sync::Arc;

use kernels::real::Real;
use kernels::resample::{self as kernel, Resample as Sizes};

use super::real::{Call, RealKernel, real_scratch, run_real};
use super::term::{Term, Terms, differentiate};
use super::{Family, Op, Operand, Run, Vjp, expect_operands, expect_same_dtype, layout, matmul};
use crate::emit::Emitter;
use crate::{Bindings, Result, Spec, Specs, Value, type_error, value_error};

/// The family's ops.
pub const OPS: Family = &[("resample", |_| Ok(Arc::new(Resample)))];

/// Sums rows and columns of images `(batch, rows, columns, channels)` under a matrix `(inputs, outputs)` for each of the two.
#[derive(Clone, Copy, Debug)]
pub struct Resample;

impl Resample {
    fn sizes([x, of_rows, of_columns]: [&[usize]; 3]) -> Sizes {
        Sizes {
            batch: x[0],
            rows: [x[1], of_rows[1]],
            columns: [x[2], of_columns[1]],
            channels: x[3],
        }
    }
}

impl Op for Resample {
    fn name(&self) -> &'static str {
        "resample"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 3..=3)?;
        let dtype = expect_same_dtype(inputs)?;
        if !dtype.is_float() {
            return type_error!("images to resample must be of floats, got {dtype}");
        }
        let x = inputs[0];
        if x.shape.rank() != 4 {
            return value_error!(
                "images to resample have 4 axes (batch, rows, columns, channels), got {}",
                x.shape
            );
        }
        let mut shape = x.shape.clone();
        for (axis, weights) in [1, 2].into_iter().zip(&inputs[1..]) {
            if weights.shape.rank() != 2 || weights.shape[0].never_equals(&x.shape[axis]) {
                return value_error!(
                    "weights of {} inputs must be a matrix with as many rows, got {}",
                    x.shape[axis],
                    weights.shape
                );
            }
            shape[axis] = weights.shape[1].clone();
        }
        Ok(std::iter::once(x.with_shape(shape)).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        super::first_by_rows(batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let mut grads = vec![None; 3];
        if vjp.wanted[1] || vjp.wanted[2] {
            grads = differentiate(vjp, |terms: &Terms<'_>, x: &[Term<'_, '_>]| {
                vec![composed(terms, x)]
            })?;
        } else if vjp.wanted[0] {
            let of_rows = layout::transpose(e, &vjp.inputs[1], &[1, 0])?;
            let of_columns = layout::transpose(e, &vjp.inputs[2], &[1, 0])?;
            grads[0] = Some(e.one(Arc::new(*self), &[vjp.grad()?, &of_rows, &of_columns])?);
        }
        Ok(grads)
    }

    fn flops(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        // As for bilinear interpolation: two rows, then two columns.
        let line = inputs[0].shape[2] * inputs[0].shape[3] * inputs[0].shape[0];
        4 * (line * outputs[0].shape[1] + outputs[0].size()) as u64
    }
}

/// The same as two products, each behind a transpose that brings its axis to the end.
fn composed<'t, 'e>(terms: &'t Terms<'e>, x: &[Term<'t, 'e>]) -> Term<'t, 'e> {
    let product = matmul::Matmul {
        transpose_a: false,
        transpose_b: false,
    };
    let along = |x: &Term<'t, 'e>, weights: &Term<'t, 'e>, axes: [i64; 4]| {
        let moved = terms.apply(Arc::new(layout::Transpose(Some(axes.into()))), &[x]);
        terms.apply(Arc::new(product), &[&moved, weights])
    };
    let rows = along(&x[0], &x[1], [0, 2, 3, 1]);
    let columns = along(&rows, &x[2], [0, 3, 2, 1]);
    terms.apply(
        Arc::new(layout::Transpose(Some([0, 1, 3, 2].into()))),
        &[&columns],
    )
}

impl RealKernel for Resample {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let sizes = Self::sizes([0, 1, 2].map(|i| call.operands[i].shape));
        let [x, of_rows, of_columns] = call.inputs[..] else {
            unreachable!("inferred three operands")
        };
        kernel::resample(
            &sizes,
            x,
            of_rows,
            of_columns,
            call.outputs[0],
            call.scratch,
        );
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        Self::sizes([0, 1, 2].map(|i| inputs[i].shape)).scratch_len()
    }
}
