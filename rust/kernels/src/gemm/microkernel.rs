//! The innermost loops: a tile of `C` in registers, a panel of `A` and one of `B` passing by.
use simd::{Float, Isa, Lanes, prefetch, prefetch_second, unrolled};

use super::Real;
use super::blocking::CACHE_LINE;

/// What a tile adds its sums to.
#[derive(Clone, Copy)]
pub(super) struct Base<T> {
    /// A row, the same for every row of the tile.
    pub row: Option<*const T>,
    /// Whether it is what the tile holds, too.
    pub tile: bool,
}

impl<T> Base<T> {
    pub const NOTHING: Self = Base {
        row: None,
        tile: false,
    };
}

/// A tile of `C` in memory: at most as many rows and columns as the microkernel has.
#[derive(Clone, Copy)]
pub(super) struct Place<T> {
    pub start: *mut T,
    pub stride: usize,
    pub rows: usize,
    pub columns: usize,
    pub base: Base<T>,
    /// Items to the tile whose memory is asked for meanwhile, as it answers late; 0 where it is at hand.
    pub ahead: usize,
}

/// [`Place::ahead`] for a tile of so many rows, where others follow it: the tile behind the next, if there is one.
pub(super) fn tile_ahead(rows: usize, following: usize, stride: usize) -> usize {
    if following > rows {
        2 * rows * stride
    } else {
        0
    }
}

impl<T> Place<T> {
    /// A place whose sums are added to nothing, and that is at hand.
    #[inline(always)]
    pub fn new(start: *mut T, stride: usize, [rows, columns]: [usize; 2]) -> Self {
        Place {
            start,
            stride,
            rows,
            columns,
            base: Base::NOTHING,
            ahead: 0,
        }
    }

    /// The same place under another name of its type; the base is left behind.
    #[inline(always)]
    pub fn cast<U>(self) -> Place<U> {
        debug_assert!(size_of::<T>() == size_of::<U>());
        Place::new(self.start.cast(), self.stride, [self.rows, self.columns])
    }
}

/// The only segment of a panel that lies in one piece.
pub(super) const WHOLE: &[usize] = &[0];

/// Panels: item `r` of depth `d` is at `a[d * a_step + r * a_row]`, item `c` at `b[d * b_step + c]`.
///
/// The depth has segments: each begins where it says, counted from `a`, and goes on in `b` where the one before it ends.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, T> {
    /// Of a segment.
    pub depth: usize,
    pub segments: &'a [usize],
    pub a: *const T,
    pub a_row: usize,
    pub a_step: usize,
    pub b: *const T,
    pub b_step: usize,
    /// What is fetched meanwhile, and the items from a depth to the next.
    pub next: (*const T, usize),
}

/// `place = base + A B`, within the bounds, with the smallest kernel that covers the rows and the columns.
///
/// # Safety
/// Each depth of `a` is valid for reads of the rows rounded up to the next kernel (they are at most those of a packed panel);
/// each depth of `b` for the columns rounded up to whole registers; `place` for reads and writes of its rows and columns.
#[inline(always)]
pub(super) unsafe fn tile<I: Isa, T: Real>(
    isa: I,
    panels: Panels<'_, T>,
    place: Place<T>,
    bounds: [T; 2],
) {
    let greatest = super::blocking::tile(I::LEVEL);
    // SAFETY: the caller's promises.
    unsafe {
        if greatest.registers == 2 && place.columns > T::Lanes::<I>::LEN {
            rows::<I, T, 2>(isa, greatest.rows, panels, place, bounds);
        } else {
            rows::<I, T, 1>(isa, greatest.rows, panels, place, bounds);
        }
    }
}

/// [`tile`] for `V` registers per row.
#[inline(always)]
unsafe fn rows<I: Isa, T: Real, const V: usize>(
    isa: I,
    greatest: usize,
    panels: Panels<'_, T>,
    place: Place<T>,
    bounds: [T; 2],
) {
    // SAFETY: the caller's promises.
    unsafe {
        match place.rows {
            13.. if greatest >= 14 => kernel::<I, T, 14, V>(isa, panels, place, bounds),
            11.. if greatest >= 12 => kernel::<I, T, 12, V>(isa, panels, place, bounds),
            9.. if greatest >= 10 => kernel::<I, T, 10, V>(isa, panels, place, bounds),
            7.. if greatest >= 8 => kernel::<I, T, 8, V>(isa, panels, place, bounds),
            5.. => kernel::<I, T, 6, V>(isa, panels, place, bounds),
            3.. => kernel::<I, T, 4, V>(isa, panels, place, bounds),
            2 => kernel::<I, T, 2, V>(isa, panels, place, bounds),
            _ => kernel::<I, T, 1, V>(isa, panels, place, bounds),
        }
    }
}

