//! Matrix products.

mod packed;

use std::sync::Arc;

use half::{bf16, f16};
use kernels::activation::Activation;
use kernels::elementwise::{self as kernel, Op as Function};
use kernels::gemm::{self, Gemm, Half, Real, Right, Ring, Strided};
use num_complex::Complex;
use smallvec::SmallVec;

use super::elementwise::{self, Elementwise};
use super::reduce::sum_to;
use super::residual::RESIDUAL;
use super::{
    Attrs, Family, Op, Operand, Prepared, Run, Vjp, expect_operands, expect_same_dtype, layout,
    residual,
};
use crate::emit::Emitter;
use crate::{
    Bindings, DType, Dim, Error, Result, Shape, Spec, Specs, Value, trace, unsupported, value_error,
};

/// The family's ops.
pub const OPS: Family = &[
    ("matmul", |attrs| {
        Ok(Arc::new(Matmul {
            transpose_a: attrs.bool_or("transpose_a", false)?,
            transpose_b: attrs.bool_or("transpose_b", false)?,
        }))
    }),
    ("dense", |attrs| {
        Ok(Arc::new(Dense {
            activation: activation(attrs)?,
            ..Dense::default()
        }))
    }),
];

/// The activation that an op is asked to apply to its result.
///
/// # Errors
/// `Error::Value` when there is none of that name.
pub fn activation(attrs: &Attrs<'_>) -> Result<Option<Activation>> {
    if !attrs.has("activation") {
        return Ok(None);
    }
    let name = attrs.str("activation")?;
    match Activation::from_name(name) {
        Some(activation) => Ok(Some(activation)),
        None => value_error!("no activation `{name}` can be fused"),
    }
}

/// The product of matrices in the last two axes; the axes before them broadcast. That of int8 is int32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matmul {
    /// Whether the matrices of the first operand are transposed before.
    pub transpose_a: bool,
    /// Whether those of the second are.
    pub transpose_b: bool,
}

/// The last two sizes, the first of them first unless transposed.
fn last_two<T: Clone>(shape: &[T], transposed: bool) -> [T; 2] {
    let [.., x, y] = shape else {
        unreachable!("matrices have two axes")
    };
    let (x, y) = (x.clone(), y.clone());
    if transposed { [y, x] } else { [x, y] }
}

