//! The operators of tensors with two operands.
#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "`pymethods` generates such code, and hides the lint only outside macros"
)]

use pyo3::prelude::*;

use crate::tensor::{Tensor, binary};

macro_rules! binary_operators {
    ($($method:ident $reflected:ident $name:literal;)*) => {
        #[pymethods]
        impl Tensor {
            $(
                fn $method(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                    binary(slf, other, $name, false)
                }
                fn $reflected(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                    binary(slf, other, $name, true)
                }
            )*
        }
    };
}

binary_operators! {
    __add__ __radd__ "add";
    __sub__ __rsub__ "subtract";
    __mul__ __rmul__ "multiply";
    __truediv__ __rtruediv__ "true_divide";
    __floordiv__ __rfloordiv__ "floor_divide";
    __mod__ __rmod__ "mod";
    __matmul__ __rmatmul__ "matmul";
    __and__ __rand__ "and";
    __or__ __ror__ "or";
    __xor__ __rxor__ "xor";
    __lshift__ __rlshift__ "left_shift";
    __rshift__ __rrshift__ "right_shift";
}
