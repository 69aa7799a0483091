//! Scaled dot-product attention.

use std::sync::Arc;

use kernels::attention::{self as kernel, KEPT};
use kernels::elementwise::Op as Function;
use kernels::real::Real;
use smallvec::SmallVec;

use super::layout::{Repeat, Transpose};
use super::matmul::Matmul;
use super::norm::expect_shape;
use super::real::{Call, RealKernel, real_scratch, run_real};
use super::softmax::Softmax;
use super::term::{Term, Terms, differentiate_gradients};
use super::{Family, Op, Operand, Run, Vjp, create, expect_operands, expect_same_dtype};
use crate::emit::{Dispatch, Emitter};
use crate::{
    Bindings, DType, Dim, Error, Result, Shape, Spec, Specs, Value, trace, type_error, value_error,
};

/// The family's ops.
pub const OPS: Family = &[("attention", |attrs| {
    Ok(Arc::new(Attention {
        scale: attrs.float("scale")?,
        causal: attrs.bool_or("causal", false)?,
        use_mask: attrs.bool_or("use_mask", false)?,
        keep: false,
    }))
})];

/// Means of values, weighted by the softmax of the scaled products of queries and keys, of which no more than a block is there at a
/// time.
///
/// Operands: queries `(batch, queries, heads, depth)`, keys `(batch, keys, key heads, depth)`, values `(batch, keys, key heads, value
/// depth)`, a mask that broadcasts to `(batch, heads, queries, keys)`. A query that sees no key looks at all of them alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    scale: f64,
    causal: bool,
    use_mask: bool,
    /// Whether what the gradient wants of each query is one more result.
    keep: bool,
}

/// What the score of a hidden key is where the scores are there, for gradients of gradients.
fn hidden(dtype: DType) -> f64 {
    if dtype == DType::Float16 { -3e4 } else { -1e9 }
}

impl Attention {
    /// The number of operands.
    fn operands(&self) -> usize {
        3 + usize::from(self.use_mask)
    }

    /// The sizes of a call.
    fn sized(&self, shapes: [&[usize]; 3]) -> kernel::Attention {
        let [query, key, value] = shapes;
        kernel::Attention {
            batch: query[0],
            queries: query[1],
            keys: key[1],
            heads: query[2],
            key_heads: key[2],
            depth: query[3],
            value_depth: value[3],
            scale: self.scale,
            causal: self.causal,
        }
    }

    fn sized_of(&self, inputs: &[Operand<'_>]) -> kernel::Attention {
        self.sized([0, 1, 2].map(|i| inputs[i].shape))
    }

    /// The operands as the kernels take them.
    fn kernel_operands<'a, T: Real>(
        &self,
        call: &Call<'a, T>,
    ) -> (kernel::Attention, kernel::Operands<'a, T>) {
        let mask = self.use_mask.then(|| {
            let mask = &call.operands[3];
            let mut strides = [0; 4];
            let mut step = 1;
            let missing = strides.len() - mask.shape.len();
            for (axis, &size) in mask.shape.iter().enumerate().rev() {
                if size > 1 {
                    strides[missing + axis] = step;
                }
                step *= size;
            }
            kernel::Mask {
                seen: mask.as_slice(),
                strides,
            }
        });
        let operands = kernel::Operands {
            query: call.inputs[0],
            key: call.inputs[1],
            value: call.inputs[2],
            mask,
        };
        (
            self.sized([0, 1, 2].map(|i| call.operands[i].shape)),
            operands,
        )
    }

