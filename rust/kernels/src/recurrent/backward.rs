//! The steps backward through time.
use std::marker::PhantomData;
use std::ops::Range;

use simd::{Isa, Lanes, Task, dispatch_at, level};

use super::cells::{Back, Formula, Gru, Lstm, SimpleRnn, load_parts, store_parts};
use super::{Cell, Operands, Recurrent, expect_len, part, stride, take};
use crate::gemm::{self, Gemm, Packed, Strided, multiply_rows, read_rows};
use crate::real::{Real, load_at, store_at};
use crate::threads::Disjoint;

/// What reaches the results of the steps forward, and what these were.
#[derive(Clone, Copy, Debug)]
pub struct Gradients<'a, T> {
    /// The outputs.
    pub sequence: &'a [T],
    /// What was kept.
    pub kept: &'a [T],
    /// The gradient of the outputs, maybe nothing.
    pub outputs: Option<&'a [T]>,
    /// The gradients of the last states, maybe nothing.
    pub states: [Option<&'a [T]>; 2],
}

/// What [`backward`] writes: the gradients of the operands.
pub struct Results<'a, T> {
    /// That of the projected inputs.
    pub projected: &'a mut [T],
    /// That of the recurrent kernel.
    pub kernel: &'a mut [T],
    /// Those of the first states; the second one is empty where a cell has none.
    pub states: [&'a mut [T]; 2],
    /// That of the bias, where there is one.
    pub bias: Option<&'a mut [T]>,
}

/// Items of scratch of a row: the gradients of the states, of the output that masked steps repeat, and of the gates.
fn row_len(this: &Recurrent) -> usize {
    3 * stride(this.units) + stride(this.width())
}

/// The states before all steps, and the gradients of their products where these are not those of the projected inputs.
fn histories(this: &Recurrent) -> [usize; 2] {
    let steps = this.batch * this.steps;
    let apart = this.cell == Cell::Gru;
    [
        steps * this.units,
        if apart { steps * this.width() } else { 0 },
    ]
}

/// Items of scratch that [`backward`] wants.
pub fn backward_scratch_len<T: Real>(this: &Recurrent) -> usize {
    let (units, width, steps) = (this.units, this.width(), this.batch * this.steps);
    let panels = Packed::<T>::len(level(), units, width);
    let through_time = panels + this.scratch_rows() * row_len(this);
    let at_end = gemm::scratch_len::<T>(1, units, width, steps)
        .max(steps + gemm::scratch_len::<T>(1, 1, width, steps));
    histories(this).iter().sum::<usize>() + through_time.max(at_end)
}

