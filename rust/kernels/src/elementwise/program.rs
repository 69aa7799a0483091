//! Lists of elementwise steps and the loop that runs them.
use std::mem::MaybeUninit;

use num_complex::Complex;
use smallvec::{SmallVec, smallvec};

use super::convert::convert;
use super::{Compute, Op, complex, float32, float64, integer};
use crate::threads::{grain, parallel_for};
use crate::{DType, Element};

/// Where an instruction's operand comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// An input of the program, by its index.
    Input(usize),
    /// A number known when the program is made.
    Constant(f64),
    /// The result of an earlier instruction, by its index.
    Result(usize),
}

/// One function applied to as many values as it takes; further ones are ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instruction {
    /// The function.
    pub op: Op,
    /// Its operands.
    pub args: [Value; 3],
}

impl Instruction {
    /// `op` of the first values of `args`.
    pub fn new(op: Op, args: &[Value]) -> Instruction {
        assert_eq!(args.len(), op.arity(), "operands of {}", op.name());
        Instruction {
            op,
            args: std::array::from_fn(|i| args[i.min(args.len() - 1)]),
        }
    }
}

/// Why a list of instructions is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// The function is not defined for these numbers.
    Function(Op, Compute),
    /// A chain on bools or narrow integers, whose results would have to wrap after each step.
    NarrowChain,
    /// More values at once than there are registers.
    TooLarge,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unsupported::Function(op, compute) => {
                write!(f, "{} is not defined for {}", op.name(), compute.dtype())
            }
            Unsupported::NarrowChain => f.write_str("a chain on narrow integers"),
            Unsupported::TooLarge => f.write_str("too many values at once"),
        }
    }
}

/// A tensor that a program reads.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    data: *const u8,
    shape: &'a [usize],
}

impl<'a> Operand<'a> {
    /// The tensor `data` of that shape; panics when they do not fit.
    pub fn new<T: Element>(data: &'a [T], shape: &'a [usize]) -> Self {
        assert_eq!(data.len(), shape.iter().product::<usize>());
        Operand {
            data: data.as_ptr().cast(),
            shape,
        }
    }

    /// The tensor at `data`, which nothing is known of until the program runs.
    pub fn from_ptr(data: *const u8, shape: &'a [usize]) -> Self {
        Operand { data, shape }
    }
}

/// Slots of values: inputs, then constants, then results.
const MAX_SLOTS: usize = 32;
/// Bytes of all registers together, which leave room for the tensors' own lines in a first-level cache of 32 KiB.
const ARENA: usize = 24 * 1024;
/// The most items of a piece: beyond, nothing is gained.
const MAX_PIECE: usize = 2048;

/// Memory for registers, never touched as a whole.
#[repr(align(64))]
#[expect(dead_code)]
struct Arena([u8; ARENA]);

#[derive(Clone, Copy, Debug)]
struct Step {
    op: Op,
    args: [u8; 3],
    out: u8,
}

/// A checked list of instructions with its registers assigned; made once, run any number of times without an allocation.
#[derive(Clone, Debug)]
pub struct Program {
    compute: Compute,
    inputs: SmallVec<[DType; 4]>,
    constants: SmallVec<[f64; 2]>,
    steps: SmallVec<[Step; 2]>,
    /// For each output: its slot, its dtype, and whether its step writes straight into it.
    outputs: SmallVec<[(u8, DType, bool); 2]>,
    slots: usize,
}

