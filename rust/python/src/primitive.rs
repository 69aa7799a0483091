//! Primitives: callables that apply one op of the graph.

use std::sync::Arc;

use graph::op::{Attrs, Builder, builder, names};
use graph::{Op, Value, Values, apply};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use smallvec::SmallVec;

use crate::convert::{Promotion, agreed, attribute, promoted};
use crate::errors::OrRaise;
use crate::tensor;

/// Work of so many elements runs without the interpreter's lock.
const DETACH_ELEMENTS: i64 = 1 << 14;

/// One op of the graph, callable with operands and attributes.
#[pyclass(module = "cornu._cornu", frozen)]
pub struct Primitive {
    name: String,
    build: Builder,
    promotion: Promotion,
    /// The op, when it takes no attributes.
    plain: Option<Arc<dyn Op>>,
}

/// The primitive of that name.
///
/// `promote` says how operands come to share a dtype: not at all (None), as the least type that holds all ("result"), the
/// same with integers made floats ("float"), or for all but the first operand ("branches").
#[pyfunction]
#[pyo3(signature = (name, promote=None))]
pub fn primitive(name: &str, promote: Option<&str>) -> PyResult<Primitive> {
    let build = builder(name)
        .ok_or_else(|| PyValueError::new_err(format!("there is no primitive `{name}`")))?;
    let promotion = match promote {
        None => Promotion::Strict,
        Some("result") => Promotion::Result,
        Some("float") => Promotion::Float,
        Some("branches") => Promotion::Branches,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "no promotion is called {other}"
            )));
        }
    };
    let plain = build(&Attrs::default()).ok();
    Ok(Primitive {
        name: name.to_owned(),
        build,
        promotion,
        plain,
    })
}

/// The names of all primitives.
#[pyfunction]
pub fn primitives() -> Vec<&'static str> {
    names().collect()
}

#[pymethods]
impl Primitive {
    #[pyo3(signature = (*operands, **attributes))]
    fn __call__(
        &self,
        py: Python<'_>,
        operands: &Bound<'_, PyTuple>,
        attributes: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        if let Some(values) = agreed(operands, self.promotion) {
            return self.apply(py, &values, attributes);
        }
        let values = promoted(operands, self.promotion)?;
        let values: SmallVec<[&Value; 4]> = values.iter().collect();
        self.apply(py, &values, attributes)
    }

    fn __repr__(&self) -> String {
        format!("<primitive {}>", self.name)
    }
}

impl Primitive {
    fn apply(
        &self,
        py: Python<'_>,
        operands: &[&Value],
        attributes: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let op = match (attributes, &self.plain) {
            (None, Some(op)) => op.clone(),
            _ => self.build(attributes)?,
        };
        results(py, call(py, op, operands)?)
    }

    fn build(&self, attributes: Option<&Bound<'_, PyDict>>) -> PyResult<Arc<dyn Op>> {
        let pairs: SmallVec<[(Bound<'_, PyAny>, Bound<'_, PyAny>); 4]> = attributes
            .map(|dict| dict.iter().collect())
            .unwrap_or_default();
        let mut attrs = Attrs::default();
        for (key, value) in &pairs {
            let key = key.cast::<pyo3::types::PyString>()?.to_str()?;
            attrs.0.push((key, attribute(key, value)?));
        }
        (self.build)(&attrs)
            .map_err(|error| error.in_op(&self.name))
            .or_raise()
    }
}

/// Applies an op, without the interpreter's lock when it is much work.
fn call(py: Python<'_>, op: Arc<dyn Op>, operands: &[&Value]) -> PyResult<Values> {
    let large = operands.iter().any(|value| {
        value
            .tensor()
            .is_some_and(|tensor| tensor.size() as i64 >= DETACH_ELEMENTS)
    });
    if large && !graph::trace::is_running() && !graph::tape::is_running() {
        return py.detach(|| apply(op, operands)).or_raise();
    }
    apply(op, operands).or_raise()
}

/// One tensor, or a tuple of several.
pub fn results(py: Python<'_>, mut outputs: Values) -> PyResult<Py<PyAny>> {
    if outputs.len() == 1 {
        return Ok(tensor::wrap(py, outputs.swap_remove(0))?.into_any());
    }
    let tensors = outputs
        .into_iter()
        .map(|value| tensor::wrap(py, value))
        .collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, tensors)?.into_any().unbind())
}
