//! Durable appends beside the bare machine: a mapped file, a checksum, `fdatasync` of the same bytes, in one run.
//!
//! One each, in groups, and open-loop: records arrive at a rate whether or not the writer is ready for them.

use aegis_benches::bare::Mapped;
use aegis_benches::fill::{Appender, create};
use aegis_benches::report::{Latencies, Report, Unit, interleaved, repetitions};
use aegis_benches::{CYCLE, Encoded, clock, mixed, prelude, size};
use aegis_journal::{Config, DirStorage, NewRecord, Room, Writer};
use aegis_model::Event;
use tempfile::TempDir;

/// Events that stay in the cache.
const WINDOW: u64 = 4_096;
const FILE_BYTES: u64 = 64 << 20;

/// A journal that has left its small first segment, and a bare file of a segment's size beside it.
struct Pair {
    writer: Writer<DirStorage>,
    bare: Mapped,
    _dir: TempDir,
}

fn pair() -> Pair {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut writer = create(&dir.path().join("j"), Config::default());
    let mut appender = Appender::default();
    let first: Vec<Event> = prelude().into_iter().chain((0..size(60_000, 0)).map(mixed)).collect();
    appender.all(&mut writer, &first, CYCLE as usize);
    writer.sync().expect("a sync");
    let bare = Mapped::create(&dir.path().join("bare"), size(FILE_BYTES, 4 << 20)).expect("room");
    Pair { writer, bare, _dir: dir }
}

/// One sync a group; the two take turns, so that both meet the same device.
fn groups(report: &Report, records: &[NewRecord<'_>], group: u64) {
    let groups = size(if group == 1 { 2_000 } else { 200 }, 5);
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..repetitions() {
        let Pair { mut writer, mut bare, _dir } = pair();
        let (mut a, mut b) = (Latencies::with_room(groups), Latencies::with_room(groups));
        let mut next = records.iter().cycle();
        for _ in 0..groups {
            let chunk: Vec<&NewRecord<'_>> = next.by_ref().take(group as usize).collect();
            let start = clock::now();
            for record in &chunk {
                writer.append(std::slice::from_ref(record), Room::Reserve).expect("room");
            }
            writer.sync().expect("a sync");
            a.push(clock::now() - start);
            let start = clock::now();
            chunk.iter().for_each(|record| bare.append(record.payload));
            bare.sync().expect("a sync");
            b.push(clock::now() - start);
        }
        ours.push(a);
        limit.push(b);
    }
    let n = groups * repetitions() * group;
    if group == 1 {
        report.percentiles("durable, one each", Unit::Us, &mut ours, &mut limit);
        return;
    }
    let each = |runs: &[Latencies]| -> Vec<f64> {
        runs.iter().map(|run| run.total() as f64 / (groups * group) as f64).collect()
    };
    report.beside(&format!("durable, groups of {group}, a record"), n, Unit::Ns, &each(&ours), &each(&limit));
    report.percentiles(&format!("durable, groups of {group}, a group"), Unit::Us, &mut ours, &mut limit);
}

/// From a record's arrival to its being durable.
struct Offered {
    latencies: Latencies,
    records_per_sync: f64,
}

/// Appends what is due and syncs, again and again, for `n` records that arrive `per_second`.
fn open_loop(n: u64, per_second: u64, mut append: impl FnMut(u64), mut sync: impl FnMut()) -> Offered {
    let arrives = |record: u64| record * 1_000_000_000 / per_second;
    let mut latencies = Latencies::with_room(n);
    // Each sync is noted by itself; the records' latencies are worked out afterwards, outside the loop.
    let mut syncs = Vec::with_capacity(1 << 16);
    let begin = clock::now();
    let mut done = 0;
    while done < n {
        let due = ((clock::now() - begin) * per_second / 1_000_000_000).min(n);
        if due == done {
            std::hint::spin_loop();
            continue;
        }
        (done..due).for_each(&mut append);
        sync();
        syncs.push((done, due, clock::now() - begin));
        done = due;
    }
    for (from, to, at) in &syncs {
        (*from..*to).for_each(|record| latencies.push(at - arrives(record)));
    }
    Offered { latencies, records_per_sync: n as f64 / syncs.len() as f64 }
}

fn offered(report: &Report, window: &[Event], records: &[NewRecord<'_>], per_second: u64) {
    let n = size(per_second, per_second / 100);
    let (ours, limit) = interleaved(
        repetitions(),
        || {
            let Pair { writer, _dir, .. } = pair();
            let writer = std::cell::RefCell::new(writer);
            let mut appender = Appender::default();
            open_loop(
                n,
                per_second,
                |at| {
                    let event = &window[(at % WINDOW) as usize];
                    appender.batch(&mut writer.borrow_mut(), std::slice::from_ref(event));
                },
                || {
                    writer.borrow_mut().sync().expect("a sync");
                },
            )
        },
        || {
            let Pair { bare, _dir, .. } = pair();
            let bare = std::cell::RefCell::new(bare);
            open_loop(
                n,
                per_second,
                |at| bare.borrow_mut().append(records[(at % WINDOW) as usize].payload),
                || bare.borrow().sync().expect("a sync"),
            )
        },
    );
    let per_sync = |all: &[Offered]| -> Vec<f64> { all.iter().map(|o| o.records_per_sync).collect() };
    let (ours_per_sync, limit_per_sync) = (per_sync(&ours), per_sync(&limit));
    let mut ours: Vec<Latencies> = ours.into_iter().map(|o| o.latencies).collect();
    let mut limit: Vec<Latencies> = limit.into_iter().map(|o| o.latencies).collect();
    let rate = format!("{} M/s offered, arrival to durable", per_second as f64 / 1e6);
    report.percentiles(&rate, Unit::Us, &mut ours, &mut limit);
    report.beside("  records a sync", n * repetitions(), Unit::Count, &ours_per_sync, &limit_per_sync);
}

fn main() {
    let goal = "durable append (goals: one each p50 within 1.10 and p99.9 within 1.5 of the limit, groups within \
                1.25, 2 M/s offered durable at p99 below 1 ms); the limit is a bare mapped append and fdatasync";
    let report = Report::new("sync", goal);
    let window: Vec<Event> = (0..WINDOW).map(mixed).collect();
    let encoded = Encoded::of(&window);
    let records: Vec<NewRecord<'_>> = encoded.records().collect();
    for group in [1, 64, 1024] {
        groups(&report, &records, group);
    }
    offered(&report, &window, &records, 2_000_000);
}
