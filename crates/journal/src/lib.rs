//! The journal: an append-only, checksummed, memory-mapped log of opaque records, and the only durable thing
//! of the project.
//!
//! ```text
//! create ──► Writer ──append──► map ──sync──► durable ──► the caller may act
//! open ──► Opening ──checkpoints, records──► the caller folds ──finish──► Writer
//! JournalReader, verify: reading only, also beside a live writer
//! ```
//!
//! A journal is a directory of segments. The unit of atomicity is the batch: all records of one decision.
//! Nothing appended is durable before [`Writer::sync`] returns, and the first failure of an append or a sync
//! is the last: the writer latches, and a restart reads back what the device really holds. Damage is judged
//! by one table ([`decide`]), which tells a torn tail from rot of acknowledged data.
//!
//! This crate never interprets a payload, never reads a clock, and never repairs by guessing. The bytes are
//! specified in `journal-format.md`.
//!
//! ```
//! use aegis_journal::{Config, DirStorage, Identity, JournalReader, NewRecord, Room, create};
//!
//! let dir = tempfile::tempdir()?;
//! let identity = Identity { journal_id: *b"drawn at random.", schema: 900, mode: 1 };
//! let mut writer = create(DirStorage::new(dir.path())?, identity, Config::default())?;
//! let hello = NewRecord { kind: 1, version: 1, actor: 0, time_ns: 0, cause: 0, payload: b"hello" };
//! let first = writer.append(&[hello], Room::Normal)?;
//!
//! // Anybody may read while it is written, and sees what is durable.
//! let mut reader = JournalReader::open_dir(dir.path())?;
//! assert!(reader.next()?.is_none());
//! assert_eq!(writer.sync()?, first);
//! assert_eq!(reader.next()?.map(|record| record.payload.to_vec()), Some(b"hello".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/tail.rs` follows a journal that another process writes. Records of `aegis` itself become typed events by
//! `Event::decode` of `aegis-model`; see the examples of `aegis-projection`.
//!
//! # What may change when
//!
//! - *The files* have a version of their own, [`FORMAT_VERSION`], which is in each segment and does not follow this
//!   crate's. Every version of this crate reads every older format, and refuses a newer one by name
//!   ([`OpenError::Newer`]). A new format comes with a new minor version at least, and specimens in
//!   `fixtures/journals/` hold what each looked like.
//! - *Names and signatures* follow semantic versioning, below 1.0 by the minor number. Errors that are
//!   `non_exhaustive` may gain variants with any version.
//! - *Not promised*: the words of messages, when a segment is full, what lies in the directory beside segments and
//!   checkpoints, and the storages in memory, which are for tests.

mod backup;
mod begin;
mod beside;
mod checkpoint;
mod decide;
mod error;
mod frame;
mod head;
mod layout;
pub mod mutants;
mod opening;
mod packed;
mod packing;
mod reader;
mod roots;
mod scan;
mod segment;
mod storage;
mod survey;
mod verify;
mod writer;

pub use backup::{
    Backed, BackupError, Begins, BroughtBack, Copying, Dropped, Held, How, Kept, Manifest, PruneHow,
    Verified, backup, prune, restore, unprune, verify_backup,
};
pub use begin::Pruned;
pub use checkpoint::{Checkpoint, checkpoints};
pub use decide::{Entrance, Evidence, Place, Refused, Row, Seen, Version, admit, decide};
pub use error::{Damage, Fault, IoFacts, Newer, OpenError, Refusal};
pub use frame::Flaw;
pub use head::{Head, Heads, heads, heads_dir};
pub use layout::{
    BATCH_BYTES_MAX, DeclaredGap, FIRST_BYTES, FORMAT_VERSION, FRAME_BYTES, GAPS_MAX, PAGE_BYTES, SEAL_BYTES,
};
pub use opening::{LostBeginning, Opening, create, open};
pub use packing::Compression;
pub use reader::JournalReader;
pub use storage::{
    DirFile, DirNames, DirReader, DirStorage, Entry, Live, LockError, MemFile, MemNames, MemPlatter,
    MemPlatterSource, MemReader, MemSource, MemStorage, PowerCut, Source, Spare, Storage, StorageFile,
    StorageNames, StorageRead, TouchAhead,
};
pub use survey::{Cut, GapEvidence, Note, Proof, RecoveryReport};
pub use verify::{Finding, OlderCheck, Progress, VerifyReport, verify, verify_dir};
pub use writer::{Space, Stats, Writer};

