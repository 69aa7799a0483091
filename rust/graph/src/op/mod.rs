//! The op set. Each family has one file, where attributes, inference, kernel call and gradient rule of an op stand
//! together; `FAMILIES` lists them.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use crate::emit::Emitter;
use crate::tensor::{TensorMut, TensorRef};
use crate::{Bindings, DType, Dim, Element, Error, Result, Spec, Specs, Value};

#[macro_use]
mod types;

pub mod attention;
mod attrs;
pub mod control;
pub mod conv;
pub mod create;
pub mod elementwise;
pub mod fourier;
pub mod index;
pub mod layout;
pub mod matmul;
pub mod norm;
pub mod optimizer;
pub mod pool;
pub mod random;
mod real;
pub mod recurrent;
pub mod reduce;
pub mod resample;
pub(crate) mod residual;
pub mod slice;
pub mod softmax;
pub mod sort;
pub mod term;

pub use attrs::{Attr, Attrs};

/// One primitive operation with its attributes.
///
/// Ops are strict: operands already share a dtype where they must (promotion is done at the boundary of `ops`).
pub trait Op: Any + Debug + Send + Sync + 'static {
    /// The name that it is built by.
    fn name(&self) -> &'static str;

    /// The specs of the outputs, sizes maybe unknown.
    ///
    /// # Errors
    /// When the operands do not fit: what was expected and what came.
    fn infer(&self, inputs: &[&Spec]) -> Result<Specs>;

    /// Computes the outputs.
    ///
    /// # Errors
    /// When the data do not fit, as an index out of range.
    fn run(&self, run: &mut Run<'_, '_>) -> Result<()>;

    /// Bytes of scratch that `run` wants.
    fn scratch(
        &self,
        _inputs: &[Operand<'_>],
        _outputs: &[Operand<'_>],
        _bindings: &Bindings,
    ) -> usize {
        0
    }

    /// The gradients of the wanted inputs, built from other ops; `None` where there is none.
    ///
    /// # Errors
    /// When the op has no gradient.
    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; vjp.inputs.len()])
    }

    /// The variant that yields what its gradient rule needs as extra outputs, behind the visible ones.
    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// How many outputs, of those inferred, a caller sees; the others serve the gradient.
    fn visible_outputs(&self) -> usize {
        usize::MAX
    }

    /// The same call over weights that are brought, once for many runs, to a form of their own; `None` where there is none that is
    /// faster. The specs are those of the operands and of the result.
    fn prepared(&self, _inputs: &[&Spec], _output: &Spec) -> Option<Prepared> {
        None
    }

    /// Pairs (input, output) that may share memory when equal in elements and bytes: each element is read before its place is written.
    fn inplace(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// Whether the output is input 0's memory under another shape: no kernel runs.
    fn is_alias(&self) -> bool {
        false
    }

    /// Whether each row of the results, along the first axis, follows from the same row of the operands that are `batched`, so that the
    /// op may run on some rows at a time.
    fn by_rows(&self, _inputs: &[&Spec], _batched: &[bool]) -> bool {
        false
    }

    /// Whether two runs on equal inputs may differ, or have effects: never folded or merged.
    fn is_stateful(&self) -> bool {
        false
    }

    /// Whether an attribute is an unknown size of the running trace: then a call is recorded whatever its operands are.
    fn is_symbolic(&self) -> bool {
        false
    }

    /// Floating-point operations of one run, for the profile.
    fn flops(&self, _inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        outputs.iter().map(|output| output.size() as u64).sum()
    }
}

impl dyn Op {
    /// This op as a concrete type, for passes.
    pub fn downcast<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// A call over an operand in a form of its own.
pub struct Prepared {
    /// Which operand.
    pub operand: usize,
    /// What brings it to the form.
    pub prepare: Arc<dyn Op>,
    /// The call that takes the form in its place.
    pub call: Arc<dyn Op>,
}

/// What runs backward for one recorded call: an op, or a rule given by a caller (`custom_gradient`).
pub trait GradientRule {
    /// The name for messages.
    fn name(&self) -> &str;
    /// As `Op::vjp`.
    ///
    /// # Errors
    /// As `Op::vjp`.
    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>>;
}

impl GradientRule for Arc<dyn Op> {
    fn name(&self) -> &str {
        Op::name(self.as_ref())
    }
    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Op::vjp(self.as_ref(), e, vjp)
    }
}

/// A concrete operand's dtype and sizes.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The element type.
    pub dtype: DType,
    /// The sizes of the axes.
    pub shape: &'a [usize],
}

impl Operand<'_> {
    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.size() * self.dtype.size()
    }
}

