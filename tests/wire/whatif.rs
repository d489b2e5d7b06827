//! `aegis what-if` on a live run's journal while it is being written, on a plain copy of it, and on what the paper exchange
//! would not have done by itself.

use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use aegis_model::Fact;
use serde_json::{Value, json};
use std::process::Output;

fn told(out: &Output) -> Value {
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("one object")
}

#[test]
fn what_if_of_a_live_journal_and_of_its_copy() {
    let mut stage = Stage::new("USDT=100000", &rules("record = \"all\"\n"));
    stage.start();
    hold(&stage, "BTC_USDT", "0.001");
    for bid in ["50500", "51000", "50700", "50000"] {
        let ask = format!("{bid}.01");
        stage.exchange.price("BTC_USDT", bid, &ask);
        let shown = |f: &Fact| matches!(f, Fact::TickSeen(t) if t.bid.is_some_and(|b| b.to_string() == bid));
        until("the price is on the record", || stage.count(shown) > 0);
    }
    stage.until_held("BTC_USDT", "0");
    until("the position is told closed", || stage.count(|f| matches!(f, Fact::PositionClosed(_))) == 1);
    let (live, copy) = (stage.path("data/live/engine"), stage.path("copy"));
    std::fs::create_dir(&copy).expect("a directory");
    for entry in std::fs::read_dir(&live).expect("the journal") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.join(entry.file_name())).expect("copied");
    }
    for dir in [&live, &copy] {
        let dir = dir.to_str().expect("a path");
        let wide = told(&stage.on(&["what-if", dir, "--stop", "fixed:5%", "--json"]));
        for side in ["recorded", "model"] {
            assert_eq!((&wide[side]["closed"], &wide[side]["stops_hit"]), (&1.into(), &1.into()), "{wide}");
        }
        assert_eq!((&wide["what_if"]["closed"], &wide["what_if"]["open"]), (&0.into(), &1.into()));
        let difference = &wide["differences"][0];
        assert_eq!(
            (&difference["left"]["reason"], &difference["right"]["exit"]),
            (&"stop".into(), &Value::Null)
        );
        let unknowable = wide["unknowable"].to_string();
        assert_eq!(wide["exact"], true, "{wide}");
        assert!(unknowable.contains("how the real exchange would have filled other orders"), "{unknowable}");
        assert!(unknowable.contains("the median rate of the record (BTC_USDT 0.00 %)"), "{unknowable}");
        assert!(unknowable.contains("their commands (1) come again"), "{unknowable}");
        assert!(wide["market"].as_str().is_some_and(|m| m.ends_with("ticks in the journal")), "{wide}");
    }
    assert_eq!(stage.stop(), Some(0));
}

#[test]
fn what_if_of_a_live_journal_without_its_ticks_says_what_keeps_them() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "BTC_USDT", "0.001");
    let out = stage.on(&["what-if", "--stop", "fixed:5%"]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("engine.record = \"all\""), "{said}");
    assert_eq!(stage.stop(), Some(0));
}

