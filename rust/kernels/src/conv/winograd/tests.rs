//! Both tiles and all passes against the definition in double precision.

use proptest::prelude::*;
use simd::for_each_isa;

use super::*;
use crate::conv::{Form, Padding, forward, prepare, prepared_len, prepared_scratch_len};
use crate::conv::{input_gradient, run_prepared};
use crate::gemm::Epilogue;
use crate::threads::tests::with_threads;

/// Numbers between -1 and 1.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(len)
    .collect()
}

/// The result of a problem by its definition.
fn definition(problem: &Problem, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f64> {
    let ([height, width], [rows, across]) = (problem.input, problem.output);
    let mut out = Vec::new();
    for place in 0..problem.images * rows * across * problem.columns {
        let (position, column) = (place / problem.columns, place % problem.columns);
        let (image, i, j) = (
            position / (rows * across),
            position / across % rows,
            position % across,
        );
        let mut sum = bias.map_or(0.0, |bias| f64::from(bias[column]));
        for tap in 0..9 {
            let y = (i + tap / 3) as isize - problem.low[0];
            let z = (j + tap % 3) as isize - problem.low[1];
            if !(0..height as isize).contains(&y) || !(0..width as isize).contains(&z) {
                continue;
            }
            let row = (image * height + y as usize) * width + z as usize;
            for d in 0..problem.depth {
                let weight = if problem.backward {
                    kernel[((8 - tap) * problem.columns + column) * problem.depth + d]
                } else {
                    kernel[(tap * problem.depth + d) * problem.columns + column]
                };
                sum += f64::from(x[row * problem.depth + d]) * f64::from(weight);
            }
        }
        out.push(sum);
    }
    out
}

/// The gradient of the kernel by its definition.
fn gradient_definition(problem: &Problem, x: &[f32], g: &[f32]) -> Vec<f64> {
    let ([height, width], [rows, across]) = (problem.input, problem.output);
    let mut out = vec![0.0; 9 * problem.depth * problem.columns];
    for (index, tap) in out
        .chunks_exact_mut(problem.depth * problem.columns)
        .enumerate()
    {
        for position in 0..problem.images * rows * across {
            let (image, i, j) = (
                position / (rows * across),
                position / across % rows,
                position % across,
            );
            let y = (i + index / 3) as isize - problem.low[0];
            let z = (j + index % 3) as isize - problem.low[1];
            if !(0..height as isize).contains(&y) || !(0..width as isize).contains(&z) {
                continue;
            }
            let row = (image * height + y as usize) * width + z as usize;
            let g = &g[position * problem.columns..][..problem.columns];
            for (tap, x) in tap
                .chunks_exact_mut(problem.columns)
                .zip(&x[row * problem.depth..])
            {
                for (out, g) in tap.iter_mut().zip(g) {
                    *out += f64::from(*x) * f64::from(*g);
                }
            }
        }
    }
    out
}

/// The gradient of the kernel by tiles of a size.
fn run_gradient(problem: &Problem, tile: Tile, x: &[f32], g: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; 9 * problem.depth * problem.columns];
    let mut scratch = vec![f32::NAN; kernel_gradient_scratch_len(problem, tile)];
    kernel_gradient(problem, tile, x, g, &mut out, &mut scratch);
    out
}

/// The greatest difference, as a share of the greatest result, or of a usual one where all happen to be small: sums of so many
/// products of noise.
fn error(out: &[f32], expected: &[f64], products: usize) -> f64 {
    let usual = (products as f64).sqrt() / 3.0;
    let greatest = expected.iter().fold(usual, |a: f64, b| a.max(b.abs()));
    let pairs = out.iter().zip(expected);
    let difference = pairs.fold(0.0, |a: f64, (x, y)| a.max((f64::from(*x) - y).abs()));
    assert!(out.iter().all(|x| x.is_finite()));
    difference / greatest
}

/// Runs a pass with both tiles; whole results, padding and all, must be written.
fn check(pass: Pass, geometry: &Geometry) {
    let problem = Problem::new(pass, geometry).unwrap();
    let x = noise(
        problem.images * problem.input[0] * problem.input[1] * problem.depth,
        1,
    );
    let kernel = noise(9 * problem.depth * problem.columns, 2);
    let bias = (pass == Pass::Forward).then(|| noise(problem.columns, 3));
    let expected = definition(&problem, &x, &kernel, bias.as_deref());
    let relu: Vec<f64> = expected.iter().map(|x| x.max(0.0)).collect();
    for tile in [Tile::Two, Tile::Four] {
        for (activation, expected) in [(None, &expected), (Some(Activation::Relu), &relu)] {
            let operands = [&x[..], &kernel];
            let epilogue = Epilogue {
                bias: bias.as_deref(),
                activation,
                add: false,
            };
            let out = run_tile(pass, geometry, tile, operands, epilogue);
            let found = error(&out, expected, 9 * problem.depth);
            assert!(found < 3e-6, "{tile:?} {problem:?}: {found:e}");
        }
    }
}

/// The gradient of the kernel with both tiles.
fn check_gradient(geometry: &Geometry) {
    let problem = Problem::new(Pass::KernelGradient, geometry).unwrap();
    let (x, g) = (noise(geometry.x_len(), 1), noise(geometry.out_len(), 2));
    let expected = gradient_definition(&problem, &x, &g);
    let positions = geometry.batch * problem.output[0] * problem.output[1];
    for tile in [Tile::Two, Tile::Four] {
        let found = error(&run_gradient(&problem, tile, &x, &g), &expected, positions);
        assert!(found < 3e-6, "{tile:?} {problem:?}: {found:e}");
    }
}

