//! A walk through candles: each becomes the points open, low, high, close (semantics rule 26), and between them
//! the exact prices at which something is guarded.
//!
//! A walk can be left after any point and taken up again by its cursor, and then goes on with the same points. It
//! never shows a price outside a candle and never invents one inside a gap.
//!
//! ```text
//! leg        0 open    1 open->low    2 low->high    3 high->close   Closed
//! time       open      1/4            1/2            end - 1 ns
//! path       Jump      Through        Through        Through
//! cursor     row * 64 + leg * 16 + j       j = 0..=13 guarded prices on the way, 15 the end of the leg
//! ```

use crate::feed::candles::CandleRow;
use aegis_model::market::PricePath;
use aegis_model::{Candle, FeedId, InstrumentId, Price, Tick, Timestamp};
use std::fmt;
use std::sync::Arc;

/// Legs of a candle.
const LEGS: u64 = 4;
/// The j of a leg's end.
const END: u64 = 15;
/// Guarded prices that one leg shows at most, so that j stays below the end's; more are passed over, and the
/// leg's end is still a `Through` point beyond them.
const GUARDED_MAX: u64 = 14;

/// One step of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A price.
    Point(Tick),
    /// The candle whose close was the point before has closed.
    Closed(Candle),
}

/// A place in a walk; see the drawing above.
#[derive(Clone)]
pub(crate) struct Walk {
    rows: Arc<[CandleRow]>,
    interval_ns: i64,
    feed: FeedId,
    instrument: InstrumentId,
    /// The candle we are in.
    index: usize,
    /// The leg to be walked next; [`LEGS`] when only `Closed` is left.
    leg: u64,
    /// Guarded prices shown in that leg.
    shown: u64,
    /// Where the price is; means nothing before an open.
    price: Price,
}

/// Why a walk cannot go on from a cursor: the candles are not those that the cursor came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) enum ResumeError {
    /// No such row, leg or place.
    NoSuchPlace {
        /// The cursor.
        cursor: u64,
    },
    /// The price at that place cannot be the one remembered.
    OtherPrice {
        /// The row.
        row: u64,
        /// The price remembered.
        remembered: Price,
    },
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResumeError::NoSuchPlace { cursor } => write!(f, "these candles have no place {cursor}")?,
            ResumeError::OtherPrice { row, remembered } => {
                write!(f, "the candle in row {row} does not pass {remembered}")?;
            }
        }
        f.write_str("; the journal was written with other candles: give it the same file")
    }
}

impl std::error::Error for ResumeError {}

impl Walk {
    /// A walk from the first candle. Rows must rise in row and time; the interval is that of a candle, ns.
    pub(crate) fn new(
        rows: Arc<[CandleRow]>,
        interval_ns: i64,
        feed: FeedId,
        instrument: InstrumentId,
    ) -> Walk {
        assert!(interval_ns > 0, "a candle lasts some time");
        assert!(rows.windows(2).all(|pair| pair[0].row < pair[1].row), "rows rise");
        Walk { rows, interval_ns, feed, instrument, index: 0, leg: 0, shown: 0, price: Price::ZERO }
    }

    /// The same walk, to go on right after the point with this cursor and price; cursor 0 is the start.
    ///
    /// A `Closed` that followed that point is not shown again: [`Walk::warmup`] shows it.
    ///
    /// # Errors
    /// [`ResumeError`] when these candles have no such point.
    pub(crate) fn resume(mut self, cursor: u64, price: Price) -> Result<Walk, ResumeError> {
        (self.index, self.leg, self.shown) = (0, 0, 0);
        if cursor == 0 {
            return Ok(self);
        }
        let nowhere = ResumeError::NoSuchPlace { cursor };
        let (row, leg, j) = (cursor / (LEGS * 16), cursor / 16 % LEGS, cursor % 16);
        self.index = self.rows.binary_search_by_key(&row, |r| r.row).map_err(|_| nowhere)?;
        let candle = self.rows[self.index].candle;
        let end = leg_end(&candle, leg);
        let passes = match j {
            END => price == end,
            _ if leg > 0 && j < GUARDED_MAX => between(leg_end(&candle, leg - 1), price, end),
            _ => return Err(nowhere),
        };
        if !passes {
            return Err(ResumeError::OtherPrice { row, remembered: price });
        }
        self.price = price;
        (self.leg, self.shown) = if j == END { (leg + 1, 0) } else { (leg, j + 1) };
        if self.leg == LEGS {
            (self.index, self.leg) = (self.index + 1, 0);
        }
        Ok(self)
    }

