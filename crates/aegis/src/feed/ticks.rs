//! A captured session: best bids and asks and trades of several instruments, merged in the order of their arrival.
//!
//! It never reorders what arrived, never carries a quote over to a trade and never drops a repeated one.

use crate::feed::FeedError;
use crate::feed::rows::{Held, Row, Source};
use aegis_model::market::PricePath;
use aegis_model::{FeedId, InstrumentId, Label, Price, Quantity, Tick, Timestamp};
use std::path::Path;

/// Rows of one file that are kept in memory at most, about 600 MB.
const ROWS_MAX: usize = 2_000_000;

const L1_HEADER: [&str; 7] =
    ["exchange_ns", "received_ns", "symbol", "bid_px", "bid_qty", "ask_px", "ask_qty"];
const TRADES_HEADER: [&str; 7] = ["exchange_ns", "received_ns", "symbol", "trade_id", "side", "price", "qty"];

/// 185 seconds of BTC, ETH and SOL against USDT on 2025-03-25; see fixtures/market/SOURCES.md.
const L1: &[u8] = include_bytes!("../../../../fixtures/market/binance_spot_ticks_20250325/l1.csv.gz");
const TRADES: &[u8] = include_bytes!("../../../../fixtures/market/binance_spot_ticks_20250325/trades.csv.gz");

/// Quote assets that end a symbol written in one word; the first that fits counts.
const QUOTES: [&str; 9] = ["FDUSD", "USDT", "USDC", "TUSD", "USD", "EUR", "BTC", "ETH", "BNB"];

/// One captured message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    /// Its place in the merged order, from 1.
    pub(crate) cursor: u64,
    /// The instrument's name, such as `BTC_USDT`.
    pub(crate) name: Label,
    /// The venue's time of it.
    pub(crate) at: Timestamp,
    /// When it arrived; never falls from point to point.
    pub(crate) received: Timestamp,
    /// What it showed.
    pub(crate) shown: Shown,
}

/// What a captured message showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    /// Best bid and ask with their quantities.
    Quote {
        /// Best bid.
        bid: Price,
        /// Best ask.
        ask: Price,
        /// Quantity at the bid.
        bid_quantity: Quantity,
        /// Quantity at the ask.
        ask_quantity: Quantity,
    },
    /// A trade's price.
    Trade {
        /// Its price.
        last: Price,
    },
}

impl Point {
    /// The point as an input, once the instrument's number is known. A quote has no last price and a trade no bid
    /// or ask: nothing is carried over.
    pub(crate) const fn tick(&self, feed: FeedId, instrument: InstrumentId) -> Tick {
        let tick = Tick {
            feed,
            cursor: self.cursor,
            instrument,
            at: self.at,
            bid: None,
            ask: None,
            last: None,
            bid_quantity: None,
            ask_quantity: None,
            path: PricePath::Jump,
        };
        match self.shown {
            Shown::Quote { bid, ask, bid_quantity, ask_quantity } => Tick {
                bid: Some(bid),
                ask: Some(ask),
                bid_quantity: Some(bid_quantity),
                ask_quantity: Some(ask_quantity),
                ..tick
            },
            Shown::Trade { last } => Tick { last: Some(last), ..tick },
        }
    }
}

/// The capture that the program carries: 50,000 points of BTC_USDT, ETH_USDT and SOL_USDT.
///
/// # Errors
/// None that a tested build can meet.
pub(crate) fn embedded() -> Result<Held<Point>, FeedError> {
    merge(Source::bytes("the embedded quotes", L1)?, Source::bytes("the embedded trades", TRADES)?)
}

/// A capture from its two files.
///
/// # Errors
/// [`FeedError`], naming the file and the line.
pub(crate) fn from_paths(l1: &Path, trades: &Path) -> Result<Held<Point>, FeedError> {
    merge(Source::path(l1)?, Source::path(trades)?)
}

/// Orders both files by the time of arrival; at the same nanosecond quotes come before trades, and rows of one
/// file in the file's order. The cursor is the place in this order.
fn merge(l1: Source<'_>, trades: Source<'_>) -> Result<Held<Point>, FeedError> {
    let Held { rows: mut points, digest } = l1.rows(L1_HEADER, ROWS_MAX, |row| {
        let (bid, ask) = (row.value(3)?, row.value(5)?);
        let (bid_quantity, ask_quantity) = (row.value(4)?, row.value(6)?);
        positive("bid_px", bid)?;
        positive("ask_px", ask)?;
        not_negative("bid_qty", bid_quantity)?;
        not_negative("ask_qty", ask_quantity)?;
        point(&row, Shown::Quote { bid, ask, bid_quantity, ask_quantity })
    })?;
    let traded = trades.rows(TRADES_HEADER, ROWS_MAX, |row| {
        let last = row.value(5)?;
        positive("price", last)?;
        not_negative("qty", row.value(6)?)?;
        point(&row, Shown::Trade { last })
    })?;
    points.extend(traded.rows);
    points.sort_by_key(|p| p.received);
    for (place, point) in points.iter_mut().enumerate() {
        point.cursor = place as u64 + 1;
    }
    Ok(Held { rows: points, digest: [digest, traded.digest].join(",") })
}

fn point(row: &Row<'_, 7>, shown: Shown) -> Result<Point, String> {
    let (at, received): (i64, i64) = (row.value(0)?, row.value(1)?);
    if at < 0 || received < 0 {
        return Err(String::from("a time before 1970"));
    }
    let name = instrument_name(row.text(2))
        .ok_or_else(|| format!("column symbol: {:?} ends in no known quote asset", row.text(2)))?;
    Ok(Point { cursor: 0, name, at: Timestamp(at), received: Timestamp(received), shown })
}

fn positive(column: &str, price: Price) -> Result<(), String> {
    if price.is_positive() { Ok(()) } else { Err(format!("column {column}: {price} is not above zero")) }
}

fn not_negative(column: &str, quantity: Quantity) -> Result<(), String> {
    if quantity.is_negative() { Err(format!("column {column}: {quantity} is below zero")) } else { Ok(()) }
}

/// `BTCUSDT` as `BTC_USDT`; `None` when it ends in no known quote asset.
fn instrument_name(symbol: &str) -> Option<Label> {
    let (base, quote) =
        QUOTES.iter().find_map(|quote| Some((symbol.strip_suffix(quote)?, *quote))).filter(|(base, _)| {
            !base.is_empty() && base.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        })?;
    format!("{base}_{quote}").parse().ok()
}

#[cfg(test)]
mod tests;
