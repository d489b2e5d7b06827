//! A recorded market over real sockets with everything going wrong: every fault that the exchange can make, all the time,
//! while the engine trades. At the end both books agree to the last digit.
//!
//! `AEGIS_WEEK_DAYS=7 cargo test --release -p aegis --test wire -- week --nocapture` is the week; a day without it.

use crate::stage::{Stage, until};
use crate::stories::rules;
use aegis_model::event::{AnomalyKind, FillSource};
use aegis_model::{Event, Fact, InstrumentId};
use aegis_projection::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Market hours in a second of ours.
const HOURS_A_SECOND: u64 = 1;
/// No holding is ever longer without a stop at the exchange than this, ns, however much goes wrong: the engine's own
/// guard stands in meanwhile. Protocol times are a hundredth, so this is minutes of the real ones.
pub(crate) const BARE_MAX: i64 = 15_000_000_000;
const BTC: &str = "BTC_USDT";

fn days() -> u64 {
    std::env::var("AEGIS_WEEK_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(1)
}

/// Some days of the recorded candles, from a stretch that moves.
fn market(into: &Path, days: u64) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/market/binance_spot_BTCUSDT_1h_2017_2024.csv.gz");
    let packed = File::open(&fixture).expect("the recorded candles");
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(packed)).expect("unpacked candles");
    let rows: Vec<&str> = text.lines().collect();
    let (head, from) = (rows[0], 30_000);
    let hours = usize::try_from(days * 24 + 24).expect("few");
    let path = into.join("market.csv");
    let body = rows[from..from + hours].join("\n");
    std::fs::write(&path, format!("{head}\n{body}\n")).expect("a file of the test");
    path
}

