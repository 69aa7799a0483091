//! Updates of optimizers: each state is read and written once, in one pass over memory.
//!
//! The formulas are Keras's.
use simd::{Float, Isa, Lanes, Task, dispatch};

use crate::real::{Real, load_at, store_at};
use crate::threads::{Disjoint, grain, parallel_for};

/// An update; operands and results are those of its variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Update {
    /// variable, gradient, learning rate -> variable
    Sgd,
    /// variable, velocity, gradient, learning rate, momentum -> variable, velocity
    Momentum {
        /// Whether the step looks ahead along the velocity (Nesterov).
        nesterov: bool,
    },
    /// variable, mean, square, gradient, step size, beta 1, beta 2, epsilon -> variable, mean, square. The step size is the learning
    /// rate with the bias corrected (Kingma and Ba, Adam: a method for stochastic optimization, 2014).
    Adam,
    /// [`Update::Adam`] with the greatest square behind the other two: it divides.
    Amsgrad,
    /// variable, square, gradient, learning rate, rho, epsilon -> variable, square
    Rmsprop,
}

impl Update {
    /// How many of the first operands are written over, one result each.
    pub const fn states(self) -> usize {
        match self {
            Update::Sgd => 1,
            Update::Momentum { .. } | Update::Rmsprop => 2,
            Update::Adam => 3,
            Update::Amsgrad => 4,
        }
    }

    /// How many scalars stand behind the gradient.
    pub const fn rates(self) -> usize {
        match self {
            Update::Sgd => 1,
            Update::Momentum { .. } => 2,
            Update::Rmsprop => 3,
            Update::Adam | Update::Amsgrad => 4,
        }
    }

    /// Moves `states`, the variable first, one step along its gradient.
    ///
    /// # Panics
    /// When there is another number of states or rates, or a state is not as long as the gradient.
    pub fn step<T: Real>(self, states: &mut [&mut [T]], gradient: &[T], rates: &[T]) {
        let n = gradient.len();
        assert_eq!(
            (states.len(), rates.len()),
            (self.states(), self.rates()),
            "states and rates of {self:?}"
        );
        assert!(
            states.iter().all(|state| state.len() == n),
            "states as long as the gradient"
        );
        let mut whole = [const { None }; MAX_STATES];
        for (whole, state) in whole.iter_mut().zip(states) {
            *whole = Some(Disjoint::new(state));
        }
        parallel_for(n, grain(ITEM_COST), |range| {
            let mut states: [&mut [T]; MAX_STATES] = Default::default();
            for (part, whole) in states.iter_mut().zip(&whole) {
                if let Some(whole) = whole {
                    // SAFETY: the ranges of a parallel region are disjoint.
                    *part = unsafe { whole.slice_mut(range.clone()) };
                }
            }
            dispatch(Step {
                update: self,
                states,
                gradient: &gradient[range],
                rates,
            });
        });
    }
}

const MAX_STATES: usize = 4;

/// The cost of an item in elementwise operations: a root and a division.
const ITEM_COST: usize = 12;

/// A range of a variable.
struct Step<'a, T> {
    update: Update,
    states: [&'a mut [T]; MAX_STATES],
    gradient: &'a [T],
    rates: &'a [T],
}

impl<T: Real> Task for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let rate = |i: usize| T::Lanes::<I>::splat(isa, self.rates[i]);
        let one = T::Lanes::<I>::splat(isa, T::from_f64(1.0));
        match self.update {
            Update::Sgd => {
                let learning_rate = rate(0);
                self.each(isa, |[w], g| [learning_rate.neg_mul_add(g, w)]);
            }
            Update::Momentum { nesterov } => {
                let (learning_rate, momentum) = (rate(0), rate(1));
                self.each(isa, |[w, velocity], g| {
                    let step = g * learning_rate;
                    let velocity = velocity * momentum - step;
                    let by = if nesterov {
                        velocity * momentum - step
                    } else {
                        velocity
                    };
                    [w + by, velocity]
                });
            }
            Update::Adam | Update::Amsgrad => {
                let (size, epsilon) = (rate(0), rate(3));
                let (mean_part, square_part) = (one - rate(1), one - rate(2));
                let moments = |mean: T::Lanes<I>, square: T::Lanes<I>, g: T::Lanes<I>| {
                    let mean = (g - mean).mul_add(mean_part, mean);
                    (mean, (g * g - square).mul_add(square_part, square))
                };
                if self.update == Update::Adam {
                    self.each(isa, |[w, mean, square], g| {
                        let (mean, square) = moments(mean, square, g);
                        [w - mean * size / (square.sqrt() + epsilon), mean, square]
                    });
                } else {
                    self.each(isa, |[w, mean, square, greatest], g| {
                        let (mean, square) = moments(mean, square, g);
                        let greatest = greatest.maximum(square);
                        let w = w - mean * size / (greatest.sqrt() + epsilon);
                        [w, mean, square, greatest]
                    });
                }
            }
            Update::Rmsprop => {
                let (learning_rate, rho, epsilon) = (rate(0), rate(1), rate(2));
                let rest = one - rho;
                self.each(isa, |[w, square], g| {
                    let square = (g * g).mul_add(rest, square * rho);
                    [w - learning_rate * g / (square + epsilon).sqrt(), square]
                });
            }
        }
    }
}