/// One call of a kernel.
pub struct Run<'a, 'o> {
    /// The operands.
    pub inputs: &'o [TensorRef<'a>],
    /// The places of the results.
    pub outputs: &'o mut [TensorMut<'a>],
    /// At least the bytes that `Op::scratch` asked for, aligned to a cache line.
    pub scratch: &'o mut [u8],
    /// The sizes of the trace's symbols.
    pub bindings: &'o Bindings,
}

impl<'a> Run<'a, '_> {
    /// The elements of operand `i`.
    pub fn input<T: Element>(&self, i: usize) -> &'a [T] {
        self.inputs[i].as_slice()
    }

    /// The elements of result `i`, to write.
    pub fn output<T: Element>(&mut self, i: usize) -> &'a mut [T] {
        self.outputs[i].as_mut_slice()
    }

    /// Makes a result begin as a copy of an operand, unless both are the same memory already.
    pub fn carry_over(&mut self, operand: usize, result: usize) {
        let (from, to) = (&self.inputs[operand], &mut self.outputs[result]);
        if from.address() != to.address().cast_const() {
            to.bytes_mut().copy_from_slice(from.bytes());
        }
    }

    /// An attribute's size in this run.
    pub fn dim(&self, dim: &Dim) -> i64 {
        dim.eval(self.bindings)
    }

    /// The scratch as elements of T.
    pub fn scratch_of<T: Element>(&mut self) -> &mut [T] {
        let len = self.scratch.len() / size_of::<T>();
        // SAFETY: the scratch is aligned to a cache line, every bit pattern is an element, and `len` fits.
        unsafe { std::slice::from_raw_parts_mut(self.scratch.as_mut_ptr().cast(), len) }
    }
}

/// One call of a gradient rule.
pub struct Vjp<'a> {
    /// The operands.
    pub inputs: &'a [Value],
    /// The results, extra ones included.
    pub outputs: &'a [Value],
    /// The gradients that reach the results; `None` where none does.
    pub grads: &'a [Option<Value>],
    /// Which operands' gradients are wanted.
    pub wanted: &'a [bool],
}

impl Vjp<'_> {
    /// The gradient that reaches result 0, which is there whenever a one-output op's rule is called.
    ///
    /// # Errors
    /// `Error::Internal` when none reaches it.
    pub fn grad(&self) -> Result<&Value> {
        self.grads
            .first()
            .and_then(Option::as_ref)
            .ok_or_else(|| Error::Internal("a gradient rule was called without a gradient".into()))
    }
}

/// Builds an op from its attributes.
pub type Builder = fn(&Attrs<'_>) -> Result<Arc<dyn Op>>;

/// The names of a family's ops and their builders.
pub type Family = &'static [(&'static str, Builder)];

/// Every family.
const FAMILIES: &[Family] = &[
    attention::OPS,
    conv::OPS,
    create::OPS,
    elementwise::OPS,
    fourier::OPS,
    index::OPS,
    layout::OPS,
    matmul::OPS,
    norm::OPS,
    optimizer::OPS,
    pool::OPS,
    random::OPS,
    recurrent::OPS,
    reduce::OPS,
    resample::OPS,
    slice::OPS,
    softmax::OPS,
    sort::OPS,
];

/// The builder of the op of that name.
pub fn builder(name: &str) -> Option<Builder> {
    static TABLE: OnceLock<HashMap<&'static str, Builder>> = OnceLock::new();
    TABLE
        .get_or_init(|| {
            FAMILIES
                .iter()
                .flat_map(|family| family.iter().copied())
                .collect()
        })
        .get(name)
        .copied()
}

/// The names of all ops.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES
        .iter()
        .flat_map(|family| family.iter().map(|(name, _)| *name))
}

/// `Op::by_rows` of ops whose first operand is a batch of examples.
fn first_by_rows(batched: &[bool]) -> bool {
    batched[0] && !batched[1..].contains(&true)
}

/// Checks the number of operands.
///
/// # Errors
/// `Error::Value` with both numbers.
pub fn expect_operands(inputs: &[&Spec], expected: std::ops::RangeInclusive<usize>) -> Result<()> {
    if expected.contains(&inputs.len()) {
        return Ok(());
    }
    crate::value_error!(
        "expected {} to {} operands, got {}",
        expected.start(),
        expected.end(),
        inputs.len()
    )
}

/// Checks that operands share one dtype.
///
/// # Errors
/// `Error::Type` with the dtypes.
pub fn expect_same_dtype(inputs: &[&Spec]) -> Result<DType> {
    let dtype = inputs[0].dtype;
    if inputs.iter().all(|spec| spec.dtype == dtype) {
        return Ok(dtype);
    }
    let dtypes: Vec<_> = inputs.iter().map(|spec| spec.dtype.name()).collect();
    crate::type_error!("operands must share a dtype, got {}", dtypes.join(", "))
}
