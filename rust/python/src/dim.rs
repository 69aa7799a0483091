//! Unknown sizes in Python.

use graph::Dim as Size;
use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::errors::OrRaise;

/// An unknown size of a trace. Arithmetic on it gives another; `int()` starts the trace again with the size known.
#[pyclass(module = "cornu._cornu", frozen)]
pub struct Dim(pub Size);

/// A Python integer or `Dim` as a size.
pub fn size_of(object: &Bound<'_, PyAny>) -> PyResult<Size> {
    if let Ok(dim) = object.cast::<Dim>() {
        return Ok(dim.get().0.clone());
    }
    object.extract::<i64>().map(Size::Known)
}

/// A size as Python sees it: an int when it is known.
pub fn to_python(py: Python<'_>, size: &Size) -> PyResult<Py<PyAny>> {
    match size {
        Size::Known(value) => Ok(value.into_pyobject(py)?.into_any().unbind()),
        unknown => Ok(Py::new(py, Dim(unknown.clone()))?.into_any()),
    }
}

impl Dim {
    fn with(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        apply: impl FnOnce(&Size, &Size) -> graph::Result<Size>,
    ) -> PyResult<Py<PyAny>> {
        let Ok(other) = size_of(other) else {
            return Ok(py.NotImplemented());
        };
        to_python(py, &apply(&self.0, &other).or_raise()?)
    }
}

#[pymethods]
impl Dim {
    fn __add__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(a + b))
    }
    fn __radd__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(b + a))
    }
    fn __sub__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(a - b))
    }
    fn __rsub__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(b - a))
    }
    fn __mul__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(a * b))
    }
    fn __rmul__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(b * a))
    }
    fn __floordiv__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, Size::floor_div)
    }
    fn __rfloordiv__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| b.floor_div(a))
    }
    fn __mod__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, Size::modulo)
    }
    fn __rmod__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| b.modulo(a))
    }
    fn __neg__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_python(py, &(&Size::Known(0) - &self.0))
    }
    /// The larger of this size and another.
    fn maximum(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(a.maximum(b)))
    }
    /// The smaller of this size and another.
    fn minimum(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, other, |a, b| Ok(a.minimum(b)))
    }
    fn __int__(&self) -> PyResult<i64> {
        self.0.require().or_raise()
    }
    fn __index__(&self) -> PyResult<i64> {
        self.0.require().or_raise()
    }
    fn __float__(&self) -> PyResult<f64> {
        Ok(self.0.require().or_raise()? as f64)
    }
    fn __bool__(&self) -> PyResult<bool> {
        if self.0.never_equals(&Size::Known(0)) {
            return Ok(true);
        }
        Ok(self.0.require().or_raise()? != 0)
    }
    fn __hash__(&self) -> PyResult<isize> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        Ok(hasher.finish() as isize)
    }
    fn __richcmp__(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        op: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let Ok(other) = size_of(other) else {
            return match op {
                CompareOp::Eq | CompareOp::Ne if other.is_none() => Ok(matches!(op, CompareOp::Ne)
                    .into_pyobject(py)?
                    .to_owned()
                    .into_any()
                    .unbind()),
                _ => Ok(py.NotImplemented()),
            };
        };
        let one = Size::Known(1);
        let (a, b) = (&self.0, &other);
        let known = match op {
            CompareOp::Eq | CompareOp::Ne if a == b => Some(matches!(op, CompareOp::Eq)),
            CompareOp::Eq | CompareOp::Ne if a.never_equals(b) => Some(matches!(op, CompareOp::Ne)),
            CompareOp::Ge | CompareOp::Lt if a.always_at_least(b) => {
                Some(matches!(op, CompareOp::Ge))
            }
            CompareOp::Ge | CompareOp::Lt if b.always_at_least(&(a + &one)) => {
                Some(matches!(op, CompareOp::Lt))
            }
            CompareOp::Le | CompareOp::Gt if b.always_at_least(a) => {
                Some(matches!(op, CompareOp::Le))
            }
            CompareOp::Le | CompareOp::Gt if a.always_at_least(&(b + &one)) => {
                Some(matches!(op, CompareOp::Gt))
            }
            _ => None,
        };
        let answer = match known {
            Some(answer) => answer,
            None => op.matches(
                self.0
                    .require()
                    .or_raise()?
                    .cmp(&other.require().or_raise()?),
            ),
        };
        Ok(answer.into_pyobject(py)?.to_owned().into_any().unbind())
    }
    fn __repr__(&self) -> String {
        self.0.to_string()
    }
    fn __format__(&self, spec: &str) -> PyResult<String> {
        if spec.is_empty() {
            return Ok(self.0.to_string());
        }
        Err(PyTypeError::new_err("an unknown size takes no format"))
    }
}
