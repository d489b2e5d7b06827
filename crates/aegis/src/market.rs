//! An act's market: candles that are walked through, or captured ticks, as one stream of points that can be taken up
//! again at a cursor. It never repairs a feed and shows nothing twice.

use crate::config::{Age, FeedSource};
use crate::exit::{Exit, Failure};
use crate::feed::candles::{self, CandleRow};
use crate::feed::rows::Held;
use crate::feed::ticks;
use crate::feed::walk::{Step, Walk};
use aegis_model::ids::{FeedId, InstrumentId, SECOND, Timestamp};
use aegis_model::{Candle, Label, Price, Rounding, Text, Tick};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of an act's only feed.
pub(crate) const FEED: FeedId = FeedId(1);

/// A point of the market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// The instrument's name at the venue.
    pub(crate) name: Label,
    /// What it shows; `instrument` is the engine's number.
    pub(crate) tick: Tick,
    /// When it arrives: never falls.
    pub(crate) now: Timestamp,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// A point.
    Point(Point),
    /// The candle whose close was the point before has closed.
    Closed(InstrumentId, Candle),
}

/// The setting that says later which market an act was played on: BLAKE3 of its file as it lay there when it was read,
/// hexadecimal; of two files both, with a comma between.
pub(crate) const DIGEST_KEY: &str = "feed_digest";

/// A market, read into memory, before the instruments have their numbers.
#[derive(Clone)]
pub(crate) enum Market {
    /// Candles of one instrument.
    Candles {
        /// The rows.
        rows: Arc<[CandleRow]>,
        /// Of a candle, ns.
        interval_ns: i64,
        /// Whose they are.
        name: Label,
    },
    /// Ticks of several.
    Ticks(Vec<ticks::Point>),
    /// Points that a journal recorded.
    #[cfg_attr(not(feature = "forensics"), allow(dead_code))]
    Recorded(Vec<Point>),
}

impl Market {
    /// Reads an act's market, and its digest (see [`DIGEST_KEY`]).
    ///
    /// # Errors
    /// [`Failure`], naming file and line.
    pub(crate) fn read(source: &FeedSource, instruments: &[Label]) -> Result<(Market, Text), Failure> {
        let candles = |held: Held<CandleRow>| {
            let Held { rows, digest } = held;
            let [name] = instruments else {
                return Err(Failure::new(
                    Exit::Config,
                    "a candle feed needs exactly one instrument in its act",
                ));
            };
            let interval_ns = candles::interval_ns(&rows)
                .ok_or_else(|| Failure::new(Exit::Config, "a candle feed needs at least two candles"))?;
            Ok((Market::Candles { rows: rows.into(), interval_ns, name: *name }, Text::new(&digest)))
        };
        let ticks = |held: Held<ticks::Point>| (Market::Ticks(held.rows), Text::new(&held.digest));
        match source {
            FeedSource::EmbeddedCandles => candles(candles::embedded()?),
            FeedSource::Candles(path) => candles(candles::from_path(path)?),
            FeedSource::EmbeddedTicks => Ok(ticks(ticks::embedded()?)),
            FeedSource::Ticks(l1, trades) => Ok(ticks(ticks::from_paths(l1, trades)?)),
        }
    }

