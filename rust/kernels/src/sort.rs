//! Orders along an axis: sort, argsort, top-k.
//!
//! A line is sorted as integers that hold an order-preserving key above the element's position, so every order is stable and
//! total: NaN is greater than any number, and zeros of either sign are equal.
use half::{bf16, f16};

use crate::threads::{Disjoint, grain, parallel_for};

/// An element that has an order.
pub trait Sortable: Copy + Send + Sync {
    /// An integer of the same order.
    type Key: Key;
    /// The key of this element.
    fn key(self) -> Self::Key;
}

/// A key, and what it is sorted as.
pub trait Key: Ord + Copy {
    /// A key above a position.
    type Entry: Ord + Copy + Default + Send + Sync;
    /// The key in the opposite order.
    fn reverse(self) -> Self;
    /// The key with its position.
    fn entry(self, position: usize) -> Self::Entry;
    /// The position.
    fn position(entry: Self::Entry) -> usize;
}

macro_rules! keys {
    ($($key:ty => $entry:ty),*) => {$(
        impl Key for $key {
            type Entry = $entry;
            #[inline(always)]
            fn reverse(self) -> Self {
                !self
            }
            #[inline(always)]
            fn entry(self, position: usize) -> $entry {
                (<$entry>::from(self) << 32) | position as $entry
            }
            #[inline(always)]
            fn position(entry: $entry) -> usize {
                entry as u32 as usize
            }
        }
    )*};
}
keys!(u32 => u64, u64 => u128);

macro_rules! integers {
    ($($type:ty => $key:ty, $sign:expr);*) => {$(
        impl Sortable for $type {
            type Key = $key;
            #[inline(always)]
            fn key(self) -> $key {
                self as $key ^ $sign
            }
        }
    )*};
}
integers!(u8 => u32, 0; u16 => u32, 0; u32 => u32, 0; u64 => u64, 0;
    i8 => u32, 1 << 31; i16 => u32, 1 << 31; i32 => u32, 1 << 31; i64 => u64, 1 << 63);

macro_rules! floats {
    ($($type:ty => $bits:ty, $key:ty),*) => {$(
        impl Sortable for $type {
            type Key = $key;
            #[inline(always)]
            fn key(self) -> $key {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                // On bits, since arithmetic may flush what is denormal.
                let bits = self.to_bits();
                let key = match bits {
                    _ if self.is_nan() => <$bits>::MAX,
                    SIGN => SIGN,
                    _ if bits & SIGN == 0 => bits | SIGN,
                    _ => !bits,
                };
                key.into()
            }
        }
    )*};
}
floats!(f16 => u16, u32, bf16 => u16, u32, f32 => u32, u32, f64 => u64, u64);

/// What an element of that type is sorted as; [`sort`], [`argsort`] and [`top_k`] want as many as there are elements.
pub type Entry<T> = <<T as Sortable>::Key as Key>::Entry;

/// Sorts along `axis`, ascending.
///
/// # Panics
/// When a slice does not fit the shape, or the scratch is short.
pub fn sort<T: Sortable>(
    input: &[T],
    shape: &[usize],
    axis: usize,
    output: &mut [T],
    scratch: &mut [Entry<T>],
) {
    assert_eq!(output.len(), input.len(), "output of shape {shape:?}");
    let output = Disjoint::new(output);
    for_each_line(input, shape, axis, scratch, |line, entries| {
        entries.sort_unstable();
        for (i, &entry) in entries.iter().enumerate() {
            let (to, from) = (line.at(i), line.at(T::Key::position(entry)));
            // SAFETY: each line has places of its own.
            let place = unsafe { output.slice_mut(to..to + 1) };
            place[0] = input[from];
        }
    });
}

