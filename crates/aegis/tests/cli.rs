//! The program as people and scripts meet it: real processes, documented exit codes, real signals.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MARKET: &str = include_str!("../src/demo/market.csv");
const SIGNALS: &str = include_str!("../src/demo/signals.ndjson");
const CONFIG: &str = include_str!("../src/demo/demo.toml");

/// A directory with a small market, its signals and a configuration.
struct Stage(TempDir);

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in [("market.csv", MARKET), ("signals.ndjson", SIGNALS), ("my.toml", CONFIG)] {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        Stage(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, data: &str, more: &[&str]) -> Output {
        self.playing(data, more).output().expect("it starts")
    }

    fn playing(&self, data: &str, more: &[&str]) -> Command {
        let mut command = aegis(&["run", "--seed", "5"]);
        command.arg("--data").arg(self.path(data)).arg("--config").arg(self.path("my.toml"));
        command
            .arg("--market")
            .arg(self.path("market.csv"))
            .arg("--signals")
            .arg(self.path("signals.ndjson"));
        command.args(more);
        command
    }

    fn on(&self, data: &str, words: &[&str]) -> Output {
        aegis(words).arg("--data").arg(self.path(data)).output().expect("it starts")
    }

    fn engine(&self, data: &str) -> PathBuf {
        self.path(data).join("market/engine")
    }

    fn summary(&self, data: &str) -> serde_json::Value {
        let out = self.on(data, &["replay", "--json"]);
        assert_eq!(code(&out), 0, "{}", text(&out));
        serde_json::from_slice(&out.stdout).expect("one object")
    }

    /// What was traded and what is left, without the ids of a process's life.
    fn outcome(&self, data: &str) -> Vec<String> {
        let out = self.on(data, &["log", "--json"]);
        let mut told: Vec<String> = out
            .stdout
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
            .filter(|record| {
                ["FillBooked", "PositionClosed", "EntryRefused"].iter().any(|kind| record["kind"] == *kind)
            })
            .map(|mut record| {
                let fact = record["event"]["fact"].take();
                let mut body = fact.as_object().and_then(|f| f.values().next().cloned()).unwrap_or_default();
                // How a fill was learned of, and which record refused, differ between lives; what happened does not.
                body.as_object_mut().map(|b| [b.remove("source"), b.remove("blocking")]);
                body.to_string()
            })
            .collect();
        let summary = self.summary(data);
        told.push(summary["summary"]["realised"].to_string());
        told.extend(
            summary["summary"]["balances"].as_array().into_iter().flatten().map(|b| b["total"].to_string()),
        );
        told
    }
}

fn aegis(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AEGIS_")) {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null());
    command
}

fn run(words: &[&str]) -> Output {
    aegis(words).output().expect("it starts")
}

fn code(out: &Output) -> i32 {
    out.status.code().unwrap_or(-1)
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn help_tells_the_exit_codes_and_a_wrong_line_is_usage() {
    let help = run(&["--help"]);
    assert_eq!(code(&help), 0);
    for number in ["0 ", "1 ", "2 ", "65 ", "69 ", "73 ", "74 ", "78 "] {
        assert!(text(&help).contains(&format!("\n  {number}")), "{number}");
    }
    assert_eq!(code(&run(&["fly"])), 2);
    let dir = tempfile::tempdir().expect("a directory");
    let nothing = aegis(&["replay"]).arg("--data").arg(dir.path()).output().expect("it starts");
    assert_eq!(code(&nothing), 2, "{}", text(&nothing));
}

#[test]
fn a_wrong_configuration_is_78_with_everything_that_is_wrong() {
    let stage = Stage::new();
    std::fs::write(stage.path("my.toml"), "[engine]\nbudgett = \"1\"\nweight = \"200%\"\n").expect("written");
    let out = stage.run("data", &[]);
    assert_eq!(code(&out), 78);
    for part in ["my.toml:2", "did you mean engine.budget?", "engine.weight", "my.toml:3"] {
        assert!(text(&out).contains(part), "{part} in {}", text(&out));
    }
    assert!(!stage.path("data").exists(), "nothing was started");
}

#[test]
fn the_defaults_that_are_shown_are_a_right_configuration() {
    let stage = Stage::new();
    let shown = run(&["config", "show"]);
    std::fs::write(stage.path("my.toml"), &shown.stdout).expect("written");
    let out = aegis(&["config", "check", "--config"]).arg(stage.path("my.toml")).output().expect("it starts");
    assert_eq!(code(&out), 0, "{}", text(&out));
    assert!(text(&run(&["config", "show", "--effective"])).contains("engine.budget = \"1000\""));
    if cfg!(feature = "terminal") {
        assert!(text(&run(&["completions", "bash"])).contains("_aegis"));
    }
}

#[test]
fn a_run_is_taken_up_where_it_was_left_and_knows_when_it_is_complete() {
    let stage = Stage::new();
    let first = stage.run("data", &["--stop-after", "7"]);
    assert_eq!(code(&first), 0, "{}", text(&first));
    assert!(text(&first).contains("run the same command again"), "{}", text(&first));
    let second = stage.run("data", &[]);
    assert!(code(&second) == 0 && text(&second).contains("ended             complete"), "{}", text(&second));
    let digest = stage.summary("data")["summary"]["digest"].clone();
    let third = stage.run("data", &[]);
    assert!(code(&third) == 0 && text(&third).contains("complete already"), "{}", text(&third));
    assert_eq!(stage.summary("data")["summary"]["digest"], digest, "nothing was written");
    let fresh = stage.run("data", &["--fresh"]);
    assert_eq!(code(&fresh), 0, "{}", text(&fresh));
    assert!(stage.path("data.old-1").join("market/engine").is_dir(), "the old data are kept");
}

#[test]
fn fresh_touches_only_a_directory_that_is_ours() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("mine")).expect("made");
    std::fs::write(stage.path("mine/letters"), "dear").expect("written");
    for more in [&["--fresh"][..], &[]] {
        let out = stage.run("mine", more);
        assert_eq!(code(&out), 2, "{}", text(&out));
    }
    assert_eq!(std::fs::read(stage.path("mine/letters")).expect("there"), b"dear");
}

