//! What follows a product or a convolution joins it: bias and activation in its last step over each tile, and at
//! inference a residual too, and a batch norm in its weights.
//!
//! ```text
//! %3 = conv(%0, %1); %4 = add(%3, %2); %5 = relu(%4)  =>  %5 = conv[relu](%0, %1, %2)
//! %3 = matmul(%0, %1); %4 = reshape(%3); %5 = add(%4, %2)  =>  %3 = dense(%0, %1, reshape(%2)); %5 = reshape(%3)
//! %3 = conv(%0, %1, %2); %5 = add(%4, %3); %6 = relu(%5)  =>  %6 = conv[residual relu](%0, %1, %4, %2)
//! %3 = conv(%0, %1); %8 = batch_norm_inference(%3, gamma, beta, mean, variance)
//!     =>  scale = gamma rsqrt(variance + epsilon); %8 = conv(%0, %1 scale, beta - mean scale)
//! %8 = batch_norm_inference(%0, gamma, beta, mean, variance)  =>  %8 = add(multiply(%0, scale), beta - mean scale)
//! ```
//! The folded weights depend on variables alone, so `hoist` takes them out of the runs.

use std::sync::Arc;

use kernels::activation::Activation;
use kernels::elementwise::Op as Function;

use crate::graph::{Graph, Index, Node, Origin};
use crate::op::conv::Conv;
use crate::op::elementwise::Elementwise;
use crate::op::layout::Reshape;
use crate::op::matmul::{Dense, Matmul};
use crate::op::norm::BatchNormInference;
use crate::op::residual::{self, RESIDUAL};
use crate::passes::hoist::is_early;
use crate::{DType, Op, Shape, Spec, Tensor};

/// Fuses biases, residuals, activations and batch norms into the products before them.
pub fn fuse_epilogues(graph: &mut Graph) {
    let counts = graph.use_counts();
    let mut order = Vec::with_capacity(graph.nodes.len());
    for n in 0..graph.nodes.len() {
        let fused = fold_batch_norm(graph, n, &counts, &mut order)
            .or_else(|| fuse_bias(graph, n, &counts, &mut order))
            .or_else(|| fuse_residual(graph, n, &counts, &mut order))
            .or_else(|| fuse_activation(graph, n, &counts));
        if let Some((op, inputs)) = fused {
            let node = &mut graph.nodes[n];
            (node.op, node.inputs) = (op, inputs.into());
        }
        order.push(n);
    }
    graph.retain(order.into_iter());
}

type Fused = (Arc<dyn Op>, Vec<Index>);

/// The node whose only use is this value. What the pass itself has made is used once.
fn sole_producer<'a>(graph: &'a Graph, value: Index, counts: &[usize]) -> Option<&'a Node> {
    let uses = counts.get(value).copied().unwrap_or(1);
    graph.producer(value).filter(|_| uses == 1)
}

/// The activation of a product or convolution; `None` for any other op.
fn product_activation(op: &dyn Op) -> Option<Option<Activation>> {
    if let Some(conv) = op.downcast::<Conv>() {
        return Some(conv.activation);
    }
    if let Some(dense) = op.downcast::<Dense>() {
        return (!dense.keep).then_some(dense.activation);
    }
    None
}

/// The product of the last axis or the convolution, as `Dense` or `Conv`, whose columns a batch norm can scale: without
/// an activation or a residual.
fn linear(graph: &Graph, node: &Node) -> Option<Arc<dyn Op>> {
    if let Some(matmul) = node.op.downcast::<Matmul>() {
        let plain = !matmul.transpose_a
            && !matmul.transpose_b
            && graph.spec(node.inputs[1]).shape.rank() == 2;
        return plain.then(|| Arc::new(Dense::default()) as Arc<dyn Op>);
    }
    let linear = match node.op.downcast::<Conv>() {
        Some(conv) => conv.activation.is_none() && !conv.residual,
        None => node.op.downcast::<Dense>() == Some(&Dense::default()),
    };
    linear.then(|| node.op.clone())
}

/// A linear product without a bias.
fn plain_product(graph: &Graph, node: &Node) -> Option<Arc<dyn Op>> {
    linear(graph, node).filter(|_| node.inputs.len() == 2)
}

