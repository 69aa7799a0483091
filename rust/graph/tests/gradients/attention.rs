//! Attention in blocks.

use graph::op::Attr;
use graph::{DType, Tensor, Value};

use super::{Case, check_both, numbers, tensor};

#[test]
fn of_attention() {
    let random = |shape: &[usize], seed| tensor(&numbers(shape.iter().product(), seed), shape);
    // The last query sees no key; the heads of a sequence see alike.
    let mask = Tensor::from_slice(&[1u8, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0], &[3, 4]);
    let mask = Value::concrete(mask.retyped(DType::Bool));
    for (heads, key_heads) in [(2, 2), (2, 1)] {
        for (causal, masked) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut operands = vec![
                random(&[2, 3, heads, 2], 51),
                random(&[2, 4, key_heads, 2], 52),
                random(&[2, 4, key_heads, 3], 53),
            ];
            operands.extend(masked.then(|| mask.clone()));
            check_both(&Case {
                name: "attention",
                attributes: &[
                    ("scale", Attr::Float(0.7)),
                    ("causal", Attr::Bool(causal)),
                    ("use_mask", Attr::Bool(masked)),
                ],
                operands,
                results: 1,
            });
        }
    }
}
