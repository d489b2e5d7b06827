//! Appending without a sync: encode, frame, checksum, store; one record a batch and twenty a batch.

use aegis_benches::{CYCLE, IDENTITY, median, mixed, prelude, row, size, timed};
use aegis_journal::{Config, DirStorage, NewRecord, Room};

fn main() {
    let count = size(1_000_000, 20_000);
    let mut events = prelude();
    events.extend((0..count).map(mixed));
    println!("append, no sync (goal: below 100 ns a record)");
    for batch in [1, CYCLE as usize] {
        let took = median(size(5, 1) as usize, || {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let storage = DirStorage::new(dir.path().join("j")).expect("a directory");
            let config = Config { segment_bytes: 64 << 20, ..Config::default() };
            let mut writer = aegis_journal::create(storage, IDENTITY, config).expect("a new journal");
            let mut payloads = Vec::with_capacity(1 << 16);
            let mut ends = Vec::with_capacity(batch);
            let (took, ()) = timed(|| {
                for chunk in events.chunks(batch) {
                    payloads.clear();
                    ends.clear();
                    for event in chunk {
                        let head = event.encode(&mut payloads);
                        ends.push((head, payloads.len()));
                    }
                    let mut start = 0;
                    let mut records = [NewRecord { kind: 1, version: 1, actor: 1, time_ns: 0, cause: 0, payload: &[] }; CYCLE as usize];
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
            });
            let stats = writer.stats();
            assert_eq!(stats.records, events.len() as u64);
            if batch == 1 {
                let bytes = stats.bytes as f64 / stats.records as f64;
                println!("  {bytes:.1} bytes a record on disk, {} rotations, {} waits for a segment", stats.rotations, stats.segment_waits);
            }
            took
        });
        row(&format!("append, batches of {batch}, encode included"), events.len() as u64, took);
    }
}
