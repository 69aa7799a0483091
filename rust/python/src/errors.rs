//! The one mapping of errors to Python exceptions.

use std::cell::RefCell;

use graph::Error;
use pyo3::exceptions::{
    PyIndexError, PyMemoryError, PyNotImplementedError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;

pyo3::create_exception!(
    cornu,
    TraceError,
    PyTypeError,
    "The value of a traced tensor was asked for: inside a trace only its dtype and shape are known."
);
pyo3::create_exception!(
    cornu,
    SpecializeError,
    PyTypeError,
    "An unknown size of a trace must be a real integer; `args[1]` is the size's place in the trace."
);

thread_local! {
    /// A Python exception on its way through Rust code that knows no Python.
    static IN_FLIGHT: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Sends a Python exception through Rust code.
pub fn foreign(error: PyErr) -> Error {
    let text = error.to_string();
    IN_FLIGHT.with(|held| *held.borrow_mut() = Some(error));
    Error::Foreign(text)
}

/// The Python exception of an error.
pub fn exception(error: Error) -> PyErr {
    match error {
        Error::Value(m) => PyValueError::new_err(m),
        Error::Type(m) => PyTypeError::new_err(m),
        Error::Index(m) => PyIndexError::new_err(m),
        Error::Memory(m) => PyMemoryError::new_err(m),
        Error::Unsupported(m) => PyNotImplementedError::new_err(m),
        Error::Traced(m) => TraceError::new_err(m),
        Error::Specialize(symbol) => SpecializeError::new_err((error.to_string(), symbol.0)),
        Error::Foreign(m) => IN_FLIGHT
            .with(|held| held.borrow_mut().take())
            .unwrap_or_else(|| PyRuntimeError::new_err(m)),
        Error::Internal(m) => PyRuntimeError::new_err(m),
    }
}

/// Results of `graph` as results of Python calls.
pub trait OrRaise<T> {
    /// The value, or the Python exception of the error.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for graph::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(exception)
    }
}
