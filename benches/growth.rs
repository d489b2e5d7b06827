//! How costs grow with history: append, warm replay and memory at 10^5, 10^6 and 10^7 records, as a table.
//!
//! Costs that depend on open state may not grow with history. `AEGIS_BENCH_HUGE=1` adds 10^8 records: an append with a
//! sync every 64 MiB and a cold replay, beside what the device itself writes and reads in sequence in the same run.
//! Each size is a process of its own, so that its peak memory is its own.

use aegis_benches::report::{Report, Unit, middle, repetitions};
use aegis_benches::{CYCLE, bare, child, fill, is_full, mixed, prelude, timed};
use aegis_journal::{Config, DirStorage, JournalReader, Writer};
use aegis_model::{Event, Lsn, RecordHead, Timestamp};
use aegis_projection::State;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes between two syncs of the largest size, and of the device's own run.
const SYNC_BYTES: u64 = 64 << 20;
/// Bytes of the device's own run.
const DEVICE_BYTES: u64 = 1 << 30;
/// Events made ahead of being appended, so that making them is not measured.
const PORTION: u64 = 4_000;

/// Appends `count` events of the mix; answers the time that appending and syncing took.
fn append(writer: &mut Writer<DirStorage>, count: u64, sync_bytes: Option<u64>) -> Duration {
    let mut appender = fill::Appender::default();
    appender.all(writer, &prelude(), CYCLE as usize);
    // The first segment of an opening is small on purpose; waiting for the one behind it is no cost of a record.
    while !writer.next_segment_is_ready() {
        std::thread::yield_now();
    }
    let (mut took, mut synced) = (Duration::ZERO, 0);
    let mut events: Vec<Event> = Vec::with_capacity(PORTION as usize);
    for first in (0..count).step_by(PORTION as usize) {
        events.clear();
        events.extend((first..count.min(first + PORTION)).map(mixed));
        let start = Instant::now();
        appender.all(writer, &events, 1);
        if sync_bytes.is_some_and(|bytes| writer.stats().bytes - synced >= bytes) {
            writer.sync().expect("a sync");
            synced = writer.stats().bytes;
        }
        took += start.elapsed();
    }
    let (last, _) = timed(|| writer.sync().expect("a sync"));
    took + last
}