    /// Multiplications and additions of one product of queries and keys.
    fn products(&self, inputs: &[Operand<'_>]) -> u64 {
        let this = self.sized_of(inputs);
        let scores = this.batch * this.heads * this.queries * this.keys;
        (scores * (this.depth + this.value_depth)) as u64
    }

    /// The output by other ops, for gradients of gradients.
    fn composed<'t, 'e>(&self, terms: &'t Terms<'e>, x: &[Term<'t, 'e>]) -> Result<Term<'t, 'e>> {
        let shapes = x[..2]
            .iter()
            .map(|x| Ok(x.clone().value()?.shape().clone()))
            .collect::<Result<SmallVec<[Shape; 2]>>>()?;
        let transpose = |x: &Term<'t, 'e>| {
            let axes = SmallVec::from_slice(&[0, 2, 1, 3]);
            terms.apply(Arc::new(Transpose(Some(axes))), &[x])
        };
        let matmul = |transpose_b, a: &Term<'t, 'e>, b: &Term<'t, 'e>| {
            let op = Matmul {
                transpose_a: false,
                transpose_b,
            };
            terms.apply(Arc::new(op), &[a, b])
        };
        let (heads, key_heads) = (&shapes[0][2], &shapes[1][2]);
        let per_head = |x: &Term<'t, 'e>| -> Result<Term<'t, 'e>> {
            if heads == key_heads {
                return Ok(transpose(x));
            }
            let repeats = Dim::Known(heads.require()? / key_heads.require()?.max(1));
            let op = Repeat { repeats, axis: 2 };
            Ok(transpose(&terms.apply(Arc::new(op), &[x])))
        };
        let mut scores = matmul(true, &transpose(&x[0]), &per_head(&x[1])?) * self.scale;
        let hidden = scores.number(hidden(x[0].clone().value()?.dtype()));
        if self.use_mask {
            scores = terms.select(&x[3], &scores, &hidden);
        }
        if self.causal {
            let (queries, keys) = (&shapes[0][1], &shapes[1][1]);
            let shape: Shape = [queries, keys].map(Dim::clone).into_iter().collect();
            let place =
                |axis| terms.of_result(create::iota(&mut Dispatch, &shape, axis, DType::Int32));
            let seen = place(0).with(Function::GreaterEqual, &place(1));
            scores = terms.select(&seen, &scores, &hidden);
        }
        let weights = terms.apply(Arc::new(Softmax::along(-1)), &[&scores]);
        Ok(transpose(&matmul(false, &weights, &per_head(&x[2])?)))
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        expect_operands(inputs, self.operands()..=self.operands())?;
        let dtype = expect_same_dtype(&inputs[..3])?;
        if !dtype.is_float() {
            return type_error!("operands must be of floats, got {dtype}");
        }
        let [query, key, value] = [inputs[0], inputs[1], inputs[2]];
        if inputs[..3].iter().any(|spec| spec.shape.rank() != 4) {
            return value_error!(
                "expected queries, keys and values with 4 axes, got shapes {}, {} and {}",
                query.shape,
                key.shape,
                value.shape
            );
        }
        let dims = |dims: [&Dim; 4]| -> Shape { dims.map(Dim::clone).into_iter().collect() };
        let (keys, key_heads) = (&key.shape[1], &key.shape[2]);
        let (batch, queries, heads) = (&query.shape[0], &query.shape[1], &query.shape[2]);
        let depth = &value.shape[3];
        expect_shape(
            "the keys",
            key,
            &dims([batch, keys, key_heads, &query.shape[3]]),
        )?;
        expect_shape("the values", value, &dims([batch, keys, key_heads, depth]))?;
        if heads != key_heads {
            let [heads, key_heads] = [heads.require()?, key_heads.require()?];
            if key_heads == 0 || heads % key_heads != 0 {
                return value_error!(
                    "the heads of the keys must divide those of the queries, got {key_heads} and {heads}"
                );
            }
        }
        if self.use_mask {
            let mask = inputs[3];
            if mask.dtype != DType::Bool {
                return type_error!("the mask must be bool, got {}", mask.dtype);
            }
            let scores = dims([batch, heads, queries, keys]);
            let missing = scores.rank().checked_sub(mask.shape.rank());
            let pairs = |missing: usize| mask.shape.iter().zip(&scores[missing..]);
            let fits = missing.is_some_and(|missing| {
                pairs(missing).all(|(size, wanted)| size.is(1) || !size.never_equals(wanted))
            });
            if !fits {
                return value_error!(
                    "the mask must broadcast to the scores, of shape {scores}, got {}",
                    mask.shape
                );
            }
            for (size, wanted) in pairs(missing.unwrap_or(0)).filter(|(size, _)| !size.is(1)) {
                trace::assume_equal(size, wanted);
            }
        }
        let mut specs: Specs =
            std::iter::once(query.with_shape(dims([batch, queries, heads, depth]))).collect();
        if self.keep {
            let kept = dims([batch, heads, queries, &Dim::Known(KEPT as i64)]);
            let wide = if dtype == DType::Float64 {
                dtype
            } else {
                DType::Float32
            };
            specs.push(Spec::new(wide, kept));
        }
        Ok(specs)
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let Some(kept) = vjp.outputs.get(1) else {
            return Err(Error::Internal("the scores' numbers were not kept".into()));
        };
        let mut operands: SmallVec<[&Value; 8]> = vjp.inputs.iter().collect();
        operands.extend([&vjp.outputs[0], kept, vjp.grad()?]);
        let mut grads: Vec<Option<Value>> = e
            .emit(Arc::new(AttentionGradient(*self)), &operands)?
            .into_iter()
            .map(Some)
            .collect();
        grads.resize(vjp.inputs.len(), None);
        Ok(grads)
    }

    fn for_gradient(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Attention {
            keep: true,
            ..*self
        }))
    }

    fn visible_outputs(&self) -> usize {
        1
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        2 * self.products(inputs)
    }
}