impl Program {
    /// The program of `code` on inputs of these dtypes, with these results as outputs.
    ///
    /// Without code it has one output: a conversion of its input.
    pub fn new(
        compute: Compute,
        inputs: &[DType],
        code: &[Instruction],
        outputs: &[(Value, DType)],
    ) -> Result<Program, Unsupported> {
        let narrow = |dtype: &DType| Compute::of(*dtype) == compute && *dtype != compute.dtype();
        let (code, outputs) = contracted(compute, code, outputs);
        if code.len() > 1 && compute == Compute::I64 && inputs.iter().any(narrow) {
            return Err(Unsupported::NarrowChain);
        }
        let mut constants = SmallVec::<[f64; 2]>::new();
        let mut last_use = SmallVec::<[usize; 16]>::from_elem(0, code.len());
        let mut last_input = 0;
        for (i, instruction) in code.iter().enumerate() {
            if !instruction.op.is_defined_for(compute) {
                return Err(Unsupported::Function(instruction.op, compute));
            }
            for arg in &instruction.args[..instruction.op.arity()] {
                match *arg {
                    Value::Input(k) => {
                        assert!(k < inputs.len(), "an instruction reads input {k}");
                        last_input = i;
                    }
                    Value::Result(k) => {
                        assert!(k < i, "an instruction reads a later result");
                        last_use[k] = i;
                    }
                    Value::Constant(c) => {
                        if !constants.iter().any(|d| d.to_bits() == c.to_bits()) {
                            constants.push(c);
                        }
                    }
                }
            }
        }
        let mut direct = SmallVec::<[Option<usize>; 16]>::from_elem(None, code.len());
        for (k, (value, dtype)) in outputs.iter().enumerate() {
            match *value {
                Value::Result(r) => {
                    last_use[r] = usize::MAX;
                    // Written only when no input is read any more, as an output may share an input's memory.
                    if r >= last_input && *dtype == compute.dtype() && direct[r].is_none() {
                        direct[r] = Some(k);
                    }
                }
                Value::Input(_) if code.is_empty() && outputs.len() == 1 => {}
                _ => panic!("an output of a program is a result of its code"),
            }
        }
        let first_result = inputs.len() + constants.len();
        let mut slots = first_result;
        let mut free = SmallVec::<[u8; 16]>::new();
        let mut slot_of = SmallVec::<[u8; 16]>::new();
        let mut steps = SmallVec::new();
        for (i, instruction) in code.iter().enumerate() {
            let slot = |value: &Value| match *value {
                Value::Input(k) => k as u8,
                Value::Constant(c) => {
                    let bits = c.to_bits();
                    let k = constants.iter().position(|d| d.to_bits() == bits);
                    (inputs.len() + k.expect("collected above")) as u8
                }
                Value::Result(k) => slot_of[k],
            };
            let arity = instruction.op.arity();
            let args = std::array::from_fn(|a| slot(&instruction.args[a.min(arity - 1)]));
            let is_register = |s: u8| s as usize >= first_result;
            for (a, arg) in instruction.args[..arity].iter().enumerate() {
                if let Value::Result(k) = *arg
                    && last_use[k] == i
                    && !instruction.args[..a].contains(arg)
                    && is_register(args[a])
                {
                    free.push(args[a]);
                }
            }
            // A result that goes straight to memory has a slot of its own.
            let out = match (direct[i], free.pop()) {
                (None, Some(slot)) => slot,
                (_, unused) => {
                    free.extend(unused);
                    slots += 1;
                    (slots - 1) as u8
                }
            };
            if slots > MAX_SLOTS {
                return Err(Unsupported::TooLarge);
            }
            slot_of.push(out);
            steps.push(Step {
                op: instruction.op,
                args,
                out,
            });
        }
        if slots > MAX_SLOTS {
            return Err(Unsupported::TooLarge);
        }
        let outputs = outputs
            .iter()
            .enumerate()
            .map(|(k, (value, dtype))| match *value {
                Value::Result(r) => (slot_of[r], *dtype, direct[r] == Some(k)),
                _ => (0, *dtype, false),
            })
            .collect();
        Ok(Program {
            compute,
            inputs: inputs.into(),
            constants,
            steps,
            outputs,
            slots,
        })
    }

