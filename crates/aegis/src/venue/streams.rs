//! The subscriptions of one market socket: what each of them has seen, and what it is sent next (reference, section
//! 12.4). Nothing waits here: whoever comes late sees the newest state, and of trades those that are remembered.

use crate::venue::board::{Board, LEVELS, Shown};
use aegis_cryptocom::budget::SUBSCRIPTIONS_MAX;
use aegis_cryptocom::request::Channels;
use aegis_cryptocom::rows::{BookChange, BookDelta, BookRow, CandleRow, Level, Ticker};
use aegis_cryptocom::wire::{Manner, Ms};
use aegis_cryptocom::words::{BookSubscription, Timeframe};
use aegis_cryptocom::{Code, Data, Push, Rows, Wire};
use aegis_model::{Label, Quantity, Timestamp};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Trades of the first frame.
const FIRST_TRADES: usize = 50;
/// Candles of the first frame.
const FIRST_CANDLES: usize = 50;
/// A whole book comes this often.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(500);
/// An empty delta comes after this long without a change.
const EMPTY_AFTER: Duration = Duration::from_secs(5);
/// How often a socket looks for what is due by time alone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Levels of a book channel without a depth, and the deepest.
const DEPTH_USUAL: usize = LEVELS;

/// What a subscription shows.
#[derive(Clone, Debug)]
enum Kind {
    Ticker { seen: Option<Box<Ticker>> },
    Trades { seen: u64 },
    Candles { timeframe: Timeframe, seen: Option<CandleRow> },
    Book { depth: usize, deltas: bool, every: Duration, sent: Option<(Instant, BookRow)> },
}

#[derive(Clone, Debug)]
struct Stream {
    instrument: Label,
    kind: Kind,
    /// The request that the first frame answers.
    first: Option<i64>,
}

/// All subscriptions of a socket.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: BTreeMap<String, Stream>,
}

fn parse(channel: &str, asked: &Channels) -> Option<(Label, Kind)> {
    let (family, rest) = channel.split_once('.')?;
    let label = |text: &str| text.parse::<Label>().ok();
    match family {
        "ticker" => Some((label(rest)?, Kind::Ticker { seen: None })),
        "trade" => Some((label(rest)?, Kind::Trades { seen: 0 })),
        "candlestick" => {
            let (word, name) = rest.split_once('.')?;
            let word = aegis_cryptocom::json::Value::Text(word.into());
            let timeframe = Timeframe::read(&word, Manner::Strict).ok()?;
            Some((label(name)?, Kind::Candles { timeframe, seen: None }))
        }
        "book" => {
            let (name, depth) = match rest.split_once('.') {
                Some((name, depth)) => {
                    (name, depth.parse::<usize>().ok().filter(|depth| [10, 50, 150].contains(depth))?)
                }
                None => (rest, DEPTH_USUAL),
            };
            let deltas = asked.book_subscription_type == Some(BookSubscription::SnapshotAndUpdate);
            let every = match (deltas, asked.book_update_frequency) {
                (false, _) => SNAPSHOT_EVERY,
                (true, Some(100)) => Duration::from_millis(100),
                (true, _) => Duration::from_millis(10),
            };
            Some((label(name)?, Kind::Book { depth, deltas, every, sent: None }))
        }
        _ => None,
    }
}

impl Streams {
    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        !self.all.is_empty()
    }

    /// When to look again without anything having happened.
    pub(crate) fn due(&self) -> Instant {
        Instant::now() + LOOK_EVERY
    }

    /// Adds channels; a repeated one begins anew.
    ///
    /// # Errors
    /// 40003 for an unknown channel or instrument, and then nothing is added; 40107 for too many.
    pub(crate) fn add(&mut self, board: &Board, id: i64, asked: &Channels) -> Result<(), Code> {
        let mut added = Vec::new();
        for channel in &asked.channels {
            let (instrument, kind) = parse(channel, asked).ok_or(Code::InvalidRequest)?;
            if !board.shown.contains_key(&instrument) {
                return Err(Code::InvalidRequest);
            }
            added.push((channel.clone(), Stream { instrument, kind, first: Some(id) }));
        }
        let fresh = added.iter().filter(|(channel, _)| !self.all.contains_key(channel)).count();
        if self.all.len() + fresh > SUBSCRIPTIONS_MAX {
            return Err(Code::ExceedMaxSubscriptions);
        }
        self.all.extend(added);
        Ok(())
    }

    /// Takes channels away.
    pub(crate) fn remove(&mut self, asked: &Channels) {
        for channel in &asked.channels {
            self.all.remove(channel);
        }
    }

    /// What is to be sent now.
    pub(crate) fn pushes(&mut self, board: &Board, now: Timestamp) -> Vec<Push> {
        let mut pushes = Vec::new();
        for (channel, stream) in &mut self.all {
            let Some(shown) = board.shown.get(&stream.instrument) else { continue };
            let Some((data, depth, interval)) = stream.next(shown, now) else { continue };
            pushes.push(Push {
                id: stream.first.take().filter(|id| *id >= 0),
                subscription: channel.clone(),
                instrument: Some(stream.instrument),
                depth,
                interval,
                data,
            });
        }
        pushes
    }
}

