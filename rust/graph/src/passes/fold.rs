//! Calls on constants are computed while the plan is made; calls that change nothing go.
//!
//! ```text
//! %2 = add(constant, constant)             =>   %2 = constant
//! %4 = transpose[1, 0](transpose[1, 0](%1))  =>   %1
//! ```

use std::collections::HashMap;

use crate::graph::{Graph, Index, Origin};
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
