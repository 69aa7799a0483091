//! The matrix products that a forward pass and the gradient of the input are: one per group and, where strides part the positions
//! of the input, per phase of them.

use super::Pass;
use super::geometry::{Geometry, SPATIAL};
use super::patches::{Axis, Backward, Patches, Span, Taps};
use crate::gemm::{Operand, Packed, Real, Strided};

/// Where the rows of a product go in the output, `(batch, ..sizes, row)`.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Positions of the output.
    pub sizes: [usize; SPATIAL],
    /// The first position along each axis.
    pub first: [usize; SPATIAL],
    /// Steps between positions.
    pub step: [usize; SPATIAL],
    /// Items of a position.
    pub row: usize,
    /// The columns among them.
    pub columns: Span,
}

impl Target {
    /// The first item of a line.
    #[inline(always)]
    pub fn line(&self, image: usize, at: [usize; SPATIAL]) -> usize {
        let index = (0..SPATIAL).fold(image, |index, axis| {
            index * self.sizes[axis] + self.first[axis] + at[axis] * self.step[axis]
        });
        index * self.row + self.columns.start
    }
}

/// One product: windows of a source with a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Items at a position of the source.
    pub row: usize,
    /// The channels that are read, among those of a position.
    pub channels: Span,
    /// How lines read the source.
    pub axes: [Axis; SPATIAL],
    /// The taps of the kernel, for the gradient of the input.
    taps: [Taps; SPATIAL],
    /// Where the results go.
    pub target: Target,
}

impl Product {
    /// The products of a pass, which is no gradient of a kernel.
    pub fn all(pass: Pass, geometry: &Geometry) -> impl Iterator<Item = Product> + '_ {
        let forward = pass == Pass::Forward;
        let strides = geometry.window.strides;
        let phases = move |axis: usize| {
            let phases = strides[axis].min(geometry.window.input[axis]);
            0..if forward { 1 } else { phases }
        };
        let places = move || {
            phases(0)
                .flat_map(move |a| phases(1).flat_map(move |b| phases(2).map(move |c| [a, b, c])))
        };
        (0..geometry.groups).flat_map(move |group| {
            places().map(move |first| {
                if forward {
                    Product::forward(geometry, group)
                } else {
                    Product::backward(geometry, group, first)
                }
            })
        })
    }

    /// The product of a group in a forward pass.
    fn forward(geometry: &Geometry, group: usize) -> Product {
        Product {
            row: geometry.channels,
            channels: share(group, geometry.group_channels()),
            axes: [0, 1, 2].map(|axis| Axis::forward(geometry, axis)),
            taps: [Taps::default(); SPATIAL],
            target: Target {
                sizes: geometry.window.output,
                first: [0; SPATIAL],
                step: [1; SPATIAL],
                row: geometry.filters,
                columns: share(group, geometry.group_filters()),
            },
        }
    }

    /// The product for every `stride`-th position along each axis from `first` on: their gradients take the same taps.
    fn backward(geometry: &Geometry, group: usize, first: [usize; SPATIAL]) -> Product {
        let parts = [0, 1, 2].map(|axis| along(geometry, axis, first[axis]));
        Product {
            row: geometry.filters,
            channels: share(group, geometry.group_filters()),
            axes: parts.map(|part| part.0),
            taps: parts.map(|part| part.1),
            target: Target {
                sizes: geometry.window.input,
                first,
                step: geometry.window.strides,
                row: geometry.channels,
                columns: share(group, geometry.group_channels()),
            },
        }
    }

    /// The windows of a source.
    pub fn patches<'a, T>(&self, source: &'a [T]) -> Patches<'a, T> {
        Patches {
            source,
            row: self.row,
            channels: self.channels,
            axes: self.axes,
        }
    }

    /// Depth of the product.
    pub fn depth(&self) -> usize {
        self.axes.iter().map(|axis| axis.taps).product::<usize>() * self.channels.len
    }

    /// Positions of an image.
    pub fn positions(&self) -> usize {
        self.axes.iter().map(|axis| axis.lines).product()
    }

    /// Hands the right side of the product to `f`.
    pub fn with_kernel<T: Real, R>(
        &self,
        pass: Pass,
        geometry: &Geometry,
        kernel: &[T],
        f: impl FnOnce(&dyn Operand<T>) -> R,
    ) -> R {
        if pass == Pass::Forward {
            f(&Strided::new(
                &kernel[self.target.columns.start..],
                1,
                geometry.filters,
            ))
        } else {
            f(&Backward {
                kernel,
                channels: geometry.group_channels(),
                row: geometry.filters,
                filters: self.channels,
                size: geometry.window.size,
                taps: self.taps,
            })
        }
    }

    /// Items of the packed right side.
    pub fn packed_len<T: Real>(&self) -> usize {
        Packed::<T>::len(simd::level(), self.target.columns.len, self.depth())
    }
}

/// The part of a group that has `len` channels or filters.
fn share(group: usize, len: usize) -> Span {
    Span {
        start: group * len,
        len,
    }
}

/// How the positions of the input from `first` on, a stride apart, read the gradient of the output along an axis, and the taps that they
/// take.
///
/// Tap `t` of output `o` touches position `first + stride * l` when `stride * o = first + low - dilation * t + stride * l`.
fn along(geometry: &Geometry, axis: usize, first: usize) -> (Axis, Taps) {
    let w = &geometry.window;
    let (stride, dilation) = (w.strides[axis] as isize, w.dilation[axis] as isize);
    let offset = |tap: usize| first as isize + w.low[axis] - tap as isize * dilation;
    let mut matching = (0..w.size[axis]).filter(|&tap| offset(tap) % stride == 0);
    let tap = matching.next().unwrap_or(w.size[axis]);
    let distance = matching
        .next()
        .map_or(w.size[axis], |next| next - tap)
        .max(1);
    let taps = (w.size[axis] - tap).div_ceil(distance);
    // In falling order, in which they read rising positions: neighbours that lie in order are read at once.
    let last = tap + taps.saturating_sub(1) * distance;
    let axis = Axis {
        source: w.output[axis],
        lines: (w.input[axis] - first).div_ceil(w.strides[axis]),
        taps,
        step: 1,
        start: offset(last).div_euclid(stride),
        pitch: distance as isize * dilation / stride,
    };
    let taps = Taps {
        last,
        distance,
        count: taps,
    };
    (axis, taps)
}
