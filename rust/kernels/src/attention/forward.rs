//! From queries, keys and values to the means of the values.
use std::ops::Range;

use simd::{Float, Isa, Lanes, Level, Task, level};

use super::{
    Attention, Block, CopyRows, HIDDEN, KEPT, KEYS, Operands, Product, Transpose, block_queries,
    panels_len, scratch_of, share, stride, take, taken,
};
use crate::gemm::panels::{Shared, sizes};
use crate::real::{MAX_LANES, Real, load_at, load_or, store_at};

/// Items of scratch of a worker, by what they hold: the panels of keys and of values, queries, scores, and of each query the sum
/// of the exponentials in lanes and the greatest score.
fn parts<T>(this: &Attention, level: Level) -> [usize; 6] {
    let rows = block_queries::<T>(level).min(this.queries.next_multiple_of(2));
    [
        panels_len::<T>(level, this.keys, this.depth),
        panels_len::<T>(level, this.value_depth, this.keys),
        rows * stride(this.depth),
        rows * stride(KEYS.min(this.keys)),
        rows * MAX_LANES,
        rows,
    ]
}

/// Units of work, and those that share packed keys.
fn units<T>(this: &Attention, level: Level) -> [usize; 2] {
    let together = this.group() * this.query_blocks::<T>(level);
    [this.pairs() * together, together]
}

/// Items of scratch that [`forward`] wants.
pub fn forward_scratch_len<T: Real>(this: &Attention) -> usize {
    let [units, _] = units::<T>(this, level());
    scratch_of(this.workers(units), taken(&parts::<T>(this, level())))
}

/// Writes the output, `(batch, queries, heads, value depth)`, and what the gradient wants, `(batch, heads, queries, 2)`.
///
/// # Panics
/// When a slice has not the length that the sizes ask for, or the scratch is too short.
pub fn forward<T: Real>(
    this: &Attention,
    operands: &Operands<'_, T>,
    output: &mut [T],
    kept: Option<&mut [T]>,
    scratch: &mut [T],
) {
    this.check(operands);
    let queries = this.batch * this.queries * this.heads;
    assert_eq!(output.len(), queries * this.value_depth);
    assert!((kept.as_ref()).is_none_or(|kept| kept.len() == queries * KEPT));
    if queries == 0 {
        return;
    }
    if this.keys == 0 {
        output.fill(T::default());
        return kept.unwrap_or_default().fill(T::default());
    }
    let level = level();
    let [units, together] = units::<T>(this, level);
    let (output, kept) = (
        Shared(output.as_mut_ptr()),
        kept.map(|kept| Shared(kept.as_mut_ptr())),
    );
    share(
        units,
        together,
        this.workers(units),
        taken(&parts::<T>(this, level)),
        scratch,
        |units, scratch, packed| {
            let part = Part {
                this,
                operands,
                output: output.get(),
                kept: kept.as_ref().map(Shared::get),
                units,
                scratch,
                packed,
            };
            T::attention_forward(level, part);
        },
    );
}

