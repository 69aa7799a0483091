//! Convolution with few channels per group, directly: lanes are neighbouring filters, and a few output columns share each weight.
//!
//! Where a group has one channel and one filter, both are read as they lie. Else the input is *expanded*: for each channel of a group, a line
//! holds its item for each filter, so that a line of outputs is a sum of such lines. The gradient of the input has channels
//! for lanes, and a line for each filter of a group.

mod kernel_gradient;
mod line;

use simd::{Lanes, dispatch};

use super::geometry::Geometry;
use crate::gemm::Real;
use crate::threads::{Disjoint, grain, num_threads, parallel_chunks_mut, parallel_for};
use kernel_gradient::{KernelGradient, line_blocks};
use line::Sums;

/// Items that are expanded at a time, about: whole images that stay in the third-level cache.
const EXPANDED: usize = 1 << 20;

/// A tensor that is read in lanes of another's channels.
#[derive(Clone, Copy)]
struct Expansion {
    /// Lines per line of the tensor: its channels of a group.
    parts: usize,
    /// Lanes: all channels of the other tensor.
    width: usize,
    /// Lanes of a group.
    group: usize,
    /// Positions of an image of the tensor, and those of a line.
    positions: [usize; 2],
}

impl Expansion {
    /// Of the input in lanes of filters.
    fn of_input(geometry: &Geometry) -> Expansion {
        Expansion {
            parts: geometry.group_channels(),
            width: geometry.filters,
            group: geometry.group_filters(),
            positions: [geometry.window.input_len(), geometry.window.input[2]],
        }
    }

    /// Of the gradient of the outputs in lanes of channels.
    fn of_gradient(geometry: &Geometry) -> Expansion {
        Expansion {
            parts: geometry.group_filters(),
            width: geometry.channels,
            group: geometry.group_channels(),
            positions: [geometry.window.output_len(), geometry.window.output[2]],
        }
    }

    /// Whether the tensor is read as it lies.
    fn is_plain(&self) -> bool {
        self.parts == 1 && self.group == 1
    }

    /// Items of an expanded image.
    fn image_len(&self) -> usize {
        self.positions[0] * self.parts * self.width
    }

    /// Images that are expanded at a time.
    fn images(&self, batch: usize) -> usize {
        if self.is_plain() {
            batch.max(1)
        } else {
            (EXPANDED / self.image_len().max(1)).clamp(1, batch.max(1))
        }
    }

    /// Items of scratch.
    fn len(&self, batch: usize) -> usize {
        if self.is_plain() {
            0
        } else {
            self.images(batch) * self.image_len()
        }
    }

    /// The expanded images; borrowed as they are where they are plain.
    fn expand<'a, T: Real>(&self, images: &'a [T], scratch: &'a mut [T]) -> &'a [T] {
        if self.is_plain() {
            return images;
        }
        let Expansion {
            parts,
            width,
            group,
            positions: [_, line],
        } = *self;
        let channels = width / group * parts;
        let scratch = &mut scratch[..images.len() / channels * parts * width];
        let len = (line * width).max(1);
        parallel_chunks_mut(scratch, len, grain(len), |index, out| {
            let (row, part) = (index / parts, index % parts);
            let images = &images[row * line * channels..][..line * channels];
            let positions = images.chunks_exact(channels);
            for (out, position) in out.chunks_exact_mut(width).zip(positions) {
                let items = position[part..].iter().step_by(parts);
                for (out, &item) in out.chunks_exact_mut(group).zip(items) {
                    out.fill(item);
                }
            }
        });
        scratch
    }
}

/// Items of scratch that the functions of this module take.
pub fn scratch_len(geometry: &Geometry) -> usize {
    let batch = geometry.batch;
    let gradient = Expansion::of_gradient(geometry);
    let kernel = if gradient.is_plain() {
        0
    } else {
        geometry.kernel_len()
    };
    let input = Expansion::of_input(geometry).len(batch);
    (input + sums_len(geometry)).max(gradient.len(batch) + kernel)
}

/// How many parts of the lines have sums of their own in the gradient of the kernel, from the sizes alone: with few filters the
/// threads share lines, as each would read most of the memory if they shared filters. On two AVX-512 cores 112 x 112 x 32 of one
/// image gives 36 GFLOP/s otherwise.
fn slices(geometry: &Geometry) -> usize {
    /// From so many filters on there are enough for the threads.
    const MANY: usize = 128;
    /// More parts than most machines have cores, few enough to be added at no cost.
    const SLICES: usize = 16;
    if geometry.filters >= MANY {
        return 1;
    }
    line_blocks(geometry, geometry.batch).clamp(1, SLICES)
}

