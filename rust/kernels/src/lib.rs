//! Pure numeric functions on slices: no graph, no Python, no hidden allocation.
pub mod activation;
pub mod attention;
pub mod conv;
pub mod dtype;
pub mod elementwise;
pub mod embedding;
pub mod fourier;
pub mod gemm;
pub mod index;
pub mod layout;
pub mod norm;
pub mod optimizer;
pub mod peak;
pub mod pool;
pub mod random;
pub mod real;
pub mod recurrent;
pub mod reduce;
pub mod resample;
pub mod softmax;
pub mod sort;
#[cfg(test)]
mod testing;
pub mod threads;

pub use dtype::{DType, Element};
pub use simd::level;
