//! Pooling over windows and its gradients.

use std::sync::Arc;

use kernels::DType;
use kernels::conv::Window;
use kernels::gemm::Half;
use kernels::pool::{self, Pooling};
use smallvec::SmallVec;

use super::conv::Sliding;
use super::{Attrs, Family, Op, Operand, Run, Vjp, expect_operands, first_by_rows};
use crate::emit::Emitter;
use crate::{Bindings, Result, Shape, Spec, Specs, Value, type_error, unsupported, value_error};

/// The family's ops.
pub const OPS: Family = &[
    ("max_pool", |attrs| {
        Ok(Arc::new(MaxPool {
            windows: PoolWindows::from_attrs(attrs)?,
            argmax: false,
        }))
    }),
    ("avg_pool", |attrs| {
        Ok(Arc::new(AvgPool(PoolWindows::from_attrs(attrs)?)))
    }),
];

/// How windows of some size slide.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolWindows {
    size: SmallVec<[usize; 3]>,
    sliding: Sliding,
}

impl PoolWindows {
    fn from_attrs(attrs: &Attrs<'_>) -> Result<Self> {
        let sliding = Sliding::from_attrs(attrs)?;
        let size = super::conv::sizes("window", &attrs.ints("window")?, sliding.rank(), 1)?;
        Ok(PoolWindows { size, sliding })
    }

    /// The spec of what comes out of `x`.
    fn output(&self, x: &Spec) -> Result<Spec> {
        self.sliding.expect_rank("x", x)?;
        if x.dtype == DType::Bool || x.dtype.is_complex() {
            return type_error!("pooling takes integers or floats, got {}", x.dtype);
        }
        let mut shape = x.shape.clone();
        for (axis, dim) in self
            .sliding
            .output(&x.shape, &self.size)?
            .into_iter()
            .enumerate()
        {
            shape[1 + axis] = dim;
        }
        Ok(x.with_shape(shape))
    }

    /// As `Sliding::padded`, where no window lies in the padding alone.
    pub(crate) fn padded(&self, pairs: &[(usize, usize)]) -> Option<Self> {
        let inside =
            (pairs.iter().zip(&self.size)).all(|(&(low, high), &size)| low < size && high < size);
        let dense = self.sliding.dilation.iter().all(|&step| step == 1);
        Some(PoolWindows {
            size: self.size.clone(),
            sliding: (inside && dense).then(|| self.sliding.padded(pairs))??,
        })
    }

    /// The pooling of an input of that shape.
    fn pooling(&self, x: &[usize]) -> Pooling {
        let Sliding {
            strides,
            dilation,
            padding,
        } = &self.sliding;
        let last = x.len() - 1;
        Pooling {
            batch: x[0],
            channels: x[last],
            window: Window::new(&x[1..last], &self.size, strides, dilation, padding),
        }
    }

    /// Checks that `g` has the shape of what comes out of an input of shape `x`.
    fn expect_output(&self, x: &Shape, g: &Spec) -> Result<()> {
        self.sliding.expect_rank("g", g)?;
        let fits = x.rank() == g.shape.rank() && {
            let out = self.output(&g.with_shape(x.clone()))?;
            out.shape
                .iter()
                .zip(g.shape.iter())
                .all(|(a, b)| !a.never_equals(b))
        };
        if fits {
            return Ok(());
        }
        value_error!("pooling does not lead from {x} to {}", g.shape)
    }
}

fn one(spec: Spec) -> Specs {
    std::iter::once(spec).collect()
}

