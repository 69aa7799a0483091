//! Depthwise convolution (one input channel per group), directly: lanes are neighbouring channels, and a few output columns
//! share each weight. A channel multiplier above one is brought back to one by repeating the input's channels.

mod kernel_gradient;
mod line;

use simd::{Lanes, dispatch};

use super::geometry::Geometry;
use crate::gemm::Real;
use crate::threads::{Disjoint, grain, parallel_chunks_mut, parallel_for};
use kernel_gradient::KernelGradient;
use line::Sums;

/// Items of scratch that the functions of this module take.
pub fn scratch_len(geometry: &Geometry) -> usize {
    if geometry.group_filters() > 1 {
        geometry.batch * geometry.window.input_len() * geometry.filters
    } else {
        0
    }
}

/// The geometry with one filter per channel.
fn expanded(geometry: &Geometry) -> Geometry {
    Geometry {
        channels: geometry.filters,
        groups: geometry.filters,
        ..*geometry
    }
}

/// `x` with each channel repeated for each of its filters; borrowed as it is where there is one.
fn expand<'a, T: Real>(geometry: &Geometry, x: &'a [T], scratch: &'a mut [T]) -> &'a [T] {
    let repeats = geometry.group_filters();
    if repeats == 1 {
        return x;
    }
    let scratch = &mut scratch[..x.len() * repeats];
    parallel_chunks_mut(scratch, repeats, grain(repeats), |index, out| {
        out.fill(x[index])
    });
    scratch
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
    let x = expand(geometry, x, scratch);
    let geometry = &expanded(geometry);
    assert_eq!(
        (x.len(), kernel.len()),
        (geometry.x_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.out_len());
    assert!(bias.is_none_or(|bias| bias.len() == geometry.channels));
    let window = &geometry.window;
    let [outer, middle, inner] = window.output;
    let len = inner * geometry.channels;
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(out, len, grain(len * window.taps_len()), |index, out| {
        let at = [index / middle % outer, index % middle];
        let image = index / (middle * outer);
        let lines = window.taps(0, at[0]).flat_map(|a| {
            window.taps(1, at[1]).map(move |b| {
                let row = (image * window.input[0] + window.place(0, at[0], a)) * window.input[1];
                let row = row + window.place(1, at[1], b);
                (row, (a * window.size[1] + b) * window.size[2])
            })
        });
        let position = |tap: usize| (tap * window.dilation[2]) as isize - window.low[2];
        Sums {
            source: x,
            positions: window.input[2],
            kernel,
            channels: geometry.channels,
            step: window.strides[2],
            columns: inner,
            out_first: 0,
            out_step: 1,
            bias,
        }
        .run(
            lines,
            (0..window.size[2]).map(|tap| (tap, position(tap))),
            out,
        );
        finish(out);
    });
}

/// The gradient of the input: `out (batch, ..input, channels)` from `g (batch, ..output, filters)`.
pub fn input_gradient<T: Real>(
    geometry: &Geometry,
    g: &[T],
    kernel: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    let repeats = geometry.group_filters();
    let wide = expanded(geometry);
    if repeats == 1 {
        return wide_input_gradient(&wide, g, kernel, out);
    }
    let scratch = &mut scratch[..wide.x_len()];
    wide_input_gradient(&wide, g, kernel, scratch);
    parallel_chunks_mut(out, 1, grain(repeats), |index, out| {
        let terms = &scratch[index * repeats..(index + 1) * repeats];
        out[0] = terms.iter().fold(T::default(), |sum, &term| sum + term);
    });
}

fn wide_input_gradient<T: Real>(geometry: &Geometry, g: &[T], kernel: &[T], out: &mut [T]) {
    assert_eq!(
        (g.len(), kernel.len()),
        (geometry.out_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.x_len());
    let window = &geometry.window;
    let [outer, middle, inner] = window.input;
    let len = inner * geometry.channels;
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(out, len, grain(len * window.taps_len()), |index, out| {
        let at = [index / middle % outer, index % middle];
        let image = index / (middle * outer);
        for phase in 0..window.strides[2].min(inner) {
            let lines = || {
                window.touching(0, at[0]).flat_map(move |(p, a)| {
                    window.touching(1, at[1]).map(move |(q, b)| {
                        let row = (image * window.output[0] + p) * window.output[1] + q;
                        (row, (a * window.size[1] + b) * window.size[2])
                    })
                })
            };
            // Tap `t` of position `phase + stride * column` falls on position `column + first` of the gradient.
            let stride = window.strides[2] as isize;
            let offset =
                |tap: usize| phase as isize + window.low[2] - (tap * window.dilation[2]) as isize;
            let taps = (0..window.size[2])
                .rev()
                .filter(move |&tap| offset(tap) % stride == 0)
                .map(move |tap| (tap, offset(tap) / stride));
            Sums {
                source: g,
                positions: window.output[2],
                kernel,
                channels: geometry.channels,
                step: 1,
                columns: (inner - phase).div_ceil(window.strides[2]),
                out_first: phase,
                out_step: window.strides[2],
                bias: None,
            }
            .run(lines(), taps, out);
        }
    });
}

/// The gradient of the kernel: `out (..size, 1, filters)` from `x` and `g (batch, ..output, filters)`.
pub fn kernel_gradient<T: Real>(
    geometry: &Geometry,
    x: &[T],
    g: &[T],
    out: &mut [T],
    scratch: &mut [T],
) {
    /// Channels that a task takes.
    const WIDTH: usize = 32;
    let x = expand(geometry, x, scratch);
    let geometry = &expanded(geometry);
    assert_eq!((x.len(), g.len()), (geometry.x_len(), geometry.out_len()));
    assert_eq!(out.len(), geometry.kernel_len());
    let blocks = geometry.channels.div_ceil(WIDTH);
    let cost = geometry.rows() * geometry.window.taps_len() * WIDTH;
    let out = Disjoint::new(out);
    parallel_for(blocks, grain(cost), |range| {
        for block in range {
            let start = block * WIDTH;
            dispatch(KernelGradient {
                geometry,
                x,
                g,
                channels: start..(start + WIDTH).min(geometry.channels),
                out: &out,
            });
        }
    });
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
