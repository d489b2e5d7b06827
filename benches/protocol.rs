//! The exchange's protocol without sockets: an order built, written down and signed; frames read.

use aegis_benches::report::{Report, Unit, repetitions};
use aegis_benches::{size, timed};
use aegis_cryptocom::{Asked, Frame, Method, Secret, Signer, bridge, judge_write};
use aegis_model::input::Place;
use aegis_model::order::TimeInForce;
use aegis_model::{ClientOrderId, InstrumentId, Label, OrderKind, Price, Quantity, Side};
use std::hint::black_box;

/// One execution, as `user.trade` tells it.
const TRADE: &str = r#"{"id": -1, "method": "subscribe", "code": 0, "result": {"channel": "user.trade", "subscription": "user.trade.BTC_USDT", "instrument_name": "BTC_USDT", "data": [
 {"account_id": "11111111-2222-4333-8444-555555555555", "event_date": "2025-10-09", "journal_type": "TRADING", "side": "BUY",
  "instrument_name": "BTC_USDT", "fees": "-0.0000125", "trade_id": "6530219600001000041", "trade_match_id": "4611686018430000041",
  "create_time": 1760000003000, "traded_price": "61234.50", "traded_quantity": "0.00500", "fee_instrument_name": "BTC",
  "client_oid": "aegis-7f3a-000001", "taker_side": "MAKER", "order_id": "6530219599901000701", "create_time_ns": "1760000003000123456",
  "transaction_time": "1760000003000123456"}]}}"#;

const TICKER: &str = r#"{"id":-1,"method":"subscribe","code":0,"result":{"channel":"ticker","subscription":"ticker.BTC_USDT","instrument_name":"BTC_USDT","data":[{"i":"BTC_USDT","h":"62010.00","l":"60544.13","a":"61234.50","c":"0.0071","b":"61234.49","bs":"0.42010","k":"61234.51","ks":"0.11000","v":"812.40317","vv":"49748105.11","oi":"0","t":1760000000100}]}}"#;

const ANSWER: &str = r#"{"id":1760000000002,"method":"private/create-order","code":0,"result":{"order_id":"6530219599901000701","client_oid":"00000000ab-00000007-12"}}"#;

/// Nanoseconds a call, as often as a measurement is repeated.
fn row(report: &Report, name: &str, mut call: impl FnMut(u64)) {
    let count = size(200_000, 20);
    let samples: Vec<f64> = (0..repetitions())
        .map(|_| timed(|| (0..count).for_each(&mut call)).0.as_nanos() as f64 / count as f64)
        .collect();
    report.row(name, count * repetitions(), Unit::Ns, &samples);
}

fn main() {
    let report = Report::new(
        "protocol",
        "the exchange's protocol in memory (goals: an order built and signed below 5 us, a trade frame read below 2 us)",
    );
    let signer = Signer::new("AEGISdemoKey0001", &Secret::new("cxakp_demo_SECRET_do_not_use".into()));
    let name = Label::literal("BTC_USDT");
    row(&report, "an order built, written down and signed", |n| {
        let place = Place {
            client: ClientOrderId::default(),
            instrument: InstrumentId(0),
            side: Side::Buy,
            kind: OrderKind::Limit {
                price: Price::new(6_123_450 + n as i64, 2),
                time_in_force: TimeInForce::ImmediateOrCancel,
            },
            quantity: Quantity::new(1_500, 5),
        };
        let request = bridge::place(black_box(&place), name, aegis_cryptocom::words::RefPriceType::MarkPrice);
        black_box(request.body(&signer, n as i64, 1_760_000_000_000 + n as i64));
    });
    row(&report, "a trade frame read", |_| {
        black_box(Frame::read(black_box(TRADE.as_bytes())));
    });
    row(&report, "a ticker frame read", |_| {
        black_box(Frame::read(black_box(TICKER.as_bytes())));
    });
    let asked = Asked { method: Method::CreateOrder, id: Some(1_760_000_000_002), client_oid: None };
    row(&report, "an answer judged", |_| {
        black_box(judge_write(&asked, Some(200), black_box(ANSWER.as_bytes())));
    });
}
