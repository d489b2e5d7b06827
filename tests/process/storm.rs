//! SIGKILL at random moments, again and again; then everything must be as if nothing had happened.

use crate::journals::{Seen, Story};
use crate::ledger::Run;
use crate::program::{PATIENCE, Stage, told};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the moments are drawn from.
const SEED: u64 = 20_261_124;
/// Records before the last one seen that are read again after each kill; all of them at the end.
const BACK: u64 = 64;
/// A kill may be put off so long at most.
const LATEST_MS: f64 = 20_000.0;
/// Time between two looks at the journals of a living process.
const LOOK: Duration = Duration::from_millis(2);

/// SplitMix64.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn upto(&mut self, most: f64) -> Duration {
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        Duration::from_secs_f64((1.0 + share * most) / 1000.0)
    }
}

fn seed() -> u64 {
    std::env::var("AEGIS_STORM_SEED")
        .ok()
        .map_or(SEED, |text| text.parse().expect("AEGIS_STORM_SEED is a number"))
}

/// A journal that is watched from outside.
struct Watched {
    path: PathBuf,
    seen: Seen,
}

/// A storm over one data directory.
struct Storm<'a> {
    stage: &'a Stage,
    data: &'a str,
    more: &'a [&'a str],
    watched: Vec<Watched>,
    moments: Moments,
    /// Kills that struck a living process.
    struck: usize,
    seed: u64,
    /// Kills after which no record had been added.
    idle: usize,
}

impl<'a> Storm<'a> {
    fn new(stage: &'a Stage, data: &'a str, more: &'a [&'a str], acts: &[&str]) -> Storm<'a> {
        Storm::seeded(seed(), stage, data, more, acts)
    }

    fn seeded(seed: u64, stage: &'a Stage, data: &'a str, more: &'a [&'a str], acts: &[&str]) -> Storm<'a> {
        let watched = acts
            .iter()
            .flat_map(|act| ["engine", "venue"].map(|room| stage.path(data).join(act).join(room)))
            .map(|path| Watched { path, seen: Seen::default() })
            .collect();
        Storm { stage, data, more, watched, moments: Moments(seed), struck: 0, seed, idle: 0 }
    }

    fn records(&self) -> u64 {
        self.watched.iter().map(|w| w.seen.last()).sum()
    }

    /// So many kills, spread over a run of so many records, which takes about so
    /// long when nothing strikes, by adjusting how late they may come; `each` runs after each.
    fn blow(&mut self, kills: usize, total: u64, alone: Duration, mut each: impl FnMut(usize)) {
        let mut latest = alone.as_secs_f64() * 1000.0 / kills as f64;
        while self.struck < kills {
            let when = format!("seed {}, kill {} of {kills}", self.seed, self.struck + 1);
            let before = self.records();
            let anywhere = self.moments.next().is_multiple_of(4);
            let delay = self.moments.upto(latest);
            let mut running = self.stage.start(self.data, self.more);
            // One in four strikes at a moment counted from the start, so that openings are struck too; the others at
            // one counted from the first new record. Looking on shows what is acknowledged.
            let mut began = anywhere.then_some(running.started);
            while began.is_none_or(|began| began.elapsed() < delay) && running.is_alive() {
                for journal in &mut self.watched {
                    let from = journal.seen.last() + 1;
                    journal.seen.look(&journal.path, from, &when);
                }
                if began.is_none() && self.records() > before {
                    began = Some(Instant::now());
                }
                assert!(
                    running.started.elapsed() < PATIENCE,
                    "{when}: nothing new is recorded: {}",
                    running.said()
                );
                let left = began.map_or(LOOK, |began| delay.saturating_sub(began.elapsed()));
                std::thread::sleep(left.min(LOOK));
            }
            let status = running.kill();
            if status.signal() != Some(9) {
                assert!(
                    status.success(),
                    "{when}: it ended with {status} before the kill: {}",
                    running.said()
                );
                break;
            }
            self.struck += 1;
            for journal in &mut self.watched {
                let from = journal.seen.last().saturating_sub(BACK) + 1;
                journal.seen.is_kept(&journal.path, from, &when);
            }
            self.idle += usize::from(self.records() == before);
            // A little is left for the end, so that no kill comes too late.
            let aim = 0.9 * total as f64 * self.struck as f64 / kills as f64;
            latest = (latest * if (self.records() as f64) < aim { 1.25 } else { 0.7 }).clamp(2.0, LATEST_MS);
            each(self.struck);
        }
    }

    /// The last start, to the end; then every record ever shown as durable must be there, unchanged.
    fn calm(&mut self) -> String {
        let out = self.stage.complete(self.data, self.more);
        for journal in &mut self.watched {
            journal.seen.is_kept(&journal.path, 1, "after the last start");
        }
        out
    }
}

