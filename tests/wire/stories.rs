//! The stories.

use crate::stage::{Stage, until};
use aegis_model::event::{AlarmKind, AnomalyKind, FillSource, Refusal};
use aegis_model::{Fact, OrderEnd, Side};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// What all stories assume: entries at market, no market-wide rules, quick timers.
const RULES: &str = "\
[live.engine]
entry_style = \"market\"
market_margin = \"0\"
slippage = \"0\"
taker_fee = \"0\"
budget = \"1000000\"
weight = \"1\"
risk = \"1\"
minimum_margin = \"0\"
daily_loss = \"none\"
stop_outs = 0
market_fall = \"none\"
leader_fall = \"none\"
lookup = \"50ms\"
answer = \"400ms\"
reconcile = \"1s\"
balance_lag = \"300ms\"
exit_retry = \"100ms\"
exit_slow = \"600ms\"
takeover_after = \"200ms\"
stop_push = \"100ms\"
entry_valid = \"30s\"
";

pub(crate) fn rules(more: &str) -> String {
    format!("{RULES}{more}")
}

fn orders_of(stage: &Stage, side: Side) -> usize {
    stage.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == side))
}

/// Orders that the exchange accepted, one number for each client order id.
fn accepted(stage: &Stage) -> Vec<u64> {
    let ledger = stage.ledger();
    let by_client = ledger["accepted"].as_object().cloned().unwrap_or_default();
    by_client.values().filter_map(Value::as_u64).collect()
}

fn refusals(stage: &Stage) -> Vec<Refusal> {
    let refused = |f: &Fact| if let Fact::EntryRefused(r) = f { Some(r.reason) } else { None };
    stage.events().iter().filter_map(|e| refused(&e.fact)).collect()
}

fn open(stage: &Stage, name: &str, quantity: &str) {
    stage.order(&["open", name, quantity]);
}

/// Opens and sees the fill and, where one is to rest, the stop at the exchange.
pub(crate) fn hold(stage: &Stage, name: &str, quantity: &str) {
    open(stage, name, quantity);
    stage.until_held(name, quantity);
    stage.until_guarded(name);
}

#[test]
fn s02_killed_before_the_reply_was_read() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start_with(&["--debug-kill", "after-accept:1"]);
    until("the engine has compared", || stage.state().journal.reconciled.is_some());
    // The socket could be faster than the reply that the story is about.
    stage.exchange.fault(&json!({ "channel": "user.*" }), &json!({ "drop_frame": {} }), 1_000);
    let _ = stage.on(&["open", "BTC_USDT", "0.001"]);
    stage.wait_dead();
    stage.exchange.heal();
    assert_eq!(stage.held("BTC_USDT"), "0", "nothing of the fill is durable");
    stage.start();
    stage.until_held("BTC_USDT", "0.001");
    stage.until_guarded("BTC_USDT");
    assert_eq!(stage.stop_of("BTC_USDT").as_deref(), Some("49000"));
    assert!(!stage.open_at("BTC_USDT", "0.001"));
    assert_eq!(refusals(&stage), [Refusal::PositionOpen]);
    assert_eq!(orders_of(&stage, Side::Buy), 1);
    assert!(accepted(&stage).iter().all(|n| *n == 1), "one intent, one order: {:?}", accepted(&stage));
    stage.agrees().expect("at rest");
}

#[test]
fn s03_the_reply_times_out_after_the_fill() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    stage.exchange.fault(&json!({ "method": "private/create-order" }), &json!({ "drop_reply": {} }), 100);
    open(&stage, "BTC_USDT", "0.001");
    stage.until_held("BTC_USDT", "0.001");
    for _ in 0..2 {
        assert!(!stage.open_at("BTC_USDT", "0.001"));
    }
    assert_eq!(orders_of(&stage, Side::Buy), 1);
    stage.exchange.heal();
    stage.until_guarded("BTC_USDT");
    assert!(accepted(&stage).iter().all(|n| *n == 1));
    stage.agrees().expect("at rest");
}

#[test]
fn s04_a_durable_intent_that_was_never_sent_and_is_too_old() {
    let mut stage = Stage::new(
        "USDT=100000",
        &rules("entry_valid = \"300ms\"\n").replacen("entry_valid = \"30s\"\n", "", 1),
    );
    stage.start_with(&["--debug-kill", "after-intent:1"]);
    until("the engine has compared", || stage.state().journal.reconciled.is_some());
    let _ = stage.on(&["open", "BTC_USDT", "0.001"]);
    stage.wait_dead();
    stage.start();
    let not_sent = |f: &Fact| matches!(f, Fact::OrderEnded(o) if o.end == OrderEnd::NotSent);
    until("it is closed as not sent", || stage.count(not_sent) == 1);
    assert_eq!((stage.held("BTC_USDT").as_str(), accepted(&stage).len()), ("0", 0));
    hold(&stage, "BTC_USDT", "0.001");
    assert_eq!(orders_of(&stage, Side::Buy), 2);
    stage.agrees().expect("at rest");
}

