//! Every way to convolve against the definition.

use ::half::{bf16, f16};
use proptest::prelude::*;
use simd::for_each_isa;

use super::geometry::{Geometry, Padding};
use super::*;
use crate::activation::Activation;
use crate::gemm::Half;
use crate::threads::tests::with_threads;

/// Small integers, so that sums are exact in any order.
fn data(len: usize, seed: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919 + seed * 31) % 11) as f32 - 5.0)
        .collect()
}

/// Calls `f(x index, kernel index, out index)` for every product in the definition of a convolution.
fn for_each_product(geometry: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    let w = &geometry.window;
    let indices = |sizes: [usize; 3]| {
        (0..sizes.iter().product()).map(move |i: usize| {
            [
                i / (sizes[1] * sizes[2]),
                i / sizes[2] % sizes[1],
                i % sizes[2],
            ]
        })
    };
    for image in 0..geometry.batch {
        for (o, at) in indices(w.output).enumerate() {
            for (tap, tap_at) in indices(w.size).enumerate() {
                let i: [isize; 3] = std::array::from_fn(|axis| {
                    (at[axis] * w.strides[axis] + tap_at[axis] * w.dilation[axis]) as isize
                        - w.low[axis]
                });
                if (0..3).any(|axis| !(0..w.input[axis] as isize).contains(&i[axis])) {
                    continue;
                }
                let i = (i[0] as usize * w.input[1] + i[1] as usize) * w.input[2] + i[2] as usize;
                for filter in 0..geometry.filters {
                    let group = filter / geometry.group_filters();
                    for channel in 0..geometry.group_channels() {
                        f(
                            (image * w.input_len() + i) * geometry.channels
                                + group * geometry.group_channels()
                                + channel,
                            (tap * geometry.group_channels() + channel) * geometry.filters + filter,
                            (image * w.output_len() + o) * geometry.filters + filter,
                        );
                    }
                }
            }
        }
    }
}

/// Operands, and the results that the definition gives.
struct Case {
    geometry: Geometry,
    x: Vec<f32>,
    kernel: Vec<f32>,
    bias: Vec<f32>,
    g: Vec<f32>,
    out: Vec<f32>,
    x_gradient: Vec<f32>,
    kernel_gradient: Vec<f32>,
}

impl Case {
    fn new(geometry: Geometry) -> Self {
        let (x, kernel) = (data(geometry.x_len(), 1), data(geometry.kernel_len(), 2));
        let (g, bias) = (data(geometry.out_len(), 3), data(geometry.filters, 4));
        let mut out: Vec<f32> = (0..g.len()).map(|i| bias[i % bias.len()]).collect();
        let (mut x_gradient, mut kernel_gradient) = (vec![0.0; x.len()], vec![0.0; kernel.len()]);
        for_each_product(&geometry, |i, k, o| {
            out[o] += x[i] * kernel[k];
            x_gradient[i] += g[o] * kernel[k];
            kernel_gradient[k] += x[i] * g[o];
        });
        Case {
            geometry,
            x,
            kernel,
            bias,
            g,
            out,
            x_gradient,
            kernel_gradient,
        }
    }

    fn check_direct(&self) {
        let geometry = &self.geometry;
        let all = |x: &[f32]| -> Vec<i32> { x.iter().map(|&x| x as i32).collect() };
        let (x, kernel, bias, g) = (
            all(&self.x),
            all(&self.kernel),
            all(&self.bias),
            all(&self.g),
        );
        let mut out = vec![9; g.len()];
        direct::forward(geometry, &x, &kernel, Some(&bias), &mut out);
        assert_eq!(out, all(&self.out));
        let mut out = vec![9; x.len()];
        direct::input_gradient(geometry, &g, &kernel, &mut out);
        assert_eq!(out, all(&self.x_gradient));
        let mut out = vec![9; kernel.len()];
        direct::kernel_gradient(geometry, &x, &g, &mut out);
        assert_eq!(out, all(&self.kernel_gradient));
    }

