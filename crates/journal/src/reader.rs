//! Reading records one after the other, also while another process writes them.
//!
//! A reader hands out verified records of whole batches only. Beside a live writer it stops at the durable
//! end the writer publishes, unless it is told to show what is appended and not durable yet. At rot it
//! reports the damage once and then goes on with what is intact behind it, marked as not folded. It takes no
//! lock for longer than a look, writes nothing, and never shows a record that did not verify.

use std::path::Path;

use crate::begin::Pruned;
use crate::error::{Damage, Newer, OpenError};
use crate::frame::Flaw;
use crate::layout::{DeclaredGap, Header, HeaderFlaw, Mark, NO_ROOT, PACKED_VERSION, PAGE_BYTES};
use crate::scan::{SegmentScan, Step, is_declared};
use crate::segment::{open_segment, segment_file, segment_name};
use crate::storage::{DirReader, LIVE, Live, Source, StorageRead};
use crate::survey::{Listing, rebuilt};
use crate::{Checkpoint, Identity, Lsn, Record};

/// A cursor over a whole journal.
pub struct JournalReader<R: StorageRead> {
    read: R,
    identity: Identity,
    durable_only: bool,
    pruned: Option<Pruned>,
    /// Declared gaps with the number of the declaring segment.
    gaps: Vec<(u64, DeclaredGap)>,
    /// Of the segment that is read; put together from its neighbours when its own is damaged.
    header: Header,
    scan: SegmentScan<R::Source>,
    /// Offset of the next record of the batch being handed out, and where that batch ends; equal when there is none.
    at: u64,
    batch_end: u64,
    /// Behind damage that no header declares, nothing is folded any more.
    undeclared_gap: bool,
    /// The places of that damage, segment and LSN.
    undeclared: Vec<(u64, Lsn)>,
    /// The beginning of the journal is gone; said before the first record.
    missing: Option<Damage>,
    last_lsn: Lsn,
    skip_below: Lsn,
    /// Segment, offset and limit at which the file was read again after a stop.
    looked_at: Option<(u64, u64, u64)>,
    /// Damage behind which nothing could be read up to some offset; it is reported once.
    reported: Option<((u64, u64), u64)>,
    /// A segment that was told of and behind which no header could be read.
    unheaded: Option<u64>,
}

impl JournalReader<DirReader> {
    /// Opens the journal in a directory.
    ///
    /// # Errors
    /// As [`JournalReader::open`].
    pub fn open_dir(path: &Path) -> Result<Self, OpenError> {
        JournalReader::open(DirReader::at(path)?)
    }
}

impl<R: StorageRead> JournalReader<R> {
    /// Opens a journal at its first record.
    ///
    /// # Errors
    /// When there is no journal, no first segment can be read, or a newer program wrote it.
    pub fn open(read: R) -> Result<Self, OpenError> {
        let listing = Listing::headers(&read)?;
        if let Some((file, version)) = listing.newer() {
            return Err(OpenError::Newer { file, what: Newer::Format { version } });
        }
        let identity = listing.identity(None).ok_or(OpenError::Unidentified)?;
        let begin = listing.begin(&identity);
        let begins = begin.number + 1;
        let header = first_header(&read, &listing, &identity)?.ok_or(OpenError::Unidentified)?;
        let number = header.number;
        let gaps = listing.declared();
        let scan = scan_segment(&read, &header)?;
        let undeclared_gap = number != begins && !is_declared(&gaps, number - 1, begin.first_lsn);
        let missing = undeclared_gap.then(|| unheaded(&listing, begins, begin.first_lsn));
        let last_lsn = header.first_lsn - 1;
        Ok(JournalReader {
            read,
            identity,
            durable_only: true,
            pruned: begin.pruned(),
            gaps,
            header,
            scan,
            at: 0,
            batch_end: 0,
            undeclared_gap,
            undeclared: missing.iter().map(|damage| (number - 1, damage.lsn)).collect(),
            missing,
            last_lsn,
            skip_below: 0,
            looked_at: None,
            reported: None,
            unheaded: None,
        })
    }

