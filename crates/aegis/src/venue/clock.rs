//! The exchange's clock: wall time plus a skew that can be scripted, and protocol time for quotas.
//!
//! The skew concerns what a client can see of the clock, which are the nonce check and the times of public data; rows
//! of orders and trades keep wall time, so that their order never turns.

use aegis_model::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Millionths in one.
const MILLION: i64 = 1_000_000;

/// Reads the time.
#[derive(Debug)]
pub(crate) struct Clock {
    skew_ns: AtomicI64,
    scale_millionths: i64,
    began: Timestamp,
}

/// Wall time now.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

impl Clock {
    /// A clock without skew whose protocol time runs by this scale.
    pub(crate) fn new(scale_millionths: i64) -> Clock {
        Clock { skew_ns: AtomicI64::new(0), scale_millionths: scale_millionths.max(1), began: wall() }
    }

    /// The time as clients see it.
    pub(crate) fn shown(&self) -> Timestamp {
        wall().after(self.skew_ns.load(Ordering::Relaxed))
    }

    /// Sets how far clients see it ahead (or, negative, behind), ns.
    pub(crate) fn skew(&self, ns: i64) {
        self.skew_ns.store(ns, Ordering::Relaxed);
    }

    /// How far clients see it ahead, ns.
    pub(crate) fn skewed(&self) -> i64 {
        self.skew_ns.load(Ordering::Relaxed)
    }

    /// Protocol time: with a scale of 0.01 a hundred seconds pass in one. Quotas count in it.
    pub(crate) fn protocol(&self) -> Timestamp {
        self.protocol_of(wall())
    }

    /// The protocol time of a wall time.
    pub(crate) fn protocol_of(&self, at: Timestamp) -> Timestamp {
        let passed = i128::from(at.0.saturating_sub(self.began.0)) * i128::from(MILLION);
        let scaled = passed / i128::from(self.scale_millionths);
        self.began.after(i64::try_from(scaled).unwrap_or(i64::MAX))
    }
}

/// A span of ns as a duration; none is negative.
pub(crate) fn span(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}
