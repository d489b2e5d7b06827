//! Each class of answer to a write, and that a write leaves exactly once.

use super::server::Answer;
use super::{Bench, PATIENCE, btc, cancel, client, id, ms, oid, order, place, trigger};
use crate::wire::{Ask, Heard, Said};
use aegis_model::order::{RejectClass, UnknownCause};
use aegis_model::{OrderKind, Side};
use serde_json::json;
use std::time::Instant;

const CREATE: &str = "private/create-order";
const DETAIL: &str = "private/get-order-detail";

fn ack(order_id: &str, n: u64) -> serde_json::Value {
    json!({"order_id": order_id, "client_oid": oid(n)})
}

/// What is said after one order met this answer, and that it left once.
fn place_meets(answer: Answer) -> Said {
    let bench = Bench::new();
    bench.server.always(CREATE, answer);
    bench.ask(place(1, Side::Buy));
    let (about, _, said) = bench.report();
    assert_eq!(about, client(1));
    assert_eq!(bench.server.asked(CREATE).len(), 1, "a write leaves once");
    said
}

fn class_of(said: &Said) -> (RejectClass, u32) {
    match said {
        Said::Rejected { class, code, .. } => (*class, *code),
        other => panic!("not a refusal: {other:?}"),
    }
}

fn cause_of(said: &Said) -> UnknownCause {
    match said {
        Said::Unknown { cause, .. } => *cause,
        other => panic!("not unknown: {other:?}"),
    }
}

#[test]
fn code_0_is_told_as_queued_and_acceptance_comes_as_a_row() {
    let bench = Bench::new();
    bench.server.always(CREATE, Answer::Result(ack("7001", 1)));
    bench.connected(crate::wire::Socket::User);
    bench.ask(place(1, Side::Buy));
    let queued = bench.next(|heard| match heard {
        Heard::Queued { client, venue_order, cancel } => Some((client, venue_order, cancel)),
        Heard::Report { said, .. } => panic!("an answer is no acceptance: {said:?}"),
        _ => None,
    });
    assert_eq!(queued, (client(1), Some(id("7001")), false));
    bench.server.push("user", super::push("user.order", &[order("7001", &oid(1), "ACTIVE", "0")]));
    let (about, venue_order, said) = bench.report();
    assert_eq!((about, venue_order), (client(1), Some(id("7001"))));
    assert!(matches!(said, Said::Row(_)), "{said:?}");
    let sent = bench.server.asked(CREATE);
    assert_eq!(sent[0]["client_oid"], json!(oid(1)));
    assert_eq!(sent[0]["quantity"], json!("0.01"));
}

#[test]
fn a_duplicate_is_proof_of_arrival() {
    assert_eq!(class_of(&place_meets(Answer::Code(400, 204, None))), (RejectClass::Duplicate, 204));
}

#[test]
fn a_500_with_a_code_and_an_order_is_read_and_told_as_the_refusal_that_it_is() {
    let bench = Bench::new();
    bench.server.always(CREATE, Answer::Code(500, 306, Some(ack("7002", 1))));
    // The order is shown late.
    let row = order("7002", &oid(1), "REJECTED", "0");
    bench.server.turns(DETAIL, vec![Answer::Code(200, 40_401, None), Answer::Result(row)]);
    bench.ask(place(1, Side::Buy));
    let (_, venue_order, said) = bench.report();
    assert_eq!(class_of(&said), (RejectClass::InsufficientBalance, 306));
    assert_eq!(venue_order, Some(id("7002")));
    assert_eq!(bench.server.asked(DETAIL)[0], json!({"order_id": "7002"}));
    assert_eq!(bench.server.asked(CREATE).len(), 1);
}

#[test]
fn a_code_with_an_order_that_lives_is_told_as_its_row() {
    let bench = Bench::new();
    bench.server.always(CREATE, Answer::Code(400, 315, Some(ack("7003", 1))));
    bench.server.always(DETAIL, Answer::Result(order("7003", &oid(1), "ACTIVE", "0")));
    bench.ask(place(1, Side::Buy));
    assert!(matches!(bench.said(), Said::Row(_)));
}

#[test]
fn a_code_with_an_order_that_cannot_be_read_is_unknown() {
    let bench = Bench::new();
    bench.server.always(CREATE, Answer::Code(500, 306, Some(ack("7004", 1))));
    bench.server.always(DETAIL, Answer::Page(502, "<html>bad gateway</html>"));
    bench.ask(place(1, Side::Buy));
    assert_eq!(cause_of(&bench.said()), UnknownCause::Ambiguous);
}