/// The size that two axes share.
fn shared(a: &Dim, b: &Dim, inputs: &[&Spec]) -> Result<()> {
    if a == b {
        return Ok(());
    }
    if a.never_equals(b) {
        return value_error!(
            "the sizes that are summed over differ: {a} in shape {}, {b} in shape {}",
            inputs[0].shape,
            inputs[1].shape
        );
    }
    trace::assume_equal(a, b);
    Ok(())
}

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, 2..=2)?;
        let dtype = expect_same_dtype(inputs)?;
        for input in inputs {
            if input.shape.rank() < 2 {
                return value_error!(
                    "operands must have at least 2 axes, got shape {}",
                    input.shape
                );
            }
        }
        let [m, k] = last_two(&inputs[0].shape, self.transpose_a);
        let [depth, n] = last_two(&inputs[1].shape, self.transpose_b);
        shared(&k, &depth, inputs)?;
        let batch = |spec: &Spec| -> Shape {
            spec.shape[..spec.shape.rank() - 2]
                .iter()
                .cloned()
                .collect()
        };
        let mut shape = batch(inputs[0]).broadcast(&batch(inputs[1]))?;
        shape.extend([m, n]);
        // Products of bytes need the room.
        let dtype = if dtype == DType::Int8 {
            DType::Int32
        } else {
            dtype
        };
        Ok(std::iter::once(Spec { dtype, shape }).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let products = Products::new(self, run.inputs[0].shape, run.inputs[1].shape);
        macro_rules! each {
            ($($dtype:ident $function:ident::<$type:ty>,)*) => {
                match run.inputs[0].dtype {
                    $(DType::$dtype => products.$function::<$type>(run),)*
                    DType::Int8 => products.integer(run),
                    DType::Bool => return unsupported!("dtype bool"),
                }
            };
        }
        each! {
            Float32 real::<f32>, Float64 real::<f64>,
            Float16 half::<f16>, BFloat16 half::<bf16>,
            Int16 ring::<i16>, Int32 ring::<i32>, Int64 ring::<i64>,
            UInt8 ring::<u8>, UInt16 ring::<u16>, UInt32 ring::<u32>, UInt64 ring::<u64>,
            Complex64 ring::<Complex<f32>>, Complex128 ring::<Complex<f64>>,
        }
        Ok(())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        let products = Products::new(self, inputs[0].shape, inputs[1].shape);
        scratch_bytes(inputs[0].dtype, products.count, products.size)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let (a, b, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.grad()?);
        let mut grads = vec![None, None];
        if vjp.wanted[0] {
            let grad = if self.transpose_a {
                matmul(e, b, g, self.transpose_b, true)?
            } else {
                matmul(e, g, b, false, !self.transpose_b)?
            };
            grads[0] = Some(sum_to(e, &grad, a.shape())?);
        }
        if vjp.wanted[1] {
            // One matrix for all rows of `a`: the sum over the batch is part of the product.
            let (a, g) = if b.rank() == 2 && !self.transpose_a {
                (rows(e, a)?, rows(e, g)?)
            } else {
                (a.clone(), g.clone())
            };
            let grad = if self.transpose_b {
                matmul(e, &g, &a, true, self.transpose_a)?
            } else {
                matmul(e, &a, &g, !self.transpose_a, false)?
            };
            grads[1] = Some(sum_to(e, &grad, b.shape())?);
        }
        Ok(grads)
    }

    fn prepared(&self, inputs: &[&Spec], _: &Spec) -> Option<Prepared> {
        let plain = Dense::default();
        (!self.transpose_a).then(|| packed::prepared(plain, inputs, self.transpose_b))?
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        let products = Products::new(self, inputs[0].shape, inputs[1].shape);
        products
            .size
            .iter()
            .fold(2 * products.count as u64, |flops, &n| flops * n as u64)
    }
}

/// The matrix product of the last two axes.
///
/// # Errors
/// When the operands do not fit.
pub fn matmul(
    e: &mut dyn Emitter,
    a: &Value,
    b: &Value,
    transpose_a: bool,
    transpose_b: bool,
) -> Result<Value> {
    let op = Matmul {
        transpose_a,
        transpose_b,
    };
    e.one(Arc::new(op), &[a, b])
}

/// All axes but the last as one.
fn rows(e: &mut dyn Emitter, x: &Value) -> Result<Value> {
    let Some((last, first)) = x.shape().split_last() else {
        return value_error!("a scalar has no rows");
    };
    let count = first
        .iter()
        .fold(Dim::Known(1), |product, dim| &product * dim);
    layout::reshape(e, x, &[count, last.clone()].into_iter().collect())
}

/// The products that one call computes: `count` of one size, each operand at a step per axis of the batch.
struct Products {
    count: usize,
    size: [usize; 3],
    transposed: [bool; 2],
    /// The sizes of the batch's axes, and the items between neighbours in each operand (0 where it broadcasts).
    batch: SmallVec<[(usize, [usize; 2]); 4]>,
}

impl Products {
    fn new(op: &Matmul, a: &[usize], b: &[usize]) -> Products {
        let [m, k] = last_two(a, op.transpose_a);
        let [_, n] = last_two(b, op.transpose_b);
        let shapes = [a, b].map(|shape| &shape[..shape.len() - 2]);
        let rank = shapes[0].len().max(shapes[1].len());
        let mut batch = SmallVec::new();
        let mut steps = [m * k, k * n];
        for axis in 1..=rank {
            let sizes = shapes.map(|shape| shape.len().checked_sub(axis).map_or(1, |i| shape[i]));
            let size = if sizes[0] == 1 { sizes[1] } else { sizes[0] };
            batch.push((
                size,
                [0, 1].map(|i| if sizes[i] == 1 { 0 } else { steps[i] }),
            ));
            steps = [0, 1].map(|i| steps[i] * sizes[i]);
        }
        let count = batch.iter().map(|(size, _)| size).product();
        let mut products = Products {
            count,
            size: [m, n, k],
            transposed: [op.transpose_a, op.transpose_b],
            batch,
        };
        // Rows of consecutive matrices times one matrix are one product.
        let full = shapes[0].iter().product::<usize>() == count;
        let single = products.batch.iter().all(|(_, steps)| steps[1] == 0);
        if full && single && !op.transpose_a {
            products.size[0] *= count;
            products.count = 1;
            products.batch.clear();
        }
        products
    }