#[test]
fn two_runs_with_one_seed_print_one_digest() {
    let stage = Stage::new();
    for data in ["a", "b"] {
        assert_eq!(code(&stage.run(data, &[])), 0);
    }
    assert_eq!(stage.summary("a"), {
        let mut b = stage.summary("b");
        b["journal"] = stage.summary("a")["journal"].clone();
        b
    });
}

#[test]
fn a_kill_at_each_place_around_a_send_changes_nothing_in_the_end() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("never", &[])), 0);
    let never = stage.outcome("never");
    assert!(never.len() > 4, "{never:?}");
    for place in ["after-intent", "after-accept", "after-answer"] {
        for order in 1..=2 {
            let data = format!("{place}-{order}");
            let killed = stage.run(&data, &["--debug-kill", &format!("{place}:{order}")]);
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&killed.status),
                Some(9),
                "{}",
                text(&killed)
            );
            let again = stage.run(&data, &[]);
            assert_eq!(code(&again), 0, "{}", text(&again));
            assert_eq!(stage.outcome(&data), never, "{data}");
            assert!(text(&again).contains("2 orders accepted, 0 refused, 0 duplicates"), "{}", text(&again));
            assert_eq!(code(&stage.on(&data, &["verify"])), 0);
        }
    }
}

#[test]
fn replay_stops_at_a_record_or_a_time_and_refuses_a_venues_journal() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &[])), 0);
    let end = stage.summary("data");
    let last = end["lsn"].as_u64().expect("a number");
    let at = |until: &str| {
        let out = stage.on("data", &["replay", "--json", "--until", until]);
        serde_json::from_slice::<serde_json::Value>(&out.stdout).expect("one object")
    };
    assert_eq!(at(&last.to_string())["summary"]["digest"], end["summary"]["digest"]);
    assert_eq!(at("2030-01-01T00:00:00Z")["summary"]["digest"], end["summary"]["digest"]);
    let early = at("2025-01-01T00:30:00Z");
    assert!(early["lsn"].as_u64() < Some(last), "{early}");
    assert_eq!(early["summary"]["positions"].as_array().map(Vec::len), Some(1), "{early}");
    let venue = aegis(&["replay"]).arg(stage.path("data").join("market/venue")).output().expect("it starts");
    assert_eq!(code(&venue), 2);
    assert!(text(&venue).contains("schema"), "{}", text(&venue));
}

#[test]
fn a_flipped_bit_is_65_with_file_offset_and_record() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &[])), 0);
    let segment = segments(&stage.engine("data")).remove(0);
    let mut bytes = std::fs::read(&segment).expect("there");
    bytes[5000] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let out = stage.on("data", &["verify"]);
    assert_eq!(code(&out), 65, "{}", text(&out));
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    for part in [name.as_str(), "offset", "LSN"] {
        assert!(text(&out).contains(part), "{part} in {}", text(&out));
    }
    assert_eq!(code(&stage.on("data", &["replay"])), 65);
}

