//! From the gradient of the means to those of queries, keys and values.
use std::ops::Range;

use simd::{Float, Isa, Lanes, Level, Task, level};

use super::{
    Attention, Block, CopyRows, HIDDEN, KEPT, KEYS, Operands, Product, Transpose, block_queries,
    panels_len, scratch_of, share, stride, take, taken,
};
use crate::gemm::panels::{Shared, sizes};
use crate::real::{Real, load_at, store_at};

/// What reaches the output, and what the way forward gave.
#[derive(Clone, Copy, Debug)]
pub struct Gradients<'a, T> {
    /// The output.
    pub output: &'a [T],
    /// What was kept.
    pub kept: &'a [T],
    /// The gradient of the output.
    pub gradient: &'a [T],
}

/// What [`backward`] writes: the gradients of the operands.
pub struct Results<'a, T> {
    /// That of the queries.
    pub query: &'a mut [T],
    /// That of the keys.
    pub key: &'a mut [T],
    /// That of the values.
    pub value: &'a mut [T],
}

/// Items of scratch of a worker, by what they hold: the keys and values as panels of columns, the keys as panels of rows; of a block
/// the queries and the gradients as rows and as panels, and of each query the product of its output and that one's gradient; the
/// weights and the gradients of the scores; of a block of keys their gradients and those of the values.
fn parts<T>(this: &Attention, level: Level) -> [usize; 12] {
    let rows = block_queries::<T>(level).min(this.queries.next_multiple_of(2));
    let keys = KEYS.min(this.keys);
    let scores = rows * stride(keys);
    [
        panels_len::<T>(level, this.keys, this.depth),
        panels_len::<T>(level, this.keys, this.value_depth),
        panels_len::<T>(level, this.depth, this.keys),
        rows * stride(this.depth),
        panels_len::<T>(level, this.depth, rows),
        rows * stride(this.value_depth),
        panels_len::<T>(level, this.value_depth, rows),
        rows,
        scores,
        scores,
        keys * stride(this.depth),
        keys * stride(this.value_depth),
    ]
}

/// Which gradients a pass over the scores gives: of the five products of two passes each gives some, but both compute the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pass {
    All,
    Keys,
    Queries,
}

/// Products of a block of all gradients at once, and of both passes.
const PRODUCTS: [usize; 2] = [5, 7];

impl Pass {
    /// One pass where its few units, one for each pair, keep the threads as busy as the smaller ones of two passes.
    fn all(this: &Attention) -> &'static [Pass] {
        let workers = this.workers(usize::MAX);
        let turns = this.pairs().div_ceil(workers) * workers;
        if turns * PRODUCTS[0] <= this.pairs() * PRODUCTS[1] {
            &[Pass::All]
        } else {
            &[Pass::Keys, Pass::Queries]
        }
    }

    /// Units of work, and those that share packed keys.
    fn units<T>(self, this: &Attention, level: Level) -> [usize; 2] {
        let together = match self {
            Pass::All => 1,
            Pass::Keys => this.keys.div_ceil(KEYS),
            Pass::Queries => this.group() * this.query_blocks::<T>(level),
        };
        [this.pairs() * together, together]
    }
}

/// Items of scratch that [`backward`] wants.
pub fn backward_scratch_len<T: Real>(this: &Attention) -> usize {
    let workers = Pass::all(this).iter().map(|pass| {
        let [units, _] = pass.units::<T>(this, level());
        this.workers(units)
    });
    scratch_of(
        workers.max().unwrap_or(1),
        taken(&parts::<T>(this, level())),
    )
}

/// The gradients of the operands of [`super::forward`].
///
/// # Panics
/// When a slice has not the length that the sizes ask for, or the scratch is too short.
pub fn backward<T: Real>(
    this: &Attention,
    operands: &Operands<'_, T>,
    gradients: &Gradients<'_, T>,
    results: Results<'_, T>,
    scratch: &mut [T],
) {
    this.check(operands);
    let queries = this.batch * this.queries * this.heads;
    assert_eq!(gradients.output.len(), queries * this.value_depth);
    assert_eq!(gradients.gradient.len(), queries * this.value_depth);
    assert_eq!(gradients.kept.len(), queries * KEPT);
    assert_eq!(results.query.len(), operands.query.len());
    assert_eq!(results.key.len(), operands.key.len());
    assert_eq!(results.value.len(), operands.value.len());
    let Results { query, key, value } = results;
    if queries == 0 || this.keys == 0 {
        for result in [query, key, value] {
            result.fill(T::default());
        }
        return;
    }
    let level = level();
    let [query, key, value] = [query, key, value].map(|result| Shared(result.as_mut_ptr()));
    for &pass in Pass::all(this) {
        let [units, together] = pass.units::<T>(this, level);
        share(
            units,
            together,
            this.workers(units),
            taken(&parts::<T>(this, level)),
            scratch,
            |units, scratch, packed| {
                let results = [query.get(), key.get(), value.get()];
                let part = Part {
                    this,
                    operands,
                    gradients,
                    results,
                    pass,
                    units,
                    scratch,
                    packed,
                };
                T::attention_backward(level, part);
            },
        );
    }
}

