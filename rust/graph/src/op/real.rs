//! Running kernels that are written for `f32` and `f64` on any float: halves pass through `f32` in scratch.

use kernels::elementwise::cast;
use kernels::real::Real;
use smallvec::SmallVec;

use super::{Operand, Run};
use crate::tensor::{TensorMut, TensorRef};
use crate::{DType, Element, Result, unsupported};

/// A kernel written for both.
pub trait RealKernel {
    /// Computes on tensors of `T`.
    fn call<T: Real>(&self, call: Call<'_, T>);

    /// Numbers of scratch that `call` wants.
    fn scratch_len(&self, _inputs: &[Operand<'_>]) -> usize {
        0
    }
}

/// The tensors of one call as numbers.
pub struct Call<'a, T> {
    /// The operands; empty where one is not of floats.
    pub inputs: SmallVec<[&'a [T]; 12]>,
    /// The results.
    pub outputs: SmallVec<[&'a mut [T]; 4]>,
    /// The operands as they came.
    pub operands: &'a [TensorRef<'a>],
    /// As many numbers as the kernel asked for.
    pub scratch: &'a mut [T],
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::Float16 | DType::BFloat16)
}

/// Bytes of scratch for `run_real`.
pub fn real_scratch(
    kernel: &impl RealKernel,
    inputs: &[Operand<'_>],
    outputs: &[Operand<'_>],
) -> usize {
    let tensors = inputs.iter().chain(outputs);
    let halves: usize = tensors
        .filter(|x| is_half(x.dtype))
        .map(Operand::size)
        .sum();
    let width = if inputs[0].dtype == DType::Float64 {
        8
    } else {
        4
    };
    halves * 4 + kernel.scratch_len(inputs) * width
}

/// Runs a kernel on the call's tensors; the first operand's dtype says in which numbers.
///
/// # Errors
/// `Error::Unsupported` when it is none of floats.
pub fn run_real(kernel: &impl RealKernel, run: &mut Run<'_, '_>) -> Result<()> {
    match run.inputs[0].dtype {
        DType::Float64 => call::<f64>(kernel, run),
        DType::Float32 | DType::Float16 | DType::BFloat16 => call::<f32>(kernel, run),
        other => return unsupported!("there is no kernel for {other}"),
    }
    Ok(())
}

fn call<T: Real>(kernel: &impl RealKernel, run: &mut Run<'_, '_>) {
    let sizes: SmallVec<[Operand<'_>; 12]> = run
        .inputs
        .iter()
        .map(|x| Operand {
            dtype: x.dtype,
            shape: x.shape,
        })
        .collect();
    let own = kernel.scratch_len(&sizes);
    let operands = run.inputs;
    let len = run.scratch.len() / size_of::<T>();
    // SAFETY: the scratch is aligned to a cache line, every bit pattern is a number, and `len` fits.
    let scratch: &mut [T] =
        unsafe { std::slice::from_raw_parts_mut(run.scratch.as_mut_ptr().cast(), len) };
    let (own, mut rest) = scratch.split_at_mut(own);
    let mut take = |n: usize| {
        let (part, left) = std::mem::take(&mut rest).split_at_mut(n);
        rest = left;
        part
    };
    let inputs = operands
        .iter()
        .map(|x| match x.dtype {
            DType::Float16 => &*widened::<half::f16, T>(x, take(x.size())),
            DType::BFloat16 => &*widened::<half::bf16, T>(x, take(x.size())),
            dtype if dtype == T::DTYPE => x.as_slice(),
            _ => &[],
        })
        .collect();
    let outputs = run
        .outputs
        .iter_mut()
        .map(|y| {
            if is_half(y.dtype) {
                take(y.size())
            } else {
                y.as_mut_slice()
            }
        })
        .collect::<SmallVec<[&mut [T]; 4]>>();
    // What is written in scratch is rounded to the results afterwards.
    let parts: SmallVec<[*const T; 4]> = outputs.iter().map(|y| y.as_ptr()).collect();
    kernel.call(Call {
        inputs,
        outputs,
        operands,
        scratch: own,
    });
    for (y, part) in run.outputs.iter_mut().zip(parts) {
        match y.dtype {
            DType::Float16 => narrowed::<half::f16, T>(part, y),
            DType::BFloat16 => narrowed::<half::bf16, T>(part, y),
            _ => {}
        }
    }
}

fn widened<'a, H: Element, T: Real>(x: &TensorRef<'_>, part: &'a mut [T]) -> &'a mut [T] {
    cast(x.as_slice::<H>(), part);
    part
}

fn narrowed<H: Element, T: Real>(part: *const T, y: &mut TensorMut<'_>) {
    // SAFETY: `part` is the place in scratch, of the size of `y`, that the kernel wrote.
    let part = unsafe { std::slice::from_raw_parts(part, y.size()) };
    cast(part, y.as_mut_slice::<H>());
}
