//! Traces in Python.

use graph::trace::{self as tracing_stack, Suspended as Guard, Trace};
use graph::{DType, Dim, Shape, Spec, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::convert::value_of;
use crate::dim;
use crate::errors::{OrRaise, SpecializeError};
use crate::plan::Plan;
use crate::tensor::wrap;

/// A traced computation.
#[pyclass(module = "cornu._cornu", frozen)]
pub struct Graph {
    graph: graph::Graph,
}

#[pymethods]
impl Graph {
    /// Optimises the graph into a plan; `verbatim` keeps every recorded step.
    #[pyo3(signature = (verbatim=false))]
    fn compile(&self, verbatim: bool) -> PyResult<Plan> {
        Plan::new(self.graph.clone(), graph::passes::Options { verbatim })
    }

    /// The shape (unknown sizes are None) and dtype of each result.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyTuple>, &'static str)>> {
        self.graph
            .outputs
            .iter()
            .map(|&output| described(py, self.graph.spec(output)))
            .collect()
    }

    /// The number of recorded steps.
    fn __len__(&self) -> usize {
        self.graph.nodes.len()
    }

    fn __str__(&self) -> String {
        self.graph.to_string()
    }
}

fn described<'py>(py: Python<'py>, spec: &Spec) -> PyResult<(Bound<'py, PyTuple>, &'static str)> {
    Ok((
        PyTuple::new(py, spec.shape.iter().map(Dim::known))?,
        spec.dtype.name(),
    ))
}

/// A shape of a traced operand: ints, None (an unknown size of its own) or names (unknown sizes that are equal).
fn shape_of(
    trace: &Trace,
    entries: &Bound<'_, PyAny>,
    names: &mut Vec<(String, Dim)>,
) -> PyResult<Shape> {
    let mut shape = Shape::default();
    for entry in entries.try_iter()? {
        let entry = entry?;
        shape.push(if entry.is_none() {
            let name = format!("d{}", names.len());
            let symbol = trace.symbol(&name);
            names.push((String::new(), symbol.clone()));
            symbol
        } else if let Ok(name) = entry.cast::<PyString>() {
            let name = name.to_str()?;
            match names.iter().find(|(known, _)| known == name) {
                Some((_, symbol)) => symbol.clone(),
                None => {
                    let symbol = trace.symbol(name);
                    names.push((name.to_owned(), symbol.clone()));
                    symbol
                }
            }
        } else {
            dim::size_of(&entry)?
        });
    }
    Ok(shape)
}

fn dtype_of(name: &str) -> PyResult<DType> {
    DType::from_name(name).ok_or_else(|| PyValueError::new_err(format!("Invalid dtype: {name}")))
}

type SpecArgs<'py> = Vec<(Bound<'py, PyAny>, String)>;

fn run_traced<'py>(
    function: &Bound<'py, PyAny>,
    specs: &SpecArgs<'py>,
    shape: &mut dyn FnMut(&Trace, &Bound<'py, PyAny>) -> PyResult<Shape>,
) -> PyResult<(Trace, Vec<Value>)> {
    let py = function.py();
    let trace = Trace::begin();
    let mut inputs = Vec::with_capacity(specs.len());
    for (entries, dtype) in specs {
        let spec = Spec {
            dtype: dtype_of(dtype)?,
            shape: shape(&trace, entries)?,
        };
        inputs.push(wrap(py, trace.input(spec).or_raise()?)?);
    }
    let results = function.call1(PyTuple::new(py, inputs)?)?;
    let mut outputs = Vec::new();
    for result in results.try_iter()? {
        outputs.push(value_of(&result?)?);
    }
    Ok((trace, outputs))
}

/// Records what `function` does with operands of these shapes and dtypes; it returns a list of tensors.
///
/// A shape's entries are ints, None (an unknown size of its own) or names (unknown sizes that are equal). Unknown sizes
/// are at least 2. Raises `SpecializeError` when the function needs an unknown size as an integer.
#[pyfunction]
pub fn trace<'py>(function: &Bound<'py, PyAny>, specs: SpecArgs<'py>) -> PyResult<Graph> {
    let mut names = Vec::new();
    let (trace, outputs) = run_traced(function, &specs, &mut |trace, entries| {
        shape_of(trace, entries, &mut names)
    })?;
    Ok(Graph {
        graph: trace.finish(&outputs).or_raise()?,
    })
}

/// The shapes (unknown sizes are None) and dtypes of what `function` returns for operands of these shapes and dtypes.
///
/// Nothing is computed, and what the function assigns to variables is forgotten. A function that needs an unknown size as
/// an integer is tried with two sizes each; what differs then is unknown.
#[pyfunction]
#[pyo3(name = "abstract")]
pub fn abstract_call<'py>(
    py: Python<'py>,
    function: &Bound<'py, PyAny>,
    specs: SpecArgs<'py>,
) -> PyResult<Vec<(Bound<'py, PyTuple>, &'static str)>> {
    let mut names = Vec::new();
    match run_traced(function, &specs, &mut |trace, entries| {
        shape_of(trace, entries, &mut names)
    }) {
        Ok((_trace, outputs)) => {
            return outputs
                .iter()
                .map(|value| described(py, value.spec()))
                .collect();
        }
        Err(error) if error.is_instance_of::<SpecializeError>(py) => {}
        Err(error) => return Err(error),
    }
    let mut probes = Vec::new();
    for probe in [83, 89] {
        let (_trace, outputs) = run_traced(function, &specs, &mut |_, entries| {
            let mut shape = Shape::default();
            for entry in entries.try_iter()? {
                let entry = entry?;
                let unknown = entry.is_none() || entry.is_instance_of::<PyString>();
                shape.push(if unknown {
                    Dim::Known(probe)
                } else {
                    dim::size_of(&entry)?
                });
            }
            Ok(shape)
        })?;
        probes.push(
            outputs
                .iter()
                .map(|value| value.spec().clone())
                .collect::<Vec<Spec>>(),
        );
    }
    probes[0]
        .iter()
        .zip(&probes[1])
        .map(|(a, b)| {
            let sizes = a
                .shape
                .iter()
                .zip(b.shape.iter())
                .map(|(a, b)| if a == b { a.known() } else { None });
            Ok((PyTuple::new(py, sizes.collect::<Vec<_>>())?, a.dtype.name()))
        })
        .collect()
}

/// Whether a trace records now.
#[pyfunction]
pub fn tracing() -> bool {
    tracing_stack::is_running()
}

/// Enters a named part (a layer) of the traced program, for profiles and errors.
#[pyfunction]
pub fn enter_scope(name: &str) {
    tracing_stack::enter_scope(name);
}

/// Leaves what `enter_scope` entered.
#[pyfunction]
pub fn leave_scope() {
    tracing_stack::leave_scope();
}

/// While it is entered, operations compute at once although a trace runs.
#[pyclass(module = "cornu._cornu", unsendable)]
pub struct Suspended(Option<Guard>, Vec<graph::Tape>);

#[pymethods]
impl Suspended {
    #[new]
    fn new() -> Suspended {
        Suspended(None, Vec::new())
    }

    fn __enter__(&mut self) {
        self.1 = graph::tape::pause();
        self.0 = Some(tracing_stack::suspend());
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&mut self, _exception: &Bound<'_, PyTuple>) {
        self.0 = None;
        graph::tape::resume(std::mem::take(&mut self.1));
    }
}
