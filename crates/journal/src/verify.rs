//! Verifying a whole journal without writing to it, also beside a live writer, and the background check of
//! records that opening believed because a checkpoint covers them.
//!
//! Every finding names file, offset and LSN. Never takes the writer's lock and never changes a byte.

use std::fmt;
use std::path::Path;

use crate::begin::Pruned;
use crate::error::OpenError;
use crate::layout::DeclaredGap;
use crate::storage::{DirReader, StorageRead};
use crate::survey::{Cut, Depth, GapEvidence, Listing, Note, survey};
use crate::{Config, Identity, Lsn};

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Segment being read.
    pub segment: u64,
    /// The last segment's number.
    pub segments: u64,
    /// Records verified so far.
    pub records: u64,
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Rot of acknowledged data that no segment header declares.
    Rot(GapEvidence),
    /// Something damaged that loses nothing.
    Note(Note),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Rot(gap) => write!(
                f,
                "{} offset {} LSN {}: {}; LSNs {} to {} are lost or not folded, {} bytes",
                gap.file, gap.offset, gap.first_lsn, gap.flaw, gap.first_lsn, gap.last_lsn, gap.bytes
            ),
            Finding::Note(Note::HeaderDamaged { file }) => {
                write!(f, "{file} offset 0: the header page is damaged; no record is lost")
            }
            Finding::Note(Note::ReservedNotZero { file }) => {
                write!(
                    f,
                    "{file} offset 0: reserved bytes of the header page are not zero; no record is lost"
                )
            }
            Finding::Note(Note::MarkDamaged { file }) => {
                write!(f, "{file} offset 3072: a mark is damaged; no record is lost")
            }
            Finding::Note(Note::SealDamaged { file }) => {
                write!(f, "{file}: the seal is damaged; no record is lost")
            }
            Finding::Note(Note::ListDamaged { file }) => {
                write!(f, "{file}: one of its two block lists is damaged; no record is lost")
            }
            Finding::Note(Note::Hidden { first, last }) => write!(
                f,
                "files of segments from {first} to {last} are there that were pruned and are not looked at: `aegis prune` \
                 removes what its backup holds of them, `aegis unprune` brings all of them back"
            ),
            Finding::Note(Note::CheckpointDamaged { file }) => {
                write!(f, "{file}: the checkpoint is damaged and not used; a replay takes longer")
            }
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Who this journal is.
    pub identity: Identity,
    /// Records whose length, checksum, chain and LSN were checked.
    pub records: u64,
    /// Segments read.
    pub segments: u64,
    /// Bytes of all segments, before any was compressed, or as far as they are durable beside a live writer.
    pub bytes: u64,
    /// The last valid LSN that folding reaches.
    pub last_lsn: Lsn,
    /// LSNs of the whole checkpoints, newest first.
    pub checkpoints: Vec<Lsn>,
    /// Everything that is not as it must be.
    pub findings: Vec<Finding>,
    /// A torn tail, as a crash leaves it: no finding.
    pub torn_tail: Option<Cut>,
    /// Gaps that earlier openings declared.
    pub gaps: Vec<DeclaredGap>,
    /// What was dropped from the beginning, if anything was: no finding.
    pub pruned: Option<Pruned>,
    /// The chain value behind the last record: two journals that agree on it and on the LSN agree on all.
    pub chain: u32,
}

/// Verifies every record of a journal.
///
/// # Errors
/// When there is no journal, it cannot be identified, or a newer program wrote it. Damage is no error but a
/// finding.
pub fn verify<R: StorageRead>(
    read: &R,
    mut progress: impl FnMut(Progress),
) -> Result<VerifyReport, OpenError> {
    let live = read.live().map_err(|e| OpenError::io("read", crate::storage::LIVE, &e))?;
    let mut listing = Listing::read(read)?;
    if let Some(live) = live {
        listing.limit(live);
    }
    report(read, &mut listing, None, None, &mut progress)
}

/// Verifies every record of the journal in a directory.
///
/// # Errors
/// As [`verify`].
pub fn verify_dir(path: &Path, progress: impl FnMut(Progress)) -> Result<VerifyReport, OpenError> {
    verify(&DirReader::at(path)?, progress)
}

/// `finished` says that no segment of the listing is written any more, and which checkpoint it does not show.
fn report<R: StorageRead>(
    read: &R,
    listing: &mut Listing,
    identity: Option<Identity>,
    finished: Option<Lsn>,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyReport, OpenError> {
    if let Some((file, version)) = listing.newer() {
        return Err(OpenError::Newer { file, what: crate::Newer::Format { version } });
    }
    let depth = Depth {
        base_limit: 0,
        cover_limit: Lsn::MAX,
        cover_known: finished.unwrap_or(0),
        all_finished: finished.is_some(),
        hash_tail: true,
    };
    let identity = identity.or_else(|| listing.identity(None)).ok_or(OpenError::Unidentified)?;
    let survey = survey(read, listing, identity, Config::default(), depth, progress)?;
    let mut findings: Vec<Finding> = survey.report.gaps.into_iter().map(Finding::Rot).collect();
    findings.extend(survey.report.notes.into_iter().map(Finding::Note));
    Ok(VerifyReport {
        identity,
        records: survey.report.records_verified,
        segments: survey.report.segments,
        bytes: listing.files.values().map(|listed| listed.bytes).sum(),
        last_lsn: survey.report.last_lsn,
        checkpoints: survey.checkpoints.iter().map(|c| c.lsn).collect(),
        findings,
        torn_tail: survey.report.cut,
        gaps: survey.report.known_gaps,
        pruned: survey.report.pruned,
        chain: survey.chain,
    })
}

/// A check of the records that opening did not read. Made by [`Opening::older`](crate::Opening::older), run
/// wherever the caller likes; it holds only a reading handle.
pub struct OlderCheck<R> {
    read: R,
    identity: Identity,
    through: Lsn,
}

impl<R: StorageRead> OlderCheck<R> {
    pub(crate) fn new(read: R, identity: Identity, through: Lsn) -> OlderCheck<R> {
        OlderCheck { read, identity, through }
    }

    /// To be run after [`Opening::finish`](crate::Opening::finish), which ended the segment that was the newest.
    /// Verifies every finished segment that begins at or before the LSN asked for, and returns the damage no
    /// header declares yet, ready for [`Writer::declare`](crate::Writer::declare).
    ///
    /// # Errors
    /// As [`verify`].
    pub fn run(self) -> Result<Vec<GapEvidence>, OpenError> {
        let mut listing = Listing::read(&self.read)?;
        // The newest segment is being written now.
        let checkpoint = listing.keep_finished_until(self.through, &self.identity);
        if listing.files.is_empty() {
            return Ok(Vec::new());
        }
        // Later segments may declare what is found; their headers are needed though their records are not.
        let declared = Listing::read(&self.read)?.declared();
        let report = report(&self.read, &mut listing, Some(self.identity), Some(checkpoint), &mut |_| ())?;
        let found = report.findings.into_iter().filter_map(|finding| match finding {
            Finding::Rot(gap) => Some(gap),
            Finding::Note(_) => None,
        });
        Ok(found
            .filter(|gap| gap.first_lsn <= self.through)
            .filter(|gap| !crate::scan::is_declared(&declared, gap.segment, gap.first_lsn))
            .map(|gap| GapEvidence {
                last_lsn: gap.last_lsn.min(self.through),
                through_lsn: self.through,
                ..gap
            })
            .collect())
    }
}

#[cfg(test)]
mod tests;
