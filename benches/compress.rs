//! Compressing sealed segments in the background: what is saved, how long it takes, how fast what is compressed is read
//! back, and what a writer notices of it.
//!
//! The limit of each row is the same journal with nothing compressed, in the same run. The mix is as regular as made-up
//! events are; real ones repeat less.

use aegis_benches::fill::{Appender, create};
use aegis_benches::report::{Latencies, Report, Unit, interleaved, repetitions};
use aegis_benches::{CYCLE, IDENTITY, clock, mixed, prelude, size, timed};
use aegis_journal::{Config, DirStorage, Expect, JournalReader, Writer, open, verify_dir};
use aegis_model::Event;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Events that stay in the cache, as those of a deciding engine do.
const WINDOW: u64 = 4_000;

fn config(compress: bool) -> Config {
    Config { segment_bytes: size(64 << 20, 256 << 10), compress, ..Config::default() }
}

fn opened(path: &Path, compress: bool) -> Writer<DirStorage> {
    let expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
    let storage = DirStorage::new(path).expect("a directory");
    open(storage, expect, config(compress)).expect("a journal").finish().expect("room").0
}

/// A closed journal of several segments, nothing compressed; answers its records.
fn fill(path: &Path, count: u64) -> u64 {
    let mut writer = create(path, config(false));
    let mut appender = Appender::default();
    appender.all(&mut writer, &prelude(), CYCLE as usize);
    let mut events: Vec<Event> = Vec::with_capacity(CYCLE as usize);
    for first in (0..count).step_by(CYCLE as usize) {
        events.clear();
        events.extend((first..count.min(first + CYCLE)).map(mixed));
        appender.batch(&mut writer, &events);
    }
    let last = writer.sync().expect("a sync");
    writer.close().expect("a clean stop");
    last
}

/// A copy that is on the device.
fn copied(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        std::fs::copy(entry.path(), &target).expect("room");
        File::open(&target).and_then(|file| file.sync_all()).expect("a sync");
    }
    to.to_path_buf()
}

/// Waits until nothing is left to compress.
fn compressed(writer: &Writer<DirStorage>, segments: u64) {
    while writer.compression().segments < segments {
        assert!(writer.compression().trouble.is_none(), "{:?}", writer.compression());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Sealed segments that an opening finds, but for the newest one; those are what is compressed.
fn waiting(path: &Path) -> u64 {
    let names = std::fs::read_dir(path).expect("a directory").map(|e| e.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count() as u64 - 1
}

fn read(path: &Path) -> u64 {
    let mut reader = JournalReader::open_dir(path).expect("a journal");
    let mut seen = 0;
    while reader.next().expect("whole").is_some() {
        seen += 1;
    }
    seen
}

fn sizes_and_reading(report: &Report, plain: &Path, dir: &Path, records: u64) {
    let segments = waiting(plain);
    let mut bytes = Vec::new();
    let mut before = Vec::new();
    let mut rates = Vec::new();
    let mut packed = PathBuf::new();
    for n in 0..repetitions() {
        packed = copied(plain, &dir.join(format!("packed-{n}")));
        let writer = opened(&packed, true);
        let (took, ()) = timed(|| compressed(&writer, segments));
        let told = writer.compression();
        // Bytes and records stand in the same relation in the segment that is left.
        let share = records as f64 * told.bytes_before as f64 / bytes_of(plain) as f64;
        bytes.push(told.bytes_after as f64 / share);
        before.push(told.bytes_before as f64 / share);
        rates.push(told.bytes_before as f64 / (1 << 20) as f64 / took.as_secs_f64());
        writer.close().expect("a clean stop");
        if n + 1 < repetitions() {
            std::fs::remove_dir_all(&packed).expect("room");
        }
    }
    report.beside("bytes a record", records, Unit::Bytes, &bytes, &before);
    report.row("compressed in a second, while nothing else is done", segments, Unit::MiB, &rates);
    assert_eq!((read(plain), read(&packed)), (records, records), "and all of it is in the cache");
    let each = |took: std::time::Duration| took.as_nanos() as f64 / records as f64;
    let (ours, limit) =
        interleaved(repetitions(), || each(timed(|| read(&packed)).0), || each(timed(|| read(plain)).0));
    report.beside("read and verify, cached", records, Unit::Ns, &ours, &limit);
    let whole = |path: &Path| {
        let (took, report) = timed(|| verify_dir(path, |_| ()).expect("a journal"));
        assert!(report.findings.is_empty() && report.records == records, "{report:?}");
        each(took)
    };
    let (ours, limit) = interleaved(repetitions(), || whole(&packed), || whole(plain));
    report.beside("verify with roots, two cores, cached", records, Unit::Ns, &ours, &limit);
}

/// Bytes of the sealed segments, as they are.
fn bytes_of(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry"));
    let seg = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".seg"));
    let whole = seg.map(|entry| std::fs::read(entry.path()).expect("readable"));
    whole.map(|bytes| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)).sum()
}