/// One thing that goes wrong, or happens.
enum Wrong {
    Fault(Value, Value, u32),
    Control(&'static str, Value),
}

/// Everything that the exchange can do wrong, in an order that mixes it.
fn wrongs(round: u64) -> Vec<Wrong> {
    let fault = |when: Value, act: Value, times| Wrong::Fault(when, act, times);
    let create = || json!({ "method": "private/create-order" });
    let stop = || json!({ "method": "private/advanced/create-order" });
    let cancel = || json!({ "method": "private/advanced/cancel-order" });
    let read = |method: &str| json!({ "method": method });
    let news = || json!({ "channel": "user.*" });
    let prices = || json!({ "channel": "ticker*" });
    let code = |code: i64, processed: bool| json!({ "code": { "code": code, "processed": processed } });
    let page = |status: u16, processed: bool| json!({ "page": { "status": status, "processed": processed } });
    let flow = |kind: &str, quantity: &str| {
        Wrong::Control(
            "/flow",
            json!({ "id": format!("{kind}-{round}"), "asset": "USDT", "quantity": quantity }),
        )
    };
    vec![
        fault(create(), json!({ "drop_reply": {} }), 1),
        fault(news(), json!({ "drop_frame": {} }), 2),
        fault(create(), json!({ "drop_request": {} }), 1),
        fault(stop(), json!({ "drop_reply": {} }), 1),
        fault(create(), page(502, true), 1),
        fault(news(), json!({ "duplicate_frame": {} }), 3),
        fault(create(), page(502, false), 1),
        Wrong::Control(
            "/order",
            json!({ "instrument": BTC, "side": "BUY", "type": "MARKET", "quantity": "0.001" }),
        ),
        fault(create(), code(50001, true), 1),
        fault(stop(), code(40801, true), 1),
        fault(news(), json!({ "reorder_frame": {} }), 2),
        fault(create(), code(40801, false), 1),
        fault(create(), code(42901, false), 3),
        Wrong::Control("/lag", json!({ "detail": 80, "trades": 150, "balance": 60, "open": 60 })),
        fault(create(), json!({ "delay_request": { "ms": 200 } }), 1),
        fault(cancel(), json!({ "drop_reply": {} }), 1),
        fault(news(), json!({ "close": { "code": 1013 } }), 1),
        Wrong::Control("/lag", json!({})),
        fault(create(), json!({ "delay_request": { "ms": 900 } }), 1),
        fault(cancel(), json!({ "drop_request": {} }), 1),
        flow("deposit", "5"),
        fault(create(), json!({ "hold_request": { "ms": 300 } }), 1),
        fault(stop(), page(503, true), 1),
        fault(read("private/user-balance"), code(50001, false), 2),
        fault(news(), json!({ "close": { "code": 1006 } }), 1),
        fault(create(), json!({ "delay_reply": { "ms": 300 } }), 1),
        fault(read("private/get-trades"), page(504, false), 2),
        Wrong::Control("/maintenance", json!({ "on": true })),
        Wrong::Control("/maintenance", json!({ "on": false })),
        fault(create(), json!({ "repeat_request": {} }), 1),
        fault(read("private/get-order-detail"), json!({ "drop_reply": {} }), 2),
        fault(prices(), json!({ "strings": {} }), 5),
        fault(news(), json!({ "strings": {} }), 5),
        Wrong::Control("/instrument", json!({ "name": BTC, "price_tick": "0.1" })),
        fault(news(), json!({ "extra_fields": {} }), 5),
        fault(news(), json!({ "null_values": {} }), 3),
        fault(json!({ "method": "private/*" }), json!({ "lower_case_side": {} }), 3),
        Wrong::Control("/clock", json!({ "skew_ms": 250 })),
        fault(stop(), code(42901, false), 2),
        fault(news(), json!({ "delay_frame": { "ms": 120 } }), 2),
        Wrong::Control("/clock", json!({ "skew_ms": 0 })),
        Wrong::Control("/instrument", json!({ "name": BTC, "price_tick": "0.01" })),
        fault(json!({}), json!({ "skip_heartbeat": {} }), 4),
        fault(cancel(), code(50001, true), 1),
        flow("withdrawal", "-5"),
        Wrong::Control("/fees", json!({ "fall_back": true })),
        Wrong::Control(
            "/order",
            json!({ "instrument": BTC, "side": "BUY", "type": "LIMIT", "price": "1000", "quantity": "0.001" }),
        ),
        Wrong::Control(
            "/order",
            json!({ "instrument": BTC, "side": "SELL", "type": "MARKET", "quantity": "0.001" }),
        ),
    ]
}

fn go_wrong(stage: &Stage, wrong: &Wrong) -> bool {
    match wrong {
        Wrong::Fault(when, act, times) => {
            stage.exchange.fault(when, act, *times);
            true
        }
        // A person who sells what is not there is refused, which is no fault of ours.
        Wrong::Control(path, body) => stage.exchange.try_post(path, body),
    }
}

/// The longest time that something was held without a stop at the exchange, ns, and the longest of that without a fresh
/// price for the engine's own guard.
pub(crate) fn longest_bare(events: &[Event]) -> (i64, i64) {
    let mut state = State::default();
    let (mut bare, mut naked) = (0, 0);
    for event in events {
        for instrument in state.instruments.iter().filter(|i| i.is_open()) {
            if let Some(since) = instrument.bare_since {
                bare = bare.max(event.at.since(since));
                if let Some(blind) = instrument.blind {
                    naked = naked.max(event.at.since(since.max(blind)));
                }
            }
        }
        state.apply(event);
    }
    (bare, naked)
}

fn kinds(applied: &Value) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for one in applied["applied"].as_array().into_iter().flatten() {
        let act = &one["act"];
        let name = act
            .as_object()
            .and_then(|o| o.keys().next().cloned())
            .or_else(|| act.as_str().map(str::to_owned));
        *kinds.entry(name.unwrap_or_default()).or_default() += 1;
    }
    kinds
}