#[test]
fn the_refused_row_on_the_socket_is_not_told_twice() {
    let bench = Bench::new();
    bench.connected(crate::wire::Socket::User);
    let mut row = order("7005", &oid(1), "REJECTED", "0");
    row["reason"] = json!(306);
    bench.server.always(CREATE, Answer::Code(500, 306, Some(ack("7005", 1))));
    bench.server.always(DETAIL, Answer::Result(row.clone()));
    bench.ask(place(1, Side::Buy));
    assert_eq!(class_of(&bench.said()).0, RejectClass::InsufficientBalance);
    bench.server.push("user", super::push("user.order", &[row, order("7006", &oid(2), "ACTIVE", "0")]));
    assert_eq!(bench.report().0, client(2), "the repeated row says nothing new");
}

#[test]
fn refusals_without_an_order_are_definite() {
    for (status, code, class) in [
        (400, 213, RejectClass::Permanent),
        (400, 308, RejectClass::Permanent),
        (401, 40_101, RejectClass::Permanent),
        (400, 40_102, RejectClass::Later),
        (429, 42_901, RejectClass::Later),
        (400, 318, RejectClass::Later),
    ] {
        let said = place_meets(Answer::Code(status, code, None));
        assert_eq!(class_of(&said), (class, u32::try_from(code).unwrap()), "code {code}");
    }
}

#[test]
fn what_proves_nothing_is_unknown() {
    for answer in [
        Answer::Page(502, "<html>bad gateway</html>"),
        Answer::Page(200, ""),
        Answer::Code(400, 50_001, None),
        Answer::Code(408, 40_801, None),
        Answer::Code(400, 40_006, None),
        Answer::Code(200, 9_010_001, None),
        Answer::Code(400, 987_654, None),
        Answer::Code(503, 0, Some(ack("7", 1))),
        Answer::Result(json!({})),
        Answer::Result(json!({"order_id": "7", "client_oid": oid(2)})),
    ] {
        let said = place_meets(answer.clone());
        assert_eq!(cause_of(&said), UnknownCause::Ambiguous, "{answer:?}");
    }
}

#[test]
fn silence_torn_bodies_and_resets_are_unknown() {
    for (answer, cause) in [
        (Answer::Silent, UnknownCause::Timeout),
        (Answer::Torn, UnknownCause::Ambiguous),
        (Answer::Reset, UnknownCause::Ambiguous),
    ] {
        assert_eq!(cause_of(&place_meets(answer.clone())), cause, "{answer:?}");
    }
}

#[test]
fn a_connection_that_was_never_made_sent_nothing() {
    let bench = Bench::with(|settings| settings.rest = "http://127.0.0.1:1/exchange/v1/".to_owned(), &[]);
    bench.ask(place(1, Side::Sell));
    assert_eq!(class_of(&bench.said()).0, RejectClass::Later);
}

#[test]
fn an_access_refusal_is_told_as_such() {
    let bench = Bench::new();
    bench.server.always(CREATE, Answer::Code(401, 40_101, None));
    bench.ask(place(1, Side::Buy));
    let code = bench.next(|heard| match heard {
        Heard::AccessRefused { code, .. } => Some(code),
        _ => None,
    });
    assert_eq!(code, 40_101);
}

#[test]
fn our_own_budget_keeps_an_order_back_and_nothing_is_sent() {
    // Periods as long as the exchange's: 15 orders in a tenth of a second and no patience.
    let bench = Bench::with(
        |settings| {
            settings.rate_speed = 1;
            settings.write_wait = ms(0);
        },
        &[],
    );
    bench.server.always(CREATE, Answer::Page(502, "<html/>"));
    for n in 1..=16 {
        bench.ask(place(n, Side::Buy));
    }
    let mut later = 0;
    for _ in 0..16 {
        if let Said::Rejected { class, code, .. } = bench.said() {
            assert_eq!((class, code), (RejectClass::Later, 42_901));
            later += 1;
        }
    }
    assert_eq!(later + bench.server.asked(CREATE).len(), 16);
    assert!(later >= 1, "the sixteenth within the tenth of a second stays here");
}

