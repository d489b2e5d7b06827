//! Every system call of a start, of appends, of a change of segment and of a stop fails, or the process is killed at
//! it, one after the other.
//!
//! An untouched run under `strace` shows which calls there are and how often the busiest thread makes each. Then each
//! place of each call is struck once with everything that can befall it. The process may end, with a sentence and a
//! code; it may never panic or hang. Afterwards the journals verify, and a start plays on to the very end that the
//! untouched run reached.

use crate::ground::{Budget, Moments, is_asked_for, reaches_least};
use crate::journals::{Seen, Story};
use crate::ledger::Run;
use crate::program::{PATIENCE, Stage, told};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A run is over long before.
const BOUND: Duration = Duration::from_secs(60);
/// Every place of a call is struck up to this count; of what is called more often, a sample of as many.
const PLACES: u64 = 24;

/// What can befall a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Error(&'static str),
    Kill,
}

/// What each call can meet in this world, besides death. A call that is not named here cannot fail, or `strace` cannot
/// make it fail as the kernel does: a failed `close` closes all the same, and `brk` tells no error. Nor is `socketpair`: tokio panics over its own, which
/// `runtime.rs` can make unlikely, by asking first, and not impossible; nor `mmap`: the standard library ends the process
/// over the stack of a new thread, and too little memory has a test of its own.
fn faults_of(call: &str) -> &'static [&'static str] {
    match call {
        "madvise" => &["ENOMEM"],
        "clone3" | "clone" => &["EAGAIN"],
        "socket" | "epoll_create1" | "eventfd2" | "bind" | "listen" | "connect" => &["EMFILE", "ENOMEM"],
        "open" | "openat" => &["EIO", "ENOSPC", "EMFILE", "EINTR"],
        "write" | "pwrite64" | "fallocate" | "ftruncate" | "fsync" | "fdatasync" => {
            &["EIO", "ENOSPC", "EINTR"]
        }
        "mkdir" | "mkdirat" | "rename" | "renameat" | "unlink" | "unlinkat" => &["EIO", "ENOSPC"],
        "read" | "pread64" | "flock" => &["EIO", "EINTR"],
        "newfstatat" | "fstat" | "stat" | "statx" | "getdents64" | "lseek" | "fcntl" | "chmod" => &["EIO"],
        _ => &[],
    }
}

/// A place that can be struck.
#[derive(Clone, Debug)]
struct Blow {
    call: String,
    nth: u64,
    fault: Fault,
    /// Whether only the long run gets there.
    late: bool,
}

struct Subject {
    stage: Stage,
    calm: Story,
    /// How often the busiest thread makes each call.
    calls: BTreeMap<String, u64>,
}

fn traced(log: &Path, words: &[String], run: &[String]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(log).args(words).arg(env!("CARGO_BIN_EXE_aegis")).args(run);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AEGIS_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

impl Subject {
    fn new(rows: usize) -> Subject {
        let stage = Stage::small(rows);
        let log = stage.path("calm.calls");
        let mut running = stage.spawn(traced(&log, &[], &stage.run("calm")));
        let status = running.wait(PATIENCE);
        assert!(status.success(), "the untouched run ended with {status}: {}", running.said());
        let calm = Story::read(&stage.path("calm/market"));
        calm.agrees("untouched");
        let mut each: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in std::fs::read_to_string(&log).expect("the calls").lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
            if call.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                *each.entry((call.to_owned(), thread.to_owned())).or_default() += 1;
            }
        }
        let mut calls = BTreeMap::new();
        for ((call, _), count) in each {
            let most: &mut u64 = calls.entry(call).or_default();
            *most = count.max(*most);
        }
        Subject { stage, calm, calls }
    }

    /// Strikes once; says whether it struck at all.
    fn strike(&self, blow: &Blow, at: u64) -> bool {
        let when = format!("{} number {}: {:?}", blow.call, blow.nth, blow.fault);
        let data = format!("struck-{at}");
        let what = match blow.fault {
            Fault::Error(error) => format!("error={error}"),
            Fault::Kill => "signal=KILL".to_owned(),
        };
        let words = [
            "--seccomp-bpf".to_owned(),
            "-e".to_owned(),
            format!("trace={}", blow.call),
            "-e".to_owned(),
            format!("inject={}:{what}:when={}", blow.call, blow.nth),
        ];
        let log = self.stage.path("struck.calls");
        let mut running = self.stage.spawn(traced(&log, &words, &self.stage.run(&data)));
        let act = self.stage.path(&data).join("market");
        let mut seen = ["engine", "venue"].map(|room| (act.join(room), Seen::default()));
        while running.is_alive() {
            for (path, seen) in &mut seen {
                seen.look(path, seen.last() + 1, &when);
            }
            if running.started.elapsed() > BOUND {
                end_traced(running.child.id());
                panic!("{when}: it hangs: {}", running.said());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let status = running.wait(BOUND);
        let said = running.said();
        let struck = status.signal() == Some(9)
            || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("(INJECTED)"));
        assert!(!said.contains("panicked"), "{when}: {said}");
        let known = match (status.code(), status.signal()) {
            (Some(0), _) => true,
            // Our own words: input and output, settings that cannot be read, a command that cannot be carried out.
            (Some(74 | 78 | 2), _) => said.contains("aegis: "),
            // The loader's.
            (Some(127), _) => !said.is_empty(),
            (_, Some(9)) => blow.fault == Fault::Kill,
            // The allocator's.
            (_, Some(6)) => said.contains("memory allocation"),
            _ => false,
        };
        assert!(known, "{when}: it ended with {status}: {said}");
        for (path, seen) in &mut seen {
            seen.is_kept(path, 1, &when);
        }
        if act.join("engine").is_dir() && act.join("venue").is_dir() {
            let verify = self.stage.on(&data, &["verify"]);
            let none = String::from_utf8_lossy(&verify.stderr).contains("no journal");
            assert!(none || verify.status.code() == Some(0), "{when}: `verify` {}", told(&verify));
        }
        let mut again = self.stage.start(&data, &[]);
        let status = again.wait(PATIENCE);
        assert!(status.success(), "{when}: the next start ended with {status}: {}", again.said());
        for (path, seen) in &mut seen {
            seen.is_kept(path, 1, &when);
        }
        let story = Story::read(&act);
        story.agrees(&when);
        story.equals(&self.calm, &when);
        std::fs::remove_dir_all(self.stage.path(&data)).expect("room for the next one");
        struck
    }
}

