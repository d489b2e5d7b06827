//! A snapshot in the exchange's shape, whole and not, against a state.

use super::*;
use aegis_projection::testing::Story;

const BALANCES: &str = r#"{"id":1,"method":"private/user-balance","code":0,"result":{"data":[{"position_balances":[
    {"instrument_name":"BTC","quantity":"0.0002","reserved_qty":"0"},
    {"instrument_name":"DOGE","quantity":7,"reserved_qty":"0"},
    {"instrument_name":"XRP","quantity":"0","reserved_qty":"0"}]}]}}"#;
const OPEN: &str = r#"{"method":"private/get-open-orders","code":0,"result":{"data":[
    {"order_id":"456","client_oid":"","instrument_name":"BTC_USD","side":"BUY","quantity":"1","cumulative_quantity":"0.5"}]}}"#;
const TRADES: &str = r#"{"method":"private/get-trades","code":0,"result":{"data":[
    {"trade_id":"9","trade_match_id":"46","order_id":"456","instrument_name":"BTC_USD","side":"BUY",
     "traded_price":"50000.00","traded_quantity":"0.0001"}]}}"#;

#[test]
fn what_the_venue_has_and_the_journal_does_not_is_named() {
    let mut venue = Snapshot::default();
    for text in [BALANCES, OPEN, TRADES] {
        venue.add(text).expect("a reply");
    }
    let told: Vec<String> =
        compare(&Story::begin().state, &venue).iter().map(Difference::to_string).collect();
    assert_eq!(
        told,
        [
            "balance BTC: 0 | 0.0002, 0.0002 more",
            "balance DOGE: nothing | 7",
            "open order 456: nothing | buy 1 BTC_USD, 0.5 filled",
            "trade 46: nothing | buy 0.0001 BTC_USD at 50000.00, order 456",
        ]
    );
}

#[test]
fn replies_may_come_in_one_file_and_what_was_not_asked_is_not_compared() {
    let mut venue = Snapshot::default();
    venue.add(&format!("[{OPEN},{TRADES}]")).expect("two replies");
    assert!(venue.balances.is_none() && venue.orders.is_some() && venue.trades.is_some());
    let mut only = Snapshot::default();
    only.add(r#"{"method":"private/get-open-orders","code":0,"result":{"data":[]}}"#).expect("a reply");
    assert_eq!(compare(&Story::begin().state, &only), Vec::new());
}

#[test]
fn half_a_snapshot_is_refused_by_name() {
    for (text, named) in [
        ("", "not JSON"),
        ("{}", "method"),
        (r#"{"method":"private/user-balance","code":40101,"result":{"data":[]}}"#, "40101"),
        (r#"{"method":"private/user-balance","code":0}"#, "result.data"),
        (r#"{"method":"private/user-balance","code":0,"result":{"data":[{}]}}"#, "position_balances"),
        (r#"{"method":"public/get-tickers","code":0,"result":{"data":[]}}"#, "get-tickers"),
        (&OPEN.replace("\"quantity\":\"1\"", "\"quantity\":\"NaN\""), "NaN"),
        (&OPEN.replace("BUY", "LONG"), "LONG"),
    ] {
        let refused = Snapshot::default().add(text).expect_err(text);
        assert!(refused.contains(named), "{refused}");
    }
}
