//! Padding of an array at both ends of each axis.
use super::{Dims, row_major, strided::copy};

/// What fills the new places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PadMode {
    /// One given value.
    Constant,
    /// The mirror image, without the edge itself.
    Reflect,
    /// The mirror image, edge included.
    Symmetric,
    /// The edge.
    Edge,
}

impl PadMode {
    /// Where, on an axis of `size`, the value of the possibly outside position `at` comes from.
    fn origin(self, at: isize, size: usize) -> usize {
        let size = size as isize;
        let origin = match self {
            PadMode::Constant | PadMode::Edge => at.clamp(0, size - 1),
            PadMode::Reflect if size == 1 => 0,
            PadMode::Reflect => {
                let period = 2 * (size - 1);
                let at = at.rem_euclid(period);
                at.min(period - at)
            }
            PadMode::Symmetric => {
                let at = at.rem_euclid(2 * size);
                at.min(2 * size - 1 - at)
            }
        };
        origin as usize
    }
}

/// Pads axis `k` of an array of `shape` with `low[k]` elements before and `high[k]` after; `value` serves [`PadMode::Constant`].
///
/// # Panics
/// When the output has another size, or an axis without elements is to be mirrored.
pub fn pad<T: Copy + Send + Sync>(
    input: &[T],
    shape: &[usize],
    low: &[usize],
    high: &[usize],
    mode: PadMode,
    value: T,
    output: &mut [T],
) {
    let padded: Dims<usize> = shape
        .iter()
        .zip(low)
        .zip(high)
        .map(|((size, low), high)| size + low + high)
        .collect();
    assert!(
        low.len() == shape.len() && high.len() == shape.len(),
        "a width for each axis"
    );
    assert_eq!(
        output.len(),
        padded.iter().product::<usize>(),
        "output of shape {padded:?}"
    );
    if output.is_empty() {
        return;
    }
    if mode == PadMode::Constant && padded[..] != *shape {
        output.fill(value);
    }
    let strides = row_major(&padded);
    let offset = low
        .iter()
        .zip(&strides)
        .map(|(&low, &stride)| low * stride as usize)
        .sum();
    copy(shape, input, 0, &row_major(shape), output, offset, &strides);
    if mode == PadMode::Constant {
        return;
    }
    // Last axis first: what a hyperplane copies is complete in the axes behind it, and the ends of the axes before it
    // are written over when their turn comes.
    for axis in (0..shape.len()).rev() {
        assert!(shape[axis] > 0, "no element to pad axis {axis} with");
        let run = strides[axis] as usize;
        for block in output.chunks_exact_mut(run * padded[axis]) {
            let ends = (0..low[axis]).chain(low[axis] + shape[axis]..padded[axis]);
            for at in ends {
                let origin = low[axis] + mode.origin(at as isize - low[axis] as isize, shape[axis]);
                block.copy_within(origin * run..(origin + 1) * run, at * run);
            }
        }
    }
}
