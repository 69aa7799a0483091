//! The one door to threads: a small fork-join pool, its budget of cores, and the floating-point mode of a run.
//!
//! A parallel region shares an index range among the calling thread and parked workers ([`Shares`]).
//! A warm region allocates nothing. A run opens one region after another: while it lives, workers look out for the next one
//! for a moment before they park ([`Run`]); once it ends nothing spins. A region opened inside another one, or while another
//! thread uses the pool, runs on its caller, so every caller always makes progress. Threads that must meet between steps are a
//! [`team`], of those alone who are there.

mod team;

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use team::{Member, team};

/// Elementwise operations (about a quarter of a nanosecond each) that are worth waking a thread for:
/// a parked worker starts 5 to 20 microseconds after the call. The tests share small work too.
const TASK_COST: usize = if cfg!(test) { 64 } else { 1 << 16 };

/// Ranges handed out per thread: more balance the load, fewer repeat less of each range's set-up.
const RANGES_PER_THREAD: usize = 4;

/// Items whose multiples long ranges of an array start at: whole cache lines, whatever the items are.
const LINE_ITEMS: usize = 64;

/// The number of items, of `item_cost` elementwise operations each, that makes a range worth a thread of its own.
pub fn grain(item_cost: usize) -> usize {
    TASK_COST.div_ceil(item_cost.max(1))
}

/// Calls `body` on disjoint ranges that cover `0..n`, each of at least `grain` items, on several threads when there is
/// work for them. How `0..n` is split depends on the number of threads, so what `body` computes for an item must not
/// depend on the range that holds it. A panic of `body` reaches the caller.
pub fn parallel_for(n: usize, grain: usize, body: impl Fn(Range<usize>) + Sync) {
    if n == 0 {
        return;
    }
    let most = n / grain.max(1);
    if most < 2 || IN_REGION.get() {
        return body(0..n);
    }
    let threads = num_threads().min(most);
    if threads < 2 {
        return body(0..n);
    }
    let ranges = (most / threads).min(RANGES_PER_THREAD) * threads;
    let mut step = n.div_ceil(ranges);
    if step >= 256 {
        step = step.next_multiple_of(LINE_ITEMS);
    }
    Pool::current().run(threads - 1, &Job::new(threads, n, step, &body));
}

/// [`parallel_for`] over the pieces of `chunk_len` items of `out` (the last may be shorter): `body` takes the index of a
/// piece and the piece.
pub fn parallel_chunks_mut<T: Send>(
    out: &mut [T],
    chunk_len: usize,
    grain: usize,
    body: impl Fn(usize, &mut [T]) + Sync,
) {
    parallel_ranges_mut(out, chunk_len, grain, |range, piece| {
        for (index, chunk) in range.zip(piece.chunks_mut(chunk_len)) {
            body(index, chunk);
        }
    });
}

/// Like [`parallel_chunks_mut`], with the neighbouring pieces of a range handed over at once: `body` takes the range of
/// their indices and the part of `out` that holds them all.
pub fn parallel_ranges_mut<T: Send>(
    out: &mut [T],
    chunk_len: usize,
    grain: usize,
    body: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    assert!(chunk_len > 0, "pieces of an output hold at least one item");
    let len = out.len();
    let out = Disjoint::new(out);
    parallel_for(len.div_ceil(chunk_len), grain, |range| {
        let items = range.start * chunk_len..(range.end * chunk_len).min(len);
        // SAFETY: the ranges of a parallel region are disjoint, so are their items.
        body(range, unsafe { out.slice_mut(items) });
    });
}

