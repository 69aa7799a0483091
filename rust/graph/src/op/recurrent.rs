//! Recurrent cells stepped along sequences.

use std::sync::Arc;

use kernels::elementwise::Op as Function;
use kernels::real::Real;
use kernels::recurrent::{self as kernel, Cell};
use smallvec::SmallVec;

use super::layout::Concatenate;
use super::matmul::Matmul;
use super::norm::expect_shape;
use super::real::{Call, RealKernel, real_scratch, run_real};
use super::term::{Term, Terms, differentiate_gradients};
use super::{Attrs, Family, Op, Operand, Prepared, Run, Vjp, create, expect_operands};
use crate::emit::Emitter;
use crate::{
    Bindings, DType, Dim, Error, Result, Shape, Spec, Specs, Value, type_error, value_error,
};

/// The family's ops.
pub const OPS: Family = &[("recurrent", |attrs| {
    Ok(Arc::new(Recurrent {
        cell: cell(attrs)?,
        go_backwards: attrs.bool_or("go_backwards", false)?,
        zero_output_for_mask: attrs.bool_or("zero_output_for_mask", false)?,
        use_bias: attrs.bool_or("use_bias", false)?,
        use_mask: attrs.bool_or("use_mask", false)?,
        keep: false,
    }))
})];

fn cell(attrs: &Attrs<'_>) -> Result<Cell> {
    let name = attrs.str("cell")?;
    match Cell::from_name(name) {
        Some(cell) => Ok(cell),
        None => value_error!("there is no recurrent cell `{name}`"),
    }
}

/// Steps a cell along sequences.
///
/// Operands: the projected inputs `(batch, steps, gates * units)`, the recurrent kernel `(units, gates * units)`, the first states
/// `(batch, units)`, a bias `(gates * units)` of the product with a GRU's state, a mask `(batch, steps)`. Results: the outputs
/// `(batch, steps, units)` in the order they are made, the last states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    cell: Cell,
    go_backwards: bool,
    zero_output_for_mask: bool,
    use_bias: bool,
    use_mask: bool,
    /// Whether what the gradient wants of each step is one more result.
    keep: bool,
}

impl Recurrent {
    fn bias(&self) -> Option<usize> {
        self.use_bias.then_some(2 + self.cell.states())
    }

    fn mask(&self) -> Option<usize> {
        let place = 2 + self.cell.states() + usize::from(self.use_bias);
        self.use_mask.then_some(place)
    }

    /// The number of operands.
    fn operands(&self) -> usize {
        2 + self.cell.states() + usize::from(self.use_bias) + usize::from(self.use_mask)
    }

    /// The sizes of a call.
    fn sized(&self, projected: &[usize], kernel: &[usize]) -> kernel::Recurrent {
        kernel::Recurrent {
            cell: self.cell,
            batch: projected[0],
            steps: projected[1],
            units: kernel[0],
            go_backwards: self.go_backwards,
            zero_output_for_mask: self.zero_output_for_mask,
        }
    }

