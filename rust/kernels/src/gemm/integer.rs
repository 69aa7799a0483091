//! Products of bytes with sums of 32 bits, exact as long as these suffice.
//!
//! Depths go in pairs: a lane holds a pair as two halves, and one instruction multiplies and adds them. Rows of `A` are
//! widened once; panels of `B` are paired where they are used, for all rows of a block. One row alone takes `B` as it
//! lies: it is bound by memory, and bytes are a quarter of floats.
use std::ops::Range;

use simd::{I32Lanes, Isa, Lanes, Task, dispatch, prefetch, unrolled};

use super::Strided;
use crate::threads::{Disjoint, grain, parallel_for};

/// Rows that share a panel; a multiple of every kernel's.
const ROWS: usize = 96;
/// Columns of a block: whole panels under every instruction set.
const COLUMNS: usize = 32;
/// Columns of a block of one row.
const LINE: usize = 128;
/// Pairs of depths in a panel, which stays in the first-level cache.
const PAIRS: usize = 256;
/// Multiplications that cost as much as an elementwise operation.
const SHARE: usize = 8;

/// Numbers of scratch that [`matmul_integer`] wants.
pub fn integer_scratch_len([m, _, k]: [usize; 3]) -> usize {
    m * k.div_ceil(2)
}

/// Two bytes as the halves of a lane.
fn pair(low: i8, high: i8) -> i32 {
    i32::from(low) & 0xffff | i32::from(high) << 16
}

/// `C = A B` of an `m` x `k` and a `k` x `n` matrix; sums wrap.
///
/// # Panics
/// When an operand, the output or the scratch is too short.
pub fn matmul_integer(
    [m, n, k]: [usize; 3],
    a: Strided<i8>,
    b: Strided<i8>,
    c: &mut [i32],
    scratch: &mut [i32],
) {
    a.check(m, k);
    b.check(n, k);
    let c = &mut c[..m * n];
    let pairs = k.div_ceil(2);
    if c.is_empty() || pairs == 0 {
        return c.fill(0);
    }
    let a_pairs = &mut scratch[..m * pairs];
    for (i, row) in a_pairs.chunks_exact_mut(pairs).enumerate() {
        if a.strides().1 == 1 {
            let bytes = a.run(i, k).chunks(2);
            for (to, of) in row.iter_mut().zip(bytes) {
                *to = pair(of[0], of.get(1).copied().unwrap_or(0));
            }
        } else {
            for (p, to) in row.iter_mut().enumerate() {
                let high = if 2 * p + 1 < k {
                    a.item(i, 2 * p + 1)
                } else {
                    0
                };
                *to = pair(a.item(i, 2 * p), high);
            }
        }
    }
    let product = Product {
        size: [m, n, k],
        a: a_pairs,
        b: &b,
        c: &Disjoint::new(c),
    };
    if m == 1 && b.strides().0 == 1 {
        parallel_for(n.div_ceil(LINE), grain(LINE * k / SHARE), |blocks| {
            dispatch(Line { product, blocks });
        });
    } else {
        let rows = m.div_ceil(ROWS);
        let work = ROWS.min(m) * COLUMNS * k / SHARE;
        parallel_for(n.div_ceil(COLUMNS) * rows, grain(work), |blocks| {
            dispatch(Blocks { product, blocks });
        });
    }
}

#[derive(Clone, Copy)]
struct Product<'a> {
    size: [usize; 3],
    /// The pairs of `A`, row by row.
    a: &'a [i32],
    b: &'a Strided<'a, i8>,
    c: &'a Disjoint<'a, i32>,
}

/// A second byte for the last depth of an odd number.
static ZEROS: [i8; LINE] = [0; LINE];

/// Some blocks of the only row.
struct Line<'a> {
    product: Product<'a>,
    blocks: Range<usize>,
}

impl Task for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let [_, n, _] = self.product.size;
        let columns = self.blocks.start * LINE..n.min(self.blocks.end * LINE);
        // SAFETY: the blocks of a region are disjoint, so are their columns.
        let sums = unsafe { self.product.c.slice_mut(columns.clone()) };
        let len = I::I32::LEN;
        let (mut column, mut rest) = (columns.start, sums);
        while !rest.is_empty() {
            let width = if rest.len() >= 8 * len { 8 * len } else { len };
            let (now, later) = rest.split_at_mut(width.min(rest.len()));
            if width > len {
                line::<I, 8>(isa, &self.product, column, now);
            } else {
                line::<I, 1>(isa, &self.product, column, now);
            }
            (column, rest) = (column + width, later);
        }
    }
}

