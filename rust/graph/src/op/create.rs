//! Ops that make tensors of attributes alone.

use std::sync::Arc;

use half::{bf16, f16};

use super::{Family, Op, Run, expect_operands};
use crate::emit::Emitter;
use crate::{DType, Dim, Result, Shape, Spec, Specs, Tensor, Value};

/// The family's ops.
pub const OPS: Family = &[
    ("iota", |attrs| {
        let shape = Shape(attrs.dims("shape")?);
        let axis = shape.axis(attrs.int_or("axis", 0)?)?;
        Ok(Arc::new(Iota {
            shape,
            axis,
            dtype: attrs.dtype("dtype")?,
        }))
    }),
    ("dim", |attrs| {
        Ok(Arc::new(Size {
            value: attrs.dim("value")?,
            dtype: attrs.dtype("dtype")?,
        }))
    }),
];

/// A number type that integers round to.
pub(super) trait FromInteger {
    fn from_integer(i: i64) -> Self;
}

macro_rules! from_integer {
    ($($type:ty: $make:expr),*) => {$(
        impl FromInteger for $type {
            fn from_integer(i: i64) -> Self {
                ($make)(i)
            }
        }
    )*};
}
from_integer!(
    i8: |i| i as i8, i16: |i| i as i16, i32: |i| i as i32, i64: |i| i,
    u8: |i| i as u8, u16: |i| i as u16, u32: |i| i as u32, u64: |i| i as u64,
    f16: |i| f16::from_f64(i as f64), bf16: |i| bf16::from_f64(i as f64), f32: |i| i as f32, f64: |i| i as f64
);

/// The position along an axis, as numbers: 0, 1, 2, ...
#[derive(Clone, Debug)]
pub struct Iota {
    /// The shape of the result.
    pub shape: Shape,
    /// The axis whose positions are given.
    pub axis: usize,
    /// The dtype of the result.
    pub dtype: DType,
}

impl Op for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 0..=0)?;
        Ok(std::iter::once(Spec::new(self.dtype, self.shape.clone())).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let shape = run.outputs[0].shape;
        let inner = shape[self.axis + 1..].iter().product::<usize>().max(1);
        let positions = (0..shape[self.axis] as i64).cycle();
        with_type!(self.dtype, real, T => {
            for (line, i) in run.output::<T>(0).chunks_exact_mut(inner).zip(positions) {
                line.fill(T::from_integer(i));
            }
        });
        Ok(())
    }
}

/// A size as a scalar.
#[derive(Clone, Debug)]
pub struct Size {
    /// The size.
    pub value: Dim,
    /// The dtype of the result.
    pub dtype: DType,
}

impl Op for Size {
    fn name(&self) -> &'static str {
        "dim"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 0..=0)?;
        Ok(std::iter::once(Spec::new(self.dtype, Shape::default())).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let size = run.dim(&self.value);
        with_type!(self.dtype, real, T => run.output::<T>(0)[0] = T::from_integer(size));
        Ok(())
    }

    fn is_symbolic(&self) -> bool {
        self.value.is_symbolic()
    }
}

/// A size as a scalar of a dtype.
///
/// # Errors
/// When the dtype is not one of numbers.
pub fn size(e: &mut dyn Emitter, value: &Dim, dtype: DType) -> Result<Value> {
    match value {
        Dim::Known(value) => Ok(Value::concrete(Tensor::scalar_of(dtype, *value as f64))),
        Dim::Symbolic(_) => e.one(
            Arc::new(Size {
                value: value.clone(),
                dtype,
            }),
            &[],
        ),
    }
}

/// The position along `axis` in a tensor of `shape`.
///
/// # Errors
/// When the dtype is not one of numbers.
pub fn iota(e: &mut dyn Emitter, shape: &Shape, axis: usize, dtype: DType) -> Result<Value> {
    e.one(
        Arc::new(Iota {
            shape: shape.clone(),
            axis,
            dtype,
        }),
        &[],
    )
}

/// Zeros of the shape and dtype of `like`.
///
/// # Errors
/// Those of a broadcast.
pub fn zeros_like(e: &mut dyn Emitter, like: &Value) -> Result<Value> {
    zeros(e, like.dtype(), like.shape())
}

/// Zeros.
///
/// # Errors
/// Those of a broadcast.
pub fn zeros(e: &mut dyn Emitter, dtype: DType, shape: &Shape) -> Result<Value> {
    let zero = Value::concrete(Tensor::scalar_of(dtype, 0.0));
    super::layout::broadcast_to(e, &zero, shape)
}