/// Kills that one run takes at most; more are spread over several, each with the next seed.
const RUN_KILLS: usize = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn kills(default: usize) -> usize {
    std::env::var("AEGIS_KILLS").ok().map_or(default, |text| text.parse().expect("AEGIS_KILLS is a number"))
}

#[test]
fn kill_storm_ends_like_the_run_that_was_never_killed() {
    // The whole default run takes a debug build minutes; there a part of the same market does.
    let (stage, acts): (Stage, &[&str]) = if cfg!(debug_assertions) {
        (Stage::small(12_000), &["market"])
    } else {
        (Stage::new(&["--seed", "7", "--json"]), &["act1", "act2"])
    };
    let started = Instant::now();
    stage.complete("calm", &[]);
    let alone = started.elapsed();
    let calm: Vec<Story> = acts.iter().map(|act| Story::read(&stage.path("calm").join(act))).collect();
    let mut total = 0;
    for (story, act) in calm.iter().zip(acts) {
        story.agrees(&format!("{act}, never killed"));
        let mut venue = Seen::default();
        venue.look(&stage.path("calm").join(act).join("venue"), 1, "never killed");
        total += story.records + venue.last();
    }
    assert!(
        calm.iter().map(|s| s.closed.len()).sum::<usize>() >= 5,
        "the market is too quiet to show anything"
    );
    let (kills, seconds) = (kills(12), number("AEGIS_SECONDS"));
    let started = Instant::now();
    let run = Run::begin("kills of the default run");
    let used = || seconds.is_some_and(|seconds| started.elapsed().as_secs() >= seconds);
    let (mut struck, mut asked, mut idle, mut runs, mut records) = (0, 0, 0, 0, 0);
    while runs == 0 || struck < kills && !used() && struck * 2 + RUN_KILLS >= asked {
        let data = format!("storm-{runs}");
        let wanted = (kills - struck).min(RUN_KILLS);
        let mut storm = Storm::seeded(seed() + runs, &stage, &data, &[], acts);
        storm.blow(wanted, total, alone, |_| {});
        storm.calm();
        asked += wanted;
        for (calm, act) in calm.iter().zip(acts) {
            let whose = format!("{act} after {} kills, seed {}", storm.struck, storm.seed);
            let killed = Story::read(&stage.path(&data).join(act));
            killed.agrees(&whose);
            killed.equals(calm, &whose);
            println!(
                "{whose}: {} fills, {} closed positions, {:?}: equal",
                killed.fills.len(),
                killed.closed.len(),
                killed.balances
            );
        }
        struck += storm.struck;
        idle += storm.idle;
        records += storm.records();
        runs += 1;
        std::fs::remove_dir_all(stage.path(&data)).expect("a directory of the test");
    }
    println!(
        "{struck} kills in {runs} runs ({idle} before anything new was durable), 0 lost, 0 duplicates, {:.1} s (never \
         killed: {:.1} s)",
        started.elapsed().as_secs_f64(),
        alone.as_secs_f64()
    );
    // On a machine that others keep busy a run may be over before all its kills came; not one after the other.
    assert!(
        struck * 2 >= asked,
        "only {struck} of {asked} kills struck before the run was over: make the market larger"
    );
    let least = number("AEGIS_LEAST").unwrap_or(0);
    assert!(struck as u64 >= least, "{struck} kills, at least {least} are wanted");
    run.held(struck as u64, "kills", Some(records));
}

