//! From a traced graph to one worth running. Each pass is small, separately tested, and listed here in its order.

use std::collections::HashMap;

use crate::graph::{Graph, Index, Origin};
use crate::{Result, Tensor};

pub mod epilogue;
pub mod fold;
pub mod fuse;
pub mod hoist;
pub mod memory;
pub mod norm;
pub mod padding;
pub mod prepare;
pub mod rows;

/// How a graph is optimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep every recorded step as it is (for tests that compare with an optimised plan).
    pub verbatim: bool,
}

/// The passes, in their order.
const PASSES: &[fn(&mut Graph)] = &[
    fold::join_transposes,
    fold::drop_identities,
    fold::fold_constants,
    merge_equal,
    drop_unused,
    norm::join_norms,
    epilogue::fuse_epilogues,
    padding::join_padding,
    fuse::fuse_elementwise,
    prepare::prepare,
    hoist::hoist,
];

/// Optimises a graph in place.
///
/// # Errors
/// When a pass breaks an invariant (`Graph::verify`).
pub fn optimize(graph: &mut Graph, options: Options) -> Result<()> {
    graph.verify()?;
    if options.verbatim {
        drop_unused(graph);
    } else {
        PASSES.iter().for_each(|pass| pass(graph));
    }
    graph.verify()
}

/// Drops what no result and no variable needs.
pub fn drop_unused(graph: &mut Graph) {
    let nodes = 0..graph.nodes.len();
    graph.retain(nodes);
}

/// Lets calls of equal ops on equal operands, and equal constants, be one (common subexpressions).
pub fn merge_equal(graph: &mut Graph) {
    let mut with: HashMap<Index, Index> = HashMap::new();
    let mut constants: Vec<(Index, Tensor)> = Vec::new();
    for (i, info) in graph.values.iter().enumerate() {
        if let Origin::Constant(tensor) = &info.origin
            && tensor.bytes() <= 64
        {
            match constants.iter().find(|(_, known)| {
                known.dtype() == tensor.dtype()
                    && known.shape() == tensor.shape()
                    && known.view().bytes() == tensor.view().bytes()
            }) {
                Some((first, _)) => {
                    with.insert(i, *first);
                }
                None => constants.push((i, tensor.clone())),
            }
        }
    }
    let mut seen: HashMap<(String, Vec<Index>), usize> = HashMap::new();
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        if node.op.is_stateful() {
            continue;
        }
        let operands: Vec<Index> = node
            .inputs
            .iter()
            .map(|i| *with.get(i).unwrap_or(i))
            .collect();
        match seen.entry((format!("{:?}", node.op), operands)) {
            std::collections::hash_map::Entry::Occupied(first) => {
                let first = &graph.nodes[*first.get()];
                with.extend(
                    node.outputs
                        .iter()
                        .copied()
                        .zip(first.outputs.iter().copied()),
                );
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(n);
            }
        }
    }
    graph.replace_uses(&with);
}
