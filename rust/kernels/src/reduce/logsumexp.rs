//! The logarithm of a sum of exponentials, for any magnitude of the exponents.
use std::ops::Range;

use simd::{Isa, Lanes, Portable, Task, dispatch, math};

use super::fold::{Fold, LANES, Max, Sum, TILE, fold_block, for_each_unit, is_tuned};
use super::{Number, Pass, Reducible, Unit, Widen, check, passes, run_passes};
use crate::threads::Disjoint;

/// A float that exponentials are summed in.
pub trait LogSumExp: Number {
    /// `sums[i] += exp(x[i] - shift[i])`.
    fn add_exp<I: Isa>(isa: I, sums: &mut [Self], x: &[Self], shift: &[Self]);
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

impl LogSumExp for f32 {
    #[inline(always)]
    fn add_exp<I: Isa>(isa: I, sums: &mut [f32], x: &[f32], shift: &[f32]) {
        let lanes = I::F32::LEN;
        let whole = sums.len() / lanes * lanes;
        for i in (0..whole).step_by(lanes) {
            let exp = math::exp(isa, isa.load(&x[i..]) - isa.load(&shift[i..]));
            (isa.load(&sums[i..]) + exp).store(&mut sums[i..]);
        }
        if whole < sums.len() {
            let (sums, x, shift) = (&mut sums[whole..], &x[whole..], &shift[whole..]);
            let exp = math::exp(isa, isa.load_partial(x) - isa.load_partial(shift));
            (isa.load_partial(sums) + exp).store_partial(sums);
        }
    }

    #[inline(always)]
    fn ln(self) -> f32 {
        f32::ln(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl LogSumExp for f64 {
    #[inline(always)]
    fn add_exp<I: Isa>(_: I, sums: &mut [f64], x: &[f64], shift: &[f64]) {
        for ((sum, x), shift) in sums.iter_mut().zip(x).zip(shift) {
            *sum += (x - shift).exp();
        }
    }

    #[inline(always)]
    fn ln(self) -> f64 {
        f64::ln(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

/// `log(sum(exp(input)))` over `axes` of an array of `shape`; of nothing it is minus infinity.
///
/// # Panics
/// When a slice does not fit the shape, or the scratch is short.
pub fn logsumexp<E>(
    input: &[E],
    shape: &[usize],
    axes: &[usize],
    output: &mut [E],
    scratch: &mut [E::Accumulator],
) where
    E: Reducible<Accumulator: LogSumExp>,
{
    check(input.len(), output.len(), shape, axes);
    // The log-sum-exp of blocks' results is that of all.
    run_passes(
        &passes(shape, axes),
        input,
        output,
        scratch,
        pass_over,
        pass_over,
        None,
    );
}

fn pass_over<T: Widen<A>, A: LogSumExp>(pass: Pass, input: &[T], output: &mut [A]) {
    let output = Disjoint::new(output);
    for_each_unit(pass, |range| {
        let task = Units {
            pass,
            range,
            input,
            output: &output,
        };
        if is_tuned::<T, A>() {
            dispatch(task)
        } else {
            Portable.run(task)
        }
    });
}

struct Units<'a, T, A> {
    pass: Pass,
    range: Range<usize>,
    input: &'a [T],
    output: &'a Disjoint<'a, A>,
}

impl<T: Widen<A>, A: LogSumExp> Task for Units<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let inner = self.pass.inner;
        if inner == 1 && self.pass.n <= TILE {
            return self.rows(isa);
        }
        let [mut shift, mut sums, mut wide] = [[A::ZERO; TILE]; 3];
        for number in self.range {
            let Unit {
                rows,
                columns,
                line,
            } = self.pass.unit(number);
            let block = &self.input[rows.start * inner..rows.end * inner];
            let width = columns.len();
            fold_block(
                Max::combine,
                A::LEAST,
                block,
                inner,
                columns.clone(),
                &mut shift,
            );
            for shift in &mut shift[..width] {
                *shift = finite(*shift);
            }
            // A power of two of short rows side by side; what they leave is folded by halves.
            let mut side_by_side = 1 << (LANES / inner).max(1).ilog2();
            let lanes = side_by_side * width;
            for copy in 1..side_by_side {
                shift.copy_within(..width, copy * width);
            }
            sums[..lanes].fill(A::ZERO);
            let rows = if side_by_side > 1 { lanes } else { inner };
            for row in block.chunks(rows) {
                let row = if side_by_side > 1 {
                    row
                } else {
                    &row[columns.clone()]
                };
                for (wide, x) in wide.iter_mut().zip(row) {
                    *wide = x.widen();
                }
                A::add_exp(
                    isa,
                    &mut sums[..row.len()],
                    &wide[..row.len()],
                    &shift[..row.len()],
                );
            }
            while side_by_side > 1 {
                side_by_side /= 2;
                let (low, high) =
                    sums[..2 * side_by_side * width].split_at_mut(side_by_side * width);
                for (low, high) in low.iter_mut().zip(high) {
                    *low = low.add(*high);
                }
            }
            // SAFETY: each unit has its own columns of its own line.
            let output = unsafe {
                self.output
                    .slice_mut(line * inner + columns.start..line * inner + columns.end)
            };
            for ((output, shift), sum) in output.iter_mut().zip(&shift).zip(&sums) {
                *output = shift.add(sum.ln());
            }
        }
    }
}

impl<T: Widen<A>, A: LogSumExp> Units<'_, T, A> {
    /// The results of rows of up to `TILE` elements: the exponentials of several rows are taken at once.
    #[inline(always)]
    fn rows<I: Isa>(self, isa: I) {
        let n = self.pass.n;
        let input = &self.input[self.range.start * n..self.range.end * n];
        // SAFETY: each unit has its own result.
        let output = unsafe { self.output.slice_mut(self.range) };
        let rows = TILE / n.max(1);
        let [mut shift, mut exps, mut wide, mut results] = [[A::ZERO; TILE]; 4];
        for (group, output) in output.chunks_mut(rows).enumerate() {
            let group = &input[group * rows * n..][..output.len() * n];
            for (wide, x) in wide.iter_mut().zip(group) {
                *wide = x.widen();
            }
            for row in 0..output.len() {
                let row = row * n..(row + 1) * n;
                let greatest = fold_block(
                    Max::combine,
                    A::LEAST,
                    &wide[row.clone()],
                    1,
                    0..1,
                    &mut results,
                )[0];
                shift[row].fill(finite(greatest));
            }
            exps[..group.len()].fill(A::ZERO);
            A::add_exp(
                isa,
                &mut exps[..group.len()],
                &wide[..group.len()],
                &shift[..group.len()],
            );
            for (row, output) in output.iter_mut().enumerate() {
                let exps = &exps[row * n..(row + 1) * n];
                let sum = fold_block(Sum::combine, A::ZERO, exps, 1, 0..1, &mut results)[0];
                // Of nothing there is no shift.
                let shift = if n == 0 { A::ZERO } else { shift[row * n] };
                *output = shift.add(sum.ln());
            }
        }
    }
}

/// What shifts the exponents: an infinite or missing greatest element shifts nothing, and comes out of the sum.
#[inline(always)]
fn finite<A: LogSumExp>(greatest: A) -> A {
    if greatest.is_finite() {
        greatest
    } else {
        A::ZERO
    }
}
