//! Depthwise convolution (one input channel per group), directly: lanes are neighbouring channels, and a few output columns
//! share each weight. A channel multiplier above one is brought back to one by repeating the input's channels.

use simd::{Float, Isa, Lanes, Task, dispatch};

use super::geometry::Geometry;
use crate::gemm::Real;
use crate::threads::{Disjoint, grain, parallel_chunks_mut, parallel_for};

/// Output columns that share the load of a weight.
const COLUMNS: usize = 4;

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
    slide(&expanded(geometry), x, kernel, false, bias, finish, out);
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
    let mut window = geometry.window;
    if window.strides.iter().all(|&stride| stride == 1) {
        // A convolution of the gradient with the flipped kernel.
        (window.input, window.output) = (window.output, window.input);
        for axis in 0..window.low.len() {
            let reach = (window.size[axis] as isize - 1) * window.dilation[axis] as isize;
            window.low[axis] = reach - window.low[axis];
        }
        let flipped = Geometry {
            window,
            ..*geometry
        };
        return slide(&flipped, g, kernel, true, None, |_| {}, out);
    }
    assert_eq!(
        (g.len(), kernel.len()),
        (geometry.out_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.x_len());
    let [_, middle, inner] = window.input;
    let len = inner * geometry.channels;
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(out, len, grain(len * window.taps_len()), |index, out| {
        let (i, j) = (index / middle % window.input[0], index % middle);
        let image = index / (middle * window.input[0]);
        dispatch(GradientLine {
            geometry,
            g,
            kernel,
            at: [image, i, j],
            out,
        });
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
    /// Vectors of channels that a task takes.
    const WIDTH: usize = 64;
    let x = expand(geometry, x, scratch);
    let geometry = &expanded(geometry);
    assert_eq!((x.len(), g.len()), (geometry.x_len(), geometry.out_len()));
    assert_eq!(out.len(), geometry.kernel_len());
    let [outer, middle, inner] = geometry.window.size;
    let blocks = geometry.channels.div_ceil(WIDTH);
    let cost = geometry.rows() * inner * WIDTH.min(geometry.channels);
    let out = Disjoint::new(out);
    parallel_for(outer * middle * blocks, grain(cost), |range| {
        for task in range {
            let start = task % blocks * WIDTH;
            dispatch(KernelGradient {
                geometry,
                x,
                g,
                tap: [task / blocks / middle, task / blocks % middle],
                channels: start..(start + WIDTH).min(geometry.channels),
                out: &out,
            });
        }
    });
}

/// Slides the windows over `x`, a line of output positions at a time.
fn slide<T: Real>(
    geometry: &Geometry,
    x: &[T],
    kernel: &[T],
    flip: bool,
    bias: Option<&[T]>,
    finish: impl Fn(&mut [T]) + Sync,
    out: &mut [T],
) {
    assert_eq!(
        (x.len(), kernel.len()),
        (geometry.x_len(), geometry.kernel_len())
    );
    assert_eq!(out.len(), geometry.out_len());
    assert!(bias.is_none_or(|bias| bias.len() == geometry.channels));
    let [outer, middle, inner] = geometry.window.output;
    let len = inner * geometry.channels;
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(
        out,
        len,
        grain(len * geometry.window.taps_len()),
        |index, out| {
            let at = [
                index / (outer * middle),
                index / middle % outer,
                index % middle,
            ];
            dispatch(Line {
                geometry,
                x,
                kernel,
                flip,
                bias,
                at,
                out: &mut *out,
            });
            finish(out);
        },
    );
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

/// One line of output positions of the image and outer position `at`.
struct Line<'a, T> {
    geometry: &'a Geometry,
    x: &'a [T],
    kernel: &'a [T],
    flip: bool,
    bias: Option<&'a [T]>,
    at: [usize; 3],
    out: &'a mut [T],
}

impl<T: Real> Task for Line<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let lanes = T::Lanes::<I>::LEN;
        let mut channel = 0;
        while channel < self.geometry.channels {
            let left = self.geometry.channels - channel;
            if left >= 2 * lanes {
                self.columns::<T::Lanes<I>, 2>(isa, channel, lanes);
                channel += 2 * lanes;
            } else {
                self.columns::<T::Lanes<I>, 1>(isa, channel, left.min(lanes));
                channel += lanes;
            }
        }
    }
}

