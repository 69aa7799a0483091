//! Chains of elementwise calls become one loop.
//!
//! ```text
//! %3 = multiply(%1, %2); %4 = add(%3, %0); %5 = relu(%4)   =>   %5 = fused(%1, %2, %0)
//! ```
//! A call joins the group of its consumer when all nodes that use it are in the group and it has the group's shape. What
//! is also a result, or a variable's new content, becomes one more result of the group.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use kernels::elementwise::{Compute, Instruction, Op as Function, Program, Value as Slot};

use crate::graph::{Graph, Index, Node, Origin};
use crate::op::elementwise::{Cast, Elementwise, elementwise_by_rows, run_program};
use crate::op::{Op, Operand, Run};
use crate::{DType, Result, Shape, Spec, Specs};

/// The most calls in one group: beyond, registers run out.
const MAX_MEMBERS: usize = 24;
/// The most operands of one group.
const MAX_OPERANDS: usize = 10;

/// Several elementwise functions in one loop.
#[derive(Clone)]
pub struct Fused {
    program: Program,
    names: String,
    results: usize,
    cost: usize,
}

impl std::fmt::Debug for Fused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fused({})", self.names)
    }
}

impl Op for Fused {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let mut shape = Shape::default();
        for input in inputs {
            shape = shape.broadcast(&input.shape)?;
        }
        Ok((0..self.results)
            .map(|i| Spec {
                dtype: self.program.output_dtype(i),
                shape: shape.clone(),
            })
            .collect())
    }

    fn by_rows(&self, inputs: &[&Spec], batched: &[bool]) -> bool {
        elementwise_by_rows(inputs, batched)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_program(&self.program, run);
        Ok(())
    }

    fn inplace(&self) -> &'static [(usize, usize)] {
        const PAIRS: [(usize, usize); MAX_OPERANDS * 4] = {
            let mut pairs = [(0, 0); MAX_OPERANDS * 4];
            let mut i = 0;
            while i < pairs.len() {
                pairs[i] = (i % MAX_OPERANDS, i / MAX_OPERANDS);
                i += 1;
            }
            pairs
        };
        &PAIRS
    }

    fn flops(&self, _inputs: &[Operand<'_>], outputs: &[Operand<'_>]) -> u64 {
        (outputs[0].size() * self.cost) as u64
    }
}

/// What a call needs of a group.
struct Member {
    function: Option<Function>,
    parameter: Option<f64>,
}

/// The call as part of a group that computes in `compute`, if it can be one.
fn member(graph: &Graph, node: &Node, compute: Compute) -> Option<Member> {
    let op: &dyn Any = node.op.as_ref();
    let dtypes: Vec<DType> = node.inputs.iter().map(|&i| graph.spec(i).dtype).collect();
    if let Some(op) = op.downcast_ref::<Elementwise>() {
        let own = *dtypes.last()?;
        let logical = matches!(
            op.function,
            Function::LogicalAnd
                | Function::LogicalOr
                | Function::LogicalXor
                | Function::LogicalNot
        );
        let fits =
            Compute::of(own) == compute || (logical && dtypes.iter().all(|d| *d == DType::Bool));
        let defined = op.function.is_defined_for(compute);
        return (fits && defined).then_some(Member {
            function: Some(op.function),
            parameter: op.parameter,
        });
    }
    let Cast(to) = op.downcast_ref::<Cast>()?;
    let from = dtypes[0];
    let same = Compute::of(*to) == compute && (from == DType::Bool || Compute::of(from) == compute);
    same.then_some(Member {
        function: None,
        parameter: None,
    })
}

/// What a group that ends in this call computes in.
fn compute_of(graph: &Graph, node: &Node) -> Option<Compute> {
    let op: &dyn Any = node.op.as_ref();
    op.downcast_ref::<Elementwise>()?;
    let compute = Compute::of(graph.spec(*node.inputs.last()?).dtype);
    matches!(compute, Compute::F32 | Compute::F64).then_some(compute)
}

/// Fuses chains of elementwise calls.
pub fn fuse_elementwise(graph: &mut Graph) {
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.values.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            users[input].push(n);
        }
    }
    let mut is_result = vec![false; graph.values.len()];
    for &value in graph
        .outputs
        .iter()
        .chain(graph.updates.iter().map(|(_, value)| value))
    {
        is_result[value] = true;
    }
    let mut taken = vec![false; graph.nodes.len()];
    let mut replaced: HashMap<usize, Node> = HashMap::new();
    let mut origins: Vec<(Index, Origin)> = Vec::new();
    for root in (0..graph.nodes.len()).rev() {
        if taken[root] {
            continue;
        }
        let Some(compute) = compute_of(graph, &graph.nodes[root]) else {
            continue;
        };
        let members = grow(graph, root, compute, &users, &taken);
        if members.len() < 2 {
            continue;
        }
        if let Some(node) = build(graph, &members, compute, &users, &is_result) {
            for &m in &members {
                taken[m] = true;
            }
            for (i, &output) in node.outputs.iter().enumerate() {
                origins.push((output, Origin::Node(root, i)));
            }
            replaced.insert(root, node);
        }
    }
    let order: Vec<usize> = (0..graph.nodes.len())
        .filter(|n| !taken[*n] || replaced.contains_key(n))
        .collect();
    for (root, node) in replaced {
        graph.nodes[root] = node;
    }
    for (value, origin) in origins {
        graph.values[value].origin = origin;
    }
    graph.retain(order.into_iter());
}