/// A write that went wrong is in the journal as what it was: unknown, refused, or put off, and how it ended.
fn writes_are_told(events: &[Event], applied: &Value) {
    let mut state = State::default();
    let mut told = std::collections::BTreeSet::new();
    for event in events {
        state.apply(event);
        let order = match &event.fact {
            Fact::OrderUnknown(f) => Some(f.order),
            Fact::OrderRejected(f) => Some(f.order),
            Fact::OrderLookedUp(f) => Some(f.order),
            Fact::OrderResent(f) => Some(f.order),
            Fact::AnomalyNoted(f) => Some(f.order),
            _ => None,
        };
        told.extend(order.and_then(|o| state.any_order(o)).map(|o| o.client.to_string()));
    }
    for one in applied["applied"].as_array().into_iter().flatten() {
        let (act, subject) = (one["act"].to_string(), &one["subject"]);
        let method = subject["method"].as_str().unwrap_or_default();
        let lost = ["drop_request", "drop_reply", "page"].iter().any(|name| act.contains(name));
        if !lost || !method.contains("create-order") {
            continue;
        }
        for client in subject["client_oids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(told.contains(client), "{act} of {method} {client} is nowhere in the journal");
        }
    }
}

/// What the exchange spelled otherwise, repeated or mixed was understood, and is in the journal as what it was. A fault
/// that changed nothing in what it struck, as the case of a side in an answer without one, cannot be seen.
fn oddities_are_told(events: &[Event], applied: &Value) {
    let noted: std::collections::BTreeSet<AnomalyKind> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::AnomalyNoted(noted) => Some(noted.anomaly),
            _ => None,
        })
        .collect();
    let struck = |act: &str, channel: &str| {
        let all = applied["applied"].as_array().into_iter().flatten();
        all.into_iter().any(|one| {
            one["act"].to_string().contains(act)
                && one["subject"]["channel"].as_str().unwrap_or_default().starts_with(channel)
        })
    };
    for (act, kind) in [
        ("strings", AnomalyKind::NewsRespelled),
        ("extra_fields", AnomalyKind::NewsUnknown),
        ("duplicate_frame", AnomalyKind::NewsRepeated),
        ("skip_heartbeat", AnomalyKind::HeartbeatMissed),
    ] {
        let channel = if act == "skip_heartbeat" { "" } else { "user." };
        assert!(struck(act, channel), "{act} never struck");
        assert!(noted.contains(&kind), "{act} struck and the journal does not tell: {noted:?}");
    }
}

/// What happened at the exchange without us: transfers, a person's trades and orders, other ticks.
fn happenings_are_told(events: &[Event], controls: &BTreeMap<String, u64>) {
    let count = |want: &dyn Fn(&Fact) -> bool| events.iter().filter(|e| want(&e.fact)).count() as u64;
    let external = count(&|f| matches!(f, Fact::FillBooked(b) if b.source == FillSource::External));
    let five = |q: aegis_model::Quantity| ["5", "-5"].contains(&q.to_string().as_str());
    let flows = count(&|f| matches!(f, Fact::CashFlowRecorded(c) if five(c.quantity)));
    let foreign = count(&|f| matches!(f, Fact::AnomalyNoted(a) if a.anomaly == AnomalyKind::ForeignOrder));
    let ticks = count(&|f| matches!(f, Fact::InstrumentListed(_)));
    assert_eq!(flows, controls.get("/flow").copied().unwrap_or(0), "transfers");
    assert!(external > 0 && foreign > 0, "a person's trades {external}, orders {foreign}");
    assert!(ticks > 3, "the ticks changed");
}

