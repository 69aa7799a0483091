//! Functions applied element by element, with numpy's broadcasting.
//!
//! Everything here is a [`Program`]: a flat list of steps over virtual registers. One function applied to tensors is a program of one step;
//! a chain that the graph fuses is a longer one. A program walks its outputs in pieces that stay in the first-level cache. Narrow types
//! are widened on their way into a register ([`Compute`]), so that each function is written at most four times.
//!
//! ```
//! use kernels::elementwise::{Op, apply};
//!
//! let mut y = [0f32; 6];
//! apply(Op::Add, &[2, 3], &[(&[1., 2., 3., 4., 5., 6.], &[2, 3]), (&[10., 20., 30.], &[3])], &mut y);
//! assert_eq!(y, [11., 22., 33., 14., 25., 36.]);
//! ```
mod complex;
mod convert;
mod float32;
mod float64;
mod integer;
mod op;
mod program;
pub mod special;
#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use crate::activation::{SELU_ALPHA, SELU_SCALE};
use crate::{DType, Element};
pub use convert::Compute;
pub use op::Op;
pub use program::{Instruction, Operand, Program, Unsupported, Value};

/// Applies `op` to tensors of one type, each with its shape, which broadcast to `shape`.
///
/// Panics when `op` does not take this type or its result is of another one, and when a length is not that of its shape.
pub fn apply<T: Element>(op: Op, shape: &[usize], inputs: &[(&[T], &[usize])], out: &mut [T]) {
    let dtypes: SmallVec<[DType; 3]> = inputs.iter().map(|_| T::DTYPE).collect();
    let program = Program::single(op, &dtypes, None).expect("a type that the function takes");
    assert_eq!(program.output_dtype(0), T::DTYPE);
    assert_eq!(out.len(), shape.iter().product::<usize>());
    let operands: SmallVec<[Operand; 3]> = inputs
        .iter()
        .map(|(data, shape)| Operand::new(data, shape))
        .collect();
    // SAFETY: the operands and `out` are whole tensors of the program's dtypes, and borrowed apart.
    unsafe { program.run(shape, &operands, &[out.as_mut_ptr().cast()]) }
}

/// The function of that name as one of `f64`, when it is computed number by number.
pub(crate) fn function_of_f64(name: &str) -> Option<fn(f64) -> f64> {
    float64::rare(Op::from_name(name)?)
}

/// Converts `x` to another type: floats saturate to integers (NaN becomes 0), integers wrap, complex numbers keep their real part.
pub fn cast<A: Element, B: Element>(x: &[A], out: &mut [B]) {
    assert_eq!(x.len(), out.len());
    let shape = [x.len()];
    // SAFETY: both are as long as the shape says, and borrowed apart.
    unsafe {
        Program::cast(A::DTYPE, B::DTYPE).run(
            &shape,
            &[Operand::new(x, &shape)],
            &[out.as_mut_ptr().cast()],
        );
    }
}

/// # Safety
/// `args[0]` is valid for reads and `out` for writes of `n` items; they are equal or do not overlap.
#[inline(always)]
unsafe fn map1<T: Copy>(args: [*const T; 3], out: *mut T, n: usize, f: impl Fn(T) -> T) {
    for i in 0..n {
        // SAFETY: `i < n`.
        unsafe { out.add(i).write(f(args[0].add(i).read())) };
    }
}

/// # Safety
/// As [`map1`] with two operands.
#[inline(always)]
unsafe fn map2<T: Copy>(args: [*const T; 3], out: *mut T, n: usize, f: impl Fn(T, T) -> T) {
    for i in 0..n {
        // SAFETY: `i < n`.
        unsafe {
            out.add(i)
                .write(f(args[0].add(i).read(), args[1].add(i).read()))
        };
    }
}

/// # Safety
/// As [`map1`] with three operands.
#[inline(always)]
unsafe fn map3<T: Copy>(args: [*const T; 3], out: *mut T, n: usize, f: impl Fn(T, T, T) -> T) {
    for i in 0..n {
        // SAFETY: `i < n`.
        unsafe {
            let [x, y, z] = args.map(|arg| arg.add(i).read());
            out.add(i).write(f(x, y, z));
        }
    }
}
