//! The pieces of a product, for kernels of this crate that run it inside their own loops.
use simd::{Isa, Level, level};

use super::Real;
pub(crate) use super::blocking::even_share;
use super::blocking::{self, Caches};
use super::driver::{Tile, panel_columns};
use super::epilogue::activate;
use super::microkernel::{Base, Panels, Place, WHOLE, tile_ahead};
use crate::activation::Activation;

/// The address of an output that tasks write disjoint parts of.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub *mut T);

impl<T> Shared<T> {
    /// The address.
    pub fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: the tasks of a region write disjoint parts.
unsafe impl<T: Send> Sync for Shared<T> {}

/// Rows and columns of the tile of an instruction set, which a panel is as wide as.
pub(crate) fn sizes<T>(level: Level) -> [usize; 2] {
    [blocking::tile(level).rows, panel_columns::<T>(level)]
}

/// Whether the rows of a tile, that many bytes apart, can be read side by side.
pub(crate) fn holds_rows(stride: usize) -> bool {
    blocking::tile(level()).rows <= blocking::rows_in_sets(stride)
}

/// Bytes of the second-level cache.
pub(crate) fn second_level_cache() -> usize {
    Caches::of_machine().second
}

/// Rows that are multiplied with some columns of one panel, and where the results go.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a, T> {
    /// Rows.
    pub rows: usize,
    /// Depth of a segment.
    pub depth: usize,
    /// Where segments of a row begin, counted from the row.
    pub segments: &'a [usize],
    /// The first row, and the items from a row to the next and from a depth to the next.
    pub a: (*const T, usize, usize),
    /// The panel, whose segments follow each other, and the items from a depth to the next.
    pub b: (*const T, usize),
    /// What is fetched meanwhile, and the items of each depth of a tile.
    pub next: Option<(*const T, usize)>,
    /// The first row of the output, and the items from a row to the next.
    pub c: (*mut T, usize),
    /// Columns.
    pub columns: usize,
    /// Whether the sums are added to what the output holds; else rows may be computed twice.
    pub add: bool,
    /// What is added to the sums.
    pub bias: Option<*const T>,
    /// What is applied to the sums.
    pub activation: Option<Activation>,
}

/// Multiplies lines.
///
/// # Safety
/// All that the lines name is valid for reads or writes, items of `a` also for one row more when they are added to the output and
/// the rows are odd, and the panel for whole registers of columns.
#[inline(always)]
pub(crate) unsafe fn multiply_lines<I: Isa, T: Real>(isa: I, lines: &Lines<'_, T>) {
    let greatest = blocking::tile(I::LEVEL).rows;
    let (a, a_row, a_step) = lines.a;
    let (b, b_step) = lines.b;
    let (c, c_row) = lines.c;
    let (mut next, next_step) = lines.next.unwrap_or((b, 0));
    let mut done = 0;
    while done < lines.rows {
        let left = lines.rows - done;
        let mut rows = blocking::tile_rows(left, greatest);
        let mut first = done;
        if !lines.add {
            rows = rows.max(4).min(lines.rows / 2 * 2).max(1);
            first = first.min(lines.rows - rows);
        }
        // SAFETY: the caller's promises.
        let (a, start) = unsafe { (a.add(first * a_row), c.add(first * c_row)) };
        let base = Base {
            row: lines.bias,
            tile: lines.add,
        };
        // What is added to is read just now.
        let following = if lines.add {
            0
        } else {
            left.saturating_sub(rows)
        };
        isa.run(Tile {
            panels: Panels {
                depth: lines.depth,
                segments: lines.segments,
                a,
                a_row,
                a_step,
                b,
                b_step,
                next: (next, next_step),
            },
            place: Place {
                start,
                stride: c_row,
                rows: rows.min(lines.rows - first),
                columns: lines.columns,
                base,
                ahead: tile_ahead(rows, following, c_row),
            },
            activation: lines.activation,
        });
        next = next.wrapping_add(lines.segments.len() * lines.depth * next_step);
        done = first + rows;
    }
}

/// `C = A B` of `m` x `k` and `k` x `n` on the caller's thread: rows of `a` and of `c` lie apart by the step beside their address, `b`
/// is packed in panels of the whole depth; each is fetched while the one before it is in use, that at `after` with the last.
///
/// # Safety
/// `a` is valid for reads of the rows, rounded up to a whole panel, `b` of its panels, `c` for writes of `m` rows of `n` items.
#[inline(always)]
pub(crate) unsafe fn multiply<I: Isa, T: Real>(
    isa: I,
    [m, n, k]: [usize; 3],
    (a, a_row): (*const T, usize),
    (b, after): (*const T, *const T),
    (c, c_row): (*mut T, usize),
) {
    let [rows, width] = sizes::<T>(I::LEVEL);
    let next_step = width.div_ceil(m.div_ceil(rows).max(1));
    for column in (0..n).step_by(width) {
        let mut next = if column + width < n {
            b.wrapping_add((column + width) * k)
        } else {
            after
        };
        for row in (0..m).step_by(rows) {
            // SAFETY: the caller's promises.
            let (a, b, start) = unsafe {
                (
                    a.add(row * a_row),
                    b.add(column * k),
                    c.add(row * c_row + column),
                )
            };
            isa.run(Tile {
                panels: Panels {
                    depth: k,
                    segments: WHOLE,
                    a,
                    a_row,
                    a_step: 1,
                    b,
                    b_step: width,
                    next: (next, next_step),
                },
                place: Place::new(start, c_row, [rows.min(m - row), width.min(n - column)]),
                activation: None,
            });
            next = next.wrapping_add(k * next_step);
        }
    }
}

/// Applies an activation to rows of an output, which lie apart by the step beside their address.
///
/// # Safety
/// The rows and columns are valid for reads and writes.
#[inline(always)]
pub(crate) unsafe fn activate_rows<I: Isa, T: Real>(
    isa: I,
    activation: Activation,
    (start, stride): (*mut T, usize),
    [rows, columns]: [usize; 2],
) {
    let place = Place::new(start, stride, [rows, columns]);
    // SAFETY: the caller's promise.
    unsafe { activate(isa, activation, place) }
}
