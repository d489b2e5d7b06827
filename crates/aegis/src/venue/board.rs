//! What the market shows to everybody: touch, book, last trades, candles and the day's figures of each instrument.
//!
//! The book behind the touch is a picture of a market: an order fills against the touch, what is left of it at the
//! next point. What the accounts took of the touch is missing from it. It holds a bounded memory and no money: every
//! number is an exact decimal, and nothing here decides.

use aegis_cryptocom::rows::{BookRow, CandleRow, Level, PublicTrade, Ticker};
use aegis_cryptocom::wire::{Ms, Ns, Spare};
use aegis_cryptocom::words::{Side, Timeframe};
use aegis_model::input::ListedInstrument;
use aegis_model::{Fixed, Label, Money, Price, Quantity, Rate, Rounding, Timestamp, TradeId};
use std::collections::{BTreeMap, VecDeque};

/// Levels a side.
pub(crate) const LEVELS: usize = 50;
/// Public trades that are remembered.
const TRADES: usize = 500;
/// Candles of each interval that are remembered.
const CANDLES: usize = 300;
/// Candles of the day's figures: an hour each.
const DAY_HOURS: usize = 24;

/// The intervals that candles are kept of, in their new spelling.
pub(crate) const TIMEFRAMES: [Timeframe; 13] = [
    Timeframe::M1,
    Timeframe::M5,
    Timeframe::M15,
    Timeframe::M30,
    Timeframe::H1,
    Timeframe::H2,
    Timeframe::H4,
    Timeframe::H6,
    Timeframe::H12,
    Timeframe::D1,
    Timeframe::D7,
    Timeframe::D14,
    Timeframe::Month,
];

/// A new point of an instrument's market.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    /// Best bid and what is shown there.
    pub(crate) bid: Option<(Price, Option<Quantity>)>,
    /// Best ask and what is shown there.
    pub(crate) ask: Option<(Price, Option<Quantity>)>,
    /// A trade: price, base quantity, the taker's side.
    pub(crate) trade: Option<(Price, Quantity, Side)>,
    /// A last price without a trade.
    pub(crate) last: Option<Price>,
}

/// One instrument.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) spec: ListedInstrument,
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
    pub(crate) last: Option<Price>,
    /// Rises with every change of the book.
    pub(crate) number: i64,
    /// When the book last changed.
    pub(crate) changed: Timestamp,
    /// Newest last, with their place among all that ever were.
    pub(crate) trades: VecDeque<(u64, PublicTrade)>,
    /// Trades that there ever were.
    pub(crate) traded: u64,
    candles: BTreeMap<usize, VecDeque<CandleRow>>,
    /// Rises with every point.
    pub(crate) turns: u64,
}

/// All instruments.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// By name.
    pub(crate) shown: BTreeMap<Label, Shown>,
}

impl Board {
    /// Lists an instrument, or changes its facts.
    pub(crate) fn list(&mut self, spec: ListedInstrument) {
        match self.shown.get_mut(&spec.name) {
            Some(shown) => shown.spec = spec,
            None => {
                self.shown.insert(spec.name, Shown::new(spec));
            }
        }
    }

    /// All tickers, or one.
    pub(crate) fn tickers(&self, name: Option<Label>, now: Timestamp) -> Vec<Ticker> {
        let wanted = self.shown.iter().filter(|(own, _)| name.is_none_or(|name| name == **own));
        wanted
            .map(|(_, shown)| Ticker { bid_quantity: None, ask_quantity: None, ..shown.ticker(now) })
            .collect()
    }
}

impl Shown {
    fn new(spec: ListedInstrument) -> Shown {
        Shown {
            spec,
            bids: Vec::new(),
            asks: Vec::new(),
            last: None,
            number: 1,
            changed: Timestamp::EPOCH,
            trades: VecDeque::new(),
            traded: 0,
            candles: BTreeMap::new(),
            turns: 0,
        }
    }

