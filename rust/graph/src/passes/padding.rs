//! Zeros around images join the windows that slide over them.
//!
//! ```text
//! %2 = pad[1, 1](%0, 0); %3 = conv[valid](%2, %1)  =>  %3 = conv[1, 1](%0, %1)
//! %4 = conv[relu](..); %5 = pad[1, 1](%4, 0); %6 = max_pool[valid](%5)  =>  %6 = max_pool[1, 1](%4)
//! ```
//! Behind a relu a zero is never greater than the items of a window, so the greatest of a window needs no zeros.

use std::sync::Arc;

use kernels::activation::Activation;
use kernels::elementwise::Op as Function;
use kernels::layout::PadMode;
use smallvec::SmallVec;

use crate::Op;
use crate::graph::{Graph, Index, Node};
use crate::op::conv::{Conv, ConvKernelGradient};
use crate::op::elementwise::Elementwise;
use crate::op::layout::Pad;
use crate::op::pool::MaxPool;

type Pairs = SmallVec<[(usize, usize); 3]>;

/// Lets convolutions and poolings read what was padded as it was before.
pub fn join_padding(graph: &mut Graph) {
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let joined = node.inputs.first().and_then(|&padded| {
            let pad = graph.producer(padded)?;
            let pairs = zeros_around_images(graph, pad)?;
            let op = over_padding(graph, node.op.as_ref(), pad.inputs[0], &pairs)?;
            Some((op, pad.inputs[0]))
        });
        if let Some((op, x)) = joined {
            let node = &mut graph.nodes[n];
            node.op = op;
            node.inputs[0] = x;
        }
    }
    super::drop_unused(graph);
}

/// The zeros before and behind each spatial axis, if the call adds no others.
fn zeros_around_images(graph: &Graph, node: &Node) -> Option<Pairs> {
    let pad = node.op.downcast::<Pad>()?;
    let zero = graph.constant(*node.inputs.get(1)?)?;
    let known = |dims: &[crate::Dim]| -> Option<SmallVec<[usize; 5]>> {
        dims.iter()
            .map(|dim| usize::try_from(dim.require().ok()?).ok())
            .collect()
    };
    let (low, high) = (known(&pad.low)?, known(&pad.high)?);
    let last = low.len().checked_sub(1)?;
    let outer = [0, last].iter().all(|&axis| low[axis] + high[axis] == 0);
    let zeros = pad.mode == PadMode::Constant && zero.view().bytes().iter().all(|&byte| byte == 0);
    (zeros && outer && last > 0).then(|| {
        low[1..last]
            .iter()
            .copied()
            .zip(high[1..last].iter().copied())
            .collect()
    })
}

/// The same call over an operand that lacks its padding.
fn over_padding(graph: &Graph, op: &dyn Op, x: Index, pairs: &Pairs) -> Option<Arc<dyn Op>> {
    if let Some(conv) = op.downcast::<Conv>() {
        let windows = conv.windows.padded(pairs)?;
        return Some(Arc::new(Conv { windows, ..*conv }));
    }
    if let Some(gradient) = op.downcast::<ConvKernelGradient>() {
        let (windows, kernel) = (gradient.windows.padded(pairs)?, gradient.kernel.clone());
        return Some(Arc::new(ConvKernelGradient { windows, kernel }));
    }
    let pool = op.downcast::<MaxPool>()?;
    if pool.argmax || !is_relu(graph.producer(x)?.op.as_ref()) {
        return None;
    }
    let windows = pool.windows.padded(pairs)?;
    Some(Arc::new(MaxPool {
        windows,
        argmax: false,
    }))
}

/// Whether an op ends in a relu.
fn is_relu(op: &dyn Op) -> bool {
    match op.downcast::<Conv>() {
        Some(conv) => matches!(conv.activation, Some(Activation::Relu | Activation::Relu6)),
        None => (op.downcast::<Elementwise>())
            .is_some_and(|map| matches!(map.function, Function::Relu | Function::Relu6)),
    }
}
