//! The steps forward.
use std::marker::PhantomData;
use std::ops::Range;

use simd::{Isa, Lanes, Level, Task, dispatch_at, level, prefetch};

use super::cells::{Formula, Gru, Lstm, SimpleRnn, load_parts, store_parts};
use super::{Cell, Operands, Recurrent, expect_len, stride, take};
use crate::gemm::{CACHE_LINE, Operand, Packed, multiply_rows, read_rows, register_bytes};
use crate::real::{Real, store_at};
use crate::threads::{Disjoint, Member, team};

/// What [`forward`] writes.
pub struct Outputs<'a, T> {
    /// The outputs, in the order they are made, `(batch, steps, units)`.
    pub sequence: &'a mut [T],
    /// The last states; the second one is empty where a cell has none.
    pub states: [&'a mut [T]; 2],
    /// What backward wants, `(batch, steps, kept * units)`, maybe nothing.
    pub kept: Option<&'a mut [T]>,
}

/// How the columns of a packed kernel lie: block by block of a register's units, the gates of a block side by side.
#[derive(Clone, Copy)]
struct Layout {
    gates: usize,
    units: usize,
    /// Units of a block.
    lanes: usize,
}

impl Layout {
    fn new<T>(level: Level, cell: Cell, units: usize) -> Layout {
        Layout {
            gates: cell.gates(),
            units,
            lanes: register_bytes(level) / size_of::<T>(),
        }
    }

    fn blocks(&self) -> usize {
        self.units.div_ceil(self.lanes)
    }

    /// The columns of so many blocks.
    fn columns(&self, blocks: usize) -> usize {
        blocks * self.gates * self.lanes
    }

    /// The units of some blocks.
    fn units(&self, blocks: &Range<usize>) -> Range<usize> {
        blocks.start * self.lanes..self.units.min(blocks.end * self.lanes)
    }
}

/// The recurrent kernel `(units, gates * units)` in that order.
struct ByBlocks<'a, T>(Layout, &'a [T]);

impl<T: Real> Operand<T> for ByBlocks<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        let ByBlocks(layout, kernel) = *self;
        panel.fill(T::default());
        let first = lines.start / layout.lanes;
        for (row, to) in depth.zip(panel.chunks_exact_mut(width)) {
            let from = &kernel[row * layout.gates * layout.units..];
            let parts = to[..lines.len()].chunks_exact_mut(layout.lanes);
            for (i, part) in parts.enumerate() {
                let (block, gate) = ((first + i) / layout.gates, (first + i) % layout.gates);
                let units = layout.units(&(block..block + 1));
                let from = &from[gate * layout.units..][units.clone()];
                part[..units.len()].copy_from_slice(from);
            }
        }
    }
}

/// Items of a packed recurrent kernel.
pub fn packed_len<T: Real>(cell: Cell, units: usize) -> usize {
    let layout = Layout::new::<T>(level(), cell, units);
    Packed::<T>::len(level(), layout.columns(layout.blocks()), units)
}

/// Packs the recurrent kernel `(units, gates * units)` for [`forward`] into items that had best start at a cache line.
///
/// # Panics
/// When the kernel has not that length, or there are fewer than [`packed_len`] items.
pub fn pack<T: Real>(cell: Cell, units: usize, kernel: &[T], items: &mut [T]) {
    expect_len(Some(kernel), units * units * cell.gates());
    let layout = Layout::new::<T>(level(), cell, units);
    let columns = layout.columns(layout.blocks());
    Packed::pack(level(), &ByBlocks(layout, kernel), columns, units, items);
}

/// Items of scratch of a row: the state twice, the carry, the product with the state.
fn row_len<T>(this: &Recurrent) -> usize {
    let layout = Layout::new::<T>(level(), this.cell, this.units);
    let blocks = layout.blocks();
    2 * stride(this.units) + blocks * layout.lanes + layout.columns(blocks)
}

/// Items of scratch that [`forward`] wants.
pub fn forward_scratch_len<T: Real>(this: &Recurrent) -> usize {
    this.scratch_rows() * row_len::<T>(this)
}

