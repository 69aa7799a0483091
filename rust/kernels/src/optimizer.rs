//! Updates of optimizers: elementwise programs of several results, each written over its operand, in one pass over memory.
//!
//! The formulas are Keras's. Rates are scalars of the variable's dtype.
use crate::DType;
use crate::elementwise::{Compute, Instruction, Op, Program, Unsupported, Value};

use Value::{Constant, Input};

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

    /// The program on variables of this dtype.
    ///
    /// # Errors
    /// When the dtype is none of floats.
    pub fn program(self, dtype: DType) -> Result<Program, Unsupported> {
        let mut code = Code::default();
        let c = &mut code;
        let variable = Input(0);
        let gradient = Input(self.states());
        let rate = |i: usize| Input(self.states() + 1 + i);
        let results: Vec<Value> = match self {
            Update::Sgd => {
                let step = c.push(Op::Multiply, &[rate(0), gradient]);
                vec![c.push(Op::Subtract, &[variable, step])]
            }
            Update::Momentum { nesterov } => {
                let (learning_rate, momentum) = (rate(0), rate(1));
                let step = c.push(Op::Multiply, &[gradient, learning_rate]);
                let kept = c.push(Op::Multiply, &[Input(1), momentum]);
                let velocity = c.push(Op::Subtract, &[kept, step]);
                let mut by = velocity;
                if nesterov {
                    let ahead = c.push(Op::Multiply, &[velocity, momentum]);
                    by = c.push(Op::Subtract, &[ahead, step]);
                }
                vec![c.push(Op::Add, &[variable, by]), velocity]
            }
            Update::Adam | Update::Amsgrad => {
                let (step_size, beta_1, beta_2, epsilon) = (rate(0), rate(1), rate(2), rate(3));
                let mean = c.towards(Input(1), gradient, beta_1);
                let square = c.push(Op::Square, &[gradient]);
                let square = c.towards(Input(2), square, beta_2);
                let mut results = vec![variable, mean, square];
                let mut divisor = square;
                if self == Update::Amsgrad {
                    divisor = c.push(Op::Maximum, &[Input(3), square]);
                    results.push(divisor);
                }
                let root = c.push(Op::Sqrt, &[divisor]);
                let divisor = c.push(Op::Add, &[root, epsilon]);
                let step = c.push(Op::Multiply, &[mean, step_size]);
                let step = c.push(Op::Divide, &[step, divisor]);
                results[0] = c.push(Op::Subtract, &[variable, step]);
                results
            }
            Update::Rmsprop => {
                let (learning_rate, rho, epsilon) = (rate(0), rate(1), rate(2));
                let kept = c.push(Op::Multiply, &[rho, Input(1)]);
                let rest = c.push(Op::Subtract, &[Constant(1.0), rho]);
                let square = c.push(Op::Square, &[gradient]);
                let new = c.push(Op::Multiply, &[rest, square]);
                let square = c.push(Op::Add, &[kept, new]);
                let divisor = c.push(Op::Add, &[square, epsilon]);
                let root = c.push(Op::Sqrt, &[divisor]);
                let step = c.push(Op::Multiply, &[learning_rate, gradient]);
                let step = c.push(Op::Divide, &[step, root]);
                vec![c.push(Op::Subtract, &[variable, step]), square]
            }
        };
        let inputs = vec![dtype; self.states() + 1 + self.rates()];
        let outputs: Vec<_> = results.into_iter().map(|value| (value, dtype)).collect();
        Program::new(Compute::of(dtype), &inputs, &code.0, &outputs)
    }
}

#[derive(Default)]
struct Code(Vec<Instruction>);

impl Code {
    fn push(&mut self, op: Op, args: &[Value]) -> Value {
        self.0.push(Instruction::new(op, args));
        Value::Result(self.0.len() - 1)
    }

    /// `from + (to - from) (1 - keep)`
    fn towards(&mut self, from: Value, to: Value, keep: Value) -> Value {
        let by = self.push(Op::Subtract, &[to, from]);
        let part = self.push(Op::Subtract, &[Constant(1.0), keep]);
        let by = self.push(Op::Multiply, &[by, part]);
        self.push(Op::Add, &[from, by])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::Operand;

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
        for update in EVERY {
            for n in [1, 16, 5000] {
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
                let shape = [n];
                let pointers: Vec<*mut u8> =
                    states.iter_mut().map(|s| s.as_mut_ptr().cast()).collect();
                let mut operands: Vec<Operand> = pointers
                    .iter()
                    .map(|p| Operand::from_ptr(p.cast_const(), &shape))
                    .collect();
                operands.push(Operand::new(&gradient, &shape));
                operands.extend(
                    rates[..update.rates()]
                        .iter()
                        .map(|r| Operand::new(std::slice::from_ref(r), &[])),
                );
                let program = update.program(DType::Float64).unwrap();
                // SAFETY: whole tensors of `n` items; results are the first operands' memory.
                unsafe { program.run(&shape, &operands, &pointers) };
                for i in 0..n {
                    for (k, state) in states.iter().enumerate() {
                        assert!(
                            (state[i] - want[i][k]).abs() < 1e-14,
                            "{update:?} state {k}"
                        );
                    }
                }
            }
        }
    }
}
