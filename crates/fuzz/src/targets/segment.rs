//! Whole journals with damage to their files, opened for writing: a prefix of what was written, or a refusal.
//!
//! ```text
//! input: which journal │ whether it goes on │ changes of 12 bytes each: what, file, where, more, more
//! ```

use crate::Target;
use aegis_journal::{
    Checkpoint, Config, Expect, Identity, JournalReader, MemStorage, NewRecord, OpenError, Record, Room, Row,
    Storage, Writer, create, open,
};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;

const IDENTITY: Identity = Identity { journal_id: *b"fuzzed-journal-2", schema: 1, mode: 2 };
const EXPECT: Expect = Expect { journal_id: Some(IDENTITY.journal_id), schema: 1, mode: 2 };
const CHANGE: usize = 12;

/// Which files are damaged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Segments,
    Packed,
    Checkpoints,
}

/// A record as it was appended.
#[derive(PartialEq, Eq, Debug)]
struct Owned {
    lsn: u64,
    kind: u16,
    version: u8,
    actor: u8,
    time_ns: i64,
    cause: u64,
    payload: Vec<u8>,
    batch_end: bool,
}

impl Owned {
    fn is(&self, record: &Record<'_>) -> bool {
        self.lsn == record.lsn
            && self.kind == record.kind
            && self.version == record.version
            && self.actor == record.actor
            && self.time_ns == record.time_ns
            && self.cause == record.cause
            && self.payload == record.payload
            && self.batch_end == record.batch_end
    }
}

fn batch(lsn: u64, count: u64, longest: u64) -> Vec<Owned> {
    let one = |lsn: u64, end: bool| {
        let mix = (lsn ^ 0x5eed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Owned {
            lsn,
            kind: 1 + (mix % 9) as u16,
            version: 1,
            actor: (mix >> 8) as u8,
            time_ns: lsn as i64 * 1_000_000,
            cause: if lsn > 3 { lsn - 1 - (mix >> 16) % 3 } else { 0 },
            payload: (0..(mix >> 40) % longest).map(|n| (mix >> (n % 8 * 8)) as u8 ^ n as u8).collect(),
            batch_end: end,
        }
    };
    (lsn..lsn + count).map(|l| one(l, l + 1 == lsn + count)).collect()
}

fn append(writer: &mut Writer<MemStorage>, count: u64, longest: u64) -> Vec<Owned> {
    let batch = batch(writer.next_lsn(), count, longest);
    let records: Vec<NewRecord<'_>> = batch
        .iter()
        .map(|r| NewRecord {
            kind: r.kind,
            version: r.version,
            actor: r.actor,
            time_ns: r.time_ns,
            cause: r.cause,
            payload: &r.payload,
        })
        .collect();
    writer.append(&records, Room::Normal).expect("room");
    batch
}

/// A journal to be hurt.
struct Journal {
    disk: MemStorage,
    config: Config,
    records: Vec<Owned>,
    /// Files that are hurt, each with how much of it is not zero.
    files: Vec<(String, usize)>,
    /// Checkpoints that were taken.
    checkpoints: Vec<Checkpoint>,
    /// Where the last batch that was told as durable begins: its file and its place there; and its last LSN.
    last: (String, u64, u64),
    /// Whether every batch was synced, so that each speaks for those before it.
    synced: bool,
}

/// How a journal is made.
struct Shape {
    batches: u64,
    longest: u64,
    compress: bool,
    close: bool,
    checkpoints: bool,
    unsynced: u64,
}

impl Journal {
    fn new(shape: &Shape, which: Which) -> Journal {
        let disk = MemStorage::new();
        let config = Config {
            segment_bytes: Config::SEGMENT_BYTES_MIN,
            compress: shape.compress,
            ..Config::default()
        };
        let mut writer = create(disk.clone(), IDENTITY, config).expect("an empty disk");
        let (mut records, mut checkpoints, mut acked) = (Vec::new(), Vec::new(), 0);
        for number in 0..shape.batches {
            records.extend(append(&mut writer, 1 + number % 4, shape.longest));
            acked = writer.sync().expect("a good disk");
            if shape.checkpoints && number % 8 == 5 {
                let state: Vec<u8> = (0..200 + number * 9).map(|n| (n * number) as u8).collect();
                writer.checkpoint(acked, [number as u8; 32], &state).expect("a good disk");
                checkpoints.push(Checkpoint { lsn: acked, digest: [number as u8; 32], bytes: state });
            }
        }
        for number in 0..shape.unsynced {
            records.extend(append(&mut writer, 1 + number % 3, shape.longest));
        }
        if shape.close {
            writer.close().expect("a good disk");
            acked = records.len() as u64;
        } else {
            drop(writer);
        }
        let mut last = (String::new(), 0, acked);
        let mut reader = JournalReader::open(Storage::reader(&disk)).expect("a journal").durable_only(false);
        while let Some(record) = reader.next().expect("whole") {
            if record.batch_first && record.lsn <= acked {
                last = (format!("{:010}.seg", record.segment), record.offset, acked);
            }
        }
        let wanted = |name: &&String| match which {
            Which::Segments => name.ends_with(".seg"),
            Which::Packed => name.ends_with(".segz"),
            Which::Checkpoints => name.ends_with(".ckpt"),
        };
        let content = |name: &String| {
            let bytes = disk.file(name).expect("listed");
            (name.clone(), bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1))
        };
        let files: Vec<_> = disk.names().iter().filter(wanted).map(content).collect();
        assert!(!files.is_empty(), "{:?}", disk.names());
        let synced = shape.unsynced == 0;
        Journal { disk, config, records, files, checkpoints, last, synced }
    }
}

