//! Every code of the error table, answered to an entry and met by the running engine: what it records, what it believes,
//! what it does next.

use crate::stage::{Stage, until};
use crate::stories::rules;
use aegis_cryptocom::code::{Class, Code};
use aegis_cryptocom::{Method, class_for};
use aegis_model::order::RejectClass;
use aegis_model::{Fact, OrderEnd, OrderId};
use serde_json::json;

/// What the journal says of one order.
#[derive(Debug, Default)]
struct Told {
    refused: Option<(RejectClass, u32)>,
    unknown: bool,
    looked_up: u32,
    ended: Option<OrderEnd>,
}

fn told(stage: &Stage, order: OrderId) -> Told {
    let mut told = Told::default();
    for event in stage.events() {
        match event.fact {
            Fact::OrderRejected(f) if f.order == order => told.refused = Some((f.class, f.code)),
            Fact::OrderUnknown(f) if f.order == order => told.unknown = true,
            Fact::OrderLookedUp(f) if f.order == order => told.looked_up += 1,
            Fact::OrderEnded(f) if f.order == order => told.ended = Some(f.end),
            _ => {}
        }
    }
    told
}

/// The instruments that are asked side by side, each with a quantity.
const ASKED: [(&str, &str); 3] = [("BTC_USDT", "0.0001"), ("ETH_USDT", "0.001"), ("SOL_USDT", "0.01")];

/// Answers the next entry of an instrument with a code; the order that asked.
fn refuse(stage: &Stage, number: i64, (name, quantity): (&str, &str)) -> OrderId {
    stage.exchange.fault(
        &json!({ "method": "private/create-order", "instrument": name }),
        &json!({ "code": { "code": number, "processed": false } }),
        1,
    );
    let before = stage.state().last_order;
    // A busy machine may answer about the balance too late for an entry that is good for a tenth of a second.
    until(&format!("code {number}: an order is intended"), || stage.open_at(name, quantity));
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
            assert_eq!((told.ended, told.refused), (Some(OrderEnd::NotSent), None), "{what}");
        }
        Class::Success => panic!("{what}"),
    }
}

#[test]
fn every_code_of_the_table_is_met() {
    let engine = rules("").replacen("entry_valid = \"30s\"", "entry_valid = \"100ms\"", 1);
    let mut stage = Stage::new("USDT=100000", &engine);
    stage.start();
    let halts = |code: &Code| class_for(code.row().number, Method::CreateOrder) == Class::Access;
    let codes = Code::ALL.iter().copied().filter(|code| *code != Code::Success);
    let (access, others): (Vec<Code>, Vec<Code>) = codes.partition(halts);
    for side_by_side in others.chunks(ASKED.len()) {
        let asked = |(code, asked): (&Code, (&str, &str))| (*code, refuse(&stage, code.row().number, asked));
        let orders: Vec<(Code, OrderId)> = side_by_side.iter().zip(ASKED).map(asked).collect();
        orders.iter().for_each(|(code, order)| judge(&stage, *code, *order));
    }
    assert!(stage.state().trading.halted.is_none(), "none of these stops trading");
    for code in &access {
        let order = refuse(&stage, code.row().number, ASKED[0]);
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
