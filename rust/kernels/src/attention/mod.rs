//! Scaled dot-product attention, `softmax(scale Q K^T) V`, in tiles: no more than a block of the scores is there at a time.
//!
//! A block of queries meets the blocks of keys one after the other. The greatest score and the sum of the exponentials of each
//! query are brought up to date on the way, and what was summed before shrinks when a greater score comes. The gradient computes
//! the scores again, block by block, from the two numbers of each query that the way forward kept.
//!
//! Milakov and Gimelshein, Online normalizer calculation for softmax (2018), arXiv:1805.02867; Dao et al., FlashAttention (2022),
//! arXiv:2205.14135.
//!
//! Operands are read where they lie, `(batch, length, heads, depth)`. Keys and values of a head are packed once for all its
//! queries. How work is shared changes no order of sums, so that the bits depend on no number of threads.
mod backward;
mod forward;
#[cfg(test)]
mod tests;

use std::ops::Range;

use simd::{Isa, Lanes, Level, Task, dispatch_at};

pub use backward::{Gradients, Results, backward, backward_scratch_len};
pub use forward::{forward, forward_scratch_len};

use crate::gemm::panels::{Lines, multiply_lines, sizes};
use crate::gemm::transpose_lines;
use crate::real::{MAX_LANES, Real};
use crate::threads::{num_threads, share_tasks};

/// The sizes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Sequences.
    pub batch: usize,
    /// Queries of a sequence.
    pub queries: usize,
    /// Keys of a sequence, and values.
    pub keys: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of the keys and values: each serves as many heads of queries.
    pub key_heads: usize,
    /// Items of a query and of a key.
    pub depth: usize,
    /// Items of a value.
    pub value_depth: usize,
    /// What the products of queries and keys are multiplied with.
    pub scale: f64,
    /// Whether a query sees no key behind its own place.
    pub causal: bool,
}

/// Which keys a query sees, by strides along batch, heads, queries and keys: zero where all see alike. Along keys it is 0 or 1.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// Not zero where a key is seen.
    pub seen: &'a [u8],
    /// From one to the next.
    pub strides: [usize; 4],
}

/// What [`forward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a, T> {
    /// `(batch, queries, heads, depth)`.
    pub query: &'a [T],
    /// `(batch, keys, key heads, depth)`.
    pub key: &'a [T],
    /// `(batch, keys, key heads, value depth)`.
    pub value: &'a [T],
    /// Where some keys are hidden.
    pub mask: Option<Mask<'a>>,
}

/// The numbers that the gradient wants of each query: its greatest score, and one over the sum of its exponentials.
pub const KEPT: usize = 2;

/// The score of a hidden key: far below every other, and finite, so that a query that sees no key looks at all of them alike.
const HIDDEN: f64 = -0.7 * f32::MAX as f64;

/// Keys of a block: a block of scores and a panel of values stay in the first-level cache.
const KEYS: usize = 128;

/// Queries of a block: whole tiles.
fn block_queries<T>(level: Level) -> usize {
    let [rows, _] = sizes::<T>(level);
    64 / rows * rows
}

/// Multiply-adds that are worth waking a thread for: about 20 microseconds of a core.
const TASK_MACS: usize = if cfg!(test) { 64 } else { 1 << 20 };

/// Shares of the work per thread: more balance the load, fewer pack the keys of a head less often.
const SHARES: usize = 4;

impl Attention {
    /// Heads that a key head serves.
    fn group(&self) -> usize {
        self.heads / self.key_heads
    }

    /// Pairs of a sequence and a key head.
    fn pairs(&self) -> usize {
        self.batch * self.key_heads
    }

    /// Blocks of queries of a head.
    fn query_blocks<T>(&self, level: Level) -> usize {
        self.queries.div_ceil(block_queries::<T>(level))
    }

    /// The queries of a block.
    fn queries_of<T>(&self, level: Level, block: usize) -> Range<usize> {
        let most = block_queries::<T>(level);
        block * most..self.queries.min((block + 1) * most)
    }

    /// Panics unless every operand has its size.
    fn check<T>(&self, operands: &Operands<'_, T>) {
        assert!(self.key_heads > 0 && self.heads.is_multiple_of(self.key_heads));
        let [queries, keys] = [self.queries * self.heads, self.keys * self.key_heads];
        assert_eq!(operands.query.len(), self.batch * queries * self.depth);
        assert_eq!(operands.key.len(), self.batch * keys * self.depth);
        assert_eq!(operands.value.len(), self.batch * keys * self.value_depth);
        if let Some(mask) = &operands.mask {
            let sizes = [self.batch, self.heads, self.queries, self.keys];
            let last: usize = (sizes.iter().zip(mask.strides))
                .map(|(size, stride)| size.saturating_sub(1) * stride)
                .sum();
            assert!(mask.strides[3] < 2 && (last < mask.seen.len() || sizes.contains(&0)));
        }
    }

