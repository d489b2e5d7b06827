//! Instruction budgets: what a record may cost, counted by callgrind, so that a change that costs 5 % is seen on a
//! machine whose clock shows nothing below 30 %.
//!
//! ```text
//! cargo run --release -p aegis-benches --bin budgets               compares with benches/budgets.toml
//! cargo run --release -p aegis-benches --bin budgets -- --renew    writes it
//! ```
//!
//! Each figure is the difference of two runs, one twice as long as the other, over the records that they differ by:
//! whatever happens once cancels out. Only the thread that does the work is counted, and only while it does it; what
//! the kernel does and what other threads do (zeros for the next segment, hashes of ended ones) is not. valgrind shows
//! the program a processor of its own, at most AVX2 and carry-less multiplication, so the code that crc32fast, BLAKE3
//! and memcpy choose is not the one of the bare machine, and a host without these counts more. The figures belong to
//! the compiler that is named beside them.

use aegis_benches::fill::{self, Appender};
use aegis_benches::held::{Held, LONG};
use aegis_benches::{CYCLE, Encoded, mixed, prelude};
use aegis_journal::{Config, JournalReader};
use aegis_model::{Event, Lsn, RecordHead, Timestamp};
use aegis_projection::State;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Records of the longer run; the shorter has half.
const RECORDS: u64 = 20_000;
/// Events folded before those that are counted: more than the fold remembers, so that remembering and forgetting are
/// in balance.
const FOLDED: u64 = 140_000;
/// How much a figure may exceed its budget, in percent.
const MARGIN: f64 = 4.0;
/// Asks for the counts even where valgrind is missing.
const DEMANDED: [(&str, &str); 2] = [("CI", "true"), ("AEGIS_BUDGETS", "1")];

/// A name and the work on so many records, which prepares itself and then calls [`measured`].
type Work = (&'static str, fn(u64));

/// What is counted.
const WORKS: &[Work] = &[
    ("append_one_a_batch", |n| append(n, 1)),
    ("append_twenty_a_batch", |n| append(n, CYCLE as usize)),
    ("read_and_verify", read_and_verify),
    ("decode", decode),
    ("fold", fold),
    ("read_verify_decode_fold", replay),
    ("tick_that_changes_nothing", |n| ticks(n, 4, Held::decide_quiet)),
    ("tick_that_raises_a_stop", |n| ticks(n, 4, Held::decide_raising)),
    ("tick_that_raises_a_stop_of_thousand", |n| ticks(n, 1_000, Held::decide_raising)),
];

/// Callgrind counts while this function runs, and nothing else.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

fn window(first: u64, n: u64) -> Vec<Event> {
    (first..first + n).map(mixed).collect()
}

fn append(n: u64, batch: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut writer = fill::create(&dir.path().join("j"), Config::default());
    let mut appender = Appender::default();
    appender.all(&mut writer, &prelude(), CYCLE as usize);
    let events = window(0, n);
    measured(|| appender.all(&mut writer, &events, batch));
    assert_eq!(writer.stats().rotations, 0, "all of it lies within the first segment");
}

fn read_and_verify(n: u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    let all = fill::journal(&path, n);
    let mut reader = JournalReader::open_dir(&path).expect("a journal");
    let seen = measured(|| {
        let mut seen = 0;
        while reader.next().expect("whole").is_some() {
            seen += 1;
        }
        seen
    });
    assert_eq!(seen, all);
}

fn decode(n: u64) {
    let encoded = Encoded::of(&window(0, n));
    measured(|| {
        let mut start = 0;
        for (head, end) in &encoded.heads {
            let event = Event::decode(*head, &encoded.payloads[start..*end]);
            std::hint::black_box(&event).as_ref().expect("an event");
            start = *end;
        }
    });
}

fn fold(n: u64) {
    let mut state = State::default();
    prelude().iter().for_each(|event| state.apply(event));
    (0..FOLDED).for_each(|n| state.apply(&mixed(n)));
    let events = window(FOLDED, n);
    measured(|| events.iter().for_each(|event| state.apply(event)));
    assert!(state.totals.anomalies.is_empty(), "the mix is lawful");
}

fn replay(n: u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    fill::journal(&path, FOLDED + n);
    let mut reader = JournalReader::open_dir(&path).expect("a journal");
    let mut state = State::default();
    let mut next = move || {
        let Some(record) = reader.next().expect("whole") else { return false };
        let head = RecordHead {
            kind: record.kind,
            version: record.version,
            actor: record.actor,
            time: Timestamp(record.time_ns),
            cause: Lsn(record.cause),
        };
        state.apply(&Event::decode(head, record.payload).expect("a stored event"));
        true
    };
    for _ in 0..prelude().len() as u64 + FOLDED {
        assert!(next());
    }
    measured(|| while next() {});
}

fn ticks(n: u64, positions: u32, tick: fn(&mut Held)) {
    let mut held = Held::new(positions, LONG, positions);
    measured(|| (0..n).for_each(|_| tick(&mut held)));
}

/// Instructions of one run, counted in a process of its own.
fn count(name: &str, records: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| format!("the path of this program: {e}"))?;
    // A fixed environment: its size moves the stack, and what is on the stack may be copied faster or slower for it.
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(program)
        .args(["work", name, &records.to_string()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .map_err(|e| format!("valgrind cannot be run: {e}"))?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("counting {name} failed:\n{words}"));
    }
    let collected = words.lines().find_map(|line| line.split_once("Collected :").map(|(_, n)| n.trim()));
    match collected.and_then(|n| n.parse().ok()) {
        Some(0) | None => Err(format!("callgrind counted nothing for {name}:\n{words}")),
        Some(instructions) => Ok(instructions),
    }
}

