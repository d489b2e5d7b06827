//! The frozen specimens of every format version: this code, and thirty lines of Python, find in them what is written
//! beside them.

use super::support::*;
use aegis_journal::{DirStorage, Expect, Finding, JournalReader, OpenError, Row, Storage, open};
use aegis_model::{Event, Fact, Fixed, Machine};
use aegis_node::{Limits, Node};
use aegis_tests::world::{Engine, story_settings};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A copy that recovery may write to.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (file, bytes) in segments(&specimen(name)) {
        fs::write(dir.path().join(file), bytes).expect("a writable copy");
    }
    dir
}

fn storage(dir: &Path) -> DirStorage {
    DirStorage::new(dir).expect("a directory")
}

fn check(kind: &str) {
    VERSIONS.iter().for_each(|version| check_one(&format!("{version}/{kind}")));
}

fn check_one(name: &str) {
    let expected = expected(name);
    let before = segments(&specimen(name));
    let number = |key: &str| expected[key].as_u64().unwrap_or_else(|| panic!("{name}: {key}"));
    let dir = copy(name);
    let (records, report) = recover(storage(dir.path()), true).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(format!("{:?}", report.row), expected["row"].as_str().expect("a row"), "{name}: {report:?}");
    assert_eq!(records.len() as u64, number("records"), "{name}");
    assert_eq!((report.last_lsn, report.next_lsn), (number("last_lsn"), number("next_lsn")), "{name}");
    let digest = fold(&records).digest();
    assert_eq!(
        hex(&digest),
        expected["digest"][format!("state {}", aegis_projection::state::STATE_VERSION)]
            .as_str()
            .expect("a digest of this version of the state"),
        "{name}: the fold of frozen records"
    );
    assert_eq!(segments(&specimen(name)), before, "specimens are never written");
    // What was decided stands: the next opening is clean and folds the same, and behind rot the record of it.
    let (again, later) = recover(storage(dir.path()), true).unwrap_or_else(|e| panic!("{name}, again: {e}"));
    let gap_records = usize::from(report.gap.is_some());
    assert_eq!(again[..records.len()], records, "{name}");
    assert_eq!((again.len(), later.row), (records.len() + gap_records, Row::B), "{name}, again");
    assert_eq!(later.next_lsn, number("next_lsn") + gap_records as u64, "{name}, again");
    let state = fold(&again);
    assert_eq!(
        state.lsn.0,
        later.next_lsn - 1,
        "{name}, again: the fold and the journal count the same records"
    );
    assert_eq!(state.journal.open_gap.is_some(), report.gap.is_some(), "{name}, again");
}

/// Kinds that came after the specimens were frozen.
const LATER: &[u16] = &[7, 8, 49, 73, 74, 98, 99];

