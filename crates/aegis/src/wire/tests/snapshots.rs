//! What a listing says, and when it says that it could not be read.

use super::server::{Answer, balances, rows};
use super::{Bench, client, id, oid, order, push, trade, trigger};
use crate::wire::{Ask, Heard, Ours, Snapshot};
use aegis_model::Timestamp;
use aegis_model::input::{Answer as Told, RowStatus, Scope};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const BALANCE: &str = "private/user-balance";
const TRADES: &str = "private/get-trades";

fn full(bench: &Bench, ours: &[Ours]) -> Snapshot {
    let trades_from = crate::wire::clock::now().after(-1_000_000_000);
    bench.ask(Ask::Snapshot { number: 9, scope: Scope::Full, trades_from, ours: ours.to_vec() });
    heard(bench)
}

fn heard(bench: &Bench) -> Snapshot {
    bench.next(|heard| match heard {
        Heard::Snapshot(snapshot) => Some(*snapshot),
        _ => None,
    })
}

fn ours(n: u64, advanced: bool) -> Ours {
    Ours { client: client(n), advanced, venue_order: None, released: None }
}

fn complete<T>(told: &Told<T>) -> &T {
    match told {
        Told::Complete(value) => value,
        Told::Failed(why) | Told::Unsettled(why) => panic!("failed: {why}"),
        Told::NotAsked => panic!("not asked"),
    }
}

