//! Every code of the error table, answered to an entry and met by the running engine: what it records, what it believes,
//! what it does next.

use crate::stage::{Stage, until};
use crate::stories::rules;
use aegis_cryptocom::code::{Class, Code};
use aegis_cryptocom::{Method, class_for};
use aegis_model::event::{AlarmKind, AnomalyKind};
use aegis_model::order::RejectClass;
use aegis_model::{Fact, OrderEnd, OrderId, Side};
use serde_json::json;

/// What the journal says of one order.
#[derive(Debug, Default)]
struct Told {
    refused: Option<(RejectClass, u32)>,
    unknown: bool,
    looked_up: u32,
    taken: bool,
    ended: Option<OrderEnd>,
}

fn told(stage: &Stage, order: OrderId) -> Told {
    let mut told = Told::default();
    for event in stage.events() {
        match event.fact {
            Fact::OrderRejected(f) if f.order == order => told.refused = Some((f.class, f.code)),
            Fact::OrderUnknown(f) if f.order == order => told.unknown = true,
            Fact::OrderLookedUp(f) if f.order == order => told.looked_up += 1,
            Fact::AnomalyNoted(f) if f.order == order => told.taken |= f.anomaly == AnomalyKind::IdTaken,
            Fact::OrderEnded(f) if f.order == order => told.ended = Some(f.end),
            _ => {}
        }
    }
    told
}

/// How many codes are met side by side, each on an instrument of its own.
const SIDE_BY_SIDE: usize = 12;
/// What is bought of each.
const QUANTITY: &str = "0.01";

fn stage(settings: &str) -> Stage {
    let mut stage = Stage::broad("USDT=100000", settings, SIDE_BY_SIDE);
    stage.start();
    stage
}

fn asked(at: usize) -> String {
    format!("X{:02}_USDT", at + 1)
}

/// Answers the next entry of an instrument with a code; the order that asked.
fn refuse(stage: &Stage, number: i64, name: &str) -> OrderId {
    stage.exchange.fault(
        &json!({ "method": "private/create-order", "instrument": name }),
        &json!({ "code": { "code": number, "processed": false } }),
        1,
    );
    let before = stage.state().last_order;
    // A busy machine may answer about the balance too late for an entry that is good for a tenth of a second.
    until(&format!("code {number}: an order is intended"), || stage.open_at(name, QUANTITY));
    let order = stage.state().last_order;
    assert_eq!(order.0, before.0 + 1, "code {number}: one order");
    order
}

fn judge(stage: &Stage, code: Code, order: OrderId) {
    let number = code.row().number;
    let class = class_for(number, Method::CreateOrder);
    until(&format!("code {number}: it ends"), || told(stage, order).ended.is_some());
    let told = told(stage, order);
    let what = format!("code {number} ({class:?}): {told:?}");
    match class {
        // A definite refusal: recorded with its code, ended, nothing sent again.
        Class::Refused | Class::Later | Class::Access => {
            let (reject, told_code) = told.refused.unwrap_or_else(|| panic!("{what}"));
            assert_eq!(i64::from(told_code), number, "{what}");
            assert_eq!(reject == RejectClass::Later, class == Class::Later, "{what}");
            assert_eq!((told.ended, told.unknown), (Some(OrderEnd::Rejected), false), "{what}");
        }
        // Nothing is proven, or that an order exists, which here none does: unknown, looked up until absence is
        // proven, and then closed as never sent.
        Class::Ended | Class::Unknown | Class::Partial | Class::Exists | Class::LookUp | Class::Aside => {
            assert!(told.unknown && told.looked_up > 0, "{what}");
            assert_eq!(told.taken, class == Class::Exists, "{what}");
            assert_eq!((told.ended, told.refused), (Some(OrderEnd::NotSent), None), "{what}");
        }
        Class::Success => panic!("{what}"),
    }
}

