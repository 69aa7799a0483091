//! Random numbers. A seed is two uint32; each element depends on the seed and on its index alone.

use std::sync::Arc;

use kernels::elementwise::{
    Compute, Instruction, Op as Function, Operand as Kernel, Program, Value as Register,
};
use kernels::random::{self, Draw as _, Integer as _, Key};

use super::{Attrs, Family, Op, Operand, Run, Vjp, expect_operands};
use crate::emit::Emitter;
use crate::{
    Bindings, DType, Dim, Error, Result, Shape, Spec, Specs, Value, type_error, unsupported,
    value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("random_bits", |attrs| {
        Draw::op(Distribution::Bits, attrs, DType::UInt32)
    }),
    ("random_uniform", |attrs| {
        Draw::op(Distribution::Uniform, attrs, attrs.dtype("dtype")?)
    }),
    ("random_normal", |attrs| {
        Draw::op(Distribution::Normal, attrs, attrs.dtype("dtype")?)
    }),
    ("truncated_normal", |attrs| {
        Draw::op(Distribution::TruncatedNormal, attrs, attrs.dtype("dtype")?)
    }),
    ("random_int", |attrs| {
        Draw::op(Distribution::Integer, attrs, attrs.dtype("dtype")?)
    }),
    ("shuffle_permutation", |attrs| {
        Ok(Arc::new(Permutation(attrs.dim("n")?)))
    }),
    ("dropout", |attrs| {
        let rate = attrs.float("rate")?;
        if !(0.0..=1.0).contains(&rate) {
            return value_error!("`rate` must be between 0 and 1, got {rate}");
        }
        let noise_shape = if attrs.has("noise_shape") {
            Some(Shape(attrs.dims("noise_shape")?))
        } else {
            None
        };
        Ok(Arc::new(Dropout { rate, noise_shape }))
    }),
];

fn expect_seed(seed: &Spec) -> Result<()> {
    if seed.dtype == DType::UInt32 && seed.shape == Shape::from([2]) {
        return Ok(());
    }
    type_error!("a seed must be two uint32, got {seed}")
}

fn key(run: &Run<'_, '_>, i: usize) -> Key {
    let seed = run.input::<u32>(i);
    [seed[0], seed[1]]
}

/// What numbers are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform words.
    Bits,
    /// Uniform in [0, 1).
    Uniform,
    /// Standard normal.
    Normal,
    /// Standard normal within two standard deviations.
    TruncatedNormal,
    /// Uniform integers from one operand up to, not including, another.
    Integer,
}

/// A tensor of independent draws.
#[derive(Clone, Debug)]
pub struct Draw {
    distribution: Distribution,
    shape: Shape,
    dtype: DType,
}

impl Draw {
    fn op(distribution: Distribution, attrs: &Attrs<'_>, dtype: DType) -> Result<Arc<dyn Op>> {
        let fits = match distribution {
            Distribution::Bits => true,
            Distribution::Integer => dtype.is_integer(),
            _ => dtype.is_float(),
        };
        if !fits {
            return type_error!("{distribution:?} has no numbers of dtype {dtype}");
        }
        let shape = Shape(attrs.dims("shape")?);
        Ok(Arc::new(Draw {
            distribution,
            shape,
            dtype,
        }))
    }
}

