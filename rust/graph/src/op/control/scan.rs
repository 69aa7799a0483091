//! Loops over the entries of sequences.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Block, Body, Carried, Feed, Operands, differentiated, zeros_in};
use crate::buffer::align_up;
use crate::emit::Emitter;
use crate::graph::{Graph, Index, Origin};
use crate::op::{Op, Operand, Run, Vjp, create, elementwise};
use crate::tensor::TensorMut;
use crate::trace;
use crate::{Bindings, Dim, Result, Shape, Spec, Specs, Value, Values, type_error};

/// Runs a body once per entry of its operands' first axis, handing a state on.
///
/// Operands: the first states, then what `Block::feeds` names. Results: the last states, then what the body gives besides,
/// stacked; with `keep` also each state as it was before each round, stacked.
#[derive(Clone, Debug)]
struct Scan {
    body: Block,
    states: usize,
    length: Dim,
    reverse: bool,
    keep: bool,
}

impl Scan {
    fn stacked(&self, spec: &Spec) -> Spec {
        let sizes = std::iter::once(self.length.clone()).chain(spec.shape.iter().cloned());
        spec.with_shape(sizes.collect::<Shape>())
    }

    /// How many results the body gives besides the states.
    fn entries(&self) -> usize {
        self.body.graph.outputs.len() - self.states
    }
}

impl Op for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn infer(&self, _inputs: &[&Spec]) -> Result<Specs> {
        let results = 0..self.body.graph.outputs.len();
        let mut specs: Specs = results
            .map(|i| match i < self.states {
                true => self.body.output(i).clone(),
                false => self.stacked(self.body.output(i)),
            })
            .collect();
        if self.keep {
            specs.extend((0..self.states).map(|i| self.stacked(self.body.output(i))));
        }
        Ok(specs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        let rounds = run.dim(&self.length).max(0) as usize;
        let layout = self.body.plan()?.layout_for(run.bindings)?;
        let results = &self.body.plan()?.graph().outputs;
        let inputs = run.inputs;
        let addresses: SmallVec<[*mut u8; 16]> =
            run.outputs.iter_mut().map(TensorMut::address).collect();
        // Two places for each state, used in turns.
        let mut places: SmallVec<[[*mut u8; 2]; 8]> = SmallVec::new();
        let mut scratch = std::mem::take(&mut run.scratch);
        for &state in &results[..self.states] {
            let mut place = || {
                let bytes = align_up(layout.operand(state).bytes());
                let (place, rest) = std::mem::take(&mut scratch).split_at_mut(bytes);
                scratch = rest;
                place.as_mut_ptr()
            };
            places.push([place(), place()]);
        }
        let bytes_of = |i: usize| layout.operand(results[i]).bytes();
        let state_at = |state: usize, round: usize| -> *const u8 {
            match round {
                0 => inputs[state].address(),
                _ => places[state][round % 2].cast_const(),
            }
        };
        for round in 0..rounds {
            let at = if self.reverse {
                rounds - 1 - round
            } else {
                round
            };
            if self.keep {
                let kept = &addresses[self.states + self.entries()..];
                for (state, to) in kept.iter().enumerate() {
                    let bytes = bytes_of(state);
                    // SAFETY: entry `at` of the stacked states, and a state; they are different memory.
                    unsafe {
                        state_at(state, round).copy_to_nonoverlapping(to.add(at * bytes), bytes)
                    };
                }
            }
            let feed = |feed: Feed| match feed {
                Feed::Operand(i) => inputs[i].address(),
                Feed::State(i) => state_at(i, round),
                Feed::Entry(i) => inputs[i]
                    .address()
                    .wrapping_add(at * (inputs[i].bytes().len() / rounds)),
            };
            let mut outputs: SmallVec<[TensorMut<'_>; 16]> = results
                .iter()
                .enumerate()
                .map(|(i, &result)| {
                    let operand = layout.operand(result);
                    let to = if i >= self.states {
                        addresses[i].wrapping_add(at * operand.bytes())
                    } else if round + 1 == rounds {
                        addresses[i]
                    } else {
                        places[i][(round + 1) % 2]
                    };
                    // SAFETY: a result, an entry of one, or the place of a state that this round does not read.
                    unsafe { TensorMut::new(operand.dtype, operand.shape, to) }
                })
                .collect();
            self.body.run(scratch, &layout, &feed, &mut outputs)?;
        }
        if rounds == 0 {
            for (state, to) in addresses[..self.states].iter().enumerate() {
                // SAFETY: an operand and a result of one spec, which are different memory.
                unsafe {
                    inputs[state]
                        .address()
                        .copy_to_nonoverlapping(*to, bytes_of(state))
                };
            }
        }
        Ok(())
    }

    fn scratch(&self, _: &[Operand<'_>], outputs: &[Operand<'_>], bindings: &Bindings) -> usize {
        let states = outputs[..self.states].iter();
        let states: usize = states.map(|state| 2 * align_up(state.bytes())).sum();
        states + self.body.arena(bindings)
    }

    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        (!self.keep).then(|| {
            Arc::new(Scan {
                keep: true,
                ..self.clone()
            }) as Arc<dyn Op>
        })
    }

