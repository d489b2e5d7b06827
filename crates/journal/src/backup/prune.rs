//! Dropping the oldest segments of a journal: only what a backup holds that was read from its first byte to its last just
//! before, and only what no checkpoint needs. And the way back.
//!
//! ```text
//! lock ──► verify the backup ──► verify the journal ──► how far? ──► page in the place of the last one: write, sync,
//!                                rename, sync the directory ──► remove what lies before it
//! ```
//!
//! The rename is the step that counts: before it the journal is as it was, behind it the files before that page are
//! nothing but space to be freed, and whoever prunes next frees what a crash left of them, if that backup holds it, too.
//! Segments are dropped whole, and the two newest checkpoints that the caller can use both lie at or behind the last of
//! them, so that the loss of one is no loss of the state.

use std::collections::BTreeSet;
use std::io;

use super::copy::{Before, Copier, Copying, digest_of, file_bytes, header_in, seal_in};
use super::manifest::MANIFEST;
use super::{BackupError, Held, Kept, Manifest, verify_backup};
use crate::begin::{Begin, Pruned};
use crate::error::OpenError;
use crate::layout::{NO_ROOT, Root};
use crate::opening::{lock, settle};
use crate::segment::{open_segment, packed_name, segment_name};
use crate::storage::{Source, Storage, StorageRead};
use crate::survey::{Depth, Listing, Segment, Survey, survey};
use crate::{Checkpoint, Config, Identity, Lsn, Progress, checkpoint};

/// Checkpoints that must hold the state behind what is dropped.
const CHECKPOINTS_MIN: usize = 2;

/// How far a journal is pruned.
#[derive(Clone, Copy)]
pub struct PruneHow<'a> {
    /// Records from this LSN on are kept; `Lsn::MAX` keeps only what must be.
    pub keep_from: Lsn,
    /// Where the backup is, for those who look for the records later; at most 1,024 bytes of it are kept.
    pub held_in: &'a str,
    /// Whether a whole checkpoint can be used: one of another version of the state is none.
    pub usable: &'a dyn Fn(&Checkpoint) -> bool,
    /// Whether nothing is changed and it is only told what would be.
    pub dry: bool,
}

/// What was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where the journal begins now, or would; none when it has all of its records.
    pub pruned: Option<Pruned>,
    /// Segments that were dropped this time.
    pub segments: u64,
    /// Records in them that verified.
    pub records: u64,
    /// Bytes of files that were removed, those that an earlier, interrupted call had left included.
    pub bytes: u64,
    /// Segments that were dropped before and whose files are still there, since this backup does not hold them.
    pub left: Vec<u64>,
    /// Checkpoints that can be used.
    pub checkpoints: usize,
    /// Last LSN of what the backup was found to hold.
    pub backup_lsn: Lsn,
}