#[test]
fn s04_a_durable_intent_that_was_never_sent_and_is_still_wanted() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start_with(&["--debug-kill", "after-intent:1"]);
    until("the engine has compared", || stage.state().journal.reconciled.is_some());
    let _ = stage.on(&["open", "BTC_USDT", "0.001"]);
    stage.wait_dead();
    stage.start();
    stage.until_held("BTC_USDT", "0.001");
    assert_eq!(orders_of(&stage, Side::Buy), 1, "the same order under the same id");
    assert_eq!(stage.count(|f| matches!(f, Fact::OrderResent(_))), 1);
    assert!(accepted(&stage).iter().all(|n| *n == 1));
}

#[test]
fn s05_killed_before_the_intent_is_durable() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    // Frozen, so that the command waits in the socket; killed there.
    let pid = Pid::from_raw(i32::try_from(stage.engine_id()).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::STOP).expect("a child");
    let mut asking = stage.begin(&["open", "BTC_USDT", "0.001"]);
    stage.kill();
    let _ = asking.wait();
    assert_eq!((orders_of(&stage, Side::Buy), accepted(&stage).len()), (0, 0));
    stage.start();
    assert_eq!((stage.held("BTC_USDT").as_str(), accepted(&stage).len()), ("0", 0));
}

#[test]
fn s06_a_partial_fill_at_the_crash() {
    let resting = rules("entry_lifetime = \"60s\"\n").replacen("\"market\"", "\"limit-resting\"", 1);
    let mut stage = Stage::new("USDT=100000", &resting);
    stage.exchange.sized("ETH_USDT", "3000", "1000", "3000", "0.004");
    stage.start_with(&["--debug-kill", "after-accept:1"]);
    until("the engine has compared", || stage.state().journal.reconciled.is_some());
    stage.exchange.fault(&json!({ "channel": "user.*" }), &json!({ "drop_frame": {} }), 1_000);
    let _ = stage.on(&["open", "ETH_USDT", "0.01"]);
    stage.wait_dead();
    stage.exchange.heal();
    until("a part is filled", || stage.ledger()["balances"]["ETH"]["total"] == json!("0.004"));
    stage.exchange.sized("ETH_USDT", "3000", "1000", "3000", "0.006");
    until("the rest is filled", || stage.ledger()["balances"]["ETH"]["total"] == json!("0.01"));
    stage.start();
    stage.until_held("ETH_USDT", "0.01");
    stage.until_guarded("ETH_USDT");
    assert_eq!(stage.stop_of("ETH_USDT").as_deref(), Some("2940"));
    assert_eq!((orders_of(&stage, Side::Buy), stage.count(|f| matches!(f, Fact::FillBooked(_)))), (1, 2));
    stage.agrees().expect("at rest");
}

#[test]
fn an_order_of_somebody_else_is_told_and_never_touched() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "BTC_USDT", "0.0001");
    let order = json!({
        "instrument": "ETH_USDT", "side": "BUY", "type": "LIMIT", "price": "1000", "quantity": "0.01",
    });
    assert!(stage.exchange.try_post("/order", &order));
    stage.order(&["reconcile"]);
    let foreign = |f: &Fact| matches!(f, Fact::AnomalyNoted(a) if a.anomaly == AnomalyKind::ForeignOrder);
    until("it is noted", || stage.count(foreign) == 1);
    stage.order(&["reconcile"]);
    let told = stage.on(&["reconcile", "--dry-run"]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("is none of ours: buy 0.01 at 1000, 0 filled; it is left alone"), "{text}");
    assert!(told.status.success(), "that is no difference: {text}");
    stage.order(&["flatten"]);
    stage.until_held("BTC_USDT", "0");
    let reserved = stage.ledger()["balances"]["USDT"]["reserved"].clone();
    assert_eq!(reserved, json!("10"), "it still rests");
    assert_eq!(stage.count(foreign), 1, "told once");
    stage.agrees().expect("at rest");
}

fn phantom(stage: &mut Stage) {
    stage.start();
    hold(stage, "BTC_USDT", "0.0001");
    stage.kill();
    stage.exchange.by_hand("BTC_USDT", "BUY", "0.0001");
    until("it is there", || stage.ledger()["balances"]["BTC"]["total"] == json!("0.0002"));
}