    /// Who this journal is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether to stop at the durable end beside a live writer (the default), or to show appended records
    /// that may yet be lost; while the writer changes its segment, those in the next file are seen only once it has its
    /// name. Without a live writer every valid record is shown: a recovery would keep it.
    #[must_use]
    pub fn durable_only(mut self, yes: bool) -> Self {
        self.durable_only = yes;
        self
    }

    /// The gaps that segment headers declare.
    pub fn gaps(&self) -> Vec<DeclaredGap> {
        self.gaps.iter().map(|(_, gap)| *gap).collect()
    }

    /// What was dropped from the beginning of the journal, if anything was: the first record is then the one behind that,
    /// and what came before is only in checkpoints.
    pub fn pruned(&self) -> Option<&Pruned> {
        self.pruned.as_ref()
    }

    /// The whole checkpoints of this journal, newest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, OpenError> {
        let found = crate::checkpoint::load(&self.read).map_err(|e| OpenError::io("list", ".", &e))?.0;
        let ours = found.into_iter().filter(|named| named.identity == self.identity);
        Ok(ours.map(|named| named.checkpoint).collect())
    }

    /// The segments whose headers are whole: number and LSN of the first record, oldest first. Two readers that each
    /// [`JournalReader::seek`] to one of them can share the work of a long read.
    ///
    /// # Errors
    /// When the directory can no longer be read.
    pub fn segments(&self) -> Result<Vec<(u64, Lsn)>, OpenError> {
        let listing = Listing::headers(&self.read)?;
        let header = |number: &u64| header_of(&listing, *number, &self.identity);
        Ok(listing.files.keys().filter_map(header).map(|h| (h.number, h.first_lsn)).collect())
    }

    /// The LSN of the last record handed out, or the one before the first.
    pub fn position(&self) -> Lsn {
        self.last_lsn
    }

    /// Makes the next record the first one with an LSN of at least `lsn`.
    ///
    /// # Errors
    /// When the directory or a header can no longer be read. Damage on the way is reported by `next`.
    pub fn seek(&mut self, lsn: Lsn) -> Result<(), OpenError> {
        let listing = Listing::headers(&self.read)?;
        let headers: Vec<Header> =
            listing.files.keys().filter_map(|n| header_of(&listing, *n, &self.identity)).collect();
        let at = headers.into_iter().rev().find(|header| header.first_lsn <= lsn);
        let header = match at {
            Some(header) => Some(header),
            None => first_header(&self.read, &listing, &self.identity)?,
        };
        self.header = header.ok_or(OpenError::NoJournal)?;
        self.scan = scan_segment(&self.read, &self.header)?;
        self.gaps = listing.declared();
        (self.at, self.batch_end) = (0, 0);
        self.undeclared_gap = false;
        self.undeclared.clear();
        (self.reported, self.unheaded) = (None, None);
        self.skip_below = lsn;
        Ok(())
    }

    /// The next record; `None` at the end for now. Call again to follow a live journal.
    ///
    /// # Errors
    /// Each damaged place once; the next call goes on with what is intact behind it.
    #[expect(clippy::should_implement_trait, reason = "the record borrows from the reader")]
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Damage> {
        if self.at == self.batch_end && !self.advance() && !self.advance_slowly()? {
            return Ok(None);
        }
        let (frame, number) = (self.scan.frame_at(self.at), self.scan.number);
        let lsn = frame.lsn();
        let after_gap =
            self.undeclared_gap || (!self.gaps.is_empty() && is_declared(&self.gaps, number, lsn));
        let (record, size) = frame.view(number, self.at, after_gap);
        self.last_lsn = lsn;
        self.at += size as u64;
        Ok(Some(record))
    }

    /// Moves to the next batch if it lies in the window and nothing is special about it.
    fn advance(&mut self) -> bool {
        if self.skip_below == 0
            && self.missing.is_none()
            && let Some(batch) = self.scan.batch_in_window()
        {
            (self.at, self.batch_end) = (batch.start, batch.end);
            return true;
        }
        false
    }

    /// Moves to the next batch with a record to hand out; `false` at the end for now.
    #[cold]
    fn advance_slowly(&mut self) -> Result<bool, Damage> {
        if let Some(damage) = self.missing.take() {
            return Err(damage);
        }
        loop {
            match self.scan.next_batch() {
                Step::Batch(batch) if batch.last_lsn < self.skip_below => {}
                Step::Batch(batch) => {
                    let shown = self.scan.records(batch).find(|record| record.lsn >= self.skip_below);
                    (self.at, self.batch_end) = (shown.map_or(batch.end, |record| record.offset), batch.end);
                    self.skip_below = 0;
                    return Ok(true);
                }
                Step::Sealed(_) => {
                    if !self.enter_next()? {
                        return Ok(false);
                    }
                }
                Step::Stop(flaw) => match self.after_stop(flaw)? {
                    After::TryAgain => {}
                    After::End => return Ok(false),
                },
            }
        }
    }

    fn damage(&self, flaw: Flaw) -> Damage {
        Damage {
            file: self.scan.file(),
            segment: self.scan.number,
            offset: self.scan.offset,
            lsn: self.scan.link.lsn,
            flaw,
        }
    }

    /// How far the scan's segment may be read right now.
    fn readable_end(&self) -> Result<(u64, Option<Live>), Damage> {
        let unreadable = |_| self.damage(Flaw::Unreadable);
        // The durable end first: what it says is in the file by then.
        let live = self.read.live().map_err(unreadable)?;
        if let Some(live) = live
            && self.durable_only
            && live.segment == self.scan.number
        {
            return Ok((live.offset, Some(live)));
        }
        let bytes = self.scan.file_bytes().map_err(unreadable)?;
        let end = match live {
            Some(live) if self.durable_only && live.segment < self.scan.number => PAGE_BYTES,
            Some(_) | None => bytes,
        };
        Ok((end, live))
    }

    fn after_stop(&mut self, flaw: Flaw) -> Result<After, Damage> {
        let (end, live) = self.readable_end()?;
        if self.durable_only
            && live.is_some_and(|l| (l.segment, l.offset) == (self.scan.number, self.scan.offset))
        {
            // The usual poll: all that is durable was handed out, and no file has to be looked at to know it.
            self.looked_at = None;
            return Ok(After::End);
        }
        if self.looked_at != Some((self.scan.number, self.scan.offset, end)) {
            // It may have grown, or been sealed and trimmed, since it was read: look once more.
            self.looked_at = Some((self.scan.number, self.scan.offset, end));
            self.scan.look_again(end);
            return Ok(After::TryAgain);
        }
        let durable_end = match live {
            Some(live) if live.segment == self.scan.number => live.offset,
            Some(live) if live.segment < self.scan.number => PAGE_BYTES,
            Some(_) => u64::MAX,
            None => 0,
        };
        let number = self.newest_number()?;
        if number == self.scan.number {
            // Behind the end a live writer has published, anything may stand.
            if live.is_some() && self.scan.offset >= durable_end {
                self.looked_at = None;
                return Ok(After::End);
            }
            if live.is_none() && !self.was_durable(flaw) {
                self.looked_at = None;
                return Ok(After::End);
            }
        } else if live.is_some() && self.read.live().map_err(|_| self.damage(Flaw::Unreadable))? != live {
            // The writer has moved on since its end was read, and with it what may be read here.
            self.looked_at = None;
            return Ok(After::TryAgain);
        } else if self.next_continues_here()? {
            return Ok(if self.enter_next()? { After::TryAgain } else { After::End });
        }
        self.pass_damage(flaw)
    }

    /// Whether the place the scan stands at in the newest segment of a journal nobody writes was durable.
    fn was_durable(&mut self, flaw: Flaw) -> bool {
        let lsn = self.scan.link.lsn;
        if matches!(flaw, Flaw::Unreadable | Flaw::Block) {
            return true;
        }
        let mut page = vec![0; PAGE_BYTES as usize];
        let read = open_segment(&self.read, self.scan.number).and_then(|file| file.read_at(0, &mut page));
        if let (Ok(_), (Some(mark), _)) = (read, Mark::newest(&page, self.scan.link.salt))
            && mark.durable_lsn >= lsn
        {
            return true;
        }
        if self.scan.rest_is_zero() {
            return false;
        }
        self.scan.claims_behind() >= lsn
    }

    fn newest_number(&self) -> Result<u64, Damage> {
        let entries = self.read.list().map_err(|_| self.damage(Flaw::Unreadable))?;
        let newest = entries.iter().filter_map(|entry| segment_file(&entry.name)).map(|(n, _)| n).max();
        Ok(newest.unwrap_or(self.scan.number).max(self.scan.number))
    }

    /// Whether the next segment's header continues exactly where the scan stands: then nothing is missing.
    fn next_continues_here(&self) -> Result<bool, Damage> {
        let listing = Listing::headers(&self.read).map_err(|_| self.damage(Flaw::Unreadable))?;
        let next = header_of(&listing, self.scan.number + 1, &self.identity);
        Ok(next.is_some_and(|h| h.first_lsn == self.scan.link.lsn && h.chain == self.scan.link.chain))
    }

    /// Goes on behind damage. Declared damage is passed in silence, any other is reported once.
    fn pass_damage(&mut self, flaw: Flaw) -> Result<After, Damage> {
        let place = (self.scan.number, self.scan.offset);
        let end = self.scan.file_end();
        if let Some((reported, until)) = self.reported
            && reported == place
        {
            // What was appended since lies behind the damage, in this segment or in a next one.
            if until != end {
                self.reported = Some((place, end));
                if let Some(found) = self.scan.find_behind().found {
                    self.scan.jump(found);
                    return Ok(After::TryAgain);
                }
            }
            return Ok(if self.enter_next()? { After::TryAgain } else { After::End });
        }
        if let Ok(listing) = Listing::headers(&self.read) {
            self.gaps = listing.declared();
        }
        let damage = self.damage(flaw);
        let declared = is_declared(&self.gaps, damage.segment, damage.lsn);
        match self.scan.find_behind().found {
            Some(found) => self.scan.jump(found),
            None => self.reported = Some((place, end)),
        }
        if declared {
            return Ok(After::TryAgain);
        }
        self.undeclared_gap = true;
        self.undeclared.push((damage.segment, damage.lsn));
        Err(damage)
    }

    /// Moves to the next segment that can be read; `false` when there is none yet. A missing or unreadable
    /// segment on the way is damage.
    fn enter_next(&mut self) -> Result<bool, Damage> {
        let newest = self.newest_number()?;
        if newest <= self.scan.number {
            return Ok(false);
        }
        let live = self.read.live().map_err(|_| self.damage(Flaw::Unreadable))?;
        if self.durable_only && live.is_some_and(|live| live.segment <= self.scan.number) {
            return Ok(false);
        }
        let listing = Listing::headers(&self.read).map_err(|_| self.damage(Flaw::Unreadable))?;
        self.gaps = listing.declared();
        let after = self.scan.number + 1;
        // What the next one must continue, where all of this one was read.
        let before =
            Header { first_lsn: self.scan.link.lsn, chain: self.scan.link.chain, ..self.header.clone() };
        let found = following(&self.read, &listing, before, newest);
        let Some(header) = found.map_err(|_| self.damage(Flaw::Unreadable))? else {
            if self.unheaded == Some(after) {
                return Ok(false);
            }
            self.unheaded = Some(after);
            return Err(unheaded(&listing, after, self.scan.link.lsn));
        };
        let expected = self.scan.link.lsn;
        let scan = scan_segment(&self.read, &header).map_err(|_| self.damage(Flaw::Unreadable))?;
        let skipped = header.number != after;
        let before = self.scan.number;
        (self.scan, self.header) = (scan, header);
        self.looked_at = None;
        // An opening declares what was found: what it then appends is folded again.
        self.undeclared.retain(|(number, lsn)| !is_declared(&self.gaps, *number, *lsn));
        self.undeclared_gap = !self.undeclared.is_empty();
        if skipped && !is_declared(&self.gaps, before, expected) {
            self.undeclared_gap = true;
            self.undeclared.push((before, expected));
            if self.unheaded != Some(after) {
                return Err(unheaded(&listing, after, expected));
            }
        }
        Ok(true)
    }
}

