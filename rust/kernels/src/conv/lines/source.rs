//! How windows lie in memory: in the source, or in a copy with zeros for the padding.

use std::ops::Range;

use crate::conv::geometry::SPATIAL;
use crate::conv::patches::{Axis, Span};
use crate::conv::products::Product;
use crate::gemm::Real;

/// Runs of a window, at most.
pub const SEGMENTS: usize = 64;

/// Items behind a copy, which may be read with it.
const SLACK: usize = 16;

/// How lines read a source.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    axes: [Axis; SPATIAL],
    row: usize,
    channels: Span,
    /// Items of a window that neighbour each other.
    pub run: usize,
    /// Runs along each axis.
    runs: [usize; SPATIAL],
    /// Whether windows are copied, as they reach into padding.
    pub copied: bool,
    /// Positions along the last axis that windows reach.
    reach: usize,
}

/// Some lines, as they lie in memory.
pub struct View<T> {
    /// Where tap 0 of the first position of the first line stands.
    pub start: *const T,
    /// Items from a position of a line to the next.
    pub between_positions: usize,
    /// Items from a line to the next.
    pub between_lines: usize,
    /// Items from a plane of lines to the next.
    pub between_planes: usize,
    /// Items from a tap to the next along each axis.
    taps: [usize; SPATIAL],
}

impl Source {
    /// Of a product.
    pub fn new(product: &Product) -> Source {
        Source::of(product.axes, product.row, product.channels, false)
    }

    /// Of axes over positions of `row` items, of which `channels` are read; `copied` says that it must not be read in place.
    pub fn of(axes: [Axis; SPATIAL], row: usize, channels: Span, copied: bool) -> Source {
        let last = |axis: &Axis| {
            let lines = axis.lines.saturating_sub(1) * axis.step;
            (lines + axis.taps.saturating_sub(1) * axis.pitch as usize) as isize
        };
        let copied = copied
            || axes
                .iter()
                .any(|axis| axis.start < 0 || axis.start + last(axis) >= axis.source as isize);
        let whole = axes[2].pitch == 1 && (copied || channels.len == row);
        let taps = axes.map(|axis| axis.taps);
        Source {
            axes,
            row,
            channels,
            run: channels.len * if whole { taps[2] } else { 1 },
            runs: [
                taps[0],
                taps[1],
                if whole { 1.min(taps[2]) } else { taps[2] },
            ],
            copied,
            reach: last(&axes[2]) as usize + 1,
        }
    }

    /// Source lines that some lines reach.
    fn reached(&self, lines: usize) -> usize {
        let axis = &self.axes[1];
        lines.saturating_sub(1) * axis.step + axis.taps.saturating_sub(1) * axis.pitch as usize + 1
    }

    /// Items of a copied line.
    fn line_len(&self) -> usize {
        self.reach * self.channels.len
    }

    /// Items that some lines of a plane reach.
    pub fn lines_len(&self, lines: usize) -> usize {
        (self.axes[0].taps * self.reached(lines) * self.line_len()).max(1)
    }

    /// The most lines whose source has at most so many items, at least one.
    pub fn lines_within(&self, items: usize) -> usize {
        let lines = items / (self.axes[0].taps * self.line_len()).max(1);
        lines.saturating_sub(self.reached(1)) / self.axes[1].step + 1
    }

    /// Items of the copy of some lines of some planes; none where windows are read in place.
    pub fn copy_len(&self, planes: usize, lines: usize) -> usize {
        if !self.copied {
            return 0;
        }
        self.planes(planes) * self.reached(lines) * self.line_len() + SLACK
    }

    /// Source planes that some planes reach; those of one are its taps alone.
    fn planes(&self, planes: usize) -> usize {
        let axis = &self.axes[0];
        match planes {
            0 => 0,
            1 => axis.taps,
            _ => (planes - 1) * axis.step + axis.taps.saturating_sub(1) * axis.pitch as usize + 1,
        }
    }