    /// The operands as the kernels take them.
    fn kernel_operands<'a, T: Real>(&self, call: &Call<'a, T>) -> kernel::Operands<'a, T> {
        let carry = self.cell.states() > 1;
        kernel::Operands {
            projected: call.inputs[0],
            states: [call.inputs[2], if carry { call.inputs[3] } else { &[] }],
            bias: self.bias().map(|i| call.inputs[i]),
            mask: self.mask().map(|i| call.operands[i].as_slice()),
        }
    }

    /// Multiplications and additions of the steps.
    fn products(&self, inputs: &[Operand<'_>]) -> u64 {
        2 * (inputs[0].size() * inputs[1].shape[0]) as u64
    }

    /// The outputs and the last states by other ops, for gradients of gradients: the steps must be known.
    fn unrolled<'t, 'e>(
        &self,
        terms: &'t Terms<'e>,
        x: &[Term<'t, 'e>],
    ) -> Result<Vec<Term<'t, 'e>>> {
        let projected = x[0].clone().value()?;
        let steps = projected.shape()[1].require()? as usize;
        let row: Shape = [0, 2]
            .map(|i| projected.shape()[i].clone())
            .into_iter()
            .collect();
        let matmul = Arc::new(Matmul {
            transpose_a: false,
            transpose_b: false,
        });
        let carry = self.cell.states() > 1;
        let (mut h, mut c) = (x[2].clone(), x[if carry { 3 } else { 2 }].clone());
        let shape = h.clone().value()?.shape().clone();
        let step: Shape = [shape[0].clone(), Dim::Known(1), shape[1].clone()]
            .into_iter()
            .collect();
        let inputs = x[0].split(1, steps);
        let mask = self.mask().map(|i| x[i].split(1, steps));
        let nothing = terms.of(&create::zeros_like(
            &mut crate::emit::Dispatch,
            &h.clone().value()?,
        )?);
        let mut output = nothing.clone();
        let mut outputs = Vec::new();
        for turn in 0..steps {
            let time = if self.go_backwards {
                steps - 1 - turn
            } else {
                turn
            };
            let mut p = terms.apply(matmul.clone(), &[&h, &x[1]]);
            if let Some(bias) = self.bias() {
                p = p + &x[bias];
            }
            let gates = self.cell.gates();
            let x = inputs[time].reshape(&row).split(1, gates);
            let p = p.split(1, gates);
            let sigmoid = |gate: usize| (&x[gate] + &p[gate]).map(Function::Sigmoid);
            let before = [h.clone(), c.clone()];
            match self.cell {
                Cell::Lstm => {
                    let candidate = (&x[2] + &p[2]).map(Function::Tanh);
                    c = sigmoid(1) * c + sigmoid(0) * candidate;
                    h = sigmoid(3) * c.map(Function::Tanh);
                }
                Cell::Gru => {
                    let candidate = (&x[2] + sigmoid(1) * &p[2]).map(Function::Tanh);
                    h = &candidate + sigmoid(0) * (h - &candidate);
                }
                Cell::SimpleRnn => h = (&x[0] + &p[0]).map(Function::Tanh),
            }
            output = match &mask {
                Some(mask) => {
                    let other = if self.zero_output_for_mask {
                        &nothing
                    } else {
                        &output
                    };
                    let output = terms.select(&mask[time], &h, other);
                    h = terms.select(&mask[time], &h, &before[0]);
                    if carry {
                        c = terms.select(&mask[time], &c, &before[1]);
                    }
                    output
                }
                None => h.clone(),
            };
            outputs.push(output.reshape(&step));
        }
        let parts: Vec<&Term<'t, 'e>> = outputs.iter().collect();
        let sequence = terms.apply(Arc::new(Concatenate(1)), &parts);
        Ok([sequence, h, c]
            .into_iter()
            .take(1 + self.cell.states())
            .collect())
    }
}

impl Op for Recurrent {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, self.operands()..=self.operands())?;
        let (projected, recurrent) = (inputs[0], inputs[1]);
        if !projected.dtype.is_float() {
            return type_error!("operands must be of floats, got {}", projected.dtype);
        }
        if projected.shape.rank() != 3 || recurrent.shape.rank() != 2 {
            return value_error!(
                "expected projected inputs with 3 axes and a recurrent kernel with 2, got shapes {} and {}",
                projected.shape,
                recurrent.shape
            );
        }
        let [batch, steps] = [0, 1].map(|axis| projected.shape[axis].clone());
        let units = recurrent.shape[0].clone();
        let width = Dim::Known(units.require()? * self.cell.gates() as i64);
        let shape = |dims: &[&Dim]| -> Shape { dims.iter().map(|&dim| dim.clone()).collect() };
        expect_shape(
            "the projected inputs",
            projected,
            &shape(&[&batch, &steps, &width]),
        )?;
        expect_shape("the recurrent kernel", recurrent, &shape(&[&units, &width]))?;
        for state in &inputs[2..2 + self.cell.states()] {
            expect_shape("a state", state, &shape(&[&batch, &units]))?;
        }
        if let Some(bias) = self.bias() {
            expect_shape("the bias", inputs[bias], &shape(&[&width]))?;
        }
        if let Some(mask) = self.mask() {
            expect_shape("the mask", inputs[mask], &shape(&[&batch, &steps]))?;
        }
        for (i, input) in inputs.iter().enumerate() {
            let wanted = if self.mask() == Some(i) {
                DType::Bool
            } else {
                projected.dtype
            };
            if input.dtype != wanted {
                return type_error!("operand {i} must be {wanted}, got {}", input.dtype);
            }
        }
        let state = projected.with_shape(shape(&[&batch, &units]));
        let mut specs: Specs =
            std::iter::once(projected.with_shape(shape(&[&batch, &steps, &units]))).collect();
        specs.extend(std::iter::repeat_n(state, self.cell.states()));
        if self.keep {
            let kept = Dim::Known(units.require()? * self.cell.kept() as i64);
            specs.push(projected.with_shape(shape(&[&batch, &steps, &kept])));
        }
        Ok(specs)
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let results = 1 + self.cell.states();
        let mut reached = [false; 3];
        let mut operands: SmallVec<[&Value; 12]> = vjp.inputs.iter().collect();
        operands.push(&vjp.outputs[0]);
        if self.cell.kept() > 0 {
            let Some(kept) = vjp.outputs.get(results) else {
                return Err(Error::Internal("the steps were not kept".into()));
            };
            operands.push(kept);
        }
        for (reached, grad) in reached.iter_mut().zip(&vjp.grads[..results]) {
            *reached = grad.is_some();
            operands.extend(grad);
        }
        let op = RecurrentGradient { op: *self, reached };
        let mut grads: Vec<Option<Value>> = e
            .emit(Arc::new(op), &operands)?
            .into_iter()
            .map(Some)
            .collect();
        if self.use_mask {
            grads.push(None);
        }
        Ok(grads)
    }

    fn prepared(&self, inputs: &[&Spec], _output: &Spec) -> Option<Prepared> {
        let units = inputs[1].shape.known()?[0];
        let floats = matches!(inputs[1].dtype, DType::Float32 | DType::Float64);
        (floats && !self.keep).then(|| Prepared {
            operand: 1,
            prepare: Arc::new(PackKernel {
                cell: self.cell,
                units,
            }),
            call: Arc::new(PackedRecurrent { op: *self, units }),
        })
    }

    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        (self.cell.kept() > 0).then(|| -> Arc<dyn Op> {
            Arc::new(Recurrent {
                keep: true,
                ..*self
            })
        })
    }

    fn visible_outputs(&self) -> usize {
        1 + self.cell.states()
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        self.products(inputs)
    }
}

