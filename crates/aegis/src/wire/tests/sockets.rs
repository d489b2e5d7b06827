//! Sockets: login, heartbeats, silence, closes, frames in any order, and a reader that is too slow.

use super::server::{Say, Server, rows};
use super::{Bench, btc, client, id, ms, oid, order, push, trade, trigger};
use crate::wire::settings::QuoteSource;
use crate::wire::{Heard, Ours, Said, Socket};
use serde_json::json;
use std::time::Instant;

fn gone(bench: &Bench, socket: Socket) -> String {
    bench.next(|heard| match heard {
        Heard::Disconnected { which, why } if which == socket => Some(why.as_str().to_owned()),
        _ => None,
    })
}

#[test]
fn a_socket_pauses_logs_in_and_subscribes() {
    let bench = Bench::with(|settings| settings.connect_pause = ms(150), &[]);
    let began = Instant::now();
    let login = bench.server.frame("user", |frame| frame["method"] == "public/auth");
    assert!(began.elapsed() >= ms(140), "a fresh connection says nothing at first: {:?}", began.elapsed());
    assert_eq!(login["api_key"], json!("AEGISdemoKey0001"));
    let subscription = bench.server.frame("user", |frame| frame["method"] == "subscribe");
    assert_eq!(
        subscription["params"]["channels"],
        json!(["user.order", "user.trade", "user.balance", "user.advance.order"])
    );
    bench.connected(Socket::User);
    let subscription = bench.server.frame("market", |frame| frame["method"] == "subscribe");
    assert_eq!(subscription["params"]["channels"], json!(["ticker.BTC_USDT"]));
}

#[test]
fn a_refused_login_is_told_and_tried_again() {
    let server = Server::start();
    server.login(40_101);
    let bench = Bench::of(server, |_| (), &[], 64);
    let code = bench.next(|heard| match heard {
        Heard::AccessRefused { code, .. } => Some(code),
        _ => None,
    });
    assert_eq!(code, 40_101);
    assert!(gone(&bench, Socket::User).contains("40101"));
    bench.server.login(0);
    bench.connected(Socket::User);
}

#[test]
fn a_login_without_an_answer_is_given_up() {
    let server = Server::start();
    server.mute(true);
    let bench = Bench::of(server, |settings| settings.login = ms(50), &[], 64);
    assert!(gone(&bench, Socket::User).contains("no answer to the login"));
}

#[test]
fn a_heartbeat_is_answered_at_once_with_its_own_id() {
    let bench = Bench::new();
    for socket in [Socket::User, Socket::Market] {
        let name = socket.to_string();
        bench.connected(socket);
        bench.server.push(
            &name,
            json!({"id": 1_760_000_030_000u64, "method": "public/heartbeat", "code": 0}).to_string(),
        );
        let answer = bench.server.frame(&name, |frame| frame["method"] == "public/respond-heartbeat");
        assert_eq!(answer, json!({"id": 1_760_000_030_000u64, "method": "public/respond-heartbeat"}));
        // The other socket may have connected first.
        if socket == Socket::User && bench.server.connections("market") == 0 {
            continue;
        }
        break;
    }
}

#[test]
fn a_heartbeat_is_answered_although_nobody_reads_what_is_heard() {
    // Room for two things, which the two connections fill.
    let bench = Bench::of(Server::start(), |_| (), &[], 2);
    bench.server.frame("user", |frame| frame["method"] == "subscribe");
    bench.server.frame("market", |frame| frame["method"] == "subscribe");
    let price = |n: u32| {
        push(
            "ticker",
            &[
                json!({"i": "BTC_USDT", "b": n.to_string(), "k": "61000", "t": 1_760_000_000_000u64 + u64::from(n)}),
            ],
        )
    };
    for n in 1..=50 {
        bench.server.push("market", price(n));
    }
    bench.server.push("market", json!({"id": 5, "method": "public/heartbeat", "code": 0}).to_string());
    bench.server.frame("market", |frame| frame["id"] == 5);
    // The last price is heard once somebody reads; the others gave way.
    let last = bench.next(|heard| match heard {
        Heard::Quote(quote) if quote.bid == Some("50".parse().unwrap()) => Some(quote),
        _ => None,
    });
    assert_eq!(last.instrument, btc());
    assert_eq!(bench.server.connections("market"), 1, "prices close no socket");
}

