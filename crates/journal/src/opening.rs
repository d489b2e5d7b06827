//! From a directory to a writer: creating a journal, or opening one that another process left behind.
//!
//! ```text
//! open    lock │ make the tail what the device holds │ survey, judge        nothing is changed
//! caller  checkpoints, records ──► fold
//! finish  copy aside │ seal, trim, sync │ new segment, epoch + 1 │ Writer
//! ```
//!
//! Each step of `finish` can be repeated, so a crash in it at any point only means that the next opening does
//! it again. A segment that another process wrote is never appended to, and a damaged one is never touched.

use std::ops::ControlFlow;

use crate::checkpoint::{self, Checkpoint};
use crate::decide::{Entrance, Refused, Version, admit};
use crate::error::{Damage, Newer, OpenError};
use crate::frame::Flaw;
use crate::layout::{NO_ROOT, SEAL_BYTES, Seal};
use crate::roots::Before;
use crate::scan::{Found, SegmentScan, Step, is_declared};
use crate::segment::{open_segment, segment_file, segment_name};
use crate::storage::{
    FIRST, LIVE, LOCK, LockError, PACK, SPARE, Source, Storage, StorageFile, StorageRead, TEMP,
};
use crate::survey::{Depth, Listing, RecoveryReport, Survey, TailEnd, content_end, survey};
use crate::verify::OlderCheck;
use crate::writer::{Start, Writer};
use crate::{Config, Expect, Identity, Lsn, Record};

/// Copies of one cut that are kept apart by number; more means that something is very wrong.
const COPIES_MAX: usize = 100;

pub(crate) fn lock<S: Storage>(storage: &mut S) -> Result<(), OpenError> {
    storage.lock().map_err(|error| match error {
        LockError::Held { pid } => OpenError::Locked { pid },
        LockError::Io(e) => OpenError::io("lock", LOCK, &e),
    })
}

/// Creates a journal in an empty directory and returns its writer.
///
/// # Errors
/// [`OpenError::NotEmpty`] when any file but this crate's own temporary ones is there.
pub fn create<S: Storage>(
    mut storage: S,
    identity: Identity,
    config: Config,
) -> Result<Writer<S>, OpenError> {
    config.check()?;
    lock(&mut storage)?;
    let entries = storage.reader().list().map_err(|e| OpenError::io("list", ".", &e))?;
    let own = [LOCK, LIVE, SPARE, FIRST, TEMP, PACK];
    if let Some(entry) = entries.into_iter().find(|entry| !own.contains(&entry.name.as_str())) {
        return Err(OpenError::NotEmpty { name: entry.name });
    }
    let start = Start {
        number: 1,
        epoch: 1,
        first_lsn: 1,
        chain: 0,
        root_before: NO_ROOT,
        before: Before { root: NO_ROOT, unhashed: Vec::new() },
        untrimmed: Vec::new(),
        gaps: Vec::new(),
        pinned: Vec::new(),
    };
    Writer::begin(storage, identity, config, start)
}

/// A journal that is locked and understood, and not yet changed.
pub struct Opening<S: Storage> {
    survey: Survey,
    config: Config,
    storage: S,
}

impl<S: Storage> std::fmt::Debug for Opening<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("report", &self.survey.report).finish_non_exhaustive()
    }
}

/// Nothing can be folded: the very first record is lost, and no whole checkpoint holds what it and its followers made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostBeginning {
    /// The file that record 1 should be in.
    pub file: String,
    /// Whether that file is not there at all.
    pub missing: bool,
    /// Offset of the damage in it; in a compressed segment, as it was before.
    pub offset: u64,
    /// What is wrong there.
    pub flaw: Flaw,
    /// The first and the last of the whole records behind it, if there are any.
    pub whole: Option<(Lsn, Lsn)>,
}

impl std::fmt::Display for LostBeginning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record 1 is lost: {} ", self.file)?;
        if self.missing {
            f.write_str("is missing")?;
        } else {
            write!(f, "offset {}: {}", self.offset, self.flaw)?;
        }
        match self.whole {
            Some((first, last)) => write!(f, "; the whole records behind it are {first} to {last}"),
            None => f.write_str("; no whole record is behind it"),
        }
    }
}