/// A mutable slice whose disjoint parts are written by several threads of a region.
pub struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it gives out only `&mut [T]` that its users promise to be disjoint; `T: Send` lets them cross threads.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    /// Borrows `slice` for a region.
    pub fn new(slice: &'a mut [T]) -> Self {
        Disjoint {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// The items of `range`; panics when it leaves the slice.
    ///
    /// # Safety
    /// No two live slices given out may overlap.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice_mut(&self, range: Range<usize>) -> &mut [T] {
        self.check(&range);
        // SAFETY: within the borrowed slice, and disjoint from the others by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The items of `range`, to read; panics when it leaves the slice.
    ///
    /// # Safety
    /// No live slice that [`Disjoint::slice_mut`] gave out may overlap.
    pub unsafe fn slice(&self, range: Range<usize>) -> &[T] {
        self.check(&range);
        // SAFETY: within the borrowed slice, and nobody writes there by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    fn check(&self, range: &Range<usize>) {
        if range.start > range.end || range.end > self.len {
            leaves(range, self.len);
        }
    }
}

/// Out of the loops that check ranges.
#[cold]
#[inline(never)]
fn leaves(range: &Range<usize>, len: usize) -> ! {
    panic!("{range:?} leaves a slice of {len}");
}

/// Has `workers` share `0..tasks`: each calls `body` once, with the tasks that it takes in turn and `worker_len` items of the
/// scratch for itself.
pub fn share_tasks<T: Send>(
    tasks: usize,
    workers: usize,
    scratch: &mut [T],
    worker_len: usize,
    body: impl Fn(Tasks<'_>, &mut [T]) + Sync,
) {
    let shares = Shares::new(workers, tasks, 1);
    let scratch = Disjoint::new(scratch);
    parallel_for(workers, 1, |range| {
        for worker in range {
            // SAFETY: one part per worker.
            let part = unsafe { scratch.slice_mut(worker * worker_len..(worker + 1) * worker_len) };
            body(Tasks(&shares), part);
        }
    });
}

/// The tasks that a worker of [`share_tasks`] takes.
pub struct Tasks<'a>(&'a Shares);

impl Iterator for Tasks<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0.take().map(|range| range.start)
    }
}

/// The most threads that have a share of their own.
const MOST_SHARES: usize = 16;

/// Items that threads take in turn, `step` at a time. Each thread begins with a share of its own, the same part of every region:
/// what it wrote in one lies in its core's cache when it reads it in the next. Then it takes from the others' shares.
struct Shares {
    /// The first item of each share that nobody took.
    next: [Line; MOST_SHARES],
    count: usize,
    n: usize,
    step: usize,
}

impl Shares {
    fn new(threads: usize, n: usize, step: usize) -> Shares {
        let shares = Shares {
            next: Default::default(),
            count: threads.clamp(1, MOST_SHARES),
            n,
            step,
        };
        for (share, next) in shares.next.iter().enumerate().take(shares.count) {
            next.0.store(shares.start(share), Ordering::Relaxed);
        }
        shares
    }

    /// Where a share begins, and the one before it ends.
    fn start(&self, share: usize) -> usize {
        let unit = match self.step.is_multiple_of(LINE_ITEMS) {
            true => LINE_ITEMS,
            false => 1,
        };
        (self.n.div_ceil(unit) * share / self.count * unit).min(self.n)
    }

    fn take(&self) -> Option<Range<usize>> {
        let seat = SEAT.get();
        (seat..seat + self.count).find_map(|share| {
            let share = share % self.count;
            let (next, end) = (&self.next[share].0, self.start(share + 1));
            if next.load(Ordering::Relaxed) >= end {
                return None;
            }
            let start = next.fetch_add(self.step, Ordering::Relaxed);
            (start < end).then(|| start..(start + self.step).min(end))
        })
    }

    /// Leaves nothing to take.
    fn clear(&self) {
        let shares = self.next.iter();
        shares.for_each(|next| next.0.store(self.n, Ordering::Relaxed));
    }
}

/// A number on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Line(AtomicUsize);

// ---------------------------------------------------------------------------------------------------------------------
// The budget of cores

static NUM_THREADS: AtomicUsize = AtomicUsize::new(0);

/// The number of threads a region may use: what [`set_num_threads`] said, else `CORNU_NUM_THREADS`, else
/// `OMP_NUM_THREADS`, else the smallest of the process's affinity, its cgroup quota and its physical cores.
pub fn num_threads() -> usize {
    match NUM_THREADS.load(Ordering::Relaxed) {
        0 => {
            let n = default_threads();
            // A concurrent `set_num_threads` wins.
            match NUM_THREADS.compare_exchange(0, n, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => n,
                Err(set) => set.max(1),
            }
        }
        n => n,
    }
}

/// Sets the number of threads a region may use; 0 goes back to the default.
pub fn set_num_threads(n: usize) {
    NUM_THREADS.store(n.min(MAX_THREADS), Ordering::Relaxed);
}

/// A bound against absurd requests.
const MAX_THREADS: usize = 1024;

