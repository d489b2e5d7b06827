//! What the doctor says of an exchange that works and of one that does not.

use super::server::{Answer, Server, rows};
use super::{btc, ms, push, settings, signer};
use crate::wire::doctor::{Check, Grade, examine};
use serde_json::json;

fn healthy() -> Server {
    let server = Server::start();
    server.always(
        "public/get-instruments",
        rows(&[json!({"symbol": "BTC_USDT", "inst_type": "CCY_PAIR", "base_ccy": "BTC", "quote_ccy": "USDT",
            "quote_decimals": 2, "quantity_decimals": 5, "price_tick_size": "0.01", "qty_tick_size": "0.00001",
            "tradable": true})]),
    );
    server.always(
        "public/get-risk-parameters",
        Answer::Result(
            json!({"base_currency_config": [{"instrument_name": "BTC", "min_order_notional_usd": "1"}]}),
        ),
    );
    server.always(
        "private/get-accounts",
        Answer::Result(json!({"master_account": {"uuid": "u", "tradable": true, "suspended": false,
            "email": "nobody@example.com"}, "sub_account_list": []})),
    );
    server.always(
        "private/get-fee-rate",
        Answer::Result(json!({"effective_spot_maker_rate_bps": "25", "effective_spot_taker_rate_bps": "50"})),
    );
    let priced = server.clone();
    server.on("public/get-tickers", move |_| {
        priced.later("market", push("ticker", &[json!({"i": "BTC_USDT", "b": "1", "k": "2", "t": 1})]));
        rows(&[])
    });
    server
}

fn grade(checks: &[Check], about: &str) -> Grade {
    checks.iter().filter(|check| check.about == about).map(|check| check.grade).max().expect("a check")
}

#[test]
fn a_healthy_exchange_is_found_healthy() {
    let server = healthy();
    let mut settings = settings(&server);
    settings.warm_every = ms(5);
    let checks = examine(&settings, signer(), super::PATIENCE).expect("examined");
    let bad: Vec<&Check> = checks.iter().filter(|check| check.grade == Grade::Bad).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let text = format!("{checks:?}");
    assert!(text.contains("minimum worth 1 USDT"), "{text}");
    assert!(!text.contains("nobody@example.com"), "nothing personal is shown");
}

#[test]
fn what_does_not_work_is_named() {
    let server = healthy();
    server.login(40_101);
    server.always("private/user-balance", Answer::Code(401, 40_101, None));
    server.always("private/get-accounts", Answer::Code(401, 40_101, None));
    let mut settings = settings(&server);
    settings.instruments.push("NO_SUCH".parse().unwrap());
    let checks = examine(&settings, signer(), ms(500)).expect("examined");
    for about in ["key", "user socket", "instrument", "prices"] {
        assert_eq!(grade(&checks, about), Grade::Bad, "{about}");
    }
    assert_eq!(grade(&checks, "connection"), Grade::Good);

    let mut settings = super::settings(&server);
    settings.rest = "http://127.0.0.1:1/exchange/v1/".to_owned();
    settings.instruments = vec![btc()];
    let checks = examine(&settings, signer(), ms(300)).expect("examined");
    assert_eq!(grade(&checks, "connection"), Grade::Bad);
}
