//! Appending without a sync for each: cost within a segment, the tail of single appends, and what a change of segment
//! costs, at a rate that leaves time for it and at full rate.

use aegis_benches::bare::Mapped;
use aegis_benches::fill::{Appender, create};
use aegis_benches::report::{Latencies, Report, Unit, interleaved, middle, permilles, repetitions};
use aegis_benches::{CYCLE, Encoded, clock, mixed, prelude, size, timed};
use aegis_journal::{Config, NewRecord};
use aegis_model::Event;

/// Events that stay in the cache, as those of a deciding engine do.
const WINDOW: u64 = 4_000;
/// The first segment of an opening is small: after so many windows a writer stands in a full one.
const WARM_UP: u64 = 15;
const FILE_BYTES: u64 = 64 << 20;

struct Bench {
    report: Report,
    window: Vec<Event>,
    encoded: Encoded,
}

impl Bench {
    fn payloads(&self) -> Vec<NewRecord<'_>> {
        self.encoded.records().collect()
    }

    /// Cost of one record while no segment ends, beside a bare mapped file that is handed the encoded payloads.
    fn within_a_segment(&self, batch: usize) {
        let rounds = size(125, 5);
        let n = rounds * WINDOW;
        let per_record = |took: std::time::Duration| took.as_nanos() as f64 / n as f64;
        let payloads = self.payloads();
        let (ours, limit) = interleaved(
            repetitions(),
            || {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let mut writer =
                    create(&dir.path().join("j"), Config { segment_bytes: FILE_BYTES, ..Config::default() });
                let mut appender = Appender::default();
                for _ in 0..size(WARM_UP, 0) {
                    appender.all(&mut writer, &self.window, batch);
                }
                writer.sync().expect("a sync");
                // Zeros for the next segment are written on another thread; at full rate below they are part of it.
                while !writer.next_segment_is_ready() {
                    std::thread::yield_now();
                }
                let rotations = writer.stats().rotations;
                let (took, ()) = timed(|| {
                    for _ in 0..rounds {
                        appender.all(&mut writer, &self.window, batch);
                    }
                });
                assert_eq!(writer.stats().rotations, rotations, "what is timed lies within one segment");
                per_record(took)
            },
            || {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let mut bare =
                    Mapped::create(&dir.path().join("bare"), size(FILE_BYTES, 4 << 20)).expect("room");
                let (took, ()) = timed(|| {
                    for _ in 0..rounds {
                        payloads.iter().for_each(|record| bare.append(record.payload));
                    }
                });
                let mut bytes = Vec::new();
                let (with_encode, ()) = timed(|| {
                    for _ in 0..rounds {
                        for event in &self.window {
                            bytes.clear();
                            event.encode(&mut bytes);
                            std::hint::black_box(&bytes);
                        }
                    }
                });
                (per_record(took), per_record(with_encode))
            },
        );
        let (limit, encode): (Vec<f64>, Vec<f64>) = limit.into_iter().unzip();
        let variant = format!("within a segment, batches of {batch}, encode included");
        self.report.beside(&variant, n, Unit::Ns, &ours, &limit);
        self.report.row("  of it: encode alone", n, Unit::Ns, &encode);
    }

    /// Each append timed by itself, page faults and all.
    fn latencies(&self) {
        let n = size(500_000, 20_000);
        let payloads = self.payloads();
        let (mut ours, mut limit) = interleaved(
            repetitions(),
            || {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let mut writer = create(&dir.path().join("j"), Config::default());
                let mut appender = Appender::default();
                for _ in 0..size(WARM_UP, 0) {
                    appender.all(&mut writer, &self.window, 1);
                }
                let mut latencies = Latencies::with_room(n);
                for at in 0..n {
                    let event = std::slice::from_ref(&self.window[(at % WINDOW) as usize]);
                    let start = clock::now();
                    appender.batch(&mut writer, event);
                    latencies.push(clock::now() - start);
                }
                latencies
            },
            || {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let mut bare =
                    Mapped::create(&dir.path().join("bare"), size(FILE_BYTES, 4 << 20)).expect("room");
                let mut latencies = Latencies::with_room(n);
                for at in 0..n {
                    let record = &payloads[(at % WINDOW) as usize];
                    let start = clock::now();
                    bare.append(record.payload);
                    latencies.push(clock::now() - start);
                }
                latencies
            },
        );
        self.report.percentiles("one append by itself", Unit::Ns, &mut ours, &mut limit);
        self.report.row("  of it: the clock", 1001, Unit::Ns, &[clock::cost()]);
    }

    /// 1,000,000 records a second are offered; whatever is due is appended, then synced, and each append that crosses a
    /// change of segment is looked at by itself.
    fn rotations_at_a_rate(&self) {
        const NS_EACH: u64 = 1_000;
        let rotations = size(100, 3);
        let runs = 1;
        let config = Config { segment_bytes: size(4 << 20, 256 << 10), ..Config::default() };
        let (mut slowest, mut medians, mut waits, mut syncs) = (Vec::new(), Vec::new(), 0, Vec::new());
        let mut behind = 0;
        for _ in 0..runs {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let mut writer = create(&dir.path().join("j"), config);
            let mut appender = Appender::default();
            let mut crossings = Latencies::default();
            let begin = clock::now();
            let mut appended = 0;
            while crossings.count() < rotations {
                let due = (clock::now() - begin) / NS_EACH;
                behind = behind.max(due - appended.min(due));
                while appended < due {
                    let event = std::slice::from_ref(&self.window[(appended % WINDOW) as usize]);
                    let before = writer.stats().rotations;
                    let start = clock::now();
                    appender.batch(&mut writer, event);
                    let took = clock::now() - start;
                    if writer.stats().rotations > before {
                        crossings.push(took);
                    }
                    appended += 1;
                }
                writer.sync().expect("a sync");
            }
            slowest.push(crossings.max() as f64 / 1e3);
            medians.extend(permilles(&mut [crossings], 500, Unit::Us));
            waits += writer.stats().segment_waits;
            syncs.push(appended as f64 / writer.stats().syncs as f64);
        }
        let n = runs * rotations;
        let rate = "1 M/s offered, append across a rotation";
        self.report.row(&format!("{rate}, p50"), n, Unit::Us, &medians);
        self.report.row(
            &format!("{rate}, slowest"),
            n,
            Unit::Us,
            &[slowest.iter().fold(0.0, |a: f64, b| a.max(*b))],
        );
        self.report.row("  waits for a segment", n, Unit::Count, &[waits as f64]);
        self.report.row("  records a sync", n, Unit::Count, &[middle(&syncs)]);
        self.report.row("  records due at once at most", n, Unit::Count, &[behind as f64]);
    }

    /// As fast as it goes, full segments, their changes and syncs included.
    fn full_rate(&self) {
        let all = size(2_000_000, 20_000);
        let more: Vec<Event> = prelude().into_iter().chain((0..all).map(mixed)).collect();
        let n = more.len() as u64;
        let config = Config { segment_bytes: size(64 << 20, 1 << 20), ..Config::default() };
        let (mut cost, mut waits, mut bytes, mut rotations) = (Vec::new(), Vec::new(), 0.0, 0);
        for _ in 0..repetitions() {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let mut writer = create(&dir.path().join("j"), config);
            let mut appender = Appender::default();
            let (took, ()) = timed(|| appender.all(&mut writer, &more, 1));
            let stats = writer.stats();
            cost.push(took.as_nanos() as f64 / n as f64);
            waits.push(stats.segment_waits as f64);
            bytes = stats.bytes as f64 / stats.records as f64;
            rotations = stats.rotations;
        }
        self.report.row("at full rate, rotations and their syncs included", n, Unit::Ns, &cost);
        self.report.row("  rotations", n, Unit::Count, &[rotations as f64]);
        self.report.row("  waits for a segment", n, Unit::Count, &waits);
        let payload = self.encoded.payloads.len() as f64 / WINDOW as f64;
        self.report.row("bytes a record on disk (goal: at most 120)", n, Unit::Bytes, &[bytes]);
        self.report.row("  of it: payload", n, Unit::Bytes, &[payload]);
        self.report.row("  of it: frame and padding", n, Unit::Bytes, &[bytes - payload]);
    }
}

fn main() {
    let goal = "no sync for each (goals: 100 ns a record, p99.9 below 5 us, across a rotation below 1 ms); \
                the limit is a bare mapped file, payloads encoded already, crc32fast per record";
    let window: Vec<Event> = (0..WINDOW).map(mixed).collect();
    let bench = Bench { report: Report::new("append", goal), encoded: Encoded::of(&window), window };
    bench.within_a_segment(1);
    bench.within_a_segment(CYCLE as usize);
    bench.latencies();
    bench.rotations_at_a_rate();
    bench.full_rate();
}
