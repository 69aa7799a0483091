//! The virtual matrices of convolution: what a panel needs of them is read from the tensor when it is packed, the matrix
//! itself never stands in memory.

use std::ops::Range;

use simd::{Isa, Lanes, Task, dispatch};

use super::geometry::{Geometry, SPATIAL};
use crate::gemm::{Operand, Real, Side, Strided, pack_lines, transpose_lines};

/// The greatest width of a panel.
const WIDTH: usize = 64;

/// The greatest width of a panel of a left side.
const FEW: usize = 16;

/// Items up to which the taps along the last axis make one run.
const LONGEST_RUN: usize = 64;

/// One spatial axis of [`Patches`]: tap `t` of line `l` reads position `l * step + start + t * pitch` of the source, which is
/// zero outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Positions of the source.
    pub source: usize,
    /// Lines.
    pub lines: usize,
    /// Taps.
    pub taps: usize,
    /// Positions between lines.
    pub step: usize,
    /// Where tap 0 of line 0 falls.
    pub start: isize,
    /// Positions between taps.
    pub pitch: isize,
}

impl Axis {
    /// The axis as a convolution reads its input.
    pub fn forward(geometry: &Geometry, axis: usize) -> Axis {
        let w = &geometry.window;
        Axis {
            source: w.input[axis],
            lines: w.output[axis],
            taps: w.size[axis],
            step: w.strides[axis],
            start: -w.low[axis],
            pitch: w.dilation[axis] as isize,
        }
    }

    /// Whether each line reads the position of its own index and no other.
    pub fn is_plain(&self) -> bool {
        (self.taps, self.step, self.start) == (1, 1, 0) && self.source == self.lines
    }

    /// The position that a tap of a line reads.
    #[inline(always)]
    fn position(&self, line: usize, tap: usize) -> Option<usize> {
        let position = (line * self.step) as isize + self.start + tap as isize * self.pitch;
        // Below zero it is a great number.
        ((position as usize) < self.source).then_some(position as usize)
    }
}

/// A matrix with a line per window and, along its depth, the taps of the window with their channels.
#[derive(Clone, Copy, Debug)]
pub struct Patches<'a, T> {
    /// The tensor `(batch, ..source, row)`.
    pub source: &'a [T],
    /// Items at a position of the source.
    pub row: usize,
    /// The channels that are read, among those of a position.
    pub channels: Span,
    /// The spatial axes.
    pub axes: [Axis; SPATIAL],
}

/// Neighbouring channels.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first.
    pub start: usize,
    /// How many.
    pub len: usize,
}

/// Where a line stands: its image, its place along the axes.
type Place = (usize, [usize; SPATIAL]);

impl<'a, T: Real> Patches<'a, T> {
    /// The left side of a product: a matrix in memory where each line reads the position of its own index and no other.
    pub fn side(&self) -> Side<'_, T> {
        if self.axes.iter().all(Axis::is_plain) {
            Strided::new(&self.source[self.channels.start..], self.row, 1).into()
        } else {
            self.into()
        }
    }

    #[inline(always)]
    fn place(&self, line: usize) -> Place {
        let [outer, middle, inner] = self.axes.map(|axis| axis.lines);
        let (rest, k) = (line / inner, line % inner);
        let (rest, j) = (rest / middle, rest % middle);
        (rest / outer, [rest % outer, j, k])
    }

    /// The place of the next line.
    #[inline(always)]
    fn advance(&self, (image, at): &mut Place) {
        for axis in (0..SPATIAL).rev() {
            at[axis] += 1;
            if at[axis] < self.axes[axis].lines {
                return;
            }
            at[axis] = 0;
        }
        *image += 1;
    }

    /// The place of tap `t` along each axis.
    #[inline(always)]
    fn tap(&self, tap: usize) -> [usize; SPATIAL] {
        let [_, middle, inner] = self.axes.map(|axis| axis.taps);
        [tap / (middle * inner), tap / inner % middle, tap % inner]
    }

    /// Items along the depth that neighbour each other in the source: all taps along the last axis where these are its next
    /// positions and few, else the channels of a tap.
    fn run(&self) -> usize {
        let whole = self.axes[2].pitch == 1 && self.channels.len == self.row;
        match self.axes[2].taps * self.row {
            items if whole && (1..=LONGEST_RUN).contains(&items) => items,
            _ => self.channels.len,
        }
    }

    /// The tap and, from its first channel on, the item of a place along the depth, for runs of that length.
    #[inline(always)]
    fn tap_and_item(&self, depth: usize, run: usize) -> ([usize; SPATIAL], usize) {
        let taps = run / self.channels.len;
        (self.tap(depth / run * taps), depth % run)
    }

    /// Where in the source the positions along the last axis stand that a tap of a line is among; none in padding.
    #[inline(always)]
    fn source_line(&self, (image, at): Place, tap: [usize; SPATIAL]) -> Option<Range<usize>> {
        let [a, b, c] = &self.axes;
        let i = a.position(at[0], tap[0])?;
        let j = b.position(at[1], tap[1])?;
        let len = c.source * self.row;
        let start = ((image * a.source + i) * b.source + j) * len;
        Some(start..start + len)
    }

    /// The item of its source line that a run begins with; it may lie outside.
    #[inline(always)]
    fn first_item(&self, at: [usize; SPATIAL], tap: [usize; SPATIAL], item: usize) -> isize {
        let c = &self.axes[2];
        let position = (at[2] * c.step) as isize + c.start + tap[2] as isize * c.pitch;
        position * self.row as isize + (self.channels.start + item) as isize
    }
}

