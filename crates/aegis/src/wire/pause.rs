//! How long to wait before something is tried again: ever longer, with a part of it drawn, so that many who failed
//! together do not come back together.

use std::time::Duration;

/// The pause before the `failures`-th try in a row (from 1): doubling from `least` to `most`, the upper half drawn.
pub(crate) fn jittered(least: Duration, most: Duration, failures: u32, draw: u64) -> Duration {
    let whole = least.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    let half = whole / 2;
    let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    half + Duration::from_nanos(draw % span.saturating_add(1))
}

/// 64 random bits for jitter; zero when the system gives none, which only makes pauses even.
pub(crate) fn draw() -> u64 {
    let mut bytes = [0; 8];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if got == Ok(8) { u64::from_le_bytes(bytes) } else { 0 }
}
