//! How the threads of a region share its items.
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::LINE_ITEMS;
use super::pool::SEAT;

/// The most threads that have a share of their own.
const MOST_SHARES: usize = 16;

/// Items that threads take in turn, `step` at a time. Each thread begins with a share of its own, the same part of every region:
/// what it wrote in one lies in its core's cache when it reads it in the next. Then it takes from the others' shares.
pub(super) struct Shares {
    /// The first item of each share that nobody took.
    next: [Line; MOST_SHARES],
    count: usize,
    pub(super) n: usize,
    step: usize,
}

impl Shares {
    pub(super) fn new(threads: usize, n: usize, step: usize) -> Shares {
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

    pub(super) fn take(&self) -> Option<Range<usize>> {
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
    pub(super) fn clear(&self) {
        let shares = self.next.iter();
        shares.for_each(|next| next.0.store(self.n, Ordering::Relaxed));
    }
}

/// A number on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Line(pub AtomicUsize);