#[test]
fn a_whole_specimen_is_read_whole() {
    check("whole");
    for (version, last) in [("v1", 121), ("v2", 121)] {
        let records = read(&disk(&segments(&specimen(&format!("{version}/whole")))));
        let mut kinds: Vec<u16> = records.iter().map(|r| r.head.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let then =
            Fact::KINDS.iter().map(|(kind, _)| *kind).filter(|kind| *kind <= last && !LATER.contains(kind));
        assert_eq!(kinds, then.collect::<Vec<_>>(), "one of each kind there was at the time of {version}");
    }
}

/// Version 3 is version 2 and compressed segments.
#[test]
fn a_compressed_segment_is_read_like_any_other() {
    check_one("v3/compressed");
    let files = segments(&specimen("v3/compressed"));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0000000001.segz", "0000000002.seg", "0000000003.seg"]);
    assert!(files[1..].iter().all(|(_, bytes)| bytes[8] == 3), "older programs refuse it by name");
    let (ours, plain) = (read(&disk(&files)), read(&disk(&segments(&specimen("v2/whole")))));
    assert_eq!(ours.len(), plain.len());
    for (ours, plain) in ours.iter().zip(&plain) {
        assert_eq!((ours.lsn, &ours.head, &ours.payload), (plain.lsn, &plain.head, &plain.payload));
    }
}

/// Version 4 is a page in the place of the segments that were pruned.
#[test]
fn a_pruned_journal_begins_where_its_page_says() {
    let told = expected("v4/pruned");
    let files = segments(&specimen("v4/pruned"));
    let page = &files[0].1;
    assert_eq!((page.len(), page[8], page[15]), (4096, 4, 1), "older programs refuse it by name");
    let disk = disk(&files);
    let reader = JournalReader::open(disk.reader()).expect("a journal");
    let pruned = reader.pruned().expect("a page says so").clone();
    assert_eq!((Some(pruned.last_lsn), pruned.segment), (told["begins_behind"].as_u64(), 1));
    assert_eq!(Some(pruned.held_in.as_str()), told["held_in"].as_str());
    let records = read(&disk);
    assert_eq!(Some(records.len() as u64), told["records"].as_u64());
    assert_eq!(records.first().map(|r| r.lsn), Some(pruned.last_lsn + 1));
    assert_eq!(records.last().map(|r| r.lsn), told["last_lsn"].as_u64());
    // The records go on from where the page says, to the last bit; only a checkpoint is missing here.
    let found = aegis_journal::verify(&disk.reader(), |_| ()).expect("a journal").findings;
    assert!(matches!(&found[..], [Finding::Rot(gap)] if gap.first_lsn == 1), "{found:?}");
    assert!(matches!(open(disk.clone(), EXPECT, CONFIG), Err(OpenError::Pruned(other)) if other == pruned));
    the_readers_agree("v4/pruned");
}

#[test]
fn a_torn_tail_is_cut() {
    check("torn");
}

#[test]
fn a_hole_before_unsynced_batches_is_cut_with_them() {
    check("hole");
}

#[test]
fn a_flipped_bit_of_acknowledged_data_is_rot() {
    check("rot");
}

/// The gap is declared in the header of the new segment before the engine can write its own record of it. A process
/// that dies between the two must not leave a journal that hides the gap, or that nobody can open.
#[test]
fn dying_before_the_record_of_a_gap_is_durable_does_not_hide_the_gap() {
    let mut disk = disk(&segments(&specimen("v2/rot")));
    let records = expected("v2/rot")["records"].as_u64().expect("a count");
    for opening in 1..4 {
        let engine = Engine::new(story_settings());
        let (node, report) = Node::open(engine, disk.clone(), EXPECT, CONFIG, Limits::default())
            .unwrap_or_else(|e| panic!("opening {opening}: {e}"));
        assert_eq!(node.machine().lsn().0, records, "opening {opening}: the intact prefix");
        let gap =
            report.recovery.gap.unwrap_or_else(|| panic!("opening {opening}: the gap is still reported"));
        assert_eq!((report.recovery.row, gap.first_lsn), (Row::E, records + 1), "opening {opening}");
        drop(node);
        disk = disk.kill();
    }
}

/// A journal of version 1 is read, verified and continued; what is added is of this version.
#[test]
fn a_version_1_journal_is_continued_and_verifies_as_a_whole() {
    let dir = copy("v1/whole");
    let (records, _) = recover(storage(dir.path()), true).expect("a whole journal");
    let report = aegis_journal::verify_dir(dir.path(), |_| ()).expect("a journal");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, records.len() as u64);
    let versions: Vec<u8> = segments(dir.path()).iter().map(|(_, bytes)| bytes[8]).collect();
    assert_eq!(versions, [1, 1, 2]);
}

#[test]
fn a_missing_segment_is_rot() {
    check("missing");
}

#[test]
fn another_journal_is_refused_by_name() {
    let dir = copy("v2/whole");
    let refused = open(storage(dir.path()), Expect { journal_id: Some([9; 16]), ..EXPECT }, CONFIG);
    assert!(matches!(refused, Err(OpenError::WrongJournal { expected, .. }) if expected == [9; 16]));
    let refused = open(storage(dir.path()), Expect { schema: 2, ..EXPECT }, CONFIG);
    assert!(matches!(refused, Err(OpenError::WrongSchema { expected: 2, found: 1 })));
    let refused = open(storage(dir.path()), Expect { mode: 2, ..EXPECT }, CONFIG);
    assert!(matches!(refused, Err(OpenError::WrongMode { expected: 2, found: 1 })));
    assert_eq!(segments(dir.path()), segments(&specimen("v2/whole")), "a refusal changes nothing");
}

/// What the reader says where nothing decompresses.
const NO_ZSTD: i32 = 3;

fn python(name: &str) -> (Vec<Value>, bool) {
    try_python(name).unwrap_or_else(|| panic!("{name} needs no zstd"))
}