/// The calls, in running order, that join the group of `root`.
fn grow(
    graph: &Graph,
    root: usize,
    compute: Compute,
    users: &[Vec<usize>],
    taken: &[bool],
) -> Vec<usize> {
    let shape = &graph.spec(graph.nodes[root].outputs[0]).shape;
    let mut members = vec![root];
    // Consumers come first: going down from the root, each call's users have been decided.
    for n in (0..root).rev() {
        if members.len() == MAX_MEMBERS {
            break;
        }
        let node = &graph.nodes[n];
        let output = node.outputs[0];
        if !taken[n]
            && !users[output].is_empty()
            && users[output].iter().all(|user| members.contains(user))
            && graph.spec(output).shape == *shape
            && member(graph, node, compute).is_some()
        {
            members.push(n);
        }
    }
    members.sort_unstable();
    members
}

/// The one call that stands for a group; `None` when it does not fit a program.
fn build(
    graph: &Graph,
    members: &[usize],
    compute: Compute,
    users: &[Vec<usize>],
    is_result: &[bool],
) -> Option<Node> {
    let mut slots: HashMap<Index, Slot> = HashMap::new();
    let (mut inputs, mut dtypes): (Vec<Index>, Vec<DType>) = (Vec::new(), Vec::new());
    let (mut code, mut outputs, mut produced) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = Vec::new();
    let mut cost = 0;
    for &m in members {
        let node = &graph.nodes[m];
        let mut args = Vec::with_capacity(3);
        for &input in &node.inputs {
            let slot = *slots
                .entry(input)
                .or_insert_with(|| match scalar(graph, input) {
                    Some(number) => Slot::Constant(number),
                    None => {
                        inputs.push(input);
                        dtypes.push(graph.spec(input).dtype);
                        Slot::Input(inputs.len() - 1)
                    }
                });
            args.push(slot);
        }
        let Member {
            function,
            parameter,
        } = member(graph, node, compute)?;
        let output = node.outputs[0];
        match function {
            Some(function) => {
                args.extend(parameter.map(Slot::Constant));
                code.push(Instruction::new(function, &args));
                slots.insert(output, Slot::Result(code.len() - 1));
                names.push(function.name());
                cost += function.cost();
            }
            None => {
                slots.insert(output, args[0]);
            }
        }
        if users[output].iter().any(|user| !members.contains(user)) || is_result[output] {
            let slot = slots[&output];
            if !matches!(slot, Slot::Result(_)) {
                return None;
            }
            produced.push((slot, graph.spec(output).dtype));
            outputs.push(output);
        }
    }
    if inputs.len() > MAX_OPERANDS || outputs.len() > 4 || inputs.is_empty() {
        return None;
    }
    // The operands alone must give the shape: a constant that is not a scalar may have given it.
    let mut shape = Shape::default();
    for &input in &inputs {
        shape = shape.broadcast(&graph.spec(input).shape).ok()?;
    }
    let last = &graph.nodes[*members.last()?];
    if shape != graph.spec(last.outputs[0]).shape {
        return None;
    }
    let program = Program::new(compute, &dtypes, &code, &produced).ok()?;
    let op = Fused {
        program,
        names: names.join(" "),
        results: outputs.len(),
        cost,
    };
    Some(Node {
        op: Arc::new(op),
        inputs: inputs.into(),
        outputs: outputs.into(),
        scope: last.scope.clone(),
    })
}

/// The number that a constant of one element is.
fn scalar(graph: &Graph, value: Index) -> Option<f64> {
    let constant = graph.constant(value)?;
    if constant.size() != 1 || !constant.shape().is_empty() {
        return None;
    }
    match constant.dtype() {
        DType::Float32 => Some(f64::from(constant.as_slice::<f32>()[0])),
        DType::Float64 => Some(constant.as_slice::<f64>()[0]),
        DType::Float16 => Some(constant.as_slice::<half::f16>()[0].to_f64()),
        DType::BFloat16 => Some(constant.as_slice::<half::bf16>()[0].to_f64()),
        _ => None,
    }
}