#[test]
fn a_write_waits_for_no_read() {
    let bench = Bench::new();
    // Every read hangs until its deadline, and there are more of them than may be under way.
    bench.server.always(DETAIL, Answer::Silent);
    bench.server.always(CREATE, Answer::Code(400, 213, None));
    for n in 100..140 {
        bench.ask(super::lookups::look_up(n));
    }
    let began = Instant::now();
    bench.ask(place(1, Side::Sell));
    assert_eq!(bench.report().0, client(1));
    assert!(began.elapsed() < ms(350), "it took {:?}", began.elapsed());
}

#[test]
fn a_stop_goes_to_the_advanced_namespace_and_is_cancelled_there() {
    let bench = Bench::new();
    bench.server.always("private/advanced/create-order", Answer::Result(ack("8001", 1)));
    bench.server.always("private/advanced/cancel-order", Answer::Code(500, 212, None));
    bench.ask(Ask::Place {
        client: client(1),
        instrument: btc(),
        side: Side::Sell,
        kind: OrderKind::StopLoss { trigger: "59000".parse().unwrap() },
        quantity: "0.01".parse().unwrap(),
    });
    bench.next(|heard| matches!(heard, Heard::Queued { .. }).then_some(()));
    let sent = bench.server.asked("private/advanced/create-order");
    assert_eq!(sent[0]["type"], json!("STOP_LOSS"));
    assert_eq!(sent[0]["ref_price"], json!("59000"));
    bench.ask(Ask::Cancel { client: client(1), venue_order: None, instrument: btc(), advanced: true });
    assert_eq!(bench.said(), Said::CancelRefused { code: 212 });
    assert_eq!(bench.server.asked("private/advanced/cancel-order")[0], json!({"order_id": "8001"}));
}

#[test]
fn what_a_fired_stop_released_is_cancelled_by_its_own_id() {
    let bench = Bench::new();
    bench.connected(crate::wire::Socket::User);
    bench.server.always("private/cancel-order", Answer::Result(json!({"order_id": "7100"})));
    let fired = trigger("8002", &oid(1), "FILLED", Some("7100"));
    bench.server.push("user", super::push("user.advance.order", &[fired]));
    assert_eq!(bench.said(), Said::Triggered { released: id("7100") });
    bench.ask(Ask::Cancel {
        client: client(1),
        venue_order: Some(id("8002")),
        instrument: btc(),
        advanced: true,
    });
    bench.next(|heard| matches!(heard, Heard::Queued { cancel: true, .. }).then_some(()));
    assert_eq!(bench.server.asked("private/cancel-order")[0], json!({"order_id": "7100"}));
}

#[test]
fn answers_to_a_cancel() {
    for (answer, said) in [
        (Answer::Code(500, 212, None), Said::CancelRefused { code: 212 }),
        (Answer::Code(500, 316, None), Said::CancelRefused { code: 316 }),
        (Answer::Code(200, 40_401, None), Said::CancelRefused { code: 40_401 }),
    ] {
        let bench = Bench::new();
        bench.server.always("private/cancel-order", answer);
        bench.ask(cancel(1));
        assert_eq!(bench.said(), said);
    }
    for answer in [Answer::Silent, Answer::Page(502, "x"), Answer::Code(429, 42_901, None), Answer::Torn] {
        let bench = Bench::new();
        bench.server.always("private/cancel-order", answer);
        bench.ask(cancel(1));
        assert_eq!(cause_of(&bench.said()), UnknownCause::CancelUnanswered);
        assert_eq!(bench.server.asked("private/cancel-order").len(), 1);
    }
}

#[test]
fn the_end_waits_for_what_is_under_way() {
    let bench = Bench::new();
    bench.server.turns(CREATE, vec![Answer::Silent, Answer::Code(400, 204, None)]);
    bench.ask(place(1, Side::Sell));
    let began = Instant::now();
    while bench.server.asked(CREATE).is_empty() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    bench.ask(place(2, Side::Sell));
    let Bench { wire, .. } = bench;
    let mut last: Vec<_> = wire
        .shutdown()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Report { client, said, .. } => Some((client, said)),
            _ => None,
        })
        .collect();
    last.sort_by_key(|(client, _)| *client);
    assert_eq!(last.len(), 2, "{last:?}");
    assert_eq!(cause_of(&last[0].1), UnknownCause::Timeout);
    assert_eq!(class_of(&last[1].1).0, RejectClass::Duplicate);
}
