//! A relu behind a batch norm in training joins it, and its gradient the norm's.
//!
//! ```text
//! %3, %4, %5 = batch_norm_train(%0, %1, %2); %6 = relu(%3)  =>  %3, %4, %5 = batch_norm_train[relu](%0, %1, %2)
//! %8 = where(greater(%6, 0), %7, 0); %9 = batch_norm_gradient(%8, %0, ..)  =>  %9 = batch_norm_gradient[relu](%7, %0, ..)
//! ```
//! The gradient computes the norm's result again where it has to know it: what it takes for that is at hand.

use std::collections::HashMap;
use std::sync::Arc;

use kernels::activation::Activation;
use kernels::elementwise::Op as Function;

use crate::graph::{Graph, Index, Node, Origin};
use crate::op::elementwise::Elementwise;
use crate::op::norm::{BatchNorm, BatchNormGradient};
use crate::{Op, Tensor};

/// Lets batch norms take the activations behind them that have bounds and do nothing else.
pub fn join_norms(graph: &mut Graph) {
    let counts = graph.use_counts();
    let mut with = HashMap::new();
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let Some((norm, op)) = activated_norm(graph, node, &counts) else {
            continue;
        };
        with.insert(node.outputs[0], node.inputs[0]);
        graph.nodes[norm].op = Arc::new(op);
    }
    graph.replace_uses(&with);
    for n in 0..graph.nodes.len() {
        if let Some((op, g)) = gated(graph, &graph.nodes[n]) {
            let node = &mut graph.nodes[n];
            node.op = op;
            node.inputs[0] = g;
        }
    }
    super::drop_unused(graph);
}

/// The norm whose result a node alone takes, and the one with the activation that the node is.
fn activated_norm(graph: &Graph, node: &Node, counts: &[usize]) -> Option<(usize, BatchNorm)> {
    let map = node.op.downcast::<Elementwise>()?;
    let activation = Activation::from_name(map.function.name())?;
    activation.bounds()?;
    let value = node.inputs[0];
    let Origin::Node(norm, 0) = graph.values[value].origin else {
        return None;
    };
    let plain = *graph.nodes[norm].op.downcast::<BatchNorm>()?;
    let joined = BatchNorm {
        activation: Some(activation),
        ..plain
    };
    (counts[value] == 1 && plain.activation.is_none()).then_some((norm, joined))
}

/// The gradient of a norm that takes that of its activation, and what reaches the latter.
fn gated(graph: &Graph, node: &Node) -> Option<(Arc<dyn Op>, Index)> {
    let gradient = *node.op.downcast::<BatchNormGradient>()?;
    let function = |node: &Node| Some(node.op.downcast::<Elementwise>()?.function);
    let chosen = graph.producer(node.inputs[0])?;
    let [condition, g, other] = chosen.inputs[..] else {
        return None;
    };
    if function(chosen)? != Function::Where || !is_number(graph, other, 0.0) {
        return None;
    }
    let condition = graph.producer(condition)?;
    let bounds = |node: &Node, wanted: Function, bound: f64| {
        let found = function(node)? == wanted && is_number(graph, node.inputs[1], bound);
        found.then_some(node.inputs[0])
    };
    let (y, activation) = match function(condition)? {
        Function::LogicalAnd => {
            let [above, below] = [0, 1].map(|i| graph.producer(condition.inputs[i]));
            let y = bounds(above?, Function::Greater, 0.0)?;
            let same = bounds(below?, Function::Less, 6.0)? == y;
            (y, same.then_some(Activation::Relu6)?)
        }
        _ => (bounds(condition, Function::Greater, 0.0)?, Activation::Relu),
    };
    let norm = graph.producer(y)?;
    let matches = norm.op.downcast::<BatchNorm>()?.activation == Some(activation)
        && norm.outputs[0] == y
        && norm.inputs[..] == node.inputs[1..4]
        && norm.outputs[1..] == node.inputs[4..6];
    let activation = Some(activation);
    matches.then(|| {
        let op = BatchNormGradient {
            activation,
            ..gradient
        };
        (Arc::new(op) as Arc<dyn Op>, g)
    })
}

/// Whether a value is a constant number.
fn is_number(graph: &Graph, value: Index, number: f64) -> bool {
    graph.constant(value).is_some_and(|tensor| {
        let number = Tensor::scalar_of(tensor.dtype(), number);
        tensor.view().bytes() == number.view().bytes()
    })
}