    /// The function that `op` is of operands of a dtype, and the dtype of its result.
    ///
    /// What a predicate yields is bool; all else is of the operands' dtype, but for the parts of complex numbers.
    pub fn resolve(op: Op, dtype: DType) -> Result<(Op, DType), Unsupported> {
        // Of a bool, `not` has one meaning.
        let op = if op == Op::BitwiseNot && dtype == DType::Bool {
            Op::LogicalNot
        } else {
            op
        };
        let compute = Compute::of(dtype);
        if !op.is_defined_for(compute) {
            return Err(Unsupported::Function(op, compute));
        }
        let result = match op {
            _ if op.is_predicate() => DType::Bool,
            _ if op.is_real_valued() => dtype.real(),
            _ => dtype,
        };
        Ok((op, result))
    }

    /// `op` of operands of these dtypes, the last of which is that of all but a condition, and then of its parameter, if it has one.
    pub fn single(
        op: Op,
        inputs: &[DType],
        parameter: Option<f64>,
    ) -> Result<Program, Unsupported> {
        let dtype = inputs[inputs.len() - 1];
        let (op, result) = Program::resolve(op, dtype)?;
        let (compute, arity) = (Compute::of(dtype), op.arity());
        assert_eq!(
            inputs.len() + usize::from(parameter.is_some()),
            arity,
            "operands of {}",
            op.name()
        );
        // One step needs no registers to be assigned: it reads what there is, in order.
        let step = Step {
            op,
            args: std::array::from_fn(|i| i.min(arity - 1) as u8),
            out: arity as u8,
        };
        Ok(Program {
            compute,
            inputs: SmallVec::from_slice(inputs),
            constants: SmallVec::from_slice(parameter.as_slice()),
            steps: smallvec![step],
            outputs: smallvec![(step.out, result, result == compute.dtype())],
            slots: arity + 1,
        })
    }

    /// The conversion from one dtype to another.
    pub fn cast(from: DType, to: DType) -> Program {
        let program = Program::new(
            Compute::between(from, to),
            &[from],
            &[],
            &[(Value::Input(0), to)],
        );
        program.expect("no code, nothing that is not supported")
    }

    /// The dtype of an output.
    pub fn output_dtype(&self, index: usize) -> DType {
        self.outputs[index].1
    }

    /// Runs the program on tensors which broadcast to `shape`, the shape of every output.
    ///
    /// # Safety
    /// Every operand is valid for reads and every output for writes of a whole aligned tensor of its shape and of the program's
    /// dtype. Outputs overlap neither each other nor an operand, except that an output may be the very memory of an operand of
    /// as many items of the same size.
    pub unsafe fn run(&self, shape: &[usize], inputs: &[Operand], outputs: &[*mut u8]) {
        assert_eq!(inputs.len(), self.inputs.len());
        assert_eq!(outputs.len(), self.outputs.len());
        let len: usize = shape.iter().product();
        if len == 0 {
            return;
        }
        let width = self.compute.dtype().size();
        let widest = self.inputs.iter().map(|d| d.size()).fold(width, usize::max);
        // One more register holds what is converted next.
        let most = (ARENA - 64) / (self.slots * width + widest);
        let mut piece = (most / 64 * 64).clamp(16, MAX_PIECE).min(len);
        let mut reads = SmallVec::<[Read; 4]>::new();
        for (x, dtype) in inputs.iter().zip(&self.inputs) {
            reads.push(Read {
                data: x.data,
                dtype: *dtype,
                pattern: Pattern::new(x.shape, shape, len),
            });
        }
        // A short row is laid out as often as it fits, once.
        if let Some(period) = reads
            .iter()
            .filter_map(|r| r.period())
            .filter(|p| *p <= piece)
            .max()
        {
            piece -= piece % period;
        }
        let cost = 1 + self.steps.iter().map(|s| s.op.cost()).sum::<usize>() + inputs.len();
        let run = Run {
            program: self,
            reads: &reads,
            outputs,
            piece,
            len,
            width,
        };
        parallel_for(len.div_ceil(piece), grain(cost * piece), |range| {
            // SAFETY: the ranges are disjoint, and the caller vouches for the tensors.
            unsafe { run.pieces(range) }
        });
    }
}

