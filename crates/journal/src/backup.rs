//! Backing a journal up into another directory, beside its writer: a copy that any reader takes for a journal, with a
//! manifest that says what must be found in it.
//!
//! ```text
//! look at the durable end ──► for each segment: there already? compare │ else copy, sync, read back, rename, sync
//!                         ──► checkpoints ──► manifest: write, sync, rename, sync ──► what is no longer named goes
//! ```
//!
//! A segment has its name in the backup only once it was read back from the device and verified. Segments come in order
//! and the beginning of an open one is only ever replaced by more of the same, so that a kill at any moment leaves a
//! whole journal that holds everything the manifest names. Nothing good is ever replaced by something damaged, and
//! nothing at all by another history. The journal itself is never changed; of one that nobody writes, the newest
//! segment is made durable first, as an opening does, so that no power cut can take back what the backup holds.

mod begins;
mod copy;
mod error;
mod manifest;
mod prune;
mod restore;

use std::collections::BTreeMap;
use std::io;

use crate::checkpoint;
use crate::error::{Damage, Newer, OpenError};
use crate::frame::Flaw;
use crate::layout::{Header, NO_ROOT, PAGE_BYTES, SEAL_BYTES};
use crate::opening::settle;
use crate::scan::{SegmentScan, Step as Next};
use crate::segment::{SegmentFile, open_segment, segment_file, segment_name};
use crate::storage::{FIRST, LIVE, LOCK, Live, LockError, PACK, SPARE, Source, Storage, StorageRead, TEMP};
use crate::survey::{Depth, Listing, Note, Segment, Survey, TailEnd, survey};
use crate::{Config, DeclaredGap, Head, Identity, Lsn, Progress};

use begins::{archived, beginning};
pub use copy::Copying;
use copy::{Before, Copier, Examined, begin_in, examine, file_bytes, header_in, seal_in};
pub use error::BackupError;
pub use manifest::{Begins, Held, Kept, Manifest};
pub use prune::{BroughtBack, Dropped, PruneHow, prune, unprune};
pub use restore::{Verified, restore, verify_backup};

/// How often a journal is looked at again when a writer comes or goes meanwhile.
const LOOKS_MAX: usize = 16;

/// What a backup is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Now, nanoseconds since 1970-01-01T00:00:00Z, for the manifest.
    pub now_ns: i64,
    /// Whether everything is read again, in the journal and in the backup; what is damaged in the backup is copied anew.
    /// Else a sealed segment that is there is compared by its header and its seal.
    pub full: bool,
    /// Whether a journal with damage that no header declares is copied with its damage instead of being refused.
    pub as_it_is: bool,
}

/// What a backup did.
#[derive(Clone, Debug)]
pub struct Backed {
    /// What the backup holds now.
    pub manifest: Manifest,
    /// Segments copied, the beginning of an open one included.
    pub segments_copied: u64,
    /// Bytes copied.
    pub bytes_copied: u64,
    /// Segments that were there and stay.
    pub segments_unchanged: u64,
    /// Segments of these that were read again.
    pub segments_reread: u64,
    /// Segments that were damaged in the backup and were copied anew.
    pub mended: Vec<u64>,
    /// Segments that are damaged or lost in the journal, of which the backup holds more.
    pub only_here: Vec<u64>,
    /// Segments that the journal dropped and that are damaged or lost in the backup.
    pub lost_here: Vec<u64>,
    /// Damaged places of the journal that no header declares.
    pub undeclared: u64,
    /// Gaps that the journal's headers declare.
    pub gaps: Vec<DeclaredGap>,
    /// What was found in the journal that loses nothing.
    pub notes: Vec<Note>,
}

/// What is to be backed up.
struct Seen {
    survey: Survey,
    listing: Listing,
    live: Option<Live>,
}

/// What becomes of one segment.
#[derive(Clone, Copy)]
enum Class {
    Sealed { end: u64 },
    Open { end: u64, last_lsn: Lsn },
    AsItIs,
}

