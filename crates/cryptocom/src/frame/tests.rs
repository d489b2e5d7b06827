//! Frames as the reference shows them, as the server writes them, and as noise.

use super::*;
use crate::wire::tests::{Made, Source, source};
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Section 12.3.
pub(crate) const TRADE: &str = r#"{"id": -1, "method": "subscribe", "code": 0, "result": {"channel": "user.trade", "subscription": "user.trade.BTC_USDT", "instrument_name": "BTC_USDT", "data": [
 {"account_id": "11111111-2222-4333-8444-555555555555", "event_date": "2025-10-09", "journal_type": "TRADING", "side": "BUY",
  "instrument_name": "BTC_USDT", "fees": "-0.0000125", "trade_id": "6530219600001000041", "trade_match_id": "4611686018430000041",
  "create_time": 1760000003000, "traded_price": "61234.50", "traded_quantity": "0.00500", "fee_instrument_name": "BTC",
  "client_oid": "aegis-7f3a-000001", "taker_side": "MAKER", "order_id": "6530219599901000701", "create_time_ns": "1760000003000123456",
  "transaction_time": "1760000003000123456"}]}}"#;

fn data(frame: Frame) -> Push {
    match frame {
        Frame::Push(push) => push,
        other @ (Frame::Heartbeat(_) | Frame::Answer { .. } | Frame::Unknown(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_trade_frame() {
    let push = data(Frame::read(TRADE.as_bytes()));
    assert_eq!((push.id, push.subscription.as_str()), (None, "user.trade.BTC_USDT"));
    let Data::Trades(rows) = push.data else { panic!("trades") };
    let row = &rows.complete().expect("all of them")[0];
    assert_eq!(row.fees.expect("a fee").to_string(), "-0.0000125");
    assert_eq!(row.executed().map(|t| t.0), Some(1_760_000_003_000_123_456));
    assert_eq!(row.trade_id.0.as_str(), "6530219600001000041");
}

#[test]
fn other_frames_by_hand() {
    let say = |text: &str| match Frame::read(text.as_bytes()) {
        Frame::Heartbeat(id) => alloc::format!("heartbeat {id}"),
        Frame::Answer { id, method, code, text } => {
            alloc::format!("answer {id:?} {} {code} {text}", method.map_or("?", Method::name))
        }
        Frame::Push(push) => alloc::format!("{} {:?} {}", push.data.channel(), push.id, push.subscription),
        Frame::Unknown(e) => alloc::format!("unknown: {}", e.text),
    };
    let check = |text: &str, expected: &str| assert_eq!(say(text), expected, "{text}");
    check(r#"{"id": 1760000030000, "method": "public/heartbeat", "code": 0}"#, "heartbeat 1760000030000");
    check(r#"{"id":"7","method":"public/heartbeat"}"#, "heartbeat 7");
    check(r#"{"method":"public/heartbeat"}"#, "unknown: a heartbeat without an id");
    check(r#"{"id":1,"method":"public/auth","code":0}"#, "answer Some(1) public/auth 0 ");
    check(
        r#"{"id":1,"method":"public/auth","code":40101,"message":"UNAUTHORIZED"}"#,
        "answer Some(1) public/auth 40101 UNAUTHORIZED",
    );
    check(r#"{"id":2,"method":"subscribe","code":0,"channel":"user.order"}"#, "answer Some(2) subscribe 0 ");
    check(r#"{"id":-1,"method":"subscribe","code":"0"}"#, "answer None subscribe 0 ");
    // Acknowledgement and snapshot in one.
    let both = r#"{"id":2,"method":"subscribe","code":0,"result":{"channel":"user.order","subscription":"user.order","data":[]}}"#;
    check(both, "user.order Some(2) user.order");
    let prose = r#"{"id":-1,"method":"subscribe","code":0,"result":{"channel":"user.advanced.order","subscription":"user.advanced.order","data":[]}}"#;
    check(prose, "user.advance.order None user.advanced.order");
    let delta = r#"{"id": -1, "method": "subscribe", "code": 0, "result": {"channel": "book.update", "subscription": "book.BTC_USDT.10", "instrument_name": "BTC_USDT", "depth": 10, "data": [
      {"update": {"bids": [["61234.49", "0", "0"]], "asks": []}, "t": 1760000000310, "tt": 1760000000309, "u": 90012, "pu": 90011}]}}"#;
    check(delta, "book.update None book.BTC_USDT.10");
    let new = r#"{"id":-1,"method":"subscribe","code":0,"result":{"channel":"user.positions","subscription":"x","data":[]}}"#;
    check(new, "unknown: unknown channel user.positions");
    check(
        r#"{"id":-1,"method":"subscribe","code":0,"result":{"data":[]}}"#,
        "unknown: rows without a channel",
    );
    let wrong = r#"{"id":-1,"code":0,"result":{"channel":"user.order","data":{}}}"#;
    check(
        wrong,
        "unknown: data: has another JSON type than it may have"
            .replace("data: has", "data: the value has")
            .as_str(),
    );
    check(
        r#"{"id":9,"method":"private/create-order","code":306,"result":{"order_id":"1"}}"#,
        "answer Some(9) private/create-order 306 ",
    );
    check("{}", "unknown: neither code nor rows");
    check("ping", "unknown: not JSON at byte 0");
    check(r#"{"id":1,"method":"public/auth""#, "unknown: JSON that ends too early");
}

#[test]
fn an_unreadable_row_is_counted() {
    let text = TRADE.replace("\"61234.50\"", "\"6.12e4\"");
    let push = data(Frame::read(text.as_bytes()));
    assert_eq!(push.data.misfits(), [Misfit { member: "traded_price", fault: crate::wire::Fault::Form }]);
}

pub(crate) fn made(source: &mut Source) -> Push {
    let data = match source.below(9) {
        0 => Data::Orders(Rows::made(source)),
        1 => Data::Triggers(Rows::made(source)),
        2 => Data::Trades(Rows::made(source)),
        3 => Data::Balances(Rows::made(source)),
        4 => Data::Tickers(Rows::made(source)),
        5 => Data::PublicTrades(Rows::made(source)),
        6 => Data::Books(Rows::made(source)),
        7 => Data::Deltas(Rows::made(source)),
        _ => Data::Candles(Rows::made(source)),
    };
    Push {
        id: Option::<u32>::made(source).map(i64::from),
        subscription: String::made(source),
        instrument: Option::made(source),
        depth: Option::made(source),
        interval: Option::made(source),
        data,
    }
}

proptest! {
    #[test]
    fn what_the_server_pushes_the_client_reads(mut source in source(), quoted in any::<bool>()) {
        let push = made(&mut source);
        let text = push.text(if quoted { Integers::Quoted } else { Integers::Bare });
        prop_assert_eq!(Frame::read(text.as_bytes()), Frame::Push(push), "{}", text);
    }

    #[test]
    fn no_bytes_make_the_client_panic(mut source in source(), bytes in prop::collection::vec(any::<u8>(), 0..99), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        prop_assert!(!matches!(Frame::read(&bytes), Frame::Push(_)));
        let mut damaged: Vec<u8> = made(&mut source).text(Integers::Bare).into_bytes();
        let place = at.index(damaged.len());
        damaged[place] = byte;
        let _ = Frame::read(&damaged);
        damaged.truncate(place);
        prop_assert!(matches!(Frame::read(&damaged), Frame::Unknown(_)), "a torn frame is not understood");
    }
}
