//! What lanes are: an instruction-set token trait, its implementations, and run-time dispatch.
//!
//! A kernel is a [`Task`]: a struct of its operands whose [`Task::run`] is generic over the [`Isa`].
//! [`dispatch`] runs it under the best instruction set of the machine:
//!
//! ```
//! use simd::{Float, Isa, Lanes, Task, dispatch};
//!
//! struct Scale<'a> { x: &'a mut [f32], factor: f32 }
//!
//! impl Task for Scale<'_> {
//!     type Output = ();
//!     #[inline(always)]
//!     fn run<I: Isa>(self, isa: I) {
//!         let factor = isa.splat(self.factor);
//!         let mut chunks = self.x.chunks_exact_mut(I::F32::LEN);
//!         for x in &mut chunks {
//!             (isa.load(x) * factor).store(x);
//!         }
//!         let tail = chunks.into_remainder();
//!         (isa.load_partial(tail) * factor).store_partial(tail);
//!     }
//! }
//!
//! let mut x: Vec<f32> = (0..21).map(|i| i as f32).collect();
//! dispatch(Scale { x: &mut x, factor: 2.0 });
//! assert_eq!(x[20], 40.0);
//! ```
//!
//! # The rules
//!
//! - The feature boundary is crossed once, in [`Isa::run`], a `#[target_feature]` function. Whatever it calls must be inlined into
//!   it to be compiled with those features: mark `run` and every function that handles lanes `#[inline(always)]`.
//! - A closure handed to another thread leaves the boundary behind. Dispatch *inside* it (one task per range), or
//!   re-enter with `isa.run(task)`.
//! - Lanes come from a token and a token from detection only, so arithmetic on lanes is safe code.
//! - Sums over lanes have an order which depends on the instruction set alone.
//! - [`Float::mul_add`] is fused where the machine has it: on x86 without FMA it rounds twice.

mod dispatch;
mod lanes;
pub mod math;
mod paired;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use dispatch::{Level, dispatch, dispatch_at, for_each_isa, level};
pub use lanes::{F32Lanes, Float, I32Lanes, Isa, Lanes, Mask, Task, prefetch, prefetch_second};
pub use paired::interleaved;
pub use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};
