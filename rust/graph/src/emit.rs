//! The one dispatch of ops: compute at once, or record into the running trace; then tell the tapes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use smallvec::{Array, SmallVec, smallvec};

use crate::buffer::Buffer;
use crate::op::{Op, Operand, Run};
use crate::tensor::{Fresh, TensorMut, TensorRef};
use crate::value::Kind;
use crate::{Bindings, Error, Result, Spec, Specs, Tensor, Value, Values, tape, trace};

/// What gradient rules and passes build computations with.
pub trait Emitter {
    /// Applies an op and gives all its outputs.
    ///
    /// # Errors
    /// Those of the op's inference and run.
    fn emit(&mut self, op: Arc<dyn Op>, inputs: &[&Value]) -> Result<Values>;
}

/// The emitter of gradient rules: computes or records, as `apply` decides.
pub struct Dispatch;

impl Emitter for Dispatch {
    fn emit(&mut self, op: Arc<dyn Op>, inputs: &[&Value]) -> Result<Values> {
        apply(op, inputs)
    }
}

impl dyn Emitter + '_ {
    /// Applies an op of one output.
    ///
    /// # Errors
    /// As `emit`.
    pub fn one(&mut self, op: Arc<dyn Op>, inputs: &[&Value]) -> Result<Value> {
        let mut values = self.emit(op, inputs)?;
        Ok(values.swap_remove(0))
    }

    /// Applies the op of that name, which has one output and needs no attribute.
    ///
    /// # Errors
    /// As `emit`.
    pub fn call(&mut self, name: &str, inputs: &[&Value]) -> Result<Value> {
        let Some(build) = crate::op::builder(name) else {
            return Err(crate::Error::Internal(format!("there is no op `{name}`")));
        };
        self.one(build(&crate::Attrs::default())?, inputs)
    }
}

/// Applies an op to values, and gives its visible outputs.
///
/// It is recorded when a trace runs and an operand, or a size in the op's result, belongs to it; else computed at once.
///
/// # Errors
/// Those of the op's inference and run, with the op's name.
pub fn apply(op: Arc<dyn Op>, inputs: &[&Value]) -> Result<Values> {
    let (mut outputs, visible) = apply_all(op, inputs)?;
    outputs.truncate(visible);
    Ok(outputs)
}

/// As [`apply`], with the outputs that serve the gradient; and how many are visible.
pub(crate) fn apply_all(op: Arc<dyn Op>, inputs: &[&Value]) -> Result<(Values, usize)> {
    let watched = tape::is_watching(inputs);
    let richer = if watched { op.for_gradient() } else { None };
    let op = richer.unwrap_or(op);
    let name = op.name();
    let specs: SmallVec<[&Spec; 4]> = few(inputs.iter().map(|value| value.spec()));
    let inferred = op.infer(&specs).map_err(|e| e.in_op(name))?;
    let symbolic = || {
        inferred
            .iter()
            .any(|spec| spec.shape.iter().any(|dim| dim.is_symbolic()))
    };
    let traced = inputs
        .iter()
        .any(|value| matches!(value.kind(), Kind::Traced(..)))
        || op.is_symbolic()
        || symbolic();
    let outputs: Values = if traced {
        trace::record(op.clone(), inputs, inferred)?
    } else {
        compute(op.as_ref(), inputs, inferred).map_err(|e| e.in_op(name))?
    };
    let visible = op.visible_outputs();
    if watched {
        let inputs = inputs.iter().map(|&value| value.clone()).collect();
        tape::record(Rc::new(op), inputs, &outputs);
    }
    Ok((outputs, visible))
}

thread_local! {
    /// Scratch of eager calls; taken out while in use, so that nested calls get their own.
    static SCRATCH: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// Runs an op on tensors in memory.
fn compute(op: &dyn Op, inputs: &[&Value], mut inferred: Specs) -> Result<Values> {
    let mut tensors: SmallVec<[&Tensor; 4]> = SmallVec::new();
    for input in inputs {
        tensors.push(input.require()?);
    }
    let shape_of = |spec: &Spec| {
        let unknown = || Error::Value(format!("the result's shape {} is not known", spec.shape));
        spec.shape.known().ok_or_else(unknown)
    };
    let mut results = if op.is_alias() {
        smallvec![tensors[0].reshaped(&shape_of(&inferred[0])?)]
    } else {
        let mut results = Fresh::default();
        for spec in &inferred {
            results.push(spec.dtype, &shape_of(spec)?)?;
        }
        run_on(op, &tensors, &mut results.views())?;
        results.into_tensors()
    };
    let values = inferred.drain(..).zip(results.drain(..));
    Ok(few(
        values.map(|(spec, tensor)| Value::computed(spec, tensor))
    ))
}

/// A few items, for which `collect` would reserve and check more than they cost.
fn few<A: Array>(items: impl Iterator<Item = A::Item>) -> SmallVec<A> {
    let mut all = SmallVec::new();
    for item in items {
        all.push(item);
    }
    all
}

/// Runs an op's kernel from tensors into new ones.
fn run_on<'a>(op: &dyn Op, tensors: &[&'a Tensor], outputs: &mut [TensorMut<'a>]) -> Result<()> {
    let operand = |dtype, shape| Operand { dtype, shape };
    let bindings = Bindings::default();
    let inputs: SmallVec<[TensorRef<'_>; 4]> = few(tensors.iter().map(|tensor| tensor.view()));
    let in_sizes: SmallVec<[Operand<'_>; 4]> =
        few(inputs.iter().map(|x| operand(x.dtype, x.shape)));
    let out_sizes: SmallVec<[Operand<'_>; 2]> =
        few(outputs.iter().map(|y| operand(y.dtype, y.shape)));
    let need = op.scratch(&in_sizes, &out_sizes, &bindings);
    let scratch = SCRATCH.with(|held| held.borrow_mut().take());
    let scratch = match scratch {
        Some(buffer) if buffer.len() >= need => buffer,
        _ => Buffer::new(need)?,
    };
    let mut run = Run {
        inputs: &inputs,
        outputs,
        // SAFETY: the scratch buffer is held by this call alone.
        scratch: unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr(), scratch.len()) },
        bindings: &bindings,
    };
    let _denormals = kernels::threads::FlushDenormals::enter();
    let outcome = op.run(&mut run);
    // A large scratch is not worth keeping per thread.
    if scratch.len() <= 8 << 20 {
        SCRATCH.with(|held| *held.borrow_mut() = Some(scratch));
    }
    outcome
}
