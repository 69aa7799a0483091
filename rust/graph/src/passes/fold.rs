//! Calls on constants are computed while the plan is made; calls that change nothing go.
//!
//! ```text
//! %2 = add(constant, constant)             =>   %2 = constant
//! %4 = transpose(transpose(%1))            =>   %1
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use crate::graph::{Graph, Index, Node, Origin};
use crate::op::layout::Transpose;
use crate::{Value, apply};

/// Constants above this many bytes are left to be computed by the run.
const MAX_BYTES: i64 = 1 << 20;

/// Computes what depends on constants alone.
pub fn fold_constants(graph: &mut Graph) {
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        if node.op.is_stateful() || node.inputs.is_empty() {
            continue;
        }
        let Some(operands) = node
            .inputs
            .iter()
            .map(|&input| {
                graph
                    .constant(input)
                    .map(|tensor| Value::concrete(tensor.clone()))
            })
            .collect::<Option<Vec<Value>>>()
        else {
            continue;
        };
        let small = node.outputs.iter().all(|&output| {
            let spec = graph.spec(output);
            spec.shape
                .size()
                .require()
                .is_ok_and(|size| size.saturating_mul(spec.dtype.size() as i64) <= MAX_BYTES)
        });
        let outputs = node.outputs.clone();
        let references: Vec<&Value> = operands.iter().collect();
        if !small {
            continue;
        }
        // What cannot be computed now fails when it runs, with its own message.
        let Ok(results) = crate::tape::stop_recording(|| apply(node.op.clone(), &references))
        else {
            continue;
        };
        for (&output, result) in outputs.iter().zip(&results) {
            if let Some(tensor) = result.tensor() {
                graph.values[output].origin = Origin::Constant(tensor.clone());
            }
        }
    }
}

/// Lets a transpose of a transpose be one, or none where they cancel each other.
pub fn join_transposes(graph: &mut Graph) {
    let mut with: HashMap<Index, Index> = HashMap::new();
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let axes = |node: &Node| {
            let rank = graph.spec(node.outputs[0]).shape.rank();
            node.op.downcast::<Transpose>()?.axes(rank).ok()
        };
        let Some(mut own) = axes(node) else { continue };
        let (mut from, output) = (node.inputs[0], node.outputs[0]);
        from = *with.get(&from).unwrap_or(&from);
        if let Some(before) = graph.producer(from)
            && let Some(first) = axes(before)
        {
            own.iter_mut().for_each(|axis| *axis = first[*axis]);
            from = before.inputs[0];
        }
        if own.iter().enumerate().all(|(i, &axis)| i == axis) {
            with.insert(output, from);
        } else {
            let node = &mut graph.nodes[n];
            node.op = Arc::new(Transpose(Some(
                own.iter().map(|&axis| axis as i64).collect(),
            )));
            node.inputs[0] = from;
        }
    }
    graph.replace_uses(&with);
}

/// Lets the uses of a call that changes nothing be those of its operand.
pub fn drop_identities(graph: &mut Graph) {
    let mut with: HashMap<Index, Index> = HashMap::new();
    for node in &graph.nodes {
        if node.outputs.len() == 1
            && graph.spec(node.inputs.first().copied().unwrap_or(node.outputs[0]))
                == graph.spec(node.outputs[0])
            && !node.inputs.is_empty()
            && node.op.is_alias()
        {
            with.insert(node.outputs[0], node.inputs[0]);
        }
    }
    graph.replace_uses(&with);
}