    /// Threads that the products of queries and keys are worth.
    fn workers(&self, units: usize) -> usize {
        let macs = [self.batch, self.heads, self.queries, self.keys, self.depth]
            .into_iter()
            .fold(1, usize::saturating_mul);
        num_threads().min(macs / TASK_MACS).min(units).max(1)
    }

    /// The rows of one head, of `length` in a sequence: where the first one starts, and from one to the next.
    fn rows(length: usize, [heads, depth]: [usize; 2], batch: usize, head: usize) -> [usize; 2] {
        [(batch * length * heads + head) * depth, heads * depth]
    }

    /// The keys of a block from `first` on that some query before `end` sees; none where nothing is to be done.
    ///
    /// `blind` says whether a query of the block may see no key at all, and so looks at all of them.
    fn block_of_keys(
        &self,
        mask: Option<Mask<'_>>,
        first: usize,
        queries_end: usize,
        blind: bool,
    ) -> Range<usize> {
        let mut end = self.keys.min(first + KEYS);
        if self.causal && mask.is_none() {
            end = end.min(queries_end);
        } else if self.causal && first >= queries_end && !blind {
            end = first;
        }
        first..end.max(first)
    }
}

/// The address of what lies somewhere in a tensor, and the items from a row to the next.
type Rows<P> = (P, usize);

/// The loops of a type: callers in other crates compile nothing again.
#[allow(missing_docs)]
pub trait Compiled: Sized {
    fn attention_forward(level: Level, part: forward::Part<'_, Self>);
    fn attention_backward(level: Level, part: backward::Part<'_, Self>);
}

macro_rules! compiled {
    ($($type:ty),*) => {$(
        impl Compiled for $type {
            fn attention_forward(level: Level, part: forward::Part<'_, Self>) {
                dispatch_at(level, part);
            }

            fn attention_backward(level: Level, part: backward::Part<'_, Self>) {
                dispatch_at(level, part);
            }
        }
    )*};
}
compiled!(f32, f64);

/// Calls `body` on ranges that cover `0..units`, on several threads, each of which has a part of the scratch and remembers the pair
/// whose keys are packed in it.
fn share<T: Real>(
    units: usize,
    grain: usize,
    workers: usize,
    worker_len: usize,
    scratch: &mut [T],
    body: impl Fn(Range<usize>, &mut [T], &mut Option<usize>) + Sync,
) {
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    // The number of threads may have changed since the scratch was measured.
    let workers = workers.min(scratch.len() / worker_len);
    assert!(workers > 0, "the scratch of attention is longer");
    let grain = if units >= SHARES * workers * grain {
        grain
    } else {
        units.div_ceil(SHARES * workers).min(grain).max(1)
    };
    let turns = units.div_ceil(grain.max(1));
    share_tasks(turns, workers, scratch, worker_len, |turns, scratch| {
        let mut packed = None;
        for turn in turns {
            body(
                turn * grain..units.min((turn + 1) * grain),
                scratch,
                &mut packed,
            );
        }
    });
}

/// Items of scratch for that many workers, and some to align the first one's.
fn scratch_of(workers: usize, worker_len: usize) -> usize {
    workers * worker_len + 16
}

/// From one row to the next in scratch: whole cache lines, and an odd one, as rows at multiples of a page share few sets of the
/// cache.
fn stride(len: usize) -> usize {
    len.next_multiple_of(MAX_LANES) + MAX_LANES
}

/// Cuts `count` items off a slice, or some more, so that the rest begins at a cache line.
fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (part, rest) = std::mem::take(slice).split_at_mut(count.next_multiple_of(MAX_LANES));
    *slice = rest;
    part
}

/// The items that [`take`] cuts off for all these.
fn taken(counts: &[usize]) -> usize {
    counts
        .iter()
        .map(|count| count.next_multiple_of(MAX_LANES))
        .sum()
}

/// Items of the panels of `lines` columns, each of `depth` items.
fn panels_len<T>(level: Level, lines: usize, depth: usize) -> usize {
    let [_, width] = sizes::<T>(level);
    lines.next_multiple_of(width) * depth
}

/// `c = a b`, or `c += a b`: the rows of `a` lie apart by the first step beside their address, its depth by the second; the panels
/// of `b` lie apart by the step beside theirs.
struct Product<T> {
    size: [usize; 3],
    a: (*const T, usize, usize),
    b: Rows<*const T>,
    c: Rows<*mut T>,
    add: bool,
}

impl<T: Real> Task for Product<T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let [_, width] = sizes::<T>(I::LEVEL);
        let [rows, columns, depth] = self.size;
        for column in (0..columns).step_by(width) {
            // SAFETY: who makes a product has the panels, the rows of `a`, one more where they are added and odd, and owns those of
            // `c`.
            unsafe {
                multiply_lines(
                    isa,
                    &Lines {
                        rows,
                        depth,
                        segments: &[0],
                        a: self.a,
                        b: (self.b.0.add(column / width * self.b.1), width),
                        next: None,
                        c: (self.c.0.add(column), self.c.1),
                        columns: width.min(columns - column),
                        add: self.add,
                        bias: None,
                        activation: None,
                    },
                );
            }
        }
    }
}