fn try_python(name: &str) -> Option<(Vec<Value>, bool)> {
    let run = Command::new("python3")
        .arg(root().join("fixtures/journals/reader.py"))
        .arg(specimen(name))
        .output()
        .unwrap_or_else(|e| panic!("python3 is needed to read the specimens without Rust: install it ({e})"));
    if run.status.code() == Some(NO_ZSTD) {
        return None;
    }
    let text = String::from_utf8(run.stdout).expect("JSON lines are UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("one JSON value per line"));
    Some((lines.collect(), run.status.success()))
}

fn same_record(line: &Value, record: &Owned) {
    let number = |key: &str| line[key].as_i64().unwrap_or_else(|| panic!("{key} in {line}"));
    assert_eq!(number("lsn"), record.lsn as i64);
    assert_eq!(number("kind"), i64::from(record.head.kind));
    assert_eq!(number("time_ns"), record.head.time.0);
    assert_eq!(number("actor"), i64::from(record.head.actor));
    assert_eq!(number("cause"), record.head.cause.0 as i64);
    assert_eq!(line["payload_hex"].as_str(), Some(hex(&record.payload).as_str()));
}

fn same_number(json: &Value, ours: Fixed) {
    let text = json.as_str().unwrap_or_else(|| panic!("a number as text, not {json}"));
    assert_eq!(text.parse::<Fixed>().ok(), Some(ours));
}

#[test]
fn a_reader_written_from_the_document_alone_agrees_record_by_record() {
    VERSIONS.iter().for_each(|version| the_readers_agree(&format!("{version}/whole")));
    // Python before 3.14 has no zstd of its own, and a program of that name is not everywhere.
    if try_python("v3/compressed").is_some() {
        the_readers_agree("v3/compressed");
    }
}

fn the_readers_agree(name: &str) {
    let (lines, good) = python(name);
    assert!(good);
    let records = read(&disk(&segments(&specimen(name))));
    assert_eq!(lines.len(), records.len());
    let mut bodies = 0;
    for (line, record) in lines.iter().zip(&records) {
        same_record(line, record);
        let body = &line["body"];
        let event = Event::decode(record.head, &record.payload).expect("an event");
        if let Fact::FillBooked(fill) = &event.fact {
            bodies += 1;
            assert_eq!(body["instrument"].as_u64(), Some(u64::from(fill.instrument.0)));
            assert_eq!(body["trade"].as_str(), Some(fill.trade.0.as_str()));
            assert_eq!(body["order"].as_u64(), Some(fill.order.0));
            assert_eq!(body["venue_order"].as_str(), fill.venue_order.as_ref().map(|v| v.0.as_str()));
            assert_eq!(body["side"].as_u64(), Some(u64::from(fill.side.number())));
            same_number(&body["price"], fill.price.0);
            same_number(&body["quantity"], fill.quantity.0);
            assert_eq!(body["fee"].is_null(), fill.fee.is_none());
            if let Some(fee) = fill.fee {
                assert_eq!(body["fee"]["asset"].as_u64(), Some(u64::from(fee.asset.0)));
                same_number(&body["fee"]["amount"], fee.amount.0);
            }
            assert_eq!(body["executed"].as_i64(), Some(fill.executed.0));
            assert_eq!(body["source"].as_u64(), Some(u64::from(fill.source.number())));
        } else if let Fact::StopMoved(moved) = &event.fact {
            bodies += 1;
            assert_eq!(body["instrument"].as_u64(), Some(u64::from(moved.instrument.0)));
            assert_eq!(body["why"].as_u64(), Some(u64::from(moved.why.number())));
            same_number(&body["stop"], moved.stop.0);
            same_number(&body["mark"], moved.mark.0);
            same_number(&body["quantity"], moved.quantity.0);
            assert_eq!(body["stages_reached"].as_u64(), Some(u64::from(moved.stages_reached)));
            assert_eq!(body["take_profit"].is_null(), moved.take_profit.is_none());
        }
    }
    assert!(bodies >= 8, "fills and stops were decoded: {bodies}");
}

#[test]
fn it_stops_where_a_record_is_not_whole() {
    let (lines, good) = python("v2/rot");
    assert!(!good, "rot is an error");
    assert_eq!(lines.len() as u64, expected("v2/rot")["records"].as_u64().expect("a count"));
}
