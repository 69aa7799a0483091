//! The operands of a product and how they are packed into panels.
use std::ops::Range;

use simd::{Float, Isa, Lanes, Task, prefetch};

use super::Real;
use super::blocking::CACHE_LINE;

/// One side of a product, seen as lines along the shared depth: the rows of `A` or the columns of `B`.
pub trait Operand<T>: Sync {
    /// Writes `lines` x `depth` as one panel: `panel[d * width + l]` is item `depth.start + d` of line `lines.start + l`.
    ///
    /// The panel holds `width * depth.len()` items, `width >= lines.len()`; what is missing in its width is zero.
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]);

    /// The operand as it lies in memory, when it does.
    fn as_strided(&self) -> Option<Strided<'_, T>> {
        None
    }
}

/// A matrix in memory.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    data: &'a [T],
    line_stride: usize,
    depth_stride: usize,
}

impl<'a, T> Strided<'a, T> {
    /// Item `d` of line `l` is `data[l * line_stride + d * depth_stride]`.
    ///
    /// Lines are contiguous in a row-major `A` and in a transposed `B`, the depth strides in the others.
    pub fn new(data: &'a [T], line_stride: usize, depth_stride: usize) -> Self {
        Strided {
            data,
            line_stride,
            depth_stride,
        }
    }

    /// `A` of `m` x `k`, or its transpose when `transposed`: then `data` is `k` x `m`.
    pub fn left(data: &'a [T], m: usize, k: usize, transposed: bool) -> Self {
        let [line_stride, depth_stride] = if transposed { [1, m] } else { [k, 1] };
        Strided::new(data, line_stride, depth_stride)
    }

    /// `B` of `k` x `n`, or its transpose when `transposed`: then `data` is `n` x `k`.
    pub fn right(data: &'a [T], k: usize, n: usize, transposed: bool) -> Self {
        let [line_stride, depth_stride] = if transposed { [k, 1] } else { [1, n] };
        Strided::new(data, line_stride, depth_stride)
    }

    /// The strides along lines and depth.
    pub(super) fn strides(&self) -> (usize, usize) {
        (self.line_stride, self.depth_stride)
    }

    /// Panics unless all items of `lines` x `depth` lie in the slice.
    pub(super) fn check(&self, lines: usize, depth: usize) {
        if lines > 0 && depth > 0 {
            let last = (lines - 1)
                .checked_mul(self.line_stride)
                .zip((depth - 1).checked_mul(self.depth_stride))
                .and_then(|(l, d)| l.checked_add(d));
            assert!(
                last.is_some_and(|last| last < self.data.len()),
                "a matrix of {lines} x {depth} leaves its slice of {} items",
                self.data.len()
            );
        }
    }

    /// The same matrix, its lines as depths.
    pub fn transposed(&self) -> Self {
        Strided {
            data: self.data,
            line_stride: self.depth_stride,
            depth_stride: self.line_stride,
        }
    }

    /// An item.
    #[inline(always)]
    pub(super) fn item(&self, line: usize, depth: usize) -> T
    where
        T: Copy,
    {
        self.data[line * self.line_stride + depth * self.depth_stride]
    }

    /// The matrix from a line on.
    pub(super) fn after_lines(&self, line: usize) -> Self {
        let start = (line * self.line_stride).min(self.data.len());
        Strided {
            data: &self.data[start..],
            ..*self
        }
    }

    /// The first `depth` items of a line, which is contiguous.
    pub(super) fn run(&self, line: usize, depth: usize) -> &'a [T] {
        debug_assert!(self.depth_stride == 1 || depth < 2);
        if depth == 0 {
            return &[];
        }
        &self.data[line * self.line_stride..][..depth]
    }

    /// Item `depth` of `count` lines from `line` on, which are neighbours.
    pub(super) fn neighbours(&self, line: usize, depth: usize, count: usize) -> &'a [T] {
        debug_assert!(self.line_stride == 1 || count < 2);
        &self.data[line + depth * self.depth_stride..][..count]
    }

    /// The address of an item.
    ///
    /// # Safety
    /// The item lies in a part that [`Strided::check`] has passed.
    #[inline(always)]
    pub(super) unsafe fn at(&self, line: usize, depth: usize) -> *const T {
        // SAFETY: the caller's promise.
        unsafe {
            self.data
                .as_ptr()
                .add(line * self.line_stride + depth * self.depth_stride)
        }
    }
}

impl<T: Real> Operand<T> for Strided<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        self.check(lines.end, depth.end);
        T::pack_strided(PackStrided {
            source: self,
            lines,
            depth,
            width,
            panels: panel,
        });
    }

    fn as_strided(&self) -> Option<Strided<'_, T>> {
        Some(*self)
    }
}