/// Some blocks of queries, in the order of sequences, key heads, heads, queries.
pub struct Part<'a, T> {
    this: &'a Attention,
    operands: &'a Operands<'a, T>,
    output: *mut T,
    kept: Option<*mut T>,
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
            units,
            mut scratch,
            ..
        } = self;
        let [_, width] = sizes::<T>(I::LEVEL);
        let [keys, values, rows, scores, sums, greatest] =
            parts::<T>(this, I::LEVEL).map(|len| take(&mut scratch, len));
        let blocks = this.query_blocks::<T>(I::LEVEL);
        let (row_stride, score_stride) = (stride(this.depth), stride(KEYS.min(this.keys)));
        let one = T::from_f64(1.0);
        for unit in units {
            let (head, block) = (unit / blocks, unit % blocks);
            let (batch, head) = (head / this.heads, head % this.heads);
            let key_head = head / this.group();
            let pair = batch * this.key_heads + key_head;
            if *self.packed != Some(pair) {
                let [first, row] =
                    Attention::rows(this.keys, [this.key_heads, this.depth], batch, key_head);
                let from = (operands.key[first..].as_ptr(), row);
                isa.run(Transpose {
                    from,
                    size: [this.keys, this.depth],
                    to: &mut *keys,
                });
                let [first, row] = Attention::rows(
                    this.keys,
                    [this.key_heads, this.value_depth],
                    batch,
                    key_head,
                );
                isa.run(CopyRows {
                    from: (operands.value[first..].as_ptr(), row),
                    size: [this.keys, this.value_depth],
                    scale: one,
                    to: &mut *values,
                    to_row: width,
                });
                *self.packed = Some(pair);
            }
            let queries = this.queries_of::<T>(I::LEVEL, block);
            let [first, row] = Attention::rows(this.queries, [this.heads, this.depth], batch, head);
            isa.run(CopyRows {
                from: (operands.query[first + queries.start * row..].as_ptr(), row),
                size: [queries.len(), this.depth],
                scale: T::from_f64(this.scale),
                to: &mut *rows,
                to_row: row_stride,
            });
            greatest.fill(T::LEAST);
            let [first, out_row] =
                Attention::rows(this.queries, [this.heads, this.value_depth], batch, head);
            // SAFETY: the output was found long enough; its rows of these queries and this head are this unit's alone.
            let out = unsafe { self.output.add(first + queries.start * out_row) };
            for first in (0..this.keys).step_by(KEYS) {
                let blind = (greatest[..queries.len()].iter()).any(|x| *x <= T::from_f64(HIDDEN));
                let block = this.block_of_keys(operands.mask, first, queries.end, blind);
                if block.is_empty() {
                    break;
                }
                isa.run(Product {
                    size: [queries.len(), block.len(), this.depth],
                    a: (rows.as_ptr(), row_stride, 1),
                    b: (keys[first * this.depth..].as_ptr(), width * this.depth),
                    c: (scores.as_mut_ptr(), score_stride),
                    add: false,
                });
                let block = Block {
                    mask: operands.mask,
                    causal: this.causal,
                    batch,
                    head,
                    first_query: queries.start,
                    first_key: first,
                    queries: queries.len(),
                    keys: block.len(),
                };
                block.hide(scores, score_stride);
                for row in 0..queries.len() {
                    // SAFETY: a row of the output, this unit's alone.
                    let out = unsafe {
                        std::slice::from_raw_parts_mut(out.add(row * out_row), this.value_depth)
                    };
                    exponentials(
                        isa,
                        &mut scores[row * score_stride..][..block.keys],
                        &mut greatest[row],
                        &mut sums[row * MAX_LANES..][..MAX_LANES],
                        out,
                        first == 0,
                    );
                }
                isa.run(Product {
                    size: [queries.len(), this.value_depth, block.keys],
                    a: (scores.as_ptr(), score_stride, 1),
                    b: (values[first * width..].as_ptr(), width * this.keys),
                    c: (out, out_row),
                    add: first > 0,
                });
            }
            for (row, query) in queries.enumerate() {
                let sum = T::Lanes::<I>::load(isa, &sums[row * MAX_LANES..]).sum();
                let share = T::from_f64(1.0 / sum.to_f64());
                // SAFETY: as above.
                let out = unsafe {
                    std::slice::from_raw_parts_mut(out.add(row * out_row), this.value_depth)
                };
                multiply(isa, out, T::Lanes::<I>::splat(isa, share));
                if let Some(kept) = self.kept {
                    let at = ((batch * this.heads + head) * this.queries + query) * KEPT;
                    // SAFETY: what is kept was found long enough; this query's is this unit's alone.
                    unsafe {
                        *kept.add(at) = greatest[row];
                        *kept.add(at + 1) = share;
                    }
                }
            }
        }
    }
}

/// Brings one query's numbers up to date with scores, which become exponentials.
#[inline(always)]
fn exponentials<I: Isa, T: Real>(
    isa: I,
    scores: &mut [T],
    greatest: &mut T,
    sums: &mut [T],
    out: &mut [T],
    first: bool,
) {
    let len = T::Lanes::<I>::LEN;
    let mut top = T::Lanes::<I>::splat(isa, *greatest);
    for i in (0..scores.len()).step_by(len) {
        top = top.max(load_or::<T, I>(isa, scores, i, T::LEAST));
    }
    let before = *greatest;
    *greatest = top.max_lane();
    let top = T::Lanes::<I>::splat(isa, *greatest);
    let mut sum = T::Lanes::<I>::zero(isa);
    if !first {
        sum = T::Lanes::<I>::load(isa, sums);
        if *greatest > before {
            let shrink = T::exp(isa, T::Lanes::<I>::splat(isa, before) - top);
            sum = sum * shrink;
            multiply(isa, out, shrink);
        }
    }
    for i in (0..scores.len()).step_by(len) {
        let e = T::exp(isa, load_or::<T, I>(isa, scores, i, T::LEAST) - top);
        sum = sum + e;
        store_at::<T, I>(e, scores, i);
    }
    sum.store(sums);
}

/// Multiplies a row by lanes of one number.
#[inline(always)]
fn multiply<I: Isa, T: Real>(isa: I, row: &mut [T], by: T::Lanes<I>) {
    for i in (0..row.len()).step_by(T::Lanes::<I>::LEN) {
        store_at::<T, I>(load_at::<T, I>(isa, row, i) * by, row, i);
    }
}
