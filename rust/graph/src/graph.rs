//! A finished trace: nodes in an order in which they can run.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::{Bindings, Dim, Op, Result, Spec, Tensor, Variable, value_error};

/// A value's place in a graph.
pub type Index = usize;

/// Where a value of a graph comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The graph's operand of that number.
    Input(usize),
    /// A variable's content when the run starts: its place in `Graph::variables`.
    Variable(usize),
    /// Known when traced.
    Constant(Tensor),
    /// A result of the prologue (`Graph::prologue`).
    Hoisted(usize),
    /// A node's output: its place in `Graph::nodes`, and which output.
    Node(usize, usize),
}

/// A value of a graph.
#[derive(Clone, Debug)]
pub struct ValueInfo {
    /// The dtype and shape.
    pub spec: Spec,
    /// Where it comes from.
    pub origin: Origin,
}

/// One call of an op.
#[derive(Clone, Debug)]
pub struct Node {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The operands.
    pub inputs: SmallVec<[Index; 4]>,
    /// The results.
    pub outputs: SmallVec<[Index; 2]>,
    /// The layer that it was recorded in, for the profile and for errors.
    pub scope: Arc<str>,
}

/// A computation: values in, values out, variables changed.
#[derive(Clone, Default)]
pub struct Graph {
    /// All values; nodes, inputs and outputs name them by index.
    pub values: Vec<ValueInfo>,
    /// The calls, each after those that it needs.
    pub nodes: Vec<Node>,
    /// The operands.
    pub inputs: Vec<Index>,
    /// The results.
    pub outputs: Vec<Index>,
    /// The variables that are read or changed.
    pub variables: Vec<Variable>,
    /// What variables (places in `variables`) hold after a run.
    pub updates: Vec<(usize, Index)>,
    /// The names of the unknown sizes.
    pub symbols: Vec<String>,
    /// Sizes that were taken as equal; checked when memory is planned.
    pub guards: Vec<(Dim, Dim)>,
    /// What is computed once per version of the variables, before any run.
    pub prologue: Option<Box<Graph>>,
}

impl Graph {
    /// Adds a value.
    pub fn push_value(&mut self, spec: Spec, origin: Origin) -> Index {
        self.values.push(ValueInfo { spec, origin });
        self.values.len() - 1
    }

    /// Adds a call of an op whose output specs are known, and gives its results.
    pub fn push_node(
        &mut self,
        op: Arc<dyn Op>,
        inputs: impl IntoIterator<Item = Index>,
        specs: impl IntoIterator<Item = Spec>,
        scope: Arc<str>,
    ) -> SmallVec<[Index; 2]> {
        let node = self.nodes.len();
        let outputs: SmallVec<[Index; 2]> = specs
            .into_iter()
            .enumerate()
            .map(|(i, spec)| self.push_value(spec, Origin::Node(node, i)))
            .collect();
        self.nodes.push(Node {
            op,
            inputs: inputs.into_iter().collect(),
            outputs: outputs.clone(),
            scope,
        });
        outputs
    }

    /// The spec of a value.
    pub fn spec(&self, value: Index) -> &Spec {
        &self.values[value].spec
    }

