//! How long the two hot paths take: build and sign an order (goal 5 us), read a trade frame (goal 2 us).
//!
//! `cargo run --release -p aegis-cryptocom --example timing [ROUNDS]` prints nanoseconds a call: the median of 51 (or
//! ROUNDS) rounds, and the fastest and slowest round.

use aegis_cryptocom::request::CreateOrder;
use aegis_cryptocom::words::{OrderType, Side, TimeInForce};
use aegis_cryptocom::{Asked, Frame, Integers, Method, Request, Secret, Signer, judge_write};
use aegis_model::{Label, Price, Quantity};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 51;
const CALLS: u32 = 4_000;

const TRADE: &str = r#"{"id": -1, "method": "subscribe", "code": 0, "result": {"channel": "user.trade", "subscription": "user.trade.BTC_USDT", "instrument_name": "BTC_USDT", "data": [
 {"account_id": "11111111-2222-4333-8444-555555555555", "event_date": "2025-10-09", "journal_type": "TRADING", "side": "BUY",
  "instrument_name": "BTC_USDT", "fees": "-0.0000125", "trade_id": "6530219600001000041", "trade_match_id": "4611686018430000041",
  "create_time": 1760000003000, "traded_price": "61234.50", "traded_quantity": "0.00500", "fee_instrument_name": "BTC",
  "client_oid": "aegis-7f3a-000001", "taker_side": "MAKER", "order_id": "6530219599901000701", "create_time_ns": "1760000003000123456",
  "transaction_time": "1760000003000123456"}]}}"#;

const TICKER: &str = r#"{"id":-1,"method":"subscribe","code":0,"result":{"channel":"ticker","subscription":"ticker.BTC_USDT","instrument_name":"BTC_USDT","data":[{"i":"BTC_USDT","h":"62010.00","l":"60544.13","a":"61234.50","c":"0.0071","b":"61234.49","bs":"0.42010","k":"61234.51","ks":"0.11000","v":"812.40317","vv":"49748105.11","oi":"0","t":1760000000100}]}}"#;

const ACK: &str = r#"{"id":1760000000002,"method":"private/create-order","code":0,"result":{"order_id":"6530219599901000701","client_oid":"00000000ab-00000007-12"}}"#;

fn time(name: &str, mut call: impl FnMut(i64)) {
    let count = std::env::args().nth(1).and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(ROUNDS);
    let mut rounds: Vec<u128> = (0..count)
        .map(|_| {
            let start = Instant::now();
            for n in 0..CALLS {
                call(i64::from(n));
            }
            start.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    println!("{name:<24} {:>6} ns  ({} to {})", rounds[count / 2], rounds[0], rounds[count - 1]);
}

fn main() {
    let signer = Signer::new("AEGISdemoKey0001", &Secret::new("cxakp_demo_SECRET_do_not_use".into()));
    let asked = Asked { method: Method::CreateOrder, id: Some(1_760_000_000_002), client_oid: None };
    time("build and sign an order", |n| {
        let order = CreateOrder {
            client_oid: Some(Label::literal("00000000ab-00000007-12")),
            instrument_name: Label::literal("BTC_USDT"),
            side: Side::Buy,
            order_type: OrderType::Limit,
            price: Some(Price::new(6_123_450 + n, 2)),
            quantity: Some(Quantity::new(1_500, 5)),
            time_in_force: Some(TimeInForce::ImmediateOrCancel),
            ..CreateOrder::default()
        };
        black_box(Request::CreateOrder(order).body(&signer, n, 1_760_000_000_000 + n));
    });
    time("read a trade frame", |_| {
        black_box(Frame::read(black_box(TRADE.as_bytes())));
    });
    time("read a ticker frame", |_| {
        black_box(Frame::read(black_box(TICKER.as_bytes())));
    });
    time("judge an answer", |_| {
        black_box(judge_write(&asked, Some(200), black_box(ACK.as_bytes())));
    });
    let Frame::Push(push) = Frame::read(TRADE.as_bytes()) else { unreachable!("the frame is a good one") };
    time("write a trade frame", |_| {
        black_box(black_box(&push).text(Integers::Bare));
    });
}
