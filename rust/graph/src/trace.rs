//! Traces: ops recorded instead of computed, into a graph with unknown sizes.
//!
//! A trace is pure: operands and variables in, results and variables' new contents out. A failed or abandoned trace
//! leaves nothing behind.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::{Graph, Index, Origin};
use crate::value::{Kind, fresh_id};
use crate::{Dim, Error, Op, Result, Spec, Specs, Symbol, Value, Values, Variable};

struct Running {
    id: u64,
    graph: Graph,
    /// What each variable (by identity) is now, and whether the trace changed it.
    variables: HashMap<u64, (usize, Value, bool)>,
    /// Concrete values that became constants.
    constants: HashMap<u64, Index>,
    scopes: Vec<Arc<str>>,
}

thread_local! {
    /// The traces that run on this thread, innermost last; `None` suspends those below it.
    static STACK: RefCell<Vec<Option<Running>>> = const { RefCell::new(Vec::new()) };
}

fn with_top<T>(body: impl FnOnce(&mut Running) -> T) -> Option<T> {
    STACK.with(|stack| {
        stack
            .borrow_mut()
            .last_mut()
            .and_then(Option::as_mut)
            .map(body)
    })
}

/// A running trace; dropping it abandons the trace.
pub struct Trace {
    depth: usize,
    finished: bool,
}

impl Trace {
    /// Starts a trace on this thread.
    pub fn begin() -> Trace {
        let running = Running {
            id: fresh_id(),
            graph: Graph::default(),
            variables: HashMap::new(),
            constants: HashMap::new(),
            scopes: vec![Arc::from("")],
        };
        Trace {
            depth: push(Some(running)),
            finished: false,
        }
    }

    /// A new unknown size, of at least 2.
    pub fn symbol(&self, name: &str) -> Dim {
        with_top(|top| {
            top.graph.symbols.push(name.to_owned());
            Dim::symbol(Symbol(top.graph.symbols.len() as u32 - 1))
        })
        .unwrap_or(Dim::Known(0))
    }

    /// A new operand of the trace.
    ///
    /// # Errors
    /// `Error::Internal` when the trace is not the innermost.
    pub fn input(&self, spec: Spec) -> Result<Value> {
        with_top(|top| {
            let number = top.graph.inputs.len();
            let index = top.graph.push_value(spec.clone(), Origin::Input(number));
            top.graph.inputs.push(index);
            Value::traced(spec, top.id, index)
        })
        .ok_or_else(|| Error::Internal("no trace runs".into()))
    }

    /// Ends the trace with these results.
    ///
    /// # Errors
    /// `Error::Traced` when a result belongs to another trace.
    pub fn finish(mut self, outputs: &[Value]) -> Result<Graph> {
        let outputs = outputs.iter().map(resolve).collect::<Result<Vec<_>>>()?;
        self.finished = true;
        let Some(mut top) = pop(self.depth) else {
            return Err(Error::Internal(
                "a trace ended that was not the innermost".into(),
            ));
        };
        top.graph.outputs = outputs;
        let mut updates: Vec<(usize, u64, Value)> = top
            .variables
            .values()
            .filter(|(_, _, changed)| *changed)
            .map(|(place, value, _)| (*place, value.id(), value.clone()))
            .collect();
        updates.sort_by_key(|(place, ..)| *place);
        for (place, _, value) in updates {
            let index = match value.kind() {
                Kind::Traced(_, index) => *index,
                Kind::Concrete(tensor) => top
                    .graph
                    .push_value(value.spec().clone(), Origin::Constant(tensor.clone())),
            };
            top.graph.updates.push((place, index));
        }
        Ok(top.graph)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !self.finished {
            pop(self.depth);
        }
    }
}

fn push(running: Option<Running>) -> usize {
    STACK.with(|stack| {
        let mut stack = stack.borrow_mut();
        stack.push(running);
        stack.len()
    })
}

/// Removes the entry at `depth` and whatever was left above it.
fn pop(depth: usize) -> Option<Running> {
    STACK.with(|stack| {
        let mut stack = stack.borrow_mut();
        stack.truncate(depth);
        if stack.len() == depth {
            stack.pop().flatten()
        } else {
            None
        }
    })
}