#[test]
fn every_code_of_the_table_is_met() {
    let engine = rules("").replacen("entry_valid = \"30s\"", "entry_valid = \"100ms\"", 1);
    let stage = stage(&engine);
    let halts = |code: &Code| class_for(code.row().number, Method::CreateOrder) == Class::Access;
    let codes = Code::ALL.iter().copied().filter(|code| *code != Code::Success);
    let (access, others): (Vec<Code>, Vec<Code>) = codes.partition(halts);
    for side_by_side in others.chunks(SIDE_BY_SIDE) {
        let orders: Vec<OrderId> = side_by_side
            .iter()
            .enumerate()
            .map(|(at, code)| refuse(&stage, code.row().number, &asked(at)))
            .collect();
        side_by_side.iter().zip(orders).for_each(|(code, order)| judge(&stage, *code, order));
    }
    assert!(stage.state().trading.halted.is_none(), "none of these stops trading");
    for code in &access {
        let order = refuse(&stage, code.row().number, &asked(0));
        judge(&stage, *code, order);
        until("trading stops for a person", || stage.state().trading.halted.is_some());
        stage.order(&["resume"]);
        until("trading goes on", || stage.state().trading.halted.is_none());
    }
    assert_eq!(access.len() + others.len(), Code::ALL.len() - 1);
    let ledger = stage.ledger();
    assert_eq!(ledger["accepted"], json!({}), "nothing of it ever reached the book");
    stage.agrees().expect("at rest");
}

/// What follows for an order that sells, a stop or an exit, when it met a code: the journal's word for it.
fn judge_sell(stage: &Stage, code: Code, order: OrderId, method: Method) {
    let number = code.row().number;
    let class = class_for(number, method);
    let what = || format!("code {number} ({class:?}) of {order}: {:?}", told(stage, order));
    match class {
        Class::Refused | Class::Later | Class::Access => {
            until(&what(), || told(stage, order).refused.is_some());
            let (reject, told_code) = told(stage, order).refused.expect("just seen");
            assert_eq!(i64::from(told_code), number, "{}", what());
            assert_eq!(reject == RejectClass::Later, class == Class::Later, "{}", what());
            if class != Class::Later {
                assert_eq!(told(stage, order).ended, Some(OrderEnd::Rejected), "{}", what());
            }
        }
        Class::Ended | Class::Unknown | Class::Partial | Class::Exists | Class::LookUp | Class::Aside => {
            until(&what(), || told(stage, order).looked_up > 0);
            assert_eq!(told(stage, order).refused, None, "{}", what());
        }
        Class::Success => panic!("{}", what()),
    }
}

/// The newest order of an instrument of one side and kind.
fn newest(stage: &Stage, name: &str, stop: bool) -> OrderId {
    let state = stage.state();
    let id = state.find_instrument(&name.parse().expect("a name"));
    let intended = stage.events().into_iter().filter_map(|event| match event.fact {
        Fact::OrderIntended(f) if Some(f.instrument) == id && f.side == Side::Sell => Some(f),
        _ => None,
    });
    let last = intended.filter(|f| f.kind.trigger().is_some() == stop).map(|f| f.order).next_back();
    last.unwrap_or_else(|| panic!("{name}: no such order"))
}

fn sells(stage: &Stage, stop: bool) -> usize {
    stage.count(
        |f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell && o.kind.trigger().is_some() == stop),
    )
}

fn goes_on(stage: &Stage) {
    if stage.state().trading.halted.is_some() {
        stage.order(&["resume"]);
        until("trading goes on", || stage.state().trading.halted.is_none());
    }
}

/// Each code side by side with others, on an instrument of its own, between an open position and none.
fn with_every_code(what: &str, stage: &Stage, mut meet: impl FnMut(&Stage, &[(Code, String)])) {
    let halts = |code: &Code| class_for(code.row().number, Method::CreateOrder) == Class::Access;
    let (access, others): (Vec<Code>, Vec<Code>) =
        Code::ALL.iter().copied().filter(|code| *code != Code::Success).partition(halts);
    // What stops trading while others are opened is met alone.
    let alone = if what == "stops" { 1 } else { SIDE_BY_SIDE };
    for side_by_side in others.chunks(SIDE_BY_SIDE).chain(access.chunks(alone)) {
        let all: Vec<(Code, String)> = side_by_side.iter().copied().zip((0..).map(asked)).collect();
        meet(stage, &all);
        goes_on(stage);
    }
    let accepted = stage.ledger()["accepted"].as_object().cloned().unwrap_or_default();
    assert!(accepted.values().all(|n| *n == json!(1)), "{what}: {accepted:?}");
    stage.agrees().expect("at rest");
}

