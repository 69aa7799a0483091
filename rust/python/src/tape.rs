//! Tapes in Python.

use std::rc::Rc;

use graph::op::{GradientRule, Vjp};
use graph::tape::{self, Source};
use graph::{Emitter, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::convert::{Operand, value_of};
use crate::errors::{OrRaise, foreign};
use crate::storage::Storage;
use crate::tensor::{Tensor, wrap};

/// Records operations while it is entered; `gradient` plays them backward.
#[pyclass(module = "cornu._cornu", unsendable)]
pub struct Tape {
    tape: graph::Tape,
    persistent: bool,
    used: bool,
}

#[pymethods]
impl Tape {
    #[new]
    #[pyo3(signature = (persistent=false, watch_accessed_variables=true))]
    fn new(persistent: bool, watch_accessed_variables: bool) -> Tape {
        Tape {
            tape: graph::Tape::new(watch_accessed_variables),
            persistent,
            used: false,
        }
    }

    /// Starts, or goes on, recording.
    fn start(&self) {
        if !self.tape.is_recording() {
            self.tape.start();
        }
    }

    /// Stops recording.
    fn stop(&self) {
        self.tape.stop();
    }

    fn __enter__(slf: Py<Self>, py: Python<'_>) -> Py<Self> {
        slf.borrow(py).start();
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.stop();
    }

    /// Takes gradients with respect to a tensor or a variable's storage from now on.
    fn watch(&self, source: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(storage) = source.cast::<Storage>() {
            self.tape.watch_variable(&storage.get().variable);
        } else if let Ok(tensor) = source.cast::<Tensor>() {
            self.tape.watch(&tensor.get().value);
        } else {
            return Err(PyTypeError::new_err(format!(
                "a tape watches tensors and variables, not {}",
                source.repr()?
            )));
        }
        Ok(())
    }

    /// The identities of the watched variables that were read.
    fn watched_variables(&self) -> Vec<u64> {
        self.tape.watched_variables()
    }

    /// Forgets everything.
    fn reset(&mut self) {
        self.tape.reset();
        self.used = false;
    }

    /// The gradients of the sum of the targets with respect to each source (a tensor or a storage); None where a source
    /// does not reach them.
    #[pyo3(signature = (targets, sources, output_gradients=None))]
    fn gradient<'py>(
        &mut self,
        py: Python<'py>,
        targets: &Bound<'py, PyList>,
        sources: &Bound<'py, PyList>,
        output_gradients: Option<&Bound<'py, PyList>>,
    ) -> PyResult<Bound<'py, PyList>> {
        if self.used && !self.persistent {
            return Err(PyValueError::new_err(
                "A non-persistent GradientTape can only be used to compute one set of gradients",
            ));
        }
        self.used = true;
        let recording = self.tape.is_recording() && !self.persistent;
        if recording {
            self.tape.stop();
        }
        let targets: Vec<Value> = targets
            .iter()
            .map(|target| value_of(&target))
            .collect::<PyResult<_>>()?;
        let mut seeds = vec![None; targets.len()];
        for (i, seed) in output_gradients
            .into_iter()
            .flat_map(|list| list.iter())
            .enumerate()
            .take(targets.len())
        {
            if !seed.is_none() {
                seeds[i] = Some(Operand::read(&seed)?.into_value(targets[i].dtype())?);
            }
        }
        let sources: Vec<Source> = sources
            .iter()
            .map(|source| match source.cast::<Storage>() {
                Ok(storage) => Ok(Source::Variable(storage.get().variable.clone())),
                Err(_) => value_of(&source).map(Source::Value),
            })
            .collect::<PyResult<_>>()?;
        let gradients = self.tape.gradient(&targets, &seeds, &sources).or_raise()?;
        if !self.persistent {
            self.tape.reset();
        }
        if recording {
            self.tape.start();
        }
        let list = PyList::empty(py);
        for gradient in gradients {
            match gradient {
                Some(value) => list.append(wrap(py, value)?)?,
                None => list.append(py.None())?,
            }
        }
        Ok(list)
    }
}

/// While it is entered, no tape of this thread records.
#[pyclass(module = "cornu._cornu", unsendable)]
pub struct StopRecording(Vec<graph::Tape>);

#[pymethods]
impl StopRecording {
    #[new]
    fn new() -> StopRecording {
        StopRecording(Vec::new())
    }

    fn __enter__(&mut self) {
        self.0 = tape::pause();
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&mut self, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        tape::resume(std::mem::take(&mut self.0));
    }
}

/// Whether a tape records now.
#[pyfunction]
pub fn recording() -> bool {
    tape::is_running()
}

/// A gradient rule written in Python.
struct PythonRule(Py<PyAny>);

impl GradientRule for PythonRule {
    fn name(&self) -> &str {
        "custom_gradient"
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> graph::Result<Vec<Option<Value>>> {
        Python::attach(|py| {
            let call = || -> PyResult<Vec<Option<Value>>> {
                let grads = PyList::empty(py);
                for grad in vjp.grads {
                    match grad {
                        Some(value) => grads.append(wrap(py, value.clone())?)?,
                        None => grads.append(py.None())?,
                    }
                }
                let given: Vec<Bound<'_, PyAny>> = self.0.bind(py).call1((grads,))?.extract()?;
                given
                    .iter()
                    .map(|grad| {
                        if grad.is_none() {
                            Ok(None)
                        } else {
                            value_of(grad).map(Some)
                        }
                    })
                    .collect()
            };
            call().map_err(foreign)
        })
    }
}

/// Gives `outputs` under new identities whose gradients are computed by `rule`: a list of output gradients (None where
/// none reaches) in, a list of the inputs' gradients out.
#[pyfunction]
pub fn custom_gradient<'py>(
    py: Python<'py>,
    inputs: Vec<Bound<'py, PyAny>>,
    outputs: Vec<Bound<'py, PyAny>>,
    rule: Py<PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    if graph::trace::in_watched_region() {
        return Err(crate::errors::TraceError::new_err(
            "a `custom_gradient` inside of a loop or branch can't be traced",
        ));
    }
    let inputs = inputs.iter().map(value_of).collect::<PyResult<_>>()?;
    let outputs: graph::Values = outputs
        .iter()
        .map(|output| Ok(value_of(output)?.renamed()))
        .collect::<PyResult<_>>()?;
    tape::record(Rc::new(PythonRule(rule)), inputs, &outputs);
    let list = PyList::empty(py);
    for output in outputs {
        list.append(wrap(py, output)?)?;
    }
    Ok(list)
}
