//! A process that stands still for a while, as under a debugger or while its machine is moved: the other side goes on.

use crate::ground::{clear, is_asked_for};
use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use aegis_model::event::AlarmKind;
use aegis_model::{Fact, Side};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    // Stopped in the middle of a sync it would take the disk for slow, rightly; that alarm has tests of its own.
    let mut stage = Stage::new("USDT=100000", &rules("[live.disk]\nslow = \"20s\"\nlate = \"30s\"\n"));
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

/// Holds back every sync of a running engine by this much, until it is killed; none where no tracer can be had.
fn hold_back_syncs(engine: u32, by: Duration) -> Option<Child> {
    let inject = format!("inject=fdatasync,fsync,msync:delay_enter={}", by.as_micros());
    let mut tracer = Command::new("strace")
        .args(["-f", "-q", "-o", "/dev/null", "-e", "trace=fdatasync,fsync,msync", "-e", &inject, "-p"])
        .arg(engine.to_string())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{engine}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    while !traced() {
        if tracer.try_wait().ok()?.is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(tracer)
}

/// The tracer, where there is one; where real faults are wanted there must be.
fn tracer_or_skip(engine: u32, by: Duration) -> Option<Child> {
    let tracer = hold_back_syncs(engine, by);
    if tracer.is_none() {
        assert!(std::env::var_os("AEGIS_REAL_FAULTS").is_none(), "strace is not there or may not attach");
        eprintln!("skipped: strace is not there or may not attach");
    }
    tracer
}

fn let_go(mut tracer: Child) {
    tracer.kill().expect("a child that was not waited for");
    tracer.wait().expect("its end");
}

#[test]
fn a_slow_disk_raises_one_alarm_blocks_entries_and_leaves_the_stop_where_it_is() {
    let slow = "[live.disk]\nslow = \"200ms\"\n";
    let mut stage = Stage::new("USDT=100000", &rules(slow));
    stage.start();
    hold(&stage, "BTC_USDT", "0.001");
    let Some(tracer) = tracer_or_skip(stage.engine_id(), Duration::from_millis(500)) else { return };
    let slow = |f: &Fact| matches!(f, Fact::AlarmRaised(a) if a.alarm == AlarmKind::DiskSlow);
    let mut asked = stage.begin(&["open", "ETH_USDT", "0.01"]);
    until("an alarm stands", || stage.count(slow) == 1);
    asked.wait().expect("its end");
    assert!(!stage.open_at("ETH_USDT", "0.01"), "no entry passes while it stands");
    assert_eq!(stage.held("ETH_USDT"), "0");
    // The stop rests at the exchange, which sells at it whatever the disk does.
    stage.exchange.price("BTC_USDT", "48000", "48001");
    until("BTC is sold and booked", || stage.state().totals.closed == 1);
    let_go(tracer);
    let well = |f: &Fact| matches!(f, Fact::AlarmCleared(a) if a.alarm == AlarmKind::DiskSlow);
    until("the disk is well again", || stage.count(well) == 1);
    assert!(stage.open_at("ETH_USDT", "0.01"), "entries pass again");
    stage.until_held("ETH_USDT", "0.01");
    assert_eq!(stage.count(slow), 1, "one alarm for as long as it lasted");
    none_twice(&stage);
    assert_eq!(stage.stop(), Some(0));
    let log = stage.log();
    assert!(
        log.contains("of 1 open positions 1 have their stop at the exchange"),
        "nothing was told while it hung: {log}"
    );
}

#[test]
fn an_entry_whose_record_became_durable_too_late_is_not_sent() {
    let late = "[live.disk]\nslow = \"10s\"\nlate = \"600ms\"\n";
    let mut stage = Stage::new("USDT=100000", &rules(late));
    stage.start();
    let before = stage.ledger()["accepted"].clone();
    let Some(tracer) = tracer_or_skip(stage.engine_id(), Duration::from_millis(700)) else { return };
    let mut asked = stage.begin(&["open", "ETH_USDT", "0.01"]);
    let kept = |f: &Fact| matches!(f, Fact::OrderRejected(r) if r.text.as_str().ends_with("too late for an entry; nothing was sent"));
    until("the entry is kept back", || stage.count(kept) > 0);
    asked.wait().expect("its end");
    assert_eq!(stage.ledger()["accepted"], before, "the exchange never saw it");
    let_go(tracer);
    until("entries pass again", || stage.open_at("ETH_USDT", "0.01"));
    stage.until_held("ETH_USDT", "0.01");
    none_twice(&stage);
    assert_eq!(stage.stop(), Some(0));
}

#[test]
fn a_disk_that_hangs_for_good_ends_the_process_in_words_and_the_next_start_goes_on() {
    let limit = "[live.disk]\nslow = \"100ms\"\nlimit = \"700ms\"\n";
    let mut stage = Stage::new("USDT=100000", &rules(limit));
    stage.start();
    hold(&stage, "BTC_USDT", "0.001");
    let Some(tracer) = tracer_or_skip(stage.engine_id(), Duration::from_secs(3600)) else { return };
    let mut asked = stage.begin(&["open", "ETH_USDT", "0.01"]);
    until("it says why it ends", || stage.log().contains("(live.disk.limit): the process ends"));
    // A thread that a tracer holds back cannot end.
    let_go(tracer);
    assert_eq!(stage.wait_dead(), Some(74));
    asked.wait().expect("its end");
    stage.start();
    stage.until_guarded("BTC_USDT");
    until("the books agree", || stage.agrees().is_ok());
    none_twice(&stage);
    assert_eq!(stage.stop(), Some(0));
}
