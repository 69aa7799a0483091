//! The fold of one pass.
use std::ops::Range;

use simd::{Isa, Portable, Task, dispatch};

use super::{Number, Pass, Widen};
use crate::threads::{Disjoint, grain, parallel_for};

/// Columns that a unit of work covers, at most: their running results stay in L1.
pub const TILE: usize = 256;
/// Running results of a block with short rows, about: several rows lie side by side.
pub const LANES: usize = 64;
/// The same for a block of less than `2 * LANES` elements.
const FEW_LANES: usize = 8;
/// Rows of up to this length are folded one element at a time.
const SHORT: usize = 16;

/// An associative operation.
pub trait Fold: Send + Sync + 'static {
    /// What changes nothing.
    fn identity<A: Number>() -> A;
    /// The result of both.
    fn combine<A: Number>(a: A, b: A) -> A;
}

macro_rules! folds {
    ($($name:ident: $identity:ident, $combine:ident);*) => {$(
        pub struct $name;
        impl Fold for $name {
            #[inline(always)]
            fn identity<A: Number>() -> A {
                A::$identity
            }
            #[inline(always)]
            fn combine<A: Number>(a: A, b: A) -> A {
                a.$combine(b)
            }
        }
    )*};
}
folds!(Sum: ZERO, add; Prod: ONE, mul; Max: LEAST, max; Min: GREATEST, min);

/// Calls `body` with the units of a pass: the block's rows of the input, its columns and their place in the output.
pub fn for_each_unit(pass: Pass, body: impl Fn(Range<usize>) + Sync) {
    let tiles = pass.inner.div_ceil(TILE);
    let cost = pass.n.min(pass.block()) * pass.inner.min(TILE);
    parallel_for(pass.outer * pass.blocks() * tiles, grain(cost), body);
}

/// Where a unit of a pass lies.
pub struct Unit {
    /// The block's rows of the input, `pass.inner` wide.
    pub rows: Range<usize>,
    /// The columns of these rows.
    pub columns: Range<usize>,
    /// The line of the output.
    pub line: usize,
}

impl Pass {
    /// The unit of that number.
    #[inline(always)]
    pub fn unit(&self, number: usize) -> Unit {
        let tiles = self.inner.div_ceil(TILE);
        let (line, column) = (number / tiles, number % tiles * TILE);
        let (outer, start) = (line / self.blocks(), line % self.blocks() * self.block());
        let rows = outer * self.n + start..outer * self.n + self.n.min(start + self.block());
        Unit {
            rows,
            columns: column..self.inner.min(column + TILE),
            line,
        }
    }
}

/// Folds the middle axis of `input` by blocks.
pub fn fold_pass<F: Fold, T: Widen<A>, A: Number>(pass: Pass, input: &[T], output: &mut [A]) {
    let output = Disjoint::new(output);
    for_each_unit(pass, |range| {
        let task = Units {
            fold: F::combine::<A>,
            identity: F::identity(),
            pass,
            range,
            input,
            output: &output,
        };
        if is_tuned::<T, A>() {
            dispatch(task)
        } else {
            Portable.run(task)
        }
    });
}

/// Whether loops from `T` to `A` are compiled for every instruction set: not where elements must be widened first.
pub const fn is_tuned<T, A: Number>() -> bool {
    A::TUNED && size_of::<T>() == size_of::<A>()
}

struct Units<'a, T, A, C> {
    fold: C,
    identity: A,
    pass: Pass,
    range: Range<usize>,
    input: &'a [T],
    output: &'a Disjoint<'a, A>,
}

impl<T: Widen<A>, A: Number, C: Fn(A, A) -> A + Copy> Task for Units<'_, T, A, C> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let inner = self.pass.inner;
        if inner == 1 && self.pass.n <= SHORT {
            return self.short_rows();
        }
        let mut results = [self.identity; TILE];
        for number in self.range {
            let Unit {
                rows,
                columns,
                line,
            } = self.pass.unit(number);
            let block = &self.input[rows.start * inner..rows.end * inner];
            let place = line * inner + columns.start..line * inner + columns.end;
            let results = fold_block(
                self.fold,
                self.identity,
                block,
                inner,
                columns,
                &mut results,
            );
            // SAFETY: each unit has its own columns of its own line.
            unsafe { self.output.slice_mut(place) }.copy_from_slice(results);
        }
    }
}

