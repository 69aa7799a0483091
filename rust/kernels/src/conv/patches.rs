//! The virtual matrices of convolution: what a panel needs of them is read from the tensor when it is packed, the matrix
//! itself never stands in memory.

use std::ops::Range;

use simd::{Isa, Lanes, Task, dispatch};

use super::geometry::{Geometry, SPATIAL};
use crate::gemm::{Operand, Real, Side, Strided, pack_lines};

/// The greatest width of a panel.
const WIDTH: usize = 64;

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
    /// The patches that the filters of a group see.
    pub fn forward(geometry: &Geometry, group: usize, x: &'a [T]) -> Self {
        let len = geometry.group_channels();
        Patches {
            source: x,
            row: geometry.channels,
            channels: Span {
                start: group * len,
                len,
            },
            axes: [0, 1, 2].map(|axis| Axis::forward(geometry, axis)),
        }
    }

    /// The left side of a product: a matrix in memory where each line reads the position of its own index and no other.
    pub fn side(&self) -> Side<'_, T> {
        let plain = self.axes.iter().all(|axis| {
            (axis.taps, axis.step, axis.start) == (1, 1, 0) && axis.source == axis.lines
        });
        if plain {
            Strided::new(&self.source[self.channels.start..], self.row, 1).into()
        } else {
            self.into()
        }
    }

    /// Depth of the matrix.
    pub fn depth(&self) -> usize {
        self.axes.iter().map(|axis| axis.taps).product::<usize>() * self.channels.len
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

    /// The index in the source of what the first channels of a tap read, if it is not padding.
    #[inline(always)]
    fn index(&self, (image, at): Place, tap: [usize; SPATIAL]) -> Option<usize> {
        let [a, b, c] = &self.axes;
        let i = a.position(at[0], tap[0])?;
        let j = b.position(at[1], tap[1])?;
        let k = c.position(at[2], tap[2])?;
        let position = ((image * a.source + i) * b.source + j) * c.source + k;
        Some(position * self.row + self.channels.start)
    }
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
        let mut places = [(0, [0; SPATIAL]); WIDTH];
        let places = &mut places[..lines.len()];
        let mut place = self.place(lines.start);
        for slot in places.iter_mut() {
            *slot = place;
            self.advance(&mut place);
        }
        let mut runs = [&self.source[..0]; WIDTH];
        let mut panel = panel;
        for piece in pieces(depth, self.channels.len) {
            let tap = self.tap(piece.start / self.channels.len);
            let channel = piece.start % self.channels.len;
            for (run, &place) in runs.iter_mut().zip(places.iter()) {
                *run = match self.index(place, tap) {
                    Some(start) => &self.source[start + channel..][..piece.len()],
                    None => &[],
                };
            }
            let (here, rest) = panel.split_at_mut(width * piece.len());
            pack_lines(&runs[..places.len()], piece.len(), width, here);
            panel = rest;
        }
    }
}

/// [`Patches`] the other way round: a line per tap and channel, windows along the depth.
#[derive(Clone, Copy, Debug)]
pub struct Transposed<'a, T>(pub Patches<'a, T>);

impl<T: Real> Operand<T> for Transposed<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        assert!(lines.len() <= width && panel.len() >= width * depth.len());
        dispatch(PackTransposed {
            patches: &self.0,
            lines,
            depth,
            width,
            panel,
        });
    }
}

struct PackTransposed<'a, T> {
    patches: &'a Patches<'a, T>,
    lines: Range<usize>,
    depth: Range<usize>,
    width: usize,
    panel: &'a mut [T],
}

impl<T: Real> Task for PackTransposed<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let PackTransposed {
            patches,
            lines,
            depth,
            width,
            panel,
        } = self;
        let (first, inner) = (lines.start, patches.axes[2]);
        if lines.len() < width {
            panel[..width * depth.len()].fill(T::default());
        }
        for piece in pieces(lines, patches.channels.len) {
            let tap = patches.tap(piece.start / patches.channels.len);
            let channel = piece.start % patches.channels.len;
            let column = piece.start - first;
            // Lines of windows: consecutive ones read at equal distances.
            for run in pieces(depth.clone(), inner.lines) {
                let out = &mut panel[(run.start - depth.start) * width..][..run.len() * width];
                let (image, at) = patches.place(run.start);
                let offset = inner.start + tap[2] as isize * inner.pitch;
                // The windows of this line of windows whose tap falls on the source.
                let reached = |position: isize| (position.max(0) as usize).div_ceil(inner.step);
                let inside = reached(-offset)..reached(inner.source as isize - offset);
                let start = inside.start.clamp(at[2], at[2] + run.len()) - at[2];
                let end = inside.end.clamp(at[2], at[2] + run.len()) - at[2];
                let place = (image, [at[0], at[1], at[2] + start]);
                let source = match patches.index(place, tap) {
                    Some(index) if start < end => index + channel,
                    _ => {
                        zero_columns(out, width, column, piece.len());
                        continue;
                    }
                };
                zero_columns(&mut out[..start * width], width, column, piece.len());
                zero_columns(&mut out[end * width..], width, column, piece.len());
                let step = inner.step * patches.row;
                let source = &patches.source[source..][..(end - start - 1) * step + piece.len()];
                let out =
                    &mut out[start * width + column..][..(end - start - 1) * width + piece.len()];
                let n = piece.len();
                for d in 0..end - start {
                    // SAFETY: both slices were cut to hold `n` items at the last `d`.
                    unsafe {
                        let (from, to) = (
                            source.as_ptr().add(d * step),
                            out.as_mut_ptr().add(d * width),
                        );
                        let mut l = 0;
                        while l < n {
                            let left = (n - l).min(T::Lanes::<I>::LEN);
                            let x = T::Lanes::<I>::load_ptr_partial(isa, from.add(l), left);
                            x.store_ptr_partial(to.add(l), left);
                            l += left;
                        }
                    }
                }
            }
        }
    }
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
    /// Which taps are read per axis: the first, the distance of the next, how many.
    pub taps: [(usize, usize, usize); SPATIAL],
}

impl<T: Real> Operand<T> for Backward<'_, T> {
    fn pack(&self, lines: Range<usize>, depth: Range<usize>, width: usize, panel: &mut [T]) {
        let mut runs = [&self.kernel[..0]; WIDTH];
        let mut panel = panel;
        for piece in pieces(depth, self.filters.len) {
            let tap = piece.start / self.filters.len;
            let [_, middle, inner] = self.taps.map(|taps| taps.2);
            let at = [tap / (middle * inner), tap / inner % middle, tap % inner];
            let tap = (0..SPATIAL).fold(0, |index, axis| {
                let (first, step, _) = self.taps[axis];
                index * self.size[axis] + first + at[axis] * step
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