    /// Takes in a point: `now` is the time that clients see, `market` the market's own, which candles are cut by.
    pub(crate) fn show(&mut self, point: &Point, now: Timestamp, market: Timestamp) {
        self.turns += 1;
        if point.bid.is_some() || point.ask.is_some() {
            let bids = point.bid.map_or_else(Vec::new, |(price, size)| self.levels(price, size, false));
            let asks = point.ask.map_or_else(Vec::new, |(price, size)| self.levels(price, size, true));
            self.set_book(bids, asks, now);
        }
        let price = point.trade.map(|trade| trade.0).or(point.last);
        if let Some(price) = price {
            self.last = Some(price);
        }
        if let Some((price, quantity, taker)) = point.trade {
            self.trade(price, quantity, taker, now);
        }
        let quoted = point.bid.or(point.ask).map(|(price, _)| price);
        let volume = point.trade.map_or(Quantity::ZERO, |trade| trade.1);
        if let Some(price) = price.or(if self.last.is_none() { quoted } else { None }) {
            self.candle(price, volume, market);
        }
    }

    /// What is left at the touch after an account took some of it.
    pub(crate) fn take(
        &mut self,
        bid: Option<Option<Quantity>>,
        ask: Option<Option<Quantity>>,
        now: Timestamp,
    ) {
        let less = |levels: &[Level], left: Option<Option<Quantity>>| match (levels.first(), left) {
            (Some(first), Some(Some(left))) if left.is_positive() => {
                let mut levels = levels.to_vec();
                levels[0] = Level { quantity: left, ..*first };
                levels
            }
            (Some(_), Some(Some(_))) => levels[1..].to_vec(),
            (_, _) => levels.to_vec(),
        };
        let (bids, asks) = (less(&self.bids, bid), less(&self.asks, ask));
        self.set_book(bids, asks, now);
    }

    fn set_book(&mut self, bids: Vec<Level>, asks: Vec<Level>, now: Timestamp) {
        if (&bids, &asks) != (&self.bids, &self.asks) {
            (self.bids, self.asks) = (bids, asks);
            self.number += 1;
            self.changed = now;
        }
    }

    /// A public trade.
    pub(crate) fn trade(&mut self, price: Price, quantity: Quantity, taker: Side, now: Timestamp) {
        self.traded += 1;
        let digits = |number: u64| TradeId(Label::lossy(&number.to_string()));
        let serial = u64::try_from(now.0).unwrap_or(0).saturating_add(self.traded % 1000);
        let row = PublicTrade {
            trade: digits(serial),
            matching: Some(digits(4_611_686_018_430_000_000 + self.traded)),
            instrument: self.spec.name,
            price,
            quantity,
            taker,
            time: Ms(now),
            time_ns: Some(Ns(now)),
        };
        self.trades.push_back((self.traded, row));
        if self.trades.len() > TRADES {
            self.trades.pop_front();
        }
        self.last = Some(price);
    }

    /// Levels from a touch outwards: steps and sizes follow from the price, so that the same touch shows the same.
    fn levels(&self, touch: Price, size: Option<Quantity>, up: bool) -> Vec<Level> {
        let tick = self.spec.price_tick;
        let step = touch.0.times(Fixed::new(1, 4), Rounding::Ceil).ok().map(Price);
        let step = step.and_then(|step| step.to_tick(tick, Rounding::Ceil).ok()).unwrap_or(tick);
        let shown = size.unwrap_or_else(|| ordinary(touch, self.spec.quantity_tick));
        let mut levels = Vec::with_capacity(LEVELS);
        let mut price = touch;
        for n in 0..LEVELS {
            let draw =
                mix(u64::from_le_bytes(price.0.units().to_le_bytes()[..8].try_into().unwrap_or_default()));
            // The touch shows exactly what can be had there; the rest between a half and twice that.
            let eighths = Fixed::from_int(if n == 0 { 8 } else { 4 + i64::try_from(draw % 13).unwrap_or(0) });
            let quantity =
                shown.0.times_over(eighths, Fixed::from_int(8), Rounding::Floor).ok().map(Quantity);
            let quantity = quantity.and_then(|q| q.to_tick(self.spec.quantity_tick, Rounding::Ceil).ok());
            let orders = u32::try_from(1 + draw % 4).unwrap_or(1);
            levels.push(Level { price, quantity: quantity.unwrap_or(shown), orders });
            let next = if up { price.plus(step) } else { price.minus(step) };
            match next {
                Ok(next) if next.is_positive() => price = next,
                Ok(_) | Err(_) => break,
            }
        }
        levels
    }