impl<T: Real> Step<'_, T> {
    /// Applies a rule from the first N states and the gradient to those states.
    #[inline(always)]
    fn each<I: Isa, const N: usize>(
        self,
        isa: I,
        rule: impl Fn([T::Lanes<I>; N], T::Lanes<I>) -> [T::Lanes<I>; N],
    ) {
        let Step {
            states, gradient, ..
        } = self;
        let mut i = 0;
        while i < gradient.len() {
            let g = load_at(isa, gradient, i);
            let mut lanes = [g; N];
            for k in 0..N {
                lanes[k] = load_at(isa, states[k], i);
            }
            let lanes = rule(lanes, g);
            for k in 0..N {
                store_at::<T, I>(lanes[k], states[k], i);
            }
            i += T::Lanes::<I>::LEN;
        }
    }
}

#[cfg(test)]
mod tests {
    use simd::for_each_isa;

    use super::*;

    const EVERY: [Update; 6] = [
        Update::Sgd,
        Update::Momentum { nesterov: false },
        Update::Momentum { nesterov: true },
        Update::Adam,
        Update::Amsgrad,
        Update::Rmsprop,
    ];

    /// The states after a step on one number.
    fn reference(update: Update, s: &[f64], g: f64, r: &[f64]) -> Vec<f64> {
        match update {
            Update::Sgd => vec![s[0] - r[0] * g],
            Update::Momentum { nesterov } => {
                let v = r[1] * s[1] - r[0] * g;
                vec![s[0] + if nesterov { r[1] * v - r[0] * g } else { v }, v]
            }
            Update::Adam | Update::Amsgrad => {
                let m = r[1] * s[1] + (1.0 - r[1]) * g;
                let v = r[2] * s[2] + (1.0 - r[2]) * g * g;
                let top = if update == Update::Amsgrad {
                    v.max(s[3])
                } else {
                    v
                };
                let mut states = vec![s[0] - r[0] * m / (top.sqrt() + r[3]), m, v, top];
                states.truncate(update.states());
                states
            }
            Update::Rmsprop => {
                let v = r[1] * s[1] + (1.0 - r[1]) * g * g;
                vec![s[0] - r[0] * g / (v + r[2]).sqrt(), v]
            }
        }
    }

    #[test]
    fn updates_in_place() {
        let rates = [0.1, 0.9, 0.7, 1e-3];
        for_each_isa(|_| {
            for (update, n) in EVERY.iter().flat_map(|u| [1, 16, 5000].map(|n| (*u, n))) {
                let number = |i: usize, k: usize| ((i * 7 + k * 31) % 23) as f64 / 11.0 + 0.1;
                let mut states: Vec<Vec<f64>> = (0..update.states())
                    .map(|k| (0..n).map(|i| number(i, k)).collect())
                    .collect();
                let gradient: Vec<f64> = (0..n).map(|i| number(i, 9) - 1.0).collect();
                let want: Vec<Vec<f64>> = (0..n)
                    .map(|i| {
                        let s: Vec<f64> = states.iter().map(|s| s[i]).collect();
                        reference(update, &s, gradient[i], &rates)
                    })
                    .collect();
                let mut parts: Vec<&mut [f64]> = states.iter_mut().map(Vec::as_mut_slice).collect();
                update.step(&mut parts, &gradient, &rates[..update.rates()]);
                for i in 0..n {
                    for (k, state) in states.iter().enumerate() {
                        assert!(
                            (state[i] - want[i][k]).abs() < 1e-14,
                            "{update:?} state {k}"
                        );
                    }
                }
            }
        });
    }
}
