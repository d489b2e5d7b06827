//! The power fails while records are appended, synced, rotated and recovered, again and again, on real file systems.
//!
//! ```text
//! append, sync, tell ... ──► some pages written back early ──► cut ──► unmount, mount ──► verify, read, recover ...
//! ```
//!
//! What was told as durable before the cut must be there after it, no cut may be taken for rot, and nothing may stand
//! there that was not appended.

use crate::appender::{Appender, Lives};
use crate::ground::{Budget, Ground, KINDS, Moments, is_asked_for, reaches_least};
use crate::journals::{Seen, Story};
use crate::ledger::Run;
use crate::program::{PATIENCE, Stage, aegis, told};
use aegis_journal::verify_dir;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Cuts that one journal lives through before the next one is begun.
const LIVES: u64 = 16;
/// Records before the last durable one that are read again after every cut; the whole journal at its end.
const BACK: u64 = 400;
/// Longest life after the first word, in microseconds.
const LIFE_US: u64 = 25_000;

/// Writes some pages around the durable end back, as a kernel does that needs memory, so that pages of different ages
/// are on the device when the power fails.
fn write_back(dir: &Path, moments: &mut Moments) {
    // Number of the segment and the offset of its durable end, as the writer publishes them for readers.
    let Ok(live) = std::fs::read(dir.join("live")) else { return };
    let word =
        |at: usize| live.get(at..at + 8).map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes")));
    let (Some(segment), Some(end)) = (word(0), word(8)) else { return };
    let Ok(file) = std::fs::File::open(dir.join(format!("{segment:010}.seg"))) else { return };
    let from = end / 4096 + moments.below(3);
    let count = 1 + moments.below(4);
    let flags =
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: the call takes no pointers. What it answers does not matter: the power is about to fail.
    let _ = unsafe {
        libc::sync_file_range(file.as_raw_fd(), (from * 4096) as i64, (count * 4096) as i64, flags)
    };
}

#[derive(Default)]
struct Count {
    cuts: u64,
    records: u64,
    torn: u64,
}

