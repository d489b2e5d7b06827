//! The embedded capture counted, the merge order, and the rows that are refused.
//!
//! It never needs a file beside the embedded ones.

use super::*;

const L1_HEAD: &str = "exchange_ns,received_ns,symbol,bid_px,bid_qty,ask_px,ask_qty\n";
const TRADES_HEAD: &str = "exchange_ns,received_ns,symbol,trade_id,side,price,qty\n";

fn read(l1: &str, trades: &str) -> Result<Vec<Point>, String> {
    let (l1, trades) = (format!("{L1_HEAD}{l1}"), format!("{TRADES_HEAD}{trades}"));
    let both = Source::bytes("l1", l1.as_bytes())
        .and_then(|l1| merge(l1, Source::bytes("trades", trades.as_bytes())?));
    both.map(|held| held.rows).map_err(|e| e.to_string())
}

#[test]
fn the_embedded_capture_is_as_delivered() {
    let points = embedded().expect("the embedded capture").rows;
    assert_eq!(points.len(), 38_968 + 11_032);
    assert!(points.iter().enumerate().all(|(i, p)| p.cursor == i as u64 + 1));
    assert!(points.windows(2).all(|pair| pair[0].received <= pair[1].received));
    for (name, trades) in [("BTC_USDT", 6_770), ("ETH_USDT", 1_805), ("SOL_USDT", 2_457)] {
        let of = |p: &&Point| p.name.as_str() == name && matches!(p.shown, Shown::Trade { .. });
        assert_eq!(points.iter().filter(of).count(), trades);
    }
    let first = points[0];
    assert_eq!((first.name.as_str(), first.at.0), ("ETH_USDT", 1_742_944_020_773_674_205));
    let tick = first.tick(FeedId(2), InstrumentId(7));
    assert_eq!((tick.feed, tick.cursor, tick.instrument, tick.at), (FeedId(2), 1, InstrumentId(7), first.at));
    assert_eq!(
        (tick.bid, tick.ask, tick.last),
        (Some(Price::new(20_591, 1)), Some(Price::new(205_911, 2)), None)
    );
    assert_eq!(tick.bid_quantity, Some(Quantity::new(330_914, 4)));
}

#[test]
fn ties_are_quotes_first_then_as_written() {
    let quote = |received: u32, bid: u32| format!("5,{received},BTCUSDT,{bid},1,{bid},1\n");
    let trade = |received: u32, price: u32| format!("5,{received},BTCUSDT,9,buy,{price},1\n");
    let l1 = [quote(10, 1), quote(20, 2), quote(20, 3)].concat();
    let trades = [trade(10, 4), trade(20, 5), trade(9, 6)].concat();
    let points = read(&l1, &trades).expect("a capture");
    let order: Vec<i64> = points
        .iter()
        .map(|p| match p.shown {
            Shown::Quote { bid: price, .. } | Shown::Trade { last: price } => price.0.approximate(0),
        })
        .collect();
    assert_eq!(order, [6, 1, 4, 2, 3, 5]);
    let tick = points[0].tick(FeedId(1), InstrumentId(1));
    assert_eq!((tick.bid, tick.ask, tick.last), (None, None, Some(Price::new(6, 0))));
}

#[test]
fn symbols() {
    for (symbol, name) in [
        ("BTCUSDT", Some("BTC_USDT")),
        ("ETHBTC", Some("ETH_BTC")),
        ("SOLFDUSD", Some("SOL_FDUSD")),
        ("1000PEPEUSD", Some("1000PEPE_USD")),
        ("USDT", None),
        ("btcusdt", None),
        ("BTC_USDT", None),
        ("BTCXYZ", None),
        ("", None),
    ] {
        assert_eq!(instrument_name(symbol).map(|l| l.to_string()).as_deref(), name, "{symbol}");
    }
}

#[test]
fn refused_rows() {
    for (l1, fault) in [
        ("1,2,BTCXYZ,1,1,1,1", "column symbol: \"BTCXYZ\" ends in no known quote asset"),
        ("1,x,BTCUSDT,1,1,1,1", "column received_ns"),
        ("-1,2,BTCUSDT,1,1,1,1", "a time before 1970"),
        ("1,2,BTCUSDT,0,1,1,1", "column bid_px: 0 is not above zero"),
        ("1,2,BTCUSDT,1,-1,1,1", "column bid_qty: -1 is below zero"),
        ("1,2,BTCUSDT,1,1,,1", "column ask_px: no digits"),
    ] {
        let said = read(l1, "").expect_err(fault);
        assert!(said.starts_with("l1:2: ") && said.contains(fault), "{said}");
    }
    let said = read("", "1,2,BTCUSDT,1,buy,-3,1").expect_err("price");
    assert_eq!(said, "trades:2: column price: -3 is not above zero");
}