/// Brings the backup in `target` up to where the journal is durable now. `target` must be empty or a backup of the same
/// journal; it is locked while this works.
///
/// # Errors
/// [`BackupError`]; what the backup held before, it still holds.
pub fn backup<R: StorageRead, T: Storage>(
    source: &R,
    target: &mut T,
    how: &How,
    progress: &mut dyn FnMut(Copying),
) -> Result<Backed, BackupError> {
    // First of all: a journal that cannot be read leaves no trace where the backup would be.
    let first = look(source, how.full, progress)?;
    target.lock().map_err(|error| match error {
        LockError::Held { pid } => BackupError::Busy { pid },
        LockError::Io(e) => BackupError::target("lock", LOCK, &e),
    })?;
    match Work::new(source, target, how, &first)?.run(first, progress) {
        // Damage in what was believed because a checkpoint covers it: all of it is read, and judged by the table.
        Err(BackupError::Journal(OpenError::Damaged(_))) if !how.full => {
            let all = look(source, true, progress)?;
            Work::new(source, target, how, &all)?.run(all, progress)
        }
        done => done,
    }
}

/// Looks at a journal up to its durable end.
fn look<R: StorageRead>(
    source: &R,
    all: bool,
    progress: &mut dyn FnMut(Copying),
) -> Result<Seen, BackupError> {
    let live = || source.live().map_err(|e| BackupError::source("read", LIVE, &e));
    for _ in 0..LOOKS_MAX {
        let before = live()?;
        if before.is_none() {
            settle(source)?;
        }
        let mut listing = Listing::read(source)?;
        if before.is_none() && live()?.is_some() {
            continue;
        }
        if let Some((file, version)) = listing.newer() {
            return Err(OpenError::Newer { file, what: Newer::Format { version } }.into());
        }
        if let Some(live) = before {
            listing.limit(live);
        }
        let identity = listing.identity(None).ok_or(OpenError::Unidentified)?;
        let base_limit = if all { 0 } else { Lsn::MAX };
        // However much is read: a checkpoint covers what an opening left to it.
        let depth = Depth {
            base_limit,
            cover_limit: Lsn::MAX,
            cover_known: 0,
            all_finished: false,
            hash_tail: false,
        };
        let survey = survey(source, &mut listing, identity, Config::default(), depth, &mut |at| {
            let Progress { segment, segments, records } = at;
            progress(Copying { segment, segments, records, ..Copying::default() });
        })?;
        return Ok(Seen { survey, listing, live: before });
    }
    let e = io::Error::other("a writer came or went each time the journal was looked at; try again");
    Err(BackupError::source("read", LIVE, &e))
}

impl Seen {
    fn class(&self, segment: &Segment) -> Class {
        let newest = segment.header.number == self.survey.last_number;
        match (&self.survey.tail, segment.end) {
            // Beside a living writer what ends before its durable end is damage, whatever it looks like.
            (TailEnd::Open { offset, count, .. }, _)
                if newest
                    && segment.header_whole
                    && self
                        .live
                        .is_none_or(|l| l.segment != segment.header.number || l.offset == *offset) =>
            {
                Class::Open { end: *offset, last_lsn: segment.header.first_lsn + count - 1 }
            }
            (_, Some(end)) if segment.sealed && segment.header_whole => Class::Sealed { end },
            (_, _) => Class::AsItIs,
        }
    }

    /// Beside a living writer the records must reach exactly to the end that it published.
    fn reaches_the_end(&self) -> Result<(), BackupError> {
        let Some(live) = self.live else { return Ok(()) };
        let newest = self.survey.segments.last().filter(|s| s.header.number == live.segment);
        let end = newest.and_then(|segment| match self.class(segment) {
            Class::Open { end, .. } => Some(end),
            Class::Sealed { .. } | Class::AsItIs => None,
        });
        if end == Some(live.offset) {
            return Ok(());
        }
        let damage = Damage {
            file: self.listing.name(live.segment),
            segment: live.segment,
            offset: end.unwrap_or(PAGE_BYTES),
            lsn: self.survey.report.last_lsn + 1,
            flaw: Flaw::Checksum,
        };
        Err(BackupError::Journal(OpenError::Damaged(damage)))
    }
}

struct Work<'a, R: StorageRead, T: Storage> {
    source: &'a R,
    target: &'a mut T,
    how: &'a How,
    identity: Identity,
    old: Manifest,
    done: Backed,
}