/// One journal on one file system, until it has lived through enough.
fn one_journal(
    ground: &mut Ground,
    dir: &Path,
    budget: &Budget,
    moments: &mut Moments,
    count: &mut Count,
    most: u64,
) {
    let mut lives = Lives::default();
    for life in 1..=LIVES {
        if !budget.goes_on(count.cuts) || count.cuts >= most {
            break;
        }
        let when = format!("life {life} in {}, cut {}", dir.display(), count.cuts + 1);
        let mut appender = Appender::start(dir, life);
        // One in four is struck at a moment counted from the start of the process, so that openings are struck too.
        let early = moments.next().is_multiple_of(4);
        let first = (!early).then(|| appender.begins());
        std::thread::sleep(Duration::from_micros(moments.below(LIFE_US)));
        if moments.next().is_multiple_of(2) {
            write_back(dir, moments);
        }
        ground.cut();
        let told = appender.ends(first);
        ground.again();
        count.cuts += 1;
        if let Some(why) = told.refused {
            assert!(early && !why.contains("rot"), "{when}: {why}");
        }
        let before = lives.durable();
        if let Some(durable) = told.durable {
            lives.told(life, durable);
        }
        count.records += lives.durable() - before;
        if !dir.is_dir() {
            assert_eq!(lives.durable(), 0, "{when}: the whole journal is gone");
            continue;
        }
        lives.are_kept(dir, before.saturating_sub(BACK) + 1, &when);
        if lives.durable() > 0 {
            let report = verify_dir(dir, |_| ()).unwrap_or_else(|e| panic!("{when}: {e}"));
            assert!(report.gaps.is_empty(), "{when}: a cut was taken for rot: {:?}", report.gaps);
            let rot = report.findings.iter().any(|f| matches!(f, aegis_journal::Finding::Rot(_)));
            assert!(!rot, "{when}: a cut was taken for rot: {:?}", report.findings);
            count.torn += u64::from(report.torn_tail.is_some());
        }
    }
    lives.are_kept(dir, 1, &format!("at the end of {}", dir.display()));
    // A cut in the first life may have taken the directory itself, and nothing with it.
    if dir.is_dir() {
        std::fs::remove_dir_all(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    }
    // Or the next cut brings it back.
    let root = std::fs::File::open(ground.path()).expect("the mounted root");
    rustix::fs::syncfs(&root).expect("a removal that lasts");
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    if !is_asked_for("power cuts") {
        return;
    }
    let run = Run::begin("power cuts");
    let budget = Budget::new("AEGIS_CUTS", 24);
    let mut grounds: Vec<Ground> =
        KINDS.iter().map(|&kind| Ground::new(kind, if kind.name == "xfs" { 320 } else { 128 })).collect();
    let mut counts = [Count::default(), Count::default(), Count::default()];
    let mut moments = Moments::new();
    let mut round = 0;
    let all = |counts: &[Count; 3]| counts.iter().map(|c| c.cuts).sum::<u64>();
    while budget.goes_on(all(&counts)) {
        for at in 0..grounds.len() {
            let dir = grounds[at].path().join(format!("journal-{round}"));
            // A third of the lives that are left, where only a count bounds them.
            let most = counts[at].cuts + budget.left(all(&counts)).div_ceil(3);
            one_journal(&mut grounds[at], &dir, &budget, &mut moments, &mut counts[at], most);
        }
        round += 1;
    }
    let cuts = all(&counts);
    let records: u64 = counts.iter().map(|c| c.records).sum();
    let torn: u64 = counts.iter().map(|c| c.torn).sum();
    let each: Vec<String> =
        KINDS.iter().zip(&counts).map(|(kind, count)| format!("{} {}", kind.name, count.cuts)).collect();
    println!(
        "{cuts} power cuts ({}), {records} acknowledged records, 0 lost, 0 taken for rot, {torn} torn tails, {:.0} s, {:.1} cuts/s",
        each.join(", "),
        budget.seconds(),
        cuts as f64 / budget.seconds()
    );
    reaches_least(cuts, "power cuts");
    run.held(cuts, "power cuts", Some(records));
}

/// The engine and its exchange play a market on a file system that loses power again and again, until the market ends.
#[derive(Default)]
struct Played {
    cuts: u64,
    records: u64,
    /// How it ended: what it said of a failed write, or SIGBUS where a store met the cut.
    said: u64,
    bus: u64,
}

fn play(
    kind: crate::ground::Kind,
    stage: &Stage,
    calm: &Story,
    budget: &Budget,
    moments: &mut Moments,
    played: &mut Played,
) {
    let mut ground = Ground::new(kind, if kind.name == "xfs" { 320 } else { 96 });
    let act = ground.path().join("data/market");
    let data = ground.path().join("data").display().to_string();
    let mut seen = ["engine", "venue"].map(|room| (act.join(room), Seen::default()));
    let run = || {
        let mut command = aegis();
        command.args(["run", "--data", &data]).args(&stage.options);
        command
    };
    let mut latest_ms = 400;
    while budget.goes_on(played.cuts) {
        let when = format!("{}, cut {}", kind.name, played.cuts + 1);
        let before: u64 = seen.iter().map(|(_, seen)| seen.last()).sum();
        let mut running = stage.spawn(run());
        let delay = Duration::from_micros(moments.below(latest_ms * 1000));
        // One in four is struck while it starts.
        let mut began = moments.next().is_multiple_of(4).then(Instant::now);
        while began.is_none_or(|began| began.elapsed() < delay) && running.is_alive() {
            for (path, seen) in &mut seen {
                seen.look(path, seen.last() + 1, &when);
            }
            if seen.iter().map(|(_, seen)| seen.last()).sum::<u64>() > before {
                began = began.or_else(|| Some(Instant::now()));
            }
            assert!(running.started.elapsed() < PATIENCE, "{when}: nothing new: {}", running.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        let ended = !running.is_alive();
        if moments.next().is_multiple_of(2) {
            write_back(&act.join("engine"), moments);
        }
        ground.cut();
        let status = running.wait(PATIENCE);
        if ended {
            assert!(status.success(), "{when}: it ended with {status} before the cut: {}", running.said());
        } else if status.signal() == Some(libc::SIGBUS) {
            played.bus += 1;
        } else {
            // It may have had nothing left to write.
            let code = status.code();
            assert!(code == Some(74) || code == Some(0), "{when}: {status}: {}", running.said());
            played.said += u64::from(code == Some(74));
        }
        ground.again();
        played.cuts += 1;
        for (path, seen) in &mut seen {
            seen.is_kept(path, seen.last().saturating_sub(BACK) + 1, &when);
        }
        played.records += seen.iter().map(|(_, seen)| seen.last()).sum::<u64>() - before;
        if act.join("engine").is_dir() && act.join("venue").is_dir() {
            let verify = aegis().args(["verify", "--data", &data]).output().expect("the program starts");
            let none = String::from_utf8_lossy(&verify.stderr).contains("no journal");
            assert!(none || verify.status.code() == Some(0), "{when}: `verify` {}", told(&verify));
        }
        if ended {
            break;
        }
        let progress = seen[0].1.last() < calm.records / 2;
        latest_ms = if progress { latest_ms } else { (latest_ms / 2).max(20) };
    }
    let mut running = stage.spawn(run());
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{}: the last start ended with {status}: {}", kind.name, running.said());
    for (path, seen) in &mut seen {
        seen.is_kept(path, 1, kind.name);
    }
    let cut = Story::read(&act);
    cut.agrees(kind.name);
    cut.equals(calm, &format!("{} after {} cuts", kind.name, played.cuts));
}

#[test]
fn power_cuts_of_the_engine_end_like_the_run_that_was_never_cut() {
    if !is_asked_for("power cuts of the engine") {
        return;
    }
    let stage = Stage::small(12_000);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    calm.agrees("never cut");
    let run = Run::begin("power cuts of the engine");
    let budget = Budget::new("AEGIS_ENGINE_CUTS", 12);
    let mut moments = Moments::new();
    let mut played = Played::default();
    let mut stories = 0;
    while budget.goes_on(played.cuts) {
        play(KINDS[stories % KINDS.len()], &stage, &calm, &budget, &mut moments, &mut played);
        stories += 1;
    }
    println!(
        "{} power cuts under the engine and its exchange in {stories} markets played to their ends (write failed {}, SIGBUS {}), {} acknowledged records, 0 lost, every market as if never cut, {:.0} s, {:.1} cuts/s",
        played.cuts,
        played.said,
        played.bus,
        played.records,
        budget.seconds(),
        played.cuts as f64 / budget.seconds()
    );
    reaches_least(played.cuts, "power cuts of the engine");
    run.held(played.cuts, "power cuts", Some(played.records));
}
