//! Where windows fall: the sizes of a convolution or a pooling, in one form for one to three spatial dimensions.

use smallvec::SmallVec;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Spatial dimensions; a convolution of fewer has leading ones of size 1.
pub const SPATIAL: usize = 3;

/// How the borders of the input are padded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Not at all: windows stay inside.
    Valid,
    /// So that the output has `ceil(input / stride)` positions, the odd one at the end.
    Same,
    /// By so many positions before and after, per spatial dimension.
    Explicit(SmallVec<[(usize, usize); SPATIAL]>),
}

/// Windows that slide over the spatial dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Positions of the input.
    pub input: [usize; SPATIAL],
    /// Positions of the output: one per window.
    pub output: [usize; SPATIAL],
    /// Taps of a window.
    pub size: [usize; SPATIAL],
    /// Steps between windows.
    pub strides: [usize; SPATIAL],
    /// Steps between the taps of a window.
    pub dilation: [usize; SPATIAL],
    /// How far the first window reaches over the start of the input (below zero: it starts inside).
    pub low: [isize; SPATIAL],
}

/// Sizes for `SPATIAL` dimensions of the trailing ones that `values` gives.
fn aligned<T: Copy>(values: &[T], fill: T) -> [T; SPATIAL] {
    assert!(
        values.len() <= SPATIAL,
        "more than {SPATIAL} spatial dimensions"
    );
    let mut out = [fill; SPATIAL];
    out[SPATIAL - values.len()..].copy_from_slice(values);
    out
}

impl Window {
    /// Windows of `size` taps over `input` positions; all slices hold one entry per spatial dimension.
    pub fn new(
        input: &[usize],
        size: &[usize],
        strides: &[usize],
        dilation: &[usize],
        padding: &Padding,
    ) -> Self {
        let mut window = Window {
            input: aligned(input, 1),
            output: [1; SPATIAL],
            size: aligned(size, 1),
            strides: aligned(strides, 1),
            dilation: aligned(dilation, 1),
            low: [0; SPATIAL],
        };
        let first = SPATIAL - input.len();
        for axis in first..SPATIAL {
            let (n, stride) = (window.input[axis], window.strides[axis]);
            let reach = window.reach(axis);
            let (low, high) = match padding {
                Padding::Valid => (0, 0),
                Padding::Same => {
                    let needed = n.div_ceil(stride).saturating_sub(1) * stride + reach;
                    let total = needed.saturating_sub(n);
                    (total / 2, total - total / 2)
                }
                Padding::Explicit(pairs) => pairs[axis - first],
            };
            window.low[axis] = low as isize;
            window.output[axis] = match (padding, n + low + high) {
                (Padding::Same, _) => n.div_ceil(stride),
                (_, padded) if padded < reach => 0,
                (_, padded) => (padded - reach) / stride + 1,
            };
        }
        window
    }

    /// Positions from the first tap of a window to its last one.
    pub fn reach(&self, axis: usize) -> usize {
        (self.size[axis].max(1) - 1) * self.dilation[axis] + 1
    }

    /// Where tap 0 of output position `o` falls: below zero in the padding.
    #[inline(always)]
    pub fn origin(&self, axis: usize, o: usize) -> isize {
        (o * self.strides[axis]) as isize - self.low[axis]
    }

    /// Where a tap of output position `o` falls, which must be on the input.
    #[inline(always)]
    pub fn place(&self, axis: usize, o: usize, tap: usize) -> usize {
        (self.origin(axis, o) + (tap * self.dilation[axis]) as isize) as usize
    }

    /// The taps of output position `o` that fall on the input.
    #[inline(always)]
    pub fn taps(&self, axis: usize, o: usize) -> Range<usize> {
        let (origin, dilation) = (self.origin(axis, o), self.dilation[axis]);
        let reached = |position: isize| (position.max(0) as usize).div_ceil(dilation);
        let end = reached(self.input[axis] as isize - origin).min(self.size[axis]);
        reached(-origin).min(end)..end
    }

