//! A machine's state read from its journal without opening it for writing, also beside a live writer. It never
//! writes and takes no lock.

use crate::open::newest_usable;
use aegis_journal::{Damage, JournalReader, OpenError, StorageRead};
use aegis_model::ids::{Lsn, Timestamp};
use aegis_model::machine::{Machine, RecordHead};
use aegis_model::wire::DecodeError;
use std::fmt;

/// Why a journal could not be read to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// It could not be opened.
    Open(aegis_journal::OpenError),
    /// It is the journal of another machine.
    Schema {
        /// The schema expected.
        expected: u16,
        /// The schema found.
        found: u16,
    },
    /// Rot.
    Damage(Damage),
    /// A record that this program does not know.
    Unknown {
        /// Its LSN.
        lsn: Lsn,
        /// What is unknown.
        cause: DecodeError,
    },
    /// Records are lost, and only a checkpoint holds what they made; folding on without it would show a wrong state.
    Lost {
        /// The first lost one.
        first: Lsn,
        /// The last lost one.
        last: Lsn,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Open(cause) => cause.fmt(f),
            ReadError::Schema { expected, found } => {
                write!(f, "a journal of schema {found} where schema {expected} is read")
            }
            ReadError::Damage(cause) => cause.fmt(f),
            ReadError::Unknown { lsn, cause } => write!(f, "row H: record {lsn}: {cause}"),
            ReadError::Lost { first, last } => write!(
                f,
                "records {first} to {last} are lost, and only a checkpoint holds what they made: this state is known \
                 to a running process, and is not read from the records alone"
            ),
        }
    }
}

impl std::error::Error for ReadError {}

/// Folds a whole journal into a fresh machine, whole batches only and nothing that lies behind a gap. What was pruned is
/// taken from the newest checkpoint.
///
/// # Errors
/// [`ReadError`]; the machine then holds what came before.
pub fn read<M: Machine, R: StorageRead>(machine: &mut M, schema: u16, read: R) -> Result<u64, ReadError> {
    let mut reader = JournalReader::open(read).map_err(ReadError::Open)?;
    let found = reader.identity().schema;
    if found != schema {
        return Err(ReadError::Schema { expected: schema, found });
    }
    if let Some(pruned) = reader.pruned().cloned() {
        let checkpoints = reader.checkpoints().map_err(ReadError::Open)?;
        let base = newest_usable(machine, &checkpoints, &mut Vec::new());
        let base = base.filter(|(lsn, _)| lsn.0 >= pruned.last_lsn);
        let (lsn, _) = base.ok_or(ReadError::Open(OpenError::Pruned(pruned)))?;
        reader.seek(lsn.next().0).map_err(ReadError::Open)?;
    }
    let mut count = 0;
    while let Some(record) = reader.next().map_err(ReadError::Damage)? {
        if record.after_gap {
            continue;
        }
        let head = RecordHead {
            kind: record.kind,
            version: record.version,
            actor: record.actor,
            time: Timestamp(record.time_ns),
            cause: Lsn(record.cause),
        };
        let lsn = Lsn(record.lsn);
        let event = M::decode(head, record.payload).map_err(|cause| ReadError::Unknown { lsn, cause })?;
        let before = machine.lsn();
        machine.apply(&event);
        if machine.lsn() != lsn {
            return Err(ReadError::Lost { first: before.next(), last: Lsn(lsn.0 - 1) });
        }
        count += 1;
    }
    Ok(count)
}