/// The sums of at most `V` registers of columns; of fewer columns than that only for `V = 1`.
#[inline(always)]
fn line<I: Isa, const V: usize>(isa: I, product: &Product, column: usize, to: &mut [i32]) {
    /// Rows ahead of the one in use that are asked for.
    const AHEAD: usize = 24;
    let len = I::I32::LEN;
    let [_, _, k] = product.size;
    let mut sums = [I::I32::zero(isa); 16];
    for (p, &x) in product.a.iter().enumerate() {
        let x = I::I32::splat(isa, x);
        let (low, high) = byte_rows(product.b, column, to.len(), p, k);
        prefetch(low.as_ptr().wrapping_add(AHEAD * product.b.strides().1));
        prefetch(high.as_ptr().wrapping_add(AHEAD * product.b.strides().1));
        if to.len() == V * len {
            unrolled!(R < V, {
                // SAFETY: both rows hold as many bytes as there are sums.
                let halves = unsafe {
                    let (low, high) = (low.as_ptr().add(R * len), high.as_ptr().add(R * len));
                    I::I32::load_halves(isa, low, high)
                };
                sums[R] = sums[R] + x.dot_halves(halves);
            });
        } else {
            sums[0] = sums[0] + x.dot_halves(load_halves(isa, low, high, 0));
        }
    }
    unrolled!(R < V, {
        sums[R].store_partial(&mut to[(R * len).min(V * len - len)..]);
    });
}

/// The bytes of neighbouring columns at both depths of a pair.
#[inline(always)]
fn byte_rows<'a>(
    b: &Strided<'a, i8>,
    column: usize,
    width: usize,
    p: usize,
    k: usize,
) -> (&'a [i8], &'a [i8]) {
    let low = b.neighbours(column, 2 * p, width);
    let high = if 2 * p + 1 < k {
        b.neighbours(column, 2 * p + 1, width)
    } else {
        &ZEROS[..width]
    };
    (low, high)
}

/// The halves of a register's columns from `at` on; zeros where there are no more.
#[inline(always)]
fn load_halves<I: Isa>(isa: I, low: &[i8], high: &[i8], at: usize) -> I::I32 {
    let len = I::I32::LEN;
    let (low, high) = (&low[at..], &high[at..]);
    // SAFETY: both slices, or their copies, hold `LEN` bytes.
    unsafe {
        if low.len() >= len && high.len() >= len {
            return I::I32::load_halves(isa, low.as_ptr(), high.as_ptr());
        }
        let (mut first, mut second) = ([0; 16], [0; 16]);
        first[..low.len()].copy_from_slice(low);
        second[..high.len()].copy_from_slice(high);
        I::I32::load_halves(isa, first.as_ptr(), second.as_ptr())
    }
}

/// Some blocks of rows and columns, numbered row by row within their columns.
struct Blocks<'a> {
    product: Product<'a>,
    blocks: Range<usize>,
}

impl Task for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Blocks { product, blocks } = self;
        let [m, n, k] = product.size;
        let (rows, width) = (m.div_ceil(ROWS), 2 * I::I32::LEN);
        let mut panel = [0; PAIRS * COLUMNS];
        for block in blocks {
            let first = block / rows * COLUMNS;
            let row = block % rows * ROWS;
            let rows = row..m.min(row + ROWS);
            for column in (first..n.min(first + COLUMNS)).step_by(width) {
                let columns = column..n.min(column + width);
                for start in (0..k.div_ceil(2)).step_by(PAIRS) {
                    let pairs = start..k.div_ceil(2).min(start + PAIRS);
                    pack(isa, &product, &columns, &pairs, &mut panel);
                    multiply(isa, &product, &rows, &columns, &pairs, &panel);
                }
            }
        }
    }
}

/// Writes the pairs of two registers of columns, depth after depth.
#[inline(always)]
fn pack<I: Isa>(
    isa: I,
    product: &Product,
    columns: &Range<usize>,
    pairs: &Range<usize>,
    panel: &mut [i32],
) {
    let len = I::I32::LEN;
    let ([_, _, k], b) = (product.size, product.b);
    for (to, p) in panel.chunks_exact_mut(2 * len).zip(pairs.clone()) {
        if b.strides().0 == 1 {
            let (low, high) = byte_rows(b, columns.start, columns.len(), p, k);
            unrolled!(R < 2, {
                let at = (R * len).min(low.len());
                load_halves(isa, low, high, at).store(&mut to[R * len..]);
            });
        } else {
            to.fill(0);
            for (to, column) in to.iter_mut().zip(columns.clone()) {
                let high = if 2 * p + 1 < k {
                    b.item(column, 2 * p + 1)
                } else {
                    0
                };
                *to = pair(b.item(column, 2 * p), high);
            }
        }
    }
}