/// Takes the lock, reads headers, seals and the records no checkpoint covers, and decides about the end.
///
/// # Errors
/// See [`OpenError`]; nothing is changed by any of them.
pub fn open<S: Storage>(mut storage: S, expect: Expect, config: Config) -> Result<Opening<S>, OpenError> {
    config.check()?;
    let locked = lock(&mut storage);
    if let Err(OpenError::Locked { .. }) = locked {
        assert_eq!(
            admit(Entrance {
                locked: true,
                version: Version::Known,
                journal_fits: true,
                schema_fits: true,
                mode_fits: true
            }),
            Err(Refused::Locked)
        );
    }
    locked?;
    let read = storage.reader();
    settle(&read)?;
    let mut listing = Listing::read(&read)?;
    let identity = enter(&listing, expect)?;
    let depth = Depth {
        base_limit: Lsn::MAX,
        cover_limit: Lsn::MAX,
        cover_known: 0,
        all_finished: false,
        hash_tail: false,
    };
    let survey = survey(&read, &mut listing, identity, config, depth, &mut |_| ())?;
    if let Some(pruned) = survey.begin.pruned()
        && survey.checkpoints.first().is_none_or(|newest| newest.lsn < pruned.last_lsn)
    {
        return Err(OpenError::Pruned(pruned));
    }
    Ok(Opening { survey, config, storage })
}

/// The newest segment may hold what was never synced, or what a failed sync left in the cache only.
pub(crate) fn settle<R: StorageRead>(read: &R) -> Result<(), OpenError> {
    let entries = read.list().map_err(|e| OpenError::io("list", ".", &e))?;
    let newest = entries.iter().filter_map(|e| segment_file(&e.name)).map(|(number, _)| number).max();
    let Some(number) = newest else { return Ok(()) };
    let file = open_segment(read, number).map_err(|e| OpenError::io("open", &segment_name(number), &e))?;
    file.settle().map_err(|e| OpenError::io("sync", &file.name(), &e))
}

/// Rows H, W, S and M.
fn enter(listing: &Listing, expect: Expect) -> Result<Identity, OpenError> {
    let newer = listing.newer();
    let found = listing.identity(expect.journal_id);
    // With no readable header at all, the caller's word is tried: records verify only under the right id.
    let named =
        expect.journal_id.map(|journal_id| Identity { journal_id, schema: expect.schema, mode: expect.mode });
    let Some(identity) = found.or(named) else {
        return match newer {
            Some((file, version)) => Err(OpenError::Newer { file, what: Newer::Format { version } }),
            None => Err(OpenError::Unidentified),
        };
    };
    let entrance = Entrance {
        locked: false,
        version: if newer.is_some() { Version::Newer } else { Version::Known },
        journal_fits: expect.journal_id.is_none_or(|id| id == identity.journal_id),
        schema_fits: expect.schema == identity.schema,
        mode_fits: expect.mode == identity.mode,
    };
    match admit(entrance) {
        Ok(()) => Ok(identity),
        Err(Refused::Locked) => Err(OpenError::Locked { pid: None }),
        Err(Refused::Newer) => {
            let (file, version) = newer.expect("a newer header was found");
            Err(OpenError::Newer { file, what: Newer::Format { version } })
        }
        Err(Refused::Journal) => Err(OpenError::WrongJournal {
            expected: expect.journal_id.unwrap_or_default(),
            found: identity.journal_id,
        }),
        Err(Refused::Schema) => {
            Err(OpenError::WrongSchema { expected: expect.schema, found: identity.schema })
        }
        Err(Refused::Mode) => Err(OpenError::WrongMode { expected: expect.mode, found: identity.mode }),
    }
}

impl<S: Storage> Opening<S> {
    /// Who this journal is.
    pub fn identity(&self) -> Identity {
        self.survey.identity
    }

    /// What was found. `finish` returns it again with the copies it made.
    pub fn report(&self) -> &RecoveryReport {
        &self.survey.report
    }

    /// The last LSN that folding reaches.
    pub fn last_lsn(&self) -> Lsn {
        self.survey.report.last_lsn
    }

