//! Convolution as a matrix product of virtual patches with the kernel.

use std::ops::Range;

use simd::level;

use super::Pass;
use super::geometry::{Geometry, SPATIAL};
use super::patches::{Axis, Backward, Patches, Span, Taps, Transposed};
use crate::activation::Activation;
use crate::gemm::{self, Gemm, Packed, Real, Side, Start, Strided};
use crate::threads::{grain, parallel_chunks_mut};

/// The kernel of a product.
#[derive(Clone, Copy)]
pub enum Kernel<'a, T> {
    /// As it lies.
    Plain(&'a [T]),
    /// What [`pack`] made of it.
    Packed(Packed<'a, T>),
}

/// Rows, columns and depth of the product of a pass that is one.
pub fn product_size(pass: Pass, geometry: &Geometry) -> [usize; 3] {
    match pass {
        Pass::Forward => [geometry.rows(), geometry.filters, geometry.depth()],
        _ => {
            let depth = geometry.window.taps_len() * geometry.filters;
            let rows = geometry.batch * geometry.window.input_len();
            [rows, geometry.channels, depth]
        }
    }
}

/// Packs the kernel for a pass that is one product: without groups, the gradient of the input without strides.
pub fn pack<T: Real>(pass: Pass, geometry: &Geometry, kernel: &[T], out: &mut [T]) {
    let [_, n, k] = product_size(pass, geometry);
    if pass == Pass::Forward {
        let b = Strided::new(kernel, 1, geometry.filters);
        Packed::pack(level(), &b, n, k, out);
    } else {
        let phase = Phase::all(geometry).next().expect("a phase");
        let b = backward(geometry, &phase, 0, kernel);
        Packed::pack(level(), &b, n, k, out);
    }
}

/// The kernel of a group as the right side of a phase of the input's gradient.
fn backward<'a, T>(
    geometry: &Geometry,
    phase: &Phase,
    group: usize,
    kernel: &'a [T],
) -> Backward<'a, T> {
    let filters = geometry.group_filters();
    Backward {
        kernel,
        channels: geometry.group_channels(),
        row: geometry.filters,
        filters: Span {
            start: group * filters,
            len: filters,
        },
        size: geometry.window.size,
        taps: phase.taps,
    }
}

/// Items of scratch that [`forward`] takes.
pub fn forward_scratch_len<T: Real>(geometry: &Geometry) -> usize {
    gemm::scratch_len::<T>(
        1,
        geometry.rows(),
        geometry.group_filters(),
        geometry.depth(),
    )
}

/// `out (batch, ..output, filters) = activation(conv(x, kernel) + bias)`.
pub fn forward<T: Real>(
    geometry: &Geometry,
    x: &[T],
    kernel: Kernel<T>,
    bias: Option<&[T]>,
    activation: Option<Activation>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let n = geometry.group_filters();
    for group in 0..geometry.groups {
        let patches = Patches::forward(geometry, group, x);
        let first = group * n;
        let b: Side<T> = match kernel {
            Kernel::Plain(kernel) => Strided::new(&kernel[first..], 1, geometry.filters).into(),
            Kernel::Packed(kernel) => kernel.into(),
        };
        let start = match bias {
            Some(bias) => Start::Bias(&bias[first..first + n]),
            None => Start::Zero,
        };
        Gemm::new(geometry.rows(), n, geometry.depth(), patches.side(), b)
            .start(start)
            .activation(activation)
            .run(&mut out[first..], geometry.filters, scratch);
    }
}

/// Positions of the input whose gradients take the same taps: every `stride`-th along each axis.
struct Phase {
    /// The first position along each axis.
    first: [usize; SPATIAL],
    /// How lines, one per position, read the gradient.
    axes: [Axis; SPATIAL],
    /// The taps per axis.
    taps: [Taps; SPATIAL],
}

impl Phase {
    /// The phases of a geometry, which part the positions of its input.
    fn all(geometry: &Geometry) -> impl Iterator<Item = Phase> + '_ {
        let strides = geometry.window.strides;
        let phases = move |axis: usize| 0..strides[axis].min(geometry.window.input[axis]);
        let places = phases(0)
            .flat_map(move |a| phases(1).flat_map(move |b| phases(2).map(move |c| [a, b, c])));
        places.map(move |first| {
            let parts = [0, 1, 2].map(|axis| Phase::along(geometry, axis, first[axis]));
            Phase {
                first,
                axes: parts.map(|part| part.0),
                taps: parts.map(|part| part.1),
            }
        })
    }

    /// The lines and taps along one axis of the phase that starts at position `first`.
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
        // In falling order, in which they read rising positions: neighbours that lie in order are packed at once.
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

    /// Positions of one image.
    fn lines(&self) -> usize {
        self.axes.iter().map(|axis| axis.lines).product()
    }

    /// Taps.
    fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.taps).product()
    }
}

