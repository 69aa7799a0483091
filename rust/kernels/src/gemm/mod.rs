//! Matrix products `C = activation(A B + bias + C)`.
//!
//! A product is a [`Gemm`]: sizes, two [`Operand`]s and an [`Epilogue`]. The driver cuts it into blocks that fit the caches, packs the operands' blocks into panels and runs a microkernel of the instruction set over them.
//!
//! # Operands
//!
//! Both sides are seen alike, as *lines* along the shared *depth* `k`: the lines of `A` are its rows, those of `B` its columns.
//! A matrix in memory is a [`Strided`] (transposed or not, it is a matter of strides). `B` may also be packed in advance
//! ([`Packed`]).
//!
//! A *virtual* operand, such as the patches of a convolution, implements [`Operand::pack`]: it writes the panel that it is
//! asked for, at best with [`pack_lines`], which transposes runs of memory:
//!
//! ```
//! use kernels::gemm::{Gemm, Operand, Strided, pack_lines};
//! use std::ops::Range;
//!
//! /// The windows of `width` numbers of a signal.
//! struct Windows<'a> { signal: &'a [f32], width: usize }
//!
//! impl Operand<f32> for Windows<'_> {
//!     fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [f32]) {
//!         let mut runs = [&self.signal[..0]; 32];
//!         for (run, line) in runs.iter_mut().zip(lines.clone()) {
//!             *run = &self.signal[line..][depth.clone()];
//!         }
//!         pack_lines(&runs[..lines.len()], depth.len(), width, panel);
//!     }
//! }
//!
//! let signal = [1.0, 2.0, 3.0, 4.0];
//! let windows = Windows { signal: &signal, width: 2 };
//! let weights = Strided::right(&[1.0, -1.0], 2, 1, false);
//! let product = Gemm::new(3, 1, 2, &windows, weights);
//! let mut c = [0.0; 3];
//! let mut scratch = vec![0.0; product.scratch_len()];
//! product.run(&mut c, 1, &mut scratch);
//! assert_eq!(c, [-1.0, -1.0, -1.0]);
//! ```
//!
//! # Order of sums
//!
//! The depth is cut into blocks of a length that depends on the depth and the caches alone, each block is summed in order, and the
//! blocks are added in order. A deep product with a small output is cut into slices of the depth first, by its sizes alone, each summed
//! so and then added in order. Threads share rows, columns and slices, so their number does not change a bit.
mod blocking;
mod compiled;
mod driver;
mod epilogue;
mod gemv;
mod generic;
mod integer;
mod microkernel;
mod operand;
pub(crate) mod panels;
mod rows;
#[cfg(test)]
mod tests;

pub use blocking::Caches;
pub(crate) use blocking::{CACHE_LINE, register_bytes};
pub use driver::{Gemm, Packed, Right, Side, batched, scratch_len};
pub use epilogue::{Epilogue, activate_slice};
pub use generic::{Half, Ring, half_scratch_len, matmul_half, matmul_ring};
pub use integer::{integer_scratch_len, matmul_integer};
pub use operand::{Operand, Strided, pack_lines};
pub(crate) use operand::{transpose_lines, transpose_lines_apart};
pub(crate) use rows::{multiply_rows, read_rows};

use simd::{Float, Isa};

use crate::Element;

/// A number whose products run on lanes.
pub trait Real:
    compiled::Compiled
    + Element
    + PartialOrd
    + From<f32>
    + std::ops::Add<Output = Self>
    + std::ops::Mul<Output = Self>
{
    /// Its lanes.
    type Lanes<I: Isa>: Float<Isa = I, Item = Self>;
}

impl Real for f32 {
    type Lanes<I: Isa> = I::F32;
}

impl Real for f64 {
    type Lanes<I: Isa> = I::F64;
}
