//! Settings and the Python objects that this module must know.

use std::sync::atomic::{AtomicU8, Ordering};

use graph::DType;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

static FLOATX: AtomicU8 = AtomicU8::new(DType::Float32 as u8);
static OPERATORS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static SYMBOLIC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The default float dtype.
pub fn floatx() -> DType {
    DType::ALL[FLOATX.load(Ordering::Relaxed) as usize]
}

/// Sets the default float dtype.
#[pyfunction]
pub fn set_floatx(name: &str) -> PyResult<()> {
    let dtype = DType::from_name(name).filter(|dtype| dtype.is_float());
    let dtype = dtype.ok_or_else(|| PyValueError::new_err(format!("not a float dtype: {name}")))?;
    FLOATX.store(dtype as u8, Ordering::Relaxed);
    Ok(())
}

/// Tells this module which functions serve tensors' operators (by method name), and the class of symbolic tensors.
#[pyfunction]
pub fn register(py: Python<'_>, operators: Py<PyDict>, symbolic: Py<PyAny>) -> PyResult<()> {
    OPERATORS
        .set(py, operators)
        .map_err(|_| PyValueError::new_err("operators are registered once"))?;
    SYMBOLIC
        .set(py, symbolic)
        .map_err(|_| PyValueError::new_err("operators are registered once"))
}

/// The function that serves an operator.
pub fn operator<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    if OPERATORS.get(py).is_none() {
        // The package registers its operators when `ops` is imported.
        py.import("cornu.ops")?;
    }
    let table = OPERATORS
        .get(py)
        .ok_or_else(|| PyValueError::new_err("no operators are registered"))?;
    table
        .bind(py)
        .get_item(name)?
        .ok_or_else(|| PyValueError::new_err(format!("no operator {name} is registered")))
}

/// Whether an object is a symbolic tensor, which answers operators itself.
pub fn is_symbolic(object: &Bound<'_, PyAny>) -> bool {
    SYMBOLIC
        .get(object.py())
        .is_some_and(|class| object.is_instance(class.bind(object.py())).unwrap_or(false))
}

/// The number of threads that kernels use.
#[pyfunction]
pub fn num_threads() -> usize {
    kernels::threads::num_threads()
}

/// Sets the number of threads that kernels use.
#[pyfunction]
pub fn set_num_threads(n: usize) -> PyResult<()> {
    if n == 0 {
        return Err(PyValueError::new_err(
            "the number of threads must be at least 1",
        ));
    }
    kernels::threads::set_num_threads(n);
    Ok(())
}

/// Says whether convolutions may take Winograd's way, whose sums are less exact.
#[pyfunction]
pub fn set_winograd(allowed: bool) {
    kernels::conv::set_winograd(allowed);
}

/// The rate of float32 multiply-adds of one core, in operations per second, as measured within about 30 milliseconds.
#[pyfunction]
pub fn fma_peak(py: Python<'_>) -> f64 {
    py.detach(kernels::peak::fma_peak)
}