    /// The whole checkpoints, newest first.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.survey.checkpoints
    }

    /// What took the first record, when no whole checkpoint stands in for it. A caller that has no other source of the
    /// state must not go on: `finish` would declare all that is there lost.
    ///
    /// # Errors
    /// [`OpenError::Io`] when it cannot be seen whether the file is there.
    pub fn lost_beginning(&self) -> Result<Option<LostBeginning>, OpenError> {
        let report = &self.survey.report;
        let Some(gap) = report.gap.as_ref().filter(|gap| report.last_lsn == 0 && gap.first_lsn == 1) else {
            return Ok(None);
        };
        let missing = match open_segment(&self.storage.reader(), gap.segment) {
            Ok(_) => false,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(OpenError::io("open", &gap.file, &e)),
        };
        let spans = || self.survey.spans.iter().filter(|span| span.last_lsn >= span.first_lsn);
        let first = spans().map(|span| span.first_lsn).min();
        let last = spans().map(|span| span.last_lsn).max();
        Ok(Some(LostBeginning {
            file: gap.file.clone(),
            missing,
            offset: gap.offset,
            flaw: gap.flaw,
            whole: first.zip(last),
        }))
    }

    /// Hands every folded record from LSN `from` on to `f`, in order, verified, in whole batches. `Break`
    /// stops early and is returned. Records behind rot are not folded and not handed out.
    ///
    /// # Errors
    /// [`OpenError::NeedsCheckpoint`] when `from` lies at or before rot that only a checkpoint covers;
    /// [`OpenError::Pruned`] when it lies before the beginning of a pruned journal;
    /// [`OpenError::Damaged`] when a record that no opening verified before is damaged.
    pub fn records<B>(
        &mut self,
        from: Lsn,
        mut f: impl FnMut(Record<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>, OpenError> {
        let survey = &self.survey;
        if let Some(pruned) = survey.begin.pruned().filter(|pruned| from <= pruned.last_lsn) {
            return Err(OpenError::Pruned(pruned));
        }
        let base = survey.gaps.iter().find(|(_, gap)| gap.by_checkpoint && from <= gap.through_lsn);
        if let Some((_, gap)) = base
            && !survey.gaps.iter().any(|(_, other)| {
                !other.by_checkpoint
                    && other.first_lsn <= gap.first_lsn
                    && gap.through_lsn <= other.through_lsn
            })
        {
            return Err(OpenError::NeedsCheckpoint { lsn: gap.through_lsn, gap: *gap });
        }
        let read = self.storage.reader();
        for span in survey.spans.iter().filter(|span| span.last_lsn >= from.max(span.first_lsn)) {
            let segment = &survey.segments[span.segment];
            let number = segment.header.number;
            let source =
                open_segment(&read, number).map_err(|e| OpenError::io("open", &segment_name(number), &e))?;
            let mut scan = SegmentScan::new(source, &segment.header, segment.file_bytes);
            scan.jump(Found { offset: span.offset, lsn: span.first_lsn, chain: span.chain });
            while scan.link.lsn <= span.last_lsn {
                let batch = match scan.next_batch() {
                    Step::Batch(batch) => batch,
                    Step::Sealed(_) => break,
                    Step::Stop(flaw) => {
                        return Err(OpenError::Damaged(Damage {
                            file: scan.file(),
                            segment: number,
                            offset: scan.offset,
                            lsn: scan.link.lsn,
                            flaw,
                        }));
                    }
                };
                if batch.last_lsn < from {
                    continue;
                }
                for record in scan.records(batch) {
                    if record.lsn < from
                        || (!survey.gaps.is_empty() && is_declared(&survey.gaps, number, record.lsn))
                    {
                        continue;
                    }
                    if let ControlFlow::Break(value) = f(record) {
                        return Ok(Some(value));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A check of every record up to `through`, to be run on another thread while the engine already works:
    /// opening believed those records because a checkpoint covers them.
    pub fn older(&self, through: Lsn) -> OlderCheck<S::Read> {
        OlderCheck::new(self.storage.reader(), self.survey.identity, through)
    }

    /// Carries out what was decided and starts a new segment. The caller appends its record of a gap first,
    /// when the report names one.
    ///
    /// # Errors
    /// [`OpenError::Io`]; opening again repeats everything that was not finished.
    pub fn finish(self) -> Result<(Writer<S>, RecoveryReport), OpenError> {
        let Opening { mut survey, config, mut storage } = self;
        let before = survey.before();
        let mut report = survey.report.clone();
        // The segment behind whose end the survey saw nothing but zeros.
        let mut zeros_behind = None;
        match survey.tail {
            TailEnd::Untouchable | TailEnd::Sealed => {}
            TailEnd::Open { offset, content_end, count } => {
                let segment = survey.segments.last_mut().expect("an open tail is a segment");
                let number = segment.header.number;
                let seal = Seal {
                    last_lsn: segment.header.first_lsn + count - 1,
                    count,
                    epoch: segment.header.epoch,
                    chain: survey.chain,
                    // Hashing a segment takes longer than the whole opening may. Its root enters that of the next.
                    root: NO_ROOT,
                };
                let cut = content_end > offset;
                if cut {
                    let copy = copy_aside(&mut storage, number, offset, content_end)?;
                    report.copies.push(copy);
                }
                end(&mut storage, number, offset, seal, cut)?;
                // What is only zeros behind the seal is cut when there is time.
                segment.sealed = !cut;
                zeros_behind = (!cut).then_some(number);
            }
        }
        let kept = survey.gaps.iter().filter(|(_, gap)| gap.by_checkpoint).map(|(_, gap)| gap.through_lsn);
        // Segments that are sealed and not cut yet. Never one that is damaged, nor one with anything behind its seal:
        // that is for a person to look at.
        let mut untrimmed = Vec::new();
        for segment in &survey.segments {
            if let (true, true, Some(end)) = (segment.header_whole, segment.sealed, segment.end)
                && segment.file_bytes > end + SEAL_BYTES
                && !segment.packed
            {
                let name = segment_name(segment.header.number);
                if zeros_behind != Some(segment.header.number) {
                    let source =
                        storage.reader().open(&name).map_err(|e| OpenError::io("open", &name, &e))?;
                    if content_end(&source, segment.file_bytes)
                        .is_none_or(|content| content > end + SEAL_BYTES)
                    {
                        continue;
                    }
                }
                let file = storage.open_file(&name).map_err(|e| OpenError::io("open", &name, &e))?;
                untrimmed.push((file, end + SEAL_BYTES));
            }
        }
        let start = Start {
            number: survey.last_number + 1,
            epoch: report.epoch,
            first_lsn: report.next_lsn,
            chain: survey.chain,
            root_before: survey.root.unwrap_or(NO_ROOT),
            before,
            untrimmed,
            pinned: kept.collect(),
            gaps: survey.fresh,
        };
        let writer = Writer::begin(storage, survey.identity, config, start)?;
        Ok((writer, report))
    }
}

/// Ends a segment at `offset` with a seal, and cuts what follows if it is more than zeros.
fn end<S: Storage>(
    storage: &mut S,
    number: u64,
    offset: u64,
    seal: Seal,
    cut: bool,
) -> Result<(), OpenError> {
    let name = segment_name(number);
    let mut file = storage.open_file(&name).map_err(|e| OpenError::io("open", &name, &e))?;
    file.write_at(offset, &seal.encode()).map_err(|e| OpenError::io("seal", &name, &e))?;
    if cut {
        file.truncate(offset + SEAL_BYTES).map_err(|e| OpenError::io("trim", &name, &e))?;
    }
    file.sync().map_err(|e| OpenError::io("sync", &name, &e))
}

/// Copies the bytes that are about to be cut into a file of their own, durably, and returns its name. An
/// earlier copy with other content is never overwritten.
fn copy_aside<S: Storage>(storage: &mut S, number: u64, from: u64, until: u64) -> Result<String, OpenError> {
    let name = segment_name(number);
    let read = storage.reader();
    let source = read.open(&name).map_err(|e| OpenError::io("open", &name, &e))?;
    let mut bytes = vec![0; (until - from) as usize];
    let n = source.read_at(from, &mut bytes).map_err(|e| OpenError::io("read", &name, &e))?;
    bytes.truncate(n);
    for copy in 1..=COPIES_MAX {
        let target = format!("cut-{number:010}-{from:010}.{copy}");
        let Ok(file) = read.open(&target) else {
            checkpoint::replace(storage, &target, &bytes).map_err(OpenError::Io)?;
            return Ok(target);
        };
        let mut there = vec![0; bytes.len() + 1];
        let n = file.read_at(0, &mut there).map_err(|e| OpenError::io("read", &target, &e))?;
        if there[..n] == bytes[..] {
            return Ok(target);
        }
    }
    let e = std::io::Error::other("too many copies of cut bytes; move them away");
    Err(OpenError::io("create", &name, &e))
}

#[cfg(test)]
mod tests;
