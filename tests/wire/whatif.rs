//! `aegis what-if` on a live run's journal while it is being written, and on a plain copy of it.

use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use aegis_model::Fact;
use serde_json::Value;
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
        assert!(unknowable.contains("the real exchange's delays"), "{unknowable}");
        assert!(unknowable.contains("the real exchange's fees: the model charges"), "{unknowable}");
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
