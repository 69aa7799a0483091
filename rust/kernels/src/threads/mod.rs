//! The one door to threads: a small fork-join pool, its budget of cores, and the floating-point mode of a run.
//!
//! A parallel region shares an index range among the calling thread and parked workers ([`Shares`]).
//! A warm region allocates nothing. A run opens one region after another: while it lives, workers look out for the next one
//! for a moment before they park ([`Run`]); once it ends nothing spins. A region opened inside another one, or while another
//! thread uses the pool, runs on its caller, so every caller always makes progress. Threads that must meet between steps are a
//! [`team`], of those alone who are there.

mod budget;
mod denormals;
mod disjoint;
mod pool;
mod shares;
mod team;
#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;

pub use budget::{num_threads, set_num_threads};
pub use denormals::FlushDenormals;
pub use disjoint::Disjoint;
pub use pool::Run;
use pool::{IN_REGION, Job, Pool};
use shares::Shares;
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

/// Has `workers` share `0..tasks`: each calls `body` once, with the tasks that it takes in turn and `worker_len` items of the
/// scratch for itself.
pub fn share_tasks<T: Send>(
    tasks: usize,
    workers: usize,
    scratch: &mut [T],
    worker_len: usize,
    body: impl Fn(Tasks<'_>, &mut [T]) + Sync,
) {
    if workers == 1 {
        return body(Tasks(Source::Alone(0..tasks)), &mut scratch[..worker_len]);
    }
    let shares = Shares::new(workers, tasks, 1);
    let scratch = Disjoint::new(scratch);
    parallel_for(workers, 1, |range| {
        for worker in range {
            // SAFETY: one part per worker.
            let part = unsafe { scratch.slice_mut(worker * worker_len..(worker + 1) * worker_len) };
            body(Tasks(Source::Shared(&shares)), part);
        }
    });
}

/// The tasks that a worker of [`share_tasks`] takes.
pub struct Tasks<'a>(Source<'a>);

/// Where a worker's tasks come from.
enum Source<'a> {
    /// All are its own.
    Alone(Range<usize>),
    Shared(&'a Shares),
}

impl Iterator for Tasks<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match &mut self.0 {
            Source::Alone(tasks) => tasks.next(),
            Source::Shared(shares) => shares.take().map(|range| range.start),
        }
    }
}