    /// [`Window::taps`], with the output positions of whole windows at hand ([`Window::inside`]): most need no division.
    #[inline(always)]
    pub fn taps_beside(&self, axis: usize, o: usize, inside: &Range<usize>) -> Range<usize> {
        if inside.contains(&o) {
            0..self.size[axis]
        } else {
            self.taps(axis, o)
        }
    }

    /// The output positions whose windows lie wholly inside the input.
    pub fn inside(&self, axis: usize) -> Range<usize> {
        let stride = self.strides[axis];
        let start = (self.low[axis].max(0) as usize).div_ceil(stride);
        let last = self.input[axis] as isize + self.low[axis] - self.reach(axis) as isize;
        let end = if last < 0 {
            0
        } else {
            last as usize / stride + 1
        };
        let end = end.min(self.output[axis]);
        start.min(end)..end
    }

    /// The output positions whose tap `tap` falls on the input.
    pub fn outputs_of_tap(&self, axis: usize, tap: usize) -> Range<usize> {
        let offset = (tap * self.dilation[axis]) as isize - self.low[axis];
        let reached = |position: isize| (position.max(0) as usize).div_ceil(self.strides[axis]);
        let end = reached(self.input[axis] as isize - offset).min(self.output[axis]);
        reached(-offset).min(end)..end
    }

    /// The pairs (output position, tap) of the windows that touch input position `i`, taps in falling order.
    #[inline(always)]
    pub fn touching(&self, axis: usize, i: usize) -> impl Iterator<Item = (usize, usize)> {
        let (stride, dilation) = (self.strides[axis], self.dilation[axis]);
        let (low, output) = (self.low[axis], self.output[axis]);
        (0..self.size[axis]).rev().filter_map(move |tap| {
            let offset = i as isize + low - (tap * dilation) as isize;
            let o = offset as usize / stride;
            (offset >= 0 && (offset as usize).is_multiple_of(stride) && o < output)
                .then_some((o, tap))
        })
    }

    /// Positions of one image of the input.
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// Positions of one image of the output.
    pub fn output_len(&self) -> usize {
        self.output.iter().product()
    }

    /// Taps of a window.
    pub fn taps_len(&self) -> usize {
        self.size.iter().product()
    }
}

/// The sizes of a convolution of `x (batch, ..input, channels)` with a kernel `(..size, channels / groups, filters)` to
/// `(batch, ..output, filters)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// Groups: each maps its share of the channels to its share of the filters.
    pub groups: usize,
    /// The spatial dimensions.
    pub window: Window,
    /// Whether Winograd's way may be taken, whose sums are less exact.
    pub winograd: bool,
}

static WINOGRAD: AtomicBool = AtomicBool::new(true);

/// Says whether new geometries allow Winograd's way.
pub fn set_winograd(allowed: bool) {
    WINOGRAD.store(allowed, Ordering::Relaxed);
}

impl Geometry {
    /// The geometry of a convolution of `x_shape (batch, ..spatial, channels)` with `kernel_shape (..spatial, channels /
    /// groups, filters)`; the other slices hold one entry per spatial dimension.
    pub fn new(
        x_shape: &[usize],
        kernel_shape: &[usize],
        strides: &[usize],
        padding: &Padding,
        dilation: &[usize],
        groups: usize,
    ) -> Self {
        let rank = strides.len();
        assert!(
            x_shape.len() == rank + 2 && kernel_shape.len() == rank + 2,
            "a convolution with {rank} strides takes operands of {} dimensions",
            rank + 2
        );
        let geometry = Geometry {
            batch: x_shape[0],
            channels: x_shape[rank + 1],
            filters: kernel_shape[rank + 1],
            groups,
            window: Window::new(
                &x_shape[1..=rank],
                &kernel_shape[..rank],
                strides,
                dilation,
                padding,
            ),
            winograd: WINOGRAD.load(Ordering::Relaxed),
        };
        assert!(
            groups > 0
                && kernel_shape[rank] * groups == geometry.channels
                && geometry.filters.is_multiple_of(groups),
            "a kernel of shape {kernel_shape:?} in {groups} groups does not fit {x_shape:?}"
        );
        geometry
    }