/// Writes a panel of `width` lines from contiguous runs of `depth` items each; an empty run, and any line that is
/// missing in the width, counts as zeros. For [`Operand::pack`].
pub fn pack_lines<T: Real>(lines: &[&[T]], depth: usize, width: usize, panel: &mut [T]) {
    assert!(
        lines.iter().all(|run| run.is_empty() || run.len() == depth),
        "runs as long as the depth"
    );
    assert!(lines.len() <= width && panel.len() >= width * depth);
    T::pack_lines(PackLines {
        lines,
        depth,
        width,
        panel,
    });
}

pub struct PackLines<'a, T> {
    lines: &'a [&'a [T]],
    depth: usize,
    width: usize,
    panel: &'a mut [T],
}

impl<T: Real> Task for PackLines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let line = |l: usize| match self.lines.get(l) {
            Some(run) if !run.is_empty() => run.as_ptr(),
            _ => std::ptr::null(),
        };
        // SAFETY: a run holds `depth` items, the panel `width * depth`.
        unsafe {
            transpose_lines::<I, T>(isa, line, self.depth, self.width, self.panel.as_mut_ptr())
        }
    }
}

/// [`Operand::pack`] of a matrix in memory, whose ranges were checked, into as many panels as its lines fill.
pub struct PackStrided<'a, T> {
    pub(super) source: &'a Strided<'a, T>,
    pub(super) lines: Range<usize>,
    pub(super) depth: Range<usize>,
    pub(super) width: usize,
    pub(super) panels: &'a mut [T],
}

impl<T: Real> Task for PackStrided<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: `pack` has checked the source.
        unsafe {
            pack_strided::<I, T>(
                isa,
                self.source,
                self.lines,
                self.depth,
                self.width,
                self.panels,
            )
        }
    }
}

/// Rows of a panel between the one that is packed and the one that is fetched: rows that lie apart are no stream that a core foresees.
const PREFETCHED_ROWS: usize = 16;

/// Packs panels of a matrix in memory, which follow one another.
///
/// # Safety
/// [`Strided::check`] has passed the ends of both ranges.
#[inline(always)]
unsafe fn pack_strided<I: Isa, T: Real>(
    isa: I,
    source: &Strided<T>,
    lines: Range<usize>,
    depth: Range<usize>,
    width: usize,
    panels: &mut [T],
) {
    let (count, deep) = (lines.len(), depth.len());
    let len = count.div_ceil(width).max(1) * width * deep;
    assert!(panels.len() >= len);
    if count == 0 || deep == 0 {
        return panels[..len].fill(T::default());
    }
    let (line_stride, depth_stride) = source.strides();
    // SAFETY: the first item of the checked part.
    let first = unsafe { source.at(lines.start, depth.start) };
    if line_stride == 1 && depth_stride != 1 {
        // SAFETY: the checked part of the source, and panels that are long enough.
        return unsafe {
            pack_rows::<I, T>(isa, first, depth_stride, [count, deep], width, panels)
        };
    }
    for (index, panel) in panels[..len].chunks_exact_mut(width * deep).enumerate() {
        let start = index * width;
        if depth_stride == 1 {
            let line = |l: usize| {
                if start + l < count {
                    // SAFETY: the line lies in the checked part.
                    unsafe { first.add((start + l) * line_stride) }
                } else {
                    std::ptr::null()
                }
            };
            // SAFETY: each line holds `deep` items, the panel `width * deep`.
            unsafe { transpose_lines::<I, T>(isa, line, deep, width, panel.as_mut_ptr()) }
            continue;
        }
        for (d, row) in panel.chunks_exact_mut(width).enumerate() {
            for (l, item) in row.iter_mut().enumerate() {
                *item = if start + l < count {
                    // SAFETY: as above.
                    unsafe { *first.add((start + l) * line_stride + d * depth_stride) }
                } else {
                    T::default()
                };
            }
        }
    }
}