fn default_threads() -> usize {
    let from_env = |name: &str| {
        let value = std::env::var(name).ok()?;
        // OMP_NUM_THREADS may list one number per nesting level.
        value
            .split(',')
            .next()?
            .trim()
            .parse()
            .ok()
            .filter(|&n: &usize| n > 0)
    };
    let n = from_env("CORNU_NUM_THREADS")
        .or_else(|| from_env("OMP_NUM_THREADS"))
        .unwrap_or_else(|| {
            // The standard library heeds the affinity and the quotas of cgroup v1 and v2.
            let available = std::thread::available_parallelism().map_or(1, usize::from);
            physical_cores().map_or(available, |cores| cores.min(available))
        });
    n.min(MAX_THREADS)
}

/// Physical cores among the CPUs that this process may run on.
#[cfg(target_os = "linux")]
fn physical_cores() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cores = std::collections::BTreeSet::new();
    for span in allowed.trim().split(',') {
        let (first, last) = span.split_once('-').unwrap_or((span, span));
        for cpu in first.parse::<usize>().ok()?..=last.parse().ok()? {
            // Hardware threads of one core list the same siblings.
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            cores.insert(std::fs::read_to_string(path).ok()?);
        }
    }
    (!cores.is_empty()).then_some(cores.len())
}

#[cfg(not(target_os = "linux"))]
fn physical_cores() -> Option<usize> {
    None
}

// ---------------------------------------------------------------------------------------------------------------------
// The pool

thread_local! {
    /// Whether this thread is at work in a region: what it opens then runs inline.
    static IN_REGION: Cell<bool> = const { Cell::new(false) };
    /// Which of the pool's workers this thread is, counted from 1; callers are 0.
    static SEAT: Cell<usize> = const { Cell::new(0) };
}

/// One region: the ranges of `0..n`, taken in turn by whoever works on it.
struct Job<'a> {
    shares: Shares,
    body: &'a (dyn Fn(Range<usize>) + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    control: Control,
}

impl<'a> Job<'a> {
    fn new(threads: usize, n: usize, step: usize, body: &'a (dyn Fn(Range<usize>) + Sync)) -> Self {
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
fn look_out(moment: Duration, reason: impl Fn() -> bool, seen: impl Fn() -> bool) -> bool {
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
struct Pool {
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
    fn current() -> &'static Pool {
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
    fn run(&'static self, helpers: usize, job: &Job) {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that may panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

// ---------------------------------------------------------------------------------------------------------------------
// The floating-point mode

/// While it lives, this thread and the workers of its regions treat denormal floats as zero: sums that fade away would
/// otherwise slow down a hundredfold. Dropping it restores the thread's former mode.
pub struct FlushDenormals {
    former: Control,
    /// The mode belongs to a thread, so the guard stays on its own.
    thread: PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Flushes denormals until the guard is dropped.
    pub fn enter() -> Self {
        let former = float_control();
        set_float_control(former | FLUSH);
        FlushDenormals {
            former,
            thread: PhantomData,
        }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        set_float_control(self.former);
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    pub type Control = u32;
    /// Flush-to-zero (bit 15) and denormals-are-zero (bit 6) of MXCSR.
    pub const FLUSH: Control = 1 << 15 | 1 << 6;

    pub fn float_control() -> Control {
        let mut control = 0;
        // SAFETY: stores MXCSR to a local.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags))
        };
        control
    }

    pub fn set_float_control(control: Control) {
        // SAFETY: `control` came from `float_control`, with at most the flush bits added; no exception is unmasked and
        // results change for denormals alone.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags))
        };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    pub type Control = u64;
    /// Flush-to-zero (bit 24) of FPCR.
    pub const FLUSH: Control = 1 << 24;

    pub fn float_control() -> Control {
        let control;
        // SAFETY: reads FPCR.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags))
        };
        control
    }

    pub fn set_float_control(control: Control) {
        // SAFETY: `control` came from `float_control`, with at most the flush bit added.
        unsafe {
            std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags))
        };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub type Control = u32;
    pub const FLUSH: Control = 0;

    pub fn float_control() -> Control {
        0
    }

    pub fn set_float_control(_: Control) {}
}

use control::{Control, FLUSH, float_control, set_float_control};

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::hint::black_box;
    use std::sync::atomic::AtomicBool;

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
}