impl Stream {
    fn next(&mut self, shown: &Shown, now: Timestamp) -> Option<(Data, Option<u32>, Option<Label>)> {
        match &mut self.kind {
            Kind::Ticker { seen } => {
                let ticker = shown.ticker(now);
                let same =
                    seen.as_ref().is_some_and(|seen| Ticker { time: seen.time, ..ticker.clone() } == **seen);
                if same {
                    return None;
                }
                *seen = Some(Box::new(ticker.clone()));
                Some((Data::Tickers(Rows::of(vec![ticker])), None, None))
            }
            Kind::Trades { seen } => {
                let first = *seen == 0 && self.first.is_some();
                let fresh = shown.trades.iter().filter(|(number, _)| *number > *seen);
                let mut rows: Vec<_> = fresh.map(|(_, trade)| trade.clone()).collect();
                if rows.is_empty() && !first {
                    return None;
                }
                *seen = shown.traded;
                if first && rows.len() > FIRST_TRADES {
                    rows.drain(..rows.len() - FIRST_TRADES);
                }
                Some((Data::PublicTrades(Rows::of(rows)), None, None))
            }
            Kind::Candles { timeframe, seen } => {
                let rows = shown.candles(*timeframe);
                let last = rows.last()?.clone();
                let fresh: Vec<CandleRow> = match seen {
                    None => rows[rows.len().saturating_sub(FIRST_CANDLES)..].to_vec(),
                    Some(seen) if *seen == last => return None,
                    Some(seen) => rows.into_iter().filter(|row| row.time >= seen.time).collect(),
                };
                *seen = Some(last);
                let interval = timeframe.word().parse().ok();
                Some((Data::Candles(Rows::of(fresh)), None, interval))
            }
            Kind::Book { depth, deltas, every, sent } => {
                let at = Instant::now();
                let row = shown.book(*depth, now);
                let shown_depth = u32::try_from(*depth).ok();
                match sent {
                    Some((last, _)) if at.duration_since(*last) < *every => None,
                    Some((last, before)) if *deltas => {
                        let changed = before.number != row.number;
                        if !changed && at.duration_since(*last) < EMPTY_AFTER {
                            return None;
                        }
                        let delta = BookDelta {
                            previous: before.number.unwrap_or_default(),
                            time: Some(Ms(now)),
                            changed: row.changed,
                            number: row.number.unwrap_or_default(),
                            update: BookChange {
                                asks: changes(&before.asks, &row.asks),
                                bids: changes(&before.bids, &row.bids),
                            },
                        };
                        *sent = Some((at, row));
                        Some((Data::Deltas(Rows::of(vec![delta])), shown_depth, None))
                    }
                    Some(_) | None => {
                        *sent = Some((at, row.clone()));
                        Some((Data::Books(Rows::of(vec![row])), shown_depth, None))
                    }
                }
            }
        }
    }
}

/// Levels that differ; one that is gone has the quantity 0.
fn changes(before: &[Level], after: &[Level]) -> Vec<Level> {
    let gone = before.iter().filter(|old| !after.iter().any(|new| new.price == old.price));
    let gone = gone.map(|old| Level { quantity: Quantity::ZERO, orders: 0, ..*old });
    let fresh = after.iter().filter(|new| !before.contains(new)).copied();
    gone.chain(fresh).collect()
}