/// What to do after a stop.
enum After {
    TryAgain,
    End,
}

/// The header of the first segment that can be read.
fn first_header<R: StorageRead>(
    read: &R,
    listing: &Listing,
    identity: &Identity,
) -> Result<Option<Header>, OpenError> {
    let begin = listing.begin(identity);
    let before = Header {
        version: PACKED_VERSION,
        identity: *identity,
        number: begin.number,
        epoch: begin.epoch.max(1),
        first_lsn: begin.first_lsn,
        segment_bytes: 0,
        chain: begin.chain,
        root_before: NO_ROOT,
        gaps: Vec::new(),
    };
    let newest = listing.files.keys().last().copied().unwrap_or(begin.number);
    following(read, listing, before, newest)
        .map_err(|e| OpenError::io("open", &segment_name(begin.number + 1), &e))
}

/// The header of the first segment behind `before` that can be read, up to `newest`. That of the very next one, when it
/// is damaged, is what makes its records continue those of `before`, of which LSN and chain value are those that come
/// next.
fn following<R: StorageRead>(
    read: &R,
    listing: &Listing,
    before: Header,
    newest: u64,
) -> std::io::Result<Option<Header>> {
    let after = before.number + 1;
    let whole = |number| header_of(listing, number, &before.identity);
    if let Some(header) = whole(after) {
        return Ok(Some(header));
    }
    // What a newer program wrote is not damaged, and is not guessed at.
    let damaged = listing.files.get(&after).filter(|listed| {
        !matches!(Header::decode(&listed.page), Err(HeaderFlaw::Newer(_))) && listed.newer.is_none()
    });
    if let Some(listed) = damaged {
        let next = whole(after + 1);
        let segment_bytes = listed.bytes;
        let likely = Header { number: after, segment_bytes, gaps: Vec::new(), ..before.clone() };
        // Nothing but zeros says nothing of the epoch; in the newest segment records may yet come.
        if let Some(header) = rebuilt(read, likely, segment_bytes, next.as_ref(), next.is_some())? {
            return Ok(Some(header));
        }
    }
    Ok((after + 1..=newest).find_map(whole))
}