fn play(kill: bool) {
    let days = days();
    let more = "holdings = \"adopt\"\nmax_positions = 4\n[live.engine.plan]\ninitial = \"0.6%\"\n\
                trail = \"0.4%\"\n";
    let engine = rules(more).replace("taker_fee = \"0\"", "taker_fee = \"50bp\"");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = market(dir.path(), days);
    let pace = format!("{}x", HOURS_A_SECOND * 3600);
    let mut stage = Stage::playing("USDT=100000", &engine, &file.display().to_string(), &pace);
    stage.start();
    let begun = Instant::now();
    let length = Duration::from_secs(days * 24 / HOURS_A_SECOND);
    let (mut step, mut controls) = (0u64, BTreeMap::new());
    let mut round = 0;
    let mut list = wrongs(round).into_iter();
    while begun.elapsed() < length {
        step += 1;
        let wrong = list.next().unwrap_or_else(|| {
            round += 1;
            list = wrongs(round).into_iter();
            list.next().expect("a list of faults")
        });
        if go_wrong(&stage, &wrong)
            && let Wrong::Control(path, _) = &wrong
        {
            *controls.entry((*path).to_owned()).or_insert(0u64) += 1;
        }
        match step % 6 {
            1 | 4 => drop(stage.on(&["open", BTC, "0.01"])),
            0 if step.is_multiple_of(12) => drop(stage.on(&["close", BTC])),
            _ => {}
        }
        if kill && step.is_multiple_of(25) {
            if step.is_multiple_of(50) {
                stage.kill_venue();
                stage.start_venue();
            } else {
                stage.kill();
                stage.start_with(&[]);
            }
        }
        std::thread::sleep(Duration::from_millis(60));
    }
    let applied = stage.exchange.applied();
    stage.exchange.heal();
    for (path, body) in [
        ("/lag", json!({})),
        ("/clock", json!({ "skew_ms": 0 })),
        ("/maintenance", json!({ "on": false })),
        ("/fees", json!({ "fall_back": false })),
        ("/market", json!({ "instrument": BTC, "hold": true })),
    ] {
        stage.exchange.post(path, &body);
    }
    let mut last = String::new();
    until("the books agree and nothing is under way", || {
        let quiet = stage.state().orders.values().all(|o| {
            matches!(
                o.status,
                aegis_model::order::OrderStatus::Acknowledged
                    | aegis_model::order::OrderStatus::PartiallyFilled
            ) && o.cancel.is_none()
        });
        last = stage.agrees().err().unwrap_or_default();
        quiet && last.is_empty()
    });
    assert!(last.is_empty(), "{last}");
    let ledger = stage.ledger();
    assert_eq!(ledger["audit"], Value::Null, "the exchange's own books");
    let accepted = ledger["accepted"].as_object().cloned().unwrap_or_default();
    assert!(accepted.values().all(|n| *n == json!(1)), "an intent has two orders: {accepted:?}");
    let events = stage.events();
    happenings_are_told(&events, &controls);
    if !kill {
        writes_are_told(&events, &applied);
        oddities_are_told(&events, &applied);
    }
    let lost = events.iter().filter(|e| matches!(e.fact, Fact::LinkLost(_))).count();
    if kinds(&applied).contains_key("close") {
        assert!(lost > 0, "sockets were closed and the journal does not tell");
    }
    let (bare, naked) = longest_bare(&events);
    let state = stage.state();
    let totals = &state.totals;
    println!(
        "{days} day(s): {lost} connections lost, {} orders at the exchange, {} fills, {} closed, {} stops at the exchange, {} sent again; \
         longest without a stop at the exchange {} ms, of that without a price {} ms; controls {controls:?}; faults {:?}",
        accepted.len(),
        totals.fills,
        totals.closed,
        totals.venue_stops,
        totals.resends,
        bare / 1_000_000,
        naked / 1_000_000,
        kinds(&applied)
    );
    assert!(bare <= BARE_MAX, "{} ms without a stop at the exchange", bare / 1_000_000);
    assert!(totals.fills > 10 * days && totals.closed > 2 * days, "it hardly traded: {totals:?}");
    let id = state.find_instrument(&BTC.parse().expect("a name")).unwrap_or(InstrumentId(0));
    assert!(state.instrument(id).is_some());
    assert_eq!(stage.stop(), Some(0));
}

#[test]
fn week_every_fault_and_the_books_agree() {
    play(false);
}

#[test]
fn week_with_both_processes_killed_and_started_again() {
    play(true);
}