fn fault(stage: &Stage, method: &str, name: &str, code: Code) {
    stage.exchange.fault(
        &json!({ "method": method, "instrument": name }),
        &json!({ "code": { "code": code.row().number, "processed": false } }),
        1,
    );
}

/// Asked again when the balance is not known well enough just after other trades.
fn buy(stage: &Stage, name: &str) {
    until("it is opened", || stage.open_at(name, QUANTITY));
}

fn sell(stage: &Stage, name: &str) {
    stage.order(&["close", name]);
}

fn sold(stage: &Stage, name: &str) {
    stage.until_held(name, "0");
    let asset = name.split('_').next().unwrap_or_default();
    until("the exchange says so too", || stage.ledger()["balances"][asset]["total"] == json!("0"));
}

#[test]
fn a_stop_comes_to_rest_after_every_code() {
    let stage = stage(&rules("max_positions = 20\n"));
    with_every_code("stops", &stage, |stage, all| {
        for (code, name) in all {
            fault(stage, "private/advanced/create-order", name, *code);
            buy(stage, name);
        }
        for (code, name) in all {
            until("a stop is intended", || first_stop_of(stage, name).is_some());
            // The code's own order, not the one that came to rest in the end.
            let first = first_stop_of(stage, name).unwrap_or_default();
            judge_sell(stage, *code, first, Method::AdvancedCreateOrder);
            if !is_through(*code) {
                stage.until_guarded(name);
                sell(stage, name);
            }
        }
        all.iter().for_each(|(_, name)| sold(stage, name));
    });
}

/// The first stop of the position that is, or was last, open.
fn first_stop_of(stage: &Stage, name: &str) -> Option<OrderId> {
    let state = stage.state();
    let id = state.find_instrument(&name.parse().expect("a name"));
    let mut first = None;
    for event in stage.events() {
        match event.fact {
            Fact::OrderIntended(f) if Some(f.instrument) == id && f.side == Side::Buy => first = None,
            Fact::OrderIntended(f) if Some(f.instrument) == id && f.kind.trigger().is_some() => {
                first = first.or(Some(f.order));
            }
            _ => {}
        }
    }
    first
}

/// Already through its trigger, says the exchange: it is sold.
fn is_through(code: Code) -> bool {
    let class = class_for(code.row().number, Method::AdvancedCreateOrder);
    let refused = aegis_cryptocom::bridge::reject_class(code.row().number, class);
    class != Class::Ended && refused == Some(RejectClass::PriceOut)
}

#[test]
fn an_exit_sells_once_after_every_code() {
    let stage = stage(&rules("max_positions = 20\n"));
    with_every_code("exits", &stage, |stage, all| {
        all.iter().for_each(|(_, name)| buy(stage, name));
        all.iter().for_each(|(_, name)| stage.until_guarded(name));
        let before = sells(stage, false);
        for (code, name) in all {
            fault(stage, "private/create-order", name, *code);
            sell(stage, name);
        }
        until("all are tried", || sells(stage, false) >= before + all.len());
        for (code, name) in all {
            let class = class_for(code.row().number, Method::CreateOrder);
            let refused = aegis_cryptocom::bridge::reject_class(code.row().number, class);
            if refused == Some(RejectClass::Permanent) && class != Class::Ended {
                judge_sell(stage, *code, newest(stage, name, false), Method::CreateOrder);
                // It waits for a person, with a stop at the exchange.
                stage.until_guarded(name);
                sell(stage, name);
            }
        }
        all.iter().for_each(|(_, name)| sold(stage, name));
    });
}