/// The part of `n` items from `first` on that lies in a line of `len`, counted from `first`.
#[inline(always)]
fn inside(first: isize, n: usize, len: usize) -> Range<usize> {
    let start = (-first).clamp(0, n as isize) as usize;
    let end = (len as isize - first).clamp(start as isize, n as isize) as usize;
    start..end
}

/// Pieces of at most `step` items that end at multiples of it.
#[inline(always)]
fn pieces(range: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = range.end.min((start / step + 1) * step);
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

impl<T: Real> Operand<T> for Patches<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        assert!(lines.len() <= width && width <= FEW && panel.len() >= width * depth.len());
        dispatch(Packing {
            matrix: self,
            lines,
            depth,
            width,
            panel,
        });
    }
}

/// A panel of a matrix to be packed.
struct Packing<'a, M, T> {
    matrix: &'a M,
    lines: Range<usize>,
    depth: Range<usize>,
    width: usize,
    panel: &'a mut [T],
}

impl<T: Real> Task for Packing<'_, Patches<'_, T>, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Packing {
            matrix: patches,
            lines,
            depth,
            width,
            panel,
        } = self;
        let mut places = [(0, [0; SPATIAL]); FEW];
        let places = &mut places[..lines.len()];
        let mut place = patches.place(lines.start);
        for slot in places.iter_mut() {
            *slot = place;
            patches.advance(&mut place);
        }
        let run = patches.run();
        // Runs that are padding in part.
        let mut borders = None;
        let mut panel = panel;
        for piece in pieces(depth, run) {
            let (tap, item) = patches.tap_and_item(piece.start, run);
            let mut runs = [std::ptr::null(); FEW];
            for (l, (run, &place)) in runs.iter_mut().zip(places.iter()).enumerate() {
                let Some(line) = patches.source_line(place, tap) else {
                    continue;
                };
                let first = patches.first_item(place.1, tap, item);
                let within = inside(first, piece.len(), line.len());
                let line = &patches.source[line];
                if within.len() == piece.len() {
                    *run = line[first as usize..].as_ptr();
                } else if !within.is_empty() {
                    let from = &line[(first + within.start as isize) as usize..][..within.len()];
                    let borders = borders.get_or_insert_with(|| [[T::default(); LONGEST_RUN]; FEW]);
                    let border = &mut borders[l][..piece.len()];
                    border.fill(T::default());
                    border[within].copy_from_slice(from);
                    *run = border.as_ptr();
                }
            }
            let (here, rest) = panel.split_at_mut(width * piece.len());
            // SAFETY: a run holds the items of the piece or is null, the panel as many for each of its width.
            unsafe {
                let line = |l: usize| runs[l];
                transpose_lines::<I, T>(isa, line, piece.len(), width, here.as_mut_ptr());
            }
            panel = rest;
        }
    }
}

/// [`Patches`] the other way round: a line per tap and channel, windows along the depth.
#[derive(Clone, Copy, Debug)]
pub struct Transposed<'a, T>(pub Patches<'a, T>);

impl<T: Real> Transposed<'_, T> {
    /// As [`Patches::side`].
    pub fn side(&self) -> Side<'_, T> {
        match self.0.side() {
            Side::Strided(matrix) => matrix.transposed().into(),
            _ => self.into(),
        }
    }
}

impl<T: Real> Operand<T> for Transposed<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        assert!(lines.len() <= width && panel.len() >= width * depth.len());
        dispatch(Packing {
            matrix: self,
            lines,
            depth,
            width,
            panel,
        });
    }
}

