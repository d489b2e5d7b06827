//! The venue's strictness, code by code, and the order of its checks.

use super::*;
use crate::request::{CreateOrder, NoParams};
use crate::sign::tests::demo;
use crate::sign::{NONCE_WINDOW_MS, Secret};
use aegis_model::{Label, Price, Quantity, VenueOrderId};
use alloc::format;

#[test]
fn strictness_by_hand() {
    let check = |method: &str, params: &str, expected: Option<Code>| {
        let body = format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#);
        let read = Inbound::parse(body.as_bytes()).and_then(|inbound| inbound.request());
        assert_eq!(read.as_ref().err(), expected.as_ref(), "{method} {params} {read:?}");
    };
    let order = |rest: &str| format!(r#"{{"instrument_name":"BTC_USDT",{rest}}}"#);
    let limit = |rest: &str| order(&format!(r#""side":"BUY","type":"LIMIT",{rest}"#));
    let create = "private/create-order";
    check(create, &limit(r#""price":"1","quantity":"2""#), None);
    check(create, &limit(r#""price":"1","quantity":"2","clientoid":"x""#), None);
    // Section 2, type strictness.
    check(create, &limit(r#""price":1,"quantity":"2""#), Some(Code::InvalidPrice));
    check(create, &limit(r#""price":"1","quantity":2"#), Some(Code::Unauthorized));
    check(create, &limit(r#""price":"1","quantity":"2","notional":3"#), Some(Code::ErrInternal));
    check(create, &limit(r#""price":"1","quantity":"two""#), Some(Code::InvalidOrderqty));
    check(create, &limit(r#""price":"1e3","quantity":"2""#), Some(Code::InvalidPrice));
    check("private/get-trades", r#"{"limit":"100"}"#, Some(Code::InvalidRequest));
    check(
        "private/get-trades",
        r#"{"limit":100,"start_time":1760000000000,"end_time":"1760000000000000000"}"#,
        None,
    );
    check("private/get-trades", r#"{"limit":0}"#, Some(Code::MissingOrInvalidArgument));
    check("private/get-order-detail", r#"{"order_id":6530219599901000701}"#, None);
    check("private/get-order-detail", "{}", Some(Code::MissingOrInvalidArgument));
    // Section 7.1.
    check(
        create,
        &order(r#""type":"LIMIT","price":"1","quantity":"2""#),
        Some(Code::MissingOrInvalidArgument),
    );
    check(
        create,
        &order(r#""side":"buy","type":"LIMIT","price":"1","quantity":"2""#),
        Some(Code::InvalidSide),
    );
    check(
        create,
        &order(r#""side":"BUY","type":"limit","price":"1","quantity":"2""#),
        Some(Code::InvalidOrdtype),
    );
    check(
        create,
        &order(r#""side":"BUY","type":"STOP_LOSS","ref_price":"1","quantity":"2""#),
        Some(Code::ApiDisabled),
    );
    check(create, &limit(r#""quantity":"2""#), Some(Code::MissingOrInvalidArgument));
    check(create, &order(r#""side":"BUY","type":"MARKET","notional":"100""#), None);
    check(
        create,
        &order(r#""side":"SELL","type":"MARKET","notional":"100""#),
        Some(Code::MissingOrInvalidArgument),
    );
    check(create, &limit(r#""price":"1","quantity":"2","time_in_force":"GTC""#), Some(Code::InvalidTif));
    check(create, &limit(r#""price":"1","quantity":"2","exec_inst":["POST"]"#), Some(Code::InvalidExecinst));
    check(
        create,
        &limit(r#""price":"1","quantity":"2","exec_inst":"POST_ONLY""#),
        Some(Code::InvalidExecinst),
    );
    check(
        create,
        &limit(r#""price":"1","quantity":"2","exec_inst":["POST_ONLY","SMART_POST_ONLY"]"#),
        Some(Code::InvalidExecinst),
    );
    check(create, &limit(r#""price":"1","quantity":"2","spot_margin":"MAYBE""#), Some(Code::ErrInternal));
    check(
        create,
        &limit(r#""price":"1","quantity":"2","stp_scope":"M""#),
        Some(Code::MissingOrInvalidArgument),
    );
    check(
        create,
        &limit(&format!(r#""price":"1","quantity":"2","client_oid":"{}""#, "x".repeat(37))),
        Some(Code::MissingOrInvalidArgument),
    );
    check(create, "[]", Some(Code::InvalidRequest));
    // Section 7.2.
    let list = |kind: &str, n: usize| {
        let one = limit(r#""price":"1","quantity":"2""#);
        let all = alloc::vec![one; n].join(",");
        format!(r#"{{"contingency_type":"{kind}","order_list":[{all}]}}"#)
    };
    check("private/create-order-list", &list("LIST", 10), None);
    check("private/create-order-list", &list("LIST", 11), Some(Code::MissingOrInvalidArgument));
    check("private/create-order-list", &list("LIST", 0), Some(Code::MissingOrInvalidArgument));
    check("private/create-order-list", &list("OCO", 2), Some(Code::ApiDisabled));
    // Sections 7.3 and 8.
    check("private/amend-order", r#"{"order_id":"1","new_price":"2"}"#, Some(Code::MissingOrInvalidArgument));
    check("private/amend-order", r#"{"order_id":"1","new_price":"2","new_quantity":"3"}"#, None);
    let stop = |rest: &str| order(&format!(r#""side":"SELL","quantity":"0.01496",{rest}"#));
    let advanced = "private/advanced/create-order";
    check(
        advanced,
        &stop(r#""type":"STOP_LOSS","ref_price":"59900.00","ref_price_type":"MARK_PRICE""#),
        None,
    );
    check(advanced, &stop(r#""type":"STOP_LOSS","ref_price":59900"#), Some(Code::InvalidRefPrice));
    check(advanced, &stop(r#""type":"STOP_LOSS""#), Some(Code::MissingOrInvalidArgument));
    check(
        advanced,
        &stop(r#""type":"STOP_LOSS","ref_price":"1","ref_price_type":"ASK""#),
        Some(Code::InvalidRefPriceType),
    );
    check(advanced, &stop(r#""type":"STOP_LIMIT","ref_price":"1""#), Some(Code::MissingOrInvalidArgument));
    check(advanced, &stop(r#""type":"LIMIT","price":"1""#), Some(Code::InvalidOrdtype));
    let plain = |side: &str| order(&format!(r#""side":"{side}","type":"LIMIT","price":"2","quantity":"1""#));
    let leg = |side: &str, kind: &str| {
        order(&format!(r#""side":"{side}","type":"{kind}","ref_price":"1","quantity":"1""#))
    };
    let lists = |legs: &[&String]| {
        let legs: Vec<&str> = legs.iter().map(|leg| leg.as_str()).collect();
        format!(r#"{{"order_list":[{}]}}"#, legs.join(","))
    };
    let wrong = Some(Code::MissingOrInvalidArgument);
    let (oco, oto, otoco) =
        ("private/advanced/create-oco", "private/advanced/create-oto", "private/advanced/create-otoco");
    check(oco, &lists(&[&plain("SELL"), &leg("SELL", "STOP_LOSS")]), None);
    check(oco, &lists(&[&leg("SELL", "STOP_LOSS"), &plain("SELL")]), None);
    check(oco, &lists(&[&plain("BUY"), &leg("SELL", "STOP_LOSS")]), wrong);
    check(oco, &lists(&[&plain("SELL")]), wrong);
    check(oto, &lists(&[&plain("BUY"), &leg("SELL", "STOP_LOSS")]), None);
    check(oto, &lists(&[&plain("BUY"), &plain("SELL")]), wrong);
    check(oto, &lists(&[&plain("BUY"), &leg("BUY", "STOP_LOSS")]), wrong);
    check(otoco, &lists(&[&plain("BUY"), &leg("SELL", "STOP_LOSS"), &leg("SELL", "TAKE_PROFIT")]), None);
    check(otoco, &lists(&[&plain("BUY"), &leg("SELL", "STOP_LOSS")]), wrong);
    check("private/no-such", "{}", Some(Code::MethodNotFound));
}

#[test]
fn keys_signatures_and_clocks() {
    let now = 1_760_000_000_000;
    let request = Request::UserBalance(NoParams);
    let check = |body: &str, at: i64, expected: Result<(), Code>| {
        let inbound = Inbound::parse(body.as_bytes()).expect("JSON");
        assert_eq!(inbound.verify(&demo(), at, NONCE_WINDOW_MS), expected, "{body} {at}");
    };
    let body = request.body(&demo(), 7, now);
    check(&body, now, Ok(()));
    check(&body, now + NONCE_WINDOW_MS, Ok(()));
    check(&body, now - NONCE_WINDOW_MS, Ok(()));
    check(&body, now + NONCE_WINDOW_MS + 1, Err(Code::InvalidNonce));
    check(&body, now - NONCE_WINDOW_MS - 1, Err(Code::InvalidNonce));
    check(&body, i64::MIN, Err(Code::InvalidNonce));
    // Id and nonce as strings, as one client sends them, carry the same signature.
    let quoted = body.replace("\"id\":7", "\"id\":\"7\"").replace(&format!("{now}"), &format!("\"{now}\""));
    check(&quoted, now, Ok(()));
    check(&body.replace("AEGISdemoKey0001", "AEGISdemoKey0002"), now, Err(Code::Unauthorized));
    check(&body.replace("\"id\":7", "\"id\":8"), now, Err(Code::Unauthorized));
    check(&body.replace("\"params\":{}", "\"params\":{\"a\":1}"), now, Err(Code::Unauthorized));
    check(&body.replace(&format!("{now}"), &format!("{now}.5")), now, Err(Code::Unauthorized));
    check(r#"{"id":7,"method":"private/user-balance"}"#, now, Err(Code::Unauthorized));
    let other = Signer::new("AEGISdemoKey0001", &Secret::new("another".into()));
    check(&request.body(&other, 7, now), now + 999_999, Err(Code::Unauthorized));
}

#[test]
fn doors() {
    let check = |target: &str, expected: Code| assert_eq!(parse_target(target), Err(expected), "{target}");
    check("public/get-trades?instrument_name=BTC_USDT&count=0", Code::MissingOrInvalidArgument);
    check("public/get-candlestick?instrument_name=BTC_USDT&timeframe=3m", Code::InvalidRequest);
    check("public/get-book?depth=10", Code::MissingOrInvalidArgument);
    check("public/get-book?instrument_name=%zz", Code::InvalidRequest);
    check("private/user-balance", Code::InvalidRequest);
    check("public/auth", Code::MethodNotFound);
    check("public/nothing", Code::MethodNotFound);
    assert_eq!(knock(Method::GetBook, true), Err(Code::ErrInternal));
    assert_eq!(knock(Method::CreateOrder, true), Ok(()));
    let candles = parse_target("public/get-candlestick?timeframe=1D&instrument_name=BTC%5FUSDT&x=y");
    let Ok(Request::GetCandlestick(candles)) = candles else { panic!("{candles:?}") };
    assert_eq!(candles.instrument_name.as_str(), "BTC_USDT");
}

#[test]
fn broken_bodies() {
    for body in ["", "null", "[]", "{", "{\"id\":1", "\"x\"", "42"] {
        assert_eq!(Inbound::parse(body.as_bytes()), Err(Code::InvalidRequest), "{body}");
    }
    let inbound = Inbound::parse(b"{}").expect("an object");
    assert_eq!(
        (inbound.id(), inbound.method_name(), inbound.method()),
        (-1, "ERROR", Err(Code::MethodNotFound))
    );
}

#[test]
fn answers_as_the_reference_shows_them() {
    let ack = OrderAck {
        order_id: Some(VenueOrderId(Label::literal("6530219599901000705"))),
        client_oid: Some(Label::literal("aegis-7f3a-000005")),
    };
    let code = Code::InsufficientAvailableBalance;
    let reply = refuse(51, "private/create-order", code, Some(&ack), None, Integers::Bare);
    let expected = concat!(
        r#"{"id":51,"method":"private/create-order","code":306,"message":"INSUFFICIENT_AVAILABLE_BALANCE","#,
        r#""result":{"client_oid":"aegis-7f3a-000005","order_id":"6530219599901000705"}}"#
    );
    assert_eq!((reply.status, reply.body.as_str()), (500, expected));
    let reply = answer_saying(12, Method::CancelOrder, "NO_ERROR", &ack, Integers::Quoted);
    assert!(
        reply
            .body
            .starts_with(r#"{"id":"12","method":"private/cancel-order","code":"0","message":"NO_ERROR""#)
    );
    assert_eq!(
        done(1, Method::CancelAllOrders, Integers::Bare).body,
        r#"{"id":1,"method":"private/cancel-all-orders","code":0}"#
    );
    let order = CreateOrder {
        price: Some(Price::new(1, 0)),
        quantity: Some(Quantity::new(1, 0)),
        order_type: OrderType::Limit,
        side: Side::Buy,
        ..CreateOrder::default()
    };
    let body = Request::CreateOrder(order).body(&demo(), 1, 1);
    assert!(Inbound::parse(body.as_bytes()).and_then(|i| i.request()).is_ok());
}