    /// The operands of product `i`.
    fn operands<'a, T>(
        &self,
        mut i: usize,
        a: &'a [T],
        b: &'a [T],
    ) -> (Strided<'a, T>, Strided<'a, T>) {
        let [m, n, k] = self.size;
        let mut starts = [0, 0];
        for (size, steps) in &self.batch {
            starts = [0, 1].map(|side| starts[side] + i % size * steps[side]);
            i /= size;
        }
        (
            Strided::left(&a[starts[0]..], m, k, self.transposed[0]),
            Strided::right(&b[starts[1]..], k, n, self.transposed[1]),
        )
    }

    fn real<T: Real>(&self, run: &mut Run<'_, '_>) {
        let (a, b, c) = (run.input::<T>(0), run.input::<T>(1), run.output::<T>(0));
        let [m, n, k] = self.size;
        let product = |i| {
            let (a, b) = self.operands(i, a, b);
            Gemm::new(m, n, k, a, b)
        };
        gemm::batched(self.count, self.size, product, c, run.scratch_of());
    }

    fn half<T: Half>(&self, run: &mut Run<'_, '_>) {
        let (a, b, c) = (run.input::<T>(0), run.input::<T>(1), run.output::<T>(0));
        let [m, n, _] = self.size;
        for (i, c) in c.chunks_mut((m * n).max(1)).enumerate() {
            let (a, b) = self.operands(i, a, b);
            gemm::matmul_half(self.size, a, b, None, None, c, run.scratch_of());
        }
    }

    fn integer(&self, run: &mut Run<'_, '_>) {
        let (a, b, c) = (run.input(0), run.input(1), run.output(0));
        let [m, n, _] = self.size;
        for (i, c) in c.chunks_mut((m * n).max(1)).enumerate() {
            let (a, b) = self.operands(i, a, b);
            gemm::matmul_integer(self.size, a, b, c, run.scratch_of());
        }
    }

    fn ring<T: Ring>(&self, run: &mut Run<'_, '_>) {
        let (a, b, c) = (run.input::<T>(0), run.input::<T>(1), run.output::<T>(0));
        let [m, n, _] = self.size;
        for (i, c) in c.chunks_mut((m * n).max(1)).enumerate() {
            let (a, b) = self.operands(i, a, b);
            gemm::matmul_ring(self.size, a, b, c);
        }
    }
}

fn scratch_bytes(dtype: DType, count: usize, [m, n, k]: [usize; 3]) -> usize {
    match dtype {
        DType::Float32 => gemm::scratch_len::<f32>(count, m, n, k) * 4,
        DType::Float64 => gemm::scratch_len::<f64>(count, m, n, k) * 8,
        DType::Float16 | DType::BFloat16 => gemm::half_scratch_len([m, n, k]) * 4,
        DType::Int8 => gemm::integer_scratch_len([m, n, k]) * 4,
        _ => 0,
    }
}

/// The product of the last axis with a matrix, a residual, a bias and an activation: `activation(x kernel + residual + bias)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dense {
    /// Whether a tensor of the result's kind is added.
    pub residual: bool,
    /// What is applied to the sums.
    pub activation: Option<Activation>,
    /// Whether the sums before the activation are a second result, for a gradient that needs them.
    pub keep: bool,
}

impl Dense {
    /// The product as one of rows: `[rows, units, inputs]`.
    fn size(x: &[usize], kernel: &[usize]) -> [usize; 3] {
        let [inputs, units] = [kernel[0], kernel[1]];
        [x[..x.len() - 1].iter().product(), units, inputs]
    }
}