/// Drops the oldest segments of the journal in `journal`: those that the backup in `backup` holds, `how` allows, and the two
/// newest checkpoints do not need. The journal must have no writer: its lock is taken. The backup is made durable first.
///
/// # Errors
/// [`BackupError`]: above all when one of those segments is not in the backup as it is in the journal. Nothing was dropped
/// then, except that after a failed removal the next call goes on with it.
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
    let manifest = verified(&read, backup, &identity, progress)?;
    settle(&read)?;
    let depth =
        Depth { base_limit: 0, cover_limit: Lsn::MAX, cover_known: 0, all_finished: false, hash_tail: false };
    let survey = survey(&read, &mut listing, identity, Config::default(), depth, &mut |at| {
        let Progress { segment, segments, records } = at;
        progress(Copying { segment, segments, records, ..Copying::default() });
    })?;
    if !survey.report.gaps.is_empty() {
        return Err(BackupError::NotPruned { gaps: survey.report.gaps });
    }
    let usable: Vec<Lsn> =
        survey.checkpoints.iter().filter(|checkpoint| (how.usable)(checkpoint)).map(|c| c.lsn).collect();
    let old = survey.begin.clone();
    let last = last_to_drop(&survey, &usable, how.keep_from);
    let numbers: BTreeSet<u64> =
        listing.files.keys().copied().filter(|number| last.is_some_and(|last| *number <= last)).collect();
    for number in &numbers {
        held(&read, &manifest, &survey, *number)?;
    }
    let begin = last.map_or_else(|| old.clone(), |last| behind(&survey, &manifest, last, how.held_in));
    let in_these = |span: &&crate::survey::Span| last.is_some_and(|last| survey.number_of(span) <= last);
    let records = survey.spans.iter().filter(in_these).map(|s| s.last_lsn + 1 - s.first_lsn).sum();
    let (freed, left): (Vec<u64>, Vec<u64>) = listing.dropped.iter().partition(|number| {
        manifest.segments.get(number).is_some_and(|held| is_there(&read, backup, &identity, **number, held))
    });
    // The page has the name of the last segment that went; what lies under its other name goes like the others.
    let names: Vec<String> = freed
        .iter()
        .chain(&numbers)
        .flat_map(|number| [segment_name(*number), packed_name(*number)])
        .chain((begin != old && old.number > 0).then(|| segment_name(old.number)))
        .filter(|name| *name != segment_name(begin.number))
        .collect();
    let replaced = (begin != old).then(|| segment_name(begin.number));
    let bytes =
        names.iter().chain(&replaced).map(|name| read.open(name).and_then(|f| f.bytes()).unwrap_or(0));
    let dropped = Dropped {
        pruned: begin.pruned(),
        segments: numbers.len() as u64,
        records,
        bytes: bytes.sum(),
        left,
        checkpoints: usable.len(),
        backup_lsn: manifest.last_lsn(),
    };
    if how.dry {
        return Ok(dropped);
    }
    if begin != old {
        checkpoint::replace(journal, &segment_name(begin.number), &begin.encode(&identity))
            .map_err(OpenError::Io)?;
    }
    remove(journal, &names)?;
    Ok(dropped)
}

/// The manifest of a backup of this journal, made durable and read from its first byte to its last.
fn verified<R: StorageRead, T: StorageRead>(
    journal: &R,
    backup: &T,
    identity: &Identity,
    progress: &mut dyn FnMut(Copying),
) -> Result<Manifest, BackupError> {
    if let Ok(Some(_)) | Err(BackupError::Manifest | BackupError::Newer { .. }) = Manifest::read(journal) {
        return Err(BackupError::OfABackup);
    }
    // What somebody copied there may be in the cache only, and is about to be the only copy.
    if let Some(manifest) = Manifest::read(backup)? {
        for (number, name) in manifest.segments.keys().map(|n| (*n, segment_name(*n))) {
            if let Ok(file) = open_segment(backup, number) {
                file.settle().map_err(|e| BackupError::target("sync", &name, &e))?;
            }
        }
        let file = backup.open(MANIFEST).map_err(|e| BackupError::target("open", MANIFEST, &e))?;
        file.settle().map_err(|e| BackupError::target("sync", MANIFEST, &e))?;
    }
    let manifest = verify_backup(backup, progress)?.manifest;
    if manifest.identity == *identity {
        Ok(manifest)
    } else {
        Err(BackupError::OtherJournal { journal: identity.journal_id, backup: manifest.identity.journal_id })
    }
}

fn remove<S: Storage>(journal: &mut S, names: &[String]) -> Result<(), BackupError> {
    let mut changed = false;
    for name in names {
        match journal.remove(name) {
            Ok(()) => changed = true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(BackupError::source("remove", name, &e)),
        }
    }
    if changed { journal.sync_dir().map_err(|e| BackupError::source("sync", ".", &e)) } else { Ok(()) }
}