impl<'a, R: StorageRead, T: Storage> Work<'a, R, T> {
    /// Looks at what the target holds.
    fn new(
        source: &'a R,
        target: &'a mut T,
        how: &'a How,
        seen: &Seen,
    ) -> Result<Work<'a, R, T>, BackupError> {
        let identity = seen.survey.identity;
        let old = match Manifest::read(&target.reader()) {
            Ok(Some(old)) => old,
            Ok(None) => {
                empty(&target.reader(), &[])?;
                Manifest::empty(identity, how.now_ns)
            }
            // What is there is then compared by reading it.
            Err(BackupError::Manifest) if how.full => Manifest::empty(identity, how.now_ns),
            Err(e) => return Err(e),
        };
        if old.identity != identity {
            return Err(BackupError::OtherJournal {
                journal: identity.journal_id,
                backup: old.identity.journal_id,
            });
        }
        let done = Backed {
            manifest: Manifest { taken_ns: how.now_ns, ..old.clone() },
            segments_copied: 0,
            bytes_copied: 0,
            segments_unchanged: 0,
            segments_reread: 0,
            mended: Vec::new(),
            only_here: Vec::new(),
            lost_here: Vec::new(),
            undeclared: seen.survey.report.gaps.len() as u64 + u64::from(seen.reaches_the_end().is_err()),
            gaps: seen.survey.report.known_gaps.clone(),
            notes: seen.survey.report.notes.clone(),
        };
        Ok(Work { source, target, how, identity, old, done })
    }

    fn run(mut self, seen: Seen, progress: &mut dyn FnMut(Copying)) -> Result<Backed, BackupError> {
        let gaps = &seen.survey.report.gaps;
        if !self.how.as_it_is {
            if !gaps.is_empty() {
                return Err(BackupError::Damaged { gaps: gaps.clone(), held: self.old.head });
            }
            seen.reaches_the_end()?;
        }
        let durable = seen.live.map_or(0, |live| live.durable_lsn);
        let last = (seen.survey.report.next_lsn - 1).max(durable);
        if self.old.last_lsn() > last {
            return Err(BackupError::Shorter { journal: last, backup: self.old.last_lsn() });
        }
        if self.old.segments.is_empty() {
            self.nothing_beyond(&seen)?;
        } else if let Some(pruned) = seen.survey.begin.pruned() {
            // What the backup has not seen whole, the journal has no longer.
            let whole = |held: &Held| {
                let known = held.kept == Kept::Sealed && pruned.root != NO_ROOT;
                held.kept != Kept::Open
                    && held.last_lsn == pruned.last_lsn
                    && (!known || held.digest == pruned.root)
            };
            let follows = self.old.begins.is_some_and(|begins| begins.segment == pruned.segment);
            if !follows && !self.old.segments.get(&pruned.segment).is_some_and(whole) {
                return Err(BackupError::Behind { backup: self.old.last_lsn(), pruned });
            }
        }
        let bytes_all = self.room(&seen)?;
        if self.old.segments.is_empty() {
            // From here on the directory is a backup, whatever happens.
            self.old.write(self.target)?;
        }
        let segments: BTreeMap<u64, &Segment> =
            seen.survey.segments.iter().map(|s| (s.header.number, s)).collect();
        let done = Copying { segments: seen.survey.last_number, bytes_all, ..Copying::default() };
        let (source, how, identity) = (self.source, self.how, self.identity);
        let mut copier = Copier { source, target: &mut *self.target, progress, done };
        let begin = beginning(&mut copier, &identity, &seen.survey.begin, &self.old)?;
        self.done.manifest.begins = Begins::of(&begin);
        let dropped = seen.survey.begin.number;
        archived(&copier.target.reader(), &begin, dropped, how, &self.old, &mut self.done)?;
        let start = if dropped > begin.number { &seen.survey.begin } else { &begin };
        let (mut before, mut next, mut number_before) =
            (Before::beginning(start), start.first_lsn, start.number);
        let files = seen.listing.files.iter().filter(|(number, _)| **number > start.number);
        for (number, listed) in files {
            copier.at(*number);
            let old = self.old.segments.get(number);
            if *number != number_before + 1 {
                // What was copied beside the lost one was hashed upon it, and is compared upon it.
                let lost = self.old.segments.get(&(number - 1)).filter(|_| old.is_some());
                before = lost.map_or(Before::HOLE, Before::behind);
                next = lost.map_or(next, |held| held.last_lsn + 1);
            }
            let first_lsn = segments.get(number).map_or(next, |s| s.header.first_lsn);
            if first_lsn != next {
                before = Before::HOLE;
            }
            let segment = segments.get(number).copied();
            let class = segment.map_or(Class::AsItIs, |s| seen.class(s));
            let step = Step { number: *number, old, before, how, identity };
            let held = match (class, segment) {
                (Class::Sealed { end }, Some(s)) => step.sealed(&mut copier, s, end, &mut self.done)?,
                (Class::Open { end, last_lsn }, Some(s)) => {
                    step.open(&mut copier, s, (end, last_lsn), &mut self.done)?
                }
                (Class::AsItIs, _) | (_, None) => {
                    let behind = segments.range(number + 1..).next().map(|(_, s)| s.header.first_lsn - 1);
                    let last_lsn = behind.unwrap_or(last).max(first_lsn - 1);
                    let limit = if seen.live.is_some() { listed.bytes } else { u64::MAX };
                    step.as_it_is(&mut copier, segment, (first_lsn, last_lsn), limit, &mut self.done)?
                }
            };
            before = Before::behind(&held);
            (next, number_before) = (held.last_lsn + 1, *number);
            let unchanged = old == Some(&held);
            self.done.manifest.segments.insert(*number, held);
            self.done.manifest.head = head_of(&self.done.manifest);
            if !unchanged && *number < seen.survey.last_number {
                // A kill further on then costs no more than one segment.
                self.done.manifest.write(copier.target)?;
            }
        }
        let ours = |number: &u64| *number <= dropped || seen.listing.files.contains_key(number);
        let lost = self.old.segments.keys().filter(|number| !ours(number));
        self.done.only_here.extend(lost);
        self.done.only_here.sort_unstable();
        self.done.manifest.checkpoints.clear();
        for checkpoint in seen.survey.checkpoints.iter().filter(|c| c.lsn <= last) {
            if let Some(digest) = copier.checkpoint(checkpoint.lsn)? {
                self.done.manifest.checkpoints.push((checkpoint.lsn, digest));
            }
        }
        self.done.bytes_copied = copier.done.bytes;
        self.done.manifest.write(copier.target)?;
        tidy(self.target, &self.done.manifest)?;
        Ok(self.done)
    }

    /// Where no manifest tells how far the backup goes: that no file in it is of a segment that the journal has not.
    fn nothing_beyond(&self, seen: &Seen) -> Result<(), BackupError> {
        let entries = self.target.reader().list().map_err(|e| BackupError::target("list", ".", &e))?;
        let mut numbers = entries.iter().filter_map(|entry| segment_file(&entry.name));
        let begin = seen.survey.begin.number;
        let only_here = |number: u64| {
            number <= begin && begin_in(&self.target.reader(), &self.identity, number).is_none()
        };
        if let Some((segment, _)) = numbers.clone().find(|(number, _)| only_here(*number)) {
            return Err(BackupError::Alone { segment });
        }
        if numbers.any(|(number, _)| number > seen.survey.last_number) {
            let journal = seen.survey.report.next_lsn - 1;
            return Err(BackupError::Shorter { journal, backup: journal + 1 });
        }
        Ok(())
    }

    /// Bytes that are to be copied; refuses at once when there is no room for them.
    fn room(&self, seen: &Seen) -> Result<u64, BackupError> {
        let mut needed = 0;
        for (number, listed) in &seen.listing.files {
            let held = self.old.segments.get(number).map(|held| held.kept);
            let segment = seen.survey.segments.iter().find(|s| s.header.number == *number);
            needed += match (segment.map(|s| seen.class(s)), held) {
                (Some(Class::Sealed { .. } | Class::AsItIs) | None, Some(Kept::Sealed)) => 0,
                (Some(Class::Open { end, .. }), _) => end,
                (Some(Class::Sealed { end }), _) if !listed.packed => end + SEAL_BYTES,
                (_, _) => file_bytes(self.source, *number).unwrap_or(listed.bytes),
            };
        }
        needed += seen.survey.checkpoints.iter().map(|c| c.bytes.len() as u64).sum::<u64>();
        let free = self.target.free_bytes().map_err(|e| BackupError::target("look at", ".", &e))?;
        match free {
            Some(free) if free < needed => Err(BackupError::NoRoom { needed, free }),
            Some(_) | None => Ok(needed),
        }
    }
}

