//! Pooling over windows, channels last: maximum and average, with their gradients.
//!
//! Every function takes the whole batch: `x (batch, ..input, channels)` and `out (batch, ..output, channels)`. Channels are
//! the inner loop, which the compiler vectorises under each instruction set.

mod lanes;
mod places;

use std::ops::Range;

use num_traits::Float;
use simd::{Isa, Portable, Task, dispatch};

use crate::conv::geometry::{SPATIAL, Window};
use crate::dtype::{DType, Element, single, single_mut};
use crate::threads::{Disjoint, grain, parallel_chunks_mut};

/// What is pooled: `batch` images of `channels` under `window`.
#[derive(Clone, Copy, Debug)]
pub struct Pooling {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// The windows.
    pub window: Window,
}

/// Runs `row` for every line of positions (the last spatial dimension) of `out`, each item of which costs so much; `row` takes the line's
/// index, its image, its indices in the two outer dimensions, and the line.
fn share_lines<T: Send>(
    out: &mut [T],
    [outer, middle, inner]: [usize; SPATIAL],
    channels: usize,
    cost: usize,
    row: impl Fn(usize, usize, [usize; 2], &mut [T]) + Sync,
) {
    let len = inner * channels;
    if out.is_empty() {
        return;
    }
    parallel_chunks_mut(out, len, grain(len * cost), |index, line| {
        let (image, rest) = (index / (outer * middle), index % (outer * middle));
        row(index, image, [rest / middle, rest % middle], line);
    });
}

/// [`share_lines`] under the best instruction set where `T` is f32.
fn for_each_line<T: Element>(
    out: &mut [T],
    sizes: [usize; SPATIAL],
    channels: usize,
    cost: usize,
    row: impl Fn(usize, usize, usize, &mut [T]) + Sync,
) {
    struct Line<F>(F);
    impl<F: FnOnce()> Task for Line<F> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self, _: I) {
            (self.0)();
        }
    }

    share_lines(out, sizes, channels, cost, |_, image, [i, j], line| {
        let task = Line(
            #[inline(always)]
            || row(image, i, j, line),
        );
        match T::DTYPE {
            DType::Float32 => dispatch(task),
            _ => Portable.run(task),
        }
    });
}

impl Pooling {
    /// Items of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.window.input_len() * self.channels
    }

    /// Items of the output.
    pub fn out_len(&self) -> usize {
        self.batch * self.window.output_len() * self.channels
    }

    /// The channels at a position of the input.
    #[inline(always)]
    fn input_at<'a, T>(&self, x: &'a [T], image: usize, position: usize) -> &'a [T] {
        let start = (image * self.window.input_len() + position) * self.channels;
        &x[start..start + self.channels]
    }

    /// Calls `f(position of the input, or its index in the image)` for the taps of an output position.
    #[inline(always)]
    fn for_each_tap(&self, o: [usize; SPATIAL], mut f: impl FnMut(usize)) {
        let w = &self.window;
        let at = |axis: usize, tap: usize| w.place(axis, o[axis], tap);
        for i in w.taps(0, o[0]) {
            for j in w.taps(1, o[1]) {
                for k in w.taps(2, o[2]) {
                    f((at(0, i) * w.input[1] + at(1, j)) * w.input[2] + at(2, k));
                }
            }
        }
    }

    /// Calls `f(index of the output position in its image)` for the windows that touch an input position.
    #[inline(always)]
    fn for_each_window(&self, i: [usize; SPATIAL], mut f: impl FnMut([usize; SPATIAL], usize)) {
        let w = &self.window;
        for (a, _) in w.touching(0, i[0]) {
            for (b, _) in w.touching(1, i[1]) {
                for (c, _) in w.touching(2, i[2]) {
                    f([a, b, c], (a * w.output[1] + b) * w.output[2] + c);
                }
            }
        }
    }

    /// The inputs under a window.
    #[inline(always)]
    fn count(&self, o: [usize; SPATIAL]) -> usize {
        (0..SPATIAL)
            .map(|axis| self.window.taps(axis, o[axis]).len())
            .product()
    }
}

/// The greatest item of each window, NaN if it holds one; zero where a window is empty.
pub fn max_pool<T: Element + PartialOrd>(pooling: &Pooling, x: &[T], out: &mut [T]) {
    maxima(pooling, x, out, &mut []);
}

/// [`max_pool`] which also tells where in its image (an index over the spatial dimensions) each maximum stands: the first
/// of equals; -1 where a window is empty.
pub fn max_pool_argmax<T: Element + PartialOrd>(
    pooling: &Pooling,
    x: &[T],
    out: &mut [T],
    argmax: &mut [i32],
) {
    assert_eq!(argmax.len(), out.len());
    maxima(pooling, x, out, argmax);
}