    /// The sums are exact in single precision, so the results are theirs, rounded once.
    fn check_half<H: Half>(&self) {
        let geometry = &self.geometry;
        let all = |x: &[f32]| {
            let mut half = vec![H::default(); x.len()];
            H::narrow(x, &mut half);
            half
        };
        let (x, kernel, bias, g) = (
            all(&self.x),
            all(&self.kernel),
            all(&self.bias),
            all(&self.g),
        );
        for (pass, operands, bias, expected) in [
            (Pass::Forward, [&x, &kernel], Some(&bias[..]), &self.out),
            (Pass::InputGradient, [&g, &kernel], None, &self.x_gradient),
            (Pass::KernelGradient, [&x, &g], None, &self.kernel_gradient),
        ] {
            let mut out = vec![H::default(); expected.len()];
            let mut scratch = vec![f32::NAN; half_scratch_len(pass, geometry)];
            let operands = operands.map(|x| &x[..]);
            run_half(pass, geometry, operands, bias, None, &mut out, &mut scratch);
            assert_eq!(out, all(expected), "{pass:?} {geometry:?}");
        }
    }

    fn check(&self) {
        self.check_as(|x| x);
    }

    /// The three passes with operands converted by `convert`.
    fn check_as<T: Real>(&self, convert: impl Fn(f32) -> T) {
        let geometry = &self.geometry;
        let all = |x: &[f32]| -> Vec<T> { x.iter().map(|&x| convert(x)).collect() };
        let (x, kernel, bias, g) = (
            all(&self.x),
            all(&self.kernel),
            all(&self.bias),
            all(&self.g),
        );
        let scratch = |pass| vec![convert(f32::NAN); scratch_len::<T>(pass, geometry)];
        let unset = |len| vec![convert(f32::NAN); len];

        let mut room = scratch(Pass::Forward);
        // What the output holds before, where it is added.
        let before = data(self.out.len(), 5);
        let added: Vec<f32> = (self.out.iter().zip(&before)).map(|(x, y)| x + y).collect();
        let kinds = [(false, &self.out), (true, &added)];
        let of_adds = if adds(geometry) { 2 } else { 1 };
        for (add, sums) in kinds.into_iter().take(of_adds) {
            let start = || if add { all(&before) } else { unset(sums.len()) };
            let relu = sums.iter().map(|x| x.max(0.0)).collect();
            for (activation, expected) in [(None, sums), (Some(Activation::Relu), &relu)] {
                let epilogue = Epilogue {
                    bias: Some(&bias[..]),
                    add,
                    activation,
                };
                let mut out = start();
                forward(geometry, &x, &kernel, epilogue, &mut out, &mut room);
                assert_eq!(out, all(expected), "{add} {geometry:?}");
                let pass = Pass::Forward;
                let Some(form) = form::<T>(pass, geometry) else {
                    continue;
                };
                let mut prepared = unset(prepared_len::<T>(form, pass, geometry));
                prepare(form, pass, geometry, &kernel, &mut prepared);
                let mut room = unset(prepared_scratch_len::<T>(form, pass, geometry));
                let (operands, mut out) = ([&x[..], &prepared], start());
                run_prepared(
                    form, pass, geometry, operands, epilogue, &mut out, &mut room,
                );
                assert_eq!(out, all(expected), "{form:?} {add} {geometry:?}");
            }
        }

        let mut out = unset(self.x.len());
        let mut room = scratch(Pass::InputGradient);
        input_gradient(geometry, &g, &kernel, &mut out, &mut room);
        assert_eq!(out, all(&self.x_gradient), "{geometry:?}");

        let mut out = unset(self.kernel.len());
        let mut room = scratch(Pass::KernelGradient);
        kernel_gradient(geometry, &x, &g, &mut out, &mut room);
        assert_eq!(out, all(&self.kernel_gradient), "{geometry:?}");

        let pass = Pass::InputGradient;
        if let Some(form) = form::<T>(pass, geometry) {
            let mut prepared = unset(prepared_len::<T>(form, pass, geometry));
            prepare(form, pass, geometry, &kernel, &mut prepared);
            let mut room = unset(prepared_scratch_len::<T>(form, pass, geometry));
            let (operands, mut out) = ([&g[..], &prepared], unset(x.len()));
            let epilogue = Epilogue::default();
            run_prepared(
                form, pass, geometry, operands, epilogue, &mut out, &mut room,
            );
            assert_eq!(out, all(&self.x_gradient), "{form:?} {geometry:?}");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Groups {
    One,
    /// One, of few channels.
    Few,
    Some,
    Depthwise,
}

fn geometries(groups: Groups) -> impl Strategy<Value = Geometry> {
    let axis = (
        1usize..12,
        1usize..4,
        1usize..4,
        1usize..3,
        0usize..3,
        0usize..3,
    );
    let widths = match groups {
        Groups::One => (1..=1usize, 1..40usize, 1..40usize).boxed(),
        Groups::Few => (1..=1usize, 1..=8usize, 1..40usize).boxed(),
        Groups::Some => (2..=3usize, 1..20usize, 1..20usize).boxed(),
        Groups::Depthwise => (1..150usize, 1..=1usize, 1..4usize).boxed(),
    };
    (1usize..4, widths, prop::collection::vec(axis, 1..=3), 0..3).prop_map(
        |(batch, (groups, channels, filters), axes, padding): (
            usize,
            (usize, usize, usize),
            Vec<_>,
            _,
        )| {
            let padding = match padding {
                0 => Padding::Valid,
                1 => Padding::Same,
                _ => Padding::Explicit(axes.iter().map(|axis| (axis.4, axis.5)).collect()),
            };
            // Three dimensions of full size take too long.
            let most = [12, 12, 5][axes.len() - 1];
            let mut x_shape = vec![batch];
            x_shape.extend(axes.iter().map(|axis| axis.0.min(most)));
            x_shape.push(channels * groups);
            let mut kernel_shape: Vec<usize> = axes.iter().map(|axis| axis.1).collect();
            kernel_shape.extend([channels, filters * groups]);
            let strides: Vec<usize> = axes.iter().map(|axis| axis.2).collect();
            let dilation: Vec<usize> = axes.iter().map(|axis| axis.3).collect();
            let geometry = Geometry::new(
                &x_shape,
                &kernel_shape,
                &strides,
                &padding,
                &dilation,
                groups,
            );
            // Its sums of integers are not exact.
            Geometry {
                winograd: false,
                ..geometry
            }
        },
    )
}

/// Runs `check` on one and on two threads.
fn with_one_and_two_threads(check: impl Fn()) {
    for threads in [1, 2] {
        with_threads(threads, &check);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn direct_agrees(
        one in geometries(Groups::One),
        some in geometries(Groups::Some),
        depthwise in geometries(Groups::Depthwise),
    ) {
        for geometry in [one, some, depthwise] {
            let case = Case::new(geometry);
            with_one_and_two_threads(|| case.check_direct());
        }
    }

    #[test]
    fn tuned_agrees(
        one in geometries(Groups::One),
        few in geometries(Groups::Few),
        some in geometries(Groups::Some),
        depthwise in geometries(Groups::Depthwise),
    ) {
        for geometry in [one, few, some, depthwise] {
            let case = Case::new(geometry);
            for_each_isa(|_| {
                with_one_and_two_threads(|| case.check());
                case.check_as(f64::from);
                case.check_half::<f16>();
                case.check_half::<bf16>();
            });
        }
    }
}

/// Products of points add to what the output holds, at the edges of tiles and with one row or column.
#[test]
fn points_add_to_what_the_output_holds() {
    for (points, channels, filters, groups) in [
        (1, 5, 33, 1),
        (13, 9, 1, 1),
        (15, 40, 31, 1),
        (28, 17, 48, 1),
        (7, 600, 65, 1),
        (9, 36, 42, 2),
    ] {
        let geometry = Geometry::new(
            &[1, points, channels],
            &[1, channels / groups, filters],
            &[1],
            &Padding::Valid,
            &[1],
            groups,
        );
        assert!(adds(&geometry), "{geometry:?}");
        let case = Case::new(geometry);
        for_each_isa(|_| {
            with_one_and_two_threads(|| case.check());
            case.check_as(f64::from);
        });
    }
}

/// More positions than planes hold at a time, in one to three dimensions.
#[test]
fn gradients_of_long_inputs_of_few_channels() {
    for (x_shape, kernel_shape, stride, dilation) in [
        (&[2, 1500, 2][..], &[9, 2, 5][..], 2, 1),
        (&[1, 2000, 4], &[3, 4, 17], 1, 5),
        (&[1, 50, 61, 3], &[3, 3, 3, 20], 1, 1),
        (&[2, 49, 47, 5], &[4, 5, 5, 3], 3, 1),
        (&[2, 8, 13, 17, 1], &[3, 2, 3, 1, 6], 1, 1),
    ] {
        let axes = x_shape.len() - 2;
        let geometry = Geometry::new(
            x_shape,
            kernel_shape,
            &vec![stride; axes],
            &Padding::Same,
            &vec![dilation; axes],
            1,
        );
        let geometry = Geometry {
            winograd: false,
            ..geometry
        };
        let case = Case::new(geometry);
        for_each_isa(|_| with_one_and_two_threads(|| case.check()));
    }
}

/// Columns are taken by sevens, by fours and one by one.
#[test]
fn depthwise_lines_of_each_length() {
    for (taps, stride, channels) in [(3, 1, 33), (3, 2, 8), (5, 1, 40), (5, 2, 17)] {
        for columns in 1..=17 {
            let geometry = Geometry::new(
                &[2, 3, columns * stride, channels],
                &[3, taps, 1, channels],
                &[1, stride],
                &Padding::Same,
                &[1; 2],
                channels,
            );
            let case = Case::new(geometry);
            for_each_isa(|_| case.check());
        }
    }
}

/// Windows over nothing but padding give the bias.
#[test]
fn an_empty_input_gives_the_bias() {
    let padding = Padding::Explicit([(1, 1), (1, 1)].into_iter().collect());
    for (channels, groups) in [(4, 1), (4, 4), (4, 2)] {
        let x_shape = [2, 0, 3, channels];
        let kernel_shape = [2, 2, channels / groups, 8];
        let geometry = Geometry::new(&x_shape, &kernel_shape, &[1; 2], &padding, &[1; 2], groups);
        assert!(geometry.x_len() == 0 && geometry.out_len() > 0);
        Case::new(geometry).check();
    }
}

/// A window that does not fit leaves nothing to compute, and a gradient of zeros.
#[test]
fn an_empty_output_has_gradients_of_zeros() {
    for x_shape in [[2, 1, 3, 3, 4], [2, 3, 1, 3, 4], [2, 3, 3, 1, 4]] {
        let kernel_shape = [2, 2, 2, 4, 8];
        let geometry = Geometry::new(
            &x_shape,
            &kernel_shape,
            &[1; 3],
            &Padding::Valid,
            &[1; 3],
            1,
        );
        assert!(geometry.x_len() > 0 && geometry.out_len() == 0);
        Case::new(geometry).check();
    }
}

/// Sizes at which products take several blocks and tasks, where sums round: no bit may depend on the number of threads.
#[test]
fn threads_do_not_change_a_bit() {
    for (x_shape, kernel_shape, stride, groups) in [
        ([2, 30, 30, 40], [3, 3, 40, 70], 1, 1),
        ([2, 31, 30, 16], [3, 3, 8, 64], 2, 2),
        ([2, 40, 40, 70], [3, 3, 1, 70], 1, 70),
        ([2, 40, 40, 70], [5, 5, 1, 140], 2, 70),
        ([2, 30, 31, 36], [3, 3, 6, 24], 1, 6),
        ([4, 28, 28, 1], [5, 5, 1, 32], 1, 1),
        ([2, 60, 61, 3], [3, 3, 3, 64], 1, 1),
        ([2, 61, 60, 7], [5, 5, 7, 33], 2, 1),
    ] {
        let geometry = Geometry::new(
            &x_shape,
            &kernel_shape,
            &[stride; 2],
            &Padding::Same,
            &[1; 2],
            groups,
        );
        let noise = |len: usize, seed: u32| -> Vec<f32> {
            let mut state = seed;
            std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .take(len)
            .collect()
        };
        let (x, kernel) = (noise(geometry.x_len(), 1), noise(geometry.kernel_len(), 2));
        let g = noise(geometry.out_len(), 3);
        let results = |threads| {
            with_threads(threads, || {
                let scratch = |pass| vec![f32::NAN; scratch_len::<f32>(pass, &geometry)];
                let mut out = [
                    vec![0.0; g.len()],
                    vec![0.0; x.len()],
                    vec![0.0; kernel.len()],
                ];
                let [y, dx, dk] = &mut out;
                forward(
                    &geometry,
                    &x,
                    &kernel,
                    Epilogue::default(),
                    y,
                    &mut scratch(Pass::Forward),
                );
                input_gradient(
                    &geometry,
                    &g,
                    &kernel,
                    dx,
                    &mut scratch(Pass::InputGradient),
                );
                kernel_gradient(&geometry, &x, &g, dk, &mut scratch(Pass::KernelGradient));
                out
            })
        };
        for_each_isa(|_| {
            let one = results(1);
            for threads in [2, 3] {
                assert!(results(threads) == one, "{geometry:?}");
            }
        });
    }
}