impl Recurrent {
    /// Steps along sequences of some size, with the recurrent kernel packed.
    fn steps<T: Real>(
        &self,
        sized: &kernel::Recurrent,
        packed: &[T],
        call: Call<'_, T>,
        scratch: &mut [T],
    ) {
        let operands = self.kernel_operands(&call);
        let mut outputs = call.outputs.into_iter();
        let mut next = |there: bool| outputs.by_ref().take(usize::from(there)).next();
        let sequence = next(true).unwrap_or_default();
        let h = next(true).unwrap_or_default();
        let c = next(self.cell.states() > 1).unwrap_or_default();
        let outputs = kernel::Outputs {
            sequence,
            states: [h, c],
            kept: next(self.keep),
        };
        kernel::forward(sized, packed, &operands, outputs, scratch);
    }
}

/// Items of a packed recurrent kernel.
fn packed_len(dtype: DType, cell: Cell, units: usize) -> usize {
    match dtype {
        DType::Float64 => kernel::packed_len::<f64>(cell, units),
        _ => kernel::packed_len::<f32>(cell, units),
    }
}

/// Numbers of scratch for the steps.
fn steps_scratch(dtype: DType, sized: &kernel::Recurrent) -> usize {
    match dtype {
        DType::Float64 => kernel::forward_scratch_len::<f64>(sized),
        _ => kernel::forward_scratch_len::<f32>(sized),
    }
}

impl RealKernel for Recurrent {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let sized = self.sized(call.operands[0].shape, call.operands[1].shape);
        let scratch = std::mem::take(&mut call.scratch);
        let len = kernel::packed_len::<T>(self.cell, sized.units);
        let (packed, scratch) = scratch.split_at_mut(len);
        kernel::pack(self.cell, sized.units, call.inputs[1], packed);
        self.steps(&sized, packed, call, scratch);
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let sized = self.sized(inputs[0].shape, inputs[1].shape);
        let dtype = inputs[0].dtype;
        packed_len(dtype, self.cell, sized.units) + steps_scratch(dtype, &sized)
    }
}

/// The recurrent kernel as the steps read it.
#[derive(Clone, Copy, Debug)]
struct PackKernel {
    cell: Cell,
    units: usize,
}

impl Op for PackKernel {
    fn name(&self) -> &'static str {
        "pack_recurrent_kernel"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let len = packed_len(inputs[0].dtype, self.cell, self.units);
        let shape: Shape = std::iter::once(Dim::from(len)).collect();
        Ok(std::iter::once(inputs[0].with_shape(shape)).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }
}