/// The result of a pass by tiles of a size.
fn run_tile(
    pass: Pass,
    geometry: &Geometry,
    tile: Tile,
    [x, kernel]: [&[f32]; 2],
    epilogue: Epilogue<'_, f32>,
) -> Vec<f32> {
    let form = Form::Winograd(tile);
    let unset = |len: usize| vec![f32::NAN; len];
    let mut prepared = unset(prepared_len::<f32>(form, pass, geometry));
    prepare(form, pass, geometry, kernel, &mut prepared);
    let mut scratch = unset(prepared_scratch_len::<f32>(form, pass, geometry));
    let mut out = unset(match pass {
        Pass::Forward => geometry.out_len(),
        _ => geometry.x_len(),
    });
    let operands = [x, &prepared];
    run_prepared(
        form,
        pass,
        geometry,
        operands,
        epilogue,
        &mut out,
        &mut scratch,
    );
    out
}

fn geometry(x: [usize; 4], filters: usize, padding: &Padding) -> Geometry {
    let kernel = [3, 3, x[3], filters];
    Geometry::new(&x, &kernel, &[1; 2], padding, &[1; 2], 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn agrees_with_the_definition(
        (batch, height, width) in (1usize..3, 1usize..12, 1usize..12),
        (channels, filters) in (1usize..40, 1usize..40),
        pads in prop::array::uniform4(0usize..4),
    ) {
        let [a, b, c, d] = pads;
        let padding = Padding::Explicit([(a.max(1), b.max(1)), (c.max(1), d.max(1))].into_iter().collect());
        let geometry = geometry([batch, height, width, channels], filters, &padding);
        for_each_isa(|_| {
            check(Pass::Forward, &geometry);
            check(Pass::InputGradient, &geometry);
            check_gradient(&geometry);
        });
    }
}

/// Several blocks of tiles, several filters at a time, on several threads: the same bits, and an error that holds at depth.
#[test]
fn great_problems_are_exact_enough_and_the_same_on_any_threads() {
    for (x, filters) in [([2, 14, 13, 256], 140), ([1, 30, 29, 70], 33)] {
        let geometry = geometry(x, filters, &Padding::Same);
        for pass in [Pass::Forward, Pass::InputGradient] {
            let problem = Problem::new(pass, &geometry).unwrap();
            let x = noise(
                geometry.batch * problem.input[0] * problem.input[1] * problem.depth,
                1,
            );
            let kernel = noise(geometry.kernel_len(), 2);
            let expected = definition(&problem, &x, &kernel, None);
            for_each_isa(|_| {
                for tile in [Tile::Two, Tile::Four] {
                    let results = [1, 2, 3].map(|threads| {
                        with_threads(threads, || {
                            let operands = [&x[..], &kernel];
                            run_tile(pass, &geometry, tile, operands, Epilogue::default())
                        })
                    });
                    assert!(results[0] == results[1] && results[0] == results[2]);
                    let found = error(&results[0], &expected, 9 * problem.depth);
                    assert!(found < 5e-6, "{tile:?} {problem:?}: {found:e}");
                }
            });
        }
    }
}

#[test]
fn great_gradients_of_kernels_are_exact_enough_and_the_same_on_any_threads() {
    for (x, filters) in [([2, 26, 27, 40], 70), ([3, 15, 16, 33], 16)] {
        let geometry = geometry(x, filters, &Padding::Same);
        let problem = Problem::new(Pass::KernelGradient, &geometry).unwrap();
        let (x, g) = (noise(geometry.x_len(), 1), noise(geometry.out_len(), 2));
        let expected = gradient_definition(&problem, &x, &g);
        for_each_isa(|_| {
            for tile in [Tile::Two, Tile::Four] {
                let results = [1, 2, 3]
                    .map(|threads| with_threads(threads, || run_gradient(&problem, tile, &x, &g)));
                assert!(results[0] == results[1] && results[0] == results[2]);
                let found = error(&results[0], &expected, geometry.out_len() / filters);
                assert!(found < 5e-6, "{tile:?} {problem:?}: {found:e}");
            }
        });
    }
}

/// The public entries take this way, and another when they are told to.
#[test]
fn the_switch_turns_it_off() {
    let mut geometry = geometry([2, 16, 16, 64], 64, &Padding::Same);
    let (x, kernel) = (noise(geometry.x_len(), 1), noise(geometry.kernel_len(), 2));
    let mut results = Vec::new();
    for winograd in [true, false] {
        geometry.winograd = winograd;
        let mut out = [vec![0.0; geometry.out_len()], vec![0.0; geometry.x_len()]];
        let len = |pass| crate::conv::scratch_len::<f32>(pass, &geometry);
        let mut scratch = vec![0.0; len(Pass::Forward).max(len(Pass::InputGradient))];
        forward(
            &geometry,
            &x,
            &kernel,
            Epilogue::default(),
            &mut out[0],
            &mut scratch,
        );
        input_gradient(&geometry, &x, &kernel, &mut out[1], &mut scratch);
        results.push(out);
    }
    for (on, off) in results[0].iter().zip(&results[1]) {
        assert!(on != off);
        let off: Vec<f64> = off.iter().copied().map(f64::from).collect();
        assert!(error(on, &off, 9 * 64) < 5e-6);
    }
}