#[test]
fn news_of_orders_that_find_no_room_close_the_socket_and_come_again() {
    let bench = Bench::of(Server::start(), |_| (), &[], 4);
    bench.server.frame("user", |frame| frame["method"] == "subscribe");
    for n in 1..=8 {
        bench.server.push("user", push("user.order", &[order(&format!("70{n}"), &oid(n), "ACTIVE", "0")]));
    }
    // Nothing is read before the socket is closed.
    bench.server.ended("user");
    assert!(gone(&bench, Socket::User).contains("not read fast enough"));
    bench.connected(Socket::User);
    // What was told before the close is told again when the exchange shows it again: nothing is known to have arrived.
    bench.server.push("user", push("user.order", &[order("708", &oid(8), "ACTIVE", "0")]));
    bench.next(|heard| matches!(heard, Heard::Report { client: who, .. } if who == client(8)).then_some(()));
}

#[test]
fn silence_is_taken_for_death() {
    let bench = Bench::with(|settings| settings.watchdog = ms(120), &[]);
    bench.connected(Socket::User);
    assert!(gone(&bench, Socket::User).contains("nothing heard"));
    bench.connected(Socket::User);
    assert!(bench.server.connections("user") >= 2);
}

#[test]
fn closes_and_broken_connections_are_told_and_mended() {
    for (say, word) in [(Say::Close(1000), "1000"), (Say::Drop, ""), (Say::Close(1013), "1013")] {
        let bench = Bench::new();
        bench.connected(Socket::User);
        let later = matches!(say, Say::Close(1013));
        let began = Instant::now();
        bench.server.say("user", say);
        let why = gone(&bench, Socket::User);
        assert!(why.contains(word), "{why}");
        bench.connected(Socket::User);
        assert!(!later || began.elapsed() >= ms(100), "1013 waits longer: {:?}", began.elapsed());
    }
}

#[test]
fn rows_that_say_less_than_was_told_are_dropped() {
    let bench = Bench::new();
    bench.connected(Socket::User);
    let mut filled = order("7001", &oid(1), "FILLED", "0.01");
    filled["update_time"] = json!(2_000_000_000_000u64);
    let open = order("7001", &oid(1), "ACTIVE", "0");
    let mark = order("7002", &oid(2), "ACTIVE", "0");
    bench.server.push("user", push("user.order", &[filled.clone(), open, filled, mark]));
    let (first, venue_order, said) = bench.report();
    assert_eq!((first, venue_order), (client(1), Some(id("7001"))));
    assert!(matches!(said, Said::Row(row) if row.row.cumulative == "0.01".parse().unwrap()));
    assert_eq!(bench.report().0, client(2));
}

#[test]
fn executions_are_told_whatever_came_before() {
    let bench = Bench::new();
    bench.connected(Socket::User);
    let row = trade("t1", "7001", &oid(1), "0.01");
    bench.server.push("user", push("user.trade", &[row.clone(), row]));
    for _ in 0..2 {
        let (who, venue_order, said) = bench.report();
        assert_eq!((who, venue_order), (client(1), Some(id("7001"))));
        let Said::Filled(fill) = said else { panic!("{said:?}") };
        assert_eq!(fill.fee, Some(("USDT".parse().unwrap(), "0.6".parse().unwrap())));
    }
}

#[test]
fn what_a_trigger_released_belongs_to_it_in_any_order_of_frames() {
    let advanced = push("user.advance.order", &[trigger("8001", &oid(1), "FILLED", Some("7009"))]);
    let plain = push("user.order", &[order("7009", "1760000000011", "FILLED", "0.01")]);
    let fill = push("user.trade", &[trade("t1", "7009", "1760000000011", "0.01")]);
    for frames in [[&advanced, &plain, &fill], [&fill, &plain, &advanced], [&plain, &advanced, &fill]] {
        let ours = Ours { client: client(1), advanced: true, venue_order: Some(id("8001")), released: None };
        let bench = Bench::with(|_| (), &[ours]);
        bench.connected(Socket::User);
        for frame in frames {
            bench.server.push("user", frame.clone());
        }
        let mut said = Vec::new();
        for _ in 0..3 {
            let (who, venue_order, what) = bench.report();
            assert_eq!((who, venue_order), (client(1), Some(id("8001"))), "{what:?}");
            said.push(what);
        }
        assert_eq!(said[0], Said::Triggered { released: id("7009") }, "first of all it fired");
        assert!(
            said.iter().any(|said| matches!(said, Said::Row(row) if row.row.released == Some(id("7009"))))
        );
        assert!(
            said.iter()
                .any(|said| matches!(said, Said::Filled(fill) if fill.trade.client == Some(client(1))))
        );
    }
}

