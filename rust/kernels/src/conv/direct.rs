//! Convolution of any geometry and of any numbers, by its definition: for what no tuned way takes.

use super::geometry::Geometry;
use crate::gemm::Ring;
use crate::threads::{grain, parallel_chunks_mut};

/// Splits the index of a position into its image and its place along each axis.
#[inline(always)]
fn split(index: usize, sizes: [usize; 3]) -> (usize, [usize; 3]) {
    let (rest, k) = (index / sizes[2], index % sizes[2]);
    let (rest, j) = (rest / sizes[1], rest % sizes[1]);
    (rest / sizes[0], [rest % sizes[0], j, k])
}

/// `sums += scale * values`.
#[inline(always)]
fn add_scaled<T: Ring>(sums: &mut [T], scale: T, values: &[T]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = T::mul_add(scale, value, *sum);
    }
}

/// `out (batch, ..output, filters) = conv(x, kernel) + bias`.
pub fn forward<T: Ring>(
    geometry: &Geometry,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
    out: &mut [T],
) {
    assert_eq!(
        (x.len(), kernel.len()),
        (geometry.x_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.out_len());
    let (w, filters) = (&geometry.window, geometry.filters);
    let (per_channels, per_filters) = (geometry.group_channels(), geometry.group_filters());
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(
        out,
        filters,
        grain(filters * geometry.depth()),
        |index, out| {
            let (image, o) = split(index, w.output);
            match bias {
                Some(bias) => out.copy_from_slice(bias),
                None => out.fill(T::default()),
            }
            for a in w.taps(0, o[0]) {
                for b in w.taps(1, o[1]) {
                    for c in w.taps(2, o[2]) {
                        let row = (image * w.input[0] + w.place(0, o[0], a)) * w.input[1];
                        let row = (row + w.place(1, o[1], b)) * w.input[2] + w.place(2, o[2], c);
                        let x = &x[row * geometry.channels..][..geometry.channels];
                        let tap = (a * w.size[1] + b) * w.size[2] + c;
                        for (channel, &x) in x.iter().enumerate() {
                            let group = channel / per_channels * per_filters;
                            let row =
                                (tap * per_channels + channel % per_channels) * filters + group;
                            add_scaled(
                                &mut out[group..][..per_filters],
                                x,
                                &kernel[row..][..per_filters],
                            );
                        }
                    }
                }
            }
        },
    );
}

/// The gradient of the input: `out (batch, ..input, channels)` from `g (batch, ..output, filters)`.
pub fn input_gradient<T: Ring>(geometry: &Geometry, g: &[T], kernel: &[T], out: &mut [T]) {
    assert_eq!(
        (g.len(), kernel.len()),
        (geometry.out_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.x_len());
    let (w, channels, filters) = (&geometry.window, geometry.channels, geometry.filters);
    let (per_channels, per_filters) = (geometry.group_channels(), geometry.group_filters());
    if out.is_empty() {
        return;
    }
    let cost = filters * per_channels * w.taps_len();
    parallel_chunks_mut(out, channels, grain(cost), |index, out| {
        let (image, i) = split(index, w.input);
        out.fill(T::default());
        for (p, a) in w.touching(0, i[0]) {
            for (q, b) in w.touching(1, i[1]) {
                for (r, c) in w.touching(2, i[2]) {
                    let row = ((image * w.output[0] + p) * w.output[1] + q) * w.output[2] + r;
                    let g = &g[row * filters..][..filters];
                    let tap = (a * w.size[1] + b) * w.size[2] + c;
                    for (channel, out) in out.iter_mut().enumerate() {
                        let group = channel / per_channels * per_filters;
                        let row = (tap * per_channels + channel % per_channels) * filters + group;
                        let terms = g[group..][..per_filters].iter().zip(&kernel[row..]);
                        *out = terms.fold(*out, |sum, (&g, &k)| T::mul_add(g, k, sum));
                    }
                }
            }
        }
    });
}

/// The gradient of the kernel: `out (..size, channels / groups, filters)` from `x` and `g (batch, ..output, filters)`.
pub fn kernel_gradient<T: Ring>(geometry: &Geometry, x: &[T], g: &[T], out: &mut [T]) {
    assert_eq!((x.len(), g.len()), (geometry.x_len(), geometry.out_len()));
    assert_eq!(out.len(), geometry.kernel_len());
    let (w, channels, filters) = (&geometry.window, geometry.channels, geometry.filters);
    let (per_channels, per_filters) = (geometry.group_channels(), geometry.group_filters());
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(
        out,
        filters,
        grain(filters * geometry.rows()),
        |row, out| {
            let (tap, channel) = (row / per_channels, row % per_channels);
            let (_, [a, b, c]) = split(tap, w.size);
            out.fill(T::default());
            for image in 0..geometry.batch {
                for i in w.outputs_of_tap(0, a) {
                    for j in w.outputs_of_tap(1, b) {
                        for k in w.outputs_of_tap(2, c) {
                            let at = (image * w.input[0] + w.place(0, i, a)) * w.input[1];
                            let at = (at + w.place(1, j, b)) * w.input[2] + w.place(2, k, c);
                            let o = ((image * w.output[0] + i) * w.output[1] + j) * w.output[2] + k;
                            let groups = out.chunks_exact_mut(per_filters);
                            for (group, out) in groups.enumerate() {
                                let x = x[at * channels + group * per_channels + channel];
                                add_scaled(out, x, &g[o * filters + group * per_filters..]);
                            }
                        }
                    }
                }
            }
        },
    );
}
