//! The steps forward.
use std::ops::Range;

use simd::{Isa, Lanes, Task, dispatch_at, level};

use super::cells::{Formula, Gru, Lstm, SimpleRnn, load_parts, store_parts};
use super::{Cell, Operands, Recurrent, expect_len, part, stride, take};
use crate::gemm::{Packed, Strided, multiply_rows, read_rows};
use crate::real::{Real, load_at, store_at};
use crate::threads::Disjoint;

/// What [`forward`] writes.
pub struct Outputs<'a, T> {
    /// The outputs, in the order they are made, `(batch, steps, units)`.
    pub sequence: &'a mut [T],
    /// The last states; the second one is empty where a cell has none.
    pub states: [&'a mut [T]; 2],
    /// What backward wants, `(batch, steps, kept * units)`, maybe nothing.
    pub kept: Option<&'a mut [T]>,
}

/// Items of scratch of a row: the states, the product with the state.
fn row_len(this: &Recurrent) -> usize {
    2 * stride(this.units) + stride(this.width())
}

/// Items of scratch that [`forward`] wants.
pub fn forward_scratch_len<T: Real>(this: &Recurrent) -> usize {
    let panels = Packed::<T>::len(level(), this.width(), this.units);
    panels + this.scratch_rows() * row_len(this)
}

/// Steps the cell through the sequences. The scratch had best start at a cache line.
///
/// # Panics
/// When a slice has not the length that the sizes ask for, or the scratch is too short.
pub fn forward<T: Real>(
    this: &Recurrent,
    operands: &Operands<'_, T>,
    outputs: Outputs<'_, T>,
    scratch: &mut [T],
) {
    this.check(operands);
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
    let (units, width) = (this.units, this.width());
    let (panels, scratch) = scratch.split_at_mut(Packed::<T>::len(level, width, units));
    let kernel = Strided::right(operands.kernel, units, width, false);
    let panels = Packed::pack(level, &kernel, width, units, panels);
    let has_kept = kept.is_some();
    let [sequence, h, c, kept, scratch] =
        [sequence, h, c, kept.unwrap_or_default(), scratch].map(Disjoint::new);
    this.share_rows(|rows| {
        let lines = rows.start..rows.start + read_rows(rows.len());
        // SAFETY: ranges of rows are disjoint; they start at even rows, so the rows that are read with them are too.
        let steps = unsafe {
            Steps {
                this,
                operands,
                panels,
                sequence: part(&sequence, &rows, this.steps * units),
                states: [
                    part(&h, &rows, units),
                    part(&c, &rows, if this.cell.states() > 1 { units } else { 0 }),
                ],
                kept: has_kept.then(|| part(&kept, &rows, this.steps * this.cell.kept() * units)),
                scratch: part(&scratch, &lines, row_len(this)),
                rows,
            }
        };
        match this.cell {
            Cell::Lstm => dispatch_at(level, Forward(steps, Lstm)),
            Cell::Gru => dispatch_at(level, Forward(steps, Gru)),
            Cell::SimpleRnn => dispatch_at(level, Forward(steps, SimpleRnn)),
        }
    });
}

/// All steps of some rows; the slices are these rows'.
struct Steps<'a, T> {
    this: &'a Recurrent,
    operands: &'a Operands<'a, T>,
    panels: Packed<'a, T>,
    rows: Range<usize>,
    sequence: &'a mut [T],
    states: [&'a mut [T]; 2],
    kept: Option<&'a mut [T]>,
    scratch: &'a mut [T],
}

struct Forward<'a, T, F>(Steps<'a, T>, F);

