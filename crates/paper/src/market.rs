//! What the market shows: the touch of a tick, the memory of the last ticks, and a candle's path.
//!
//! The memory is inputs beside the state: it is never stored and never part of the digest.

use aegis_model::fixed::Rounding;
use aegis_model::market::PricePath;
use aegis_model::{Candle, FeedId, InstrumentId, Price, Quantity, Side, Tick};
use alloc::collections::BTreeMap;

/// The last ticks as they arrived.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Memory {
    ticks: BTreeMap<InstrumentId, Tick>,
    feeds: BTreeMap<FeedId, Tick>,
    marks: BTreeMap<InstrumentId, Price>,
}

impl Memory {
    /// The instrument's last tick.
    pub(crate) fn tick(&self, instrument: InstrumentId) -> Option<Tick> {
        self.ticks.get(&instrument).copied()
    }

    /// The feed's last tick that was decided on since the process began.
    pub(crate) fn feed(&self, feed: FeedId) -> Option<Tick> {
        self.feeds.get(&feed).copied()
    }

    /// The last decided tick of every feed, in order of the feed's number.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = &Tick> {
        self.feeds.values()
    }

    /// Sets a mark price, or lets it follow the market again.
    pub(crate) fn set_mark(&mut self, instrument: InstrumentId, price: Option<Price>) {
        match price {
            Some(price) => self.marks.insert(instrument, price),
            None => self.marks.remove(&instrument),
        };
    }

    /// The mark price: the one that was set, else the middle of the quotes, else the last price.
    pub(crate) fn mark(&self, instrument: InstrumentId) -> Option<Price> {
        if let Some(set) = self.marks.get(&instrument) {
            return Some(*set);
        }
        let tick = self.tick(instrument)?;
        match (tick.bid.filter(|price| price.is_positive()), tick.ask.filter(|price| price.is_positive())) {
            (Some(bid), Some(ask)) => {
                let sum = bid.plus(ask).ok()?;
                sum.scaled(aegis_model::Rate::basis_points(5_000), Rounding::Floor).ok()
            }
            (Some(one), None) | (None, Some(one)) => tick.last.or(Some(one)),
            (None, None) => tick.last,
        }
    }

    /// The last price shown, else the mark price.
    pub(crate) fn last(&self, instrument: InstrumentId) -> Option<Price> {
        self.tick(instrument).and_then(|tick| tick.last).or_else(|| self.mark(instrument))
    }

    /// Keeps a tick that decides nothing, unless a later one of its feed is known.
    pub(crate) fn remember(&mut self, tick: Tick) {
        let newer = self
            .tick(tick.instrument)
            .is_none_or(|known| known.feed != tick.feed || known.cursor < tick.cursor);
        if newer {
            self.ticks.insert(tick.instrument, tick);
        }
    }

    /// Keeps a tick that is being decided on; the feed's place moves with it.
    pub(crate) fn decided(&mut self, tick: Tick) {
        self.remember(tick);
        self.feeds.insert(tick.feed, tick);
    }
}

/// The price at which an order of this side would take: the ask for a buy, the bid for a sell, the last price on
/// either side of a tick without any quote. A price that is not positive is no price.
pub(crate) fn touch(tick: &Tick, side: Side) -> Option<Price> {
    let quoted = match side {
        Side::Buy => tick.ask,
        Side::Sell => tick.bid,
    };
    let price = if tick.bid.is_none() && tick.ask.is_none() { tick.last } else { quoted };
    price.filter(|price| price.is_positive())
}

/// The quantity shown to an order of this side; none when the feed does not tell, which is unlimited.
pub(crate) fn shown(tick: &Tick, side: Side) -> Option<Quantity> {
    match side {
        Side::Buy => tick.ask_quantity,
        Side::Sell => tick.bid_quantity,
    }
}

/// Whether a limit order of this side may trade at the touch.
pub(crate) fn crosses(side: Side, limit: Price, touch: Price) -> bool {
    match side {
        Side::Buy => touch <= limit,
        Side::Sell => touch >= limit,
    }
}

/// A candle as the path that a long-only account is tested against: open, low, high, close.
///
/// The open may have jumped; every price between the four was traded. They take the cursors `cursor` to
/// `cursor + 3`. The open is at the candle's open time, the close at its end, low and high at its thirds.
pub fn candle_ticks(
    feed: FeedId,
    cursor: u64,
    instrument: InstrumentId,
    span_ns: i64,
    candle: &Candle,
) -> [Tick; 4] {
    let third = span_ns / 3;
    let point = |n: u64, price: Price, path: PricePath, after: i64| Tick {
        feed,
        cursor: cursor.saturating_add(n),
        instrument,
        at: candle.open_time.after(after),
        bid: None,
        ask: None,
        last: Some(price),
        bid_quantity: None,
        ask_quantity: None,
        path,
    };
    [
        point(0, candle.open, PricePath::Jump, 0),
        point(1, candle.low, PricePath::Through, third),
        point(2, candle.high, PricePath::Through, third.saturating_mul(2)),
        point(3, candle.close, PricePath::Through, span_ns),
    ]
}
