//! The worst error of each function over every `f32` whose result is a normal number, in units of the last place.
//!
//! `cargo bench --package cornu-simd --bench ulps -- [name]`. Functions of two numbers are tried on two billion pairs.
#[path = "../tests/math/functions.rs"]
mod functions;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use functions::{Apply, ApplyTwo, CASES, OF_TWO, ulps};
use simd::dispatch;

/// Numbers that are computed at once.
const BLOCK: u32 = 1 << 16;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    println!("under {:?}", simd::level());
    // Some have two ranges for the tests.
    let cases = CASES.chunk_by(|a, b| a.name == b.name);
    for case in cases
        .map(|of_one| &of_one[0])
        .filter(|case| wanted(case.name))
    {
        let most = match case.name {
            "bounded_exp" => case.range.1,
            _ => f32::MAX,
        };
        let worst = worst_of(&|block| {
            let x: Vec<f32> = (0..BLOCK)
                .map(|i| f32::from_bits(block * BLOCK + i))
                .filter(|x| x.is_finite() && *x <= most)
                .collect();
            let mut y = x.clone();
            dispatch(Apply(case.name, &mut y));
            let errors = x.iter().zip(&y).map(|(&x, &y)| {
                let expected = (case.reference)(f64::from(x));
                (error(y, expected), [x, 0.0])
            });
            errors.fold(NONE, greater)
        });
        println!("{:12} {:.3} at {:e}", case.name, worst.0, worst.1[0]);
    }
    for (name, reference) in OF_TWO.iter().filter(|(name, _)| wanted(name)) {
        let worst = worst_of(&|block| {
            let mut state = u64::from(block).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut numbers = || -> Vec<f32> {
                (0..BLOCK / 2)
                    .map(|_| {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        // Near one, where powers are neither zero nor infinite, or anywhere.
                        match state & 3 {
                            0 => f32::from_bits((state >> 32) as u32),
                            _ => ((state >> 40) as f32 / (1 << 20) as f32 - 8.0).exp2(),
                        }
                    })
                    .collect()
            };
            let (x, y) = (numbers(), numbers());
            let mut z = y.clone();
            dispatch(ApplyTwo(name, &x, &mut z));
            let pairs = x.iter().zip(&y).zip(&z);
            let errors = pairs.map(|((&x, &y), &z)| {
                let expected = reference(f64::from(x), f64::from(y));
                (error(z, expected), [x, y])
            });
            errors.fold(NONE, greater)
        });
        println!(
            "{name:12} {:.3} at {:e}, {:e}",
            worst.0, worst.1[0], worst.1[1]
        );
    }
}

type Worst = (f64, [f32; 2]);
const NONE: Worst = (0.0, [0.0; 2]);

fn greater(a: Worst, b: Worst) -> Worst {
    if b.0 > a.0 || b.0.is_nan() { b } else { a }
}

/// The error of a number, where the true value is normal.
fn error(found: f32, expected: f64) -> f64 {
    if (expected as f32).is_normal() {
        ulps(found, expected)
    } else {
        0.0
    }
}

/// The worst that `of` finds in all blocks, on all cores.
fn worst_of(of: &(dyn Fn(u32) -> Worst + Sync)) -> Worst {
    let (next, worst) = (AtomicU32::new(0), Mutex::new(NONE));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let block @ 0..BLOCK = next.fetch_add(1, Ordering::Relaxed) {
                    let found = of(block);
                    let mut worst = worst.lock().expect("no thread panics");
                    *worst = greater(*worst, found);
                }
            });
        }
    });
    worst.into_inner().expect("no thread panics")
}