/// While it lives, ops compute at once although a trace runs; as when a variable's first content is made.
pub struct Suspended(usize);

/// Suspends the running traces of this thread.
pub fn suspend() -> Suspended {
    Suspended(push(None))
}

impl Drop for Suspended {
    fn drop(&mut self) {
        pop(self.0);
    }
}

/// Whether a trace records now.
pub fn is_running() -> bool {
    with_top(|_| ()).is_some()
}

/// Enters a named part of the traced program (a layer).
pub fn enter_scope(name: &str) {
    with_top(|top| {
        let outer = top.scopes.last().cloned().unwrap_or_default();
        let path = if outer.is_empty() {
            name.to_owned()
        } else {
            format!("{outer}/{name}")
        };
        top.scopes.push(Arc::from(path));
    });
}

/// Leaves what `enter_scope` entered.
pub fn leave_scope() {
    with_top(|top| {
        if top.scopes.len() > 1 {
            top.scopes.pop();
        }
    });
}

/// Takes two sizes as equal from now on, and gives the one that says more; a plan checks it when memory is planned.
pub fn assume_equal(a: &Dim, b: &Dim) -> Dim {
    with_top(|top| {
        if a != b && !top.graph.guards.iter().any(|(x, y)| (x, y) == (a, b)) {
            top.graph.guards.push((a.clone(), b.clone()));
        }
    });
    if b.is_symbolic() && !(a.is_symbolic() && b < a) {
        a.clone()
    } else {
        b.clone()
    }
}

/// The place of a value in the running trace's graph.
fn resolve(value: &Value) -> Result<Index> {
    let found = with_top(|top| match value.kind() {
        Kind::Traced(trace, index) if *trace == top.id => Ok(*index),
        Kind::Traced(..) => Err(Error::Traced(format!(
            "a tensor ({}) of another trace was used; a traced tensor lives only while its function is traced",
            value.spec()
        ))),
        Kind::Concrete(tensor) => {
            let graph = &mut top.graph;
            Ok(*top.constants.entry(value.id()).or_insert_with(|| {
                graph.push_value(value.spec().clone(), Origin::Constant(tensor.clone()))
            }))
        }
    });
    found.unwrap_or_else(|| {
        Err(Error::Traced(format!(
            "a traced tensor ({}) was used after its trace had ended, or where its value is needed",
            value.spec()
        )))
    })
}

/// Records a call into the running trace.
pub(crate) fn record(op: Arc<dyn Op>, inputs: &[&Value], specs: Specs) -> Result<Values> {
    let inputs = inputs
        .iter()
        .map(|value| resolve(value))
        .collect::<Result<Vec<_>>>()?;
    with_top(|top| {
        let scope = top.scopes.last().cloned().unwrap_or_default();
        let outputs = top
            .graph
            .push_node(op, inputs, specs.iter().cloned(), scope);
        outputs
            .iter()
            .zip(specs)
            .map(|(&index, spec)| Value::traced(spec, top.id, index))
            .collect()
    })
    .ok_or_else(|| Error::Traced("a symbolic size was used after its trace had ended".into()))
}

/// A variable as the running trace sees it, if one runs.
pub(crate) fn read_variable(variable: &Variable) -> Option<Value> {
    with_top(|top| {
        if let Some((_, value, _)) = top.variables.get(&variable.id()) {
            return value.clone();
        }
        let place = top.graph.variables.len();
        top.graph.variables.push(variable.clone());
        let index = top
            .graph
            .push_value(variable.spec().clone(), Origin::Variable(place));
        let value = Value::traced(variable.spec().clone(), top.id, index);
        top.variables
            .insert(variable.id(), (place, value.clone(), false));
        value
    })
}

/// Records a variable's new content in the running trace; false when none runs.
pub(crate) fn write_variable(variable: &Variable, value: &Value) -> Result<bool> {
    if !is_running() {
        return Ok(false);
    }
    resolve(value)?;
    for (a, b) in value.shape().iter().zip(variable.spec().shape.iter()) {
        if a != b {
            assume_equal(a, b);
        }
    }
    read_variable(variable);
    with_top(|top| {
        if let Some(entry) = top.variables.get_mut(&variable.id()) {
            entry.1 = value.clone();
            entry.2 = true;
        }
    });
    Ok(true)
}