/// The maxima, and their places unless `argmax` is empty.
fn maxima<T: Element + PartialOrd>(pooling: &Pooling, x: &[T], out: &mut [T], argmax: &mut [i32]) {
    assert_eq!((x.len(), out.len()), (pooling.x_len(), pooling.out_len()));
    if T::DTYPE == DType::Float32 {
        let (x, out) = (single(x), single_mut(out));
        return if argmax.is_empty() {
            lanes::max_pool(pooling, x, out)
        } else {
            places::max_pool_argmax(pooling, x, out, argmax)
        };
    }
    let (window, channels) = (&pooling.window, pooling.channels);
    let cost = 2 * window.taps_len();
    let [outer, middle, inner] = window.output;
    let wanted = !argmax.is_empty();
    let argmax = Disjoint::new(argmax);
    for_each_line(
        out,
        window.output,
        channels,
        cost,
        #[inline(always)]
        |image, i, j, line| {
            let start = ((image * outer + i) * middle + j) * inner;
            for (k, best) in line.chunks_exact_mut(channels).enumerate() {
                let here = if wanted {
                    span(start + k, channels)
                } else {
                    0..0
                };
                // SAFETY: the lines of a region are disjoint.
                let argmax = unsafe { argmax.slice_mut(here) };
                best.fill(T::default());
                argmax.fill(-1);
                let mut first = true;
                pooling.for_each_tap([i, j, k], |position| {
                    let x = pooling.input_at(x, image, position);
                    let position = position as i32;
                    if std::mem::take(&mut first) {
                        best.copy_from_slice(x);
                        argmax.fill(position);
                    }
                    for (channel, (best, &x)) in best.iter_mut().zip(x).enumerate() {
                        if beats(x, *best) {
                            *best = x;
                            if let Some(argmax) = argmax.get_mut(channel) {
                                *argmax = position;
                            }
                        }
                    }
                });
            }
        },
    );
}

/// Whether `x` replaces the maximum so far: greater, or the first NaN; the first of equals stays.
#[inline(always)]
#[allow(clippy::eq_op)]
fn beats<T: PartialOrd>(x: T, best: T) -> bool {
    (x > best) | ((x != x) & (best == best))
}

/// The items of `x` that `argmax` (of [`max_pool_argmax`]) points at; zero where it points nowhere. The gradient of
/// [`max_pool_gradient`].
pub fn max_pool_gather<T: Element>(pooling: &Pooling, x: &[T], argmax: &[i32], out: &mut [T]) {
    assert_eq!(x.len(), pooling.x_len());
    assert_eq!(
        (argmax.len(), out.len()),
        (pooling.out_len(), pooling.out_len())
    );
    let (positions, channels) = (pooling.window.input_len(), pooling.channels);
    let per_image = pooling.window.output_len() * channels;
    for_each_line(
        out,
        [1, 1, pooling.window.output_len()],
        channels,
        4,
        |image, _, _, out| {
            let argmax = &argmax[image * per_image..][..per_image];
            for (index, (out, &position)) in out.iter_mut().zip(argmax).enumerate() {
                *out = match usize::try_from(position) {
                    Ok(p) if p < positions => pooling.input_at(x, image, p)[index % channels],
                    _ => T::default(),
                };
            }
        },
    );
}

/// The gradient of [`max_pool`]: each item of `g (batch, ..output, channels)` goes where `argmax` points.
pub fn max_pool_gradient<T: Element + std::ops::Add<Output = T>>(
    pooling: &Pooling,
    g: &[T],
    argmax: &[i32],
    out: &mut [T],
) {
    assert_eq!((g.len(), out.len()), (pooling.out_len(), pooling.x_len()));
    assert_eq!(argmax.len(), g.len());
    if T::DTYPE == DType::Float32 {
        return places::max_pool_gradient(pooling, single(g), argmax, single_mut(out));
    }
    let (window, channels) = (&pooling.window, pooling.channels);
    for_each_line(
        out,
        window.input,
        channels,
        window.taps_len(),
        #[inline(always)]
        |image, i, j, line| {
            for (k, out) in line.chunks_exact_mut(channels).enumerate() {
                out.fill(T::default());
                let here = ((i * window.input[1] + j) * window.input[2] + k) as i32;
                pooling.for_each_window([i, j, k], |_, o| {
                    let span = span(image * window.output_len() + o, channels);
                    let (g, argmax) = (&g[span.clone()], &argmax[span]);
                    for ((out, &g), &position) in out.iter_mut().zip(g).zip(argmax) {
                        *out = *out + if position == here { g } else { T::default() };
                    }
                });
            }
        },
    );
}