    fn visible_outputs(&self) -> usize {
        self.body.graph.outputs.len()
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let body = &self.body;
        let (states, entries) = (self.states, self.entries());
        let fits = |spec: &Spec| spec.dtype.is_float() || spec.dtype.is_complex();
        // Gradients travel back through every state that has one, whoever wants them.
        let travels: Vec<bool> = (0..states).map(|i| fits(body.output(i))).collect();
        let reached: Vec<bool> = (0..states + entries)
            .map(|i| {
                if i < states {
                    travels[i]
                } else {
                    vjp.grads[i].is_some()
                }
            })
            .collect();
        let wanted: Vec<bool> = body
            .feeds
            .iter()
            .map(|feed| match *feed {
                Feed::State(i) => travels[i],
                Feed::Operand(i) | Feed::Entry(i) => vjp.wanted[i],
            })
            .collect();
        let mut graph = differentiated(&body.graph, &wanted, &reached)?;

        // States of the loop backward: the gradients of the states, then the sums of those of what every round uses.
        let mut first = Vec::new();
        let mut number = vec![None; states];
        for state in (0..states).filter(|&state| travels[state]) {
            number[state] = Some(first.len());
            first.push(match &vjp.grads[state] {
                Some(gradient) => gradient.clone(),
                None => create::zeros_like(e, &vjp.outputs[state])?,
            });
        }
        let mut order: Vec<Index> = Vec::new();
        let (mut sums, mut parts) = (Vec::new(), Vec::new());
        let own: Vec<Feed> = (body.feeds.iter().zip(&wanted))
            .filter_map(|(feed, wanted)| wanted.then_some(*feed))
            .collect();
        let of_state = |state: usize| {
            own.iter()
                .position(|f| matches!(f, Feed::State(i) if *i == state))
        };
        let gradients = graph.outputs.clone();
        // What is added to gradients: the sum so far, or what reaches the stacked states by themselves.
        enum Added {
            Sum(usize),
            Kept(usize),
        }
        let mut added = Vec::new();
        let mut plus = |graph: &mut Graph, gradient: Index, what: Added| {
            added.push(what);
            let spec = graph.spec(gradient).clone();
            let more = graph.push_value(spec.clone(), Origin::Input(graph.inputs.len()));
            graph.inputs.push(more);
            let add = elementwise::Elementwise::op(kernels::elementwise::Op::Add);
            graph.push_node(add, [more, gradient], [spec], Arc::from(""))[0]
        };
        for state in (0..states).filter(|&state| travels[state]) {
            let gradient = match of_state(state) {
                Some(place) => gradients[place],
                None => zeros_in(&mut graph, body.output(state))?,
            };
            order.push(match vjp.grads[states + entries + state] {
                Some(_) => plus(&mut graph, gradient, Added::Kept(state)),
                None => gradient,
            });
        }
        for (feed, &gradient) in own.iter().zip(&gradients) {
            match *feed {
                Feed::Operand(i) => {
                    sums.push(i);
                    first.push(create::zeros_like(e, &vjp.inputs[i])?);
                    order.push(plus(&mut graph, gradient, Added::Sum(first.len() - 1)));
                }
                Feed::Entry(i) => parts.push((i, gradient)),
                Feed::State(_) => {}
            }
        }
        let backward = first.len();
        order.extend(parts.iter().map(|(_, gradient)| *gradient));
        graph.outputs = order;

        let mut operands = Operands(first);
        let mut feeds: Vec<Feed> = Vec::new();
        for feed in &body.feeds {
            feeds.push(match *feed {
                Feed::State(i) => Feed::Entry(operands.place(&vjp.outputs[states + entries + i])),
                Feed::Entry(i) => Feed::Entry(operands.place(&vjp.inputs[i])),
                Feed::Operand(i) => Feed::Operand(operands.place(&vjp.inputs[i])),
            });
        }
        for i in (0..states + entries).filter(|&i| reached[i]) {
            feeds.push(match (number.get(i).copied().flatten(), &vjp.grads[i]) {
                (Some(state), _) => Feed::State(state),
                (None, Some(gradient)) => Feed::Entry(operands.place(gradient)),
                (None, None) => unreachable!("no gradient reaches it"),
            });
        }
        for added in added {
            feeds.push(match (&added, &vjp.grads) {
                (Added::Sum(state), _) => Feed::State(*state),
                (Added::Kept(state), grads) => match &grads[states + entries + state] {
                    Some(gradient) => Feed::Entry(operands.place(gradient)),
                    None => unreachable!("no gradient reaches it"),
                },
            });
        }
        let results = operands.apply(Scan {
            body: Block::new(graph, feeds),
            states: backward,
            length: self.length.clone(),
            reverse: !self.reverse,
            keep: false,
        })?;
        let mut result = vec![None; vjp.inputs.len()];
        for (state, number) in number.iter().enumerate() {
            if let Some(number) = number {
                result[state] = Some(results[*number].clone());
            }
        }
        let rest = sums.iter().chain(parts.iter().map(|(i, _)| i));
        for (&i, value) in rest.zip(&results[backward - sums.len()..]) {
            result[i] = Some(value.clone());
        }
        Ok(result)
    }