/// Packs lines that are neighbours: row after row of the source, which is one stream, goes to all panels.
///
/// # Safety
/// `first` is followed by `deep` rows of `count` items, one at every `depth_stride`; the panels hold them.
#[inline(always)]
unsafe fn pack_rows<I: Isa, T: Real>(
    isa: I,
    first: *const T,
    depth_stride: usize,
    [count, deep]: [usize; 2],
    width: usize,
    panels: &mut [T],
) {
    let (len, panel) = (T::Lanes::<I>::LEN, width * deep);
    // Rows of which every register may read what is behind its lines, and write where the next rows of its panel overwrite it.
    let registers = width.div_ceil(len) * len;
    let inside = |items: usize, stride: usize| match items.checked_sub(registers) {
        Some(rest) => rest / stride.max(1) + 1,
        None => 0,
    };
    let last = (count - 1) / width * width;
    let source = (deep - 1) * depth_stride + count - last;
    let whole = inside(source, depth_stride).min(inside(panel, width));
    for d in 0..deep {
        // SAFETY: a row of the source.
        let row = unsafe { first.add(d * depth_stride) };
        for line in (0..count).step_by(CACHE_LINE / size_of::<T>()) {
            prefetch(row.wrapping_add(PREFETCHED_ROWS * depth_stride + line));
        }
        let full = count - count % width;
        let mut to = panels.as_mut_ptr().wrapping_add(d * width);
        // SAFETY: rows before `whole` have whole registers behind what they read and write.
        unsafe {
            for start in (0..full).step_by(width) {
                pack_row::<I, T>(isa, row.add(start), to, width, width, d < whole);
                to = to.wrapping_add(panel);
            }
            if full < count {
                pack_row::<I, T>(isa, row.add(full), to, count - full, width, d < whole);
            }
        }
    }
}

/// Copies a row of a panel's lines, and zeros up to its width.
///
/// # Safety
/// `from` has the lines and `to` the width, both up to whole registers if `whole`.
#[inline(always)]
unsafe fn pack_row<I: Isa, T: Real>(
    isa: I,
    from: *const T,
    to: *mut T,
    lines: usize,
    width: usize,
    whole: bool,
) {
    let len = T::Lanes::<I>::LEN;
    for l in (0..width).step_by(len) {
        let left = lines.saturating_sub(l);
        // SAFETY: the caller's promise; of other rows, no more is touched than they have.
        unsafe {
            let (from, to) = (from.wrapping_add(l), to.add(l));
            let x = if left >= len || whole && lines == width {
                T::Lanes::<I>::load_ptr(isa, from)
            } else {
                T::Lanes::<I>::load_ptr_partial(isa, from, left)
            };
            if whole || l + len <= width {
                x.store_ptr(to);
            } else {
                x.store_ptr_partial(to, width - l);
            }
        }
    }
}

/// Transposes contiguous lines into a panel; a null line is zeros.
///
/// # Safety
/// `line(l)` for `l < width` is null or valid for reads of `depth` items; `panel` is valid for writes of `width * depth` items.
#[inline(always)]
pub(crate) unsafe fn transpose_lines<I: Isa, T: Real>(
    isa: I,
    line: impl Fn(usize) -> *const T,
    depth: usize,
    width: usize,
    panel: *mut T,
) {
    // SAFETY: the caller's promise.
    unsafe { transpose_lines_apart(isa, line, depth, width, panel, width) }
}

/// [`transpose_lines`] into rows that lie `step` items apart.
///
/// # Safety
/// As there; each row is valid for writes of `width` items.
#[inline(always)]
pub(crate) unsafe fn transpose_lines_apart<I: Isa, T: Real>(
    isa: I,
    line: impl Fn(usize) -> *const T,
    depth: usize,
    width: usize,
    panel: *mut T,
    step: usize,
) {
    let len = T::Lanes::<I>::LEN;
    let zero = T::Lanes::<I>::zero(isa);
    let mut l = 0;
    while l < width {
        let high = len.min(width - l);
        let mut lines = [std::ptr::null::<T>(); 16];
        for (i, slot) in lines[..high].iter_mut().enumerate() {
            *slot = line(l + i);
        }
        let mut d = 0;
        while d < depth {
            let wide = len.min(depth - d);
            let mut block = [zero; 16];
            // SAFETY: a line holds `depth >= d + wide` items; from item `l` on, `high` follow in row `d + ROW`.
            unsafe {
                simd::unrolled!(ROW < len, {
                    if !lines[ROW].is_null() {
                        block[ROW] = if wide == len {
                            T::Lanes::<I>::load_ptr(isa, lines[ROW].add(d))
                        } else {
                            T::Lanes::<I>::load_ptr_partial(isa, lines[ROW].add(d), wide)
                        };
                    }
                });
                T::Lanes::<I>::transpose(&mut block);
                simd::unrolled!(ROW < len, {
                    if ROW < wide {
                        let at = (d + ROW) * step + l;
                        let to = panel.add(at);
                        // What a whole register writes behind its row, the next row overwrites.
                        if high == len || (step < len && at + len <= depth * step) {
                            block[ROW].store_ptr(to);
                        } else {
                            block[ROW].store_ptr_partial(to, high);
                        }
                    }
                });
            }
            d += len;
        }
        l += len;
    }
}
