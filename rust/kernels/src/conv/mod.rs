//! Convolution, channels last, in one to three spatial dimensions: `x (batch, ..input, channels)` with
//! `kernel (..size, channels / groups, filters)` gives `out (batch, ..output, filters)`.
//!
//! [`forward`] and its two gradients are each other's gradients. A transposed convolution is [`input_gradient`] under the
//! geometry that leads from its output to its input. [`run_half`] takes half floats, [`direct`] the
//! numbers that have no lanes. A kernel that serves several runs is brought to its [`Form`] once ([`prepare`], [`run_prepared`]).
//! [`Geometry::winograd`] turns off the way whose sums are less exact.
pub mod choose;
mod depthwise;
pub mod direct;
pub mod geometry;
mod half;
mod implicit_gemm;
mod lines;
mod patches;
mod planes;
mod prepared;
mod products;
#[cfg(test)]
mod tests;
mod winograd;

pub use geometry::{Geometry, Padding, Window, set_winograd};
pub use half::{half_scratch_len, run_half};
pub use prepared::{Form, form, prepare, prepared_len, prepared_scratch_len, run_prepared};
pub use winograd::Tile;

use crate::DType;
use crate::dtype::{single, single_mut};
use crate::gemm::{Epilogue, Real, activate_slice};
pub use choose::adds;
use choose::{Algorithm, choose};

/// The computations around a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// [`forward`]
    Forward,
    /// [`input_gradient`]
    InputGradient,
    /// [`kernel_gradient`]
    KernelGradient,
}

/// The way of a pass for operands of a type: only single precision takes Winograd's and planes.
fn algorithm<T: Real>(pass: Pass, geometry: &Geometry, prepared: bool) -> Algorithm {
    let winograd = geometry.winograd && T::DTYPE == DType::Float32;
    let geometry = Geometry {
        winograd,
        ..*geometry
    };
    match choose(pass, &geometry, prepared) {
        Algorithm::Planes if T::DTYPE != DType::Float32 => choose::product(pass, &geometry),
        algorithm => algorithm,
    }
}

/// Items of scratch that a pass takes.
pub fn scratch_len<T: Real>(pass: Pass, geometry: &Geometry) -> usize {
    match (algorithm::<T>(pass, geometry, false), pass) {
        (Algorithm::Depthwise, _) => depthwise::scratch_len(geometry),
        (Algorithm::Winograd(tile), Pass::KernelGradient) => {
            winograd::kernel_gradient_scratch_len(&prepared::problem(pass, geometry), tile)
        }
        (Algorithm::Winograd(tile), _) => {
            plain_scratch_len::<T>(Form::Winograd(tile), pass, geometry)
        }
        (Algorithm::Planes, _) => planes::scratch_len(geometry),
        (Algorithm::Lines, Pass::KernelGradient) => {
            lines::kernel_gradient_scratch_len::<T>(geometry)
        }
        (Algorithm::Lines, _) => plain_scratch_len::<T>(Form::Panels, pass, geometry),
        (Algorithm::ImplicitGemm, Pass::KernelGradient) => {
            implicit_gemm::kernel_gradient_scratch_len::<T>(geometry)
        }
        (Algorithm::ImplicitGemm, _) => implicit_gemm::scratch_len::<T>(pass, geometry),
    }
}

/// `out = epilogue(conv(x, kernel))`, with one item of the bias per filter.
///
/// # Panics
/// When a slice does not have the size that the geometry says, the scratch is too short, or the epilogue adds what the output holds
/// where the geometry does not ([`adds`]).
pub fn forward<T: Real>(
    geometry: &Geometry,
    x: &[T],
    kernel: &[T],
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    check(geometry, x.len(), kernel.len(), out.len());
    check_epilogue(geometry, &epilogue);
    if out.is_empty() {
        return;
    }
    if algorithm::<T>(Pass::Forward, geometry, false) == Algorithm::Depthwise {
        let finish = |line: &mut [T]| {
            if let Some(activation) = epilogue.activation {
                activate_slice(activation, line);
            }
        };
        return depthwise::forward(geometry, x, kernel, epilogue.bias, finish, out, scratch);
    }
    product(Pass::Forward, geometry, [x, kernel], epilogue, out, scratch);
}