/// The target.
pub(crate) struct Damage {
    journals: Vec<Journal>,
}

impl Damage {
    pub(crate) fn new(which: Which) -> Damage {
        let usual = Shape {
            batches: 22,
            longest: 120,
            compress: false,
            close: false,
            checkpoints: false,
            unsynced: 0,
        };
        let shapes = match which {
            Which::Segments => vec![
                Shape { ..usual },
                Shape { close: true, ..usual },
                Shape { unsynced: 5, ..usual },
                Shape { batches: 90, longest: 900, ..usual },
                Shape { checkpoints: true, ..usual },
                Shape { batches: 3, ..usual },
            ],
            Which::Packed => vec![
                Shape { batches: 180, longest: 900, compress: true, ..usual },
                Shape { batches: 260, longest: 700, compress: true, close: true, checkpoints: true, ..usual },
            ],
            Which::Checkpoints => vec![
                Shape { checkpoints: true, ..usual },
                Shape { checkpoints: true, close: true, batches: 60, ..usual },
            ],
        };
        Damage { journals: shapes.iter().map(|shape| Journal::new(shape, which)).collect() }
    }
}

/// One change to one file; where it ends when it is small: no more than a sector, and inside what is stored.
fn change(disk: &MemStorage, journal: &Journal, words: &[u8]) -> Option<(String, u64)> {
    let word = |at: usize| u32::from_le_bytes(words[at..at + 4].try_into().expect("four bytes")) as usize;
    let (name, content) = &journal.files[usize::from(words[1]) % journal.files.len()];
    let (other, _) = &journal.files[word(6) % journal.files.len()];
    // Removed by a change before this one.
    let bytes = disk.file(name)?;
    let reach = if words[0] & 0x80 == 0 { (content + 600).min(bytes.len()) } else { bytes.len() };
    let at = word(2) % reach.max(1);
    let more = word(6);
    let room = bytes.len() - at.min(bytes.len());
    if room == 0 {
        return None;
    }
    let sector = at / 512 * 512;
    let small = |end: usize| Some((name.clone(), end as u64));
    match words[0] % 13 {
        0..=2 => {
            disk.patch(name, at as u64, &[bytes[at] ^ 1 << (more % 8)]);
            small(at + 1)
        }
        3 => {
            disk.patch(name, at as u64, &[more as u8]);
            small(at + 1)
        }
        4 => {
            let end = (sector + 512).min(bytes.len());
            disk.patch(name, sector as u64, &vec![0; end - sector]);
            small(end)
        }
        5 => {
            let page = at / 4096 * 4096;
            disk.patch(name, page as u64, &vec![0; 4096.min(bytes.len() - page)]);
            None
        }
        6 => {
            disk.set_file(name, &bytes[..at]);
            None
        }
        7 => {
            let longer = [&bytes[..], &vec![words[10]; more % 9000]].concat();
            disk.set_file(name, &longer);
            None
        }
        8 => {
            // What belongs here was written somewhere else.
            let from = more % bytes.len() / 512 * 512;
            let count = 512.min(bytes.len() - from.max(sector));
            disk.patch(name, sector as u64, &bytes[from..from + count]);
            small(sector + count)
        }
        9 => {
            let foreign = disk.file(other).filter(|foreign| foreign.len() > sector)?;
            let count = (512 << (words[10] % 4)).min(foreign.len() - sector).min(bytes.len() - sector);
            disk.patch(name, sector as u64, &foreign[sector..sector + count]);
            None
        }
        10 if words[10].is_multiple_of(4) => {
            disk.remove_file(name);
            None
        }
        10 => {
            disk.set_file(name, &disk.file(other)?);
            None
        }
        11 => {
            let count = room.min(4);
            disk.patch(name, at as u64, &words[6..6 + count]);
            small(at + count)
        }
        _ => {
            let noise: Vec<u8> = (0..more % 512).map(|n| ((n * more) >> 3) as u8).take(room).collect();
            disk.patch(name, at as u64, &noise);
            small(at + noise.len())
        }
    }
}