/// The code with each product that only one sum uses, and nobody else, as one step with it.
fn contracted(
    compute: Compute,
    code: &[Instruction],
    outputs: &[(Value, DType)],
) -> (Code, SmallVec<[(Value, DType); 2]>) {
    let mut uses = SmallVec::<[usize; 16]>::from_elem(0, code.len());
    let read = (code.iter()).flat_map(|instruction| &instruction.args[..instruction.op.arity()]);
    for value in read.chain(outputs.iter().map(|(value, _)| value)) {
        if let Value::Result(k) = *value {
            uses[k] += 1;
        }
    }
    let factors = |value: Value| match value {
        Value::Result(k) if uses[k] == 1 && code[k].op == Op::Multiply => Some(k),
        _ => None,
    };
    let mut joined = SmallVec::<[bool; 16]>::from_elem(false, code.len());
    let mut whole = Code::from_slice(code);
    if Op::MultiplyAdd.is_defined_for(compute) {
        for instruction in whole
            .iter_mut()
            .filter(|instruction| instruction.op == Op::Add)
        {
            let [x, y, _] = instruction.args;
            let product = factors(x).map(|k| (k, y));
            if let Some((k, addend)) = product.or_else(|| factors(y).map(|k| (k, x))) {
                let [a, b, _] = code[k].args;
                *instruction = Instruction::new(Op::MultiplyAdd, &[a, b, addend]);
                joined[k] = true;
            }
        }
    }
    let renumbered = |value: Value| match value {
        Value::Result(k) => Value::Result(k - joined[..k].iter().filter(|&&gone| gone).count()),
        value => value,
    };
    let kept = whole.iter().zip(&joined).filter(|(_, gone)| !**gone);
    let code = kept.map(|(instruction, _)| Instruction {
        args: instruction.args.map(renumbered),
        ..*instruction
    });
    let outputs = outputs
        .iter()
        .map(|&(value, dtype)| (renumbered(value), dtype));
    (code.collect(), outputs.collect())
}

/// Instructions of a program.
type Code = SmallVec<[Instruction; 4]>;

/// How the items of an operand lie under those of the output.
enum Pattern {
    Same,
    Scalar,
    /// The operand is a trailing part of the shape, repeated.
    Periodic(usize),
    /// Sizes and strides (0 where it broadcasts), innermost first.
    Strided(SmallVec<[(usize, usize); 6]>),
}

impl Pattern {
    /// Panics when `x` does not broadcast to `shape`.
    fn new(x: &[usize], shape: &[usize], len: usize) -> Pattern {
        let size: usize = x.iter().product();
        let fits = x.len() <= shape.len()
            && x.iter()
                .rev()
                .zip(shape.iter().rev())
                .all(|(a, b)| a == b || *a == 1);
        assert!(fits, "{x:?} does not broadcast to {shape:?}");
        if size == len {
            return Pattern::Same;
        }
        if size == 1 {
            return Pattern::Scalar;
        }
        let mut dims = SmallVec::<[(usize, usize); 6]>::new();
        let mut stride = 1;
        for (i, &n) in shape.iter().rev().enumerate() {
            let own = if i < x.len() { x[x.len() - 1 - i] } else { 1 };
            if n == 1 {
                continue;
            }
            let step = if own == 1 { 0 } else { stride };
            match dims.last_mut() {
                Some((size, inner)) if (step == 0) == (*inner == 0) => *size *= n,
                _ => dims.push((n, step)),
            }
            stride *= own;
        }
        match dims[..] {
            [(period, 1), (_, 0)] => Pattern::Periodic(period),
            _ => Pattern::Strided(dims),
        }
    }
}

struct Read {
    data: *const u8,
    dtype: DType,
    pattern: Pattern,
}

impl Read {
    fn period(&self) -> Option<usize> {
        match self.pattern {
            Pattern::Periodic(period) => Some(period),
            _ => None,
        }
    }

