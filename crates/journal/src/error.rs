//! The errors of this crate, one small enum per kind of operation, each with its facts in fields.
//!
//! Nothing here is ever matched on text.

use std::fmt;
use std::io;

use crate::begin::Pruned;
use crate::frame::Flaw;
use crate::layout::FORMAT_VERSION;
use crate::{DeclaredGap, Lsn};

/// An I/O failure as facts that can be kept and shown again.
#[derive(Clone, Debug)]
pub struct IoFacts {
    /// What was being done.
    pub operation: &'static str,
    /// On which file, or "." for the directory.
    pub file: String,
    /// The kind of failure.
    pub kind: io::ErrorKind,
    /// The system's words.
    pub text: String,
}

impl IoFacts {
    pub(crate) fn new(operation: &'static str, file: impl Into<String>, error: &io::Error) -> IoFacts {
        IoFacts { operation, file: file.into(), kind: error.kind(), text: error.to_string() }
    }
}

impl fmt::Display for IoFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.file, self.text)
    }
}

/// A place in the journal that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// File name.
    pub file: String,
    /// Segment number.
    pub segment: u64,
    /// Byte offset of the first damaged frame; in a compressed segment, as it was before.
    pub offset: u64,
    /// The LSN that should be there.
    pub lsn: Lsn,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offset {} LSN {}: {}", self.file, self.offset, self.lsn, self.flaw)
    }
}

impl std::error::Error for Damage {}

/// Why a journal was not created or opened.
#[non_exhaustive]
#[derive(Debug)]
pub enum OpenError {
    /// Another process writes this journal.
    Locked {
        /// Its process id, when it could be read.
        pid: Option<u32>,
    },
    /// A journal is created in an empty directory only.
    NotEmpty {
        /// A file that is there.
        name: String,
    },
    /// The directory holds no journal.
    NoJournal,
    /// The configuration is out of range.
    Config {
        /// What to change.
        what: &'static str,
    },
    /// It is another journal.
    WrongJournal {
        /// The id asked for.
        expected: [u8; 16],
        /// The id found.
        found: [u8; 16],
    },
    /// It is another program's journal.
    WrongSchema {
        /// The schema asked for.
        expected: u16,
        /// The schema found.
        found: u16,
    },
    /// It was made in another mode.
    WrongMode {
        /// The mode asked for.
        expected: u8,
        /// The mode found.
        found: u8,
    },
    /// Row H: something valid here was written by a newer program. Reading tools still work.
    Newer {
        /// File name.
        file: String,
        /// What is newer.
        what: Newer,
    },
    /// No header and no checkpoint can be read, and the caller did not name the journal's id.
    Unidentified,
    /// Rot lies before this LSN; folding must start from the checkpoint at it, not before.
    NeedsCheckpoint {
        /// LSN of the checkpoint.
        lsn: Lsn,
        /// The rot.
        gap: DeclaredGap,
    },
    /// The records asked for were pruned, or those that are left cannot be folded because no whole checkpoint at or behind
    /// the last pruned one is there.
    Pruned(Pruned),
    /// What was verified a moment ago can no longer be read.
    Damaged(Damage),
    /// The operating system failed.
    Io(IoFacts),
}

/// What a newer program left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// A segment or checkpoint of this format version.
    Format {
        /// The version needed.
        version: u16,
    },
    /// A record the caller does not know.
    Record {
        /// Its LSN.
        lsn: Lsn,
        /// Its kind.
        kind: u16,
        /// Its version.
        version: u8,
    },
    /// A record with flags unknown to this version.
    Flags {
        /// Its LSN.
        lsn: Lsn,
    },
}

