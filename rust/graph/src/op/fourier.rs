//! Discrete Fourier transforms along the last axis, of real and imaginary parts. None divides by the size, so the gradient
//! of each is another one.

use std::sync::Arc;

use kernels::fourier::{self as kernel, Number, Transform};

use super::{Family, Op, Operand, Run, Vjp, create, expect_operands, expect_same_dtype};
use crate::emit::Emitter;
use crate::{Bindings, DType, Dim, Error, Result, Spec, Specs, Value, unsupported, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("fft", |attrs| {
        let backward = attrs.bool_or("backward", false)?;
        Ok(Arc::new(Fourier(if backward {
            Kind::Backward
        } else {
            Kind::Forward
        })))
    }),
    ("rfft", |_| Ok(Arc::new(Fourier(Kind::FromReal)))),
    ("irfft", |attrs| {
        Ok(Arc::new(Fourier(Kind::ToReal(attrs.dim("size")?))))
    }),
];

/// A transform, as [`Transform`] says, of pairs of real and imaginary parts or of single real numbers.
#[derive(Clone, Debug)]
pub struct Fourier(pub Kind);

/// Which transform.
#[derive(Clone, Debug)]
pub enum Kind {
    /// [`Transform::Forward`].
    Forward,
    /// [`Transform::Backward`].
    Backward,
    /// [`Transform::FromReal`].
    FromReal,
    /// [`Transform::ToReal`], with the size of the result.
    ToReal(Dim),
}

impl Kind {
    fn transform(&self) -> Transform {
        match self {
            Kind::Forward => Transform::Forward,
            Kind::Backward => Transform::Backward,
            Kind::FromReal => Transform::FromReal,
            Kind::ToReal(_) => Transform::ToReal,
        }
    }
}

impl Fourier {
    /// The number of rows and their size in real numbers.
    fn rows(&self, input: &[usize], output: &[usize]) -> (usize, usize) {
        let real = if matches!(self.0, Kind::ToReal(_)) {
            output
        } else {
            input
        };
        let (n, rows) = real.split_last().expect("a transform has an axis");
        (rows.iter().product(), *n)
    }
}

impl Op for Fourier {
    fn name(&self) -> &'static str {
        match self.0 {
            Kind::Forward | Kind::Backward => "fft",
            Kind::FromReal => "rfft",
            Kind::ToReal(_) => "irfft",
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let operands = if matches!(self.0, Kind::FromReal) {
            1
        } else {
            2
        };
        expect_operands(inputs, operands..=operands)?;
        let dtype = expect_same_dtype(inputs)?;
        if !matches!(dtype, DType::Float32 | DType::Float64) {
            return unsupported!("dtype {dtype}");
        }
        let shape = &inputs[0].shape;
        let Some(last) = shape.last().filter(|last| !last.is(0)) else {
            return value_error!("expected a last axis of at least one number, got shape {shape}");
        };
        if let Some(other) = inputs.get(1).filter(|other| other.shape != *shape) {
            return value_error!(
                "both parts must have one shape, got {shape} and {}",
                other.shape
            );
        }
        let half = |n: &Dim| -> Result<Dim> { Ok(&n.floor_div(&Dim::Known(2))? + &Dim::Known(1)) };
        let last = match &self.0 {
            Kind::Forward | Kind::Backward => last.clone(),
            Kind::FromReal => half(last)?,
            Kind::ToReal(size) => {
                if size.is(0) || *last != half(size)? {
                    return value_error!("{last} numbers do not make {size} real ones");
                }
                size.clone()
            }
        };
        let mut spec = inputs[0].clone();
        if let Some(axis) = spec.shape.last_mut() {
            *axis = last;
        }
        let outputs = if matches!(self.0, Kind::ToReal(_)) {
            1
        } else {
            2
        };
        Ok(std::iter::repeat_n(spec, outputs).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        match run.inputs[0].dtype {
            DType::Float32 => transform::<f32>(self, run),
            _ => transform::<f64>(self, run),
        }
        Ok(())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        let (rows, n) = self.rows(inputs[0].shape, outputs[0].shape);
        kernel::scratch_len(self.0.transform(), rows, n) * size_of::<f64>()
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let transposed = Fourier(match &self.0 {
            Kind::Forward => Kind::Backward,
            Kind::Backward => Kind::Forward,
            Kind::ToReal(_) => Kind::FromReal,
            Kind::FromReal => match vjp.inputs[0].shape().last() {
                Some(size) => Kind::ToReal(size.clone()),
                None => return Err(Error::Internal("a transform has an axis".into())),
            },
        });
        let mut grads = Vec::with_capacity(2);
        for (grad, output) in vjp.grads.iter().zip(vjp.outputs) {
            grads.push(match grad {
                Some(grad) => grad.clone(),
                None => create::zeros_like(e, output)?,
            });
        }
        let results = e.emit(Arc::new(transposed), &grads.iter().collect::<Vec<_>>())?;
        Ok(results.into_iter().map(Some).collect())
    }

    fn is_symbolic(&self) -> bool {
        matches!(&self.0, Kind::ToReal(size) if size.is_symbolic())
    }

    fn flops(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        let (rows, n) = self.rows(inputs[0].shape, outputs[0].shape);
        5 * rows as u64 * n as u64 * u64::from(n.max(2).ilog2())
    }
}

fn transform<T: Number>(op: &Fourier, run: &mut Run<'_, '_>) {
    let (rows, n) = op.rows(run.inputs[0].shape, run.outputs[0].shape);
    let x = [0, 1].map(|i| run.inputs.get(i).map_or(&[][..], |x| x.as_slice::<T>()));
    let mut outputs = run.outputs.iter_mut();
    let y = [0, 1].map(|_| {
        outputs
            .next()
            .map_or(&mut [][..], |y| y.as_mut_slice::<T>())
    });
    kernel::run(op.0.transform(), rows, n, x, y, run.scratch_of());
}
