//! The engine's clock: the wall clock, and where that lies behind what the engine has seen, the monotonic one. Timers
//! then go on through a wall clock that was set back, and through one that was wrong and was mended.
//!
//! It only counts; the readings are given to it.

use aegis_model::Timestamp;
use aegis_model::ids::SECOND;
use std::time::Duration;

/// How far the wall clock may lie behind before the monotonic clock takes over, ns. Two readings are never taken at
/// the same moment; what lies between them must not stay as a difference for ever.
const READING_NS: i64 = SECOND / 20;
/// A difference that is worth a word, ns.
const NOTABLE_NS: i64 = SECOND;

/// What is worth a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// The engine's time is ahead of the wall clock by so much, ns.
    Ahead(i64),
    /// The wall clock has caught up.
    CaughtUp,
}

/// The engine's clock.
#[derive(Debug)]
pub(super) struct LiveClock {
    last: Timestamp,
    at: Duration,
    offset: i64,
    /// The difference that was told last; none while there is none.
    told: Option<i64>,
}

impl LiveClock {
    /// Begins where the journal ends; `monotonic` is the reading of now.
    pub(super) const fn new(last: Timestamp, monotonic: Duration) -> LiveClock {
        LiveClock { last, at: monotonic, offset: 0, told: None }
    }

    /// The time by two readings of now. Never earlier than before, and the wall clock's as soon as that is not behind.
    pub(super) fn read(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let passed = monotonic.saturating_sub(self.at);
        let carried = self.last.after(i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX));
        self.last = if carried.since(wall) > READING_NS { carried } else { wall.max(self.last) };
        self.at = self.at.max(monotonic);
        self.offset = self.last.since(wall);
        self.last
    }

    /// A moment of the wall clock in the engine's time, by the difference at the last reading.
    pub(super) const fn of_wall(&self, at: Timestamp) -> Timestamp {
        at.after(self.offset)
    }

    /// A moment of the engine's time by the wall clock.
    pub(super) const fn to_wall(&self, at: Timestamp) -> Timestamp {
        at.after(-self.offset)
    }

    /// What is to be told, once each time that it changes by something notable.
    pub(super) fn news(&mut self) -> Option<News> {
        let notable = self.offset > NOTABLE_NS;
        match self.told {
            None if notable => {
                self.told = Some(self.offset);
                Some(News::Ahead(self.offset))
            }
            Some(told) if notable && (self.offset - told).abs() > NOTABLE_NS => {
                self.told = Some(self.offset);
                Some(News::Ahead(self.offset))
            }
            Some(_) if !notable => {
                self.told = None;
                Some(News::CaughtUp)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "clock/tests.rs"]
mod tests;
