//! Appending without a sync: encode, frame, checksum, store; one record a batch and twenty a batch.

use aegis_benches::{CYCLE, IDENTITY, median, mixed, prelude, row, size, timed};
use aegis_journal::{Config, DirStorage, NewRecord, Room, Writer};
use aegis_model::Event;

/// Appends all events in batches of this size.
fn append(writer: &mut Writer<DirStorage>, events: &[Event], batch: usize) {
    let mut payloads = Vec::with_capacity(1 << 16);
    let mut ends = Vec::with_capacity(batch);
    let nothing = NewRecord { kind: 1, version: 1, actor: 1, time_ns: 0, cause: 0, payload: &[] };
    for chunk in events.chunks(batch) {
        payloads.clear();
        ends.clear();
        for event in chunk {
            let head = event.encode(&mut payloads);
            ends.push((head, payloads.len()));
        }
        let mut start = 0;
        let mut records = [nothing; CYCLE as usize];
        for (slot, (head, end)) in records.iter_mut().zip(&ends) {
            *slot = NewRecord {
                kind: head.kind,
                version: head.version,
                actor: head.actor,
                time_ns: head.time.0,
                cause: head.cause.0,
                payload: &payloads[start..*end],
            };
            start = *end;
        }
        writer.append(&records[..chunk.len()], Room::Reserve).expect("room");
    }
}

fn main() {
    // The first segment of an opening is small; the warm-up leaves it, and what is timed fits in the next one. The
    // events are a window that stays in the cache, as those of a deciding engine are.
    let rounds = size(125, 5);
    let window: Vec<Event> = (0..4_000).map(mixed).collect();
    let count = rounds * window.len() as u64;
    println!("append, no sync, within a segment (goal: below 100 ns a record)");
    for batch in [1, CYCLE as usize] {
        let took = median(size(5, 1) as usize, || {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let storage = DirStorage::new(dir.path().join("j")).expect("a directory");
            let config = Config { segment_bytes: 64 << 20, ..Config::default() };
            let mut writer = aegis_journal::create(storage, IDENTITY, config).expect("a new journal");
            for _ in 0..size(15, 0) {
                append(&mut writer, &window, batch);
            }
            writer.sync().expect("a sync");
            let rotations = writer.stats().rotations;
            let (took, ()) = timed(|| {
                for _ in 0..rounds {
                    append(&mut writer, &window, batch);
                }
            });
            assert_eq!(writer.stats().rotations, rotations, "what is timed lies within one segment");
            took
        });
        row(&format!("append, batches of {batch}, encode included"), count, took);
    }
    let all = size(2_000_000, 20_000);
    let more: Vec<Event> = prelude().into_iter().chain((0..all).map(mixed)).collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let storage = DirStorage::new(dir.path().join("j")).expect("a directory");
    let mut writer = aegis_journal::create(storage, IDENTITY, Config::default()).expect("a new journal");
    let (took, ()) = timed(|| append(&mut writer, &more, 1));
    let stats = writer.stats();
    row("append at full rate, rotations and their syncs included", more.len() as u64, took);
    println!(
        "  {:.1} bytes a record on disk, {} rotations, {} waits for a segment",
        stats.bytes as f64 / stats.records as f64,
        stats.rotations,
        stats.segment_waits
    );
}
