//! Walking the segments in order: which stretches of records are intact, where the chain breaks, and what the
//! table says of each break.

use super::{Cut, Listed, Listing, Note, Proof, Segment, Span, TailEnd, WOUNDS_MAX, Wound};
use crate::begin::Begin;
use crate::beside;
use crate::decide::{Evidence, Place, Row, Seen, decide};
use crate::error::{Newer, OpenError};
use crate::frame::Flaw;
use crate::layout::{
    FRAME_BYTES, Header, Mark, NO_ROOT, PACKED_VERSION, PAGE_BYTES, Place as BatchPlace, Root, SEAL_BYTES,
    Seal, roots_agree,
};
use crate::scan::{Batch, Behind, Found, SegmentScan, Step, last_not_zero};
use crate::segment::{SegmentFile, open_past_cache, open_segment};
use crate::storage::{Source, StorageRead};
use crate::{Config, Identity, Lsn};

/// Epochs tried for a segment whose header is lost: that of the segment before it and a few after.
const EPOCH_TRIES: u64 = 4;

/// Collects spans and wounds while the segments are walked in order.
pub(super) struct Walk<'a, R: StorageRead> {
    pub(super) read: &'a R,
    pub(super) listing: &'a Listing,
    pub(super) config: Config,
    pub(super) identity: Identity,
    pub(super) begin: Begin,
    /// Records up to here need not be read.
    pub(super) base: Lsn,
    /// Where the batch stands that ends there, if the checkpoint tells.
    pub(super) place: Option<BatchPlace>,
    pub(super) segments: Vec<Segment>,
    pub(super) spans: Vec<Span>,
    pub(super) wounds: Vec<Wound>,
    pub(super) notes: Vec<Note>,
    /// The LSN and chain value the next segment continues, as far as they are known.
    pub(super) expected_lsn: Lsn,
    pub(super) chain: u32,
    /// The root the next segment builds on; `None` when it is not known.
    pub(super) root: Option<Root>,
    /// Whether a seal ended the segment before.
    pub(super) sealed: bool,
    /// Both as they were when the present segment was entered.
    pub(super) root_before: Option<Root>,
    pub(super) sealed_before: bool,
    pub(super) records: u64,
    /// Whether the newest segment's root is wanted too.
    pub(super) hash_tail: bool,
    /// Highest LSN known to have been durable.
    pub(super) proven: Lsn,
    pub(super) row: Row,
    pub(super) cut: Option<Cut>,
}

