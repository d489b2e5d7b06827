//! Durable appends beside the bare machine: a mapped-like pwrite and fdatasync of the same bytes, in one run.

use aegis_benches::{Encoded, IDENTITY, mixed, prelude, row, size};
use aegis_journal::{Config, DirStorage, NewRecord, Room};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

fn percentile(sorted: &[Duration], permille: usize) -> f64 {
    sorted[(sorted.len() - 1) * permille / 1000].as_nanos() as f64 / 1000.0
}

fn print(what: &str, mut took: Vec<Duration>, group: u64) {
    let total: Duration = took.iter().sum();
    row(what, took.len() as u64 * group, total);
    took.sort_unstable();
    println!(
        "{:<52} p50 {:>8.1} us  p99 {:>8.1} us  p99.9 {:>8.1} us",
        "",
        percentile(&took, 500),
        percentile(&took, 990),
        percentile(&took, 999)
    );
}

fn main() {
    println!("durable append, one sync a group (goal: p50 within 1.10 of the bare file in the same run)");
    for group in [1u64, 64, 1024] {
        let groups = size(if group == 1 { 3_000 } else { 400 }, 5);
        let mut events = prelude();
        events.extend((0..groups * group).map(mixed));
        let encoded = Encoded::of(&events);
        let records: Vec<NewRecord<'_>> = encoded.records().collect();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let storage = DirStorage::new(dir.path().join("j")).expect("a directory");
        let mut writer = aegis_journal::create(storage, IDENTITY, Config::default()).expect("a new journal");
        for record in &records[..events.len() - (groups * group) as usize] {
            writer.append(&[*record], Room::Reserve).expect("room");
        }
        writer.sync().expect("a sync");
        let bare = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(dir.path().join("bare"))
            .expect("a file");
        bare.write_all_at(&vec![0; 64 << 20], 0).expect("room");
        bare.sync_all().expect("a sync");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut at = 0;
        for chunk in records[records.len() - (groups * group) as usize..].chunks(group as usize) {
            let start = Instant::now();
            for record in chunk {
                writer.append(std::slice::from_ref(record), Room::Reserve).expect("room");
            }
            writer.sync().expect("a sync");
            ours.push(start.elapsed());
            let bytes: Vec<u8> = chunk.iter().flat_map(|r| [&[0u8; 32][..], r.payload].concat()).collect();
            let start = Instant::now();
            bare.write_all_at(&bytes, at % (60 << 20)).expect("room");
            bare.sync_data().expect("a sync");
            theirs.push(start.elapsed());
            at += bytes.len() as u64;
        }
        print(&format!("aegis, groups of {group}"), ours, group);
        print(&format!("bare file, groups of {group}"), theirs, group);
    }
}
