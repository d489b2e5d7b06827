//! An engine on a backup that is older than what it did: no id is used twice, and no entry passes.

use crate::stage::{Stage, aegis, until};
use crate::stories::{hold, rules};
use aegis_model::event::{AlarmKind, Refusal};
use aegis_model::{Fact, Side};
use std::collections::BTreeSet;

/// Runs and orders of all intents in the journal that lies there now.
fn intents(stage: &Stage) -> BTreeSet<(u32, u64)> {
    let intent =
        |fact: &Fact| if let Fact::OrderIntended(o) = fact { Some((o.run, o.order.0)) } else { None };
    stage.events().iter().filter_map(|event| intent(&event.fact)).collect()
}

#[test]
fn an_engine_on_an_older_backup_draws_new_ids_and_enters_nothing_that_the_exchange_knows_better() {
    let mut stage = Stage::new("USDT=10000", &rules("protection = \"both\"\n"));
    stage.start();
    hold(&stage, "BTC_USDT", "0.01");
    let backup = stage.path("backup");
    let out = stage.on(&["backup", &backup.display().to_string()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let last = stage.events().len();
    // What is done from here on is in no backup.
    hold(&stage, "ETH_USDT", "0.1");
    stage.kill();
    let (lost, openings) = (intents(&stage), stage.state().journal.openings);
    std::fs::rename(stage.path("data"), stage.path("lost")).expect("moved aside");
    let mut restore = aegis();
    restore.arg("restore").arg(&backup).arg(stage.path("data"));
    let out = restore.output().expect("it starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(stage.events().len() <= last && stage.held("ETH_USDT") == "0");

    stage.start();
    assert!(stage.state().journal.openings <= openings + 1);
    until("the exchange's orders are found to be ours and in no record", || {
        stage.state().alarms.keys().any(|(kind, _)| *kind == AlarmKind::ForeignIntent)
    });
    let refusals = |stage: &Stage| {
        stage.count(|fact| matches!(fact, Fact::EntryRefused(r) if r.reason == Refusal::AlarmStanding))
    };
    let before = refusals(&stage);
    assert!(!stage.open_at("SOL_USDT", "1"));
    assert_eq!(refusals(&stage), before + 1);
    // What the backup knew of is guarded all the same.
    stage.order(&["close", "BTC_USDT"]);
    stage.until_held("BTC_USDT", "0");
    let exits = stage.count(|fact| matches!(fact, Fact::OrderIntended(o) if o.side == Side::Sell));
    assert!(exits > 0);
    let known: BTreeSet<(u32, u64)> = lost.clone();
    let kept: BTreeSet<(u32, u64)> = intents(&stage);
    let runs = |ids: &BTreeSet<(u32, u64)>| ids.iter().map(|(run, _)| *run).collect::<BTreeSet<u32>>();
    let new: BTreeSet<u32> = runs(&kept).difference(&runs(&known)).copied().collect();
    assert_eq!(new.len(), 1, "the opening after the restore drew a number of its own");
    let again = kept.iter().filter(|id| new.contains(&id.0)).filter(|id| known.contains(id)).count();
    assert_eq!(again, 0, "no client order id was used twice");
    // A person has looked: what the exchange knows is accepted by name, and entries pass, also after a start.
    let listed = stage.state().foreign.len();
    assert!(listed > 0);
    stage.order(&["accept-foreign", "--reason", "what came after the backup"]);
    let accepted = |stage: &Stage| {
        stage.count(|fact| matches!(fact, Fact::ForeignIntentAccepted(f) if f.venue_order.is_some()))
    };
    assert_eq!(accepted(&stage), listed);
    stage.kill();
    stage.start();
    assert!(!stage.state().alarms.keys().any(|(kind, _)| *kind == AlarmKind::ForeignIntent));
    hold(&stage, "SOL_USDT", "1");
}
