//! Why a backup or a restore was not made. Each says what to do next.

use std::fmt;
use std::io;

use crate::begin::Pruned;
use crate::error::{IoFacts, OpenError};
use crate::{Damage, GapEvidence, Head, Lsn};

/// Why nothing was backed up, restored or pruned. What the backup held before, it still holds.
#[non_exhaustive]
#[derive(Debug)]
pub enum BackupError {
    /// The journal cannot be read.
    Journal(OpenError),
    /// The directory that is written cannot be.
    Target(IoFacts),
    /// The directory holds something and no manifest, so it is no backup.
    NotABackup {
        /// A file in it.
        name: String,
    },
    /// The directory holds no manifest, or one that names nothing yet.
    NoManifest,
    /// The manifest is damaged.
    Manifest,
    /// A newer program made the backup.
    Newer {
        /// The manifest's version.
        version: u32,
    },
    /// Another process writes into the backup.
    Busy {
        /// Its process id, when it could be read.
        pid: Option<u32>,
    },
    /// The backup is of another journal.
    OtherJournal {
        /// The journal's id.
        journal: [u8; 16],
        /// The id that the backup names.
        backup: [u8; 16],
    },
    /// Journal and backup hold different records under the same numbers.
    Diverged {
        /// They are the same before this LSN at most.
        lsn: Lsn,
    },
    /// The journal ends before the backup does.
    Shorter {
        /// The journal's last LSN.
        journal: Lsn,
        /// The backup's.
        backup: Lsn,
    },
    /// Acknowledged records of the journal are damaged, and no header declares it yet.
    Damaged {
        /// Where.
        gaps: Vec<GapEvidence>,
        /// What the backup held before, and holds.
        held: Option<Head>,
    },
    /// The disk has not room enough; nothing was written.
    NoRoom {
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        free: u64,
    },
    /// What the backup holds is not what its manifest says, or what was written cannot be read back.
    Unsound(Damage),
    /// A segment that is needed is not in the backup, or not whole there.
    NotHeld {
        /// Number of the segment.
        segment: u64,
    },
    /// The journal was pruned behind where this backup ends: the records between are in neither.
    Behind {
        /// The backup's last LSN.
        backup: Lsn,
        /// What was dropped.
        pruned: Pruned,
    },
    /// The directory has no manifest that can be read, and holds segments that the journal dropped: nothing tells whether
    /// they are all there.
    Alone {
        /// Number of one of them.
        segment: u64,
    },
    /// A segment cannot be dropped: the backup holds it otherwise than the journal does.
    Differs {
        /// Number of the segment.
        segment: u64,
    },
    /// The journal that would be pruned has damage that no header declares.
    NotPruned {
        /// Where.
        gaps: Vec<GapEvidence>,
    },
    /// What would be pruned is a backup itself.
    OfABackup,
    /// A checkpoint of the backup is not what the manifest says.
    Checkpoint {
        /// Its LSN.
        lsn: Lsn,
    },
}

impl BackupError {
    pub(crate) fn target(operation: &'static str, file: &str, error: &io::Error) -> BackupError {
        BackupError::Target(IoFacts::new(operation, file, error))
    }

    pub(crate) fn source(operation: &'static str, file: &str, error: &io::Error) -> BackupError {
        BackupError::Journal(OpenError::io(operation, file, error))
    }
}

impl From<OpenError> for BackupError {
    fn from(error: OpenError) -> BackupError {
        BackupError::Journal(error)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Journal(e) => e.fmt(f),
            BackupError::Target(facts) => facts.fmt(f),
            BackupError::NotABackup { name } => write!(
                f,
                "the directory holds {name} and no manifest, so it is no backup; name an empty or a new directory"
            ),
            BackupError::NoManifest => f.write_str("the directory holds no finished backup"),
            BackupError::Manifest => f.write_str(
                "the backup's manifest is damaged; its segments may be whole: look with `aegis verify`, and \
                 `aegis backup --full` reads all of them and writes a new manifest",
            ),
            BackupError::Newer { version } => {
                write!(f, "the backup's manifest has version {version}; use a newer program")
            }
            BackupError::Busy { pid: Some(pid) } => {
                write!(f, "process {pid} is writing into the backup; wait for it")
            }
            BackupError::Busy { pid: None } => {
                f.write_str("another process is writing into the backup; wait for it")
            }
            BackupError::OtherJournal { journal, backup } => write!(
                f,
                "the backup is of journal {} and this is journal {}; name another directory",
                Hex(backup),
                Hex(journal)
            ),
            BackupError::Diverged { lsn } => write!(
                f,
                "journal and backup hold different records from {lsn} on, as when one of them went on from an older \
                 copy; the backup stays as it is: name another directory"
            ),
            BackupError::Shorter { journal, backup } => write!(
                f,
                "the journal ends at record {journal} and the backup at {backup}: the journal is an older copy, or \
                 lost records; the backup stays as it is: name another directory, or restore it"
            ),
            BackupError::Damaged { gaps, held } => {
                f.write_str("acknowledged records are damaged, so nothing was backed up:")?;
                for gap in gaps {
                    write!(f, " {} offset {} LSN {}: {};", gap.file, gap.offset, gap.first_lsn, gap.flaw)?;
                }
                match held {
                    Some(head) => {
                        write!(f, " the backup holds everything up to record {} as before", head.lsn)?
                    }
                    None => f.write_str(" the backup holds nothing")?,
                }
                f.write_str("; --as-it-is copies the damage, too, and what lies behind it")
            }
            BackupError::NoRoom { needed, free } => {
                write!(f, "{needed} bytes are needed and {free} are free; nothing was written")
            }
            BackupError::Unsound(damage) => write!(
                f,
                "the backup is not what its manifest says: {damage}; `aegis backup --full` mends it while the journal \
                 holds that record"
            ),
            BackupError::Behind { backup, pruned } => write!(
                f,
                "this backup ends at record {backup}, and of the journal {pruned}: what lies between is in neither; name \
                 another directory"
            ),
            BackupError::Alone { segment } => write!(
                f,
                "no manifest can be read, and segment {segment} is there, which the journal has no longer: leave this \
                 backup as it is (`aegis verify` reads it) and name another directory"
            ),
            BackupError::Differs { segment } => write!(
                f,
                "segment {segment} is not in the backup as it is in the journal, so nothing was dropped; `aegis backup` \
                 brings it there, and `aegis verify` looks at both"
            ),
            BackupError::NotPruned { gaps } => {
                f.write_str("acknowledged records are damaged, so nothing was dropped:")?;
                for gap in gaps {
                    write!(f, " {} offset {} LSN {}: {};", gap.file, gap.offset, gap.first_lsn, gap.flaw)?;
                }
                f.write_str(" start the engine, which declares it, or restore the backup")
            }
            BackupError::OfABackup => f.write_str(
                "this is a backup and no engine's journal, and a backup is the place of what others drop: nothing was \
                 changed",
            ),
            BackupError::NotHeld { segment } => {
                write!(f, "segment {segment} is not in the backup, or not whole there")
            }
            BackupError::Checkpoint { lsn } => write!(
                f,
                "the backup's checkpoint at record {lsn} is not what its manifest says; `aegis backup --full` mends it"
            ),
        }
    }
}

impl std::error::Error for BackupError {}