/// The positions of the elements in ascending order along `axis`; equals stay in order.
///
/// # Panics
/// When a slice does not fit the shape, or the scratch is short.
pub fn argsort<T: Sortable>(
    input: &[T],
    shape: &[usize],
    axis: usize,
    output: &mut [i32],
    scratch: &mut [Entry<T>],
) {
    assert_eq!(output.len(), input.len(), "output of shape {shape:?}");
    let output = Disjoint::new(output);
    for_each_line(input, shape, axis, scratch, |line, entries| {
        entries.sort_unstable();
        for (i, &entry) in entries.iter().enumerate() {
            let to = line.at(i);
            // SAFETY: each line has places of its own.
            let place = unsafe { output.slice_mut(to..to + 1) };
            place[0] = T::Key::position(entry) as i32;
        }
    });
}

/// The `k` greatest elements of each row of `n`, descending, with their positions; the first of equals comes first.
///
/// # Panics
/// When a slice does not fit, the scratch is short, or a row has less than `k` elements.
pub fn top_k<T: Sortable>(
    input: &[T],
    n: usize,
    k: usize,
    values: &mut [T],
    indices: &mut [i32],
    scratch: &mut [Entry<T>],
) {
    assert!(k <= n, "the greatest {k} of {n} elements");
    let rows = input.len().checked_div(n).unwrap_or(0);
    assert!(
        values.len() == rows * k && indices.len() == rows * k,
        "{k} places for each row"
    );
    if k == 0 {
        return;
    }
    let (values, indices) = (Disjoint::new(values), Disjoint::new(indices));
    for_each_line(input, &[rows, n], 1, scratch, |line, entries| {
        for (position, entry) in entries.iter_mut().enumerate() {
            *entry = input[line.at(position)].key().reverse().entry(position);
        }
        if k < n {
            entries.select_nth_unstable(k - 1);
        }
        entries[..k].sort_unstable();
        let row = line.start / n;
        // SAFETY: each row has places of its own.
        let (values, indices) = unsafe {
            (
                values.slice_mut(row * k..(row + 1) * k),
                indices.slice_mut(row * k..(row + 1) * k),
            )
        };
        for ((value, index), &entry) in values.iter_mut().zip(indices).zip(&entries[..k]) {
            let position = T::Key::position(entry);
            *value = input[line.at(position)];
            *index = position as i32;
        }
    });
}

/// Where the elements of a line lie.
struct Line {
    start: usize,
    stride: usize,
}

impl Line {
    fn at(&self, position: usize) -> usize {
        self.start + position * self.stride
    }
}

