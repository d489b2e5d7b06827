//! The wall clock of the simulated machine and what the client knows of the exchange's: the world sets both.
//!
//! What is known is as good as the program's own measurement is: right to within a second.

use aegis_model::Timestamp;
use aegis_model::ids::SECOND;
use std::cell::Cell;

/// How far past now a history is asked for, ns.
const AHEAD_NS: i64 = 5 * SECOND;
/// How well the exchange's clock is known, ns: an answer tells its second.
const KNOWN_NS: i64 = SECOND;

thread_local! {
    static NOW: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// Turns the clock: the exchange's time, and what the machine's wall clock is ahead of it.
pub(crate) fn set(venue: i64, ahead: i64) {
    NOW.set((venue, ahead));
}

/// The machine's wall clock.
pub(crate) fn now() -> Timestamp {
    let (venue, ahead) = NOW.get();
    Timestamp(venue + ahead)
}

/// What is known of the exchange's clock.
pub(crate) struct Clock;

impl Clock {
    /// What is added to our clock: nothing while it may agree.
    fn used(&self) -> i64 {
        let (_, ahead) = NOW.get();
        if ahead.abs() < KNOWN_NS { 0 } else { -ahead }
    }

    /// The exchange's time now, and what was added to ours.
    pub(crate) fn venue_now(&self) -> (Timestamp, i64) {
        (now().after(self.used()), self.used())
    }

    /// The earliest that it may be at the exchange now.
    pub(crate) fn venue_now_at_least(&self) -> Timestamp {
        now().after(self.used().min(-KNOWN_NS + self.used()))
    }

    /// What a history is asked up to.
    pub(crate) fn ahead(&self) -> Timestamp {
        self.venue_now().0.max(now()).after(AHEAD_NS)
    }

    /// What a history is asked from, to hold all since a moment of our clock by whichever clock is behind.
    pub(crate) fn since(&self, ours: Timestamp) -> Timestamp {
        ours.min(self.at_venue(ours))
    }

    /// A moment of our clock by the exchange's.
    pub(crate) fn at_venue(&self, ours: Timestamp) -> Timestamp {
        ours.after(self.used())
    }
}
