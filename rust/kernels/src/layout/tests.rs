use proptest::prelude::*;

use super::*;

/// The multi-index of flat position `at`.
fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = at % shape[axis];
        at /= shape[axis];
    }
    index
}

fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index
        .iter()
        .zip(shape)
        .fold(0, |at, (i, size)| at * size + i)
}

/// `output[i] = input[origin(i)]`, one element at a time.
fn gathered(
    input: &[u32],
    shape: &[usize],
    output_shape: &[usize],
    origin: impl Fn(&[usize]) -> Vec<usize>,
) -> Vec<u32> {
    (0..output_shape.iter().product())
        .map(|at| input[ravel(&origin(&unravel(at, output_shape)), shape)])
        .collect()
}

fn counted<T: TryFrom<usize>>(shape: &[usize]) -> Vec<T>
where
    T::Error: std::fmt::Debug,
{
    (0..shape.iter().product())
        .map(|i: usize| T::try_from(i).unwrap())
        .collect()
}

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(
        prop_oneof![4 => 1usize..6, 1 => 7usize..20, 1 => Just(0)],
        0..5,
    )
}

proptest! {
    #[test]
    fn transpose_permutes((shape, axes) in shapes().prop_flat_map(|s| {
        let axes: Vec<usize> = (0..s.len()).collect();
        (Just(s), Just(axes).prop_shuffle())
    })) {
        let input: Vec<u32> = counted(&shape);
        let output_shape: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
        let mut output = vec![0; input.len()];
        transpose(&input, &shape, &axes, &mut output);
        let expected = gathered(&input, &shape, &output_shape, |i| {
            let mut j = vec![0; i.len()];
            for (k, &a) in axes.iter().enumerate() { j[a] = i[k]; }
            j
        });
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn broadcasting_repeats((target, ones, added) in shapes().prop_flat_map(|s| {
        let n = s.len();
        (Just(s), prop::collection::vec(any::<bool>(), n), 0..=n)
    })) {
        let shape: Vec<usize> = target.iter().zip(&ones).map(|(&n, &one)| if one { 1 } else { n }).skip(added).collect();
        let input: Vec<u32> = counted(&shape);
        let mut output = vec![0; target.iter().product()];
        broadcast_to(&input, &shape, &mut output, &target);
        let expected = gathered(&input, &shape, &target, |i| i[added..].iter().zip(&shape).map(|(&i, &n)| i.min(n - 1)).collect());
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn slices_read_and_write(cut in prop::collection::vec((1usize..15, 0usize..15, 1usize..4, 0usize..15), 0..4)) {
        let shape: Vec<usize> = cut.iter().map(|c| c.0).collect();
        let starts: Vec<usize> = cut.iter().map(|c| c.1 % c.0).collect();
        let strides: Vec<isize> = cut.iter().map(|c| c.2 as isize).collect();
        let sizes: Vec<usize> = cut.iter().zip(&starts).map(|(c, s)| c.3 % ((c.0 - s).div_ceil(c.2) + 1)).collect();
        let origin = |i: &[usize]| -> Vec<usize> { (0..i.len()).map(|k| starts[k] + i[k] * strides[k] as usize).collect() };
        let input: Vec<u32> = counted(&shape);
        let expected = gathered(&input, &shape, &sizes, origin);
        let mut output = vec![0; expected.len()];
        slice(&input, &shape, &starts, &strides, &mut output, &sizes);
        prop_assert_eq!(&output, &expected);

        let mut back = vec![u32::MAX; input.len()];
        update_slice(&output, &sizes, &starts, &strides, &mut back, &shape);
        let mut naive = vec![u32::MAX; input.len()];
        for (at, &value) in output.iter().enumerate() {
            naive[ravel(&origin(&unravel(at, &sizes)), &shape)] = value;
        }
        prop_assert_eq!(back, naive);
    }

    #[test]
    fn flips_reverse((shape, flags) in shapes().prop_flat_map(|s| { let n = s.len(); (Just(s), prop::collection::vec(any::<bool>(), n)) })) {
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| flags[a]).collect();
        let input: Vec<u32> = counted(&shape);
        let mut output = vec![0; input.len()];
        flip(&input, &shape, &axes, &mut output);
        let expected = gathered(&input, &shape, &shape, |i| {
            (0..i.len()).map(|k| if flags[k] { shape[k] - 1 - i[k] } else { i[k] }).collect()
        });
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn pads(dims in prop::collection::vec((1usize..6, 0usize..12, 0usize..12), 0..4), mode in 0..4) {
        let mode = [PadMode::Constant, PadMode::Reflect, PadMode::Symmetric, PadMode::Edge][mode as usize];
        let [shape, low, high]: [Vec<usize>; 3] = [dims.iter().map(|d| d.0).collect(), dims.iter().map(|d| d.1).collect(), dims.iter().map(|d| d.2).collect()];
        let padded: Vec<usize> = dims.iter().map(|d| d.0 + d.1 + d.2).collect();
        let input: Vec<u32> = counted(&shape);
        let mut output = vec![1234; padded.iter().product()];
        pad(&input, &shape, &low, &high, mode, 777, &mut output);
        for (at, &value) in output.iter().enumerate() {
            let index = unravel(at, &padded);
            let mut outside = false;
            let origin: Vec<usize> = index.iter().enumerate().map(|(k, &i)| {
                let (n, mut i) = (shape[k] as isize, i as isize - low[k] as isize);
                outside |= i < 0 || i >= n;
                // Bounces off the edges, one at a time.
                while i < 0 || i >= n {
                    let edge = if i < 0 { 0 } else { n - 1 };
                    i = match mode {
                        PadMode::Reflect if n > 1 => 2 * edge - i,
                        PadMode::Symmetric => 2 * edge - i + if i < 0 { -1 } else { 1 },
                        _ => edge,
                    };
                }
                i as usize
            }).collect();
            let expected = if outside && mode == PadMode::Constant { 777 } else { input[ravel(&origin, &shape)] };
            prop_assert_eq!(value, expected);
        }
    }
}

#[test]
fn every_word_size_moves() {
    fn check<T: Copy + Send + Sync + PartialEq + std::fmt::Debug>(make: impl Fn(usize) -> T) {
        let (rows, columns) = (37, 53);
        let input: Vec<T> = (0..rows * columns).map(&make).collect();
        let mut output = vec![make(0); input.len()];
        transpose(&input, &[rows, columns], &[1, 0], &mut output);
        for r in 0..rows {
            for c in 0..columns {
                assert_eq!(output[c * rows + r], input[r * columns + c]);
            }
        }
    }
    check(|i| i as u8);
    check(|i| i as u16);
    check(|i| i as u32);
    check(|i| i as u64);
    check::<Word16>(|i| [i as u64, !i as u64]);
}

#[test]
fn large_copies_are_split() {
    for axes in [
        [0, 1, 2],
        [2, 1, 0],
        [1, 0, 2],
        [0, 2, 1],
        [2, 0, 1],
        [1, 2, 0],
    ] {
        let shape = [67, 129, 131];
        let input: Vec<u32> = counted(&shape);
        let output_shape: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
        let mut output = vec![0; input.len()];
        transpose(&input, &shape, &axes, &mut output);
        for (at, &value) in output.iter().enumerate() {
            let index = unravel(at, &output_shape);
            let mut origin = [0; 3];
            for (k, &axis) in axes.iter().enumerate() {
                origin[axis] = index[k];
            }
            assert_eq!(value as usize, ravel(&origin, &shape), "{axes:?}");
        }
    }
}

#[test]
fn columns_join_and_part() {
    let (left, right): (Vec<u32>, Vec<u32>) = (counted(&[5, 3]), counted(&[5, 4]));
    let mut joined = vec![0; 35];
    write_columns(&left, 3, &mut joined, 7, 0);
    write_columns(&right, 4, &mut joined, 7, 3);
    assert_eq!(joined[7..14], [3, 4, 5, 4, 5, 6, 7]);
    let mut back = vec![0; 20];
    read_columns(&joined, 7, 3, 4, &mut back);
    assert_eq!(back, right);
    read_columns::<u32>(&joined, 7, 7, 0, &mut []);
}

#[test]
fn repeats_elements() {
    let mut output = [0; 12];
    repeat(&[1u8, 2, 3, 4, 5, 6], &[3, 2], 0, 2, &mut output);
    assert_eq!(output, [1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6]);
    repeat(&[1u8, 2, 3, 4, 5, 6], &[3, 2], 1, 2, &mut output);
    assert_eq!(output, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
}

#[test]
fn starts_are_clamped() {
    assert_eq!(
        [-9, -2, 0, 3, 9].map(|s| clamp_start(s, 2, 5)),
        [0, 3, 0, 3, 3]
    );
    assert_eq!(clamp_start(i64::MIN, 7, 5), 0);
}

#[test]
#[should_panic(expected = "leaves its slice")]
fn a_short_source_panics() {
    copy(&[3, 3], &[0u8; 8], 0, &[3, 1], &mut [0; 9], 0, &[3, 1]);
}

#[test]
#[should_panic(expected = "leaves its slice")]
fn a_short_target_panics() {
    transpose(&[0u8; 9], &[3, 3], &[1, 0], &mut [0; 8]);
}

#[test]
#[should_panic(expected = "share a place")]
fn overlapping_targets_panic() {
    copy(&[3, 3], &[0u8; 9], 0, &[3, 1], &mut [0; 9], 0, &[2, 1]);
}