/// The microkernel of `R` rows and `V` registers per row.
#[inline(always)]
unsafe fn kernel<I: Isa, T: Real, const R: usize, const V: usize>(
    isa: I,
    panels: Panels<'_, T>,
    place: Place<T>,
    bounds: [T; 2],
) {
    let len = T::Lanes::<I>::LEN;
    let Panels {
        depth,
        segments,
        a,
        a_row,
        a_step,
        mut b,
        b_step,
        next: (mut next, next_step),
    } = panels;
    // Whether each of two registers is a cache line.
    let lines = V > 1 && len * size_of::<T>() >= CACHE_LINE;
    for r in 0..place.rows {
        let row = place.start.wrapping_add(r * place.stride);
        prefetch(row);
        if lines {
            prefetch(row.wrapping_add(len));
        }
        if place.ahead > 0 {
            let later = row.wrapping_add(place.ahead);
            prefetch_second(later);
            if lines {
                prefetch_second(later.wrapping_add(len));
            }
        }
    }
    let zero = T::Lanes::<I>::zero(isa);
    let mut sums = [[zero; 2]; 16];
    for &segment in segments {
        // Groups of rows that addressing reaches from one pointer: `3 * a_row` takes a register, the others are scales of one.
        let mut groups = [0, 4, 8, 12].map(|row| a.wrapping_add(segment + row * a_row));
        for _ in 0..depth {
            // SAFETY: the caller's promise about the panels.
            unsafe {
                let y = T::Lanes::<I>::load_ptr(isa, b);
                let z = if V > 1 {
                    T::Lanes::<I>::load_ptr(isa, b.add(len))
                } else {
                    zero
                };
                unrolled!(ROW < R, {
                    let x = T::Lanes::<I>::splat(isa, *groups[ROW / 4].add(ROW % 4 * a_row));
                    sums[ROW][0] = x.mul_add(y, sums[ROW][0]);
                    if V > 1 {
                        sums[ROW][1] = x.mul_add(z, sums[ROW][1]);
                    }
                });
                unrolled!(GROUP < R.div_ceil(4), {
                    groups[GROUP % 4] = groups[GROUP % 4].wrapping_add(a_step);
                });
                b = b.add(b_step);
                prefetch_second(next);
                if lines {
                    prefetch_second(next.wrapping_add(len));
                }
                next = next.wrapping_add(next_step);
            }
        }
    }
    // `min` and `max` give their second operand when either is NaN.
    let [least, greatest] = bounds.map(|bound| T::Lanes::<I>::splat(isa, bound));
    unrolled!(ROW < R, {
        if ROW < place.rows {
            // SAFETY: a row of the place; the second register holds columns when there are more than one register's.
            unsafe {
                store(isa, sums[ROW][0], place, ROW, 0, [least, greatest]);
                if V > 1 {
                    store(isa, sums[ROW][1], place, ROW, len, [least, greatest]);
                }
            }
        }
    });
}

/// Stores the base and the sums of a row, from a column on, within the bounds.
///
/// # Safety
/// The place has that row, and at least `column` columns.
#[inline(always)]
unsafe fn store<I: Isa, T: Real>(
    isa: I,
    sums: T::Lanes<I>,
    place: Place<T>,
    row: usize,
    column: usize,
    [least, greatest]: [T::Lanes<I>; 2],
) {
    let len = T::Lanes::<I>::LEN;
    let width = len.min(place.columns - column);
    // SAFETY: the row has `width` columns from that one on, and so has the base.
    unsafe {
        let to = place.start.add(row * place.stride + column);
        let mut sums = sums;
        if width == len {
            if let Some(row) = place.base.row {
                sums = T::Lanes::<I>::load_ptr(isa, row.add(column)) + sums;
            }
            if place.base.tile {
                sums = T::Lanes::<I>::load_ptr(isa, to) + sums;
            }
            greatest.min(least.max(sums)).store_ptr(to);
        } else {
            if let Some(row) = place.base.row {
                sums = T::Lanes::<I>::load_ptr_partial(isa, row.add(column), width) + sums;
            }
            if place.base.tile {
                sums = T::Lanes::<I>::load_ptr_partial(isa, to, width) + sums;
            }
            greatest.min(least.max(sums)).store_ptr_partial(to, width);
        }
    }
}