/// The product or convolution as one that takes a residual, where it can.
fn residual_product(graph: &Graph, node: &Node) -> Option<Arc<dyn Op>> {
    let output = graph.spec(node.outputs[0]);
    if let Some(conv) = node.op.downcast::<Conv>() {
        let inputs: Vec<&Spec> = node.inputs.iter().map(|&i| graph.spec(i)).collect();
        let takes = conv.activation.is_none() && conv.takes_residual(&inputs, output);
        let residual = true;
        return takes.then(|| {
            Arc::new(Conv {
                residual,
                ..conv.clone()
            }) as Arc<dyn Op>
        });
    }
    let dense = *linear(graph, node)?.downcast::<Dense>()?;
    let residual = true;
    residual::adds(output.dtype).then(|| Arc::new(Dense { residual, ..dense }) as Arc<dyn Op>)
}

/// Adds calls at the end of the graph and their numbers to the running order.
struct Early<'a> {
    graph: &'a mut Graph,
    order: &'a mut Vec<usize>,
    scope: Arc<str>,
}

impl Early<'_> {
    fn call(&mut self, op: Arc<dyn Op>, inputs: &[Index]) -> Option<Index> {
        let specs: Vec<&Spec> = inputs.iter().map(|&i| self.graph.spec(i)).collect();
        let inferred = op.infer(&specs).ok()?;
        let outputs =
            self.graph
                .push_node(op, inputs.iter().copied(), inferred, self.scope.clone());
        self.order.push(self.graph.nodes.len() - 1);
        Some(outputs[0])
    }

    fn map(&mut self, function: Function, inputs: &[Index]) -> Option<Index> {
        self.call(Elementwise::op(function), inputs)
    }

    fn number(&mut self, dtype: DType, value: f64) -> Index {
        let tensor = Tensor::scalar_of(dtype, value);
        self.graph
            .push_value(tensor.spec(), Origin::Constant(tensor))
    }
}

/// The product that a value is, or a view of, where nothing else uses it, with the op that `taking` finds.
fn viewed_product(
    graph: &Graph,
    value: Index,
    counts: &[usize],
    taking: fn(&Graph, &Node) -> Option<Arc<dyn Op>>,
) -> Option<Node> {
    let mut node = sole_producer(graph, value, counts)?;
    if node.op.downcast::<Reshape>().is_some() {
        node = sole_producer(graph, node.inputs[0], counts)?;
    }
    let op = taking(graph, node)?;
    Some(Node { op, ..node.clone() })
}

/// Has a product take an operand in, as its input `at` of a shape, for a call whose result is of shape `result`.
fn take_in(
    graph: &mut Graph,
    order: &mut Vec<usize>,
    product: Node,
    (at, mut operand, shape): (usize, Index, Shape),
    result: Shape,
) -> Option<Fused> {
    let whole = graph.spec(product.outputs[0]).shape == result;
    let mut early = Early {
        graph,
        order,
        scope: product.scope,
    };
    if early.graph.spec(operand).shape != shape {
        operand = early.call(Arc::new(Reshape(shape)), &[operand])?;
    }
    let mut inputs = product.inputs.to_vec();
    inputs.insert(at, operand);
    if whole {
        return Some((product.op, inputs));
    }
    let product = early.call(product.op, &inputs)?;
    Some((Arc::new(Reshape(result)), vec![product]))
}

/// The operands and the result of a call that adds.
fn addition(graph: &Graph, n: usize) -> Option<([Index; 2], Index)> {
    let node = &graph.nodes[n];
    let add = node.op.downcast::<Elementwise>()?;
    (add.function == Function::Add).then(|| ([node.inputs[0], node.inputs[1]], node.outputs[0]))
}

fn fuse_bias(
    graph: &mut Graph,
    n: usize,
    counts: &[usize],
    order: &mut Vec<usize>,
) -> Option<Fused> {
    let ([a, b], sum) = addition(graph, n)?;
    let (product, value, bias) = match viewed_product(graph, a, counts, plain_product) {
        Some(found) => (found, a, b),
        None => (viewed_product(graph, b, counts, plain_product)?, b, a),
    };
    let Spec { dtype, shape: own } = graph.spec(product.outputs[0]);
    let units = own.last()?.clone();
    let shape = graph.spec(sum).shape.clone();
    // A row of the units, or the last axes that they are viewed as.
    let given = &graph.spec(bias).shape;
    let ones = given.iter().take_while(|dim| dim.is(1)).count();
    let row = given.rank() > 0 && given.size() == units && shape.ends_with(&given[ones..]);
    if graph.spec(value).shape != shape || !row || !dtype.is_float() {
        return None;
    }
    let bias = (product.inputs.len(), bias, std::iter::once(units).collect());
    take_in(graph, order, product, bias, shape)
}