/// Ends what `strace` started: it would live on without it.
fn end_traced(strace: u32) {
    let children =
        std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        if let Some(pid) = child.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Every place of both subjects with everything that can befall it.
fn blows(short: &Subject, long: &Subject) -> Vec<Blow> {
    let mut blows = Vec::new();
    for (call, &count) in &long.calls {
        // The first one is strace's own, and what ends the process cannot fail.
        if ["execve", "exit", "exit_group"].contains(&call.as_str()) {
            continue;
        }
        let early = short.calls.get(call).copied().unwrap_or(0);
        let places = |from: u64, until: u64| {
            let step = ((until - from) / PLACES).max(1);
            (from + 1..=until)
                .filter(move |nth| nth - from <= PLACES / 2 || (until - nth).is_multiple_of(step))
        };
        let all = places(0, early.min(count))
            .map(|nth| (nth, false))
            .chain(places(early.min(count), count).map(|nth| (nth, true)));
        for (nth, late) in all {
            let errors = faults_of(call).iter().map(|&error| Fault::Error(error));
            for fault in errors.chain([Fault::Kill]) {
                blows.push(Blow { call: call.clone(), nth, fault, late });
            }
        }
    }
    blows
}

#[test]
fn every_system_call_fails_or_kills_and_nothing_is_lost() {
    if !is_asked_for("failing system calls") {
        return;
    }
    let strace = Command::new("strace").arg("--version").output();
    assert!(strace.is_ok_and(|out| out.status.success()), "AEGIS_REAL_FAULTS=1 needs strace");
    // The short one starts, appends and stops; the long one changes segments as well.
    let (short, long) = (Subject::new(200), Subject::new(4000));
    let mut blows = blows(&short, &long);
    let all = blows.len();
    // Shuffled, so that a budget that ends early has met something of everything.
    let mut moments = Moments::new();
    for at in (1..blows.len()).rev() {
        blows.swap(at, moments.below(at as u64 + 1) as usize);
    }
    let run = Run::begin("failing system calls");
    let budget = Budget::new("AEGIS_CALLS", 30);
    let (mut done, mut struck) = (0, 0);
    for blow in &blows {
        if !budget.goes_on(done) {
            break;
        }
        let subject = if blow.late { &long } else { &short };
        struck += u64::from(subject.strike(blow, done));
        done += 1;
    }
    println!(
        "{struck} system calls failed or killed ({done} of {all} places tried, {} calls), 0 lost, 0 panics, 0 hangs, every run ended as if never struck, {:.0} s, {:.1} a second",
        long.calls.len(),
        budget.seconds(),
        done as f64 / budget.seconds()
    );
    reaches_least(struck, "failed system calls");
    run.held(struck, "calls failed or killed", None);
}
