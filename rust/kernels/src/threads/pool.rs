//! The pool of workers, and how they are called.
use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::denormals::{Control, float_control, set_float_control};
use super::shares::Shares;

thread_local! {
    /// Whether this thread is at work in a region: what it opens then runs inline.
    pub(super) static IN_REGION: Cell<bool> = const { Cell::new(false) };
    /// Which of the pool's workers this thread is, counted from 1; callers are 0.
    pub(super) static SEAT: Cell<usize> = const { Cell::new(0) };
}

/// One region: the ranges of `0..n`, taken in turn by whoever works on it.
pub(super) struct Job<'a> {
    shares: Shares,
    body: &'a (dyn Fn(Range<usize>) + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    control: Control,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        threads: usize,
        n: usize,
        step: usize,
        body: &'a (dyn Fn(Range<usize>) + Sync),
    ) -> Self {
        Job {
            shares: Shares::new(threads, n, step),
            body,
            panic: Mutex::new(None),
            control: float_control(),
        }
    }

    /// Works until no range is left.
    fn work(&self) {
        let nested = IN_REGION.replace(true);
        let done = catch_unwind(AssertUnwindSafe(|| {
            while let Some(range) = self.shares.take() {
                (self.body)(range);
            }
        }));
        IN_REGION.set(nested);
        if let Err(panic) = done {
            self.shares.clear();
            lock(&self.panic).get_or_insert(panic);
        }
    }
}

/// Runs that live.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// While it lives, workers without work look out for the next region before they park: waking a parked one takes longer than
/// many a step.
pub struct Run(());

impl Run {
    /// A run until the guard is dropped.
    pub fn enter() -> Self {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Run(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a thread looks out before it parks: longer than most steps take, shorter than anyone notices.
const LOOK_OUT: Duration = Duration::from_micros(100);

/// Looks out for `seen` for a moment, as long as there is a reason to; says whether it was seen.
pub(super) fn look_out(
    moment: Duration,
    reason: impl Fn() -> bool,
    seen: impl Fn() -> bool,
) -> bool {
    let start = Instant::now();
    while reason() && start.elapsed() < moment {
        for _ in 0..16 {
            if seen() {
                return true;
            }
            std::hint::spin_loop();
        }
    }
    seen()
}

/// Parked workers and the region they are called to. A pool is never freed: its workers hold it until the process ends,
/// and a forked child must leave its parent's alone, as its locks may be held by threads that the child lacks.
pub(super) struct Pool {
    process: u32,
    state: Mutex<State>,
    called: Condvar,
    left: Condvar,
    /// Regions opened so far, for those who look out for the next; changes under the lock.
    calls: AtomicUsize,
    /// Workers inside the region, for a caller who looks out for its end; changes under the lock.
    active: AtomicUsize,
}

#[derive(Default)]
struct State {
    job: Option<&'static Job<'static>>,
    /// Workers that may still join the region.
    seats: usize,
    /// Workers of the pool.
    workers: usize,
    /// Workers that sleep until they are called.
    parked: usize,
    /// Whether the caller sleeps until no worker is active.
    waiting: bool,
}

static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());

impl Pool {
    /// This process's pool.
    pub(super) fn current() -> &'static Pool {
        let process = std::process::id();
        let mut seen = POOL.load(Ordering::Acquire);
        loop {
            // SAFETY: the pointer is null or a leaked `Pool`.
            match unsafe { seen.as_ref() } {
                Some(pool) if pool.process == process => return pool,
                _ => {}
            }
            let fresh = Box::into_raw(Box::new(Pool {
                process,
                state: Mutex::default(),
                called: Condvar::new(),
                left: Condvar::new(),
                calls: AtomicUsize::new(0),
                active: AtomicUsize::new(0),
            }));
            match POOL.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: just leaked.
                Ok(_) => return unsafe { &*fresh },
                Err(other) => {
                    // SAFETY: another thread was first, so nobody else saw `fresh`.
                    drop(unsafe { Box::from_raw(fresh) });
                    seen = other;
                }
            }
        }
    }

    /// Works on `job` with up to `helpers` workers; returns when all of it is done.
    pub(super) fn run(&'static self, helpers: usize, job: &Job) {
        let mut state = lock(&self.state);
        if state.job.is_some() {
            drop(state);
            return (job.body)(0..job.shares.n);
        }
        while state.workers < helpers {
            let seat = state.workers + 1;
            let worker = std::thread::Builder::new()
                .name("cornu".into())
                .spawn(move || self.serve(seat));
            if worker.is_err() {
                // No more threads to be had: those there are do the work.
                break;
            }
            state.workers += 1;
        }
        let seats = helpers.min(state.workers);
        // SAFETY: the reference lives in `state` and in active workers alone, and this function returns (`work` catches
        // panics) only when `state` has forgotten it and no worker is active.
        state.job = Some(unsafe { std::mem::transmute::<&Job, &'static Job<'static>>(job) });
        state.seats = seats;
        self.calls.fetch_add(1, Ordering::Release);
        // The others look out, or look once more before they park.
        let asleep = seats.saturating_sub(state.workers - state.parked);
        drop(state);
        for _ in 0..asleep {
            self.called.notify_one();
        }
        job.work();
        lock(&self.state).seats = 0;
        look_out(LOOK_OUT, || true, || self.is_left());
        let mut state = lock(&self.state);
        while !self.is_left() {
            state.waiting = true;
            state = wait(&self.left, state);
        }
        state.waiting = false;
        state.job = None;
        drop(state);
        if let Some(panic) = lock(&job.panic).take() {
            resume_unwind(panic);
        }
    }

    /// A worker's life.
    fn serve(&'static self, seat: usize) {
        SEAT.set(seat);
        let mut state = lock(&self.state);
        loop {
            if let (Some(job), 1..) = (state.job, state.seats) {
                state.seats -= 1;
                self.active.fetch_add(1, Ordering::Relaxed);
                drop(state);
                set_float_control(job.control);
                job.work();
                state = lock(&self.state);
                // Nothing is left to do there.
                state.seats = 0;
                self.active.fetch_sub(1, Ordering::Release);
                if self.is_left() && state.waiting {
                    self.left.notify_one();
                }
            }
            let calls = self.calls.load(Ordering::Acquire);
            drop(state);
            let reason = || RUNS.load(Ordering::Relaxed) > 0;
            look_out(LOOK_OUT, reason, || {
                self.calls.load(Ordering::Acquire) != calls
            });
            state = lock(&self.state);
            while state.seats == 0 {
                state.parked += 1;
                state = wait(&self.called, state);
                state.parked -= 1;
            }
        }
    }

    /// Whether no worker is inside the region.
    fn is_left(&self) -> bool {
        self.active.load(Ordering::Acquire) == 0
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that may panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}