/// What a live run went through that the paper exchange would not have done by itself.
fn eventful(stage: &mut Stage) {
    let unseen = |stage: &Stage| {
        stage.exchange.fault(&json!({ "channel": "ticker*" }), &json!({ "drop_frame": {} }), 1_000);
    };
    let seen = |stage: &Stage, bid: &str, ask: &str| {
        stage.exchange.price("BTC_USDT", bid, ask);
        let shown = |f: &Fact| matches!(f, Fact::TickSeen(t) if t.bid.is_some_and(|b| b.to_string() == bid));
        until("the price is on the record", || stage.count(shown) > 0);
    };
    stage.start();
    // Bought off the price that was seen, and in part only.
    seen(stage, "50000.5", "50000.51");
    unseen(stage);
    stage.exchange.sized("BTC_USDT", "50020", "1000", "50020.01", "0.004");
    stage.order(&["open", "BTC_USDT", "0.01"]);
    stage.until_guarded("BTC_USDT");
    stage.exchange.heal();
    for bid in ["50500", "51000", "50700"] {
        seen(stage, bid, &format!("{bid}.01"));
    }
    until("the stop at the exchange has followed the price", || {
        stage.stop_of("BTC_USDT").as_deref() == Some("50235")
            && stage.ledger()["triggers"].to_string().contains("50235")
    });
    // Sold by the exchange's stop, off the price that was seen.
    unseen(stage);
    stage.exchange.price("BTC_USDT", "50111", "50111.01");
    until("the position is told closed", || stage.count(|f| matches!(f, Fact::PositionClosed(_))) == 1);
    stage.exchange.heal();
    let code = |stage: &Stage, code: u32| {
        let method = json!({ "method": "private/create-order" });
        stage.exchange.fault(&method, &json!({ "code": { "code": code, "processed": false } }), 1);
    };
    seen(stage, "50120", "50120.01");
    code(stage, 40004);
    stage.order(&["open", "BTC_USDT", "0.002"]);
    until("it is refused", || stage.count(|f| matches!(f, Fact::OrderRejected(_))) == 1);
    // Lost, and sent again once that is proven; then left by a person behind a stop that rests.
    seen(stage, "50130", "50130.01");
    code(stage, 306);
    stage.order(&["open", "BTC_USDT", "0.002"]);
    stage.until_guarded("BTC_USDT");
    seen(stage, "50300", "50300.01");
    stage.order(&["close", "BTC_USDT"]);
    until("the position is told closed", || stage.count(|f| matches!(f, Fact::PositionClosed(_))) == 2);
    // Refused for now; and held at the end.
    seen(stage, "50310", "50310.01");
    code(stage, 42901);
    stage.order(&["open", "BTC_USDT", "0.003"]);
    until("it is refused", || stage.count(|f| matches!(f, Fact::OrderRejected(_))) == 2);
    seen(stage, "50315", "50315.01");
    stage.order(&["open", "BTC_USDT", "0.003"]);
    stage.until_guarded("BTC_USDT");
    seen(stage, "50320", "50320.01");
}

#[test]
fn what_if_follows_what_the_exchange_did() {
    let settings = rules("record = \"all\"\n").replacen("taker_fee = \"0\"", "taker_fee = \"30bp\"", 1);
    // Another fee than that of `[venue]`, which the paper exchange would charge.
    let mut stage = Stage::with_fee("USDT=100000", &settings, "30bp");
    eventful(&mut stage);
    assert_eq!(stage.stop(), Some(0));
    let same = told(&stage.on(&["what-if", "--stop", "recorded", "--json"]));
    assert_eq!(same["exact"], true, "{}\n{}\n{}", same["off"], same["recorded"], same["model"]);
    let recorded = &same["recorded"];
    assert_eq!(
        (&recorded["closed"], &recorded["open"], &recorded["fills"]),
        (&2.into(), &1.into(), &5.into())
    );
    for figure in ["realised", "quote_fees", "fees", "fills", "refused"] {
        assert_eq!(recorded[figure], same["model"][figure], "{figure}: {same}");
    }
    assert_eq!(same["model"], same["what_if"]);
    let exchange = &same["exchange"];
    assert_eq!(exchange["model"]["fills_recorded"], 5, "{exchange}");
    assert_eq!(exchange["model"]["orders_modelled"], 0, "{exchange}");
    assert_eq!(exchange["recorded"]["fee_rates"]["BTC_USDT"], "0.003", "{exchange}");
    // Wherever the record is cut, also between an order and its answers: what was under way there stays so.
    let last = same["last"].as_u64().expect("a record");
    for lsn in (last.saturating_sub(120)..last).step_by(7) {
        let cut = told(&stage.on(&["what-if", "--stop", "recorded", "--json", "--until", &lsn.to_string()]));
        assert_eq!(cut["exact"], true, "until {lsn}: {}\n{}\n{}", cut["off"], cut["recorded"], cut["model"]);
        let from = told(&stage.on(&["what-if", "--stop", "recorded", "--json", "--from", &lsn.to_string()]));
        assert_eq!((&from["exact"], &from["differences"]), (&true.into(), &json!([])), "from {lsn}");
    }
    // Without its stop the first position is held to the end, at the price at which it was really bought; the stop
    // that rests for it is on no record.
    let wide = told(&stage.on(&["what-if", "--stop", "fixed:20%", "--json"]));
    assert_eq!((&wide["exact"], &wide["what_if"]["closed"]), (&true.into(), &1.into()), "{wide}");
    let first = &wide["differences"][0];
    let (left, right) = (&first["left"], &first["right"]);
    assert_eq!((&left["entry"], &left["exit"]), (&"50020.01".into(), &"50111".into()), "{wide}");
    assert_eq!((&right["entry"], &right["quantity"]), (&"50020.01".into(), &"0.004".into()), "{wide}");
    // The command of the second position sells the first one, at the price that is shown once the order is there and for
    // the recorded rate: 0.003 of 0.00398 * 50300, or of the price after that.
    assert_eq!(right["reason"], "command", "{wide}");
    let sold = [&right["exit"], &wide["what_if"]["quote_fees"]].map(|v| v.as_str().unwrap_or_default());
    assert!([["50300", "0.600582"], ["50310", "0.6007014"]].contains(&sold), "{wide}");
    assert_eq!(wide["exchange"]["what_if"]["fills_modelled"], 1, "{wide}");
    let unknowable = wide["unknowable"].to_string();
    assert!(unknowable.contains("BTC_USDT 0.30 %"), "{unknowable}");
}