/// The average of each window's items, padding excluded; zero where a window is empty.
pub fn avg_pool<T: Element + Float>(pooling: &Pooling, x: &[T], out: &mut [T]) {
    assert_eq!((x.len(), out.len()), (pooling.x_len(), pooling.out_len()));
    if T::DTYPE == DType::Float32 {
        return lanes::avg_pool(pooling, single(x), single_mut(out));
    }
    let window = &pooling.window;
    for_each_line(
        out,
        window.output,
        pooling.channels,
        window.taps_len(),
        #[inline(always)]
        |image, i, j, line| {
            for (k, out) in line.chunks_exact_mut(pooling.channels).enumerate() {
                out.fill(T::default());
                pooling.for_each_tap([i, j, k], |position| {
                    let x = pooling.input_at(x, image, position);
                    for (out, &x) in out.iter_mut().zip(x) {
                        *out = *out + x;
                    }
                });
                let count = count::<T>(pooling.count([i, j, k]).max(1));
                for out in out {
                    *out = *out / count;
                }
            }
        },
    );
}

/// The gradient of [`avg_pool`]: each item of `g (batch, ..output, channels)` is shared among its window's inputs.
pub fn avg_pool_gradient<T: Element + Float>(pooling: &Pooling, g: &[T], out: &mut [T]) {
    assert_eq!((g.len(), out.len()), (pooling.out_len(), pooling.x_len()));
    let (window, channels) = (&pooling.window, pooling.channels);
    for_each_line(
        out,
        window.input,
        channels,
        2 * window.taps_len(),
        #[inline(always)]
        |image, i, j, line| {
            for (k, out) in line.chunks_exact_mut(channels).enumerate() {
                out.fill(T::default());
                pooling.for_each_window([i, j, k], |at, o| {
                    let count = count::<T>(pooling.count(at));
                    let g = &g[span(image * window.output_len() + o, channels)];
                    for (out, &g) in out.iter_mut().zip(g) {
                        *out = *out + g / count;
                    }
                });
            }
        },
    );
}

/// The items of position `index`.
#[inline(always)]
fn span(index: usize, channels: usize) -> Range<usize> {
    index * channels..(index + 1) * channels
}

