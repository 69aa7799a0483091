//! Threads that work at the same time and meet between steps.
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::pool::{lock, look_out};
use super::shares::Line;
use super::{num_threads, parallel_for};

/// The most members of a team: each looks at all the others when they meet.
const MOST_MEMBERS: usize = 16;

/// How long the first member waits for the others: a worker that looks out takes less than a microsecond, a parked one some.
const GATHERING: Duration = Duration::from_micros(20);

/// Turns of looking at another member before its core may be needed by someone else.
const TURNS: usize = 1 << 12;

/// Has each of up to `most` threads call `body` once, all at the same time, so that they may [meet](Member::meet). Who does not
/// turn up at once is left out: inside a region, or without a free worker, the caller is alone. A panic of `body` reaches the
/// caller.
pub fn team(most: usize, body: &(dyn Fn(&Member<'_>) + Sync)) {
    let most = most.min(num_threads()).clamp(1, MOST_MEMBERS);
    let team = Team::default();
    parallel_for(most, 1, |range| {
        let expected = if range.len() == most { 1 } else { most };
        if let Some(member) = team.join(expected) {
            let done = catch_unwind(AssertUnwindSafe(|| body(&member)));
            if let Err(panic) = done {
                // The first one is kept, then the others learn of it.
                lock(&team.panic).get_or_insert(panic);
                team.failed.store(true, Ordering::Release);
            }
        }
    });
    if let Some(panic) = lock(&team.panic).take() {
        resume_unwind(panic);
    }
}

#[derive(Default)]
struct Team {
    /// The members, and [`CLOSED`] once nobody may join any more.
    joined: AtomicUsize,
    /// How often each member came to meet the others.
    met: [Line; MOST_MEMBERS],
    failed: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

const CLOSED: usize = 1 << 16;

impl Team {
    /// Makes this thread a member, unless the team is at work already; the first one waits a moment for `expected` in all.
    fn join(&self, expected: usize) -> Option<Member<'_>> {
        let join = |joined: usize| (joined < CLOSED).then_some(joined + 1);
        let (order, load) = (Ordering::AcqRel, Ordering::Acquire);
        let index = self.joined.fetch_update(order, load, join).ok()?;
        if index == 0 {
            look_out(GATHERING, || true, || self.joined.load(load) >= expected);
            self.joined.fetch_or(CLOSED, order);
        } else {
            until(|| self.joined.load(load) >= CLOSED);
        }
        Some(Member {
            team: self,
            index,
            count: self.joined.load(load) - CLOSED,
            met: Cell::new(0),
        })
    }
}

/// Waits for something that another thread is about to do.
fn until(seen: impl Fn() -> bool) {
    let mut turn = 0;
    while !seen() {
        if turn < TURNS {
            turn += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// A thread of a [`team`].
pub struct Member<'a> {
    team: &'a Team,
    index: usize,
    count: usize,
    met: Cell<usize>,
}

impl Member<'_> {
    /// Which member this is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of members.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Waits until all members have come here as often; what they wrote before may be read then.
    pub fn meet(&self) {
        let times = self.met.get() + 1;
        self.met.set(times);
        let met = &self.team.met[..self.count];
        met[self.index].0.store(times, Ordering::Release);
        for other in met {
            let failed = || self.team.failed.load(Ordering::Acquire);
            let there = || other.0.load(Ordering::Acquire) >= times;
            until(|| there() || failed());
            if !there() {
                // The panic that made the other one fail is the one to be reported.
                resume_unwind(Box::new("a member of the team failed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::Run;
    use crate::threads::tests::{square_all, with_threads};

    /// Has a team take turns; gives the number of its members.
    fn turns_of_a_team(most: usize) -> usize {
        let steps = 500;
        let counts: [AtomicUsize; 4] = std::array::from_fn(|_| AtomicUsize::new(0));
        let members = AtomicUsize::new(0);
        team(most, &|member| {
            members.fetch_max(member.count(), Ordering::Relaxed);
            for step in 1..=steps {
                counts[member.index()].store(step, Ordering::Relaxed);
                member.meet();
                for count in &counts[..member.count()] {
                    assert!([step, step + 1].contains(&count.load(Ordering::Relaxed)));
                }
            }
        });
        let members = members.into_inner();
        for count in &counts[..members] {
            assert_eq!(count.load(Ordering::Relaxed), steps);
        }
        members
    }

    #[test]
    fn members_of_a_team_meet() {
        for threads in [1, 2, 4] {
            with_threads(threads, || {
                let most = (0..20).map(|_| turns_of_a_team(threads)).max();
                assert!(most >= Some(1) && most <= Some(threads));
            });
        }
        with_threads(2, || {
            // A worker that looks out turns up, at least once in a while.
            let _run = Run::enter();
            assert!((0..1000).any(|_| turns_of_a_team(2) == 2));
        });
    }

    #[test]
    fn a_team_inside_a_region_is_its_caller() {
        with_threads(3, || {
            parallel_for(6, 1, |range| {
                for _ in range {
                    assert_eq!(turns_of_a_team(3), 1);
                }
            });
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..20).for_each(|_| assert!(turns_of_a_team(3) > 0)));
                }
            });
        });
    }

    #[test]
    fn a_member_that_panics_stops_its_team() {
        with_threads(3, || {
            for victim in [0, 1, 2] {
                for _ in 0..20 {
                    let result = catch_unwind(|| {
                        team(3, &|member| {
                            for step in 0..10 {
                                let last = member.index() == victim.min(member.count() - 1);
                                assert!(!last || step < 5, "step {step}");
                                member.meet();
                            }
                        });
                    });
                    let panic = result.unwrap_err();
                    assert_eq!(panic.downcast_ref::<String>().unwrap(), "step 5");
                }
                square_all(1000, 1);
            }
        });
    }
}