/// Items that the positions of the longest phase hold, where phases are computed aside.
fn phase_len(geometry: &Geometry) -> usize {
    if geometry.window.strides == [1; SPATIAL] {
        return 0;
    }
    let lines = Phase::all(geometry).map(|phase| phase.lines()).max();
    geometry.batch * lines.unwrap_or(0) * geometry.group_channels()
}

/// Items of scratch that [`input_gradient`] takes.
pub fn input_gradient_scratch_len<T: Real>(geometry: &Geometry) -> usize {
    let n = geometry.group_channels();
    let products = Phase::all(geometry).map(|phase| {
        let depth = phase.taps() * geometry.group_filters();
        gemm::scratch_len::<T>(1, geometry.batch * phase.lines(), n, depth)
    });
    phase_len(geometry) + products.max().unwrap_or(0)
}

/// The gradient of the input: `out (batch, ..input, channels)` from `g (batch, ..output, filters)`.
///
/// It is a convolution of the gradient with the flipped kernel, one for each phase of the strides: no tap is multiplied by
/// the zeros that strides would put between the items of `g`.
pub fn input_gradient<T: Real>(
    geometry: &Geometry,
    g: &[T],
    kernel: Kernel<T>,
    out: &mut [T],
    scratch: &mut [T],
) {
    let (channels, filters) = (geometry.group_channels(), geometry.group_filters());
    let whole = geometry.window.strides == [1; SPATIAL];
    let (aside, scratch) = scratch.split_at_mut(phase_len(geometry));
    for group in 0..geometry.groups {
        for phase in Phase::all(geometry) {
            let span = Span {
                start: group * filters,
                len: filters,
            };
            let patches = Patches {
                source: g,
                row: geometry.filters,
                channels: span,
                axes: phase.axes,
            };
            let aside_kernel;
            let b: Side<T> = match kernel {
                Kernel::Plain(kernel) => {
                    aside_kernel = backward(geometry, &phase, group, kernel);
                    (&aside_kernel).into()
                }
                Kernel::Packed(kernel) => kernel.into(),
            };
            let lines = geometry.batch * phase.lines();
            let product = Gemm::new(lines, channels, patches.depth(), patches.side(), b);
            if whole {
                product.run(&mut out[group * channels..], geometry.channels, scratch);
            } else {
                let aside = &mut aside[..lines * channels];
                product.run(aside, channels, scratch);
                spread(
                    geometry,
                    &phase,
                    group * channels..(group + 1) * channels,
                    aside,
                    out,
                );
            }
        }
    }
}

/// Copies the positions of a phase to where they belong in `out`.
fn spread<T: Real>(
    geometry: &Geometry,
    phase: &Phase,
    channels: Range<usize>,
    items: &[T],
    out: &mut [T],
) {
    let [outer, middle, inner] = geometry.window.input;
    let [steps_out, steps_mid, steps] = geometry.window.strides;
    let lines = phase.axes.map(|axis| axis.lines);
    let row = inner * geometry.channels;
    parallel_chunks_mut(out, row, grain(row), |index, out| {
        let (image, i, j) = (
            index / middle / outer,
            index / middle % outer,
            index % middle,
        );
        if i % steps_out != phase.first[0] || j % steps_mid != phase.first[1] {
            return;
        }
        let line = (image * lines[0] + i / steps_out) * lines[1] + j / steps_mid;
        let items = items[line * lines[2] * channels.len()..].chunks_exact(channels.len());
        let positions = out
            .chunks_exact_mut(geometry.channels)
            .skip(phase.first[2])
            .step_by(steps);
        for (position, items) in positions.zip(items) {
            position[channels.clone()].copy_from_slice(items);
        }
    });
}

/// Items of scratch that [`kernel_gradient`] takes.
pub fn kernel_gradient_scratch_len<T: Real>(geometry: &Geometry) -> usize {
    gemm::scratch_len::<T>(
        1,
        geometry.depth(),
        geometry.group_filters(),
        geometry.rows(),
    )
}

/// The gradient of the kernel: `out (..size, channels / groups, filters)` from `x` and `g (batch, ..output, filters)`.
pub fn kernel_gradient<T: Real>(
    geometry: &Geometry,
    x: &[T],
    g: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    let n = geometry.group_filters();
    for group in 0..geometry.groups {
        let patches = Transposed(Patches::forward(geometry, group, x));
        let b = Strided::new(&g[group * n..], 1, geometry.filters);
        Gemm::new(geometry.depth(), n, geometry.rows(), &patches, b).run(
            &mut out[group * n..],
            geometry.filters,
            scratch,
        );
    }
}
