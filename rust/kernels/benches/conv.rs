//! Convolutions and their gradients as shares of the peak measured in the same run:
//! `cargo bench -p cornu-kernels --bench conv [part of a name] [threads] [direct]`; `direct` turns Winograd's way off.
mod measure;

use kernels::conv::{Geometry, Padding, Pass, run, scratch_len};
use kernels::gemm::Epilogue;
use kernels::threads::set_num_threads;
use measure::{clock, measure};

/// (name, side of the input, channels, side of the kernel, filters, stride, groups), all with the padding "same".
const CASES: [(&str, usize, usize, usize, usize, usize, usize); 21] = [
    ("resnet stem", 224, 3, 7, 64, 2, 1),
    ("resnet 56", 56, 64, 3, 64, 1, 1),
    ("resnet 28", 28, 128, 3, 128, 1, 1),
    ("resnet 14", 14, 256, 3, 256, 1, 1),
    ("resnet 7", 7, 512, 3, 512, 1, 1),
    ("resnet wide", 56, 64, 1, 256, 1, 1),
    ("resnet narrow", 14, 1024, 1, 256, 1, 1),
    ("resnet half", 56, 256, 1, 512, 2, 1),
    ("resnet 3x3/2", 28, 128, 3, 256, 2, 1),
    ("mobilenet stem", 224, 3, 3, 32, 2, 1),
    ("mobilenet wide", 14, 96, 1, 576, 1, 1),
    ("mobilenet depth/2", 112, 96, 3, 96, 2, 96),
    ("mobilenet depth", 56, 144, 3, 144, 1, 144),
    ("efficient depth", 28, 240, 5, 240, 1, 240),
    ("efficient depth/2", 14, 672, 5, 672, 2, 672),
    ("resnext grouped", 56, 128, 3, 128, 1, 32),
    ("unet", 128, 64, 3, 64, 1, 1),
    ("lenet 1", 28, 1, 5, 6, 1, 1),
    ("lenet 2", 14, 6, 5, 16, 1, 1),
    ("digits 28", 28, 1, 3, 32, 1, 1),
    ("digits 8", 8, 1, 3, 32, 1, 1),
];

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let threads = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(1);
    let name_part = args
        .iter()
        .find(|arg| arg.parse::<usize>().is_err() && *arg != "direct");
    set_num_threads(threads);
    println!("{:?}, {threads} threads", simd::level());
    for (name, side, channels, size, filters, stride, groups) in CASES {
        if name_part.is_some_and(|part| !name.contains(part.as_str())) {
            continue;
        }
        for batch in [1, 8] {
            let mut geometry = Geometry::new(
                &[batch, side, side, channels],
                &[size, size, channels / groups, filters],
                &[stride; 2],
                &Padding::Same,
                &[1; 2],
                groups,
            );
            geometry.winograd = !args.iter().any(|arg| arg == "direct");
            let data = |len: usize| -> Vec<f32> {
                (0..len)
                    .map(|i| (i * 7919 % 31) as f32 / 16.0 - 1.0)
                    .collect()
            };
            let (x, kernel) = (data(geometry.x_len()), data(geometry.kernel_len()));
            let g = data(geometry.out_len());
            let operations = 2.0 * (geometry.out_len() * geometry.depth()) as f64;
            print!("{name:18} {batch}");
            for (pass, operands, len) in [
                (Pass::Forward, [&x, &kernel], g.len()),
                (Pass::InputGradient, [&g, &kernel], x.len()),
                (Pass::KernelGradient, [&x, &g], kernel.len()),
            ] {
                let mut out = vec![0.0; len];
                let mut scratch = vec![0.0; scratch_len::<f32>(pass, &geometry)];
                let operands = operands.map(|operand| &operand[..]);
                let (time, peak) = measure(clock(threads), || {
                    run(
                        pass,
                        &geometry,
                        operands,
                        Epilogue::default(),
                        &mut out,
                        &mut scratch,
                    );
                });
                let rate = operations / time;
                print!(
                    "  {:9.1} us {:6.1} GFLOP/s {:4.2}",
                    time * 1e6,
                    rate / 1e9,
                    rate / peak / threads as f64,
                );
            }
            println!();
        }
    }
}