impl<T: Real> Line<'_, T> {
    /// `N` vectors of channels of the line, each with its first `n` lanes.
    #[inline(always)]
    fn columns<V: Float<Item = T>, const N: usize>(
        &mut self,
        isa: V::Isa,
        channel: usize,
        n: usize,
    ) {
        let inside = self.geometry.window.inside(2);
        let mut column = 0;
        while column < self.geometry.window.output[2] {
            if inside.contains(&column) && column + COLUMNS <= inside.end {
                self.tile::<V, N, COLUMNS>(isa, channel, n, column);
                column += COLUMNS;
            } else {
                self.tile::<V, N, 1>(isa, channel, n, column);
                column += 1;
            }
        }
    }

    /// `C` columns that see the same taps.
    #[inline(always)]
    fn tile<V: Float<Item = T>, const N: usize, const C: usize>(
        &mut self,
        isa: V::Isa,
        channel: usize,
        n: usize,
        column: usize,
    ) {
        let (w, channels) = (&self.geometry.window, self.geometry.channels);
        let [image, i, j] = self.at;
        let mut sums = [[V::zero(isa); N]; C];
        if let Some(bias) = self.bias {
            for (v, sum) in sums[0].iter_mut().enumerate() {
                let bias = &bias[channel + v * V::LEN..];
                *sum = V::load_partial(isa, &bias[..n]);
            }
            sums = [sums[0]; C];
        }
        let step = w.strides[2] * channels;
        for a in w.taps(0, i) {
            for b in w.taps(1, j) {
                let row = (image * w.input[0] + w.place(0, i, a)) * w.input[1] + w.place(1, j, b);
                for c in w.taps(2, column) {
                    let tap = (a * w.size[1] + b) * w.size[2] + c;
                    let tap = if self.flip {
                        w.taps_len() - 1 - tap
                    } else {
                        tap
                    };
                    let start = (row * w.input[2] + w.place(2, column, c)) * channels + channel;
                    debug_assert!(start + (C - 1) * step + (N - 1) * V::LEN + n <= self.x.len());
                    // SAFETY: the taps of `column` fall on the input, those of its `C - 1` successors too as they are
                    // inside; the lengths of the slices are checked where the line is made.
                    unsafe {
                        let kernel = self.kernel.as_ptr().add(tap * channels + channel);
                        let x = self.x.as_ptr().add(start);
                        let mut weights = [V::zero(isa); N];
                        for (v, weight) in weights.iter_mut().enumerate() {
                            *weight = read(isa, kernel.add(v * V::LEN), n);
                        }
                        for (t, sums) in sums.iter_mut().enumerate() {
                            for (v, sum) in sums.iter_mut().enumerate() {
                                let x: V = read(isa, x.add(t * step + v * V::LEN), n);
                                *sum = x.mul_add(weights[v], *sum);
                            }
                        }
                    }
                }
            }
        }
        for (t, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let start = (column + t) * channels + channel + v * V::LEN;
                sum.store_partial(&mut self.out[start..start + n]);
            }
        }
    }
}

/// One line of the input's gradient, of the image and outer position `at`, for any strides.
struct GradientLine<'a, T> {
    geometry: &'a Geometry,
    g: &'a [T],
    kernel: &'a [T],
    at: [usize; 3],
    out: &'a mut [T],
}

impl<T: Real> Task for GradientLine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let lanes = T::Lanes::<I>::LEN;
        for column in 0..self.geometry.window.input[2] {
            let mut channel = 0;
            while channel < self.geometry.channels {
                let left = self.geometry.channels - channel;
                if left >= 4 * lanes {
                    self.column::<T::Lanes<I>, 4>(isa, column, channel, lanes);
                    channel += 4 * lanes;
                } else {
                    self.column::<T::Lanes<I>, 1>(isa, column, channel, left.min(lanes));
                    channel += lanes;
                }
            }
        }
    }
}

