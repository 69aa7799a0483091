//! Regions, their threads and their ends.
use std::hint::black_box;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::budget::{default_threads, physical_cores};
use super::denormals::FLUSH;
use super::pool::{SEAT, lock};
use super::*;

/// Runs with `n` threads; such tests run one at a time, as the setting is the process's.
pub(crate) fn with_threads<R>(n: usize, f: impl FnOnce() -> R) -> R {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    set_num_threads(n);
    let result = f();
    set_num_threads(0);
    result
}

pub(crate) fn square_all(n: usize, grain: usize) {
    let mut out = vec![0usize; n];
    parallel_chunks_mut(&mut out, 3, grain, |index, chunk| {
        for (i, item) in chunk.iter_mut().enumerate() {
            *item += (index * 3 + i).pow(2);
        }
    });
    assert!(out.iter().enumerate().all(|(i, &item)| item == i * i));
}

#[test]
fn covers_every_item_once() {
    for threads in [1, 2, 5] {
        with_threads(threads, || {
            for n in [0, 1, 2, 3, 7, 100, 1000, 4097, 100_000] {
                for grain in [0, 1, 3, 64, 5000] {
                    square_all(n, grain);
                }
            }
        });
    }
}

#[test]
fn a_thread_begins_with_its_own_share() {
    let taken = |threads, n, step, seat| {
        SEAT.set(seat);
        let shares = Shares::new(threads, n, step);
        let ranges: Vec<_> = std::iter::from_fn(|| shares.take()).collect();
        SEAT.set(0);
        ranges
    };
    assert_eq!(taken(1, 5, 2, 0), [0..2, 2..4, 4..5]);
    assert_eq!(taken(2, 10, 3, 0), [0..3, 3..5, 5..8, 8..10]);
    assert_eq!(taken(2, 10, 3, 1), [5..8, 8..10, 0..3, 3..5]);
    assert_eq!(taken(2, 1, 1, 3), std::slice::from_ref(&(0..1)));
    // Long ranges keep to cache lines.
    let long = [320..576, 576..700, 0..256, 256..320];
    assert_eq!(taken(2, 700, 256, 1), long);
    assert_eq!(taken(40, 64, 1, 39).len(), 64);
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_spins_once_a_run_ends() {
    // User and system time of the process, in hundredths of a second.
    let used = || -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        fields[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum()
    };
    with_threads(4, || {
        let run = Run::enter();
        for _ in 0..100 {
            square_all(1000, 1);
        }
        drop(run);
        let before = used();
        std::thread::sleep(Duration::from_millis(300));
        assert!(used() - before < 15);
    });
}

#[test]
fn small_work_stays_on_the_caller() {
    with_threads(4, || {
        let caller = std::thread::current().id();
        parallel_for(100, 51, |range| {
            assert_eq!(range, 0..100);
            assert_eq!(std::thread::current().id(), caller);
        });
    });
}

#[test]
fn several_threads_work() {
    with_threads(2, || {
        // Each half waits for the other, so one thread alone could never finish.
        let met = AtomicUsize::new(0);
        parallel_for(2, 1, |_| {
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn nested_regions_run_inline() {
    with_threads(3, || {
        let count = AtomicUsize::new(0);
        parallel_for(8, 1, |outer| {
            let thread = std::thread::current().id();
            parallel_for(100, 1, |inner| {
                assert_eq!(std::thread::current().id(), thread);
                count.fetch_add(outer.len() * inner.len(), Ordering::Relaxed);
            });
        });
        assert_eq!(count.into_inner(), 800);
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_survives() {
    with_threads(3, || {
        for victim in [0, 50, 99] {
            let result = catch_unwind(|| {
                parallel_for(100, 1, |range| {
                    assert!(!range.contains(&victim), "item {victim}")
                });
            });
            let panic = result.unwrap_err();
            assert_eq!(
                panic.downcast_ref::<String>().unwrap(),
                &format!("item {victim}")
            );
            square_all(1000, 1);
        }
    });
}

#[test]
fn many_callers_at_once_all_progress() {
    with_threads(3, || {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        square_all(500, 1);
                    }
                });
            }
        });
    });
}

#[test]
fn denormals_flush_in_workers_and_come_back() {
    let tiny = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
    with_threads(3, || {
        assert!(tiny() > 0.0);
        {
            let _guard = FlushDenormals::enter();
            if FLUSH != 0 {
                parallel_for(1000, 1, |_| assert_eq!(tiny(), 0.0));
            }
        }
        assert!(tiny() > 0.0);
        parallel_for(1000, 1, |_| assert!(tiny() > 0.0));
    });
}

#[test]
#[cfg(unix)]
fn a_forked_child_makes_its_own_pool() {
    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
    }
    with_threads(3, || {
        square_all(1000, 1);
        // Another thread keeps the parent's pool at work, so that its lock may be held at the fork.
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    parallel_for(64, 1, |_| {});
                }
            });
            for _ in 0..10 {
                // SAFETY: the child computes on memory of its own, opens no lock of the parent's and ends by `_exit`.
                unsafe {
                    let child = fork();
                    if child == 0 {
                        let fine = catch_unwind(|| {
                            let sum = AtomicUsize::new(0);
                            parallel_for(1000, 1, |range| {
                                sum.fetch_add(range.sum::<usize>(), Ordering::Relaxed);
                            });
                            sum.into_inner() == 499_500
                        });
                        _exit(i32::from(!matches!(fine, Ok(true))));
                    }
                    let mut status = -1;
                    assert_eq!(waitpid(child, &raw mut status, 0), child);
                    assert_eq!(status, 0);
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn the_budget_is_at_least_one_thread() {
    assert!(default_threads() >= 1);
    assert!(physical_cores().is_none_or(|cores| cores >= 1));
    assert_eq!(grain(0), TASK_COST);
    assert_eq!(grain(usize::MAX), 1);
}