/// One segment of the journal and what the backup holds of it.
struct Step<'a> {
    number: u64,
    old: Option<&'a Held>,
    before: Before,
    how: &'a How,
    identity: Identity,
}

impl Step<'_> {
    fn held(&self, kept: Kept, first_lsn: Lsn, seen: &Examined) -> Held {
        Held {
            kept,
            first_lsn,
            last_lsn: seen.last_lsn,
            end: seen.end,
            digest: seen.root,
            verified_ns: self.how.now_ns,
        }
    }

    /// A sealed segment: it is there already, or it is copied.
    fn sealed<R: StorageRead, T: Storage>(
        &self,
        copier: &mut Copier<'_, R, T>,
        segment: &Segment,
        end: u64,
        done: &mut Backed,
    ) -> Result<Held, BackupError> {
        let header = &segment.header;
        if let Some(old) = self.old
            && old.kept == Kept::Sealed
        {
            if let Some(held) = self.unchanged(copier, segment, end, old)? {
                done.segments_unchanged += 1;
                done.segments_reread += u64::from(held.verified_ns != old.verified_ns);
                return Ok(held);
            }
            let seen = copier.sealed(header, end, self.before)?;
            if seen.root != old.digest {
                return Err(BackupError::Diverged { lsn: header.first_lsn });
            }
            done.segments_copied += 1;
            done.mended.push(self.number);
            return Ok(self.held(Kept::Sealed, header.first_lsn, &seen));
        }
        self.continues(copier, segment, u64::MAX)?;
        let seen = copier.sealed(header, end, self.before)?;
        done.segments_copied += 1;
        Ok(self.held(Kept::Sealed, header.first_lsn, &seen))
    }

    /// The entry of a sealed segment that is in the backup as it is in the journal; `None` when the backup's is damaged.
    fn unchanged<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
        segment: &Segment,
        end: u64,
        old: &Held,
    ) -> Result<Option<Held>, BackupError> {
        let header = &segment.header;
        let diverged = || self.diverged(copier, header);
        let ours = open_segment(copier.source, self.number)
            .map_err(|e| BackupError::source("open", &segment_name(self.number), &e))?;
        let seal = seal_in(&ours, end);
        if old.end != end || segment.root.is_some_and(|root| root != old.digest) {
            return Err(diverged());
        }
        let Ok(theirs) = open_segment(&copier.target.reader(), self.number) else { return Ok(None) };
        let found = (header_in(&theirs, self.number, &self.identity), seal_in(&theirs, end));
        match (&found, &seal) {
            ((Some(other), _), _) if other != header => return Err(diverged()),
            ((_, Some(other)), Some(seal)) if other != seal => return Err(diverged()),
            ((Some(_), Some(_)), _) => {}
            (_, _) => return Ok(None),
        }
        if !self.how.full {
            return Ok(Some(old.clone()));
        }
        let agree = theirs.lists_agree();
        let Ok(bytes) = theirs.bytes() else { return Ok(None) };
        let seen = examine(theirs, header, bytes, self.before, None);
        let whole = seen.is_ok_and(|s| agree && s.end == end && s.seal.is_some() && s.root == old.digest);
        Ok(whole.then(|| Held { verified_ns: self.how.now_ns, ..old.clone() }))
    }

    /// Where the segments of journal and backup part.
    fn diverged<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
        header: &Header,
    ) -> BackupError {
        let ours = open_segment(copier.source, self.number).ok();
        let theirs = open_segment(&copier.target.reader(), self.number).ok();
        let lsn = match (ours, theirs) {
            (Some(ours), Some(theirs))
                if header_in(&theirs, self.number, &self.identity).as_ref() == Some(header) =>
            {
                parting(ours, theirs, header)
            }
            (_, _) => header.first_lsn,
        };
        BackupError::Diverged { lsn }
    }

    /// That the segment goes on from what the backup holds of it.
    fn continues<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
        segment: &Segment,
        limit: u64,
    ) -> Result<(), BackupError> {
        let header = &segment.header;
        let facts = |e: io::Error| BackupError::source("open", &segment_name(self.number), &e);
        let there = match self.old {
            Some(old) if old.kept == Kept::Open => Some((old.last_lsn, old.digest)),
            Some(old) if old.kept == Kept::AsItIs => return self.has_all(copier, header, limit),
            Some(_) => None,
            // What an interrupted backup left, or what a manifest that is lost named.
            None => self.left_behind(copier)?,
        };
        let Some((lsn, digest)) = there else { return Ok(()) };
        if lsn + 1 == header.first_lsn {
            return Ok(());
        }
        let ours = open_segment(copier.source, self.number).map_err(facts)?;
        let limit = limit.min(ours.bytes().map_err(facts)?);
        let seen = examine(ours, header, limit, self.before, Some(lsn))
            .map_err(|damage| BackupError::Journal(OpenError::Damaged(damage)))?;
        match seen.asked {
            Some(root) if root == digest => Ok(()),
            Some(_) | None => Err(self.diverged(copier, header)),
        }
    }

    /// That the segment has every batch that verifies in the backup's damaged copy of it.
    fn has_all<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
        header: &Header,
        limit: u64,
    ) -> Result<(), BackupError> {
        let facts = |e: io::Error| BackupError::source("open", &segment_name(self.number), &e);
        let Ok(theirs) = open_segment(&copier.target.reader(), self.number) else { return Ok(()) };
        if header_in(&theirs, self.number, &self.identity).is_some_and(|other| other != *header) {
            return Err(BackupError::Diverged { lsn: header.first_lsn });
        }
        let ours = open_segment(copier.source, self.number).map_err(facts)?;
        let limit = limit.min(ours.bytes().map_err(facts)?);
        match lacking(ours, limit, theirs, header) {
            Some(lsn) => Err(BackupError::Diverged { lsn }),
            None => Ok(()),
        }
    }

    /// Last LSN and head of a file in the backup that the manifest does not name. What does not verify is nothing.
    fn left_behind<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
    ) -> Result<Option<(Lsn, [u8; 32])>, BackupError> {
        let found = self.left(copier)?.map(|(header, seen)| (header.first_lsn, seen.last_lsn, seen.root));
        Ok(found.filter(|(first, last, _)| last >= first).map(|(_, last, root)| (last, root)))
    }

    /// Such a file, if it is a whole sealed segment.
    fn left_whole<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
    ) -> Result<Option<Held>, BackupError> {
        let found = self.left(copier)?.filter(|(_, seen)| seen.seal.is_some());
        Ok(found.map(|(header, seen)| self.held(Kept::Sealed, header.first_lsn, &seen)))
    }

    fn left<R: StorageRead, T: Storage>(
        &self,
        copier: &Copier<'_, R, T>,
    ) -> Result<Option<(Header, Examined)>, BackupError> {
        let Ok(file) = open_segment(&copier.target.reader(), self.number) else { return Ok(None) };
        let mut page = [0; PAGE_BYTES as usize];
        let n = file.read_at(0, &mut page).unwrap_or(0);
        let Ok(header) = Header::decode(&page[..n]) else { return Ok(None) };
        if header.identity != self.identity {
            return Err(BackupError::OtherJournal {
                journal: self.identity.journal_id,
                backup: header.identity.journal_id,
            });
        }
        let Ok(bytes) = file.bytes() else { return Ok(None) };
        let seen = examine(file, &header, bytes, self.before, None);
        Ok(seen.ok().map(|seen| (header, seen)))
    }

    /// The beginning of the newest segment, up to offset and LSN.
    fn open<R: StorageRead, T: Storage>(
        &self,
        copier: &mut Copier<'_, R, T>,
        segment: &Segment,
        (end, last_lsn): (u64, Lsn),
        done: &mut Backed,
    ) -> Result<Held, BackupError> {
        let header = &segment.header;
        match self.old {
            Some(old) if old.kept == Kept::Sealed => {
                return Err(self.diverged(copier, header));
            }
            Some(_) | None => self.continues(copier, segment, end)?,
        }
        let seen = copier.open(header, end, last_lsn, self.before)?;
        done.segments_copied += 1;
        Ok(self.held(Kept::Open, header.first_lsn, &seen))
    }

    /// A segment that does not verify: what the backup holds of it stays; else it is copied with its damage.
    fn as_it_is<R: StorageRead, T: Storage>(
        &self,
        copier: &mut Copier<'_, R, T>,
        segment: Option<&Segment>,
        (first_lsn, last_lsn): (Lsn, Lsn),
        limit: u64,
        done: &mut Backed,
    ) -> Result<Held, BackupError> {
        let stays = match (self.old, segment) {
            // Of the beginning that the backup has, the journal has everything, and perhaps more.
            (Some(old), Some(segment)) if old.kept != Kept::Sealed => {
                self.continues(copier, segment, limit).is_err().then(|| old.clone())
            }
            (Some(old), _) => Some(old.clone()),
            (None, _) => self.left_whole(copier)?,
        };
        if let Some(held) = stays {
            done.segments_unchanged += 1;
            done.only_here.push(self.number);
            return Ok(held);
        }
        if let Some(old) = self.old.filter(|old| old.kept == Kept::AsItIs)
            && copier.is_as_it_was(self.number, limit, old)?
        {
            done.segments_unchanged += 1;
            return Ok(old.clone());
        }
        let (digest, end) = copier.as_it_is(self.number, limit)?;
        done.segments_copied += 1;
        let verified_ns = self.how.now_ns;
        Ok(Held { kept: Kept::AsItIs, first_lsn, last_lsn, end, digest, verified_ns })
    }
}