    /// Windows of an image from a plane and a line on, as they lie in the source.
    #[inline(always)]
    pub fn view_in_place<T>(&self, x: &[T], image: usize, plane: usize, line: usize) -> View<T> {
        let [a, b, c] = &self.axes;
        let [outer, middle, inner] = self.pitches();
        let place = |index: usize, axis: &Axis| index * axis.step + axis.start as usize;
        let line_len = c.source * self.row;
        let start = (image * a.source + place(plane, a)) * b.source + place(line, b);
        let start = start * line_len + place(0, c) * self.row + self.channels.start;
        View {
            start: x[start..].as_ptr(),
            between_positions: c.step * self.row,
            between_lines: b.step * line_len,
            between_planes: a.step * b.source * line_len,
            taps: [
                outer * b.source * line_len,
                middle * line_len,
                inner * self.row,
            ],
        }
    }

    /// Windows of so many planes and lines, as they lie in the copy.
    #[inline(always)]
    pub fn view_of_copy<T>(&self, planes: usize, lines: usize, copy: &[T]) -> View<T> {
        let [a, b, c] = &self.axes;
        let (row, line) = (self.channels.len, self.line_len());
        let plane = self.reached(lines) * line;
        let [outer, middle, inner] = self.pitches();
        let outer = if planes == 1 { 1 } else { outer };
        View {
            start: copy.as_ptr(),
            between_positions: c.step * row,
            between_lines: b.step * line,
            between_planes: a.step * plane,
            taps: [outer * plane, middle * line, inner * row],
        }
    }

    /// Copies what some lines of some planes of an image reach, with zeros for the padding.
    #[inline(always)]
    pub fn copy<T: Real>(
        &self,
        x: &[T],
        image: usize,
        planes: Range<usize>,
        lines: Range<usize>,
        copy: &mut [T],
    ) {
        let [a, b, c] = &self.axes;
        let (row, line) = (self.channels.len, self.line_len());
        let reached = self.reached(lines.len());
        let plane_step = if planes.len() == 1 { a.pitch } else { 1 };
        // The positions along the last axis that lie on the source.
        let low = (-c.start).clamp(0, self.reach as isize) as usize;
        let high = (c.source as isize - c.start).clamp(low as isize, self.reach as isize) as usize;
        for plane in 0..self.planes(planes.len()) {
            let i = (planes.start * a.step + plane * plane_step as usize) as isize + a.start;
            for j in 0..reached {
                let to = &mut copy[(plane * reached + j) * line..][..line];
                let j = (lines.start * b.step + j) as isize + b.start;
                let on = (0..a.source as isize).contains(&i) && (0..b.source as isize).contains(&j);
                if !on || low == high {
                    to.fill(T::default());
                    continue;
                }
                let from = (image * a.source + i as usize) * b.source + j as usize;
                let from = from * c.source + (c.start + low as isize) as usize;
                to[..low * row].fill(T::default());
                to[high * row..].fill(T::default());
                let to = &mut to[low * row..high * row];
                if row == self.row {
                    to.copy_from_slice(&x[from * row..][..to.len()]);
                } else {
                    let positions = x[from * self.row..].chunks(self.row);
                    for (to, from) in to.chunks_exact_mut(row).zip(positions) {
                        to.copy_from_slice(&from[self.channels.start..][..row]);
                    }
                }
            }
        }
    }

    /// Positions between the taps of each axis.
    fn pitches(&self) -> [usize; SPATIAL] {
        self.axes.map(|axis| axis.pitch as usize)
    }

    /// Where the runs of a window stand, counted from its start.
    pub fn segments<'a, T>(&self, view: &View<T>, out: &'a mut [usize; SEGMENTS]) -> &'a [usize] {
        let [outer, middle, inner] = self.runs;
        let out = &mut out[..outer * middle * inner];
        for (index, segment) in out.iter_mut().enumerate() {
            let at = [
                index / inner / middle,
                index / inner % middle,
                index % inner,
            ];
            *segment = (0..SPATIAL).map(|axis| at[axis] * view.taps[axis]).sum();
        }
        out
    }
}