impl Op for Draw {
    fn name(&self) -> &'static str {
        match self.distribution {
            Distribution::Bits => "random_bits",
            Distribution::Uniform => "random_uniform",
            Distribution::Normal => "random_normal",
            Distribution::TruncatedNormal => "truncated_normal",
            Distribution::Integer => "random_int",
        }
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let count = if self.distribution == Distribution::Integer {
            3
        } else {
            1
        };
        expect_operands(inputs, count..=count)?;
        expect_seed(inputs[0])?;
        for bound in &inputs[1..] {
            if bound.dtype != self.dtype || bound.shape.rank() > 0 {
                return type_error!("a bound must be a scalar of {}, got {bound}", self.dtype);
            }
        }
        Ok(std::iter::once(Spec {
            dtype: self.dtype,
            shape: self.shape.clone(),
        })
        .collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let key = key(run, 0);
        macro_rules! float {
            ($t:ty) => {{
                let out = run.output::<$t>(0);
                match self.distribution {
                    Distribution::Uniform => <$t>::uniform(key, out),
                    Distribution::Normal => <$t>::normal(key, out),
                    _ => <$t>::truncated_normal(key, out),
                }
            }};
        }
        macro_rules! integer {
            ($t:ty) => {{
                let (low, high) = (run.input::<$t>(1)[0], run.input::<$t>(2)[0]);
                <$t>::between(key, low, high, run.output(0));
            }};
        }
        match (self.distribution, self.dtype) {
            (Distribution::Bits, _) => random::bits(key, run.output(0)),
            (_, DType::Float32) => float!(f32),
            (_, DType::Float64) => float!(f64),
            (_, DType::Float16) => float!(half::f16),
            (_, DType::BFloat16) => float!(half::bf16),
            (_, DType::Int8) => integer!(i8),
            (_, DType::Int16) => integer!(i16),
            (_, DType::Int32) => integer!(i32),
            (_, DType::Int64) => integer!(i64),
            (_, DType::UInt8) => integer!(u8),
            (_, DType::UInt16) => integer!(u16),
            (_, DType::UInt32) => integer!(u32),
            (_, DType::UInt64) => integer!(u64),
            (_, dtype) => return unsupported!("{dtype}"),
        }
        Ok(())
    }
}

/// The numbers below a size, in random order.
#[derive(Clone, Debug)]
pub struct Permutation(Dim);

impl Op for Permutation {
    fn name(&self) -> &'static str {
        "shuffle_permutation"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        expect_seed(inputs[0])?;
        let shape = std::iter::once(self.0.clone()).collect();
        Ok(std::iter::once(Spec {
            dtype: DType::Int64,
            shape,
        })
        .collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        random::permutation(key(run, 0), run.output(0));
        Ok(())
    }
}

/// Sets a part of the elements to zero and scales the others up; `noise_shape` broadcasts one draw along its ones.
///
/// It is linear in its operand, so with the same seed it is its own gradient.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f64,
    noise_shape: Option<Shape>,
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        expect_seed(inputs[1])?;
        let x = inputs[0];
        if !x.dtype.is_float() {
            return type_error!("the operand must be of floats, got {}", x.dtype);
        }
        if let Some(noise) = &self.noise_shape {
            let fits = noise.rank() == x.shape.rank()
                && noise
                    .iter()
                    .zip(x.shape.iter())
                    .all(|(n, size)| n == size || n.is(1));
            if !fits {
                return value_error!(
                    "`noise_shape` {noise} does not fit a tensor of shape {}",
                    x.shape
                );
            }
        }
        Ok(std::iter::once(x.clone()).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], bindings: &Bindings) -> usize {
        match &self.noise_shape {
            Some(noise) => noise.eval(bindings).iter().product(),
            None => inputs[0].size(),
        }
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let key = key(run, 1);
        let x = run.inputs[0];
        let noise = self
            .noise_shape
            .as_ref()
            .map(|noise| noise.eval(run.bindings));
        let mask_shape = noise.as_deref().unwrap_or(x.shape);
        let mask = &mut run.scratch[..mask_shape.iter().product()];
        random::keep_mask(key, self.rate, mask);
        let program = Program::new(
            Compute::of(x.dtype),
            &[x.dtype, DType::Bool],
            &[
                Instruction::new(
                    Function::Multiply,
                    &[
                        Register::Input(0),
                        Register::Constant(1.0 / (1.0 - self.rate)),
                    ],
                ),
                Instruction::new(
                    Function::Where,
                    &[
                        Register::Input(1),
                        Register::Result(0),
                        Register::Constant(0.0),
                    ],
                ),
            ],
            &[(Register::Result(1), x.dtype)],
        );
        let program = program.map_err(|why| Error::Internal(why.to_string()))?;
        let operands = [
            Kernel::from_ptr(x.address(), x.shape),
            Kernel::new(mask, mask_shape),
        ];
        // SAFETY: whole tensors of the program's dtypes; the result may be the first operand's memory, of the same shape.
        unsafe { program.run(x.shape, &operands, &[run.outputs[0].address()]) };
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let grad = e.one(Arc::new(self.clone()), &[vjp.grad()?, &vjp.inputs[1]])?;
        Ok(vec![Some(grad), None])
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