/// Steps the cell through the sequences, with the recurrent kernel as [`pack`] lays it out. The scratch had best start at a cache
/// line.
///
/// # Panics
/// When a slice has not the length that the sizes ask for, or the scratch is too short.
pub fn forward<T: Real>(
    this: &Recurrent,
    packed: &[T],
    operands: &Operands<'_, T>,
    outputs: Outputs<'_, T>,
    scratch: &mut [T],
) {
    this.check(operands);
    expect_len(Some(packed), packed_len::<T>(this.cell, this.units));
    let state = this.batch * this.units;
    let Outputs {
        sequence,
        states: [h, c],
        kept,
    } = outputs;
    expect_len(Some(sequence), state * this.steps);
    expect_len(Some(h), state);
    expect_len(kept.as_deref(), state * this.steps * this.cell.kept());
    let level = level();
    let layout = Layout::new::<T>(level, this.cell, this.units);
    let has_kept = kept.is_some();
    let [sequence, h, c, kept, scratch] =
        [sequence, h, c, kept.unwrap_or_default(), scratch].map(Disjoint::new);
    let step: &(dyn Fn(Range<usize>, Option<&Member<'_>>) + Sync) = &|rows, member| {
        let lines = read_rows(rows.len());
        let first = rows.start * row_len::<T>(this);
        let state = lines * stride(this.units);
        let steps = Steps {
            this,
            layout,
            operands,
            panels: Packed::new(level, packed),
            rows,
            lines,
            blocks: own_blocks(layout.blocks(), member),
            sequence: &sequence,
            states: [&h, &c],
            kept: has_kept.then_some(&kept),
            scratch: &scratch,
            places: [first, first + state, first + 2 * state],
            member,
        };
        match this.cell {
            Cell::Lstm => dispatch_at(level, Forward(steps, Lstm)),
            Cell::Gru => dispatch_at(level, Forward(steps, Gru)),
            Cell::SimpleRnn => dispatch_at(level, Forward(steps, SimpleRnn)),
        }
    };
    let members = if has_kept { 1 } else { this.members() };
    if members < 2 {
        this.share_rows(|rows| step(rows, None));
    } else {
        let members = members.min(layout.blocks().div_ceil(2));
        team(members, &|member| step(0..this.batch, Some(member)));
    }
}

/// The blocks of a member: whole panels, which are at most two blocks of a gate wide.
fn own_blocks(blocks: usize, member: Option<&Member<'_>>) -> Range<usize> {
    let (index, count) = member.map_or((0, 1), |member| (member.index(), member.count()));
    let bound = |index: usize| blocks.min(blocks.div_ceil(2) * index / count * 2);
    bound(index)..bound(index + 1)
}

/// All steps of some units of some rows. What they write of a slice is theirs alone; the states before a step are read whole.
struct Steps<'a, T> {
    this: &'a Recurrent,
    layout: Layout,
    operands: &'a Operands<'a, T>,
    panels: Packed<'a, T>,
    rows: Range<usize>,
    /// Rows in scratch.
    lines: usize,
    blocks: Range<usize>,
    sequence: &'a Disjoint<'a, T>,
    states: [&'a Disjoint<'a, T>; 2],
    kept: Option<&'a Disjoint<'a, T>>,
    scratch: &'a Disjoint<'a, T>,
    /// Where the state before a step, the one behind it and what is not shared lie in scratch.
    places: [usize; 3],
    member: Option<&'a Member<'a>>,
}

struct Forward<'a, T, F>(Steps<'a, T>, F);