/// A plain copy of a directory of files.
fn copied(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).expect("a new directory");
    for file in std::fs::read_dir(from).expect("a directory").map(|f| f.expect("a file").path()) {
        std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
    }
    to.to_path_buf()
}

#[cfg(feature = "forensics")]
#[test]
fn explain_answers_on_a_copy_and_says_what_it_could_have_been_asked() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &[])), 0);
    let copy = copied(&stage.engine("data"), &stage.path("copy"));
    let copy = copy.to_str().expect("a name");
    let ask = |words: &[&str]| {
        let mut command = aegis(&["explain", "--journal", copy]);
        command.args(words).output().expect("it starts")
    };
    for words in
        [&["BTC_USDT"][..], &["stop", "BTC_USDT"], &["signal", "BTC_USDT"], &["asset", "BTC"], &["#1"]]
    {
        let out = ask(words);
        assert_eq!(code(&out), 0, "{words:?}: {}", text(&out));
    }
    let out = ask(&["BTC_USDT", "--json"]);
    let lines: Vec<serde_json::Value> = out
        .stdout
        .lines()
        .map_while(Result::ok)
        .map(|l| serde_json::from_str(&l).expect("an object"))
        .collect();
    assert!(lines[0]["answer"].is_array() && lines[0]["subject"] == "position BTC_USDT 1", "{}", lines[0]);
    assert!(lines.iter().any(|l| l["kind"] == "StopArmed" && l["depth"].as_u64() > Some(1)), "a tree");
    let unknown = ask(&["DOGE_USDT"]);
    assert_eq!(code(&unknown), 2);
    assert!(text(&unknown).contains("BTC_USDT"), "{}", text(&unknown));
    let watched = aegis(&["replay", copy, "--watch"]).stdin(Stdio::null()).output().expect("it starts");
    assert_eq!(code(&watched), 2, "there is no terminal");
    assert!(text(&watched).contains("terminal"), "{}", text(&watched));
}

#[cfg(feature = "forensics")]
#[test]
fn diff_ends_with_1_where_something_differs() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &[])), 0);
    let journal = stage.engine("data");
    let journal = journal.to_str().expect("a name");
    let copy = copied(Path::new(journal), &stage.path("copy"));
    let diff = |words: &[&str]| aegis(&["diff"]).args(words).output().expect("it starts");
    assert_eq!(code(&diff(&[journal, copy.to_str().expect("a name")])), 0);
    let last = stage.summary("data")["lsn"].as_u64().expect("a number").to_string();
    let out = diff(&[journal, "--at", "70", "--and", &last]);
    assert_eq!(code(&out), 1);
    assert!(text(&out).contains("total fills"), "{}", text(&out));
    assert_eq!(code(&diff(&[&format!("{journal}@{last}"), &format!("{journal}@{last}")])), 0);
    let file = stage.path("balance.json");
    let balance = r#"{"method":"private/user-balance","code":0,"result":{"data":[{"position_balances":[
        {"instrument_name":"BTC","quantity":"7","reserved_qty":"0"}]}]}}"#;
    std::fs::write(&file, balance).expect("written");
    let out = diff(&[journal, file.to_str().expect("a name"), "--json"]);
    assert_eq!(code(&out), 1);
    assert!(text(&out).contains("balance BTC"), "{}", text(&out));
    assert_eq!(code(&diff(&[journal])), 2);
}

#[test]
fn a_head_that_was_kept_finds_a_journal_that_is_not_the_same() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &["--stop-after", "40"])), 0);
    let engine = stage.engine("data");
    let journal = engine.to_str().expect("a name");
    let printed = aegis(&["verify", journal, "--print-head"]).output().expect("it starts");
    let head = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
    let verify = |head: &str| aegis(&["verify", journal, "--head", head]).output().expect("it starts");
    assert_eq!(code(&verify(&head)), 0, "{head}: {}", text(&verify(&head)));
    assert_eq!(code(&stage.run("data", &[])), 0);
    assert_eq!(code(&verify(&head)), 0, "it stays right while the journal goes on");
    // Another journal of the same length with all its checksums: one whose ids were drawn from another seed.
    let mut other = aegis(&["run", "--seed", "6", "--stop-after", "40"]);
    other.arg("--data").arg(stage.path("other")).arg("--config").arg(stage.path("my.toml"));
    other.arg("--market").arg(stage.path("market.csv")).arg("--signals").arg(stage.path("signals.ndjson"));
    assert_eq!(code(&other.output().expect("it starts")), 0);
    let other = stage.engine("other");
    let out = aegis(&["verify"]).arg(&other).args(["--head", &head]).output().expect("it starts");
    assert_eq!(code(&out), 65, "{}", text(&out));
    assert!(text(&out).contains("REWRITTEN"), "{}", text(&out));
    assert_eq!(code(&verify("7:00")), 2);
}

