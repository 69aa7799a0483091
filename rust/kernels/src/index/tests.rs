use half::f16;
use proptest::prelude::*;

use super::*;
use crate::embedding::{embedding, embedding_gradient};

/// The place of an index by the book.
fn place(index: i64, size: usize) -> Option<usize> {
    let at = if index < 0 {
        index + size as i64
    } else {
        index
    };
    (0..size as i64).contains(&at).then_some(at as usize)
}

fn counted(n: usize) -> Vec<i32> {
    (0..n as i32).map(|i| i * 3 + 1).collect()
}

proptest! {
    #[test]
    fn rows_are_read_and_written((outer, n, inner) in (0usize..4, 0usize..6, 0usize..5), indices in prop::collection::vec(-8i64..8, 0..9)) {
        let shape = [outer, n, inner];
        let input = counted(outer * n * inner);
        let m = indices.len();
        let mut output = vec![0; outer * m * inner];
        gather(&input, &shape, 1, &indices, -7, &mut output);
        let each = |f: &mut dyn FnMut(usize, usize, Option<usize>)| {
            for o in 0..outer {
                for (j, &index) in indices.iter().enumerate() {
                    for i in 0..inner {
                        f((o * m + j) * inner + i, i, place(index, n).map(|at| (o * n + at) * inner + i));
                    }
                }
            }
        };
        each(&mut |to, _, from| assert_eq!(output[to], from.map_or(-7, |from| input[from])));

        let updates: Vec<i32> = (0..output.len() as i32).map(|i| i * i % 11 - 4).collect();
        let modes: [(Scatter, fn(i32, i32) -> i32); 5] = [
            (Scatter::Set, |_, b| b),
            (Scatter::Add, |a, b| a + b),
            (Scatter::Mul, i32::wrapping_mul),
            (Scatter::Min, i32::min),
            (Scatter::Max, i32::max),
        ];
        for (mode, combine) in modes {
            let (mut found, mut expected) = (input.clone(), input.clone());
            scatter(mode, &updates, &indices, &mut found, &shape, 1);
            each(&mut |from, _, to| if let Some(to) = to { expected[to] = combine(expected[to], updates[from]) });
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn points_are_read_and_written(points in prop::collection::vec((-4i32..5, -5i32..6), 0..9)) {
        let shape = [3, 4, 2];
        let input = counted(24);
        let indices: Vec<i32> = points.iter().flat_map(|&(a, b)| [a, b]).collect();
        let mut output = vec![0; points.len() * 2];
        gather_nd(&input, &shape, &indices, 2, -7, &mut output);
        let (mut written, mut expected) = (input.clone(), input.clone());
        scatter_nd(Scatter::Set, &output, &indices, 2, &mut written, &shape);
        for (m, &(a, b)) in points.iter().enumerate() {
            let at = place(a.into(), 3).zip(place(b.into(), 4)).map(|(a, b)| (a * 4 + b) * 2);
            for i in 0..2 {
                prop_assert_eq!(output[m * 2 + i], at.map_or(-7, |at| input[at + i]));
                if let Some(at) = at { expected[at + i] = output[m * 2 + i]; }
            }
        }
        prop_assert_eq!(written, expected);
    }

    #[test]
    fn single_elements_are_read_and_written((outer, n, inner, count) in (1usize..4, 1usize..6, 1usize..4, 0usize..5), some in prop::collection::vec(-8i32..8, 4 * 5 * 4)) {
        let shape = [outer, n, inner];
        let input = counted(outer * n * inner);
        let indices = &some[..outer * count * inner];
        let mut output = vec![0; indices.len()];
        take_along_axis(&input, &shape, 1, indices, count, -7, &mut output);
        let (mut sums, mut expected) = (input.clone(), input.clone());
        put_along_axis_add(&output, indices, count, &mut sums, &shape, 1);
        for (at, &index) in indices.iter().enumerate() {
            let (o, i) = (at / (count * inner), at % inner);
            let there = place(index.into(), n).map(|row| (o * n + row) * inner + i);
            prop_assert_eq!(output[at], there.map_or(-7, |there| input[there]));
            if let Some(there) = there { expected[there] += output[at]; }
        }
        prop_assert_eq!(sums, expected);
    }

    #[test]
    fn classes_are_marked(ids in prop::collection::vec(-2i32..7, 0..12), classes in 0usize..5, inner in 1usize..4) {
        let ids = &ids[..ids.len() / inner * inner];
        let mut output = vec![9u8; ids.len() * classes];
        one_hot(ids, inner, classes, (0, 1), &mut output);
        for (at, &id) in ids.iter().enumerate() {
            for class in 0..classes {
                let found = output[(at / inner * classes + class) * inner + at % inner];
                prop_assert_eq!(found, u8::from(id == class as i32));
            }
        }
    }
}

#[test]
fn embeddings_and_their_gradient() {
    let (rows, width, m) = (1000, 24, 5000);
    let table: Vec<f32> = (0..rows * width).map(|i| i as f32 * 0.5).collect();
    let ids: Vec<i32> = (0..m).map(|i: i32| (i * i * 31 + i) % 1010).collect();
    let mut output = vec![0.0; ids.len() * width];
    embedding(&table, width, &ids, f32::NAN, &mut output);
    for (row, &id) in output.chunks(width).zip(&ids) {
        if id < 1000 {
            assert_eq!(row, &table[id as usize * width..][..width]);
        } else {
            assert!(row.iter().all(|x| x.is_nan()));
        }
    }
    let gradient: Vec<f32> = (0..output.len())
        .map(|i| (i % 977) as f32 * 0.37 - 100.0)
        .collect();
    let mut expected = vec![0.0; table.len()];
    for (row, &id) in gradient.chunks(width).zip(&ids) {
        if id < 1000 {
            for (sum, x) in expected[id as usize * width..][..width].iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
    for threads in [1, 2, 3] {
        crate::threads::set_num_threads(threads);
        let mut sums = vec![1.0; table.len()];
        embedding_gradient(&gradient, width, &ids, &mut sums);
        assert_eq!(sums, expected, "{threads} threads");
    }
    crate::threads::set_num_threads(0);
}

#[test]
fn extreme_indices_are_outside() {
    for index in [i64::MIN, i64::MAX, -6, 5] {
        assert_eq!(index.place(5), None);
    }
    assert_eq!((-5i32).place(5), Some(0));
    assert_eq!(0i32.place(0), None);
}

#[test]
fn places_among_sorted() {
    let sorted = [1.0, 2.0, 2.0, 3.0, f32::NAN];
    let mut places = [0; 5];
    let values = [0.0, 2.0, f32::NAN, 9.0, -0.0];
    searchsorted(&sorted, &values, false, &mut places);
    assert_eq!(places, [0, 1, 4, 4, 0]);
    searchsorted(&sorted, &values, true, &mut places);
    assert_eq!(places, [0, 3, 5, 4, 0]);
    searchsorted(&[], &values, true, &mut places);
    assert_eq!(places, [0; 5]);
}

#[test]
fn what_is_outside_reads_as_fill() {
    assert!(f16::FILL.is_nan());
    assert_eq!((i16::FILL, u8::FILL), (i16::MIN, u8::MAX));
}
