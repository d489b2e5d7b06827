//! The exchange's clock as well as it can be known. No call tells its time, so it is bounded from what answers carry.
//!
//! Two kinds of evidence: the `Date` of an HTTP answer was true at some moment of the call, to a second, which bounds
//! the difference from both sides; and a time inside a row lies before its receipt, which bounds it from below. Within
//! the bounds the smallest correction is taken: a clock that agrees is left alone. When the exchange refuses a nonce
//! that the `Date`s allowed, they are not its clock: from then on the newest row is taken for its time.

use aegis_model::Timestamp;
use aegis_model::ids::SECOND;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// How much clocks may drift apart in a second, ns: 100 parts in a million.
const DRIFT_NS: i64 = 100_000;
/// How long the time of a row counts as a bound, ns; at least half of it.
const FLOOR_NS: i64 = 60 * SECOND;

/// How far past now a history is asked for.
const AHEAD_NS: i64 = 5 * SECOND;

/// Our wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// What is known of the exchange's clock: nanoseconds to add to ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bounds {
    /// At least this, if anything was measured.
    pub(crate) least: Option<i64>,
    /// At most this, if a call told it.
    pub(crate) most: Option<i64>,
    /// What is added to our clock.
    pub(crate) used: i64,
}

#[derive(Clone, Copy)]
struct Interval {
    least: i64,
    most: i64,
    at: Timestamp,
}

#[derive(Default)]
struct Skew {
    header: Option<Interval>,
    header_refuted: bool,
    /// Lower bounds: the highest of the running half of [`FLOOR_NS`] and that of the half before.
    floor: Option<i64>,
    floor_before: Option<i64>,
    floor_since: Timestamp,
}

impl Skew {
    /// The bound of the headers, widened by the drift since.
    fn header(&self, now: Timestamp) -> Option<Interval> {
        let told = self.header.filter(|_| !self.header_refuted)?;
        let drift = now.since(told.at).abs() / SECOND * DRIFT_NS;
        Some(Interval { least: told.least - drift, most: told.most + drift, at: now })
    }

    fn floor(&self) -> Option<i64> {
        self.floor.max(self.floor_before)
    }

    fn bounds(&self, now: Timestamp) -> Bounds {
        let floor = self.floor();
        let Some(header) = self.header(now) else {
            let used = match floor {
                Some(floor) if self.header_refuted => floor,
                Some(floor) => floor.max(0),
                None => 0,
            };
            return Bounds { least: floor, most: None, used };
        };
        let least = floor.map_or(header.least, |floor| floor.max(header.least));
        let used = if least > header.most { least } else { 0.clamp(least, header.most) };
        Bounds { least: Some(least), most: Some(header.most.max(least)), used }
    }
}

/// The measured difference; shared by every call and socket.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Skew>);

impl Clock {
    fn skew(&self) -> std::sync::MutexGuard<'_, Skew> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What is known.
    pub(crate) fn bounds(&self) -> Bounds {
        self.skew().bounds(now())
    }

    /// The exchange's time now, and what was added to ours.
    pub(crate) fn venue_now(&self) -> (Timestamp, i64) {
        let ours = now();
        let used = self.skew().bounds(ours).used;
        (ours.after(used), used)
    }

    /// The earliest that it may be at the exchange now.
    pub(crate) fn venue_now_at_least(&self) -> Timestamp {
        let bounds = self.bounds();
        now().after(bounds.least.unwrap_or(bounds.used).min(bounds.used))
    }

    /// What a history is asked up to, so that neither clock hides its newest rows.
    pub(crate) fn ahead(&self) -> Timestamp {
        let (venue, _) = self.venue_now();
        venue.max(now()).after(AHEAD_NS)
    }

    /// What a history is asked from, to hold all since a moment of our clock by whichever clock is behind.
    pub(crate) fn since(&self, ours: Timestamp) -> Timestamp {
        ours.min(self.at_venue(ours))
    }

    /// A moment of the exchange's clock, told by something just received, by ours. Never later than now: if our clock was
    /// set since the difference was measured, a price would be fresh for as long as the clock moved.
    pub(crate) fn ours(&self, venue: Timestamp) -> Timestamp {
        venue.after(-self.bounds().used).min(now())
    }

    /// A moment of our clock by the exchange's.
    pub(crate) fn at_venue(&self, ours: Timestamp) -> Timestamp {
        ours.after(self.bounds().used)
    }

    /// The `Date` of an answer, a whole second.
    pub(crate) fn date(&self, sent: Timestamp, received: Timestamp, date: Timestamp) {
        let fresh =
            Interval { least: date.since(received), most: date.after(SECOND).since(sent), at: received };
        let mut skew = self.skew();
        let joined = skew.header(received).map(|old| Interval {
            least: old.least.max(fresh.least),
            most: old.most.min(fresh.most),
            at: received,
        });
        // Evidence that contradicts what was measured before means that a clock was set: the newest counts.
        skew.header = Some(joined.filter(|both| both.least <= both.most).unwrap_or(fresh));
    }

    /// A time inside something that was just received.
    pub(crate) fn told(&self, time: Timestamp, received: Timestamp) {
        let least = time.since(received);
        let mut skew = self.skew();
        if received.since(skew.floor_since) > FLOOR_NS / 2 {
            skew.floor_before = skew.floor.take();
            skew.floor_since = received;
        }
        skew.floor = skew.floor.max(Some(least));
    }

    /// A nonce was refused that was made with this correction: what led to it is forgotten. From then on only rows are
    /// believed, unless the headers would have corrected it.
    pub(crate) fn refused(&self, used: i64) {
        let mut skew = self.skew();
        let corrects = skew.header(now()).is_some_and(|header| used < header.least || header.most < used);
        skew.header_refuted |= !corrects;
        skew.header = None;
        skew.floor = None;
        skew.floor_before = None;
    }
}
