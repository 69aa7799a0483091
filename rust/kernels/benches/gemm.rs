//! Matrix products as shares of the peak measured in the same run: `cargo bench -p cornu-kernels --bench gemm [filter]`.
mod measure;

use kernels::gemm::{Gemm, Packed, Side, Strided};
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

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    println!("{:?}", simd::level());
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
