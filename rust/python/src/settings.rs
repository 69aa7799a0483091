//! Settings and the Python objects that this module must know.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};

use graph::DType;
use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

static FLOATX: AtomicU8 = AtomicU8::new(DType::Float32 as u8);
static OPERATORS: PyOnceLock<HashMap<String, Py<PyAny>>> = PyOnceLock::new();
static SYMBOLIC: PyOnceLock<Py<PyType>> = PyOnceLock::new();

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
pub fn register(
    py: Python<'_>,
    operators: HashMap<String, Py<PyAny>>,
    symbolic: Py<PyType>,
) -> PyResult<()> {
    let again = || PyValueError::new_err("operators are registered once");
    OPERATORS.set(py, operators).map_err(|_| again())?;
    SYMBOLIC.set(py, symbolic).map_err(|_| again())
}

/// The function that serves an operator.
pub fn operator<'py>(py: Python<'py>, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    if OPERATORS.get(py).is_none() {
        // The package registers its operators when `ops` is imported.
        py.import("cornu.ops")?;
    }
    let function = OPERATORS.get(py).and_then(|table| table.get(name));
    function
        .map(|function| function.bind(py))
        .ok_or_else(|| PyValueError::new_err(format!("no operator {name} is registered")))
}

/// Whether an object is a symbolic tensor, which answers operators itself.
pub fn is_symbolic(object: &Bound<'_, PyAny>) -> bool {
    SYMBOLIC.get(object.py()).is_some_and(|class| {
        // SAFETY: both are objects that live, and `register` takes a class only.
        unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), class.as_ptr().cast()) != 0 }
    })
}

/// Whether a symbolic tensor is among the arguments of a call, also deep in structures.
#[pyfunction]
pub fn any_symbolic(args: &Bound<'_, PyAny>, kwargs: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(holds_symbolic(args, 0)? || holds_symbolic(kwargs, 0)?)
}

fn holds_symbolic(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<bool> {
    let holds = |item: &Bound<'_, PyAny>| holds_symbolic(item, depth + 1);
    // A structure may hold itself.
    if depth == DEEPEST {
        return Err(PyRecursionError::new_err("arguments are nested too deep"));
    }
    if let Ok(items) = object.cast::<PyTuple>() {
        any(items.iter(), holds)
    } else if let Ok(items) = object.cast::<PyList>() {
        any(items.iter(), holds)
    } else if let Ok(entries) = object.cast::<PyDict>() {
        any(entries.iter().map(|(_, value)| value), holds)
    } else {
        Ok(is_symbolic(object))
    }
}

/// Levels of structures that are looked into.
const DEEPEST: usize = 1000;

fn any<'py>(
    mut items: impl Iterator<Item = Bound<'py, PyAny>>,
    holds: impl Fn(&Bound<'py, PyAny>) -> PyResult<bool>,
) -> PyResult<bool> {
    items.try_fold(false, |found, item| Ok(found || holds(&item)?))
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