/// A writer while older segments are compressed behind its back, beside one that is left alone.
fn beside_a_writer(report: &Report, plain: &Path, dir: &Path) {
    let window: Vec<Event> = (0..WINDOW).map(mixed).collect();
    let measured = |compress: bool, work: &dyn Fn(&mut Writer<DirStorage>) -> Latencies| {
        let path = copied(plain, &dir.join("live"));
        let mut writer = opened(&path, compress);
        let latencies = work(&mut writer);
        let under_way = writer.compression().segments < waiting(plain);
        drop(writer);
        std::fs::remove_dir_all(&path).expect("room");
        (latencies, under_way)
    };
    let compare = |work: &dyn Fn(&mut Writer<DirStorage>) -> Latencies| {
        let (ours, limit) = interleaved(repetitions(), || measured(true, work), || measured(false, work).0);
        let through = ours.iter().filter(|(_, under_way)| !under_way).count();
        if through > 0 {
            println!("  (compressing came to its end before the writer did in {through} of {})", ours.len());
        }
        (ours.into_iter().map(|(latencies, _)| latencies).collect::<Vec<_>>(), limit)
    };
    let n = size(4_000, 40);
    let (mut ours, mut limit) = compare(&|writer| {
        let mut appender = Appender::default();
        let mut latencies = Latencies::with_room(n);
        for at in 0..n {
            let event = std::slice::from_ref(&window[(at % WINDOW) as usize]);
            let start = clock::now();
            appender.batch(writer, event);
            writer.sync().expect("a sync");
            latencies.push(clock::now() - start);
        }
        latencies
    });
    report.percentiles("durable, one each, beside compressing", Unit::Us, &mut ours, &mut limit);
    // One record each 10 us, as many as that is far beyond what trading asks for: each append by itself.
    let n = size(50_000, 500);
    let (mut ours, mut limit) = compare(&|writer| {
        let mut appender = Appender::default();
        let mut latencies = Latencies::with_room(n);
        let begin = clock::now();
        for at in 0..n {
            while clock::now() < begin + at * 10_000 {
                std::hint::spin_loop();
            }
            let event = std::slice::from_ref(&window[(at % WINDOW) as usize]);
            let start = clock::now();
            appender.batch(writer, event);
            latencies.push(clock::now() - start);
        }
        latencies
    });
    report.percentiles(
        "one append by itself, 100,000 a second, beside compressing",
        Unit::Ns,
        &mut ours,
        &mut limit,
    );
    let n = size(100, 2);
    let (ours, limit) = compare(&|writer| {
        let mut appender = Appender::default();
        let mut latencies = Latencies::with_room(n);
        for _ in 0..n {
            let start = clock::now();
            appender.all(writer, &window, CYCLE as usize);
            latencies.push((clock::now() - start) / WINDOW);
        }
        latencies
    });
    let means = |runs: &[Latencies]| -> Vec<f64> {
        runs.iter().map(|l| l.total() as f64 / l.count() as f64).collect()
    };
    let (ours, limit) = (means(&ours), means(&limit));
    report.beside(
        "append at full rate in batches of 20, beside compressing",
        n * WINDOW,
        Unit::Ns,
        &ours,
        &limit,
    );
}

fn main() {
    let report = Report::new(
        "compress",
        "nothing that a writer notices beyond a shared core; the limit is nothing compressed",
    );
    let dir = tempfile::tempdir().expect("a temporary directory");
    let plain = dir.path().join("plain");
    let records = fill(&plain, size(4_000_000, 12_000));
    sizes_and_reading(&report, &plain, dir.path(), records);
    beside_a_writer(&report, &plain, dir.path());
}
