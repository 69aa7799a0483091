//! Variables' memory in Python.

use graph::{DType, Variable};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::array::to_numpy;
use crate::convert::Operand;
use crate::dim;
use crate::errors::OrRaise;
use crate::tensor::{Tensor, wrap};

/// A variable's memory: it keeps its dtype and shape while its content, and with it the version, changes.
#[pyclass(module = "cornu._cornu", frozen, weakref)]
pub struct Storage {
    /// The variable.
    pub variable: Variable,
}

#[pymethods]
impl Storage {
    #[new]
    #[pyo3(signature = (value, trainable=true))]
    fn new(value: &Bound<'_, PyAny>, trainable: bool) -> PyResult<Storage> {
        let operand = Operand::read(value)?;
        let dtype = operand.dtype();
        let variable = Variable::new(operand.into_value(dtype)?.require().or_raise()?.clone());
        variable.set_trainable(trainable);
        Ok(Storage { variable })
    }

    /// The content as a computation sees it: the running trace's, else what is in memory. Tapes are told.
    fn read(&self, py: Python<'_>) -> PyResult<Py<Tensor>> {
        let value = if graph::trace::is_running() || graph::tape::is_running() {
            self.variable.read()
        } else {
            // A run that updates the variable may have to end first, and may need the interpreter for that.
            py.detach(|| self.variable.read())
        };
        wrap(py, value)
    }

    /// Replaces the content, or records that the running trace does.
    fn assign(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = Operand::read(value)?.into_value(self.variable.dtype())?;
        if graph::trace::is_running() {
            return self.variable.assign(&value).or_raise();
        }
        py.detach(|| self.variable.assign(&value)).or_raise()
    }

    /// A numpy array with a copy of what is in memory.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let tensor = py.detach(|| self.variable.tensor());
        to_numpy(py, &tensor.view())
    }

    /// How often the content was replaced.
    #[getter]
    fn version(&self) -> u64 {
        self.variable.version()
    }

    /// The sizes of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let shape = &self.variable.spec().shape;
        let sizes = shape
            .iter()
            .map(|size| dim::to_python(py, size))
            .collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, sizes)
    }

    /// The name of the element type.
    #[getter]
    fn dtype(&self) -> &'static str {
        let dtype: DType = self.variable.dtype();
        dtype.name()
    }

    /// Whether tapes watch reads by themselves.
    #[getter]
    fn trainable(&self) -> bool {
        self.variable.trainable()
    }

    #[setter]
    fn set_trainable(&self, trainable: bool) {
        self.variable.set_trainable(trainable);
    }

    /// The identity that tapes name this variable by.
    #[getter]
    fn id(&self) -> u64 {
        self.variable.id()
    }
}