#[test]
fn a_released_order_that_repeats_our_id_is_linked_by_it() {
    let ours = Ours { client: client(1), advanced: true, venue_order: Some(id("8001")), released: None };
    let bench = Bench::with(|_| (), &[ours]);
    bench.connected(Socket::User);
    bench.server.push("user", push("user.order", &[order("7009", &oid(1), "ACTIVE", "0")]));
    assert_eq!(bench.said(), Said::Triggered { released: id("7009") });
    let Said::Row(row) = bench.said() else { panic!() };
    assert_eq!((row.row.venue_order, row.row.released), (id("8001"), Some(id("7009"))));
}

#[test]
fn a_released_order_never_gives_its_id_to_its_trigger() {
    let ours = Ours { client: client(1), advanced: true, venue_order: None, released: None };
    let bench = Bench::with(|_| (), &[ours]);
    bench.connected(Socket::User);
    bench.server.push("user", push("user.order", &[order("7009", &oid(1), "ACTIVE", "0")]));
    bench.server.push("user", push("user.trade", &[trade("t1", "7009", &oid(1), "0.004")]));
    assert_eq!(bench.report(), (client(1), None, Said::Triggered { released: id("7009") }));
    let (_, told, Said::Row(row)) = bench.report() else { panic!() };
    assert_eq!((told, row.row.venue_order, row.row.released), (None, id(""), Some(id("7009"))));
    let (_, told, Said::Filled(fill)) = bench.report() else { panic!() };
    assert_eq!((told, fill.trade.venue_order), (None, None));
    // Once the trigger shows itself, its id is the order's, also of what the released order executes.
    bench
        .server
        .push("user", push("user.advance.order", &[trigger("8001", &oid(1), "FILLED", Some("7009"))]));
    bench.server.push("user", push("user.trade", &[trade("t2", "7009", "", "0.006")]));
    let (_, told, Said::Filled(fill)) = bench.report() else { panic!() };
    assert_eq!((told, fill.trade.venue_order), (Some(id("8001")), Some(id("8001"))));
}

#[test]
fn a_stop_refused_when_it_fired_is_told_as_a_refusal() {
    let ours = Ours { client: client(1), advanced: true, venue_order: Some(id("8001")), released: None };
    let bench = Bench::with(|_| (), &[ours]);
    bench.connected(Socket::User);
    let mut row = trigger("8001", &oid(1), "REJECTED", None);
    row["reason"] = json!(306);
    bench.server.push("user", push("user.advanced.order", &[row]));
    let Said::Rejected { class, code, .. } = bench.said() else { panic!() };
    assert_eq!((class, code), (aegis_model::order::RejectClass::InsufficientBalance, 306));
}