impl Target for Damage {
    fn seeds(&self) -> Vec<Vec<u8>> {
        (0..self.journals.len() as u8)
            .flat_map(|journal| {
                (0..13).map(move |what| {
                    let mut input = vec![journal, what % 2, what];
                    input.extend([0, 0x10 + what, 0x11, 0, 0, 3, 0, 0, 0, 0, 0]);
                    input
                })
            })
            .collect()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let [which, goes_on, changes @ ..] = input else { return 0 };
        let journal = &self.journals[usize::from(*which) % self.journals.len()];
        let disk = journal.disk.fork();
        let changes: Vec<&[u8]> = changes.chunks_exact(CHANGE).collect();
        let small: Vec<_> = changes.iter().map(|words| change(&disk, journal, words)).collect();
        let told = journal.judge(&disk, goes_on % 4 == 0);
        if let ([Some((file, end))], true) = (&small[..], journal.synced) {
            let (last, place, acked) = &journal.last;
            // The last durable batch is whole and says of all before it that they were durable.
            let before = file < last || (file == last && end <= place);
            let (kept, row) = (told.kept, told.row);
            if before && let Some(row) = row {
                assert!(
                    kept >= *acked || row == Row::E,
                    "{kept} of {acked} are there, and the row is {row:?}"
                );
            }
        }
        let mut hasher = DefaultHasher::new();
        (
            which,
            told.row.map(|row| row as u8),
            told.refused,
            told.shown.min(3),
            told.kept * 4 / (told.all + 1),
        )
            .hash(&mut hasher);
        hasher.finish()
    }
}

/// What came of it.
#[derive(Default)]
struct Told {
    row: Option<Row>,
    refused: u64,
    kept: u64,
    all: u64,
    shown: u64,
}

fn refusal(error: &OpenError) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(error).hash(&mut hasher);
    hasher.finish()
}

impl Journal {
    fn original(&self, record: &Record<'_>) -> bool {
        record.lsn > 0 && self.records.get(record.lsn as usize - 1).is_some_and(|owned| owned.is(record))
    }