/// Items of the sums of [`slices`]; one slice has its sums in the gradient itself.
fn sums_len(geometry: &Geometry) -> usize {
    match slices(geometry) {
        1 => 0,
        slices => slices * geometry.kernel_len(),
    }
}

/// `out (batch, ..output, filters) = activation(conv(x, kernel) + bias)`, where `finish` applies the activation to a line.
pub fn forward<T: Real>(
    geometry: &Geometry,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
    finish: impl Fn(&mut [T]) + Sync,
    out: &mut [T],
    scratch: &mut [T],
) {
    assert_eq!(
        (x.len(), kernel.len()),
        (geometry.x_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.out_len());
    assert!(bias.is_none_or(|bias| bias.len() == geometry.filters));
    let window = &geometry.window;
    let [outer, middle, inner] = window.output;
    let len = inner * geometry.filters;
    if out.is_empty() {
        return;
    }
    let expansion = Expansion::of_input(geometry);
    let (images, parts) = (expansion.images(geometry.batch), expansion.parts);
    let x_len = window.input_len() * geometry.channels;
    let out_len = window.output_len() * geometry.filters;
    for (index, out) in out.chunks_mut(images * out_len).enumerate() {
        let x = &x[index * images * x_len..][..out.len() / out_len * x_len];
        let source = expansion.expand(x, scratch);
        parallel_chunks_mut(out, len, grain(len * geometry.depth()), |index, out| {
            let at = [index / middle % outer, index % middle];
            let image = index / (middle * outer);
            let lines = window.taps(0, at[0]).flat_map(|a| {
                window.taps(1, at[1]).flat_map(move |b| {
                    let row = image * window.input[0] + window.place(0, at[0], a);
                    let row = row * window.input[1] + window.place(1, at[1], b);
                    let tap = (a * window.size[1] + b) * window.size[2];
                    (0..parts).map(move |part| (row * parts + part, tap * parts + part))
                })
            });
            let position = |tap: usize| (tap * window.dilation[2]) as isize - window.low[2];
            let taps = (0..window.size[2]).map(|tap| (tap * parts, position(tap)));
            let sums = Sums {
                source,
                positions: window.input[2],
                kernel,
                channels: geometry.filters,
                step: window.strides[2],
                columns: inner,
                out_first: 0,
                out_step: 1,
                new_lines: window.strides[1] * parts,
                bias,
            };
            sums.run(lines, taps, out);
            finish(out);
        });
    }
}

/// The gradient of the input: `out (batch, ..input, channels)` from `g (batch, ..output, filters)`.
pub fn input_gradient<T: Real>(
    geometry: &Geometry,
    g: &[T],
    kernel: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    assert_eq!(
        (g.len(), kernel.len()),
        (geometry.out_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.x_len());
    let window = &geometry.window;
    let [outer, middle, inner] = window.input;
    let len = inner * geometry.channels;
    if out.is_empty() || g.is_empty() {
        return out.fill(T::default());
    }
    let expansion = Expansion::of_gradient(geometry);
    let (images, parts) = (expansion.images(geometry.batch), expansion.parts);
    let (kernel, scratch) = exchange(geometry, kernel, scratch);
    let g_len = images * window.output_len() * geometry.filters;
    let out_len = images * window.input_len() * geometry.channels;
    for (g, out) in g.chunks(g_len).zip(out.chunks_mut(out_len)) {
        let source = expansion.expand(g, scratch);
        let cost = len * window.taps_len() * parts;
        parallel_chunks_mut(out, len, grain(cost), |index, out| {
            let at = [index / middle % outer, index % middle];
            let image = index / (middle * outer);
            for phase in 0..window.strides[2].min(inner) {
                let lines = window.touching(0, at[0]).flat_map(|(p, a)| {
                    window.touching(1, at[1]).flat_map(move |(q, b)| {
                        let row = (image * window.output[0] + p) * window.output[1] + q;
                        let tap = (a * window.size[1] + b) * window.size[2];
                        (0..parts).map(move |part| (row * parts + part, tap * parts + part))
                    })
                });
                // Tap `t` of position `phase + stride * column` falls on position `column + first` of the gradient.
                let stride = window.strides[2] as isize;
                let offset = |tap: usize| {
                    phase as isize + window.low[2] - (tap * window.dilation[2]) as isize
                };
                let taps = (0..window.size[2])
                    .rev()
                    .filter(|&tap| offset(tap) % stride == 0)
                    .map(|tap| (tap * parts, offset(tap) / stride));
                let sums = Sums {
                    source,
                    positions: window.output[2],
                    kernel,
                    channels: geometry.channels,
                    step: 1,
                    columns: (inner - phase).div_ceil(window.strides[2]),
                    out_first: phase,
                    out_step: window.strides[2],
                    new_lines: parts,
                    bias: None,
                };
                sums.run(lines, taps, out);
            }
        });
    }
}

/// The kernel `(taps, channels of a group, filters)` as `(taps, filters of a group, channels)`, and the rest of the scratch.
fn exchange<'a, T: Real>(
    geometry: &Geometry,
    kernel: &'a [T],
    scratch: &'a mut [T],
) -> (&'a [T], &'a mut [T]) {
    if Expansion::of_gradient(geometry).is_plain() {
        return (kernel, scratch);
    }
    let (channels, filters) = (geometry.group_channels(), geometry.group_filters());
    let (exchanged, scratch) = scratch.split_at_mut(kernel.len());
    let taps = kernel.chunks_exact(channels * geometry.filters);
    for (out, tap) in exchanged
        .chunks_exact_mut(filters * geometry.channels)
        .zip(taps)
    {
        for (index, out) in out.iter_mut().enumerate() {
            let (filter, channel) = (index / geometry.channels, index % geometry.channels);
            let (group, channel) = (channel / channels, channel % channels);
            *out = tap[channel * geometry.filters + group * filters + filter];
        }
    }
    (exchanged, scratch)
}

/// The gradient of the kernel: `out (..size, channels / groups, filters)` from `x` and `g (batch, ..output, filters)`.
pub fn kernel_gradient<T: Real>(
    geometry: &Geometry,
    x: &[T],
    g: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    /// Filters that are worth a task.
    const WIDTH: usize = 16;
    assert_eq!((x.len(), g.len()), (geometry.x_len(), geometry.out_len()));
    assert_eq!(out.len(), geometry.kernel_len());
    out.fill(T::default());
    if x.is_empty() || g.is_empty() {
        return;
    }
    let expansion = Expansion::of_input(geometry);
    let images = expansion.images(geometry.batch);
    let slices = slices(geometry);
    let width = match slices {
        1 => geometry.filters.div_ceil(num_threads()),
        _ => geometry.filters,
    };
    let width = width.next_multiple_of(WIDTH);
    let blocks = geometry.filters.div_ceil(width);
    let cost = geometry.rows() * geometry.depth() * width / slices;
    let (sums, scratch) = scratch.split_at_mut(sums_len(geometry));
    sums.fill(T::default());
    let written = Disjoint::new(match slices {
        1 => &mut *out,
        _ => &mut *sums,
    });
    let x_len = images * geometry.window.input_len() * geometry.channels;
    let g_len = images * geometry.window.output_len() * geometry.filters;
    for (x, g) in x.chunks(x_len).zip(g.chunks(g_len)) {
        let x = expansion.expand(x, scratch);
        let images = g.len() / (geometry.window.output_len() * geometry.filters);
        let lines = line_blocks(geometry, images);
        parallel_for(slices * blocks, grain(cost), |range| {
            for task in range {
                let (slice, start) = (task / blocks, task % blocks * width);
                dispatch(KernelGradient {
                    geometry,
                    parts: expansion.parts,
                    lines: lines * slice / slices..lines * (slice + 1) / slices,
                    x,
                    g,
                    filters: start..(start + width).min(geometry.filters),
                    out: &written,
                    first: slice * geometry.kernel_len(),
                });
            }
        });
    }
    for sums in sums.chunks_exact(out.len()) {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = *out + sum;
        }
    }
}

/// `LEN` items at `ptr`, or the first `n`.
///
/// # Safety
/// So many items may be read.
#[inline(always)]
unsafe fn read<V: Lanes>(isa: V::Isa, ptr: *const V::Item, n: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if n >= V::LEN {
            V::load_ptr(isa, ptr)
        } else {
            V::load_ptr_partial(isa, ptr, n)
        }
    }
}

/// Stores `LEN` items at `ptr`, or the first `n`.
///
/// # Safety
/// So many items may be written.
#[inline(always)]
unsafe fn write<V: Lanes>(x: V, ptr: *mut V::Item, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if n >= V::LEN {
            x.store_ptr(ptr)
        } else {
            x.store_ptr_partial(ptr, n)
        }
    }
}