    /// What lies before a cursor, for refilling memories: ends of legs and closed candles, from at most this many
    /// candles back, through the point with that cursor and a `Closed` that follows it.
    ///
    /// Guarded prices are not among them, since they depended on what was guarded then; a memory that is to be
    /// equal after a restart must not keep them either (`ends_leg` tells).
    pub(crate) fn warmup(&self, until: u64, candles: usize) -> impl Iterator<Item = Step> + use<> {
        let begun = self.rows.partition_point(|r| r.row <= until / (LEGS * 16));
        let index = begun.saturating_sub(candles);
        let mut walk = Walk { index, leg: 0, shown: 0, ..self.clone() };
        std::iter::from_fn(move || walk.next(&[])).take_while(move |step| match step {
            Step::Point(tick) => tick.cursor <= until,
            Step::Closed(_) => true,
        })
    }

    /// Whether the price falls on the next leg; stops are met there, take-profits on the others. False at an open.
    pub(crate) const fn falls(&self) -> bool {
        self.leg == 1 || self.leg == 3
    }

    /// The next step: the nearest of `levels` strictly between the price and the leg's end, or else that end; after
    /// a close, the closed candle. `None` at the end of the candles.
    pub(crate) fn next(&mut self, levels: &[Price]) -> Option<Step> {
        let row = *self.rows.get(self.index)?;
        if self.leg == LEGS {
            (self.index, self.leg) = (self.index + 1, 0);
            return Some(Step::Closed(row.candle));
        }
        let (leg, end) = (self.leg, leg_end(&row.candle, self.leg));
        let guarded =
            if leg == 0 || self.shown == GUARDED_MAX { None } else { nearest(self.price, end, levels) };
        let j = match guarded {
            Some(_) => self.shown,
            None => END,
        };
        let at = self.time(row.candle.open_time, leg, j);
        self.price = guarded.unwrap_or(end);
        (self.leg, self.shown) = if j == END { (leg + 1, 0) } else { (leg, j + 1) };
        Some(Step::Point(Tick {
            feed: self.feed,
            cursor: (row.row * LEGS + leg) * 16 + j,
            instrument: self.instrument,
            at,
            bid: None,
            ask: None,
            last: Some(self.price),
            bid_quantity: None,
            ask_quantity: None,
            path: if leg == 0 { PricePath::Jump } else { PricePath::Through },
        }))
    }

    /// When a point was. A candle that the next one overlaps ends where that one opens, so time never falls.
    fn time(&self, open_time: Timestamp, leg: u64, j: u64) -> Timestamp {
        let until_next = self.rows.get(self.index + 1).map(|next| next.candle.open_time.since(open_time));
        let span = until_next.unwrap_or(self.interval_ns).min(self.interval_ns).max(1);
        let ends = [0, span / 4, span / 2, span - 1];
        let end = ends[leg as usize];
        if j == END {
            return open_time.after(end);
        }
        let start = ends[leg as usize - 1];
        open_time.after(start + (end - start) / 16 * (j as i64 + 1))
    }
}

/// Whether a cursor of a candle feed is the end of a leg: a price that the candle names.
#[cfg(test)]
pub(crate) const fn ends_leg(cursor: u64) -> bool {
    cursor % 16 == END
}

fn leg_end(candle: &Candle, leg: u64) -> Price {
    match leg {
        0 => candle.open,
        1 => candle.low,
        2 => candle.high,
        _ => candle.close,
    }
}

fn between(a: Price, price: Price, b: Price) -> bool {
    a.min(b) < price && price < a.max(b)
}

/// The first of the levels that a price meets on its way, both ends left out.
fn nearest(from: Price, to: Price, levels: &[Price]) -> Option<Price> {
    let on_the_way = levels.iter().copied().filter(|level| between(from, *level, to));
    if to < from { on_the_way.max() } else { on_the_way.min() }
}

#[cfg(test)]
mod tests;
