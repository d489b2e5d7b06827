//! From a directory to a running node: recovery, the newest usable checkpoint, replay of the rest. It never writes
//! before every record was read and understood.

use crate::node::{CHECKPOINT_HEAD, Limits, Node};
use aegis_journal::{Checkpoint, Config, Expect, Identity, LostBeginning, Opening, RecoveryReport, Storage};
use aegis_model::ids::{Lsn, Timestamp};
use aegis_model::machine::{Machine, RecordHead};
use aegis_model::wire::DecodeError;
use std::fmt;
use std::ops::ControlFlow;

/// What opening found and did.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// The journal's own report.
    pub recovery: RecoveryReport,
    /// The checkpoint that was used.
    pub checkpoint: Option<Lsn>,
    /// Checkpoints that were passed over, with the reason; they cost time, never truth.
    pub skipped: Vec<(Lsn, &'static str)>,
    /// Records replayed behind the checkpoint.
    pub replayed: u64,
}

/// Why the node could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal refused.
    Journal(aegis_journal::OpenError),
    /// Row H: a record of a kind or version that this program does not know; it does not write behind it.
    Unknown {
        /// Its LSN.
        lsn: Lsn,
        /// Its segment.
        segment: u64,
        /// Its offset there.
        offset: u64,
        /// What is unknown.
        cause: DecodeError,
    },
    /// The first record is lost and no checkpoint that this program reads holds the state: there is nothing to go on
    /// from. Nothing was changed.
    Beginning {
        /// What was found, and where.
        lost: LostBeginning,
        /// Checkpoints that are there and were passed over, with the reason.
        skipped: Vec<(Lsn, &'static str)>,
    },
    /// The fold counts other records than the journal holds.
    Miscounted {
        /// Last LSN of the journal.
        journal: Lsn,
        /// Last LSN of the fold.
        fold: Lsn,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Journal(cause) => cause.fmt(f),
            OpenError::Unknown { lsn, segment, offset, cause } => write!(
                f,
                "row H: record {lsn} (segment {segment}, offset {offset}): {cause}; \
                 this version reads the journal but does not write it"
            ),
            OpenError::Beginning { lost, skipped } => {
                write!(f, "the beginning of this journal is not there: {lost}. ")?;
                f.write_str("Nothing can be folded without it, and ")?;
                match skipped.first() {
                    Some((lsn, why)) => write!(f, "the checkpoint at record {lsn} is no help: {why}. ")?,
                    None => f.write_str("no checkpoint stands in for it. ")?,
                }
                f.write_str(
                    "Nothing was changed. Bring the missing segments or a checkpoint back into the directory, or \
                     restore a backup elsewhere with `aegis restore` and run on that",
                )
            }
            OpenError::Miscounted { journal, fold } => write!(
                f,
                "the journal ends at record {journal} and the fold at {fold}: this is a bug, please report it"
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Journal(cause) => Some(cause),
            OpenError::Unknown { cause, .. } => Some(cause),
            OpenError::Beginning { .. } | OpenError::Miscounted { .. } => None,
        }
    }
}

impl From<aegis_journal::OpenError> for OpenError {
    fn from(cause: aegis_journal::OpenError) -> OpenError {
        OpenError::Journal(cause)
    }
}

impl<M: Machine, S: Storage> Node<M, S> {
    /// A node on a new, empty journal.
    ///
    /// # Errors
    /// [`OpenError::Journal`].
    pub fn create(
        machine: M,
        storage: S,
        identity: Identity,
        config: Config,
        limits: Limits,
    ) -> Result<Node<M, S>, OpenError> {
        let writer = aegis_journal::create(storage, identity, config)?;
        Ok(Node::new(machine, writer, limits, Timestamp(i64::MIN), 0, None))
    }

    /// A node on an existing journal: `machine` is fresh and is brought to where the journal ends.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was written then, except by the journal's own recovery steps.
    pub fn open(
        mut machine: M,
        storage: S,
        expect: Expect,
        config: Config,
        limits: Limits,
    ) -> Result<(Node<M, S>, OpenReport), OpenError> {
        let mut opening = aegis_journal::open(storage, expect, config)?;
        let mut skipped = Vec::new();
        let base = newest_usable(&mut machine, opening.checkpoints(), &mut skipped);
        if base.is_none()
            && let Some(lost) = opening.lost_beginning()?
        {
            return Err(OpenError::Beginning { lost, skipped });
        }
        let (checkpoint, mut last) = base.unwrap_or((Lsn::NONE, Timestamp(i64::MIN)));
        let replayed = replay(&mut machine, &mut opening, checkpoint.next(), &mut last)?;
        let (journal, fold) = (Lsn(opening.last_lsn()), machine.lsn());
        if journal != fold {
            return Err(OpenError::Miscounted { journal, fold });
        }
        let older = base.map(|(lsn, _)| opening.older(lsn.0));
        let (writer, recovery) = opening.finish()?;
        let node = Node::new(machine, writer, limits, last, checkpoint.0, older);
        let checkpoint = base.map(|(lsn, _)| lsn);
        Ok((node, OpenReport { recovery, checkpoint, skipped, replayed }))
    }
}

/// Loads the first checkpoint, newest first, whose state is read back with its own LSN and digest. If none is, the
/// machine is as it was.
pub(crate) fn newest_usable<M: Machine>(
    machine: &mut M,
    checkpoints: &[Checkpoint],
    skipped: &mut Vec<(Lsn, &'static str)>,
) -> Option<(Lsn, Timestamp)> {
    let blank = machine.save();
    for checkpoint in checkpoints {
        let lsn = Lsn(checkpoint.lsn);
        let Some((time, state)) = checkpoint.bytes.split_first_chunk::<CHECKPOINT_HEAD>() else {
            skipped.push((lsn, "it is too short"));
            continue;
        };
        if machine.load(state).is_err() {
            skipped.push((lsn, "its state is not one of this version"));
            continue;
        }
        if machine.lsn() == lsn && machine.digest() == checkpoint.digest {
            return Some((lsn, Timestamp(i64::from_le_bytes(*time))));
        }
        skipped.push((lsn, "its digest or LSN is not that of the state in it"));
        assert!(machine.load(&blank).is_ok(), "a machine reads the state that it saved itself");
    }
    None
}

/// Whether a checkpoint holds a state that this machine reads back, with its own LSN and digest. The machine then holds it.
pub fn usable<M: Machine>(machine: &mut M, checkpoint: &Checkpoint) -> bool {
    newest_usable(machine, std::slice::from_ref(checkpoint), &mut Vec::new()).is_some()
}

/// Folds all records from `from` on; `last` becomes the time of the last one.
fn replay<M: Machine, S: Storage>(
    machine: &mut M,
    opening: &mut Opening<S>,
    from: Lsn,
    last: &mut Timestamp,
) -> Result<u64, OpenError> {
    let mut count = 0;
    let unknown = opening.records(from.0, |record| {
        let head = RecordHead {
            kind: record.kind,
            version: record.version,
            actor: record.actor,
            time: Timestamp(record.time_ns),
            cause: Lsn(record.cause),
        };
        match M::decode(head, record.payload) {
            Ok(event) => {
                machine.apply(&event);
                *last = head.time.max(*last);
                count += 1;
                ControlFlow::Continue(())
            }
            Err(cause) => ControlFlow::Break(OpenError::Unknown {
                lsn: Lsn(record.lsn),
                segment: record.segment,
                offset: record.offset,
                cause,
            }),
        }
    })?;
    match unknown {
        Some(refused) => Err(refused),
        None => Ok(count),
    }
}
