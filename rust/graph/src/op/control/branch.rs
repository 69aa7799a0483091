//! Branches: one of several bodies runs.

use super::{Block, Body, Feed, Operands, differentiated, expect_same, zeros_in};
use crate::emit::{Dispatch, Emitter};
use crate::op::{Op, Operand, Run, Vjp, elementwise};
use crate::trace::{self, Region};
use crate::{Bindings, DType, Result, Spec, Specs, Value, Values, Variable, type_error};

/// Runs the one of several bodies whose number the first operand is, clamped to those there are.
#[derive(Clone, Debug)]
struct Branch(Vec<Block>);

impl Op for Branch {
    fn name(&self) -> &'static str {
        "branch"
    }

    fn infer(&self, _inputs: &[&Spec]) -> Result<Specs> {
        let first = &self.0[0];
        Ok((0..first.graph.outputs.len())
            .map(|i| first.output(i).clone())
            .collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let index = run.input::<i32>(0)[0].clamp(0, self.0.len() as i32 - 1);
        let block = &self.0[index as usize];
        let layout = block.plan()?.layout_for(run.bindings)?;
        let inputs = run.inputs;
        let feed = |feed: Feed| match feed {
            Feed::Operand(i) | Feed::State(i) | Feed::Entry(i) => inputs[i].address(),
        };
        block.run(run.scratch, &layout, &feed, run.outputs)
    }

    fn scratch(&self, _: &[Operand<'_>], _: &[Operand<'_>], bindings: &Bindings) -> usize {
        let arenas = self.0.iter().map(|block| block.arena(bindings));
        arenas.max().unwrap_or(0)
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let reached: Vec<bool> = vjp.grads.iter().map(Option::is_some).collect();
        let wanted: Vec<usize> = (0..vjp.inputs.len()).filter(|&i| vjp.wanted[i]).collect();
        let mut operands = Operands(vjp.inputs.to_vec());
        let seeds: Vec<Feed> = operands
            .feeds(&vjp.grads.iter().flatten().cloned().collect::<Vec<_>>())
            .collect();
        let blocks = self
            .0
            .iter()
            .map(|block| {
                let fed = |operand: usize| {
                    let is = |feed: &Feed| matches!(feed, Feed::Operand(i) if *i == operand);
                    block.feeds.iter().position(is)
                };
                let own: Vec<bool> = block
                    .feeds
                    .iter()
                    .map(|feed| matches!(feed, Feed::Operand(i) if vjp.wanted[*i]))
                    .collect();
                let mut graph = differentiated(&block.graph, &own, &reached)?;
                // A branch that does not use an operand has a gradient of zero.
                let order: Vec<usize> = (0..own.len()).filter(|&i| own[i]).collect();
                let gradients = graph.outputs.clone();
                let mut feeds = block.feeds.clone();
                feeds.extend(&seeds);
                graph.outputs.clear();
                for &operand in &wanted {
                    let known = fed(operand).and_then(|i| order.iter().position(|&o| o == i));
                    let place = match known {
                        Some(place) => gradients[place],
                        None => zeros_in(&mut graph, vjp.inputs[operand].spec())?,
                    };
                    graph.outputs.push(place);
                }
                Ok(Block::new(graph, feeds))
            })
            .collect::<Result<Vec<Block>>>()?;
        let mut gradients = vec![None; vjp.inputs.len()];
        if !wanted.is_empty() {
            for (i, gradient) in wanted.into_iter().zip(operands.apply(Branch(blocks))?) {
                gradients[i] = Some(gradient);
            }
        }
        Ok(gradients)
    }

    fn is_stateful(&self) -> bool {
        true
    }
}

/// What the body of that number gives, of those that take no operand; a number outside of the range is moved into it.
///
/// # Errors
/// `Error::Type` when the bodies' results differ in dtype or shape; those of the bodies.
pub fn branch(index: &Value, bodies: &mut [Body<'_>]) -> Result<Values> {
    let mut regions = bodies
        .iter_mut()
        .map(|body| trace::region(&[], *body))
        .collect::<Result<Vec<Region>>>()?;
    let visible = regions[0].graph.outputs.len();
    let mut assigned: Vec<(Variable, Value)> = Vec::new();
    for (variable, before, _) in regions.iter().flat_map(|region| &region.assigned) {
        if !assigned
            .iter()
            .any(|(known, _)| known.id() == variable.id())
        {
            assigned.push((variable.clone(), before.clone()));
        }
    }
    let mut operands = Operands(vec![elementwise::cast(&mut Dispatch, index, DType::Int32)?]);
    for region in &mut regions {
        for (variable, before) in &assigned {
            let mut own = region.assigned.iter();
            let place = match own.find(|(known, ..)| known.id() == variable.id()) {
                Some((.., place)) => *place,
                None => region.capture(before),
            };
            region.graph.outputs.push(place);
        }
    }
    let blocks: Vec<Block> = regions
        .into_iter()
        .map(|region| Block::new(region.graph, operands.feeds(&region.captured).collect()))
        .collect();
    for block in &blocks[1..] {
        if block.graph.outputs.len() != blocks[0].graph.outputs.len() {
            return type_error!("branches must give equally many results");
        }
        for i in 0..block.graph.outputs.len() {
            expect_same(
                block.output(i),
                blocks[0].output(i),
                "the results of branches",
            )?;
        }
    }
    let mut results = operands.apply(Branch(blocks))?;
    for ((variable, _), content) in assigned.iter().zip(&results[visible..]) {
        variable.assign(content)?;
    }
    results.truncate(visible);
    Ok(results)
}