    /// The constant that a value is, if it is one.
    pub fn constant(&self, value: Index) -> Option<&Tensor> {
        match &self.values[value].origin {
            Origin::Constant(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The node that a value comes from, if it does.
    pub fn producer(&self, value: Index) -> Option<&Node> {
        match self.values[value].origin {
            Origin::Node(node, _) => Some(&self.nodes[node]),
            _ => None,
        }
    }

    /// How often each value is used: by nodes, as a result, as a variable's new content.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.values.len()];
        let uses = self.nodes.iter().flat_map(|node| node.inputs.iter());
        for &value in uses
            .chain(&self.outputs)
            .chain(self.updates.iter().map(|(_, value)| value))
        {
            counts[value] += 1;
        }
        counts
    }

    /// Lets every use of a value be another's, by a map that is followed to its end.
    pub fn replace_uses(&mut self, with: &HashMap<Index, Index>) {
        let resolve = |mut value: Index| {
            while let Some(&next) = with.get(&value) {
                value = next;
            }
            value
        };
        for node in &mut self.nodes {
            for input in &mut node.inputs {
                *input = resolve(*input);
            }
        }
        for output in &mut self.outputs {
            *output = resolve(*output);
        }
        for (_, value) in &mut self.updates {
            *value = resolve(*value);
        }
    }

    /// Drops the nodes and values that no result and no variable needs, and renumbers the rest.
    ///
    /// `order` gives the nodes to keep, in running order; those without use are dropped from it.
    pub fn retain(&mut self, order: impl DoubleEndedIterator<Item = usize>) {
        let mut live = vec![false; self.values.len()];
        for &value in self
            .inputs
            .iter()
            .chain(&self.outputs)
            .chain(self.updates.iter().map(|(_, v)| v))
        {
            live[value] = true;
        }
        let mut kept = Vec::new();
        for node in order.rev() {
            let call = &self.nodes[node];
            if call.outputs.iter().any(|&output| live[output]) {
                for &value in call.inputs.iter().chain(&call.outputs) {
                    live[value] = true;
                }
                kept.push(node);
            }
        }
        kept.reverse();
        let mut place = vec![usize::MAX; self.values.len()];
        let mut values = Vec::new();
        for (old, info) in std::mem::take(&mut self.values).into_iter().enumerate() {
            if live[old] {
                place[old] = values.len();
                values.push(info);
            }
        }
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes)
            .into_iter()
            .map(Some)
            .collect();
        for old in kept {
            let Some(mut node) = nodes[old].take() else {
                continue;
            };
            for value in node.inputs.iter_mut().chain(node.outputs.iter_mut()) {
                *value = place[*value];
            }
            for (i, &output) in node.outputs.iter().enumerate() {
                values[output].origin = Origin::Node(self.nodes.len(), i);
            }
            self.nodes.push(node);
        }
        for value in self
            .inputs
            .iter_mut()
            .chain(&mut self.outputs)
            .chain(self.updates.iter_mut().map(|(_, v)| v))
        {
            *value = place[*value];
        }
        self.values = values;
        // Variables that nothing reads or changes any more are forgotten.
        let mut used = vec![false; self.variables.len()];
        for info in &self.values {
            if let Origin::Variable(v) = info.origin {
                used[v] = true;
            }
        }
        for (v, _) in &self.updates {
            used[*v] = true;
        }
        let mut place = vec![usize::MAX; used.len()];
        let mut variables = Vec::new();
        for (old, variable) in std::mem::take(&mut self.variables).into_iter().enumerate() {
            if used[old] {
                place[old] = variables.len();
                variables.push(variable);
            }
        }
        self.variables = variables;
        for info in &mut self.values {
            if let Origin::Variable(v) = &mut info.origin {
                *v = place[*v];
            }
        }
        for (v, _) in &mut self.updates {
            *v = place[*v];
        }
    }

    /// Checks the invariants: operands stand before their uses, specs are what the ops infer, updates fit.
    ///
    /// # Errors
    /// `Error::Value` that names the node.
    pub fn verify(&self) -> Result<()> {
        let mut defined = vec![false; self.values.len()];
        for (i, info) in self.values.iter().enumerate() {
            defined[i] = !matches!(info.origin, Origin::Node(..));
        }
        for (n, node) in self.nodes.iter().enumerate() {
            let name = node.op.name();
            if let Some(&early) = node.inputs.iter().find(|&&input| !defined[input]) {
                return value_error!("node {n} `{name}` uses value %{early} before it is computed");
            }
            let specs: SmallVec<[&Spec; 4]> =
                node.inputs.iter().map(|&input| self.spec(input)).collect();
            let inferred = node.op.infer(&specs).map_err(|e| e.in_op(name))?;
            for (i, (&output, spec)) in node.outputs.iter().zip(&inferred).enumerate() {
                let known = self.spec(output);
                if known.dtype != spec.dtype || known.shape.rank() != spec.shape.rank() {
                    return value_error!(
                        "node {n} `{name}`, output {i}: {known} is not the inferred {spec}"
                    );
                }
                if !matches!(self.values[output].origin, Origin::Node(at, j) if at == n && j == i) {
                    return value_error!("node {n} `{name}`: output {i} names another origin");
                }
                defined[output] = true;
            }
        }
        for (variable, value) in &self.updates {
            let (variable, value) = (self.variables[*variable].spec(), self.spec(*value));
            if variable.dtype != value.dtype || variable.shape.rank() != value.shape.rank() {
                return value_error!("a variable {variable} is updated with {value}");
            }
        }
        Ok(())
    }

    /// The symbols' sizes, from the shapes of the operands.
    ///
    /// # Errors
    /// `Error::Value` when a shape does not fit the traced one.
    pub fn bind(&self, shapes: &[&[usize]]) -> Result<Bindings> {
        if shapes.len() != self.inputs.len() {
            return value_error!(
                "expected {} operands, got {}",
                self.inputs.len(),
                shapes.len()
            );
        }
        let mut bindings = Bindings(SmallVec::from_elem(0, self.symbols.len()));
        let mut bound: SmallVec<[bool; 4]> = SmallVec::from_elem(false, self.symbols.len());
        for (&input, sizes) in self.inputs.iter().zip(shapes) {
            let expected = &self.spec(input).shape;
            if expected.rank() != sizes.len() {
                return value_error!(
                    "expected an operand of shape {expected}, got shape {sizes:?}"
                );
            }
            for (dim, &size) in expected.iter().zip(*sizes) {
                if let Some(symbol) = dim.as_symbol()
                    && !bound[symbol.0 as usize]
                {
                    bound[symbol.0 as usize] = true;
                    bindings.0[symbol.0 as usize] = size;
                }
            }
        }
        for (&input, sizes) in self.inputs.iter().zip(shapes) {
            let expected = &self.spec(input).shape;
            if expected
                .iter()
                .zip(*sizes)
                .any(|(dim, &size)| dim.size(&bindings) != size)
            {
                return value_error!(
                    "expected an operand of shape {expected}, got shape {sizes:?}"
                );
            }
        }
        for (a, b) in &self.guards {
            if a.eval(&bindings) != b.eval(&bindings) {
                return value_error!(
                    "sizes must be equal: {a} is {} and {b} is {}",
                    a.eval(&bindings),
                    b.eval(&bindings)
                );
            }
        }
        Ok(bindings)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, info) in self.values.iter().enumerate() {
            match &info.origin {
                Origin::Input(k) => writeln!(f, "%{i} = input {k}: {}", info.spec)?,
                Origin::Variable(k) => writeln!(f, "%{i} = variable {k}: {}", info.spec)?,
                Origin::Hoisted(k) => writeln!(f, "%{i} = hoisted {k}: {}", info.spec)?,
                Origin::Constant(_) => writeln!(f, "%{i} = constant: {}", info.spec)?,
                Origin::Node(..) => {}
            }
        }
        for node in &self.nodes {
            let outputs: Vec<String> = node
                .outputs
                .iter()
                .map(|o| format!("%{o}: {}", self.spec(*o)))
                .collect();
            let inputs: Vec<String> = node.inputs.iter().map(|i| format!("%{i}")).collect();
            writeln!(
                f,
                "{} = {:?}({})",
                outputs.join(", "),
                node.op,
                inputs.join(", ")
            )?;
        }
        for (variable, value) in &self.updates {
            writeln!(f, "variable {variable} <- %{value}")?;
        }
        let outputs: Vec<String> = self.outputs.iter().map(|o| format!("%{o}")).collect();
        writeln!(f, "return {}", outputs.join(", "))
    }
}