/// A segment without a header that could be read, or without a file.
fn unheaded(listing: &Listing, number: u64, lsn: Lsn) -> Damage {
    let flaw = if listing.files.contains_key(&number) { Flaw::Checksum } else { Flaw::Short };
    Damage { file: listing.name(number), segment: number, offset: 0, lsn, flaw }
}

/// The header of segment `number`, when it is whole and in its place.
fn header_of(listing: &Listing, number: u64, identity: &Identity) -> Option<Header> {
    let listed = listing.files.get(&number)?;
    Header::decode(&listed.page).ok().filter(|h| h.number == number && h.identity == *identity)
}

fn scan_segment<R: StorageRead>(read: &R, header: &Header) -> Result<SegmentScan<R::Source>, OpenError> {
    let live = read.live().map_err(|e| OpenError::io("read", LIVE, &e))?;
    let source = open_segment(read, header.number)
        .map_err(|e| OpenError::io("open", &segment_name(header.number), &e))?;
    let bytes = source.bytes().map_err(|e| OpenError::io("read", &source.name(), &e))?;
    // The reader looks again, with the limit that applies to it, before it believes that this is the end.
    let end = match live {
        Some(live) if live.segment == header.number => live.offset.min(bytes),
        Some(live) if live.segment < header.number => PAGE_BYTES,
        Some(_) | None => bytes,
    };
    Ok(SegmentScan::new(source, header, end))
}

#[cfg(test)]
mod tests;
