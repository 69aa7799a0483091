//! What a step of each cell does to lanes, and what it does to gradients.
use simd::{Float, Isa, Lanes};

use super::Cell;
use crate::real::Real;

/// Lanes of what belongs to the gates, or of what is kept; those behind the cell's own are unused.
pub(super) type Parts<T, I> = [<T as crate::gemm::Real>::Lanes<I>; 5];

/// A step backward.
pub(super) struct Back<T: Real, I: Isa> {
    /// The gradients of the gates' sums, as the projected inputs get them.
    pub projected: Parts<T, I>,
    /// The gradients of the product with the state.
    pub product: Parts<T, I>,
    /// What reaches the state before, besides what comes through the product.
    pub state: T::Lanes<I>,
    /// What reaches the carry before.
    pub carry: T::Lanes<I>,
}

/// The formulas of a cell.
pub(super) trait Formula {
    /// The cell.
    const CELL: Cell;
    /// Its gates.
    const GATES: usize = Self::CELL.gates();
    /// What it keeps.
    const KEPT: usize = Self::CELL.kept();
    /// Whether there is a second state.
    const CARRY: bool = Self::CELL.states() > 1;

    /// The states after a step and what is kept of it, from the projected inputs `x`, the product with the state `p` and the states
    /// before.
    fn forward<T: Real, I: Isa>(
        isa: I,
        x: &Parts<T, I>,
        p: &Parts<T, I>,
        state: T::Lanes<I>,
        carry: T::Lanes<I>,
    ) -> (T::Lanes<I>, T::Lanes<I>, Parts<T, I>);

    /// The step backward, from what was kept, the states before, the output, and the gradients of the states after.
    fn backward<T: Real, I: Isa>(
        isa: I,
        kept: &Parts<T, I>,
        before: [T::Lanes<I>; 2],
        output: T::Lanes<I>,
        grads: [T::Lanes<I>; 2],
    ) -> Back<T, I>;
}

/// `g y (1 - y)`: back through a sigmoid of result `y`.
#[inline(always)]
fn through_sigmoid<L: Float>(one: L, y: L, g: L) -> L {
    g * y * (one - y)
}

/// `g (1 - y^2)`: back through a tanh of result `y`.
#[inline(always)]
fn through_tanh<L: Float>(one: L, y: L, g: L) -> L {
    g * y.neg_mul_add(y, one)
}

/// The logistic function within the rounding of numbers about one, which is all that a gate has.
#[inline(always)]
fn sigmoid<T: Real, I: Isa>(isa: I, x: T::Lanes<I>) -> T::Lanes<I> {
    let half = T::Lanes::<I>::splat(isa, T::from_f64(0.5));
    T::quick_tanh(isa, x * half).mul_add(half, half)
}

#[inline(always)]
fn one<T: Real, I: Isa>(isa: I) -> T::Lanes<I> {
    T::Lanes::<I>::splat(isa, T::from_f64(1.0))
}

pub(super) struct Lstm;

impl Formula for Lstm {
    const CELL: Cell = Cell::Lstm;

    #[inline(always)]
    fn forward<T: Real, I: Isa>(
        isa: I,
        x: &Parts<T, I>,
        p: &Parts<T, I>,
        _state: T::Lanes<I>,
        carry: T::Lanes<I>,
    ) -> (T::Lanes<I>, T::Lanes<I>, Parts<T, I>) {
        let input = sigmoid::<T, I>(isa, x[0] + p[0]);
        let forget = sigmoid::<T, I>(isa, x[1] + p[1]);
        let candidate = T::quick_tanh(isa, x[2] + p[2]);
        let output = sigmoid::<T, I>(isa, x[3] + p[3]);
        let carry = forget.mul_add(carry, input * candidate);
        let state = output * T::quick_tanh(isa, carry);
        (state, carry, [input, forget, candidate, output, carry])
    }

    #[inline(always)]
    fn backward<T: Real, I: Isa>(
        isa: I,
        kept: &Parts<T, I>,
        [_, carry_before]: [T::Lanes<I>; 2],
        _output: T::Lanes<I>,
        [g_state, g_carry]: [T::Lanes<I>; 2],
    ) -> Back<T, I> {
        let (zero, one) = (T::Lanes::<I>::zero(isa), one::<T, I>(isa));
        let [input, forget, candidate, output, carry] = *kept;
        let squashed = T::quick_tanh(isa, carry);
        let g_carry = g_carry + through_tanh(one, squashed, g_state * output);
        let sums = [
            through_sigmoid(one, input, g_carry * candidate),
            through_sigmoid(one, forget, g_carry * carry_before),
            through_tanh(one, candidate, g_carry * input),
            through_sigmoid(one, output, g_state * squashed),
            zero,
        ];
        Back {
            projected: sums,
            product: sums,
            state: zero,
            carry: g_carry * forget,
        }
    }
}

