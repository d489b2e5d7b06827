//! Reading a journal after the fact: the state in its middle with and without a checkpoint, the story of one position,
//! verification, and exports.
//!
//! 1,000,000 records at full size; `AEGIS_BENCH_RECORDS=10000000` sets another. Nothing is kept between two questions:
//! there is no index, every question scans. Peak memory is the process's own, behind each row that may raise it.

use aegis_benches::report::{Report, Unit, repetitions};
use aegis_benches::{CYCLE, INSTRUMENTS, child, clock, fill, mixed, plan, prelude, size, timed};
use aegis_forensics::explain::{Options, explain};
use aegis_forensics::{Reading, Until, replay};
use aegis_journal::{Config, DirStorage, Writer};
use aegis_model::event::{PositionClosed, StopArmed};
use aegis_model::protection::ExitReason;
use aegis_model::{Event, Fact, InstrumentId, Lsn, Money, Price, Quantity, Rate, Timestamp};
use aegis_projection::State;
use aegis_tables::csv::Csv;
use aegis_tables::sqlite::Sqlite;
use aegis_tables::{Sink, SinkError, Table, Value, tables};
use std::io::Read;
use std::path::Path;

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

/// Reads every segment and runs one CRC over it: what the machine takes for that alone.
fn read_all(path: &Path) -> u64 {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    let mut files: Vec<_> =
        std::fs::read_dir(path).expect("a directory").map(|f| f.expect("a file").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "seg"));
    for file in files {
        let mut file = std::fs::File::open(file).expect("a segment");
        let mut crc = crc32fast::Hasher::new();
        loop {
            let n = file.read(&mut buffer).expect("readable");
            if n == 0 {
                break;
            }
            crc.update(&buffer[..n]);
            bytes += n as u64;
        }
        std::hint::black_box(crc.finalize());
    }
    bytes
}

/// What one kind of measurement took in each repetition, ms: by the clock, and of processors.
#[derive(Default)]
struct Row {
    ms: Vec<f64>,
    cpu_ms: Vec<f64>,
}

impl Row {
    fn add<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let cpu = clock::cpu();
        let (took, value) = timed(run);
        self.cpu_ms.push((clock::cpu() - cpu) as f64 / 1e6);
        self.ms.push(took.as_secs_f64() * 1e3);
        value
    }
}

/// Takes rows for nothing: what reading, folding and filling them takes alone.
struct Counted(u64);

impl Sink for Counted {
    fn begin(&mut self, _tables: &[&'static Table]) -> Result<(), SinkError> {
        Ok(())
    }

    fn row(&mut self, _table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        self.0 += std::hint::black_box(cells).len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Exports every table; how many rows that are.
fn exported(path: &Path, sink: &mut dyn Sink) -> u64 {
    let all: Vec<&Table> = tables().iter().collect();
    let reading = Reading::open(path).expect("a journal");
    let told = aegis_tables::export(reading, Until::End, &all, sink, &mut |_| ()).expect("room");
    told.rows.iter().sum()
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
    let bytes = read_all(&path);
    let half = last / 2;
    let cycles = count / CYCLE / u64::from(INSTRUMENTS);
    let one = format!("C7_USDT {}", (cycles / 2).max(1));

    let (mut verified, mut bare) = (Row::default(), Row::default());
    let (mut whole, mut near, mut inside, mut newest) =
        (Row::default(), Row::default(), Row::default(), Row::default());
    let (mut counted, mut written, mut stored) = (Row::default(), Row::default(), Row::default());
    for _ in 0..repetitions() {
        let report = verified.add(|| aegis_journal::verify_dir(&path, |_| {}).expect("a journal"));
        assert_eq!((report.records, report.findings.len()), (last, 0));
        bare.add(|| read_all(&path));
        let from_first = whole.add(|| middle(&path, half, false));
        let from_checkpoint = near.add(|| middle(&path, half, true));
        assert_eq!(from_first.digest(), from_checkpoint.digest(), "both ways lead to one state");
        inside.add(|| story(&path, &one));
        newest.add(|| story(&path, "C7_USDT"));
        let rows = counted.add(|| exported(&path, &mut Counted(0)));
        assert!(rows > 2 * last, "each record is in `records` and in the table of its kind");
        let target = dir.path().join("csv");
        let mut csv = Csv::new(&target, true).expect("a directory");
        assert_eq!(written.add(|| exported(&path, &mut csv)), rows);
        let target = dir.path().join("journal.db");
        let mut sqlite = Sqlite::new(&target, true).expect("a file");
        assert_eq!(stored.add(|| exported(&path, &mut sqlite)), rows);
    }
    let a_byte = |row: &[f64]| row.iter().map(|ms| ms * 1e6 / bytes as f64).collect::<Vec<_>>();
    let what = "verify, a byte (bare: read and one CRC)";
    report.beside(what, bytes, Unit::Ns, &a_byte(&verified.ms), &a_byte(&bare.ms));
    report.row("  of it: CPU", bytes, Unit::Ns, &a_byte(&verified.cpu_ms));
    for (what, n, row) in [
        ("replay --until the middle, no checkpoint", half, &whole),
        ("replay --until the middle, checkpoint 100,000 back", half, &near),
        ("explain one position in the middle", last, &inside),
        ("explain the last position", last, &newest),
        ("export every table into a count", last, &counted),
        ("export every table as CSV", last, &written),
        ("export every table as SQLite", last, &stored),
    ] {
        report.row(what, n, Unit::Ms, &row.ms);
        report.row("  of it: CPU, all threads", n, Unit::Ms, &row.cpu_ms);
    }
    report.row("peak memory of all of it", last, Unit::MiB, &[child::memory_kib("VmHWM") as f64 / 1024.0]);
}
