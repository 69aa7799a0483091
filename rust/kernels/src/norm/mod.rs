//! Layer, RMS, batch and group normalization, forward and backward.
mod batch;
mod columns;
mod group;
mod layer;
#[cfg(test)]
mod tests;

use simd::{Isa, Lanes};

pub use batch::{
    BatchNorm, BatchNormGrads, batch_norm, batch_norm_gradient, batch_norm_scratch_len,
};
pub use group::{GroupNorm, group_norm, group_norm_gradient};
pub use layer::{LayerNorm, Statistics, layer_norm, layer_norm_gradient, layer_norm_scratch_len};

use crate::real::Real;

#[inline(always)]
fn splat<T: Real, I: Isa>(isa: I, x: f64) -> T::Lanes<I> {
    T::Lanes::<I>::splat(isa, T::from_f64(x))
}