    /// Whether every piece reads the same items.
    fn is_stable(&self, piece: usize) -> bool {
        match self.pattern {
            Pattern::Scalar => true,
            Pattern::Periodic(period) => piece.is_multiple_of(period),
            _ => false,
        }
    }

    /// Where the items of output positions `start..start + n` lie in memory, if they lie in a row.
    fn in_a_row(&self, start: usize, n: usize) -> Option<*const u8> {
        let first = match self.pattern {
            Pattern::Same => start,
            Pattern::Periodic(period) if start % period + n <= period => start % period,
            _ => return None,
        };
        Some(self.data.wrapping_add(first * self.dtype.size()))
    }

    /// Lays out the items of output positions `start..start + n` in a row.
    ///
    /// # Safety
    /// The positions are the output's; `out` is valid for writes of `n` items.
    unsafe fn lay_out(&self, start: usize, n: usize, out: *mut u8) {
        let periodic;
        let dims: &[(usize, usize)] = match &self.pattern {
            Pattern::Same => unreachable!("whole operands lie in a row"),
            Pattern::Scalar => &REPEAT,
            Pattern::Periodic(period) => {
                periodic = [(*period, 1), (usize::MAX, 0)];
                &periodic
            }
            Pattern::Strided(dims) => dims,
        };
        // SAFETY: passed on.
        unsafe { lay_out_bytes(self.dtype.size(), self.data, dims, start, n, out) }
    }
}

/// # Safety
/// As for [`lay_out`] with aligned items of `size` bytes.
unsafe fn lay_out_bytes(
    size: usize,
    data: *const u8,
    dims: &[(usize, usize)],
    start: usize,
    n: usize,
    out: *mut u8,
) {
    // SAFETY: passed on; the size is that of the type.
    unsafe {
        match size {
            1 => lay_out::<u8>(data, dims, start, n, out),
            2 => lay_out::<u16>(data.cast(), dims, start, n, out.cast()),
            4 => lay_out::<u32>(data.cast(), dims, start, n, out.cast()),
            8 => lay_out::<u64>(data.cast(), dims, start, n, out.cast()),
            _ => lay_out::<Complex<f64>>(data.cast(), dims, start, n, out.cast()),
        }
    }
}

/// The one item, everywhere.
const REPEAT: [(usize, usize); 1] = [(usize::MAX, 0)];

/// # Safety
/// Positions `start..start + n` of the sizes in `dims` lie within `data` by their strides; `out` is valid for writes of `n` items.
unsafe fn lay_out<T: Copy>(
    data: *const T,
    dims: &[(usize, usize)],
    start: usize,
    n: usize,
    out: *mut T,
) {
    let (inner, stride) = dims[0];
    let mut done = 0;
    while done < n {
        let mut rest = start + done;
        let at = rest % inner;
        rest /= inner;
        let mut offset = at * stride;
        for &(size, stride) in &dims[1..] {
            offset += rest % size * stride;
            rest /= size;
        }
        let run = (inner - at).min(n - done);
        // SAFETY: the run stays within the innermost size, where the strides lead to items of `data`.
        unsafe {
            let (from, to) = (data.add(offset), out.add(done));
            if stride == 0 {
                std::slice::from_raw_parts_mut(to.cast::<MaybeUninit<T>>(), run)
                    .fill(MaybeUninit::new(*from));
            } else {
                std::ptr::copy_nonoverlapping(from, to, run);
            }
        }
        done += run;
    }
}

struct Run<'a> {
    program: &'a Program,
    reads: &'a [Read],
    outputs: &'a [*mut u8],
    piece: usize,
    len: usize,
    /// Bytes of an item in a register.
    width: usize,
}

// SAFETY: the pointers are to tensors that the caller of `Program::run` keeps valid, and ranges write apart from each other.
unsafe impl Sync for Run<'_> {}