impl<T: Widen<A>, A: Number, C: Fn(A, A) -> A + Copy> Units<'_, T, A, C> {
    /// The results of rows that are not worth the ceremony.
    #[inline(always)]
    fn short_rows(self) {
        let n = self.pass.n;
        let input = &self.input[self.range.start * n..self.range.end * n];
        // SAFETY: each unit has its own result.
        let output = unsafe { self.output.slice_mut(self.range) };
        for (row, output) in output.iter_mut().enumerate() {
            let row = &input[row * n..(row + 1) * n];
            *output = row
                .iter()
                .fold(self.identity, |result, x| (self.fold)(result, x.widen()));
        }
    }
}

/// Folds `columns` of the rows of `x`, `inner` wide, into the first of `results`.
#[inline(always)]
pub fn fold_block<'a, T: Widen<A>, A: Number>(
    combine: impl Fn(A, A) -> A + Copy,
    identity: A,
    x: &[T],
    inner: usize,
    columns: Range<usize>,
    results: &'a mut [A; TILE],
) -> &'a [A] {
    let width = columns.len();
    let lanes = if x.len() < 2 * LANES {
        FEW_LANES
    } else {
        LANES
    };
    // A power of two of short rows lies side by side.
    let (stride, columns, mut side_by_side) = if x.len() < 2 * lanes || inner > lanes / 2 {
        (inner, columns, 1)
    } else {
        let side_by_side = 1 << (lanes / inner).ilog2();
        (side_by_side * inner, 0..side_by_side * inner, side_by_side)
    };
    results[..columns.len()].fill(identity);
    match stride {
        // A constant width unrolls.
        LANES if is_tuned::<T, A>() => {
            fold_rows(combine, x, LANES, 0..LANES, &mut results[..LANES])
        }
        FEW_LANES if is_tuned::<T, A>() => {
            fold_rows(
                combine,
                x,
                FEW_LANES,
                0..FEW_LANES,
                &mut results[..FEW_LANES],
            );
        }
        _ => fold_rows(
            combine,
            x,
            stride,
            columns.clone(),
            &mut results[..columns.len()],
        ),
    }
    // What the rows side by side leave.
    for (result, x) in results.iter_mut().zip(&x[x.len() / stride * stride..]) {
        *result = combine(*result, x.widen());
    }
    while side_by_side > 1 {
        side_by_side /= 2;
        let (low, high) = results[..2 * side_by_side * inner].split_at_mut(side_by_side * inner);
        for (low, high) in low.iter_mut().zip(high) {
            *low = combine(*low, *high);
        }
    }
    &results[..width]
}

/// Folds `columns` of the whole rows in `x` into `results`, eight rows at a time.
#[inline(always)]
fn fold_rows<T: Widen<A>, A: Number>(
    combine: impl Fn(A, A) -> A,
    x: &[T],
    inner: usize,
    columns: Range<usize>,
    results: &mut [A],
) {
    let mut groups = x.chunks_exact(8 * inner);
    for group in &mut groups {
        let row = |r: usize| &group[r * inner..][columns.clone()][..results.len()];
        let [a, b, c, d, e, f, g, h] = [
            row(0),
            row(1),
            row(2),
            row(3),
            row(4),
            row(5),
            row(6),
            row(7),
        ];
        for i in 0..results.len() {
            let left = combine(
                combine(a[i].widen(), b[i].widen()),
                combine(c[i].widen(), d[i].widen()),
            );
            let right = combine(
                combine(e[i].widen(), f[i].widen()),
                combine(g[i].widen(), h[i].widen()),
            );
            results[i] = combine(results[i], combine(left, right));
        }
    }
    for row in groups.remainder().chunks_exact(inner) {
        for (result, x) in results.iter_mut().zip(&row[columns.clone()]) {
            *result = combine(*result, x.widen());
        }
    }
}
