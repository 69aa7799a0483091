//! Traces: ops recorded instead of computed, into a graph with unknown sizes.
//!
//! A trace is pure: operands and variables in, results and variables' new contents out. A failed or abandoned trace
//! leaves nothing behind.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::graph::{Graph, Index, Origin};
use crate::value::{Kind, fresh_id};
use crate::{Dim, Error, Op, Result, Spec, Specs, Symbol, Tape, Value, Values, Variable, tape};

struct Running {
    id: u64,
    graph: Graph,
    /// The variables that were read or assigned, by identity.
    variables: HashMap<u64, Held>,
    /// Values from elsewhere: concrete ones that became constants, and what a region captured.
    foreign: HashMap<u64, Index>,
    scopes: Vec<Arc<str>>,
    /// A part of the computation of the trace below, to be run by one of its ops.
    region: Option<Captures>,
}

/// A variable as a trace sees it.
struct Held {
    variable: Variable,
    /// The how-manieth of the trace.
    place: usize,
    /// What it was when the trace first met it.
    initial: Value,
    now: Value,
    changed: bool,
}

/// What a region uses of the traces around it.
struct Captures {
    values: Vec<Value>,
    /// The tapes that recorded around it.
    tapes: Vec<Tape>,
}

impl Running {
    fn new(scope: Arc<str>, region: Option<Captures>) -> Running {
        Running {
            id: fresh_id(),
            graph: Graph::default(),
            variables: HashMap::new(),
            foreign: HashMap::new(),
            scopes: vec![scope],
            region,
        }
    }

    fn input(&mut self, spec: Spec) -> Index {
        let number = self.graph.inputs.len();
        let index = self.graph.push_value(spec, Origin::Input(number));
        self.graph.inputs.push(index);
        index
    }

    /// The variables in the order in which they were met.
    fn held(&mut self) -> Vec<Held> {
        let mut held: Vec<Held> = self.variables.drain().map(|(_, held)| held).collect();
        held.sort_by_key(|held| held.place);
        held
    }

    /// The place of a value of this trace, or of a concrete one; `outer` are the traces that a region sees.
    fn resolve(&mut self, value: &Value, outer: &[u64]) -> Option<Index> {
        let captured = match value.kind() {
            Kind::Traced(trace, index) if *trace == self.id => return Some(*index),
            Kind::Traced(trace, _) if !outer.contains(trace) => return None,
            Kind::Traced(..) => true,
            Kind::Concrete(_) => self
                .region
                .as_ref()
                .is_some_and(|region| region.tapes.iter().any(|tape| tape.is_watching(value))),
        };
        if let Some(&known) = self.foreign.get(&value.id()) {
            return Some(known);
        }
        let index = match (value.tensor(), &mut self.region) {
            (Some(tensor), _) if !captured => self
                .graph
                .push_value(value.spec().clone(), Origin::Constant(tensor.clone())),
            (_, Some(region)) => {
                region.values.push(value.clone());
                self.input(value.spec().clone())
            }
            _ => return None,
        };
        self.foreign.insert(value.id(), index);
        Some(index)
    }
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
        Trace::start(Running::new(Arc::from(""), None))
    }

    fn start(running: Running) -> Trace {
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
            let index = top.input(spec.clone());
            Value::traced(spec, top.id, index)
        })
        .ok_or_else(|| Error::Internal("no trace runs".into()))
    }

    /// Ends the trace with these results.
    ///
    /// # Errors
    /// `Error::Traced` when a result belongs to another trace.
    pub fn finish(self, outputs: &[Value]) -> Result<Graph> {
        let (mut running, outputs) = self.end(outputs)?;
        running.graph.outputs = outputs;
        for held in running.held() {
            if held.changed
                && let Some(index) = running.resolve(&held.now, &[])
            {
                running.graph.updates.push((held.place, index));
            }
        }
        Ok(running.graph)
    }

    fn end(mut self, outputs: &[Value]) -> Result<(Running, Vec<Index>)> {
        let outputs = outputs.iter().map(resolve).collect::<Result<Vec<_>>>()?;
        self.finished = true;
        match pop(self.depth) {
            Some(running) => Ok((running, outputs)),
            None => Err(Error::Internal(
                "a trace ended that was not the innermost".into(),
            )),
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !self.finished {
            pop(self.depth);
        }
    }
}

/// A part of a computation as a graph of its own: the body of a loop, a branch.
pub struct Region {
    /// Its operands are the arguments, then `captured`; it reads no variable by itself.
    pub graph: Graph,
    /// What it uses of the computation around it.
    pub captured: Vec<Value>,
    /// The variables that it assigns, what they are before, and their new contents in `graph`.
    pub assigned: Vec<(Variable, Value, Index)>,
}

impl Region {
    /// The place in the graph of a value from around the region.
    pub fn capture(&mut self, value: &Value) -> Index {
        let first = self.graph.inputs.len() - self.captured.len();
        if let Some(known) = self.captured.iter().position(|v| v.id() == value.id()) {
            return self.graph.inputs[first + known];
        }
        let origin = Origin::Input(self.graph.inputs.len());
        let index = self.graph.push_value(value.spec().clone(), origin);
        self.graph.inputs.push(index);
        self.captured.push(value.clone());
        index
    }
}

