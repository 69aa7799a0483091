//! Cells stepped along sequences.

use graph::op::Attr;
use graph::{DType, Tensor, Value};

use super::{Case, check_both, numbers, tensor};

/// The operands of a cell of 2 units, 2 sequences of 3 steps.
fn operands(gates: usize, states: usize, bias: bool, masked: bool) -> Vec<Value> {
    let random = |shape: &[usize], seed| tensor(&numbers(shape.iter().product(), seed), shape);
    let mut operands = vec![random(&[2, 3, gates * 2], 41), random(&[2, gates * 2], 42)];
    operands.extend((0..states).map(|k| random(&[2, 2], 43 + k as u32)));
    if bias {
        operands.push(random(&[gates * 2], 45));
    }
    if masked {
        let mask = Tensor::from_slice(&[1u8, 0, 1, 0, 1, 0], &[2, 3]).retyped(DType::Bool);
        operands.push(Value::concrete(mask));
    }
    operands
}

#[test]
fn of_cells_along_sequences() {
    for (cell, gates, states) in [("lstm", 4, 2), ("gru", 3, 1), ("simple_rnn", 1, 1)] {
        // Plain; the outputs alone from the end, with masks; and all results with zeros for masked steps.
        for (masked, go_backwards, zeros, results) in [
            (false, false, false, 1 + states),
            (true, true, false, 1),
            (true, false, true, 1 + states),
        ] {
            let bias = cell == "gru" && masked;
            check_both(&Case {
                name: "recurrent",
                attributes: &[
                    ("cell", Attr::Str(cell)),
                    ("go_backwards", Attr::Bool(go_backwards)),
                    ("zero_output_for_mask", Attr::Bool(zeros)),
                    ("use_bias", Attr::Bool(bias)),
                    ("use_mask", Attr::Bool(masked)),
                ],
                operands: operands(gates, states, bias, masked),
                results,
            });
        }
    }
}
