//! What every test of this crate builds on: a journal in memory, batches that can be recognised again, and
//! the oracle's view of what must be there.

use std::ops::ControlFlow;

use crate::{
    Config, Expect, Identity, JournalReader, MemReader, MemStorage, NewRecord, OpenError, Opening, Record,
    RecoveryReport, Room, Writer, create, open,
};

mod crash;
mod damage;
mod format;
mod rows;
mod told;
mod window;

pub(crate) const ID: Identity = Identity { journal_id: *b"specimen-journal", schema: 1, mode: 2 };
pub(crate) const EXPECT: Expect = Expect { journal_id: Some(ID.journal_id), schema: 1, mode: 2 };
pub(crate) const SMALL: Config =
    Config { segment_bytes: Config::SEGMENT_BYTES_MIN, knows: |_, _| true, compress: false };

/// A record as the oracle remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) lsn: u64,
    pub(crate) kind: u16,
    pub(crate) version: u8,
    pub(crate) actor: u8,
    pub(crate) time_ns: i64,
    pub(crate) cause: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) batch_end: bool,
}

impl Owned {
    pub(crate) fn of(record: &Record<'_>) -> Owned {
        Owned {
            lsn: record.lsn,
            kind: record.kind,
            version: record.version,
            actor: record.actor,
            time_ns: record.time_ns,
            cause: record.cause,
            payload: record.payload.to_vec(),
            batch_end: record.batch_end,
        }
    }
}

/// The records of a batch that begins at `lsn`; every field is a function of LSN and seed.
pub(crate) fn batch_of(lsn: u64, count: u64, seed: u64) -> Vec<Owned> {
    (lsn..lsn + count)
        .map(|l| {
            let mix = (l ^ seed.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let length = (mix >> 40) as usize % 120;
            Owned {
                lsn: l,
                kind: 1 + (mix % 9) as u16,
                version: 1,
                actor: (mix >> 8) as u8,
                time_ns: l as i64 * 1_000_000,
                cause: if l > 3 { l - 1 - (mix >> 16) % 3 } else { 0 },
                payload: (0..length).map(|n| (mix >> (n % 8 * 8)) as u8 ^ n as u8).collect(),
                batch_end: l + 1 == lsn + count,
            }
        })
        .collect()
}

pub(crate) fn new_records(batch: &[Owned]) -> Vec<NewRecord<'_>> {
    batch
        .iter()
        .map(|r| NewRecord {
            kind: r.kind,
            version: r.version,
            actor: r.actor,
            time_ns: r.time_ns,
            cause: r.cause,
            payload: &r.payload,
        })
        .collect()
}

/// Appends a recognisable batch of `count` records.
pub(crate) fn append<S: crate::Storage>(
    writer: &mut Writer<S>,
    count: u64,
    seed: u64,
) -> Result<Vec<Owned>, crate::Fault> {
    let batch = batch_of(writer.next_lsn(), count, seed);
    let first = writer.append(&new_records(&batch), Room::Normal)?;
    assert_eq!(first, batch[0].lsn);
    Ok(batch)
}

/// Appends batches of three until so many changes of segment were begun.
pub(crate) fn rotate<S: crate::Storage>(writer: &mut Writer<S>, rotations: u64, seed: u64) {
    while writer.stats().rotations < rotations {
        append(writer, 3, seed).expect("room");
    }
}

/// A journal of `batches` batches of one to four records, synced after each, on a disk of its own.
pub(crate) fn specimen(batches: u64) -> (MemStorage, Vec<Owned>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).expect("an empty disk");
    let mut records = Vec::new();
    for n in 0..batches {
        records.extend(append(&mut writer, 1 + n % 4, 7).expect("room"));
        writer.sync().expect("a good disk");
    }
    drop(writer);
    (disk, records)
}

pub(crate) fn opened(disk: &MemStorage) -> Result<Opening<MemStorage>, OpenError> {
    open(disk.clone(), EXPECT, SMALL)
}

/// `SMALL`, with sealed segments compressed.
pub(crate) const PACKED: Config = Config { compress: true, ..SMALL };

pub(crate) fn folded(opening: &mut Opening<MemStorage>, from: u64) -> Result<Vec<Owned>, OpenError> {
    let mut out = Vec::new();
    opening.records(from, |record| {
        assert!(!record.after_gap);
        out.push(Owned::of(&record));
        ControlFlow::<()>::Continue(())
    })?;
    Ok(out)
}

/// Opens, folds from the first record, and finishes.
pub(crate) fn recover(
    disk: &MemStorage,
) -> Result<(Writer<MemStorage>, Vec<Owned>, RecoveryReport), OpenError> {
    recover_with(disk, SMALL)
}

pub(crate) fn recover_with(
    disk: &MemStorage,
    config: Config,
) -> Result<(Writer<MemStorage>, Vec<Owned>, RecoveryReport), OpenError> {
    let mut opening = open(disk.clone(), EXPECT, config)?;
    let records = folded(&mut opening, 1)?;
    assert_eq!(records.last().map_or(0, |r| r.lsn), opening.last_lsn());
    let (writer, report) = opening.finish()?;
    Ok((writer, records, report))
}

/// Records with their `after_gap` mark, and the damage met on the way.
pub(crate) type Shown = (Vec<(Owned, bool)>, Vec<crate::Damage>);

/// Everything a reader shows.
pub(crate) fn read_all(read: MemReader) -> Result<Shown, OpenError> {
    let mut reader = JournalReader::open(read)?;
    let mut records = Vec::new();
    let mut damages = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => records.push((Owned::of(&record), record.after_gap)),
            Ok(None) => return Ok((records, damages)),
            Err(damage) => damages.push(damage),
        }
        assert!(damages.len() < 10_000, "a reader must come to an end");
    }
}