#[test]
fn s14_started_too_late_the_phantom_is_already_there() {
    let mut stage = Stage::new("USDT=100000", &rules("holdings = \"adopt\"\n"));
    phantom(&mut stage);
    stage.start();
    stage.until_held("BTC_USDT", "0.0002");
    until("one stop for all of it", || stage.resting() == [("BTC_USDT".to_owned(), "0.0002".to_owned())]);
    assert_eq!(stage.stop_of("BTC_USDT").as_deref(), Some("49000"));
    let external = |f: &Fact| matches!(f, Fact::FillBooked(b) if b.source == FillSource::External);
    assert_eq!(stage.count(external), 1);
    stage.exchange.price("BTC_USDT", "48990", "48991");
    stage.until_held("BTC_USDT", "0");
    until("nothing is left", || stage.ledger()["balances"]["BTC"]["total"] == json!("0"));
    stage.agrees().expect("at rest");
}

#[test]
fn s14_by_default_the_foreign_quantity_is_quarantined() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    phantom(&mut stage);
    stage.start();
    until("it is quarantined", || stage.count(|f| matches!(f, Fact::HoldingQuarantined(_))) == 1);
    assert_eq!(stage.held("BTC_USDT"), "0.0001");
    until("its own stop stays", || stage.resting() == [("BTC_USDT".to_owned(), "0.0001".to_owned())]);
    let alarm = stage.state().alarms.keys().any(|(kind, _)| *kind == AlarmKind::Quarantine);
    assert!(alarm, "{:?}", stage.state().alarms);
}

#[test]
fn s15_killed_at_every_append_of_the_reconcile() {
    let mut stage = Stage::new("USDT=100000", &rules("holdings = \"adopt\"\n"));
    phantom(&mut stage);
    // At the first decision of a start, at the second, and so on, until a start is through with it.
    let mut through = false;
    for nth in 1.. {
        stage.start_with(&["--debug-kill", &format!("after-record:{nth}")]);
        let settled = |stage: &Stage| {
            stage.held("BTC_USDT") == "0.0002"
                && stage.resting() == [("BTC_USDT".to_owned(), "0.0002".to_owned())]
        };
        until("it is dead or through", || {
            let dead = stage.is_dead();
            through = !dead && settled(&stage);
            dead || through
        });
        if through {
            assert!(nth > 3, "killed {} times", nth - 1);
            break;
        }
    }
    stage.kill();
    stage.start();
    stage.until_held("BTC_USDT", "0.0002");
    until("one stop for all of it", || stage.resting() == [("BTC_USDT".to_owned(), "0.0002".to_owned())]);
    let external = |f: &Fact| matches!(f, Fact::FillBooked(b) if b.source == FillSource::External);
    assert_eq!(stage.count(external), 1, "booked once, however often the recovery was killed");
    stage.agrees().expect("at rest");
}

#[test]
fn s17_no_open_orders_is_not_no_positions() {
    let alone = rules("protection = \"engine\"\n");
    let mut stage = Stage::new("USDT=100000", &format!("accept_unguarded_downtime = true\n{alone}"));
    stage.start();
    for (name, quantity) in [("BTC_USDT", "0.0001"), ("ETH_USDT", "0.01"), ("SOL_USDT", "0.5")] {
        open(&stage, name, quantity);
        stage.until_held(name, quantity);
    }
    stage.kill();
    assert!(stage.resting().is_empty());
    stage.start();
    let corrections = |f: &Fact| matches!(f, Fact::CorrectionBooked(_) | Fact::HoldingQuarantined(_));
    assert_eq!(stage.count(corrections), 0);
    for (name, quantity) in [("BTC_USDT", "0.0001"), ("ETH_USDT", "0.01"), ("SOL_USDT", "0.5")] {
        assert_eq!(stage.held(name), quantity);
    }
    stage.agrees().expect("at rest");
}