    fn judge(&self, disk: &MemStorage, goes_on: bool) -> Told {
        let mut told = Told { all: self.records.len() as u64, ..Told::default() };
        if let Ok(mut reader) = JournalReader::open(Storage::reader(disk)) {
            for _ in 0..self.records.len() * 4 + 100 {
                match reader.next() {
                    Ok(None) => break,
                    Err(_) => told.shown += 1,
                    Ok(Some(record)) => {
                        assert!(self.original(&record), "record {} was never written so", record.lsn);
                    }
                }
            }
        }
        let mut opening = match open(disk.clone(), EXPECT, self.config) {
            Ok(opening) => opening,
            Err(error) => {
                told.refused = refusal(&error);
                return told;
            }
        };
        for checkpoint in opening.checkpoints() {
            assert!(
                self.checkpoints.contains(checkpoint),
                "checkpoint {} was never taken so",
                checkpoint.lsn
            );
        }
        let row = opening.report().row;
        let last_lsn = opening.last_lsn();
        (told.row, told.kept) = (Some(row), last_lsn);
        assert!(last_lsn <= told.all, "{last_lsn} records of {}", told.all);
        let base = opening.checkpoints().first().map_or(0, |checkpoint| checkpoint.lsn);
        let mut next = 1;
        let mut prefix = |from: u64, opening: &mut aegis_journal::Opening<MemStorage>| {
            next = from;
            opening.records(from, |record| {
                assert!(
                    record.lsn == next && self.original(&record),
                    "record {} is not what was written",
                    record.lsn
                );
                assert!(!record.after_gap);
                next += 1;
                ControlFlow::<()>::Continue(())
            })
        };
        match prefix(1, &mut opening) {
            Ok(_) => assert_eq!(next, last_lsn + 1, "all of the prefix is handed out"),
            Err(OpenError::NeedsCheckpoint { .. } | OpenError::Damaged(_)) => {
                // What no record shows any more, a checkpoint must hold.
                assert!(base > 0, "records are missing and no checkpoint stands for them");
                told.refused = 7;
                prefix(base + 1, &mut opening).expect("the records behind a checkpoint are whole");
            }
            Err(error) => panic!("{error}"),
        }
        if goes_on {
            self.go_on(opening, disk);
        }
        told
    }

    /// The journal is written again, and what is written then is there at the next opening.
    fn go_on(&self, opening: aegis_journal::Opening<MemStorage>, disk: &MemStorage) {
        let kept = opening.last_lsn();
        let (mut writer, report) = opening.finish().expect("a good disk");
        let next = append(&mut writer, 2, 50);
        assert_eq!(next[0].lsn, report.next_lsn);
        assert!(
            report.gap.as_ref().is_none_or(|gap| report.next_lsn > gap.last_lsn),
            "a lost number is given again"
        );
        writer.sync().expect("a good disk");
        drop(writer);
        let mut opening = open(disk.clone(), EXPECT, self.config).expect("a journal that was just written");
        let from = opening.checkpoints().first().map_or(0, |checkpoint| checkpoint.lsn);
        let mut found = 0;
        let read = |opening: &mut aegis_journal::Opening<MemStorage>, from: u64, found: &mut u64| {
            opening.records(from, |record| {
                let new = next.iter().any(|owned| owned.is(&record));
                assert!(new || (record.lsn <= kept && self.original(&record)), "record {}", record.lsn);
                *found += u64::from(new);
                ControlFlow::<()>::Continue(())
            })
        };
        if read(&mut opening, 1, &mut found).is_err() {
            found = 0;
            read(&mut opening, from + 1, &mut found).expect("the records behind a checkpoint are whole");
        }
        assert_eq!(found, 2, "what was written behind the damage is there");
        assert!(opening.report().gap.is_none(), "a declared gap is not found again");
    }
}
