//! Dropping the oldest segments of a journal: only what a backup holds that was read from its first byte to its last just
//! before, and only what no checkpoint needs.
//!
//! ```text
//! lock ──► verify the backup ──► verify the journal ──► how far? ──► page in the place of the last one: write, sync,
//!                                rename, sync the directory ──► remove what lies before it
//! ```
//!
//! The rename is the step that counts: before it the journal is as it was, behind it the files before that page are
//! nothing but space to be freed, and whoever prunes next frees what a crash left of them. Segments are dropped whole, and
//! the two newest checkpoints both lie at or behind the last of them, so that the loss of one is no loss of the state.

use super::copy::{Copying, digest_of};
use super::{BackupError, Held, Kept, Manifest, verify_backup};
use crate::begin::{Begin, Pruned};
use crate::error::OpenError;
use crate::layout::{NO_ROOT, Root};
use crate::opening::{lock, settle};
use crate::segment::{open_segment, packed_name, segment_name};
use crate::storage::{Storage, StorageRead};
use crate::survey::{Depth, Listing, Segment, Survey, survey};
use crate::{Config, Lsn, Progress, checkpoint};

/// Checkpoints that must hold the state behind what is dropped.
const CHECKPOINTS_MIN: usize = 2;

/// How far a journal is pruned.
#[derive(Clone, Copy, Debug)]
pub struct PruneHow<'a> {
    /// Records from this LSN on are kept; `Lsn::MAX` keeps only what must be.
    pub keep_from: Lsn,
    /// Where the backup is, for those who look for the records later; at most 1,024 bytes of it are kept.
    pub held_in: &'a str,
    /// Whether nothing is changed and it is only told what would be.
    pub dry: bool,
}

/// What was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where the journal begins now; none when it has all of its records.
    pub pruned: Option<Pruned>,
    /// Segments that were dropped this time.
    pub segments: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of files that were removed, those that an earlier, interrupted call had left included.
    pub bytes: u64,
    /// Last LSN of what the backup was found to hold.
    pub backup_lsn: Lsn,
}

/// Drops the oldest segments of the journal in `journal` as far as the backup in `backup` holds them, `how` allows it,
/// and its two newest checkpoints do. The journal must have no writer: its lock is taken.
///
/// # Errors
/// [`BackupError`]; nothing was dropped then, except that after a failed removal the next call goes on with it.
pub fn prune<S: Storage, R: StorageRead>(
    journal: &mut S,
    backup: &R,
    how: &PruneHow<'_>,
    progress: &mut dyn FnMut(Copying),
) -> Result<Dropped, BackupError> {
    lock(journal)?;
    let read = journal.reader();
    let mut listing = Listing::read(&read)?;
    let identity = listing.identity(None).ok_or(OpenError::Unidentified)?;
    let manifest = verify_backup(backup, progress)?.manifest;
    if manifest.identity != identity {
        return Err(BackupError::OtherJournal {
            journal: identity.journal_id,
            backup: manifest.identity.journal_id,
        });
    }
    settle(&read)?;
    let depth =
        Depth { base_limit: 0, cover_limit: Lsn::MAX, cover_known: 0, all_finished: false, hash_tail: false };
    let survey = survey(&read, &mut listing, identity, Config::default(), depth, &mut |at| {
        let Progress { segment, segments, records } = at;
        progress(Copying { segment, segments, records, ..Copying::default() });
    })?;
    if !survey.report.gaps.is_empty() {
        let held = manifest.head;
        return Err(BackupError::Damaged { gaps: survey.report.gaps, held });
    }
    let old = survey.begin.clone();
    let begin = match last_to_drop(&survey, how.keep_from)? {
        Some(last) => {
            for segment in survey.segments.iter().filter(|s| s.header.number <= last) {
                held(&read, &manifest, &survey, segment)?;
            }
            behind(&survey, last, how.held_in)
        }
        None => old.clone(),
    };
    let mut dropped = Dropped {
        pruned: begin.pruned(),
        segments: begin.number - old.number,
        records: begin.first_lsn - old.first_lsn,
        bytes: 0,
        backup_lsn: manifest.last_lsn(),
    };
    let numbers: Vec<u64> = listing.dropped.iter().copied().chain(old.number.max(1)..=begin.number).collect();
    let names = numbers.iter().filter(|n| **n < begin.number).map(|n| segment_name(*n));
    let names: Vec<String> = names.chain(numbers.iter().map(|n| packed_name(*n))).collect();
    let replaced = (begin != old).then(|| segment_name(begin.number));
    for name in names.iter().chain(&replaced) {
        let bytes = read.open(name).ok().and_then(|file| crate::Source::bytes(&file).ok());
        dropped.bytes += bytes.unwrap_or(0);
    }
    if how.dry {
        return Ok(dropped);
    }
    if begin != old {
        checkpoint::replace(journal, &segment_name(begin.number), &begin.encode(&identity))
            .map_err(OpenError::Io)?;
    }
    let mut changed = false;
    for name in names {
        match journal.remove(&name) {
            Ok(()) => changed = true,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(BackupError::source("remove", &name, &e)),
        }
    }
    if changed {
        journal.sync_dir().map_err(|e| BackupError::source("sync", ".", &e))?;
    }
    Ok(dropped)
}