impl<T: Real> Task for Packing<'_, Transposed<'_, T>, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Packing {
            matrix: Transposed(patches),
            lines,
            depth,
            width,
            panel,
        } = self;
        let (first, lanes) = (lines.start, T::Lanes::<I>::LEN);
        let whole = lines.len() == width && width <= lanes;
        if lines.len() < width {
            panel[..width * depth.len()].fill(T::default());
        }
        let run = patches.run();
        for piece in pieces(lines, run) {
            let (tap, item) = patches.tap_and_item(piece.start, run);
            let (column, n) = (piece.start - first, piece.len());
            // Lines of windows: consecutive ones read at equal distances.
            for windows in pieces(depth.clone(), patches.axes[2].lines) {
                let out = &mut panel[(windows.start - depth.start) * width..];
                let place = patches.place(windows.start);
                let Some(line) = patches.source_line(place, tap) else {
                    zero_columns(&mut out[..windows.len() * width], width, column, n);
                    continue;
                };
                let step = (patches.axes[2].step * patches.row) as isize;
                let mut start = patches.first_item(place.1, tap, item);
                let after = out_after(windows.len(), width, lanes);
                for d in 0..windows.len() {
                    let within = inside(start, n, line.len());
                    let to = d * width + column;
                    if within.len() == n {
                        let from = line.start + start as usize;
                        let left = patches.source.len() - from;
                        assert!(n <= left && to + n <= out.len());
                        // SAFETY: `n` items of the source and of the panel, as was just checked. Lanes too many are read within
                        // the source, and written to rows that are written later.
                        unsafe {
                            let from = patches.source.as_ptr().add(from);
                            let to = out.as_mut_ptr().add(to);
                            if whole && n == width && d < after && left >= lanes {
                                T::Lanes::<I>::load_ptr(isa, from).store_ptr(to);
                            } else {
                                let mut l = 0;
                                while l < n {
                                    let wide = (n - l).min(lanes);
                                    let x = T::Lanes::<I>::load_ptr_partial(isa, from.add(l), wide);
                                    x.store_ptr_partial(to.add(l), wide);
                                    l += wide;
                                }
                            }
                        }
                    } else {
                        let to = &mut out[to..to + n];
                        to.fill(T::default());
                        if !within.is_empty() {
                            let from = (start + within.start as isize) as usize;
                            let from = &patches.source[line.start + from..][..within.len()];
                            to[within].copy_from_slice(from);
                        }
                    }
                    start += step;
                }
            }
        }
    }
}

/// The first of `rows` rows of a panel that fewer than `lanes` items follow from its start on.
#[inline(always)]
fn out_after(rows: usize, width: usize, lanes: usize) -> usize {
    (rows * width + width).saturating_sub(lanes) / width
}

/// Sets `n` columns of a panel to zero.
#[inline(always)]
fn zero_columns<T: Real>(panel: &mut [T], width: usize, column: usize, n: usize) {
    for row in panel.chunks_exact_mut(width) {
        row[column..column + n].fill(T::default());
    }
}

/// The kernel of a group as the right side of the input's gradient: a line per channel, taps with their filters along the
/// depth.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a, T> {
    /// The kernel `(..size, channels of the group, filters)`.
    pub kernel: &'a [T],
    /// Channels of a group.
    pub channels: usize,
    /// Filters of all groups.
    pub row: usize,
    /// The filters of the group.
    pub filters: Span,
    /// Taps of the kernel per axis.
    pub size: [usize; SPATIAL],
    /// Which taps are read per axis.
    pub taps: [Taps; SPATIAL],
}

/// Taps of a kernel along an axis, in falling order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taps {
    /// The greatest.
    pub last: usize,
    /// The distance of the next.
    pub distance: usize,
    /// How many.
    pub count: usize,
}

impl<T: Real> Operand<T> for Backward<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        let mut runs = [&self.kernel[..0]; WIDTH];
        let mut panel = panel;
        for piece in pieces(depth, self.filters.len) {
            let tap = piece.start / self.filters.len;
            let [_, middle, inner] = self.taps.map(|taps| taps.count);
            let at = [tap / (middle * inner), tap / inner % middle, tap % inner];
            let tap = (0..SPATIAL).fold(0, |index, axis| {
                let taps = self.taps[axis];
                index * self.size[axis] + taps.last - at[axis] * taps.distance
            });
            let filter = self.filters.start + piece.start % self.filters.len;
            for (run, channel) in runs.iter_mut().zip(lines.clone()) {
                let start = (tap * self.channels + channel) * self.row + filter;
                *run = &self.kernel[start..start + piece.len()];
            }
            let (here, rest) = panel.split_at_mut(width * piece.len());
            pack_lines(&runs[..lines.len()], piece.len(), width, here);
            panel = rest;
        }
    }
}
