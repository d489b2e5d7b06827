//! Reading a journal after the fact: the state in its middle with and without a checkpoint, the story of one position,
//! and verification.
//!
//! 1,000,000 records at full size; `AEGIS_BENCH_RECORDS=10000000` sets another. Nothing is kept between two questions:
//! there is no index, every question scans. Peak memory is the process's own, behind each row that may raise it.

use aegis_benches::report::{Report, Unit, repetitions};
use aegis_benches::{CYCLE, INSTRUMENTS, child, fill, mixed, plan, prelude, size, timed};
use aegis_forensics::explain::{Options, explain};
use aegis_forensics::{Reading, Until, replay};
use aegis_journal::{Config, DirStorage, Writer};
use aegis_model::event::{PositionClosed, StopArmed};
use aegis_model::protection::ExitReason;
use aegis_model::{Event, Fact, InstrumentId, Lsn, Money, Price, Quantity, Rate, Timestamp};
use aegis_projection::State;
use std::path::Path;
use std::time::Duration;

/// The nth event: the mix of the other benches, with each cycle's stop armed and its position closed.
fn event(n: u64) -> Event {
    let (cycle, step) = (n / CYCLE, n % CYCLE);
    let instrument = InstrumentId((cycle % u64::from(INSTRUMENTS)) as u32);
    let number = (cycle / u64::from(INSTRUMENTS)) as u32 + 1;
    let mut event = mixed(n);
    if step == 4 {
        event.fact = Fact::StopArmed(StopArmed {
            instrument,
            cycle: number,
            plan: plan(),
            stop: Price::new(49_000, 0),
            take_profit: None,
            time_exit: None,
            mark: Price::new(50_000, 0),
            quantity: Quantity::new(1, 3),
        });
    } else if step == 19 {
        event.fact = Fact::PositionClosed(PositionClosed {
            instrument,
            cycle: number,
            opened: Timestamp(event.at.0 - 1),
            closed: event.at,
            bought: Quantity::new(1, 3),
            buy_value: Money::new(50, 0),
            sold: Quantity::new(1, 3),
            sell_value: Money::new(50, 0),
            quote_fees: Money::ZERO,
            base_fees: Quantity::ZERO,
            realised: Money::ZERO,
            rate: Rate::ZERO,
            dust: Quantity::ZERO,
            reason: Some(ExitReason::Stop),
        });
    }
    event
}

/// Writes the journal, with a checkpoint as far before its middle as a running engine would leave one; its records.
fn write(path: &Path, count: u64) -> u64 {
    const BEFORE: u64 = 100_000;
    let mut writer = fill::create(path, Config::default());
    let mut appender = fill::Appender::default();
    let mut state = State::default();
    let mut append = |writer: &mut Writer<DirStorage>, events: &[Event]| {
        appender.batch(writer, events);
        events.iter().for_each(|e| state.apply(e));
    };
    prelude().chunks(CYCLE as usize).for_each(|chunk| append(&mut writer, chunk));
    let due = (count / 2).saturating_sub(BEFORE.min(count / 4));
    let mut n = 0;
    while n < due {
        let events: Vec<Event> = (n..n + CYCLE).map(event).collect();
        append(&mut writer, &events);
        n += CYCLE;
    }
    writer.sync().expect("a sync");
    let mut bytes = state.time.0.to_le_bytes().to_vec();
    bytes.extend(state.save());
    writer.checkpoint(state.lsn.0, state.digest(), &bytes).expect("a checkpoint");
    while n < count {
        let events: Vec<Event> = (n..n + CYCLE).map(event).collect();
        appender.batch(&mut writer, &events);
        n += CYCLE;
    }
    writer.sync().expect("a sync");
    let last = writer.durable_lsn();
    writer.close().expect("closes");
    last
}

fn middle(path: &Path, lsn: u64, near: bool) -> State {
    let until = Until::Lsn(Lsn(lsn));
    let reading = if near { Reading::open_near(path, until) } else { Reading::open(path) };
    let reading = reading.and_then(|r| r.run(until)).expect("a journal");
    assert_eq!(reading.checkpoint.is_some(), near, "the checkpoint is used when it may be");
    reading.state
}

/// Explains one position; how many records its tree shows.
fn story(path: &Path, words: &str) -> usize {
    let open = || replay::open_dir(path);
    let told = explain(&open, words, Options { all: false }, &|_| ()).expect("a position");
    assert!(told.lines.len() > 1, "{words} has a story");
    told.flat().len()
}

fn bytes_of(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).expect("a directory").map(|f| f.expect("a file"));
    let segments = files.filter(|f| f.path().extension().is_some_and(|e| e == "seg"));
    segments.map(|f| f.metadata().expect("its size").len()).sum()
}

fn main() {
    let report = Report::new(
        "forensics",
        "page cache warm (goals at 10,000,000 records: the middle 1.5 s with checkpoints and 5 s without, one position \
         1 s, verify 1 GB/s = 0.93 ns a byte); no index is kept, each question scans",
    );
    let wished = std::env::var("AEGIS_BENCH_RECORDS").ok().and_then(|n| n.parse().ok());
    let count = size(wished.unwrap_or(1_000_000), 10_000) / CYCLE * CYCLE;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    let last = write(&path, count);
    let bytes = bytes_of(&path);
    let half = last / 2;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let cycles = count / CYCLE / u64::from(INSTRUMENTS);
    let one = format!("C7_USDT {}", (cycles / 2).max(1));

    let mut rows: [Vec<f64>; 5] = Default::default();
    for _ in 0..repetitions() {
        let (took, report) = timed(|| aegis_journal::verify_dir(&path, |_| {}).expect("a journal"));
        assert_eq!((report.records, report.findings.len()), (last, 0));
        rows[0].push(took.as_secs_f64() * 1e9 / bytes as f64);
        let (took, from_first) = timed(|| middle(&path, half, false));
        rows[1].push(ms(took));
        let (took, near) = timed(|| middle(&path, half, true));
        rows[2].push(ms(took));
        assert_eq!(from_first.digest(), near.digest(), "both ways lead to one state");
        let (took, _) = timed(|| story(&path, &one));
        rows[3].push(ms(took));
        let (took, _) = timed(|| story(&path, "C7_USDT"));
        rows[4].push(ms(took));
    }
    report.row("verify, a byte", bytes, Unit::Ns, &rows[0]);
    report.row("replay --until the middle, no checkpoint", half, Unit::Ms, &rows[1]);
    report.row("replay --until the middle, checkpoint 100,000 back", half, Unit::Ms, &rows[2]);
    report.row("explain one position in the middle", last, Unit::Ms, &rows[3]);
    report.row("explain the last position", last, Unit::Ms, &rows[4]);
    report.row("peak memory of all of it", last, Unit::MiB, &[child::memory_kib("VmHWM") as f64 / 1024.0]);
}