/// Whether the gradient of an activation follows from its result, so that the result may stand for the operand in its rule.
fn follows_from_result(activation: Activation) -> bool {
    use Activation::*;
    matches!(activation, Relu | Relu6 | Sigmoid | Tanh | Elu | Selu)
}

/// An activation as an op of its own.
fn activation_op(activation: Activation) -> Elementwise {
    Elementwise {
        function: Function::from_name(activation.name()).expect("an activation is a function"),
        parameter: (activation == Activation::Elu).then_some(1.0),
    }
}

/// The gradient that reaches the sums of a fused op, from the one that reaches its result. The op's outputs are its result and,
/// where [`keeps_sums`] says so, the sums.
///
/// # Errors
/// Those of the activation's rule.
pub fn activation_gradient(
    e: &mut dyn Emitter,
    activation: Option<Activation>,
    vjp: &Vjp<'_>,
) -> Result<Value> {
    let Some(activation) = activation else {
        return vjp.grad().cloned();
    };
    // The gradient of a gradient reaches the sums too.
    let direct = vjp.grads.get(1).cloned().flatten();
    let [Some(_), ..] = vjp.grads else {
        return direct.ok_or_else(|| Error::Internal("no gradient reaches a product".into()));
    };
    let y = &vjp.outputs[0];
    let rule = Vjp {
        inputs: std::slice::from_ref(vjp.outputs.get(1).unwrap_or(y)),
        outputs: std::slice::from_ref(y),
        grads: &vjp.grads[..1],
        wanted: &[true],
    };
    let mut grads = activation_op(activation).vjp(e, &rule)?;
    match (grads.pop().flatten(), direct) {
        (Some(grad), Some(direct)) => elementwise::add(e, &grad, &direct),
        (Some(grad), None) | (None, Some(grad)) => Ok(grad),
        (None, None) => Err(Error::Internal("an activation has a gradient".into())),
    }
}

/// Whether the gradient of a fused activation needs the sums before it.
pub fn keeps_sums(activation: Option<Activation>) -> bool {
    activation.is_some_and(|activation| !follows_from_result(activation))
}

/// Applies a fused activation to sums that are kept.
pub fn activate(activation: Activation, run: &mut Run<'_, '_>) {
    let dtype = run.outputs[0].dtype;
    macro_rules! each {
        ($($dtype:ident $type:ty,)*) => {
            match dtype {
                $(DType::$dtype => {
                    let (y, sums) = (run.output::<$type>(0), run.output::<$type>(1));
                    let shape = [y.len()];
                    kernel::apply(activation_op(activation).function, &shape, &[(&*sums, &shape)], y);
                })*
                _ => unreachable!("sums are floats"),
            }
        };
    }
    each! { Float32 f32, Float64 f64, Float16 f16, BFloat16 bf16, }
}