/// The gradients of the operands of [`super::forward`], the recurrent kernel being `(units, gates * units)`. The scratch had best start
/// at a cache line.
///
/// The recurrent kernel's is one product over all steps, behind the last of them.
///
/// # Panics
/// When a slice has not the length that the sizes ask for, or the scratch is too short.
pub fn backward<T: Real>(
    this: &Recurrent,
    kernel: &[T],
    operands: &Operands<'_, T>,
    gradients: &Gradients<'_, T>,
    results: Results<'_, T>,
    mut scratch: &mut [T],
) {
    this.check(operands);
    let state = this.batch * this.units;
    let Results {
        projected,
        kernel: kernel_gradient,
        states: [h, c],
        bias,
    } = results;
    expect_len(Some(gradients.sequence), state * this.steps);
    expect_len(Some(gradients.kept), state * this.steps * this.cell.kept());
    expect_len(gradients.outputs, state * this.steps);
    expect_len(gradients.states[0], state);
    expect_len(gradients.states[1], state);
    expect_len(Some(h), state);
    expect_len(Some(projected), operands.projected.len());
    expect_len(Some(kernel), this.units * this.width());
    expect_len(Some(kernel_gradient), kernel.len());
    let level = level();
    let (units, width, steps) = (this.units, this.width(), this.batch * this.steps);
    let [before, products] = histories(this).map(|len| take(&mut scratch, len));
    {
        let (panels, scratch) = scratch.split_at_mut(Packed::<T>::len(level, units, width));
        let kernel = Strided::right(kernel, width, units, true);
        let panels = Packed::pack(level, &kernel, units, width, panels);
        let apart = !products.is_empty();
        let [projected, h, c, before, products, scratch] =
            [&mut *projected, h, c, &mut *before, &mut *products, scratch].map(Disjoint::new);
        this.share_rows(|rows| {
            let lines = rows.start..rows.start + read_rows(rows.len());
            let carries = if this.cell.states() > 1 { units } else { 0 };
            // SAFETY: ranges of rows are disjoint; they start at even rows, so the rows that are read with them are too.
            let steps = unsafe {
                Steps {
                    this,
                    operands,
                    gradients,
                    panels,
                    projected: part(&projected, &rows, this.steps * width),
                    states: [part(&h, &rows, units), part(&c, &rows, carries)],
                    before: part(&before, &rows, this.steps * units),
                    products: apart.then(|| part(&products, &rows, this.steps * width)),
                    scratch: part(&scratch, &lines, row_len(this)),
                    rows,
                }
            };
            match this.cell {
                Cell::Lstm => dispatch_at(level, Backward(steps, Lstm)),
                Cell::Gru => dispatch_at(level, Backward(steps, Gru)),
                Cell::SimpleRnn => dispatch_at(level, Backward(steps, SimpleRnn)),
            }
        });
    }
    let products = if products.is_empty() {
        &*projected
    } else {
        products
    };
    let right = Strided::right(products, steps, width, false);
    let left = Strided::left(before, units, steps, true);
    Gemm::new(units, width, steps, left, right).run(kernel_gradient, width, scratch);
    if let Some(bias) = bias {
        let (ones, scratch) = scratch.split_at_mut(steps);
        ones.fill(T::from_f64(1.0));
        let left = Strided::left(ones, 1, steps, false);
        Gemm::new(1, width, steps, left, right).run(bias, width, scratch);
    }
}

/// All steps of some rows; the slices that are written are these rows'.
struct Steps<'a, T> {
    this: &'a Recurrent,
    operands: &'a Operands<'a, T>,
    gradients: &'a Gradients<'a, T>,
    panels: Packed<'a, T>,
    rows: Range<usize>,
    projected: &'a mut [T],
    states: [&'a mut [T]; 2],
    before: &'a mut [T],
    products: Option<&'a mut [T]>,
    scratch: &'a mut [T],
}

struct Backward<'a, T, F>(Steps<'a, T>, F);

