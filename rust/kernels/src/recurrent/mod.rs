//! Recurrent cells stepped along sequences, and back through time.
//!
//! The inputs come projected: `x W + b` of all steps is one product outside. A step multiplies the state by the packed recurrent
//! kernel and applies the gates in one pass over lanes. Rows of the batch do not depend on each other, so threads share rows and
//! each goes through all steps of its own without meeting the others. Forward, few rows are bound by reading the kernel: a team of
//! threads shares the units instead, each reads its own part of the kernel, and they meet at every step. The bits do not depend on
//! who computes what.
//!
//! # Masks and order
//!
//! A step that the mask leaves out keeps the states; its output repeats the one before (zeros at first), or is zero. Backwards,
//! steps are read from the last one on, and outputs stand in the order they are made.
mod backward;
mod cells;
mod forward;
#[cfg(test)]
mod tests;

pub use backward::{Gradients, Results, backward, backward_scratch_len};
pub use forward::{Outputs, forward, forward_scratch_len, pack, packed_len};

use std::ops::Range;

use crate::gemm::read_rows;
use crate::real::Real;
use crate::threads::{Disjoint, num_threads, parallel_for};

/// What is stepped, with the activations tanh and sigmoid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Gates i, f, c, o; states h and c (Hochreiter and Schmidhuber, Long Short-Term Memory, 1997).
    Lstm,
    /// Gates z, r, h, the reset gate applied behind the product with the state (Cho et al., 2014).
    Gru,
    /// `h = tanh(x + h R)`.
    SimpleRnn,
}

impl Cell {
    /// The cells by their names.
    pub const ALL: [(&str, Cell); 3] = [
        ("lstm", Cell::Lstm),
        ("gru", Cell::Gru),
        ("simple_rnn", Cell::SimpleRnn),
    ];

    /// The cell of that name.
    pub fn from_name(name: &str) -> Option<Cell> {
        let (_, cell) = Cell::ALL.into_iter().find(|(n, _)| *n == name)?;
        Some(cell)
    }

    /// The gates: the columns of the recurrent kernel are so many times the units.
    pub const fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::SimpleRnn => 1,
        }
    }

    /// The number of states.
    pub const fn states(self) -> usize {
        match self {
            Cell::Lstm => 2,
            Cell::Gru | Cell::SimpleRnn => 1,
        }
    }

    /// What backward wants of each step: so many times the units.
    pub const fn kept(self) -> usize {
        match self {
            Cell::Lstm => 5,
            Cell::Gru => 4,
            Cell::SimpleRnn => 0,
        }
    }
}

/// A cell along sequences of some size.
#[derive(Clone, Copy, Debug)]
pub struct Recurrent {
    /// What is stepped.
    pub cell: Cell,
    /// The number of sequences.
    pub batch: usize,
    /// Their length.
    pub steps: usize,
    /// The size of a state.
    pub units: usize,
    /// Whether the sequences are read from their ends.
    pub go_backwards: bool,
    /// Whether the output of a masked step is zero; it repeats the one before otherwise.
    pub zero_output_for_mask: bool,
}

/// What both passes read, rows of the batch one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a, T> {
    /// The inputs' part of the gates, `(batch, steps, gates * units)`.
    pub projected: &'a [T],
    /// The first states, `(batch, units)`; the second one is empty where a cell has none.
    pub states: [&'a [T]; 2],
    /// What a GRU adds to its product with the state, `(gates * units)`.
    pub bias: Option<&'a [T]>,
    /// Which steps count (not zero), `(batch, steps)`.
    pub mask: Option<&'a [u8]>,
}

impl Recurrent {
    /// The columns of the recurrent kernel.
    fn width(&self) -> usize {
        self.cell.gates() * self.units
    }

    /// Where in its sequence the step of that turn stands.
    fn time(&self, turn: usize) -> usize {
        if self.go_backwards {
            self.steps - 1 - turn
        } else {
            turn
        }
    }