impl<R: StorageRead> Walk<'_, R> {
    pub(super) fn wound(&mut self, number: u64, offset: u64, bytes: u64, flaw: Flaw, proof: Proof) {
        if self.wounds.len() < WOUNDS_MAX {
            self.wounds.push(Wound { number, offset, first_lsn: self.expected_lsn, bytes, flaw, proof });
        }
    }

    pub(super) fn lost_header(&mut self, number: u64, file_bytes: u64, newest: bool) {
        self.wound(number, 0, file_bytes, Flaw::Checksum, Proof::FinishedSegment);
        if newest {
            // How many records it held cannot be known; no LSN of theirs may ever be given again.
            let most = file_bytes.saturating_sub(PAGE_BYTES) / FRAME_BYTES as u64;
            self.proven = self.proven.max(self.expected_lsn + most);
        }
    }

    fn open(&self, number: u64) -> Result<SegmentFile<R::Source>, OpenError> {
        open_segment(self.read, number).map_err(|e| OpenError::io("open", &self.listing.name(number), &e))
    }

    /// A header that is damaged is rebuilt from its neighbours if the records then verify.
    pub(super) fn reconstruct(
        &self,
        number: u64,
        file_bytes: u64,
        next: Option<&Header>,
    ) -> Result<Option<Header>, OpenError> {
        let before = self.segments.last().filter(|s| s.header.number + 1 == number);
        if number != self.begin.number + 1 && before.is_none() {
            return Ok(None);
        }
        let epoch_before = before.map_or(self.begin.epoch.max(1), |s| s.header.epoch);
        let likely = Header {
            version: before.map(|s| s.header.version).or(next.map(|h| h.version)).unwrap_or(PACKED_VERSION),
            identity: self.identity,
            number,
            epoch: epoch_before,
            first_lsn: self.expected_lsn,
            segment_bytes: self.config.segment_bytes.max(file_bytes),
            chain: self.chain,
            root_before: self.root.unwrap_or(NO_ROOT),
            gaps: Vec::new(),
        };
        rebuilt(self.read, likely, file_bytes, next, true)
            .map_err(|e| OpenError::io("open", &self.listing.name(number), &e))
    }

    pub(super) fn enter(&mut self, header: Header, listed: &Listed, header_whole: bool) {
        let file = self.listing.name(header.number);
        let page = &listed.page;
        if listed.packed && self.open(header.number).is_ok_and(|file| !file.lists_agree()) {
            self.notes.push(Note::ListDamaged { file: file.clone() });
        }
        let mut mark = None;
        if page.len() == PAGE_BYTES as usize {
            let (newest, damaged) = Mark::newest(page, header.salt());
            mark = newest;
            if damaged > 0 {
                self.notes.push(Note::MarkDamaged { file: file.clone() });
            }
            if header_whole && !Header::reserved_is_zero(page) {
                self.notes.push(Note::ReservedNotZero { file: file.clone() });
            }
        }
        if !header_whole {
            self.notes.push(Note::HeaderDamaged { file });
        }
        if let Some(mark) = mark {
            self.proven = self.proven.max(mark.durable_lsn);
        }
        let continues = header.first_lsn == self.expected_lsn
            && header.chain == self.chain
            && self.root.is_none_or(|root| roots_agree(&header.root_before, &root));
        let declared = header.gaps.iter().any(|gap| gap.through_lsn + 1 == header.first_lsn);
        if !continues && !declared && self.wounds.last().is_none_or(|w| w.number + 1 != header.number) {
            // Two segments that are each whole and do not belong together: one was swapped or is stale.
            let first_lsn = self.spans.last().map_or(self.expected_lsn, |s| s.first_lsn);
            let number = header.number.saturating_sub(1).max(self.begin.number + 1);
            self.expected_lsn = first_lsn.min(header.first_lsn);
            self.wound(number, PAGE_BYTES, 0, Flaw::Seal, Proof::FinishedSegment);
        }
        self.expected_lsn = header.first_lsn;
        // A segment that is missing has left no root.
        let follows =
            self.segments.last().map_or(self.begin.number + 1, |s| s.header.number + 1) == header.number;
        self.root_before = if follows { self.root } else { None };
        self.sealed_before = follows && self.sealed;
        self.segments.push(Segment {
            header,
            file_bytes: listed.bytes,
            packed: listed.packed,
            header_whole,
            end: None,
            root: None,
            sealed: false,
        });
    }

    fn begin_span(&mut self, offset: u64, chain: u32, first_lsn: Lsn) {
        let segment = self.segments.len() - 1;
        self.spans.push(Span { segment, offset, chain, first_lsn, last_lsn: first_lsn - 1 });
    }

    fn grow_span(&mut self, last_lsn: Lsn) {
        let span = self.spans.last_mut().expect("a span was begun");
        self.records += last_lsn - span.last_lsn;
        span.last_lsn = last_lsn;
    }

    /// The seal at the end of a segment's file, if it can be read and fits the header.
    fn seal_at_end(&self, source: &SegmentFile<R::Source>, segment: &Segment) -> Option<Seal> {
        let at = segment.file_bytes.checked_sub(SEAL_BYTES)?;
        let mut bytes = [0; SEAL_BYTES as usize];
        let read = source.read_at(at, &mut bytes).unwrap_or(0);
        Seal::decode(&bytes[..read]).filter(|seal| self.fits(seal, segment) && at >= PAGE_BYTES)
    }

    /// The seal of a finished segment: at the end of its file, or with nothing but zeros behind it when the file was
    /// not cut yet.
    fn seal_of(&self, source: &SegmentFile<R::Source>, segment: &Segment) -> Option<(u64, Seal)> {
        if let Some(seal) = self.seal_at_end(source, segment) {
            return Some((segment.file_bytes - SEAL_BYTES, seal));
        }
        let end = content_end(source, segment.file_bytes)?;
        // The root may be zeros, so the seal may end behind the last byte that is something.
        let from = end.saturating_sub(SEAL_BYTES).next_multiple_of(8).max(PAGE_BYTES);
        let mut bytes = [0; 2 * SEAL_BYTES as usize];
        let read = source.read_at(from, &mut bytes).unwrap_or(0);
        let candidates = (0..read.saturating_sub(SEAL_BYTES as usize - 1)).step_by(8);
        candidates.map(|at| (at, Seal::decode(&bytes[at..read]))).find_map(|(at, seal)| {
            let seal = seal.filter(|seal| self.fits(seal, segment))?;
            Some((from + at as u64, seal))
        })
    }

    fn fits(&self, seal: &Seal, segment: &Segment) -> bool {
        seal.epoch == segment.header.epoch && seal.last_lsn + 1 == segment.header.first_lsn + seal.count
    }

    /// A scan that begins with the batch behind the checkpoint, when that lies in this segment and the batch that
    /// ends there is whole; else one from the first record.
    fn scan(
        &mut self,
        source: SegmentFile<R::Source>,
        segment: &Segment,
        hash: bool,
    ) -> SegmentScan<R::Source> {
        let mut scan = SegmentScan::new(source, &segment.header, segment.file_bytes);
        self.begin_span(PAGE_BYTES, segment.header.seed(), segment.header.first_lsn);
        let place = self.place.filter(|p| {
            p.segment == segment.header.number
                && segment.header_whole
                && p.lsn >= segment.header.first_lsn
                && (PAGE_BYTES..segment.file_bytes).contains(&p.offset)
        });
        if let Some(place) = place {
            scan.jump(Found { offset: place.offset, lsn: place.lsn, chain: place.chain });
            if let Step::Batch(batch) = scan.next_batch()
                && batch.last_lsn == self.base
            {
                let span = self.spans.last_mut().expect("just begun");
                span.last_lsn = batch.last_lsn;
                self.proven = self.proven.max(batch.last_lsn);
                self.begin_span(scan.offset, scan.link.chain, scan.link.lsn);
                return scan;
            }
            // Something is wrong there, and how much is told by reading all of it.
            scan.jump(Found {
                offset: PAGE_BYTES,
                lsn: segment.header.first_lsn,
                chain: segment.header.seed(),
            });
        }
        if hash { scan.with_root(segment.header.root_hasher()) } else { scan }
    }

    /// What a hasher over header and frames makes the root of this segment to be, and whether that contradicts what
    /// is stored in its seal.
    fn check_root(&self, segment: &Segment, hasher: &blake3::Hasher, stored: &Root) -> (Option<Root>, bool) {
        if !segment.header_whole {
            // Its bytes were guessed from its neighbours: good enough for the records, not for a hash.
            return ((*stored != NO_ROOT).then_some(*stored), false);
        }
        let root = |before: &Root| segment.header.root(hasher.clone(), before);
        let named = segment.header.root_before;
        // A segment behind one that was never sealed may build on zeros: there was a hole then.
        let known =
            if named != NO_ROOT || segment.header.version == 1 { Some(named) } else { self.root_before };
        let Some(known) = known else {
            let root = [NO_ROOT].iter().map(root).find(|root| root == stored);
            return (root.or((*stored != NO_ROOT).then_some(*stored)), false);
        };
        let found = root(&known);
        if *stored == NO_ROOT || found == *stored {
            return (Some(found), false);
        }
        if !self.sealed_before && root(&NO_ROOT) == *stored {
            return (Some(*stored), false);
        }
        (Some(*stored), true)
    }

    fn check_known(&self, scan: &SegmentScan<R::Source>, batch: Batch) -> Result<(), OpenError> {
        for record in scan.records(batch) {
            if !(self.config.knows)(record.kind, record.version) {
                let what = Newer::Record { lsn: record.lsn, kind: record.kind, version: record.version };
                return Err(OpenError::Newer { file: scan.file(), what });
            }
        }
        Ok(())
    }

    /// A segment behind which another was begun: all of it was durable.
    pub(super) fn older(&mut self, next: Option<&Header>) -> Result<(), OpenError> {
        let segment = self.segments.last().expect("the segment was entered").clone();
        let source = self.open(segment.header.number)?;
        let seal = self.seal_of(&source, &segment);
        let next_fits = |seal: &Seal| {
            next.is_none_or(|n| {
                (n.chain == seal.chain || !n.gaps.is_empty()) && roots_agree(&n.root_before, &seal.root)
            })
        };
        if let Some((offset, seal)) = seal
            && seal.last_lsn <= self.base
            && segment.header_whole
            && next_fits(&seal)
        {
            self.begin_span(PAGE_BYTES, segment.header.seed(), segment.header.first_lsn);
            let span = self.spans.last_mut().expect("just begun");
            span.last_lsn = seal.last_lsn;
            let told = if seal.root == NO_ROOT { next.map(|n| n.root_before) } else { Some(seal.root) };
            self.ends(offset, true, told.filter(|root| *root != NO_ROOT));
            self.leave(seal.last_lsn + 1, seal.chain);
            return Ok(());
        }
        // The whole segment is hashed by a second core while this one verifies it, if it is long.
        let from_first = self.place.is_none_or(|place| place.segment != segment.header.number);
        let mut hashed = match seal {
            Some((offset, _)) if from_first => {
                beside::hash(self.open(segment.header.number)?, &segment.header, offset).map(|h| (offset, h))
            }
            Some(_) | None => None,
        };
        let mut scan = self.scan(source, &segment, hashed.is_none());
        let mut wounded = false;
        loop {
            match scan.next_batch() {
                Step::Batch(batch) => {
                    self.check_known(&scan, batch)?;
                    self.grow_span(batch.last_lsn);
                    self.proven = self.proven.max(batch.last_lsn);
                }
                Step::Sealed(seal) => {
                    let told = (seal.root != NO_ROOT).then_some(seal.root);
                    let beside = hashed.take().filter(|(offset, _)| *offset == scan.offset && !wounded);
                    let hasher = scan.hasher().or_else(|| beside.and_then(|(_, hash)| hash.wait()).flatten());
                    let (root, edited) = match hasher {
                        Some(hasher) => self.check_root(&segment, &hasher, &seal.root),
                        None => (told, false),
                    };
                    if wounded {
                        self.ends_nowhere();
                        self.root = told;
                    } else {
                        self.ends(scan.offset, true, root);
                    }
                    self.leave(seal.last_lsn + 1, seal.chain);
                    if edited && segment.header_whole {
                        // Every record verifies and yet the whole is not what was sealed: edited.
                        self.keep_as_it_is();
                        self.expected_lsn = segment.header.first_lsn;
                        self.wound(segment.header.number, PAGE_BYTES, 0, Flaw::Seal, Proof::FinishedSegment);
                        self.expected_lsn = seal.last_lsn + 1;
                    }
                    return Ok(());
                }
                Step::Stop(flaw) => {
                    // Behind a hole there is no root to compare; the chain alone says that this is the end.
                    let root = scan.hasher().map(|hasher| self.check_root(&segment, &hasher, &NO_ROOT).0);
                    let successor = next.filter(|n| {
                        n.first_lsn == scan.link.lsn
                            && n.chain == scan.link.chain
                            && root.flatten().is_none_or(|root| roots_agree(&root, &n.root_before))
                    });
                    if let Some(next) = successor {
                        self.notes.push(Note::SealDamaged { file: scan.file() });
                        let told = (next.root_before != NO_ROOT).then_some(next.root_before);
                        if wounded {
                            self.ends_nowhere();
                            self.root = told;
                        } else {
                            self.ends(scan.offset, false, told.or(root.flatten()));
                        }
                        self.leave(scan.link.lsn, scan.link.chain);
                        return Ok(());
                    }
                    self.refuse_newer(&scan, flaw)?;
                    let behind = scan.find_behind();
                    let evidence = Evidence {
                        seen: seen(&mut scan, flaw, behind),
                        valid_behind: behind.found.is_some(),
                        proof: true,
                        place: Place::Older,
                        witness: false,
                    };
                    assert_eq!(decide(evidence), Row::E, "an older segment is never cut");
                    wounded = true;
                    if !self.step_over(&mut scan, flaw, Proof::FinishedSegment, behind) {
                        let seal = seal.map(|(_, seal)| seal);
                        let (lsn, chain) =
                            seal.map_or((scan.link.lsn, scan.link.chain), |s| (s.last_lsn + 1, s.chain));
                        self.ends_nowhere();
                        self.root = seal.map(|s| s.root).filter(|root| *root != NO_ROOT);
                        self.leave(lsn, chain);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Notes how the present segment ends: its records do at `offset`.
    fn ends(&mut self, offset: u64, sealed: bool, root: Option<Root>) {
        let segment = self.segments.last_mut().expect("the segment was entered");
        (segment.end, segment.sealed, segment.root) = (Some(offset), sealed, root);
        (self.sealed, self.root) = (sealed, root);
    }

    /// The present segment is damaged: nothing is cut from it any more.
    fn keep_as_it_is(&mut self) {
        self.segments.last_mut().expect("the segment was entered").sealed = false;
    }

    /// The present segment has a hole, and so no root that could be computed.
    fn ends_nowhere(&mut self) {
        (self.sealed, self.root) = (false, None);
    }

    /// Notes a wound at the scan's position and moves to the next whole batch, if there is one.
    fn step_over(
        &mut self,
        scan: &mut SegmentScan<R::Source>,
        flaw: Flaw,
        proof: Proof,
        behind: Behind,
    ) -> bool {
        let until = match behind.found {
            Some(found) => found.offset,
            None => scan.content_end(),
        };
        self.expected_lsn = scan.link.lsn;
        let proof = if flaw == Flaw::Unreadable { Proof::DeviceError } else { proof };
        self.wound(scan.number, scan.offset, until.saturating_sub(scan.offset), flaw, proof);
        self.proven = self.proven.max(scan.link.lsn);
        match behind.found {
            Some(found) => {
                scan.jump(found);
                self.begin_span(found.offset, found.chain, found.lsn);
                true
            }
            None => false,
        }
    }

    /// Whether nothing but zeros follows. Most of it was allocated and never written; through the cache each page of
    /// that would first be made, which takes longer than everything else.
    fn rest_is_zero(&self, scan: &mut SegmentScan<R::Source>) -> bool {
        let open = || open_past_cache(self.read, scan.number);
        match (open(), open()) {
            (Ok(first), Ok(second)) => scan.rest_is_zero_beside(first, second),
            (_, _) => scan.rest_is_zero(),
        }
    }

    fn refuse_newer(&self, scan: &SegmentScan<R::Source>, flaw: Flaw) -> Result<(), OpenError> {
        if flaw != Flaw::NewerFlags {
            return Ok(());
        }
        let what = Newer::Flags { lsn: scan.link.lsn };
        Err(OpenError::Newer { file: scan.file(), what })
    }

    fn leave(&mut self, expected_lsn: Lsn, chain: u32) {
        self.expected_lsn = expected_lsn;
        self.chain = chain;
    }

    /// The newest segment: its end is the one place where the rows differ.
    pub(super) fn tail(&mut self) -> Result<TailEnd, OpenError> {
        let segment = self.segments.last().expect("the segment was entered").clone();
        let source = self.open(segment.header.number)?;
        let proves = seal_proves(&segment);
        if let Some(seal) = self.seal_at_end(&source, &segment)
            && proves
        {
            self.proven = self.proven.max(seal.last_lsn);
        }
        let mut scan = self.scan(source, &segment, self.hash_tail);
        let mut untouchable = !segment.header_whole;
        let mut looked_ahead = false;
        loop {
            let flaw = match scan.next_batch() {
                Step::Batch(batch) => {
                    self.check_known(&scan, batch)?;
                    self.grow_span(batch.last_lsn);
                    self.proven = self.proven.max(batch.durable);
                    continue;
                }
                Step::Sealed(seal) => {
                    self.leave(seal.last_lsn + 1, seal.chain);
                    let told = (seal.root != NO_ROOT).then_some(seal.root);
                    if untouchable {
                        self.ends_nowhere();
                        self.root = told;
                        return Ok(TailEnd::Untouchable);
                    }
                    let (root, edited) = match scan.hasher() {
                        Some(hasher) => self.check_root(&segment, &hasher, &seal.root),
                        None => (told, false),
                    };
                    self.ends(scan.offset, true, root);
                    if edited {
                        self.keep_as_it_is();
                        self.expected_lsn = segment.header.first_lsn;
                        self.wound(segment.header.number, PAGE_BYTES, 0, Flaw::Seal, Proof::FinishedSegment);
                        self.expected_lsn = seal.last_lsn + 1;
                    }
                    return Ok(TailEnd::Sealed);
                }
                Step::Stop(flaw) => flaw,
            };
            self.refuse_newer(&scan, flaw)?;
            let clear = flaw == Flaw::Zeros && self.rest_is_zero(&mut scan);
            let mut ahead = None;
            if !looked_ahead && !clear {
                let found = look_ahead(&mut scan, proves);
                self.proven = self.proven.max(found.claimed);
                looked_ahead = true;
                ahead = Some(found);
            }
            // What cannot be read may be what was acknowledged; a torn write is never unreadable.
            let flaw = if scan.unreadable_behind() { Flaw::Unreadable } else { flaw };
            let behind = if clear { Behind::NOTHING } else { scan.find_behind() };
            let evidence = Evidence {
                // That the rest is zero was just read, byte by byte.
                seen: if clear && flaw == Flaw::Zeros { Seen::Zeros } else { seen(&mut scan, flaw, behind) },
                valid_behind: behind.found.is_some(),
                proof: self.proven >= scan.link.lsn && !crate::mutant!(7),
                place: Place::Tail,
                witness: false,
            };
            match decide(evidence) {
                Row::D if crate::mutant!(6) => {
                    let found = behind.found.expect("row D has something behind it");
                    scan.jump(found);
                    self.begin_span(found.offset, found.chain, found.lsn);
                }
                row @ (Row::B | Row::C | Row::D) => {
                    let content_end = if row == Row::B { scan.offset } else { scan.content_end() };
                    if row != Row::B {
                        // Behind rot it was not looked from here yet; and behind this nothing is looked at any more.
                        let ahead = ahead.unwrap_or_else(|| look_ahead(&mut scan, proves));
                        self.cut = Some(Cut {
                            row,
                            segment: scan.number,
                            offset: scan.offset,
                            bytes: content_end - scan.offset,
                            first_lsn: scan.link.lsn,
                            last_lsn_seen: ahead.last_lsn,
                            records: ahead.records,
                        });
                    }
                    self.row = row;
                    self.leave(scan.link.lsn, scan.link.chain);
                    if untouchable {
                        self.ends_nowhere();
                        return Ok(TailEnd::Untouchable);
                    }
                    self.ends(scan.offset, false, None);
                    let count = scan.link.lsn - segment.header.first_lsn;
                    return Ok(TailEnd::Open { offset: scan.offset, content_end, count });
                }
                Row::E => {
                    untouchable = true;
                    let claimed = ahead.map_or(0, |ahead| ahead.claimed);
                    let checkpoint = self.base >= scan.link.lsn && claimed < scan.link.lsn;
                    let proof = if checkpoint {
                        Proof::Checkpoint(self.base)
                    } else {
                        Proof::DurableLsn(self.proven)
                    };
                    let chain = scan.link.chain;
                    if !self.step_over(&mut scan, flaw, proof, behind) {
                        self.leave(scan.link.lsn, chain);
                        self.ends_nowhere();
                        return Ok(TailEnd::Untouchable);
                    }
                }
                Row::A | Row::H | Row::J => unreachable!("a stop is never valid, and no witness was called"),
            }
        }
    }
}

/// The header of a segment whose own is damaged, from what it must be but for the epoch; `None` when no epoch makes its
/// records verify. `zeros` says that a segment without any is one that had none.
pub(crate) fn rebuilt<R: StorageRead>(
    read: &R,
    likely: Header,
    file_bytes: u64,
    next: Option<&Header>,
    zeros: bool,
) -> std::io::Result<Option<Header>> {
    let tried = likely.epoch..likely.epoch.saturating_add(EPOCH_TRIES);
    for epoch in tried.chain(next.map(|h| h.epoch)) {
        let header = Header { epoch, ..likely.clone() };
        let mut scan = SegmentScan::new(open_segment(read, header.number)?, &header, file_bytes);
        match scan.next_batch() {
            Step::Batch(_) | Step::Sealed(_) => return Ok(Some(header)),
            Step::Stop(Flaw::Zeros) if zeros && scan.rest_is_zero() && file_bytes > PAGE_BYTES => {
                return Ok(Some(header));
            }
            Step::Stop(_) => {}
        }
    }
    Ok(None)
}

/// Whether a seal in this segment says that what is before it was durable. Under version 1 it was written only then;
/// since version 2 both become durable at once, and only the cut behind the seal comes later. Of a header that was put
/// together from its neighbours, how long its segment was is not known.
fn seal_proves(segment: &Segment) -> bool {
    segment.header_whole && (segment.header.version == 1 || segment.file_bytes < segment.header.segment_bytes)
}

/// Offset behind the last byte of a file that is not zero; `None` when it cannot be read.
pub(crate) fn content_end<F: Source>(source: &F, file_bytes: u64) -> Option<u64> {
    const PORTION: u64 = 64 << 10;
    let mut bytes = vec![0; PORTION.min(file_bytes) as usize];
    let mut end = file_bytes;
    while end > 0 {
        let start = (end - 1) / PORTION * PORTION;
        let read = source.read_at(start, &mut bytes[..(end - start) as usize]).ok()?;
        if let Some(last) = last_not_zero(&bytes[..read]) {
            return Some(start + last as u64 + 1);
        }
        end = start;
    }
    Some(0)
}

/// What is behind a stop in the newest segment.
#[derive(Clone, Copy, Default)]
struct Ahead {
    claimed: Lsn,
    last_lsn: Lsn,
    records: u64,
}

/// Reads to the end of the segment once, so that a proof far behind the first damage is not missed.
fn look_ahead<F: Source>(scan: &mut SegmentScan<F>, seal_proves: bool) -> Ahead {
    let place = scan.place();
    let mut ahead = Ahead::default();
    loop {
        let behind = scan.find_behind();
        ahead.claimed = ahead.claimed.max(behind.claimed);
        let Some(found) = behind.found else { break };
        scan.jump(found);
        loop {
            match scan.next_batch() {
                Step::Batch(batch) => {
                    ahead.claimed = ahead.claimed.max(batch.durable);
                    ahead.records += scan.records(batch).count() as u64;
                    ahead.last_lsn = batch.last_lsn;
                }
                Step::Sealed(seal) if seal_proves => {
                    ahead.claimed = ahead.claimed.max(seal.last_lsn);
                    break;
                }
                Step::Sealed(_) | Step::Stop(_) => break,
            }
        }
    }
    scan.restore(place);
    ahead
}

/// What a stop looks like to the table.
fn seen<F: Source>(scan: &mut SegmentScan<F>, flaw: Flaw, behind: Behind) -> Seen {
    match flaw {
        Flaw::Unreadable => Seen::Unreadable,
        Flaw::NewerFlags => Seen::Newer,
        Flaw::Zeros | Flaw::Short => {
            let until = behind.found.map_or(scan.file_end(), |found| found.offset);
            if scan.zeros_until() >= until { Seen::Zeros } else { Seen::Bad }
        }
        Flaw::Length | Flaw::Checksum | Flaw::Lsn | Flaw::Batch | Flaw::Seal | Flaw::Block => Seen::Bad,
    }
}