/// The number of the last segment that may go: another one follows it, both checkpoints lie at or behind its end, and
/// nothing that is to be kept is in it.
fn last_to_drop(survey: &Survey, usable: &[Lsn], keep_from: Lsn) -> Option<u64> {
    let until = usable.get(CHECKPOINTS_MIN - 1).copied().unwrap_or(0);
    survey.segments.windows(2).rev().find_map(|pair| {
        let [segment, next] = pair else { return None };
        let end = next.header.first_lsn - 1;
        let may = next.header_whole
            && next.header.number == segment.header.number + 1
            && end <= until
            && end < keep_from;
        may.then_some(segment.header.number)
    })
}

fn segment_of(survey: &Survey, number: u64) -> Option<&Segment> {
    survey.segments.iter().find(|s| s.header.number == number)
}

/// The root of a segment, computed or as the next header tells it; zeros when neither is known.
fn root_of(survey: &Survey, segment: &Segment) -> Root {
    let told = segment_of(survey, segment.header.number + 1).map(|next| next.header.root_before);
    segment.root.or(told).unwrap_or(NO_ROOT)
}

/// That the backup, which was just verified, holds a segment as the journal does, or whole where the journal does not.
fn held<R: StorageRead>(
    read: &R,
    manifest: &Manifest,
    survey: &Survey,
    number: u64,
) -> Result<(), BackupError> {
    let held = manifest.segments.get(&number).ok_or(BackupError::NotHeld { segment: number })?;
    let same = match (held.kept, segment_of(survey, number)) {
        (Kept::Open, _) | (Kept::Sealed, None) => false,
        (Kept::AsItIs, _) => is_as_it_was(read, number, held),
        (Kept::Sealed, Some(segment)) => {
            let next = segment_of(survey, number + 1).map(|next| next.header.first_lsn - 1);
            let own = survey.spans.iter().filter(|span| survey.number_of(span) == number);
            let last = next.or(own.map(|span| span.last_lsn).max());
            root_of(survey, segment) == held.digest && last == Some(held.last_lsn)
        }
    };
    if same { Ok(()) } else { Err(BackupError::Differs { segment: number }) }
}

fn is_as_it_was<R: StorageRead>(read: &R, number: u64, held: &Held) -> bool {
    let Ok(file) = open_segment(read, number) else { return false };
    same_bytes(read, &file.name(), held)
}

fn same_bytes<R: StorageRead>(read: &R, name: &str, held: &Held) -> bool {
    let raw = read.open(name);
    raw.and_then(|raw| Ok((raw.bytes()? == held.end, digest_of(&raw, held.end)?)))
        .is_ok_and(|(whole, digest)| whole && digest == held.digest)
}

/// Whether a file that was dropped before and is there still is what the backup, which was just verified, holds of it.
fn is_there<R: StorageRead, T: StorageRead>(
    journal: &R,
    backup: &T,
    identity: &Identity,
    number: u64,
    held: &Held,
) -> bool {
    let ours = |name: String, packed| {
        journal.open(&name).ok().map(|file| crate::segment::as_segment(file, number, packed))
    };
    let Ok(theirs) = open_segment(backup, number) else { return false };
    let there = (header_in(&theirs, number, identity), seal_in(&theirs, held.end));
    let mut files = [(segment_name(number), false), (packed_name(number), true)]
        .into_iter()
        .filter_map(|(name, packed)| ours(name.clone(), packed).map(|file| (name, file)))
        // The page itself, which has the name of one of them.
        .filter(|(name, file)| Begin::decode(&first_page(file)).is_none() || *name != segment_name(number))
        .peekable();
    files.peek().is_some()
        && files.all(|(name, file)| match held.kept {
            Kept::Open => false,
            Kept::AsItIs => same_bytes(journal, &name, held),
            Kept::Sealed => {
                there.0.is_some() && (header_in(&file, number, identity), seal_in(&file, held.end)) == there
            }
        })
}

fn first_page<F: Source>(file: &F) -> Vec<u8> {
    let mut page = vec![0; crate::layout::PAGE_BYTES as usize];
    let n = file.read_at(0, &mut page).unwrap_or(0);
    page.truncate(n);
    page
}