/// The first LSN that two segments with the same header do not have in common.
fn parting<A: Source, B: Source>(ours: SegmentFile<A>, theirs: SegmentFile<B>, header: &Header) -> Lsn {
    let (Ok(a), Ok(b)) = (ours.bytes(), theirs.bytes()) else { return header.first_lsn };
    let (mut ours, mut theirs) = (SegmentScan::new(ours, header, a), SegmentScan::new(theirs, header, b));
    loop {
        let common = ours.link.lsn;
        match (ours.next_batch(), theirs.next_batch()) {
            (Next::Batch(_), Next::Batch(_))
                if (ours.link.lsn, ours.link.chain) == (theirs.link.lsn, theirs.link.chain) => {}
            (_, _) => return common,
        }
    }
}

/// The first LSN of a batch that verifies in `theirs`, damaged places passed, and is not the same in `ours` up to `limit`.
fn lacking<A: Source, B: Source>(
    ours: SegmentFile<A>,
    limit: u64,
    theirs: SegmentFile<B>,
    header: &Header,
) -> Option<Lsn> {
    let bytes = theirs.bytes().ok()?;
    let (mut ours, mut theirs) =
        (SegmentScan::new(ours, header, limit), SegmentScan::new(theirs, header, bytes));
    loop {
        let first = theirs.link.lsn;
        match theirs.next_batch() {
            Next::Batch(_) => {
                // A jump may end behind what it passed; only a batch that verifies is there.
                let mut there = false;
                while ours.link.lsn < theirs.link.lsn {
                    there = false;
                    match ours.next_batch() {
                        Next::Batch(_) => there = true,
                        Next::Sealed(_) => return Some(first),
                        Next::Stop(_) => match ours.find_behind().found {
                            Some(found) => ours.jump(found),
                            None => return Some(first),
                        },
                    }
                }
                if !there || (ours.link.lsn, ours.link.chain) != (theirs.link.lsn, theirs.link.chain) {
                    return Some(first);
                }
            }
            Next::Sealed(_) => return None,
            Next::Stop(_) => {
                let found = theirs.find_behind().found?;
                theirs.jump(found);
            }
        }
    }
}

