//! A process that stands still for a while, as under a debugger or while its machine is moved: the other side goes on.

use crate::ground::{clear, is_asked_for};
use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use aegis_model::{Fact, Side};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Several of the exchange's heartbeats, which a still engine does not answer, and more than any deadline of a request.
const PAUSE: Duration = Duration::from_millis(2500);

/// A hundred heartbeats.
const FROZEN: Duration = Duration::from_secs(30);

fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(process as i32).expect("a process id");
    kill_process(pid, signal).expect("a child that was not waited for");
}

/// Every client order id was accepted once at most.
pub(crate) fn none_twice(stage: &Stage) {
    let ledger = stage.ledger();
    let accepted = ledger["accepted"].as_object().cloned().unwrap_or_default();
    assert!(accepted.values().filter_map(Value::as_u64).all(|n| n == 1), "an order twice: {accepted:?}");
}

/// A control group of our own that can be frozen; thawed and gone when it is dropped. A frozen process of this version of
/// control groups can be killed, so that none outlives a test that was.
struct Freezer(PathBuf);

impl Freezer {
    fn new() -> Freezer {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.subtree_control").exists());
        let root = root.expect("control groups of version 2 (AEGIS_REAL_FAULTS=1 needs them)");
        clear(root, "aegis-freezer-");
        let path = root.join(format!("aegis-freezer-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Freezer(path)
    }

    fn takes(&self, process: u32) {
        std::fs::write(self.0.join("cgroup.procs"), process.to_string()).expect("a process in the group");
    }

    fn freezes(&self, yes: bool) {
        std::fs::write(self.0.join("cgroup.freeze"), if yes { "1" } else { "0" })
            .expect("a group that freezes");
        let frozen = format!("frozen {}", u8::from(yes));
        until(&frozen, || {
            std::fs::read_to_string(self.0.join("cgroup.events")).is_ok_and(|events| events.contains(&frozen))
        });
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.freeze"), "0");
        for _ in 0..200 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            // Whoever is in it has just been killed.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn an_engine_frozen_for_half_a_minute_finds_what_happened_meanwhile() {
    if !is_asked_for("a frozen engine") {
        return;
    }
    // Dropped after the stage, whose processes are in it.
    let freezer = Freezer::new();
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "ETH_USDT", "0.01");
    hold(&stage, "BTC_USDT", "0.001");
    freezer.takes(stage.engine_id());
    freezer.freezes(true);
    let records = stage.events().len();
    stage.exchange.price("BTC_USDT", "48000", "48001");
    // Asked of one who does not move: carried out once it does, or not at all.
    let mut asked = stage.begin(&["open", "SOL_USDT", "1"]);
    std::thread::sleep(FROZEN);
    assert_eq!(stage.events().len(), records, "it moved");
    freezer.freezes(false);
    let _ = asked.wait();
    until("the sell is booked", || stage.state().totals.closed == 1);
    until("the books agree", || stage.agrees().is_ok());
    assert_eq!((stage.held("BTC_USDT").as_str(), stage.held("ETH_USDT").as_str()), ("0", "0.01"));
    assert_eq!(stage.count(|f| matches!(f, Fact::CorrectionBooked(_))), 0, "the sell has its fill");
    none_twice(&stage);
    println!("an engine frozen for {FROZEN:?}: both books agree, each order once");
    assert_eq!(stage.stop(), Some(0));
}

#[test]
fn an_engine_that_stood_still_finds_what_happened_meanwhile() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    for round in 1..=2 {
        stage.exchange.price("BTC_USDT", "50000", "50000");
        until("the price is back", || stage.open_at("BTC_USDT", "0.001"));
        stage.until_held("BTC_USDT", "0.001");
        stage.until_guarded("BTC_USDT");
        signal(stage.engine_id(), Signal::STOP);
        // The exchange sells at the stop while nobody listens, and closes the sockets that answer no heartbeat.
        stage.exchange.price("BTC_USDT", "48000", "48001");
        until("it is sold", || {
            let ledger = stage.ledger();
            let total = &ledger["balances"]["BTC"]["total"];
            total.is_null() || *total == json!("0")
        });
        std::thread::sleep(PAUSE);
        signal(stage.engine_id(), Signal::CONT);
        until("the sell is booked", || stage.state().totals.closed == round);
        assert_eq!(stage.held("BTC_USDT"), "0");
        until("the books agree", || stage.agrees().is_ok());
    }
    assert_eq!(stage.count(|f| matches!(f, Fact::CorrectionBooked(_))), 0, "every sell has its fill");
    none_twice(&stage);
    assert_eq!(stage.stop(), Some(0));
}

#[test]
fn an_exchange_that_stood_still_gets_each_order_once() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    stage.start();
    hold(&stage, "ETH_USDT", "0.01");
    signal(stage.venue_id(), Signal::STOP);
    let mut asked = stage.begin(&["open", "BTC_USDT", "0.001"]);
    std::thread::sleep(PAUSE);
    signal(stage.venue_id(), Signal::CONT);
    let _ = asked.wait();
    let bought = || stage.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Buy)) - 1;
    let refused = || stage.count(|f| matches!(f, Fact::EntryRefused(_)));
    until("the entry is decided upon", || bought() + refused() > 0);
    if bought() > 0 {
        stage.until_held("BTC_USDT", "0.001");
        stage.until_guarded("BTC_USDT");
    }
    until("the books agree", || stage.agrees().is_ok());
    assert!(bought() <= 1, "{} orders for one wish", bought());
    none_twice(&stage);
    assert_eq!(stage.held("ETH_USDT"), "0.01");
    assert_eq!(stage.stop(), Some(0));
}