/// Copies rows, times a number, each up to a whole register. The columns beyond a step of the copy go behind its last row, and so
/// on: panels where that is the width of one.
struct CopyRows<'a, T> {
    from: Rows<*const T>,
    /// Rows and columns.
    size: [usize; 2],
    scale: T,
    to: &'a mut [T],
    to_row: usize,
}

impl<T: Real> Task for CopyRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = T::Lanes::<I>::LEN;
        let [rows, columns] = self.size;
        let scale = T::Lanes::<I>::splat(isa, self.scale);
        assert!(self.to.len() >= columns.div_ceil(self.to_row) * rows * self.to_row);
        assert!(self.to_row.is_multiple_of(len));
        let to = self.to.as_mut_ptr();
        for column in (0..columns).step_by(len) {
            let wide = len.min(columns - column);
            let first = column / self.to_row * rows * self.to_row + column % self.to_row;
            for row in 0..rows {
                // SAFETY: who makes this has the rows; the copy was found long enough.
                unsafe {
                    let from = self.from.0.add(row * self.from.1 + column);
                    let x = if wide == len {
                        T::Lanes::<I>::load_ptr(isa, from)
                    } else {
                        T::Lanes::<I>::load_ptr_partial(isa, from, wide)
                    };
                    (x * scale).store_ptr(to.add(first + row * self.to_row));
                }
            }
        }
    }
}

/// Packs rows as the columns of panels.
struct Transpose<'a, T> {
    from: Rows<*const T>,
    /// Rows and columns.
    size: [usize; 2],
    to: &'a mut [T],
}

impl<T: Real> Task for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let [_, width] = sizes::<T>(I::LEVEL);
        let [rows, depth] = self.size;
        if depth == 0 {
            return;
        }
        for (panel, first) in
            (self.to.chunks_exact_mut(width * depth)).zip((0..rows).step_by(width))
        {
            let line = |l: usize| {
                if first + l < rows {
                    // SAFETY: who makes this has the rows.
                    unsafe { self.from.0.add((first + l) * self.from.1) }
                } else {
                    std::ptr::null()
                }
            };
            // SAFETY: as above; a panel is that long.
            unsafe { transpose_lines::<I, T>(isa, line, depth, width, panel.as_mut_ptr()) }
        }
    }
}

/// Some queries of a head, and the keys that they meet.
#[derive(Clone, Copy)]
struct Block<'a> {
    mask: Option<Mask<'a>>,
    causal: bool,
    batch: usize,
    head: usize,
    first_query: usize,
    first_key: usize,
    queries: usize,
    keys: usize,
}

impl Block<'_> {
    /// Gives hidden keys their score.
    #[inline(always)]
    fn hide<T: Real>(&self, scores: &mut [T], stride: usize) {
        let hidden = T::from_f64(HIDDEN);
        let crossed = self.causal && self.first_key + self.keys > self.first_query + 1;
        if !crossed && self.mask.is_none() {
            return;
        }
        for (row, scores) in scores.chunks_mut(stride).take(self.queries).enumerate() {
            let (query, scores) = (self.first_query + row, &mut scores[..self.keys]);
            if let Some(Mask { seen, strides }) = self.mask {
                let place = [self.batch, self.head, query, self.first_key];
                let at = place
                    .iter()
                    .zip(strides)
                    .map(|(i, stride)| i * stride)
                    .sum::<usize>();
                if strides[3] == 0 {
                    if seen[at] == 0 {
                        scores.fill(hidden);
                    }
                } else {
                    for (score, &seen) in scores.iter_mut().zip(&seen[at..at + self.keys]) {
                        *score = if seen == 0 { hidden } else { *score };
                    }
                }
            }
            if self.causal {
                let seen = (query + 1).saturating_sub(self.first_key);
                scores[seen.min(self.keys)..].fill(hidden);
            }
        }
    }
}
