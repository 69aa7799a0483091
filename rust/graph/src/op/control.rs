//! Control flow: branches and loops whose bodies are graphs of their own.
//!
//! A body is traced as a region (`trace::region`): what it uses of the computation around it becomes its operands, what it
//! assigns becomes its results. The gradient of a body is another body, which computes the first again under a tape.

mod branch;
mod scan;
mod while_loop;

use std::fmt;
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use super::term::differentiate;
use super::{Op, Vjp, create};
use crate::emit::{Dispatch, apply_all};
use crate::graph::{Graph, Index, Origin};
use crate::passes::Options;
use crate::passes::memory::Layout;
use crate::tensor::{TensorMut, TensorRef};
use crate::trace::{self, Region};
use crate::{Bindings, Error, Plan, Result, Spec, Value, Values, Variable, type_error};
pub use branch::branch;
pub use scan::scan;
pub use while_loop::while_loop;

/// A function of the running trace: values in, values out.
pub type Body<'a> = &'a mut dyn FnMut(&[Value]) -> Result<Vec<Value>>;

/// Where an operand of a body comes from.
#[derive(Clone, Copy, Debug)]
enum Feed {
    /// An operand of the op.
    Operand(usize),
    /// The state of a loop, by number.
    State(usize),
    /// The entry, for this round, of the first axis of an operand of the op.
    Entry(usize),
}

/// A graph that an op runs, and what feeds it.
#[derive(Clone)]
struct Block {
    graph: Arc<Graph>,
    feeds: Vec<Feed>,
    plan: Arc<OnceLock<Plan>>,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps", self.graph.nodes.len())
    }
}

impl Block {
    fn new(graph: Graph, feeds: Vec<Feed>) -> Block {
        debug_assert_eq!(graph.inputs.len(), feeds.len());
        Block {
            graph: Arc::new(graph),
            feeds,
            plan: Arc::default(),
        }
    }

    fn output(&self, i: usize) -> &Spec {
        self.graph.spec(self.graph.outputs[i])
    }

    fn plan(&self) -> Result<&Plan> {
        if self.plan.get().is_none() {
            let plan = Plan::new(Graph::clone(&self.graph), Options::default())?;
            // Another thread may have been first; its plan is as good.
            let _ = self.plan.set(plan);
        }
        self.plan
            .get()
            .ok_or_else(|| Error::Internal("a plan was set and is gone".into()))
    }

    /// Bytes that a run wants for its values; none where it will fail.
    fn arena(&self, bindings: &Bindings) -> usize {
        let layout = self.plan().and_then(|plan| plan.layout_for(bindings));
        layout.map_or(0, |layout| layout.arena)
    }

    /// Runs the body with values in `arena`; `feed` gives the dtype's bytes of each operand.
    fn run<'a>(
        &self,
        arena: &mut [u8],
        layout: &'a Layout,
        feed: &dyn Fn(Feed) -> *const u8,
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()> {
        let plan = self.plan()?;
        let operands = plan.graph().inputs.iter().zip(&self.feeds);
        let inputs: SmallVec<[TensorRef<'a>; 16]> = operands
            .map(|(&input, &from)| {
                let operand = layout.operand(input);
                // SAFETY: `feed` points to memory that holds such an operand while the body runs.
                unsafe { TensorRef::new(operand.dtype, operand.shape, feed(from)) }
            })
            .collect();
        plan.execute_in(arena, layout, &inputs, outputs)
    }
}

/// The operands of an op that runs regions: each captured value once.
struct Operands(Vec<Value>);

impl Operands {
    fn place(&mut self, value: &Value) -> usize {
        match self.0.iter().position(|known| known.id() == value.id()) {
            Some(known) => known,
            None => {
                self.0.push(value.clone());
                self.0.len() - 1
            }
        }
    }

    fn feeds(&mut self, captured: &[Value]) -> impl Iterator<Item = Feed> {
        captured
            .iter()
            .map(|value| Feed::Operand(self.place(value)))
    }

    fn apply(&self, op: impl Op) -> Result<Values> {
        let operands: Vec<&Value> = self.0.iter().collect();
        crate::apply(Arc::new(op), &operands)
    }
}

/// The states of a loop: those it is given, and the variables that its body assigns.
struct Carried {
    operands: Operands,
    given: usize,
    assigned: Vec<(Variable, Value)>,
}

impl Carried {
    /// Lets what the body assigns be states behind those given, which are all that it returns.
    fn new(states: &[Value], region: &mut Region) -> Result<Carried> {
        for (state, &result) in states.iter().zip(&region.graph.outputs) {
            expect_same(
                region.graph.spec(result),
                state.spec(),
                "the state of a loop",
            )?;
        }
        let mut operands = Operands(states.to_vec());
        let mut assigned = Vec::new();
        for (variable, before, content) in std::mem::take(&mut region.assigned) {
            region.capture(&before);
            region.graph.outputs.push(content);
            operands.0.push(before.clone());
            assigned.push((variable, before));
        }
        Ok(Carried {
            operands,
            given: states.len(),
            assigned,
        })
    }

