//! Which instruction set runs: detected once, capped by `CORNU_MAX_ISA`.
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(target_arch = "x86_64")]
use crate::{Avx2, Avx512};
use crate::{Isa, Portable, Task};

/// The instruction sets, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Lane arrays, compiled for the target's baseline.
    Scalar = 1,
    /// AVX2 with FMA.
    Avx2 = 2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512 = 3,
}

impl Level {
    const ALL: [Level; 3] = [Level::Scalar, Level::Avx2, Level::Avx512];

    /// Its name, as `CORNU_MAX_ISA` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// Whether this machine runs it (whatever `CORNU_MAX_ISA` says).
    pub fn is_supported(self) -> bool {
        match self {
            Level::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

/// The level in use; zero until it is detected.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level that [`dispatch`] uses.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Scalar,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => detect(),
    }
}

#[cold]
fn detect() -> Level {
    let cap = std::env::var("CORNU_MAX_ISA").ok();
    let cap = cap
        .and_then(|name| Level::ALL.into_iter().find(|l| l.name() == name))
        .unwrap_or(Level::Avx512);
    let best = Level::ALL
        .into_iter()
        .filter(|l| *l <= cap && l.is_supported())
        .max()
        .unwrap_or(Level::Scalar);
    LEVEL.store(best as u8, Ordering::Relaxed);
    best
}

/// Runs `task` under the best instruction set present.
#[inline]
pub fn dispatch<T: Task>(task: T) -> T::Output {
    dispatch_at(level(), task)
}

/// Runs `task` under the instruction set `level`, or the portable one where the machine lacks it.
#[inline]
pub fn dispatch_at<T: Task>(level: Level, task: T) -> T::Output {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => match Avx512::new() {
            Some(isa) => isa.run(task),
            None => Portable.run(task),
        },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => match Avx2::new() {
            Some(isa) => isa.run(task),
            None => Portable.run(task),
        },
        _ => Portable.run(task),
    }
}

/// Calls `f` with every level up to the best one, while [`dispatch`] uses that level: for tests and benchmarks.
///
/// Calls exclude each other. Code outside may meanwhile find a lower level in use, which changes bits but not what is right:
/// compare bits of two runs only inside.
pub fn for_each_isa(mut f: impl FnMut(Level)) {
    static EXCLUSIVE: Mutex<()> = Mutex::new(());

    struct Restore(Level);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEVEL.store(self.0 as u8, Ordering::Relaxed);
        }
    }

    let _exclusive = EXCLUSIVE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let best = Restore(level());
    for level in Level::ALL
        .into_iter()
        .filter(|l| *l <= best.0 && l.is_supported())
    {
        LEVEL.store(level as u8, Ordering::Relaxed);
        f(level);
    }
}