impl<T: Real, F: Formula> Task for Forward<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Steps {
            this,
            layout,
            operands,
            panels,
            rows,
            lines,
            blocks,
            sequence,
            states,
            kept,
            scratch,
            places: [mut before, mut after, own],
            member,
        } = self.0;
        let (units, width, steps) = (this.units, this.width(), this.steps);
        let state_stride = stride(units);
        let lanes = T::Lanes::<I>::LEN;
        let carry_stride = blocks.len() * lanes;
        let columns = layout.columns(blocks.len());
        // A part of scratch per member: its carries, its product.
        let own = own + lines * blocks.start * lanes * (1 + F::GATES);
        let len = lines * carry_stride * (1 + F::GATES);
        // SAFETY: parts of blocks are disjoint, and so are those of rows.
        let mut own = unsafe { scratch.slice_mut(own..own + len) };
        let c = take(&mut own, lines * carry_stride);
        let product = own;
        let mine = layout.units(&blocks);
        for (row, of) in rows.clone().enumerate() {
            let first = of * units;
            // SAFETY: the units of a member are its own.
            let h = unsafe {
                let start = before + row * state_stride;
                scratch.slice_mut(start + mine.start..start + mine.end)
            };
            h.copy_from_slice(&operands.states[0][first..][mine.clone()]);
            if F::CARRY {
                c[row * carry_stride..][..mine.len()]
                    .copy_from_slice(&operands.states[1][first..][mine.clone()]);
            }
        }
        for turn in 0..steps {
            if let Some(member) = member {
                member.meet();
            }
            let time = this.time(turn);
            // SAFETY: members that met write behind the step alone.
            let h = unsafe { scratch.slice(before..before + lines * state_stride) };
            multiply_rows(
                isa,
                [rows.len(), columns, units],
                h,
                state_stride,
                panels.after_columns(layout.columns(blocks.start), units),
                product,
                columns,
                false,
            );
            for (row, of) in rows.clone().enumerate() {
                let at = of * steps + time;
                let step = of * steps + turn;
                if of + 1 < rows.end {
                    // The next row's lies far away.
                    let x = operands.projected.as_ptr();
                    let x = x.wrapping_add((at + steps) * width);
                    for gate in 0..F::GATES {
                        for j in mine.clone().step_by(CACHE_LINE / size_of::<T>()) {
                            prefetch(x.wrapping_add(gate * units + j));
                        }
                    }
                }
                let next = after + row * state_stride + blocks.start * lanes;
                // SAFETY: the units of a member are its own; who keeps something is alone.
                let (next, output, kept) = unsafe {
                    let output = step * units;
                    (
                        scratch.slice_mut(next..next + carry_stride),
                        sequence.slice_mut(output + mine.start..output + mine.end),
                        kept.map(|kept| {
                            let len = F::KEPT * units;
                            kept.slice_mut(step * len..(step + 1) * len)
                        }),
                    )
                };
                let state = &h[row * state_stride + blocks.start * lanes..][..carry_stride];
                let c = &mut c[row * carry_stride..][..carry_stride];
                if this.counts(operands.mask, of, time) {
                    Gates::<F, T> {
                        formula: PhantomData,
                        units,
                        own: mine.clone(),
                        x: &operands.projected[at * width..][..width],
                        product: &product[row * columns..][..columns],
                        bias: operands.bias,
                        state,
                        next,
                        c,
                        output,
                        kept,
                    }
                    .apply(isa);
                    continue;
                }
                next.copy_from_slice(state);
                if turn == 0 || this.zero_output_for_mask {
                    output.fill(T::default());
                } else {
                    let last = (step - 1) * units;
                    // SAFETY: as above; it is another step.
                    let last = unsafe { sequence.slice(last + mine.start..last + mine.end) };
                    output.copy_from_slice(last);
                }
                if let (Some(kept), true) = (kept, F::CARRY) {
                    kept[(F::KEPT - 1) * units..][mine.clone()].copy_from_slice(&c[..mine.len()]);
                }
            }
            std::mem::swap(&mut before, &mut after);
        }
        for (row, of) in rows.enumerate() {
            let range = of * units + mine.start..of * units + mine.end;
            // SAFETY: the units of a member are its own.
            unsafe {
                let start = before + row * state_stride;
                let h = scratch.slice(start + mine.start..start + mine.end);
                states[0].slice_mut(range.clone()).copy_from_slice(h);
                if F::CARRY {
                    let c = &c[row * carry_stride..][..mine.len()];
                    states[1].slice_mut(range).copy_from_slice(c);
                }
            }
        }
    }
}

/// One row's gates of some units at one step.
struct Gates<'a, F, T> {
    formula: PhantomData<F>,
    units: usize,
    /// Which of them; the slices that are not of all gates are theirs.
    own: Range<usize>,
    x: &'a [T],
    product: &'a [T],
    bias: Option<&'a [T]>,
    state: &'a [T],
    next: &'a mut [T],
    c: &'a mut [T],
    output: &'a mut [T],
    kept: Option<&'a mut [T]>,
}

impl<F: Formula, T: Real> Gates<'_, F, T> {
    #[inline(always)]
    fn apply<I: Isa>(mut self, isa: I) {
        let (units, lanes) = (self.units, T::Lanes::<I>::LEN);
        for i in (0..self.own.len()).step_by(lanes) {
            let j = self.own.start + i;
            let x = load_parts::<T, I>(isa, self.x, F::GATES, units, j);
            // The gates of a block lie side by side.
            let p = &self.product[i * F::GATES..];
            let mut p = load_parts::<T, I>(isa, p, F::GATES, lanes, 0);
            if let Some(bias) = self.bias {
                let bias = load_parts::<T, I>(isa, bias, F::GATES, units, j);
                simd::unrolled!(GATE < F::GATES, {
                    p[GATE % 5] = p[GATE % 5] + bias[GATE % 5];
                });
            }
            let state = T::Lanes::<I>::load(isa, &self.state[i..]);
            let c = if F::CARRY {
                T::Lanes::<I>::load(isa, &self.c[i..])
            } else {
                state
            };
            let (h, c, kept) = F::forward::<T, I>(isa, &x, &p, state, c);
            h.store(&mut self.next[i..]);
            store_at::<T, I>(h, self.output, i);
            if F::CARRY {
                c.store(&mut self.c[i..]);
            }
            if let Some(to) = self.kept.as_deref_mut() {
                store_parts::<T, I>(&kept, to, F::KEPT, units, j);
            }
        }
    }
}
