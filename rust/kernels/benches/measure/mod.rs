//! How benchmarks take their times: beside bursts of multiply-adds, whose rate is the yardstick.
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kernels::peak::fma_burst;

/// Seconds that this thread has run, so that other processes on its core do not count; elsewhere than on Linux, seconds that passed.
fn seconds_of_thread() -> f64 {
    #[cfg(target_os = "linux")]
    {
        #[repr(C)]
        struct Timespec {
            seconds: i64,
            nanoseconds: i64,
        }
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
        }
        const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
        let mut time = Timespec {
            seconds: 0,
            nanoseconds: 0,
        };
        // SAFETY: the libc call with its own struct.
        unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) };
        time.seconds as f64 + time.nanoseconds as f64 * 1e-9
    }
    #[cfg(not(target_os = "linux"))]
    seconds()
}

/// Seconds that passed.
fn seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// The best time of a call by that clock and the best rate of bursts of multiply-adds in between, over about a third of a second: other
/// work on the machine only adds to either.
pub fn measure(clock: fn() -> f64, mut call: impl FnMut()) -> (f64, f64) {
    call();
    let (mut time, mut peak) = (f64::INFINITY, 0.0_f64);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(300) {
        let start = seconds_of_thread();
        let operations = fma_burst();
        peak = peak.max(operations / (seconds_of_thread() - start));
        let start = clock();
        call();
        time = time.min(clock() - start);
    }
    (time, peak)
}

/// The clock of a measurement on so many threads.
pub fn clock(threads: usize) -> fn() -> f64 {
    if threads == 1 {
        seconds_of_thread
    } else {
        seconds
    }
}