/// A count of items as a divisor.
#[inline(always)]
fn count<T: Float>(n: usize) -> T {
    T::from(n).unwrap_or_else(T::infinity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::geometry::Padding;
    use crate::threads::tests::with_threads;
    use proptest::prelude::*;
    use simd::for_each_isa;

    /// Channels in part of a register, in several, and in more than one block of the scratch.
    fn poolings() -> impl Strategy<Value = Pooling> {
        let axis = (1usize..9, 1usize..5, 1usize..4, 1usize..4);
        let padding = (0usize..3, prop::collection::vec((0usize..5, 0usize..5), 3));
        let channels = prop_oneof![1usize..20, 20usize..50];
        (
            (1usize..3, channels, 1usize..4),
            prop::collection::vec(axis, 3),
            padding,
        )
            .prop_map(|((batch, channels, rank), axes, (kind, pads))| {
                let axes = &axes[..rank];
                let column = |f: fn(&(usize, usize, usize, usize)) -> usize| -> Vec<usize> {
                    axes.iter().map(f).collect()
                };
                let padding = match kind {
                    0 => Padding::Valid,
                    1 => Padding::Same,
                    _ => Padding::Explicit(pads[..rank].iter().copied().collect()),
                };
                let window = Window::new(
                    &column(|a| a.0),
                    &column(|a| a.1),
                    &column(|a| a.2),
                    &column(|a| a.3),
                    &padding,
                );
                Pooling {
                    batch,
                    channels,
                    window,
                }
            })
    }

    /// The (output, input) pairs of indices that belong together, in the order of outputs.
    fn pairs(p: &Pooling) -> Vec<(usize, Vec<usize>)> {
        let w = &p.window;
        let mut all = Vec::new();
        for o in 0..p.out_len() {
            let (channel, position) = (o % p.channels, o / p.channels);
            let (image, position) = (position / w.output_len(), position % w.output_len());
            let at = [
                position / (w.output[1] * w.output[2]),
                position / w.output[2] % w.output[1],
                position % w.output[2],
            ];
            let mut inputs = Vec::new();
            for tap in 0..w.taps_len() {
                let tap = [
                    tap / (w.size[1] * w.size[2]),
                    tap / w.size[2] % w.size[1],
                    tap % w.size[2],
                ];
                let mut index = image as isize;
                let mut on = true;
                for axis in 0..SPATIAL {
                    let i = at[axis] * w.strides[axis] + tap[axis] * w.dilation[axis];
                    let i = i as isize - w.low[axis];
                    on &= (0..w.input[axis] as isize).contains(&i);
                    index = index * w.input[axis] as isize + i;
                }
                if on {
                    inputs.push(index as usize * p.channels + channel);
                }
            }
            all.push((o, inputs));
        }
        all
    }

    /// Small integers, so that sums are exact and ties abound.
    fn data(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 7919 + seed * 31) % 13) as f32 - 6.0)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn agrees_with_its_definition(p in poolings()) {
            let (x, g) = (data(p.x_len(), 1), data(p.out_len(), 2));
            let mut expected_max = vec![0.0; p.out_len()];
            let mut expected_avg = vec![0.0; p.out_len()];
            let mut expected_max_gradient = vec![0.0; p.x_len()];
            let mut expected_avg_gradient = vec![0.0; p.x_len()];
            for (o, inputs) in pairs(&p) {
                let Some(&first) = inputs.first() else { continue };
                let best = inputs.iter().fold(first, |a, &b| if x[b] > x[a] { b } else { a });
                expected_max[o] = x[best];
                expected_max_gradient[best] += g[o];
                let n = inputs.len() as f32;
                expected_avg[o] = inputs.iter().map(|&i| x[i]).sum::<f32>() / n;
                for i in inputs {
                    expected_avg_gradient[i] += g[o] / n;
                }
            }
            let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
            for_each_isa(|_| for threads in [1, 2] { with_threads(threads, || {
                let mut out = vec![f32::NAN; p.out_len()];
                max_pool(&p, &x, &mut out);
                assert_eq!(out, expected_max);
                let mut argmax = vec![7; p.out_len()];
                out.fill(0.0);
                max_pool_argmax(&p, &x, &mut out, &mut argmax);
                assert_eq!(out, expected_max);
                max_pool_gather(&p, &x, &argmax, &mut out);
                assert!(out.iter().zip(&expected_max).all(|(a, b)| a == b));
                avg_pool(&p, &x, &mut out);
                assert!(close(&out, &expected_avg));
                let mut out = vec![f32::NAN; p.x_len()];
                max_pool_gradient(&p, &g, &argmax, &mut out);
                assert_eq!(out, expected_max_gradient);
                avg_pool_gradient(&p, &g, &mut out);
                assert!(close(&out, &expected_avg_gradient));
            }) });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn nan_wins_wherever_it_stands(p in poolings(), step in 2usize..40) {
            let mut x = data(p.x_len(), 1);
            x.iter_mut().step_by(step).for_each(|x| *x = f32::NAN);
            let mut expected = vec![0.0; p.out_len()];
            for (o, inputs) in pairs(&p) {
                expected[o] = inputs.iter().map(|&i| x[i]).reduce(|a, b| {
                    if a.is_nan() || b < a { a } else { b }
                }).unwrap_or(0.0);
            }
            for_each_isa(|_| {
                let mut out = vec![0.0; p.out_len()];
                max_pool(&p, &x, &mut out);
                assert!(out.iter().zip(&expected).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
            });
        }

        #[test]
        fn threads_do_not_change_bits(p in poolings()) {
            let x: Vec<f32> = data(p.x_len(), 1).iter().map(|x| x / 7.0).collect();
            let averages = |threads| with_threads(threads, || {
                let mut out = vec![0.0_f32; p.out_len()];
                avg_pool(&p, &x, &mut out);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            });
            for_each_isa(|_| {
                let alone = averages(1);
                assert!([2, 3, 9].into_iter().all(|threads| averages(threads) == alone));
            });
        }
    }

    #[test]
    fn nan_wins() {
        let window = Window::new(&[4], &[2], &[2], &[1], &Padding::Valid);
        let p = Pooling {
            batch: 1,
            channels: 1,
            window,
        };
        let x = [1.0, f32::NAN, f32::NAN, f32::NAN];
        let (mut out, mut argmax) = ([0.0; 2], [0; 2]);
        max_pool(&p, &x, &mut out);
        assert!(out.iter().all(|x| x.is_nan()));
        max_pool_argmax(&p, &x, &mut out, &mut argmax);
        assert!(out.iter().all(|x| x.is_nan()));
        assert_eq!(argmax, [1, 2]);
    }

    #[test]
    fn integers_pool_too() {
        let window = Window::new(&[3], &[2], &[1], &[1], &Padding::Same);
        let p = Pooling {
            batch: 1,
            channels: 1,
            window,
        };
        let mut out = [0u8; 3];
        max_pool(&p, &[3, 9, 4], &mut out);
        assert_eq!(out, [9, 9, 4]);
    }
}
