//! Orders along an axis: NaN is greater than any number, equals keep their order.

use std::sync::Arc;

use kernels::index::take_along_axis;
use kernels::sort::{self as kernel, Entry};

use super::{Family, Op, Operand, Run, Vjp, expect_operands, index};
use crate::emit::Emitter;
use crate::spec::normalize_axis;
use crate::{Bindings, DType, Dim, Result, Spec, Specs, Value, type_error, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("sort", |attrs| {
        Ok(Arc::new(Sort {
            axis: attrs.int_or("axis", -1)?,
            positions: false,
        }))
    }),
    ("argsort", |attrs| {
        Ok(Arc::new(ArgSort(attrs.int_or("axis", -1)?)))
    }),
    ("top_k", |attrs| Ok(Arc::new(TopK(attrs.int("k")?)))),
];

fn expect_order(inputs: &[&Spec]) -> Result<()> {
    expect_operands(inputs, 1..=1)?;
    if inputs[0].dtype.is_complex() {
        return type_error!("{} has no order", inputs[0].dtype);
    }
    Ok(())
}

/// Bytes of a line's entries: an integer twice as long as the key, which has 4 or 8 bytes.
fn entries(input: &Operand<'_>) -> usize {
    input.size() * 2 * input.dtype.size().max(4)
}

/// The scratch as entries.
fn as_entries<T: kernel::Sortable>(scratch: &mut [u8]) -> &mut [Entry<T>] {
    // SAFETY: entries are integers, so any bits are one.
    unsafe { scratch.align_to_mut().1 }
}

/// The elements in ascending order along an axis.
#[derive(Clone, Debug)]
pub struct Sort {
    /// The axis, negative ones counted from the end.
    pub axis: i64,
    /// Whether the elements' former positions are an output too, for the gradient.
    pub positions: bool,
}

impl Op for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_order(inputs)?;
        inputs[0].shape.axis(self.axis)?;
        let mut specs: Specs = std::iter::once(inputs[0].clone()).collect();
        if self.positions {
            specs.push(inputs[0].with_dtype(DType::Int32));
        }
        Ok(specs)
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        entries(&inputs[0])
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        let axis = normalize_axis(self.axis, shape.len())?;
        with_type!(run.inputs[0].dtype, real, T => {
            let (x, y) = (run.input::<T>(0), run.output::<T>(0));
            if self.positions {
                let positions = run.output::<i32>(1);
                kernel::argsort(x, shape, axis, positions, as_entries::<T>(run.scratch));
                take_along_axis(x, shape, axis, positions, shape[axis], T::default(), y);
            } else {
                kernel::sort(x, shape, axis, y, as_entries::<T>(run.scratch));
            }
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = index::put_along_axis(e, &vjp.inputs[0], &vjp.outputs[1], vjp.grad()?, self.axis)?;
        Ok(vec![Some(g)])
    }

    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Sort {
            positions: true,
            ..self.clone()
        }))
    }

    fn visible_outputs(&self) -> usize {
        1
    }
}

/// The positions of the elements in ascending order along an axis, as int32.
#[derive(Clone, Debug)]
pub struct ArgSort(pub i64);

impl Op for ArgSort {
    fn name(&self) -> &'static str {
        "argsort"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_order(inputs)?;
        inputs[0].shape.axis(self.0)?;
        Ok(std::iter::once(inputs[0].with_dtype(DType::Int32)).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        entries(&inputs[0])
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        let axis = normalize_axis(self.0, shape.len())?;
        with_type!(run.inputs[0].dtype, real, T => {
            let (x, y) = (run.input::<T>(0), run.output::<i32>(0));
            kernel::argsort(x, shape, axis, y, as_entries::<T>(run.scratch));
        });
        Ok(())
    }
}

/// The greatest elements along the last axis, descending, and their positions as int32.
#[derive(Clone, Debug)]
pub struct TopK(pub i64);

impl Op for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_order(inputs)?;
        let mut shape = inputs[0].shape.clone();
        let fits = |n: &Dim| self.0 >= 0 && !matches!(n, Dim::Known(n) if *n < self.0);
        let Some(last) = shape.last_mut().filter(|n| fits(n)) else {
            return value_error!(
                "the greatest {} elements of the last axis of shape {}",
                self.0,
                inputs[0].shape
            );
        };
        *last = Dim::Known(self.0);
        let values = inputs[0].with_shape(shape);
        let positions = values.with_dtype(DType::Int32);
        Ok([values, positions].into_iter().collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        entries(&inputs[0])
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.inputs[0].shape;
        let (n, k) = (shape[shape.len() - 1], self.0 as usize);
        if k > n {
            return value_error!("the greatest {k} elements of the last axis of shape {shape:?}");
        }
        let positions = run.output::<i32>(1);
        with_type!(run.inputs[0].dtype, real, T => {
            let (x, y) = (run.input::<T>(0), run.output::<T>(0));
            kernel::top_k(x, n, k, y, positions, as_entries::<T>(run.scratch));
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = index::put_along_axis(e, &vjp.inputs[0], &vjp.outputs[1], vjp.grad()?, -1)?;
        Ok(vec![Some(g)])
    }
}
