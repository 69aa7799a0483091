//! Plans in Python: the one door through which long computations leave the interpreter's lock.

use graph::tensor::{TensorMut, TensorRef};
use graph::{Tensor, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::array::{Borrowed, new_array};
use crate::errors::OrRaise;
use crate::tensor::{self, wrap};

/// A computation ready to run, from many threads at once.
#[pyclass(module = "cornu._cornu", frozen)]
pub struct Plan {
    plan: graph::Plan,
}

/// An operand of a run: a tensor's memory or a numpy array's, borrowed.
enum Argument {
    Tensor(Tensor),
    Array(Borrowed),
}

impl Argument {
    fn read(object: &Bound<'_, PyAny>) -> PyResult<Argument> {
        if let Ok(tensor) = object.cast::<tensor::Tensor>() {
            return Ok(Argument::Tensor(
                tensor.get().value.require().or_raise()?.clone(),
            ));
        }
        Borrowed::array(object).map(Argument::Array)
    }

    fn view(&self) -> TensorRef<'_> {
        match self {
            Argument::Tensor(tensor) => tensor.view(),
            Argument::Array(array) => array.view(),
        }
    }
}

impl Plan {
    /// Optimises a graph.
    pub fn new(graph: graph::Graph, options: graph::passes::Options) -> PyResult<Plan> {
        Ok(Plan {
            plan: graph::Plan::new(graph, options).or_raise()?,
        })
    }

    fn arguments(operands: &Bound<'_, PyTuple>) -> PyResult<Vec<Argument>> {
        operands
            .iter_borrowed()
            .map(|operand| Argument::read(&operand))
            .collect()
    }

    fn tensors(arguments: Vec<Argument>) -> PyResult<Vec<Tensor>> {
        arguments
            .into_iter()
            .map(|argument| match argument {
                Argument::Tensor(tensor) => Ok(tensor),
                Argument::Array(array) => array.to_tensor(),
            })
            .collect()
    }
}

#[pymethods]
impl Plan {
    /// Runs on tensors or arrays of the traced dtypes, and gives a list of tensors.
    #[pyo3(signature = (*operands))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        operands: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyList>> {
        let arguments = Plan::arguments(operands)?;
        let results = py
            .detach(|| {
                let views: Vec<TensorRef<'_>> = arguments.iter().map(Argument::view).collect();
                let shapes: Vec<&[usize]> = views.iter().map(|view| view.shape).collect();
                let layout = self.plan.layout(&shapes)?;
                let mut results = self.plan.fresh(&layout)?;
                self.plan.execute(&layout, &views, &mut results.views())?;
                Ok(results.into_tensors())
            })
            .or_raise()?;
        let list = PyList::empty(py);
        for result in results {
            list.append(wrap(py, Value::concrete(result))?)?;
        }
        Ok(list)
    }

    /// As a call, with results as numpy arrays.
    #[pyo3(signature = (*operands))]
    fn arrays<'py>(
        &self,
        py: Python<'py>,
        operands: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyList>> {
        let arguments = Plan::arguments(operands)?;
        let views: Vec<TensorRef<'_>> = arguments.iter().map(Argument::view).collect();
        let shapes: Vec<&[usize]> = views.iter().map(|view| view.shape).collect();
        let layout = self.plan.layout(&shapes).or_raise()?;
        let list = PyList::empty(py);
        let mut borrowed = Vec::new();
        for result in self.plan.results(&layout) {
            let (array, memory) = new_array(py, result.dtype, result.shape)?;
            list.append(array)?;
            borrowed.push(memory);
        }
        drop(views);
        py.detach(|| {
            let views: Vec<TensorRef<'_>> = arguments.iter().map(Argument::view).collect();
            let mut outputs: Vec<TensorMut<'_>> =
                borrowed.iter_mut().map(Borrowed::view_mut).collect();
            self.plan.execute(&layout, &views, &mut outputs)
        })
        .or_raise()?;
        Ok(list)
    }

    /// Runs with results written into the given contiguous numpy arrays.
    fn run_into(
        &self,
        py: Python<'_>,
        operands: &Bound<'_, PyTuple>,
        results: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let arguments = Plan::arguments(operands)?;
        let mut borrowed = Vec::with_capacity(results.len());
        for array in &results {
            borrowed.push(Borrowed::get(array, true).ok_or_else(|| {
                pyo3::exceptions::PyValueError::new_err(
                    "results go into contiguous, writable arrays",
                )
            })?);
        }
        py.detach(|| {
            let views: Vec<TensorRef<'_>> = arguments.iter().map(Argument::view).collect();
            let shapes: Vec<&[usize]> = views.iter().map(|view| view.shape).collect();
            let layout = self.plan.layout(&shapes)?;
            let mut outputs: Vec<TensorMut<'_>> =
                borrowed.iter_mut().map(Borrowed::view_mut).collect();
            self.plan.execute(&layout, &views, &mut outputs)
        })
        .or_raise()
    }

    /// The steps that run on such operands, each a dict: op, scope (the layer), outputs, seconds (best of `repeats` runs;
    /// 0 without a run when `repeats` is 0), flops.
    #[pyo3(signature = (*operands, repeats=10))]
    fn profile<'py>(
        &self,
        py: Python<'py>,
        operands: &Bound<'py, PyTuple>,
        repeats: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let tensors = Plan::tensors(Plan::arguments(operands)?)?;
        let reports = py
            .detach(|| {
                if repeats > 0 {
                    return self.plan.profile(&tensors, repeats);
                }
                let shapes: Vec<&[usize]> = tensors.iter().map(Tensor::shape).collect();
                let layout = self.plan.layout(&shapes)?;
                Ok(self.plan.steps(&layout).map(|(_, report)| report).collect())
            })
            .or_raise()?;
        let list = PyList::empty(py);
        for report in reports {
            let row = PyDict::new(py);
            row.set_item("op", report.op)?;
            row.set_item("scope", report.scope)?;
            row.set_item("outputs", report.outputs)?;
            row.set_item("seconds", report.time.as_secs_f64())?;
            row.set_item("flops", report.flops)?;
            list.append(row)?;
        }
        Ok(list)
    }

    /// Bytes of the arena that runs on such operands use.
    #[pyo3(signature = (*operands))]
    fn arena_bytes(&self, operands: &Bound<'_, PyTuple>) -> PyResult<usize> {
        let tensors = Plan::tensors(Plan::arguments(operands)?)?;
        let shapes: Vec<&[usize]> = tensors.iter().map(Tensor::shape).collect();
        Ok(self.plan.layout(&shapes).or_raise()?.arena)
    }

    /// The number of steps.
    fn __len__(&self) -> usize {
        self.plan
            .graph()
            .nodes
            .iter()
            .filter(|node| !node.op.is_alias())
            .count()
    }

    fn __str__(&self) -> String {
        self.plan.graph().to_string()
    }
}