    fn is_symbolic(&self) -> bool {
        self.length.is_symbolic()
    }

    fn is_stateful(&self) -> bool {
        true
    }
}

/// Calls a body `length` times, on its own first results and on the entries of `sequences` along their first axis.
///
/// The body takes the states, then one entry of each sequence; it gives the new states, then what is stacked. The results
/// are the last states, then the stacked ones. With `reverse` the last entries come first.
///
/// # Errors
/// `Error::Type` when a state changes dtype or shape; those of the body.
pub fn scan(
    states: &[Value],
    sequences: &[Value],
    length: &Dim,
    reverse: bool,
    body: Body<'_>,
) -> Result<Values> {
    let count = states.len();
    let mut specs: Vec<Spec> = states.iter().map(|state| state.spec().clone()).collect();
    for sequence in sequences {
        let Some((first, rest)) = sequence.shape().split_first() else {
            return type_error!("a scan goes over the first axis; a scalar has none");
        };
        if first != length {
            trace::assume_equal(first, length);
        }
        specs.push(sequence.spec().with_shape(Shape(rest.into())));
    }
    let mut region = trace::region(&specs, body)?;
    let entries = match region.graph.outputs.len() >= count {
        true => region.graph.outputs.split_off(count),
        false => return type_error!("the body of a scan gives {count} states"),
    };
    let mut carried = Carried::new(states, &mut region)?;
    let all = region.graph.outputs.len();
    region.graph.outputs.extend(&entries);
    let mut feeds: Vec<Feed> = (0..count).map(Feed::State).collect();
    for sequence in sequences {
        carried.operands.0.push(sequence.clone());
        feeds.push(Feed::Entry(carried.operands.0.len() - 1));
    }
    feeds.extend(carried.feeds(&region.captured));
    carried.apply(Scan {
        body: Block::new(region.graph, feeds),
        states: all,
        length: length.clone(),
        reverse,
        keep: false,
    })
}
