//! How many threads there may be.
use std::sync::atomic::{AtomicUsize, Ordering};

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

pub(super) fn default_threads() -> usize {
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
pub(super) fn physical_cores() -> Option<usize> {
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
pub(super) fn physical_cores() -> Option<usize> {
    None
}
