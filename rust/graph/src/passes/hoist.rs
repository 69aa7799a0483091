//! What depends on variables and constants alone is computed once per version of the variables, not in each run.
//!
//! ```text
//! %3 = multiply(kernel, scale); %4 = conv(%0, %3)   =>   %3 = hoisted 0; %4 = conv(%0, %3)
//! ```
//! Folded batch norms and packed weights are such values. Only graphs that update no variable are split so.

use crate::graph::{Graph, Index, Node, Origin};

/// Whether a call gives the same, in memory of known size, whenever its operands are the same.
fn can_be_early(graph: &Graph, node: &Node) -> bool {
    !node.op.is_stateful()
        && !node.inputs.is_empty()
        && node
            .outputs
            .iter()
            .all(|&output| graph.spec(output).shape.known().is_some())
}

/// Whether a value depends on variables and constants alone, through calls of known size.
pub(super) fn is_early(graph: &Graph, value: Index) -> bool {
    match graph.values[value].origin {
        Origin::Variable(_) | Origin::Constant(_) => true,
        _ => graph.producer(value).is_some_and(|node| {
            can_be_early(graph, node) && node.inputs.iter().all(|&input| is_early(graph, input))
        }),
    }
}

/// Moves such calls into `Graph::prologue`.
pub fn hoist(graph: &mut Graph) {
    if !graph.updates.is_empty() {
        return;
    }
    let mut early: Vec<bool> = graph
        .values
        .iter()
        .map(|info| matches!(info.origin, Origin::Variable(_) | Origin::Constant(_)))
        .collect();
    let mut moved = vec![false; graph.nodes.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        if can_be_early(graph, node) && node.inputs.iter().all(|&i| early[i]) {
            moved[n] = true;
            for &output in &node.outputs {
                early[output] = true;
            }
        }
    }
    // The results that later calls, or the caller, need of the moved calls.
    let mut wanted = Vec::new();
    let used_late = graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(n, _)| !moved[*n])
        .flat_map(|(_, node)| node.inputs.iter());
    for &value in used_late.chain(&graph.outputs) {
        if matches!(graph.values[value].origin, Origin::Node(n, _) if moved[n])
            && !wanted.contains(&value)
        {
            wanted.push(value);
        }
    }
    if wanted.is_empty()
        || wanted
            .iter()
            .all(|&value| graph.producer(value).is_some_and(|node| node.op.is_alias()))
    {
        return;
    }
    let mut prologue = graph.clone();
    // Sizes that inputs bind are checked where the inputs are.
    prologue.inputs.clear();
    prologue.guards.clear();
    prologue.outputs = wanted.clone();
    prologue.retain((0..moved.len()).filter(|&n| moved[n]));
    for (i, &value) in wanted.iter().enumerate() {
        graph.values[value].origin = Origin::Hoisted(i);
    }
    graph.retain((0..moved.len()).filter(|&n| !moved[n]));
    graph.prologue = Some(Box::new(prologue));
}