impl<T: Real> GradientLine<'_, T> {
    #[inline(always)]
    fn column<V: Float<Item = T>, const N: usize>(
        &mut self,
        isa: V::Isa,
        column: usize,
        channel: usize,
        n: usize,
    ) {
        let (w, channels) = (&self.geometry.window, self.geometry.channels);
        let [image, i, j] = self.at;
        let mut sums = [V::zero(isa); N];
        for (p, a) in w.touching(0, i) {
            for (q, b) in w.touching(1, j) {
                for (r, c) in w.touching(2, column) {
                    let o = ((image * w.output[0] + p) * w.output[1] + q) * w.output[2] + r;
                    let tap = (a * w.size[1] + b) * w.size[2] + c;
                    // SAFETY: `touching` yields positions of the output and taps of the kernel; the lengths of the slices
                    // are checked where the line is made.
                    unsafe {
                        let g = self.g.as_ptr().add(o * channels + channel);
                        let kernel = self.kernel.as_ptr().add(tap * channels + channel);
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let g: V = read(isa, g.add(v * V::LEN), n);
                            *sum = g.mul_add(read(isa, kernel.add(v * V::LEN), n), *sum);
                        }
                    }
                }
            }
        }
        for (v, sum) in sums.into_iter().enumerate() {
            let start = column * channels + channel + v * V::LEN;
            sum.store_partial(&mut self.out[start..start + n]);
        }
    }
}

/// The kernel's gradient at the taps `[tap[0], tap[1], ..]` for a range of channels.
struct KernelGradient<'a, T> {
    geometry: &'a Geometry,
    x: &'a [T],
    g: &'a [T],
    tap: [usize; 2],
    channels: std::ops::Range<usize>,
    out: &'a Disjoint<'a, T>,
}

impl<T: Real> Task for KernelGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let lanes = T::Lanes::<I>::LEN;
        for tap in 0..self.geometry.window.size[2] {
            let mut channel = self.channels.start;
            while channel < self.channels.end {
                let left = self.channels.end - channel;
                if left >= 4 * lanes {
                    self.sum::<T::Lanes<I>, 4>(isa, tap, channel, lanes);
                    channel += 4 * lanes;
                } else {
                    self.sum::<T::Lanes<I>, 1>(isa, tap, channel, left.min(lanes));
                    channel += lanes;
                }
            }
        }
    }
}

impl<T: Real> KernelGradient<'_, T> {
    #[inline(always)]
    fn sum<V: Float<Item = T>, const N: usize>(
        &self,
        isa: V::Isa,
        tap: usize,
        channel: usize,
        n: usize,
    ) {
        let (w, channels) = (&self.geometry.window, self.geometry.channels);
        let [a, b] = self.tap;
        let mut totals = [V::zero(isa); N];
        for image in 0..self.geometry.batch {
            for i in w.outputs_of_tap(0, a) {
                for j in w.outputs_of_tap(1, b) {
                    let row =
                        (image * w.input[0] + w.place(0, i, a)) * w.input[1] + w.place(1, j, b);
                    let o = ((image * w.output[0] + i) * w.output[1] + j) * w.output[2];
                    // A line's sum is taken on its own: long sums of floats lose digits.
                    let mut sums = [V::zero(isa); N];
                    for column in w.outputs_of_tap(2, tap) {
                        let x = (row * w.input[2] + w.place(2, column, tap)) * channels + channel;
                        let g = (o + column) * channels + channel;
                        // SAFETY: the tap of this position falls on the input; the lengths of the slices are checked where
                        // the task is made.
                        unsafe {
                            let (x, g) = (self.x.as_ptr().add(x), self.g.as_ptr().add(g));
                            for (v, sum) in sums.iter_mut().enumerate() {
                                let x: V = read(isa, x.add(v * V::LEN), n);
                                *sum = x.mul_add(read(isa, g.add(v * V::LEN), n), *sum);
                            }
                        }
                    }
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total = *total + sum;
                    }
                }
            }
        }
        let index = (a * w.size[1] + b) * w.size[2] + tap;
        for (v, total) in totals.into_iter().enumerate() {
            let start = index * channels + channel + v * V::LEN;
            // SAFETY: a task owns its taps and channels.
            let out = unsafe { self.out.slice_mut(start..start + n) };
            // SAFETY: `out` holds `n` items.
            unsafe { write(total, out.as_mut_ptr(), n) };
        }
    }
}
