//! What products and convolutions add to their sums: a tensor of the result's kind, in whose memory the result is made where it
//! dies there.

use kernels::activation::Activation;
use kernels::gemm::Epilogue;

use super::Run;
use crate::{DType, Element, Result, Spec, unsupported, value_error};

/// The operand that is added; a bias comes behind it, or in its place where there is none.
pub const RESIDUAL: usize = 2;

/// The operand that is the bias.
pub fn bias(residual: bool) -> usize {
    RESIDUAL + usize::from(residual)
}

/// `Op::inplace`.
pub fn inplace(residual: bool) -> &'static [(usize, usize)] {
    if residual { &[(RESIDUAL, 0)] } else { &[] }
}

/// `Op::by_rows`, where the first operand is a batch of examples.
pub fn by_rows(residual: bool, batched: &[bool]) -> bool {
    let mut operands = batched.iter().enumerate();
    operands.all(|(i, &batched)| batched == (i == 0 || residual && i == RESIDUAL))
}

/// Whether the kernels of a result's dtype add a residual.
pub fn adds(dtype: DType) -> bool {
    matches!(dtype, DType::Float32 | DType::Float64)
}

/// Checks the residual for a result.
///
/// # Errors
/// When it is of another kind, or of one whose kernels add none.
pub fn expect(residual: &Spec, output: &Spec) -> Result<()> {
    if residual != output {
        return value_error!("a residual of {residual} for a result of {output}");
    }
    if !adds(output.dtype) {
        return unsupported!("a residual of dtype {}", output.dtype);
    }
    Ok(())
}

/// What a call makes of its sums in result `output`, which begins as the residual where there is one.
pub fn epilogue<'a, T: Element>(
    residual: bool,
    activation: Option<Activation>,
    output: usize,
    run: &mut Run<'a, '_>,
) -> Epilogue<'a, T> {
    if residual {
        run.carry_over(RESIDUAL, output);
    }
    let bias = bias(residual);
    Epilogue {
        bias: (run.inputs.len() > bias).then(|| run.input(bias)),
        add: residual,
        activation,
    }
}