/// A log sequence number: 1 for the first record of a journal, then without gaps. 0 means none.
pub type Lsn = u64;

/// What makes two journals different and never changes during a journal's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Drawn at random when the journal is created.
    pub journal_id: [u8; 16],
    /// Which program's records these are; the caller's number.
    pub schema: u16,
    /// In which mode they were made; the caller's number.
    pub mode: u8,
}

/// How a writer lays out its segments, and which records it understands.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of a full segment: 64 KiB to 1 GiB, a multiple of 4096. Default 64 MiB. Small ones are for tests:
    /// a batch must fit a segment, so below 1 MiB the largest batch shrinks with it.
    pub segment_bytes: u64,
    /// Whether the caller understands records of this kind and version. A record it does not understand
    /// was written by a newer program: opening for writing is refused (row H). Default: all are understood.
    pub knows: fn(kind: u16, version: u8) -> bool,
    /// Whether sealed segments are compressed behind the writer's back, all but the newest two. Programs that know
    /// format version 2 only then refuse the journal. Default: they stay as they are; what is compressed already is
    /// read in any case.
    pub compress: bool,
}

impl Config {
    /// Smallest segment.
    pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
    /// Largest segment.
    pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

    fn check(&self) -> Result<(), OpenError> {
        let range = Self::SEGMENT_BYTES_MIN..=Self::SEGMENT_BYTES_MAX;
        if range.contains(&self.segment_bytes) && self.segment_bytes.is_multiple_of(PAGE_BYTES) {
            Ok(())
        } else {
            Err(OpenError::Config { what: "segment_bytes must be a multiple of 4096 from 64 KiB to 1 GiB" })
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config { segment_bytes: 64 << 20, knows: |_, _| true, compress: false }
    }
}

/// What the caller takes the journal for; anything else is refused by name.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The journal's id, when the caller knows it.
    pub journal_id: Option<[u8; 16]>,
    /// The schema the caller writes.
    pub schema: u16,
    /// The mode the caller runs in.
    pub mode: u8,
}

/// A record to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The caller's kind number; 0 is reserved.
    pub kind: u16,
    /// Version of that kind's payload.
    pub version: u8,
    /// Who caused it; the caller's number.
    pub actor: u8,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// LSN of the record that caused this one, at most 2^32 - 1 before it; 0 = none.
    pub cause: Lsn,
    /// Opaque bytes.
    pub payload: &'a [u8],
}

/// A verified record: its length, checksum, chain and LSN were checked, and its batch is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Log sequence number.
    pub lsn: Lsn,
    /// The caller's kind number.
    pub kind: u16,
    /// Version of that kind's payload.
    pub version: u8,
    /// Who caused it.
    pub actor: u8,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// LSN of the record that caused this one; 0 = none.
    pub cause: Lsn,
    /// Opaque bytes.
    pub payload: &'a [u8],
    /// Whether it begins a batch.
    pub batch_first: bool,
    /// Whether it ends its batch: readers, checkpoints and replays stop only here.
    pub batch_end: bool,
    /// Whether it lies behind rot and is therefore shown but not folded.
    pub after_gap: bool,
    /// Number of its segment.
    pub segment: u64,
    /// Byte offset of its frame in the segment.
    pub offset: u64,
}

/// Which room a batch may use when the next segment could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// All but the reserve.
    Normal,
    /// The reserve too: for what ends or protects, never for what begins.
    Reserve,
}

#[cfg(test)]
mod tests;