/// Instructions a record.
fn figure(name: &str) -> Result<f64, String> {
    let (short, long) = (count(name, RECORDS / 2)?, count(name, RECORDS)?);
    Ok(long.saturating_sub(short) as f64 / (RECORDS / 2) as f64)
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml")
}

fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The committed budgets, and the compiler that they belong to.
fn budgets() -> Result<(BTreeMap<String, f64>, String), String> {
    let text = std::fs::read_to_string(file()).map_err(|e| format!("{}: {e}", file().display()))?;
    let table: toml::Table = text.parse().map_err(|e| format!("{}: {e}", file().display()))?;
    let compiler = table.get("compiler").and_then(|c| c.as_str()).unwrap_or_default().to_owned();
    let figures = table.get("instructions").and_then(|t| t.as_table()).cloned().unwrap_or_default();
    let number = |value: toml::Value| value.as_float().or(value.as_integer().map(|n| n as f64));
    Ok((figures.into_iter().filter_map(|(name, n)| Some((name, number(n)?))).collect(), compiler))
}

fn renew(figures: &[(&str, f64)], compiler: &str) -> Result<(), String> {
    let mut text = String::from(
        "# Instructions a record, counted by callgrind. Written by\n\
         # cargo run --release -p aegis-benches --bin budgets -- --renew\n",
    );
    let _ = writeln!(text, "compiler = \"{compiler}\"\n\n[instructions]");
    for (name, figure) in figures {
        let _ = writeln!(text, "{name} = {figure:.1}");
    }
    std::fs::write(file(), text).map_err(|e| format!("{}: {e}", file().display()))
}

/// Compares; answers whether every figure keeps its budget.
fn check(figures: &[(&str, f64)], compiler: &str) -> Result<bool, String> {
    let (budgets, made_with) = budgets()?;
    let mut kept = true;
    for (name, figure) in figures {
        let verdict = match budgets.get(*name) {
            None => {
                kept = false;
                "has no budget".to_owned()
            }
            Some(budget) => {
                let change = (figure / budget - 1.0) * 100.0;
                kept &= change <= MARGIN;
                let word = match change {
                    over if over > MARGIN => "  TOO MUCH",
                    under if under < -MARGIN => "  better: renew, so that it stays so",
                    _ => "",
                };
                format!("budget {budget:>9.1}  {change:>+6.1} %{word}")
            }
        };
        println!("  {name:<36} {figure:>9.1} instructions a record  {verdict}");
    }
    if !kept {
        if made_with != compiler {
            println!("the budgets belong to {made_with}, this is {compiler}");
        }
        println!(
            "over budget by more than {MARGIN} %: make it cheaper, or, if it is worth it, say why in the commit that \
             renews the budget: cargo run --release -p aegis-benches --bin budgets -- --renew"
        );
    }
    Ok(kept)
}

fn run(renewing: bool) -> Result<bool, String> {
    if version_of("valgrind").is_none() {
        if DEMANDED.iter().any(|(name, value)| std::env::var(name).is_ok_and(|v| v == *value)) {
            return Err("valgrind is not installed, and the budgets are to be checked here".to_owned());
        }
        println!("budgets: not checked, valgrind is not installed");
        return Ok(true);
    }
    let compiler = version_of("rustc").unwrap_or_default();
    let mut figures = Vec::new();
    for (name, _) in WORKS {
        figures.push((*name, figure(name)?));
    }
    if renewing {
        renew(&figures, &compiler)?;
    }
    check(&figures, &compiler)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["work", name, records] => {
            let work = WORKS.iter().find(|(known, _)| *known == name).map(|(_, work)| work);
            work.zip(records.parse().ok()).ok_or(format!("no work {name} on {records}")).map(
                |(work, records)| {
                    work(records);
                    true
                },
            )
        }
        [] => run(false),
        ["--renew"] => run(true),
        _ => Err("only --renew is understood".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("budgets: {why}");
            ExitCode::FAILURE
        }
    }
}