/// The head of what is held: that of the last segment with a record that verifies.
fn head_of(manifest: &Manifest) -> Option<Head> {
    let held = manifest.segments.values().rev();
    let mut whole = held.filter(|h| h.kept != Kept::AsItIs && h.last_lsn >= h.first_lsn);
    whole.next().map(|held| Head { lsn: held.last_lsn, root: held.digest })
}

/// Refuses a directory that holds anything but what a backup makes before its manifest.
fn empty<T: StorageRead>(read: &T, more: &[&str]) -> Result<(), BackupError> {
    let entries = read.list().map_err(|e| BackupError::target("list", ".", &e))?;
    let own = [LOCK, LIVE, SPARE, FIRST, TEMP, PACK];
    match entries.into_iter().find(|e| !own.contains(&e.name.as_str()) && !more.contains(&e.name.as_str())) {
        Some(entry) => Err(BackupError::NotABackup { name: entry.name }),
        None => Ok(()),
    }
}

/// Removes the checkpoints that the manifest no longer names.
fn tidy<T: Storage>(target: &mut T, manifest: &Manifest) -> Result<(), BackupError> {
    let entries = target.reader().list().map_err(|e| BackupError::target("list", ".", &e))?;
    let named = |lsn: Lsn| manifest.checkpoints.iter().any(|(named, _)| *named == lsn);
    let mut changed = false;
    for entry in entries.iter().filter(|entry| checkpoint::lsn_of(&entry.name).is_some_and(|l| !named(l))) {
        target.remove(&entry.name).map_err(|e| BackupError::target("remove", &entry.name, &e))?;
        changed = true;
    }
    if changed {
        target.sync_dir().map_err(|e| BackupError::target("sync", ".", &e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
