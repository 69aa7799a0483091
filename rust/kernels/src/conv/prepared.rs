//! Kernels that are brought, once for many runs, to the form that a convolution reads.

use simd::level;

use super::choose::{self, Algorithm};
use super::geometry::Geometry;
use super::products::Product;
use super::winograd::{self, Problem, Tile};
use super::{Pass, algorithm, check_epilogue, implicit_gemm, lines, single, single_mut};
use crate::gemm::{Epilogue, Packed, Real};

/// A form of a kernel. It serves any number of images, and the instruction set that was in use when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Panels of the matrix products.
    Panels,
    /// Winograd's transform for tiles of a size.
    Winograd(Tile),
}

/// The form that is fastest for a pass, where the kernel has one: a product with a vector reads it as it lies.
pub fn form<T: Real>(pass: Pass, geometry: &Geometry) -> Option<Form> {
    let vector = Product::all(pass, geometry).any(|product| {
        geometry.batch * product.positions() == 1 || product.target.columns.len == 1
    });
    match algorithm::<T>(pass, geometry, true) {
        _ if pass == Pass::KernelGradient => None,
        Algorithm::Lines => Some(Form::Panels),
        Algorithm::ImplicitGemm if !vector => Some(Form::Panels),
        Algorithm::Winograd(tile) => Some(Form::Winograd(tile)),
        _ => None,
    }
}

/// Panics unless the geometry takes the form.
pub(super) fn problem(pass: Pass, geometry: &Geometry) -> Problem {
    Problem::new(pass, geometry).expect("a geometry that Winograd's way takes")
}

/// Items of a prepared kernel.
pub fn prepared_len<T: Real>(form: Form, pass: Pass, geometry: &Geometry) -> usize {
    match form {
        Form::Panels => {
            let products = Product::all(pass, geometry);
            products.map(|product| product.packed_len::<T>()).sum()
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
        Form::Panels => {
            let mut out = out;
            for product in Product::all(pass, geometry) {
                let (here, rest) = out.split_at_mut(product.packed_len::<T>());
                product.with_kernel(pass, geometry, kernel, |b| {
                    Packed::pack(
                        level(),
                        b,
                        product.target.columns.len,
                        product.depth(),
                        here,
                    );
                });
                out = rest;
            }
        }
        Form::Winograd(tile) => {
            let problem = problem(pass, geometry);
            winograd::transform_kernel(&problem, tile, single(kernel), single_mut(out));
        }
    }
}

/// Items of scratch that [`run_prepared`] takes.
pub fn prepared_scratch_len<T: Real>(form: Form, pass: Pass, geometry: &Geometry) -> usize {
    match form {
        Form::Panels if choose::product(pass, geometry) == Algorithm::Lines => {
            lines::scratch_len::<T>(pass, geometry)
        }
        Form::Panels => implicit_gemm::scratch_len::<T>(pass, geometry),
        Form::Winograd(tile) => winograd::scratch_len(&problem(pass, geometry), tile),
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
    epilogue: Epilogue<'_, T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    check_epilogue(geometry, &epilogue);
    if out.is_empty() {
        return;
    }
    let Epilogue {
        bias, activation, ..
    } = epilogue;
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
        Form::Panels if choose::product(pass, geometry) == Algorithm::Lines => {
            lines::run(pass, geometry, x, kernel, bias, activation, out, scratch);
        }
        Form::Panels => {
            let kernel = implicit_gemm::Kernel::Packed(kernel);
            implicit_gemm::run(pass, geometry, x, kernel, epilogue, out, scratch);
        }
    }
}