    /// Whether a step counts.
    fn counts(&self, mask: Option<&[u8]>, row: usize, time: usize) -> bool {
        mask.is_none_or(|mask| mask[row * self.steps + time] != 0)
    }

    /// Panics unless every operand has its size.
    fn check<T>(&self, operands: &Operands<'_, T>) {
        let state = self.batch * self.units;
        assert_eq!(
            operands.projected.len(),
            state * self.steps * self.cell.gates()
        );
        assert_eq!(operands.states[0].len(), state);
        if self.cell.states() > 1 {
            assert_eq!(operands.states[1].len(), state);
        }
        assert!(operands.bias.is_none_or(|bias| bias.len() == self.width()));
        assert!(
            operands
                .mask
                .is_none_or(|mask| mask.len() == self.batch * self.steps)
        );
    }

    /// Rows that lie in scratch.
    fn scratch_rows(&self) -> usize {
        read_rows(self.batch).max(1)
    }

    /// Multiply-adds of a step.
    fn step_macs(&self) -> usize {
        [self.batch, self.units, self.width()]
            .into_iter()
            .fold(1, usize::saturating_mul)
    }

    /// The threads that are worth sharing the units: few rows each would read the whole kernel at every step.
    fn members(&self) -> usize {
        let threads = num_threads();
        if self.batch >= FEW_ROWS * threads || self.steps < LEAST_STEPS {
            return 1;
        }
        threads.min(self.step_macs() / MEMBER_MACS)
    }

    /// Calls `body` on ranges of rows, on several threads when there is work for them.
    fn share_rows(&self, body: impl Fn(Range<usize>) + Sync) {
        if self.batch == 0 {
            return;
        }
        let macs = self.step_macs().saturating_mul(self.steps);
        let threads = num_threads().min(macs / PART_MACS).max(1);
        let parts = threads.max(self.batch.div_ceil(MOST_ROWS));
        let rows = read_rows(self.batch.div_ceil(parts));
        parallel_for(self.batch.div_ceil(rows), 1, |range| {
            for part in range {
                body(part * rows..self.batch.min((part + 1) * rows));
            }
        });
    }
}

/// Multiply-adds of all steps that are worth waking a thread for: about 20 microseconds of a core.
const PART_MACS: usize = if cfg!(test) { 64 } else { 1 << 20 };

/// Multiply-adds of a step that are worth a member of a team: meeting takes a fifth of a microsecond.
const MEMBER_MACS: usize = if cfg!(test) { 64 } else { 1 << 12 };

/// Steps that are worth gathering a team for.
const LEAST_STEPS: usize = if cfg!(test) { 2 } else { 16 };

/// Fewer rows than these are bound by reading the kernel.
const FEW_ROWS: usize = 4;

/// Rows that go through all steps together: more use each item of the kernel more often, fewer stay in the second-level cache.
const MOST_ROWS: usize = 64;

/// From one row to the next in scratch: whole cache lines, and an odd one, as rows at multiples of a page share few sets of the
/// cache.
fn stride(len: usize) -> usize {
    len.next_multiple_of(16) + 16
}

/// Cuts `count` items off a slice.
fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (part, rest) = std::mem::take(slice).split_at_mut(count);
    *slice = rest;
    part
}

/// The items of some rows of `len` items each.
///
/// # Panics
/// When they leave the slice.
///
/// # Safety
/// No other rows given out overlap.
#[allow(clippy::mut_from_ref)]
unsafe fn part<'s, T>(of: &'s Disjoint<'_, T>, rows: &Range<usize>, len: usize) -> &'s mut [T] {
    // SAFETY: the caller's promise.
    unsafe { of.slice_mut(rows.start * len..rows.end * len) }
}

/// Panics unless the length of what is there is right.
fn expect_len<T: Real>(what: Option<&[T]>, len: usize) {
    assert!(what.is_none_or(|what| what.len() == len), "{len} items");
}