#[test]
fn a_cancel_is_made_good_after_every_code() {
    let stage = stage(&rules("max_positions = 20\n"));
    with_every_code("cancels", &stage, |stage, all| {
        all.iter().for_each(|(_, name)| buy(stage, name));
        all.iter().for_each(|(_, name)| stage.until_guarded(name));
        for (code, name) in all {
            // A cancel names no instrument: whichever of them comes first meets it.
            stage.exchange.fault(
                &json!({ "method": "private/advanced/cancel-order" }),
                &json!({ "code": { "code": code.row().number, "processed": false } }),
                1,
            );
            sell(stage, name);
        }
        all.iter().for_each(|(_, name)| sold(stage, name));
    });
    assert_eq!(met(&stage), Code::ALL.len() - 1, "each code was met");
}

/// How many codes were answered so far.
fn met(stage: &Stage) -> usize {
    let applied = stage.exchange.applied();
    let all = applied["applied"].as_array().into_iter().flatten();
    all.filter(|one| one["act"]["code"].is_object()).count()
}

/// What a comparison reads.
const READS: [&str; 5] = [
    "private/user-balance",
    "private/get-trades",
    "private/get-open-orders",
    "private/advanced/get-open-orders",
    "private/get-transactions",
];

#[test]
fn a_read_that_fails_with_any_code_is_no_empty_answer() {
    let stage = stage(&rules("max_positions = 20\n"));
    let held: Vec<String> = (0..3).map(asked).collect();
    held.iter().for_each(|name| buy(&stage, name));
    held.iter().for_each(|name| stage.until_guarded(name));
    let codes: Vec<Code> = Code::ALL.iter().copied().filter(|code| *code != Code::Success).collect();
    // Each code is met by each read in its turn, five at a time.
    for (round, side_by_side) in codes.chunks(READS.len()).enumerate() {
        let before = met(&stage);
        for (at, code) in side_by_side.iter().enumerate() {
            stage.exchange.fault(
                &json!({ "method": READS[(at + round) % READS.len()] }),
                &json!({ "code": { "code": code.row().number, "processed": false } }),
                1,
            );
        }
        stage.order(&["reconcile"]);
        until("all of them are met", || met(&stage) == before + side_by_side.len());
        until("all is read", || {
            !stage.state().alarms.keys().any(|(kind, _)| *kind == AlarmKind::VenueUnanswered)
        });
        goes_on(&stage);
        held.iter().for_each(|name| assert_eq!(stage.held(name), QUANTITY, "{side_by_side:?}"));
    }
    let corrections = |f: &Fact| {
        matches!(f, Fact::CorrectionBooked(_) | Fact::HoldingQuarantined(_) | Fact::InstrumentBlocked(_))
    };
    assert_eq!(stage.count(corrections), 0);
    assert_eq!(stage.resting().len(), held.len(), "every stop stays");
    stage.agrees().expect("at rest");
}

#[test]
fn an_exit_goes_on_after_every_class_of_refusal() {
    let mut stage = Stage::new(
        "USDT=100000",
        &format!("accept_unguarded_downtime = true\n{}", rules("protection = \"engine\"\n")),
    );
    stage.start();
    for number in [306, 42901, 40102, 50001, 9010001, 43004, 204] {
        stage.order(&["open", "ETH_USDT", "0.01"]);
        stage.until_held("ETH_USDT", "0.01");
        stage.exchange.fault(
            &json!({ "method": "private/create-order" }),
            &json!({ "code": { "code": number, "processed": false } }),
            1,
        );
        stage.order(&["close", "ETH_USDT"]);
        until(&format!("code {number}: it is sold after all"), || stage.held("ETH_USDT") == "0");
        let ledger = stage.ledger();
        assert_eq!(ledger["balances"]["ETH"]["total"], json!("0"), "code {number}");
    }
    let accepted = stage.ledger()["accepted"].as_object().cloned().unwrap_or_default();
    assert!(accepted.values().all(|n| *n == json!(1)), "{accepted:?}");
    stage.agrees().expect("at rest");
}
