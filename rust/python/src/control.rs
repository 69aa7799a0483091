//! Control flow of traced computations in Python: bodies are functions of tensors that return lists of tensors.

use graph::op::control;
use graph::{Value, Values};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::convert::value_of;
use crate::dim;
use crate::errors::{OrRaise, foreign};
use crate::tensor::wrap;

fn values_of(objects: &[Bound<'_, PyAny>]) -> PyResult<Vec<Value>> {
    objects.iter().map(value_of).collect()
}

/// A Python function as a body.
fn body<'a>(
    function: &'a Bound<'_, PyAny>,
) -> impl FnMut(&[Value]) -> graph::Result<Vec<Value>> + 'a {
    move |values| {
        let py = function.py();
        let call = || -> PyResult<Vec<Value>> {
            let arguments = values
                .iter()
                .map(|value| wrap(py, value.clone()))
                .collect::<PyResult<Vec<_>>>()?;
            let results = function.call1(PyTuple::new(py, arguments)?)?;
            results
                .try_iter()?
                .map(|result| value_of(&result?))
                .collect()
        };
        call().map_err(foreign)
    }
}

fn list(py: Python<'_>, values: Values) -> PyResult<Bound<'_, PyList>> {
    let tensors = values
        .into_iter()
        .map(|value| wrap(py, value))
        .collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, tensors)
}

/// What the function of that number returns; a number outside of the range is moved into it. In a trace, a step that runs
/// one of them.
#[pyfunction]
pub fn branch<'py>(
    py: Python<'py>,
    index: &Bound<'py, PyAny>,
    functions: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let mut bodies: Vec<_> = functions.iter().map(body).collect();
    let mut bodies: Vec<control::Body<'_>> = bodies
        .iter_mut()
        .map(|body| body as control::Body<'_>)
        .collect();
    list(
        py,
        control::branch(&value_of(index)?, &mut bodies).or_raise()?,
    )
}

/// Calls a function `length` times on its own first results and on the entries of `sequences`; returns the last states,
/// then what it gives besides, stacked. In a trace, one step.
#[pyfunction]
pub fn scan<'py>(
    py: Python<'py>,
    function: &Bound<'py, PyAny>,
    states: Vec<Bound<'py, PyAny>>,
    sequences: Vec<Bound<'py, PyAny>>,
    length: &Bound<'py, PyAny>,
    reverse: bool,
) -> PyResult<Bound<'py, PyList>> {
    let (states, sequences) = (values_of(&states)?, values_of(&sequences)?);
    let length = dim::size_of(length)?;
    let results = control::scan(&states, &sequences, &length, reverse, &mut body(function));
    list(py, results.or_raise()?)
}

/// Calls a function on its own results while a condition of them holds, at most `most` times. In a trace, one step.
#[pyfunction]
pub fn while_loop<'py>(
    py: Python<'py>,
    condition: &Bound<'py, PyAny>,
    function: &Bound<'py, PyAny>,
    states: Vec<Bound<'py, PyAny>>,
    most: u64,
) -> PyResult<Bound<'py, PyList>> {
    let (mut condition, mut body) = (body(condition), body(function));
    let results = control::while_loop(&values_of(&states)?, most, &mut condition, &mut body);
    list(py, results.or_raise()?)
}
