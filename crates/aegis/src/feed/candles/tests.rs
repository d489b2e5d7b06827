//! The embedded candles counted, and the rows that are refused.
//!
//! It never needs a file beside the embedded one.

use super::*;
use aegis_model::ids::SECOND;

const HOUR: i64 = 3600 * SECOND;

#[test]
fn the_embedded_candles_are_as_delivered() {
    let rows = embedded().expect("the embedded candles").rows;
    assert_eq!(rows.len(), 55_765);
    assert!(rows.iter().enumerate().all(|(i, row)| row.row == i as u64 + 1));
    let first = rows[0].candle;
    assert_eq!(first.open_time, Timestamp::from_millis(1_502_942_400_000));
    assert_eq!((first.open, first.high), (Price::new(426_148, 2), Price::new(431_362, 2)));
    assert_eq!((first.low, first.close), (Price::new(426_132, 2), Price::new(430_883, 2)));
    assert_eq!(first.volume, Quantity::new(47_181_009, 6));
    assert_eq!(rows[55_764].candle.open_time, Timestamp::from_millis(1_704_150_000_000));
    let steps = rows.windows(2).map(|pair| pair[1].candle.open_time.since(pair[0].candle.open_time));
    assert_eq!(steps.filter(|step| *step != HOUR).count(), 29, "gaps, one of them an overlap");
    assert_eq!(rows.iter().filter(|row| row.candle.open_time.0 % HOUR != 0).count(), 43, "off the hour");
    assert_eq!(interval_ns(&rows), Some(HOUR));
}

#[test]
fn interval_needs_two_rows() {
    let minutes =
        b"open_time_ms,open,high,low,close,volume\n60000,1,1,1,1,0\n120000,1,1,1,1,0\n300000,1,1,1,1,0\n";
    let rows = from_bytes("minutes", minutes).expect("minutes").rows;
    assert_eq!(interval_ns(&rows[..2]), Some(60 * SECOND));
    assert_eq!(interval_ns(&rows[..1]), None);
    assert_eq!(interval_ns(&[]), None);
}

#[test]
fn a_path_reads_like_bytes() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/market/binance_spot_BTCUSDT_1h_2017_2024.csv.gz"
    );
    if Path::new(path).exists() {
        assert_eq!(from_path(Path::new(path)).expect("the file"), embedded().expect("the bytes"));
    }
}

#[test]
fn refused_rows() {
    for (row, fault) in [
        ("3600000,10,12,9,11", "5 columns"),
        ("x,10,12,9,11,1", "column open_time_ms: invalid digit"),
        ("-1,10,12,9,11,1", "is no time from 1970 to 2262"),
        ("9223372036854775807,10,12,9,11,1", "is no time from 1970 to 2262"),
        ("0,10,12,9,11,1", "open_time_ms 0 is not after"),
        ("3600000,1e1,12,9,11,1", "column open: not a plain decimal"),
        ("3600000,10,NaN,9,11,1", "column high"),
        ("3600000,10,12,0,11,1", "column low: 0 is not above zero"),
        ("3600000,10,12,11,11,1", "outside low 11 to high 12"),
        ("3600000,10,12,9,13,1", "outside low 9 to high 12"),
        ("3600000,10,8,9,10,1", "outside low 9 to high 8"),
        ("3600000,10,12,9,11,-1", "column volume: -1 is below zero"),
        ("3600000,10,12,9,11,", "column volume: no digits"),
    ] {
        let text = format!("open_time_ms,open,high,low,close,volume\n0,10,10,10,10,0\n{row}\n");
        let said = from_bytes("bad.csv", text.as_bytes()).expect_err(fault).to_string();
        assert!(said.starts_with("bad.csv:3: ") && said.contains(fault), "{said}");
    }
}
