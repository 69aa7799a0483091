//! Weights that a call reads in a form of its own are brought to it by a call of their own.
//!
//! ```text
//! %3 = conv(%0, kernel)   =>   %4 = prepare_kernel(kernel); %3 = conv(%0, %4)
//! ```
//! The form depends on the weights alone, so `hoist` takes its making out of the runs. Where a run updates variables it would
//! be made each time, and the call keeps the weights as they are.

use std::collections::HashMap;

use crate::Spec;
use crate::graph::{Graph, Index};
use crate::passes::hoist::is_early;

/// Gives such calls the form that they are fastest with.
pub fn prepare(graph: &mut Graph) {
    if !graph.updates.is_empty() {
        return;
    }
    let mut made: HashMap<(Index, String), Index> = HashMap::new();
    let mut order = Vec::with_capacity(graph.nodes.len());
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let specs: Vec<&Spec> = node.inputs.iter().map(|&i| graph.spec(i)).collect();
        let prepared = node.op.prepared(&specs, graph.spec(node.outputs[0]));
        if let Some(prepared) = prepared.filter(|p| is_early(graph, node.inputs[p.operand])) {
            let (weights, scope) = (node.inputs[prepared.operand], node.scope.clone());
            let key = (weights, format!("{:?}", prepared.prepare));
            let known = made.get(&key).copied();
            let form = known.or_else(|| {
                let specs = prepared.prepare.infer(&[graph.spec(weights)]).ok()?;
                let form = graph.push_node(prepared.prepare, [weights], specs, scope)[0];
                order.push(graph.nodes.len() - 1);
                made.insert(key, form);
                Some(form)
            });
            if let Some(form) = form {
                let node = &mut graph.nodes[n];
                node.op = prepared.call;
                node.inputs[prepared.operand] = form;
            }
        }
        order.push(n);
    }
    graph.retain(order.into_iter());
}