#[test]
fn what_if_follows_an_order_through_a_kill_and_other_settings() {
    let resting = |more: &str| {
        let all = format!("record = \"all\"\nentry_lifetime = \"60s\"\n{more}");
        rules(&all).replacen("\"market\"", "\"limit-resting\"", 1)
    };
    let fills = |stage: &Stage| stage.count(|f| matches!(f, Fact::FillBooked(_)));
    let mut stage = Stage::with_fee("USDT=100000", &resting(""), "30bp");
    stage.exchange.sized("ETH_USDT", "2999", "1000", "3000", "0.004");
    stage.start();
    let shown = |f: &Fact| matches!(f, Fact::TickSeen(t) if t.bid.is_some_and(|b| b.to_string() == "2999"));
    until("the price is on the record", || stage.count(shown) > 0);
    stage.order(&["open", "ETH_USDT", "0.01"]);
    until("a part is filled", || fills(&stage) == 1);
    stage.until_guarded("ETH_USDT");
    stage.kill();
    // Nobody of ours sees how the rest is filled.
    stage.exchange.sized("ETH_USDT", "2990", "1000", "2995", "0.006");
    until("the rest is filled", || stage.ledger()["balances"]["ETH"]["total"] == json!("0.00997"));
    stage.start();
    until("the rest is known", || fills(&stage) == 2);
    stage.until_guarded("ETH_USDT");
    assert_eq!(stage.stop(), Some(0));
    stage.set(&resting("stop_push = \"90ms\"\n[live.engine.plan]\ntrail = \"3%\"\n").replacen(
        "stop_push = \"100ms\"\n",
        "",
        1,
    ));
    stage.start();
    for bid in ["3100", "3200", "3000"] {
        stage.exchange.price("ETH_USDT", bid, &format!("{bid}.01"));
        let shown = |f: &Fact| matches!(f, Fact::TickSeen(t) if t.bid.is_some_and(|b| b.to_string() == bid));
        until("the price is on the record", || stage.count(shown) > 0);
    }
    until("the position is told closed", || stage.count(|f| matches!(f, Fact::PositionClosed(_))) == 1);
    assert_eq!(stage.stop(), Some(0));
    let same = told(&stage.on(&["what-if", "--stop", "recorded", "--json"]));
    assert_eq!(same["exact"], true, "{}\n{}\n{}", same["off"], same["recorded"], same["model"]);
    assert_eq!((&same["model"]["closed"], &same["model"]["fills"]), (&1.into(), &3.into()), "{same}");
    for figure in ["realised", "quote_fees", "fees", "fills", "stops_hit"] {
        assert_eq!(same["recorded"][figure], same["model"][figure], "{figure}: {same}");
    }
    assert_eq!(same["model"], same["what_if"]);
    // A take-profit on the way up: bought as recorded, sold by the model.
    let sold = told(&stage.on(&["what-if", "--take-profit", "3%", "--json"]));
    let right = &sold["differences"][0]["right"];
    assert_eq!((&right["entry"], &right["quantity"]), (&"3000".into(), &"0.01".into()), "{sold}");
    // It is decided upon at 3100 and reaches the exchange a while later.
    assert_eq!(right["reason"], "take_profit", "{sold}");
    assert!(["3100", "3200", "3000"].contains(&right["exit"].as_str().unwrap_or_default()), "{sold}");
    assert_eq!(sold["exchange"]["what_if"]["fills_modelled"], 1, "{sold}");
}