impl RealKernel for PackKernel {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        kernel::pack(self.cell, self.units, call.inputs[0], call.outputs[0]);
    }
}

/// [`Recurrent`] over what [`PackKernel`] made of its kernel.
#[derive(Clone, Copy, Debug)]
struct PackedRecurrent {
    op: Recurrent,
    units: usize,
}

impl PackedRecurrent {
    /// The recurrent kernel's shape as it was.
    fn kernel(&self) -> [usize; 2] {
        [self.units, self.units * self.op.cell.gates()]
    }
}

impl Op for PackedRecurrent {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let shape: Shape = self.kernel().map(Dim::from).into_iter().collect();
        let kernel = inputs[1].with_shape(shape);
        let mut inputs: SmallVec<[&Spec; 12]> = inputs.iter().copied().collect();
        inputs[1] = &kernel;
        self.op.infer(&inputs)
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        2 * (inputs[0].size() * self.units) as u64
    }
}

impl RealKernel for PackedRecurrent {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let sized = self.op.sized(call.operands[0].shape, &self.kernel());
        let (packed, scratch) = (call.inputs[1], std::mem::take(&mut call.scratch));
        self.op.steps(&sized, packed, call, scratch);
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let sized = self.op.sized(inputs[0].shape, &self.kernel());
        steps_scratch(inputs[0].dtype, &sized)
    }
}

/// The gradients of [`Recurrent`]. Operands: its own, the outputs, what was kept, the gradients that reach results. Results: the
/// gradients of its operands, the mask's left out.
#[derive(Clone, Copy, Debug)]
struct RecurrentGradient {
    op: Recurrent,
    /// Which results a gradient reaches: the outputs, each state.
    reached: [bool; 3],
}

impl RecurrentGradient {
    /// Where the gradients begin.
    fn gradients(&self) -> usize {
        self.op.operands() + 1 + usize::from(self.op.cell.kept() > 0)
    }

    /// The gradients that reach results, by what gives the operand at a place.
    fn reaching<T>(&self, operand: impl Fn(usize) -> T) -> [Option<T>; 3] {
        let mut place = self.gradients();
        self.reached.map(|reached| {
            reached.then(|| {
                place += 1;
                operand(place - 1)
            })
        })
    }
}

impl Op for RecurrentGradient {
    fn name(&self) -> &'static str {
        "recurrent_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let reached = self.reached.iter().filter(|reached| **reached).count();
        let count = self.gradients() + reached;
        expect_operands(inputs, count..=count)?;
        let last = self.op.mask().unwrap_or(self.op.operands());
        Ok(inputs[..last].iter().map(|&spec| spec.clone()).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let wanted: Vec<bool> = (0..self.op.operands())
            .map(|i| self.op.mask() != Some(i))
            .collect();
        differentiate_gradients(
            vjp,
            &wanted,
            |operands| self.reaching(|i| operands[i].clone()).to_vec(),
            |terms, x| self.op.unrolled(terms, x),
        )
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        2 * self.op.products(inputs)
    }
}

impl RealKernel for RecurrentGradient {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let sized = self
            .op
            .sized(call.operands[0].shape, call.operands[1].shape);
        let operands = self.op.kernel_operands(&call);
        let [outputs, h, c] = self.reaching(|i| call.inputs[i]);
        let first = self.op.operands();
        let gradients = kernel::Gradients {
            sequence: call.inputs[first],
            kept: if self.op.cell.kept() > 0 {
                call.inputs[first + 1]
            } else {
                &[]
            },
            outputs,
            states: [h, c],
        };
        let mut written = call.outputs.iter_mut().map(|output| &mut **output);
        let mut next = |there: bool| written.by_ref().take(usize::from(there)).next();
        let projected = next(true).unwrap_or_default();
        let kernel = next(true).unwrap_or_default();
        let h = next(true).unwrap_or_default();
        let c = next(self.op.cell.states() > 1).unwrap_or_default();
        let results = kernel::Results {
            projected,
            kernel,
            states: [h, c],
            bias: next(self.op.use_bias),
        };
        kernel::backward(
            &sized,
            call.inputs[1],
            &operands,
            &gradients,
            results,
            call.scratch,
        );
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let sized = self.op.sized(inputs[0].shape, inputs[1].shape);
        match inputs[0].dtype {
            DType::Float64 => kernel::backward_scratch_len::<f64>(&sized),
            _ => kernel::backward_scratch_len::<f32>(&sized),
        }
    }
}
