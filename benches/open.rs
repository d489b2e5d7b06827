//! From a directory to a node that is live: after SIGKILL and after a clean stop, with a checkpoint and without.
//!
//! Each opening is a process of its own, so that its peak memory is its own, and what it finds was left behind by a
//! process that really was killed. The journal has 10,000,000 records at full size; `AEGIS_BENCH_OPEN` sets another.

use aegis_benches::report::{Report, Unit, repetitions};
use aegis_benches::{CYCLE, IDENTITY, child, fill, is_full, mixed, prelude, size, timed};
use aegis_engine::{Engine, Settings};
use aegis_journal::{Config, DirStorage, Expect, Writer};
use aegis_model::Event;
use aegis_node::{Limits, Node, OpenReport};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

const EXPECT: Expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
/// Records between two syncs of the process that is killed.
const GROUP: u64 = 1_000;

fn storage(path: &Path) -> DirStorage {
    DirStorage::new(path).expect("a directory")
}

fn open(path: &Path) -> (Node<Engine, DirStorage>, OpenReport) {
    let engine = Engine::new(Settings::default());
    Node::open(engine, storage(path), EXPECT, Config::default(), Limits::default()).expect("opens")
}

/// Appends the next `count` events of the mix, at least, in whole cycles.
fn append(writer: &mut Writer<DirStorage>, count: u64) {
    let mut appender = fill::Appender::default();
    let first = writer.next_lsn() - 1 - prelude().len() as u64;
    for n in (first..first + count).step_by(CYCLE as usize) {
        let events: Vec<Event> = (n..n + CYCLE).map(mixed).collect();
        appender.batch(writer, &events);
        if n % GROUP < CYCLE {
            writer.sync().expect("a sync");
        }
    }
    writer.sync().expect("a sync");
}

/// What the children do.
fn play(words: &[String]) {
    let path = Path::new(&words[1]);
    match words[0].as_str() {
        "open" => {
            let (took, (node, report)) = timed(|| open(path));
            println!("{} {} {}", took.as_nanos(), report.replayed, child::memory_kib("VmHWM"));
            std::io::stdout().flush().expect("somebody reads");
            drop(node);
        }
        "parts" => {
            let (looked, opening) = timed(|| aegis_journal::open(storage(path), EXPECT, Config::default()));
            let opening = opening.expect("opens");
            let (began, writer) = timed(|| opening.finish().expect("begins"));
            println!("{} {}", looked.as_nanos(), began.as_nanos());
            drop(writer);
        }
        "checkpoint and stop" => {
            open(path).0.close().expect("closes");
        }
        "append" => {
            let (mut writer, _) = aegis_journal::open(storage(path), EXPECT, Config::default())
                .and_then(aegis_journal::Opening::finish)
                .expect("opens");
            append(&mut writer, words[2].parse().expect("a number"));
            if words[3] == "stop" {
                writer.close().expect("closes");
                return;
            }
            println!("ready");
            loop {
                append(&mut writer, GROUP); // until it is killed
            }
        }
        "read all" => {
            let mut buffer = vec![0; 1 << 20];
            let (took, ()) = timed(|| {
                for entry in std::fs::read_dir(path).expect("a directory") {
                    let entry = entry.expect("an entry").path();
                    if entry.extension().is_none_or(|extension| extension != "seg") {
                        continue;
                    }
                    let mut file = File::open(entry).expect("a segment");
                    let mut crc = crc32fast::Hasher::new();
                    loop {
                        match file.read(&mut buffer).expect("readable") {
                            0 => break,
                            bytes => crc.update(&buffer[..bytes]),
                        }
                    }
                    std::hint::black_box(crc.finalize());
                }
            });
            println!("{}", took.as_nanos());
        }
        role => panic!("no role {role}"),
    }
}

/// A writer appends and is killed while it goes on appending.
fn append_and_kill(path: &str, count: u64) {
    let mut writer = child::start(&["append", path, &count.to_string(), "kill"]);
    let mut line = String::new();
    let output = writer.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("the writer lives");
    assert_eq!(line, "ready\n");
    writer.kill().expect("the writer is killed");
    writer.wait().expect("the writer has ended");
}

fn append_and_stop(path: &str, count: u64) {
    child::run(&["append", path, &count.to_string(), "stop"]);
}

/// The figures of one situation.
#[derive(Default)]
struct Opened {
    ms: Vec<f64>,
    mib: Vec<f64>,
    replayed: u64,
}

impl Opened {
    fn look(&mut self, path: &str) {
        let figures = child::run(&["open", path]);
        self.ms.push(figures[0] as f64 / 1e6);
        self.replayed = figures[1];
        self.mib.push(figures[2] as f64 / 1024.0);
    }

    fn print(&self, report: &Report, what: &str, limit: &[f64]) {
        if limit.is_empty() {
            report.row(what, self.replayed, Unit::Ms, &self.ms);
        } else {
            report.beside(what, self.replayed, Unit::Ms, &self.ms, limit);
        }
        report.row("  peak memory of it", self.replayed, Unit::MiB, &self.mib);
    }
}

fn main() {
    if let Some(words) = child::role() {
        return play(&words);
    }
    let report = Report::new(
        "open",
        "until live, n = records replayed (goals for 10,000,000 records: 50 ms with a checkpoint, 1500 ms without); \
         the limit is reading all segments and one crc32fast over them",
    );
    let wished = std::env::var("AEGIS_BENCH_OPEN").ok().and_then(|n| n.parse().ok());
    let count = if is_full() { wished.unwrap_or(10_000_000) } else { 10_000 };
    let tail = size(100_000, 1_000);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    let total = fill::journal(&path, count);
    println!("  a journal of {total} records");
    let path = path.to_str().expect("a plain path");

    let (mut killed, mut stopped, mut limit) = (Opened::default(), Opened::default(), Vec::new());
    for _ in 0..repetitions() {
        append_and_kill(path, GROUP);
        killed.look(path);
        limit.push(child::run(&["read all", path])[0] as f64 / 1e6);
        append_and_stop(path, GROUP);
        stopped.look(path);
    }
    killed.print(&report, "no checkpoint, after SIGKILL", &limit);
    stopped.print(&report, "no checkpoint, after a clean stop", &limit);

    let (mut killed, mut stopped) = (Opened::default(), Opened::default());
    let (mut looked, mut began) = (Vec::new(), Vec::new());
    for _ in 0..repetitions() {
        child::run(&["checkpoint and stop", path]);
        stopped.look(path);
        append_and_kill(path, tail);
        killed.look(path);
        // The same situation once more, for the journal's own parts of it.
        child::run(&["checkpoint and stop", path]);
        append_and_kill(path, tail);
        let parts = child::run(&["parts", path]);
        looked.push(parts[0] as f64 / 1e6);
        began.push(parts[1] as f64 / 1e6);
    }
    killed.print(&report, "checkpoint near the end, after SIGKILL", &[]);
    report.row("  of it: looking at the journal", tail, Unit::Ms, &looked);
    report.row("  of it: beginning a segment", tail, Unit::Ms, &began);
    stopped.print(&report, "checkpoint at the end, after a clean stop", &[]);
}
