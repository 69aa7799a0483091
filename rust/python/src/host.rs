//! Host ops: the short list of computations that call Python, marked steps of a plan that take the interpreter's lock.

use std::sync::Arc;

use graph::op::Run;
use graph::{DType, Op, Result, Shape, Spec, Specs, apply, value_error};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::array::{Borrowed, to_numpy};
use crate::convert::Operand;
use crate::dim;
use crate::errors::{OrRaise, foreign};
use crate::primitive::results;

/// A Python function from numpy arrays to a list of them.
struct Host {
    name: String,
    function: Py<PyAny>,
    specs: Specs,
    stateful: bool,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The function's address keeps two host ops of one name apart.
        write!(f, "Host({}, {:p})", self.name, self.function.as_ptr())
    }
}

impl Op for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn infer(&self, _inputs: &[&Spec]) -> Result<Specs> {
        Ok(self.specs.clone())
    }

    fn is_stateful(&self) -> bool {
        self.stateful
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        Python::attach(|py| {
            let arrays = || -> PyResult<Vec<Borrowed>> {
                let mut arguments = Vec::with_capacity(run.inputs.len());
                for input in run.inputs {
                    arguments.push(to_numpy(py, input)?);
                }
                let given = self.function.bind(py).call1(PyTuple::new(py, arguments)?)?;
                given
                    .try_iter()?
                    .map(|array| Borrowed::array(&array?))
                    .collect()
            };
            let arrays = arrays().map_err(foreign)?;
            for (output, array) in run.outputs.iter_mut().zip(&arrays) {
                if array.dtype != output.dtype || array.shape.as_slice() != output.shape {
                    return value_error!(
                        "`{}` gave {}{:?} for {}{:?}",
                        self.name,
                        array.dtype,
                        array.shape.as_slice(),
                        output.dtype,
                        output.shape
                    );
                }
                output.bytes_mut().copy_from_slice(array.view().bytes());
            }
            Ok(())
        })
    }
}

/// Applies a Python function (numpy arrays in, a list of numpy arrays out) as one step; `specs` are the results' shapes
/// and dtypes.
#[pyfunction]
#[pyo3(signature = (name, function, operands, specs, stateful=false))]
pub fn host(
    py: Python<'_>,
    name: String,
    function: Py<PyAny>,
    operands: Vec<Bound<'_, PyAny>>,
    specs: Vec<(Vec<Bound<'_, PyAny>>, String)>,
    stateful: bool,
) -> PyResult<Py<PyAny>> {
    let mut inferred = Specs::new();
    for (entries, dtype) in &specs {
        let dtype = DType::from_name(dtype)
            .ok_or_else(|| PyValueError::new_err(format!("Invalid dtype: {dtype}")))?;
        let shape: Shape = entries
            .iter()
            .map(dim::size_of)
            .collect::<PyResult<Vec<_>>>()?
            .into_iter()
            .collect();
        inferred.push(Spec { dtype, shape });
    }
    let values = operands
        .iter()
        .map(|operand| {
            let operand = Operand::read(operand)?;
            let dtype = operand.dtype();
            operand.into_value(dtype)
        })
        .collect::<PyResult<Vec<_>>>()?;
    let op: Arc<dyn Op> = Arc::new(Host {
        name,
        function,
        specs: inferred,
        stateful,
    });
    results(
        py,
        apply(op, &values.iter().collect::<Vec<_>>()).or_raise()?,
    )
}