/// The greatest item of each window; with `argmax`, where in its image it stands too.
#[derive(Clone, Debug)]
pub struct MaxPool {
    /// The windows.
    pub windows: PoolWindows,
    /// Whether there is a second result, int32.
    pub argmax: bool,
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        let out = self.windows.output(inputs[0])?;
        let mut specs = one(out);
        if self.argmax {
            specs.push(specs[0].with_dtype(DType::Int32));
        }
        Ok(specs)
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        first_by_rows(batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let pooling = self.windows.pooling(run.inputs[0].shape);
        with_type!(run.inputs[0].dtype, real, T => {
            let (x, out) = (run.input::<T>(0), run.output::<T>(0));
            if self.argmax {
                pool::max_pool_argmax(&pooling, x, out, run.output(1));
            } else {
                pool::max_pool(&pooling, x, out);
            }
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let [_, argmax] = vjp.outputs else {
            return unsupported!("the gradient of max_pool without its places");
        };
        let op = MaxPoolGradient {
            windows: self.windows.clone(),
            input: vjp.inputs[0].shape().clone(),
        };
        Ok(vec![Some(e.one(Arc::new(op), &[vjp.grad()?, argmax])?)])
    }

    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        let windows = self.windows.clone();
        Some(Arc::new(MaxPool {
            windows,
            argmax: true,
        }))
    }

    fn visible_outputs(&self) -> usize {
        1
    }

    fn flops(&self, _: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        (outputs[0].size() * self.windows.size.iter().product::<usize>()) as u64
    }
}

/// The gradient of [`MaxPool`]: each item of `g` goes where the place says.
#[derive(Clone, Debug)]
struct MaxPoolGradient {
    windows: PoolWindows,
    input: Shape,
}

impl Op for MaxPoolGradient {
    fn name(&self) -> &'static str {
        "max_pool_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        self.windows.expect_output(&self.input, inputs[0])?;
        Ok(one(inputs[0].with_shape(self.input.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let pooling = self.windows.pooling(run.outputs[0].shape);
        with_type!(run.inputs[0].dtype, floats, T => {
            let (g, argmax) = (run.input::<T>(0), run.input(1));
            pool::max_pool_gradient(&pooling, g, argmax, run.output(0));
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = MaxPoolGather {
            windows: self.windows.clone(),
        };
        let grad = e.one(Arc::new(op), &[vjp.grad()?, &vjp.inputs[1]])?;
        Ok(vec![Some(grad), None])
    }
}

/// The items of `x` at the places where [`MaxPool`] found maxima: the gradient of its gradient.
#[derive(Clone, Debug)]
struct MaxPoolGather {
    windows: PoolWindows,
}

impl Op for MaxPoolGather {
    fn name(&self) -> &'static str {
        "max_pool_gather"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        self.windows.expect_output(&inputs[0].shape, inputs[1])?;
        Ok(one(inputs[0].with_shape(inputs[1].shape.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let pooling = self.windows.pooling(run.inputs[0].shape);
        with_type!(run.inputs[0].dtype, floats, T => {
            let (x, argmax) = (run.input::<T>(0), run.input(1));
            pool::max_pool_gather(&pooling, x, argmax, run.output(0));
        });
        Ok(())
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = MaxPoolGradient {
            windows: self.windows.clone(),
            input: vjp.inputs[0].shape().clone(),
        };
        let grad = e.one(Arc::new(op), &[vjp.grad()?, &vjp.inputs[1]])?;
        Ok(vec![Some(grad), None])
    }
}

/// The average of each window's items, padding excluded.
#[derive(Clone, Debug)]
pub struct AvgPool(pub PoolWindows);

/// The gradient of [`AvgPool`].
#[derive(Clone, Debug)]
struct AvgPoolGradient {
    windows: PoolWindows,
    input: Shape,
}

/// Runs a kernel on floats; on half floats through `f32`, with scratch for both operands.
fn run_average(
    run: &mut Run<'_, '_>,
    single: impl Fn(&[f32], &mut [f32]),
    double: impl Fn(&[f64], &mut [f64]),
) -> Result<()> {
    fn half<H: Half>(run: &mut Run<'_, '_>, single: impl Fn(&[f32], &mut [f32])) {
        let (from, to) = (run.input::<H>(0), run.output::<H>(0));
        let (x, rest) = run.scratch_of::<f32>().split_at_mut(from.len());
        let out = &mut rest[..to.len()];
        H::widen(from, x);
        single(x, out);
        H::narrow(out, to);
    }

    match run.inputs[0].dtype {
        DType::Float32 => single(run.input(0), run.output(0)),
        DType::Float64 => double(run.input(0), run.output(0)),
        DType::Float16 => half::<half::f16>(run, single),
        DType::BFloat16 => half::<half::bf16>(run, single),
        dtype => return type_error!("averages are of floats, got {dtype}"),
    }
    Ok(())
}

/// Bytes of scratch of [`run_average`].
fn average_scratch(inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> usize {
    match inputs[0].dtype {
        DType::Float16 | DType::BFloat16 => {
            (inputs[0].size() + outputs[0].size()) * size_of::<f32>()
        }
        _ => 0,
    }
}

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        if !inputs[0].dtype.is_float() {
            return type_error!("averages are of floats, got {}", inputs[0].dtype);
        }
        Ok(one(self.0.output(inputs[0])?))
    }

    fn by_rows(&self, _inputs: &[&Spec], batched: &[bool]) -> bool {
        first_by_rows(batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let pooling = self.0.pooling(run.inputs[0].shape);
        run_average(
            run,
            |x, out| pool::avg_pool(&pooling, x, out),
            |x, out| pool::avg_pool(&pooling, x, out),
        )
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        average_scratch(inputs, outputs)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = AvgPoolGradient {
            windows: self.0.clone(),
            input: vjp.inputs[0].shape().clone(),
        };
        Ok(vec![Some(e.one(Arc::new(op), &[vjp.grad()?])?)])
    }

    fn flops(&self, _: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        (outputs[0].size() * self.0.size.iter().product::<usize>()) as u64
    }
}

impl Op for AvgPoolGradient {
    fn name(&self) -> &'static str {
        "avg_pool_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 1..=1)?;
        self.windows.expect_output(&self.input, inputs[0])?;
        Ok(one(inputs[0].with_shape(self.input.clone())))
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let pooling = self.windows.pooling(run.outputs[0].shape);
        run_average(
            run,
            |g, out| pool::avg_pool_gradient(&pooling, g, out),
            |g, out| pool::avg_pool_gradient(&pooling, g, out),
        )
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        average_scratch(inputs, outputs)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let op = AvgPool(self.windows.clone());
        Ok(vec![Some(e.one(Arc::new(op), &[vjp.grad()?])?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Attr, builder};
    use crate::tape::Source;
    use crate::{Dim, Tape, Tensor, apply};

    fn build(name: &str, padding: &'static str) -> Arc<dyn Op> {
        let ints = |values: [i64; 2]| Attr::List(values.map(|n| Attr::Int(Dim::Known(n))).to_vec());
        let attrs = [
            ("window", ints([3, 2])),
            ("strides", ints([2, 2])),
            ("padding", Attr::Str(padding)),
        ];
        builder(name).unwrap()(&Attrs(attrs.into_iter().collect())).unwrap()
    }

    fn value(shape: &[usize], seed: usize) -> Value {
        let len = shape.iter().product();
        let data: Vec<f64> = (0..len)
            .map(|i| ((i * 7919 + seed * 31) % 101) as f64 - 50.0)
            .collect();
        Value::concrete(Tensor::from_slice(&data, shape))
    }

    fn like(other: &Value, seed: usize) -> Value {
        value(&other.shape().known().unwrap(), seed)
    }

    fn dot(a: &Value, b: &Value) -> f64 {
        let (a, b) = (a.require().unwrap(), b.require().unwrap());
        a.as_slice::<f64>()
            .iter()
            .zip(b.as_slice::<f64>())
            .map(|(a, b)| a * b)
            .sum()
    }

    /// Near `x` a pooling is linear, so `<pool(x), g> = <x, gradient>`; so is its gradient in `g`.
    #[test]
    fn gradients_of_gradients_are_adjoint() {
        for name in ["max_pool", "avg_pool"] {
            for padding in ["same", "valid"] {
                let x = value(&[2, 5, 4, 3], 1);
                let (outer, inner) = (Tape::new(false), Tape::new(false));
                outer.watch(&x);
                inner.watch(&x);
                outer.start();
                inner.start();
                let y = apply(build(name, padding), &[&x]).unwrap().remove(0);
                let g = like(&y, 2);
                outer.watch(&g);
                inner.stop();
                let sources = [Source::Value(x.clone())];
                let dx = inner.gradient(std::slice::from_ref(&y), &[Some(g.clone())], &sources);
                outer.stop();
                let dx = dx.unwrap().remove(0).unwrap();
                assert!((dot(&y, &g) - dot(&x, &dx)).abs() < 1e-8, "{name}");
                let t = like(&dx, 3);
                let sources = [Source::Value(g.clone())];
                let dg = outer.gradient(std::slice::from_ref(&dx), &[Some(t.clone())], &sources);
                let dg = dg.unwrap().remove(0).unwrap();
                assert!((dot(&dx, &t) - dot(&g, &dg)).abs() < 1e-8, "{name}");
            }
        }
    }

    #[test]
    fn every_real_dtype_pools() {
        for dtype in DType::ALL {
            let x = Value::concrete(Tensor::zeros(dtype, &[1, 4, 4, 2]).unwrap());
            let pooled = |name| apply(build(name, "same"), &[&x]).is_ok();
            assert_eq!(
                pooled("max_pool"),
                dtype != DType::Bool && !dtype.is_complex(),
                "{dtype}"
            );
            assert_eq!(pooled("avg_pool"), dtype.is_float(), "{dtype}");
        }
    }
}
