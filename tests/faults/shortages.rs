//! Room, handles and memory run out, or the disk turns read-only, before the program starts and while it runs.
//!
//! Each time: it ends with a sentence and its code, or goes on with what it has; what it showed as durable stays; and
//! once the shortage is over, the next start folds the same state and plays on.

use crate::ground::{BTRFS, Budget, Ground, KINDS, Moments, clear, is_asked_for, reaches_least};
use crate::journals::{Seen, Story};
use crate::program::{PATIENCE, Running, Stage, aegis, told};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The program with its data in one place, and what was seen of it.
struct Trial<'a> {
    stage: &'a Stage,
    data: PathBuf,
    seen: [(PathBuf, Seen); 2],
}

impl<'a> Trial<'a> {
    fn new(stage: &'a Stage, data: PathBuf) -> Trial<'a> {
        let seen = ["engine", "venue"].map(|room| (data.join("market").join(room), Seen::default()));
        Trial { stage, data, seen }
    }

    fn command(&self, before: &[&str]) -> Command {
        let mut words: Vec<String> = before.iter().map(|&word| word.to_owned()).collect();
        words.push(env!("CARGO_BIN_EXE_aegis").to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("run").arg("--data").arg(&self.data).args(&self.stage.options);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AEGIS_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    fn start(&self) -> Running {
        self.stage.spawn(self.command(&[]))
    }

    fn look(&mut self, when: &str) -> u64 {
        for (path, seen) in &mut self.seen {
            seen.look(path, seen.last() + 1, when);
        }
        self.seen.iter().map(|(_, seen)| seen.last()).sum()
    }

    /// Runs on until so long after the first new record.
    fn runs_for(&mut self, running: &mut Running, delay: Duration, when: &str) {
        let before = self.look(when);
        let mut began = None;
        while began.is_none_or(|began: Instant| began.elapsed() < delay) && running.is_alive() {
            if self.look(when) > before {
                began = began.or_else(|| Some(Instant::now()));
            }
            assert!(running.started.elapsed() < PATIENCE, "{when}: nothing new: {}", running.said());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What was shown is still there and verifies. Returns the last record of the engine with its digest.
    fn is_whole(&mut self, when: &str) -> Option<(u64, String)> {
        for (path, seen) in &mut self.seen {
            seen.is_kept(path, 1, when);
        }
        if self.seen.iter().any(|(path, _)| !path.is_dir()) {
            return None;
        }
        let verify = aegis().args(["verify", "--data"]).arg(&self.data).output().expect("the program starts");
        if String::from_utf8_lossy(&verify.stderr).contains("no journal") {
            return None;
        }
        assert_eq!(verify.status.code(), Some(0), "{when}: `verify` {}", told(&verify));
        self.folded(None, when)
    }

    fn folded(&self, until: Option<u64>, when: &str) -> Option<(u64, String)> {
        let mut command = aegis();
        command.args(["replay", "--json", "--data"]).arg(&self.data);
        if let Some(until) = until {
            command.args(["--until", &until.to_string()]);
        }
        let replay = command.output().expect("the program starts");
        assert_eq!(replay.status.code(), Some(0), "{when}: `replay` {}", told(&replay));
        let line: serde_json::Value = serde_json::from_slice(&replay.stdout)
            .unwrap_or_else(|e| panic!("{when}: {e}: {}", told(&replay)));
        let digest = line["summary"]["digest"].as_str().expect("a digest").to_owned();
        Some((line["lsn"].as_u64().expect("a record number"), digest)).filter(|(lsn, _)| *lsn > 0)
    }

    /// The shortage is over: plays on to the end, and what was folded then is what is folded now.
    fn plays_on(&mut self, folded: Option<(u64, String)>, when: &str) -> Story {
        let mut running = self.start();
        let status = running.wait(PATIENCE);
        assert!(status.success(), "{when}: the start afterwards ended with {status}: {}", running.said());
        for (path, seen) in &mut self.seen {
            seen.is_kept(path, 1, when);
        }
        if let Some((lsn, digest)) = folded {
            let now = self.folded(Some(lsn), when);
            assert_eq!(now, Some((lsn, digest)), "{when}: the state at record {lsn} changed");
        }
        let story = Story::read(&self.data.join("market"));
        story.agrees(when);
        story
    }
}

/// It ended by itself with the code of failed input or output and a sentence; or it needed nothing more.
fn ended_in_words(status: ExitStatus, said: &str, when: &str) -> bool {
    assert!(!said.contains("panicked"), "{when}: {said}");
    let code = status.code();
    assert!(code == Some(74) || code == Some(0), "{when}: it ended with {status}: {said}");
    assert!(code == Some(0) || said.contains("aegis: "), "{when}: no sentence: {said}");
    code == Some(74)
}

#[test]
fn a_full_disk_ends_in_words_and_loses_nothing() {
    if !is_asked_for("a full disk") {
        return;
    }
    // Enough for several segments.
    let stage = Stage::small(20_000);
    let mut moments = Moments::new();
    let budget = Budget::new("AEGIS_FULL", 8);
    let (mut done, mut ended) = (0, 0);
    while budget.goes_on(done) {
        let ground = match done % 4 {
            0 => Ground::memory(64 << 20),
            kind => Ground::new(KINDS[kind as usize - 1], if kind == 3 { 320 } else { 96 }),
        };
        let when = format!("full disk {done}");
        let mut trial = Trial::new(&stage, ground.path().join("data"));
        // At the start in one of four; else after some records.
        let mut running = if done / 4 % 4 == 3 {
            let ballast = ground.fill();
            let mut running = trial.start();
            let status = running.wait(PATIENCE);
            assert!(ended_in_words(status, &running.said(), &when), "{when}: it started: {}", running.said());
            std::fs::remove_file(ballast).expect("room again");
            trial.start()
        } else {
            trial.start()
        };
        trial.runs_for(&mut running, Duration::from_micros(moments.below(300_000)), &when);
        let ballast = ground.fill();
        let status = running.wait(PATIENCE);
        ended += u64::from(ended_in_words(status, &running.said(), &when));
        let folded = trial.is_whole(&when);
        std::fs::remove_file(ballast).expect("room again");
        trial.plays_on(folded, &when);
        done += 1;
    }
    reaches_least(done, "full disks");
    println!(
        "{done} full disks on tmpfs, ext4 and xfs: {ended} ended with code 74, the others reached the market's end; 0 lost"
    );
}

#[test]
fn btrfs_holds_what_it_was_told_and_a_full_one_ends_the_program() {
    if !is_asked_for("btrfs") {
        return;
    }
    let stage = Stage::small(12_000);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    let mut moments = Moments::new();
    let budget = Budget::new("AEGIS_BTRFS", 3);
    let (mut done, mut words, mut bus) = (0, 0, 0);
    while budget.goes_on(done) {
        let when = format!("btrfs {done}");
        let mut ground = Ground::new(BTRFS, 128);
        let mut trial = Trial::new(&stage, ground.path().join("data"));
        // It has no keys, which is bad; of the disk it says what is to be known.
        let doctor =
            aegis().args(["doctor", "--data"]).arg(&trial.data).output().expect("the program starts");
        let disk = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let warned = disk.lines().any(|line| line.contains("btrfs") && line.contains("SIGBUS"));
        assert!(warned, "{when}: `doctor` {}", told(&doctor));
        let mut running = trial.start();
        trial.runs_for(&mut running, Duration::from_micros(moments.below(300_000)), &when);
        let ballast = ground.fill();
        let status = running.wait(PATIENCE);
        if status.signal() == Some(libc::SIGBUS) {
            // Documented: it writes every page anew elsewhere, so that allocated space is no promise there.
            bus += 1;
        } else {
            words += u64::from(ended_in_words(status, &running.said(), &when));
        }
        // Mounted anew: nothing is there but what the device has.
        ground.again();
        trial.is_whole(&when);
        std::fs::remove_file(ground.path().join(ballast.file_name().expect("a name"))).expect("room again");
        let folded = trial.is_whole(&when);
        trial.plays_on(folded, &when).equals(&calm, &when);
        done += 1;
    }
    println!(
        "{done} full disks of btrfs: {words} ended with code 74, {bus} with SIGBUS, the others reached the market's end; 0 lost"
    );
    reaches_least(done, "full disks of btrfs");
}

#[test]
fn a_disk_that_turns_read_only_ends_in_words_and_loses_nothing() {
    if !is_asked_for("a disk that turns read-only") {
        return;
    }
    let stage = Stage::small(6000);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    let mut moments = Moments::new();
    let mut ended = 0;
    for done in 0..3 {
        let when = format!("read-only disk {done}");
        let mut ground = Ground::new(KINDS[0], 96);
        let mut trial = Trial::new(&stage, ground.path().join("data"));
        ground.read_only(true).expect("a read-only disk");
        let mut running = trial.start();
        let status = running.wait(PATIENCE);
        assert!(ended_in_words(status, &running.said(), &when), "{when}: it started: {}", running.said());
        ground.read_only(false).expect("a disk that can be written");
        let mut running = trial.start();
        trial.runs_for(&mut running, Duration::from_micros(moments.below(200_000)), &when);
        ground.fails_itself();
        let status = running.wait(PATIENCE);
        if status.signal() == Some(libc::SIGBUS) {
            // A store into a page that the file system no longer lets be dirtied: documented, and as good as a kill.
            ended += 1;
        } else {
            ended += u64::from(ended_in_words(status, &running.said(), &when));
        }
        ground.again();
        let folded = trial.is_whole(&when);
        trial.plays_on(folded, &when).equals(&calm, &when);
    }
    println!(
        "3 disks that were read-only at the start and turned read-only later ({ended} ended the run): as if never"
    );
}

/// A control group of our own with a limit on memory; whoever needs more is killed by the kernel. Gone when it is dropped.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new() -> MemoryGroup {
        let root = Path::new("/sys/fs/cgroup/memory");
        clear(root, "aegis-memory-");
        let path = root.join(format!("aegis-memory-{}", std::process::id()));
        let made = std::fs::create_dir(&path);
        made.unwrap_or_else(|e| panic!("{}: {e} (AEGIS_REAL_FAULTS=1 needs it)", path.display()));
        MemoryGroup(path)
    }

    fn limit(&self, bytes: u64) {
        // What the last one left in the cache counts as well.
        let _ = std::fs::write(self.0.join("memory.force_empty"), "0");
        std::fs::write(self.0.join("memory.limit_in_bytes"), bytes.to_string()).expect("a limit");
    }

    /// A shell that enters the group and becomes the program.
    fn command(&self, trial: &Trial<'_>) -> Command {
        let shell = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", self.0.display());
        trial.command(&["sh", "-c", &shell, "sh"])
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        for _ in 0..200 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            // Whoever was in it is still being cleared away.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn killed_for_its_memory_again_and_again_it_ends_as_if_never() {
    if !is_asked_for("kills for want of memory") {
        return;
    }
    let stage = Stage::small(3000);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    let group = MemoryGroup::new();
    let mut trial = Trial::new(&stage, stage.path("data"));
    let (mut killed, mut at_work, mut kib) = (0, 0, 1024);
    loop {
        let when = format!("{kib} KiB of memory");
        let before = trial.look(&when);
        group.limit(kib << 10);
        let mut running = stage.spawn(group.command(&trial));
        while running.is_alive() {
            trial.look(&when);
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = running.wait(PATIENCE);
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(9), "{when}: {status}: {}", running.said());
        trial.is_whole(&when);
        killed += 1;
        at_work += u64::from(trial.look(&when) > before);
        kib += 256;
    }
    let folded = trial.is_whole("enough memory");
    trial.plays_on(folded, "enough memory").equals(&calm, "after kills for want of memory");
    assert!(killed > 3 && at_work > 0, "{killed} killed, {at_work} of them at work");
    println!(
        "{killed} kills for want of memory, {at_work} of them after new records; {kib} KiB are enough: as if never killed"
    );
}

/// A shell that lowers a limit and becomes the program.
fn limited(trial: &Trial<'_>, limit: &str) -> Command {
    let shell = format!("ulimit {limit}; exec \"$@\"");
    trial.command(&["sh", "-c", &shell, "sh"])
}

#[test]
fn every_number_of_handles_too_few_ends_in_words() {
    let stage = Stage::small(1500);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    let mut trial = Trial::new(&stage, stage.path("data"));
    let (mut refused, mut most) = (0, 0);
    for handles in 3..80 {
        let when = format!("{handles} handles");
        let mut running = stage.spawn(limited(&trial, &format!("-n {handles}")));
        let status = running.wait(PATIENCE);
        most = handles;
        if status.success() {
            break;
        }
        // With fewer than the loader of programs needs, nothing of ours runs at all.
        if status.code() != Some(127) {
            ended_in_words(status, &running.said(), &when);
            refused += 1;
        }
        trial.is_whole(&when);
    }
    let folded = trial.is_whole("too few handles");
    trial.plays_on(folded, "too few handles").equals(&calm, "after starts with too few handles");

    // And from a moment on, no further one.
    let mut moments = Moments::new();
    for round in 0..3 {
        let when = format!("no more handles, round {round}");
        let mut trial = Trial::new(&stage, stage.path(&format!("later-{round}")));
        let mut running = trial.start();
        trial.runs_for(&mut running, Duration::from_micros(moments.below(100_000)), &when);
        if running.is_alive() {
            let limit = Rlimit { current: Some(4), maximum: Some(4) };
            let _ = prlimit(Some(Pid::from_child(&running.child)), Resource::Nofile, limit);
        }
        let status = running.wait(PATIENCE);
        ended_in_words(status, &running.said(), &when);
        let folded = trial.is_whole(&when);
        trial.plays_on(folded, &when).equals(&calm, &when);
    }
    println!("{refused} starts with too few handles ended with a sentence and code 74; {most} are enough");
}

#[test]
fn every_amount_of_memory_too_small_leaves_the_journal_whole() {
    let stage = Stage::small(1500);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    let mut trial = Trial::new(&stage, stage.path("data"));
    let (mut ends, mut unloaded, mut enough) = (std::collections::BTreeMap::new(), 0, 0);
    for mib in 4..2000 {
        let when = format!("{mib} MiB");
        let mut running = stage.spawn(limited(&trial, &format!("-v {}", mib * 1024)));
        let status = running.wait(PATIENCE);
        let said = running.said();
        enough = mib;
        if status.success() {
            break;
        }
        if said.is_empty() {
            // Too little for the system to load any program: nothing of ours ran.
            let words = ["-c", &format!("ulimit -v {}; exec \"$@\"", mib * 1024), "sh"];
            let help = Command::new("sh").args(words).arg(env!("CARGO_BIN_EXE_aegis")).arg("--help").output();
            let help = help.expect("a shell");
            assert!(!help.status.success(), "{when}: {status} without a sentence, and yet `--help` runs");
            unloaded += 1;
            continue;
        }
        // The library's abort with its sentence, or our own code.
        let known = matches!(status.code(), Some(74 | 127 | 70)) || status.signal() == Some(libc::SIGABRT);
        assert!(known, "{when}: it ended with {status}: {said}");
        *ends.entry(format!("{status} {}", said.lines().next().unwrap_or_default())).or_insert(0) += 1;
        trial.is_whole(&when);
    }
    let folded = trial.is_whole("too little memory");
    trial.plays_on(folded, "too little memory").equals(&calm, "after starts with too little memory");
    println!(
        "too little memory: {unloaded} not even loaded, then {ends:#?}; {enough} MiB of address space are enough"
    );
}