    /// Items of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.window.input_len() * self.channels
    }

    /// Items of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.window.taps_len() * self.channels / self.groups * self.filters
    }

    /// Items of the output.
    pub fn out_len(&self) -> usize {
        self.rows() * self.filters
    }

    /// Positions of the output, over all images: the rows of the matrix product.
    pub fn rows(&self) -> usize {
        self.batch * self.window.output_len()
    }

    /// Channels that one filter sees.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Filters of one group.
    pub fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    /// Terms of the sum behind each output: the depth of the matrix product.
    pub fn depth(&self) -> usize {
        self.window.taps_len() * self.group_channels()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, size: usize, stride: usize, dilation: usize, padding: &Padding) -> Window {
        Window::new(&[n], &[size], &[stride], &[dilation], padding)
    }

    #[test]
    fn output_sizes() {
        // (input, size, stride, dilation, padding) -> (output, low)
        let pair = |low, high| Padding::Explicit([(low, high)].into_iter().collect());
        for ((n, size, stride, dilation, padding), expected) in [
            ((5, 3, 1, 1, Padding::Valid), (3, 0)),
            ((5, 3, 2, 1, Padding::Valid), (2, 0)),
            ((2, 3, 1, 1, Padding::Valid), (0, 0)),
            ((7, 3, 1, 2, Padding::Valid), (3, 0)),
            ((5, 3, 1, 1, Padding::Same), (5, 1)),
            ((5, 3, 2, 1, Padding::Same), (3, 1)),
            ((6, 3, 2, 1, Padding::Same), (3, 0)),
            ((6, 2, 1, 1, Padding::Same), (6, 0)),
            ((5, 1, 3, 1, Padding::Same), (2, 0)),
            ((6, 3, 1, 3, Padding::Same), (6, 3)),
            ((0, 3, 2, 1, Padding::Same), (0, 1)),
            ((5, 3, 2, 1, pair(1, 1)), (3, 1)),
            ((5, 3, 1, 1, pair(2, 0)), (5, 2)),
        ] {
            let window = line(n, size, stride, dilation, &padding);
            assert_eq!((window.output[2], window.low[2]), expected, "{window:?}");
            assert_eq!(&window.output[..2], &[1, 1]);
        }
    }

    #[test]
    fn taps_and_touching_agree_with_their_definition() {
        for n in [1, 2, 5, 8] {
            for (size, stride, dilation, low) in [
                (1, 1, 1, 0),
                (3, 1, 1, 1),
                (3, 2, 1, 1),
                (2, 3, 1, 0),
                (3, 2, 3, 4),
                (4, 3, 2, -1),
            ] {
                let mut window = line(n, size, stride, dilation, &Padding::Valid);
                window.low[2] = low;
                window.output[2] = n + 2;
                let position = |o: usize, tap: usize| (o * stride + tap * dilation) as isize - low;
                let on = |p: isize| (0..n as isize).contains(&p);
                let mut pairs = vec![Vec::new(); n];
                for o in 0..n + 2 {
                    let taps: Vec<_> = (0..size).filter(|&tap| on(position(o, tap))).collect();
                    assert_eq!(window.taps(2, o).collect::<Vec<_>>(), taps);
                    let inside = window.inside(2).contains(&o);
                    assert_eq!(inside, taps.len() == size, "{window:?} {o}");
                    for tap in taps {
                        pairs[position(o, tap) as usize].push((o, tap));
                    }
                }
                for tap in 0..size {
                    let outputs = window.outputs_of_tap(2, tap);
                    for o in 0..n + 2 {
                        assert_eq!(outputs.contains(&o), on(position(o, tap)));
                    }
                }
                for (i, mut pairs) in pairs.into_iter().enumerate() {
                    pairs.sort_by_key(|&(_, tap)| std::cmp::Reverse(tap));
                    assert_eq!(window.touching(2, i).collect::<Vec<_>>(), pairs);
                }
            }
        }
    }
}