#[test]
fn a_decision_struck_again_and_again_is_carried_out_at_its_time() {
    // An order whose sending is struck in three lives in a row goes out at once in the fourth: market time stands still
    // while nobody runs, and a pause would buy at another price. Before it was sent, and after, with its answer unread.
    let stage = Stage::small(2000);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    for place in ["after-intent", "after-accept"] {
        for order in [1, 2, 9] {
            let data = format!("{place}-{order}");
            let first = format!("{place}:{order}");
            for kill in [first.as_str(), "after-intent:1", "after-intent:1"] {
                let mut running = stage.start(&data, &["--debug-kill", kill]);
                let status = running.wait(PATIENCE);
                assert_eq!(
                    status.signal(),
                    Some(9),
                    "{data}: {kill} did not strike ({status}): {}",
                    running.said()
                );
            }
            stage.complete(&data, &[]);
            let killed = Story::read(&stage.path(&data).join("market"));
            killed.agrees(&data);
            killed.equals(&calm, &data);
        }
    }
}

#[test]
fn verify_and_replay_agree_after_every_kill() {
    let stage = Stage::small(4000);
    let started = Instant::now();
    stage.complete("calm", &[]);
    let alone = started.elapsed();
    let total = Story::read(&stage.path("calm").join("market")).records;
    let mut storm = Storm::new(&stage, "storm", &[], &["market"]);
    let mut digests = Vec::new();
    storm.blow(6, total, alone, |kill| {
        if !stage.path("storm/market/engine").is_dir() || !stage.path("storm/market/venue").is_dir() {
            return;
        }
        let looks = || ["verify", "replay", "status"].map(|word| stage.on("storm", &[word, "--json"]));
        let [verify, replay, status] = looks();
        let when = format!("seed {}, kill {kill}", seed());
        if String::from_utf8_lossy(&verify.stderr).contains("no journal") {
            // Killed before the first segment had its name.
            return;
        }
        assert_eq!(verify.status.code(), Some(0), "{when}: `verify` {}", told(&verify));
        assert_eq!(replay.status.code(), Some(0), "{when}: `replay` {}", told(&replay));
        let [_, again, _] = looks();
        let (lsn, digest) = ending(&replay.stdout, &when);
        assert_eq!((lsn, digest.clone()), ending(&again.stdout, &when), "{when}: two replays of one journal");
        // From the checkpoint, as the next start folds it.
        let line: serde_json::Value = serde_json::from_slice(&status.stdout)
            .unwrap_or_else(|e| panic!("{when}: {e}: {}", told(&status)));
        assert_eq!(
            line["summary"]["digest"],
            digest.as_str(),
            "{when}: `status` from the checkpoint, and `replay` from record 1"
        );
        digests.push((lsn, digest));
    });
    storm.calm();
    for (lsn, digest) in digests.iter().filter(|(lsn, _)| *lsn > 0) {
        let until = lsn.to_string();
        let replay = stage.on("storm", &["replay", "--json", "--until", &until]);
        let when = format!("record {lsn} in the finished journal");
        assert_eq!(
            (*lsn, digest.clone()),
            ending(&replay.stdout, &when),
            "{when}, and after the kill (left)"
        );
    }
    assert!(!digests.is_empty(), "no kill left a journal");
}

/// The record and the digest that `replay --json` ends with.
fn ending(out: &[u8], when: &str) -> (u64, String) {
    let text = String::from_utf8_lossy(out);
    let line: serde_json::Value =
        serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{when}: {e}: {text}"));
    let digest = line["summary"]["digest"].as_str().unwrap_or_else(|| panic!("{when}: no digest in {text}"));
    (line["lsn"].as_u64().expect("a record number"), digest.to_owned())
}

#[test]
fn s35_acknowledged_is_never_lost() {
    // Ticks instead of candles: another act, another clock, its signals through the port.
    let stage = Stage::new(&["--seed", "7", "--json", "--act", "act2"]);
    let started = Instant::now();
    stage.complete("calm", &[]);
    let alone = started.elapsed();
    let calm = Story::read(&stage.path("calm/act2"));
    let mut storm = Storm::new(&stage, "storm", &[], &["act2"]);
    storm.blow(10, calm.records * 2, alone, |_| {});
    storm.calm();
    assert!(storm.struck >= 3, "only {} kills struck, seed {}", storm.struck, seed());
    let killed = Story::read(&stage.path("storm/act2"));
    killed.agrees("act2");
    killed.equals(&calm, &format!("act2 after {} kills, seed {}", storm.struck, seed()));
}
