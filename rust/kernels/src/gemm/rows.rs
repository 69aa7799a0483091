//! Products inside a task: some rows times a packed matrix, on this thread, whatever the depth. For loops whose every turn needs
//! the last one's product.
use simd::{Float, Isa, Lanes, Task, unrolled};

use super::Real;
use super::blocking::{tile, tile_rows};
use super::driver::{Packed, Tile, panel_columns, steps};
use super::microkernel::{Base, Panels, Place, WHOLE};

/// Rows of `m` x `n` x `k` that [`multiply_rows`] reads: kernels take even numbers of rows, or one.
pub(crate) fn read_rows(m: usize) -> usize {
    if m < 2 { m } else { m.next_multiple_of(2) }
}

/// `c = a b`, or `c += a b` where `add`: `m` rows of `k` items times a packed `k` x `n` matrix. Each item of `c` is one sum in the
/// order of the depth, so its bits depend on no other row.
///
/// # Panics
/// When a slice is too short ([`read_rows`] rows of `a` are read), or the matrix was packed for another instruction set.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn multiply_rows<I: Isa, T: Real>(
    isa: I,
    [m, n, k]: [usize; 3],
    a: &[T],
    a_stride: usize,
    b: Packed<'_, T>,
    c: &mut [T],
    c_stride: usize,
    add: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(b.level == I::LEVEL && b.items.len() >= Packed::<T>::len(b.level, n, k));
    assert!(a.len() >= (read_rows(m) - 1) * a_stride + k);
    assert!(c.len() >= (m - 1) * c_stride + n);
    let width = panel_columns::<T>(I::LEVEL);
    if m == 1 {
        return isa.run(Row {
            a: &a[..k],
            b: b.items,
            c: &mut c[..n],
            width,
            add,
        });
    }
    let greatest = tile(I::LEVEL).rows;
    for columns in steps(0..n, width) {
        let panel = &b.items[columns.start * k..];
        let mut rows = 0..0;
        while rows.end < m {
            rows = rows.end..m.min(rows.end + tile_rows(m - rows.end, greatest));
            let start = c[rows.start * c_stride + columns.start..].as_mut_ptr();
            isa.run(Tile {
                panels: Panels {
                    depth: k,
                    segments: WHOLE,
                    a: a[rows.start * a_stride..].as_ptr(),
                    a_row: a_stride,
                    a_step: 1,
                    b: panel.as_ptr(),
                    b_step: width,
                    next: (panel.as_ptr(), 0),
                },
                place: Place {
                    base: Base {
                        row: None,
                        tile: add,
                    },
                    ..Place::new(start, c_stride, [rows.len(), columns.len()])
                },
                activation: None,
            });
        }
    }
}

/// Registers whose sums a single row has under way, as each waits for its last product.
const SUMS: usize = 8;

/// One row: bound by reading the matrix, so several panels pass by at once.
struct Row<'a, T> {
    a: &'a [T],
    b: &'a [T],
    c: &'a mut [T],
    width: usize,
    add: bool,
}

impl<T: Real> Task for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Row {
            a,
            b,
            c,
            width,
            add,
        } = self;
        let (len, k) = (T::Lanes::<I>::LEN, a.len());
        let per_panel = width / len;
        let registers = c.len().div_ceil(len);
        let mut first = 0;
        while first < registers {
            // Where each register's column of the matrix starts; those behind the end repeat the last one.
            let mut columns = [b.as_ptr(); SUMS];
            let mut sums = [T::Lanes::<I>::zero(isa); 16];
            for (i, column) in columns.iter_mut().enumerate() {
                let register = (first + i).min(registers - 1);
                let at = register / per_panel * width * k + register % per_panel * len;
                *column = b[at..].as_ptr();
            }
            for (d, &x) in a.iter().enumerate() {
                let x = T::Lanes::<I>::splat(isa, x);
                // SAFETY: a panel holds `width` items for each of the `k` depths, found long enough by the caller.
                unsafe {
                    unrolled!(I < SUMS, {
                        let y = T::Lanes::<I>::load_ptr(isa, columns[I % SUMS].add(d * width));
                        sums[I] = x.mul_add(y, sums[I]);
                    });
                }
            }
            unrolled!(I < SUMS, {
                if first + I < registers {
                    let out = &mut c[(first + I) * len..];
                    let sum = if add {
                        T::Lanes::<I>::load_partial(isa, out) + sums[I]
                    } else {
                        sums[I]
                    };
                    sum.store_partial(out);
                }
            });
            first += SUMS;
        }
    }
}
