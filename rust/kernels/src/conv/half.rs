//! Convolution of half floats, computed in `f32` and rounded once.

use super::{Geometry, Pass, run, scratch_len};
use crate::activation::Activation;
use crate::gemm::{Epilogue, Half};
use crate::threads::{grain, parallel_ranges_mut};

/// The lengths of a pass's operands and of its result.
fn lengths(pass: Pass, geometry: &Geometry) -> [usize; 3] {
    let (x, kernel, out) = (geometry.x_len(), geometry.kernel_len(), geometry.out_len());
    match pass {
        Pass::Forward => [x, kernel, out],
        Pass::InputGradient => [out, kernel, x],
        Pass::KernelGradient => [x, out, kernel],
    }
}

/// Items of scratch that [`run_half`] takes.
pub fn half_scratch_len(pass: Pass, geometry: &Geometry) -> usize {
    let operands: usize = lengths(pass, geometry).iter().sum();
    operands + geometry.filters + scratch_len::<f32>(pass, geometry)
}

/// As [`run`], for half floats.
///
/// # Panics
/// As [`super::forward`].
pub fn run_half<H: Half>(
    pass: Pass,
    geometry: &Geometry,
    operands: [&[H]; 2],
    bias: Option<&[H]>,
    activation: Option<Activation>,
    out: &mut [H],
    scratch: &mut [f32],
) {
    let [a_len, b_len, out_len] = lengths(pass, geometry);
    let (a, scratch) = scratch.split_at_mut(a_len);
    let (b, scratch) = scratch.split_at_mut(b_len);
    let (wide, scratch) = scratch.split_at_mut(out_len);
    let (bias_wide, scratch) = scratch.split_at_mut(geometry.filters);
    widen(operands[0], a);
    widen(operands[1], b);
    let bias = bias.map(|bias| {
        widen(bias, bias_wide);
        &*bias_wide
    });
    let epilogue = Epilogue {
        bias,
        activation,
        ..Epilogue::default()
    };
    run(pass, geometry, [a, b], epilogue, wide, scratch);
    assert_eq!(out.len(), out_len);
    parallel_ranges_mut(out, 1, grain(1), |range, out| H::narrow(&wide[range], out));
}

fn widen<H: Half>(from: &[H], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "lengths of an operand");
    parallel_ranges_mut(to, 1, grain(1), |range, to| H::widen(&from[range], to));
}