#[cfg(feature = "forensics")]
#[test]
fn verify_deep_compares_with_checkpoints() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &[])), 0);
    let out = stage.on("data", &["verify", "--deep", "--json"]);
    assert_eq!(code(&out), 0, "{}", text(&out));
    let deep = out.stdout.lines().map_while(Result::ok).find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).expect("an object");
        line.get("deep").cloned()
    });
    let deep = deep.expect("a deep report");
    assert!(deep["checkpoints_equal"].as_array().is_some_and(|c| !c.is_empty()), "{deep}");
    assert_eq!(deep["findings"].as_array().map(Vec::len), Some(0), "{deep}");
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).expect("a directory").map(|f| f.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|f| f.extension().is_some_and(|e| e == "seg")).collect();
    files.sort();
    files
}

#[test]
fn a_reader_who_goes_away_ends_the_log_quietly() {
    let stage = Stage::new();
    assert_eq!(code(&stage.run("data", &[])), 0);
    let mut child = aegis(&["log"])
        .arg(stage.engine("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Gone before the first line, or after some: the next write meets a broken pipe.
    drop(child.stdout.take());
    let out = child.wait_with_output().expect("a child");
    assert_eq!((code(&out), text(&out)), (0, String::new()));
}

/// A process that plays in real time, so that it is still there when it is asked.
struct Running(Child);

impl Running {
    fn start(stage: &Stage) -> Running {
        std::fs::write(stage.path("my.toml"), CONFIG.replace("enabled = false", "enabled = true"))
            .expect("written");
        let child =
            stage.playing("data", &["--pace", "20000x"]).stdout(Stdio::piped()).spawn().expect("it starts");
        Running(child)
    }

    fn end(mut self) -> Option<i32> {
        self.0.wait().expect("a child").code()
    }
}

/// Asks until it answers as wanted, bounded by a minute.
fn until(what: &str, mut asked: impl FnMut() -> Output, good: impl Fn(&Output) -> bool) -> Output {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let out = asked();
        if good(&out) {
            return out;
        }
        assert!(Instant::now() < deadline, "{what}: {}", text(&out));
    }
}

#[test]
fn a_running_process_answers_on_its_socket_and_holds_its_journal() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    let nobody = stage.on("data", &["halt"]);
    assert_eq!(code(&nobody), 69, "{}", text(&nobody));
    assert!(text(&nobody).contains("aegis run"), "{}", text(&nobody));

    let running = Running::start(&stage);
    let live = |out: &Output| text(out).contains("(running)");
    let status = until("status", || stage.on("data", &["status"]), live);
    assert!(text(&status).contains("trading           enabled"), "{}", text(&status));
    let socket = std::fs::metadata(stage.path("data/control.sock")).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);

    let second = stage.run("data", &[]);
    assert_eq!(code(&second), 73, "{}", text(&second));
    assert!(text(&second).contains(&running.0.id().to_string()), "the holder's pid: {}", text(&second));
    let fresh = stage.run("data", &["--fresh"]);
    assert_eq!(code(&fresh), 73, "{}", text(&fresh));

    let halt = stage.on("data", &["halt", "lunch"]);
    assert_eq!(code(&halt), 0, "{}", text(&halt));
    let status = stage.on("data", &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("one object");
    assert!(status["summary"]["halted"].as_str().is_some_and(|h| h.contains("lunch")), "{status}");
    let bad = stage.on("data", &["adjust-stop", "BTC_USDT", "ten"]);
    assert_eq!(code(&bad), 2, "{}", text(&bad));
    assert_eq!(code(&stage.on("data", &["flatten"])), 0);

    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    assert_eq!(running.end(), Some(0), "a clean stop");
    assert!(!stage.path("data/control.sock").exists());
    let log = text(&stage.on("data", &["log"]));
    for part in ["trading halted by uid", "lunch", "stopped: SIGTERM"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    let status = text(&stage.on("data", &["status"]));
    assert!(status.contains("HALTED"), "a halt outlives the process: {status}");
}

#[test]
fn the_story_of_amnesia_ends_well() {
    let out = run(&["demo", "amnesia"]);
    assert_eq!(code(&out), 0, "{}", text(&out));
    for part in
        ["killed by signal 9", "looked up: present", "entry refused: position open", "One BUY, one SELL"]
    {
        assert!(text(&out).contains(part), "{part} in {}", text(&out));
    }
}