/// Traces a part of the running computation, for an op that will run it. No tape records inside: the op has a gradient.
///
/// # Errors
/// Those of `body`.
pub fn region(
    arguments: &[Spec],
    body: &mut dyn FnMut(&[Value]) -> Result<Vec<Value>>,
) -> Result<Region> {
    let scope = with_top(|top| top.scopes.last().cloned().unwrap_or_default());
    let tapes = tape::pause();
    let captures = Captures {
        values: Vec::new(),
        tapes: tapes.clone(),
    };
    let trace = Trace::start(Running::new(scope.unwrap_or_default(), Some(captures)));
    let traced = arguments
        .iter()
        .map(|spec| trace.input(spec.clone()))
        .collect::<Result<Vec<Value>>>()
        .and_then(|arguments| body(&arguments))
        .and_then(|results| {
            // What it assigns is among its results, so that it is captured or computed inside.
            let assigned: Vec<Value> = with_top(|top| {
                let mut held: Vec<&Held> = top.variables.values().filter(|h| h.changed).collect();
                held.sort_by_key(|held| held.place);
                held.iter().map(|held| held.now.clone()).collect()
            })
            .unwrap_or_default();
            let (running, mut outputs) = trace.end(&[results, assigned.clone()].concat())?;
            let contents = outputs.split_off(outputs.len() - assigned.len());
            Ok((running, outputs, contents))
        });
    tape::resume(tapes);
    let (mut running, outputs, contents) = traced?;
    let held = running.held();
    let mut graph = running.graph;
    graph.outputs = outputs;
    for held in &held {
        tape::note_read(&held.variable, &held.initial);
    }
    let assigned = held.into_iter().filter(|held| held.changed).zip(contents);
    Ok(Region {
        graph,
        captured: running.region.map_or(Vec::new(), |region| region.values),
        assigned: assigned
            .map(|(held, content)| (held.variable, held.initial, content))
            .collect(),
    })
}

/// Whether a region is traced that tapes watch from outside.
pub fn in_watched_region() -> bool {
    STACK.with(|stack| {
        let stack = stack.borrow();
        let regions = stack
            .iter()
            .rev()
            .map_while(|entry| entry.as_ref()?.region.as_ref());
        regions.into_iter().any(|region| !region.tapes.is_empty())
    })
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
    with_root(|root| {
        if a != b && !root.graph.guards.iter().any(|(x, y)| (x, y) == (a, b)) {
            root.graph.guards.push((a.clone(), b.clone()));
        }
    });
    if b.is_symbolic() && !(a.is_symbolic() && b < a) {
        a.clone()
    } else {
        b.clone()
    }
}

/// Gives the running trace that the innermost regions are parts of.
fn with_root<T>(body: impl FnOnce(&mut Running) -> T) -> Option<T> {
    STACK.with(|stack| {
        let mut stack = stack.borrow_mut();
        let running = stack.iter_mut().rev().map_while(Option::as_mut);
        running
            .into_iter()
            .find(|running| running.region.is_none())
            .map(body)
    })
}

/// The place of a value in the running trace's graph.
fn resolve(value: &Value) -> Result<Index> {
    let found = STACK.with(|stack| {
        let mut stack = stack.borrow_mut();
        let (top, below) = stack.split_last_mut()?;
        let top = top.as_mut()?;
        let mut inner = top.region.is_some();
        let outer: SmallVec<[u64; 4]> = below
            .iter()
            .rev()
            .map_while(|entry| {
                let running = entry.as_ref().filter(|_| inner)?;
                inner = running.region.is_some();
                Some(running.id)
            })
            .collect();
        Some(top.resolve(value, &outer).ok_or_else(|| {
            Error::Traced(format!(
                "a tensor ({}) of another trace was used; a traced tensor lives only while its function is traced",
                value.spec()
            ))
        }))
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
    STACK.with(|stack| read_in(&mut stack.borrow_mut(), variable))
}

/// A variable as the last of these traces sees it: a region asks the one around it.
fn read_in(stack: &mut [Option<Running>], variable: &Variable) -> Option<Value> {
    let (top, below) = stack.split_last_mut()?;
    let top = top.as_mut()?;
    if let Some(held) = top.variables.get(&variable.id()) {
        return Some(held.now.clone());
    }
    let value = match &top.region {
        Some(_) => read_in(below, variable)?,
        None => {
            let origin = Origin::Variable(top.graph.variables.len());
            top.graph.variables.push(variable.clone());
            let index = top.graph.push_value(variable.spec().clone(), origin);
            Value::traced(variable.spec().clone(), top.id, index)
        }
    };
    let held = Held {
        variable: variable.clone(),
        place: top.variables.len(),
        initial: value.clone(),
        now: value.clone(),
        changed: false,
    };
    top.variables.insert(variable.id(), held);
    Some(value)
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
        if let Some(held) = top.variables.get_mut(&variable.id()) {
            (held.now, held.changed) = (value.clone(), true);
        }
    });
    Ok(true)
}
