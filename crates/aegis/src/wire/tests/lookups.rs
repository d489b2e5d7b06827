//! What a lookup finds: plain, as a trigger, released by one, absent early and late, and reads that fail.

use super::server::{Answer, balances, rows};
use super::{Bench, btc, client, id, ms, oid, order, trade, trigger};
use crate::wire::{Ask, Found, Heard, LookUp};
use aegis_model::input::RowStatus;
use aegis_model::{Side, VenueOrderId};
use serde_json::json;

const DETAIL: &str = "private/get-order-detail";
const ADVANCED: &str = "private/advanced/get-order-detail";

fn asked(n: u64) -> LookUp {
    LookUp {
        token: n,
        client: client(n),
        intended: crate::wire::clock::now(),
        earliest: crate::wire::clock::now(),
        venue_order: None,
        released: None,
        instrument: btc(),
        side: Side::Sell,
        advanced: false,
    }
}

pub(super) fn look_up(n: u64) -> Ask {
    Ask::LookUp(asked(n))
}

fn found(bench: &Bench) -> (u64, Found, String) {
    bench.next(|heard| match heard {
        Heard::LookedUp { token, found, evidence } => Some((token, found, evidence.as_str().to_owned())),
        _ => None,
    })
}

fn failure(found: Found) -> String {
    match found {
        Found::Failed(why) => why.as_str().to_owned(),
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn a_plain_order_is_found_with_its_own_trades() {
    let bench = Bench::new();
    bench.server.on(DETAIL, |_| Answer::Result(order("7001", &oid(1), "FILLED", "0.01")));
    bench.server.on("private/get-trades", |_| {
        rows(&[
            trade("t1", "7001", &oid(1), "0.004"),
            trade("t2", "7001", "", "0.006"),
            trade("t3", "9999", &oid(5), "1"),
        ])
    });
    bench.ask(look_up(1));
    let (token, found, evidence) = found(&bench);
    let Found::Present { row, trades } = found else { panic!("{found:?}") };
    assert_eq!(token, 1);
    assert_eq!(row.row.status, RowStatus::Filled);
    assert_eq!((row.row.client, row.row.venue_order, row.row.released), (Some(client(1)), id("7001"), None));
    let names: Vec<&str> = trades.iter().map(|t| t.trade.trade.0.as_str()).collect();
    assert_eq!(names, ["t1", "t2"]);
    assert!(trades.iter().all(|t| t.trade.client == Some(client(1))));
    assert!(evidence.contains("plain detail by client id: FILLED"), "{evidence}");
    assert_eq!(bench.server.asked(ADVANCED).len(), 0, "found in the likely namespace");
}

#[test]
fn an_order_without_fills_asks_for_no_trades() {
    let bench = Bench::new();
    bench.server.on(DETAIL, |_| Answer::Result(order("7001", &oid(1), "ACTIVE", "0")));
    bench.ask(look_up(1));
    assert!(matches!(found(&bench).1, Found::Present { .. }));
    assert_eq!(bench.server.asked("private/get-trades").len(), 0);
}

#[test]
fn a_trigger_order_is_found_in_its_own_namespace() {
    let bench = Bench::new();
    bench.server.on(ADVANCED, |_| Answer::Result(trigger("8001", &oid(1), "PENDING", None)));
    bench.ask(Ask::LookUp(LookUp { advanced: true, ..asked(1) }));
    let Found::Present { row, .. } = found(&bench).1 else { panic!() };
    assert_eq!((row.row.venue_order, row.row.released, row.row.status), (id("8001"), None, RowStatus::Open));
    assert_eq!(bench.server.asked(DETAIL).len(), 0);
}

#[test]
fn a_fired_trigger_stands_where_its_released_order_stands() {
    let bench = Bench::new();
    bench.server.on(ADVANCED, |_| Answer::Result(trigger("8001", &oid(1), "FILLED", Some("7009"))));
    bench.server.on(DETAIL, |params| {
        assert_eq!(params, &json!({"order_id": "7009"}));
        // It does not repeat our id.
        Answer::Result(order("7009", "1760000000011", "FILLED", "0.01"))
    });
    bench.server.on("private/get-trades", |_| rows(&[trade("t1", "7009", "1760000000011", "0.01")]));
    bench.ask(Ask::LookUp(LookUp { advanced: true, ..asked(1) }));
    let Found::Present { row, trades } = found(&bench).1 else { panic!() };
    assert_eq!((row.row.venue_order, row.row.released), (id("8001"), Some(id("7009"))));
    assert_eq!((row.row.client, row.row.status), (Some(client(1)), RowStatus::Filled));
    assert_eq!(row.row.cumulative, "0.01".parse().unwrap());
    assert_eq!(trades.len(), 1);
    assert_eq!(trades[0].trade.client, Some(client(1)));
}

#[test]
fn a_released_order_is_found_without_an_id_while_its_triggers_is_not_known() {
    let bench = Bench::new();
    bench.server.on(DETAIL, |_| Answer::Result(order("7009", &oid(1), "FILLED", "0.01")));
    bench.server.on("private/get-trades", |_| rows(&[trade("t1", "7009", &oid(1), "0.01")]));
    bench.ask(Ask::LookUp(LookUp { advanced: true, ..asked(1) }));
    let Found::Present { row, trades } = found(&bench).1 else { panic!() };
    assert_eq!((row.row.venue_order, row.row.released), (VenueOrderId::default(), Some(id("7009"))));
    assert_eq!((trades.len(), trades[0].trade.venue_order), (1, None));
}

#[test]
fn a_released_order_listed_under_the_triggers_id_is_told_without_an_id() {
    let bench = Bench::new();
    bench.server.on(ADVANCED, |_| Answer::Result(trigger("8001", &oid(1), "ACTIVE", Some("8001"))));
    bench.server.on(DETAIL, |_| Answer::Result(order("8001", &oid(1), "ACTIVE", "0")));
    bench.ask(Ask::LookUp(LookUp { advanced: true, ..asked(1) }));
    let Found::Present { row, .. } = found(&bench).1 else { panic!() };
    assert_eq!(row.row.released, Some(VenueOrderId::default()));
}

#[test]
fn a_released_order_that_is_not_shown_yet_fails_the_lookup() {
    let bench = Bench::new();
    bench.server.on(ADVANCED, |_| Answer::Result(trigger("8001", &oid(1), "FILLED", Some("7009"))));
    bench.ask(Ask::LookUp(LookUp { advanced: true, ..asked(1) }));
    assert!(failure(found(&bench).1).contains("7009"));
}

#[test]
fn an_entry_absent_early_is_not_cross_checked() {
    let bench = Bench::new();
    bench.ask(Ask::LookUp(LookUp { side: Side::Buy, ..asked(1) }));
    assert_eq!(found(&bench).1, Found::Absent { late: false, checked: None });
    assert_eq!(bench.server.asked("private/get-open-orders").len(), 0);
    assert_eq!((bench.server.asked(DETAIL).len(), bench.server.asked(ADVANCED).len()), (1, 1));
}

#[test]
fn an_exit_absent_early_is_looked_for_everywhere() {
    let bench = Bench::new();
    bench.server.always("private/user-balance", balances(&[("BTC", "0.5", "0.1")]));
    bench.server.on("private/get-trades", |_| rows(&[trade("t3", "9999", "", "1")]));
    bench.ask(look_up(1));
    let (_, found, evidence) = found(&bench);
    let Found::Absent { late: false, checked: Some(checked) } = found else { panic!("{found:?}") };
    assert_eq!(checked.trades.len(), 1);
    assert_eq!(checked.balances[0].reserved, "0.1".parse().unwrap());
    for word in ["plain detail", "advanced detail", "open-orders", "order history", "trades: 1", "balances"] {
        assert!(evidence.contains(word), "{word} is missing in {evidence}");
    }
    let order = bench.server.order();
    assert_eq!(order.last().map(String::as_str), Some("private/user-balance"), "balances are read last");
}

#[test]
fn absence_counts_only_after_the_window_and_the_margin() {
    let bench = Bench::new();
    let long_ago = crate::wire::clock::now().after(-2_000_000_000);
    bench.ask(Ask::LookUp(LookUp { intended: long_ago, side: Side::Buy, ..asked(1) }));
    let (_, found, _) = found(&bench);
    assert!(matches!(found, Found::Absent { late: true, checked: Some(_) }), "{found:?}");
}

#[test]
fn an_order_sent_again_counts_from_its_last_send() {
    let bench = Bench::new();
    bench.server.always("private/create-order", Answer::Page(502, "x"));
    bench.ask(super::place(1, Side::Buy));
    bench.said();
    let long_ago = crate::wire::clock::now().after(-2_000_000_000);
    bench.ask(Ask::LookUp(LookUp { intended: long_ago, side: Side::Buy, ..asked(1) }));
    assert_eq!(found(&bench).1, Found::Absent { late: false, checked: None });
}

#[test]
fn an_order_that_only_a_listing_shows_is_found_there() {
    for (method, advanced) in [
        ("private/get-open-orders", false),
        ("private/get-order-history", false),
        ("private/advanced/get-open-orders", true),
        ("private/advanced/get-order-history", true),
    ] {
        let bench = Bench::new();
        bench.server.on(method, move |_| {
            rows(&[if advanced {
                trigger("8001", &oid(1), "PENDING", None)
            } else {
                order("7001", &oid(1), "CANCELED", "0")
            }])
        });
        bench.ask(look_up(1));
        let (_, found, _) = found(&bench);
        assert!(matches!(found, Found::Present { .. }), "{method}: {found:?}");
    }
}

#[test]
fn a_failed_read_fails_the_lookup_and_names_itself() {
    for method in [
        DETAIL,
        ADVANCED,
        "private/get-open-orders",
        "private/advanced/get-open-orders",
        "private/get-order-history",
        "private/advanced/get-order-history",
        "private/get-trades",
        "private/user-balance",
    ] {
        let bench = Bench::new();
        bench.server.always(method, Answer::Page(502, "<html/>"));
        bench.ask(look_up(1));
        let why = failure(found(&bench).1);
        assert!(why.starts_with(method), "{method}: {why}");
        assert_eq!(bench.server.asked(method).len(), 3, "a read is tried again");
    }
}

#[test]
fn a_row_that_cannot_be_read_fails_the_lookup() {
    let bench = Bench::new();
    let mut row = order("7001", &oid(1), "ACTIVE", "0");
    row["status"] = json!("SHINY");
    bench.server.always(DETAIL, Answer::Result(row));
    bench.ask(look_up(1));
    assert!(failure(found(&bench).1).contains("status"));
}

#[test]
fn a_trade_without_an_order_is_no_absence() {
    let bench = Bench::new();
    bench.server.on("private/get-trades", |_| rows(&[trade("t1", "7001", &oid(1), "0.01")]));
    bench.ask(look_up(1));
    assert!(failure(found(&bench).1).contains("no order is shown"));
}

#[test]
fn a_read_that_fails_once_is_tried_again() {
    let bench = Bench::new();
    let row = order("7001", &oid(1), "ACTIVE", "0");
    bench.server.turns(DETAIL, vec![Answer::Code(429, 42_901, None), Answer::Reset, Answer::Result(row)]);
    bench.ask(look_up(1));
    assert!(matches!(found(&bench).1, Found::Present { .. }));
}

#[test]
fn a_lookup_asked_twice_is_answered_once_at_a_time() {
    let bench = Bench::with(|settings| settings.deadline = ms(100), &[]);
    bench.server.always(DETAIL, Answer::Silent);
    bench.ask(look_up(1));
    bench.ask(look_up(1));
    failure(found(&bench).1);
    assert_eq!(bench.server.asked(DETAIL).len(), 3, "three tries of one lookup");
}

#[test]
fn a_trigger_that_is_gone_stands_where_the_order_that_it_released_stands() {
    let bench = Bench::new();
    bench.server.on(DETAIL, |params| match params["order_id"].as_str() {
        Some("7009") => Answer::Result(order("7009", "x", "CANCELED", "0")),
        _ => Answer::Code(200, 40_401, None),
    });
    bench.ask(Ask::LookUp(LookUp {
        advanced: true,
        venue_order: Some(id("8001")),
        released: Some(id("7009")),
        ..asked(1)
    }));
    let Found::Present { row, .. } = found(&bench).1 else { panic!() };
    assert_eq!((row.row.venue_order, row.row.released), (id("8001"), Some(id("7009"))));
    assert_eq!((row.row.client, row.row.status), (Some(client(1)), RowStatus::Cancelled));
}

#[test]
fn what_waited_for_a_link_is_told_when_a_lookup_makes_it() {
    let bench = Bench::new();
    bench.connected(crate::wire::Socket::User);
    bench.server.push("user", super::push("user.trade", &[trade("t1", "7009", "x", "0.01")]));
    // A row behind it that is told says that the trade was taken in.
    bench.server.push("user", super::push("user.order", &[order("7001", &oid(2), "ACTIVE", "0")]));
    assert_eq!(bench.report().0, client(2));
    bench.server.on(ADVANCED, |_| Answer::Result(trigger("8001", &oid(1), "FILLED", Some("7009"))));
    bench.server.on(DETAIL, |_| Answer::Result(order("7009", "x", "FILLED", "0.01")));
    bench.ask(Ask::LookUp(LookUp { advanced: true, ..asked(1) }));
    assert_eq!(bench.said(), crate::wire::Said::Triggered { released: id("7009") });
    let said = bench.said();
    assert!(matches!(said, crate::wire::Said::Filled(_)), "{said:?}");
    assert!(matches!(found(&bench).1, Found::Present { .. }));
}

#[test]
fn listings_that_hang_hold_up_no_lookup_and_the_newest_stands_for_those_that_wait() {
    let full = |number| Ask::Snapshot {
        number,
        scope: aegis_model::input::Scope::Full,
        trades_from: crate::wire::clock::now(),
        ours: Vec::new(),
    };
    let hang = |settings: &mut crate::wire::Settings| settings.deadline = ms(20_000);
    let bench = Bench::with(hang, &[]);
    bench.server.always("private/get-open-orders", Answer::Silent);
    (1..=65).for_each(|number| bench.ask(full(number)));
    bench.ask(Ask::LookUp(LookUp { side: Side::Buy, ..asked(1) }));
    assert_eq!(found(&bench).1, Found::Absent { late: false, checked: None });

    let bench = Bench::with(|settings| settings.read_tries = 1, &[]);
    bench.server.turns("private/get-open-orders", vec![Answer::Silent, rows(&[])]);
    (1..=65).for_each(|number| bench.ask(full(number)));
    let answered: Vec<u64> = (0..2)
        .map(|_| {
            bench.next(|heard| match heard {
                Heard::Snapshot(snapshot) => Some(snapshot.number),
                _ => None,
            })
        })
        .collect();
    assert_eq!(answered, [1, 65]);
}