impl Run<'_> {
    /// # Safety
    /// As for [`Program::run`]; no two calls at once share a piece.
    unsafe fn pieces(&self, range: std::ops::Range<usize>) {
        let program = self.program;
        let dtype = program.compute.dtype();
        let mut arena = MaybeUninit::<Arena>::uninit();
        let arena: *mut u8 = arena.as_mut_ptr().cast();
        let register_bytes = self.piece * self.width;
        let register = |slot: usize| arena.wrapping_add(slot * register_bytes);
        // Whatever is laid out here may need more alignment than a register.
        let staging = arena.wrapping_add((program.slots * register_bytes).next_multiple_of(64));
        let mut at: [*mut u8; MAX_SLOTS] = std::array::from_fn(register);
        // SAFETY: registers hold a piece each and lie in the arena by the choice of `piece`; tensors are the caller's.
        unsafe {
            let load = |read: &Read, start: usize, n: usize, register: *mut u8| -> *mut u8 {
                match read.in_a_row(start, n) {
                    Some(x) if read.dtype == dtype => x.cast_mut(),
                    Some(x) => {
                        convert(read.dtype, dtype, x, register, n);
                        register
                    }
                    None if read.dtype == dtype => {
                        read.lay_out(start, n, register);
                        register
                    }
                    None => {
                        read.lay_out(start, n, staging);
                        convert(read.dtype, dtype, staging, register, n);
                        register
                    }
                }
            };
            for (slot, read) in self.reads.iter().enumerate() {
                if read.is_stable(self.piece) {
                    read.lay_out(0, self.piece, staging);
                    if read.dtype == dtype {
                        std::ptr::copy_nonoverlapping(staging, at[slot], register_bytes);
                    } else {
                        convert(read.dtype, dtype, staging, at[slot], self.piece);
                    }
                }
            }
            for (k, constant) in program.constants.iter().enumerate() {
                let register = at[self.reads.len() + k];
                let one: *const f64 = constant;
                convert(DType::Float64, dtype, one.cast(), staging, 1);
                lay_out_bytes(self.width, staging, &REPEAT, 0, self.piece, register);
            }
            for piece in range {
                let start = piece * self.piece;
                let n = self.piece.min(self.len - start);
                for (slot, read) in self.reads.iter().enumerate() {
                    if !read.is_stable(self.piece) {
                        at[slot] = load(read, start, n, register(slot));
                    }
                }
                for (out, (slot, dtype, direct)) in self.outputs.iter().zip(&program.outputs) {
                    if *direct {
                        at[*slot as usize] = out.add(start * dtype.size());
                    }
                }
                for step in &program.steps {
                    let args = step.args.map(|slot| at[slot as usize].cast_const());
                    execute(program.compute, step.op, args, at[step.out as usize], n);
                }
                for (out, (slot, to, direct)) in self.outputs.iter().zip(&program.outputs) {
                    if !*direct {
                        let (from, out) = (at[*slot as usize], out.add(start * to.size()));
                        if *to == dtype {
                            std::ptr::copy(from, out, n * self.width);
                        } else {
                            convert(dtype, *to, from, out, n);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The operands that `op` takes are valid for reads and `out` for writes of `n` items of `compute`'s dtype;
/// `out` is equal to an operand or does not overlap it.
pub(super) unsafe fn execute(
    compute: Compute,
    op: Op,
    args: [*const u8; 3],
    out: *mut u8,
    n: usize,
) {
    // SAFETY: passed on.
    unsafe {
        match compute {
            Compute::F32 => float32::execute(op, args.map(|x| x.cast()), out.cast(), n),
            Compute::F64 => float64::execute(op, args.map(|x| x.cast()), out.cast(), n),
            Compute::I64 => integer::execute::<i64>(op, args.map(|x| x.cast()), out.cast(), n),
            Compute::U64 => integer::execute::<u64>(op, args.map(|x| x.cast()), out.cast(), n),
            Compute::C128 => complex::execute(op, args.map(|x| x.cast()), out.cast(), n),
        }
    }
}
