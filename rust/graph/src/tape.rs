//! Tapes: what was computed while they ran, played backward by the ops' gradient rules.
//!
//! The rules apply ops through the one dispatch, so outer tapes record them (gradients of gradients) and a running
//! trace records them as part of its graph.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use smallvec::SmallVec;

use crate::emit::{Dispatch, Emitter};
use crate::op::{GradientRule, Vjp, elementwise};
use crate::{Error, Result, Value, Values, Variable};

/// One recorded call.
struct Entry {
    rule: Rc<dyn GradientRule>,
    inputs: SmallVec<[Value; 4]>,
    outputs: Values,
}

/// Hashes identities, which are counted and so need no protection from collisions.
#[derive(Default)]
struct ByIdentity(u64);

impl Hasher for ByIdentity {
    fn write_u64(&mut self, id: u64) {
        // A table chooses the place by the low bits, and tells its neighbours apart by the highest.
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("identities are u64")
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Ids = HashSet<u64, BuildHasherDefault<ByIdentity>>;
type ById<T> = HashMap<u64, T, BuildHasherDefault<ByIdentity>>;

struct State {
    watch_variables: bool,
    /// Identities of values whose changes matter: watched ones, reads of watched variables, and what came of them.
    watched: Ids,
    watched_variables: Ids,
    /// The values that each variable was read as.
    reads: ById<Vec<Value>>,
    entries: Vec<Entry>,
}

/// A record of differentiable computation on this thread.
#[derive(Clone)]
pub struct Tape(Rc<RefCell<State>>);

/// What a gradient is taken with respect to.
pub enum Source {
    /// A watched value.
    Value(Value),
    /// A variable, by all its reads.
    Variable(Variable),
}

thread_local! {
    /// The tapes that record now, outermost first.
    static RUNNING: RefCell<Vec<Tape>> = const { RefCell::new(Vec::new()) };
    /// What variables were assigned while tapes run, and their versions then: a read gives that very value, so that a
    /// gradient passes through the assignment as it does in a trace.
    static ASSIGNED: RefCell<Vec<(u64, u64, Value)>> = const { RefCell::new(Vec::new()) };
}

fn running() -> SmallVec<[Tape; 2]> {
    RUNNING.with(|tapes| tapes.borrow().iter().cloned().collect())
}

/// Whether a running tape watches one of these values.
pub(crate) fn is_watching(inputs: &[&Value]) -> bool {
    RUNNING.with(|tapes| {
        tapes
            .borrow()
            .iter()
            .any(|tape| inputs.iter().any(|value| tape.is_watching(value)))
    })
}

/// Whether any tape runs on this thread.
pub fn is_running() -> bool {
    RUNNING.with(|tapes| !tapes.borrow().is_empty())
}

/// Records a call on every tape that watches one of its inputs.
pub fn record(rule: Rc<dyn GradientRule>, inputs: SmallVec<[Value; 4]>, outputs: &Values) {
    let mut watching: SmallVec<[Tape; 2]> = running();
    watching.retain(|tape| inputs.iter().any(|value| tape.is_watching(value)));
    for tape in watching {
        let mut state = tape.0.borrow_mut();
        for output in outputs {
            if output.dtype().is_float() || output.dtype().is_complex() {
                state.watched.insert(output.id());
            }
        }
        let entry = Entry {
            rule: rule.clone(),
            inputs: inputs.clone(),
            outputs: outputs.clone(),
        };
        state.entries.push(entry);
    }
}

/// Tells the running tapes that a variable was read as this value.
pub(crate) fn note_read(variable: &Variable, value: &Value) {
    for tape in running() {
        let mut state = tape.0.borrow_mut();
        let watched = state.watched_variables.contains(&variable.id())
            || (state.watch_variables && variable.trainable());
        if watched && (variable.dtype().is_float() || variable.dtype().is_complex()) {
            // A known read; or what was assigned, and computed from earlier reads, counts through them.
            if !state.watched.insert(value.id()) {
                continue;
            }
            let reads = state.reads.entry(variable.id()).or_default();
            reads.push(value.clone());
        }
    }
}

/// Tells the running tapes that a variable holds this value now.
pub(crate) fn note_assign(variable: &Variable, value: &Value) {
    if is_running() {
        ASSIGNED.with(|assigned| {
            let mut assigned = assigned.borrow_mut();
            assigned.retain(|(id, ..)| *id != variable.id());
            assigned.push((variable.id(), variable.version(), value.clone()));
        });
    }
}

/// The value that a variable was assigned while tapes run, unless it was changed since.
pub(crate) fn assigned(variable: &Variable) -> Option<Value> {
    if !is_running() {
        return None;
    }
    ASSIGNED.with(|assigned| {
        let assigned = assigned.borrow();
        let (_, version, value) = assigned.iter().find(|(id, ..)| *id == variable.id())?;
        (*version == variable.version()).then(|| value.clone())
    })
}

impl Tape {
    /// A tape that does not record yet.
    pub fn new(watch_variables: bool) -> Tape {
        Tape(Rc::new(RefCell::new(State {
            watch_variables,
            watched: Ids::default(),
            watched_variables: Ids::default(),
            reads: ById::default(),
            entries: Vec::new(),
        })))
    }

    /// Starts, or goes on, recording.
    pub fn start(&self) {
        RUNNING.with(|tapes| tapes.borrow_mut().push(self.clone()));
    }

    /// Stops recording.
    pub fn stop(&self) {
        RUNNING.with(|tapes| {
            tapes
                .borrow_mut()
                .retain(|tape| !Rc::ptr_eq(&tape.0, &self.0))
        });
        if !is_running() {
            ASSIGNED.with(|assigned| assigned.borrow_mut().clear());
        }
    }

    /// Whether it records now.
    pub fn is_recording(&self) -> bool {
        RUNNING.with(|tapes| {
            tapes
                .borrow()
                .iter()
                .any(|tape| Rc::ptr_eq(&tape.0, &self.0))
        })
    }

    /// Forgets everything.
    pub fn reset(&self) {
        let mut state = self.0.borrow_mut();
        state.watched.clear();
        state.reads.clear();
        state.entries.clear();
    }

    /// Whether gradients reach this value.
    pub(crate) fn is_watching(&self, value: &Value) -> bool {
        self.0.borrow().watched.contains(&value.id())
    }

    /// Takes gradients with respect to this value from now on.
    pub fn watch(&self, value: &Value) {
        self.0.borrow_mut().watched.insert(value.id());
    }

    /// Takes gradients with respect to this variable's reads from now on.
    pub fn watch_variable(&self, variable: &Variable) {
        self.0.borrow_mut().watched_variables.insert(variable.id());
    }

    /// The identities of the variables that were read and watched, in no particular order.
    pub fn watched_variables(&self) -> Vec<u64> {
        self.0.borrow().reads.keys().copied().collect()
    }

    /// The gradients of the sum of `targets`, each weighted by its entry of `seeds` (ones where `None`), with respect to
    /// each source; `None` where a source does not reach the targets.
    ///
    /// # Errors
    /// Those of the gradient rules.
    pub fn gradient(
        &self,
        targets: &[Value],
        seeds: &[Option<Value>],
        sources: &[Source],
    ) -> Result<Vec<Option<Value>>> {
        let e: &mut dyn Emitter = &mut Dispatch;
        // The entries are held by the tape while rules run; rules may record on this very tape if it still runs.
        let entries = std::mem::take(&mut self.0.borrow_mut().entries);
        let result = self.play(e, &entries, targets, seeds, sources);
        let mut state = self.0.borrow_mut();
        let newer = std::mem::replace(&mut state.entries, entries);
        state.entries.extend(newer);
        result
    }

    fn play(
        &self,
        e: &mut dyn Emitter,
        entries: &[Entry],
        targets: &[Value],
        seeds: &[Option<Value>],
        sources: &[Source],
    ) -> Result<Vec<Option<Value>>> {
        let reads: Vec<Vec<Value>> = sources
            .iter()
            .map(|source| match source {
                Source::Value(value) => vec![value.clone()],
                Source::Variable(variable) => self
                    .0
                    .borrow()
                    .reads
                    .get(&variable.id())
                    .cloned()
                    .unwrap_or_default(),
            })
            .collect();
        // What depends on a source, walking forward.
        let mut reached: Ids = reads.iter().flatten().map(Value::id).collect();
        let kept: Ids = reached.clone();
        let useful: Vec<bool> = entries
            .iter()
            .map(|entry| {
                let useful = entry
                    .inputs
                    .iter()
                    .any(|input| reached.contains(&input.id()));
                if useful {
                    reached.extend(
                        entry
                            .outputs
                            .iter()
                            .filter(|o| o.dtype().is_float() || o.dtype().is_complex())
                            .map(Value::id),
                    );
                }
                useful
            })
            .collect();
        let mut grads: ById<Value> = ById::default();
        for (target, seed) in targets.iter().zip(seeds) {
            if !target.dtype().is_float() && !target.dtype().is_complex() {
                continue;
            }
            let seed = match seed {
                Some(seed) => seed.clone(),
                None => elementwise::ones_like(e, target)?,
            };
            accumulate(e, &mut grads, target, seed)?;
        }
        for (entry, useful) in entries.iter().zip(useful).rev() {
            if !useful
                || !entry
                    .outputs
                    .iter()
                    .any(|output| grads.contains_key(&output.id()))
            {
                continue;
            }
            let output_grads: SmallVec<[Option<Value>; 2]> = entry
                .outputs
                .iter()
                .map(|output| {
                    // A source's own gradient stays; anything else's is used up here.
                    if kept.contains(&output.id()) {
                        grads.get(&output.id()).cloned()
                    } else {
                        grads.remove(&output.id())
                    }
                })
                .collect();
            let wanted: SmallVec<[bool; 4]> = entry
                .inputs
                .iter()
                .map(|input| reached.contains(&input.id()))
                .collect();
            let vjp = Vjp {
                inputs: &entry.inputs,
                outputs: &entry.outputs,
                grads: &output_grads,
                wanted: &wanted,
            };
            let input_grads = entry
                .rule
                .vjp(e, &vjp)
                .map_err(|error| error.in_op(entry.rule.name()))?;
            if input_grads.len() != entry.inputs.len() {
                return Err(Error::Internal(format!(
                    "the gradient rule of `{}` gave {} gradients for {} operands",
                    entry.rule.name(),
                    input_grads.len(),
                    entry.inputs.len()
                )));
            }
            for ((input, grad), wanted) in entry.inputs.iter().zip(input_grads).zip(&wanted) {
                if let (Some(grad), true) = (grad, wanted) {
                    accumulate(e, &mut grads, input, grad)?;
                }
            }
        }
        reads
            .iter()
            .map(|reads| {
                let mut total: Option<Value> = None;
                for read in reads {
                    let Some(grad) = grads.get(&read.id()) else {
                        continue;
                    };
                    total = Some(match total {
                        Some(sum) => elementwise::add(e, &sum, grad)?,
                        None => grad.clone(),
                    });
                }
                Ok(total)
            })
            .collect()
    }
}

fn accumulate(e: &mut dyn Emitter, grads: &mut ById<Value>, of: &Value, grad: Value) -> Result<()> {
    let total = match grads.get(&of.id()) {
        Some(sum) => elementwise::add(e, sum, &grad)?,
        None => grad,
    };
    grads.insert(of.id(), total);
    Ok(())
}

/// Runs `body` while no tape records.
pub fn stop_recording<T>(body: impl FnOnce() -> T) -> T {
    let held = pause();
    let result = body();
    resume(held);
    result
}

/// Stops every tape of this thread; `resume` lets them go on.
pub fn pause() -> Vec<Tape> {
    RUNNING.with(|tapes| std::mem::take(&mut *tapes.borrow_mut()))
}

/// Lets the tapes go on that `pause` stopped.
pub fn resume(tapes: Vec<Tape>) {
    RUNNING.with(|running| *running.borrow_mut() = tapes);
}
