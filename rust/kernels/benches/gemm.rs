//! Matrix products as shares of the peak measured in the same run: `cargo bench -p cornu-kernels --bench gemm [filter]`.
mod measure;

use kernels::gemm::{Gemm, Operand, Packed, Side, Strided};
use kernels::threads::set_num_threads;
use measure::{clock, measure};

/// How the right side comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Transposed,
    Packed,
}

const CASES: [(&str, [usize; 3], Kind); 14] = [
    ("square", [1024, 1024, 1024], Kind::Plain),
    ("square", [1024, 1024, 1024], Kind::Transposed),
    ("square", [1024, 1024, 1024], Kind::Packed),
    ("square", [256, 256, 256], Kind::Plain),
    ("square", [64, 64, 64], Kind::Plain),
    ("square", [2000, 2000, 2000], Kind::Plain),
    ("dense", [32, 512, 784], Kind::Plain),
    ("dense", [128, 512, 784], Kind::Plain),
    ("dense", [32, 1024, 1024], Kind::Transposed),
    ("conv", [3136, 64, 576], Kind::Packed),
    ("conv", [196, 256, 2304], Kind::Packed),
    ("conv", [12544, 64, 64], Kind::Packed),
    ("vector", [1, 4096, 1024], Kind::Plain),
    ("vector", [1, 1000, 2048], Kind::Transposed),
];

/// Prints the time per item of packing all panels of both sides of a square product.
fn packing() {
    let n = 1024;
    let a = vec![1.0f32; n * n];
    for (name, width, side) in [
        ("left", 6, Strided::left(&a, n, n, false)),
        ("right", 16, Strided::right(&a, n, n, false)),
    ] {
        let mut panel = vec![0.0; 16 * 256];
        let (time, _) = measure(clock(1), || {
            for depth in (0..n).step_by(256) {
                for line in (0..n - width).step_by(width) {
                    side.pack(line..line + width, depth..depth + 256, width, &mut panel);
                }
            }
        });
        println!("{name} {:.3} ns per item", time / (n * n) as f64 * 1e9);
    }
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    println!("{:?}", simd::level());
    packing();
    for (name, size, kind) in CASES {
        if filter.as_ref().is_some_and(|f| !name.contains(f.as_str())) {
            continue;
        }
        let [m, n, k] = size;
        let a: Vec<f32> = (0..m * k).map(|i| (i % 17) as f32 / 16.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i % 13) as f32 / 16.0).collect();
        let left = Strided::left(&a, m, k, false);
        let right = Strided::right(&b, k, n, kind == Kind::Transposed);
        let mut panels = vec![0.0; Packed::<f32>::len(simd::level(), n, k) + 16];
        let aligned = panels.as_ptr().align_offset(64);
        let packed = Packed::pack(simd::level(), &right, n, k, &mut panels[aligned..]);
        let mut c = vec![0.0; m * n];
        for threads in [1, 2] {
            set_num_threads(threads);
            let right = match kind {
                Kind::Packed => Side::Packed(packed),
                _ => Side::Strided(right),
            };
            let gemm = Gemm::new(m, n, k, left, right);
            let mut scratch = vec![0.0; gemm.scratch_len()];
            let (time, peak) = measure(clock(threads), || gemm.run(&mut c, n, &mut scratch));
            let rate = 2.0 * (m * n * k) as f64 / time;
            println!(
                "{name:8} {:16} {:10} {threads} threads {:9.1} us {:7.1} of {:.1} GFLOP/s: {:5.2}",
                format!("{m}x{n}x{k}"),
                format!("{kind:?}"),
                time * 1e6,
                rate / 1e9,
                peak * threads as f64 / 1e9,
                rate / peak / threads as f64,
            );
        }
    }
}
