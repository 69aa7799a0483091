//! One copy between two strided views of the same shape: what every function of [`layout`](super) comes down to.
use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, dispatch, unrolled};
use smallvec::SmallVec;

use crate::threads::parallel_for;

/// Per-axis numbers; ranks up to 8 stay on the stack.
pub type Dims<T> = SmallVec<[T; 8]>;

/// Elements that one unit of work copies, about: small enough that a transposed tile and its source stay in L2.
const UNIT: usize = 16 * 1024;
/// Bytes that are worth a thread of its own: waking one costs about as much as copying this many.
const PARALLEL_BYTES: usize = 256 * 1024;
/// Side of the square that is transposed in registers or L1.
const TILE: usize = 16;

/// The row-major strides of `shape`.
pub fn row_major(shape: &[usize]) -> Dims<isize> {
    let mut strides: Dims<isize> = SmallVec::from_elem(1, shape.len());
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// One axis of a copy: its size and the distance between neighbours in the source and in the destination.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    source: isize,
    target: isize,
}

/// Copies `source[source_offset + i . source_strides]` to `target[target_offset + i . target_strides]` for every index `i`
/// below `shape`.
///
/// Source strides may be zero or negative; target strides are positive and give every index a place of its own.
///
/// # Panics
/// When an index would leave either slice, or two indices share a place in the target.
pub fn copy<T: Copy + Send + Sync>(
    shape: &[usize],
    source: &[T],
    source_offset: usize,
    source_strides: &[isize],
    target: &mut [T],
    target_offset: usize,
    target_strides: &[isize],
) {
    assert!(
        shape.len() == source_strides.len() && shape.len() == target_strides.len(),
        "a stride for each axis"
    );
    if shape.contains(&0) {
        return;
    }
    let axes = checked_axes(
        shape,
        (source.len(), source_offset, source_strides),
        (target.len(), target_offset, target_strides),
    );
    run(
        &axes,
        source,
        source_offset,
        Target(target[target_offset..].as_mut_ptr()),
    );
}

/// Where the index of zeros goes; shared by the threads of a copy.
#[derive(Clone, Copy)]
struct Target<T>(*mut T);

// SAFETY: threads write to disjoint places behind it.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T> Target<T> {
    /// The pointer; taking `self` whole keeps closures from capturing the field alone.
    fn pointer(self) -> *mut T {
        self.0
    }
}

/// The axes longer than one, outermost in the target first, neighbours merged where both sides allow it.
fn checked_axes(
    shape: &[usize],
    (source_len, source_offset, source_strides): (usize, usize, &[isize]),
    (target_len, target_offset, target_strides): (usize, usize, &[isize]),
) -> Dims<Axis> {
    let mut axes: Dims<Axis> = SmallVec::new();
    for ((&size, &source), &target) in shape.iter().zip(source_strides).zip(target_strides) {
        if size > 1 {
            axes.push(Axis {
                size,
                source,
                target,
            });
        }
    }
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.target));

    let (mut lowest, mut highest) = (source_offset as isize, source_offset as isize);
    let mut target_reach = 0;
    for axis in axes.iter().rev() {
        assert!(
            axis.target > target_reach,
            "two indices share a place in the target"
        );
        let last = axis.size as isize - 1;
        target_reach += last * axis.target;
        let source_reach = last * axis.source;
        lowest += source_reach.min(0);
        highest += source_reach.max(0);
    }
    assert!(
        lowest >= 0 && (highest as usize) < source_len,
        "the source view leaves its slice"
    );
    assert!(
        target_offset + (target_reach as usize) < target_len,
        "the target view leaves its slice"
    );

    let mut merged: Dims<Axis> = SmallVec::new();
    for axis in axes {
        match merged.last_mut() {
            Some(outer)
                if outer.source == axis.source * axis.size as isize
                    && outer.target == axis.target * axis.size as isize =>
            {
                *outer = Axis {
                    size: outer.size * axis.size,
                    ..axis
                };
            }
            _ => merged.push(axis),
        }
    }
    merged
}

/// Splits the copy into units, two axes deep, and runs them.
fn run<T: Copy + Send + Sync>(
    axes: &[Axis],
    source: &[T],
    source_offset: usize,
    target: Target<T>,
) {
    const ONE: Axis = Axis {
        size: 1,
        source: 0,
        target: 0,
    };
    let (inner, rest) = axes
        .split_last()
        .map_or((ONE, axes), |(inner, rest)| (*inner, rest));
    // The axis that runs contiguously in the source, if the innermost of the target does not: it makes a transposition.
    let across = (inner.target == 1 && inner.source != 1 && inner.source != 0)
        .then(|| rest.iter().position(|axis| axis.source == 1))
        .flatten();
    let second = across.or(rest.len().checked_sub(1));
    let middle = second.map_or(ONE, |at| rest[at]);
    let mut outer: Dims<Axis> = SmallVec::from_slice(rest);
    if let Some(at) = second {
        outer.remove(at);
    }

    let inner_piece = inner.size.min(if across.is_some() { 128 } else { UNIT });
    let middle_piece = middle.size.min((UNIT / inner_piece).max(1));
    let inner_pieces = inner.size.div_ceil(inner_piece);
    let middle_pieces = middle.size.div_ceil(middle_piece);
    let pieces = inner_pieces * middle_pieces;
    let outer_size: usize = outer.iter().map(|axis| axis.size).product();
    let grain = PARALLEL_BYTES.div_ceil(inner_piece * middle_piece * size_of::<T>());

    parallel_for(outer_size * pieces, grain, |units: Range<usize>| {
        for unit in units {
            let (mut position, piece) = (unit / pieces, unit % pieces);
            let (mut from, mut to) = (source_offset as isize, 0);
            for axis in outer.iter().rev() {
                let index = (position % axis.size) as isize;
                position /= axis.size;
                from += index * axis.source;
                to += index * axis.target;
            }
            let (m, i) = (
                piece / inner_pieces * middle_piece,
                piece % inner_pieces * inner_piece,
            );
            from += m as isize * middle.source + i as isize * inner.source;
            to += m as isize * middle.target + i as isize * inner.target;
            let middle = Axis {
                size: middle_piece.min(middle.size - m),
                ..middle
            };
            let inner = Axis {
                size: inner_piece.min(inner.size - i),
                ..inner
            };
            // SAFETY: `checked_axes` bounded every index of the view, and units hold disjoint indices, which have
            // disjoint places in the target.
            unsafe {
                let (from, to) = (source.as_ptr().offset(from), target.pointer().offset(to));
                if across.is_some() {
                    transpose(
                        from,
                        inner.source,
                        to,
                        middle.target,
                        middle.size,
                        inner.size,
                    );
                } else {
                    rows(from, to, middle, inner);
                }
            }
        }
    });
}