pub(super) struct Gru;

impl Formula for Gru {
    const CELL: Cell = Cell::Gru;

    #[inline(always)]
    fn forward<T: Real, I: Isa>(
        isa: I,
        x: &Parts<T, I>,
        p: &Parts<T, I>,
        state: T::Lanes<I>,
        carry: T::Lanes<I>,
    ) -> (T::Lanes<I>, T::Lanes<I>, Parts<T, I>) {
        let update = sigmoid::<T, I>(isa, x[0] + p[0]);
        let reset = sigmoid::<T, I>(isa, x[1] + p[1]);
        let candidate = T::quick_tanh(isa, reset.mul_add(p[2], x[2]));
        let after = update.mul_add(state - candidate, candidate);
        (after, carry, [update, reset, candidate, p[2], carry])
    }

    #[inline(always)]
    fn backward<T: Real, I: Isa>(
        isa: I,
        kept: &Parts<T, I>,
        [before, _]: [T::Lanes<I>; 2],
        _output: T::Lanes<I>,
        [g, g_carry]: [T::Lanes<I>; 2],
    ) -> Back<T, I> {
        let (zero, one) = (T::Lanes::<I>::zero(isa), one::<T, I>(isa));
        let [update, reset, candidate, product, _] = *kept;
        let inner = through_tanh(one, candidate, g * (one - update));
        let sums = [
            through_sigmoid(one, update, g * (before - candidate)),
            through_sigmoid(one, reset, inner * product),
            inner,
            zero,
            zero,
        ];
        Back {
            projected: sums,
            product: [sums[0], sums[1], inner * reset, zero, zero],
            state: g * update,
            carry: g_carry,
        }
    }
}

pub(super) struct SimpleRnn;

impl Formula for SimpleRnn {
    const CELL: Cell = Cell::SimpleRnn;

    #[inline(always)]
    fn forward<T: Real, I: Isa>(
        isa: I,
        x: &Parts<T, I>,
        p: &Parts<T, I>,
        _state: T::Lanes<I>,
        carry: T::Lanes<I>,
    ) -> (T::Lanes<I>, T::Lanes<I>, Parts<T, I>) {
        (T::quick_tanh(isa, x[0] + p[0]), carry, [carry; 5])
    }

    #[inline(always)]
    fn backward<T: Real, I: Isa>(
        isa: I,
        _kept: &Parts<T, I>,
        _before: [T::Lanes<I>; 2],
        output: T::Lanes<I>,
        [g, g_carry]: [T::Lanes<I>; 2],
    ) -> Back<T, I> {
        let zero = T::Lanes::<I>::zero(isa);
        let sum = through_tanh(one::<T, I>(isa), output, g);
        let sums = [sum, zero, zero, zero, zero];
        Back {
            projected: sums,
            product: sums,
            state: zero,
            carry: g_carry,
        }
    }
}

/// Lanes from item `j` on of the first `count` parts of `units` items each.
#[inline(always)]
pub(super) fn load_parts<T: Real, I: Isa>(
    isa: I,
    from: &[T],
    count: usize,
    units: usize,
    j: usize,
) -> Parts<T, I> {
    let mut parts = [T::Lanes::<I>::zero(isa); 5];
    let len = T::Lanes::<I>::LEN.min(units - j);
    assert!(count == 0 || from.len() >= (count - 1) * units + j + len);
    simd::unrolled!(PART < 5, {
        if PART < count {
            // SAFETY: the last part's lanes were found in the slice, the others lie before.
            parts[PART % 5] = unsafe {
                let from = from.as_ptr().add(PART * units + j);
                if len == T::Lanes::<I>::LEN {
                    T::Lanes::<I>::load_ptr(isa, from)
                } else {
                    T::Lanes::<I>::load_ptr_partial(isa, from, len)
                }
            };
        }
    });
    parts
}

/// Stores what [`load_parts`] loads.
#[inline(always)]
pub(super) fn store_parts<T: Real, I: Isa>(
    parts: &Parts<T, I>,
    to: &mut [T],
    count: usize,
    units: usize,
    j: usize,
) {
    let len = T::Lanes::<I>::LEN.min(units - j);
    assert!(count == 0 || to.len() >= (count - 1) * units + j + len);
    simd::unrolled!(PART < 5, {
        if PART < count {
            // SAFETY: the last part's lanes were found in the slice, the others lie before.
            unsafe {
                let to = to.as_mut_ptr().add(PART * units + j);
                if len == T::Lanes::<I>::LEN {
                    parts[PART % 5].store_ptr(to);
                } else {
                    parts[PART % 5].store_ptr_partial(to, len);
                }
            }
        }
    });
}