    /// The ticker, with the sizes that only sockets show.
    pub(crate) fn ticker(&self, now: Timestamp) -> Ticker {
        let hours = self.candles.get(&4).map(|hours| hours.iter().rev().take(DAY_HOURS).collect::<Vec<_>>());
        let hours = hours.unwrap_or_default();
        let high = hours.iter().map(|c| c.high).max();
        let low = hours.iter().map(|c| c.low).min();
        let volume =
            hours.iter().try_fold(Quantity::ZERO, |sum, candle| sum.plus(candle.volume)).unwrap_or_default();
        let open = hours.last().map(|candle| candle.open);
        let change = open.zip(self.last).and_then(|(open, last)| {
            let moved = last.minus(open).ok()?;
            let ratio = moved.0.over(open.0, Rounding::HalfEven).ok()?;
            ratio.to_multiple(Fixed::new(1, 4), Rounding::HalfEven).ok().map(Rate)
        });
        let worth = self.last.and_then(|last| last.times(volume, Rounding::HalfEven).ok());
        let cents = worth.and_then(|worth| worth.to_tick(Money::new(1, 2), Rounding::HalfEven).ok());
        Ticker {
            last: self.last,
            bid: self.bids.first().map(|level| level.price),
            bid_quantity: self.bids.first().map(|level| level.quantity),
            change: Spare(change),
            high: Spare(high),
            instrument: self.spec.name,
            ask: self.asks.first().map(|level| level.price),
            ask_quantity: self.asks.first().map(|level| level.quantity),
            low: Spare(low),
            open_interest: Spare(Some(Quantity::ZERO)),
            time: Ms(now),
            volume: Spare(Some(volume)),
            volume_usd: Spare(cents),
        }
    }

    /// The book, so many levels a side.
    pub(crate) fn book(&self, depth: usize, now: Timestamp) -> BookRow {
        let cut = |levels: &[Level]| levels.iter().take(depth).copied().collect();
        BookRow {
            asks: cut(&self.asks),
            bids: cut(&self.bids),
            time: Some(Ms(now)),
            changed: Some(Ms(self.changed)),
            number: Some(self.number),
        }
    }

    /// The candles of an interval, oldest first; none for an interval that is not kept.
    pub(crate) fn candles(&self, timeframe: Timeframe) -> Vec<CandleRow> {
        let place = TIMEFRAMES.iter().position(|known| known.interval_ns() == timeframe.interval_ns());
        let place = if timeframe == Timeframe::Month { Some(TIMEFRAMES.len() - 1) } else { place };
        let kept = place.and_then(|place| self.candles.get(&place));
        kept.map_or_else(Vec::new, |kept| kept.iter().cloned().collect())
    }

    fn candle(&mut self, price: Price, volume: Quantity, at: Timestamp) {
        for (place, timeframe) in TIMEFRAMES.iter().enumerate() {
            let open = Ms(opened(*timeframe, at));
            let kept = self.candles.entry(place).or_default();
            match kept.back_mut() {
                Some(last) if last.time >= open => {
                    last.high = last.high.max(price);
                    last.low = last.low.min(price);
                    last.close = price;
                    last.volume = last.volume.plus(volume).unwrap_or(last.volume);
                }
                Some(_) | None => {
                    kept.push_back(CandleRow {
                        open: price,
                        high: price,
                        low: price,
                        close: price,
                        volume,
                        time: open,
                    });
                    if kept.len() > CANDLES {
                        kept.pop_front();
                    }
                }
            }
        }
    }
}

/// When the candle that a time lies in opened. Weeks are counted from the epoch; a month is the calendar's.
fn opened(timeframe: Timeframe, at: Timestamp) -> Timestamp {
    match timeframe.interval_ns() {
        Some(interval) => Timestamp(at.0 - at.0.rem_euclid(interval)),
        None => {
            let day = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0)).ok();
            let first =
                day.and_then(|day| day.replace_day(1).ok()).map(|day| day.replace_time(time::Time::MIDNIGHT));
            first.map_or(at, |first| Timestamp::from_millis(first.unix_timestamp().saturating_mul(1000)))
        }
    }
}

/// About 20,000 quote units at a price, in whole ticks and at least one.
pub(crate) fn ordinary(price: Price, tick: Quantity) -> Quantity {
    let size = Fixed::from_int(20_000).over(price.0, Rounding::HalfEven).map(Quantity);
    size.and_then(|size| size.to_tick(tick, Rounding::Ceil)).unwrap_or(tick).max(tick)
}

/// A mixed number: the finaliser of splitmix64, which spreads every bit over all.
pub(crate) const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}