    /// How many points there are, about.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Market::Candles { rows, .. } => rows.len() as u64,
            Market::Ticks(points) => points.len() as u64,
            Market::Recorded(points) => points.len() as u64,
        }
    }

    /// Whose points it has.
    #[cfg(feature = "venue")]
    pub(crate) fn names(&self) -> std::collections::BTreeSet<Label> {
        match self {
            Market::Candles { name, .. } => std::iter::once(*name).collect(),
            Market::Ticks(points) => points.iter().map(|point| point.name).collect(),
            Market::Recorded(points) => points.iter().map(|point| point.name).collect(),
        }
    }

    /// When the first point is.
    pub(crate) fn begins(&self) -> Timestamp {
        match self {
            Market::Candles { rows, .. } => rows.first().map_or(Timestamp::EPOCH, |r| r.candle.open_time),
            Market::Ticks(points) => points.first().map_or(Timestamp::EPOCH, |p| p.received),
            Market::Recorded(points) => points.first().map_or(Timestamp::EPOCH, |p| p.now),
        }
    }

    /// How old a price may be, ns.
    pub(crate) fn price_age(&self, age: Age) -> Result<i64, Failure> {
        match (age, self) {
            (Age::Span(ns), _) => Ok(ns),
            (Age::Intervals(n), Market::Candles { interval_ns, .. }) => {
                let seconds = aegis_model::Fixed::from_int(interval_ns / SECOND);
                let age = n.times(seconds, Rounding::Ceil).map_err(Failure::bug)?;
                Ok(age.approximate(0).saturating_mul(SECOND))
            }
            (Age::Intervals(_), Market::Ticks(_) | Market::Recorded(_)) => {
                Err(Failure::new(Exit::Config, "price_age: a tick feed has no intervals; give a time span"))
            }
        }
    }

    /// Whether decisions rest on the last trade: candles have no quotes.
    pub(crate) const fn is_last_price(&self) -> bool {
        matches!(self, Market::Candles { .. })
    }

    /// The interval of a candle, ns; none for ticks.
    pub(crate) const fn interval_ns(&self) -> Option<i64> {
        match self {
            Market::Candles { interval_ns, .. } => Some(*interval_ns),
            Market::Ticks(_) | Market::Recorded(_) => None,
        }
    }

    /// The stream of its points, right after `from` (its recorded tick), or from the start.
    ///
    /// # Errors
    /// [`Failure`] when this market has no such point.
    pub(crate) fn stream(
        self,
        numbers: &BTreeMap<Label, InstrumentId>,
        from: Option<&Tick>,
    ) -> Result<Stream, Failure> {
        match self {
            Market::Candles { rows, interval_ns, name } => {
                let id = *numbers.get(&name).ok_or_else(|| Failure::bug(format!("{name} has no number")))?;
                let walk = Walk::new(rows, interval_ns, FEED, id);
                let walk = match from {
                    Some(tick) => walk
                        .resume(tick.cursor, tick.last.unwrap_or(Price::ZERO))
                        .map_err(|e| Failure::new(Exit::Config, e.to_string()))?,
                    None => walk,
                };
                Ok(Stream::Candles { walk: Box::new(walk), name, id })
            }
            Market::Ticks(points) => {
                let next = from.map_or(0, |tick| tick.cursor);
                if next > points.len() as u64 {
                    return Err(Failure::new(
                        Exit::Config,
                        format!(
                            "the ticks have no place {next}: the journal was written with another capture"
                        ),
                    ));
                }
                let points = points
                    .into_iter()
                    .filter_map(|p| {
                        let id = *numbers.get(&p.name)?;
                        Some(Point { name: p.name, tick: p.tick(FEED, id), now: p.received })
                    })
                    .collect::<Vec<_>>();
                let next = points.partition_point(|p| p.tick.cursor <= next);
                Ok(Stream::Ticks { points, next })
            }
            Market::Recorded(points) => {
                let numbered = |p: Point| {
                    Some(Point { tick: Tick { instrument: *numbers.get(&p.name)?, ..p.tick }, ..p })
                };
                let points: Vec<Point> = points.into_iter().filter_map(numbered).collect();
                let next = from.map_or(0, |tick| points.partition_point(|p| p.tick.cursor <= tick.cursor));
                Ok(Stream::Ticks { points, next })
            }
        }
    }
}

/// A market as a stream.
pub(crate) enum Stream {
    /// A walk through candles.
    Candles {
        /// The walk.
        walk: Box<Walk>,
        /// Whose they are.
        name: Label,
        /// The engine's number of it.
        id: InstrumentId,
    },
    /// Ticks.
    Ticks {
        /// All of them.
        points: Vec<Point>,
        /// Which is next.
        next: usize,
    },
}

impl Stream {
    /// What was finished before a restart at `at`, for memories: that point itself left out, at most so many candles
    /// back; last comes a closed candle that followed the point, if one did.
    pub(crate) fn warmup(&self, at: &Tick, candles: usize) -> Vec<Next> {
        let steps: Vec<Next> = match self {
            Stream::Candles { walk, name, id } => {
                walk.warmup(at.cursor, candles).map(|step| step_of(step, *name, *id)).collect()
            }
            Stream::Ticks { points, next } => points[..*next].iter().copied().map(Next::Point).collect(),
        };
        let other = |step: &Next| !matches!(step, Next::Point(p) if p.tick.cursor >= at.cursor);
        steps.into_iter().filter(other).collect()
    }

    /// The recorded point with its name and the time it arrived.
    pub(crate) fn point(&self, at: &Tick) -> Option<Point> {
        match self {
            Stream::Candles { name, id, .. } => {
                Some(Point { name: *name, tick: Tick { instrument: *id, ..*at }, now: at.at })
            }
            Stream::Ticks { points, next } => points[..*next].last().copied(),
        }
    }

    /// What comes next; `levels` are the prices at which something acts, asked for before each step.
    pub(crate) fn next(&mut self, levels: &[Price]) -> Option<Next> {
        match self {
            Stream::Candles { walk, name, id } => walk.next(levels).map(|step| step_of(step, *name, *id)),
            Stream::Ticks { points, next } => {
                let point = points.get(*next).copied()?;
                *next += 1;
                Some(Next::Point(point))
            }
        }
    }

    /// The one instrument whose guarded prices the walk stops at; none for ticks, which are shown as they came.
    pub(crate) const fn guarded(&self) -> Option<InstrumentId> {
        match self {
            Stream::Candles { id, .. } => Some(*id),
            Stream::Ticks { .. } => None,
        }
    }

    /// Whether the price falls next, so that stops are met and not take-profits.
    pub(crate) fn falls(&self) -> bool {
        match self {
            Stream::Candles { walk, .. } => walk.falls(),
            Stream::Ticks { .. } => false,
        }
    }

    /// Where a cursor is among [`Market::length`].
    pub(crate) const fn place(&self, cursor: u64) -> u64 {
        match self {
            Stream::Candles { .. } => cursor / 64,
            Stream::Ticks { .. } => cursor,
        }
    }
}

fn step_of(step: Step, name: Label, id: InstrumentId) -> Next {
    match step {
        Step::Point(tick) => Next::Point(Point { name, tick, now: tick.at }),
        Step::Closed(candle) => Next::Closed(id, candle),
    }
}