/// The gradient of `x`: `out (batch, ..input, channels)` from `g (batch, ..output, filters)`.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient<T: Real>(
    geometry: &Geometry,
    g: &[T],
    kernel: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    check(geometry, out.len(), kernel.len(), g.len());
    if g.is_empty() || kernel.is_empty() {
        return out.fill(T::default());
    }
    match algorithm::<T>(Pass::InputGradient, geometry, false) {
        Algorithm::Depthwise => depthwise::input_gradient(geometry, g, kernel, out, scratch),
        Algorithm::Planes => {
            let (g, kernel, scratch) = (single(g), single(kernel), single_mut(scratch));
            planes::input_gradient(geometry, g, kernel, single_mut(out), scratch);
        }
        _ => {
            let (pass, epilogue) = (Pass::InputGradient, Epilogue::default());
            product(pass, geometry, [g, kernel], epilogue, out, scratch);
        }
    }
}

/// A pass that is a product with the kernel as it lies.
fn product<T: Real>(
    pass: Pass,
    geometry: &Geometry,
    [x, kernel]: [&[T]; 2],
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let form = match algorithm::<T>(pass, geometry, false) {
        Algorithm::Winograd(tile) => Form::Winograd(tile),
        Algorithm::Lines => Form::Panels,
        _ => {
            let kernel = implicit_gemm::Kernel::Plain(kernel);
            return implicit_gemm::run(pass, geometry, x, kernel, epilogue, out, scratch);
        }
    };
    let skip = scratch.as_ptr().align_offset(64).min(ALIGNMENT);
    let len = prepared_len::<T>(form, pass, geometry);
    let (prepared, scratch) = scratch[skip..].split_at_mut(len);
    prepare(form, pass, geometry, kernel, prepared);
    let operands = [x, &*prepared];
    run_prepared(form, pass, geometry, operands, epilogue, out, scratch);
}

/// Items to the next cache line, at most.
const ALIGNMENT: usize = 16;

/// Items of scratch of a pass that brings its kernel to a form.
fn plain_scratch_len<T: Real>(form: Form, pass: Pass, geometry: &Geometry) -> usize {
    let prepared = prepared_len::<T>(form, pass, geometry);
    prepared + ALIGNMENT + prepared_scratch_len::<T>(form, pass, geometry)
}

/// The gradient of the kernel: `out (..size, channels / groups, filters)` from `x` and `g (batch, ..output, filters)`.
///
/// # Panics
/// As [`forward`].
pub fn kernel_gradient<T: Real>(
    geometry: &Geometry,
    x: &[T],
    g: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    check(geometry, x.len(), out.len(), g.len());
    if x.is_empty() || g.is_empty() {
        return out.fill(T::default());
    }
    match algorithm::<T>(Pass::KernelGradient, geometry, false) {
        Algorithm::Depthwise => depthwise::kernel_gradient(geometry, x, g, out, scratch),
        Algorithm::ImplicitGemm => implicit_gemm::kernel_gradient(geometry, x, g, out, scratch),
        Algorithm::Lines => lines::kernel_gradient(geometry, x, g, out, scratch),
        Algorithm::Planes => unreachable!("planes give no gradient of a kernel"),
        Algorithm::Winograd(tile) => {
            let problem = prepared::problem(Pass::KernelGradient, geometry);
            let (x, g) = (single(x), single(g));
            winograd::kernel_gradient(&problem, tile, x, g, single_mut(out), single_mut(scratch));
        }
    }
}

/// Runs a pass from its two operands, in the order that its function has them.
///
/// # Panics
/// As [`forward`].
pub fn run<T: Real>(
    pass: Pass,
    geometry: &Geometry,
    [a, b]: [&[T]; 2],
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    match pass {
        Pass::Forward => forward(geometry, a, b, epilogue, out, scratch),
        Pass::InputGradient => input_gradient(geometry, a, b, out, scratch),
        Pass::KernelGradient => kernel_gradient(geometry, a, b, out, scratch),
    }
}

/// Panics unless a forward pass takes the epilogue.
fn check_epilogue<T>(geometry: &Geometry, epilogue: &Epilogue<T>) {
    assert!(
        epilogue
            .bias
            .is_none_or(|bias| bias.len() == geometry.filters),
        "one bias per filter"
    );
    assert!(
        !epilogue.add || adds(geometry),
        "sums that are added to what the output holds"
    );
}

/// Panics unless the slices are as long as the geometry says.
fn check(geometry: &Geometry, x: usize, kernel: usize, out: usize) {
    let expected = (geometry.x_len(), geometry.kernel_len(), geometry.out_len());
    assert_eq!(
        (x, kernel, out),
        expected,
        "lengths of the operands of {geometry:?}"
    );
}