impl RealKernel for Attention {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let (sized, operands) = self.kernel_operands(&call);
        let (output, kept) = call.outputs.split_at_mut(1);
        let kept = kept.first_mut().map(|kept| &mut **kept);
        kernel::forward(&sized, &operands, output[0], kept, call.scratch);
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let sized = self.sized_of(inputs);
        match inputs[0].dtype {
            DType::Float64 => kernel::forward_scratch_len::<f64>(&sized),
            _ => kernel::forward_scratch_len::<f32>(&sized),
        }
    }
}

/// The gradients of [`Attention`]. Operands: its own, the output, what was kept, the gradient that reaches the output. Results: the
/// gradients of queries, keys and values.
#[derive(Clone, Copy, Debug)]
struct AttentionGradient(Attention);

impl Op for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention_gradient"
    }

    fn infer(&self, inputs: &[&Spec]) -> Result<Specs> {
        let count = self.0.operands() + 3;
        expect_operands(inputs, count..=count)?;
        Ok(inputs[..3].iter().map(|&spec| spec.clone()).collect())
    }

    fn scratch(&self, inputs: &[Operand<'_>], outputs: &[Operand<'_>], _: &Bindings) -> usize {
        real_scratch(self, inputs, outputs)
    }

    fn run(&self, run: &mut Run<'_, '_>) -> Result<()> {
        run_real(self, run)
    }

    fn vjp(&self, _e: &mut dyn Emitter, vjp: &Vjp<'_>) -> Result<Vec<Option<Value>>> {
        let wanted: Vec<bool> = (0..self.0.operands()).map(|i| i < 3).collect();
        differentiate_gradients(
            vjp,
            &wanted,
            |operands| vec![operands.last().cloned()],
            |terms, x| Ok(vec![self.0.composed(terms, x)?]),
        )
    }

    fn flops(&self, inputs: &[Operand<'_>], _: &[Operand<'_>]) -> u64 {
        5 * self.0.products(inputs)
    }
}

impl RealKernel for AttentionGradient {
    fn call<T: Real>(&self, mut call: Call<'_, T>) {
        let (sized, operands) = self.0.kernel_operands(&call);
        let first = self.0.operands();
        let gradients = kernel::Gradients {
            output: call.inputs[first],
            kept: call.inputs[first + 1],
            gradient: call.inputs[first + 2],
        };
        let [query, key, value] = &mut call.outputs[..] else {
            unreachable!("a gradient for each operand")
        };
        let results = kernel::Results { query, key, value };
        kernel::backward(&sized, &operands, &gradients, results, call.scratch);
    }

    fn scratch_len(&self, inputs: &[Operand<'_>]) -> usize {
        let sized = self.0.sized_of(inputs);
        match inputs[0].dtype {
            DType::Float64 => kernel::backward_scratch_len::<f64>(&sized),
            _ => kernel::backward_scratch_len::<f32>(&sized),
        }
    }
}
