//! Each peer gives back what it was given, and a run of a tiny size makes a whole table.

use crate::log::{Peer, Place, Sync};
use crate::measure::{self, Metric, Sizes};
use crate::peers;
use crate::table::{self, Row};
use crate::workload::Workload;
use std::time::Duration;

const RECORDS: usize = 1_000;

fn write(peer: &dyn Peer, dir: &std::path::Path, workload: &Workload, sync: Sync, group: usize) {
    let records = workload.records();
    let place =
        Place { dir, payload_bytes: workload.payload_bytes(records.len()), records: records.len() as u64 };
    let mut work = |log: &mut dyn crate::log::Log| {
        for unit in records.chunks(group) {
            log.append(unit)?;
        }
        Ok(())
    };
    peer.write(&place, sync, &mut work).expect("writes");
}

#[test]
fn every_peer_gives_back_what_it_was_given() {
    let workload = Workload::of(RECORDS);
    for peer in peers::all() {
        for (sync, group) in [(Sync::Later, 1), (Sync::Each, 64)] {
            let name = peer.facts().name;
            let dir = tempfile::tempdir().expect("a temporary directory");
            write(peer.as_ref(), dir.path(), &workload, sync, group);
            for check in [RECORDS, RECORDS + 1, RECORDS - 1] {
                let seen = peer.replay(dir.path(), Workload::of(RECORDS + 1).check(check)).expect(name);
                let whole = check == RECORDS;
                assert_eq!(seen.finish().is_ok(), whole, "{name}, {sync:?}, {check} of {RECORDS}");
            }
        }
    }
}

#[test]
fn another_payload_is_noticed() {
    let workload = Workload::of(2);
    let records = workload.records();
    let mut check = workload.check(2);
    check.see(records[0].payload);
    check.see(records[0].payload);
    assert_eq!(check.finish(), Err("record 1 of 2 came back different".to_owned()));
}

#[test]
fn a_small_run_fills_every_cell() {
    let sizes =
        Sizes { records: 500, singles: 10, groups: 3, repetitions: 1, rest: Duration::from_millis(1) };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let all = peers::all();
    let figures = measure::run(&all, sizes, dir.path()).expect("runs");
    let rows: Vec<Row> =
        all.iter().zip(figures).map(|(peer, figures)| Row { facts: peer.facts(), figures }).collect();
    for row in &rows {
        for metric in Metric::ALL {
            let is_append = matches!(metric, Metric::Append | Metric::AppendCpu);
            let expected = row.facts.can_defer || !is_append;
            assert_eq!(row.figures.spread(metric).is_some(), expected, "{} {metric:?}", row.facts.name);
        }
    }
    let text = table::text(&rows, sizes, 50.0);
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert_eq!(table::markdown(&rows).lines().count(), 2 + rows.len());
    assert_eq!(table::json(&rows).lines().count(), Metric::ALL.len() * rows.len() - 2);
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing is left behind");
}