impl<T: Real, F: Formula> Task for Forward<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Steps {
            this,
            operands,
            panels,
            rows,
            sequence,
            states,
            mut kept,
            mut scratch,
        } = self.0;
        let (units, width, steps) = (this.units, this.width(), this.steps);
        let (count, lines) = (rows.len(), read_rows(rows.len()));
        let (state_stride, product_stride) = (stride(units), stride(width));
        let h = take(&mut scratch, lines * state_stride);
        let c = take(&mut scratch, lines * state_stride);
        let product = take(&mut scratch, lines * product_stride);
        for (held, first) in [&mut *h, &mut *c].into_iter().zip(operands.states) {
            let first = first.chunks_exact(units).skip(rows.start);
            for (to, from) in held.chunks_mut(state_stride).zip(first).take(count) {
                to[..units].copy_from_slice(from);
            }
        }
        for turn in 0..steps {
            let time = this.time(turn);
            let size = [count, width, units];
            multiply_rows(
                isa,
                size,
                h,
                state_stride,
                panels,
                product,
                product_stride,
                false,
            );
            for row in 0..count {
                let at = (rows.start + row) * steps + time;
                let (before, output) = sequence[row * steps * units..][..(turn + 1) * units]
                    .split_at_mut(turn * units);
                let c = &mut c[row * state_stride..][..units];
                let step = row * steps + turn;
                let kept = (kept.as_deref_mut())
                    .map(|kept| &mut kept[step * F::KEPT * units..][..F::KEPT * units]);
                if this.counts(operands.mask, rows.start + row, time) {
                    Gates::<F, T> {
                        formula: std::marker::PhantomData,
                        units,
                        x: &operands.projected[at * width..][..width],
                        product: &product[row * product_stride..][..width],
                        bias: operands.bias,
                        h: &mut h[row * state_stride..][..units],
                        c,
                        output,
                        kept,
                    }
                    .apply(isa);
                    continue;
                }
                if turn == 0 || this.zero_output_for_mask {
                    output.fill(T::default());
                } else {
                    output.copy_from_slice(&before[(turn - 1) * units..]);
                }
                if let (Some(kept), true) = (kept, F::CARRY) {
                    kept[(F::KEPT - 1) * units..].copy_from_slice(c);
                }
            }
        }
        for (held, last) in [&*h, &*c].into_iter().zip(states) {
            for (to, from) in last.chunks_exact_mut(units).zip(held.chunks(state_stride)) {
                to.copy_from_slice(&from[..units]);
            }
        }
    }
}

/// One row's gates of one step.
struct Gates<'a, F, T> {
    formula: std::marker::PhantomData<F>,
    units: usize,
    x: &'a [T],
    product: &'a [T],
    bias: Option<&'a [T]>,
    h: &'a mut [T],
    c: &'a mut [T],
    output: &'a mut [T],
    kept: Option<&'a mut [T]>,
}

impl<F: Formula, T: Real> Gates<'_, F, T> {
    #[inline(always)]
    fn apply<I: Isa>(mut self, isa: I) {
        let units = self.units;
        let mut j = 0;
        while j < units {
            let x = load_parts::<T, I>(isa, self.x, F::GATES, units, j);
            let mut p = load_parts::<T, I>(isa, self.product, F::GATES, units, j);
            if let Some(bias) = self.bias {
                let bias = load_parts::<T, I>(isa, bias, F::GATES, units, j);
                simd::unrolled!(GATE < F::GATES, {
                    p[GATE % 5] = p[GATE % 5] + bias[GATE % 5];
                });
            }
            let h = load_at::<T, I>(isa, self.h, j);
            let c = if F::CARRY {
                load_at::<T, I>(isa, self.c, j)
            } else {
                h
            };
            let (h, c, kept) = F::forward::<T, I>(isa, &x, &p, h, c);
            store_at::<T, I>(h, self.h, j);
            store_at::<T, I>(h, self.output, j);
            if F::CARRY {
                store_at::<T, I>(c, self.c, j);
            }
            if let Some(to) = self.kept.as_deref_mut() {
                store_parts::<T, I>(&kept, to, F::KEPT, units, j);
            }
            j += T::Lanes::<I>::LEN;
        }
    }
}
