//! What this machine can do at most, measured: the yardstick of benchmarks.
use std::hint::black_box;
use std::time::Instant;

use simd::{Float, Isa, Lanes, Task, dispatch};

/// Steps of the timed loop: about a tenth of a millisecond.
const STEPS: usize = 50_000;

/// Independent sums: enough to hide the latency of a multiply-add, few enough for the registers of AVX2.
const SUMS: usize = 12;

/// The greatest rate of `f32` multiply-adds of one core, in floating-point operations per second (two per multiply-add), as
/// measured within about 30 milliseconds.
pub fn fma_peak() -> f64 {
    (0..200)
        .map(|_| {
            let start = Instant::now();
            let operations = fma_burst();
            operations / start.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max)
}

/// Multiplies and adds for about a tenth of a millisecond, nothing else; returns the floating-point operations done. For
/// whoever times it beside something: the frequency of a core changes.
pub fn fma_burst() -> f64 {
    dispatch(Chains)
}

struct Chains;

impl Task for Chains {
    type Output = f64;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f64 {
        let mut sums = [isa.splat(black_box(1.0)); SUMS];
        let (x, y) = (isa.splat(black_box(0.5)), isa.splat(black_box(0.25)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = sum.mul_add(x, y);
            }
        }
        let total = sums.into_iter().fold(x, |a, b| a + b);
        black_box(total.sum());
        (2 * STEPS * SUMS * I::F32::LEN) as f64
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn measures_something() {
        assert!(super::fma_peak() > 1e8);
    }
}
