//! Some rows of a batch at a time: what the first steps of a network hand on is larger than the caches for a whole batch, not for a
//! few of its rows.
//!
//! ```text
//! %1 = conv(%0, k); %2 = relu(%1); %3 = conv(%2, l)   =>   the same three steps for rows 0..4, for rows 4..8, ...
//! ```

use kernels::gemm::Caches;

use super::memory::Layout;
use crate::graph::{Graph, Index};
use crate::{Bindings, Dim, Spec, Symbol};

/// Operations per byte of operands and results from which on memory does not bound steps: their kernels gain more from many rows.
const BALANCE: u64 = 24;

/// Steps that run on some rows of the batch at a time.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The number of steps, from the first on.
    pub steps: usize,
    /// Rows of the batch.
    pub of: usize,
    /// Rows at a time.
    pub at_a_time: usize,
    /// The sizes of the symbols in these steps.
    pub bindings: Bindings,
    /// Per value: whether it is batched.
    pub batched: Vec<bool>,
}

impl Rows {
    /// The steps of a graph that are worth it, from the sizes alone; `layout` knows those of the values.
    pub(super) fn choose(graph: &Graph, layout: &Layout) -> Option<Rows> {
        let (symbol, steps) = independent(graph)?;
        // What steps hand on shares the last cache with weights, and with other processes.
        let cache = Caches::of_machine().last / 2;
        let of = layout.bindings.0[symbol.0 as usize];
        let batched: Vec<bool> = (0..graph.values.len())
            .map(|value| begins_with(graph.spec(value), symbol))
            .collect();
        let bytes = |n: usize| -> usize {
            let node = &graph.nodes[n];
            let values = node.inputs.iter().chain(&node.outputs);
            values
                .filter(|&&value| batched[value])
                .map(|&value| layout.operand(value).bytes())
                .sum()
        };
        let steps = 1 + (0..steps).rfind(|&n| bytes(n) > cache)?;
        let (mut operations, mut all, mut most) = (0, 0, 0);
        for (n, node) in graph.nodes[..steps].iter().enumerate() {
            if node.op.is_alias() {
                continue;
            }
            let list = |values: &[Index]| -> Vec<_> {
                values.iter().map(|&value| layout.operand(value)).collect()
            };
            operations += node.op.flops(&list(&node.inputs), &list(&node.outputs));
            let bytes = bytes(n);
            all += bytes;
            most = most.max(bytes);
        }
        let most_rows = (of * cache / most.max(1)).max(2);
        let at_a_time = of.div_ceil(of.div_ceil(most_rows)).max(2);
        if at_a_time >= of || operations > BALANCE * all as u64 {
            return None;
        }
        let mut bindings = layout.bindings.clone();
        bindings.0[symbol.0 as usize] = at_a_time;
        Some(Rows {
            steps,
            of,
            at_a_time,
            bindings,
            batched,
        })
    }

    /// The first row of each turn; the last may begin within the one before it, whose rows are then computed twice.
    pub fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        let (of, step) = (self.of, self.at_a_time);
        (0..of).step_by(step).map(move |start| start.min(of - step))
    }
}

/// The size of the batch, and how many steps, from the first on, compute its rows one by one.
fn independent(graph: &Graph) -> Option<(Symbol, usize)> {
    // What is updated, and sizes that were taken as equal, see the whole batch.
    if !graph.updates.is_empty() || !graph.guards.is_empty() {
        return None;
    }
    let mut inputs = graph.inputs.iter().map(|&input| graph.spec(input));
    let symbol = inputs.find_map(|spec| spec.shape.first()?.as_symbol())?;
    let other = |of: Symbol| {
        if of == symbol {
            Dim::Known(2)
        } else {
            Dim::symbol(of)
        }
    };
    // Whether a value is batched, if no other axis has to do with the batch.
    let batched = |value: &Index| {
        let spec = graph.spec(*value);
        let first = usize::from(begins_with(spec, symbol));
        let rest = &spec.shape[first..];
        let free = rest.iter().all(|dim| dim.substitute(&other) == *dim);
        free.then_some(first == 1)
    };
    let by_rows = |n: &usize| {
        let node = &graph.nodes[*n];
        let specs: Vec<&Spec> = node.inputs.iter().map(|&value| graph.spec(value)).collect();
        let operands: Option<Vec<bool>> = node.inputs.iter().map(batched).collect();
        operands.is_some_and(|operands| node.op.by_rows(&specs, &operands))
            && node
                .outputs
                .iter()
                .all(|output| batched(output) == Some(true))
    };
    let steps = (0..graph.nodes.len()).take_while(by_rows).count();
    Some((symbol, steps))
}

/// Whether the first axis is a batch of that size.
fn begins_with(spec: &Spec, symbol: Symbol) -> bool {
    spec.shape.first().and_then(|dim| dim.as_symbol()) == Some(symbol)
}