#[test]
fn s18_the_exchange_is_down() {
    let mut stage = Stage::new("USDT=100000", &rules("max_positions = 4\n"));
    stage.start();
    hold(&stage, "BTC_USDT", "0.0001");
    hold(&stage, "SOL_USDT", "0.5");
    stage.kill();
    let balance = json!({ "method": "private/user-balance" });
    stage.exchange.fault(&balance, &json!({ "code": { "code": 50001, "processed": false } }), 1_000_000);
    stage.start_with(&[]);
    let down =
        |stage: &Stage| stage.state().alarms.keys().any(|(kind, _)| *kind == AlarmKind::VenueUnanswered);
    until("an alarm stands", || down(&stage));
    assert_eq!((stage.held("BTC_USDT"), stage.held("SOL_USDT")), ("0.0001".to_owned(), "0.5".to_owned()));
    assert_eq!(stage.count(|f| matches!(f, Fact::CorrectionBooked(_))), 0);
    assert!(!stage.open_at("ETH_USDT", "0.01"));
    // A stop works on prices alone.
    stage.exchange.price("SOL_USDT", "97", "97.01");
    stage.until_held("SOL_USDT", "0");
    stage.exchange.heal();
    until("the alarm ends", || !down(&stage) && stage.state().journal.reconciled.is_some());
    hold(&stage, "ETH_USDT", "0.01");
    stage.agrees().expect("at rest");
}

#[test]
fn s19_closed_by_hand_on_the_exchange() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "SOL_USDT", "0.5");
    let sells = orders_of(&stage, Side::Sell);
    stage.exchange.by_hand("SOL_USDT", "SELL", "0.5");
    stage.until_held("SOL_USDT", "0");
    until("the stop is taken away", || stage.resting().is_empty());
    assert_eq!(orders_of(&stage, Side::Sell), sells, "nothing is sold beside it");
    assert_eq!(stage.count(|f| matches!(f, Fact::StopRetired(_))), 1);
    stage.agrees().expect("at rest");
}

#[test]
fn s20_less_is_there_than_is_known() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "BTC_USDT", "0.0002");
    stage.exchange.flow("withdrawal-1", "BTC", "-0.0001");
    stage.until_held("BTC_USDT", "0.0001");
    let corrections = |f: &Fact| matches!(f, Fact::CorrectionBooked(_));
    assert_eq!(stage.count(corrections), 1);
    assert_eq!(stage.state().totals.realised.to_string(), "0");
    let blocked = |f: &Fact| matches!(f, Fact::InstrumentBlocked(_));
    assert_eq!(stage.count(blocked), 1);
    until("the stop is for what is left", || {
        stage.resting() == [("BTC_USDT".to_owned(), "0.0001".to_owned())]
    });
    stage.agrees().expect("at rest");
}

#[test]
fn s21_the_fee_is_in_the_base_coin() {
    let mut stage = Stage::with_fee(
        "USDT=100000",
        &rules("").replace("taker_fee = \"0\"", "taker_fee = \"25bp\""),
        "25bp",
    );
    stage.start();
    open(&stage, "BTC_USDT", "0.0001");
    stage.until_held("BTC_USDT", "0.00009975");
    until("a stop for whole ticks", || stage.resting() == [("BTC_USDT".to_owned(), "0.00009".to_owned())]);
    stage.exchange.price("BTC_USDT", "48000", "48001");
    until("it is sold", || stage.state().totals.closed == 1);
    until("dust is left", || stage.ledger()["balances"]["BTC"]["total"] == json!("0.00000975"));
    assert_eq!(stage.count(|f| matches!(f, Fact::CorrectionBooked(_))), 0);
    stage.agrees().expect("at rest");
}

#[test]
fn s22_an_order_in_flight_is_no_drift() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    let create = json!({ "method": "private/create-order" });
    stage.exchange.fault(&create, &json!({ "hold_request": { "ms": 300 } }), 1);
    open(&stage, "BTC_USDT", "0.001");
    for _ in 0..3 {
        stage.order(&["reconcile"]);
    }
    stage.until_held("BTC_USDT", "0.001");
    stage.until_guarded("BTC_USDT");
    let corrections = |f: &Fact| matches!(f, Fact::CorrectionBooked(_) | Fact::HoldingQuarantined(_));
    assert_eq!((stage.count(corrections), stage.count(|f| matches!(f, Fact::FillBooked(_)))), (0, 1));
    stage.agrees().expect("at rest");
}

#[test]
fn s23_a_deposit_from_outside() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    stage.exchange.flow("deposit-1", "SOL", "0.3");
    until("it is a flow", || stage.count(|f| matches!(f, Fact::CashFlowRecorded(_))) == 1);
    until("it is quarantined", || stage.count(|f| matches!(f, Fact::HoldingQuarantined(_))) == 1);
    assert_eq!((stage.held("SOL_USDT").as_str(), accepted(&stage).len()), ("0", 0));
    stage.agrees().expect("at rest");
}