fn replay(path: &Path) -> (u64, State) {
    let mut reader = JournalReader::open_dir(path).expect("a journal");
    let mut state = State::default();
    let mut seen = 0;
    while let Some(record) = reader.next().expect("whole") {
        let head = RecordHead {
            kind: record.kind,
            version: record.version,
            actor: record.actor,
            time: Timestamp(record.time_ns),
            cause: Lsn(record.cause),
        };
        state.apply(&Event::decode(head, record.payload).expect("a stored event"));
        seen += 1;
    }
    (seen, state)
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

/// The next read of these files comes from the device.
fn forget(files: &[PathBuf]) {
    for path in files {
        let file = File::open(path).expect("a file");
        file.sync_all().expect("a sync");
        fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel takes advice");
    }
}

/// What the device writes, synced every 64 MiB, and reads in sequence, ns a byte.
fn device(dir: &Path) -> (f64, f64) {
    let path = dir.join("bare");
    let file = File::create_new(&path).expect("a file");
    bare::zero_fill(&file, DEVICE_BYTES).expect("room");
    let buffer = vec![0x5a; 1 << 20];
    let (wrote, ()) = timed(|| {
        for at in (0..DEVICE_BYTES).step_by(buffer.len()) {
            file.write_all_at(&buffer, at).expect("room");
            if (at + buffer.len() as u64).is_multiple_of(SYNC_BYTES) {
                file.sync_data().expect("a sync");
            }
        }
    });
    forget(std::slice::from_ref(&path));
    let mut buffer = buffer;
    let mut file = File::open(&path).expect("a file");
    let (read, ()) = timed(|| while file.read(&mut buffer).expect("readable") > 0 {});
    (wrote.as_nanos() as f64 / DEVICE_BYTES as f64, read.as_nanos() as f64 / DEVICE_BYTES as f64)
}

/// One size in a process of its own: prints append and replay in picoseconds a record, bytes, and peak memory in KiB.
fn play(words: &[String]) {
    let count: u64 = words[1].parse().expect("a number");
    let huge = words[2] == "huge";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    let mut writer = fill::create(&path, Config::default());
    let appended = append(&mut writer, count, huge.then_some(SYNC_BYTES));
    let (bytes, waits) = (writer.stats().bytes, writer.stats().segment_waits);
    drop(writer);
    let device = if huge { device(dir.path()) } else { (0.0, 0.0) };
    if huge {
        forget(&segments(&path));
    } else {
        replay(&path); // so that all of it is in the page cache
    }
    let (replayed, (seen, state)) = timed(|| replay(&path));
    assert!(state.totals.anomalies.is_empty(), "the mix is lawful");
    let each = |took: Duration| (took.as_nanos() as f64 * 1e3 / seen as f64) as u64;
    println!("{} {} {bytes} {waits}", each(appended), each(replayed));
    println!("{} {} {}", (device.0 * 1e6) as u64, (device.1 * 1e6) as u64, child::memory_kib("VmHWM"));
}

/// What the repetitions of one size gave.
struct Grown {
    count: u64,
    append: Vec<f64>,
    replay: Vec<f64>,
    /// What the device's own speed amounts to, a record, writing and reading.
    device: Option<(f64, f64)>,
    mib: Vec<f64>,
    waits: Vec<f64>,
}

fn grow(count: u64, repetitions: u64, huge: bool) -> Grown {
    let mut grown = Grown {
        count,
        append: Vec::new(),
        replay: Vec::new(),
        device: None,
        mib: Vec::new(),
        waits: Vec::new(),
    };
    for _ in 0..repetitions {
        let figures = child::run(&["grow", &count.to_string(), if huge { "huge" } else { "warm" }]);
        let record = figures[2] as f64 / count as f64;
        grown.append.push(figures[0] as f64 / 1e3);
        grown.replay.push(figures[1] as f64 / 1e3);
        grown.waits.push(figures[3] as f64);
        grown.device = huge.then(|| (figures[4] as f64 / 1e6 * record, figures[5] as f64 / 1e6 * record));
        grown.mib.push(figures[6] as f64 / 1024.0);
    }
    grown
}

fn main() {
    if let Some(words) = child::role() {
        return play(&words);
    }
    let report = Report::new(
        "growth",
        "costs that depend on open state may not grow with history; the limit at 10^8 is the device's own sequential \
         speed",
    );
    let sizes: &[u64] = if is_full() { &[100_000, 1_000_000, 10_000_000] } else { &[1_000, 4_000] };
    let mut all: Vec<Grown> = sizes.iter().map(|count| grow(*count, repetitions(), false)).collect();
    if is_full() && std::env::var_os("AEGIS_BENCH_HUGE").is_some_and(|word| word == "1") {
        all.push(grow(100_000_000, 1, true));
    }
    for grown in &all {
        let n = grown.count;
        let name = |what: &str| format!("{n} records, {what}");
        match grown.device {
            None => {
                report.row(&name("append, no sync"), n, Unit::Ns, &grown.append);
                report.row(&name("warm replay"), n, Unit::Ns, &grown.replay);
            }
            Some((write, read)) => {
                report.beside(&name("append, a sync each 64 MiB"), n, Unit::Ns, &grown.append, &[write]);
                report.beside(&name("cold replay"), n, Unit::Ns, &grown.replay, &[read]);
            }
        }
        report.row(&name("peak memory"), n, Unit::MiB, &grown.mib);
    }
    println!(
        "\n  | records | append ns | replay ns | peak MiB | waits for a segment |\n  |---:|---:|---:|---:|---:|"
    );
    for grown in &all {
        println!(
            "  | {} | {:.0} | {:.0} | {:.1} | {:.0} |",
            grown.count,
            middle(&grown.append),
            middle(&grown.replay),
            middle(&grown.mib),
            middle(&grown.waits)
        );
    }
}