/// Copies `middle.size` lines along `inner`.
///
/// # Safety
/// Every index of the two axes is inside both allocations, and nobody else uses the target's places.
unsafe fn rows<T: Copy>(source: *const T, target: *mut T, middle: Axis, inner: Axis) {
    for m in 0..middle.size as isize {
        // SAFETY: by the function's own contract; each branch touches exactly the places of the line's indices.
        unsafe {
            let (from, to) = (
                source.offset(m * middle.source),
                target.offset(m * middle.target),
            );
            match (inner.source, inner.target) {
                (1, 1) => std::ptr::copy_nonoverlapping(from, to, inner.size),
                (0, 1) => std::slice::from_raw_parts_mut(to, inner.size).fill(*from),
                (s, t) => {
                    for i in 0..inner.size as isize {
                        *to.offset(i * t) = *from.offset(i * s);
                    }
                }
            }
        }
    }
}

/// Transposes: `target[r * target_stride + c] = source[c * source_stride + r]` for `r < rows`, `c < columns`.
///
/// # Safety
/// Every index is inside both allocations, and nobody else uses the target's places.
unsafe fn transpose<T: Copy>(
    source: *const T,
    source_stride: isize,
    target: *mut T,
    target_stride: isize,
    rows: usize,
    columns: usize,
) {
    if size_of::<T>() == size_of::<f32>() && align_of::<T>() == align_of::<f32>() {
        return dispatch(Words {
            source: source.cast(),
            source_stride,
            target: target.cast(),
            target_stride,
            rows,
            columns,
        });
    }
    for r in (0..rows).step_by(TILE) {
        for c in (0..columns).step_by(TILE) {
            let (height, width) = (TILE.min(rows - r), TILE.min(columns - c));
            // SAFETY: the tile lies inside the region of the function's own contract.
            unsafe {
                let from = source.offset(c as isize * source_stride + r as isize);
                let to = target.offset(r as isize * target_stride + c as isize);
                if height == TILE && width == TILE {
                    let tile: [[T; TILE]; TILE] = std::array::from_fn(|c| {
                        from.offset(c as isize * source_stride)
                            .cast::<[T; TILE]>()
                            .read_unaligned()
                    });
                    let lines: [[T; TILE]; TILE] =
                        std::array::from_fn(|r| std::array::from_fn(|c| tile[c][r]));
                    for (r, line) in lines.into_iter().enumerate() {
                        to.offset(r as isize * target_stride)
                            .cast::<[T; TILE]>()
                            .write_unaligned(line);
                    }
                } else {
                    for r in 0..height as isize {
                        for c in 0..width as isize {
                            *to.offset(r * target_stride + c) = *from.offset(c * source_stride + r);
                        }
                    }
                }
            }
        }
    }
}

/// [`transpose`] of items of four bytes, in registers.
struct Words {
    source: *const f32,
    source_stride: isize,
    target: *mut f32,
    target_stride: isize,
    rows: usize,
    columns: usize,
}

impl Task for Words {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = I::F32::LEN;
        let zero = I::F32::zero(isa);
        for r in (0..self.rows).step_by(TILE) {
            for c in (0..self.columns).step_by(TILE) {
                let (height, width) = (TILE.min(self.rows - r), TILE.min(self.columns - c));
                // Squares of lanes, so that lines of the target are written whole.
                for i in (r..r + height).step_by(len) {
                    for j in (c..c + width).step_by(len) {
                        let (high, wide) = (len.min(r + height - i), len.min(c + width - j));
                        // SAFETY: the square lies inside the region that the caller of `transpose` vouches for.
                        unsafe {
                            let from = self
                                .source
                                .offset(j as isize * self.source_stride + i as isize);
                            let to = self
                                .target
                                .offset(i as isize * self.target_stride + j as isize);
                            let mut block = [zero; 16];
                            unrolled!(COLUMN < len, {
                                if COLUMN < wide {
                                    let from = from.offset(COLUMN as isize * self.source_stride);
                                    block[COLUMN] = if high == len {
                                        I::F32::load_ptr(isa, from)
                                    } else {
                                        I::F32::load_ptr_partial(isa, from, high)
                                    };
                                }
                            });
                            I::F32::transpose(&mut block);
                            unrolled!(ROW < len, {
                                if ROW < high {
                                    let to = to.offset(ROW as isize * self.target_stride);
                                    if wide == len {
                                        block[ROW].store_ptr(to);
                                    } else {
                                        block[ROW].store_ptr_partial(to, wide);
                                    }
                                }
                            });
                        }
                    }
                }
            }
        }
    }
}