/// Adds the products of a panel to the sums of some rows, or begins them with the first depths.
#[inline(always)]
fn multiply<I: Isa>(
    isa: I,
    product: &Product,
    rows: &Range<usize>,
    columns: &Range<usize>,
    pairs: &Range<usize>,
    panel: &[i32],
) {
    let mut row = rows.start;
    while row < rows.end {
        row += match rows.end - row {
            6.. => tile::<I, 6>(isa, product, row, columns, pairs, panel),
            4.. => tile::<I, 4>(isa, product, row, columns, pairs, panel),
            2.. => tile::<I, 2>(isa, product, row, columns, pairs, panel),
            _ => tile::<I, 1>(isa, product, row, columns, pairs, panel),
        };
    }
}

/// [`multiply`] for `R` rows, which it gives back.
#[inline(always)]
fn tile<I: Isa, const R: usize>(
    isa: I,
    product: &Product,
    row: usize,
    columns: &Range<usize>,
    pairs: &Range<usize>,
    panel: &[i32],
) -> usize {
    let len = I::I32::LEN;
    let [_, n, k] = product.size;
    let depth = k.div_ceil(2);
    let mut lines: [&[i32]; 16] = [&[]; 16];
    unrolled!(ROW < R, {
        lines[ROW] = &product.a[(row + ROW) * depth..][pairs.clone()];
    });
    let mut sums = [[I::I32::zero(isa); 2]; 16];
    for (p, halves) in panel.chunks_exact(2 * len).take(pairs.len()).enumerate() {
        let (y, z) = (I::I32::load(isa, halves), I::I32::load(isa, &halves[len..]));
        unrolled!(ROW < R, {
            // SAFETY: each line holds as many pairs as are taken.
            let x = I::I32::splat(isa, unsafe { *lines[ROW].get_unchecked(p) });
            sums[ROW][0] = sums[ROW][0] + x.dot_halves(y);
            sums[ROW][1] = sums[ROW][1] + x.dot_halves(z);
        });
    }
    unrolled!(ROW < R, {
        let start = (row + ROW) * n;
        // SAFETY: a block's rows and columns are its own among those of a region.
        let to = unsafe {
            product
                .c
                .slice_mut(start + columns.start..start + columns.end)
        };
        let (first, second) = to.split_at_mut(len.min(to.len()));
        for (to, sum) in [first, second].into_iter().zip(sums[ROW]) {
            let before = if pairs.start > 0 {
                I::I32::load_partial(isa, to)
            } else {
                I::I32::zero(isa)
            };
            (before + sum).store_partial(to);
        }
    });
    R
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simd::for_each_isa;

    use super::*;
    use crate::threads::set_num_threads;

    fn bytes(len: usize, seed: usize) -> Vec<i8> {
        let extremes = [-128, 127, -127, 0];
        (0..len)
            .map(|i| match (i * 31 + seed) % 7 {
                e @ 0..4 => extremes[e],
                _ => (i.wrapping_mul(2_654_435_761 + seed) >> 7) as i8,
            })
            .collect()
    }

    fn check(size: [usize; 3], transposed: [bool; 2]) {
        let [m, n, k] = size;
        let (a, b) = (bytes(m * k, 1), bytes(k * n, 2));
        let left = || Strided::left(&a, m, k, transposed[0]);
        let right = || Strided::right(&b, k, n, transposed[1]);
        let mut expected = vec![0i32; m * n];
        for i in 0..m {
            for j in 0..n {
                expected[i * n + j] = (0..k)
                    .map(|d| i32::from(left().item(i, d)) * i32::from(right().item(j, d)))
                    .sum();
            }
        }
        for_each_isa(|level| {
            for threads in [1, 3] {
                set_num_threads(threads);
                let mut c = vec![7; m * n];
                let mut scratch = vec![9; integer_scratch_len(size)];
                matmul_integer(size, left(), right(), &mut c, &mut scratch);
                assert_eq!(c, expected, "{size:?} {transposed:?} {level:?} {threads}");
            }
            set_num_threads(0);
        });
    }

    #[test]
    fn tile_edges() {
        for m in [0, 1, 2, 3, 5, 6, 7, 95, 96, 97, 104] {
            for n in [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 130] {
                for k in [0, 1, 2, 3, 33] {
                    check([m, n, k], [false, false]);
                }
            }
        }
        for k in [511, 512, 513, 1024, 1025] {
            for m in [1, 2, 7] {
                check([m, 40, k], [false, false]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn random_shapes(m in 0usize..20, n in 0usize..300, k in 0usize..80, t in 0usize..4) {
            check([m, n, k], [t & 1 != 0, t & 2 != 0]);
        }
    }
}