impl Op for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let bias = residual::bias(self.residual);
        expect_operands(inputs, bias..=bias + 1)?;
        let dtype = expect_same_dtype(inputs)?;
        let (x, kernel) = (&inputs[0].shape, &inputs[1].shape);
        if x.rank() == 0 || kernel.rank() != 2 {
            return value_error!(
                "expected an input with axes and a kernel with 2, got shapes {x} and {kernel}"
            );
        }
        shared(&x[x.rank() - 1], &kernel[0], inputs)?;
        if let Some(bias) = inputs.get(bias)
            && (bias.shape.rank() != 1 || bias.shape[0].never_equals(&kernel[1]))
        {
            return value_error!(
                "expected a bias of shape ({},), got {}",
                kernel[1],
                bias.shape
            );
        }
        if !dtype.is_float() {
            return unsupported!("dtype {dtype}");
        }
        let mut shape = x.clone();
        if let Some(last) = shape.last_mut() {
            *last = kernel[1].clone();
        }
        let spec = Spec { dtype, shape };
        if self.residual {
            residual::expect(inputs[RESIDUAL], &spec)?;
        }
        Ok(std::iter::repeat_n(spec, 1 + usize::from(self.keep)).collect())
    }

    fn by_rows(&self, inputs: &[&Spec], batched: &[bool]) -> bool {
        residual::by_rows(self.residual, batched) && inputs[0].shape.rank() > 1
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        residual::inplace(self.residual)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        fn strided<T: Real>(
            run: &mut Run<'_, '_>,
            size @ [_, n, k]: [usize; 3],
            residual: bool,
            output: usize,
            activation: Option<Activation>,
        ) {
            let kernel = Strided::right(run.input::<T>(1), k, n, false);
            dense_real(run, size, kernel.into(), residual, output, activation);
        }

        let size = Dense::size(run.inputs[0].shape, run.inputs[1].shape);
        // The sums, and what is applied to them at once.
        let (output, fused) = if self.keep {
            (1, None)
        } else {
            (0, self.activation)
        };
        match run.inputs[0].dtype {
            DType::Float32 => strided::<f32>(run, size, self.residual, output, fused),
            DType::Float64 => strided::<f64>(run, size, self.residual, output, fused),
            DType::Float16 => dense_half::<f16>(run, size, output, fused),
            DType::BFloat16 => dense_half::<bf16>(run, size, output, fused),
            other => return unsupported!("dtype {other}"),
        }
        if let (true, Some(activation)) = (self.keep, self.activation) {
            activate(activation, run);
        }
        Ok(())
    }

    fn scratch(&self, inputs: &[Operand<'_>], _: &[Operand<'_>], _: &Bindings) -> usize {
        scratch_bytes(
            inputs[0].dtype,
            1,
            Dense::size(inputs[0].shape, inputs[1].shape),
        )
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let g = &activation_gradient(e, self.activation, vjp)?;
        let mut grads = vec![None; vjp.inputs.len()];
        for (i, grad) in grads.iter_mut().enumerate().filter(|(i, _)| vjp.wanted[*i]) {
            *grad = Some(match i {
                0 if vjp.inputs[0].rank() == 1 => {
                    let row = rows(e, g)?;
                    let grad = matmul(e, &row, &vjp.inputs[1], false, true)?;
                    layout::reshape(e, &grad, vjp.inputs[0].shape())?
                }
                0 => matmul(e, g, &vjp.inputs[1], false, true)?,
                1 => {
                    let (x, g) = (rows(e, &vjp.inputs[0])?, rows(e, g)?);
                    matmul(e, &x, &g, true, false)?
                }
                // The bias, and the residual, whose gradient is as long already.
                _ => sum_to(e, g, vjp.inputs[i].shape())?,
            });
        }
        Ok(grads)
    }

    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        keeps_sums(self.activation).then(|| -> Arc<dyn Op> {
            Arc::new(Dense {
                keep: true,
                ..*self
            })
        })
    }

    fn visible_outputs(&self) -> usize {
        1
    }

    fn prepared(&self, inputs: &[&Spec], _: &Spec) -> Option<Prepared> {
        packed::prepared(*self, inputs, false)
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        Dense::size(inputs[0].shape, inputs[1].shape)
            .iter()
            .fold(2, |flops, &n| flops * n as u64)
    }
}

/// `b` is the kernel, as it lies or packed.
fn dense_real<T: Real>(
    run: &mut Run<'_, '_>,
    [m, n, k]: [usize; 3],
    b: Right<'_, T>,
    residual: bool,
    output: usize,
    activation: Option<Activation>,
) {
    let epilogue = residual::epilogue(residual, activation, output, run);
    let (x, y) = (run.input::<T>(0), run.output::<T>(output));
    Gemm::new(m, n, k, Strided::left(x, m, k, false), b)
        .epilogue(epilogue)
        .run(y, n, run.scratch_of());
}

fn dense_half<T: Half>(
    run: &mut Run<'_, '_>,
    size: [usize; 3],
    output: usize,
    activation: Option<Activation>,
) {
    let [m, n, k] = size;
    let x = Strided::left(run.input::<T>(0), m, k, false);
    let kernel = Strided::right(run.input::<T>(1), k, n, false);
    let bias = (run.inputs.len() == 3).then(|| run.input::<T>(2));
    let y = run.output::<T>(output);
    gemm::matmul_half(size, x, kernel, bias, activation, y, run.scratch_of());
}