/// Some units of a pass.
pub struct Part<'a, T> {
    this: &'a Attention,
    operands: &'a Operands<'a, T>,
    gradients: &'a Gradients<'a, T>,
    results: [*mut T; 3],
    pass: Pass,
    units: Range<usize>,
    scratch: &'a mut [T],
    packed: &'a mut Option<usize>,
}

impl<T: Real> Task for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Part {
            this,
            operands,
            gradients,
            pass,
            units,
            mut scratch,
            ..
        } = self;
        let [_, width] = sizes::<T>(I::LEVEL);
        let [
            key_columns,
            value_columns,
            key_rows,
            rows,
            row_panels,
            grads,
            grad_panels,
            dots,
            weights,
            slopes,
            key_sums,
            value_sums,
        ] = parts::<T>(this, I::LEVEL).map(|len| take(&mut scratch, len));
        let (depth, value_depth) = (this.depth, this.value_depth);
        let (row_stride, grad_stride) = (stride(depth), stride(value_depth));
        let score_stride = stride(KEYS.min(this.keys));
        let [one, scale, hidden] = [1.0, this.scale, HIDDEN].map(T::from_f64);
        let blocks = this.query_blocks::<T>(I::LEVEL);
        let [_, together] = pass.units::<T>(this, I::LEVEL);
        for unit in units {
            let (pair, rest) = (unit / together, unit % together);
            let (batch, key_head) = (pair / this.key_heads, pair % this.key_heads);
            let key_place = Attention::rows(this.keys, [this.key_heads, depth], batch, key_head);
            let value_place =
                Attention::rows(this.keys, [this.key_heads, value_depth], batch, key_head);
            if *self.packed != Some(pair) {
                let from = |of: &[T], [first, row]: [usize; 2]| (of[first..].as_ptr(), row);
                isa.run(Transpose {
                    from: from(operands.key, key_place),
                    size: [this.keys, depth],
                    to: &mut *key_columns,
                });
                isa.run(Transpose {
                    from: from(operands.value, value_place),
                    size: [this.keys, value_depth],
                    to: &mut *value_columns,
                });
                isa.run(CopyRows {
                    from: from(operands.key, key_place),
                    size: [this.keys, depth],
                    scale: one,
                    to: &mut *key_rows,
                    to_row: width,
                });
                *self.packed = Some(pair);
            }
            let [mut turns, mut keys_of] = [0..this.group() * blocks, 0..this.keys];
            match pass {
                Pass::All => {}
                Pass::Keys => keys_of = rest * KEYS..this.keys.min((rest + 1) * KEYS),
                Pass::Queries => turns = rest..rest + 1,
            }
            let mut queries_packed = None;
            for first_key in keys_of.step_by(KEYS) {
                if pass != Pass::Queries {
                    key_sums.fill(T::default());
                    value_sums.fill(T::default());
                }
                for turn in turns.clone() {
                    let head = key_head * this.group() + turn / blocks;
                    let queries = this.queries_of::<T>(I::LEVEL, turn % blocks);
                    let kept = ((batch * this.heads + head) * this.queries + queries.start) * KEPT;
                    let kept = &gradients.kept[kept..][..queries.len() * KEPT];
                    let blind = kept.iter().step_by(KEPT).any(|x| *x <= hidden);
                    let keys = this.block_of_keys(operands.mask, first_key, queries.end, blind);
                    if keys.is_empty() {
                        continue;
                    }
                    let [first, row] =
                        Attention::rows(this.queries, [this.heads, depth], batch, head);
                    let query_place = (first + queries.start * row, row);
                    if queries_packed != Some(turn) {
                        let query = (operands.query[query_place.0..].as_ptr(), row);
                        let [first, row] =
                            Attention::rows(this.queries, [this.heads, value_depth], batch, head);
                        let first = first + queries.start * row;
                        let gradient = (gradients.gradient[first..].as_ptr(), row);
                        for (from, columns, scale, to, to_row) in [
                            (query, depth, scale, &mut *rows, row_stride),
                            (query, depth, one, &mut *row_panels, width),
                            (gradient, value_depth, one, &mut *grads, grad_stride),
                            (gradient, value_depth, one, &mut *grad_panels, width),
                        ] {
                            isa.run(CopyRows {
                                from,
                                size: [queries.len(), columns],
                                scale,
                                to,
                                to_row,
                            });
                        }
                        for (i, dot) in dots[..queries.len()].iter_mut().enumerate() {
                            let output = &gradients.output[first + i * row..][..value_depth];
                            *dot = product(isa, output, &grads[i * grad_stride..][..value_depth]);
                        }
                        queries_packed = Some(turn);
                    }
                    for (from, from_row, columns, panels, to) in [
                        (&*rows, row_stride, depth, &*key_columns, &mut *weights),
                        (
                            &*grads,
                            grad_stride,
                            value_depth,
                            &*value_columns,
                            &mut *slopes,
                        ),
                    ] {
                        isa.run(Product {
                            size: [queries.len(), keys.len(), columns],
                            a: (from.as_ptr(), from_row, 1),
                            b: (panels[first_key * columns..].as_ptr(), width * columns),
                            c: (to.as_mut_ptr(), score_stride),
                            add: false,
                        });
                    }
                    Block {
                        mask: operands.mask,
                        causal: this.causal,
                        batch,
                        head,
                        first_query: queries.start,
                        first_key,
                        queries: queries.len(),
                        keys: keys.len(),
                    }
                    .hide(weights, score_stride);
                    for (i, kept) in kept.chunks_exact(KEPT).enumerate() {
                        let part = i * score_stride..i * score_stride + keys.len();
                        let slopes = &mut slopes[part.clone()];
                        let numbers = [kept[0], kept[1], dots[i], scale];
                        slope(isa, &mut weights[part], slopes, numbers);
                        if kept[0] <= hidden {
                            slopes.fill(T::default());
                        }
                    }
                    if pass != Pass::Queries {
                        for (from, columns, panels, sums, row) in [
                            (&*slopes, depth, &*row_panels, &mut *key_sums, row_stride),
                            (
                                &*weights,
                                value_depth,
                                &*grad_panels,
                                &mut *value_sums,
                                grad_stride,
                            ),
                        ] {
                            isa.run(Product {
                                size: [keys.len(), columns, queries.len()],
                                a: (from.as_ptr(), 1, score_stride),
                                b: (panels.as_ptr(), width * queries.len()),
                                c: (sums.as_mut_ptr(), row),
                                add: true,
                            });
                        }
                    }
                    if pass != Pass::Keys {
                        // SAFETY: the result was found long enough; these queries of this head are one unit's alone.
                        let result = unsafe { self.results[0].add(query_place.0) };
                        isa.run(Product {
                            size: [queries.len(), depth, keys.len()],
                            a: (slopes.as_ptr(), score_stride, 1),
                            b: (key_rows[first_key * width..].as_ptr(), width * this.keys),
                            c: (result, query_place.1),
                            add: first_key > 0,
                        });
                    }
                }
                if pass != Pass::Queries {
                    for (sums, stride, [first, row], columns, result) in [
                        (&*key_sums, row_stride, key_place, depth, self.results[1]),
                        (
                            &*value_sums,
                            grad_stride,
                            value_place,
                            value_depth,
                            self.results[2],
                        ),
                    ] {
                        let keys = KEYS.min(this.keys - first_key);
                        for (key, sums) in sums.chunks(stride).take(keys).enumerate() {
                            // SAFETY: the result was found long enough; these keys of this head are one unit's alone.
                            unsafe {
                                let to = result.add(first + (first_key + key) * row);
                                to.copy_from_nonoverlapping(sums.as_ptr(), columns);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The product of two rows.
#[inline(always)]
fn product<I: Isa, T: Real>(isa: I, x: &[T], y: &[T]) -> T {
    let mut sum = T::Lanes::<I>::zero(isa);
    for i in (0..x.len()).step_by(T::Lanes::<I>::LEN) {
        sum = load_at::<T, I>(isa, x, i).mul_add(load_at::<T, I>(isa, y, i), sum);
    }
    sum.sum()
}

/// From one query's scores and the gradients of its weights to the weights and the gradients of the scores. The numbers are the
/// greatest score, one over the sum of the exponentials, the product of the output and its gradient, and the scale of the scores.
#[inline(always)]
fn slope<I: Isa, T: Real>(
    isa: I,
    weights: &mut [T],
    slopes: &mut [T],
    [greatest, share, dot, scale]: [T; 4],
) {
    let [greatest, share, dot, scale] =
        [greatest, share, dot, scale].map(|x| T::Lanes::<I>::splat(isa, x));
    for i in (0..weights.len()).step_by(T::Lanes::<I>::LEN) {
        let weight = T::exp(isa, load_at::<T, I>(isa, weights, i) - greatest) * share;
        store_at::<T, I>(weight, weights, i);
        let slope = weight * scale * (load_at::<T, I>(isa, slopes, i) - dot);
        store_at::<T, I>(slope, slopes, i);
    }
}
