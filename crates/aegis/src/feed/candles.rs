//! Candles from a recorded file: `open_time_ms,open,high,low,close,volume`, plain or gzipped, any interval.
//!
//! Rows come out as they stand: an absent candle stays absent and one that opens at an odd time stays there. It
//! never accepts a row that contradicts itself or goes back in time.

use crate::feed::FeedError;
use crate::feed::rows::{Held, Row, Source};
use aegis_model::{Candle, Price, Quantity, Timestamp};
use std::path::Path;

/// Candles that are kept in memory at most: nine years of minutes, about 700 MB.
const ROWS_MAX: usize = 5_000_000;

const HEADER: [&str; 6] = ["open_time_ms", "open", "high", "low", "close", "volume"];

/// BTC/USDT spot by the hour, 2017-08-17 to 2024-01-01; see fixtures/market/SOURCES.md.
const EMBEDDED: &[u8] =
    include_bytes!("../../../../fixtures/market/binance_spot_BTCUSDT_1h_2017_2024.csv.gz");

/// A candle with its place in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CandleRow {
    /// The row, from 1 for the first after the header.
    pub(crate) row: u64,
    /// The candle.
    pub(crate) candle: Candle,
}

/// The candles that the program carries: BTC/USDT spot, hourly, 55,765 rows with 29 gaps.
///
/// # Errors
/// None that a tested build can meet.
pub(crate) fn embedded() -> Result<Held<CandleRow>, FeedError> {
    read(Source::bytes("the embedded BTC/USDT candles", EMBEDDED)?)
}

/// Candles from a file.
///
/// # Errors
/// [`FeedError`], naming the file and the line.
pub(crate) fn from_path(path: &Path) -> Result<Held<CandleRow>, FeedError> {
    read(Source::path(path)?)
}

/// Candles from bytes in memory, which errors call `name`.
///
/// # Errors
/// [`FeedError`], naming the line.
#[cfg(test)]
pub(crate) fn from_bytes(name: &str, bytes: &[u8]) -> Result<Held<CandleRow>, FeedError> {
    read(Source::bytes(name, bytes)?)
}

/// The interval of these candles, ns: the median distance between rows, since gaps are few. `None` below two rows.
pub(crate) fn interval_ns(rows: &[CandleRow]) -> Option<i64> {
    let mut steps: Vec<i64> =
        rows.windows(2).map(|pair| pair[1].candle.open_time.since(pair[0].candle.open_time)).collect();
    let middle = steps.len() / 2;
    if steps.is_empty() { None } else { Some(*steps.select_nth_unstable(middle).1) }
}

fn read(source: Source<'_>) -> Result<Held<CandleRow>, FeedError> {
    let (mut count, mut previous) = (0u64, None::<Timestamp>);
    source.rows(HEADER, ROWS_MAX, |row| {
        let candle = candle(&row)?;
        if previous.is_some_and(|before| candle.open_time <= before) {
            return Err(format!("open_time_ms {} is not after the row before it", row.text(0)));
        }
        previous = Some(candle.open_time);
        count += 1;
        Ok(CandleRow { row: count, candle })
    })
}

fn candle(row: &Row<'_, 6>) -> Result<Candle, String> {
    let ms: i64 = row.value(0)?;
    let ns = ms.checked_mul(1_000_000).filter(|ns| *ns >= 0);
    let open_time =
        Timestamp(ns.ok_or_else(|| format!("column open_time_ms: {ms} is no time from 1970 to 2262"))?);
    let [open, high, low, close]: [Price; 4] = [row.value(1)?, row.value(2)?, row.value(3)?, row.value(4)?];
    let volume: Quantity = row.value(5)?;
    if !low.is_positive() {
        return Err(format!("column low: {low} is not above zero"));
    }
    if open.min(close) < low || open.max(close) > high {
        return Err(format!("open {open} or close {close} lies outside low {low} to high {high}"));
    }
    if volume.is_negative() {
        return Err(format!("column volume: {volume} is below zero"));
    }
    Ok(Candle { open_time, open, high, low, close, volume })
}

#[cfg(test)]
mod tests;