#[test]
fn what_cannot_be_read_is_told_once_and_the_rest_goes_on() {
    let bench = Bench::with(|settings| settings.missed_every = ms(60_000), &[]);
    bench.connected(Socket::User);
    let mut torn = order("7001", &oid(1), "ACTIVE", "0");
    torn["quantity"] = json!("much");
    bench.server.push("user", push("user.order", &[torn, order("7002", &oid(2), "ACTIVE", "0")]));
    assert_eq!(bench.report().0, client(2));
    let why = bench.next(|heard| match heard {
        Heard::Missed(why) => Some(why.as_str().to_owned()),
        _ => None,
    });
    assert!(why.contains("user.order"), "{why}");
    for noise in
        [r#"{"id":-1,"method":"subscribe","code":0,"result":{"channel":"user.news","data":[1]}}"#, "{torn"]
    {
        bench.server.push("user", noise.to_owned());
    }
    bench.server.push("user", push("user.order", &[order("7003", &oid(3), "ACTIVE", "0")]));
    bench.next(|heard| match heard {
        Heard::Report { client: who, .. } => {
            assert_eq!(who, client(3));
            Some(())
        }
        Heard::Missed(why) => panic!("told a moment ago: {why}"),
        _ => None,
    });
    assert_eq!(bench.wire.counts().unread.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn rows_of_an_answer_count_whatever_its_id() {
    let server = Server::start();
    server.mute(true);
    let bench = Bench::of(server, |_| (), &[], 64);
    bench.server.frame("user", |frame| frame["method"] == "public/auth");
    bench.server.push("user", json!({"id": 1, "method": "public/auth", "code": 0}).to_string());
    bench.server.frame("user", |frame| frame["method"] == "subscribe");
    // Acknowledgement and first rows in one frame.
    bench.server.push(
        "user",
        json!({"id": 2, "method": "subscribe", "code": 0, "result": {"channel": "user.order", "subscription": "user.order",
               "data": [order("7001", &oid(1), "ACTIVE", "0")]}})
        .to_string(),
    );
    bench.connected(Socket::User);
    assert_eq!(bench.report().0, client(1));
}

#[test]
fn prices_come_from_the_channel_that_is_set() {
    let bench = Bench::with(|settings| settings.quotes = QuoteSource::Book, &[]);
    bench.connected(Socket::Market);
    let subscription = bench.server.frame("market", |frame| frame["method"] == "subscribe");
    assert_eq!(subscription["params"]["channels"], json!(["book.BTC_USDT.10"]));
    assert_eq!(subscription["params"]["book_subscription_type"], json!("SNAPSHOT"));
    let row = json!({"bids": [["60999", "0.5", "1"]], "asks": [["61000", "0.25", "2"]], "t": 1_760_000_000_100u64, "u": 7});
    bench.server.push(
        "market",
        json!({"id": -1, "method": "subscribe", "code": 0, "result": {"channel": "book",
               "subscription": "book.BTC_USDT.10", "instrument_name": "BTC_USDT", "depth": 10, "data": [row]}})
        .to_string(),
    );
    let quote = bench.next(|heard| match heard {
        Heard::Quote(quote) => Some(quote),
        _ => None,
    });
    assert_eq!(
        (quote.bid, quote.ask_quantity),
        (Some("60999".parse().unwrap()), Some("0.25".parse().unwrap()))
    );
    assert_eq!(quote.last, None);
}

#[test]
fn instruments_come_with_their_ticks_and_minimums() {
    let bench = Bench::with(
        |settings| settings.instruments = vec![btc(), "ADA_EUR".parse().unwrap(), "NO_SUCH".parse().unwrap()],
        &[],
    );
    let row = |symbol: &str, base: &str, quote: &str| {
        json!({"symbol": symbol, "inst_type": "CCY_PAIR", "base_ccy": base, "quote_ccy": quote, "quote_decimals": 2,
               "quantity_decimals": 5, "price_tick_size": "0.01", "qty_tick_size": "0.00001", "tradable": true})
    };
    bench.server.always(
        "public/get-instruments",
        rows(&[
            row("BTC_USDT", "BTC", "USDT"),
            row("ADA_EUR", "ADA", "EUR"),
            row("X_Y", "X", "Y"),
            json!({"symbol": 5}),
        ]),
    );
    bench.server.always(
        "public/get-risk-parameters",
        super::server::Answer::Result(json!({"base_currency_config": [
            {"instrument_name": "BTC", "min_order_notional_usd": "1.0"},
            {"instrument_name": "ADA", "min_order_notional_usd": "1.0"}]})),
    );
    bench.ask(crate::wire::Ask::Instruments);
    let read = bench.next(|heard| match heard {
        Heard::Instruments(read) => Some(read.expect("read")),
        _ => None,
    });
    assert_eq!(read.missing, ["NO_SUCH".parse().unwrap()]);
    let minimums: Vec<_> = read.listed.iter().map(|i| (i.name.as_str(), i.minimum_notional)).collect();
    assert_eq!(minimums, [("BTC_USDT", "1".parse().unwrap()), ("ADA_EUR", "0".parse().unwrap())]);
}

#[test]
fn a_price_that_comes_late_is_passed_over_and_a_clock_set_back_is_not() {
    let bench = Bench::new();
    bench.connected(Socket::Market);
    let base = u64::try_from(crate::wire::clock::now().0 / 1_000_000).unwrap() - 60_000;
    let price = |bid: u32, at: u64| {
        push("ticker", &[json!({"i": "BTC_USDT", "b": bid.to_string(), "k": "61000", "t": base + at})])
    };
    for (bid, at) in [(1, 10_000), (2, 9_990), (3, 10_000), (4, 5_000), (5, 5_010)] {
        bench.server.push("market", price(bid, at));
    }
    let bids: Vec<String> = (0..4)
        .map(|_| {
            bench.next(|heard| match heard {
                Heard::Quote(quote) => quote.bid.map(|bid| bid.to_string()),
                _ => None,
            })
        })
        .collect();
    assert_eq!(bids, ["1", "3", "4", "5"]);
}
