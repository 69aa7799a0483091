//! Kernels that are brought, once for many runs, to the form that a convolution reads.

use simd::level;

use super::choose::Algorithm;
use super::geometry::Geometry;
use super::winograd::{self, Problem, Tile};
use super::{Pass, algorithm, implicit_gemm, single, single_mut};
use crate::activation::Activation;
use crate::gemm::{Packed, Real};

/// A form of a kernel. It serves any number of images, and the instruction set that was in use when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Panels of the matrix product.
    Panels,
    /// Winograd's transform for tiles of a size.
    Winograd(Tile),
}

/// The form that is fastest for a pass, where the kernel has one: it does in a forward pass, and in the gradient of an input
/// without strides, both of one group.
pub fn form<T: Real>(pass: Pass, geometry: &Geometry) -> Option<Form> {
    let one_product = geometry.groups == 1
        && match pass {
            Pass::Forward => true,
            Pass::InputGradient => geometry.window.strides == [1; 3],
            Pass::KernelGradient => false,
        };
    match algorithm::<T>(pass, geometry, true) {
        Algorithm::ImplicitGemm if one_product => Some(Form::Panels),
        Algorithm::Winograd(tile) => Some(Form::Winograd(tile)),
        _ => None,
    }
}

/// Panics unless the geometry takes the form.
fn problem(pass: Pass, geometry: &Geometry) -> Problem {
    Problem::new(pass, geometry).expect("a geometry that Winograd's way takes")
}

/// Items of a prepared kernel.
pub fn prepared_len<T: Real>(form: Form, pass: Pass, geometry: &Geometry) -> usize {
    match form {
        Form::Panels => {
            let [_, n, k] = implicit_gemm::product_size(pass, geometry);
            Packed::<T>::len(level(), n, k)
        }
        Form::Winograd(tile) => winograd::kernel_len(&problem(pass, geometry), tile),
    }
}

/// Writes the form of a kernel to `out`, which had best start at a cache line.
///
/// # Panics
/// When the geometry does not take the form or a slice is too short.
pub fn prepare<T: Real>(form: Form, pass: Pass, geometry: &Geometry, kernel: &[T], out: &mut [T]) {
    assert!(
        kernel.len() >= geometry.kernel_len(),
        "a kernel of {geometry:?}"
    );
    match form {
        Form::Panels => implicit_gemm::pack(pass, geometry, kernel, out),
        Form::Winograd(tile) => {
            let problem = problem(pass, geometry);
            winograd::transform_kernel(&problem, tile, single(kernel), single_mut(out));
        }
    }
}

/// Items of scratch that [`run_prepared`] takes.
pub fn prepared_scratch_len<T: Real>(form: Form, pass: Pass, geometry: &Geometry) -> usize {
    match (form, pass) {
        (Form::Panels, Pass::Forward) => implicit_gemm::forward_scratch_len::<T>(geometry),
        (Form::Panels, _) => implicit_gemm::input_gradient_scratch_len::<T>(geometry),
        (Form::Winograd(tile), _) => winograd::scratch_len(&problem(pass, geometry), tile),
    }
}

/// [`super::run`] with a kernel that [`prepare`] has brought to a form.
///
/// # Panics
/// As [`super::forward`].
pub fn run_prepared<T: Real>(
    form: Form,
    pass: Pass,
    geometry: &Geometry,
    [x, kernel]: [&[T]; 2],
    bias: Option<&[T]>,
    activation: Option<Activation>,
    out: &mut [T],
    scratch: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    match form {
        Form::Winograd(tile) => winograd::run(
            &problem(pass, geometry),
            tile,
            single(x),
            single(kernel),
            bias.map(single),
            activation,
            single_mut(out),
            single_mut(scratch),
        ),
        Form::Panels => {
            let kernel = implicit_gemm::Kernel::Packed(Packed::new(level(), kernel));
            match pass {
                Pass::Forward => {
                    implicit_gemm::forward(geometry, x, kernel, bias, activation, out, scratch);
                }
                _ => implicit_gemm::input_gradient(geometry, x, kernel, out, scratch),
            }
        }
    }
}