fn failed<T: std::fmt::Debug>(told: &Told<T>) -> String {
    match told {
        Told::Failed(why) | Told::Unsettled(why) => why.as_str().to_owned(),
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn everything_is_read_in_the_order_that_lets_parts_explain_each_other() {
    let bench = Bench::new();
    let before = crate::wire::clock::now();
    let snapshot = full(&bench, &[ours(1, false), ours(2, true)]);
    assert_eq!(snapshot.number, 9);
    assert_eq!(complete(&snapshot.balances).len(), 2);
    assert!(complete(&snapshot.open_orders).is_empty() && complete(&snapshot.ended_orders).is_empty());
    assert!(complete(&snapshot.trades).is_empty() && complete(&snapshot.flows).is_empty());
    assert!(snapshot.requested >= before);
    assert!(snapshot.trades_from < before.after(-6_000_000_000), "with its overlap");
    assert!(
        snapshot.trades_through <= crate::wire::clock::now().after(-50_000_000),
        "less what may appear late"
    );
    let order: Vec<String> =
        bench.server.order().into_iter().filter(|method| !method.starts_with("public/")).collect();
    let expected = [
        "private/get-open-orders",
        "private/advanced/get-open-orders",
        "private/get-order-detail",
        "private/advanced/get-order-detail",
        TRADES,
        "private/get-transactions",
        BALANCE,
        TRADES,
        "private/get-transactions",
        BALANCE,
    ];
    assert_eq!(order, expected);
}

#[test]
fn balances_alone_are_one_read() {
    let bench = Bench::new();
    bench.ask(Ask::Snapshot {
        number: 3,
        scope: Scope::Balances,
        trades_from: Timestamp::EPOCH,
        ours: Vec::new(),
    });
    let snapshot = heard(&bench);
    assert_eq!(complete(&snapshot.balances)[1].asset.as_str(), "USDT");
    assert_eq!(snapshot.trades, Told::NotAsked);
    assert_eq!(bench.server.asked(BALANCE).len(), 1);
}

#[test]
fn balances_are_read_until_two_agree() {
    let bench = Bench::new();
    bench.server.turns(
        BALANCE,
        vec![balances(&[("BTC", "1", "0")]), balances(&[("BTC", "2", "0")]), balances(&[("BTC", "3", "0")])],
    );
    let snapshot = full(&bench, &[]);
    assert_eq!(complete(&snapshot.balances)[0].total, "3".parse().unwrap());
    assert_eq!(bench.server.asked(BALANCE).len(), 4);
}

#[test]
fn balances_that_never_agree_fail_and_the_rest_stands() {
    let bench = Bench::new();
    let mut n = 0;
    bench.server.on(BALANCE, move |_| {
        n += 1;
        balances(&[("BTC", &n.to_string(), "0")])
    });
    let snapshot = full(&bench, &[]);
    assert!(failed(&snapshot.balances).contains("two reads differed"));
    complete(&snapshot.trades);
    assert_eq!(bench.server.asked(BALANCE).len(), 6, "five rounds after the first read");
}

#[test]
fn a_trade_that_appears_between_two_balances_makes_another_round() {
    let bench = Bench::new();
    let row = trade("t1", "7001", &oid(1), "0.01");
    bench.server.turns(TRADES, vec![rows(&[]), rows(&[row])]);
    let snapshot = full(&bench, &[]);
    assert_eq!(complete(&snapshot.trades)[0].trade.client, Some(client(1)));
    complete(&snapshot.balances);
    assert_eq!(bench.server.asked(BALANCE).len(), 3);
}

#[test]
fn a_frame_between_two_balances_makes_another_round() {
    let bench = Bench::new();
    bench.connected(crate::wire::Socket::User);
    let (server, shared) = (bench.server.clone(), Arc::clone(&bench.wire.shared));
    let mut asked = 0;
    bench.server.on(BALANCE, move |_| {
        asked += 1;
        let answer = balances(&[("BTC", "1", "0")]);
        if asked != 2 {
            return answer;
        }
        // Two agreeing balances, and a row that was pushed before the second of them is answered.
        server.later("user", push("user.order", &[order("7001", &oid(1), "ACTIVE", "0")]));
        let shared = Arc::clone(&shared);
        Answer::Once(Arc::new(move || shared.stirred.load(Ordering::SeqCst) > 0), Box::new(answer))
    });
    complete(&full(&bench, &[]).balances);
    assert_eq!(bench.server.asked(BALANCE).len(), 4, "neither pair that the row may lie between counts");
}

/// Trades as the exchange pages them: at most a hundred within [start, end), oldest first.
fn page(all: &[Value], params: &Value) -> Answer {
    let bound = |name: &str| params[name].as_str().unwrap().parse::<i64>().unwrap();
    let (start, end) = (bound("start_time"), bound("end_time"));
    let time = |row: &Value| row["create_time_ns"].as_str().unwrap().parse::<i64>().unwrap();
    let within: Vec<Value> =
        all.iter().filter(|row| (start..end).contains(&time(row))).take(100).cloned().collect();
    rows(&within)
}

#[test]
fn more_trades_than_a_page_are_all_listed_once() {
    let bench = Bench::new();
    let now = crate::wire::clock::now().0;
    let all: Vec<Value> = (0..250)
        .map(|n| {
            let mut row = trade(&format!("t{n}"), "7001", "", "0.01");
            row["create_time_ns"] = json!((now - 1_000_000_000 + n * 1_000_000).to_string());
            row
        })
        .collect();
    bench.server.on(TRADES, move |params| page(&all, params));
    let snapshot = full(&bench, &[]);
    let trades = complete(&snapshot.trades);
    let ids: BTreeSet<_> = trades.iter().map(|trade| trade.trade.trade).collect();
    assert_eq!((trades.len(), ids.len()), (250, 250));
}

#[test]
fn a_row_that_cannot_be_read_fails_its_part() {
    let torn_trade = {
        let mut row = trade("t1", "7001", "", "0.01");
        row["side"] = json!("SIDEWAYS");
        row
    };
    let torn_order = {
        let mut row = order("7001", "", "ACTIVE", "0");
        row["status"] = json!("SHINY");
        row
    };
    let bench = Bench::new();
    bench.server.always(TRADES, rows(&[torn_trade]));
    assert!(failed(&full(&bench, &[]).trades).contains("side"));

    for (method, row) in [("private/get-open-orders", &torn_order), (TRADES, &json!({"trade_id": "t1"}))] {
        let bench = Bench::new();
        bench.server.always(method, rows(std::slice::from_ref(row)));
        let snapshot = full(&bench, &[]);
        if method == TRADES {
            assert!(failed(&snapshot.trades).starts_with(TRADES));
            assert!(failed(&snapshot.balances).contains("not compared"));
        } else {
            assert!(failed(&snapshot.open_orders).starts_with(method));
            complete(&snapshot.balances);
        }
    }
}

#[test]
fn each_failed_read_fails_its_part_and_is_named() {
    type Part = fn(&Snapshot) -> String;
    let parts: [(&str, Part); 5] = [
        ("private/get-open-orders", |s| failed(&s.open_orders)),
        ("private/advanced/get-open-orders", |s| failed(&s.open_orders)),
        (TRADES, |s| failed(&s.trades)),
        ("private/get-transactions", |s| failed(&s.flows)),
        (BALANCE, |s| failed(&s.balances)),
    ];
    for (method, part) in parts {
        let bench = Bench::new();
        bench.server.always(method, Answer::Page(502, "<html/>"));
        let why = part(&full(&bench, &[]));
        assert!(why.contains(method), "{method}: {why}");
    }
    let bench = Bench::new();
    bench.server.always("private/get-order-detail", Answer::Silent);
    let snapshot = full(&bench, &[ours(1, false)]);
    complete(&snapshot.open_orders);
    assert!(failed(&snapshot.ended_orders).contains("get-order-detail"));
}

#[test]
fn ours_that_are_not_open_are_asked_for_one_by_one() {
    let bench = Bench::new();
    bench.server.always("private/get-open-orders", rows(&[order("7001", &oid(1), "ACTIVE", "0")]));
    bench.server.on("private/get-order-detail", |params| match params["client_oid"].as_str() {
        Some(name) if name == oid(2) => Answer::Result(order("7002", &oid(2), "CANCELED", "0")),
        _ => Answer::Code(200, 40_401, None),
    });
    let snapshot = full(&bench, &[ours(1, false), ours(2, false), ours(3, false)]);
    assert_eq!(complete(&snapshot.open_orders)[0].row.client, Some(client(1)));
    let ended = complete(&snapshot.ended_orders);
    assert_eq!(ended.len(), 1, "the third is in no listing: it is looked up");
    assert_eq!((ended[0].row.client, ended[0].row.status), (Some(client(2)), RowStatus::Cancelled));
    assert_eq!(bench.server.asked("private/get-order-detail").len(), 2);
}

#[test]
fn a_stop_that_fired_while_nobody_listened_is_listed_where_it_stands() {
    let bench = Bench::new();
    bench.server.always(
        "private/advanced/get-order-detail",
        Answer::Result(trigger("8001", &oid(1), "FILLED", Some("7009"))),
    );
    bench.server.always("private/get-order-detail", Answer::Result(order("7009", "x", "FILLED", "0.01")));
    bench.server.always(TRADES, rows(&[trade("t1", "7009", "x", "0.01")]));
    let snapshot = full(&bench, &[ours(1, true)]);
    let ended = complete(&snapshot.ended_orders);
    assert_eq!((ended[0].row.client, ended[0].row.venue_order), (Some(client(1)), id("8001")));
    assert_eq!((ended[0].row.released, ended[0].row.status), (Some(id("7009")), RowStatus::Filled));
    assert_eq!(complete(&snapshot.trades)[0].trade.client, Some(client(1)), "linked by the released order");
}

#[test]
fn foreign_orders_are_listed_as_they_are() {
    let bench = Bench::new();
    bench.server.always("private/get-open-orders", rows(&[order("7001", "by-hand", "ACTIVE", "0")]));
    let snapshot = full(&bench, &[]);
    assert_eq!(complete(&snapshot.open_orders)[0].row.client, None);
}

#[test]
fn flows_are_what_trades_do_not_explain() {
    let bench = Bench::new();
    let row = |id: &str, kind: &str, quantity: &str| {
        json!({"journal_id": id, "journal_type": kind, "transaction_qty": quantity, "instrument_name": "BTC",
               "event_timestamp_ms": crate::wire::clock::now().0 / 1_000_000})
    };
    bench.server.always(
        "private/get-transactions",
        rows(&[row("1", "TRADING", "1"), row("2", "ONCHAIN_DEPOSIT", "0.5"), row("3", "TRADE_FEE", "-1")]),
    );
    let snapshot = full(&bench, &[]);
    let flows = complete(&snapshot.flows);
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].id.0.as_str(), flows[0].quantity), ("2", "0.5".parse().unwrap()));
}

#[test]
fn a_journal_that_never_walked_asks_for_nothing_from_before_it_began() {
    let before = crate::wire::clock::now();
    let bench = Bench::new();
    bench.ask(Ask::Snapshot {
        number: 1,
        scope: Scope::Full,
        trades_from: Timestamp::EPOCH,
        ours: Vec::new(),
    });
    let snapshot = heard(&bench);
    assert!(snapshot.trades_from >= before);
    assert_eq!(bench.server.asked(TRADES).len(), 2, "one page for each round");
}
