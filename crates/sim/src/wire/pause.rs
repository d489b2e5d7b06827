//! Pauses without a draw of their own: the world draws every delay itself.

use std::time::Duration;

/// The pause before a try.
pub(crate) fn jittered(least: Duration, most: Duration, failures: u32, _: u64) -> Duration {
    least.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most)
}

/// No draw.
pub(crate) const fn draw() -> u64 {
    0
}