impl<T: Real, F: Formula> Task for Backward<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Steps {
            this,
            operands,
            gradients,
            panels,
            rows,
            projected,
            states,
            before,
            mut products,
            mut scratch,
        } = self.0;
        let (units, width, steps) = (this.units, this.width(), this.steps);
        let (count, lines) = (rows.len(), read_rows(rows.len()));
        let (state_stride, product_stride) = (stride(units), stride(width));
        let h = take(&mut scratch, lines * state_stride);
        let c = take(&mut scratch, lines * state_stride);
        let repeated = take(&mut scratch, lines * state_stride);
        let sums = take(&mut scratch, lines * product_stride);
        for (held, last) in [&mut *h, &mut *c].into_iter().zip(gradients.states) {
            for (row, to) in held.chunks_mut(state_stride).take(count).enumerate() {
                match last {
                    Some(last) => {
                        to[..units].copy_from_slice(&last[(rows.start + row) * units..][..units]);
                    }
                    None => to[..units].fill(T::default()),
                }
            }
        }
        repeated.fill(T::default());
        // At a step that counts, the output is the state.
        for row in 0..count {
            let own = (rows.start + row) * steps;
            let before = &mut before[row * steps * units..][..steps * units];
            let mut state = &operands.states[0][(rows.start + row) * units..][..units];
            for turn in 0..steps {
                let time = this.time(turn);
                before[time * units..][..units].copy_from_slice(state);
                if this.counts(operands.mask, rows.start + row, time) {
                    state = &gradients.sequence[(own + turn) * units..][..units];
                }
            }
        }
        for turn in (0..steps).rev() {
            let time = this.time(turn);
            for row in 0..count {
                let (own, at) = ((rows.start + row) * steps, row * steps + time);
                let output = (gradients.outputs).map(|g| &g[(own + turn) * units..][..units]);
                let repeated = &mut repeated[row * state_stride..][..units];
                let sums = &mut sums[row * product_stride..][..width];
                let projected = &mut projected[at * width..][..width];
                let products =
                    (products.as_deref_mut()).map(|products| &mut products[at * width..][..width]);
                if this.counts(operands.mask, rows.start + row, time) {
                    let carry = match turn {
                        _ if !F::CARRY => &[],
                        0 => &operands.states[1][(rows.start + row) * units..][..units],
                        _ => {
                            let end = (own + turn) * F::KEPT * units;
                            &gradients.kept[end - units..end]
                        }
                    };
                    Gates::<F, T> {
                        formula: PhantomData,
                        units,
                        kept: &gradients.kept[(own + turn) * F::KEPT * units..],
                        before: &before[at * units..][..units],
                        carry,
                        output: &gradients.sequence[(own + turn) * units..][..units],
                        gradient: output,
                        repeated: operands.mask.map(|_| &mut *repeated),
                        h: &mut h[row * state_stride..][..units],
                        c: &mut c[row * state_stride..][..units],
                        projected,
                        products,
                        sums,
                    }
                    .apply(isa);
                    continue;
                }
                // The states pass by; the output's gradient is that of the one before.
                sums.fill(T::default());
                projected.fill(T::default());
                if let Some(products) = products {
                    products.fill(T::default());
                }
                if let (Some(output), false) = (output, this.zero_output_for_mask) {
                    for (sum, &g) in repeated.iter_mut().zip(output) {
                        *sum = *sum + g;
                    }
                }
            }
            let size = [count, units, width];
            multiply_rows(
                isa,
                size,
                sums,
                product_stride,
                panels,
                h,
                state_stride,
                true,
            );
        }
        for (held, first) in [&*h, &*c].into_iter().zip(states) {
            for (to, from) in first.chunks_exact_mut(units).zip(held.chunks(state_stride)) {
                to.copy_from_slice(&from[..units]);
            }
        }
    }
}

/// One row's gates of one step.
struct Gates<'a, F, T> {
    formula: PhantomData<F>,
    units: usize,
    kept: &'a [T],
    before: &'a [T],
    carry: &'a [T],
    output: &'a [T],
    gradient: Option<&'a [T]>,
    repeated: Option<&'a mut [T]>,
    h: &'a mut [T],
    c: &'a mut [T],
    projected: &'a mut [T],
    products: Option<&'a mut [T]>,
    sums: &'a mut [T],
}

impl<F: Formula, T: Real> Gates<'_, F, T> {
    #[inline(always)]
    fn apply<I: Isa>(mut self, isa: I) {
        let units = self.units;
        let zero = T::Lanes::<I>::zero(isa);
        let mut j = 0;
        while j < units {
            let kept = load_parts::<T, I>(isa, self.kept, F::KEPT, units, j);
            let mut g = load_at::<T, I>(isa, self.h, j);
            if let Some(gradient) = self.gradient {
                g = g + load_at::<T, I>(isa, gradient, j);
            }
            if let Some(repeated) = self.repeated.as_deref_mut() {
                g = g + load_at::<T, I>(isa, repeated, j);
                store_at::<T, I>(zero, repeated, j);
            }
            let before = load_at::<T, I>(isa, self.before, j);
            let output = load_at::<T, I>(isa, self.output, j);
            let (carry, g_carry) = if F::CARRY {
                let carry = load_at::<T, I>(isa, self.carry, j);
                (carry, load_at::<T, I>(isa, self.c, j))
            } else {
                (zero, zero)
            };
            let Back {
                projected,
                product,
                state,
                carry,
            } = F::backward::<T, I>(isa, &kept, [before, carry], output, [g, g_carry]);
            store_parts::<T, I>(&projected, self.projected, F::GATES, units, j);
            store_parts::<T, I>(&product, self.sums, F::GATES, units, j);
            if let Some(products) = self.products.as_deref_mut() {
                store_parts::<T, I>(&product, products, F::GATES, units, j);
            }
            store_at::<T, I>(state, self.h, j);
            if F::CARRY {
                store_at::<T, I>(carry, self.c, j);
            }
            j += T::Lanes::<I>::LEN;
        }
    }
}
