//! Reductions over any set of axes, and what resembles them: positions of extremes, running sums, log-sum-exp.
//!
//! A reduction is a list of passes. Each folds the middle axis of an array `[outer, n, inner]`, in blocks of rows, to one line
//! per block; the next pass folds these. Blocks depend on the shape alone, and so does the order inside one (eight rows at a
//! time as a tree, into 64 running results that are folded by halves), so a result has the same bits with any number of threads
//! and under any instruction set, and a float sum errs little more than a pairwise one.
mod arg;
mod cumulative;
mod fold;
mod logsumexp;
mod number;
#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use crate::DType;

pub use arg::{argmax, argmin};
pub use cumulative::{Running, cumprod, cumsum, recurrence};
pub use logsumexp::{LogSumExp, logsumexp};
pub use number::{Number, Reducible, Widen};

use fold::{Max, Min, Prod, Sum, Unit, fold_pass};

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Prod,
    Mean,
    /// The greatest element; NaN if there is one.
    Max,
    /// The least element; NaN if there is one.
    Min,
    /// Whether an element of an array of bools is true, as 0 or 1.
    Any,
    /// Whether every element of an array of bools is true, as 0 or 1.
    All,
}

/// One step of a reduction: folds `n` of an array `[outer, n, inner]`, by blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    outer: usize,
    n: usize,
    inner: usize,
}

impl Pass {
    /// Rows of a block: enough elements to be worth a unit of work, and enough rows to leave few lines.
    fn block(&self) -> usize {
        (16384 / self.inner.max(1)).max(256)
    }

    /// Blocks along `n`; an empty axis has one.
    fn blocks(&self) -> usize {
        self.n.div_ceil(self.block()).max(1)
    }

    /// Elements that the pass leaves.
    fn output_len(&self) -> usize {
        self.outer * self.blocks() * self.inner
    }
}

/// The passes that reduce `axes` of `shape`: at least one, innermost axis first.
fn passes(shape: &[usize], axes: &[usize]) -> SmallVec<[Pass; 4]> {
    // Runs of axes that are all reduced or all kept, outermost first.
    let mut runs: SmallVec<[(usize, bool); 8]> = SmallVec::new();
    for (axis, &size) in shape.iter().enumerate() {
        let reduced = axes.contains(&axis);
        match runs.last_mut() {
            _ if size == 1 => {}
            Some(run) if run.1 == reduced => run.0 *= size,
            _ => runs.push((size, reduced)),
        }
    }
    let mut passes = SmallVec::new();
    let mut inner = 1;
    while let Some((size, reduced)) = runs.pop() {
        if !reduced {
            inner *= size;
            continue;
        }
        let outer = runs.iter().map(|run| run.0).product();
        let mut n = size;
        loop {
            let pass = Pass { outer, n, inner };
            passes.push(pass);
            n = pass.blocks();
            if n == 1 {
                break;
            }
        }
    }
    if passes.is_empty() {
        passes.push(Pass {
            outer: 1,
            n: 1,
            inner,
        });
    }
    passes
}

/// Accumulators of scratch that [`reduce`] and [`logsumexp`] need.
pub fn reduce_scratch_len(dtype: DType, shape: &[usize], axes: &[usize]) -> usize {
    let passes = passes(shape, axes);
    // Two passes alternate between halves of the scratch; the first pass leaves the most. The last one leaves the output, but
    // for elements that are no accumulators.
    let narrow = matches!(dtype, DType::Float16 | DType::BFloat16);
    let kept = passes.len() - usize::from(!narrow);
    passes.iter().take(kept.min(2)).map(Pass::output_len).sum()
}

/// Reduces `axes` of an array of `shape` to `output`, the array of the other axes.
///
/// Nothing sums to 0 and multiplies to 1, its mean is NaN, and its extremes are the type's own.
///
/// # Panics
/// When a slice does not fit the shape, or the scratch is short.
pub fn reduce<E: Reducible>(
    reduction: Reduction,
    input: &[E],
    shape: &[usize],
    axes: &[usize],
    output: &mut [E],
    scratch: &mut [E::Accumulator],
) {
    let count = axes.iter().map(|&axis| shape[axis]).product::<usize>();
    check(input.len(), output.len(), shape, axes);
    let share = |x: E::Accumulator| x.div(count);
    let truth = |x: E::Accumulator| {
        if x == Number::ZERO {
            Number::ZERO
        } else {
            Number::ONE
        }
    };
    let finish: Option<&dyn Fn(E::Accumulator) -> E::Accumulator> = match reduction {
        Reduction::Mean => Some(&share),
        Reduction::Any | Reduction::All => Some(&truth),
        _ => None,
    };
    let (first, next): (
        FoldPass<E, E::Accumulator>,
        FoldPass<E::Accumulator, E::Accumulator>,
    ) = match reduction {
        Reduction::Sum | Reduction::Mean => (fold_pass::<Sum, _, _>, fold_pass::<Sum, _, _>),
        Reduction::Prod => (fold_pass::<Prod, _, _>, fold_pass::<Prod, _, _>),
        Reduction::Max | Reduction::Any => (fold_pass::<Max, _, _>, fold_pass::<Max, _, _>),
        Reduction::Min | Reduction::All => (fold_pass::<Min, _, _>, fold_pass::<Min, _, _>),
    };
    run_passes(
        &passes(shape, axes),
        input,
        output,
        scratch,
        first,
        next,
        finish,
    );
}

fn check(input_len: usize, output_len: usize, shape: &[usize], axes: &[usize]) {
    assert_eq!(
        input_len,
        shape.iter().product::<usize>(),
        "input of shape {shape:?}"
    );
    let kept = shape
        .iter()
        .enumerate()
        .filter(|(axis, _)| !axes.contains(axis))
        .map(|(_, size)| size);
    assert_eq!(
        output_len,
        kept.product::<usize>(),
        "output of {shape:?} without axes {axes:?}"
    );
}

/// What runs a pass.
type FoldPass<T, A> = fn(Pass, &[T], &mut [A]);

/// Runs the first of `passes` on `input` and each other one on what the last one left; `finish` is applied to the results.
fn run_passes<E: Reducible>(
    passes: &[Pass],
    input: &[E],
    output: &mut [E],
    scratch: &mut [E::Accumulator],
    first: FoldPass<E, E::Accumulator>,
    next: FoldPass<E::Accumulator, E::Accumulator>,
    finish: Option<&dyn Fn(E::Accumulator) -> E::Accumulator>,
) {
    let [start, rest @ ..] = passes else {
        unreachable!("a reduction has a pass")
    };
    if let ([], Some(results)) = (rest, E::as_accumulators(output)) {
        first(*start, input, results);
        return finish_all(results, finish);
    }
    let (mut from, mut to) = scratch.split_at_mut(start.output_len());
    first(*start, input, from);
    for (left, pass) in (0..rest.len()).rev().zip(rest) {
        if let (0, Some(results)) = (left, E::as_accumulators(output)) {
            next(*pass, from, results);
            return finish_all(results, finish);
        }
        let len = pass.output_len();
        next(*pass, from, &mut to[..len]);
        (from, to) = (&mut to[..len], from);
    }
    finish_all(from, finish);
    for (output, &result) in output.iter_mut().zip(from.iter()) {
        *output = E::narrow(result);
    }
}

fn finish_all<A: Number>(results: &mut [A], finish: Option<&dyn Fn(A) -> A>) {
    if let Some(finish) = finish {
        for result in results {
            *result = finish(*result);
        }
    }
}