impl OpenError {
    pub(crate) fn io(operation: &'static str, file: &str, error: &io::Error) -> OpenError {
        OpenError::Io(IoFacts::new(operation, file, error))
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Locked { pid: Some(pid) } => {
                write!(f, "the journal is being written by process {pid}; stop it first")
            }
            OpenError::Locked { pid: None } => {
                f.write_str("the journal is being written by another process; stop it first")
            }
            OpenError::NotEmpty { name } => {
                write!(f, "the directory holds {name}; a journal is created in an empty directory only")
            }
            OpenError::NoJournal => f.write_str("the directory holds no journal; create one first"),
            OpenError::Config { what } => f.write_str(what),
            OpenError::WrongJournal { expected, found } => {
                write!(f, "this is journal {}, not {}", Hex(found), Hex(expected))
            }
            OpenError::WrongSchema { expected, found } => {
                write!(f, "this journal has schema {found}, and schema {expected} was asked for")
            }
            OpenError::WrongMode { expected, found } => {
                write!(f, "this journal was made in mode {found}, and mode {expected} was asked for")
            }
            OpenError::Newer { file, what: Newer::Format { version } } => write!(
                f,
                "{file} has format version {version} and this program knows version {FORMAT_VERSION}; use a newer program"
            ),
            OpenError::Newer { file, what: Newer::Record { lsn, kind, version } } => write!(
                f,
                "{file} LSN {lsn} is of kind {kind} version {version}, which this program does not know; use a newer program"
            ),
            OpenError::Newer { file, what: Newer::Flags { lsn } } => {
                write!(f, "{file} LSN {lsn} carries flags this program does not know; use a newer program")
            }
            OpenError::Unidentified => f.write_str(
                "no segment header and no checkpoint can be read; name the journal's id to read it all the same",
            ),
            OpenError::NeedsCheckpoint { lsn, gap } => write!(
                f,
                "LSNs {} to {} are damaged or not folded; start from the checkpoint at LSN {lsn}",
                gap.first_lsn, gap.through_lsn
            ),
            OpenError::Pruned(pruned) => write!(
                f,
                "{pruned}, and no checkpoint here that this program can read tells what they made: bring them back by \
                 `aegis unprune BACKUP`, or restore that backup"
            ),
            OpenError::Damaged(damage) => damage.fmt(f),
            OpenError::Io(facts) => facts.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why a batch or a checkpoint was not taken. Nothing was changed, and the writer goes on.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The batch has no record.
    Empty,
    /// The batch is larger than a batch may be.
    TooLarge {
        /// Its size, frames included.
        bytes: u64,
        /// The largest.
        bytes_max: u64,
    },
    /// The next segment cannot be made; only [`Room::Reserve`](crate::Room::Reserve) may be used.
    OnlyReserve {
        /// How many more records of average size the reserve holds.
        records_left: u64,
    },
    /// Even the reserve is used up.
    Full,
    /// A record breaks a bound.
    BadRecord {
        /// Its index in the batch.
        index: usize,
        /// The bound.
        what: &'static str,
    },
    /// A checkpoint is taken at the durable LSN only.
    NotDurable {
        /// The LSN asked for.
        lsn: Lsn,
        /// The durable LSN.
        durable_lsn: Lsn,
    },
    /// A segment header declares a limited number of gaps, and the range must lie before the next LSN.
    BadGap,
}

/// Why the journal did not do what it was asked.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Fault {
    /// Refused before anything was changed.
    Refused(Refusal),
    /// A checkpoint could not be written. The journal itself is as good as before.
    CheckpointFailed(IoFacts),
    /// An append, a sync or a change of segment failed, now or earlier. This writer does nothing more: drop
    /// it and open the journal again.
    Latched(IoFacts),
}

impl Fault {
    /// Whether the writer is dead.
    pub fn is_latched(&self) -> bool {
        matches!(self, Fault::Latched(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Empty => f.write_str("a batch holds at least one record"),
            Refusal::TooLarge { bytes, bytes_max } => {
                write!(f, "the batch takes {bytes} bytes and at most {bytes_max} fit")
            }
            Refusal::OnlyReserve { records_left } => write!(
                f,
                "the next segment cannot be made, and the last {records_left} records are kept for exits: free disk space"
            ),
            Refusal::Full => {
                f.write_str("segment and reserve are full and the next cannot be made: free disk space")
            }
            Refusal::BadRecord { index, what } => write!(f, "record {index} of the batch: {what}"),
            Refusal::NotDurable { lsn, durable_lsn } => {
                write!(f, "a checkpoint at LSN {lsn} was asked for and LSN {durable_lsn} is the durable end")
            }
            Refusal::BadGap => f.write_str("the gap cannot be declared: too many, or not behind us"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(refusal) => refusal.fmt(f),
            Fault::CheckpointFailed(facts) => write!(f, "checkpoint not written: {facts}"),
            Fault::Latched(facts) => {
                write!(f, "journal stopped, restart to read back what is durable: {facts}")
            }
        }
    }
}

impl std::error::Error for Fault {}