/// Where the journal begins without the segments up to `last`.
fn behind(survey: &Survey, manifest: &Manifest, last: u64, held_in: &str) -> Begin {
    let segment = segment_of(survey, last).expect("it was chosen from these");
    let next = segment_of(survey, last + 1).expect("another one follows it");
    let mut words = held_in.to_owned();
    // A backup that was begun behind an earlier pruning has not what went then.
    if let (Some(begins), Some(before)) = (manifest.begins, survey.begin.pruned()) {
        words = format!("{held_in}, and up to record {} the one in {}", begins.last_lsn, before.held_in);
    }
    Begin {
        number: last,
        epoch: segment.header.epoch,
        first_lsn: next.header.first_lsn,
        chain: next.header.chain,
        root: root_of(survey, segment),
        held_in: words,
    }
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtBack {
    /// Segments that were copied.
    pub segments: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Where the journal still begins, when the backup has not the very first segment.
    pub pruned: Option<Pruned>,
}

/// Undoes [`prune`]: copies the segments that were dropped back from a backup that holds them, verified before and after.
/// The last one takes the place of the page, and only then are they seen. The journal must have no writer.
///
/// # Errors
/// [`BackupError`]; the journal is as it was then, but for files that nobody looks at and that the next call replaces.
pub fn unprune<S: Storage, R: StorageRead>(
    journal: &mut S,
    backup: &R,
    progress: &mut dyn FnMut(Copying),
) -> Result<BroughtBack, BackupError> {
    lock(journal)?;
    let listing = Listing::read(&journal.reader())?;
    let identity = listing.identity(None).ok_or(OpenError::Unidentified)?;
    let manifest = verified(&journal.reader(), backup, &identity, progress)?;
    let begin = listing.begin(&identity);
    let Some(pruned) = begin.pruned() else {
        return Ok(BroughtBack { segments: 0, bytes: 0, pruned: None });
    };
    let last = manifest.segments.get(&begin.number).ok_or(BackupError::NotHeld { segment: begin.number })?;
    let ends_there = last.last_lsn + 1 == begin.first_lsn
        && (last.kept != Kept::Sealed || begin.root == NO_ROOT || last.digest == begin.root);
    if last.kept == Kept::Open || !ends_there {
        return Err(BackupError::Differs { segment: begin.number });
    }
    let first = manifest.begins.map_or(1, |begins| begins.segment + 1);
    if let Some(number) = (first..=begin.number).find(|number| !manifest.segments.contains_key(number)) {
        return Err(BackupError::NotHeld { segment: number });
    }
    let wanted: Vec<(u64, &Held)> =
        manifest.segments.range(first..=begin.number).map(|(number, held)| (*number, held)).collect();
    let needed = wanted.iter().map(|(number, held)| file_bytes(backup, *number).unwrap_or(held.end)).sum();
    let free = journal.free_bytes().map_err(|e| BackupError::source("look at", ".", &e))?;
    if let Some(free) = free.filter(|free| *free < needed) {
        return Err(BackupError::NoRoom { needed, free });
    }
    let early = super::restore::begin_of(backup, &manifest)?;
    let done = Copying { segments: begin.number, bytes_all: needed, ..Copying::default() };
    let mut copier = Copier { source: backup, target: journal, progress, done };
    if early.number > 0 && early.number < begin.number {
        copier.begin(&identity, &early)?;
    }
    let mut before = Before::beginning(&early);
    for (number, held) in &wanted {
        copier.at(*number);
        let file = open_segment(backup, *number)
            .map_err(|e| BackupError::target("open", &segment_name(*number), &e))?;
        if held.kept == Kept::AsItIs {
            copier.as_it_is(*number, held.end)?;
        } else {
            let header =
                header_in(&file, *number, &identity).ok_or(BackupError::NotHeld { segment: *number })?;
            copier.sealed(&header, held.end, before)?;
        }
        before = Before::behind(held);
    }
    let bytes = copier.done.bytes;
    let left = early.pruned().filter(|early| early.segment < pruned.segment);
    Ok(BroughtBack { segments: wanted.len() as u64, bytes, pruned: left })
}

#[cfg(test)]
mod tests;