fn fuse_residual(
    graph: &mut Graph,
    n: usize,
    counts: &[usize],
    order: &mut Vec<usize>,
) -> Option<Fused> {
    let ([a, b], sum) = addition(graph, n)?;
    let spec = graph.spec(sum).clone();
    // A step of training keeps what it adds, for the gradients.
    if !graph.updates.is_empty() || [a, b].iter().any(|&value| *graph.spec(value) != spec) {
        return None;
    }
    // Of two products the one that is written last, as a rule: the other is at hand then.
    let (product, residual) = [(b, a), (a, b)]
        .into_iter()
        .find_map(|(x, y)| Some((viewed_product(graph, x, counts, residual_product)?, y)))?;
    let shape = graph.spec(product.outputs[0]).shape.clone();
    let residual = (RESIDUAL, residual, shape);
    take_in(graph, order, product, residual, spec.shape)
}

fn fuse_activation(graph: &Graph, n: usize, counts: &[usize]) -> Option<Fused> {
    let node = &graph.nodes[n];
    let function = node.op.downcast::<Elementwise>()?;
    let activation = Activation::from_name(function.function.name())?;
    if node.inputs.len() != 1 || function.parameter.is_some_and(|parameter| parameter != 1.0) {
        return None;
    }
    let producer = sole_producer(graph, node.inputs[0], counts)?;
    if !graph.spec(node.outputs[0]).dtype.is_float() {
        return None;
    }
    let activation = Some(activation);
    let op: Arc<dyn Op> = match product_activation(producer.op.as_ref()) {
        Some(None) => match producer.op.downcast::<Conv>() {
            Some(conv) => Arc::new(Conv {
                activation,
                ..conv.clone()
            }),
            None => Arc::new(Dense {
                activation,
                ..*producer.op.downcast::<Dense>()?
            }),
        },
        Some(Some(_)) => return None,
        None => Arc::new(Dense {
            activation,
            ..*plain_product(graph, producer)?.downcast::<Dense>()?
        }),
    };
    Some((op, producer.inputs.to_vec()))
}

fn fold_batch_norm(
    graph: &mut Graph,
    n: usize,
    counts: &[usize],
    order: &mut Vec<usize>,
) -> Option<Fused> {
    let node = &graph.nodes[n];
    let norm = *node.op.downcast::<BatchNormInference>()?;
    let dtype = graph.spec(node.outputs[0]).dtype;
    let early = |values: &[Index]| values.iter().all(|&value| is_early(graph, value));
    // Folded in each run, the weights would cost more than the norm.
    if !early(&node.inputs[1..])
        || !graph.updates.is_empty()
        || !matches!(dtype, DType::Float32 | DType::Float64)
    {
        return None;
    }
    let [x, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map(|i| node.inputs[i]);
    let product = sole_producer(graph, x, counts)
        .filter(|producer| early(&producer.inputs[1..]))
        .and_then(|producer| Some((linear(graph, producer)?, producer.inputs.to_vec())));
    let scope = node.scope.clone();
    let mut early = Early {
        graph,
        order,
        scope,
    };
    let epsilon = early.number(dtype, norm.epsilon);
    let variance = early.map(Function::Add, &[variance, epsilon])?;
    let rsqrt = early.map(Function::Rsqrt, &[variance])?;
    let scale = early.map(Function::Multiply, &[gamma, rsqrt])?;
    let bias = product.as_ref().and_then(|(_, inputs)| inputs.get(2));
    let mean = match bias {
        Some(&bias) => early.map(Function::Subtract, &[mean, bias])?,
        None => mean,
    };
    let mean = early.map(Function::Multiply, &[mean, scale])?;
    let shift = early.map(Function::Subtract, &[beta, mean])?;
    let Some((op, inputs)) = product else {
        let scaled = early.map(Function::Multiply, &[x, scale])?;
        return Some((Elementwise::op(Function::Add), vec![scaled, shift]));
    };
    let kernel = early.map(Function::Multiply, &[inputs[1], scale])?;
    Some((op, vec![inputs[0], kernel, shift]))
}
