//! What the client writes is what the server reads.

use super::*;
use crate::server::{Inbound, parse_target};
use crate::sign::tests::demo;
use crate::wire::tests::{Made, source};
use alloc::format;
use proptest::prelude::*;

#[test]
fn methods_by_name() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(*method));
        assert_eq!(method.is_advanced(), method.name().contains("/advanced/"));
        let private = method.name().starts_with("private/");
        match method.door() {
            Door::Public => assert!(method.name().starts_with("public/")),
            Door::Private => assert!(private),
            Door::Socket => assert!(method.over_socket()),
        }
        let changes = ["create", "cancel-o", "cancel-all", "amend", "set-"];
        let writes = private
            && !method.name().contains("/get-")
            && changes.iter().any(|word| method.name().contains(word));
        assert_eq!(method.effect() == Effect::Write, writes, "{method}");
    }
    assert_eq!(Method::from_name("private/create-orders"), None);
}

#[test]
fn rates_of_the_table() {
    let check = |name: &str, limit: u32, ms: i64| {
        let rate = Method::from_name(name).expect("a method").rate();
        assert_eq!((rate.limit, rate.period_ns), (limit, ms * 1_000_000), "{name}");
    };
    check("private/create-order", 15, 100);
    check("private/cancel-order", 15, 100);
    check("private/cancel-all-orders", 15, 100);
    check("private/get-order-detail", 30, 100);
    check("private/get-trades", 1, 1000);
    check("private/get-order-history", 1, 1000);
    check("private/get-open-orders", 3, 100);
    check("private/user-balance", 3, 100);
    check("private/advanced/create-order", 3, 100);
    check("private/advanced/get-order-history", 3, 100);
    check("public/get-book", 100, 1000);
}

#[test]
fn an_order_as_the_reference_shows_it() {
    let order = CreateOrder {
        instrument_name: Label::literal("BTC_USDT"),
        side: Side::Buy,
        order_type: OrderType::Limit,
        price: Some(Price::new(6123450, 2)),
        quantity: Some(Quantity::new(15, 3)),
        client_oid: Some(Label::literal("aegis-7f3a-000001")),
        time_in_force: Some(TimeInForce::GoodTillCancel),
        ..CreateOrder::default()
    };
    let body = Request::CreateOrder(order).body(&demo(), 1760000000002, 1760000000002);
    let expected = concat!(
        r#"{"id":1760000000002,"method":"private/create-order","api_key":"AEGISdemoKey0001","#,
        r#""params":{"client_oid":"aegis-7f3a-000001","instrument_name":"BTC_USDT","price":"61234.5","#,
        r#""quantity":"0.015","side":"BUY","time_in_force":"GOOD_TILL_CANCEL","type":"LIMIT"},"nonce":1760000000002,"sig":""#,
    );
    assert!(body.starts_with(expected), "{body}");
}

#[test]
fn targets_and_frames() {
    let book = GetBook { instrument_name: Label::literal("BTC_USDT"), depth: Some(10) };
    assert_eq!(Request::GetBook(book).target(), "public/get-book?depth=10&instrument_name=BTC_USDT");
    assert_eq!(Request::GetInstruments(NoParams).target(), "public/get-instruments");
    assert_eq!(
        heartbeat_answer(1760000030000),
        r#"{"id":1760000030000,"method":"public/respond-heartbeat"}"#
    );
    let channels =
        Channels { channels: ["user.order", "user.trade"].map(String::from).to_vec(), ..Channels::default() };
    assert_eq!(
        Request::Subscribe(channels).frame(2, 3),
        r#"{"id":2,"method":"subscribe","params":{"channels":["user.order","user.trade"]},"nonce":3}"#
    );
}

proptest! {
    #[test]
    fn the_server_reads_what_the_client_wrote(mut source in source(), at in any::<prop::sample::Index>(), id in 0..i64::MAX, nonce in 0..i64::MAX) {
        let method = *at.get(Method::ALL);
        let request = Request::made(method, &mut source);
        for text in [request.body(&demo(), id, nonce), request.frame(id, nonce)] {
            let inbound = Inbound::parse(text.as_bytes()).expect("JSON");
            prop_assert_eq!((inbound.id(), inbound.method(), inbound.nonce()), (id, Ok(method), Some(nonce)));
            let value = Value::parse(text.as_bytes()).expect("JSON");
            let params = value.get("params").expect("params");
            prop_assert_eq!(Request::read(method, params), Ok(request.clone()), "{}", text);
            // And with every rule between parameters: the same request, or a refusal.
            if let Ok(read) = inbound.request() {
                prop_assert_eq!(read, request.clone());
            }
        }
    }

    #[test]
    fn the_server_reads_the_targets_that_the_client_wrote(mut source in source(), depth in 1u32..200) {
        let check = |request: Request| {
            let target = request.target();
            prop_assert_eq!(parse_target(&target), Ok(request), "{}", target);
            Ok(())
        };
        check(Request::GetBook(GetBook { instrument_name: Label::made(&mut source), depth: Some(depth) }))?;
        check(Request::GetTickers(OfInstrument::made(&mut source)))?;
        check(Request::GetPublicTrades(GetPublicTrades { count: Some(depth), ..GetPublicTrades::made(&mut source) }))?;
        check(Request::GetCandlestick(GetCandlestick { count: None, ..GetCandlestick::made(&mut source) }))?;
        check(Request::GetInstruments(NoParams))?;
    }

    #[test]
    fn no_bytes_make_the_server_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,80}", mut source in source(), at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut damaged = Request::made(*at.get(Method::ALL), &mut source).body(&demo(), 1, 2).into_bytes();
        let place = flip.index(damaged.len());
        damaged[place] = byte;
        for bytes in [bytes.as_slice(), text.as_bytes(), damaged.as_slice()] {
            if let Ok(inbound) = Inbound::parse(bytes) {
                let _ = inbound.request();
                let _ = inbound.verify(&demo(), 2, 60_000);
            }
        }
        let _ = parse_target(&text);
        let _ = parse_target(&format!("public/get-book?{text}"));
    }
}
