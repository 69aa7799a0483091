//! The Python module `cornu._cornu`: tensors, variables, primitives, tapes, traces and plans of `graph`.

mod array;
mod control;
mod convert;
mod dim;
mod errors;
mod host;
mod operators;
mod plan;
mod primitive;
mod settings;
mod storage;
mod tape;
mod tensor;
mod trace;

/// The compiled part of Cornu.
#[pyo3::pymodule]
mod _cornu {
    #[pymodule_export]
    use crate::control::{branch, scan, while_loop};
    #[pymodule_export]
    use crate::convert::{make_tensor, promoted_tensors, result_type};
    #[pymodule_export]
    use crate::dim::Dim;
    #[pymodule_export]
    use crate::errors::{SpecializeError, TraceError};
    #[pymodule_export]
    use crate::host::host;
    #[pymodule_export]
    use crate::plan::Plan;
    #[pymodule_export]
    use crate::primitive::{Primitive, primitive, primitives};
    #[pymodule_export]
    use crate::settings::{
        any_symbolic, fma_peak, num_threads, register, set_floatx, set_num_threads, set_winograd,
    };
    #[pymodule_export]
    use crate::storage::Storage;
    #[pymodule_export]
    use crate::tape::{StopRecording, Tape, custom_gradient, recording};
    #[pymodule_export]
    use crate::tensor::{Tensor, are_matrices};
    #[pymodule_export]
    use crate::trace::{Graph, Suspended, abstract_call, enter_scope, leave_scope, trace, tracing};
}