    /// What feeds the operands that a body captured.
    fn feeds(&mut self, captured: &[Value]) -> Vec<Feed> {
        captured
            .iter()
            .map(|value| {
                let mut variables = self.assigned.iter();
                match variables.position(|(_, before)| before.id() == value.id()) {
                    Some(variable) => Feed::State(self.given + variable),
                    None => Feed::Operand(self.operands.place(value)),
                }
            })
            .collect()
    }

    /// Applies the loop, assigns the variables, and gives the other results.
    fn apply(self, op: impl Op) -> Result<Values> {
        let mut results = self.operands.apply(op)?;
        let contents = results.drain(self.given..self.given + self.assigned.len());
        for ((variable, _), content) in self.assigned.iter().zip(contents) {
            variable.assign(&content)?;
        }
        Ok(results)
    }
}

/// A body's result as one of that spec.
fn expect_same(given: &Spec, expected: &Spec, what: &str) -> Result<()> {
    let mut fits = given.dtype == expected.dtype && given.shape.rank() == expected.shape.rank();
    for (a, b) in given.shape.iter().zip(expected.shape.iter()) {
        fits &= !a.never_equals(b);
        if fits && a != b {
            trace::assume_equal(a, b);
        }
    }
    if fits {
        return Ok(());
    }
    type_error!("{what} must keep dtype and shape: expected {expected}, got {given}")
}

/// Calls a graph again in the running trace: its results for other operands.
fn replay(graph: &Graph, inputs: &[Value]) -> Result<Vec<Value>> {
    let mut values: Vec<Option<Value>> = graph
        .values
        .iter()
        .map(|info| match &info.origin {
            Origin::Constant(tensor) => Some(Value::concrete(tensor.clone())),
            _ => None,
        })
        .collect();
    for (&place, value) in graph.inputs.iter().zip(inputs) {
        values[place] = Some(value.clone());
    }
    let get = |values: &[Option<Value>], place: Index| {
        values[place]
            .clone()
            .ok_or_else(|| Error::Internal("a region uses what it was not given".into()))
    };
    for node in &graph.nodes {
        let operands = node
            .inputs
            .iter()
            .map(|&place| get(&values, place))
            .collect::<Result<SmallVec<[Value; 4]>>>()?;
        let operands: SmallVec<[&Value; 4]> = operands.iter().collect();
        let (results, _) = apply_all(node.op.clone(), &operands)?;
        for (&place, result) in node.outputs.iter().zip(results) {
            values[place] = Some(result);
        }
    }
    let outputs = graph.outputs.iter();
    outputs.map(|&place| get(&values, place)).collect()
}

/// The body that gives the gradients of a body: of its operands, and of those results that a gradient reaches, in; the
/// gradients of the wanted operands out.
fn differentiated(graph: &Graph, wanted: &[bool], reached: &[bool]) -> Result<Graph> {
    let outputs = graph.outputs.iter().zip(reached);
    let seeds = outputs.filter(|(_, reached)| **reached).map(|(o, _)| o);
    let specs: Vec<Spec> = graph
        .inputs
        .iter()
        .chain(seeds)
        .map(|&value| graph.spec(value).clone())
        .collect();
    let count = graph.inputs.len();
    let region = trace::region(&specs, &mut |values| {
        let (inputs, seeds) = values.split_at(count);
        let mut seeds = seeds.iter().cloned();
        let grads: Vec<Option<Value>> = (reached.iter())
            .map(|reached| if *reached { seeds.next() } else { None })
            .collect();
        let vjp = Vjp {
            inputs,
            outputs: &[],
            grads: &grads,
            wanted,
        };
        let gradients = differentiate(&vjp, |terms, _| match replay(graph, inputs) {
            Ok(results) => results.iter().map(|result| terms.of(result)).collect(),
            Err(error) => vec![terms.of_result(Err(error)); reached.len()],
        })?;
        let each = inputs.iter().zip(gradients).zip(wanted);
        each.filter(|(_, wanted)| **wanted)
            .map(|((input, gradient), _)| match gradient {
                Some(gradient) => Ok(gradient),
                None => create::zeros_like(&mut Dispatch, input),
            })
            .collect()
    })?;
    match region.captured.first() {
        None => Ok(region.graph),
        Some(value) => Err(Error::Internal(format!(
            "the gradient of a region uses {} from around it",
            value.spec()
        ))),
    }
}

/// Adds zeros to a graph.
fn zeros_in(graph: &mut Graph, spec: &Spec) -> Result<Index> {
    let zero = crate::Tensor::scalar_of(spec.dtype, 0.0);
    let zero = graph.push_value(zero.spec(), Origin::Constant(zero));
    let op = Arc::new(super::layout::BroadcastTo(spec.shape.clone()));
    Ok(graph.push_node(op, [zero], [spec.clone()], Arc::from(""))[0])
}
