//! Loops that go on while a condition holds.

use smallvec::SmallVec;

use super::{Block, Body, Carried, Feed, expect_same};
use crate::buffer::align_up;
use crate::emit::Emitter;
use crate::op::{Op, Operand, Run, Vjp};
use crate::tensor::TensorMut;
use crate::trace;
use crate::{Bindings, DType, Error, Result, Shape, Spec, Specs, Value, Values, type_error};

/// Runs a body on its own results while a condition holds, at most `most` times.
///
/// Operands: the first states, then what the feeds name. Results: the last states.
#[derive(Clone, Debug)]
struct While {
    condition: Block,
    body: Block,
    most: u64,
}

impl Op for While {
    fn name(&self) -> &'static str {
        "while"
    }

    fn infer(&self, _inputs: &[&Spec]) -> Result<Specs> {
        let states = self.body.graph.outputs.len();
        Ok((0..states).map(|i| self.body.output(i).clone()).collect())
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let layout = self.body.plan()?.layout_for(run.bindings)?;
        let condition = self.condition.plan()?.layout_for(run.bindings)?;
        let results = &self.body.plan()?.graph().outputs;
        let inputs = run.inputs;
        let mut scratch = std::mem::take(&mut run.scratch);
        // The places of each state: a result and scratch, used in turns.
        let mut places: SmallVec<[[*mut u8; 2]; 8]> = SmallVec::new();
        for (output, &result) in run.outputs.iter_mut().zip(results) {
            let bytes = align_up(layout.operand(result).bytes());
            let (place, rest) = std::mem::take(&mut scratch).split_at_mut(bytes);
            scratch = rest;
            places.push([output.address(), place.as_mut_ptr()]);
        }
        let state_at = |state: usize, round: u64| -> *const u8 {
            match round {
                0 => inputs[state].address(),
                _ => places[state][(round % 2) as usize].cast_const(),
            }
        };
        let mut round = 0;
        while round < self.most {
            let feed = |feed: Feed| match feed {
                Feed::State(i) => state_at(i, round),
                Feed::Operand(i) | Feed::Entry(i) => inputs[i].address(),
            };
            let mut goes_on = [0u8];
            // SAFETY: the condition's one result is one byte.
            let mut flag = [unsafe { TensorMut::new(DType::Bool, &[], goes_on.as_mut_ptr()) }];
            self.condition.run(scratch, &condition, &feed, &mut flag)?;
            if goes_on == [0] {
                break;
            }
            let mut outputs: SmallVec<[TensorMut<'_>; 8]> = results
                .iter()
                .zip(&places)
                .map(|(&result, place)| {
                    let operand = layout.operand(result);
                    let to = place[((round + 1) % 2) as usize];
                    // SAFETY: the place of a state that this round does not read.
                    unsafe { TensorMut::new(operand.dtype, operand.shape, to) }
                })
                .collect();
            self.body.run(scratch, &layout, &feed, &mut outputs)?;
            round += 1;
        }
        for (state, (place, &result)) in places.iter().zip(results).enumerate() {
            let bytes = layout.operand(result).bytes();
            // SAFETY: both hold the state; `copy_to` allows that they are the same.
            unsafe { state_at(state, round).copy_to(place[0], bytes) };
        }
        Ok(())
    }

    fn scratch(&self, _: &[Operand<'_>], outputs: &[Operand<'_>], bindings: &Bindings) -> usize {
        let states: usize = outputs.iter().map(|state| align_up(state.bytes())).sum();
        let arenas = [&self.condition, &self.body].map(|block| block.arena(bindings));
        states + arenas[0].max(arenas[1])
    }

    fn vjp(&self, _e: &mut dyn Emitter, _vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        Err(Error::Traced(
            "the gradient of a `while_loop` needs the number of its rounds, which a trace does not know; a `scan` or \
             `fori_loop` of known length has one"
                .into(),
        ))
    }

    fn is_stateful(&self) -> bool {
        true
    }
}

/// Calls a body on its own results while a condition of them holds, at most `most` times, and gives the last results.
///
/// # Errors
/// `Error::Type` when a state changes dtype or shape, or the condition is no truth; those of condition and body.
pub fn while_loop(
    states: &[Value],
    most: u64,
    condition: Body<'_>,
    body: Body<'_>,
) -> Result<Values> {
    let count = states.len();
    let specs: Vec<Spec> = states.iter().map(|state| state.spec().clone()).collect();
    let test = trace::region(&specs, &mut |states| {
        let truths = condition(states)?;
        let truth = Spec::new(DType::Bool, Shape::default());
        for given in &truths {
            expect_same(given.spec(), &truth, "the condition of a loop")?;
        }
        Ok(truths)
    })?;
    if let Some((variable, ..)) = test.assigned.first() {
        return type_error!(
            "the condition of a loop assigns a variable ({})",
            variable.spec()
        );
    }
    let mut region = trace::region(&specs, body)?;
    if region.graph.outputs.len() != count {
        return type_error!(
            "the body of a loop must give {count} states, got {}",
            region.graph.outputs.len()
        );
    }
    let mut carried = Carried::new(states, &mut region)?;
    let [condition, body] = [test, region].map(|region| {
        let states = (0..count).map(Feed::State);
        let feeds = states.chain(carried.feeds(&region.captured)).collect();
        Block::new(region.graph, feeds)
    });
    carried.apply(While {
        condition,
        body,
        most,
    })
}