/// Calls `body` with each line along `axis` and the entries of its elements.
fn for_each_line<T: Sortable>(
    input: &[T],
    shape: &[usize],
    axis: usize,
    scratch: &mut [Entry<T>],
    body: impl Fn(Line, &mut [Entry<T>]) + Sync,
) {
    assert_eq!(
        input.len(),
        shape.iter().product::<usize>(),
        "input of shape {shape:?}"
    );
    if input.is_empty() {
        return;
    }
    let (n, stride) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    assert!(
        i32::try_from(n).is_ok(),
        "an axis longer than an int32 counts"
    );
    let scratch = Disjoint::new(&mut scratch[..input.len()]);
    let cost = 8 * n * (1 + n.ilog2() as usize);
    parallel_for(input.len() / n, grain(cost), |lines| {
        for number in lines {
            let line = Line {
                start: number / stride * n * stride + number % stride,
                stride,
            };
            // SAFETY: each line has entries of its own.
            let entries = unsafe { scratch.slice_mut(number * n..(number + 1) * n) };
            for (position, entry) in entries.iter_mut().enumerate() {
                *entry = input[line.at(position)].key().entry(position);
            }
            body(line, entries);
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The order that the keys shall have.
    fn order(a: f32, b: f32) -> std::cmp::Ordering {
        a.partial_cmp(&b)
            .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }

    fn value() -> impl Strategy<Value = f32> {
        prop_oneof![
            6 => (-5i32..5).prop_map(|x| x as f32 / 2.0),
            1 => prop_oneof![Just(f32::NAN), Just(-f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(-0.0), Just(1e-40)],
        ]
    }

    fn same(a: f32, b: f32) -> bool {
        a == b || a.is_nan() && b.is_nan()
    }

    proptest! {
        #[test]
        fn lines_are_ordered(outer in 0usize..4, n in 1usize..70, inner in 1usize..4, values in prop::collection::vec(value(), 4 * 70 * 4), k in 0usize..70) {
            let shape = [outer, n, inner];
            let input = &values[..outer * n * inner];
            let (mut sorted, mut positions) = (vec![0.0; input.len()], vec![0; input.len()]);
            let mut scratch = vec![0; input.len()];
            sort(input, &shape, 1, &mut sorted, &mut scratch);
            argsort(input, &shape, 1, &mut positions, &mut scratch);
            for o in 0..outer {
                for i in 0..inner {
                    let at = |j: usize| (o * n + j) * inner + i;
                    let mut naive: Vec<usize> = (0..n).collect();
                    naive.sort_by(|&a, &b| order(input[at(a)], input[at(b)]));
                    for (j, &from) in naive.iter().enumerate() {
                        prop_assert_eq!(positions[at(j)] as usize, from);
                        prop_assert_eq!(sorted[at(j)].to_bits(), input[at(from)].to_bits());
                    }
                }
            }

            let (rows, k) = (outer * inner, k.min(n));
            let (mut greatest, mut positions) = (vec![0.0; rows * k], vec![0; rows * k]);
            top_k(input, n, k, &mut greatest, &mut positions, &mut scratch);
            for row in 0..rows {
                let line = &input[row * n..(row + 1) * n];
                let mut naive: Vec<usize> = (0..n).collect();
                naive.sort_by(|&a, &b| order(line[b], line[a]));
                for j in 0..k {
                    prop_assert_eq!(positions[row * k + j] as usize, naive[j]);
                    prop_assert!(same(greatest[row * k + j], line[naive[j]]));
                }
            }
        }
    }

    #[test]
    fn every_type_has_an_order() {
        fn check<T: Sortable + PartialEq + std::fmt::Debug>(ascending: &[T]) {
            let reversed: Vec<T> = ascending.iter().rev().copied().collect();
            let mut sorted = reversed.clone();
            let mut scratch = vec![Entry::<T>::default(); sorted.len()];
            sort(&reversed, &[sorted.len()], 0, &mut sorted, &mut scratch);
            assert_eq!(sorted, ascending);
        }
        check(&[0u8, 1, 255]);
        check(&[0u16, 1, u16::MAX]);
        check(&[0u32, 1, u32::MAX]);
        check(&[0u64, 1, u64::MAX]);
        check(&[i8::MIN, -1, 0, 1, i8::MAX]);
        check(&[i16::MIN, -1, 0, 1, i16::MAX]);
        check(&[i32::MIN, -1, 0, 1, i32::MAX]);
        check(&[i64::MIN, -1, 0, 1, i64::MAX]);
        check(&[-2.0, -1.0, 0.0, 1.0, 70000.0].map(f16::from_f32));
        check(&[-2.0, -1.0, 0.0, 1.0, 70000.0].map(bf16::from_f32));
        check(&[f64::NEG_INFINITY, -1.0, 0.0, 1e-310, 1.0]);
    }

    #[test]
    fn lines_may_share_threads() {
        let input: Vec<i32> = (0..200_000)
            .map(|i: i32| i.wrapping_mul(7919) % 1009)
            .collect();
        let mut sorted = vec![0; input.len()];
        let mut scratch = vec![0; input.len()];
        crate::threads::set_num_threads(3);
        sort(&input, &[200, 1000], 0, &mut sorted, &mut scratch);
        crate::threads::set_num_threads(0);
        for column in 0..1000 {
            assert!(
                (1..200)
                    .all(|row| sorted[(row - 1) * 1000 + column] <= sorted[row * 1000 + column])
            );
        }
    }
}
