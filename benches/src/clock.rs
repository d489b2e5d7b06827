//! The machine's monotonic clock, which all of its processes share; `Instant` cannot leave its process.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started.
#[inline]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Processor time of this process, all of its threads, ns: what a busy machine does not lengthen.
pub fn cpu() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Processor time of the calling thread, ns.
pub fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What asking twice costs, ns: it is part of every latency that is taken one at a time.
pub fn cost() -> f64 {
    let mut all: Vec<f64> = (0..1001).map(|_| -(now() as f64) + now() as f64).collect();
    all.sort_unstable_by(f64::total_cmp);
    all[500]
}
