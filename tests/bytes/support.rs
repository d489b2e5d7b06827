//! What the byte tests share: where specimens lie, journals made of stored batches, and what opening one finds.

use aegis_journal::{
    Config, Expect, GapEvidence, Identity, JournalReader, MemStorage, OpenError, Record, RecoveryReport,
    Storage, create, open,
};
use aegis_model::event::{ENGINE_SCHEMA, GapFound};
use aegis_model::{Actor, Event, Lsn, RecordHead, Text, Timestamp};
use aegis_projection::State;
use serde_json::Value;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub(super) const CONFIG: Config =
    Config { segment_bytes: Config::SEGMENT_BYTES_MIN, knows: |_, _| true, compress: false };
pub(super) const IDENTITY: Identity =
    Identity { journal_id: *b"tests/bytes.rs..", schema: ENGINE_SCHEMA, mode: 1 };
pub(super) const EXPECT: Expect = Expect { journal_id: None, schema: ENGINE_SCHEMA, mode: 1 };
pub(super) const SEGMENT: &str = "0000000001.seg";

pub(super) use aegis_forensics::testing::append_encoded as append;

/// A batch as it is stored.
pub(super) type Batch = Vec<(RecordHead, Vec<u8>)>;

/// A record that outlives its reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Owned {
    pub(super) lsn: u64,
    pub(super) head: RecordHead,
    pub(super) payload: Vec<u8>,
    pub(super) batch_end: bool,
    pub(super) segment: u64,
    pub(super) offset: usize,
}

impl Owned {
    pub(super) fn of(record: &Record<'_>) -> Owned {
        let head = RecordHead {
            kind: record.kind,
            version: record.version,
            actor: record.actor,
            time: Timestamp(record.time_ns),
            cause: Lsn(record.cause),
        };
        Owned {
            lsn: record.lsn,
            head,
            payload: record.payload.to_vec(),
            batch_end: record.batch_end,
            segment: record.segment,
            offset: usize::try_from(record.offset).expect("small files"),
        }
    }
}

/// Every format version there are specimens of.
pub(super) const VERSIONS: [&str; 2] = ["v1", "v2"];

/// The directory of a specimen, named by version and kind: `v1/whole`.
pub(super) fn specimen(name: &str) -> PathBuf {
    root().join("fixtures/journals").join(name)
}

/// The checkout.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_path_buf()
}

/// What its expected.json says.
pub(super) fn expected(name: &str) -> Value {
    let path = specimen(name).join("expected.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The segments of a directory, by name.
pub(super) fn segments(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg" || e == "segz"))
        .map(|path| {
            let name = path.file_name().and_then(|n| n.to_str()).expect("a plain name").to_owned();
            (name, fs::read(&path).expect("a readable specimen"))
        })
        .collect();
    found.sort();
    found
}

/// A disk in memory that holds these files.
pub(super) fn disk(files: &[(String, Vec<u8>)]) -> MemStorage {
    let disk = MemStorage::new();
    for (name, bytes) in files {
        disk.set_file(name, bytes);
    }
    disk
}

/// A journal of these batches, each synced but the last `unsynced`; killed, not closed.
pub(super) fn journal(batches: &[Batch], unsynced: usize) -> MemStorage {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), IDENTITY, CONFIG).expect("an empty disk");
    for (at, batch) in batches.iter().enumerate() {
        append(&mut writer, batch);
        if at + unsynced < batches.len() {
            writer.sync().expect("a good disk");
        }
    }
    drop(writer);
    disk.kill()
}

/// Every record that a reader shows as folded.
pub(super) fn read<S: Storage>(disk: &S) -> Vec<Owned> {
    let mut reader = JournalReader::open(disk.reader()).expect("a journal");
    let mut records = Vec::new();
    while let Some(record) = reader.next().expect("no damage") {
        records.push(Owned::of(&record));
    }
    records
}

/// What recovery folds, and its report. Carried out in full, with a record of the gap, when `finish` says so.
pub(super) fn recover<S: Storage>(disk: S, finish: bool) -> Result<(Vec<Owned>, RecoveryReport), OpenError> {
    let mut opening = open(disk, EXPECT, CONFIG)?;
    let mut records = Vec::new();
    opening.records(1, |record| {
        assert!(!record.after_gap, "what lies behind rot is not folded");
        records.push(Owned::of(&record));
        ControlFlow::<()>::Continue(())
    })?;
    assert_eq!(records.last().map_or(0, |r| r.lsn), opening.last_lsn());
    assert!(records.last().is_none_or(|r| r.batch_end), "whole batches only");
    let report = opening.report().clone();
    if finish {
        let (mut writer, report) = opening.finish()?;
        if let Some(gap) = &report.gap {
            append(&mut writer, &gap_record(gap));
            writer.sync().expect("a good disk");
        }
    }
    Ok((records, report))
}

/// The record that a caller appends first behind rot.
pub(super) fn gap_record(gap: &GapEvidence) -> Batch {
    let found = GapFound {
        first: Lsn(gap.first_lsn),
        last: Lsn(gap.last_lsn),
        bytes: gap.bytes,
        segment: gap.segment,
        evidence: Text::new("test"),
    };
    let event = Event { at: Timestamp::EPOCH, actor: Actor::Process, cause: Lsn::NONE, fact: found.into() };
    let mut payload = Vec::new();
    vec![(event.encode(&mut payload), payload)]
}

/// Records put together into their batches.
pub(super) fn batches(records: &[Owned]) -> Vec<Batch> {
    let whole = records.split_inclusive(|r| r.batch_end);
    whole.map(|batch| batch.iter().map(|r| (r.head, r.payload.clone())).collect()).collect()
}

/// The fold of records.
pub(super) fn fold(records: &[Owned]) -> State {
    let mut state = State::default();
    for record in records {
        state.apply(&Event::decode(record.head, &record.payload).expect("an event of this version"));
    }
    state
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
