//! The connection's times as the program has them for the real exchange.

use aegis_cryptocom::words::RefPriceType;
use std::time::Duration;

/// The part of the program's settings that its calls read.
pub(crate) struct Settings {
    pub(crate) trigger_price: RefPriceType,
    pub(crate) deadline: Duration,
    pub(crate) write_wait: Duration,
    pub(crate) read_tries: u32,
    pub(crate) read_retry: Duration,
    pub(crate) nonce_window: Duration,
    pub(crate) absence_margin: Duration,
    pub(crate) record_look: Duration,
    pub(crate) record_tries: u32,
    pub(crate) lookup_overlap: Duration,
    pub(crate) trades_overlap: Duration,
    pub(crate) trades_lag: Duration,
    pub(crate) balance_rounds: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            trigger_price: RefPriceType::MarkPrice,
            deadline: Duration::from_secs(10),
            write_wait: Duration::from_millis(250),
            read_tries: 3,
            read_retry: Duration::from_millis(500),
            nonce_window: Duration::from_secs(60),
            absence_margin: Duration::from_secs(15),
            record_look: Duration::from_millis(250),
            record_tries: 5,
            lookup_overlap: Duration::from_secs(60),
            trades_overlap: Duration::from_secs(600),
            trades_lag: Duration::from_secs(5),
            balance_rounds: 5,
        }
    }
}

/// Nanoseconds of a duration as the journal counts them.
pub(crate) fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The pause before a try: even, since the world draws every delay itself.
pub(crate) fn jittered(least: Duration, most: Duration, failures: u32, _: u64) -> Duration {
    least.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most)
}

/// No draw of its own.
pub(crate) const fn draw() -> u64 {
    0
}