/// The number of the last segment that may go: another one follows it, both checkpoints lie at or behind its end, and
/// nothing that is to be kept is in it.
fn last_to_drop(survey: &Survey, keep_from: Lsn) -> Result<Option<u64>, BackupError> {
    let whole = survey.checkpoints.len();
    let until = survey.checkpoints.get(CHECKPOINTS_MIN - 1).map_or(0, |checkpoint| checkpoint.lsn);
    let last = survey.segments.windows(2).rev().find_map(|pair| {
        let [segment, next] = pair else { return None };
        let end = next.header.first_lsn - 1;
        let may = next.header_whole
            && next.header.number == segment.header.number + 1
            && end <= until
            && end < keep_from;
        may.then_some(segment.header.number)
    });
    if last.is_none() && whole < CHECKPOINTS_MIN && survey.segments.len() > 1 {
        return Err(BackupError::Checkpoints { whole });
    }
    Ok(last)
}

fn next_of(survey: &Survey, number: u64) -> Option<&Segment> {
    survey.segments.iter().find(|s| s.header.number == number + 1)
}

/// The root of a segment, computed or as the next header tells it; zeros when neither is known.
fn root_of(survey: &Survey, segment: &Segment) -> Root {
    let told = next_of(survey, segment.header.number).map(|next| next.header.root_before);
    segment.root.or(told).unwrap_or(NO_ROOT)
}

/// That the backup, which was just verified, holds a segment as the journal does, or whole where the journal does not.
fn held<R: StorageRead>(
    read: &R,
    manifest: &Manifest,
    survey: &Survey,
    segment: &Segment,
) -> Result<(), BackupError> {
    let number = segment.header.number;
    let held = manifest.segments.get(&number).ok_or(BackupError::NotHeld { segment: number })?;
    let end = next_of(survey, number).map(|next| next.header.first_lsn - 1);
    let root = root_of(survey, segment);
    let same = match held.kept {
        Kept::Open => false,
        Kept::Sealed => root == held.digest && Some(held.last_lsn) == end,
        Kept::AsItIs => is_as_it_was(read, number, held),
    };
    if same { Ok(()) } else { Err(BackupError::Differs { segment: number }) }
}

fn is_as_it_was<R: StorageRead>(read: &R, number: u64, held: &Held) -> bool {
    let Ok(file) = open_segment(read, number) else { return false };
    let raw = read.open(&file.name());
    raw.and_then(|raw| Ok((crate::Source::bytes(&raw)? == held.end, digest_of(&raw, held.end)?)))
        .is_ok_and(|(whole, digest)| whole && digest == held.digest)
}

/// Where the journal begins without the segments up to `last`.
fn behind(survey: &Survey, last: u64, held_in: &str) -> Begin {
    let segment = survey.segments.iter().find(|s| s.header.number == last).expect("it was chosen from these");
    let next = next_of(survey, last).expect("another one follows it");
    Begin {
        number: last,
        epoch: segment.header.epoch,
        first_lsn: next.header.first_lsn,
        chain: next.header.chain,
        root: root_of(survey, segment),
        held_in: held_in.to_owned(),
    }
}

#[cfg(test)]
mod tests;