#[test]
fn s24_the_seven_steps() {
    let mut stage = Stage::new("USDT=3", &rules(""));
    stage.start();
    for trade in 1..=10 {
        stage.exchange.price("SOL_USDT", "100", "100");
        until("the price is seen", || stage.open_at("SOL_USDT", "0.02"));
        stage.until_held("SOL_USDT", "0.02");
        stage.exchange.price("SOL_USDT", "110", "110");
        until("its stop follows", || stage.stop_of("SOL_USDT").is_some_and(|s| s == "108.35"));
        stage.order(&["close", "SOL_USDT"]);
        until("it is closed", || stage.state().totals.closed == trade);
    }
    let shown = |stage: &Stage| -> Value {
        let status = stage.on(&["status", "--json"]);
        let line = String::from_utf8_lossy(&status.stdout).lines().next().unwrap_or_default().to_owned();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    };
    let usdt = |status: &Value| {
        let balances = status["summary"]["balances"].as_array().cloned().unwrap_or_default();
        balances.into_iter().find(|b| b["asset"] == json!("USDT")).unwrap_or(Value::Null)
    };
    until("5.00 is shown", || usdt(&shown(&stage))["total"] == json!("5"));
    let status = shown(&stage);
    assert_eq!(status["summary"]["return_on_first"], json!("66.67 %"), "{status}");
    assert!(usdt(&status)["record"].is_u64() || usdt(&status)["lsn"].is_u64(), "{}", usdt(&status));
    stage.kill();
    assert_eq!(usdt(&shown(&stage))["total"], json!("5"), "after the kill, from the journal");
    stage.start();
    assert_eq!(usdt(&shown(&stage))["total"], json!("5"), "after the restart");
    assert_eq!(stage.state().totals.realised.to_string(), "2");
    stage.agrees().expect("at rest");
}

#[test]
fn s25_all_closed_by_hand() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "BTC_USDT", "0.0001");
    hold(&stage, "SOL_USDT", "0.5");
    stage.exchange.by_hand("BTC_USDT", "SELL", "0.0001");
    stage.exchange.by_hand("SOL_USDT", "SELL", "0.5");
    stage.until_held("BTC_USDT", "0");
    stage.until_held("SOL_USDT", "0");
    let external = |f: &Fact| matches!(f, Fact::FillBooked(b) if b.source == FillSource::External);
    assert_eq!(stage.count(external), 2);
    until("no stop is left", || stage.resting().is_empty());
    stage.agrees().expect("at rest");
}

#[test]
fn s26_sizing_is_never_stale() {
    let mut stage = Stage::new("USDT=3", &rules(""));
    stage.start();
    stage.exchange.flow("withdrawal-1", "USDT", "-1.8");
    assert!(!stage.open_at("SOL_USDT", "0.015"));
    let short = |f: &Fact| {
        matches!(f, Fact::EntryRefused(r) if r.reason == Refusal::InsufficientBalance
            && (r.need.to_string(), r.have.to_string()) == ("1.5".to_owned(), "1.2".to_owned()))
    };
    assert_eq!(stage.count(short), 1, "need 1.5 have 1.2");
    let balance = json!({ "method": "private/user-balance" });
    stage.exchange.fault(&balance, &json!({ "page": { "status": 502, "processed": false } }), 1_000_000);
    assert!(!stage.open_at("SOL_USDT", "0.01"), "without an answer nothing is bought");
    assert_eq!((orders_of(&stage, Side::Buy), accepted(&stage).len()), (0, 0));
}

#[test]
fn s27_reserved_funds_are_not_available() {
    let resting = rules("entry_lifetime = \"60s\"\n").replacen("\"market\"", "\"limit-resting\"", 1);
    let mut stage = Stage::new("USDT=3", &resting);
    stage.exchange.sized("SOL_USDT", "100", "1000", "100", "0");
    stage.exchange.sized("ETH_USDT", "3000", "1000", "3000", "0");
    stage.exchange.sized("BTC_USDT", "60000", "1000", "60000", "0");
    stage.start();
    open(&stage, "SOL_USDT", "0.02");
    until("2.00 is reserved", || stage.ledger()["balances"]["USDT"]["reserved"] == json!("2"));
    let mut both = [("ETH_USDT", "0.0002"), ("BTC_USDT", "0.00001")]
        .map(|(name, quantity)| stage.begin(&["open", name, quantity]));
    until("one is refused", || refusals(&stage) == [Refusal::InsufficientBalance]);
    let mut codes = both.each_mut().map(|asked| asked.wait().expect("it ends").code());
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(2)], "each was told its own");
    until("the other rests", || stage.ledger()["balances"]["USDT"]["reserved"] == json!("2.6"));
    assert_eq!(orders_of(&stage, Side::Buy), 2);
}
